//! Housekeeping: keeps what only grows within bounds, a little at a time.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use super::Context;
use crate::store::Store;

/// Between two rounds.
const EVERY: Duration = Duration::from_secs(60);
/// The most events removed in one transaction.
const STEP: usize = 1_000;

/// Runs for ever; dropped when the node stops.
pub(super) async fn sweep<S: Store>(context: Arc<Context<S>>) {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(error) = round(&context).await {
            tracing::warn!(%error, "housekeeping failed; it is tried again in a minute");
        }
    }
}

async fn round<S: Store>(context: &Context<S>) -> crate::Result<()> {
    // Without a time to retain, no event is old enough, and only what stands beside the log is trimmed.
    let retain = context.config.retain.and_then(|retain| chrono::Duration::from_std(retain).ok());
    let before =
        retain.and_then(|retain| context.clock.now().checked_sub_signed(retain)).unwrap_or(DateTime::<Utc>::MIN_UTC);
    while context.store.trim(before, STEP).await? == STEP {
        tokio::task::yield_now().await;
    }
    Ok(())
}

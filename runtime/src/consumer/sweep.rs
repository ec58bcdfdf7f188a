//! Keeps the inbox within bounds, a little at a time.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::Context;
use crate::store::Store;

/// Between two rounds.
const EVERY: Duration = Duration::from_secs(60);
/// The most marks removed in one transaction.
const STEP: usize = 1_000;
/// How long marks are kept: longer than any broker goes on delivering what it was not told of.
const KEPT: chrono::TimeDelta = chrono::TimeDelta::days(14);

/// Runs until told to stop.
pub(super) async fn sweep<S: Store>(context: Arc<Context<S>>, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let before = context.clock.now() - KEPT;
        loop {
            match context.store.trim_received(before, STEP).await {
                Ok(STEP) if !*stop.borrow() => tokio::task::yield_now().await,
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "can't trim the inbox; it is tried again in a minute");
                    break;
                }
            }
        }
    }
}

//! Housekeeping: keeps what only grows within bounds, a little at a time.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Context;
use crate::store::Store;

/// The most events, and the most marks, removed in one transaction.
const STEP: usize = 1_000;

/// Runs for ever; dropped when the node stops.
pub(super) async fn sweep<S: Store>(context: Arc<Context<S>>) {
    loop {
        tokio::time::sleep(context.config.sweep).await;
        if let Err(error) = round(&context).await {
            let again_in = context.config.sweep;
            tracing::warn!(%error, ?again_in, "housekeeping failed");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        DomainEvents, EventId,
        store::{
            SubscriptionStore,
            record::{Checkpoint, NewSubscription, NodeId, OnceClaim, Position, StartAt, SubscriptionId},
        },
    };

    #[tokio::test]
    async fn a_round_goes_on_while_there_is_more_to_remove() -> crate::Result<()> {
        let events = DomainEvents::builder().without_linked().build()?;
        let store = events.store();
        let id = SubscriptionId { handler: Arc::from("a.a"), partition: 0 };
        let wanted = NewSubscription { id: id.clone(), partitions: 1, aliases: Vec::new(), start: StartAt::Beginning };
        store.ensure(&[wanted]).await?;
        let minute = std::time::Duration::from_secs(60);
        let lease = store.claim(&NodeId("n".into()), &id, minute).await?.expect("nobody holds it").lease;
        let marked: Vec<_> = std::iter::repeat_with(EventId::generate).take(STEP * 2 + 500).collect();
        for event in &marked {
            store.claim_once(&lease, *event, 1).await?;
        }
        let mut step = Checkpoint::new(lease.clone());
        step.position = Some(Position { after: 1, window: None });
        store.checkpoint(&[step]).await?;

        round(&events.processor().context).await?;
        for event in &marked {
            assert_eq!(store.claim_once(&lease, *event, 2).await?, OnceClaim::Fresh, "a mark was left");
        }
        Ok(())
    }
}

//! Telling what became of deliveries: first the inbox, then the broker, so that one that the broker repeats is known.

use std::time::Duration;

use super::Context;
use crate::{
    event::EventId,
    fault,
    handler::Wired,
    store::Store,
    transport::{Inbound, record::Settlement},
};

/// Between two tries to reach the store.
const PAUSE: Duration = Duration::from_millis(500);

/// What is told together.
pub(super) struct Settled {
    pub(super) settlements: Vec<Settlement>,
    /// Events among them that are handled.
    pub(super) handled: Vec<EventId>,
    /// Events whose marks are not needed when the broker knows all this.
    pub(super) buried: Vec<EventId>,
}

/// Notes the handled events, and settles the deliveries. What the broker does not hear of, it delivers again.
pub(super) async fn settle<S: Store>(inbound: &dyn Inbound, context: &Context<S>, wired: &Wired, settled: Settled) {
    let Settled { settlements, handled, buried } = settled;
    fault::point("settle.before");
    // A transactional handler's mark went with its writes.
    if context.inbox && !wired.transactional && !handled.is_empty() {
        while let Err(error) = context.store.note_received(&wired.name, &handled).await {
            tracing::warn!(handler = %wired.name, %error, "can't write into the inbox; trying again");
            tokio::time::sleep(PAUSE).await;
        }
    }
    fault::point("settle.noted");
    if let Err(error) = inbound.settle(settlements).await {
        tracing::warn!(handler = %wired.name, %error, "the broker was not told of what is done; it delivers again");
        return;
    }
    fault::point("settle.after");
    // So that a person's redrive is an attempt like the first. A mark that stays makes it a dead letter once more.
    if context.inbox
        && !buried.is_empty()
        && let Err(error) = context.store.forget_received(&wired.name, &buried).await
    {
        tracing::warn!(handler = %wired.name, %error, "can't take the marks of dead letters out of the inbox");
    }
}

//! Telling what became of deliveries: first the inbox, then the broker, so that one that the broker repeats is known.

use std::time::Duration;

use super::Context;
use crate::{
    event::EventId,
    handler::Wired,
    store::Store,
    transport::{Inbound, record::Settlement},
};

/// Between two tries to reach the store.
const PAUSE: Duration = Duration::from_millis(500);

/// Notes the handled events, and settles the deliveries. What the broker does not hear of, it delivers again.
pub(super) async fn settle<S: Store>(
    inbound: &dyn Inbound,
    context: &Context<S>,
    wired: &Wired,
    settlements: Vec<Settlement>,
    handled: Vec<EventId>,
) {
    // A transactional handler's mark went with its writes.
    if context.inbox && !wired.transactional && !handled.is_empty() {
        while let Err(error) = context.store.note_received(&wired.name, &handled).await {
            tracing::warn!(handler = %wired.name, %error, "can't write into the inbox; trying again");
            tokio::time::sleep(PAUSE).await;
        }
    }
    if let Err(error) = inbound.settle(settlements).await {
        tracing::warn!(handler = %wired.name, %error, "the broker was not told of what is done; it delivers again");
    }
}

//! From the broker's deliveries to what a subscription can work with: read, and looked up in the inbox.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{Context, arrival::Arrival};
use crate::{
    error::Result,
    event::EventId,
    handler::{Registry, Wired},
    store::Store,
    transport::{
        Inbound,
        record::{Delivery, Epitaph, Incoming, Tag},
    },
};

/// Between two tries to reach the store.
const PAUSE: Duration = Duration::from_millis(500);

/// A delivery, and what there is to do about it.
pub(super) enum Taken {
    /// It is to be handled.
    Fresh(Arc<Arrival>, Tag),
    /// The inbox has it: it was handled before.
    Handled(Tag),
    /// It is no event.
    Unreadable(Arc<Incoming>, Tag, Epitaph),
}

/// The next deliveries, at most `max`. Waits for them, and for the store, if that is away.
pub(super) async fn take<S: Store>(
    inbound: &dyn Inbound,
    context: &Context<S>,
    wired: &Wired,
    max: usize,
) -> Result<Vec<Taken>> {
    let deliveries = inbound.receive(max).await?;
    let mut taken: Vec<_> = deliveries.into_iter().map(|delivery| read(delivery, &context.registry)).collect();
    if context.inbox {
        let ids: Vec<_> = taken.iter().filter_map(Taken::id).collect();
        let handled = handled(context, wired, &ids).await;
        for one in &mut taken {
            if let Taken::Fresh(arrival, tag) = one
                && handled.contains(&arrival.envelope.meta.id)
            {
                *one = Taken::Handled(*tag);
            }
        }
    }
    Ok(taken)
}

fn read(delivery: Delivery, registry: &Registry) -> Taken {
    match Arrival::read(&delivery.message, registry) {
        Ok(arrival) => Taken::Fresh(Arc::new(arrival), delivery.tag),
        Err(unreadable) => {
            let epitaph = Epitaph { reason: unreadable.reason, error: unreadable.error, attempts: 0 };
            Taken::Unreadable(delivery.message, delivery.tag, epitaph)
        }
    }
}

async fn handled<S: Store>(context: &Context<S>, wired: &Wired, ids: &[EventId]) -> HashSet<EventId> {
    if ids.is_empty() {
        return HashSet::new();
    }
    loop {
        match context.store.received(&wired.name, ids).await {
            Ok(found) => return found.into_iter().collect(),
            Err(error) => {
                tracing::warn!(handler = %wired.name, %error, "can't look into the inbox; trying again");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

impl Taken {
    fn id(&self) -> Option<EventId> {
        match self {
            Self::Fresh(arrival, _) => Some(arrival.envelope.meta.id),
            Self::Handled(_) | Self::Unreadable(..) => None,
        }
    }
}

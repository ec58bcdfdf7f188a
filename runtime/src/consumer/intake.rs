//! From the broker's deliveries to what a subscription can work with: read, and looked up in the inbox.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use super::{Context, arrival::Arrival};
use crate::{
    error::Result,
    event::EventId,
    handler::Wired,
    store::Store,
    transport::{
        Inbound,
        record::{Delivery, Epitaph, Incoming, Tag},
    },
};

/// Between two tries to reach the store.
const PAUSE: Duration = Duration::from_millis(500);

/// What was delivered so often before, and is not settled, may have taken the processes down that had it. Not less: a
/// process that was killed, or a connection that was lost, is the common case.
const SUSPECT: u32 = 2;

/// A delivery, and what there is to do about it.
pub(super) enum Taken {
    /// It is to be handled. If it is suspected, how many attempts were begun since.
    Fresh(Arc<Arrival>, Tag, Option<u32>),
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
    let mut taken: Vec<_> = deliveries.into_iter().map(|delivery| read(delivery, context)).collect();
    if context.inbox {
        let ids: Vec<_> = taken.iter().filter_map(Taken::id).collect();
        let handled = handled(context, wired, &ids).await;
        for one in &mut taken {
            if let Taken::Fresh(arrival, tag, _) = one
                && handled.contains(&arrival.envelope.meta.id)
            {
                *one = Taken::Handled(*tag);
            }
        }
        look_up_suspects(context, wired, &mut taken).await;
    }
    Ok(taken)
}

fn read<S>(delivery: Delivery, context: &Context<S>) -> Taken {
    match Arrival::read(&delivery.message, &context.registry) {
        // Without an inbox, who it was could not be told.
        Ok(arrival) => {
            let suspected = (context.inbox && delivery.redelivered >= SUSPECT).then_some(0);
            Taken::Fresh(Arc::new(arrival), delivery.tag, suspected)
        }
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
    insist(wired, || context.store.received(&wired.name, ids)).await.into_iter().collect()
}

async fn look_up_suspects<S: Store>(context: &Context<S>, wired: &Wired, taken: &mut [Taken]) {
    let suspect = |one: &Taken| matches!(one, Taken::Fresh(_, _, Some(_))).then(|| one.id()).flatten();
    let ids: Vec<_> = taken.iter().filter_map(suspect).collect();
    if ids.is_empty() {
        return;
    }
    tracing::warn!(handler = %wired.name, deliveries = ids.len(),
        "processes ended again and again before these were settled; handling one event at a time until they are");
    let begun = insist(wired, || context.store.begun_received(&wired.name, &ids)).await;
    let begun: HashMap<_, _> = begun.into_iter().collect();
    for one in taken {
        if let Taken::Fresh(arrival, _, Some(attempts)) = one {
            *attempts = begun.get(&arrival.envelope.meta.id).copied().unwrap_or(0);
        }
    }
}

/// Asks the inbox until it answers.
async fn insist<T, F: Future<Output = Result<T>>>(wired: &Wired, question: impl Fn() -> F) -> T {
    loop {
        match question().await {
            Ok(found) => return found,
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
            Self::Fresh(arrival, ..) => Some(arrival.envelope.meta.id),
            Self::Handled(_) | Self::Unreadable(..) => None,
        }
    }
}

//! The framework under another name, as a façade crate would re-export it.

mod platform {
    pub use domain_events as events;
}

use platform::events::{DomainEvent, FromServices, PendingEvents, aggregate_root, event_handler};

#[aggregate_root(crate = crate::platform::events)]
struct Card {
    #[aggregate(id)]
    id: u64,
    events: PendingEvents,
}

#[derive(DomainEvent)]
#[event(aggregate = Card, crate = crate::platform::events)]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: u64,
}

#[derive(FromServices)]
#[from_services(crate = crate::platform::events)]
struct Index;

#[event_handler(CardAdded, crate = crate::platform::events)]
impl Index {
    async fn handle(&self, event: &CardAdded) {
        let _ = event.card_id;
    }
}

fn main() {
    let card = Card { id: 1, events: PendingEvents::default() };
    let _ = (card.id, card.events.len());
}

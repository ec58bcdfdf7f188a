use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[derive(DomainEvent)]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
}

// The missing aggregate is one message, here is none.
fn raise(card: &mut Card, event: CardAdded) {
    card.raise(event);
}

fn main() {}

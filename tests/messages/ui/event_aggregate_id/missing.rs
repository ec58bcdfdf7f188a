use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardAdded {
    curator: String,
    card_id: String,
}

fn raise(card: &mut Card, event: CardAdded) {
    card.raise(event);
}

fn main() {}

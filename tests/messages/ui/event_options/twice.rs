use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[derive(DomainEvent)]
#[event(aggregate = Card, version = 1)]
#[event(version = 2)]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
}

fn main() {}

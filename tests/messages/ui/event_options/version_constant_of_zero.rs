use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

const VERSION: u32 = 0;

#[derive(DomainEvent)]
#[event(aggregate = Card, version = VERSION)]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
}

fn main() {}

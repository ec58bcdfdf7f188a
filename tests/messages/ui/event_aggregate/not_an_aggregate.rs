use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

struct Library;

#[derive(DomainEvent)]
#[event(aggregate = Library)]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
}

fn main() {}

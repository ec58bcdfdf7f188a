use domain_events::prelude::*;

#[aggregate_root("card")]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[aggregate_root(name = 5)]
struct Collection {
    #[aggregate(id = 1)]
    id: String,
    events: PendingEvents,
}

fn main() {}

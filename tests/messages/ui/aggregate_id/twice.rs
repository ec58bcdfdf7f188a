use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    #[aggregate(id)]
    name: String,
    events: PendingEvents,
}

fn main() {}

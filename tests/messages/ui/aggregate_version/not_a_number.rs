use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    #[aggregate(version)]
    version: String,
    events: PendingEvents,
}

fn main() {}

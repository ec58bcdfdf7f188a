use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    #[aggregate(version)]
    version: u64,
    #[aggregate(version)]
    revision: u64,
    events: PendingEvents,
}

fn main() {}

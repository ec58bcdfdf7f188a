use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
    more: domain_events::PendingEvents,
}

fn main() {}

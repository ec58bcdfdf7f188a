use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    name: String,
    card_id: String,
    events: PendingEvents,
}

fn main() {}

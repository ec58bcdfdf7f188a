use domain_events::prelude::*;

#[aggregate_root(nam = "card")]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[aggregate_root(table = "cards")]
struct Collection {
    #[aggregate(key)]
    id: String,
    #[aggregate(versio)]
    version: u64,
    events: PendingEvents,
}

fn main() {}

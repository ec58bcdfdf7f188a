use domain_events::prelude::*;

#[aggregate_root(nam = "card")]
struct Card {
    id: String,
    #[aggregate(version)]
    version: u64,
    #[aggregate(version)]
    revision: u64,
}

fn main() {}

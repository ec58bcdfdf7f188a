use domain_events::prelude::*;

#[aggregate_root]
union Card {
    id: u64,
}

fn main() {}

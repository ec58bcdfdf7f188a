use domain_events::prelude::*;

#[aggregate_root]
enum Card {
    Open,
}

fn main() {}

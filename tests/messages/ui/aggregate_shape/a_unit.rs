use domain_events::prelude::*;

#[aggregate_root]
struct Card;

fn main() {}

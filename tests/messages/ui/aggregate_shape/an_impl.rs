use domain_events::prelude::*;

#[aggregate_root]
impl Card {}

struct Card;

fn main() {}

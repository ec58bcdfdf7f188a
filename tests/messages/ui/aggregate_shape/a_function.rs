use domain_events::prelude::*;

#[aggregate_root]
fn card() {}

fn main() {}

use domain_events::prelude::*;

#[aggregate_root]
struct Card(String, PendingEvents);

fn main() {}

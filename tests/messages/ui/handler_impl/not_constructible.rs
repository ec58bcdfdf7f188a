#![allow(unused_variables)]

use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
}

struct Notify {
    retries: u32,
}

#[event_handler(CardAdded)]
impl Notify {
    async fn handle(&self, event: &CardAdded) {}
}

fn main() {}

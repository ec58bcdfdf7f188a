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

struct Notify;

trait Handler {
    async fn handle(&self, event: &CardAdded);
}

#[event_handler(CardAdded)]
impl Handler for Notify {
    async fn handle(&self, event: &CardAdded) {}
}

fn main() {}

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

#[event_handler]
async fn notify(event: &CardAdded) {}

#[event_handler(max_attempts = 3)]
async fn index() {}

struct Notify;

#[event_handler]
impl Notify {
    async fn handle(&self, event: &CardAdded) {}
}

fn main() {}

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

#[event_handler(CardAdded, max_attempts = 0, partitions = 257, concurrency = 1025)]
async fn notify(event: &CardAdded) {}

#[event_handler(CardAdded, max_attempts = -1, partitions = "8", concurrency = 1.5)]
async fn index(event: &CardAdded) {}

#[event_handler(CardAdded, max_attempts, partitions(2))]
async fn mail(event: &CardAdded) {}

fn main() {}

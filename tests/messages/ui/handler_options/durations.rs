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

#[event_handler(CardAdded, timeout = "0s", backoff = "10m..1s")]
async fn notify(event: &CardAdded) {}

#[event_handler(CardAdded, timeout = 30, backoff = "fast")]
async fn index(event: &CardAdded) {}

#[event_handler(CardAdded, timeout = "30", backoff = "1s..")]
async fn mail(event: &CardAdded) {}

fn main() {}

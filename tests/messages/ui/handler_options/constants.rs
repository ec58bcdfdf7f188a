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

const NONE: u32 = 0;
const MANY: u16 = 300;

#[event_handler(CardAdded, max_attempts = NONE)]
async fn notify(event: &CardAdded) {}

#[event_handler(CardAdded, partitions = MANY)]
async fn index(event: &CardAdded) {}

#[event_handler(CardAdded, timeout = NONE)]
async fn mail(event: &CardAdded) {}

fn main() {}

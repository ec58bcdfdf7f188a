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

#[event_handler(CardAdded, on_dead = "stop", start = "end", once = "yes")]
async fn notify(event: &CardAdded) {}

#[event_handler(CardAdded, name = "", group = 5, alias = "old name", aliases = "a")]
async fn index(event: &CardAdded) {}

fn main() {}

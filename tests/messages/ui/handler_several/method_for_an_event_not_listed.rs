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

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardRemoved {
    #[event(aggregate_id)]
    card_id: String,
}

#[derive(FromServices)]
struct Notify;

#[event_handler(CardAdded, CardRemoved)]
impl Notify {
    async fn on_added(&self, event: &CardAdded) {}
    async fn on_removed(&self, event: &CardRemoved) {}
    async fn on_lost(&self, event: &CardLost) {}
}

struct CardLost;

fn main() {}

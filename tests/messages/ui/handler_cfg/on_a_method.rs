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

#[derive(FromServices)]
struct Notify;

#[event_handler(CardAdded)]
impl Notify {
    #[cfg(all())]
    async fn handle(&self, event: &CardAdded) {}
}

fn main() {}

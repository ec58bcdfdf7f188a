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
pub struct CardRemoved {
    #[event(aggregate_id)]
    card_id: String,
}

mod old {
    pub use super::CardRemoved as CardAdded;
}

#[derive(FromServices)]
struct Notify;

#[event_handler(CardAdded, old::CardAdded)]
impl Notify {
    async fn on_added(&self, event: &CardAdded) {}
    async fn on_old(&self, event: &old::CardAdded) {}
}

fn main() {}

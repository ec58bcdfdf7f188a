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

use std::rc::Rc;

#[derive(FromServices)]
struct Notify;

#[event_handler(CardAdded)]
impl Notify {
    async fn handle(&self, event: &CardAdded) {
        let counter = Rc::new(1);
        std::future::ready(()).await;
        drop(counter);
    }
}

fn main() {}

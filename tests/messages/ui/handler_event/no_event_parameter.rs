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

trait Mailer: Send + Sync {}

#[event_handler(CardAdded)]
async fn notify(mailer: Service<dyn Mailer>) {}

#[event_handler(CardAdded)]
async fn index(meta: &EventMeta) {}

fn main() {}

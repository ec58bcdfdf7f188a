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
async fn notify(event: &CardAdded, mailer: &dyn Mailer, other: &(dyn Mailer + Send)) {}

fn main() {}

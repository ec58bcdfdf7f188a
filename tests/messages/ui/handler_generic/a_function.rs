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

#[event_handler(CardAdded)]
async fn notify<T>(event: &CardAdded, detail: Service<T>) {}

#[event_handler(CardAdded)]
async fn index<'a>(event: &'a CardAdded) {}

trait Mailer: Send + Sync {}

#[event_handler(CardAdded)]
async fn mail(event: &CardAdded, mailer: impl Mailer) {}

fn main() {}

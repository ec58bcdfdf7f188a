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

#[event_handler(CardAdded, max_attemps = 3, timeout = 5)]
fn notify<T>(mailer: &dyn Mailer, event: &CardAdded) {}

// A broken handler can be called and named still.
async fn calls(event: &CardAdded, mailer: &dyn Mailer) {
    notify::<u8>(mailer, event);
    let _ = domain_events::handler!(notify);
}

fn main() {}

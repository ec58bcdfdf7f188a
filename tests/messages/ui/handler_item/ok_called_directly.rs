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


use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};

trait Mailer: Send + Sync {
    fn sent(&self) -> u32;
}

struct Fake;

impl Mailer for Fake {
    fn sent(&self) -> u32 {
        7
    }
}

#[event_handler(CardAdded)]
async fn notify(event: &CardAdded, mailer: Service<dyn Mailer>) -> Result<(), String> {
    Err(format!("{} {}", event.card_id, mailer.sent()))
}

fn main() {
    let event = CardAdded { card_id: "1".into() };
    let mailer = Service::new(std::sync::Arc::new(Fake) as std::sync::Arc<dyn Mailer>);
    let answer = pin!(notify(&event, mailer)).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(answer, Poll::Ready(Err("1 7".to_owned())));
}

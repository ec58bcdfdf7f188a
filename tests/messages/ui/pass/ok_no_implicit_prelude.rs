#![no_implicit_prelude]
#![forbid(unsafe_code)]

use ::domain_events::{EventMeta, FromServices, PendingEvents, Service, aggregate_root, event_handler};

#[aggregate_root]
pub struct Card {
    #[aggregate(id)]
    id: u64,
    #[aggregate(version)]
    version: u32,
    events: PendingEvents,
}

#[derive(::domain_events::DomainEvent)]
#[event(aggregate = Card, version = 2, alias = "CardPut")]
pub struct CardAdded {
    #[event(aggregate_id)]
    card_id: u64,
    #[event(occurred_at)]
    at: ::domain_events::prelude::DateTime<::domain_events::prelude::Utc>,
}

#[derive(::domain_events::DomainEvent)]
#[event(aggregate = Card)]
pub enum CardMoved {
    In {
        #[event(aggregate_id)]
        card_id: u64,
    },
    Out(#[event(aggregate_id)] u64),
}

pub trait Mailer: ::core::marker::Send + ::core::marker::Sync {}

#[event_handler(CardAdded, group = "mail", timeout = "5s", backoff = "1s..1m", on_dead = "park", start = "now", once)]
pub async fn notify(_: &CardAdded, _: Service<dyn Mailer>, _: &EventMeta) {}

#[derive(FromServices)]
pub struct Index {
    mailer: Service<dyn Mailer>,
}

#[event_handler(CardAdded, CardMoved)]
impl Index {
    async fn on_added(&self, _: &CardAdded) {
        let _ = &self.mailer;
    }

    async fn on_moved(&self, _: &CardMoved) {}
}

fn main() {
    let _ = ::domain_events::handler!(notify);
    let _ = ::domain_events::handler!(Index);
}

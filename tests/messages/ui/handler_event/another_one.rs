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

#[event_handler(CardAdded)]
async fn notify(event: &CardRemoved) {}

struct Index;

impl FromServices for Index {
    fn from_services(_: &mut domain_events::handler::ServiceScope<'_>) -> Result<Self, domain_events::handler::MissingService> {
        Ok(Index)
    }
}

#[event_handler(CardAdded)]
impl Index {
    async fn handle(&self, event: &CardRemoved) {}
}

fn main() {}

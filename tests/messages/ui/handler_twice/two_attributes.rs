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

#[derive(FromServices)]
struct Statistics {}

/// What is counted.
#[event_handler(CardAdded)]
#[allow(dead_code)]
#[domain_events::event_handler(CardRemoved, group = "statistics")]
impl Statistics {
    async fn added(&self, _: &CardAdded) {}

    async fn removed(&self, _: &CardRemoved) {}
}

#[event_handler(CardAdded)]
#[event_handler(CardAdded, name = "again")]
async fn count(_: &CardAdded) {}

fn main() {
    let _ = (domain_events::handler!(Statistics), domain_events::handler!(count));
}

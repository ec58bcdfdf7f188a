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

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardLent {
    #[event(aggregate_id)]
    card_id: String,
}

#[derive(FromServices)]
struct Statistics {}

#[event_handler(CardAdded)]
impl Statistics {
    async fn handle(&self, _: &CardAdded) {}
}

#[event_handler(CardRemoved, CardLent, name = "others")]
impl Statistics {
    async fn removed(&self, _: &CardRemoved) {}

    async fn lent(&self, _: &CardLent) {}
}

fn main() {}

use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[derive(DomainEvent)]
#[event(aggregat = Card)]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
}

#[derive(DomainEvent)]
#[event(aggregate = Card, topic = "cards")]
struct CardRemoved {
    #[event(aggregateid)]
    card_id: String,
}

#[derive(DomainEvent)]
#[event(aggregate = Card)]
enum CardMoved {
    #[event(name = "in")]
    In(#[event(aggregate_id)] String),
}

fn main() {}

use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[derive(serde::Serialize)]
struct Money(u64);

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardSold {
    #[event(aggregate_id)]
    card_id: String,
    price: Money,
}

fn main() {}

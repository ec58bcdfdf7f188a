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
    #[event(occurred_at)]
    at: u64,
}

fn add() -> CardAdded {
    CardAdded::new("1".to_owned())
}

fn main() {}

use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}


type Timestamp = DateTime<Utc>;

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardAdded {
    #[event(occurred_at)]
    at: Timestamp,
    #[event(aggregate_id)]
    card_id: String,
}

fn main() {
    assert!(CardAdded::new("1".into()).occurred_at().is_some());
}

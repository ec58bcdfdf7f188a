use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[derive(DomainEvent)]
#[event(nam = "added", version = 0)]
struct CardAdded {
    card_id: String,
    #[event(occurred_at)]
    at: DateTime<Utc>,
    #[event(occurred_at)]
    added_at: DateTime<Utc>,
}

fn add(card: &mut Card) {
    card.raise(CardAdded::new("1".to_owned(), Utc::now()));
}

fn main() {}

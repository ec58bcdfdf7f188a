use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[derive(DomainEvent)]
#[event(aggregate = Card)]
enum CardMoved {
    In { #[event(aggregate_id)] card_id: String, #[event(occurred_at)] at: Option<DateTime<Utc>> },
}

fn main() {}

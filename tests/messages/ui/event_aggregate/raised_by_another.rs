use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[aggregate_root]
struct Collection {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[derive(DomainEvent)]
#[event(aggregate = Collection)]
struct CollectionCreatedEvent {
    #[event(aggregate_id)]
    collection_id: String,
}

fn add(card: &mut Card) {
    card.raise(CollectionCreatedEvent { collection_id: card.id.clone() });
}

fn main() {}

use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[derive(DomainEvent)]
#[event(aggregate = Card, name = "", version = 0, alias = 7)]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
}

#[derive(DomainEvent)]
#[event(aggregate = Card, name = "card removed", version = "2", aliases = "CardGone")]
struct CardRemoved {
    #[event(aggregate_id)]
    card_id: String,
}

#[derive(DomainEvent)]
#[event(aggregate = Card, name, version = -1, aliases)]
struct CardMoved {
    #[event(aggregate_id)]
    card_id: String,
}

fn main() {}

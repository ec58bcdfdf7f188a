use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}


mod names {
    pub const ADDED: &str = "cards.added";
    pub const OLD: &str = "CardPut";
    pub const VERSION: u32 = 4;
}

#[derive(DomainEvent)]
#[event(aggregate = Card, name = names::ADDED, version = names::VERSION, alias = names::OLD, aliases("a", names::OLD))]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
}

#[derive(DomainEvent)]
#[event(aggregate = Card, aliases = ["a", "b"])]
struct CardRemoved {
    #[event(aggregate_id)]
    card_id: String,
}

fn main() {
    assert_eq!((CardAdded::NAME, CardAdded::VERSION), ("cards.added", 4));
    assert_eq!(CardAdded::ALIASES, ["CardPut", "a", "CardPut"]);
    assert_eq!(CardRemoved::ALIASES, ["a", "b"]);
}

use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}


#[derive(serde::Serialize, serde::Deserialize)]
struct Wire(String);

impl From<Wire> for CardAdded {
    fn from(wire: Wire) -> Self {
        CardAdded { card_id: wire.0 }
    }
}

impl From<CardAdded> for Wire {
    fn from(event: CardAdded) -> Self {
        Wire(event.card_id)
    }
}

#[derive(Clone, DomainEvent, serde::Serialize, serde::Deserialize)]
#[event(aggregate = Card)]
#[serde(from = "Wire", into = "Wire")]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
}

fn main() {
    let event = CardAdded { card_id: "1".into() };
    assert_eq!(event.encode().unwrap(), br#""1""#);
}

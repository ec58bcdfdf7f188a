use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}


#[derive(DomainEvent, serde::Serialize, serde::Deserialize)]
#[event(aggregate = Card)]
#[serde(rename_all = "camelCase")]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
}

fn main() {
    let event = CardAdded { card_id: "1".into() };
    assert_eq!(event.encode().unwrap(), br#"{"cardId":"1"}"#);
}

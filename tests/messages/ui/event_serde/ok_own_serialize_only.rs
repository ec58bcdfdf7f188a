use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}


#[derive(serde::Deserialize)]
struct ReadOnly(u8);

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardAdded {
    #[event(aggregate_id)]
    card_id: String,
    value: ReadOnly,
}

impl serde::Serialize for CardAdded {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str("own")
    }
}

fn main() {
    let event = CardAdded::decode(br#"{"card_id":"1","value":7}"#).unwrap();
    assert_eq!((event.card_id.as_str(), event.value.0), ("1", 7));
    assert_eq!(event.encode().unwrap(), br#""own""#);
}

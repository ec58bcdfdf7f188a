use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}


#[derive(Debug, PartialEq, DomainEvent)]
#[event(aggregate = Card)]
#[serde(tag = "what", rename_all = "snake_case")]
enum CardMoved {
    MovedIn {
        #[event(aggregate_id)]
        card_id: String,
        #[event(occurred_at)]
        at: DateTime<Utc>,
    },
    #[serde(rename = "out")]
    MovedOut {
        #[event(aggregate_id)]
        #[serde(rename = "card")]
        card_id: String,
        #[event(occurred_at)]
        at: DateTime<Utc>,
    },
}

fn main() {
    let at = DateTime::UNIX_EPOCH;
    let event = CardMoved::MovedOut { card_id: "1".into(), at };
    assert_eq!(event.encode().unwrap(), br#"{"what":"out","card":"1","at":"1970-01-01T00:00:00Z"}"#);
    assert_eq!(CardMoved::decode(&event.encode().unwrap()).unwrap(), event);
    assert_eq!(event.occurred_at(), Some(at));
}

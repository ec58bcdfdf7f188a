use domain_events::prelude::*;

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}


#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardAdded(#[event(aggregate_id)] String, u32, #[event(occurred_at)] DateTime<Utc>);

#[derive(DomainEvent)]
#[event(aggregate = Card)]
struct CardRemoved(#[event(aggregate_id)] String);

fn main() {
    let event = CardAdded::new("1".into(), 7);
    assert_eq!(event.occurred_at(), Some(event.2));
    assert_eq!(CardAdded::decode(&event.encode().unwrap()).unwrap().1, 7);
    assert_eq!(CardRemoved("1".into()).encode().unwrap(), br#""1""#);
}

//! What else may stand in a log: events of other programs, of newer releases, and damage. The subscription goes on.

use chrono::Utc;
use domain_events::{
    AggregateId, DomainEvents, Envelope, EventId, EventMeta, MemoryStore, UnknownEvents, handler,
    store::{EventLog, record::DeadReason},
};

use crate::library::{Diary, add, library, on, settle};

/// Writes past the runtime, as another program would.
async fn write(events: &DomainEvents, name: &'static str, version: u32, payload: &[u8]) {
    let id = AggregateId::from("c1");
    let meta = EventMeta::new(EventId::generate(), name, version, "Card", id, Utc::now());
    let mut transaction = events.store().begin().await.unwrap();
    let connection = MemoryStore::connection(&mut transaction);
    events.store().append(connection, &[Envelope::new(meta, payload.to_vec())]).await.unwrap();
    events.store().commit(transaction).await.unwrap();
}

#[tokio::test]
async fn what_no_handler_can_be_given_is_a_dead_letter_and_the_rest_flows() {
    let diary = Diary::new();
    let events = library(&diary, &[handler!(crate::library::index)]);
    add(&events, "c1", &["alice"]).await;
    write(&events, "CardMintedEvent", 1, b"{}").await;
    write(&events, "CardAddedToLibraryEvent", 7, b"{}").await;
    write(&events, "CardAddedToLibraryEvent", 1, br#"{"card_id":"c1"}"#).await;
    write(&events, "CardAddedToLibraryEvent", 1, b"\xff not json").await;
    add(&events, "c1", &["bob"]).await;

    let dead = settle(&events).await;
    assert_eq!(diary.of("index"), ["c1 alice", "c1 bob"], "the rest flows, in order");
    let reasons: Vec<_> = dead.iter().map(|letter| letter.reason).collect();
    let undecodable = DeadReason::Undecodable;
    assert_eq!(reasons, [DeadReason::UnknownEvent, DeadReason::UnknownVersion, undecodable, undecodable]);
    for (letter, part) in dead.iter().zip(["CardMintedEvent", "version 7", "curator_id", "CardAddedToLibraryEvent"]) {
        assert!(letter.error.contains(part), "`{part}` is not in: {}", letter.error);
    }
    assert_eq!(dead[3].envelope.payload, b"\xff not json", "the payload is kept untouched");
}

#[tokio::test]
async fn unknown_events_are_passed_over_where_a_log_is_shared() {
    let diary = Diary::new();
    let store = MemoryStore::new();
    let events =
        on(store, &diary, &[handler!(crate::library::index)]).unknown_events(UnknownEvents::Skip).build().unwrap();
    write(&events, "CardMintedEvent", 1, b"{}").await;
    add(&events, "c1", &["alice"]).await;
    assert!(settle(&events).await.is_empty());
    assert_eq!(diary.of("index"), ["c1 alice"]);
}

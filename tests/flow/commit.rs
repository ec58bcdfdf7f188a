//! Events and state commit together; what can't be kept is refused before anything is written.

use std::sync::atomic::Ordering;

use domain_events::{AggregateId, DomainEvents, ErrorKind, SqliteStore, handler, prelude::*, store::EventLog, testkit};

use crate::{
    halting::HaltingStore,
    library::{Card, CardAddedToLibraryEvent, Diary, add, library, on, save, settle},
};

#[tokio::test]
async fn events_leave_their_aggregate_only_when_they_are_committed() {
    let events = library(&Diary::new(), &[]);
    let mut card = Card::new("c1");
    card.add_to_library("alice");

    let mut work = events.begin().await.unwrap();
    work.record(&mut card);
    drop(work);
    assert_eq!(card.pending_events().len(), 1, "a dropped unit of work took the event with it");
    assert!(testkit::recorded_envelopes(&events).await.is_empty(), "a dropped unit of work wrote something");

    let mut work = events.begin().await.unwrap();
    work.record(&mut card);
    work.rollback().await.unwrap();
    assert_eq!(card.pending_events().len(), 1, "a rollback took the event with it");

    save(&events, &mut card).await.unwrap();
    assert!(card.pending_events().is_empty(), "a committed event is still pending");
    let recorded = testkit::recorded::<CardAddedToLibraryEvent, _>(&events).await;
    assert_eq!(recorded[0].0, CardAddedToLibraryEvent { card_id: "c1".into(), curator_id: "alice".into() });
}

#[tokio::test]
async fn several_aggregates_commit_in_one_unit_of_work_each_once() {
    let store = HaltingStore::default();
    let events = on(store.clone(), &Diary::new(), &[]).build().unwrap();
    let (mut one, mut two) = (Card::new("c1"), Card::new("c2"));
    one.add_to_library("alice");
    two.add_to_library("bob");
    let mut work = events.begin().await.unwrap();
    work.record(&mut one);
    work.record(&mut two);
    work.record(&mut one);
    // Raised after it was recorded: it is pending when the unit of work commits.
    one.remove_from_library("alice");
    work.commit().await.unwrap();
    let names: Vec<_> = testkit::recorded_envelopes(&events)
        .await
        .iter()
        .map(|envelope| format!("{} {}", envelope.meta.aggregate_id, envelope.meta.name))
        .collect();
    assert_eq!(names, ["c1 CardAddedToLibraryEvent", "c1 CardRemovedFromLibraryEvent", "c2 CardAddedToLibraryEvent"]);
    assert_eq!(store.halt.appends.load(Ordering::SeqCst), 1, "one round trip for all of them");
}

#[tokio::test]
async fn a_handler_error_does_not_fail_the_commit() {
    let diary = Diary::with_rule(|_, _| Err("the index is away".into()));
    let events = library(&diary, &[handler!(crate::library::index)]);
    let running = events.processor().start().await.unwrap();
    let mut card = Card::new("c1");
    card.add_to_library("alice");
    save(&events, &mut card).await.expect("whoever raised the event does not hear of a handler's error");
    assert!(card.pending_events().is_empty());
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn events_join_a_transaction_the_application_has() {
    let events = on(SqliteStore::in_memory().await.unwrap(), &Diary::new(), &[]).build().unwrap();
    let mut card = Card::new("c1");
    card.add_to_library("alice");

    let mut transaction = events.store().begin().await.unwrap();
    let connection = SqliteStore::connection(&mut transaction);
    sqlx::query("create table cards (id text)").execute(&mut *connection).await.unwrap();
    let appended = events.append(connection, &mut card).await.unwrap();
    assert_eq!(appended.event_ids(), [card.pending_events()[0].id()]);
    events.store().commit(transaction).await.unwrap();
    appended.committed();
    assert!(card.pending_events().is_empty(), "the application said that it committed");
    let cards = sqlx::query_scalar::<_, i64>("select count(*) from cards").fetch_one(events.store().pool()).await;
    assert_eq!((cards.unwrap(), testkit::recorded_envelopes(&events).await.len()), (0, 1));
}

#[tokio::test]
async fn an_aggregate_is_saved_again_without_doubling_its_events() {
    let events = library(&Diary::new(), &[]);
    let mut card = Card::new("c1");
    card.add_to_library("alice");
    let mut transaction = events.store().begin().await.unwrap();
    let connection = domain_events::MemoryStore::connection(&mut transaction);
    events.append(connection, &mut card).await.unwrap();
    events.store().commit(transaction).await.unwrap();
    // The application forgot to say so; a copy of the aggregate has the same event.
    let mut copy = Card::new("c1");
    copy.add_to_library("bob");
    card.add_to_library("carol");
    save(&events, &mut card).await.unwrap();
    save(&events, &mut copy).await.unwrap();
    let curators: Vec<_> = testkit::recorded::<CardAddedToLibraryEvent, _>(&events)
        .await
        .into_iter()
        .map(|(event, _)| event.curator_id)
        .collect();
    assert_eq!(curators, ["alice", "carol", "bob"]);
}

#[tokio::test]
async fn what_a_handler_raises_knows_its_cause() {
    let events = library(&Diary::new(), &[]);
    add(&events, "c1", &["alice"]).await;
    let cause = testkit::recorded_envelopes(&events).await.remove(0).meta;
    let mut card = Card::new("c2");
    card.add_to_library("bob");
    let mut work = events.begin().await.unwrap();
    work.caused_by(&cause);
    work.record(&mut card);
    work.commit().await.unwrap();
    let effect = testkit::recorded_envelopes(&events).await.remove(1).meta;
    assert_eq!(effect.causation_id, Some(cause.id.as_uuid()));
    assert_eq!(effect.correlation_id, Some(cause.id.as_uuid()), "the first event of a chain names it");
}

/// Refused at commit: the error names the event and what is wrong, nothing is written, the events stay pending.
async fn refused(events: &DomainEvents, mut card: Card, parts: &[&str]) {
    let mut fine = Card::new("fine");
    fine.add_to_library("alice");
    let mut work = events.begin().await.unwrap();
    work.record(&mut fine);
    work.record(&mut card);
    let error = work.commit().await.expect_err("it can't be kept");
    assert_eq!(error.kind(), ErrorKind::InvalidEvent, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
    }
    assert!(testkit::recorded_envelopes(events).await.is_empty(), "a part of the unit of work was written");
    assert_eq!((fine.pending_events().len(), card.pending_events().len()), (1, 1), "the events are still pending");
}

#[tokio::test]
async fn an_event_that_is_too_large_is_refused() {
    let diary = Diary::new();
    let events = on(domain_events::MemoryStore::new(), &diary, &[]).payload_limit(100).build().unwrap();
    let mut card = Card::new("c1");
    card.add_to_library(&"x".repeat(200));
    refused(&events, card, &["CardAddedToLibraryEvent", "c1", "bytes", "100", "payload_limit"]).await;
}

#[tokio::test]
async fn an_aggregate_id_that_is_empty_or_too_long_is_refused() {
    for bytes in [0, AggregateId::MAX_BYTES + 1] {
        let mut card = Card::new("i".repeat(bytes));
        card.add_to_library("alice");
        let events = library(&Diary::new(), &[]);
        refused(&events, card, &["CardAddedToLibraryEvent", "aggregate id", &bytes.to_string(), "255"]).await;
    }
}

#[tokio::test]
async fn an_event_about_another_aggregate_is_refused() {
    let mut card = Card::new("c1");
    card.raise(CardAddedToLibraryEvent { card_id: "c2".into(), curator_id: "alice".into() });
    let events = library(&Diary::new(), &[]);
    refused(&events, card, &["CardAddedToLibraryEvent", "c1", "c2"]).await;
}

#[tokio::test]
async fn a_commit_wakes_the_processor_of_its_process() {
    let diary = Diary::new();
    let events = library(&diary, &[handler!(crate::library::index)]);
    add(&events, "c1", &["alice", "bob"]).await;
    assert!(settle(&events).await.is_empty());
    assert_eq!(diary.of("index"), ["c1 alice", "c1 bob"]);
}

/// A card was given stars.
#[derive(Debug, PartialEq, DomainEvent)]
#[event(aggregate = Card)]
struct CardRatedEvent {
    #[event(aggregate_id)]
    card_id: String,
    stars: f64,
    note: Option<String>,
}

#[tokio::test]
async fn a_number_that_json_can_not_hold_is_refused() {
    for stars in [f64::NAN, f64::INFINITY] {
        let mut card = Card::new("c1");
        card.raise(CardRatedEvent { card_id: "c1".into(), stars, note: None });
        refused(&library(&Diary::new(), &[]), card, &["CardRatedEvent", "`stars`", "could not be read again"]).await;
    }
    let events = library(&Diary::new(), &[]);
    let mut card = Card::new("c1");
    card.raise(CardRatedEvent { card_id: "c1".into(), stars: 4.5, note: None });
    save(&events, &mut card).await.unwrap();
    assert_eq!(testkit::recorded::<CardRatedEvent, _>(&events).await.len(), 1, "a `None` is no loss");
}

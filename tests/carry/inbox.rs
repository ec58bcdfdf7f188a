//! The inbox: with a durable store, what a broker delivers again is not handled again.

use std::sync::Arc;

use domain_events::{
    DomainEvents, ErrorKind, SqliteStore, handler,
    handler::HandlerDef,
    prelude::*,
    transport::{
        MemoryTransport, Transport as _,
        message::{Mode, encode},
        record::Outgoing,
    },
};

use crate::{
    library::{Card, CardAddedToLibraryEvent, Diary, on, save, until},
    stage::{consumer, publish, worker},
};

#[event_handler(CardAddedToLibraryEvent, group = "ledger", max_attempts = 3, backoff = "5ms..20ms")]
async fn count(
    event: &CardAddedToLibraryEvent,
    attempt: Attempt,
    diary: Service<Diary>,
    tx: &mut sqlx::SqliteConnection,
) -> Result<(), HandlerError> {
    diary.write(format!("count {}", event.curator_id));
    sqlx::query("insert into counted (curator) values (?)").bind(&event.curator_id).execute(&mut *tx).await?;
    if event.curator_id == "clumsy" && attempt.0 < 3 {
        return Err("after the write".into());
    }
    Ok(())
}

#[event_handler(CardAddedToLibraryEvent, group = "letters", once, max_attempts = 3, backoff = "5ms..20ms")]
async fn write_once(
    event: &CardAddedToLibraryEvent,
    attempt: Attempt,
    diary: Service<Diary>,
) -> Result<(), HandlerError> {
    diary.write(format!("once {}", event.curator_id));
    if event.curator_id == "clumsy" && attempt.0 < 3 { Err("not yet".into()) } else { Ok(()) }
}

/// A worker with a file of its own.
async fn durable(diary: &Arc<Diary>, handlers: &[&'static HandlerDef]) -> DomainEvents<SqliteStore> {
    let store = SqliteStore::open(&file()).await.unwrap();
    sqlx::query("create table if not exists counted (curator text)").execute(store.pool()).await.unwrap();
    on(store, diary, handlers).build().unwrap()
}

fn file() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("domain-events-inbox-{}.db", domain_events::EventId::generate()))
}

/// Messages about one card, to be published as often as a publisher does that was not told that they had arrived.
async fn messages(curators: &[&str]) -> Vec<Outgoing> {
    let events = crate::stage::publisher();
    let mut card = Card::new("c1");
    for curator in curators {
        card.add_to_library(curator);
    }
    save(&events, &mut card).await.unwrap();
    let envelopes = domain_events::testkit::recorded_envelopes(&events).await;
    envelopes.iter().map(|envelope| encode(envelope, "library", Mode::Structured).unwrap()).collect()
}

async fn send(broker: &MemoryTransport, messages: &[Outgoing]) {
    broker.publisher().await.unwrap().publish(messages).await.unwrap();
}

#[tokio::test]
async fn an_event_that_comes_again_is_handled_once_by_each_handler_even_after_a_restart() {
    let broker = MemoryTransport::new();
    let diary = Diary::new();
    let events = durable(&diary, &[handler!(count), handler!(write_once), handler!(crate::library::index)]).await;
    let twice = messages(&["alice", "bob"]).await;
    send(&broker, &twice).await;
    send(&broker, &twice).await;
    let running = consumer(&events, &broker);
    publish(&broker, &["c1"], &["end"]).await;
    until("all were handled", || diary.lines().iter().filter(|line| line.ends_with("end")).count() == 3).await;
    running.shutdown().await.unwrap();
    // What is remembered in memory is gone with this consumer; what is in the inbox is not.
    let before = diary.lines().len();
    send(&broker, &twice).await;
    let running = consumer(&events, &broker);
    publish(&broker, &["c1"], &["second end"]).await;
    until("it came", || diary.lines().iter().filter(|line| line.ends_with("second end")).count() == 3).await;
    running.shutdown().await.unwrap();
    assert_eq!(before, 9, "{:?}", diary.lines());
    for handler in ["count", "once", "index c1"] {
        assert_eq!(diary.of(handler), ["alice", "bob", "end", "second end"], "{handler}");
    }
    let counted: Vec<String> =
        sqlx::query_scalar("select curator from counted").fetch_all(events.store().pool()).await.unwrap();
    assert_eq!(counted, ["alice", "bob", "end", "second end"]);
}

#[tokio::test]
async fn what_another_process_has_handled_on_the_same_store_is_not_handled_again() {
    let path = file();
    let diary = Diary::new();
    let twice = messages(&["alice"]).await;
    for (end, times) in [("first end", 2), ("second end", 3)] {
        // A broker that was restored from a backup, say: it has the message once more, and another one.
        let broker = MemoryTransport::new();
        let store = SqliteStore::open(&path).await.unwrap();
        let events = on(store, &diary, &[handler!(crate::library::index)]).build().unwrap();
        send(&broker, &twice).await;
        publish(&broker, &["c1"], &[end]).await;
        let running = consumer(&events, &broker);
        until("the last one was handled", || diary.of("index").len() == times).await;
        running.shutdown().await.unwrap();
    }
    assert_eq!(diary.of("index"), ["c1 alice", "c1 first end", "c1 second end"]);
}

#[tokio::test]
async fn a_failed_attempt_leaves_neither_write_nor_mark() {
    let broker = MemoryTransport::new();
    let diary = Diary::new();
    let events = durable(&diary, &[handler!(count), handler!(write_once)]).await;
    let running = consumer(&events, &broker);
    publish(&broker, &["c1"], &["clumsy", "alice"]).await;
    until("all were handled", || diary.lines().len() == 8).await;
    running.shutdown().await.unwrap();
    assert_eq!(diary.of("once"), ["clumsy", "clumsy", "clumsy", "alice"]);
    let counted: Vec<String> =
        sqlx::query_scalar("select curator from counted").fetch_all(events.store().pool()).await.unwrap();
    assert_eq!(counted, ["clumsy", "alice"]);
}

#[tokio::test]
async fn once_needs_a_store_that_outlives_the_process() {
    let events = worker(&Diary::new(), &[handler!(write_once)]);
    let error = events.consumer(Arc::new(MemoryTransport::new())).start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("`letters.write_once` runs `once`"), "{error}");
}

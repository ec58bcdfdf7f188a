//! A handler that takes the store's transaction: its writes and its position are one.

use domain_events::{DomainEvents, SqliteStore, handler, prelude::*, store::record::DeadReason};

use crate::library::{Card, CardAddedToLibraryEvent, Diary, add, on, settle};

#[event_handler(CardAddedToLibraryEvent, group = "ledger", max_attempts = 3, backoff = "5ms..20ms")]
async fn count(
    event: &CardAddedToLibraryEvent,
    attempt: Attempt,
    tx: &mut sqlx::SqliteConnection,
) -> Result<(), HandlerError> {
    sqlx::query("insert into counted (curator) values (?)").bind(&event.curator_id).execute(&mut *tx).await?;
    match (event.curator_id.as_str(), attempt.0) {
        ("clumsy", 1 | 2) | ("hopeless", _) => Err("after the write".into()),
        ("bomb", _) => panic!("after the write"),
        _ => Ok(()),
    }
}

async fn ledger() -> DomainEvents<SqliteStore> {
    let store = SqliteStore::in_memory().await.unwrap();
    sqlx::query("create table counted (curator text)").execute(store.pool()).await.unwrap();
    on(store, &Diary::new(), &[handler!(count)]).build().unwrap()
}

async fn counted(events: &DomainEvents<SqliteStore>) -> Vec<String> {
    let rows = sqlx::query_scalar("select curator from counted order by rowid").fetch_all(events.store().pool());
    rows.await.unwrap()
}

#[tokio::test]
async fn an_attempt_that_fails_leaves_no_write_behind() {
    let events = ledger().await;
    add(&events, "c1", &["clumsy", "alice", "bomb", "hopeless", "bob"]).await;
    let dead = settle(&events).await;
    assert_eq!(counted(&events).await, ["clumsy", "alice", "bob"]);
    let reasons: Vec<_> = dead.iter().map(|letter| (letter.attempts, letter.reason)).collect();
    assert_eq!(reasons, [(3, DeadReason::AttemptsUsedUp); 2]);
}

#[tokio::test]
async fn an_attempt_that_fails_among_others_takes_back_its_own_write_only() {
    let events = ledger().await;
    let cards: Vec<_> = (0..12).map(|card| format!("c{card}")).collect();
    for round in 0..8 {
        for (number, card) in cards.iter().enumerate() {
            let curator = match (round, number) {
                (4, 3) => "clumsy",
                (4, 5) => "bomb",
                (5, 7) => "hopeless",
                _ => "alice",
            };
            add(&events, card, &[curator]).await;
        }
    }
    assert_eq!(settle(&events).await.len(), 2);
    let counted = counted(&events).await;
    let count = |curator| counted.iter().filter(|counted| *counted == curator).count();
    assert_eq!((count("alice"), count("clumsy"), counted.len()), (93, 1, 94), "{counted:?}");
}

#[tokio::test]
async fn a_dispatched_event_gives_its_handler_a_transaction_too() {
    let events = ledger().await;
    let mut card = Card::new("c1");
    card.add_to_library("alice");
    card.add_to_library("hopeless");
    let report = events.dispatch(&mut card).await;
    assert_eq!((report.handled(), report.failures().count()), (1, 1), "{report}");
    assert_eq!(counted(&events).await, ["alice"]);
}

#[tokio::test]
async fn a_transaction_does_not_outlast_the_renewal_of_the_leases() {
    let store = SqliteStore::in_memory().await.unwrap();
    let lease = std::time::Duration::from_secs(8);
    let events = on(store, &Diary::new(), &[handler!(count)]).lease(lease).build().unwrap();
    assert!(events.describe().contains("timeout 4s"), "{}", events.describe());
}

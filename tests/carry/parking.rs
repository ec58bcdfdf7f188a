//! `on_dead = "park"` over a broker: the aggregate's later events wait with the dead letter, whoever holds the subscription.

use domain_events::{
    handler,
    prelude::*,
    store::record::DeadReason,
    transport::{MemoryTransport, Transport as _},
};

use crate::{
    library::{CardAddedToLibraryEvent, Diary, until},
    stage::{consumer, dead, eventually, publish, worker},
};

const LEDGER: &str = "ledger.enter";

#[event_handler(CardAddedToLibraryEvent, group = "ledger", max_attempts = 1, on_dead = "park")]
async fn enter(event: &CardAddedToLibraryEvent, diary: Service<Diary>) -> Result<(), HandlerError> {
    diary.write(format!("enter {} {}", event.card_id, event.curator_id));
    if event.curator_id == "wrong" && !diary.lines().contains(&"mended".to_owned()) {
        return Err(HandlerError::permanent("it does not add up"));
    }
    Ok(())
}

#[tokio::test]
async fn later_events_of_the_aggregate_wait_and_come_in_order_once_redriven() {
    let broker = MemoryTransport::new();
    publish(&broker, &["c1", "c2"], &["alice"]).await;
    publish(&broker, &["c1"], &["wrong"]).await;
    publish(&broker, &["c1", "c2"], &["bob"]).await;
    let diary = Diary::new();
    let events = worker(&diary, &[handler!(enter)]);
    let running = consumer(&events, &broker);
    eventually("two wait", async || dead(&broker, LEDGER).await.len() == 2).await;
    until("the other aggregate went on", || diary.of("enter").contains(&"c2 bob".to_owned())).await;
    running.shutdown().await.unwrap();

    // Another process knows of it from the broker.
    let running = consumer(&events, &broker);
    publish(&broker, &["c1"], &["carol"]).await;
    eventually("three wait", async || dead(&broker, LEDGER).await.len() == 3).await;
    let letters = dead(&broker, LEDGER).await;
    let reasons: Vec<_> = letters.iter().map(|letter| letter.epitaph.reason).collect();
    assert_eq!(reasons, [DeadReason::Permanent, DeadReason::Parked, DeadReason::Parked]);

    diary.write("mended".to_owned());
    // The first one is enough: the others wait for nothing else.
    assert!(broker.redrive(LEDGER, &letters[0].id).await.unwrap());
    publish(&broker, &["c1"], &["dave"]).await;
    until("all were handled", || diary.of("enter").contains(&"c1 dave".to_owned())).await;
    running.shutdown().await.unwrap();
    let of_c1: Vec<_> = diary.of("enter").into_iter().filter(|line| line.starts_with("c1")).collect();
    assert_eq!(of_c1, ["c1 alice", "c1 wrong", "c1 wrong", "c1 bob", "c1 carol", "c1 dave"]);
    assert!(dead(&broker, LEDGER).await.is_empty());
}

#[tokio::test]
async fn discarding_what_holds_an_aggregate_lets_it_go_on() {
    let broker = MemoryTransport::new();
    publish(&broker, &["c1"], &["wrong"]).await;
    let diary = Diary::new();
    let events = worker(&diary, &[handler!(enter)]);
    let running = consumer(&events, &broker);
    eventually("it is dead", async || dead(&broker, LEDGER).await.len() == 1).await;
    let letter = dead(&broker, LEDGER).await.remove(0);
    publish(&broker, &["c1"], &["before"]).await;
    eventually("it waits", async || dead(&broker, LEDGER).await.len() == 2).await;
    assert!(broker.discard(LEDGER, &letter.id).await.unwrap());
    publish(&broker, &["c1"], &["alice", "bob"]).await;
    until("the aggregate went on", || diary.of("enter").len() == 4).await;
    running.shutdown().await.unwrap();
    assert_eq!(diary.of("enter"), ["c1 wrong", "c1 before", "c1 alice", "c1 bob"]);
    assert!(dead(&broker, LEDGER).await.is_empty());
}

//! The relay: what it publishes, where it begins, and that its position never stands before what is confirmed.

use std::{sync::Arc, time::Duration};

use domain_events::{
    ErrorKind, handler,
    transport::{
        BoxFuture, Capabilities, Inbound, MemoryTransport, Publisher, Transport,
        record::{DeadMessage, Outgoing, Subscription, Unconfirmed},
    },
};

use crate::{
    library::{Diary, LIMIT, add, library, on, save, settle, until},
    stage::{RELAY, consumer, eventually, position, published, publisher, relay, worker},
};

/// Runs until so many were handled, and returns them.
async fn handled(broker: &MemoryTransport, count: usize) -> Vec<String> {
    let diary = Diary::new();
    let events = worker(&diary, &[handler!(crate::library::index)]);
    let running = consumer(&events, broker);
    until("all were handled", || diary.of("index").len() >= count).await;
    running.shutdown().await.unwrap();
    diary.of("index")
}

#[tokio::test]
async fn the_log_is_published_in_its_order() {
    let (broker, events) = (MemoryTransport::new(), publisher());
    for curator in 0..500 {
        add(&events, "c1", &[&curator.to_string()]).await;
    }
    let running = relay(&events, &broker).await;
    published(&events).await;
    add(&events, "c1", &["later"]).await;
    published(&events).await;
    running.shutdown().await.unwrap();
    let mut expected: Vec<_> = (0..500).map(|curator| format!("c1 {curator}")).collect();
    expected.push("c1 later".to_owned());
    assert_eq!(handled(&broker, 501).await, expected);
}

#[tokio::test]
async fn what_was_not_confirmed_is_published_again_and_in_order() {
    let (broker, events) = (MemoryTransport::new(), publisher());
    for curator in 0..100 {
        add(&events, "c1", &[&curator.to_string()]).await;
    }
    // It takes 40, and the 41st without a word.
    broker.go_away_after(40);
    let running = relay(&events, &broker).await;
    until("the broker is away", || running.health().error.is_some()).await;
    assert!(!running.health().connected, "{:?}", running.health());
    eventually("what was confirmed is written down", async || position(&events).await.unwrap().lag == 60).await;
    broker.come_back();
    published(&events).await;
    assert!(running.health().connected, "{:?}", running.health());
    running.shutdown().await.unwrap();
    // The 41st came twice, and was handled once: its handler still had it in mind.
    let expected: Vec<_> = (0..100).map(|curator| format!("c1 {curator}")).collect();
    assert_eq!(handled(&broker, 100).await, expected);
}

#[tokio::test]
async fn a_broker_that_is_away_at_the_start_delays_and_loses_nothing() {
    let (broker, events) = (MemoryTransport::new(), publisher());
    broker.go_away();
    let running = relay(&events, &broker).await;
    let diary = Diary::new();
    let worker = worker(&diary, &[handler!(crate::library::index)]);
    let consumer = consumer(&worker, &broker);
    add(&events, "c1", &["alice"]).await;
    until("both say so", || running.health().error.is_some() && consumer.health()[0].error.is_some()).await;
    broker.come_back();
    until("it was handled", || diary.of("index") == ["c1 alice"]).await;
    assert!(running.health().connected && consumer.health()[0].connected);
    consumer.shutdown().await.unwrap();
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn one_process_publishes_at_a_time_and_another_takes_over() {
    let broker = MemoryTransport::new();
    let store = domain_events::MemoryStore::new();
    let process = || on(store.clone(), &Diary::new(), &[]).lease(Duration::from_millis(500)).build().unwrap();
    let (one, other) = (process(), process());
    let first = relay(&one, &broker).await;
    until("the first one publishes", || first.health().connected).await;
    let second = relay(&other, &broker).await;
    for curator in 0..50 {
        add(&one, "c1", &[&curator.to_string()]).await;
    }
    published(&one).await;
    assert!(!second.health().connected, "both publish");
    first.shutdown().await.unwrap();
    add(&one, "c1", &["after"]).await;
    published(&one).await;
    until("the second one publishes", || second.health().connected).await;
    second.shutdown().await.unwrap();
    assert_eq!(handled(&broker, 51).await.len(), 51);
}

#[tokio::test]
async fn a_first_relay_begins_where_the_handler_that_is_furthest_behind_stands() {
    let broker = MemoryTransport::new();
    let store = domain_events::MemoryStore::new();
    let diary = Diary::new();
    let before = on(store.clone(), &diary, &[handler!(crate::library::index)]).build().unwrap();
    add(&before, "c1", &["handled"]).await;
    assert!(settle(&before).await.is_empty());
    add(&before, "c1", &["not handled"]).await;

    let after = on(store, &Diary::new(), &[]).build().unwrap();
    let running = relay(&after, &broker).await;
    published(&after).await;
    running.shutdown().await.unwrap();
    assert_eq!(handled(&broker, 1).await, ["c1 not handled"]);
}

#[tokio::test]
async fn a_relay_keeps_its_position_when_the_broker_is_another_one() {
    let (old, new, events) = (MemoryTransport::new(), MemoryTransport::new(), publisher());
    add(&events, "c1", &["old"]).await;
    let running = relay(&events, &old).await;
    published(&events).await;
    running.shutdown().await.unwrap();
    add(&events, "c1", &["new"]).await;
    let running = relay(&events, &new).await;
    published(&events).await;
    running.shutdown().await.unwrap();
    assert_eq!(handled(&old, 1).await, ["c1 old"]);
    assert_eq!(handled(&new, 1).await, ["c1 new"]);
}

/// A broker that takes no message with this text in it.
#[derive(Debug)]
struct Picky(MemoryTransport, &'static str);

struct PickyPublisher(Box<dyn Publisher>, &'static str);

impl Publisher for PickyPublisher {
    fn publish<'a>(&'a mut self, messages: &'a [Outgoing]) -> BoxFuture<'a, Result<(), Unconfirmed>> {
        Box::pin(async move {
            let refused =
                messages.iter().position(|message| String::from_utf8_lossy(message.content.body()).contains(self.1));
            self.0.publish(&messages[..refused.unwrap_or(messages.len())]).await?;
            match refused {
                None => Ok(()),
                Some(confirmed) => {
                    let error = domain_events::Error::new(ErrorKind::InvalidEvent, "too large for this broker");
                    Err(Unconfirmed { confirmed, error })
                }
            }
        })
    }
}

impl Transport for Picky {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn address(&self) -> &str {
        self.0.address()
    }

    fn publisher(&self) -> BoxFuture<'_, domain_events::Result<Box<dyn Publisher>>> {
        Box::pin(async {
            let publisher = PickyPublisher(self.0.publisher().await?, self.1);
            Ok(Box::new(publisher) as Box<dyn Publisher>)
        })
    }

    fn ensure<'a>(&'a self, subscription: &'a Subscription) -> BoxFuture<'a, domain_events::Result<()>> {
        self.0.ensure(subscription)
    }

    fn subscribe<'a>(
        &'a self,
        subscription: &'a Subscription,
    ) -> BoxFuture<'a, domain_events::Result<Arc<dyn Inbound>>> {
        self.0.subscribe(subscription)
    }

    fn dead_letters<'a>(
        &'a self,
        handler: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, domain_events::Result<Vec<DeadMessage>>> {
        self.0.dead_letters(handler, limit)
    }

    fn redrive<'a>(&'a self, handler: &'a str, id: &'a str) -> BoxFuture<'a, domain_events::Result<bool>> {
        self.0.redrive(handler, id)
    }

    fn discard<'a>(&'a self, handler: &'a str, id: &'a str) -> BoxFuture<'a, domain_events::Result<bool>> {
        self.0.discard(handler, id)
    }

    fn forget<'a>(&'a self, handler: &'a str) -> BoxFuture<'a, domain_events::Result<bool>> {
        self.0.forget(handler)
    }
}

#[tokio::test]
async fn what_no_broker_would_take_is_a_dead_letter_and_holds_up_nobody() {
    let (broker, events) = (MemoryTransport::new(), publisher());
    for curator in ["alice", "whale", "bob", "whale", "carol"] {
        add(&events, "c1", &[curator]).await;
    }
    let running = events.relay(Arc::new(Picky(broker.clone(), "whale"))).start().await.unwrap();
    published(&events).await;
    running.shutdown().await.unwrap();
    assert_eq!(handled(&broker, 3).await, ["c1 alice", "c1 bob", "c1 carol"]);
    let letters = events.admin().dead_letters(Some(RELAY), 10).await.unwrap();
    assert_eq!(letters.len(), 2);
    assert!(letters[0].error.contains("too large"), "{}", letters[0].error);
    assert!(String::from_utf8_lossy(&letters[0].envelope.payload).contains("whale"));
}

#[tokio::test]
async fn a_process_that_only_commits_pays_nothing_for_the_relay() {
    // The relay reads what is committed: a broker that is away changes nothing for who commits.
    let (broker, events) = (MemoryTransport::new(), publisher());
    broker.go_away();
    let running = relay(&events, &broker).await;
    let mut card = crate::library::Card::new("c1");
    card.add_to_library("alice");
    tokio::time::timeout(LIMIT, save(&events, &mut card)).await.unwrap().unwrap();
    assert_eq!(position(&events).await.unwrap().lag, 1);
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn the_processor_does_not_take_the_relay_for_a_handler_that_is_gone() {
    let (broker, events) = (MemoryTransport::new(), library(&Diary::new(), &[handler!(crate::library::index)]));
    add(&events, "c1", &["alice"]).await;
    let running = relay(&events, &broker).await;
    published(&events).await;
    running.shutdown().await.unwrap();
    let error = events.admin().forget("no.such").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    events.admin().forget(RELAY).await.unwrap();
    assert!(position(&events).await.is_none(), "a relay that is not used any more can be forgotten");
}

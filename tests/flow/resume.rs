//! What is taken up again: after a holder that left something unfinished, an action of a person, another number of
//! partitions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::Utc;
use domain_events::{
    DomainEvents, Envelope, MemoryStore, SqliteStore, handler,
    handler::HandlerDef,
    prelude::*,
    store::{
        DeadLetterStore, Store, SubscriptionStore,
        record::{
            AggregateKey, Checkpoint, Claim, DeadLetter, DeadReason, NewSubscription, NodeId, Parked, ParkedState,
            SubscriptionId,
        },
    },
    testkit,
};
use tokio::sync::Notify;

use crate::library::{Card, CardAddedToLibraryEvent, Diary, LIMIT, add, on, settle, until};

#[event_handler(CardAddedToLibraryEvent, group = "resume", partitions = 4)]
async fn spread(event: &CardAddedToLibraryEvent, diary: Service<Diary>) {
    diary.write(format!("spread {}", event.card_id));
}

#[event_handler(CardAddedToLibraryEvent, group = "resume", on_dead = "park", max_attempts = 3, backoff = "5ms..20ms")]
async fn strict(event: &CardAddedToLibraryEvent, attempt: Attempt, diary: Service<Diary>) {
    diary.write(format!("strict {} {}", event.card_id, attempt.0));
}

/// Another node takes a subscription, made with this number of partitions.
async fn elsewhere<S: Store>(events: &DomainEvents<S>, handler: &str, partitions: u16, ttl: Duration) -> Claim {
    let id = SubscriptionId { handler: handler.into(), partition: 0 };
    let wanted = NewSubscription { id: id.clone(), partitions, aliases: Vec::new(), from_head: false };
    events.store().ensure(&[wanted]).await.unwrap();
    events.store().claim(&NodeId("elsewhere".into()), &id, ttl).await.unwrap().unwrap()
}

#[tokio::test]
async fn another_number_of_partitions_waits_for_the_old_holder_and_skips_nothing() {
    let diary = Diary::new();
    let builder = on(MemoryStore::new(), &diary, &[handler!(spread)]);
    let events = builder.lease(Duration::from_millis(300)).build().unwrap();
    // A process of the release before, with one partition, that is killed now.
    elsewhere(&events, "resume.spread", 1, Duration::from_millis(400)).await;
    let cards: Vec<_> = (0..16).map(|card| format!("c{card}")).collect();
    for card in &cards {
        add(&events, card, &["alice"]).await;
    }
    let running = events.processor().start().await.unwrap();
    until("every card was delivered", || diary.of("spread").len() >= cards.len()).await;
    testkit::wait_until_handled(&events, LIMIT).await;
    running.shutdown().await.unwrap();
    let (mut delivered, mut wanted) = (diary.of("spread"), cards);
    delivered.sort();
    wanted.sort();
    assert_eq!(delivered, wanted, "each card once");
}

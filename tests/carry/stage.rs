//! A broker in memory, and what stands around it.

use std::sync::Arc;

use domain_events::{
    DomainEvents, MemoryStore, Result, RunningConsumer, RunningRelay,
    handler::HandlerDef,
    store::{Store, record::SubscriptionState},
    transport::{MemoryTransport, Transport, record::DeadMessage},
};

use crate::library::{Diary, add, library};

/// The name of the relay's position.
pub(crate) const RELAY: &str = "domain_events.relay";

pub(crate) async fn relay<S: Store>(events: &DomainEvents<S>, broker: &MemoryTransport) -> RunningRelay {
    events.relay(Arc::new(broker.clone())).start().await.unwrap()
}

pub(crate) fn consumer<S: Store>(events: &DomainEvents<S>, broker: &MemoryTransport) -> RunningConsumer {
    events.consumer(Arc::new(broker.clone())).start().unwrap()
}

/// A program that publishes: a log without handlers.
pub(crate) fn publisher() -> DomainEvents {
    library(&Diary::new(), &[])
}

/// A program that takes in, on a store of its own.
pub(crate) fn worker(diary: &Arc<Diary>, handlers: &[&'static HandlerDef]) -> DomainEvents<MemoryStore> {
    library(diary, handlers)
}

/// One event per curator of each card, published.
pub(crate) async fn publish(broker: &MemoryTransport, cards: &[&str], curators: &[&str]) {
    let events = publisher();
    for curator in curators {
        for card in cards {
            add(&events, card, &[curator]).await;
        }
    }
    let relay = relay(&events, broker).await;
    published(&events).await;
    relay.shutdown().await.unwrap();
}

pub(crate) async fn position<S: Store>(events: &DomainEvents<S>) -> Option<SubscriptionState> {
    let states = events.admin().subscriptions().await.unwrap();
    states.into_iter().find(|state| &*state.id.handler == RELAY)
}

/// Waits until the relay has published everything.
pub(crate) async fn published<S: Store>(events: &DomainEvents<S>) {
    eventually("everything is published", async || position(events).await.is_some_and(|state| state.lag == 0)).await;
}

pub(crate) async fn dead(broker: &MemoryTransport, handler: &str) -> Vec<DeadMessage> {
    broker.dead_letters(handler, 1_000).await.unwrap()
}

/// Waits until an asynchronous condition holds.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let begun = std::time::Instant::now();
    while !condition().await {
        let limit = crate::library::LIMIT;
        assert!(begun.elapsed() < limit, "waited {limit:?} in vain until {what}");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

pub(crate) type Answer = Result<(), domain_events::HandlerError>;

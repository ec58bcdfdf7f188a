//! Messages, subscriptions, and waiting with a limit.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use domain_events::{
    EventId,
    event::key_of,
    transport::{
        Inbound, Publisher, Transport, connect,
        record::{Content, Delivery, Fate, Outgoing, Settlement, Subscription},
    },
};

/// How long anything may take before the test has failed.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A name that no other test uses.
pub(crate) fn prefix() -> String {
    format!("t{}", EventId::generate().as_uuid().simple())
}

pub(crate) fn open(url: &str) -> Arc<dyn Transport> {
    connect(url).unwrap()
}

/// The `n`th event of an aggregate.
pub(crate) fn message(event: &str, aggregate: &str, n: u64) -> Outgoing {
    let body = format!(r#"{{"aggregate":"{aggregate}","n":{n}}}"#);
    outgoing(event, aggregate, Content::Structured(body.into_bytes()))
}

pub(crate) fn outgoing(event: &str, aggregate: &str, content: Content) -> Outgoing {
    Outgoing::new(EventId::generate(), event, format!("Card:{aggregate}"), key_of("Card", aggregate), content)
}

/// So many events of so many aggregates, one after the other.
pub(crate) fn messages(count: u64, aggregates: u64) -> Vec<Outgoing> {
    (0..count).map(|n| message("Moved", &format!("c{}", n % aggregates), n / aggregates)).collect()
}

/// What a message made by [`message`] says.
pub(crate) fn read(delivery: &Delivery) -> (String, u64) {
    let json: serde_json::Value = serde_json::from_slice(&delivery.message.body).unwrap();
    (json["aggregate"].as_str().unwrap().to_owned(), json["n"].as_u64().unwrap())
}

pub(crate) fn subscription(handler: &str, events: &[&str], node: &str) -> Subscription {
    Subscription {
        handler: handler.into(),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        partitions: 16,
        window: 256,
        from_now: false,
        node: node.into(),
    }
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("{what} took longer than {LIMIT:?}"))
}

/// Waits until a condition holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn publish(transport: &dyn Transport, messages: &[Outgoing]) {
    let mut publisher = within("connecting", transport.publisher()).await.unwrap();
    within("publishing", publisher.publish(messages)).await.unwrap();
}

/// Publishes as the relay does: after a failure with a new connection, from the first that was not confirmed.
pub(crate) async fn publish_through(transport: &dyn Transport, messages: &[Outgoing], at_once: usize) {
    let mut confirmed = 0;
    let mut publisher: Option<Box<dyn Publisher>> = None;
    let begun = Instant::now();
    while confirmed < messages.len() {
        assert!(begun.elapsed() < LIMIT, "{confirmed} of {} confirmed within {LIMIT:?}", messages.len());
        let Some(connected) = &mut publisher else {
            publisher = transport.publisher().await.ok();
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let end = messages.len().min(confirmed + at_once);
        match connected.publish(&messages[confirmed..end]).await {
            Ok(()) => confirmed = end,
            Err(unconfirmed) => {
                confirmed += unconfirmed.confirmed;
                publisher = None;
            }
        }
    }
}

pub(crate) async fn join(transport: &dyn Transport, subscription: &Subscription) -> Arc<dyn Inbound> {
    within("ensuring", transport.ensure(subscription)).await.unwrap();
    within("subscribing", transport.subscribe(subscription)).await.unwrap()
}

pub(crate) async fn receive(inbound: &dyn Inbound) -> Vec<Delivery> {
    within("receiving", inbound.receive(256)).await.unwrap()
}

pub(crate) fn all(deliveries: &[Delivery], fate: &Fate) -> Vec<Settlement> {
    deliveries.iter().map(|delivery| Settlement { tag: delivery.tag, fate: fate.clone() }).collect()
}

/// Receives and settles so many deliveries.
pub(crate) async fn handle(inbound: &dyn Inbound, count: usize) -> Vec<(String, u64)> {
    let mut handled = Vec::new();
    while handled.len() < count {
        let deliveries = receive(inbound).await;
        handled.extend(deliveries.iter().map(read));
        within("settling", inbound.settle(all(&deliveries, &Fate::Done))).await.unwrap();
    }
    assert_eq!(handled.len(), count);
    handled
}

/// Nothing more comes: shown by an event that is published last, to an aggregate in every shard.
pub(crate) fn assert_in_order(handled: &[(String, u64)], aggregates: u64, each: u64) {
    let mut by_aggregate = BTreeMap::<_, Vec<u64>>::new();
    for (aggregate, n) in handled {
        by_aggregate.entry(aggregate.clone()).or_default().push(*n);
    }
    assert_eq!(by_aggregate.len() as u64, aggregates);
    for (aggregate, numbers) in by_aggregate {
        assert_eq!(numbers, (0..each).collect::<Vec<_>>(), "the order of {aggregate}");
    }
}

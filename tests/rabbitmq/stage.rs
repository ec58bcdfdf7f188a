//! What the tests of the transport stand on: a prefix of their own, messages, and patience with a limit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use domain_events::{
    EventId,
    event::key_of,
    testkit::server::RabbitServer,
    transport::{
        Inbound, Transport, connect,
        record::{Content, Delivery, Fate, Outgoing, Settlement, Subscription},
    },
};

/// No wait in a test is longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);

/// A transport on the shared server, under a prefix of its own.
pub(crate) fn transport() -> Arc<dyn Transport> {
    transport_with("")
}

/// The same with more options, as in `&queue=classic`.
pub(crate) fn transport_with(options: &str) -> Arc<dyn Transport> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let prefix = format!("test{}", NEXT.fetch_add(1, Ordering::Relaxed));
    connect(&format!("{}{options}", RabbitServer::shared().url(&prefix))).unwrap()
}

/// A handler's subscription to these events.
pub(crate) fn subscription(handler: &str, events: &[&str]) -> Subscription {
    Subscription {
        handler: handler.into(),
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        partitions: 1,
        window: 256,
        from_now: false,
        node: "test".into(),
    }
}

/// Message number so-and-so of an aggregate.
pub(crate) fn message(event: &str, aggregate: &str, number: usize) -> Outgoing {
    let content = Content::Structured(format!("{aggregate} {number}").into_bytes());
    Outgoing::new(EventId::generate(), event, format!("Card:{aggregate}"), key_of("Card", aggregate), content)
}

/// The body of a delivery, as [`message`] wrote it.
pub(crate) fn body(delivery: &Delivery) -> String {
    String::from_utf8(delivery.message.body.clone()).unwrap()
}

/// Publishes all of it.
pub(crate) async fn publish(transport: &dyn Transport, messages: &[Outgoing]) {
    let mut publisher = within(transport.publisher()).await.unwrap();
    within(publisher.publish(messages)).await.unwrap();
}

/// Deliveries until there are so many.
pub(crate) async fn receive(inbound: &dyn Inbound, count: usize) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    while deliveries.len() < count {
        deliveries.extend(within(inbound.receive(count - deliveries.len())).await.unwrap());
    }
    deliveries
}

/// Settles all of them in one way.
pub(crate) async fn settle(inbound: &dyn Inbound, deliveries: &[Delivery], fate: &Fate) {
    let settlements = deliveries.iter().map(|delivery| Settlement { tag: delivery.tag, fate: fate.clone() });
    within(inbound.settle(settlements.collect())).await.unwrap();
}

/// Whether nothing comes: as long as it takes another subscription's message to come all the way round.
pub(crate) async fn nothing_comes(transport: &dyn Transport, inbound: &dyn Inbound) -> bool {
    let probe = subscription("probe.probe", &["Probed"]);
    within(transport.ensure(&probe)).await.unwrap();
    let other = within(transport.subscribe(&probe)).await.unwrap();
    publish(transport, &[message("Probed", "p", 0)]).await;
    let round = receive(&*other, 1).await;
    settle(&*other, &round, &Fate::Done).await;
    within(other.close()).await.unwrap();
    // What is there is given out at once.
    tokio::time::timeout(Duration::from_millis(50), inbound.receive(1)).await.is_err()
}

/// Waits for something; a test that hangs says so.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("it comes in time")
}

/// Asks until the answer is yes.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

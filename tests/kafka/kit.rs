//! A broker, a transport on it, and messages whose body tells which they are.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use domain_events::{
    EventId,
    event::key_of,
    testkit::server::KafkaMock,
    transport::{
        Inbound, Publisher, Transport, connect,
        record::{Content, Delivery, Fate, Outgoing, Settlement, Subscription},
    },
};

/// How long something may take to happen; nothing depends on how long it does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The mock waits three seconds for more members before a group begins; a session must outlast that.
pub(crate) const OPTIONS: &str = "prefix=lib&session_timeout_ms=4000&publish_timeout_ms=3000";

pub(crate) struct Stage {
    pub(crate) broker: KafkaMock,
    pub(crate) transport: Arc<dyn Transport>,
}

pub(crate) fn stage() -> Stage {
    let broker = KafkaMock::start();
    let transport = connect(&broker.url(OPTIONS)).unwrap();
    Stage { broker, transport }
}

pub(crate) fn subscription(handler: &str, events: &[&str]) -> Subscription {
    let mut events: Vec<_> = events.iter().map(|event| (*event).to_owned()).collect();
    events.sort();
    let node = EventId::generate().to_string();
    let handler = handler.into();
    Subscription { handler, events, partitions: 4, window: 64, from_now: false, node: node.into() }
}

/// A message whose body is `{aggregate}/{number}`.
pub(crate) fn message(event: &str, aggregate: &str, number: usize) -> Outgoing {
    let body = format!("{aggregate}/{number}").into_bytes();
    let key = format!("Card:{aggregate}");
    let hash = key_of("Card", aggregate);
    Outgoing::new(EventId::generate(), event, key, hash, Content::Structured(body))
}

pub(crate) fn messages(event: &str, aggregates: usize, each: usize) -> Vec<Outgoing> {
    let one = |number| (0..aggregates).map(move |aggregate| message(event, &format!("c{aggregate}"), number));
    (0..each).flat_map(one).collect()
}

pub(crate) async fn publish(transport: &Arc<dyn Transport>, messages: &[Outgoing]) {
    let mut publisher: Box<dyn Publisher> = transport.publisher().await.unwrap();
    publisher.publish(messages).await.unwrap();
}

pub(crate) async fn ensured(stage: &Stage, subscription: &Subscription) -> Arc<dyn Inbound> {
    stage.transport.ensure(subscription).await.unwrap();
    stage.transport.subscribe(subscription).await.unwrap()
}

pub(crate) fn body(delivery: &Delivery) -> String {
    String::from_utf8(delivery.message.body.clone()).unwrap()
}

pub(crate) fn done(deliveries: &[Delivery]) -> Vec<Settlement> {
    deliveries.iter().map(|delivery| Settlement { tag: delivery.tag, fate: Fate::Done }).collect()
}

pub(crate) fn returned(deliveries: &[Delivery]) -> Vec<Settlement> {
    deliveries.iter().map(|delivery| Settlement { tag: delivery.tag, fate: Fate::Returned }).collect()
}

/// The next deliveries; a lost connection is tried again.
pub(crate) async fn receive(inbound: &Arc<dyn Inbound>, max: usize) -> Vec<Delivery> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match tokio::time::timeout(left, inbound.receive(max)).await.expect("a delivery in time") {
            Ok(deliveries) => return deliveries,
            Err(error) if error.is_temporary() => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Takes so many, unsettled.
pub(crate) async fn hold(inbound: &Arc<dyn Inbound>, count: usize) -> Vec<Delivery> {
    let mut held = Vec::new();
    while held.len() < count {
        held.extend(receive(inbound, count - held.len()).await);
    }
    held
}

/// Takes and settles so many; their bodies.
pub(crate) async fn handle(inbound: &Arc<dyn Inbound>, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    while bodies.len() < count {
        let deliveries = receive(inbound, 64).await;
        assert!(!deliveries.is_empty(), "the inbound has ended after {} of {count}", bodies.len());
        inbound.settle(done(&deliveries)).await.unwrap();
        bodies.extend(deliveries.iter().map(body));
    }
    bodies
}

/// Nothing more comes before this marker, which is published now.
pub(crate) async fn nothing_before_marker(stage: &Stage, inbound: &Arc<dyn Inbound>, event: &str) {
    // One for each partition would do; so many reach all of them.
    let markers: Vec<_> = (0..32).map(|n| message(event, &format!("marker{n}"), 0)).collect();
    publish(&stage.transport, &markers).await;
    let bodies = handle(inbound, markers.len()).await;
    assert!(bodies.iter().all(|body| body.starts_with("marker")), "{bodies:?}");
}

/// The numbers of each aggregate in the order in which they came.
pub(crate) fn by_aggregate(bodies: &[String]) -> BTreeMap<String, Vec<usize>> {
    let mut numbers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for body in bodies {
        let (aggregate, number) = body.split_once('/').unwrap();
        numbers.entry(aggregate.to_owned()).or_default().push(number.parse().unwrap());
    }
    numbers
}

/// All arrived, each aggregate's in its order, repetitions aside.
pub(crate) fn assert_complete(bodies: &[String], aggregates: usize, each: usize) {
    let numbers = by_aggregate(bodies);
    assert_eq!(numbers.len(), aggregates, "{:?}", numbers.keys());
    for (aggregate, numbers) in numbers {
        let mut first_times = Vec::new();
        for number in &numbers {
            if !first_times.contains(number) {
                first_times.push(*number);
            }
        }
        assert_eq!(first_times, (0..each).collect::<Vec<_>>(), "{aggregate}: {numbers:?}");
    }
}

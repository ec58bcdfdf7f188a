//! 11: whoever is cancelled in the middle loses nothing, and takes his work with him.

use std::{sync::Arc, time::Duration};

use crate::testkit::conformance::{
    cast,
    stage::Act,
    suite::{LIMIT, calm, stage},
    transport::{
        TransportHarness, TransportSuite,
        suite::{
            Need, all, by_another, connected, insist, messages, publish, receive, shut_down, steps, subscribe,
            subscription, until_handled, until_so,
        },
    },
};
use crate::transport::record::Fate;

/// A `receive` is dropped again and again while messages arrive: each of them comes all the same. A close ends one that
/// waits.
pub async fn case_11_a_cancelled_receive_loses_nothing<H: TransportHarness>(suite: TransportSuite<H>) {
    let transport = suite.open().await;
    let inbound = subscribe(&*transport, &subscription("one", &["ParcelMovedEvent"])).await;
    let publishing = tokio::spawn(async move { insist(&*transport, &messages(1_000, 10), 10, |_| ()).await });
    let mut arrived = std::collections::BTreeSet::new();
    let begun = std::time::Instant::now();
    let mut patience = 0;
    while arrived.len() < 1_000 {
        assert!(begun.elapsed() < LIMIT, "only {} of 1000 arrived", arrived.len());
        // Cancelled at other moments each time; now and then it may end.
        patience = (patience + 1) % 40;
        let wait = Duration::from_micros(patience * patience * 4);
        let Ok(received) = tokio::time::timeout(wait, inbound.receive(7)).await else { continue };
        let deliveries = received.expect("no connection was lost");
        arrived.extend(steps(&deliveries));
        inbound.settle(all(&deliveries, &Fate::Done)).await.expect("deliveries can be settled");
    }
    publishing.await.expect("all is published");
    let waiting = Arc::clone(&inbound);
    let waiting = tokio::spawn(async move { waiting.receive(1).await });
    tokio::task::yield_now().await;
    inbound.close().await.expect("a subscription can be closed");
    let ended = tokio::time::timeout(LIMIT, waiting).await.expect("a close ends a `receive` that waits");
    let rest = ended.expect("the task ends").expect("it ended, it did not fail");
    assert!(rest.is_empty(), "{rest:?}");
}

/// A consumer is dropped while its handlers are at work: they are cut off, and another one handles what they had.
pub async fn case_11_a_dropped_consumer_cuts_its_handlers_off<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Redelivers, Need::KeepsForAbsent]) {
        return;
    }
    let hanging = stage(|_| Act::Hang);
    let weak = Arc::downgrade(&hanging);
    let events = suite.runtime(&hanging, &[&cast::FIRST]);
    let consumer = suite.consumer(&events).await;
    connected(std::slice::from_ref(&consumer)).await;
    suite.publish(&messages(10, 10)).await;
    until_so("all handlers are at work", || hanging.seen().len() == 10).await;
    drop(consumer);
    drop((events, hanging));
    until_so("no handler runs on", || weak.strong_count() == 0).await;
    let stage = calm();
    let events = suite.runtime(&stage, &[&cast::FIRST]);
    let consumers = suite.consumers(&events, 1).await;
    until_handled(&stage, "first", 10).await;
    shut_down(consumers).await;
}

/// Subscribers are dropped at other moments each time, on the way to their first delivery: none of them keeps anything from
/// the next one.
pub async fn case_11_a_dropped_subscriber_lets_go<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Redelivers, Need::KeepsForAbsent]) {
        return;
    }
    let transport = suite.open().await;
    let subscription = subscription("one", &["ParcelMovedEvent"]);
    transport.ensure(&subscription).await.expect("a subscription can be made");
    publish(&*transport, &messages(10, 1)).await;
    for round in 0..40 {
        let _ = tokio::time::timeout(Duration::from_millis(round), transport.subscribe(&subscription)).await;
        let inbound = transport.subscribe(&subscription).await.expect("a subscription can be opened");
        let _ = tokio::time::timeout(Duration::from_micros(400 * round), inbound.receive(1)).await;
    }
    let heir = subscribe(&*transport, &by_another(&subscription)).await;
    let mut missing: std::collections::BTreeSet<_> = (1..=10).collect();
    while !missing.is_empty() {
        let deliveries = receive(&*heir, 10).await;
        heir.settle(all(&deliveries, &Fate::Done)).await.expect("deliveries can be settled");
        for (_, step) in steps(&deliveries) {
            missing.remove(&step);
        }
    }
}

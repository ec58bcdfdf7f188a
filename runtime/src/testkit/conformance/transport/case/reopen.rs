//! 6, 9 and 20: subscribers and publishers that end in the middle of their work lose nothing.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Mutex;

use crate::{
    store::MemoryStore,
    testkit::conformance::{
        cast,
        stage::Act,
        suite::{calm, runtime_on, stage},
        transport::{
            TransportHarness, TransportSuite,
            suite::{
                Need, connected, insist, message, messages, receive, shut_down, steps, subscribe, subscription,
                until_handled, until_so,
            },
        },
    },
    transport::record::{Fate, Settlement},
};

/// 5,000 messages, while their only subscriber is closed and opened again up to 20 times: nothing is lost.
pub async fn case_06_a_subscriber_that_comes_and_goes_loses_nothing<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::KeepsForAbsent, Need::Redelivers]) {
        return;
    }
    let stage = calm();
    let events = suite.runtime(&stage, &[&cast::FIRST]);
    connected(&[suite.consumer(&events).await]).await;
    let transport = suite.open().await;
    let publishing = tokio::spawn(async move { insist(&*transport, &messages(5_000, 250), 100, |_| ()).await });
    for round in 1..=20 {
        let consumer = suite.consumer(&events).await;
        until_handled(&stage, "first", (round * 220).min(5_000)).await;
        consumer.shutdown().await.expect("a consumer ends");
    }
    publishing.await.expect("all is published");
    let last = suite.consumer(&events).await;
    until_handled(&stage, "first", 5_000).await;
    shut_down(vec![last]).await;
}

/// 20 tasks publish 10,000 messages, and are cut off in the middle: what was confirmed arrives.
pub async fn case_09_what_was_confirmed_arrives<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Confirms, Need::KeepsForAbsent]) {
        return;
    }
    let inbound = subscribe(&*suite.open().await, &subscription("one", &["ParcelMovedEvent"])).await;
    let confirmed = Arc::new(Mutex::new(BTreeSet::new()));
    let count = Arc::new(AtomicUsize::new(0));
    let mut publishers = tokio::task::JoinSet::new();
    for task in 0..20 {
        let (transport, confirmed, count) = (suite.open().await, Arc::clone(&confirmed), Arc::clone(&count));
        publishers.spawn(async move {
            let parcel = format!("p{task}");
            let mut publisher = transport.publisher().await.expect("the broker lets us publish");
            for first in (1..=500).step_by(25) {
                let batch: Vec<_> = (first..first + 25).map(|step| message(&parcel, step)).collect();
                publisher.publish(&batch).await.expect("the broker confirms");
                confirmed.lock().await.extend((first..first + 25).map(|step| (parcel.clone(), step)));
                count.fetch_add(25, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        });
    }
    until_so("half of it is published", || count.load(Ordering::SeqCst) >= 5_000).await;
    publishers.abort_all();
    while publishers.join_next().await.is_some() {}
    let mut missing = confirmed.lock().await.clone();
    while !missing.is_empty() {
        let deliveries = receive(&*inbound, 256).await;
        for step in steps(&deliveries) {
            missing.remove(&step);
        }
        let done = deliveries.iter().map(|delivery| Settlement { tag: delivery.tag, fate: Fate::Done });
        inbound.settle(done.collect()).await.expect("deliveries can be settled");
    }
}

/// A consumer is stopped while 256 handlers are at work that never end: when its time is over it lets go of them, and
/// another one handles them all.
pub async fn case_20_a_shutdown_loses_nothing<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Redelivers, Need::KeepsForAbsent]) {
        return;
    }
    let hanging = stage(|_| Act::Hang);
    let grace = Duration::from_millis(300);
    let events = runtime_on(MemoryStore::new(), &hanging, &[&cast::WIDE], |builder| builder.grace(grace));
    let consumers = suite.consumers(&events, 1).await;
    suite.publish(&messages(400, 400)).await;
    until_so("256 handlers are at work", || hanging.seen().len() >= 256).await;
    shut_down(consumers).await;
    assert_eq!(hanging.seen().len(), 256, "nothing was begun after the stop, nor beyond the handler's `concurrency`");
    let stage = calm();
    let events = suite.runtime(&stage, &[&cast::WIDE]);
    let consumers = suite.consumers(&events, 1).await;
    until_handled(&stage, "wide", 400).await;
    shut_down(consumers).await;
}

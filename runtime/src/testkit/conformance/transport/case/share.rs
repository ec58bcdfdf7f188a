//! 2, 7 and 14: subscribers of one handler share its deliveries, and stand in for one another.

use crate::testkit::conformance::{
    cast,
    stage::Stage,
    suite::calm,
    transport::{
        TransportHarness, TransportSuite,
        suite::{
            Need, all, by_another, message, messages, publish, receive, shut_down, steps, subscribe, subscription,
            until_handled,
        },
    },
};
use crate::transport::record::Fate;

/// 5,000 messages, 50 subscribers of one handler: each message is handled once.
pub async fn case_02_fifty_subscribers_share_the_deliveries<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Shares]) {
        return;
    }
    let stage = calm();
    let events = suite.runtime(&stage, &[&cast::SHARED]);
    let consumers = suite.consumers(&events, 50).await;
    suite.publish(&messages(5_000, 500)).await;
    until_handled(&stage, "shared", 5_000).await;
    shut_down(consumers).await;
    handled_once(&suite, &stage, "shared");
}

/// Where a delivery can move when processes come and go, the last one's coming may have moved some: those come twice.
fn handled_once<H: TransportHarness>(suite: &TransportSuite<H>, stage: &Stage, handler: &str) {
    let twice: Vec<_> = stage.handled(handler).into_iter().filter(|(_, times)| *times > 1).collect();
    let moves = !suite.capabilities.holds;
    assert!(moves || twice.is_empty(), "{} events were handled more than once: {:?}", twice.len(), twice.first());
}

/// Ten subscribers; all but one are closed at once, in the middle: what is left arrives at the one, then what comes later.
pub async fn case_07_those_who_stay_get_the_rest<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Shares, Need::KeepsForAbsent]) {
        return;
    }
    let stage = calm();
    let events = suite.runtime(&stage, &[&cast::SHARED]);
    let mut consumers = suite.consumers(&events, 10).await;
    suite.publish(&messages(1_000, 100)).await;
    until_handled(&stage, "shared", 200).await;
    let staying = consumers.pop();
    let closing: Vec<_> = consumers.into_iter().map(|consumer| tokio::spawn(consumer.shutdown())).collect();
    let later: Vec<_> =
        (0..100).flat_map(|parcel| (11..=15).map(move |step| message(&format!("p{parcel}"), step))).collect();
    suite.publish(&later).await;
    for closed in closing {
        closed.await.expect("a consumer ends").expect("a consumer ends well");
    }
    until_handled(&stage, "shared", 1_500).await;
    shut_down(staying.into_iter().collect()).await;
}

/// A subscriber is gone without a word: what it had unsettled goes to another, in order, and then what comes later.
pub async fn case_07_a_dropped_subscriber_is_replaced<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Shares, Need::Redelivers]) {
        return;
    }
    let (dying, heir) = (suite.open().await, suite.open().await);
    let subscription = subscription("one", &["ParcelMovedEvent"]);
    let first = subscribe(&*dying, &subscription).await;
    publish(&*dying, &(1..=10).map(|step| message("p", step)).collect::<Vec<_>>()).await;
    let mut held = Vec::new();
    while held.len() < 4 {
        held.extend(receive(&*first, 4 - held.len()).await);
    }
    first.settle(all(&held[..2], &Fate::Done)).await.expect("deliveries can be settled");
    drop(first);
    drop(dying);
    let second = subscribe(&*heir, &by_another(&subscription)).await;
    let mut arrived = Vec::new();
    // What was settled last may come again: nobody knows whether the broker heard of it.
    while arrived.last() != Some(&10) {
        let deliveries = receive(&*second, 4).await;
        second.settle(all(&deliveries, &Fate::Done)).await.expect("deliveries can be settled");
        arrived.extend(steps(&deliveries).into_iter().map(|(_, step)| step));
    }
    let from = arrived[0];
    assert!((1..=3).contains(&from), "{arrived:?}");
    if suite.in_order(2) == 2 {
        assert_eq!(arrived, (from..=10).collect::<Vec<_>>(), "in order, and none twice");
    }
}

/// Two handlers, 50 subscribers each: each handler gets everything.
pub async fn case_14_two_groups_get_everything<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Shares]) {
        return;
    }
    let stage = calm();
    let events = suite.runtime(&stage, &[&cast::SHARED, &cast::OTHER]);
    let consumers = suite.consumers(&events, 50).await;
    suite.publish(&messages(1_000, 100)).await;
    for handler in ["shared", "other"] {
        until_handled(&stage, handler, 1_000).await;
    }
    shut_down(consumers).await;
    for handler in ["shared", "other"] {
        let count = stage.handled(handler).len();
        assert_eq!(count, 1_000, "`{handler}`");
        handled_once(&suite, &stage, handler);
    }
}

//! 4, 16 and 17: a failed delivery comes again when it is due, and what is published twice is handled once.

use std::time::{Duration, Instant};

use crate::{
    testkit::conformance::{
        cast,
        stage::Act,
        suite::{calm, stage},
        transport::{
            TransportHarness, TransportSuite,
            suite::{
                Need, all, by_another, collect, message, messages, publish, receive, shut_down, steps, subscribe,
                subscription, until_handled,
            },
        },
    },
    transport::record::Fate,
};

/// 100 messages, each fails twice: all are handled, at the third attempt.
pub async fn case_04_what_fails_comes_again<H: TransportHarness>(suite: TransportSuite<H>) {
    let stage = stage(|seen| if seen.attempt < 3 { Act::Fail("not yet") } else { Act::Done });
    let events = suite.runtime(&stage, &[&cast::FIRST]);
    let consumers = suite.consumers(&events, 1).await;
    suite.publish(&messages(100, 20)).await;
    until_handled(&stage, "first", 100).await;
    shut_down(consumers).await;
    for parcel in 0..20 {
        let mut attempts = stage.steps("first", &format!("p{parcel}"));
        if !suite.keeps_order() {
            attempts.sort_unstable();
        }
        assert_eq!(attempts, [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5], "p{parcel}");
    }
}

/// A message whose holders die one after the other says so to the next: an event that takes its process down is found by
/// that. A message that nobody has had says nothing.
pub async fn case_04_deaths_of_its_holders_are_counted<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Redelivers, Need::Counts]) {
        return;
    }
    let subscription = subscription("one", &["ParcelMovedEvent"]);
    suite.open().await.ensure(&subscription).await.expect("a subscription can be made");
    suite.publish(&[message("p", 1)]).await;
    for deaths in 0..3 {
        let transport = suite.open().await;
        let holder = subscribe(&*transport, &by_another(&subscription)).await;
        let held = receive(&*holder, 1).await;
        assert_eq!(held[0].redelivered, deaths);
        // As a process that dies: nothing is settled, and nobody signs off.
        drop((holder, transport));
    }
}

/// How long a failed delivery waits in case 16.
const WAIT: Duration = Duration::from_secs(3);

/// A failed delivery comes again no earlier than its wait, and before twice of it; others don't wait for it.
pub async fn case_16_a_failed_delivery_waits_its_time<H: TransportHarness>(suite: TransportSuite<H>) {
    let stage = stage(|seen| match (seen.aggregate.as_str(), seen.step, seen.attempt) {
        ("slow", 1, 1) => Act::RetryAfter(WAIT, "not yet"),
        _ => Act::Done,
    });
    let events = suite.runtime(&stage, &[&cast::FIRST]);
    let consumers = suite.consumers(&events, 1).await;
    let mut sent: Vec<_> = (1..=3).map(|step| message("slow", step)).collect();
    sent.extend((1..=50).map(|step| message("quick", step)));
    suite.publish(&sent).await;
    until_handled(&stage, "first", 50).await;
    assert_eq!(
        stage.done("first", "quick").len(),
        50,
        "`quick` was held up by `slow`: {:?}",
        stage.steps("first", "slow")
    );
    until_handled(&stage, "first", 53).await;
    shut_down(consumers).await;
    let tries: Vec<_> = stage.seen().into_iter().filter(|seen| seen.aggregate == "slow" && seen.step == 1).collect();
    let waited = tries[1].at - tries[0].at;
    assert!(WAIT <= waited && waited <= WAIT * 2, "it waited {waited:?}");
    assert_eq!(tries.iter().map(|seen| seen.attempt).collect::<Vec<_>>(), [1, 2]);
    if suite.keeps_order() {
        assert_eq!(stage.steps("first", "slow"), [1, 1, 2, 3]);
    }
}

/// Longer than brokers wait for an acknowledgement, as the backends set it.
const HELD: Duration = Duration::from_secs(12);

/// What is held for a long time, because it waits for another attempt, is delivered to nobody else meanwhile.
pub async fn case_16_a_held_delivery_stays_where_it_is<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Redelivers, Need::Shares, Need::Holds]) {
        return;
    }
    let (holding, waiting) = (suite.open().await, suite.open().await);
    let subscription = subscription("one", &["ParcelMovedEvent"]);
    let holder = subscribe(&*holding, &subscription).await;
    publish(&*holding, &[message("p", 1)]).await;
    let held = receive(&*holder, 1).await;
    let other = subscribe(&*waiting, &by_another(&subscription)).await;
    let begun = Instant::now();
    while let Some(left) = HELD.checked_sub(begun.elapsed()) {
        let again = async {
            tokio::select! {
                received = holder.receive(1) => received,
                received = other.receive(1) => received,
            }
        };
        if let Ok(received) = tokio::time::timeout(left, again).await {
            let again = received.expect("no connection was lost");
            panic!("after {:?} it was delivered again: {again:?}", begun.elapsed());
        }
    }
    holder.settle(all(&held, &Fate::Done)).await.expect("deliveries can be settled");
    holder.close().await.expect("a subscription can be closed");
    publish(&*holding, &[message("p", 2)]).await;
    assert_eq!(steps(&collect(&*other, 1).await), [("p".to_owned(), 2)], "what was settled at last is settled");
}

/// The same event, published twice, is handled once: by the broker's memory or by the consumer's.
pub async fn case_17_what_is_published_twice_is_handled_once<H: TransportHarness>(suite: TransportSuite<H>) {
    let stage = calm();
    let events = suite.runtime(&stage, &[&cast::FIRST]);
    let consumers = suite.consumers(&events, 1).await;
    let sent: Vec<_> = (1..=20).map(|step| message("p", step)).collect();
    suite.publish(&sent).await;
    suite.publish(&sent).await;
    suite.publish(&[message("p", 21)]).await;
    until_handled(&stage, "first", 21).await;
    shut_down(consumers).await;
    let twice: Vec<_> = stage.handled("first").into_iter().filter(|(_, times)| *times != 1).collect();
    assert_eq!(twice, []);
}

/// Where the broker drops what it has: a second publish is confirmed, and delivered to nobody.
pub async fn case_17_what_is_published_twice_is_delivered_once<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Deduplicates]) {
        return;
    }
    let transport = suite.open().await;
    let inbound = subscribe(&*transport, &subscription("one", &["ParcelMovedEvent"])).await;
    let sent = [message("p", 1), message("p", 2)];
    publish(&*transport, &sent).await;
    publish(&*suite.open().await, &sent).await;
    publish(&*transport, &[message("p", 3)]).await;
    let mut arrived: Vec<_> = steps(&collect(&*inbound, 3).await).into_iter().map(|(_, step)| step).collect();
    arrived.sort_unstable();
    assert_eq!(arrived, [1, 2, 3]);
}

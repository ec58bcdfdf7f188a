//! 5 and 8: order per aggregate, through failures and among subscribers that come and go.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    testkit::conformance::{
        cast,
        journal::check_order,
        stage::{Act, Seen},
        transport::{
            TransportHarness, TransportSuite,
            suite::{Need, check_first_order, messages, shut_down, until_handled},
        },
    },
    transport::Ordering,
};

/// No second event of an aggregate begins before the one before it was handled, while others are at work. Where order holds
/// within a process only, one subscriber; else four.
pub async fn case_05_the_next_waits_for_the_one_before<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Order]) {
        return;
    }
    let stage = suite.journalled(|_| Act::Slow(Duration::from_millis(3)));
    let events = suite.runtime(&stage, &[&cast::SHARED]);
    let consumers = suite.consumers(&events, suite.in_order(4)).await;
    suite.publish(&messages(200, 20)).await;
    until_handled(&stage, "shared", 200).await;
    shut_down(consumers).await;
    let journal = suite.journal();
    check_order(&journal, "shared", &BTreeSet::new());
    let mut at_work = BTreeMap::new();
    let mut most = 0;
    for entry in &journal {
        match entry.what.as_str() {
            "begin" => drop(at_work.insert(&entry.aggregate, entry.step)),
            _ => drop(at_work.remove(&entry.aggregate)),
        }
        most = most.max(at_work.len());
    }
    assert!(most > 1, "one aggregate at a time: order across aggregates costs more than anybody asked for");
}

/// One in twenty fails at its first attempt.
fn now_and_then(seen: &Seen) -> Act {
    let number = seen.step * 31 + seen.aggregate.bytes().map(u64::from).sum::<u64>();
    if seen.attempt == 1 && number.is_multiple_of(20) { Act::Fail("now and then") } else { Act::Done }
}

/// 1,000 messages, 16 aggregates, 10 subscribers, one attempt in twenty fails: exact order per aggregate.
pub async fn case_08_order_holds_through_failures<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Order]) {
        return;
    }
    let stage = suite.journalled(now_and_then);
    let events = suite.runtime(&stage, &[&cast::SHARED]);
    let consumers = suite.consumers(&events, suite.in_order(10)).await;
    suite.publish(&messages(1_000, 16)).await;
    until_handled(&stage, "shared", 1_000).await;
    shut_down(consumers).await;
    check_order(&suite.journal(), "shared", &BTreeSet::new());
    let attempts = stage.seen().len();
    assert!(attempts > 1_000, "none failed: the case tests nothing");
}

/// The same while subscribers come and go: shares of the aggregates change hands in the middle.
pub async fn case_08_order_holds_while_subscribers_come_and_go<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Order, Need::Shares, Need::KeepsForAbsent]) {
        return;
    }
    if suite.in_order(2) < 2 {
        suite.not_applicable("it keeps order within one process only");
        return;
    }
    if suite.capabilities.ordering == Ordering::AcrossStayingProcesses {
        suite.not_applicable("what processes that leave give back may come out of order");
        return;
    }
    let stage = suite.journalled(|seen| match now_and_then(seen) {
        Act::Done => Act::Slow(Duration::from_millis(2)),
        other => other,
    });
    let events = suite.runtime(&stage, &[&cast::SHARED]);
    let mut consumers = suite.consumers(&events, 3).await;
    suite.publish(&messages(1_600, 16)).await;
    for round in 1..=5 {
        until_handled(&stage, "shared", 200 * round).await;
        // One more, and the oldest goes: well every other time, else without a word.
        consumers.push(suite.consumer(&events).await);
        let oldest = consumers.remove(0);
        if round % 2 == 0 {
            oldest.shutdown().await.expect("a consumer ends");
        } else {
            drop(oldest);
        }
    }
    until_handled(&stage, "shared", 1_600).await;
    shut_down(consumers).await;
    check_first_order(&suite.journal(), "shared");
}

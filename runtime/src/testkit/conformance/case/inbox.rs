//! The inbox: what handlers have had from a broker, and where a subscription that follows all others begins.

use chrono::{TimeDelta, Utc};

use super::contract::new_subscription;
use crate::{
    event::EventId,
    store::{
        EventLog, Inbox, SubscriptionStore,
        record::{Checkpoint, NewSubscription, OnceClaim, StartAt, SubscriptionId},
    },
    testkit::conformance::{
        StoreHarness, cast,
        suite::{Suite, calm, commit, subscription},
    },
};

/// Noted events are found, by their handler alone; of a transaction's, when it has committed and only then.
pub async fn contract_the_inbox_remembers_what_was_handled<H: StoreHarness>(suite: Suite<H>) {
    let store = suite.harness.open().await;
    let ids: Vec<_> = (0..4).map(|_| EventId::generate()).collect();
    let received = async |handler: &str| {
        let mut found = store.received(handler, &ids).await.expect("the store answers");
        found.sort();
        found
    };
    assert_eq!(received("a.first").await, [], "in an empty inbox");
    assert_eq!(store.received("a.first", &[]).await.expect("the store answers"), [], "asked for nothing");
    // Twice in one call, and once more: what a broker repeats is noted again.
    store.note_received("a.first", &[ids[0], ids[1], ids[0]]).await.expect("the store answers");
    store.note_received("a.first", &[ids[1]]).await.expect("the store answers");
    assert_eq!(received("a.first").await, ids[..2]);
    assert_eq!(received("a.other").await, [], "another handler's");

    let mut transaction = store.begin().await.expect("a transaction can begin");
    let connection = <H::Store as EventLog>::connection(&mut transaction);
    assert!(store.receive_in(connection, "a.first", ids[2]).await.expect("the store answers"));
    assert!(!store.receive_in(connection, "a.first", ids[0]).await.expect("the store answers"), "noted before");
    store.rollback(transaction).await.expect("it can be rolled back");
    assert_eq!(received("a.first").await, ids[..2], "rolled back, and noted all the same");

    let mut transaction = store.begin().await.expect("a transaction can begin");
    let connection = <H::Store as EventLog>::connection(&mut transaction);
    assert!(store.receive_in(connection, "a.first", ids[2]).await.expect("the store answers"));
    assert!(!store.receive_in(connection, "a.first", ids[2]).await.expect("the store answers"), "twice in one");
    store.commit(transaction).await.expect("it commits");
    assert_eq!(received("a.first").await, ids[..3]);
}

/// Marked before it is handled; an attempt that failed takes that back, one that was never heard of again does not.
pub async fn contract_the_inbox_knows_what_was_begun_once<H: StoreHarness>(suite: Suite<H>) {
    let store = suite.harness.open().await;
    let id = EventId::generate();
    let claim = async || store.receive_once("a.first", id).await.expect("the store answers");
    assert_eq!(claim().await, OnceClaim::Fresh);
    assert_eq!(claim().await, OnceClaim::Interrupted, "an attempt that was never heard of again");
    assert_eq!(store.received("a.first", &[id]).await.expect("the store answers"), [], "begun is not handled");
    store.forget_received("a.first", &[id]).await.expect("the store answers");
    assert_eq!(claim().await, OnceClaim::Fresh, "its attempt had failed");
    store.note_received("a.first", &[id]).await.expect("the store answers");
    assert_eq!(claim().await, OnceClaim::Done);
    store.forget_received("a.first", &[id]).await.expect("the store answers");
    assert_eq!(claim().await, OnceClaim::Done, "what is handled stays so");
}

/// Attempts that are noted before they begin are found by the next process, until the event is handled or forgotten.
pub async fn contract_the_inbox_knows_how_often_was_begun<H: StoreHarness>(suite: Suite<H>) {
    let store = suite.harness.open().await;
    let ids: Vec<_> = (0..3).map(|_| EventId::generate()).collect();
    let begun = async |handler: &str| {
        let mut found = store.begun_received(handler, &ids).await.expect("the store answers");
        found.sort();
        found
    };
    assert_eq!(begun("a.first").await, []);
    for (id, attempt) in [(ids[0], 1), (ids[0], 2), (ids[1], 1)] {
        store.begin_received("a.first", id, attempt).await.expect("the store answers");
    }
    assert_eq!(begun("a.first").await, [(ids[0], 2), (ids[1], 1)]);
    assert_eq!(begun("a.other").await, [], "another handler's");
    assert_eq!(store.received("a.first", &ids).await.expect("the store answers"), [], "begun is not handled");

    let mut transaction = store.begin().await.expect("a transaction can begin");
    let connection = <H::Store as EventLog>::connection(&mut transaction);
    assert!(store.receive_in(connection, "a.first", ids[0]).await.expect("the store answers"), "begun is not handled");
    store.commit(transaction).await.expect("it commits");
    store.begin_received("a.first", ids[0], 3).await.expect("the store answers");
    assert_eq!(begun("a.first").await, [(ids[1], 1)], "what is handled stays so");
    assert_eq!(store.received("a.first", &ids).await.expect("the store answers"), [ids[0]]);
    store.forget_received("a.first", &ids).await.expect("the store answers");
    assert_eq!(begun("a.first").await, []);
    assert_eq!(store.received("a.first", &ids).await.expect("the store answers"), [ids[0]]);
}

/// Old marks go in bounded steps, young ones stay.
pub async fn contract_the_inbox_is_trimmed_in_steps<H: StoreHarness>(suite: Suite<H>) {
    let store = suite.harness.open().await;
    let ids: Vec<_> = (0..5).map(|_| EventId::generate()).collect();
    store.note_received("a.first", &ids).await.expect("the store answers");
    let trim = async |before, limit| store.trim_received(before, limit).await.expect("the store answers");
    assert_eq!(trim(Utc::now() - TimeDelta::hours(1), 10).await, 0, "young marks were removed");
    let later = Utc::now() + TimeDelta::hours(1);
    assert_eq!(trim(later, 3).await, 3, "a step is as long as it may be");
    assert_eq!(store.received("a.first", &ids).await.expect("the store answers").len(), 2);
    assert_eq!(trim(later, 3).await, 2);
}

/// What begins at the least position misses nothing that any of the others has not had.
pub async fn contract_the_least_position_is_that_of_the_furthest_behind<H: StoreHarness>(suite: Suite<H>) {
    let events = suite.runtime(&calm(), &[]).await;
    let store = suite.harness.open().await;
    let start = async |name: &str| {
        let id = SubscriptionId { handler: cast::full(name).into(), partition: 0 };
        let new = NewSubscription { id, partitions: 1, aliases: Vec::new(), start: StartAt::Least };
        store.ensure(&[new]).await.expect("a subscription can be made");
        subscription(&store, name).await.lag
    };
    commit(&events, "p1", 1..=4).await;
    assert_eq!(start("alone").await, 4, "where there is no other, the beginning of the log");

    // The first one is out of the way, the second one has done two of the four.
    let lease = super::contract::claimed(&store, "n", &full("alone"), std::time::Duration::from_secs(60)).await.lease;
    let mut step = Checkpoint::new(lease);
    step.position = Some(store.head().await.expect("the store answers"));
    store.checkpoint(&[step]).await.expect("the store answers");
    let behind = new_subscription(&store, "behind", false).await;
    let lease = super::contract::claimed(&store, "n", &behind, std::time::Duration::from_secs(60)).await.lease;
    let page = store.read(&Default::default(), 2).await.expect("the store answers");
    let mut step = Checkpoint::new(lease);
    step.position = page.resume.last().cloned();
    store.checkpoint(&[step]).await.expect("the store answers");
    assert_eq!(subscription(&store, "behind").await.lag, 2);
    // Further back is allowed, where a position is more than a number: it delivers again, and loses nothing.
    assert!(start("follower").await >= 2, "it begins ahead of one that is behind");
}

fn full(name: &str) -> SubscriptionId {
    SubscriptionId { handler: cast::full(name).into(), partition: 0 }
}

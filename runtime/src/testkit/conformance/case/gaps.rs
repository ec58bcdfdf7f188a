//! 2 and 3: transactions that commit in another order than they wrote, and one that stays open.

use crate::{
    domain_events::DomainEvents,
    store::{EventLog, Store},
    testkit::{
        conformance::{
            StoreHarness,
            cast::{self, Parcel},
            suite::{LIMIT, Need, Suite, calm, commit, until_true},
        },
        wait_until_handled,
    },
};

/// A transaction with one event in it, still open.
async fn open<S: Store>(events: &DomainEvents<S>, parcel: &str) -> S::Transaction {
    let mut aggregate = Parcel::new(parcel);
    aggregate.step(1);
    let mut transaction = events.store().begin().await.expect("a transaction begins");
    events.append(S::connection(&mut transaction), &mut aggregate).await.expect("an event is appended");
    transaction
}

/// Written 1, 2, 3; committed 3, rolled back 2, committed 1: a reader that had already seen 3 still gets 1.
pub async fn case_02_a_late_commit_is_not_skipped<H: StoreHarness>(suite: Suite<H>) {
    if suite.lacks(Need::ConcurrentWriters) {
        return;
    }
    let stage = calm();
    let events = suite.runtime(&stage, &[&cast::FIRST]).await;
    let running = events.processor().start().await.expect("a processor starts");
    let store = events.store();
    commit(&events, "p0", [1]).await;

    let first = open(&events, "p1").await;
    let second = open(&events, "p2").await;
    let third = open(&events, "p3").await;
    store.commit(third).await.expect("the third commits");
    until_true("p3 is delivered while p1 and p2 are open", || stage.count("first") == 2).await;
    assert_eq!(stage.done("first", "p3"), [1], "seen: {:?}", stage.seen());

    store.rollback(second).await.expect("the second rolls back");
    store.commit(first).await.expect("the first commits last");
    until_true("p1, committed last, is delivered", || stage.count("first") == 3).await;
    commit(&events, "p4", [1]).await;
    wait_until_handled(&events, LIMIT).await;
    for (parcel, expected) in [("p0", 1), ("p1", 1), ("p2", 0), ("p3", 1), ("p4", 1)] {
        let done = stage.done("first", parcel).len();
        assert_eq!(done, expected, "{parcel} was delivered {done} times; seen: {:?}", stage.seen());
    }
    running.shutdown().await.expect("the processor stops");
}

/// However long it stays open: everybody else's events are committed and delivered meanwhile.
pub async fn case_03_an_open_transaction_delays_nobody_else<H: StoreHarness>(suite: Suite<H>) {
    if suite.lacks(Need::ConcurrentWriters) {
        return;
    }
    let stage = calm();
    let events = suite.runtime(&stage, &[&cast::FIRST]).await;
    let running = events.processor().start().await.expect("a processor starts");
    let left_open = open(&events, "open").await;
    for parcel in ["p1", "p2", "p3"] {
        commit(&events, parcel, 1..=20).await;
    }
    // Not `wait_until_handled`: the point is that the handler gets them while the transaction is still open.
    until_true("60 events are delivered beside an open transaction", || stage.count("first") == 60).await;
    assert_eq!(stage.steps("first", "open"), [0; 0], "an event was delivered before it was committed");
    events.store().commit(left_open).await.expect("the open transaction commits at last");
    wait_until_handled(&events, LIMIT).await;
    assert_eq!(stage.done("first", "open"), [1], "the late event was not delivered exactly once");
    running.shutdown().await.expect("the processor stops");
}

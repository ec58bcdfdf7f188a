//! 5, across processes: one is killed, another is frozen for longer than its lease and wakes up.

use crate::{
    store::record::NodeId,
    testkit::{
        conformance::{
            StoreHarness,
            case::processors::until_owned_by_another,
            cast,
            child::Child,
            journal::handled,
            role::Role,
            stage::Act,
            suite::{LIMIT, Need, Suite, commit, subscription, until, until_true},
        },
        wait_until_handled,
    },
};

/// A child that holds `first` and has begun step 2 of p1.
async fn holder<H: StoreHarness>(suite: &Suite<H>) -> (Child, NodeId) {
    let child = suite.child(Role::Hold, None);
    let begun = || suite.journal().iter().any(|entry| entry.what == "begin" && entry.step == 2);
    until_true("the child has begun step 2", begun).await;
    let store = suite.harness.open().await;
    let owner = subscription(&store, "first").await.owner.expect("the child holds the subscription it runs");
    (child, owner)
}

/// Its subscriptions go to another within the lease time, and nothing is lost.
pub async fn case_05_a_killed_processor_is_replaced<H: StoreHarness>(suite: Suite<H>) {
    if suite.lacks(Need::SeveralProcesses) {
        return;
    }
    let stage = suite.journalled(|_| Act::Done);
    let events = suite.runtime(&stage, &[&cast::FIRST]).await;
    commit(&events, "p1", 1..=3).await;
    let (mut child, owner) = holder(&suite).await;
    let running = events.processor().start().await.expect("a processor starts");
    commit(&events, "p2", 1..=3).await;
    assert_eq!(stage.count("first"), 0, "two processors had the same subscription: {:?}", stage.seen());

    child.kill();
    until_owned_by_another(events.store(), "first", &owner).await;
    wait_until_handled(&events, LIMIT).await;
    assert_eq!(stage.done("first", "p1").last(), Some(&3), "seen: {:?}", stage.seen());
    assert!(stage.done("first", "p1").contains(&2), "the interrupted delivery was lost: {:?}", stage.seen());
    assert_eq!(handled(&suite.journal(), "first").len(), 6, "the journal: {:#?}", suite.journal());
    running.shutdown().await.expect("the processor stops");
}

/// It wakes up in the middle of a delivery, when another has done that delivery and more: its late answer changes
/// nothing, neither the position nor what is delivered.
pub async fn case_05_a_frozen_processor_is_fenced<H: StoreHarness>(suite: Suite<H>) {
    if suite.lacks(Need::SeveralProcesses) {
        return;
    }
    let stage = suite.journalled(|_| Act::Done);
    let events = suite.runtime(&stage, &[&cast::FIRST]).await;
    commit(&events, "p1", 1..=4).await;
    let (child, owner) = holder(&suite).await;
    child.freeze();
    let running = events.processor().start().await.expect("a processor starts");
    until_owned_by_another(events.store(), "first", &owner).await;
    wait_until_handled(&events, LIMIT).await;
    let before = subscription(events.store(), "first").await.position;

    let pid = child.pid();
    suite.signal("go");
    child.thaw();
    // The frozen delivery ends now: the child's handler returns, and its processor tries to write that down.
    let ended = || suite.journal().iter().any(|entry| entry.pid == pid && entry.what == "done" && entry.step == 2);
    until_true("the frozen delivery has ended", ended).await;
    commit(&events, "p1", 5..=8).await;
    wait_until_handled(&events, LIMIT).await;
    until("the position is behind all events", || async {
        let now = subscription(events.store(), "first").await.position;
        assert!(now.after >= before.after, "the position went back from {before:?} to {now:?}");
        if now.after > before.after { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;

    let handled = handled(&suite.journal(), "first");
    let times: Vec<_> = (1..=8).map(|step| handled.get(&("p1".to_owned(), step)).copied().unwrap_or(0)).collect();
    assert_eq!(times[4..], [1; 4], "events after the freeze are delivered once; times: {times:?}");
    assert!(times[1] == 2, "step 2 ended twice, in the frozen process and in its successor; times: {times:?}");
    let late: Vec<_> =
        suite.journal().into_iter().filter(|entry| entry.pid == pid && matches!(entry.step, 3 | 4)).collect();
    assert_eq!(late, [], "the frozen process went on with its old lease");
    running.shutdown().await.expect("the processor stops");
}

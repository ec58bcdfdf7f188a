//! 5, within one process: two processors on one subscription, and a holder that has lost its lease.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::{
    clock::Clock,
    event::EventId,
    store::{
        DeadLetterStore, EventLog, SubscriptionStore,
        record::{Checkpoint, NodeId, OnceClaim, Position, SubscriptionId},
    },
    testkit::{
        conformance::{
            StoreHarness,
            case::contract::{claimed, new_subscription},
            cast,
            stage::Act,
            suite::{LIMIT, Suite, commit, stage, subscription, until},
        },
        wait_until_handled,
    },
};

/// While both live, each delivery is made once, and in order; the subscriptions are spread over both.
pub async fn case_05_two_processors_deliver_each_event_once<H: StoreHarness>(suite: Suite<H>) {
    let stage = stage(|_| Act::Slow(Duration::from_millis(1)));
    let handlers = [&cast::FIRST, &cast::SECOND, &cast::SPLIT];
    let settings = |builder: crate::Builder<H::Store>| builder.lease(Duration::from_secs(3));
    let one = suite.runtime_with(&stage, &handlers, settings).await;
    let two = suite.runtime_with(&stage, &handlers, settings).await;
    let running = [
        one.processor().start().await.expect("the first processor starts"),
        two.processor().start().await.expect("the second processor starts"),
    ];
    // Half of the events before the subscriptions are spread, half after: the hand-over is in between.
    for step in 1..=20 {
        if step == 11 {
            until_shared(one.store()).await;
        }
        for parcel in ["p1", "p2", "p3", "p4"] {
            commit(if step % 2 == 0 { &one } else { &two }, parcel, [step]).await;
        }
    }
    wait_until_handled(&one, LIMIT).await;
    wait_until_handled(&two, LIMIT).await;
    let expected: Vec<u64> = (1..=20).collect();
    for handler in ["first", "second", "split"] {
        for parcel in ["p1", "p2", "p3", "p4"] {
            assert_eq!(stage.steps(handler, parcel), expected, "the attempts of `{handler}` for {parcel}");
        }
    }
    for processor in running {
        processor.shutdown().await.expect("a processor stops");
    }
    let owner = subscription(one.store(), "first").await.owner;
    assert_eq!(owner, None, "a processor that was shut down has not given its lease back");
}

/// Order comes from the log, and a lease from the store's clock: two processes whose clocks are two centuries apart, one
/// of which jumps, share as if they were right.
pub async fn case_05_clocks_that_jump_change_nothing<H: StoreHarness>(suite: Suite<H>) {
    let stage = stage(|_| Act::Slow(Duration::from_millis(1)));
    let handlers = [&cast::FIRST, &cast::SECOND, &cast::SPLIT];
    let at = |text: &str| text.parse().expect("a time");
    let jumping = Clock::manual(at("1971-01-01T00:00:00Z"));
    let settings = |clock| move |builder: crate::Builder<H::Store>| builder.lease(Duration::from_secs(3)).clock(clock);
    let one = suite.runtime_with(&stage, &handlers, settings(jumping.clone())).await;
    let two = suite.runtime_with(&stage, &handlers, settings(Clock::manual(at("2171-01-01T00:00:00Z")))).await;
    let running = [
        one.processor().start().await.expect("the first processor starts"),
        two.processor().start().await.expect("the second processor starts"),
    ];
    for step in 1..=20 {
        if step == 11 {
            until_shared(one.store()).await;
        }
        jumping.set(at(if step % 4 >= 2 { "2270-01-01T00:00:00Z" } else { "1971-01-01T00:00:00Z" }));
        for parcel in ["p1", "p2"] {
            commit(if step % 2 == 0 { &one } else { &two }, parcel, [step]).await;
        }
    }
    wait_until_handled(&one, LIMIT).await;
    let expected: Vec<u64> = (1..=20).collect();
    for handler in ["first", "second", "split"] {
        for parcel in ["p1", "p2"] {
            assert_eq!(stage.steps(handler, parcel), expected, "the attempts of `{handler}` for {parcel}");
        }
    }
    for processor in running {
        processor.shutdown().await.expect("a processor stops");
    }
}

/// A node of an older release leaves alone what it has no handler for, and does not move it.
pub async fn case_05_a_processor_leaves_alone_what_it_has_no_handler_for<H: StoreHarness>(suite: Suite<H>) {
    let stage = stage(|_| Act::Done);
    let new = suite.runtime(&stage, &[&cast::FIRST, &cast::SECOND]).await;
    let old = suite.runtime(&stage, &[&cast::FIRST]).await;
    commit(&new, "p1", [1]).await;
    let running = new.processor().start().await.expect("the new processor starts");
    wait_until_handled(&new, LIMIT).await;
    running.shutdown().await.expect("the new processor stops");

    let running = old.processor().start().await.expect("the old processor starts");
    commit(&old, "p1", [2]).await;
    wait_until_handled(&old, LIMIT).await;
    let state = subscription(old.store(), "second").await;
    assert_eq!((state.owner, state.lag), (None, 1), "the old processor touched a subscription it has no handler for");
    let other = new.processor().start().await.expect("the new processor starts again");
    wait_until_handled(&new, LIMIT).await;
    assert_eq!(stage.steps("second", "p1"), [1, 2], "nothing was skipped");
    for processor in [running, other] {
        processor.shutdown().await.expect("a processor stops");
    }
}

/// The store itself refuses every write of a holder whose lease has run out and gone to another.
pub async fn case_05_a_lost_lease_is_fenced<H: StoreHarness>(suite: Suite<H>) {
    let events = suite.runtime(&stage(|_| Act::Done), &[]).await;
    commit(&events, "p1", 1..=3).await;
    let store = events.store();
    let id = new_subscription(store, "first", false).await;

    let frozen = store.claim(&node("frozen"), &id, Duration::from_millis(50)).await;
    let frozen = frozen.expect("the store answers").expect("nobody holds it yet");
    let successor = claimed(store, "successor", &id, Duration::from_secs(60)).await;
    assert!(successor.lease.fence > frozen.lease.fence, "each claim has a greater fence");
    assert_eq!(successor.crashes, 1, "a lease that ran out counts as a crash");

    let mut late = Checkpoint::new(frozen.lease.clone());
    late.position = Some(Position { after: 3, window: None });
    let mut in_time = Checkpoint::new(successor.lease.clone());
    in_time.position = Some(events.store().head().await.expect("the head can be read"));
    let written = store.checkpoint(std::slice::from_ref(&late)).await.expect("the store answers");
    assert_eq!(written, [false], "a fenced holder moved the position");
    let event = EventId::generate();
    let once = store.claim_once(&frozen.lease, event, 1).await.expect("the store answers");
    assert_eq!(once, OnceClaim::LeaseLost, "a fenced holder made a `once` mark");
    let mut transaction = store.begin().await.expect("a transaction begins");
    let handled = store.handled(H::Store::connection(&mut transaction), &frozen.lease, &[event]).await;
    assert_eq!(handled.expect("the store answers"), None, "a fenced holder began to handle an event");
    store.rollback(transaction).await.expect("a transaction rolls back");
    let renewed = store.renew(&[frozen.lease.clone(), successor.lease.clone()], Duration::from_secs(60)).await;
    let held: Vec<_> = renewed.expect("the store answers").iter().map(|renewed| renewed.held).collect();
    assert_eq!(held, [false, true], "renewing: the fenced holder, its successor");
    store.release(&frozen.lease).await.expect("the store answers");
    let owner = store.subscriptions().await.expect("the store answers")[0].owner.clone();
    assert_eq!(owner, Some(node("successor")), "a fenced holder gave its successor's lease away");
    // In one call, the one that is in time goes through beside the one that is late.
    let written = store.checkpoint(&[late, in_time]).await.expect("the store answers");
    assert_eq!(written, [false, true], "a late checkpoint beside one in time");
}

pub(super) fn node(name: &str) -> NodeId {
    NodeId(Arc::from(name))
}

/// Waits until two nodes hold subscriptions.
async fn until_shared<S: SubscriptionStore>(store: &S) {
    until("both processors hold subscriptions", || async {
        let owners = owners(store).await;
        let nodes: BTreeSet<_> = owners.values().flatten().collect();
        if nodes.len() == 2 { Ok(()) } else { Err(format!("{owners:?}")) }
    })
    .await;
}

/// How often each partition's owner is seen; for messages.
pub(super) async fn owners<S: SubscriptionStore>(store: &S) -> BTreeMap<SubscriptionId, Option<NodeId>> {
    let states = store.subscriptions().await.expect("the subscriptions can be read");
    states.into_iter().map(|state| (state.id, state.owner)).collect()
}

/// Waits until somebody else than `not` owns the subscription.
pub(super) async fn until_owned_by_another<S: SubscriptionStore>(store: &S, handler: &str, not: &NodeId) {
    until(&format!("`{handler}` is taken over from {not}"), || async {
        let owners = owners(store).await;
        let owner =
            owners.iter().find(|(id, _)| *id.handler == *cast::full(handler)).and_then(|(_, owner)| owner.as_ref());
        if owner.is_some_and(|owner| owner != not) { Ok(()) } else { Err(format!("{owners:?}")) }
    })
    .await;
}

//! 8: behind a dead letter of a handler with `on_dead = "park"`, its aggregate waits for a person.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    domain_events::DomainEvents,
    processor::RunningProcessor,
    store::{
        DeadLetterStore,
        record::{DeadLetter, DeadReason},
    },
    testkit::{
        conformance::{
            StoreHarness, cast,
            stage::{Act, Stage},
            suite::{LIMIT, Suite, commit, stage, subscription},
        },
        wait_until_handled, wait_until_settled,
    },
};

struct Parked<H: StoreHarness> {
    stage: Arc<Stage>,
    mended: Arc<AtomicBool>,
    events: DomainEvents<H::Store>,
    running: RunningProcessor,
    letter: DeadLetter,
}

/// 1..5 of p1 with a dead letter at 2, and 1..5 of p2 without.
async fn parked<H: StoreHarness>(suite: &Suite<H>) -> Parked<H> {
    let mended = Arc::new(AtomicBool::new(false));
    let broken = Arc::clone(&mended);
    let stage = stage(move |seen| match (seen.aggregate.as_str(), seen.step) {
        ("p1", 2) if !broken.load(Ordering::SeqCst) => Act::Permanent("broken"),
        _ => Act::Done,
    });
    let events = suite.runtime(&stage, &[&cast::PARKING]).await;
    let running = events.processor().start().await.expect("a processor starts");
    for step in 1..=5 {
        commit(&events, "p1", [step]).await;
        commit(&events, "p2", [step]).await;
    }
    let mut dead = wait_until_settled(&events, LIMIT).await;
    assert_eq!(dead.len(), 1, "the dead letters: {dead:?}");
    assert_eq!(dead[0].reason, DeadReason::Permanent, "{dead:?}");
    assert_eq!(stage.steps("parking", "p1"), [1, 2], "3..5 must wait behind the dead letter");
    assert_eq!(stage.steps("parking", "p2"), [1, 2, 3, 4, 5], "another aggregate must not");
    let rows = events.store().parked(&cast::full("parking"), 10).await.expect("the store answers");
    assert_eq!(rows.len(), 4, "the dead one and three that wait: {rows:?}");
    Parked { stage, mended, events, running, letter: dead.remove(0) }
}

/// Redriven, it comes first, and the rest follows in order.
pub async fn case_08_parked_events_wait_for_redrive<H: StoreHarness>(suite: Suite<H>) {
    let Parked { stage, mended, events, running, letter } = parked(&suite).await;
    // Not mended yet: it is dead again, and the rest still waits.
    events.admin().redrive(letter.id).await.expect("a dead letter can be redriven");
    crate::testkit::conformance::suite::until_true("the redriven delivery is tried", || {
        stage.steps("parking", "p1").len() == 3
    })
    .await;
    let dead = wait_until_settled(&events, LIMIT).await;
    assert_eq!(stage.steps("parking", "p1"), [1, 2, 2], "3..5 must still wait");
    assert_eq!(dead.len(), 1, "the dead letters: {dead:?}");

    mended.store(true, Ordering::SeqCst);
    events.admin().redrive(dead[0].id).await.expect("a dead letter can be redriven");
    wait_until_handled(&events, LIMIT).await;
    assert_eq!(stage.steps("parking", "p1"), [1, 2, 2, 2, 3, 4, 5], "redriven first, then the rest, in order");
    commit(&events, "p1", [6]).await;
    wait_until_handled(&events, LIMIT).await;
    assert_eq!(stage.done("parking", "p1"), [1, 2, 3, 4, 5, 6], "the aggregate is back to normal");
    running.shutdown().await.expect("the processor stops");
}

/// Discarded, it is gone, and the rest follows in order; a new process does the same.
pub async fn case_08_parked_events_wait_for_discard<H: StoreHarness>(suite: Suite<H>) {
    let Parked { stage, events, running, letter, .. } = parked(&suite).await;
    running.shutdown().await.expect("the processor stops");
    let running = events.processor().start().await.expect("another processor starts");
    commit(&events, "p1", [6]).await;
    wait_until_settled(&events, LIMIT).await;
    assert_eq!(stage.steps("parking", "p1"), [1, 2], "a new processor forgot that 3..6 wait behind a dead letter");

    events.admin().discard(letter.id, "not worth it").await.expect("a dead letter can be discarded");
    wait_until_handled(&events, LIMIT).await;
    assert_eq!(stage.steps("parking", "p1"), [1, 2, 3, 4, 5, 6], "released in order");
    assert_eq!(subscription(events.store(), "parking").await.dead, 0, "the dead letter is gone for good");
    let error = events.admin().discard(letter.id, "again").await.expect_err("it is gone");
    assert_eq!(error.kind(), crate::ErrorKind::NotFound, "{error}");
    running.shutdown().await.expect("the processor stops");
}

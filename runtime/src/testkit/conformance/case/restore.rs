//! 15: dumped and restored elsewhere, delivery goes on from where it was.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::testkit::{
    conformance::{
        StoreHarness, cast,
        stage::Act,
        suite::{LIMIT, Need, Suite, commit, runtime_on, stage},
    },
    wait_until_handled, wait_until_settled,
};

/// Positions, dead letters and what waits behind them come along; nothing is skipped, nothing stalls.
pub async fn case_15_a_restored_dump_goes_on<H: StoreHarness>(suite: Suite<H>) {
    if suite.lacks(Need::Durable) {
        return;
    }
    let mended = Arc::new(AtomicBool::new(false));
    let broken = Arc::clone(&mended);
    let stage = stage(move |seen| match (seen.handler.as_str(), seen.step) {
        ("parking", 2) if !broken.load(Ordering::SeqCst) => Act::Permanent("broken"),
        _ => Act::Done,
    });
    let handlers = [&cast::FIRST, &cast::PARKING];
    let events = suite.runtime(&stage, &handlers).await;
    let running = events.processor().start().await.expect("a processor starts");
    commit(&events, "p1", 1..=3).await;
    wait_until_settled(&events, LIMIT).await;
    running.shutdown().await.expect("the processor stops");
    // Committed and not delivered when the dump is made.
    commit(&events, "p1", [4]).await;
    drop(events);

    let restored = suite.harness.restored().await;
    let events = runtime_on(restored.open().await, &stage, &handlers, |builder| builder);
    let running = events.processor().start().await.expect("a processor starts on the restored data");
    commit(&events, "p1", 5..=6).await;
    let dead = wait_until_settled(&events, LIMIT).await;
    assert_eq!(dead.len(), 1, "the dead letter came along: {dead:?}");
    let mut first = stage.done("first", "p1");
    first.dedup();
    assert_eq!(first.last(), Some(&6), "delivery went on: {first:?}");
    assert!([4, 5, 6].iter().all(|step| first.contains(step)), "an event was skipped: {first:?}");
    assert_eq!(stage.done("parking", "p1"), [1], "what waits behind the dead letter waited on");

    mended.store(true, Ordering::SeqCst);
    events.admin().redrive(dead[0].id).await.expect("a dead letter can be redriven");
    wait_until_handled(&events, LIMIT).await;
    assert_eq!(stage.done("parking", "p1"), [1, 2, 3, 4, 5, 6], "released in order");
    running.shutdown().await.expect("the processor stops");
}

//! 14: the log is trimmed behind everybody who still needs it, in bounded steps, while others write.

use chrono::{DateTime, Utc};

use super::contract::{claimed, new_subscription};
use crate::{
    store::{EventLog, SubscriptionStore, record::Checkpoint},
    testkit::{
        conformance::{
            StoreHarness, cast,
            stage::Act,
            suite::{LIMIT, Suite, commit, log, stage},
        },
        recorded::read_all,
        wait_until_settled,
    },
};

/// Ten events: `first` has handled all and has a dead letter about the second; `second` stands behind the fourth.
pub async fn case_14_retention_keeps_what_is_needed<H: StoreHarness>(suite: Suite<H>) {
    let stage = stage(|seen| match (seen.handler.as_str(), seen.step) {
        ("first", 2) => Act::Permanent("broken"),
        _ => Act::Done,
    });
    let events = suite.runtime(&stage, &[&cast::FIRST]).await;
    commit(&events, "p1", 1..=10).await;
    let running = events.processor().start().await.expect("a processor starts");
    wait_until_settled(&events, LIMIT).await;
    running.shutdown().await.expect("the processor stops");

    let store = events.store();
    let id = new_subscription(store, "second", false).await;
    let lease = claimed(store, "one", &id, std::time::Duration::from_secs(60)).await.lease;
    let page = store.read(&crate::store::record::Position::BEGINNING, 4).await.expect("the store answers");
    let mut step = Checkpoint::new(lease.clone());
    step.position = page.resume.last().cloned();
    assert_eq!(store.checkpoint(&[step]).await.expect("the store answers"), [true], "the holder may write");
    store.release(&lease).await.expect("the store answers");

    let oldest = read_all(store).await[0].meta.recorded_at.expect("a committed event has a time");
    assert_eq!(store.trim(oldest, 100).await.expect("the store answers"), 0, "nothing is older than the oldest");
    assert_eq!(store.trim(DateTime::<Utc>::MIN_UTC, 100).await.expect("the store answers"), 0, "nothing is that old");

    // Everything is old enough now; somebody goes on writing meanwhile.
    let future = Utc::now() + chrono::Duration::hours(1);
    let writer = tokio::spawn({
        let events = events.clone();
        async move { commit(&events, "p2", 1..=10).await }
    });
    let mut removed = Vec::new();
    loop {
        let gone = store.trim(future, 2).await.expect("the store answers");
        assert!(gone <= 2, "{gone} events were removed in a step of 2");
        if gone == 0 {
            break;
        }
        removed.push(gone);
    }
    writer.await.expect("the writer ends");
    let needed = [2, 5, 6, 7, 8, 9, 10];
    let mut kept: Vec<_> =
        log(store).await.into_iter().filter(|(parcel, _)| parcel == "p1").map(|(_, step)| step).collect();
    if suite.capabilities.retains_pieces {
        // Where the pieces end is the store's to know, and for its own tests.
        kept.retain(|step| needed.contains(step));
    } else {
        assert_eq!(removed.iter().sum::<usize>(), 3, "1, 3 and 4 can go; removed: {removed:?}");
    }
    assert_eq!(kept, needed, "kept: the dead letter's event, and what `second` has not seen");

    let events = suite.runtime(&stage, &[&cast::FIRST, &cast::SECOND]).await;
    let running = events.processor().start().await.expect("a processor starts");
    let dead = wait_until_settled(&events, LIMIT).await;
    assert_eq!(stage.done("second", "p1"), [5, 6, 7, 8, 9, 10], "what `second` still needed");
    assert_eq!(stage.done("second", "p2").len(), 10, "what was written meanwhile");
    // The dead letter still has its event.
    events.admin().redrive(dead[0].id).await.expect("a dead letter can be redriven");
    running.shutdown().await.expect("the processor stops");
}

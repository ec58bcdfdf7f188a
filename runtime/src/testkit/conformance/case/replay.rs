//! 13: reading the log, in any steps, and replaying it for a handler that is new.

use crate::{
    store::{EventLog, record::Position},
    testkit::{
        conformance::{
            StoreHarness, cast,
            suite::{LIMIT, Suite, calm, commit},
        },
        recorded::read_all,
        wait_until_handled,
    },
};

/// Whatever the page size, and from whatever event one goes on, the rest is the same.
pub async fn case_13_the_log_reads_the_same_in_any_steps<H: StoreHarness>(suite: Suite<H>) {
    let events = suite.runtime(&calm(), &[]).await;
    for step in 1..=5 {
        for parcel in ["p1", "p2"] {
            commit(&events, parcel, [step]).await;
        }
    }
    let store = events.store();
    let all = read_all(store).await;
    assert_eq!(all.len(), 10, "the log: {all:?}");
    assert!(all.is_sorted_by_key(|event| event.meta.position), "the log is not in the order of its positions");
    assert!(all.iter().all(|event| event.meta.recorded_at.is_some()), "an event does not say when it was recorded");
    for limit in [1, 3, 10, 100] {
        let (mut after, mut read) = (Position::BEGINNING, Vec::new());
        loop {
            let page = store.read(&after, limit).await.expect("the log can be read");
            assert!(page.events.len() <= limit, "a page of {} events, asked for {limit}", page.events.len());
            assert_eq!(page.events.len(), page.resume.len(), "one position for each event");
            for (event, resume) in page.events.iter().zip(&page.resume) {
                let rest = store.read(resume, 100).await.expect("the log can be read").events;
                let expected: Vec<_> = all.iter().filter(|e| e.meta.position > event.meta.position).cloned().collect();
                assert_eq!(rest, expected, "going on behind {:?}", event.meta.position);
            }
            read.extend(page.events);
            after = page.end;
            if !page.more {
                break;
            }
        }
        assert_eq!(read, all, "read in steps of {limit}");
        assert_eq!(after.after, store.head().await.expect("the store answers").after, "the end is the head");
    }
    let positions: Vec<_> = all.iter().rev().step_by(2).filter_map(|event| event.meta.position).collect();
    let mut fetched = store.fetch(&positions).await.expect("the store answers");
    fetched.sort_by_key(|event| event.meta.position);
    let expected: Vec<_> =
        all.iter().filter(|event| positions.contains(&event.meta.position.unwrap_or(0))).cloned().collect();
    assert_eq!(fetched, expected, "events fetched by position");
    assert_eq!(store.fetch(&[999_999]).await.expect("the store answers"), [], "a position nobody has");
}

/// A new handler starts at the beginning, or, if it says so, with what comes next; an old one goes on.
pub async fn case_13_a_new_handler_replays_the_log<H: StoreHarness>(suite: Suite<H>) {
    let stage = calm();
    let before = suite.runtime(&stage, &[&cast::FIRST]).await;
    let running = before.processor().start().await.expect("a processor starts");
    commit(&before, "p1", 1..=3).await;
    wait_until_handled(&before, LIMIT).await;
    running.shutdown().await.expect("the processor stops");

    let after = suite.runtime(&stage, &[&cast::FIRST, &cast::SECOND, &cast::LATE]).await;
    let running = after.processor().start().await.expect("a processor starts");
    commit(&after, "p1", 4..=5).await;
    wait_until_handled(&after, LIMIT).await;
    assert_eq!(stage.steps("first", "p1"), [1, 2, 3, 4, 5], "the old handler goes on");
    assert_eq!(stage.steps("second", "p1"), [1, 2, 3, 4, 5], "the new handler replays the log");
    assert_eq!(stage.steps("late", "p1"), [4, 5], "the new handler with `start = \"now\"`");
    running.shutdown().await.expect("the processor stops");
}

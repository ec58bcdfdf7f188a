//! 1 and 4: what commits together, and who loses when two write the same aggregate.

use crate::{
    aggregate::AggregateRoot,
    error::ErrorKind,
    store::EventLog,
    testkit::conformance::{
        StoreHarness,
        cast::Parcel,
        suite::{Need, Suite, calm, log, save},
    },
};

/// Both are there, or neither is.
pub async fn case_01_events_and_business_writes_commit_together<H: StoreHarness>(suite: Suite<H>) {
    if suite.lacks(Need::Transactions) {
        return;
    }
    let events = suite.runtime(&calm(), &[]).await;
    for (parcel, commits) in [("kept", true), ("dropped", false)] {
        let mut aggregate = Parcel::new(parcel);
        aggregate.step(1);
        let mut work = events.begin().await.expect("a unit of work begins");
        H::write_effect(work.connection(), parcel).await.expect("a business write");
        work.record(&mut aggregate);
        if commits {
            work.commit().await.expect("a unit of work commits");
        } else {
            work.rollback().await.expect("a unit of work rolls back");
        }
    }

    // The events come last in the unit of work: when they are refused, the business write must go with them.
    let mut refused = Parcel::new("p".repeat(256));
    refused.step(1);
    let mut work = events.begin().await.expect("a unit of work begins");
    H::write_effect(work.connection(), "refused").await.expect("a business write");
    work.record(&mut refused);
    let error = work.commit().await.expect_err("an id of 256 bytes is refused");
    assert_eq!(error.kind(), ErrorKind::InvalidEvent, "{error}");

    assert_eq!(suite.harness.effects().await, ["kept"], "the business writes");
    assert_eq!(log(events.store()).await, [("kept".to_owned(), 1)], "the log");
}

/// Nobody has to say `rollback`; the aggregate keeps its events, and can be saved again.
pub async fn case_01_a_dropped_unit_of_work_rolls_back<H: StoreHarness>(suite: Suite<H>) {
    let events = suite.runtime(&calm(), &[]).await;
    let mut parcel = Parcel::new("p1");
    parcel.step(1);

    // Written into the transaction, and then dropped with it.
    let store = events.store();
    let mut transaction = store.begin().await.expect("a transaction begins");
    let appended =
        events.append(H::Store::connection(&mut transaction), &mut parcel).await.expect("an event is appended");
    drop(transaction);
    assert_eq!(log(store).await, [], "a dropped transaction left an event behind");
    assert_eq!(parcel.pending_events().len(), 1, "the aggregate lost an event that was never committed");
    drop(appended);

    save(&events, &mut parcel).await.expect("the next save succeeds");
    assert_eq!(log(store).await, [("p1".to_owned(), 1)], "the event was not saved the second time");

    // Committed, but the application did not say so: the next save finds it in the log and writes it no second time.
    parcel.step(2);
    let mut transaction = store.begin().await.expect("a transaction begins");
    events.append(H::Store::connection(&mut transaction), &mut parcel).await.expect("an event is appended");
    store.commit(transaction).await.expect("a transaction commits");
    save(&events, &mut parcel).await.expect("saving again is safe");
    assert_eq!(log(store).await, [("p1".to_owned(), 1), ("p1".to_owned(), 2)], "an event is in the log once");
    assert_eq!(parcel.pending_events().len(), 0, "what is in the log is not pending");
}

/// Where one of several aggregates has another version, nothing of any of them is written, and all keep their events.
pub async fn case_04_a_conflict_of_one_aggregate_keeps_all_out<H: StoreHarness>(suite: Suite<H>) {
    let events = suite.runtime(&calm(), &[]).await;
    let mut known = Parcel::at_version("known", 0);
    known.step(1);
    save(&events, &mut known).await.expect("a new aggregate is saved");

    let (mut new, mut plain, mut stale) =
        (Parcel::at_version("new", 0), Parcel::new("plain"), Parcel::at_version("known", 0));
    let mut work = events.begin().await.expect("a unit of work begins");
    for parcel in [&mut new, &mut plain, &mut stale] {
        parcel.step(1);
        work.record(parcel);
    }
    let error = work.commit().await.expect_err("one of them is stale");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.to_string().contains("known"), "which one it is: {error}");
    assert_eq!(log(events.store()).await, [("known".to_owned(), 1)], "the log");
    let pending = [&new, &plain, &stale].map(|parcel| parcel.pending_events().len());
    assert_eq!(pending, [1, 1, 1], "pending events");

    let mut work = events.begin().await.expect("a unit of work begins");
    known.step(2);
    for parcel in [&mut new, &mut plain, &mut known] {
        work.record(parcel);
    }
    work.commit().await.expect("none of them is stale");
    let expected = [("known", 1), ("new", 1), ("plain", 1), ("known", 2)];
    assert_eq!(log(events.store()).await, expected.map(|(parcel, step)| (parcel.to_owned(), step)), "the log");
}

/// Optimistic locking: the second writer is told the version it expected and the one that is there.
pub async fn case_04_of_two_writers_of_one_aggregate_one_loses<H: StoreHarness>(suite: Suite<H>) {
    let events = suite.runtime(&calm(), &[]).await;
    let mut parcel = Parcel::at_version("p1", 0);
    (1..=3).for_each(|step| parcel.step(step));
    save(&events, &mut parcel).await.expect("a new aggregate is saved");

    let (mut first, mut second) = (Parcel::at_version("p1", 3), Parcel::at_version("p1", 3));
    (4..=6).for_each(|step| first.step(step));
    second.step(4);
    save(&events, &mut first).await.expect("the first writer wins");
    let error = save(&events, &mut second).await.expect_err("the second writer must not overwrite the first");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let text = error.to_string();
    for part in ["p1", "3", "6"] {
        assert!(text.contains(part), "`{part}` (aggregate, expected or actual version) is not in: {text}");
    }
    assert_eq!(second.pending_events().len(), 1, "the loser keeps its event");

    // Both at once: whoever comes second learns it at the append or at the commit, but learns it.
    if suite.capabilities.concurrent_writers {
        let store = events.store();
        let (mut first, mut second) = (Parcel::at_version("p2", 0), Parcel::at_version("p2", 0));
        first.step(1);
        second.step(1);
        let mut one = store.begin().await.expect("a transaction begins");
        events.append(H::Store::connection(&mut one), &mut first).await.expect("an event is appended");
        let rival = tokio::spawn({
            let events = events.clone();
            async move { save(&events, &mut second).await }
        });
        store.commit(one).await.map_or_else(|error| assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"), |()| ());
        if let Err(error) = rival.await.expect("the rival does not panic") {
            assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        }
    }
    let mut steps: Vec<_> = log(events.store()).await;
    steps.sort();
    let expected: Vec<_> = (1..=6).map(|step| ("p1".to_owned(), step)).collect();
    assert_eq!(steps.iter().filter(|(parcel, _)| parcel == "p1").cloned().collect::<Vec<_>>(), expected, "the log");
    assert!(steps.iter().filter(|(parcel, _)| parcel == "p2").count() <= 1, "both writers of p2 won: {steps:?}");
}

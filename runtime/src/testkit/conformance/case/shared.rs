//! 10, for deliveries that share a transaction: killed in its middle, one of them failing, each effect is there once.

use std::collections::BTreeMap;

use crate::testkit::{
    conformance::{
        StoreHarness,
        stage::Act,
        suite::{LIMIT, Need, Suite, calm, commit, stage},
    },
    wait_until_handled,
};

const PARCELS: [&str; 5] = ["p1", "p2", "p3", "p4", "p5"];
const STEPS: u64 = 12;

/// A backlog, step by step over all parcels.
async fn backlog<H: StoreHarness>(suite: &Suite<H>) {
    let events = suite.runtime(&calm(), &[]).await;
    for step in 1..=STEPS {
        for parcel in PARCELS {
            commit(&events, parcel, [step]).await;
        }
    }
}

/// Exactly one effect for each event, in the order of each parcel.
async fn check_effects<H: StoreHarness>(suite: &Suite<H>) {
    let mut effects = BTreeMap::<String, Vec<String>>::new();
    for effect in suite.harness.effects().await {
        let (parcel, step) = effect.strip_prefix("ledger ").and_then(|rest| rest.split_once(' ')).expect("an effect");
        effects.entry(parcel.to_owned()).or_default().push(step.to_owned());
    }
    let steps: Vec<_> = (1..=STEPS).map(|step| step.to_string()).collect();
    let expected: BTreeMap<_, _> = PARCELS.iter().map(|parcel| ((*parcel).to_owned(), steps.clone())).collect();
    assert_eq!(effects, expected, "the effects of each parcel");
}

/// With several effects in a transaction that is still open: none of them is there, and all are made again.
#[cfg(unix)]
pub async fn case_10_a_shared_transaction_that_is_killed_is_made_again<H: StoreHarness>(suite: Suite<H>) {
    use crate::testkit::conformance::role::Role;

    if suite.lacks(Need::SeveralProcesses) || suite.lacks(Need::Transactions) {
        return;
    }
    backlog(&suite).await;
    let fault = "transaction.shared:3";
    suite.child(Role::Ledger, Some(fault)).dies_killed(fault).await;
    let handlers: Vec<_> = H::ledger().into_iter().collect();
    let events = suite.runtime(&suite.journalled(|_| Act::Done), &handlers).await;
    let running = events.processor().start().await.expect("a processor starts after the crash");
    wait_until_handled(&events, LIMIT).await;
    running.shutdown().await.expect("the processor stops");

    let begun = suite.journal().into_iter().filter(|entry| entry.what == "begin").count();
    let events = PARCELS.len() * usize::try_from(STEPS).expect("a few");
    assert!(begun > events + 1, "{begun} attempts for {events} events: nothing was made again");
    check_effects(&suite).await;
}

/// Its neighbours' effects stay, and are not made again; it is retried, and what stands behind it waits.
pub async fn case_10_a_failure_in_a_shared_transaction_stands_alone<H: StoreHarness>(suite: Suite<H>) {
    if suite.lacks(Need::Transactions) {
        return;
    }
    backlog(&suite).await;
    let fails = |parcel: &str, step: u64| matches!((parcel, step), ("p2" | "p4", 7) | ("p5", 11));
    let stage = stage(move |seen| match seen.attempt {
        1 if fails(&seen.aggregate, seen.step) => Act::Fail("not at the first try"),
        _ => Act::Done,
    });
    let handlers: Vec<_> = H::ledger().into_iter().collect();
    let events = suite.runtime(&stage, &handlers).await;
    let running = events.processor().start().await.expect("a processor starts");
    wait_until_handled(&events, LIMIT).await;
    running.shutdown().await.expect("the processor stops");

    for parcel in PARCELS {
        let expected: Vec<_> =
            (1..=STEPS).flat_map(|step| std::iter::repeat_n(step, 1 + usize::from(fails(parcel, step)))).collect();
        assert_eq!(stage.steps("ledger", parcel), expected, "the attempts for {parcel}");
    }
    check_effects(&suite).await;
}

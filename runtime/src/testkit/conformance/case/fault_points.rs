//! 10 and 11: killed by `SIGKILL` at every step that must not tear; then the sum of what happened must be right.
//!
//! Each case is one fault point: a child that appends, delivers, retries, redrives and shuts down dies there; this
//! process then finishes what it left, and the books are checked.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    store::record::DeadReason,
    testkit::{
        conformance::{
            StoreHarness,
            journal::{check_order, handled},
            role::{Role, everybody, finish, ups_and_downs},
            suite::{LIMIT, Need, Suite, log, runtime_on},
        },
        wait_until_settled,
    },
};

/// A point, and which time it is passed the process dies.
async fn killed_at<H: StoreHarness>(suite: Suite<H>, needs: &[Need], fault: &str) {
    if suite.lacks(Need::SeveralProcesses) || needs.iter().any(|need| suite.lacks(*need)) {
        return;
    }
    suite.child(Role::Everything, Some(fault)).dies_killed(fault).await;
    let journal = suite.journal_path();
    let stage = suite.journalled(ups_and_downs(&journal));
    let store = suite.harness.open().await;
    let events = runtime_on(store, &stage, &everybody::<H>(), |builder| builder);
    let running = events.processor().start().await.expect("a processor starts after the crash");
    finish(&events, &journal).await;
    let dead = wait_until_settled(&events, LIMIT).await;
    running.shutdown().await.expect("the processor stops");

    let interrupted: BTreeSet<_> = dead
        .iter()
        .map(|letter| {
            let step = crate::testkit::conformance::suite::step_of(&letter.envelope);
            assert_eq!(letter.reason, DeadReason::Interrupted, "a dead letter nobody expected: {letter:?}");
            (letter.envelope.meta.aggregate_id.to_string(), step)
        })
        .collect();
    check_books(&suite, &interrupted).await;
}

/// Log, business writes and effects against what was written down on the way.
pub(super) async fn check_books<H: StoreHarness>(suite: &Suite<H>, interrupted: &BTreeSet<(String, u64)>) {
    let journal = suite.journal();
    let written = |what: &str| -> BTreeSet<_> {
        let of = journal.iter().filter(|entry| entry.what == what);
        of.map(|entry| (entry.aggregate.clone(), entry.step)).collect()
    };
    let log = log(&suite.harness.open().await).await;
    let committed: BTreeSet<_> = log.iter().cloned().collect();
    assert_eq!(committed.len(), log.len(), "an event is in the log twice: {log:?}");
    assert!(written("committed").is_subset(&committed), "a confirmed event is not in the log: {log:?}");
    assert!(committed.is_subset(&written("commit")), "the log holds what nobody wrote: {log:?}");
    let mut steps = BTreeMap::<_, u64>::new();
    for (parcel, step) in &log {
        let last = steps.entry(parcel).or_default();
        assert_eq!(*step, *last + 1, "the log of {parcel} has a gap or another order: {log:?}");
        *last = *step;
    }

    // At least once, for every plain handler that took part; in order, but for the one that was redriven.
    for handler in ["first", "second", "patient"] {
        let handled = handled(&journal, handler);
        if handled.is_empty() && handler != "first" {
            continue;
        }
        let missing: Vec<_> = committed.iter().filter(|event| !handled.contains_key(*event)).collect();
        assert!(missing.is_empty(), "`{handler}` never handled {missing:?}");
        let foreign: Vec<_> = handled.keys().filter(|event| !committed.contains(*event)).collect();
        assert!(foreign.is_empty(), "`{handler}` handled what was never committed: {foreign:?}");
        if handler != "second" {
            check_order(&journal, handler, &BTreeSet::new());
        }
    }

    // At most once for `once`: done, or interrupted and left to a person.
    let begun = journal.iter().filter(|entry| entry.handler == "once" && entry.what == "begin");
    let mut attempts = BTreeMap::<_, usize>::new();
    begun.for_each(|entry| *attempts.entry((entry.aggregate.clone(), entry.step)).or_default() += 1);
    let again: Vec<_> = attempts.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "`once` saw events again: {again:?}");
    let done = handled(&journal, "once");
    if !attempts.is_empty() {
        let lost: Vec<_> =
            committed.iter().filter(|event| !done.contains_key(*event) && !interrupted.contains(*event)).collect();
        assert!(lost.is_empty(), "`once` neither handled nor gave up {lost:?}");
        check_order(&journal, "once", interrupted);
    }

    // Exactly once in the database: the business write beside each event, and the transactional handler's effect.
    if suite.capabilities.transactional {
        let effects = suite.harness.effects().await;
        for kind in ["business", "ledger"] {
            let of_kind: Vec<_> = effects.iter().filter_map(|effect| parse(effect, kind)).collect();
            let mut sorted = of_kind.clone();
            sorted.sort();
            let expected: Vec<_> = committed.iter().cloned().collect();
            assert_eq!(sorted, expected, "the `{kind}` effects, which must be exactly one for each committed event");
            let mut last = BTreeMap::<_, u64>::new();
            for (parcel, step) in of_kind {
                let before = last.insert(parcel.clone(), step).unwrap_or(0);
                assert!(before < step, "the `{kind}` effects of {parcel} are out of order: {effects:?}");
            }
        }
    }
}

fn parse(effect: &str, kind: &str) -> Option<(String, u64)> {
    let mut words = effect.split(' ');
    if words.next()? != kind {
        return None;
    }
    Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
}

macro_rules! fault_points {
    ($($(#[$doc:meta])+ $case:ident, $fault:literal $(, $need:ident)?;)+) => {$(
        $(#[$doc])+
        pub async fn $case<H: StoreHarness>(suite: Suite<H>) {
            killed_at(suite, &[$(Need::$need)?], $fault).await;
        }
    )+};
}

fault_points! {
    /// Neither the business write nor the event is there.
    case_11_killed_before_an_append_commits, "append.before_commit:5";
    /// Both are there, and delivered by whoever comes next.
    case_11_killed_after_an_append_committed, "append.after_commit:5";
    /// The lease runs out.
    case_11_killed_after_a_claim, "claim.after:2";
    /// The delivery is made by the next holder.
    case_11_killed_before_a_delivery, "deliver.before:5";
    /// A plain handler's delivery may be made again; `once` and transactional ones are not.
    case_11_killed_after_a_delivery, "deliver.after:5";
    /// The handler's writes are not there; they are made again.
    case_11_killed_before_a_handlers_transaction_commits, "transaction.before_commit:2", Transactions;
    /// The handler's writes are there; they are not made again.
    case_11_killed_after_a_handlers_transaction_committed, "transaction.after_commit:2", Transactions;
    /// Whether its effect happened is not known: a dead letter says so.
    case_11_killed_after_a_once_mark, "once.claimed:2";
    /// What was done since the last checkpoint may be done again.
    case_11_killed_before_a_checkpoint, "checkpoint.before:3";
    /// Nothing is done again that was written.
    case_11_killed_after_a_checkpoint, "checkpoint.after:3";
    /// The retry is made by the next holder.
    case_11_killed_before_a_retry, "retry.before";
    /// The redriven delivery is made by the next holder.
    case_11_killed_after_a_redrive, "redrive.after";
    /// The leases run out.
    case_11_killed_before_a_release, "release.before";
    /// The same for its second effect: there once, whether its process was killed before or after the commit.
    case_10_a_killed_transactional_handler_has_its_effect_once, "transaction.after_commit", Transactions;
}

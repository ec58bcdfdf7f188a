//! 9: an event that takes its process down, again and again, is found and given up.

use crate::{
    store::{DeadLetterStore, record::DeadReason},
    testkit::conformance::{
        StoreHarness, cast,
        journal::handled,
        role::{POISON, Role},
        suite::{Need, Suite, calm, commit},
    },
};

/// A supervisor starts the process again until it stays up: then the one guilty delivery is a dead letter with the
/// attempts that `max_attempts` allows, and its neighbours in the same batch are handled.
pub async fn case_09_an_event_that_kills_its_process_is_given_up<H: StoreHarness>(suite: Suite<H>) {
    if suite.lacks(Need::SeveralProcesses) {
        return;
    }
    let max_attempts = cast::FIRST.options.max_attempts;
    let events = suite.runtime(&calm(), &[]).await;
    for step in 1..=3 {
        for parcel in ["p1", "p2", "p3"] {
            commit(&events, parcel, [step]).await;
        }
    }
    let mut crashes = 0;
    while !suite.child(Role::Poison, None).survives().await {
        crashes += 1;
        // The first crash tells nobody which event it was; from then on each one counts.
        assert!(crashes <= max_attempts + 1, "after {crashes} crashes the guilty event is still delivered");
    }
    assert!(crashes >= max_attempts, "given up after {crashes} crashes, before {max_attempts} attempts were made");

    let dead = events.store().dead_letters(None, 10).await.expect("the store answers");
    let guilty: Vec<_> = dead
        .iter()
        .map(|letter| {
            let step = crate::testkit::conformance::suite::step_of(&letter.envelope);
            (letter.envelope.meta.aggregate_id.as_str(), step, letter.reason, letter.attempts)
        })
        .collect();
    assert_eq!(guilty, [(POISON.0, POISON.1, DeadReason::Crashed, max_attempts)], "the dead letters: {dead:?}");

    let handled = handled(&suite.journal(), "first");
    for parcel in ["p1", "p2", "p3"] {
        for step in (1..=3).filter(|step| (parcel, *step) != POISON) {
            assert!(handled.contains_key(&(parcel.to_owned(), step)), "the neighbour {parcel}/{step} was not handled");
        }
    }
}

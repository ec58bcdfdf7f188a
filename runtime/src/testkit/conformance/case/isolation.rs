//! 6 and 7: one handler's failure is its own affair, and order holds through it.

use crate::{
    store::{DeadLetterStore, record::DeadReason},
    testkit::{
        conformance::{
            StoreHarness, cast,
            stage::Act,
            suite::{LIMIT, Suite, commit, stage, step_of, until_true},
        },
        wait_until_handled, wait_until_settled,
    },
};

/// Of three handlers one fails always: the others are through at once, its own deliveries are retried, then dead.
pub async fn case_06_a_failing_handler_stands_alone<H: StoreHarness>(suite: Suite<H>) {
    let stage = stage(|seen| if seen.handler == "second" { Act::Fail("always") } else { Act::Done });
    let events = suite.runtime(&stage, &[&cast::FIRST, &cast::SECOND, &cast::THIRD]).await;
    let running = events.processor().start().await.expect("a processor starts");
    for parcel in ["p1", "p2"] {
        commit(&events, parcel, 1..=2).await;
    }
    let dead = wait_until_settled(&events, LIMIT).await;
    for handler in ["first", "third"] {
        for parcel in ["p1", "p2"] {
            assert_eq!(stage.steps(handler, parcel), [1, 2], "the attempts of `{handler}` for {parcel}");
        }
    }
    for parcel in ["p1", "p2"] {
        assert_eq!(stage.steps("second", parcel), [1, 1, 1, 2, 2, 2], "three attempts each, in order, for {parcel}");
    }
    let of = |letter: &crate::store::record::DeadLetter| {
        (letter.handler.to_string(), letter.reason, letter.attempts, letter.error.clone())
    };
    let expected = (cast::full("second"), DeadReason::AttemptsUsedUp, 3, "always".to_owned());
    assert_eq!(dead.iter().map(of).collect::<Vec<_>>(), vec![expected; 4], "the dead letters");

    let parked = events.store().parked(&cast::full("second"), 10).await.expect("the store answers");
    assert_eq!(parked, [], "with `on_dead = continue`, nothing waits behind a dead letter");
    running.shutdown().await.expect("the processor stops");
}

/// What a handler may do beside failing: panic, give up, say that nothing is to be done. Each comes to its own end, the
/// aggregate goes on, and of a transactional handler's writes only those of the attempt that succeeded are there.
pub async fn case_06_each_way_to_fail_has_its_own_end<H: StoreHarness>(suite: Suite<H>) {
    let stage = stage(|seen| match (seen.aggregate.as_str(), seen.step, seen.attempt) {
        ("panics", 1, 1) => Act::Panic("on purpose"),
        ("panics", 2, _) => Act::Panic("always"),
        ("gives-up", 1, _) => Act::Permanent("no such address"),
        ("declines", 1, _) => Act::Discard("the account is closed"),
        _ => Act::Done,
    });
    let handlers: Vec<_> = [&cast::FIRST].into_iter().chain(H::ledger()).collect();
    let events = suite.runtime(&stage, &handlers).await;
    for parcel in ["panics", "gives-up", "declines", "calm"] {
        commit(&events, parcel, 1..=3).await;
    }
    let running = events.processor().start().await.expect("a processor starts");
    let dead = wait_until_settled(&events, LIMIT).await;
    running.shutdown().await.expect("the processor stops");

    for handler in handlers.iter().map(|handler| handler.name) {
        assert_eq!(stage.steps(handler, "panics"), [1, 1, 2, 2, 2, 3], "the attempts of `{handler}`");
        for parcel in ["gives-up", "declines", "calm"] {
            assert_eq!(stage.steps(handler, parcel), [1, 2, 3], "the attempts of `{handler}` for {parcel}");
        }
        let of_handler = dead.iter().filter(|letter| *letter.handler == *cast::full(handler));
        let mut ends: Vec<_> = of_handler
            .map(|letter| {
                let meta = &letter.envelope.meta;
                (meta.aggregate_id.to_string(), step_of(&letter.envelope), letter.reason, letter.error.clone())
            })
            .collect();
        ends.sort_by(|one, other| one.0.cmp(&other.0));
        let expected = [
            ("gives-up".to_owned(), 1, DeadReason::Permanent, "no such address".to_owned()),
            ("panics".to_owned(), 2, DeadReason::AttemptsUsedUp, "the handler panicked: always".to_owned()),
        ];
        assert_eq!(ends, expected, "the dead letters of `{handler}`");
    }
    if suite.capabilities.transactional {
        let mut effects = suite.harness.effects().await;
        effects.sort();
        let kept = ["calm 1", "calm 2", "calm 3", "declines 2", "declines 3", "gives-up 2", "gives-up 3", "panics 1"];
        let expected: Vec<_> = kept.iter().chain(&["panics 3"]).map(|kept| format!("ledger {kept}")).collect();
        assert_eq!(effects, expected, "the writes of the transactional handler");
    }
}

/// Events 1..5, of which 2 fails twice: 1, 2, 2, 2, 3, 4, 5; another aggregate is through before that.
pub async fn case_07_order_holds_through_retries<H: StoreHarness>(suite: Suite<H>) {
    let stage = stage(|seen| match (seen.aggregate.as_str(), seen.step, seen.attempt) {
        ("slow", 2, 1..=2) => Act::RetryAfter(std::time::Duration::from_millis(300), "not yet"),
        _ => Act::Done,
    });
    let events = suite.runtime(&stage, &[&cast::FIRST]).await;
    for step in 1..=5 {
        commit(&events, "slow", [step]).await;
        commit(&events, "quick", [step]).await;
    }
    let running = events.processor().start().await.expect("a processor starts");
    until_true("the other aggregate is through", || stage.done("first", "quick").len() == 5).await;
    let slow = stage.done("first", "slow");
    assert_eq!(slow, [1], "`quick` was held up by the retries of `slow`: seen {:?}", stage.seen());
    wait_until_handled(&events, LIMIT).await;
    assert_eq!(stage.steps("first", "slow"), [1, 2, 2, 2, 3, 4, 5], "the attempts");
    let waits: Vec<_> = stage.seen().into_iter().filter(|seen| seen.aggregate == "slow" && seen.step == 2).collect();
    for pair in waits.windows(2) {
        let wait = pair[1].at - pair[0].at;
        assert!(
            wait >= std::time::Duration::from_millis(295),
            "an attempt came {wait:?} after the one before, too early"
        );
    }
    assert_eq!(waits.iter().map(|seen| seen.attempt).collect::<Vec<_>>(), [1, 2, 3], "attempts are counted");
    running.shutdown().await.expect("the processor stops");
}

//! The test kit itself: what its failures say.

use std::{panic::catch_unwind, time::Duration};

use domain_events::{assert_not_raised, assert_raised, handler, prelude::*, testkit};

use crate::library::{Card, CardAddedToLibraryEvent, CardRemovedFromLibraryEvent, Diary, add, library, settle};

/// What a failing assertion says.
fn failure(assertion: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let panic = catch_unwind(assertion).expect_err("the assertion must fail");
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

fn added() -> Card {
    let mut card = Card::new("c1");
    card.add_to_library("alice");
    card
}

#[test]
fn assertions_take_types_patterns_and_guards() {
    let card = added();
    let alice = "alice".to_owned();
    assert_raised!(card, CardAddedToLibraryEvent);
    assert_raised!(card, CardAddedToLibraryEvent { curator_id, .. } if *curator_id == alice);
    assert_raised!(card, CardAddedToLibraryEvent { .. });
    assert_not_raised!(card, CardRemovedFromLibraryEvent);
    assert_not_raised!(card, CardAddedToLibraryEvent { curator_id, .. } if curator_id == "bob");
}

#[test]
fn a_failing_assertion_lists_what_was_raised() {
    let missing = failure(|| assert_raised!(added(), CardRemovedFromLibraryEvent));
    assert_eq!(
        missing,
        "Card `c1` did not raise `CardRemovedFromLibraryEvent`; what was raised:\n  \
         1. CardAddedToLibraryEvent {\"card_id\":\"c1\",\"curator_id\":\"alice\"}"
    );
    let unwanted =
        failure(|| assert_not_raised!(added(), CardAddedToLibraryEvent { curator_id, .. } if curator_id == "alice"));
    assert!(unwanted.starts_with("Card `c1` raised `CardAddedToLibraryEvent"), "{unwanted}");
    let nothing = failure(|| assert_raised!(Card::new("c1"), CardAddedToLibraryEvent));
    assert!(nothing.ends_with("nothing was raised"), "{nothing}");
}

#[test]
fn a_failing_scenario_says_what_came_instead() {
    let other = failure(|| {
        let outcome = testkit::given(Card::new("c1")).when(|card| card.add_to_library("alice"));
        drop(outcome.then_raised::<CardRemovedFromLibraryEvent>(|_| ()));
    });
    assert!(other.contains("expected `CardRemovedFromLibraryEvent` next"), "{other}");
    assert!(other.contains("CardAddedToLibraryEvent {\"card_id\":\"c1\""), "{other}");

    let failed = failure(|| {
        let outcome = testkit::given(Card::new("c1")).when(|_| Err::<(), _>("sold out"));
        drop(outcome.then_raised::<CardAddedToLibraryEvent>(|_| ()));
    });
    assert!(failed.contains("nothing more was raised; the operation failed: \"sold out\""), "{failed}");

    let more =
        failure(|| drop(testkit::given(Card::new("c1")).when(|card| card.add_to_library("alice")).then_nothing()));
    assert!(more.contains("expected nothing (more)"), "{more}");
    let succeeded = failure(|| {
        drop(testkit::given(Card::new("c1")).when(|_| Ok::<_, String>(())).then_error(|_| ()));
    });
    assert!(succeeded.contains("expected an error, but the operation succeeded"), "{succeeded}");
}

#[test]
fn what_was_raised_before_is_history() {
    testkit::given(added())
        .when(|card| card.remove_from_library("alice"))
        .then_raised::<CardRemovedFromLibraryEvent>(|event| assert_eq!(event.curator_id, "alice"))
        .then_nothing();
}

#[tokio::test]
async fn waiting_in_vain_names_the_handler_and_the_cause() {
    let events = library(&Diary::new(), &[handler!(crate::library::index)]);
    add(&events, "c1", &["alice"]).await;
    let message = testkit::try_wait_until_handled(&events, Duration::ZERO).await.unwrap_err().to_string();
    assert!(message.contains("handler `search.index`: no processor has run it yet"), "{message}");

    assert!(settle(&events).await.is_empty());
    add(&events, "c1", &["bob"]).await;
    let message = testkit::try_wait_until_handled(&events, Duration::ZERO).await.unwrap_err().to_string();
    assert!(message.contains("run by nobody") && message.contains("1 event behind"), "{message}");
    assert!(message.contains("is a processor running"), "{message}");
}

#[tokio::test]
async fn a_dead_letter_ends_the_wait_at_once() {
    let diary = Diary::with_rule(|_, _| Err(HandlerError::permanent("the index is full")));
    let events = library(&diary, &[handler!(crate::library::index)]);
    let running = events.processor().start().await.unwrap();
    add(&events, "c1", &["alice"]).await;
    let begun = std::time::Instant::now();
    let message = testkit::try_wait_until_handled(&events, Duration::from_secs(60)).await.unwrap_err().to_string();
    assert!(begun.elapsed() < Duration::from_secs(30), "it waited on");
    for part in ["dead letter CardAddedToLibraryEvent of Card `c1`", "permanent", "1 attempt:", "the index is full"] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    running.shutdown().await.unwrap();
}

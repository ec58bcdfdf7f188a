//! What each kind of failure comes to.

use std::time::Duration;

use domain_events::{handler, prelude::*, store::record::DeadReason};

use crate::library::{Diary, LIMIT, add, library, settle};

#[tokio::test]
async fn a_failing_handler_parks_only_its_own_aggregate() {
    let diary = Diary::with_rule(|line, attempt| match line {
        "index c1 alice" if attempt < 3 => Err("not yet".into()),
        _ => Ok(()),
    });
    let events = library(&diary, &[handler!(crate::library::index), handler!(crate::library::notify)]);
    for curator in ["alice", "bob"] {
        for card in ["c1", "c2"] {
            add(&events, card, &[curator]).await;
        }
    }
    assert!(settle(&events).await.is_empty(), "the third attempt succeeded");
    assert_eq!(diary.of("notify").len(), 4, "the other handler: {:?}", diary.lines());
    let (c1, c2): (Vec<_>, Vec<_>) = diary.of("index").into_iter().partition(|line| line.starts_with("c1"));
    assert_eq!(c2, ["c2 alice", "c2 bob"], "the other aggregate");
    assert_eq!(c1, ["c1 alice", "c1 alice", "c1 alice", "c1 bob"], "its own aggregate, in order");
    let lines = diary.of("index");
    let last = |text: &str| lines.iter().rposition(|line| line == text).unwrap();
    assert!(last("c2 bob") < last("c1 alice"), "the other aggregate waited for the retries: {lines:?}");
}

#[tokio::test]
async fn attempts_that_are_used_up_make_a_dead_letter_and_the_aggregate_goes_on() {
    let diary = Diary::with_rule(|line, _| if line == "index c1 alice" { Err("never".into()) } else { Ok(()) });
    let events = library(&diary, &[handler!(crate::library::index)]);
    add(&events, "c1", &["alice", "bob"]).await;
    let dead = settle(&events).await;
    assert_eq!(diary.of("index"), ["c1 alice", "c1 alice", "c1 alice", "c1 bob"]);
    assert_eq!(dead.len(), 1);
    let letter = &dead[0];
    assert_eq!((&*letter.handler, letter.attempts, letter.reason), ("search.index", 3, DeadReason::AttemptsUsedUp));
    assert_eq!(letter.error, "never");
    assert_eq!(letter.envelope.payload, br#"{"card_id":"c1","curator_id":"alice"}"#, "the payload is kept untouched");
}

#[tokio::test]
async fn a_permanent_error_is_a_dead_letter_at_once() {
    let diary = Diary::with_rule(|_, _| Err(HandlerError::permanent("the address does not exist")));
    let events = library(&diary, &[handler!(crate::library::index)]);
    add(&events, "c1", &["alice"]).await;
    let dead = settle(&events).await;
    assert_eq!(diary.of("index").len(), 1, "it was tried again");
    assert_eq!((dead[0].attempts, dead[0].reason), (1, DeadReason::Permanent));
}

#[tokio::test]
async fn a_discarded_delivery_is_done() {
    let diary = Diary::with_rule(|_, _| Err(HandlerError::discard("the account is closed")));
    let events = library(&diary, &[handler!(crate::library::index)]);
    add(&events, "c1", &["alice", "bob"]).await;
    assert!(settle(&events).await.is_empty(), "what is discarded is no dead letter");
    assert_eq!(diary.of("index"), ["c1 alice", "c1 bob"], "each once");
}

#[tokio::test]
async fn retry_after_is_kept_to() {
    let wait = Duration::from_millis(250);
    let diary =
        Diary::with_rule(
            move |_, attempt| {
                if attempt == 1 { Err(HandlerError::retry_after(wait, "too many requests")) } else { Ok(()) }
            },
        );
    let events = library(&diary, &[handler!(crate::library::index)]);
    let begun = std::time::Instant::now();
    add(&events, "c1", &["alice"]).await;
    assert!(settle(&events).await.is_empty());
    assert!(begun.elapsed() >= wait, "tried again after {:?} already", begun.elapsed());
    assert_eq!(diary.of("index").len(), 2);
}

#[tokio::test]
async fn a_panic_is_an_error_like_any_other() {
    let diary = Diary::with_rule(|line, _| if line.ends_with("bomb") { panic!("boom") } else { Ok(()) });
    let events = library(&diary, &[handler!(crate::library::index), handler!(crate::library::notify)]);
    diary.set_rule(|line, _| if line == "index c1 bomb" { panic!("boom") } else { Ok(()) });
    add(&events, "c1", &["bomb", "bob"]).await;
    let dead = settle(&events).await;
    assert_eq!(dead[0].error, "the handler panicked: boom");
    assert_eq!(diary.of("index"), ["c1 bomb", "c1 bomb", "c1 bomb", "c1 bob"]);
    assert_eq!(diary.of("notify"), ["c1 bomb", "c1 bob"]);
}

#[tokio::test]
async fn an_attempt_past_its_timeout_is_an_error_like_any_other() {
    let diary = Diary::new();
    let events = library(&diary, &[handler!(crate::library::index)]);
    add(&events, "c1", &["sleeper", "bob"]).await;
    let dead = settle(&events).await;
    assert_eq!(dead[0].error, "the handler ran longer than its timeout of 300ms");
    assert_eq!(diary.of("index").last().map(String::as_str), Some("c1 bob"));
    assert!(LIMIT > Duration::from_secs(1), "three attempts of 300 ms fit into the limit");
}

#[tokio::test]
async fn retries_follow_a_clock_that_the_test_turns() {
    let diary = Diary::with_rule(|_, attempt| {
        if attempt == 1 { Err(HandlerError::retry_after(Duration::from_secs(3600), "tomorrow")) } else { Ok(()) }
    });
    let clock = domain_events::Clock::manual("2026-01-31T12:00:00Z".parse().unwrap());
    let store = domain_events::MemoryStore::new();
    let events =
        crate::library::on(store, &diary, &[handler!(crate::library::index)]).clock(clock.clone()).build().unwrap();
    let running = events.processor().start().await.unwrap();
    add(&events, "c1", &["alice"]).await;
    crate::library::until("the first attempt was made", || diary.of("index").len() == 1).await;
    clock.advance(Duration::from_secs(3599));
    let missing = domain_events::testkit::try_wait_until_handled(&events, Duration::from_millis(200)).await;
    let missing = missing.expect_err("it is not due yet").to_string();
    assert!(missing.contains("tomorrow") && missing.contains("1 attempt,"), "{missing}");
    clock.advance(Duration::from_secs(2));
    domain_events::testkit::wait_until_handled(&events, LIMIT).await;
    assert_eq!(diary.of("index").len(), 2);
    running.shutdown().await.unwrap();
}

//! In-process dispatch, without the log.

use domain_events::{handler, prelude::*, testkit};

use crate::library::{Card, Diary, library};

#[tokio::test]
async fn dispatch_reports_what_each_handler_did() {
    let diary = Diary::with_rule(|line, _| if line.starts_with("index") { Err("away".into()) } else { Ok(()) });
    let events = library(
        &diary,
        &[handler!(crate::library::index), handler!(crate::library::notify), handler!(crate::library::Statistics)],
    );
    let mut card = Card::new("c1");
    card.add_to_library("alice");
    card.remove_from_library("alice");

    let report = events.dispatch(&mut card).await;
    assert!(!report.is_ok());
    assert_eq!((report.handled(), report.failures().count()), (2, 1));
    assert_eq!(
        report.to_string(),
        "notifications.notify <- CardAddedToLibraryEvent: handled\n\
         search.index <- CardAddedToLibraryEvent: away\n\
         statistics.Statistics <- CardAddedToLibraryEvent: handled"
    );
    assert_eq!(diary.of("notify"), ["c1 alice"], "one handler's failure stopped another");
    assert!(card.pending_events().is_empty(), "what was dispatched is not pending");
    assert!(testkit::recorded_envelopes(&events).await.is_empty(), "dispatch writes nothing");
}

#[tokio::test]
async fn dispatch_catches_panics_and_time_limits() {
    let diary = Diary::with_rule(|line, _| if line.ends_with("bomb") { panic!("boom") } else { Ok(()) });
    let events = library(&diary, &[handler!(crate::library::index)]);
    let mut card = Card::new("c1");
    card.add_to_library("bomb");
    card.add_to_library("sleeper");
    let report = events.dispatch(&mut card).await;
    let errors: Vec<_> = report.failures().map(|failure| failure.error.unwrap().to_string()).collect();
    assert_eq!(errors, ["the handler panicked: boom", "the handler ran longer than its timeout of 300ms"]);
}

#[tokio::test]
async fn what_a_handler_discards_is_no_failure() {
    let diary = Diary::with_rule(|_, _| Err(HandlerError::discard("nobody cares")));
    let events = library(&diary, &[handler!(crate::library::index)]);
    let mut card = Card::new("c1");
    card.add_to_library("alice");
    assert!(events.dispatch(&mut card).await.is_ok());
}

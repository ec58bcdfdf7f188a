//! What start-up says: everything that is wrong at once, each with its next step; and what it found, in `describe()`.

use std::time::Duration;

use domain_events::{DomainEvents, ErrorKind, handler, prelude::*};

use crate::library::{CardAddedToLibraryEvent, Diary, library};

trait Mailer: Send + Sync {}
trait Printer: Send + Sync {}

#[event_handler(CardAddedToLibraryEvent, group = "startup")]
async fn needs_much(_: &CardAddedToLibraryEvent, mailer: Service<dyn Mailer>, printer: Service<dyn Printer>) {
    drop((mailer, printer));
}

#[event_handler(CardAddedToLibraryEvent, group = "startup", name = "same")]
async fn one(_: &CardAddedToLibraryEvent) {}

#[event_handler(CardAddedToLibraryEvent, group = "startup", name = "same")]
async fn other(_: &CardAddedToLibraryEvent) {}

#[event_handler(CardAddedToLibraryEvent, group = "startup")]
async fn transactional(_: &CardAddedToLibraryEvent, tx: &mut sqlx::SqliteConnection) {
    let _ = tx;
}

#[test]
fn every_problem_is_listed_at_once_with_its_next_step() {
    let error = DomainEvents::builder()
        .without_linked()
        .handler(handler!(needs_much))
        .handler(handler!(one))
        .handler(handler!(other))
        .handler(handler!(transactional))
        .batch(0)
        .sweep(Duration::ZERO)
        .lease(Duration::from_millis(1))
        .build()
        .expect_err("there is much wrong with it");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let text = error.to_string();
    for part in [
        "there are 7 problems",
        "handler `startup.needs_much` needs `dyn Mailer`",
        "add `.with::<dyn Mailer>(..)` to Services",
        "handler `startup.needs_much` needs `dyn Printer`",
        "2 handlers are named `startup.same`",
        "handler `startup.transactional` takes `&mut SqliteConnection`, but the store `memory`",
        "batch: 0 is out of range",
        "sweep: with no time in between",
        "lease: 1ms is too short",
        "startup.rs:",
    ] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

#[test]
fn a_name_that_is_also_an_alias_is_a_problem() {
    let diary = Diary::new();
    let error = crate::library::on(
        domain_events::MemoryStore::new(),
        &diary,
        &[handler!(crate::library::notify), handler!(crate::library::write_letter)],
    )
    .build()
    .expect_err("both would own one position");
    assert!(error.to_string().contains("2 handlers are named `notifications.notify`"), "{error}");
}

#[test]
fn warnings_do_not_stop_it() {
    let events = library(&Diary::new(), &[handler!(crate::library::index)]);
    let warnings = events.warnings().join("\n");
    assert!(warnings.contains("nobody handles event `CardRemovedFromLibraryEvent`"), "{warnings}");
    assert!(!warnings.contains("`CardAddedToLibraryEvent`"), "{warnings}");
}

#[test]
fn describe_prints_the_whole_wiring() {
    let events = library(&Diary::new(), &[handler!(crate::library::Statistics), handler!(crate::library::index)]);
    let expected = "\
2 events, 2 handlers, store: memory

event CardAddedToLibraryEvent v1 of Card (flow::library)
  -> search.index
  -> statistics.Statistics

event CardRemovedFromLibraryEvent v1 of Card (flow::library)
  nobody handles it

group search
  search.index (flow::library): 3 attempts, timeout 300ms, backoff 5ms..20ms, concurrency 16

group statistics
  statistics.Statistics (flow::library): 10 attempts, timeout 60s, backoff 1s..300s, concurrency 16
";
    assert_eq!(events.describe(), expected);
}

//! A program with `unlinked-module` in its `Cargo.toml` that never names it: the linker drops the crate, and its handlers
//! with it. No code in this file may name it, or the test proves nothing.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use domain_events::{DomainEvents, ErrorKind, modules, prelude::*};

#[aggregate_root]
struct Card {
    #[aggregate(id)]
    id: String,
    events: PendingEvents,
}

#[derive(Debug, DomainEvent)]
#[event(aggregate = Card)]
struct CardPrintedEvent {
    #[event(aggregate_id)]
    card_id: String,
}

#[event_handler(CardPrintedEvent)]
async fn file_away(_: &CardPrintedEvent) {}

#[test]
fn handlers_of_a_crate_that_nobody_names_are_absent() {
    let description = DomainEvents::builder().build().unwrap().describe();
    assert!(description.contains("linking_unnamed.file_away"), "its own handler:\n{description}");
    assert!(!description.contains("fill_the_shelf"), "the linker has learnt to keep them:\n{description}");
    assert!(description.starts_with("1 events, 1 handlers"), "{description}");
}

#[test]
fn a_crate_that_is_expected_and_not_linked_in_stops_the_start() {
    let modules = modules![].expect("unlinked_module");
    let error = DomainEvents::builder().modules(modules).build().expect_err("it is not linked in");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    for part in ["module `unlinked_module` registered no event", "the linker drops", "use unlinked_module as _;"] {
        assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
    }
}

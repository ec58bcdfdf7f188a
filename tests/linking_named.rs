//! A program that names `unlinked-module`, and nothing else of it: its handlers are there.
#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use domain_events::{DomainEvents, modules};

#[test]
fn a_crate_in_the_list_of_modules_is_linked_in() {
    let events = DomainEvents::builder().modules(modules![unlinked_module]).build().unwrap();
    let description = events.describe();
    assert!(description.contains("event ShelfBuiltEvent v1 of Shelf (unlinked_module)"), "{description}");
    assert!(description.contains("-> unlinked_module.fill_the_shelf"), "{description}");
}

#[test]
fn a_crate_that_is_linked_in_and_not_listed_stops_the_start() {
    let error = DomainEvents::builder().modules(modules![]).build().expect_err("it is not in the list");
    for part in ["crate `unlinked_module` registers events or handlers", "modules![.., unlinked_module]"] {
        assert!(error.to_string().contains(part), "`{part}` is not in: {error}");
    }
}

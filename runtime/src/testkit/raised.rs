//! `assert_raised!` and `assert_not_raised!`: what an aggregate has raised and not committed yet.

use crate::{
    aggregate::{AggregateRoot, PendingEvent},
    event::DomainEvent,
};

/// Asserts that an aggregate has raised an event that fits a pattern; on failure the message lists what it did raise.
///
/// The second argument is the event's type, or a pattern of it with an optional `if`; fields are bound by reference.
///
/// ```
/// use domain_events::{assert_raised, prelude::*};
///
/// #[derive(Debug, DomainEvent)]
/// #[event(aggregate = Card)]
/// struct CardAddedToLibraryEvent {
///     #[event(aggregate_id)]
///     card_id: String,
///     curator_id: String,
/// }
///
/// #[aggregate_root]
/// struct Card {
///     #[aggregate(id)]
///     id: String,
///     events: PendingEvents,
/// }
///
/// let mut card = Card { id: "c1".into(), events: PendingEvents::default() };
/// card.raise(CardAddedToLibraryEvent { card_id: "c1".into(), curator_id: "alice".into() });
///
/// assert_raised!(card, CardAddedToLibraryEvent);
/// assert_raised!(card, CardAddedToLibraryEvent { curator_id, .. } if curator_id == "alice");
/// ```
#[macro_export]
macro_rules! assert_raised {
    ($aggregate:expr, $event:path $(,)?) => {
        $crate::testkit::find(&$aggregate, $crate::testkit::of_type::<$event>, ::core::stringify!($event))
    };
    ($aggregate:expr, $pattern:pat $(if $guard:expr)? $(,)?) => {
        $crate::testkit::find(
            &$aggregate,
            #[allow(unreachable_patterns, unused_variables, reason = "a pattern may fit every event of its type")]
            |event: &_| match event {
                $pattern $(if $guard)? => true,
                _ => false,
            },
            ::core::stringify!($pattern $(if $guard)?),
        )
    };
}

/// Asserts that an aggregate has raised no event of a type, or none that fits a pattern of it.
///
/// ```
/// use domain_events::{assert_not_raised, prelude::*};
///
/// #[derive(Debug, DomainEvent)]
/// #[event(aggregate = Card)]
/// struct CardRemovedFromLibraryEvent {
///     #[event(aggregate_id)]
///     card_id: String,
///     curator_id: String,
/// }
///
/// #[aggregate_root]
/// struct Card {
///     #[aggregate(id)]
///     id: String,
///     events: PendingEvents,
/// }
///
/// let mut card = Card { id: "c1".into(), events: PendingEvents::default() };
/// assert_not_raised!(card, CardRemovedFromLibraryEvent);
///
/// card.raise(CardRemovedFromLibraryEvent { card_id: "c1".into(), curator_id: "alice".into() });
/// assert_not_raised!(card, CardRemovedFromLibraryEvent { curator_id, .. } if curator_id == "bob");
/// ```
#[macro_export]
macro_rules! assert_not_raised {
    ($aggregate:expr, $event:path $(,)?) => {
        $crate::testkit::none(&$aggregate, $crate::testkit::of_type::<$event>, ::core::stringify!($event))
    };
    ($aggregate:expr, $pattern:pat $(if $guard:expr)? $(,)?) => {
        $crate::testkit::none(
            &$aggregate,
            #[allow(unreachable_patterns, unused_variables, reason = "a pattern may fit every event of its type")]
            |event: &_| match event {
                $pattern $(if $guard)? => true,
                _ => false,
            },
            ::core::stringify!($pattern $(if $guard)?),
        )
    };
}

/// Called by `assert_raised!`: every event of the type will do.
#[doc(hidden)]
pub fn of_type<E: DomainEvent>(_: &E) -> bool {
    true
}

/// Called by `assert_raised!`.
#[doc(hidden)]
#[track_caller]
pub fn find<A: AggregateRoot, E: DomainEvent>(aggregate: &A, fits: impl Fn(&E) -> bool, wanted: &str) {
    let raised = aggregate.pending_events();
    if !raised.iter().filter_map(PendingEvent::downcast::<E>).any(fits) {
        panic!("{} `{}` did not raise `{wanted}`; {}", A::NAME, aggregate.aggregate_id(), list(&raised));
    }
}

/// Called by `assert_not_raised!`.
#[doc(hidden)]
#[track_caller]
pub fn none<A: AggregateRoot, E: DomainEvent>(aggregate: &A, fits: impl Fn(&E) -> bool, unwanted: &str) {
    let raised = aggregate.pending_events();
    if raised.iter().filter_map(PendingEvent::downcast::<E>).any(fits) {
        panic!("{} `{}` raised `{unwanted}`; {}", A::NAME, aggregate.aggregate_id(), list(&raised));
    }
}

/// What was raised, one event a line, each with its fields as they would be stored.
pub(super) fn list(raised: &[PendingEvent]) -> String {
    if raised.is_empty() {
        return "nothing was raised".to_owned();
    }
    let mut text = "what was raised:".to_owned();
    for (index, event) in raised.iter().enumerate() {
        text.push_str(&format!("\n  {}. {}", index + 1, one(event)));
    }
    text
}

/// An event's name and its fields; not every event is `Debug`, but every one has JSON.
pub(super) fn one(event: &PendingEvent) -> String {
    match event.envelope() {
        Ok(envelope) => format!("{} {}", event.name(), String::from_utf8_lossy(&envelope.payload)),
        Err(error) => format!("{} (can't be written as JSON: {error})", event.name()),
    }
}

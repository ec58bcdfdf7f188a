//! Given a state, when something is asked of it, then these events were raised: the test of an aggregate as a sentence.

use std::{collections::VecDeque, fmt::Debug};

use super::raised::{list, one};
use crate::{
    aggregate::{AggregateRoot, PendingEvent},
    event::DomainEvent,
};

/// Starts from an aggregate. What it raised on the way there is history, and forgotten.
///
/// ```
/// use domain_events::{prelude::*, testkit::given};
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
///     libraries: Vec<String>,
///     events: PendingEvents,
/// }
///
/// impl Card {
///     fn add_to_library(&mut self, curator: &str) -> Result<(), String> {
///         if self.libraries.iter().any(|known| known == curator) {
///             return Err("already in this library".into());
///         }
///         self.libraries.push(curator.into());
///         self.raise(CardAddedToLibraryEvent { card_id: self.id.clone(), curator_id: curator.into() });
///         Ok(())
///     }
/// }
///
/// let card = Card { id: "c1".into(), libraries: Vec::new(), events: PendingEvents::default() };
///
/// let card = given(card)
///     .when(|card| card.add_to_library("alice"))
///     .then_raised::<CardAddedToLibraryEvent>(|event| assert_eq!(event.curator_id, "alice"))
///     .then_nothing()
///     .into_aggregate();
///
/// given(card)
///     .when(|card| card.add_to_library("alice"))
///     .then_error(|error| assert_eq!(error, "already in this library"))
///     .then_nothing();
/// ```
pub fn given<A: AggregateRoot>(mut aggregate: A) -> Given<A> {
    aggregate.clear_events();
    Given { aggregate }
}

/// Starts from nothing: for what creates an aggregate.
///
/// ```
/// use domain_events::{prelude::*, testkit::when};
///
/// #[derive(Debug, DomainEvent)]
/// #[event(aggregate = Collection)]
/// struct CollectionCreatedEvent {
///     #[event(aggregate_id)]
///     collection_id: String,
/// }
///
/// #[aggregate_root]
/// struct Collection {
///     #[aggregate(id)]
///     id: String,
///     events: PendingEvents,
/// }
///
/// impl Collection {
///     fn create(id: &str) -> Self {
///         let mut collection = Self { id: id.into(), events: PendingEvents::default() };
///         collection.raise(CollectionCreatedEvent { collection_id: id.into() });
///         collection
///     }
/// }
///
/// when(|| Collection::create("reading-list"))
///     .then_raised::<CollectionCreatedEvent>(|event| assert_eq!(event.collection_id, "reading-list"))
///     .then_nothing();
/// ```
#[must_use = "a scenario without `then_..` checks nothing"]
pub fn when<A: AggregateRoot>(create: impl FnOnce() -> A) -> Outcome<A, ()> {
    Outcome::new(create(), ())
}

/// The state a scenario starts from. Made by [`given`].
#[derive(Debug)]
#[must_use = "a scenario without `when` and `then_..` checks nothing"]
pub struct Given<A> {
    aggregate: A,
}

impl<A: AggregateRoot> Given<A> {
    /// Asks something of the aggregate: see [`given`] for an example. The closure returns nothing, or a `Result`.
    #[must_use = "a scenario without `then_..` checks nothing"]
    pub fn when<R: Answer>(mut self, operation: impl FnOnce(&mut A) -> R) -> Outcome<A, R> {
        let answer = operation(&mut self.aggregate);
        Outcome::new(self.aggregate, answer)
    }
}

/// What an operation of an aggregate may return in [`Given::when`]: nothing, or a `Result`.
///
/// ```
/// use domain_events::testkit::Answer;
///
/// assert_eq!(().failure(), None);
/// assert_eq!(Err::<(), _>("sold out").failure().as_deref(), Some("\"sold out\""));
/// ```
#[diagnostic::on_unimplemented(
    message = "an operation in `when` can't return `{Self}`",
    label = "expected `()` or a `Result`",
    note = "to ignore what it returns, write `|aggregate| {{ aggregate.operation(); }}`"
)]
pub trait Answer {
    /// The error in words, where the operation failed.
    fn failure(&self) -> Option<String>;
}

impl Answer for () {
    fn failure(&self) -> Option<String> {
        None
    }
}

impl<T, E: Debug> Answer for Result<T, E> {
    fn failure(&self) -> Option<String> {
        self.as_ref().err().map(|error| format!("{error:?}"))
    }
}

/// What came of it: the `then_..` methods check, one event after the other, in the order they were raised.
#[derive(Debug)]
pub struct Outcome<A, R> {
    aggregate: A,
    answer: R,
    raised: Vec<PendingEvent>,
    unchecked: VecDeque<PendingEvent>,
}

impl<A: AggregateRoot, R: Answer> Outcome<A, R> {
    fn new(aggregate: A, answer: R) -> Self {
        let raised = aggregate.pending_events();
        let unchecked = raised.iter().cloned().collect();
        Self { aggregate, answer, raised, unchecked }
    }

    /// The next event is an `E`, and `check` finds nothing wrong with it: see [`given`] for an example.
    ///
    /// # Panics
    ///
    /// If it is not; the message lists what was raised, and the error if the operation failed.
    #[track_caller]
    pub fn then_raised<E: DomainEvent>(mut self, check: impl FnOnce(&E)) -> Self {
        let next = self.unchecked.pop_front();
        match next.as_ref().map(|event| (event, event.downcast::<E>())) {
            Some((_, Some(event))) => check(event),
            Some((other, None)) => {
                panic!("expected `{}` next, but it is {}{}", E::NAME, one(other), self.circumstances());
            }
            None => panic!("expected `{}`, but nothing more was raised{}", E::NAME, self.circumstances()),
        }
        self
    }

    /// No event was raised, or none beyond those checked before: see [`given`] for an example.
    ///
    /// # Panics
    ///
    /// If there is one; the message lists what was raised.
    #[track_caller]
    pub fn then_nothing(self) -> Self {
        if let Some(event) = self.unchecked.front() {
            panic!("expected nothing (more), but there is {}{}", one(event), self.circumstances());
        }
        self
    }

    /// The aggregate is as `check` wants it.
    ///
    /// ```
    /// # use domain_events::{prelude::*, testkit::given};
    /// # #[derive(Debug, DomainEvent)]
    /// # #[event(aggregate = Card)]
    /// # struct CardArchivedEvent { #[event(aggregate_id)] card_id: String }
    /// # #[aggregate_root]
    /// # struct Card { #[aggregate(id)] id: String, archived: bool, events: PendingEvents }
    /// # let card = Card { id: "c1".into(), archived: false, events: PendingEvents::default() };
    /// given(card).when(|card| card.archived = true).then_state(|card| assert!(card.archived));
    /// ```
    pub fn then_state(self, check: impl FnOnce(&A)) -> Self {
        check(&self.aggregate);
        self
    }

    /// The aggregate, to start the next scenario from.
    pub fn into_aggregate(self) -> A {
        self.aggregate
    }

    fn circumstances(&self) -> String {
        let failure = self.answer.failure().map(|error| format!("; the operation failed: {error}"));
        format!("{}; {}", failure.unwrap_or_default(), list(&self.raised))
    }
}

impl<A: AggregateRoot, T, E: Debug> Outcome<A, Result<T, E>> {
    /// The operation failed, and `check` finds nothing wrong with the error: see [`given`] for an example.
    ///
    /// # Panics
    ///
    /// If it succeeded; the message lists what was raised.
    #[track_caller]
    pub fn then_error(self, check: impl FnOnce(&E)) -> Self {
        match &self.answer {
            Err(error) => check(error),
            Ok(_) => panic!("expected an error, but the operation succeeded; {}", list(&self.raised)),
        }
        self
    }

    /// The operation succeeded. [`then_raised`](Self::then_raised) does not ask for it: an operation may raise an event
    /// and fail.
    ///
    /// ```
    /// # use domain_events::{prelude::*, testkit::given};
    /// # #[derive(Debug, DomainEvent)]
    /// # #[event(aggregate = Card)]
    /// # struct CardArchivedEvent { #[event(aggregate_id)] card_id: String }
    /// # #[aggregate_root]
    /// # struct Card { #[aggregate(id)] id: String, events: PendingEvents }
    /// # let card = Card { id: "c1".into(), events: PendingEvents::default() };
    /// given(card).when(|_| Ok::<_, String>(7)).then_ok(|value| assert_eq!(*value, 7));
    /// ```
    ///
    /// # Panics
    ///
    /// If it failed.
    #[track_caller]
    pub fn then_ok(self, check: impl FnOnce(&T)) -> Self {
        match &self.answer {
            Ok(value) => check(value),
            Err(error) => panic!("expected success, but the operation failed: {error:?}; {}", list(&self.raised)),
        }
        self
    }
}

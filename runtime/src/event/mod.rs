//! 1 · Something happened: the event, its definition, and the envelope it travels in.

#[doc(hidden)]
pub mod codec;
mod dead_reason;
mod definition;
mod envelope;
#[doc(hidden)]
pub mod fields;
mod id;
mod key;

pub use codec::PayloadError;
pub use dead_reason::DeadReason;
pub use definition::{AggregateDef, EventDef, Source};
pub use envelope::{Envelope, EventMeta};
pub use id::{AggregateId, EventId, ToAggregateId};
pub use key::{key_of, partition_of};

use std::any::Any;

use chrono::{DateTime, Utc};

/// An event whose type is known only to its [`EventDef`].
pub(crate) type AnyEvent = dyn Any + Send + Sync;

/// A fact of the domain, in the past tense, that never changes. Written by `#[derive(DomainEvent)]`.
///
/// ```
/// use domain_events::prelude::*;
///
/// #[aggregate_root]
/// struct Card {
///     #[aggregate(id)]
///     id: String,
///     events: PendingEvents,
/// }
///
/// /// A card was archived by its owner.
/// #[derive(Debug, DomainEvent)]
/// #[event(aggregate = Card)]
/// struct CardArchivedEvent {
///     #[event(aggregate_id)]
///     card_id: String,
/// }
///
/// assert_eq!(CardArchivedEvent::NAME, "CardArchivedEvent");
/// assert_eq!(CardArchivedEvent::VERSION, 1);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a domain event",
    label = "not a domain event",
    note = "annotate it with `#[derive(DomainEvent)]`"
)]
pub trait DomainEvent: Send + Sync + Sized + 'static {
    /// The aggregate root that raises this event.
    type Aggregate: AggregateType;

    /// The name it is stored and published under. Default: the type's own name.
    const NAME: &'static str;

    /// The version of its payload, from 1.
    const VERSION: u32;

    /// Former names, under which it may still stand in the log.
    const ALIASES: &'static [&'static str];

    /// The one definition of this event in the program; its address is its identity.
    #[doc(hidden)]
    const DEF: &'static EventDef;

    /// The aggregate it happened to.
    fn aggregate_id(&self) -> AggregateId;

    /// When it happened, where the event has a field for it; otherwise the time it was raised counts.
    fn occurred_at(&self) -> Option<DateTime<Utc>> {
        None
    }

    #[doc(hidden)]
    fn encode(&self) -> Result<Vec<u8>, PayloadError>;

    #[doc(hidden)]
    fn decode(payload: &[u8]) -> Result<Self, PayloadError>;
}

/// A type that events can name as their aggregate. Written by `#[aggregate_root]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate root",
    label = "not an aggregate root",
    note = "annotate it with `#[aggregate_root]`"
)]
pub trait AggregateType: Send + Sync + 'static {
    /// The name it is stored and published under. Default: the type's own name.
    const NAME: &'static str;
}

/// Says that `Self` is an event of the aggregate `A`, so that `A` may raise it. Written by `#[derive(DomainEvent)]`.
#[diagnostic::on_unimplemented(
    message = "`{A}` does not raise `{Self}`",
    label = "`{Self}` is not declared with `aggregate = {A}`",
    note = "an aggregate raises only its own events: those declared with `#[event(aggregate = {A})]`"
)]
pub trait RaisedBy<A>: DomainEvent {}

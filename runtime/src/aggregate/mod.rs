//! 2 · The aggregate remembers: what it raised stays with it until a transaction that holds it has committed.

mod pending;
mod raised;
mod version;

pub use pending::PendingEvents;
pub(crate) use pending::{PendingHandle, Taken};
pub use raised::PendingEvent;
pub(crate) use raised::Raised;
pub use version::AggregateVersion;

use crate::event::{AggregateId, AggregateType, RaisedBy};

/// A consistency boundary of the domain that raises events. Written by `#[aggregate_root]`.
///
/// ```
/// use domain_events::prelude::*;
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
/// let collection = Collection::create("reading-list");
/// assert_eq!(collection.pending_events().len(), 1);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an aggregate root",
    label = "not an aggregate root",
    note = "annotate it with `#[aggregate_root]`"
)]
pub trait AggregateRoot: AggregateType + Sized {
    /// Which aggregate this is.
    fn aggregate_id(&self) -> AggregateId;

    /// The version after the events raised so far, where a field is marked `#[aggregate(version)]`.
    fn aggregate_version(&self) -> Option<u64> {
        None
    }

    #[doc(hidden)]
    fn advance_version(&mut self) -> Option<u64> {
        None
    }

    #[doc(hidden)]
    fn pending(&self) -> &PendingEvents;

    #[doc(hidden)]
    fn pending_mut(&mut self) -> &mut PendingEvents;

    /// Raises an event of this aggregate: it is kept here until it is committed or dispatched.
    ///
    /// Call it after the state has changed. Where the aggregate has a version field, the version grows by one.
    #[inline]
    fn raise<E: RaisedBy<Self>>(&mut self, event: E) {
        let version = self.advance_version();
        self.pending_mut().push(event, version);
    }

    /// The events raised and not yet committed, oldest first.
    fn pending_events(&self) -> Vec<PendingEvent> {
        self.pending().to_vec()
    }

    /// Forgets the events raised and not yet committed.
    fn clear_events(&mut self) {
        self.pending_mut().take();
    }
}

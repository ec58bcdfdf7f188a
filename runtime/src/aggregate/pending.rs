//! The events an aggregate raised and that no committed transaction holds yet.

use std::{
    collections::HashSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use smallvec::SmallVec;

use super::raised::{PendingEvent, Raised};
use crate::event::{DomainEvent, EventId};

/// The field of an aggregate root that holds what it raised.
///
/// Start it with `PendingEvents::default()`. An event leaves it when a transaction that holds the event has committed,
/// when it was dispatched, or by [`clear_events`](super::AggregateRoot::clear_events). A clone of an aggregate has the
/// same pending events, ids included; the log takes each of them once.
// The lock is for those who ask through a shared reference, and so make what was the aggregate's alone a shared thing.
#[derive(Default)]
pub struct PendingEvents(Mutex<Kept>);

/// Where the events are.
enum Kept {
    /// With the aggregate alone.
    Own(Own),
    /// Shared with whoever asked for them: with a clone of the aggregate, or with the unit of work that recorded it,
    /// which so can clear them after the commit without borrowing the aggregate until then.
    Shared(Shared),
}

/// Most operations raise one event, for which this allocates no list.
type Own = SmallVec<[Box<Raised>; 1]>;

type Shared = Arc<Mutex<Vec<PendingEvent>>>;

impl Default for Kept {
    fn default() -> Self {
        Self::Own(SmallVec::new())
    }
}

impl From<Vec<PendingEvent>> for Kept {
    fn from(events: Vec<PendingEvent>) -> Self {
        Self::Shared(Arc::new(Mutex::new(events)))
    }
}

impl Kept {
    /// Makes the events shareable.
    fn share(&mut self) -> &Shared {
        if let Self::Own(events) = self {
            *self = events.drain(..).map(PendingEvent::from).collect::<Vec<_>>().into();
        }
        match self {
            Self::Shared(shared) => shared,
            Self::Own(_) => unreachable!("they have just been made shareable"),
        }
    }
}

impl PendingEvents {
    #[inline]
    pub(crate) fn push<E: DomainEvent>(&mut self, event: E, version: Option<u64>) {
        let raised = Raised::new(event, version);
        match own(&mut self.0) {
            Kept::Own(events) => events.push(raised),
            Kept::Shared(shared) => lock(shared).push(PendingEvent::from(raised as Box<Raised>)),
        }
    }

    /// How many events are pending.
    #[must_use]
    pub fn len(&self) -> usize {
        match &*lock(&self.0) {
            Kept::Own(events) => events.len(),
            Kept::Shared(shared) => lock(shared).len(),
        }
    }

    /// Whether none is pending.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pending events, oldest first.
    #[must_use]
    pub fn to_vec(&self) -> Vec<PendingEvent> {
        if self.is_empty() { Vec::new() } else { lock(lock(&self.0).share()).clone() }
    }

    /// Takes all events out.
    #[inline]
    pub(crate) fn take(&mut self) -> Taken {
        match own(&mut self.0) {
            Kept::Own(events) if !events.spilled() => Taken::Own(events.pop().into_iter().collect()),
            Kept::Own(events) => Taken::Own(std::mem::take(events)),
            Kept::Shared(shared) => Taken::Shared(std::mem::take(&mut *lock(shared))),
        }
    }

    /// A second door to the same events, for the unit of work.
    pub(crate) fn handle(&mut self) -> PendingHandle {
        PendingHandle(Arc::clone(own(&mut self.0).share()))
    }
}

/// Events that were taken out of their aggregate.
pub(crate) enum Taken {
    Own(Own),
    Shared(Vec<PendingEvent>),
}

impl Taken {
    pub(crate) fn get(&self, index: usize) -> Option<&Raised> {
        match self {
            Self::Own(events) => events.get(index).map(|event| &**event),
            Self::Shared(events) => events.get(index).map(PendingEvent::raised),
        }
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Raised> {
        (0..).map_while(|index| self.get(index))
    }
}

/// The unit of work's door to an aggregate's pending events.
#[derive(Debug, Clone)]
pub(crate) struct PendingHandle(Shared);

impl PendingHandle {
    pub(crate) fn to_vec(&self) -> Vec<PendingEvent> {
        lock(&self.0).clone()
    }

    /// Forgets the events with these ids: they are committed.
    pub(crate) fn forget(&self, committed: &[EventId]) {
        let committed: HashSet<_> = committed.iter().copied().collect();
        lock(&self.0).retain(|pending| !committed.contains(&pending.id()));
    }

    /// Marks the events with these ids: a transaction holds them, and may commit unseen.
    pub(crate) fn offer(&self, ids: &[EventId]) {
        let ids: HashSet<_> = ids.iter().copied().collect();
        for pending in lock(&self.0).iter().filter(|pending| ids.contains(&pending.id())) {
            pending.offer();
        }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

// Nothing panics while it holds a lock; and a list of events is whole at every moment anyway.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is behind a lock that nobody else can hold.
fn own<T>(shared: &mut Mutex<T>) -> &mut T {
    shared.get_mut().unwrap_or_else(PoisonError::into_inner)
}

impl Clone for PendingEvents {
    fn clone(&self) -> Self {
        let events = self.to_vec();
        Self(Mutex::new(if events.is_empty() { Kept::default() } else { events.into() }))
    }
}

impl PartialEq for PendingEvents {
    /// Always equal: two aggregates are the same by their state, not by what has not been told yet.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for PendingEvents {}

impl fmt::Debug for PendingEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.to_vec()).finish()
    }
}

//! The events an aggregate raised and that no committed transaction holds yet.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::{DateTime, Utc};

use crate::{
    clock,
    event::{AggregateId, AnyEvent, DomainEvent, Envelope, EventDef, EventId, EventMeta, PayloadError},
};

/// One raised event that is not committed yet. Cheap to clone: a clone is the same event, identity included.
#[derive(Clone)]
pub struct PendingEvent(Arc<Raised<AnyEvent>>);

/// The event and what is known about it, in one allocation.
struct Raised<E: ?Sized> {
    def: &'static EventDef,
    occurred_at: DateTime<Utc>,
    version: Option<u64>,
    // Made when first asked for: in-process dispatch to handlers that never look at it does not pay for it.
    id: OnceLock<EventId>,
    // It was written into a transaction whose end has not been seen.
    offered: AtomicBool,
    event: E,
}

impl PendingEvent {
    #[inline]
    fn new<E: DomainEvent>(event: E, version: Option<u64>) -> Self {
        Self(Arc::new(Raised {
            def: E::DEF,
            occurred_at: event.occurred_at().unwrap_or_else(clock::now),
            version,
            id: OnceLock::new(),
            offered: AtomicBool::new(false),
            event,
        }))
    }

    /// The event's identity, which it keeps in the log.
    #[must_use]
    pub fn id(&self) -> EventId {
        *self.0.id.get_or_init(EventId::generate)
    }

    /// The name it will be stored under.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.def.name
    }

    /// The event, if it is an `E`.
    #[must_use]
    pub fn downcast<E: DomainEvent>(&self) -> Option<&E> {
        self.0.event.downcast_ref()
    }

    /// The aggregate it happened to, as the event itself says.
    #[must_use]
    pub fn aggregate_id(&self) -> AggregateId {
        (self.0.def.aggregate_id)(&self.0.event)
    }

    /// When it happened.
    #[must_use]
    pub fn occurred_at(&self) -> DateTime<Utc> {
        self.0.occurred_at
    }

    /// The aggregate's version after this event, where the aggregate has one.
    #[must_use]
    pub fn aggregate_version(&self) -> Option<u64> {
        self.0.version
    }

    pub(crate) fn def(&self) -> &'static EventDef {
        self.0.def
    }

    pub(crate) fn event(&self) -> &AnyEvent {
        &self.0.event
    }

    pub(crate) fn is_offered(&self) -> bool {
        self.0.offered.load(Ordering::Relaxed)
    }

    pub(crate) fn meta(&self) -> EventMeta {
        let Raised { def, occurred_at, version, .. } = &*self.0;
        let id = self.aggregate_id();
        let mut meta = EventMeta::new(self.id(), def.name, def.version, def.aggregate, id, *occurred_at);
        meta.aggregate_version = *version;
        meta
    }

    pub(crate) fn envelope(&self) -> Result<Envelope, PayloadError> {
        Ok(Envelope::new(self.meta(), (self.0.def.encode)(&self.0.event)?))
    }
}

impl fmt::Debug for PendingEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingEvent")
            .field("name", &self.name())
            .field("version", &self.0.def.version)
            .field("aggregate", &format_args!("{} {}", self.0.def.aggregate, self.aggregate_id()))
            .field("occurred_at", &self.occurred_at())
            .finish()
    }
}

/// The field of an aggregate root that holds what it raised.
///
/// Start it with `PendingEvents::default()`. An event leaves it when a transaction that holds the event has committed,
/// when it was dispatched, or by [`clear_events`](super::AggregateRoot::clear_events). A clone of an aggregate has the
/// same pending events, ids included; the log takes each of them once.
#[derive(Default)]
pub struct PendingEvents(Kept);

/// Where the events are.
enum Kept {
    /// With the aggregate alone.
    Own(Vec<PendingEvent>),
    /// Shared with the unit of work that recorded the aggregate, which so can clear them after the commit without
    /// borrowing the aggregate until then.
    Shared(Shared),
}

type Shared = Arc<Mutex<Vec<PendingEvent>>>;

impl Default for Kept {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl PendingEvents {
    #[inline]
    pub(crate) fn push<E: DomainEvent>(&mut self, event: E, version: Option<u64>) {
        let pending = PendingEvent::new(event, version);
        match &mut self.0 {
            Kept::Own(events) => events.push(pending),
            Kept::Shared(shared) => lock(shared).push(pending),
        }
    }

    /// How many events are pending.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
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
        match &self.0 {
            Kept::Own(events) => events.clone(),
            Kept::Shared(shared) => lock(shared).clone(),
        }
    }

    /// Takes all events out.
    #[inline]
    pub(crate) fn take(&mut self) -> Vec<PendingEvent> {
        match &mut self.0 {
            Kept::Own(events) => std::mem::take(events),
            Kept::Shared(shared) => std::mem::take(&mut *lock(shared)),
        }
    }

    /// A second door to the same events, for the unit of work.
    pub(crate) fn handle(&mut self) -> PendingHandle {
        let shared = match &mut self.0 {
            Kept::Own(events) => Arc::new(Mutex::new(std::mem::take(events))),
            Kept::Shared(shared) => Arc::clone(shared),
        };
        self.0 = Kept::Shared(Arc::clone(&shared));
        PendingHandle(shared)
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
        lock(&self.0).retain(|pending| !committed.contains(&pending.id()));
    }

    /// Marks the events with these ids: a transaction holds them, and may commit unseen.
    pub(crate) fn offer(&self, ids: &[EventId]) {
        for pending in lock(&self.0).iter().filter(|pending| ids.contains(&pending.id())) {
            pending.0.offered.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

// Nothing panics while it holds the lock; and a list of events is whole at every moment anyway.
fn lock(shared: &Mutex<Vec<PendingEvent>>) -> MutexGuard<'_, Vec<PendingEvent>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clone for PendingEvents {
    fn clone(&self) -> Self {
        Self(Kept::Own(self.to_vec()))
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

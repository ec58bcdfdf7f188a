//! One raised event: what happened, and what is known about it before a log takes it.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::{DateTime, Utc};

use crate::{
    clock,
    event::{AggregateId, AnyEvent, DomainEvent, Envelope, EventDef, EventId, EventMeta, PayloadError},
};

/// The event and what is known about it, in one allocation.
pub(crate) struct Raised<E: ?Sized = AnyEvent> {
    about: About,
    event: E,
}

struct About {
    def: &'static EventDef,
    // Only where the event does not say itself when it happened.
    raised_at: Option<DateTime<Utc>>,
    version: Option<u64>,
    // Made when first asked for: in-process dispatch to handlers that never look at it does not pay for it.
    id: OnceLock<EventId>,
    // It was written into a transaction whose end has not been seen.
    offered: AtomicBool,
}

impl<E: DomainEvent> Raised<E> {
    #[inline]
    pub(crate) fn new(event: E, version: Option<u64>) -> Box<Self> {
        // Written where it stays. `Box::new` would put it together first, and copy the event once more.
        let place = Box::new_uninit();
        let about = About {
            def: E::DEF,
            raised_at: event.occurred_at().is_none().then(clock::now),
            version,
            id: OnceLock::new(),
            offered: AtomicBool::new(false),
        };
        Box::write(place, Self { about, event })
    }
}

impl Raised {
    pub(crate) fn def(&self) -> &'static EventDef {
        self.about.def
    }

    pub(crate) fn event(&self) -> &AnyEvent {
        &self.event
    }

    pub(crate) fn id(&self) -> EventId {
        *self.about.id.get_or_init(EventId::generate)
    }

    fn aggregate_id(&self) -> AggregateId {
        (self.about.def.aggregate_id)(&self.event)
    }

    fn occurred_at(&self) -> DateTime<Utc> {
        self.about.raised_at.or_else(|| (self.about.def.occurred_at)(&self.event)).unwrap_or_else(clock::now)
    }

    pub(crate) fn meta(&self) -> EventMeta {
        let About { def, version, .. } = &self.about;
        let mut meta =
            EventMeta::new(self.id(), def.name, def.version, def.aggregate, self.aggregate_id(), self.occurred_at());
        meta.aggregate_version = *version;
        meta
    }
}

/// One raised event that is not committed yet. Cheap to clone: a clone is the same event, identity included.
#[derive(Clone)]
pub struct PendingEvent(Arc<Raised>);

impl From<Box<Raised>> for PendingEvent {
    fn from(raised: Box<Raised>) -> Self {
        Self(raised.into())
    }
}

impl PendingEvent {
    /// The event's identity, which it keeps in the log.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.0.id()
    }

    /// The name it will be stored under.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.about.def.name
    }

    /// The event, if it is an `E`.
    #[must_use]
    pub fn downcast<E: DomainEvent>(&self) -> Option<&E> {
        self.0.event.downcast_ref()
    }

    /// The aggregate it happened to, as the event itself says.
    #[must_use]
    pub fn aggregate_id(&self) -> AggregateId {
        self.0.aggregate_id()
    }

    /// When it happened.
    #[must_use]
    pub fn occurred_at(&self) -> DateTime<Utc> {
        self.0.occurred_at()
    }

    /// The aggregate's version after this event, where the aggregate has one.
    #[must_use]
    pub fn aggregate_version(&self) -> Option<u64> {
        self.0.about.version
    }

    pub(crate) fn raised(&self) -> &Raised {
        &self.0
    }

    pub(crate) fn is_offered(&self) -> bool {
        self.0.about.offered.load(Ordering::Relaxed)
    }

    pub(super) fn offer(&self) {
        self.0.about.offered.store(true, Ordering::Relaxed);
    }

    pub(crate) fn envelope(&self) -> Result<Envelope, PayloadError> {
        Ok(Envelope::new(self.0.meta(), (self.0.about.def.encode)(&self.0.event)?))
    }
}

impl fmt::Debug for PendingEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let def = self.0.about.def;
        f.debug_struct("PendingEvent")
            .field("name", &def.name)
            .field("version", &def.version)
            .field("aggregate", &format_args!("{} {}", def.aggregate, self.aggregate_id()))
            .field("occurred_at", &self.occurred_at())
            .finish()
    }
}

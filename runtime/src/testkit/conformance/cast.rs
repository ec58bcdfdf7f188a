//! Who plays in the suite: one aggregate, one event, and handlers that differ in their options only.
//!
//! Written by hand and not with the macros, so that the library itself registers nothing at link time.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::stage::Stage;
use crate::{
    __private::{HandledEvent, dependency, inject, output, place, run},
    aggregate::{AggregateRoot, PendingEvents},
    event::{AggregateId, AggregateType, DomainEvent, EventDef, EventMeta, PayloadError, RaisedBy, Source},
    handler::{Attempt, Backoff, HandlerDef, HandlerOptions, OnDead, Service, Start},
};

/// The suite's aggregate: something that moves on, step by step.
#[derive(Debug, Clone)]
pub struct Parcel {
    id: String,
    /// `None`: an aggregate without a version field.
    version: Option<u64>,
    events: PendingEvents,
}

/// The suite's event. Where order is kept, an aggregate's steps arrive as 1, 2, 3, ...
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParcelMovedEvent {
    /// Which parcel.
    pub parcel_id: String,
    /// The how-many-th event of this parcel, from 1.
    pub step: u64,
    /// Anything.
    pub note: String,
}

impl Parcel {
    /// A parcel without a version field.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), version: None, events: PendingEvents::default() }
    }

    /// A parcel as it was loaded at a version; 0 is a new one.
    #[must_use]
    pub fn at_version(id: impl Into<String>, version: u64) -> Self {
        Self { version: Some(version), ..Self::new(id) }
    }

    /// Raises the event of one step.
    pub fn step(&mut self, step: u64) {
        self.note(step, "");
    }

    /// Raises the event of one step, with a text in it.
    pub fn note(&mut self, step: u64, note: &str) {
        self.raise(ParcelMovedEvent { parcel_id: self.id.clone(), step, note: note.to_owned() });
    }
}

// Not for recommending: what rustc says to a user must not name types of the testkit.
#[diagnostic::do_not_recommend]
impl AggregateType for Parcel {
    const NAME: &'static str = "Parcel";
}

impl AggregateRoot for Parcel {
    fn aggregate_id(&self) -> AggregateId {
        AggregateId::from(self.id.as_str())
    }

    fn aggregate_version(&self) -> Option<u64> {
        self.version
    }

    fn advance_version(&mut self) -> Option<u64> {
        self.version = self.version.map(|version| version + 1);
        self.version
    }

    fn pending(&self) -> &PendingEvents {
        &self.events
    }

    fn pending_mut(&mut self) -> &mut PendingEvents {
        &mut self.events
    }
}

const SOURCE: Source = Source { module: module_path!(), file: file!(), line: line!() };

static PARCEL_MOVED: EventDef = EventDef::of::<ParcelMovedEvent>(SOURCE);

#[diagnostic::do_not_recommend]
impl RaisedBy<Parcel> for ParcelMovedEvent {}

#[diagnostic::do_not_recommend]
impl DomainEvent for ParcelMovedEvent {
    type Aggregate = Parcel;
    const NAME: &'static str = "ParcelMovedEvent";
    const VERSION: u32 = 1;
    const ALIASES: &'static [&'static str] = &[];
    const DEF: &'static EventDef = &PARCEL_MOVED;

    fn aggregate_id(&self) -> AggregateId {
        AggregateId::from(self.parcel_id.as_str())
    }

    fn encode(&self) -> Result<Vec<u8>, PayloadError> {
        serde_json::to_vec(self).map_err(|error| PayloadError::new(error.to_string()))
    }

    fn decode(payload: &[u8]) -> Result<Self, PayloadError> {
        serde_json::from_slice(payload).map_err(|error| PayloadError::new(error.to_string()))
    }
}

/// The suite's group.
pub(super) const GROUP: &str = "conformance";

/// Fast enough for a test, slow enough to see that it waits.
const BACKOFF: Backoff = Backoff::exponential(Duration::from_millis(10), Duration::from_millis(40));
pub(super) const OPTIONS: HandlerOptions = HandlerOptions::DEFAULT.max_attempts(3).backoff(BACKOFF);

/// A handler that does what the [`Stage`] says.
macro_rules! actors {
    ($($(#[$doc:meta])+ $actor:ident = $name:literal, $options:expr;)+) => {$(
        $(#[$doc])+
        pub(super) static $actor: HandlerDef = HandlerDef {
            name: $name,
            group: Some(GROUP),
            aliases: &[],
            source: Source { module: module_path!(), file: file!(), line: line!() },
            events: &[HandledEvent {
                event: ParcelMovedEvent::DEF,
                dependencies: &[dependency::<&EventMeta>(), dependency::<Attempt>(), dependency::<Service<Stage>>()],
                call: |call, cx| {
                    let event = call.event::<ParcelMovedEvent>();
                    let meta = inject::<&EventMeta>(call, 0);
                    let attempt = inject::<Attempt>(call, 1);
                    let stage = inject::<&Service<Stage>>(call, 2);
                    run(place(), stage.play($name, event, meta, attempt), output(), cx)
                },
            }],
            instance: None,
            options: $options,
        };
    )+};
}

actors! {
    /// Plain.
    FIRST = "first", OPTIONS;
    /// Plain.
    SECOND = "second", OPTIONS;
    /// Plain.
    THIRD = "third", OPTIONS;
    /// Later events of an aggregate wait behind a dead letter.
    PARKING = "parking", OPTIONS.on_dead(OnDead::Park);
    /// No event is seen again after a crash.
    ONCE = "once", OPTIONS.once(true);
    /// Begins with what comes after its first start.
    LATE = "late", OPTIONS.start(Start::Now);
    /// Shared by several processes.
    SPLIT = "split", OPTIONS.partitions(4);
    /// Shared by many processes.
    SHARED = "shared", OPTIONS.partitions(16);
    /// Shared by many processes too.
    OTHER = "other", OPTIONS.partitions(16);
    /// At work on many aggregates at a time.
    WIDE = "wide", OPTIONS.concurrency(256);
    /// Patient enough to live through every failure of a test.
    PATIENT = "patient", OPTIONS.max_attempts(1_000);
}

/// The full name of one of the handlers.
pub(super) fn full(name: &str) -> String {
    format!("{GROUP}.{name}")
}

/// A service in the form the builder takes it.
pub(super) fn services(stage: &Arc<Stage>) -> crate::handler::Services {
    crate::handler::Services::new().with::<Stage>(Arc::clone(stage))
}

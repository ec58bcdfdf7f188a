//! What the program knows of an event and of an aggregate type: one static each, collected at link time.

use std::{any::type_name, fmt, sync::Arc};

use chrono::{DateTime, Utc};

use super::{AggregateId, AggregateType, AnyEvent, DomainEvent, PayloadError};

/// Where in the source something was declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source {
    /// The module, `card_service::domain::events`; its first segment is the crate.
    pub module: &'static str,
    /// The file, as the compiler was given it.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
}

impl Source {
    /// The crate it was declared in.
    #[must_use]
    pub fn crate_name(&self) -> &'static str {
        self.module.split("::").next().unwrap_or(self.module)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// One event type of the program: its stored name and version, its aggregate, and how to encode and decode it.
pub struct EventDef {
    /// The name in the log.
    pub name: &'static str,
    /// The version of its payload.
    pub version: u32,
    /// Former names.
    pub aliases: &'static [&'static str],
    /// The name of the aggregate type that raises it.
    pub aggregate: &'static str,
    /// Where the type was declared.
    pub source: Source,
    pub(crate) encode: fn(&AnyEvent) -> Result<Vec<u8>, PayloadError>,
    pub(crate) decode: fn(&[u8]) -> Result<Arc<AnyEvent>, PayloadError>,
    pub(crate) aggregate_id: fn(&AnyEvent) -> AggregateId,
    pub(crate) occurred_at: fn(&AnyEvent) -> Option<DateTime<Utc>>,
}

impl EventDef {
    /// The definition of `E`. Called by `#[derive(DomainEvent)]`, once, in a static.
    #[doc(hidden)]
    #[must_use]
    pub const fn of<E: DomainEvent>(source: Source) -> Self {
        assert!(E::VERSION >= 1, "version: an event's first version is 1");
        Self {
            name: E::NAME,
            version: E::VERSION,
            aliases: E::ALIASES,
            aggregate: <E::Aggregate as AggregateType>::NAME,
            source,
            encode: |event| typed::<E>(event)?.encode(),
            decode: |payload| Ok(Arc::new(E::decode(payload)?)),
            aggregate_id: |event| match typed::<E>(event) {
                Ok(event) => event.aggregate_id(),
                Err(_) => AggregateId::from(""),
            },
            occurred_at: |event| typed::<E>(event).ok()?.occurred_at(),
        }
    }

    /// Whether an envelope of this name carries this event, under its present or a former name.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }
}

/// An `EventDef` and the event beside it always come from the same `E`; a mix-up would be a defect of this crate.
fn typed<E: DomainEvent>(event: &AnyEvent) -> Result<&E, PayloadError> {
    event.downcast_ref().ok_or_else(|| PayloadError::new(format!("this is not a `{}`", type_name::<E>())))
}

impl fmt::Debug for EventDef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventDef({} v{} of {}, {})", self.name, self.version, self.aggregate, self.source)
    }
}

/// One aggregate type of the program.
#[derive(Debug)]
pub struct AggregateDef {
    /// The name in the log.
    pub name: &'static str,
    /// Where the type was declared.
    pub source: Source,
}

impl AggregateDef {
    /// The definition of `A`. Called by `#[aggregate_root]`, once, in a static.
    #[doc(hidden)]
    #[must_use]
    pub const fn of<A: AggregateType>(source: Source) -> Self {
        Self { name: A::NAME, source }
    }
}

//! An event on its way: everything known about it, and its payload as bytes.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{AggregateId, AggregateType, DomainEvent, EventId};
use crate::clock;

/// What is known about an event beside its own fields. A handler may take it as `meta: &EventMeta`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EventMeta {
    /// The event's identity, the same in every delivery.
    pub id: EventId,
    /// The name it is stored under.
    pub name: Cow<'static, str>,
    /// The version of its payload, from 1.
    pub version: u32,
    /// The name of the aggregate type it happened to.
    pub aggregate_type: Cow<'static, str>,
    /// Which aggregate of that type.
    pub aggregate_id: AggregateId,
    /// The aggregate's version after this event, where the aggregate has a version field.
    pub aggregate_version: Option<u64>,
    /// When it happened: the event's own field, or the time it was raised.
    pub occurred_at: DateTime<Utc>,
    /// What the whole chain of causes began with: a request, a command. Free for the application to set.
    pub correlation_id: Option<Uuid>,
    /// The event whose handler raised this one.
    pub causation_id: Option<Uuid>,
    /// The W3C `traceparent` of the operation that raised it.
    pub trace: Option<String>,
    /// Its place in the log; `None` before it is committed and in in-process dispatch.
    pub position: Option<i64>,
    /// When the log took it; `None` where `position` is.
    pub recorded_at: Option<DateTime<Utc>>,
}

impl EventMeta {
    /// What a handler would be told about this event if it had just been raised: for calling a handler in a test.
    #[must_use]
    pub fn of<E: DomainEvent>(event: &E) -> Self {
        let occurred_at = event.occurred_at().unwrap_or_else(clock::now);
        let aggregate = <E::Aggregate as AggregateType>::NAME;
        Self::new(EventId::generate(), E::NAME, E::VERSION, aggregate, event.aggregate_id(), occurred_at)
    }

    /// The least an event must say about itself; the optional parts are fields to set.
    #[must_use]
    pub fn new(
        id: EventId,
        name: impl Into<Cow<'static, str>>,
        version: u32,
        aggregate_type: impl Into<Cow<'static, str>>,
        aggregate_id: AggregateId,
        occurred_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            name: name.into(),
            version,
            aggregate_type: aggregate_type.into(),
            aggregate_id,
            aggregate_version: None,
            occurred_at,
            correlation_id: None,
            causation_id: None,
            trace: None,
            position: None,
            recorded_at: None,
        }
    }
}

/// An event on its way: what is known about it, and its payload.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Envelope {
    /// Everything beside the event's own fields.
    pub meta: EventMeta,
    /// The event's own fields, as JSON. In a log that something else wrote to, it may be anything.
    pub payload: Vec<u8>,
}

impl Envelope {
    /// An envelope around a payload.
    #[must_use]
    pub fn new(meta: EventMeta, payload: Vec<u8>) -> Self {
        Self { meta, payload }
    }
}

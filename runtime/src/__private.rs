//! What the macros' expansions name, and nobody else: no part of it is stable.

pub use linkme;
pub use serde;

pub use crate::{
    aggregate::{AggregateRoot, AggregateVersion, PendingEvents},
    event::{
        AggregateDef, AggregateId, AggregateType, Decoder, DomainEvent, Encoder, EventDef, PayloadError, RaisedBy, Source,
        ToAggregateId, ViaMirrorDecode, ViaMirrorEncode, ViaOwnDecode, ViaOwnEncode,
    },
    handler::{
        AGGREGATES, Backoff, Dependency, EVENTS, HANDLERS, FieldFromServices, FromServices, HandledEvent, HandlerDef, HandlerFuture, HandlerOptions, HandlerOutput, Inject,
        Instance, Invocation, MissingService, OnDead, ServiceScope, Start, build, run,
    },
};
pub use chrono::{DateTime, Utc};
pub use core;

use core::time::Duration;

/// The time an event's generated `new(..)` stamps it with.
#[must_use]
pub fn now() -> DateTime<Utc> {
    crate::clock::now()
}

/// The dependency of one handler parameter; the call carries that parameter's span.
#[must_use]
pub const fn dependency<'a, P: Inject<'a>>() -> Dependency {
    P::DEPENDENCY
}

/// Takes one parameter out of a call; its type is the handler's, by inference.
pub fn inject<'a, P: Inject<'a>>(call: &mut Invocation<'a>, index: usize) -> P {
    P::inject(call, index)
}

/// A literal duration of an attribute.
#[must_use]
pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

//! What the macros' expansions name, and nobody else: no part of it is stable.

pub use linkme;
pub use serde;

pub use crate::{
    __source as source,
    aggregate::{AggregateRoot, AggregateVersion, PendingEvents},
    event::{
        AggregateDef, AggregateId, AggregateType, DomainEvent, EventDef, PayloadError, RaisedBy, Source, ToAggregateId,
        codec::{BrokenMirror, Decoder, Encoder, ReadMirror, WriteMirror, stub},
        fields::{Own, deserializes_itself, owns_its_data, serializes_itself, time},
    },
    handler::{
        AGGREGATES, Backoff, Begun, Dependency, EVENTS, FieldFromServices, FromServices, HANDLERS, HandledEvent,
        HandlerDef, HandlerFuture, HandlerOptions, HandlerOutput, Inject, Instance, Invocation, MissingService, OnDead,
        ServiceScope, Start, build, output, place, run,
    },
};
pub use chrono::{DateTime, Utc};
pub use core;
pub use core::{
    option::Option::{self, None, Some},
    primitive::{str, u8, u32, u64},
    result::Result::{self, Ok},
};
pub use std::vec::Vec;

use core::time::Duration;

/// The traits that choose by method resolution; an event's expansion has them all in scope, without their names.
pub mod autoref {
    pub use crate::event::{
        codec::{
            BrokenMirror as _, ViaMirrorDecode as _, ViaMirrorEncode as _, ViaNothingDecode as _,
            ViaNothingEncode as _, ViaOwnDecode as _, ViaOwnEncode as _,
        },
        fields::{OwnBoth as _, OwnDeserialize as _, OwnNeither as _, OwnSerialize as _},
    };
}

/// Where an annotation stands.
#[doc(hidden)]
#[macro_export]
macro_rules! __source {
    () => {
        $crate::__private::Source {
            module: $crate::__private::core::module_path!(),
            file: $crate::__private::core::file!(),
            line: $crate::__private::core::line!(),
        }
    };
}

/// The definition of the event that a handler's attribute names; `Param` is the event its parameter takes.
#[must_use]
pub const fn handled_event<E: DomainEvent, Param: TakenFor<E>>() -> &'static EventDef {
    E::DEF
}

/// Says that a handler's parameter takes the event its attribute names.
#[diagnostic::on_unimplemented(
    message = "this handler is registered for `{Registered}`, but takes `&{Self}`",
    label = "expected `{Registered}`"
)]
pub trait TakenFor<Registered> {}

#[diagnostic::do_not_recommend]
impl<E> TakenFor<E> for E {}

/// The dependency of one handler parameter.
#[must_use]
pub const fn dependency<'a, P: Inject<'a>>() -> Dependency {
    P::DEPENDENCY
}

/// Takes one parameter out of a call.
pub fn inject<'a, P: Inject<'a>>(call: &mut Invocation<'a>, index: usize) -> P {
    P::inject(call, index)
}

/// One field of a struct that derives `FromServices`.
///
/// # Errors
///
/// The service that is missing.
pub fn field<T: FieldFromServices>(services: &mut ServiceScope<'_>) -> Result<T, MissingService> {
    T::field(services)
}

/// An aggregate's id as text.
pub fn aggregate_id<T: ToAggregateId>(id: &T) -> AggregateId {
    id.to_aggregate_id()
}

/// What generated code does with an aggregate's version. One function bears the bound, so that a wrong type is one
/// message.
#[derive(Debug, Clone, Copy)]
pub struct Version<T> {
    /// The version as a number.
    pub get: fn(T) -> u64,
    /// The version after one more event.
    pub next: fn(T) -> T,
}

/// The version field of an aggregate, by its type.
#[must_use]
pub const fn version<T: AggregateVersion>() -> Version<T> {
    Version { get: T::get, next: T::next }
}

/// A literal duration of an attribute.
#[must_use]
pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The aggregate of an event whose attribute does not name one; the derive's error says so.
#[derive(Debug)]
pub struct UnknownAggregate;

impl AggregateType for UnknownAggregate {
    const NAME: &'static str = "?";
}

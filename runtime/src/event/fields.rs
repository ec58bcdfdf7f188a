//! The check that an event's fields can be stored, made when the program is compiled, at the field's type.
//!
//! An event with its own `Serialize` asks nothing of its fields for writing, one with its own `Deserialize` nothing for
//! reading. Which of the two it has is found as in `codec`, by method resolution on the concrete type.
#![allow(missing_docs, reason = "called by generated code only")]

use std::marker::PhantomData;

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};

/// Which of the two serializations `E` has itself: `(&&&&Own::<E>::new()).sides()`.
#[derive(Debug)]
pub struct Own<E>(PhantomData<fn() -> E>);

impl<E> Own<E> {
    #[expect(clippy::new_without_default, reason = "only generated code makes one")]
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// The event writes (`W`) or reads (`R`) itself: each `true` or `false`.
#[derive(Debug, Clone, Copy)]
pub struct Sides<const W: bool, const R: bool>;

pub trait OwnBoth {
    fn sides(&self) -> Sides<true, true> {
        Sides
    }
}
impl<E: Serialize + DeserializeOwned> OwnBoth for &&&Own<E> {}

pub trait OwnSerialize {
    fn sides(&self) -> Sides<true, false> {
        Sides
    }
}
impl<E: Serialize> OwnSerialize for &&Own<E> {}

pub trait OwnDeserialize {
    fn sides(&self) -> Sides<false, true> {
        Sides
    }
}
impl<E: DeserializeOwned> OwnDeserialize for &Own<E> {}

pub trait OwnNeither {
    fn sides(&self) -> Sides<false, false> {
        Sides
    }
}
impl<E> OwnNeither for Own<E> {}

/// A type that a field of an event may have, for an event with these serializations of its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be stored in an event",
    label = "has no `Serialize` and `Deserialize`",
    note = "derive `serde::Serialize` and `serde::Deserialize` for it and for every type in it",
    note = "or leave the field out with `#[serde(skip)]`, or write it another way with `#[serde(with = \"..\")]`"
)]
pub trait StoredField<Own> {}

#[diagnostic::do_not_recommend]
impl<T> StoredField<Sides<true, true>> for T {}
#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> StoredField<Sides<true, false>> for T {}
#[diagnostic::do_not_recommend]
impl<T: Serialize> StoredField<Sides<false, true>> for T {}
#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> StoredField<Sides<false, false>> for T {}

/// The same for a field that is only written: it has `#[serde(skip_deserializing)]` or `deserialize_with`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be written to the log",
    label = "has no `Serialize`",
    note = "derive `serde::Serialize` for it and for every type in it"
)]
pub trait WrittenField<Own> {}

#[diagnostic::do_not_recommend]
impl<T, const R: bool> WrittenField<Sides<true, R>> for T {}
#[diagnostic::do_not_recommend]
impl<T: Serialize, const R: bool> WrittenField<Sides<false, R>> for T {}

/// The same for a field that is only read: it has `#[serde(skip_serializing)]` or `serialize_with`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be read back from the log",
    label = "has no `Deserialize`",
    note = "derive `serde::Deserialize` for it and for every type in it"
)]
pub trait ReadField<Own> {}

#[diagnostic::do_not_recommend]
impl<T, const W: bool> ReadField<Sides<W, true>> for T {}
#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned, const W: bool> ReadField<Sides<W, false>> for T {}

impl<const W: bool, const R: bool> Sides<W, R> {
    pub const fn stored<T: StoredField<Self>>(self) {}
    pub const fn written<T: WrittenField<Self>>(self) {}
    pub const fn read<T: ReadField<Self>>(self) {}
}

/// An event whose `#[serde(..)]` attribute the derived serialization can't honour, but its own `Serialize` can.
#[diagnostic::on_unimplemented(
    message = "`DomainEvent` can't honour this attribute for `{Self}`",
    label = "needs a `Serialize` of the event's own",
    note = "derive `serde::Serialize` on `{Self}` beside `DomainEvent`: its own serialization is used then"
)]
pub trait SerializesItself {}
#[diagnostic::do_not_recommend]
impl<T: Serialize> SerializesItself for T {}

/// An event whose `#[serde(..)]` attribute the derived serialization can't honour, but its own `Deserialize` can.
#[diagnostic::on_unimplemented(
    message = "`DomainEvent` can't honour this attribute for `{Self}`",
    label = "needs a `Deserialize` of the event's own",
    note = "derive `serde::Deserialize` on `{Self}` beside `DomainEvent`: its own serialization is used then"
)]
pub trait DeserializesItself {}
#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> DeserializesItself for T {}

/// An event without references, or with a `Deserialize` of its own that knows where they come from.
#[diagnostic::on_unimplemented(
    message = "an event owns its data: a reference can't be read back from the log",
    label = "use an owned type: `String`, `Vec<..>`",
    note = "or derive or write `serde::Deserialize` for `{Self}`: its own one is used then"
)]
pub trait OwnsItsData {}
#[diagnostic::do_not_recommend]
impl<T: DeserializeOwned> OwnsItsData for T {}

pub const fn owns_its_data<E: OwnsItsData>() {}
pub const fn serializes_itself<E: SerializesItself>() {}
pub const fn deserializes_itself<E: DeserializesItself>() {}

/// The type of a field that is marked `#[event(occurred_at)]`: `DateTime<Utc>`, under whatever name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't say when an event occurred",
    label = "expected `DateTime<Utc>`",
    note = "`domain_events::prelude` has both names"
)]
pub trait OccurredAt: Copy {
    fn stamp() -> Self;
    fn get(self) -> DateTime<Utc>;
}

impl OccurredAt for DateTime<Utc> {
    fn stamp() -> Self {
        crate::clock::now()
    }

    fn get(self) -> DateTime<Utc> {
        self
    }
}

/// What generated code does with such a field. One function bears the bound, so that a wrong type is one message.
#[derive(Debug, Clone, Copy)]
pub struct Time<T> {
    pub stamp: fn() -> T,
    pub get: fn(T) -> DateTime<Utc>,
}

#[must_use]
pub const fn time<T: OccurredAt>() -> Time<T> {
    Time { stamp: T::stamp, get: T::get }
}

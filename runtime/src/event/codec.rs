//! The one format of a payload, JSON, and the choice between an event's own serialization and the derived one.
//!
//! `#[derive(DomainEvent)]` writes a hidden mirror of the type for serde. Where the type has its own `Serialize` or
//! `Deserialize`, that one is taken. The choice is made by method resolution on the concrete type: the `ViaOwn*` trait
//! stands one reference deeper than the `ViaMirror*` trait, so it is found first wherever its bound holds; and where
//! neither holds, `ViaNothing*` keeps the call compiling, because the field at fault has been named already (`fields`).
#![allow(missing_docs, reason = "called by generated code only")]

use std::{fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

/// Why a payload could not be written or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadError(String);

impl PayloadError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PayloadError {}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, PayloadError> {
    serde_json::to_vec(value).map_err(|error| PayloadError(error.to_string()))
}

fn from_json<T: DeserializeOwned>(payload: &[u8]) -> Result<T, PayloadError> {
    serde_json::from_slice(payload).map_err(|error| PayloadError(error.to_string()))
}

/// A hidden mirror that serde derived on writes an `E`.
pub trait WriteMirror<E> {
    fn write<S: Serializer>(event: &E, to: S) -> Result<S::Ok, S::Error>;
}

/// A hidden mirror that serde derived on reads an `E`.
pub trait ReadMirror<'de, E> {
    fn read<D: Deserializer<'de>>(from: D) -> Result<E, D::Error>;
}

/// What a mirror has whose `#[serde(..)]` attributes serde refused: so serde's message is the only one. The functions
/// that serde derives are inherent, and go first.
pub trait BrokenMirror: Sized {
    fn serialize<E, S: Serializer>(_: &E, _: S) -> Result<S::Ok, S::Error> {
        stub()
    }

    fn deserialize<'de, E, D: Deserializer<'de>>(_: D) -> Result<E, D::Error> {
        stub()
    }
}

/// The body of everything that is emitted beside an error; it never runs, because the program does not compile.
pub fn stub() -> ! {
    unreachable!("emitted beside a compile error")
}

struct Written<'a, E, M>(&'a E, PhantomData<M>);

impl<E, M: WriteMirror<E>> Serialize for Written<'_, E, M> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        M::write(self.0, to)
    }
}

struct Read<E, M>(E, PhantomData<M>);

impl<'de, E, M: ReadMirror<'de, E>> Deserialize<'de> for Read<E, M> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        M::read(from).map(|event| Self(event, PhantomData))
    }
}

/// Encodes `E` itself, or through its mirror `M`: `(&&&Encoder::<E, M>::new()).encode(event)`.
#[derive(Debug)]
pub struct Encoder<E, M>(PhantomData<fn() -> (E, M)>);

/// Decodes `E` itself, or through its mirror `M`: `(&&&Decoder::<E, M>::new()).decode(payload)`.
#[derive(Debug)]
pub struct Decoder<E, M>(PhantomData<fn() -> (E, M)>);

impl<E, M> Encoder<E, M> {
    #[expect(clippy::new_without_default, reason = "only generated code makes one")]
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E, M> Decoder<E, M> {
    #[expect(clippy::new_without_default, reason = "only generated code makes one")]
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

pub trait ViaOwnEncode<E> {
    fn encode(&self, event: &E) -> Result<Vec<u8>, PayloadError>;
}

impl<E: Serialize, M> ViaOwnEncode<E> for &&Encoder<E, M> {
    fn encode(&self, event: &E) -> Result<Vec<u8>, PayloadError> {
        to_json(event)
    }
}

pub trait ViaMirrorEncode<E> {
    fn encode(&self, event: &E) -> Result<Vec<u8>, PayloadError>;
}

impl<E, M: WriteMirror<E>> ViaMirrorEncode<E> for &Encoder<E, M> {
    fn encode(&self, event: &E) -> Result<Vec<u8>, PayloadError> {
        to_json(&Written::<E, M>(event, PhantomData))
    }
}

pub trait ViaNothingEncode<E> {
    fn encode(&self, event: &E) -> Result<Vec<u8>, PayloadError>;
}

impl<E, M> ViaNothingEncode<E> for Encoder<E, M> {
    fn encode(&self, _: &E) -> Result<Vec<u8>, PayloadError> {
        stub()
    }
}

pub trait ViaOwnDecode<E> {
    fn decode(&self, payload: &[u8]) -> Result<E, PayloadError>;
}

impl<E: DeserializeOwned, M> ViaOwnDecode<E> for &&Decoder<E, M> {
    fn decode(&self, payload: &[u8]) -> Result<E, PayloadError> {
        from_json(payload)
    }
}

pub trait ViaMirrorDecode<E> {
    fn decode(&self, payload: &[u8]) -> Result<E, PayloadError>;
}

impl<E, M: for<'de> ReadMirror<'de, E>> ViaMirrorDecode<E> for &Decoder<E, M> {
    fn decode(&self, payload: &[u8]) -> Result<E, PayloadError> {
        from_json::<Read<E, M>>(payload).map(|read| read.0)
    }
}

pub trait ViaNothingDecode<E> {
    fn decode(&self, payload: &[u8]) -> Result<E, PayloadError>;
}

impl<E, M> ViaNothingDecode<E> for Decoder<E, M> {
    fn decode(&self, _: &[u8]) -> Result<E, PayloadError> {
        stub()
    }
}

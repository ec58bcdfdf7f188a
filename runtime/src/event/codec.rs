//! The one format of a payload, JSON, and the choice between an event's own serialization and the derived one.
//!
//! `#[derive(DomainEvent)]` writes a hidden mirror of the type for serde. Where the type has its own `Serialize` or
//! `Deserialize`, that one is taken. The choice is made by method resolution on the concrete type: the `ViaOwn*` trait
//! stands one reference deeper than the `ViaMirror*` trait, so it is found first wherever its bound holds; and where
//! neither holds, `ViaNothing*` keeps the call compiling, because the field at fault has been named already (`fields`).
#![allow(missing_docs, reason = "called by generated code only")]

use std::{fmt, marker::PhantomData};

use serde::{Serialize, de::DeserializeOwned};

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

/// Encodes `E` itself, or its mirror `M`: `(&&&Encoder::new(event, mirror)).encode()`.
#[derive(Debug)]
pub struct Encoder<'a, E, M> {
    event: &'a E,
    mirror: M,
}

/// Decodes `E` itself, or its mirror `M`: `(&&&Decoder::new(payload, from_mirror)).decode()`.
#[derive(Debug)]
pub struct Decoder<'a, E, M> {
    payload: &'a [u8],
    from_mirror: fn(M) -> E,
}

impl<'a, E, M> Encoder<'a, E, M> {
    pub const fn new(event: &'a E, mirror: M) -> Self {
        Self { event, mirror }
    }
}

impl<'a, E, M> Decoder<'a, E, M> {
    pub const fn new(payload: &'a [u8], from_mirror: fn(M) -> E) -> Self {
        Self { payload, from_mirror }
    }
}

pub trait ViaOwnEncode {
    fn encode(&self) -> Result<Vec<u8>, PayloadError>;
}

impl<E: Serialize, M> ViaOwnEncode for &&Encoder<'_, E, M> {
    fn encode(&self) -> Result<Vec<u8>, PayloadError> {
        to_json(self.event)
    }
}

pub trait ViaMirrorEncode {
    fn encode(&self) -> Result<Vec<u8>, PayloadError>;
}

impl<E, M: Serialize> ViaMirrorEncode for &Encoder<'_, E, M> {
    fn encode(&self) -> Result<Vec<u8>, PayloadError> {
        to_json(&self.mirror)
    }
}

pub trait ViaNothingEncode {
    fn encode(&self) -> Result<Vec<u8>, PayloadError>;
}

impl<E, M> ViaNothingEncode for Encoder<'_, E, M> {
    fn encode(&self) -> Result<Vec<u8>, PayloadError> {
        Err(PayloadError::new("this event can't be serialized"))
    }
}

pub trait ViaOwnDecode<E> {
    fn decode(&self) -> Result<E, PayloadError>;
}

impl<E: DeserializeOwned, M> ViaOwnDecode<E> for &&Decoder<'_, E, M> {
    fn decode(&self) -> Result<E, PayloadError> {
        from_json(self.payload)
    }
}

pub trait ViaMirrorDecode<E> {
    fn decode(&self) -> Result<E, PayloadError>;
}

impl<E, M: DeserializeOwned> ViaMirrorDecode<E> for &Decoder<'_, E, M> {
    fn decode(&self) -> Result<E, PayloadError> {
        from_json::<M>(self.payload).map(self.from_mirror)
    }
}

pub trait ViaNothingDecode<E> {
    fn decode(&self) -> Result<E, PayloadError>;
}

impl<E, M> ViaNothingDecode<E> for Decoder<'_, E, M> {
    fn decode(&self) -> Result<E, PayloadError> {
        Err(PayloadError::new("this event can't be deserialized"))
    }
}

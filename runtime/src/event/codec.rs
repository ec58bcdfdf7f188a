//! The one format of a payload, JSON, and the choice between an event's own serialization and the derived one.
//!
//! `#[derive(DomainEvent)]` writes a hidden mirror of the type for serde. Where the type has its own `Serialize` or
//! `Deserialize`, that one is taken. The choice is made by method resolution on the concrete type: the `ViaOwn*` trait
//! stands one reference deeper than the `ViaMirror*` trait, so it is found first wherever its bound holds.
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

/// Encodes `E`: `(&&Encoder::<E>::new()).encode(event, mirror)`.
#[derive(Debug)]
pub struct Encoder<E>(PhantomData<fn() -> E>);

/// Decodes `E`: `(&&Decoder::<E>::new()).decode(payload, from_mirror)`.
#[derive(Debug)]
pub struct Decoder<E>(PhantomData<fn() -> E>);

impl<E> Encoder<E> {
    #[expect(clippy::new_without_default, reason = "only generated code makes one")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E> Decoder<E> {
    #[expect(clippy::new_without_default, reason = "only generated code makes one")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

pub trait ViaOwnEncode<E> {
    fn encode<M: Serialize>(&self, event: &E, mirror: M) -> Result<Vec<u8>, PayloadError>;
}

impl<E: Serialize> ViaOwnEncode<E> for &Encoder<E> {
    fn encode<M: Serialize>(&self, event: &E, _: M) -> Result<Vec<u8>, PayloadError> {
        to_json(event)
    }
}

pub trait ViaMirrorEncode<E> {
    fn encode<M: Serialize>(&self, event: &E, mirror: M) -> Result<Vec<u8>, PayloadError>;
}

impl<E> ViaMirrorEncode<E> for Encoder<E> {
    fn encode<M: Serialize>(&self, _: &E, mirror: M) -> Result<Vec<u8>, PayloadError> {
        to_json(&mirror)
    }
}

pub trait ViaOwnDecode<E> {
    fn decode<M: DeserializeOwned>(&self, payload: &[u8], from_mirror: fn(M) -> E) -> Result<E, PayloadError>;
}

impl<E: DeserializeOwned> ViaOwnDecode<E> for &Decoder<E> {
    fn decode<M: DeserializeOwned>(&self, payload: &[u8], _: fn(M) -> E) -> Result<E, PayloadError> {
        from_json(payload)
    }
}

pub trait ViaMirrorDecode<E> {
    fn decode<M: DeserializeOwned>(&self, payload: &[u8], from_mirror: fn(M) -> E) -> Result<E, PayloadError>;
}

impl<E> ViaMirrorDecode<E> for Decoder<E> {
    fn decode<M: DeserializeOwned>(&self, payload: &[u8], from_mirror: fn(M) -> E) -> Result<E, PayloadError> {
        from_json::<M>(payload).map(from_mirror)
    }
}

//! What crosses the border between this crate and a broker: messages, deliveries, and what becomes of them.

use std::{fmt, sync::Arc};

use crate::{
    error::Error,
    event::{DeadReason, EventId},
};

/// A message to publish: an event, encoded, and what a broker needs to route it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outgoing {
    /// The event's id, for brokers that drop what they have.
    pub id: EventId,
    /// The event's name: the topic, subject or routing key.
    pub event: String,
    /// The aggregate, `Type:id`: messages of one key are delivered in the order in which they were published.
    pub key: String,
    /// The same as a number, for [`partition_of`](crate::event::partition_of).
    pub key_hash: u64,
    /// The W3C `traceparent` of this hop, for the protocol's own header.
    pub traceparent: Option<String>,
    /// What is in it.
    pub content: Content,
}

impl Outgoing {
    /// A message; without `traceparent`, which is a field to set.
    #[must_use]
    pub fn new(id: EventId, event: impl Into<String>, key: impl Into<String>, key_hash: u64, content: Content) -> Self {
        Self { id, event: event.into(), key: key.into(), key_hash, traceparent: None, content }
    }
}

/// An event as CloudEvents 1.0 puts it into a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Structured mode: one JSON document, `application/cloudevents+json; charset=UTF-8`.
    Structured(Vec<u8>),
    /// Binary mode: the attributes beside the data. Names are as in the specification, without a protocol's prefix.
    Binary {
        /// Names and values, `specversion` first; without `datacontenttype`.
        attributes: Vec<(&'static str, String)>,
        /// The `datacontenttype`.
        content_type: &'static str,
        /// The data.
        data: Vec<u8>,
    },
}

impl Content {
    /// The content type of a structured message.
    pub const STRUCTURED: &'static str = "application/cloudevents+json; charset=UTF-8";

    /// The message's content type.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        match self {
            Self::Structured(_) => Self::STRUCTURED,
            Self::Binary { content_type, .. } => content_type,
        }
    }

    /// The message's body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        match self {
            Self::Structured(body) => body,
            Self::Binary { data, .. } => data,
        }
    }

    /// The attributes that go beside the body: none in structured mode.
    #[must_use]
    pub fn attributes(&self) -> &[(&'static str, String)] {
        match self {
            Self::Structured(_) => &[],
            Self::Binary { attributes, .. } => attributes,
        }
    }
}

/// Why a publish stopped: what stands before was confirmed, in order; the rest may or may not have arrived.
#[derive(Debug)]
pub struct Unconfirmed {
    /// So many of the messages, from the first one on, were confirmed.
    pub confirmed: usize,
    /// What stopped it.
    pub error: Error,
}

impl Unconfirmed {
    /// None was confirmed.
    #[must_use]
    pub fn all(error: Error) -> Self {
        Self { confirmed: 0, error }
    }
}

/// A message as a broker delivered it, whoever published it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Incoming {
    /// The topic, subject or routing key it came by, for people.
    pub origin: String,
    /// The content type, where the protocol has one.
    pub content_type: Option<String>,
    /// CloudEvents attributes that stand beside the body: lower-case names without the protocol's prefix.
    pub attributes: Vec<(String, String)>,
    /// The protocol's own `traceparent` header.
    pub traceparent: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// The backend's name for a message that was delivered and is not settled: it means something only to the
/// [`Inbound`](super::Inbound) that gave it, and nothing after that has lost its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u64);

/// A message that was delivered, to be settled.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// To settle it by.
    pub tag: Tag,
    /// The message.
    pub message: Arc<Incoming>,
    /// How often it was delivered before, or may have been, to anybody; 0 where nobody counts.
    pub redelivered: u32,
}

/// What becomes of a delivery.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Which.
    pub tag: Tag,
    /// What becomes of it.
    pub fate: Fate,
}

/// What becomes of a delivery.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Fate {
    /// It is done: the broker may forget it.
    Done,
    /// It is given up on: the broker keeps it aside with this note, then it counts as done.
    Dead(Arc<Incoming>, Epitaph),
    /// It was not tried: somebody else may have it at once.
    Returned,
}

/// Why a delivery was given up on.
#[derive(Debug, Clone, PartialEq)]
pub struct Epitaph {
    /// The kind of reason.
    pub reason: DeadReason,
    /// The last error.
    pub error: String,
    /// How many attempts were made.
    pub attempts: u32,
}

/// A dead letter on a broker.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeadMessage {
    /// The backend's name for it, to redrive or discard it by.
    pub id: String,
    /// The message, as it was delivered.
    pub message: Incoming,
    /// Why it was given up on.
    pub epitaph: Epitaph,
}

impl DeadMessage {
    /// A dead letter.
    #[must_use]
    pub fn new(id: String, message: Incoming, epitaph: Epitaph) -> Self {
        Self { id, message, epitaph }
    }
}

/// What a handler wants from a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The handler's full name, `group.name`: all processes that use it share one subscription.
    pub handler: Arc<str>,
    /// The names of the events it takes, aliases included, sorted; only these are subscribed to.
    pub events: Vec<String>,
    /// Into how many shares it is split by aggregate, so that several processes can work on it; from 1 to 256.
    pub partitions: u16,
    /// The most deliveries that may be unsettled at a time: what bounds memory.
    pub window: usize,
    /// A new subscription begins with what is published from now on, not with what the broker still has.
    pub from_now: bool,
    /// This process, unique for each start.
    pub node: Arc<str>,
}

impl fmt::Display for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.handler)
    }
}

//! What is in a message: CloudEvents 1.0.2, written in structured or binary mode, read in both. The relay and the consumer
//! call it; a backend only carries what it made.
//!
//! | attribute | what it is | where it is missing |
//! |---|---|---|
//! | `specversion` | `1.0` | the message is unreadable |
//! | `id` | the event's id; one that is no UUID becomes a UUID version 5 of `source` and `id`, always the same | unreadable |
//! | `source` | the publishing application, a URI reference | unreadable |
//! | `type` | the event's name | unreadable |
//! | `subject` | the aggregate's id | taken from `partitionkey`, else the text of `id` |
//! | `time` | when it happened, RFC 3339 in UTC, with its nanoseconds | the time of reading |
//! | `datacontenttype` | `application/json`; of a payload that is no JSON `application/octet-stream` | JSON |
//! | `aggregatetype` | the aggregate's type | empty |
//! | `aggregateversion` | the aggregate's version after the event, in digits: CloudEvents has no integer of 64 bits | none |
//! | `eventversion` | the version of the payload, from 1 | 1 |
//! | `correlationid`, `causationid` | UUIDs; other text becomes a UUID version 5 | none |
//! | `partitionkey` | the aggregate, `Type:id` | |
//! | `traceparent` | the W3C trace context in which it was raised | the protocol's own header |
//!
//! Other attributes are ignored. The payload's bytes are the message's data as they are, neither parsed into values nor
//! written anew: the order of keys and the digits of numbers survive. In structured mode a payload that is no JSON is
//! written in base64, and white space around the JSON is not kept.

mod attributes;
mod base64;
mod binary;
mod structured;
mod trace;

use std::fmt;

use super::record::{Content, Incoming, Outgoing};
use crate::{
    error::{Error, ErrorKind, Result},
    event::{DeadReason, Envelope, key_of},
};

/// How an event is put into a message; both are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// One JSON document: the one mode that CloudEvents defines for every protocol.
    #[default]
    Structured,
    /// Attributes in headers beside the bare payload; on a protocol without headers it is structured all the same.
    Binary,
}

/// Why a message can't be read as an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The kind of reason.
    pub reason: DeadReason,
    /// What is wrong, with the value.
    pub error: String,
}

impl Unreadable {
    fn new(error: impl Into<String>) -> Self {
        Self { reason: DeadReason::Undecodable, error: error.into() }
    }

    /// An attribute with a value that it can't have.
    fn attribute(name: &str, value: &str, wanted: &str) -> Self {
        Self::new(format!("the attribute `{name}` is {}, not {wanted}", shown(value)))
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

impl std::error::Error for Unreadable {}

/// A value in a message for people: quoted, and not longer than a line.
fn shown(value: &str) -> String {
    match value.char_indices().nth(80) {
        Some((end, _)) => format!("{:?}... ({} bytes)", &value[..end], value.len()),
        None => format!("{value:?}"),
    }
}

/// The message for an event. `source` names the application that publishes, as a URI reference: `/library`,
/// `https://example.org/library`.
///
/// # Errors
///
/// [`Configuration`](ErrorKind::Configuration) if `source` is no URI reference.
pub fn encode(envelope: &Envelope, source: &str, mode: Mode) -> Result<Outgoing> {
    // RFC 3986: what stands in no URI, even where the rest of the grammar is not looked at.
    let is_foreign = |c: char| !c.is_ascii_graphic() || "\"<>\\^`{|}".contains(c);
    if source.is_empty() || source.contains(is_foreign) {
        let error = format!(
            "{} can't be the source of events: CloudEvents wants a URI reference there, such as `/library` or \
             `https://example.org/library`",
            shown(source)
        );
        return Err(Error::new(ErrorKind::Configuration, error));
    }
    let meta = &envelope.meta;
    let content = match mode {
        Mode::Structured => Content::Structured(structured::write(envelope, source)),
        Mode::Binary => binary::write(envelope, source),
    };
    let key = attributes::partition_key(meta);
    let key_hash = key_of(&meta.aggregate_type, meta.aggregate_id.as_str());
    let mut message = Outgoing::new(meta.id, meta.name.as_ref(), key, key_hash, content);
    message.traceparent = meta.trace.as_deref().and_then(trace::checked).map(str::to_owned);
    Ok(message)
}

/// The event in a message, whoever published it. It is structured if its content type is `application/cloudevents+json`,
/// or if it has neither content type nor attributes and its body looks like one; else it is binary.
///
/// # Errors
///
/// If it can't be read: the attribute at fault, and its value.
pub fn decode(message: &Incoming) -> Result<Envelope, Unreadable> {
    let header = message.traceparent.as_deref();
    match message.content_type.as_deref().map(media_type) {
        Some(format) if format.starts_with("application/cloudevents") => match format.as_str() {
            "application/cloudevents+json" | "application/cloudevents" => structured::read(&message.body, header),
            batch if batch.contains("-batch") => Err(Unreadable::new(format!(
                "the content type is {}: a batch of events in one message is not read; publish each event by itself",
                shown(batch)
            ))),
            other => Err(Unreadable::new(format!(
                "the content type is {}: of CloudEvents' formats only `application/cloudevents+json` is read",
                shown(other)
            ))),
        },
        None if message.attributes.is_empty() && structured::is_likely(&message.body) => {
            structured::read(&message.body, header)
        }
        _ => binary::read(message),
    }
}

/// A content type without its parameters, in lower case.
fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests;

//! What of a message stands where in AMQP 0-9-1: written by the publisher and the dead letters, read by the inbound.
//!
//! CloudEvents has no binding for this protocol; the names are those of its AMQP 1.0 binding, `cloudEvents:id`, in the
//! headers. The other spelling that it allows, `cloudEvents_id`, is read too.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable, ShortString},
};

use super::names::short;
use crate::{
    event::DeadReason,
    transport::record::{DeadMessage, Epitaph, Incoming, Outgoing},
};

/// Delivery mode: written to disk.
const PERSISTENT: u8 = 2;
const PREFIXES: [&str; 2] = ["cloudEvents:", "cloudEvents_"];
const TRACEPARENT: &str = "traceparent";

/// The routing key that a message first came by, where it was published again.
const ORIGIN: &str = "domain-events-origin";
const DEAD_ID: &str = "domain-events-dead-id";
const DEAD_QUEUE: &str = "domain-events-queue";
const DEAD_REASON: &str = "domain-events-reason";
const DEAD_ERROR: &str = "domain-events-error";
const DEAD_ATTEMPTS: &str = "domain-events-attempts";

/// How much of an error is kept: headers must fit into one frame, of 128 KiB by default.
const ERROR_BYTES: usize = 16 * 1024;

/// The properties of a message to publish.
pub(super) fn outgoing(message: &Outgoing) -> BasicProperties {
    let attributes = message.content.attributes().iter().map(|(name, value)| (*name, value.as_str()));
    let headers = headers(attributes, message.traceparent.as_deref());
    properties(Some(message.content.content_type()), headers)
        .with_message_id(short(&message.id.to_string()))
        .with_type(short(&message.event))
}

/// A message as it was delivered.
pub(super) fn incoming(routing_key: &ShortString, properties: &BasicProperties, body: Vec<u8>) -> Incoming {
    let mut message = Incoming {
        origin: routing_key.to_string(),
        content_type: properties.content_type().as_ref().map(ToString::to_string),
        body,
        ..Incoming::default()
    };
    for (name, value) in headers_of(properties) {
        let name = name.as_str();
        let Some(value) = text(value) else { continue };
        if let Some(attribute) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
            message.attributes.push((attribute.to_ascii_lowercase(), value));
        } else if name == TRACEPARENT {
            message.traceparent = Some(value);
        } else if name == ORIGIN {
            message.origin = value;
        }
    }
    message
}

/// How often it was delivered before. Quorum queues count; classic ones only know that it was.
pub(super) fn redelivered(flag: bool, properties: &BasicProperties) -> u32 {
    header(properties, "x-delivery-count").and_then(|count| count.parse().ok()).unwrap_or(u32::from(flag))
}

/// The properties of a dead letter that came out of a queue.
pub(super) fn dead(message: &Incoming, epitaph: &Epitaph, queue: &ShortString, id: &str) -> BasicProperties {
    let mut headers = restored(message);
    let mut note = |name: &str, value: AMQPValue| {
        headers.insert(short(name), value);
    };
    note(DEAD_ID, long(id));
    note(DEAD_QUEUE, long(queue.as_str()));
    note(DEAD_REASON, long(epitaph.reason.as_str()));
    note(DEAD_ERROR, long(cut(&epitaph.error)));
    note(DEAD_ATTEMPTS, AMQPValue::LongLongInt(epitaph.attempts.into()));
    properties(message.content_type.as_deref(), headers)
}

/// The properties of a dead letter that becomes a delivery again.
pub(super) fn redriven(message: &Incoming) -> BasicProperties {
    properties(message.content_type.as_deref(), restored(message))
}

/// The properties of a note to ourselves.
pub(super) fn note() -> BasicProperties {
    properties(Some("text/plain"), FieldTable::default())
}

/// A dead letter, whoever wrote it: what the broker put there itself has neither number nor note.
pub(super) fn dead_letter(routing_key: &ShortString, properties: &BasicProperties, body: Vec<u8>) -> DeadMessage {
    let id = dead_id(properties);
    let by_broker = || {
        let why =
            header(properties, "x-first-death-reason").unwrap_or_else(|| "for a reason it does not say".to_owned());
        format!("the broker removed it from the queue: {why}")
    };
    let epitaph = Epitaph {
        reason: DeadReason::parse(&header(properties, DEAD_REASON).unwrap_or_default()),
        error: header(properties, DEAD_ERROR).unwrap_or_else(by_broker),
        attempts: header(properties, DEAD_ATTEMPTS).and_then(|count| count.parse().ok()).unwrap_or(0),
    };
    DeadMessage::new(id, incoming(routing_key, properties, body), epitaph)
}

/// What a dead letter is called.
pub(super) fn dead_id(properties: &BasicProperties) -> String {
    let own = || properties.message_id().as_ref().map(ToString::to_string);
    header(properties, DEAD_ID).or_else(own).unwrap_or_else(|| "unnamed".to_owned())
}

/// The queue that a dead letter came out of.
pub(super) fn dead_queue(properties: &BasicProperties) -> Option<String> {
    header(properties, DEAD_QUEUE).or_else(|| header(properties, "x-first-death-queue"))
}

fn restored(message: &Incoming) -> FieldTable {
    let attributes = message.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut headers = headers(attributes, message.traceparent.as_deref());
    headers.insert(short(ORIGIN), long(&message.origin));
    headers
}

fn properties(content_type: Option<&str>, headers: FieldTable) -> BasicProperties {
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT).with_headers(headers);
    match content_type {
        Some(content_type) => properties.with_content_type(short(content_type)),
        None => properties,
    }
}

fn headers<'a>(attributes: impl Iterator<Item = (&'a str, &'a str)>, traceparent: Option<&str>) -> FieldTable {
    let mut headers = FieldTable::default();
    for (name, value) in attributes {
        headers.insert(short(&format!("{}{name}", PREFIXES[0])), long(value));
    }
    if let Some(traceparent) = traceparent {
        headers.insert(short(TRACEPARENT), long(traceparent));
    }
    headers
}

fn headers_of(properties: &BasicProperties) -> impl Iterator<Item = (&ShortString, &AMQPValue)> {
    properties.headers().iter().flat_map(|headers| headers.inner())
}

fn header(properties: &BasicProperties, name: &str) -> Option<String> {
    text(properties.headers().as_ref()?.inner().get(name)?)
}

fn long(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// A value as CloudEvents writes it into text; what has no such form is none.
fn text(value: &AMQPValue) -> Option<String> {
    Some(match value {
        AMQPValue::LongString(text) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        AMQPValue::ShortString(text) => text.to_string(),
        AMQPValue::Boolean(value) => value.to_string(),
        AMQPValue::ShortShortInt(value) => value.to_string(),
        AMQPValue::ShortShortUInt(value) => value.to_string(),
        AMQPValue::ShortInt(value) => value.to_string(),
        AMQPValue::ShortUInt(value) => value.to_string(),
        AMQPValue::LongInt(value) => value.to_string(),
        AMQPValue::LongUInt(value) => value.to_string(),
        AMQPValue::LongLongInt(value) => value.to_string(),
        AMQPValue::Timestamp(seconds) => {
            chrono::DateTime::from_timestamp(i64::try_from(*seconds).ok()?, 0)?.to_rfc3339()
        }
        _ => return None,
    })
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(ERROR_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

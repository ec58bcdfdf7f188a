//! A message as a Kafka record: CloudEvents 1.0.2, Kafka protocol binding, section 3; and the header `event`, by which a
//! handler's consumer drops what the handler does not take without reading the body.

use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};

use crate::transport::record::{Incoming, Outgoing};

/// The event's name, in both modes.
pub(super) const EVENT: &str = "event";

/// What the names of attributes have in front.
const ATTRIBUTE: &str = "ce_";
const TYPE: &str = "ce_type";
const CONTENT_TYPE: &str = "content-type";
const TRACEPARENT: &str = "traceparent";

/// One header more.
pub(super) fn with(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
    headers.insert(Header { key, value: Some(value) })
}

/// The headers of a message to publish.
pub(super) fn headers_of(message: &Outgoing) -> OwnedHeaders {
    let content = &message.content;
    let mut headers = OwnedHeaders::new_with_capacity(content.attributes().len() + 3);
    headers = with(headers, CONTENT_TYPE, content.content_type());
    headers = with(headers, EVENT, &message.event);
    if let Some(traceparent) = &message.traceparent {
        headers = with(headers, TRACEPARENT, traceparent);
    }
    content
        .attributes()
        .iter()
        .fold(headers, |headers, (name, value)| with(headers, &format!("{ATTRIBUTE}{name}"), value))
}

/// The headers of a message that was taken in, to be put aside or delivered again.
pub(super) fn headers_again(message: &Incoming) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(message.attributes.len() + 8);
    if let Some(content_type) = &message.content_type {
        headers = with(headers, CONTENT_TYPE, content_type);
    }
    if let Some(traceparent) = &message.traceparent {
        headers = with(headers, TRACEPARENT, traceparent);
    }
    message
        .attributes
        .iter()
        .fold(headers, |headers, (name, value)| with(headers, &format!("{ATTRIBUTE}{name}"), value))
}

/// A header's value, if it is text.
pub(super) fn header<'a>(record: &'a BorrowedMessage<'_>, wanted: &str) -> Option<&'a str> {
    let mut headers = record.headers()?.iter();
    headers.find(|header| header.key == wanted).and_then(|header| std::str::from_utf8(header.value?).ok())
}

/// The event's name, where the record says it beside the body.
pub(super) fn event_of<'a>(record: &'a BorrowedMessage<'_>) -> Option<&'a str> {
    header(record, EVENT).or_else(|| header(record, TYPE))
}

/// A record as it was delivered.
pub(super) fn incoming(record: &BorrowedMessage<'_>) -> Incoming {
    let mut message = Incoming {
        origin: format!("{}[{}]@{}", record.topic(), record.partition(), record.offset()),
        body: record.payload().unwrap_or_default().to_vec(),
        ..Incoming::default()
    };
    for header in record.headers().into_iter().flat_map(Headers::iter) {
        // Foreign text that is not UTF-8 is kept as far as it can be read: the handler's decoder reports it.
        let value = || String::from_utf8_lossy(header.value.unwrap_or_default()).into_owned();
        if let Some(name) = header.key.strip_prefix(ATTRIBUTE) {
            message.attributes.push((name.to_ascii_lowercase(), value()));
        } else if header.key.eq_ignore_ascii_case(CONTENT_TYPE) {
            message.content_type = Some(value());
        } else if header.key.eq_ignore_ascii_case(TRACEPARENT) {
            message.traceparent = Some(value());
        }
    }
    message
}

//! A message's headers: what CloudEvents asks for, written for `publish`, read for `shard` and `dead_letter`.
//!
//! Structured mode is what version 1.0.2 of the specification defines for NATS; binary mode follows its draft: attributes
//! are headers that begin with `ce-`, percent-encoded as in the HTTP binding.

use async_nats::{HeaderMap, Subject, header::NATS_MESSAGE_ID};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::super::record::{Content, Epitaph, Incoming, Outgoing};
use crate::event::DeadReason;

const CONTENT_TYPE: &str = "Content-Type";
const DATA_CONTENT_TYPE: &str = "datacontenttype";
const TRACEPARENT: &str = "traceparent";
const REASON: &str = "Domain-Events-Reason";
const ERROR: &str = "Domain-Events-Error";
const ATTEMPTS: &str = "Domain-Events-Attempts";
const ORIGIN: &str = "Domain-Events-Origin";
/// The one handler that a redriven message is for.
pub(super) const ONLY_FOR: &str = "Domain-Events-Only-For";

/// What a header can't hold as it is: controls, space, `"`, `%`, and all that is not ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// The longest error text that goes with a dead letter, in bytes before encoding.
const ERROR_BYTES: usize = 1_000;

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The headers of a message to publish.
pub(super) fn of(message: &Outgoing, with_id: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if with_id {
        headers.insert(NATS_MESSAGE_ID, message.id.to_string());
    }
    headers.insert(CONTENT_TYPE, message.content.content_type());
    if let Some(traceparent) = &message.traceparent {
        headers.insert(TRACEPARENT, encoded(traceparent));
    }
    for (name, value) in message.content.attributes() {
        headers.insert(format!("ce-{name}"), encoded(value));
    }
    if let Content::Binary { content_type, .. } = &message.content {
        headers.insert(format!("ce-{DATA_CONTENT_TYPE}"), encoded(content_type));
    }
    headers
}

/// What was delivered, whoever published it.
pub(super) fn incoming(subject: &Subject, headers: Option<&HeaderMap>, body: &[u8]) -> Incoming {
    let mut incoming = Incoming { origin: subject.to_string(), body: body.to_vec(), ..Incoming::default() };
    let Some(headers) = headers else { return incoming };
    let mut data_content_type = None;
    for (name, values) in headers.iter() {
        let name: &str = name.as_ref();
        let (name, Some(value)) = (name.to_ascii_lowercase(), values.first()) else { continue };
        match (&*name, name.strip_prefix("ce-")) {
            ("content-type", _) => incoming.content_type = Some(value.to_string()),
            (TRACEPARENT, _) => incoming.traceparent = Some(decoded(value.as_str())),
            (_, Some(DATA_CONTENT_TYPE)) => data_content_type = Some(decoded(value.as_str())),
            (_, Some(attribute)) => incoming.attributes.push((attribute.to_owned(), decoded(value.as_str()))),
            _ => {}
        }
    }
    incoming.content_type = incoming.content_type.or(data_content_type);
    incoming.attributes.sort();
    incoming
}

/// The headers of a message that is stored again: as a dead letter, or for its handler alone.
pub(super) fn again(message: &Incoming) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(content_type) = &message.content_type {
        headers.insert(CONTENT_TYPE, content_type.replace(['\r', '\n'], " "));
    }
    if let Some(traceparent) = &message.traceparent {
        headers.insert(TRACEPARENT, encoded(traceparent));
    }
    for (name, value) in &message.attributes {
        headers.insert(format!("ce-{name}"), encoded(value));
    }
    headers
}

/// The headers of a dead letter.
pub(super) fn dead(message: &Incoming, epitaph: &Epitaph) -> HeaderMap {
    let mut headers = again(message);
    let mut end = epitaph.error.len().min(ERROR_BYTES);
    while !epitaph.error.is_char_boundary(end) {
        end -= 1;
    }
    headers.insert(REASON, encoded(epitaph.reason.as_str()));
    headers.insert(ERROR, encoded(&epitaph.error[..end]));
    headers.insert(ATTEMPTS, epitaph.attempts.to_string());
    headers.insert(ORIGIN, encoded(&message.origin));
    headers
}

/// What a dead letter says.
pub(super) fn epitaph(subject: &Subject, headers: &HeaderMap, body: &[u8]) -> (Incoming, Epitaph) {
    let text = |name: &str| headers.get(name).map(|value| decoded(value.as_str())).unwrap_or_default();
    let mut message = incoming(subject, Some(headers), body);
    message.origin = text(ORIGIN);
    let attempts = text(ATTEMPTS).parse().unwrap_or(0);
    (message, Epitaph { reason: DeadReason::parse(&text(REASON)), error: text(ERROR), attempts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_keeps_the_message_and_the_reason() {
        let message = Incoming {
            origin: "events.3.Lent".into(),
            content_type: Some("application/json".into()),
            attributes: vec![("id".into(), "ä\r\n%41".into()), ("type".into(), " Lent ".into())],
            traceparent: Some("00-1-2-01".into()),
            body: b"{}".to_vec(),
        };
        let epitaph = Epitaph { reason: DeadReason::Permanent, error: "ß".repeat(900), attempts: 3 };
        let headers = dead(&message, &epitaph);
        let (kept, read) = super::epitaph(&"events-dead.h".into(), &headers, b"{}");
        assert_eq!(kept, message);
        assert_eq!((read.reason, read.attempts), (DeadReason::Permanent, 3));
        assert_eq!(read.error, "ß".repeat(500), "cut between characters");
    }
}

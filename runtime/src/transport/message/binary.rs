//! Binary mode: the attributes beside the body, which is the payload alone.

use std::borrow::Cow;

use super::{Unreadable, attributes, structured::is_json};
use crate::{
    event::Envelope,
    transport::record::{Content, Incoming},
};

pub(super) fn write(envelope: &Envelope, source: &str) -> Content {
    let content_type = if is_json(&envelope.payload) { "application/json" } else { "application/octet-stream" };
    let attributes = attributes::write(&envelope.meta, source);
    Content::Binary { attributes, content_type, data: envelope.payload.clone() }
}

pub(super) fn read(message: &Incoming) -> Result<Envelope, Unreadable> {
    let get = |name: &str| message.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    if get("specversion").is_none() {
        let content_type = message.content_type.as_deref().map_or("none".to_owned(), super::shown);
        return Err(Unreadable::new(format!(
            "the message is no CloudEvent: it has no attribute `specversion`, and its content type is {content_type}, \
             not `application/cloudevents+json`"
        )));
    }
    let header = message.traceparent.as_deref();
    attributes::read(|name| Ok(get(name).map(Cow::Borrowed)), header, message.body.clone())
}

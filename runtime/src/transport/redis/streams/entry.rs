//! A message as the fields of an entry, and back.

use redis::Cmd;

use crate::transport::record::{Content, Incoming, Outgoing};

/// The event's name: what a handler does not take is skipped by it.
pub(super) const EVENT: &str = "event";
/// The one handler that a redriven entry is meant for.
pub(super) const FOR: &str = "for";
const STRUCTURED: &str = "cloudevent";
const DATA: &str = "data";
const CONTENT_TYPE: &str = "content_type";
const TRACEPARENT: &str = "traceparent";
const ATTRIBUTE: &str = "ce_";

/// The fields of an event to publish.
pub(super) fn write(command: &mut Cmd, message: &Outgoing) {
    command.arg(EVENT).arg(&message.event);
    match &message.content {
        Content::Structured(body) => {
            command.arg(STRUCTURED).arg(body.as_slice());
        }
        Content::Binary { attributes, content_type, data } => {
            for (name, value) in attributes {
                command.arg(format!("{ATTRIBUTE}{name}")).arg(value);
            }
            command.arg(CONTENT_TYPE).arg(*content_type).arg(DATA).arg(data.as_slice());
        }
    }
    if let Some(traceparent) = &message.traceparent {
        command.arg(TRACEPARENT).arg(traceparent);
    }
}

/// The fields of a message that came in, as it came.
pub(super) fn fields(message: &Incoming) -> Vec<(String, Vec<u8>)> {
    let mut fields = Vec::with_capacity(message.attributes.len() + 3);
    for (name, value) in &message.attributes {
        fields.push((format!("{ATTRIBUTE}{name}"), value.clone().into_bytes()));
    }
    if message.content_type.as_deref() == Some(Content::STRUCTURED) {
        fields.push((STRUCTURED.to_owned(), message.body.clone()));
    } else {
        if let Some(content_type) = &message.content_type {
            fields.push((CONTENT_TYPE.to_owned(), content_type.clone().into_bytes()));
        }
        fields.push((DATA.to_owned(), message.body.clone()));
    }
    if let Some(traceparent) = &message.traceparent {
        fields.push((TRACEPARENT.to_owned(), traceparent.clone().into_bytes()));
    }
    fields
}

/// An entry's fields, sorted into what they mean.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) event: Option<Vec<u8>>,
    pub(super) meant_for: Option<Vec<u8>>,
    pub(super) message: Incoming,
    /// Those that are not the message's.
    pub(super) others: Vec<(String, Vec<u8>)>,
}

/// Reads an entry, whoever wrote it. Never fails: what it can't be is for the consumer to say.
pub(super) fn read(origin: &str, fields: impl Iterator<Item = (Vec<u8>, Vec<u8>)>) -> Fields {
    let mut read = Fields::default();
    read.message.origin = origin.to_owned();
    let text = |value: Vec<u8>| String::from_utf8_lossy(&value).into_owned();
    for (name, value) in fields {
        let name = text(name);
        match name.as_str() {
            EVENT => read.event = Some(value),
            FOR => read.meant_for = Some(value),
            STRUCTURED => {
                read.message.body = value;
                read.message.content_type = Some(Content::STRUCTURED.to_owned());
            }
            DATA => read.message.body = value,
            CONTENT_TYPE => read.message.content_type = Some(text(value)),
            TRACEPARENT => read.message.traceparent = Some(text(value)),
            _ => match name.strip_prefix(ATTRIBUTE) {
                Some(attribute) => read.message.attributes.push((attribute.to_lowercase(), text(value))),
                None => read.others.push((name, value)),
            },
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(fields: Vec<(String, Vec<u8>)>) -> Incoming {
        read("events:stream:0", fields.into_iter().map(|(name, value)| (name.into_bytes(), value))).message
    }

    #[test]
    fn a_message_keeps_everything_on_its_way_to_the_dead_letters_and_back() {
        let structured = Incoming {
            origin: "events:stream:0".to_owned(),
            content_type: Some(Content::STRUCTURED.to_owned()),
            traceparent: Some("00-1-2-01".to_owned()),
            body: b"{}".to_vec(),
            ..Incoming::default()
        };
        assert_eq!(read_back(fields(&structured)), structured);
        let binary = Incoming {
            content_type: Some("application/json".to_owned()),
            attributes: vec![("id".to_owned(), "1".to_owned()), ("source".to_owned(), "a".to_owned())],
            body: vec![0, 255],
            ..structured
        };
        assert_eq!(read_back(fields(&binary)), binary);
        let foreign = Incoming { content_type: None, attributes: Vec::new(), traceparent: None, ..binary };
        assert_eq!(read_back(fields(&foreign)), foreign);
    }
}

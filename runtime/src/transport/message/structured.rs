//! Structured mode: everything in one JSON document (CloudEvents' JSON event format 1.0.2), the payload in it as it is.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Unreadable, attributes, base64, media_type, shown};
use crate::event::Envelope;

pub(super) fn write(envelope: &Envelope, source: &str) -> Vec<u8> {
    let payload = &envelope.payload;
    let json = as_json(payload);
    let mut body = Vec::with_capacity(payload.len() + 640);
    for (name, value) in attributes::write(&envelope.meta, source) {
        // An Integer of CloudEvents has 31 bits.
        let is_number = name == "eventversion" && envelope.meta.version <= i32::MAX.unsigned_abs();
        member(&mut body, name);
        if is_number { body.extend_from_slice(value.as_bytes()) } else { text(&mut body, &value) }
    }
    match json {
        Some(json) => {
            member(&mut body, "datacontenttype");
            text(&mut body, "application/json");
            member(&mut body, "data");
            body.extend_from_slice(json.get().as_bytes());
        }
        None if payload.is_empty() => {}
        None => {
            member(&mut body, "datacontenttype");
            text(&mut body, "application/octet-stream");
            member(&mut body, "data_base64");
            body.push(b'"');
            base64::encode(payload, &mut body);
            body.push(b'"');
        }
    }
    body.push(b'}');
    body
}

/// Whether these bytes are a JSON document.
pub(super) fn is_json(payload: &[u8]) -> bool {
    as_json(payload).is_some()
}

/// Checked for its form only, so that no value in it is lost: numbers beyond `f64`, lone surrogates, any depth.
fn as_json(payload: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(payload).ok()
}

/// The name of one more member.
fn member(body: &mut Vec<u8>, name: &str) {
    body.push(if body.is_empty() { b'{' } else { b',' });
    text(body, name);
    body.push(b':');
}

fn text(body: &mut Vec<u8>, value: &str) {
    // Text can be written as JSON, and a vector takes what is written.
    let written = serde_json::to_writer(body, value);
    debug_assert!(written.is_ok());
}

/// Whether a body without a content type is an event in structured mode.
pub(super) fn is_likely(body: &[u8]) -> bool {
    serde_json::from_slice::<Members<'_>>(body).is_ok_and(|members| members.get("specversion").is_some())
}

pub(super) fn read(body: &[u8], header: Option<&str>) -> Result<Envelope, Unreadable> {
    let members: Members<'_> = serde_json::from_slice(body)
        .map_err(|error| Unreadable::new(format!("the body is no JSON object, as structured mode has it: {error}")))?;
    let attribute = |name: &'static str| members.attribute(name);
    let payload = match (members.get("data"), members.attribute("data_base64")?) {
        (Some(_), Some(_)) => return Err(Unreadable::new("the event has both `data` and `data_base64`")),
        (Some(data), None) => unwrapped(data, attribute("datacontenttype")?.as_deref()),
        (None, Some(text)) => {
            base64::decode(&text).ok_or_else(|| Unreadable::attribute("data_base64", &text, "base64"))?
        }
        (None, None) => Vec::new(),
    };
    attributes::read(attribute, header, payload)
}

/// The payload in `data`: as it is, except that data of another type than JSON stands there as a JSON text (section 3.1.1).
fn unwrapped(data: &RawValue, content_type: Option<&str>) -> Vec<u8> {
    let of_json = |media: String| media.ends_with("/json") || media.ends_with("+json");
    if !content_type.is_none_or(|content_type| of_json(media_type(content_type)))
        && let Ok(text) = serde_json::from_str::<String>(data.get())
    {
        return text.into_bytes();
    }
    data.get().as_bytes().to_vec()
}

/// The members of a JSON object in their order, their values unread.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

/// A text, without a copy where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Members<'a> {
    fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// An attribute as text: numbers and truth values in their canonical form, which is their JSON (section 2.2); `null` is
    /// the same as none.
    fn attribute(&self, name: &'static str) -> Result<Option<Cow<'a, str>>, Unreadable> {
        let Some(value) = self.get(name).map(RawValue::get) else { return Ok(None) };
        let wrong = |wanted| Unreadable::new(format!("the attribute `{name}` is {}, not {wanted}", shown(value)));
        match value.as_bytes().first() {
            // Without an escape it is what stands between the quotes.
            Some(b'"') if !value.as_bytes().contains(&b'\\') => Ok(Some(Cow::Borrowed(&value[1..value.len() - 1]))),
            Some(b'"') => {
                let text: Text<'a> = serde_json::from_str(value).map_err(|_| wrong("text that Unicode has"))?;
                Ok(Some(text.0))
            }
            Some(b'n') => Ok(None),
            Some(b'0'..=b'9' | b'-') if matches!(name, "eventversion" | "aggregateversion") => {
                Ok(Some(Cow::Borrowed(value)))
            }
            _ => Err(wrong("a text")),
        }
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some((name, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
                    members.push((name.0, value));
                }
                Ok(Members(members))
            }
        }

        from.deserialize_map(Collect)
    }
}

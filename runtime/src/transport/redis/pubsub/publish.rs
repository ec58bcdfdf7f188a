//! The way in of Pub/Sub: pipelines, and always structured mode, since a message has no room beside its body.

use std::{borrow::Cow, sync::Arc};

use redis::{Value, aio::MultiplexedConnection};
use serde_json::{Map, Value as Json, value::RawValue};

use super::channel;
use crate::{
    error::{Error, ErrorKind, Result},
    transport::{
        BoxFuture, Publisher,
        record::{Content, Outgoing, Unconfirmed},
        redis::connect::Server,
    },
};

/// The most messages on the way.
const BATCH: usize = 256;

/// A connection that publishes.
pub(super) struct PubSubPublisher {
    pub(super) server: Arc<Server>,
    pub(super) connection: MultiplexedConnection,
    pub(super) prefix: String,
}

impl PubSubPublisher {
    async fn send(&mut self, messages: &[Outgoing]) -> Result<()> {
        let mut all = redis::pipe();
        for message in messages {
            all.cmd("PUBLISH").arg(channel(&self.prefix, &message.event)).arg(&*structured(&message.content)?);
        }
        let sent = all.query_async::<Vec<Value>>(&mut self.connection).await;
        sent.map(|_| ()).map_err(|error| self.server.failed("publishing", &error))
    }
}

impl Publisher for PubSubPublisher {
    fn publish<'a>(&'a mut self, messages: &'a [Outgoing]) -> BoxFuture<'a, Result<(), Unconfirmed>> {
        Box::pin(async move {
            for (index, batch) in messages.chunks(BATCH).enumerate() {
                let sent = self.send(batch).await;
                sent.map_err(|error| Unconfirmed { confirmed: index * BATCH, error })?;
            }
            Ok(())
        })
    }
}

/// The event as one JSON document (JSON format of CloudEvents 1.0.2, section 3).
fn structured(content: &Content) -> Result<Cow<'_, [u8]>> {
    let Content::Binary { attributes, content_type, data } = content else {
        return Ok(Cow::Borrowed(content.body()));
    };
    let unfit = |what: String| {
        Error::new(
            ErrorKind::InvalidEvent,
            format!("Redis Pub/Sub carries JSON and text only: {what}; use structured mode for `{content_type}`"),
        )
    };
    let text = std::str::from_utf8(data).map_err(|error| unfit(format!("the data is not text ({error})")))?;
    let mut document: Map<String, Json> =
        attributes.iter().map(|(name, value)| ((*name).to_owned(), Json::String(value.clone()))).collect();
    document.insert("datacontenttype".to_owned(), Json::String((*content_type).to_owned()));
    let head = serde_json::to_string(&document).map_err(|error| unfit(error.to_string()))?;
    let is_json = content_type.starts_with("application/json") || content_type.contains("+json");
    let data = if is_json {
        // As it was written: numbers keep all their digits.
        let raw: &RawValue =
            serde_json::from_str(text).map_err(|error| unfit(format!("the data is not JSON ({error})")))?;
        raw.get().to_owned()
    } else {
        Json::String(text.to_owned()).to_string()
    };
    Ok(Cow::Owned(format!("{},\"data\":{data}}}", head.trim_end_matches('}')).into_bytes()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

    use super::*;

    fn binary(content_type: &'static str, data: &[u8]) -> Content {
        let attributes = vec![("specversion", "1.0".to_owned()), ("id", "a}".to_owned())];
        Content::Binary { attributes, content_type, data: data.to_vec() }
    }

    #[test]
    fn binary_mode_becomes_one_document() {
        let json = binary("application/json", br#"{"n":1.10}"#);
        let text = String::from_utf8(structured(&json).unwrap().into_owned()).unwrap();
        assert!(text.ends_with(r#""data":{"n":1.10}}"#), "{text}");
        let read: Json = serde_json::from_str(&text).unwrap();
        assert_eq!((&read["id"], &read["datacontenttype"]), (&Json::from("a}"), &Json::from("application/json")));
        let plain = binary("text/plain", "tück".as_bytes());
        let read: Json = serde_json::from_slice(&structured(&plain).unwrap()).unwrap();
        assert_eq!(read["data"], "tück");
        assert!(structured(&binary("text/plain", &[0xff])).is_err());
    }
}

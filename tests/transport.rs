//! What is in a message, read and written by a CloudEvents client that is not ours.
#![expect(clippy::unwrap_used, reason = "a message that can't be read has failed the test")]

use cloudevents::{
    AttributesReader, Data, Event, EventBuilder, EventBuilderV10,
    event::{ExtensionValue, SpecVersion},
    message::{BinaryDeserializer, BinarySerializer, MessageAttributeValue, Result as ForeignResult},
};
use domain_events::{
    event::{Envelope, EventId, EventMeta},
    transport::{
        message::{Mode, decode, encode},
        record::{Content, Incoming},
    },
};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn ours() -> Envelope {
    let time = "2026-01-31T12:00:00.123456789Z".parse().unwrap();
    let mut meta = EventMeta::new(EventId::generate(), "CardAddedEvent", 2, "Card", "Grüße ☃".into(), time);
    meta.aggregate_version = Some(u64::MAX);
    meta.correlation_id = Some(EventId::generate().as_uuid());
    meta.causation_id = Some(EventId::generate().as_uuid());
    meta.trace = Some(TRACE.to_owned());
    Envelope::new(meta, br#"{"title":"Gr\u00fc\u00dfe","count":3}"#.to_vec())
}

fn check(event: &Event, envelope: &Envelope) {
    let meta = &envelope.meta;
    assert_eq!(event.specversion(), SpecVersion::V10);
    assert_eq!(event.id(), meta.id.to_string());
    assert_eq!(event.source(), "https://example.org/library");
    assert_eq!(event.ty(), "CardAddedEvent");
    assert_eq!(event.subject(), Some("Grüße ☃"));
    assert_eq!(event.time(), Some(&meta.occurred_at));
    assert_eq!(event.datacontenttype(), Some("application/json"));
    let extension = |name: &str| event.extension(name).unwrap_or_else(|| panic!("no `{name}`")).to_string();
    assert_eq!(extension("aggregatetype"), "Card");
    assert_eq!(extension("aggregateversion"), u64::MAX.to_string());
    assert_eq!(extension("eventversion"), "2");
    assert_eq!(extension("correlationid"), meta.correlation_id.unwrap().to_string());
    assert_eq!(extension("causationid"), meta.causation_id.unwrap().to_string());
    assert_eq!(extension("partitionkey"), "Card:Grüße ☃");
    assert_eq!(extension("traceparent"), TRACE);
    let payload: serde_json::Value = event.data().unwrap().clone().try_into().unwrap();
    assert_eq!(payload, serde_json::json!({"title": "Grüße", "count": 3}));
}

#[test]
fn a_foreign_client_reads_our_structured_message() {
    let envelope = ours();
    let message = encode(&envelope, "https://example.org/library", Mode::Structured).unwrap();
    let event: Event = serde_json::from_slice(message.content.body()).unwrap();
    check(&event, &envelope);
    assert_eq!(event.extension("eventversion"), Some(&ExtensionValue::Integer(2)));
}

#[test]
fn a_foreign_client_reads_our_payload_that_is_no_json() {
    let mut envelope = ours();
    envelope.payload = vec![0, 255, 7, 128];
    let message = encode(&envelope, "/library", Mode::Structured).unwrap();
    let event: Event = serde_json::from_slice(message.content.body()).unwrap();
    assert_eq!(event.datacontenttype(), Some("application/octet-stream"));
    assert_eq!(event.data(), Some(&Data::Binary(envelope.payload)));
}

/// A message of ours as a protocol's binding would hand it to the foreign client.
struct Headers<'a>(&'a Content);

impl BinaryDeserializer for Headers<'_> {
    fn deserialize_binary<R: Sized, V: BinarySerializer<R>>(self, mut reader: V) -> ForeignResult<R> {
        for (name, value) in self.0.attributes() {
            let value = MessageAttributeValue::String(value.clone());
            reader = match *name {
                "specversion" => reader.set_spec_version(SpecVersion::try_from(value.to_string().as_str()).unwrap())?,
                "id" | "source" | "type" | "subject" | "time" => reader.set_attribute(name, value)?,
                _ => reader.set_extension(name, value)?,
            };
        }
        let content_type = MessageAttributeValue::String(self.0.content_type().to_owned());
        reader.set_attribute("datacontenttype", content_type)?.end_with_data(self.0.body().to_vec())
    }
}

#[test]
fn a_foreign_client_reads_our_binary_message() {
    let envelope = ours();
    let message = encode(&envelope, "https://example.org/library", Mode::Binary).unwrap();
    check(&Headers(&message.content).into_event().unwrap(), &envelope);
}

fn theirs() -> EventBuilderV10 {
    EventBuilderV10::new()
        .id("order-17/paid")
        .source("https://shop.example/orders")
        .ty("shop.order.paid")
        .subject("order-17")
        .time("2026-02-01T08:30:00.5+02:00")
        .extension("eventversion", 4_i64)
        .extension("urgent", true)
        .extension("tenant", "acme")
        .data("application/json", serde_json::json!({"amount": 12.5}))
}

fn check_theirs(envelope: &Envelope) {
    let meta = &envelope.meta;
    assert_eq!((meta.name.as_ref(), meta.version), ("shop.order.paid", 4));
    assert_eq!((meta.aggregate_type.as_ref(), meta.aggregate_id.as_str()), ("", "order-17"));
    assert_eq!(meta.occurred_at.to_rfc3339(), "2026-02-01T06:30:00.500+00:00");
    assert_eq!(meta.id.as_uuid().get_version_num(), 5);
    assert_eq!(envelope.payload, br#"{"amount":12.5}"#);
}

#[test]
fn we_read_a_foreign_clients_structured_message() {
    let body = serde_json::to_vec(&theirs().build().unwrap()).unwrap();
    let content_type = Some("application/cloudevents+json".to_owned());
    check_theirs(&decode(&Incoming { content_type, body, ..Incoming::default() }).unwrap());
}

/// What the foreign client writes into a protocol's headers and body.
#[derive(Default)]
struct Written(Incoming);

impl BinarySerializer<Incoming> for Written {
    fn set_spec_version(self, version: SpecVersion) -> ForeignResult<Self> {
        self.set_extension("specversion", MessageAttributeValue::String(version.to_string()))
    }

    fn set_attribute(mut self, name: &str, value: MessageAttributeValue) -> ForeignResult<Self> {
        if name == "datacontenttype" {
            self.0.content_type = Some(value.to_string());
            return Ok(self);
        }
        self.set_extension(name, value)
    }

    fn set_extension(mut self, name: &str, value: MessageAttributeValue) -> ForeignResult<Self> {
        self.0.attributes.push((name.to_owned(), value.to_string()));
        Ok(self)
    }

    fn end_with_data(mut self, body: Vec<u8>) -> ForeignResult<Incoming> {
        self.0.body = body;
        Ok(self.0)
    }

    fn end(self) -> ForeignResult<Incoming> {
        Ok(self.0)
    }
}

#[test]
fn we_read_a_foreign_clients_binary_message() {
    let message = theirs().build().unwrap().deserialize_binary(Written::default()).unwrap();
    check_theirs(&decode(&message).unwrap());
}

#[test]
fn both_modes_of_one_foreign_event_are_the_same_event() {
    let event = theirs().build().unwrap();
    let body = serde_json::to_vec(&event).unwrap();
    let structured = Incoming { content_type: Some(Content::STRUCTURED.to_owned()), body, ..Incoming::default() };
    let binary = event.deserialize_binary(Written::default()).unwrap();
    assert_eq!(decode(&structured).unwrap(), decode(&binary).unwrap());
}

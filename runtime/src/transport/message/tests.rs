#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Mode, Unreadable, decode, encode};
use crate::{
    event::{AggregateId, DeadReason, Envelope, EventId, EventMeta, key_of},
    transport::record::{Content, Incoming, Outgoing},
};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// As a broker delivers what was published, without headers of the protocol's own.
fn delivered(message: &Outgoing) -> Incoming {
    let attributes = message.content.attributes().iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    Incoming {
        origin: message.event.clone(),
        content_type: Some(message.content.content_type().to_owned()),
        attributes: attributes.collect(),
        traceparent: None,
        body: message.content.body().to_vec(),
    }
}

fn there_and_back(envelope: &Envelope, mode: Mode) -> Envelope {
    decode(&delivered(&encode(envelope, "/library", mode).unwrap())).unwrap()
}

fn full(payload: &[u8]) -> Envelope {
    let time: DateTime<Utc> = "2026-01-31T12:00:00.123456789Z".parse().unwrap();
    let id = AggregateId::from("Grüße \"☃\" \\ 𝄞");
    let mut meta = EventMeta::new(EventId::generate(), "CardAddedEvent", 3, "Card", id, time);
    meta.aggregate_version = Some(u64::MAX);
    meta.correlation_id = Some(Uuid::now_v7());
    meta.causation_id = Some(Uuid::now_v7());
    meta.trace = Some(TRACE.to_owned());
    Envelope::new(meta, payload.to_vec())
}

fn structured(body: &str) -> Incoming {
    let content_type = Some(Content::STRUCTURED.to_owned());
    Incoming { content_type, body: body.as_bytes().to_vec(), ..Incoming::default() }
}

/// A structured event with the required attributes and these members.
fn foreign(members: &str) -> Result<Envelope, Unreadable> {
    decode(&structured(&format!(r#"{{"specversion":"1.0","id":"a-1","source":"/shop","type":"order.paid"{members}}}"#)))
}

#[test]
fn every_field_survives_in_both_modes() {
    for mode in [Mode::Structured, Mode::Binary] {
        let envelope = full(br#"{"b":1,"a":[1.50,"x"]}"#);
        assert_eq!(there_and_back(&envelope, mode), envelope, "{mode:?}");
        let mut least = full(b"{}");
        let (meta, time) = (&mut least.meta, "1969-12-31T23:59:59Z".parse().unwrap());
        (meta.aggregate_version, meta.correlation_id, meta.causation_id, meta.trace) = (None, None, None, None);
        meta.occurred_at = time;
        assert_eq!(there_and_back(&least, mode), least, "{mode:?}");
    }
}

#[test]
fn aggregates_at_the_limits_survive() {
    let longest = "é".repeat(127) + "x";
    for (name, id) in [("Card", ""), ("", ""), ("", "c1"), ("A:B", "C:D"), ("Card", longest.as_str()), ("Card", ":")] {
        for mode in [Mode::Structured, Mode::Binary] {
            let mut envelope = full(b"{}");
            envelope.meta.aggregate_type = name.to_owned().into();
            envelope.meta.aggregate_id = id.into();
            assert_eq!(there_and_back(&envelope, mode), envelope, "{name:?} {id:?} {mode:?}");
        }
    }
}

#[test]
fn a_payload_survives_byte_for_byte() {
    let deep = "[".repeat(5_000) + &"]".repeat(5_000);
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(1024 * 1024));
    let json = [
        r#"{"z":1,"a":2,"z":3}"#,
        "[1e400,-0.0,0.10,123456789012345678901234567890,1E+2]",
        r#"{"lone":"\ud800","nul":"\u0000","same":"\u00e9é"}"#,
        "{ \"spaced\" :\t[ 1 ,\n2 ] }",
        "null",
        "\"text\"",
        "7",
        &deep,
        &large,
    ];
    let other: [&[u8]; 5] = [b"", b"\xff\xfe\x00", b"{broken", b"{} {}", b"\"\xff\""];
    for payload in json.iter().map(|text| text.as_bytes()).chain(other) {
        for mode in [Mode::Structured, Mode::Binary] {
            let envelope = full(payload);
            let start = String::from_utf8_lossy(&payload[..payload.len().min(60)]);
            assert!(there_and_back(&envelope, mode) == envelope, "{mode:?} changed a payload that begins {start}");
        }
    }
}

#[test]
fn texts_and_payloads_of_any_kind_survive() {
    // Every run has texts of its own; a failure shows them.
    let text = |length: usize| -> String { (0..length).map(|_| fastrand::char(..)).collect() };
    for round in 0..400 {
        let mut envelope = full(b"");
        envelope.meta.name = text(1 + round % 40).into();
        envelope.meta.aggregate_type = text(round % 30).into();
        envelope.meta.aggregate_id = text(round % 60).into();
        envelope.meta.version = fastrand::u32(1..);
        envelope.meta.aggregate_version = Some(fastrand::u64(..));
        envelope.payload = match round % 2 {
            0 => serde_json::to_vec(&(text(round), fastrand::f64(), fastrand::i64(..))).unwrap(),
            _ => (0..round).map(|_| fastrand::u8(..)).chain([0]).collect(),
        };
        for mode in [Mode::Structured, Mode::Binary] {
            assert_eq!(there_and_back(&envelope, mode), envelope, "{mode:?}");
        }
    }
}

#[test]
fn a_structured_message_is_what_the_specification_says() {
    let envelope = full(br#"{"b":1.50}"#);
    let message = encode(&envelope, "/library", Mode::Structured).unwrap();
    let meta = &envelope.meta;
    let expected = format!(
        r#"{{"specversion":"1.0","id":"{}","source":"/library","type":"CardAddedEvent","subject":"Grüße \"☃\" \\ 𝄞","#,
        meta.id
    ) + r#""time":"2026-01-31T12:00:00.123456789Z","aggregatetype":"Card","aggregateversion":"18446744073709551615","#
        + &format!(
            r#""eventversion":3,"correlationid":"{}","causationid":"{}","#,
            meta.correlation_id.unwrap(),
            meta.causation_id.unwrap()
        )
        + r#""partitionkey":"Card:Grüße \"☃\" \\ 𝄞","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","#
        + r#""datacontenttype":"application/json","data":{"b":1.50}}"#;
    assert_eq!(String::from_utf8_lossy(message.content.body()), expected);
    assert_eq!(message.content.content_type(), "application/cloudevents+json; charset=UTF-8");
}

#[test]
fn a_broker_is_told_the_aggregate_and_the_trace() {
    let envelope = full(b"{}");
    let message = encode(&envelope, "/library", Mode::Binary).unwrap();
    assert_eq!((message.id, message.event.as_str()), (envelope.meta.id, "CardAddedEvent"));
    assert_eq!(message.key, "Card:Grüße \"☃\" \\ 𝄞");
    assert_eq!(message.key_hash, key_of("Card", "Grüße \"☃\" \\ 𝄞"));
    assert_eq!(message.traceparent.as_deref(), Some(TRACE));
    assert_eq!(message.content.attributes()[0], ("specversion", "1.0".to_owned()));
    assert_eq!(message.content.content_type(), "application/json");
    assert!(message.content.attributes().iter().all(|(name, _)| *name != "datacontenttype"));
}

#[test]
fn what_is_no_trace_goes_nowhere() {
    let mut envelope = full(b"{}");
    envelope.meta.trace = Some("00-x\r\nAuthorization: me".to_owned());
    let message = encode(&envelope, "/library", Mode::Binary).unwrap();
    assert_eq!(message.traceparent, None);
    assert!(message.content.attributes().iter().all(|(name, _)| *name != "traceparent"));
}

#[test]
fn the_events_own_trace_goes_before_the_protocols() {
    let own = "00-11111111111111111111111111111111-2222222222222222-00";
    let mut with_header = delivered(&encode(&full(b"{}"), "/library", Mode::Structured).unwrap());
    with_header.traceparent = Some(own.to_owned());
    assert_eq!(decode(&with_header).unwrap().meta.trace.as_deref(), Some(TRACE));
    let mut envelope = full(b"{}");
    envelope.meta.trace = None;
    let mut only_header = delivered(&encode(&envelope, "/library", Mode::Binary).unwrap());
    only_header.traceparent = Some(own.to_owned());
    assert_eq!(decode(&only_header).unwrap().meta.trace.as_deref(), Some(own));
}

#[test]
fn a_source_must_be_a_uri_reference() {
    for source in ["", "my library", "/bücher", "<library>"] {
        let error = encode(&full(b"{}"), source, Mode::Structured).unwrap_err().to_string();
        assert!(error.contains(&format!("{source:?}")) && error.contains("`/library`"), "{error}");
    }
    for source in ["library", "/library?x=1#y", "https://example.org/library", "urn:library"] {
        assert!(encode(&full(b"{}"), source, Mode::Structured).is_ok(), "{source}");
    }
}

#[test]
fn a_foreign_event_needs_only_what_is_required() {
    let before = Utc::now();
    let envelope = foreign("").unwrap();
    let meta = &envelope.meta;
    assert_eq!((meta.name.as_ref(), meta.version, meta.aggregate_type.as_ref()), ("order.paid", 1, ""));
    assert_eq!(meta.aggregate_id.as_str(), "a-1", "its own id stands for the subject");
    assert!(before <= meta.occurred_at && meta.occurred_at <= Utc::now());
    assert_eq!(envelope.payload, b"");
    assert_eq!(meta.id.as_uuid().get_version_num(), 5);
    assert_eq!(foreign("").unwrap().meta.id, meta.id, "the same event has the same id");
}

#[test]
fn a_foreign_id_is_told_from_others() {
    let id = |source: &str, id: &str| {
        let body = format!(r#"{{"specversion":"1.0","id":"{id}","source":"{source}","type":"t"}}"#);
        decode(&structured(&body)).unwrap().meta.id
    };
    assert_ne!(id("/a", "1"), id("/a", "2"));
    assert_ne!(id("/a", "1"), id("/b", "1"));
    assert_ne!(id("/a", "bc"), id("/ab", "c"));
    // The ids must be the same in every release: an inbox remembers them.
    assert_eq!(id("/a", "1").to_string(), "185c7467-1b52-51b6-a50b-d4d3d0fc4569");
    let uuid = "018f4d3e-0000-7000-8000-00000000abcd";
    assert_eq!(id("/a", uuid).to_string(), uuid);
}

#[test]
fn a_foreign_subject_is_found_where_it_is() {
    let subject = |members: &str| foreign(members).unwrap().meta.aggregate_id.to_string();
    assert_eq!(subject(r#","subject":"s","partitionkey":"k""#), "s");
    assert_eq!(subject(r#","partitionkey":"k:1""#), "k:1");
    assert_eq!(subject(r#","partitionkey":"Order:1","aggregatetype":"Order""#), "1");
    assert_eq!(subject(r#","subject":null,"partitionkey":null"#), "a-1");
}

#[test]
fn foreign_extensions_are_read_or_ignored() {
    let members =
        r#","eventversion":"7","aggregateversion":8,"flag":true,"count":5,"list":[1],"correlationid":"order-17""#;
    let meta = foreign(members).unwrap().meta;
    assert_eq!((meta.version, meta.aggregate_version), (7, Some(8)));
    assert_eq!(meta.correlation_id.map(|id| id.get_version_num()), Some(5));
    let caused = foreign(r#","causationid":"a-1""#).unwrap().meta;
    assert_eq!(caused.causation_id, Some(caused.id.as_uuid()), "a cause is an event of the same source");
    assert_eq!(foreign(r#","traceparent":"nonsense""#).unwrap().meta.trace, None);
}

#[test]
fn data_is_read_as_its_content_type_says() {
    let payload = |members: &str| String::from_utf8(foreign(members).unwrap().payload).unwrap();
    assert_eq!(payload(r#","data": {"b":1, "a":2}"#), r#"{"b":1, "a":2}"#);
    assert_eq!(payload(r#","datacontenttype":"application/vnd.shop+json","data":"text""#), "\"text\"");
    assert_eq!(payload(r#","datacontenttype":"text/plain; charset=utf-8","data":"caf\u00e9""#), "café");
    assert_eq!(payload(r#","datacontenttype":"text/plain","data":{"a":1}"#), r#"{"a":1}"#);
    assert_eq!(payload(r#","data_base64":"eyJhIjoxfQ==""#), r#"{"a":1}"#);
    assert_eq!(payload(r#","data":null"#), "null");
}

#[test]
fn content_types_are_told_apart() {
    let body = r#"{"specversion":"1.0","id":"1","source":"/a","type":"t","data":{}}"#;
    let with = |content_type: Option<&str>, body: &str| {
        let content_type = content_type.map(str::to_owned);
        decode(&Incoming { content_type, body: body.as_bytes().to_vec(), ..Incoming::default() })
    };
    for known in
        ["application/cloudevents+json", "Application/CloudEvents+JSON;charset=utf-8", "application/cloudevents"]
    {
        assert!(with(Some(known), body).is_ok(), "{known}");
    }
    assert!(with(None, body).is_ok());
    for (content_type, body, what) in [
        (Some("application/cloudevents-batch+json"), "[]", "a batch of events"),
        (Some("application/cloudevents+avro"), body, "only `application/cloudevents+json`"),
        (Some("application/json"), body, "no attribute `specversion`"),
        (None, r#"{"id":"1"}"#, "no CloudEvent"),
        (None, "not JSON", "content type is none"),
    ] {
        let error = with(content_type, body).unwrap_err();
        assert_eq!(error.reason, DeadReason::Undecodable);
        assert!(error.error.contains(what), "{}", error.error);
    }
}

#[test]
fn a_wrong_value_is_named() {
    let required = r#""specversion":"1.0","id":"1","source":"/a","type":"t""#;
    let cases = [
        (r#"{"id":"1","source":"/a","type":"t"}"#.to_owned(), "`specversion` is missing"),
        (r#"{"specversion":"1.0","source":"/a","type":"t"}"#.to_owned(), "`id` is missing"),
        (r#"{"specversion":"1.0","id":"","source":"/a","type":"t"}"#.to_owned(), "`id` is empty"),
        (r#"{"specversion":"1.0","id":"1","type":"t"}"#.to_owned(), "`source` is missing"),
        (r#"{"specversion":"1.0","id":"1","source":"/a","type":null}"#.to_owned(), "`type` is missing"),
        (r#"{"specversion":"0.3","id":"1","source":"/a","type":"t"}"#.to_owned(), "`specversion` is \"0.3\""),
        (r#"{"specversion":1.0,"id":"1","source":"/a","type":"t"}"#.to_owned(), "`specversion` is \"1.0\", not a text"),
        (format!(r#"{{{required},"time":"yesterday"}}"#), "`time` is \"yesterday\""),
        (format!(r#"{{{required},"eventversion":0}}"#), "`eventversion` is \"0\""),
        (format!(r#"{{{required},"eventversion":1.5}}"#), "`eventversion` is \"1.5\""),
        (format!(r#"{{{required},"aggregateversion":"-1"}}"#), "`aggregateversion` is \"-1\""),
        (format!(r#"{{{required},"subject":{{"a":1}}}}"#), "`subject` is \"{\\\"a\\\":1}\", not a text"),
        (format!(r#"{{{required},"subject":"\ud800"}}"#), "`subject` is"),
        (format!(r#"{{{required},"data_base64":"!"}}"#), "`data_base64` is \"!\""),
        (format!(r#"{{{required},"data":1,"data_base64":"AA=="}}"#), "both `data` and `data_base64`"),
        (format!(r#"{{{required},"data":}}"#), "no JSON object"),
        (r#"["1.0","1","/a","t"]"#.to_owned(), "no JSON object"),
        (String::new(), "no JSON object"),
    ];
    for (body, what) in cases {
        let error = decode(&structured(&body)).unwrap_err().error;
        assert!(error.contains(what), "{body}: {error}");
    }
    let long = format!(r#"{{{required},"time":"{}"}}"#, "é".repeat(100_000));
    let error = decode(&structured(&long)).unwrap_err().error;
    assert!(error.len() < 400 && error.contains("200000 bytes"), "{error}");
}

#[test]
fn a_wrong_value_in_binary_mode_is_named() {
    let mut message = delivered(&encode(&full(b"{}"), "/library", Mode::Binary).unwrap());
    let time = message.attributes.iter().position(|(name, _)| name == "time").unwrap();
    message.attributes[time].1 = "noon".to_owned();
    assert!(decode(&message).unwrap_err().error.contains("`time` is \"noon\""));
    message.attributes.retain(|(name, _)| name != "source");
    assert!(decode(&message).unwrap_err().error.contains("`source` is missing"));
}

//! 16: values at the limits of what text, numbers and lengths can be: kept as they are, or refused with the reason.

use chrono::{DateTime, SubsecRound, Utc};
use uuid::Uuid;

use crate::{
    error::{ErrorKind, Result},
    event::{AggregateId, Envelope, EventId, EventMeta},
    store::EventLog,
    testkit::{
        conformance::{
            StoreHarness, cast,
            cast::{Parcel, ParcelMovedEvent},
            suite::{LIMIT, Suite, calm, save},
        },
        recorded as recorded_events,
        recorded::read_all,
        wait_until_handled,
    },
};

/// Text that has broken databases, drivers and encodings before.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "'; drop table event_log; --",
        "\" or 1 = 1 --",
        "$1 ?1 :name @p {} %s \\x00 \\u0000",
        "line\r\nbreak\ttab",
        "NULL",
        "\u{feff}byte order mark",
        "\u{202e}right to left",
        "e\u{301} is not \u{e9}",
        "\u{10ffff}\u{1f4da}",
    ]
    .map(str::to_owned)
    .into();
    texts.push("x".repeat(1024 * 1024 - 512));
    texts
}

/// Through the whole runtime: raised, committed, read, delivered.
pub async fn case_16_values_at_their_limits_survive<H: StoreHarness>(suite: Suite<H>) {
    let stage = calm();
    let events = suite.runtime(&stage, &[&cast::FIRST]).await;
    let running = events.processor().start().await.expect("a processor starts");
    let ids = ["a".to_owned(), "z".repeat(255), "\u{e9}".repeat(127), "'; drop table event_log; --".to_owned()];
    for id in &ids {
        let mut parcel = Parcel::new(id);
        for (index, text) in texts().iter().enumerate() {
            parcel.note(index as u64 + 1, text);
        }
        save(&events, &mut parcel).await.expect("the values can be kept");
    }
    wait_until_handled(&events, LIMIT).await;
    let recorded = recorded_events::<ParcelMovedEvent, _>(&events).await;
    for id in &ids {
        let notes: Vec<_> =
            recorded.iter().filter(|(event, _)| event.parcel_id == *id).map(|(event, _)| event.note.clone()).collect();
        assert!(notes == texts(), "the texts of the parcel with an id of {} bytes did not survive", id.len());
        assert_eq!(stage.done("first", id).len(), texts().len(), "deliveries of the id with {} bytes", id.len());
    }
    running.shutdown().await.expect("the processor stops");

    // A text with NUL: kept as it is, or refused, naming the event; never cut.
    let mut parcel = Parcel::new("nul");
    parcel.note(1, "before\0after");
    match save(&events, &mut parcel).await {
        Ok(()) => {
            let recorded = recorded_events::<ParcelMovedEvent, _>(&events).await;
            let note = recorded.last().map(|(event, _)| event.note.as_str());
            assert_eq!(note, Some("before\0after"), "a text with NUL");
        }
        Err(error) => assert!(error.to_string().contains("ParcelMovedEvent"), "the event is not named: {error}"),
    }
}

fn envelope(payload: &[u8]) -> Envelope {
    let id = AggregateId::from(format!("p-{}", EventId::generate()));
    // Databases keep microseconds.
    let meta = EventMeta::new(EventId::generate(), "ParcelMovedEvent", 1, "Parcel", id, Utc::now().trunc_subsecs(6));
    Envelope::new(meta, payload.to_vec())
}

async fn append<S: EventLog>(store: &S, envelope: &Envelope) -> Result<()> {
    let mut transaction = store.begin().await?;
    match store.append(S::connection(&mut transaction), std::slice::from_ref(envelope)).await {
        Ok(()) => store.commit(transaction).await,
        Err(error) => {
            store.rollback(transaction).await?;
            Err(error)
        }
    }
}

/// Straight into the log: every field of an envelope, and payloads that other programs may have written.
pub async fn case_16_what_cannot_be_kept_is_refused<H: StoreHarness>(suite: Suite<H>) {
    let store = suite.harness.open().await;
    let deep = format!("{}0{}", "[".repeat(5_000), "]".repeat(5_000));
    let payloads: [(&str, &[u8]); 8] = [
        ("a lone surrogate", br#"{"note":"\ud800"}"#),
        ("a number without bounds", br#"{"note":1e400}"#),
        ("an integer of 30 digits", br#"{"note":123456789012345678901234567890}"#),
        ("5,000 arrays in one another", deep.as_bytes()),
        ("NUL in JSON text", br#"{"note":"\u0000"}"#),
        ("the same key twice", br#"{"note":1,"note":2}"#),
        ("no JSON", b"not json"),
        ("no UTF-8", b"\xff\xfe"),
    ];
    for (what, payload) in payloads {
        kept_or_refused(&store, what, &envelope(payload)).await;
    }

    let mut full = envelope(b"{}");
    full.meta.name = "it's \"odd\"; drop table event_log; --".into();
    full.meta.version = 4_000_000;
    full.meta.aggregate_type = "\u{1f4da} \u{202e}".into();
    full.meta.aggregate_version = Some(1);
    full.meta.correlation_id = Some(Uuid::max());
    full.meta.causation_id = Some(Uuid::nil());
    full.meta.trace = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'\"".to_owned());
    full.meta.occurred_at = DateTime::UNIX_EPOCH - chrono::Duration::days(36_500);
    append(&store, &full).await.expect("every field of an envelope can be kept");
    let mut read = read_all(&store).await.pop().expect("the event is in the log");
    assert!(read.meta.position.is_some() && read.meta.recorded_at.is_some(), "what the log adds: {:?}", read.meta);
    (read.meta.position, read.meta.recorded_at) = (None, None);
    assert_eq!(read, full, "an envelope as it was read back");

    let twice = envelope(b"{}");
    append(&store, &twice).await.expect("an event can be kept");
    let error = append(&store, &twice).await.expect_err("an event id is in the log once");
    assert_eq!(error.kind(), ErrorKind::InvalidEvent, "{error}");
    for bytes in [0, 256] {
        let mut wrong = envelope(b"{}");
        wrong.meta.aggregate_id = AggregateId::from("i".repeat(bytes));
        let before = read_all(&store).await.len();
        let error = append(&store, &wrong).await.expect_err("an id of 0 or 256 bytes is refused");
        assert_eq!(error.kind(), ErrorKind::InvalidEvent, "{error}");
        let text = error.to_string();
        assert!(text.contains("ParcelMovedEvent") && text.contains("aggregate_id"), "event and field in: {text}");
        assert_eq!(read_all(&store).await.len(), before, "something was written all the same");
    }
}

async fn kept_or_refused<S: EventLog>(store: &S, what: &str, envelope: &Envelope) {
    let before = read_all(store).await.len();
    match append(store, envelope).await {
        Ok(()) => {
            let read = read_all(store).await.pop().expect("the event is in the log");
            assert_eq!(read.meta.id, envelope.meta.id, "{what}: another event is last in the log");
            assert!(
                read.payload == envelope.payload,
                "{what}: read back as {:?}",
                String::from_utf8_lossy(&read.payload)
            );
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidEvent, "{what}: {error}");
            let text = error.to_string();
            assert!(
                text.contains("ParcelMovedEvent") && text.contains("payload"),
                "{what}: event and field in: {text}"
            );
            assert_eq!(read_all(store).await.len(), before, "{what}: something was written all the same");
        }
    }
}

//! 15: what can't be handled is a dead letter with its reason, untouched, and the rest goes on.

use std::collections::BTreeMap;

use crate::{
    error::ErrorKind,
    event::{DeadReason, DomainEvent},
    testkit::conformance::{
        ParcelMovedEvent, cast,
        stage::Act,
        suite::{calm, stage},
        transport::{
            TransportHarness, TransportSuite,
            suite::{Need, encoded, envelope, message, publish, raw, shut_down, until_handled, until_so},
        },
    },
    transport::{
        Transport,
        message::Mode,
        record::{Content, DeadMessage, Outgoing},
    },
};

/// Bytes that are no message, a payload that is no event, an event nobody knows, a version nobody knows, headers that are
/// missing: each is a dead letter with its reason and its body untouched; the events around it are handled.
pub async fn case_15_poison_is_a_dead_letter<H: TransportHarness>(suite: TransportSuite<H>) {
    let stage = calm();
    let events = suite.runtime(&stage, &[&cast::FIRST]);
    let consumers = suite.consumers(&events, 1).await;
    let poison = poison();
    let mut sent = Vec::new();
    for (parcel, _, bad) in &poison {
        sent.extend([message(parcel, 1), bad.clone(), message(parcel, 2)]);
    }
    suite.publish(&sent).await;
    until_handled(&stage, "first", poison.len() * 2).await;
    if !suite.lacks(&[Need::DeadLetters]) {
        let transport = suite.open().await;
        let dead = dead(&*transport, poison.len()).await;
        let mut bodies: BTreeMap<_, _> =
            dead.iter().map(|letter| (letter.message.body.clone(), letter.epitaph.clone())).collect();
        for (parcel, reason, bad) in &poison {
            let epitaph = bodies.remove(bad.content.body());
            let epitaph = epitaph.unwrap_or_else(|| panic!("`{parcel}` is no dead letter, or not untouched: {dead:?}"));
            assert_eq!(epitaph.reason, *reason, "{parcel}: {}", epitaph.error);
            assert!(!epitaph.error.is_empty(), "{parcel}");
        }
    }
    shut_down(consumers).await;
}

/// Name, reason and message of everything that can't be handled.
fn poison() -> Vec<(&'static str, DeadReason, Outgoing)> {
    let under_the_events_name = |mut message: Outgoing| {
        message.event = ParcelMovedEvent::NAME.to_owned();
        message
    };
    let mut unknown = envelope("unknown", 1);
    unknown.meta.name = "NobodyKnowsEvent".into();
    let mut newer = envelope("newer", 1);
    newer.meta.version = 99;
    let mut payload = envelope("payload", 1);
    payload.payload = br#"{"parcel_id":5}"#.to_vec();
    let bare = Content::Binary {
        attributes: vec![("id", "1".to_owned())],
        content_type: "application/json",
        data: br#"{"bare":true}"#.to_vec(),
    };
    vec![
        ("bytes", DeadReason::Undecodable, raw("bytes", Content::Structured(b"\xff\x00{".to_vec()))),
        ("payload", DeadReason::Undecodable, encoded(&payload, Mode::Structured)),
        ("bare", DeadReason::Undecodable, raw("bare", bare)),
        ("unknown", DeadReason::UnknownEvent, under_the_events_name(encoded(&unknown, Mode::Structured))),
        ("newer", DeadReason::UnknownVersion, encoded(&newer, Mode::Structured)),
    ]
}

/// The dead letters of `first`, once there are so many.
async fn dead(transport: &dyn Transport, count: usize) -> Vec<DeadMessage> {
    let handler = cast::full("first");
    let letters = || async { transport.dead_letters(&handler, 100).await.expect("dead letters can be listed") };
    crate::testkit::conformance::suite::until(&format!("there are {count} dead letters"), || async {
        let letters = letters().await;
        if letters.len() == count { Ok(()) } else { Err(format!("{letters:?}")) }
    })
    .await;
    letters().await
}

/// A message of 10 MiB, or of twice what the broker takes by default: handled like any other, or refused by the publisher as what can never be published, with the
/// messages before it confirmed.
pub async fn case_15_a_large_message_is_carried_or_refused<H: TransportHarness>(suite: TransportSuite<H>) {
    let stage = calm();
    let events = suite.runtime(&stage, &[&cast::FIRST]);
    let consumers = suite.consumers(&events, 1).await;
    let bytes = suite.capabilities.message_bytes.map_or(10 * 1024 * 1024, |limit| limit * 2);
    let event = ParcelMovedEvent { parcel_id: "p".to_owned(), step: 2, note: "x".repeat(bytes) };
    let mut large = envelope("p", 2);
    large.payload = DomainEvent::encode(&event).expect("the suite's event can be written");
    let sent = [message("p", 1), encoded(&large, Mode::Structured), message("p", 3)];
    match suite.capabilities.message_bytes {
        Some(_) => {
            let mut publisher = suite.open().await.publisher().await.expect("the broker lets us publish");
            match publisher.publish(&sent).await {
                Err(unconfirmed) => {
                    assert_eq!(unconfirmed.error.kind(), ErrorKind::InvalidEvent, "{:?}", unconfirmed.error);
                    assert_eq!(unconfirmed.confirmed, 1, "{:?}", unconfirmed.error);
                    suite.publish(&sent[2..]).await;
                    until_handled(&stage, "first", 2).await;
                }
                // A broker that is set to take more than by default.
                Ok(()) => until_handled(&stage, "first", 3).await,
            }
        }
        None => {
            suite.publish(&sent).await;
            until_handled(&stage, "first", 3).await;
        }
    }
    shut_down(consumers).await;
}

/// Two are given up on: one is mended and redriven, and handled; one is discarded, and gone.
pub async fn case_15_dead_letters_are_redriven_and_discarded<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::DeadLetters]) {
        return;
    }
    let mended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let is_mended = std::sync::Arc::clone(&mended);
    let stage = stage(move |seen| match seen.step {
        2 if !is_mended.load(std::sync::atomic::Ordering::SeqCst) => Act::Fail("broken: ü"),
        _ => Act::Done,
    });
    let events = suite.runtime(&stage, &[&cast::FIRST]);
    let consumers = suite.consumers(&events, 1).await;
    let transport = suite.open().await;
    let steps = |parcel| (1..=3).map(move |step| message(parcel, step));
    let sent: Vec<_> = steps("redriven").chain(steps("discarded")).collect();
    publish(&*transport, &sent).await;
    until_handled(&stage, "first", 4).await;
    let letters = dead(&*transport, 2).await;
    for letter in &letters {
        let epitaph = &letter.epitaph;
        assert_eq!(
            (epitaph.reason, epitaph.error.as_str(), epitaph.attempts),
            (DeadReason::AttemptsUsedUp, "broken: ü", 3)
        );
    }
    let body = sent[1].content.body();
    let (redriven, discarded): (Vec<_>, Vec<_>) = letters.iter().partition(|letter| letter.message.body == body);
    assert_eq!((redriven.len(), discarded.len()), (1, 1), "{letters:?}");
    let handler = cast::full("first");
    mended.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(transport.redrive(&handler, &redriven[0].id).await.expect("a dead letter can be redriven"));
    until_so("the redriven one is handled", || stage.done("first", "redriven").contains(&2)).await;
    assert!(transport.discard(&handler, &discarded[0].id).await.expect("a dead letter can be discarded"));
    assert_eq!(dead(&*transport, 0).await, []);
    assert!(!transport.redrive(&handler, &redriven[0].id).await.expect("and asked for again"));
    assert!(!transport.discard(&handler, &discarded[0].id).await.expect("and asked for again"));
    // Something that comes later shows that the discarded one did not.
    publish(&*transport, &[message("discarded", 4)]).await;
    until_so("the later one is handled", || stage.done("first", "discarded").contains(&4)).await;
    assert!(!stage.done("first", "discarded").contains(&2), "what was discarded came again");
    shut_down(consumers).await;
}

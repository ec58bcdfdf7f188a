//! 1, 3, 10, 12 and 18: what is published arrives, as it was, at whom it concerns.

use std::collections::BTreeMap;

use crate::{
    event::EventId,
    testkit::conformance::transport::{
        TransportHarness, TransportSuite,
        suite::{
            Need, all, by_another, collect, encoded, envelope, message, message_of, publish, read, receive, steps,
            subscribe, subscription,
        },
    },
    transport::{
        message::Mode,
        record::{Fate, Subscription},
    },
};

/// 100 are published, then somebody subscribes: all arrive, payload and metadata equal, and the stream ends on close. Where
/// nothing is kept for those who are away, the subscription is there first.
pub async fn case_01_what_is_published_arrives<H: TransportHarness>(suite: TransportSuite<H>) {
    let transport = suite.open().await;
    for (mode, event) in [(Mode::Structured, "Structured"), (Mode::Binary, "Binary")] {
        let subscription = subscription(&event.to_lowercase(), &[event]);
        let mut early = None;
        if !suite.capabilities.keeps_for_absent {
            early = Some(subscribe(&*transport, &subscription).await);
        } else if !suite.capabilities.replays {
            transport.ensure(&subscription).await.expect("a subscription can be made");
        }
        let mut sent = BTreeMap::new();
        for number in 0..100 {
            let mut envelope = envelope(&format!("p{}", number % 7), number);
            envelope.meta.name = event.into();
            sent.insert(envelope.meta.id, envelope);
        }
        let messages: Vec<_> = sent.values().map(|envelope| encoded(envelope, mode)).collect();
        publish(&*transport, &messages).await;
        let inbound = match early {
            Some(inbound) => inbound,
            None => subscribe(&*transport, &subscription).await,
        };
        let arrived = collect(&*inbound, 100).await;
        let arrived: BTreeMap<_, _> = arrived.iter().map(read).map(|envelope| (envelope.meta.id, envelope)).collect();
        assert_eq!(arrived, sent, "{mode:?}");
        inbound.close().await.expect("a subscription can be closed");
        let rest = inbound.receive(1).await.expect("a closed subscription has ended, not failed");
        assert!(rest.is_empty(), "something came after the close: {rest:?}");
    }
}

const TWENTY: [&str; 20] = [
    "E00", "E01", "E02", "E03", "E04", "E05", "E06", "E07", "E08", "E09", "E10", "E11", "E12", "E13", "E14", "E15",
    "E16", "E17", "E18", "E19",
];

/// 20 events, 100 of each, published at once: each handler gets its own, and only those.
pub async fn case_03_twenty_events_do_not_mix<H: TransportHarness>(suite: TransportSuite<H>) {
    let mut inbounds = Vec::new();
    for event in TWENTY {
        let transport = suite.open().await;
        let subscription = subscription(&format!("of-{}", event.to_lowercase()), &[event]);
        inbounds.push((event, subscribe(&*transport, &subscription).await));
    }
    let mut publishers = tokio::task::JoinSet::new();
    for event in TWENTY {
        let transport = suite.open().await;
        publishers.spawn(async move {
            let messages: Vec<_> = (1..=101).map(|step| message_of(event, "p", step)).collect();
            publish(&*transport, &messages).await;
        });
    }
    publishers.join_all().await;
    for (event, inbound) in inbounds {
        // One more than asked for: what does not belong here would stand among them.
        let arrived = collect(&*inbound, 101).await;
        let mut numbers: Vec<_> = arrived.iter().map(read).collect();
        assert!(numbers.iter().all(|envelope| envelope.meta.name == event), "{event} got others");
        numbers.sort_by_key(|envelope| envelope.meta.id);
        numbers.dedup_by_key(|envelope| envelope.meta.id);
        assert_eq!(numbers.len(), 101, "all of {event}");
    }
}

/// Of three events, one handler takes one and another two: each gets what it takes and nothing else.
pub async fn case_10_only_what_is_handled_is_delivered<H: TransportHarness>(suite: TransportSuite<H>) {
    let transport = suite.open().await;
    let one = subscribe(&*transport, &subscription("one", &["One"])).await;
    let two = subscribe(&*transport, &subscription("two", &["One", "Two"])).await;
    let sent = [("Three", 1), ("One", 2), ("Two", 3), ("Three", 4), ("One", 5), ("Two", 6)];
    publish(&*transport, &sent.map(|(event, step)| message_of(event, "p", step))).await;
    expect_steps(&suite, steps(&collect(&*one, 2).await), &[2, 5]);
    expect_steps(&suite, steps(&collect(&*two, 4).await), &[2, 3, 5, 6]);
}

/// The steps of one parcel, in order where the transport keeps it.
fn expect_steps<H: TransportHarness>(suite: &TransportSuite<H>, arrived: Vec<(String, u64)>, expected: &[u64]) {
    let mut arrived: Vec<_> = arrived.into_iter().map(|(_, step)| step).collect();
    if !suite.keeps_order() {
        arrived.sort_unstable();
    }
    assert_eq!(arrived, expected);
}

/// A handler takes one event more, then one less: its subscription follows, and keeps what it has.
pub async fn case_10_a_changed_subscription_is_followed<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::KeepsForAbsent]) {
        return;
    }
    let transport = suite.open().await;
    let (first, more, less) =
        (subscription("one", &["One"]), subscription("one", &["One", "Two"]), subscription("one", &["Two"]));
    transport.ensure(&first).await.expect("a subscription can be made");
    transport.ensure(&first).await.expect("and made again");
    publish(&*transport, &[message_of("One", "p", 1)]).await;
    let inbound = subscribe(&*transport, &more).await;
    publish(&*transport, &[message_of("Two", "p", 2), message_of("One", "p", 3)]).await;
    expect_steps(&suite, steps(&collect(&*inbound, 3).await), &[1, 2, 3]);
    inbound.close().await.expect("a subscription can be closed");
    let inbound = subscribe(&*transport, &less).await;
    publish(&*transport, &[message_of("One", "p", 4), message_of("Two", "p", 5)]).await;
    expect_steps(&suite, steps(&collect(&*inbound, 1).await), &[5]);
}

/// Two applications with the same handlers and events on one broker get their own.
pub async fn case_10_applications_are_apart<H: TransportHarness>(suite: TransportSuite<H>) {
    let (ours, theirs) = (suite.open().await, suite.harness.neighbour().await);
    let subscription = subscription("one", &["One"]);
    let (here, there) = (subscribe(&*ours, &subscription).await, subscribe(&*theirs, &subscription).await);
    publish(&*theirs, &[message_of("One", "theirs", 1)]).await;
    publish(&*ours, &[message_of("One", "ours", 1)]).await;
    publish(&*theirs, &[message_of("One", "theirs", 2)]).await;
    assert_eq!(steps(&collect(&*here, 1).await), [("ours".to_owned(), 1)]);
    let mut arrived = steps(&collect(&*there, 2).await);
    arrived.sort();
    assert_eq!(arrived, [("theirs".to_owned(), 1), ("theirs".to_owned(), 2)]);
}

/// What is published while nobody takes it is there for the next one.
pub async fn case_12_what_comes_meanwhile_is_kept<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::KeepsForAbsent]) {
        return;
    }
    let transport = suite.open().await;
    let subscription = subscription("one", &["ParcelMovedEvent"]);
    let inbound = subscribe(&*transport, &subscription).await;
    publish(&*transport, &[message("p", 1)]).await;
    expect_steps(&suite, steps(&collect(&*inbound, 1).await), &[1]);
    inbound.close().await.expect("a subscription can be closed");
    drop(inbound);
    let meanwhile: Vec<_> = (2..=51).map(|step| message("p", step)).collect();
    publish(&*transport, &meanwhile).await;
    let next = suite.open().await;
    let inbound = subscribe(&*next, &by_another(&subscription)).await;
    expect_steps(&suite, steps(&collect(&*inbound, 50).await), &(2..=51).collect::<Vec<_>>());
}

/// A new subscription begins with what the broker still has, or with what comes from now on, as it asks.
pub async fn case_12_a_new_subscription_begins_where_it_says<H: TransportHarness>(suite: TransportSuite<H>) {
    if suite.lacks(&[Need::Replays]) {
        return;
    }
    let transport = suite.open().await;
    publish(&*transport, &[message("p", 1), message("p", 2)]).await;
    let late = Subscription { from_now: true, ..subscription("late", &["ParcelMovedEvent"]) };
    let late = subscribe(&*transport, &late).await;
    publish(&*transport, &[message("p", 3)]).await;
    let early = subscribe(&*transport, &subscription("early", &["ParcelMovedEvent"])).await;
    expect_steps(&suite, steps(&collect(&*late, 1).await), &[3]);
    expect_steps(&suite, steps(&collect(&*early, 3).await), &[1, 2, 3]);
}

/// Every field survives in both modes: texts that no header would take as they are, ids of 0 and 255 bytes, nanoseconds,
/// numbers at their limits, a payload of 1 MiB. Where the broker takes less, the payload is as large as it takes.
pub async fn case_18_every_field_survives<H: TransportHarness>(suite: TransportSuite<H>) {
    let transport = suite.open().await;
    let largest = match suite.capabilities.message_bytes {
        Some(limit) if limit < 1024 * 1024 + 8 * 1024 => limit - 8 * 1024,
        _ => 1024 * 1024,
    };
    let large = format!(r#"{{"z":1,"a":"{}"}}"#, "x".repeat(largest - 12));
    let longest = "é".repeat(127) + "x";
    let ids =
        ["", "x", &longest, "Grüße ☃ 𝄞", "a b;c=d,e\"f\\g%41'`", "line\r\nX-Injected: yes\n\t\u{7f}", ".*>#/", "-1"];
    let payloads = [r#"{"b":1.50,"a":[1e400,123456789012345678901234567890],"lone":"\ud800"}"#, "null", &large];
    let cases = ids.iter().map(|id| (*id, payloads[0])).chain(payloads.iter().map(|payload| ("p", *payload)));
    let inbound = subscribe(&*transport, &subscription("one", &["Fidelity"])).await;
    for (id, payload) in cases {
        for mode in [Mode::Structured, Mode::Binary] {
            let mut envelope = envelope("p", 1);
            let meta = &mut envelope.meta;
            (meta.name, meta.version, meta.aggregate_version) = ("Fidelity".into(), u32::MAX, Some(u64::MAX));
            meta.aggregate_id = id.into();
            meta.occurred_at = "2026-01-31T12:00:00.123456789Z".parse().expect("a time");
            meta.correlation_id = Some(EventId::generate().as_uuid());
            meta.causation_id = Some(EventId::generate().as_uuid());
            meta.trace = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned());
            envelope.payload = payload.as_bytes().to_vec();
            publish(&*transport, &[encoded(&envelope, mode)]).await;
            let deliveries = receive(&*inbound, 1).await;
            inbound.settle(all(&deliveries, &Fate::Done)).await.expect("deliveries can be settled");
            let arrived = read(&deliveries[0]);
            assert_eq!(arrived.meta, envelope.meta, "{id:?} in {mode:?}");
            assert!(arrived.payload == envelope.payload, "a payload of {} bytes in {mode:?}", payload.len());
        }
    }
}

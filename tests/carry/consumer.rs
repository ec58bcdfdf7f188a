//! The consumer: order, retries, dead letters, pause, and a well-behaved end.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use domain_events::{
    ErrorKind, handler,
    prelude::*,
    store::record::DeadReason,
    transport::{MemoryTransport, message::decode},
};

use crate::{
    library::{Diary, until},
    stage::{Answer, consumer, dead, publish, worker},
};

const INDEX: &str = "search.index";

#[tokio::test]
async fn a_failing_delivery_holds_back_only_its_own_aggregate_and_handler() {
    let broker = MemoryTransport::new();
    publish(&broker, &["c1", "c2"], &["alice", "bob"]).await;
    let diary = Diary::with_rule(|line, attempt| match line {
        "index c1 alice" if attempt < 3 => Err("not yet".into()),
        _ => Ok(()),
    });
    let events = worker(&diary, &[handler!(crate::library::index), handler!(crate::library::notify)]);
    let running = consumer(&events, &broker);
    until("all were handled", || diary.lines().len() == 10).await;
    running.shutdown().await.unwrap();
    let (c1, c2): (Vec<_>, Vec<_>) = diary.of("index").into_iter().partition(|line| line.starts_with("c1"));
    assert_eq!(c2, ["c2 alice", "c2 bob"], "the other aggregate");
    assert_eq!(c1, ["c1 alice", "c1 alice", "c1 alice", "c1 bob"], "its own aggregate, in order");
    assert_eq!(diary.of("notify").len(), 4, "the other handler");
    let lines = diary.of("index");
    let last = |text: &str| lines.iter().rposition(|line| line == text).unwrap();
    assert!(last("c2 bob") < last("c1 alice"), "the other aggregate waited for the retries: {lines:?}");
    assert!(dead(&broker, INDEX).await.is_empty());
}

#[tokio::test]
async fn each_way_to_fail_has_its_own_end() {
    let broker = MemoryTransport::new();
    publish(&broker, &["c1"], &["never", "permanent", "discard", "panic", "sleeper", "alice"]).await;
    let diary = Diary::with_rule(|line, _| -> Answer {
        match line.rsplit(' ').next().unwrap() {
            "never" => Err("never".into()),
            "permanent" => Err(HandlerError::permanent("no such address")),
            "discard" => Err(HandlerError::discard("closed")),
            "panic" => panic!("at the disco"),
            _ => Ok(()),
        }
    });
    let events = worker(&diary, &[handler!(crate::library::index)]);
    let running = consumer(&events, &broker);
    until("all were handled", || diary.of("index").last().is_some_and(|line| line == "c1 alice")).await;
    running.shutdown().await.unwrap();
    let attempts = |curator: &str| diary.of("index").iter().filter(|line| line.ends_with(curator)).count();
    let counts = ["never", "permanent", "discard", "panic", "sleeper", "alice"].map(attempts);
    assert_eq!(counts, [3, 1, 1, 3, 3, 1]);
    let dead: Vec<_> = dead(&broker, INDEX).await.into_iter().map(|letter| letter.epitaph).collect();
    let reasons: Vec<_> = dead.iter().map(|epitaph| (epitaph.reason, epitaph.attempts)).collect();
    let used_up = (DeadReason::AttemptsUsedUp, 3);
    assert_eq!(reasons, [used_up, (DeadReason::Permanent, 1), used_up, used_up]);
    for (epitaph, part) in dead.iter().zip(["never", "no such address", "at the disco", "300ms"]) {
        assert!(epitaph.error.contains(part), "{epitaph:?}");
    }
}

#[tokio::test]
async fn a_dead_letter_keeps_its_message_and_can_be_redriven() {
    let broker = MemoryTransport::new();
    publish(&broker, &["c1"], &["alice"]).await;
    let diary = Diary::with_rule(|_, _| Err(HandlerError::permanent("the index is full")));
    let events = worker(&diary, &[handler!(crate::library::index)]);
    let running = consumer(&events, &broker);
    crate::stage::eventually("it is a dead letter", async || dead(&broker, INDEX).await.len() == 1).await;
    let letter = dead(&broker, INDEX).await.remove(0);
    let envelope = decode(&letter.message).unwrap();
    assert_eq!(envelope.payload, br#"{"card_id":"c1","curator_id":"alice"}"#);
    diary.set_rule(|_, _| Ok(()));
    use domain_events::transport::Transport as _;
    assert!(broker.redrive(INDEX, &letter.id).await.unwrap());
    until("it was handled", || diary.of("index").len() == 2).await;
    assert!(dead(&broker, INDEX).await.is_empty());
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_nobody_can_read_is_a_dead_letter_and_the_rest_flows() {
    use domain_events::transport::{
        Transport as _,
        record::{Content, Outgoing},
    };
    let broker = MemoryTransport::new();
    let mut raw = broker.publisher().await.unwrap();
    let message = |event: &str, body: &str| {
        let id = domain_events::EventId::generate();
        Outgoing::new(id, event.to_owned(), "Card:c1".to_owned(), 7, Content::Structured(body.as_bytes().to_vec()))
    };
    let name = "CardAddedToLibraryEvent";
    let foreign = |id: &str, kind: &str, data: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"elsewhere","type":"{kind}","subject":"c1","data":{data}}}"#
        )
    };
    raw.publish(&[
        message(name, "\u{0}not json"),
        message(name, &foreign("1", "NobodyKnowsEvent", "{}")),
        message(name, &foreign("2", name, r#"{"card_id":7}"#)),
        // A foreign message with no more than it must have is handled.
        message(name, &foreign("3", name, r#"{"card_id":"c1","curator_id":"alice"}"#)),
    ])
    .await
    .unwrap();
    let diary = Diary::new();
    let events = worker(&diary, &[handler!(crate::library::index)]);
    let running = consumer(&events, &broker);
    until("the good one was handled", || diary.of("index") == ["c1 alice"]).await;
    crate::stage::eventually("the others are dead", async || dead(&broker, INDEX).await.len() == 3).await;
    running.shutdown().await.unwrap();
    let reasons: Vec<_> = dead(&broker, INDEX).await.into_iter().map(|letter| letter.epitaph.reason).collect();
    for reason in [DeadReason::Undecodable, DeadReason::UnknownEvent] {
        assert!(reasons.contains(&reason), "{reasons:?}");
    }
}

#[tokio::test]
async fn a_paused_handler_waits_and_the_others_go_on() {
    let broker = MemoryTransport::new();
    let diary = Diary::new();
    let events = worker(&diary, &[handler!(crate::library::index), handler!(crate::library::notify)]);
    let running = consumer(&events, &broker);
    running.pause(INDEX).unwrap();
    let error = running.pause("search.nobody").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("notifications.notify"), "{error}");
    publish(&broker, &["c1"], &["alice", "bob"]).await;
    until("the other one has handled all", || diary.of("notify").len() == 2).await;
    assert!(diary.of("index").is_empty());
    running.resume(INDEX).unwrap();
    until("it has caught up", || diary.of("index") == ["c1 alice", "c1 bob"]).await;
    running.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_is_held_at_the_end_is_given_back_for_others() {
    let broker = MemoryTransport::new();
    publish(&broker, &["c1", "c2", "c3"], &["alice", "bob"]).await;
    let failing = Diary::with_rule(|_, _| Err(HandlerError::retry_after(Duration::from_secs(3600), "tomorrow")));
    let events = worker(&failing, &[handler!(crate::library::index)]);
    let running = consumer(&events, &broker);
    until("each aggregate was tried", || failing.of("index").len() == 3).await;
    running.shutdown().await.unwrap();
    let diary = Diary::new();
    let events = worker(&diary, &[handler!(crate::library::index)]);
    let running = consumer(&events, &broker);
    until("all were handled by another", || diary.of("index").len() == 6).await;
    running.shutdown().await.unwrap();
    for card in ["c1", "c2", "c3"] {
        let of: Vec<_> = diary.of("index").into_iter().filter(|line| line.starts_with(card)).collect();
        assert_eq!(of, [format!("{card} alice"), format!("{card} bob")]);
    }
}

#[tokio::test]
async fn no_more_than_the_window_is_taken_in() {
    let broker = MemoryTransport::new();
    let cards: Vec<_> = (0..20).map(|card| format!("c{card}")).collect();
    publish(&broker, &cards.iter().map(String::as_str).collect::<Vec<_>>(), &["alice"]).await;
    let diary = Diary::with_rule(|_, attempt| if attempt == 1 { Err("once more".into()) } else { Ok(()) });
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let events = worker(&diary, &[handler!(crate::library::index)]);
    let running = events.consumer(std::sync::Arc::new(broker.clone())).window(4).start().unwrap();
    until("all were handled", || {
        let lines = diary.of("index");
        // Tried once and not yet handled: held.
        let held = lines.iter().filter(|line| lines.iter().filter(|other| other == line).count() == 1).count();
        MOST.fetch_max(held, Ordering::Relaxed);
        lines.len() == 40
    })
    .await;
    running.shutdown().await.unwrap();
    let lines = diary.of("index");
    let held_at = |at: usize| {
        let so_far = &lines[..=at];
        so_far.iter().filter(|line| so_far.iter().filter(|other| other == line).count() == 1).count()
    };
    let most = (0..lines.len()).map(held_at).max().unwrap();
    assert!((2..=4).contains(&most), "{most} were held at a time: {lines:?}");
}

#[tokio::test]
async fn a_group_that_is_not_there_is_an_error_that_lists_those_that_are() {
    let events = worker(&Diary::new(), &[handler!(crate::library::index)]);
    let transport = std::sync::Arc::new(MemoryTransport::new());
    let error = events.consumer(transport).groups(["feeds"]).start().unwrap_err();
    assert!(error.to_string().contains("`feeds`") && error.to_string().contains("search"), "{error}");
}

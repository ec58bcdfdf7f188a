//! Relay and worker are killed with `SIGKILL` at each step that must not tear, over every broker: whoever comes next
//! finishes what they left, and the sum of effects is right.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::process::ExitStatusExt,
};

use domain_events::{
    event::DeadReason,
    handler,
    testkit::server::{KafkaMock, NatsServer, RabbitServer, RedisServer},
    transport::{connect, record::DeadMessage},
};
use tokio::task::JoinSet;

use crate::{
    child::{POISON, Place, at_work, staff, sweep},
    library::{Card, add, save, until},
    stage::{eventually, published, publisher},
};

const SIGKILL: i32 = 9;
const SIGABRT: i32 = 6;

const CARDS: [&str; 3] = ["c1", "c2", "c3"];
const CURATORS: [&str; 6] = ["1", "2", "3", "4", "5", "6"];

/// Where a worker dies, and at which time that it comes by.
const WORKER: [&str; 7] = [
    "consume.before:4",
    "consume.after:4",
    "consume.before_commit:3",
    "consume.after_commit:3",
    "settle.before:2",
    "settle.noted:2",
    "settle.after:2",
];

/// Where a relay dies: it publishes three pages.
const RELAY: [&str; 3] = ["relay.before:2", "relay.after:1", "relay.after:3"];

/// More than two pages of the relay.
const MANY: usize = 2_100;

fn everything() -> Vec<String> {
    CARDS.iter().flat_map(|card| CURATORS.iter().map(move |curator| format!("{card} {curator}"))).collect()
}

/// Publishes these curators' events of each card, from a log of its own.
async fn publish(place: &Place, curators: &[&str]) {
    let each = |curator| CARDS.map(|card| (card, curator));
    publish_these(place, &curators.iter().copied().flat_map(each).collect::<Vec<_>>()).await;
}

async fn publish_these(place: &Place, all: &[(&str, &str)]) {
    let events = publisher();
    for (card, curator) in all {
        add(&events, card, &[curator]).await;
    }
    let running = events.relay(connect(&place.url).unwrap()).start().await.unwrap();
    published(&events).await;
    running.shutdown().await.unwrap();
}

/// The numbers of each card, each as it came for the first time, must be in order; returns how many came twice.
fn check_order(what: &str, lines: &[String]) -> usize {
    let mut cards = BTreeMap::<&str, Vec<usize>>::new();
    for line in lines {
        let (card, number) = line.split_once(' ').unwrap();
        let (numbers, number) = (cards.entry(card).or_default(), number.parse().unwrap());
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    assert!(cards.values().all(|numbers| numbers.is_sorted()), "{what} is out of order: {lines:?}");
    lines.len() - cards.values().map(Vec::len).sum::<usize>()
}

fn has_all(lines: &[String]) -> bool {
    everything().iter().all(|line| lines.contains(line))
}

/// As the handlers note it.
fn line_of(letter: &DeadMessage) -> String {
    let event: serde_json::Value = serde_json::from_slice(&letter.message.body).unwrap();
    let text = |field: &str| event["data"][field].as_str().unwrap().to_owned();
    format!("{} {}", text("card_id"), text("curator_id"))
}

async fn a_worker_killed_at(url: String, fault: &'static str) {
    let place = Place::new(&url);
    let child = place.child("worker", fault);
    until("the worker takes in", || place.is_ready()).await;
    publish(&place, &CURATORS).await;
    let status = child.end().await;
    assert_eq!(status.signal(), Some(SIGKILL), "it never came to {fault}: {status}");

    let worker = place.worker(&staff()).await;
    let running = at_work(&place, &worker).await;
    let broker = connect(&url).unwrap();
    let interrupted = async || broker.dead_letters("killed.pay", 100).await.unwrap();
    eventually("the next worker has done the rest", async || {
        let mut paid = place.noted("pay");
        paid.extend(interrupted().await.iter().map(line_of));
        has_all(&place.noted("tell"))
            && has_all(&place.noted("stumble"))
            && has_all(&place.booked(&worker).await)
            && has_all(&paid)
    })
    .await;
    for handler in ["tell", "stumble"] {
        check_order(handler, &place.noted(handler));
    }
    let booked = place.booked(&worker).await;
    assert_eq!((check_order("book", &booked), booked.len()), (0, everything().len()), "{booked:?}");
    // Paid once, or left to a person: also what was paid and not yet noted. Then as often as the person says, who may have
    // been quicker than the worker's note that the letter is on the broker.
    let paid = place.noted("pay");
    assert_eq!(check_order("pay", &paid), 0, "paid twice: {paid:?}");
    eventually("what was interrupted is redriven and paid", async || {
        let letters = interrupted().await;
        for letter in &letters {
            assert_eq!(letter.epitaph.reason, DeadReason::Interrupted);
            broker.redrive("killed.pay", &letter.id).await.unwrap();
        }
        letters.is_empty() && has_all(&place.noted("pay"))
    })
    .await;
    for handler in ["killed.tell", "killed.stumble", "killed.book"] {
        assert_eq!(broker.dead_letters(handler, 100).await.unwrap(), [], "{handler}");
    }
    running.shutdown().await.unwrap();
    sweep(&place.folder);
}

async fn a_relay_killed_at(url: String, fault: &'static str) {
    let place = Place::new(&url);
    let worker = place.worker(&[handler!(crate::child::tell)]).await;
    let running = at_work(&place, &worker).await;
    let site = place.site().await;
    for card in CARDS {
        let curators: Vec<_> = (1..=MANY / CARDS.len()).map(|number| number.to_string()).collect();
        let mut card = Card::new(card);
        curators.iter().for_each(|curator| card.add_to_library(curator));
        save(&site, &mut card).await.unwrap();
    }
    let status = place.child("relay", fault).end().await;
    assert_eq!(status.signal(), Some(SIGKILL), "it never came to {fault}: {status}");
    let relay = site.relay(connect(&url).unwrap()).start().await.unwrap();
    published(&site).await;
    let all = MANY / CARDS.len() * CARDS.len();
    let distinct = || place.noted("tell").into_iter().collect::<BTreeSet<_>>().len();
    until("all is handled", || distinct() >= all).await;
    relay.shutdown().await.unwrap();
    running.shutdown().await.unwrap();
    assert_eq!(check_order("tell", &place.noted("tell")), 0, "the inbox knows what was published twice");
    sweep(&place.folder);
}

/// Its processes die until it is a dead letter; its neighbours are handled, none of them is given up on, and what was
/// redriven is tried like a new one.
async fn a_poisonous_event(url: String) {
    let place = Place::new(&url);
    let broker = connect(&url).unwrap();
    let dead = async || broker.dead_letters("killed.tell", 9).await.unwrap();
    let mut child = place.child("worker", "");
    until("the worker takes in", || place.is_ready()).await;
    publish(&place, &["1", "2"]).await;
    publish_these(&place, &[("c2", POISON)]).await;
    publish(&place, &["3", "4", "5", "6"]).await;
    let mut deaths = 0;
    while dead().await.is_empty() {
        if let Some(status) = child.ended() {
            assert_eq!(status.signal(), Some(SIGABRT), "{status}");
            deaths += 1;
            assert!(deaths < 20, "it takes down one process after the other");
            child = place.child("worker", "");
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    until("its neighbours are handled", || has_all(&place.noted("tell"))).await;
    place.enough();
    assert!(child.end().await.success());
    check_order("tell", &place.noted("tell"));
    let letters = dead().await;
    let [letter] = &letters[..] else { panic!("there is one culprit: {letters:?}") };
    assert_eq!((letter.epitaph.reason, letter.epitaph.attempts), (DeadReason::Crashed, 3));
    assert_eq!(line_of(letter), format!("c2 {POISON}"));
    // The first two deaths could have been anything; then each attempt is noted.
    assert!((4..=6).contains(&deaths), "{deaths} processes died of it");

    assert!(broker.redrive("killed.tell", &letter.id).await.unwrap());
    let status = place.again("worker").end().await;
    assert_eq!(status.signal(), Some(SIGABRT), "what was redriven was not tried: {status}");
    sweep(&place.folder);
}

/// Each of these on names of its own, all at once.
async fn each<F: Future<Output = ()> + 'static>(
    url: impl Fn(&str) -> String,
    faults: &[&'static str],
    case: impl Fn(String, &'static str) -> F,
) {
    let all = async {
        let (mut cases, mut names) = (JoinSet::new(), BTreeMap::new());
        for fault in faults {
            let prefix = format!("k{}", domain_events::EventId::generate().as_uuid().simple());
            names.insert(cases.spawn_local(case(url(&prefix), fault)).id(), fault);
        }
        while let Some(ended) = cases.join_next().await {
            if let Err(failed) = ended {
                panic!("killed at {}: {failed}", names[&failed.id()]);
            }
        }
    };
    tokio::task::LocalSet::new().run_until(all).await;
}

macro_rules! killed {
    ($($broker:ident: $url:expr;)+) => {$(
        mod $broker {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_worker_killed_at_any_step_loses_nothing_and_repeats_no_effect() {
                each($url, &WORKER, a_worker_killed_at).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn a_relay_killed_at_any_step_loses_nothing_and_keeps_the_order() {
                each($url, &RELAY, a_relay_killed_at).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn an_event_that_takes_its_process_down_is_found() {
                each($url, &["tell"], |url, _| a_poisonous_event(url)).await;
            }
        }
    )+};
}

killed! {
    redis: |prefix: &str| RedisServer::shared().url(prefix);
    nats: |prefix: &str| format!("{}?prefix={prefix}", NatsServer::shared().url());
    rabbitmq: |prefix: &str| RabbitServer::shared().url(prefix);
    kafka: |prefix: &str| kafka_url(prefix);
}

/// The mock is in this process, which lives.
fn kafka_url(prefix: &str) -> String {
    static BROKER: std::sync::OnceLock<KafkaMock> = std::sync::OnceLock::new();
    // A death is noticed sooner than by default; a group takes 3 s to gather, and less than that is too short.
    BROKER.get_or_init(KafkaMock::start).url(&format!("prefix={prefix}&session_timeout_ms=4000"))
}

//! Handlers that answer at once are called one after the other, and one that has to wait holds up nobody else.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use domain_events::{DomainEvents, MemoryStore, handler, prelude::*};
use tokio::sync::watch;

use crate::library::{CardAddedToLibraryEvent, Diary, LIMIT, add, on, until};

const CARDS: usize = 40;
const EVENTS: usize = 50;
/// By then, many are made together.
const LATER: usize = 40;
const CONCURRENCY: usize = 3;

/// Who is inside, who was, and two doors.
struct Hall {
    inside: AtomicUsize,
    most: AtomicUsize,
    done: Mutex<BTreeMap<String, Vec<String>>>,
    door: watch::Sender<bool>,
    gate: (Mutex<bool>, Condvar),
}

impl Hall {
    fn new() -> Arc<Self> {
        let (inside, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::default());
        Arc::new(Self { inside, most, done, door: watch::Sender::new(false), gate: Default::default() })
    }

    fn open(&self) {
        self.door.send_replace(true);
        *self.gate.0.lock().unwrap() = true;
        self.gate.1.notify_all();
    }

    /// How many cards all is done of.
    fn through(&self) -> usize {
        self.done.lock().unwrap().values().filter(|done| done.len() == EVENTS).count()
    }
}

/// Opens when a test ends, however it does: a thread that is blocked would keep it for ever.
struct Opens<'a>(&'a Hall);

impl Drop for Opens<'_> {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[event_handler(CardAddedToLibraryEvent, group = "bursts", concurrency = 3, timeout = "10m")]
async fn quick(event: &CardAddedToLibraryEvent, hall: Service<Hall>) {
    hall.most.fetch_max(hall.inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    if event.curator_id.ends_with("waits") {
        drop(hall.door.subscribe().wait_for(|open| *open).await);
    } else if event.curator_id.ends_with("blocks") {
        let (gate, opened) = &hall.gate;
        drop(opened.wait_while(gate.lock().unwrap(), |open| !*open).unwrap());
    }
    hall.done.lock().unwrap().entry(event.card_id.clone()).or_default().push(event.curator_id.clone());
    hall.inside.fetch_sub(1, Ordering::SeqCst);
}

/// What is said of an event of a card.
fn curator(card: usize, number: usize, special: usize, how: &str) -> String {
    format!("{number} {}", if card < special && number == LATER { how } else { "goes on" })
}

/// A backlog, in which the first `special` cards have an event that does not go on.
async fn backlog(hall: &Arc<Hall>, special: usize, how: &str) -> DomainEvents {
    let services = Services::new().with::<Hall>(Arc::clone(hall));
    // Nobody is held up by the bound on what is read behind a delivery that does not end: all of it may be.
    let events = on(MemoryStore::new(), &Diary::new(), &[handler!(quick)]).services(services).batch(CARDS * EVENTS);
    let events = events.build().unwrap();
    for number in 0..EVENTS {
        for card in 0..CARDS {
            add(&events, &format!("c{card}"), &[&curator(card, number, special, how)]).await;
        }
    }
    events
}

/// Nobody opens, and so many other cards get through; then all is done once, in order, and never more at a time than may be.
async fn others_get_through(special: usize, how: &str, others: usize) {
    let hall = Hall::new();
    let events = backlog(&hall, special, how).await;
    let _opens = Opens(&hall);
    let running = events.processor().start().await.unwrap();
    until("the others are through", || hall.through() >= others).await;
    assert_eq!(hall.inside.load(Ordering::SeqCst), special, "they are still there");
    hall.open();
    domain_events::testkit::wait_until_settled(&events, LIMIT).await;
    running.shutdown().await.unwrap();
    check(&hall, special, how);
}

fn check(hall: &Hall, special: usize, how: &str) {
    let all = |card| (0..EVENTS).map(|number| curator(card, number, special, how)).collect();
    let expected: BTreeMap<_, Vec<_>> = (0..CARDS).map(|card| (format!("c{card}"), all(card))).collect();
    assert_eq!(*hall.done.lock().unwrap(), expected);
    let most = hall.most.load(Ordering::SeqCst);
    assert!(most <= CONCURRENCY, "{CONCURRENCY} may run at a time, and {most} did");
}

#[tokio::test]
async fn those_that_wait_hold_up_nobody_else() {
    let special = CONCURRENCY - 1;
    others_get_through(special, "waits", CARDS - special).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_blocks_its_thread_holds_up_those_only_that_were_made_before_it() {
    // 32 are made together at most.
    others_get_through(1, "blocks", CARDS - 32).await;
}

#[tokio::test]
async fn those_that_wait_are_never_more_than_may_run_at_a_time() {
    let (hall, special) = (Hall::new(), 4 * CONCURRENCY);
    let events = backlog(&hall, special, "waits").await;
    let running = events.processor().start().await.unwrap();
    until("as many as may run wait", || hall.inside.load(Ordering::SeqCst) == CONCURRENCY).await;
    hall.open();
    domain_events::testkit::wait_until_settled(&events, LIMIT).await;
    running.shutdown().await.unwrap();
    check(&hall, special, "waits");
}

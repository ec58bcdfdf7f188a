//! Handlers that answer at once are called one after the other, and one that has to wait holds up nobody else.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use domain_events::{DomainEvents, MemoryStore, handler, prelude::*};
use tokio::{sync::watch, task};

use crate::library::{CardAddedToLibraryEvent, Diary, LIMIT, add, on, until};

const CARDS: usize = 40;
const EVENTS: usize = 50;
/// By then, many are made together.
const LATER: usize = 20;
const CONCURRENCY: usize = 3;

/// Who is inside, who was, and two doors.
struct Hall {
    inside: AtomicUsize,
    most: AtomicUsize,
    /// The cards of each task; a burst is one.
    tasks: Mutex<HashMap<task::Id, BTreeSet<String>>>,
    /// The tasks that came to a door.
    stuck: Mutex<Vec<task::Id>>,
    done: Mutex<BTreeMap<String, Vec<String>>>,
    door: watch::Sender<bool>,
    gate: (Mutex<bool>, Condvar),
}

impl Hall {
    fn new() -> Arc<Self> {
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (tasks, stuck, done, door) = Default::default();
        Arc::new(Self { inside, most, tasks, stuck, done, door, gate: Default::default() })
    }

    fn open(&self) {
        self.door.send_replace(true);
        *self.gate.0.lock().unwrap() = true;
        self.gate.1.notify_all();
    }

    /// The cards that all is done of.
    fn through(&self) -> BTreeSet<String> {
        let done = self.done.lock().unwrap();
        done.iter().filter(|(_, done)| done.len() == EVENTS).map(|(card, _)| card.clone()).collect()
    }

    fn stuck(&self) -> usize {
        self.stuck.lock().unwrap().len()
    }

    /// The cards that had a delivery in a task that came to a door, before it did.
    fn behind_doors(&self) -> BTreeSet<String> {
        let tasks = self.tasks.lock().unwrap();
        self.stuck.lock().unwrap().iter().flat_map(|task| tasks[task].clone()).collect()
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
    let task = task::id();
    hall.tasks.lock().unwrap().entry(task).or_default().insert(event.card_id.clone());
    hall.most.fetch_max(hall.inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    if !event.curator_id.ends_with("goes on") {
        hall.stuck.lock().unwrap().push(task);
    }
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

/// Nobody opens, and all cards but the special ones get through, or where `held` those that were made before them in the
/// same burst; then all is done once, in order, and never more at a time than may be.
async fn others_get_through(special: usize, how: &str, held: bool) {
    let hall = Hall::new();
    let events = backlog(&hall, special, how).await;
    let _opens = Opens(&hall);
    let running = events.processor().start().await.unwrap();
    let cards = |range: std::ops::Range<usize>| range.map(|card| format!("c{card}")).collect::<BTreeSet<_>>();
    until("those that do not go on are there", || hall.stuck() == special).await;
    let not_through = if held { hall.behind_doors() } else { cards(0..special) };
    until("the others are through", || hall.through().is_superset(&(&cards(0..CARDS) - &not_through))).await;
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
    others_get_through(special, "waits", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_blocks_its_thread_holds_up_those_only_that_were_made_before_it() {
    // Where it stands in its burst is chance.
    for _ in 0..8 {
        others_get_through(1, "blocks", true).await;
    }
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

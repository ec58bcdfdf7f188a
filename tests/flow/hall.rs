//! A handler that answers at once, unless its event says that it is to wait or to block its thread; and what is known of it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use domain_events::prelude::*;
use tokio::{sync::watch, task};

use crate::library::{CardAddedToLibraryEvent, until};

pub(crate) const CARDS: usize = 40;
pub(crate) const EVENTS: usize = 50;
/// By then, many are made together.
const LATER: usize = 20;
pub(crate) const CONCURRENCY: usize = 3;

/// Who is inside, who was, and two doors.
pub(crate) struct Hall {
    pub(crate) inside: AtomicUsize,
    most: AtomicUsize,
    /// The cards of each task; a burst is one.
    tasks: Mutex<HashMap<task::Id, BTreeSet<String>>>,
    /// The tasks that came to a door.
    stuck: Mutex<Vec<task::Id>>,
    pub(crate) done: Mutex<BTreeMap<String, Vec<String>>>,
    door: watch::Sender<bool>,
    gate: (Mutex<bool>, Condvar),
}

impl Hall {
    pub(crate) fn new() -> Arc<Self> {
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (tasks, stuck, done, door) = Default::default();
        Arc::new(Self { inside, most, tasks, stuck, done, door, gate: Default::default() })
    }

    pub(crate) fn open(&self) {
        self.door.send_replace(true);
        *self.gate.0.lock().unwrap() = true;
        self.gate.1.notify_all();
    }

    /// The cards that all is done of.
    pub(crate) fn through(&self) -> BTreeSet<String> {
        let done = self.done.lock().unwrap();
        done.iter().filter(|(_, done)| done.len() == EVENTS).map(|(card, _)| card.clone()).collect()
    }

    pub(crate) fn stuck(&self) -> usize {
        self.stuck.lock().unwrap().len()
    }

    /// The cards that had a delivery in a task that came to a door, before it did.
    fn behind_doors(&self) -> BTreeSet<String> {
        let tasks = self.tasks.lock().unwrap();
        self.stuck.lock().unwrap().iter().flat_map(|task| tasks[task].clone()).collect()
    }
}

/// Opens when a test ends, however it does: a thread that is blocked would keep it for ever.
pub(crate) struct Opens<'a>(pub(crate) &'a Hall);

impl Drop for Opens<'_> {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[event_handler(CardAddedToLibraryEvent, group = "bursts", concurrency = 3, timeout = "10m")]
pub(crate) async fn quick(event: &CardAddedToLibraryEvent, hall: Service<Hall>) {
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
    hall.inside.fetch_sub(1, Ordering::SeqCst);
    hall.done.lock().unwrap().entry(event.card_id.clone()).or_default().push(event.curator_id.clone());
}

/// What is said of an event of a card.
pub(crate) fn curator(card: usize, number: usize, special: usize, how: &str) -> String {
    format!("{number} {}", if card < special && number == LATER { how } else { "goes on" })
}

/// Nobody opens, and all cards but the special ones get through, or where `held` those that were made before them in the
/// same burst. Then the doors are opened.
pub(crate) async fn others_get_through(hall: &Hall, special: usize, held: bool) {
    let cards = |range: Range<usize>| range.map(|card| format!("c{card}")).collect::<BTreeSet<_>>();
    until("those that do not go on are there", || hall.stuck() == special).await;
    let not_through = if held { hall.behind_doors() } else { cards(0..special) };
    until("the others are through", || hall.through().is_superset(&(&cards(0..CARDS) - &not_through))).await;
    assert_eq!(hall.inside.load(Ordering::SeqCst), special, "they are still there");
    hall.open();
}

/// All is done once, in order, and never more at a time than may be.
pub(crate) fn check(hall: &Hall, special: usize, how: &str) {
    let all = |card| (0..EVENTS).map(|number| curator(card, number, special, how)).collect();
    let expected: BTreeMap<_, Vec<_>> = (0..CARDS).map(|card| (format!("c{card}"), all(card))).collect();
    assert_eq!(*hall.done.lock().unwrap(), expected);
    let most = hall.most.load(Ordering::SeqCst);
    assert!(most <= CONCURRENCY, "{CONCURRENCY} may run at a time, and {most} did");
}

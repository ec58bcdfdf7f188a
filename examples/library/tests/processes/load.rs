//! A client that goes on while the application is taken apart and put together again: what is not answered, it asks again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::json;

use crate::program::{Api, wait_until};

/// Curators who add cards, each with a follower of their own.
const CURATORS: usize = 30;
/// The most cards of one: lists in answers end at a hundred.
const MOST: usize = 90;
/// Between two cards.
const PAUSE: Duration = Duration::from_millis(20);

/// Cards, one after the other, into one library after the other.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    added: Arc<AtomicUsize>,
    client: JoinHandle<()>,
}

impl Load {
    /// From now on.
    pub(crate) fn begin(api: &Api) -> Self {
        for number in 0..CURATORS {
            for id in [curator(number), follower(number)] {
                api.send("POST", "/curators", Some(json!({ "id": id, "name": id, "public": true })));
            }
            api.send("PUT", &format!("/curators/{}/followers/{}", curator(number), follower(number)), None);
        }
        let (stop, added) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count, api) = (stop.clone(), added.clone(), api.clone());
        let client = thread::spawn(move || {
            for number in (0..CURATORS * MOST).take_while(|_| !stopped.load(Ordering::SeqCst)) {
                add(&api, number);
                count.store(number + 1, Ordering::SeqCst);
                thread::sleep(PAUSE);
            }
        });
        Self { stop, added, client }
    }

    /// Waits until so many more cards were added.
    pub(crate) fn goes_on(&self, cards: usize) {
        let until = (self.added.load(Ordering::SeqCst) + cards).min(CURATORS * MOST);
        wait_until("the load goes on", || self.added.load(Ordering::SeqCst) >= until);
    }

    /// Ends it; returns how many cards were added.
    pub(crate) fn end(self) -> usize {
        self.stop.store(true, Ordering::SeqCst);
        self.client.join().expect("the client has no reason to fail");
        self.added.load(Ordering::SeqCst)
    }
}

/// Adds a card, however often it has to ask.
fn add(api: &Api, number: usize) {
    let mut card = None;
    for again in 0.. {
        // An address of its own for each try: whether the last one made a card is not known.
        let url = format!("https://example.com/{}/{number}/{again}", curator(number % CURATORS));
        match api.ask("POST", "/cards", Some(json!({ "url": url }))) {
            Some((201, made)) => card = made["id"].as_str().map(str::to_owned),
            Some(answer) => panic!("POST /cards: {answer:?}"),
            None => thread::sleep(PAUSE),
        }
        if card.is_some() {
            break;
        }
    }
    let path = format!("/curators/{}/library/{}", curator(number % CURATORS), card.expect("a card"));
    for again in 0.. {
        match api.ask("PUT", &path, None) {
            Some((204, _)) => return,
            // It was carried out the last time, and the answer was lost.
            Some((409, _)) if again > 0 => return,
            Some(answer) => panic!("PUT {path}: {answer:?}"),
            None => thread::sleep(PAUSE),
        }
    }
}

/// Waits until each card had each of its effects; then says where one had more.
#[track_caller]
pub(crate) fn every_card_had_its_effects(api: &Api, cards: usize) {
    let missing = || (0..CURATORS).find(|number| effects(api, *number).iter().any(|seen| *seen < of(*number, cards)));
    wait_until("every card had its effects", || missing().is_none());
    for number in 0..CURATORS {
        assert_eq!(effects(api, number), [of(number, cards); 4], "{}: counted, told, read, found", curator(number));
    }
}

/// How many of these cards are this curator's.
fn of(number: usize, cards: usize) -> usize {
    cards / CURATORS + usize::from(number < cards % CURATORS)
}

/// What came of one curator's cards: in analytics, notifications, feeds and search.
fn effects(api: &Api, number: usize) -> [usize; 4] {
    let (curator, follower) = (curator(number), follower(number));
    let length = |path: &str| api.get(path).as_array().map_or(0, Vec::len);
    let counted = api.get(&format!("/curators/{curator}/activity"))["cards_added"].as_u64();
    [
        counted.and_then(|counted| counted.try_into().ok()).unwrap_or(0),
        length(&format!("/curators/{follower}/notifications")),
        length(&format!("/curators/{follower}/feed")),
        length(&format!("/search?q=/{curator}/")),
    ]
}

fn curator(number: usize) -> String {
    format!("curator-{number}")
}

fn follower(number: usize) -> String {
    format!("follower-{number}")
}

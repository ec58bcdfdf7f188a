//! What an inbound holds: what was taken from the broker and is not settled. From it follow what is handed out next and
//! how far each partition is done. Pure state: the poller fills it, the inbound empties it.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::sync::Notify;

use super::voice::lock;
use crate::{
    error::{Error, Result},
    transport::record::{Delivery, Incoming, Tag},
};

/// A partition: of the events' topic or of the retry topic.
pub(super) type Share = (Lane, i32);

/// Which topic a record came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Lane {
    /// That of all events.
    Events,
    /// That of what was redriven for this handler.
    Retry,
}

/// A record's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    pub(super) share: Share,
    pub(super) offset: i64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Held {
    state: Mutex<State>,
    arrived: Notify,
    room: std::sync::Condvar,
    window: usize,
}

#[derive(Default)]
struct State {
    shares: BTreeMap<Share, Progress>,
    tags: HashMap<Tag, Place>,
    waiting: VecDeque<Place>,
    last_tag: u64,
    failure: Option<Error>,
    /// An outage was reported, and nothing has worked since.
    away: bool,
    closed: bool,
}

/// How far a partition is.
#[derive(Default)]
struct Progress {
    open: BTreeMap<i64, Open>,
    /// Behind the last record that was taken.
    end: i64,
    /// What the broker was told last.
    told: Option<i64>,
}

impl Progress {
    /// Everything before is settled.
    fn done(&self) -> i64 {
        self.open.first_key_value().map_or(self.end, |(offset, _)| *offset)
    }
}

struct Open {
    message: Arc<Incoming>,
    redelivered: u32,
    /// None while it waits to be handed out.
    tag: Option<Tag>,
}

impl Held {
    pub(super) fn new(window: usize) -> Arc<Self> {
        Arc::new(Self { window: window.max(1), ..Self::default() })
    }

    /// A record was taken; without a message it is settled at once.
    pub(super) fn take(&self, place: Place, message: Option<Incoming>) {
        let mut state = lock(&self.state);
        state.away = false;
        let progress = state.shares.entry(place.share).or_default();
        if progress.open.contains_key(&place.offset) {
            return;
        }
        progress.end = place.offset + 1;
        if let Some(message) = message {
            progress.open.insert(place.offset, Open { message: Arc::new(message), redelivered: 0, tag: None });
            state.waiting.push_back(place);
            self.arrived.notify_one();
        }
    }

    /// Whether the window has no room for another record; waits a moment for it if not.
    pub(super) fn is_full(&self, patience: Duration) -> bool {
        let state = lock(&self.state);
        let full = |state: &mut State| !state.closed && state.tags.len() + state.waiting.len() >= self.window;
        match self.room.wait_timeout_while(state, patience, full) {
            Ok((_, waited)) => waited.timed_out(),
            Err(_) => true,
        }
    }

    /// What is handed out next; waits for it. Empty after the end.
    pub(super) async fn next(&self, max: usize) -> Result<Vec<Delivery>> {
        loop {
            {
                let mut state = lock(&self.state);
                if state.closed {
                    return Ok(Vec::new());
                }
                if let Some(error) = state.failure.take() {
                    // Whoever hears of a lost connection forgets what it had.
                    state.hand_in_all();
                    self.arrived.notify_one();
                    return Err(error);
                }
                let deliveries = state.hand_out(max, self.window);
                if !deliveries.is_empty() {
                    return Ok(deliveries);
                }
            }
            self.arrived.notified().await;
        }
    }

    /// The message of a delivery that is not settled.
    pub(super) fn holds(&self, tag: Tag) -> Option<Place> {
        lock(&self.state).tags.get(&tag).copied()
    }

    /// Settles what is done.
    pub(super) fn done(&self, tags: impl IntoIterator<Item = Tag>) {
        let mut state = lock(&self.state);
        for tag in tags {
            let Some(place) = state.tags.remove(&tag) else { continue };
            if let Some(progress) = state.shares.get_mut(&place.share) {
                progress.open.remove(&place.offset);
            }
        }
        self.freed();
    }

    /// Takes back what was not tried.
    pub(super) fn returned(&self, tags: impl IntoIterator<Item = Tag>) {
        let mut state = lock(&self.state);
        for tag in tags {
            state.hand_in(tag);
        }
        self.freed();
    }

    fn freed(&self) {
        self.room.notify_all();
        self.arrived.notify_one();
    }

    /// What the broker is to be told: up to where each partition is settled, if that has changed.
    pub(super) fn to_commit(&self) -> Vec<Place> {
        let mut state = lock(&self.state);
        let changed = state.shares.iter_mut().filter_map(|(share, progress)| {
            let offset = progress.done();
            (progress.told.replace(offset) != Some(offset)).then_some(Place { share: *share, offset })
        });
        changed.collect()
    }

    /// The broker was not told after all.
    pub(super) fn uncommitted(&self, shares: impl IntoIterator<Item = Share>) {
        let mut state = lock(&self.state);
        for share in shares {
            if let Some(progress) = state.shares.get_mut(&share) {
                progress.told = None;
            }
        }
    }

    /// These partitions are somebody else's now: what is unsettled of them means nothing any more.
    pub(super) fn revoke(&self, shares: &[Share]) {
        let mut state = lock(&self.state);
        state.shares.retain(|share, _| !shares.contains(share));
        state.tags.retain(|_, place| !shares.contains(&place.share));
        state.waiting.retain(|place| !shares.contains(&place.share));
        self.freed();
    }

    /// The connection works.
    pub(super) fn well(&self) {
        lock(&self.state).away = false;
    }

    /// The connection does not: to be told once for each outage.
    pub(super) fn fail(&self, error: Error) {
        let mut state = lock(&self.state);
        if !std::mem::replace(&mut state.away, true) {
            state.failure = Some(error);
            self.arrived.notify_one();
        }
    }

    /// Ends it.
    pub(super) fn close(&self) {
        lock(&self.state).closed = true;
        self.freed();
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }
}

impl State {
    fn hand_out(&mut self, max: usize, window: usize) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        while deliveries.len() < max && self.tags.len() < window {
            let Some(place) = self.waiting.pop_front() else { break };
            let Some(progress) = self.shares.get_mut(&place.share) else { continue };
            let Some(open) = progress.open.get_mut(&place.offset) else { continue };
            self.last_tag += 1;
            let tag = Tag(self.last_tag);
            open.tag = Some(tag);
            self.tags.insert(tag, place);
            deliveries.push(Delivery { tag, message: Arc::clone(&open.message), redelivered: open.redelivered });
        }
        deliveries
    }

    /// Puts a delivery back where it was, before those behind it in its partition.
    fn hand_in(&mut self, tag: Tag) {
        let Some(place) = self.tags.remove(&tag) else { return };
        let progress = self.shares.get_mut(&place.share);
        let Some(open) = progress.and_then(|progress| progress.open.get_mut(&place.offset)) else { return };
        open.tag = None;
        open.redelivered += 1;
        let behind = |other: &Place| other.share == place.share && other.offset > place.offset;
        let at = self.waiting.iter().position(behind).unwrap_or(self.waiting.len());
        self.waiting.insert(at, place);
    }

    fn hand_in_all(&mut self) {
        self.tags.clear();
        self.waiting.clear();
        for (share, progress) in &mut self.shares {
            for (offset, open) in &mut progress.open {
                open.redelivered += u32::from(open.tag.take().is_some());
                self.waiting.push_back(Place { share: *share, offset: *offset });
            }
        }
    }
}

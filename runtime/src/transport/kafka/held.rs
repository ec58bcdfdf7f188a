//! What an inbound holds: what was taken from the broker and is not settled. From it follow what is handed out next and
//! how far each partition is done. Pure state: the poller fills it, the inbound empties it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use foldhash::HashMap;
use tokio::sync::Notify;

use super::{
    progress::{Note, Progress},
    voice::lock,
};
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
    end: Option<End>,
}

/// How an inbound ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// In good order.
    Closed,
    /// Without a word.
    Dropped,
}

impl Held {
    pub(super) fn new(window: usize) -> Arc<Self> {
        Arc::new(Self { window: window.max(1), ..Self::default() })
    }

    /// A record was taken; without a message it is settled at once. Returns whether the broker must be asked or told about
    /// its partition before long.
    pub(super) fn take(&self, place: Place, message: Option<Incoming>) -> bool {
        let mut state = lock(&self.state);
        state.away = false;
        let progress = state.shares.entry(place.share).or_default();
        let is_new = progress.take(place.offset, message);
        let due = !progress.is_read() || progress.is_short();
        if is_new {
            state.waiting.push_back(place);
            self.arrived.notify_one();
        }
        due
    }

    /// Whether the window has no room for another record; waits a moment for it if not.
    pub(super) fn is_full(&self, patience: Duration) -> bool {
        let state = lock(&self.state);
        let full = |state: &mut State| state.end.is_none() && state.tags.len() + state.waiting.len() >= self.window;
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
                if state.end.is_some() {
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

    /// The partitions whose notes are to be read.
    pub(super) fn unread(&self) -> Vec<Share> {
        let state = lock(&self.state);
        state.shares.iter().filter(|(_, progress)| !progress.is_read()).map(|(share, _)| *share).collect()
    }

    /// A partition's note, as the broker has it.
    pub(super) fn read(&self, share: Share, note: Note) {
        if let Some(progress) = lock(&self.state).shares.get_mut(&share) {
            progress.read(note);
        }
    }

    /// What the broker is to be told, if that has changed: up to where each partition is settled, and who may have what
    /// is behind that. `leaving` are given up in good order.
    pub(super) fn to_commit(&self, leaving: impl Fn(Share) -> bool) -> Vec<(Place, Note)> {
        let mut state = lock(&self.state);
        let changed = state.shares.iter_mut().filter_map(|(share, progress)| {
            let telling = if leaving(*share) { progress.leaving() } else { progress.telling() };
            telling.map(|(offset, note)| (Place { share: *share, offset }, note))
        });
        changed.collect()
    }

    /// The broker was told.
    pub(super) fn committed(&self, told: &[(Place, Note)]) {
        let mut state = lock(&self.state);
        for (place, _) in told {
            if let Some(progress) = state.shares.get_mut(&place.share) {
                progress.heard();
            }
        }
        self.arrived.notify_one();
    }

    /// The broker was not told after all.
    pub(super) fn uncommitted(&self, telling: &[(Place, Note)]) {
        let mut state = lock(&self.state);
        for (place, _) in telling {
            if let Some(progress) = state.shares.get_mut(&place.share) {
                progress.untold();
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

    /// Ends it; the first end counts.
    pub(super) fn close(&self, end: End) {
        lock(&self.state).end.get_or_insert(end);
        self.freed();
    }

    pub(super) fn end(&self) -> Option<End> {
        lock(&self.state).end
    }
}

impl State {
    fn hand_out(&mut self, max: usize, window: usize) -> Vec<Delivery> {
        let (mut deliveries, mut later) = (Vec::new(), Vec::new());
        while deliveries.len() < max && self.tags.len() < window {
            let Some(place) = self.waiting.pop_front() else { break };
            let Some(progress) = self.shares.get_mut(&place.share) else { continue };
            if !progress.may_have(place.offset) {
                later.push(place);
                continue;
            }
            let deaths = progress.deaths(place.offset);
            let Some(open) = progress.open.get_mut(&place.offset) else { continue };
            self.last_tag += 1;
            let tag = Tag(self.last_tag);
            open.tag = Some(tag);
            self.tags.insert(tag, place);
            let redelivered = deaths.saturating_add(open.returned);
            deliveries.push(Delivery { tag, message: Arc::clone(&open.message), redelivered });
        }
        later.into_iter().rev().for_each(|place| self.waiting.push_front(place));
        deliveries
    }

    /// Puts a delivery back where it was, before those behind it in its partition.
    fn hand_in(&mut self, tag: Tag) {
        let Some(place) = self.tags.remove(&tag) else { return };
        let progress = self.shares.get_mut(&place.share);
        let Some(open) = progress.and_then(|progress| progress.open.get_mut(&place.offset)) else { return };
        open.tag = None;
        open.returned += 1;
        let behind = |other: &Place| other.share == place.share && other.offset > place.offset;
        let at = self.waiting.iter().position(behind).unwrap_or(self.waiting.len());
        self.waiting.insert(at, place);
    }

    fn hand_in_all(&mut self) {
        self.tags.clear();
        self.waiting.clear();
        for (share, progress) in &mut self.shares {
            for (offset, open) in &mut progress.open {
                open.returned += u32::from(open.tag.take().is_some());
                self.waiting.push_back(Place { share: *share, offset: *offset });
            }
        }
    }
}

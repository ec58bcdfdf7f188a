//! A queue per aggregate: within one, deliveries run one at a time and in log order; across them, in parallel.
//!
//! A lane's items come from the window, or from parked deliveries; they stand in log order, and only the first one is
//! ever tried. When it fails, it is parked, and with it everything behind it in the lane: the window moves on without
//! them. Nothing here does I/O.

mod several;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque, hash_map::Entry};

use chrono::{DateTime, Utc};
use foldhash::HashMap;

use super::{
    tail::{HeldEvent, TailEvent},
    window::Ticket,
};
use crate::{
    event::EventId,
    store::record::{AggregateKey, Parked, ParkedState},
};

/// One delivery of a lane.
struct Item {
    position: i64,
    event: Option<HeldEvent>,
    place: Place,
}

enum Place {
    /// In the window: nothing is stored about it.
    Window { ticket: Ticket },
    /// Parked: the position has moved past it, this row keeps it. In a box, since few are.
    Parked(Box<Parked>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its first item can be tried.
    Ready,
    /// Its first item is being tried.
    Running,
    /// Its first item is due at this time.
    Until(DateTime<Utc>),
    /// Its first item is a dead letter that a person must see to.
    Blocked,
}

struct Lane {
    items: VecDeque<Item>,
    state: State,
}

/// Room for so many lanes' items is kept for lanes to come, if it is not for more than so many: most of a lane's costs
/// are those of making room.
const SPARE_LANES: usize = 128;
const SPARE_ITEMS: usize = 64;

/// All lanes of a subscription that have something in them.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: HashMap<u64, Lane>,
    spare: Vec<VecDeque<Item>>,
    ready: VecDeque<u64>,
    due: BTreeSet<(DateTime<Utc>, u64)>,
    parked: usize,
    /// The log positions of what was restored, per aggregate and in log order, until an event behind them is admitted.
    restored: HashMap<AggregateKey, Vec<i64>>,
}

/// The first item of a lane, or one behind it, to be tried now.
pub(super) struct Job {
    pub(super) key: u64,
    pub(super) position: i64,
    pub(super) event: Option<HeldEvent>,
    /// Attempts that were begun before this one.
    pub(super) attempts: u32,
    /// Whether an earlier attempt took its process down.
    pub(super) crashed: bool,
}

/// An item that has left its lane for good.
#[derive(Clone, Copy)]
pub(super) enum Passed {
    /// The window may forget it.
    Window(Ticket),
    /// This position's row may go.
    Parked(i64),
}

/// What must be written, and what the window may forget, after a lane has changed.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) tickets: Vec<Ticket>,
    pub(super) parked: Vec<Parked>,
    pub(super) settled: Vec<i64>,
}

impl Lanes {
    /// Puts a parked delivery back where it was; to be called in log order, before anything is admitted.
    pub(super) fn restore(&mut self, key: u64, row: Parked) {
        self.parked += 1;
        self.restored.entry(row.aggregate.clone()).or_default().push(row.position);
        let item = Item { position: row.position, event: None, place: Place::Parked(Box::new(row)) };
        match self.lanes.get_mut(&key) {
            Some(lane) => lane.items.push_back(item),
            None => {
                self.lanes.insert(key, Lane { items: VecDeque::from([item]), state: State::Ready });
                self.advance(key);
            }
        }
    }

    /// Takes an event out of the log in. Behind a parked one that waits, it is parked at once. `ordered` says that its
    /// aggregate's events can't have become visible in another order than that of their positions.
    pub(super) fn admit(
        &mut self,
        event: HeldEvent,
        position: i64,
        ticket: Ticket,
        ordered: bool,
        now: DateTime<Utc>,
    ) -> Changes {
        if self.was_restored(&event, position, ordered) {
            return Changes { tickets: vec![ticket], ..Changes::default() };
        }
        let key = event.key;
        match self.lanes.get_mut(&key) {
            None => {
                let mut items = self.spare.pop().unwrap_or_default();
                items.push_back(Item { position, event: Some(event), place: Place::Window { ticket } });
                self.lanes.insert(key, Lane { items, state: State::Ready });
                self.ready.push_back(key);
                Changes::default()
            }
            Some(lane) if lane.waits_parked() => {
                let row = waiting(&event, position, now);
                self.parked += 1;
                lane.items.push_back(Item { position, event: None, place: Place::Parked(Box::new(row.clone())) });
                Changes { tickets: vec![ticket], parked: vec![row], settled: Vec::new() }
            }
            Some(lane) => {
                lane.items.push_back(Item { position, event: Some(event), place: Place::Window { ticket } });
                Changes::default()
            }
        }
    }

    /// Whether an event that is read again is parked already, or was done before a later one of its aggregate was parked:
    /// the position stops before the first event that is not done, so both can lie behind it.
    fn was_restored(&mut self, event: &TailEvent, position: i64, ordered: bool) -> bool {
        if self.restored.is_empty() {
            return false;
        }
        let aggregate = AggregateKey::from(&event.envelope.meta);
        let Some(parked) = self.restored.get(&aggregate) else { return false };
        let Some(last) = parked.last().filter(|last| position <= **last) else {
            self.restored.remove(&aggregate);
            return false;
        };
        ordered || position == *last || parked.contains(&position)
    }

    /// Lets those be tried that are due.
    pub(super) fn wake(&mut self, now: DateTime<Utc>) {
        while let Some((at, key)) = self.due.first().copied()
            && at <= now
        {
            self.due.remove(&(at, key));
            self.set(key, State::Ready);
            self.ready.push_back(key);
        }
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<DateTime<Utc>> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Whether something could be tried now.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// How many deliveries are parked.
    pub(super) fn parked(&self) -> usize {
        self.parked
    }

    /// The next item to try; its lane runs from now on.
    pub(super) fn start(&mut self) -> Option<Job> {
        let key = self.ready.pop_front()?;
        let lane = self.lanes.get_mut(&key)?;
        lane.state = State::Running;
        let item = lane.items.front()?;
        let (attempts, crashed) = match &item.place {
            Place::Window { .. } => (0, false),
            Place::Parked(row) => (row.attempts, row.state == ParkedState::Running),
        };
        Some(Job { key, position: item.position, event: item.event.clone(), attempts, crashed })
    }

    /// Makes the running item's attempt known before it is begun, so that a crash is laid at its door.
    pub(super) fn arm(&mut self, key: u64, attempts: u32, now: DateTime<Utc>) -> Changes {
        self.park(key, ParkedState::Running, attempts, now, None, false)
    }

    /// The running item is done.
    pub(super) fn settle(&mut self, key: u64) -> Option<Passed> {
        let passed = self.pass(key);
        self.advance(key);
        passed
    }

    /// The running item is done, and what follows from the one behind it, which runs as well, is told next.
    pub(super) fn pass(&mut self, key: u64) -> Option<Passed> {
        let item = self.lanes.get_mut(&key)?.items.pop_front()?;
        Some(match item.place {
            Place::Window { ticket } => Passed::Window(ticket),
            Place::Parked(row) => {
                self.parked -= 1;
                Passed::Parked(row.position)
            }
        })
    }

    /// The running item failed and is to be tried again at `at`.
    pub(super) fn retry(&mut self, key: u64, attempts: u32, at: DateTime<Utc>, error: String) -> Changes {
        let changes = self.park(key, ParkedState::Retrying, attempts, at, Some(error), true);
        self.hold(key, State::Until(at));
        changes
    }

    /// The running item is a dead letter, and everything behind it waits for a person.
    pub(super) fn block(&mut self, key: u64, attempts: u32, now: DateTime<Utc>, error: String) -> Changes {
        let changes = self.park(key, ParkedState::Dead, attempts, now, Some(error), true);
        self.hold(key, State::Blocked);
        changes
    }

    /// The running item could not be tried; it is tried again at `at`, and the attempt, if one was `begun`, does not
    /// count.
    pub(super) fn repeat(&mut self, key: u64, begun: bool, at: DateTime<Utc>) -> Changes {
        let mut changes = Changes::default();
        if begun
            && let Some(item) = self.lanes.get_mut(&key).and_then(|lane| lane.items.front_mut())
            && let Place::Parked(row) = &mut item.place
            && row.state == ParkedState::Running
        {
            row.state = ParkedState::Retrying;
            row.attempts = row.attempts.saturating_sub(1);
            row.next_at = at;
            changes.parked.push((**row).clone());
        }
        self.hold(key, State::Until(at));
        changes
    }

    /// Parks what was not tried and stands in the window before this ticket, so that the position can move behind what
    /// is done: otherwise that would be delivered again. To be called when nothing runs, and nothing is started after.
    pub(super) fn leave(&mut self, before: Ticket, now: DateTime<Utc>) -> Changes {
        let mut changes = Changes::default();
        for item in self.lanes.values_mut().flat_map(|lane| &mut lane.items) {
            if let (Place::Window { ticket }, Some(event)) = (&item.place, &item.event)
                && *ticket < before
            {
                let row = waiting(event, item.position, now);
                changes.tickets.push(*ticket);
                changes.parked.push(row.clone());
                item.place = Place::Parked(Box::new(row));
                self.parked += 1;
            }
        }
        changes
    }

    /// Parks a lane's first item in this state and, where it waits from now on, all behind it.
    fn park(
        &mut self,
        key: u64,
        state: ParkedState,
        attempts: u32,
        next_at: DateTime<Utc>,
        error: Option<String>,
        all: bool,
    ) -> Changes {
        let mut changes = Changes::default();
        let Some(lane) = self.lanes.get_mut(&key) else { return changes };
        let take = if all { lane.items.len() } else { 1 };
        for (index, item) in lane.items.iter_mut().take(take).enumerate() {
            let first = index == 0;
            let row = match &mut item.place {
                Place::Window { ticket } => {
                    let Some(event) = &item.event else { continue };
                    changes.tickets.push(*ticket);
                    self.parked += 1;
                    waiting(event, item.position, next_at)
                }
                Place::Parked(_) if !first => continue,
                Place::Parked(row) => (**row).clone(),
            };
            let row = if first {
                Parked { state, attempts, next_at, error: error.clone().or(row.error), ..row }
            } else {
                row
            };
            if all {
                // It may be a while: the log keeps the event, memory need not.
                item.event = None;
            }
            item.place = Place::Parked(Box::new(row.clone()));
            changes.parked.push(row);
        }
        changes
    }

    /// What a lane does next, after its first item has left or been restored.
    fn advance(&mut self, key: u64) {
        let Entry::Occupied(mut lane) = self.lanes.entry(key) else { return };
        let state = match lane.get().items.front().map(|item| &item.place) {
            None => {
                let Lane { items, .. } = lane.remove();
                if self.spare.len() < SPARE_LANES && items.capacity() <= SPARE_ITEMS {
                    self.spare.push(items);
                }
                return;
            }
            Some(Place::Parked(row)) if row.state == ParkedState::Dead => State::Blocked,
            Some(Place::Parked(row)) if row.state == ParkedState::Retrying => State::Until(row.next_at),
            Some(_) => State::Ready,
        };
        lane.get_mut().state = state;
        self.enqueue(key, state);
    }

    fn hold(&mut self, key: u64, state: State) {
        self.set(key, state);
        self.enqueue(key, state);
    }

    fn enqueue(&mut self, key: u64, state: State) {
        match state {
            State::Ready => self.ready.push_back(key),
            State::Until(at) => {
                self.due.insert((at, key));
            }
            State::Running | State::Blocked => {}
        }
    }

    fn set(&mut self, key: u64, state: State) {
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.state = state;
        }
    }
}

impl Lane {
    /// Whether all its items are parked and none is about to be tried. Where some are still in the window, a later one
    /// must not be parked before them: when the stored state is read again, it would come first.
    fn waits_parked(&self) -> bool {
        let parked = self.items.back().is_some_and(|item| matches!(item.place, Place::Parked(_)));
        parked && matches!(self.state, State::Until(_) | State::Blocked)
    }
}

fn waiting(event: &TailEvent, position: i64, next_at: DateTime<Utc>) -> Parked {
    let meta = &event.envelope.meta;
    let (aggregate, event): (AggregateKey, EventId) = (meta.into(), meta.id);
    Parked { aggregate, position, event, state: ParkedState::Waiting, attempts: 0, next_at, error: None }
}

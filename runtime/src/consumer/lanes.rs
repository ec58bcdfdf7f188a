//! A queue per aggregate: within one, deliveries run one at a time and in the order in which they came; across them, in
//! parallel. Only the first of a queue is ever tried; while it waits for another attempt, the rest waits behind it, and
//! none of them is settled on the broker. Nothing here does I/O.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use foldhash::HashMap;
use smallvec::SmallVec;

use super::arrival::Arrival;
use crate::{event::EventId, transport::record::Tag};

/// What a delivery is settled by: more than one where the broker delivered it again meanwhile.
pub(super) type Tags = SmallVec<[Tag; 1]>;

/// One delivery that is not settled.
pub(super) struct Item {
    pub(super) arrival: Arc<Arrival>,
    pub(super) tags: Tags,
    /// Attempts that were made.
    attempts: u32,
    /// Whether it may have taken a process down.
    is_suspect: bool,
    /// Whether the inbox may have a note of its attempts: it was suspected.
    pub(super) is_noted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Its first can be tried.
    Ready,
    /// Its first is being tried.
    Running,
    /// Its first is due at a time that stands in `due`.
    Waiting,
}

struct Lane {
    items: VecDeque<Item>,
    state: State,
}

/// The first of a queue, to be tried now.
pub(super) struct Job {
    pub(super) key: u64,
    pub(super) arrival: Arc<Arrival>,
    /// Attempts made before this one.
    pub(super) attempts: u32,
    /// Whether it may have taken a process down.
    pub(super) is_suspect: bool,
}

/// All queues that have something in them.
#[derive(Default)]
pub(super) struct Lanes {
    lanes: HashMap<u64, Lane>,
    ready: VecDeque<u64>,
    due: BTreeSet<(Instant, u64)>,
    /// In which queue an event is.
    events: HashMap<EventId, u64>,
    /// How many are suspects.
    suspects: usize,
}

impl Lanes {
    /// How many deliveries are held.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether one is held that may have taken a process down.
    pub(super) fn has_suspects(&self) -> bool {
        self.suspects > 0
    }

    /// Whether something of this aggregate is held.
    pub(super) fn has(&self, key: u64) -> bool {
        self.lanes.contains_key(&key)
    }

    /// Takes a delivery in; one whose event is held already only adds its tag. One that is suspected has had so many
    /// attempts that were begun.
    pub(super) fn admit(&mut self, arrival: Arc<Arrival>, tag: Tag, suspected: Option<u32>) {
        let (id, key) = (arrival.envelope.meta.id, arrival.key);
        if let Some(held) = self.events.get(&id)
            && let Some(item) =
                self.lanes.get_mut(held).and_then(|lane| lane.items.iter_mut().find(|item| item.id() == id))
        {
            item.tags.push(tag);
            return;
        }
        self.events.insert(id, key);
        let is_suspect = suspected.is_some();
        self.suspects += usize::from(is_suspect);
        let item = Item {
            arrival,
            tags: SmallVec::from([tag]),
            attempts: suspected.unwrap_or(0),
            is_suspect,
            is_noted: is_suspect,
        };
        let lane = self.lanes.entry(key).or_insert_with(|| {
            self.ready.push_back(key);
            Lane { items: VecDeque::new(), state: State::Ready }
        });
        lane.items.push_back(item);
    }

    /// Lets those be tried that are due.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some((at, key)) = self.due.first().copied()
            && at <= now
        {
            self.due.remove(&(at, key));
            if let Some(lane) = self.lanes.get_mut(&key).filter(|lane| lane.state == State::Waiting) {
                lane.state = State::Ready;
                self.ready.push_back(key);
            }
        }
    }

    /// When the next one is due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next delivery to try; its queue runs from now on.
    pub(super) fn start(&mut self) -> Option<Job> {
        loop {
            let key = self.ready.pop_front()?;
            // A queue that was cleared meanwhile is gone, or is another one.
            if let Some(lane) = self.lanes.get_mut(&key).filter(|lane| lane.state == State::Ready)
                && let Some(item) = lane.items.front()
            {
                lane.state = State::Running;
                let Item { attempts, is_suspect, .. } = *item;
                return Some(Job { key, arrival: Arc::clone(&item.arrival), attempts, is_suspect });
            }
        }
    }

    /// The next ones that were never tried, so many at most.
    pub(super) fn start_fresh(&mut self, most: usize) -> Vec<Job> {
        let mut jobs = Vec::new();
        while jobs.len() < most
            && let Some(job) = self.start()
        {
            if job.attempts > 0 {
                self.give_back(job.key);
                break;
            }
            jobs.push(job);
        }
        jobs
    }

    /// The running delivery was not begun after all: it is the next one.
    pub(super) fn give_back(&mut self, key: u64) {
        if let Some(lane) = self.lanes.get_mut(&key) {
            lane.state = State::Ready;
            self.ready.push_front(key);
        }
    }

    /// The running delivery is over, one way or the other: takes it out.
    pub(super) fn finish(&mut self, key: u64) -> Option<Item> {
        let lane = self.lanes.get_mut(&key)?;
        let item = lane.items.pop_front()?;
        self.events.remove(&item.id());
        self.suspects -= usize::from(item.is_suspect);
        if lane.items.is_empty() {
            self.lanes.remove(&key);
        } else {
            lane.state = State::Ready;
            self.ready.push_back(key);
        }
        Some(item)
    }

    /// The running delivery is to be tried again at this time, after so many attempts that count. One whose attempt came
    /// to its end is not suspected any more: nobody else has to wait while it does.
    pub(super) fn again(&mut self, key: u64, attempts: u32, at: Instant) {
        if let Some(lane) = self.lanes.get_mut(&key) {
            if let Some(item) = lane.items.front_mut() {
                if item.is_suspect && attempts > item.attempts {
                    item.is_suspect = false;
                    self.suspects -= 1;
                }
                item.attempts = attempts;
            }
            lane.state = State::Waiting;
            self.due.insert((at, key));
        }
    }

    /// Takes everything out of a queue that does not run.
    pub(super) fn clear(&mut self, key: u64) -> Vec<Item> {
        let items = self.lanes.remove(&key).map_or_else(VecDeque::new, |lane| lane.items);
        for item in &items {
            self.events.remove(&item.id());
            self.suspects -= usize::from(item.is_suspect);
        }
        items.into()
    }

    /// Everything that is held, queue by queue.
    pub(super) fn take_all(&mut self) -> Vec<Item> {
        self.ready.clear();
        self.due.clear();
        self.events.clear();
        self.suspects = 0;
        self.lanes.drain().flat_map(|(_, lane)| lane.items).collect()
    }
}

impl Item {
    fn id(&self) -> EventId {
        self.arrival.envelope.meta.id
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::consumer::arrival::tests::arrival;

    #[test]
    fn the_second_of_an_aggregate_waits_for_the_first_however_long_it_takes() {
        let mut lanes = Lanes::default();
        let (first, second, other) = (arrival("c1"), arrival("c1"), arrival("c2"));
        for (tag, arrival) in [&first, &second, &other].into_iter().enumerate() {
            lanes.admit(Arc::clone(arrival), Tag(tag as u64), None);
        }
        let job = lanes.start().expect("there is one");
        assert_eq!(job.arrival.envelope.meta.id, first.envelope.meta.id);
        assert_eq!(lanes.start().expect("there is one").arrival.envelope.meta.id, other.envelope.meta.id);
        assert!(lanes.start().is_none());
        let at = Instant::now() + Duration::from_secs(9);
        lanes.again(job.key, 1, at);
        assert!(lanes.start().is_none());
        lanes.wake(at);
        assert_eq!(lanes.start().expect("there is one").attempts, 1);
        assert!(lanes.finish(job.key).is_some());
        assert_eq!(lanes.start().expect("there is one").arrival.envelope.meta.id, second.envelope.meta.id);
    }

    #[test]
    fn an_event_that_comes_again_keeps_its_place_and_is_settled_by_both_tags() {
        let mut lanes = Lanes::default();
        let event = arrival("c1");
        lanes.admit(Arc::clone(&event), Tag(1), None);
        lanes.admit(event, Tag(9), None);
        assert_eq!(lanes.len(), 1);
        let job = lanes.start().expect("there is one");
        assert_eq!(lanes.finish(job.key).expect("there is one").tags.as_slice(), [Tag(1), Tag(9)]);
        assert_eq!(lanes.len(), 0);
    }

    #[test]
    fn suspicion_lasts_as_long_as_the_suspects_are_held() {
        let mut lanes = Lanes::default();
        lanes.admit(arrival("c1"), Tag(1), Some(2));
        lanes.admit(arrival("c1"), Tag(2), Some(0));
        lanes.admit(arrival("c2"), Tag(3), None);
        let job = lanes.start().expect("there is one");
        assert_eq!((job.attempts, job.is_suspect), (2, true));
        assert!(lanes.finish(job.key).is_some() && lanes.has_suspects());
        assert_eq!(lanes.clear(job.key).len(), 1);
        assert!(!lanes.has_suspects());
        lanes.admit(arrival("c1"), Tag(4), Some(0));
        assert_eq!(lanes.take_all().len(), 2);
        assert!(!lanes.has_suspects());
    }

    #[test]
    fn who_survives_an_attempt_is_suspected_no_more_and_who_had_none_still_is() {
        let mut lanes = Lanes::default();
        lanes.admit(arrival("c1"), Tag(1), Some(1));
        let at = Instant::now();
        // The store failed: nothing was tried.
        let job = lanes.start().expect("there is one");
        lanes.again(job.key, job.attempts, at);
        assert!(lanes.has_suspects());
        lanes.wake(at);
        let job = lanes.start().expect("there is one");
        assert_eq!((job.attempts, job.is_suspect), (1, true));
        lanes.again(job.key, job.attempts + 1, at);
        assert!(!lanes.has_suspects());
        lanes.wake(at);
        let job = lanes.start().expect("there is one");
        assert_eq!((job.attempts, job.is_suspect), (2, false));
        assert!(lanes.finish(job.key).is_some() && !lanes.has_suspects());
    }
}

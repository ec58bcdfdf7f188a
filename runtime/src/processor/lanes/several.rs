//! Several deliveries at once, for a transaction that they share: the first items of lanes, and those behind them.

use super::{Item, Job, Lanes, Place, State};

impl Job {
    /// Whether it is its first attempt, and nothing is stored about it.
    pub(in crate::processor) fn is_fresh(&self) -> bool {
        self.attempts == 0 && !self.crashed && self.event.is_some()
    }
}

impl Lanes {
    /// A fresh delivery that was started, with fresh ones to go with it, so many at most: the first ones of other lanes,
    /// then those behind them, each lane's in order. Their lanes run from now on.
    pub(in crate::processor) fn start_with(&mut self, first: Job, most: usize) -> Vec<Job> {
        let (mut jobs, mut keys) = (Vec::with_capacity(most), Vec::with_capacity(most));
        keys.push(first.key);
        jobs.push(first);
        let mut others = Vec::new();
        while jobs.len() < most
            && let Some(key) = self.ready.pop_front()
        {
            let Some(lane) = self.lanes.get_mut(&key) else { continue };
            match lane.items.front().and_then(|item| item.fresh(key)) {
                None => others.push(key),
                Some(job) => {
                    lane.state = State::Running;
                    jobs.push(job);
                    keys.push(key);
                }
            }
        }
        // They keep their places.
        others.into_iter().rev().for_each(|key| self.ready.push_front(key));
        let mut depth = 1;
        while jobs.len() < most && !keys.is_empty() {
            keys.retain(|key| {
                let item = self.lanes.get(key).and_then(|lane| lane.items.get(depth));
                let job = item.and_then(|item| item.fresh(*key)).filter(|_| jobs.len() < most);
                let goes_on = job.is_some();
                jobs.extend(job);
                goes_on
            });
            depth += 1;
        }
        jobs
    }

    /// A lane whose first item was started and not begun: it is the next one to be tried.
    pub(in crate::processor) fn give_back(&mut self, key: u64) {
        self.set(key, State::Ready);
        self.ready.push_front(key);
    }
}

impl Item {
    fn fresh(&self, key: u64) -> Option<Job> {
        let event = self.event.clone()?;
        let is_fresh = matches!(self.place, Place::Window { .. });
        is_fresh.then(|| Job { key, position: self.position, event: Some(event), attempts: 0, crashed: false })
    }
}

//! Deliveries that one task makes, in the order they are made.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::delivery::Attempt;
use crate::{
    event::EventId,
    store::{Store, record::Lease},
};

/// Whoever takes one out decides what becomes of it.
pub(super) struct Together<S> {
    waiting: Mutex<Waiting<S>>,
}

struct Waiting<S> {
    attempts: VecDeque<Attempt<S>>,
    /// The lanes of those that were taken out to be made.
    begun: HashSet<u64>,
}

impl<S: Store> Together<S> {
    pub(super) fn new(attempts: impl IntoIterator<Item = Attempt<S>>) -> Self {
        let attempts = attempts.into_iter().collect();
        Self { waiting: Mutex::new(Waiting { attempts, begun: HashSet::new() }) }
    }

    /// Takes back what was not begun; returns the lanes that nothing was begun of.
    pub(super) fn take_back(&self) -> HashSet<u64> {
        let mut waiting = self.waiting();
        let left: HashSet<_> = waiting.attempts.drain(..).map(|attempt| attempt.key).collect();
        left.difference(&waiting.begun).copied().collect()
    }

    /// The lanes that something was begun of.
    pub(super) fn begun(&self) -> HashSet<u64> {
        self.waiting().begun.clone()
    }

    pub(super) fn next(&self) -> Option<Attempt<S>> {
        let mut waiting = self.waiting();
        let attempt = waiting.attempts.pop_front()?;
        waiting.begun.insert(attempt.key);
        Some(attempt)
    }

    /// Leaves out what stands behind a delivery that was not done.
    pub(super) fn leave_lane(&self, key: u64) {
        self.waiting().attempts.retain(|attempt| attempt.key != key);
    }

    /// The lease all of them are made under, and their events.
    pub(super) fn about(&self) -> Option<(Lease, Vec<EventId>)> {
        let waiting = self.waiting();
        let lease = waiting.attempts.front()?.lease.clone();
        Some((
            lease,
            waiting.attempts.iter().filter_map(|attempt| attempt.event.as_ref()).map(|event| event.id()).collect(),
        ))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<S>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

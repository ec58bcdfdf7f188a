//! Deliveries that one task makes, in the order they are made.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::Making;

/// Whoever takes one out decides what becomes of it.
pub(crate) struct Together<A> {
    waiting: Mutex<Waiting<A>>,
}

struct Waiting<A> {
    attempts: VecDeque<A>,
    /// The lanes of those that were taken out to be made.
    begun: Vec<u64>,
}

impl<A: Making> Together<A> {
    pub(crate) fn new(attempts: impl Into<VecDeque<A>>) -> Self {
        let attempts: VecDeque<_> = attempts.into();
        let begun = Vec::with_capacity(attempts.len());
        Self { waiting: Mutex::new(Waiting { attempts, begun }) }
    }

    /// Takes back what was not begun; returns the lanes that nothing was begun of.
    pub(crate) fn take_back(&self) -> HashSet<u64> {
        let mut waiting = self.waiting();
        let mut left: HashSet<_> = waiting.attempts.drain(..).map(|attempt| attempt.key()).collect();
        if !left.is_empty() {
            waiting.begun.iter().for_each(|key| _ = left.remove(key));
        }
        left
    }

    /// The lanes that something was begun of.
    pub(crate) fn begun(&self) -> HashSet<u64> {
        self.waiting().begun.iter().copied().collect()
    }

    pub(crate) fn next(&self) -> Option<A> {
        let mut waiting = self.waiting();
        let attempt = waiting.attempts.pop_front()?;
        waiting.begun.push(attempt.key());
        Some(attempt)
    }

    /// Leaves out what stands behind a delivery that was not done.
    pub(crate) fn leave_lane(&self, key: u64) {
        self.waiting().attempts.retain(|attempt| attempt.key() != key);
    }

    /// Tells something of all that wait.
    pub(crate) fn about<T>(&self, tell: impl FnOnce(&VecDeque<A>) -> T) -> T {
        tell(&self.waiting().attempts)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<A>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

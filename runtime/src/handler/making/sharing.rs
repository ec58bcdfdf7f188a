//! How many deliveries may be made together next, in one transaction or in one burst: more while that goes well and
//! quickly, one where it does not.
//!
//! What shares a transaction also shares its locks, until it ends: a handler that is slow, or fails often, has each
//! delivery in a transaction of its own. What shares a task waits for those before it: a handler that is slow, or has to
//! wait, has a task for each.

use std::time::Duration;

use super::{Attempted, Ended};

/// The most deliveries together, where nobody says more. PostgreSQL keeps 64 savepoints of a transaction at hand.
pub(crate) const MOST: usize = 32;

/// How many deliveries stay alone after one has failed, was slow or had to wait among others, at first and at most.
const ALONE_FIRST: usize = 8;
const ALONE_MOST: usize = 1024;

pub(crate) struct Sharing {
    most: usize,
    /// So many deliveries are still made alone.
    alone: usize,
    /// How many will have after the next such one.
    alone_next: usize,
    /// How long those made together may take; zero: there are none.
    shared_for: Duration,
    /// The most that there ever are.
    limit: usize,
}

impl Sharing {
    pub(crate) fn new(shared_for: Duration, limit: usize) -> Self {
        Self { most: 1, alone: 0, alone_next: ALONE_FIRST, shared_for, limit }
    }

    /// The most deliveries to be made together next.
    pub(crate) fn most(&self) -> usize {
        if self.alone > 0 || self.shared_for.is_zero() { 1 } else { self.most }
    }

    /// From what came of a task; `harms` is an attempt that cost the others something.
    pub(crate) fn learn<E>(&mut self, ended: &Ended<E>, harms: impl Fn(&Attempted<E>) -> bool) {
        let Ended { attempts, took, shared, waits, .. } = ended;
        let deliveries = if *shared { attempts.len() } else { 1 };
        if waits.is_none() && !attempts.is_empty() && !attempts.iter().any(harms) {
            self.went_well(deliveries, *took);
        } else {
            self.went_wrong(if *shared { deliveries.max(2) } else { 1 });
        }
    }

    /// All of them were handled.
    fn went_well(&mut self, deliveries: usize, took: Duration) {
        if took > self.shared_for {
            self.most = (deliveries / 2).max(1);
        } else if deliveries >= self.most() {
            self.most = (self.most * 2).min(self.limit);
        }
        if deliveries >= MOST {
            self.alone_next = (self.alone_next / 2).max(ALONE_FIRST);
        }
        self.alone = self.alone.saturating_sub(deliveries);
    }

    /// One of them was not.
    fn went_wrong(&mut self, deliveries: usize) {
        self.most = 1;
        if deliveries != 1 {
            self.stay_alone();
        }
    }

    /// One takes so long that the rest does not wait for it; what was made before it has to.
    pub(crate) fn is_slow(&mut self) {
        self.most = 1;
        self.stay_alone();
    }

    fn stay_alone(&mut self) {
        self.alone = self.alone_next;
        self.alone_next = (self.alone_next * 2).min(ALONE_MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARED_FOR: Duration = Duration::from_millis(20);
    const QUICK: Duration = Duration::from_millis(1);

    #[test]
    fn transactions_grow_while_all_goes_well_and_quickly() {
        let mut sharing = Sharing::new(SHARED_FOR, MOST);
        let sizes: Vec<_> = (0..7)
            .map(|_| {
                let most = sharing.most();
                sharing.went_well(most, QUICK);
                most
            })
            .collect();
        assert_eq!(sizes, [1, 2, 4, 8, 16, 32, 32]);
        let mut longer = Sharing::new(SHARED_FOR, 3 * MOST);
        (0..9).for_each(|_| longer.went_well(longer.most(), QUICK));
        assert_eq!(longer.most(), 3 * MOST, "as many as it may");
        // Fewer, because there were no more.
        sharing.went_well(3, QUICK);
        assert_eq!(sharing.most(), 32);
        sharing.went_well(10, SHARED_FOR * 2);
        assert_eq!(sharing.most(), 5, "in half the time");
        sharing.is_slow();
        assert_eq!(sharing.most(), 1);
    }

    #[test]
    fn after_a_failure_each_is_alone_for_a_while_and_longer_after_the_next() {
        let mut sharing = Sharing { most: 16, ..Sharing::new(SHARED_FOR, MOST) };
        let alone = |sharing: &mut Sharing| {
            let mut deliveries = 0;
            while sharing.most() == 1 {
                sharing.went_well(1, QUICK);
                deliveries += 1;
            }
            deliveries
        };
        sharing.went_wrong(16);
        assert_eq!(alone(&mut sharing), 8);
        sharing.went_wrong(2);
        assert_eq!(alone(&mut sharing), 16);
        sharing.is_slow();
        assert_eq!(alone(&mut sharing), 32);
        sharing.went_wrong(1);
        assert_eq!(alone(&mut sharing), 1, "what fails alone has nothing to do with sharing");
    }
}

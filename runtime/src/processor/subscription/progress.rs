//! What a subscription has done and not yet written down, and when to write it.

use std::{
    collections::HashSet,
    sync::LazyLock,
    time::{Duration, Instant},
};

use crate::event::EventId;
use crate::{
    handler::{Outcome, Verdict},
    processor::{
        lanes::{Changes, Passed},
        window::Window,
    },
    store::record::{Checkpoint, DeadLetter, Lease, Position},
};

/// What was delivered is written down so often, and what was only passed over less often.
const WORK_WAITS: Duration = Duration::from_millis(25);
const PASSED_WAITS: Duration = Duration::from_millis(100);

/// All subscriptions of a process write at the same moments, counted from here: one transaction does for many.
static FIRST_MOMENT: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The window, and the next checkpoint as it grows.
pub(super) struct Progress {
    pub(super) window: Window,
    pending: Checkpoint,
    /// Deliveries decided since the last checkpoint.
    work: usize,
    dirty_since: Option<Instant>,
    /// So many deliveries are written down at once.
    most: usize,
}

impl Progress {
    /// `most` deliveries are written down at once, whatever the moment.
    pub(super) fn new(lease: Lease, most: usize) -> Self {
        Self { window: Window::default(), pending: Checkpoint::new(lease), work: 0, dirty_since: None, most }
    }

    /// Takes in what changed in the lanes.
    pub(super) fn apply(&mut self, changes: Changes) {
        for ticket in changes.tickets {
            self.window.done(ticket);
        }
        self.pending.parked.extend(changes.parked);
        self.pending.settled.extend(changes.settled);
        self.touch();
    }

    /// Takes in that a delivery is done.
    pub(super) fn done(&mut self, passed: Passed) {
        match passed {
            Passed::Window(ticket) => self.window.done(ticket),
            Passed::Parked(position) => self.pending.settled.push(position),
        }
        self.touch();
    }

    /// Takes in a stretch with nothing to do in it.
    pub(super) fn pass(&mut self, resume: &Position) {
        self.window.pass(resume);
        self.touch();
    }

    /// Counts a delivery that was decided.
    pub(super) fn worked(&mut self) {
        self.work += 1;
    }

    pub(super) fn bury(&mut self, letter: DeadLetter) {
        self.pending.dead.push(letter);
    }

    /// What becomes of the mark a `once` handler's event was given.
    pub(super) fn once(&mut self, event: EventId, outcome: &Outcome) {
        match outcome {
            Outcome::Handled | Outcome::Failed { verdict: Verdict::Discard, .. } => self.pending.once_done.push(event),
            Outcome::Failed { .. } => self.pending.once_failed.push(event),
            Outcome::Dead { .. } | Outcome::StoreFailed { .. } | Outcome::CutOff | Outcome::LeaseLost => {}
        }
    }

    /// The suspicion after a crash is over.
    pub(super) fn calm(&mut self) {
        self.pending.calm = true;
    }

    fn touch(&mut self) {
        self.dirty_since.get_or_insert_with(Instant::now);
    }

    /// Whether there is nothing to write down.
    pub(super) fn is_written(&mut self) -> bool {
        if let Some(reached) = self.window.take_reached() {
            self.pending.position = Some(reached);
        }
        let Checkpoint { lease: _, position, parked, settled, dead, once_done, once_failed, calm } = &self.pending;
        position.is_none()
            && parked.is_empty()
            && settled.is_empty()
            && dead.is_empty()
            && once_done.is_empty()
            && once_failed.is_empty()
            && !calm
    }

    /// Whether it is time to write: `idle` says that nothing more will come by itself.
    pub(super) fn is_due(&mut self, idle: bool) -> bool {
        if self.is_written() {
            self.dirty_since = None;
            self.work = 0;
            return false;
        }
        let is_time = self.due_at().is_some_and(|at| at <= Instant::now());
        is_time || (idle && self.has_work()) || self.is_much() || self.pending.calm
    }

    /// Whether there is so much that it must not wait for the moment.
    pub(super) fn is_much(&self) -> bool {
        self.work >= self.most
    }

    /// When it will be time to write, if nothing else happens; `None` if there is nothing. It may have come already.
    pub(super) fn due_at(&self) -> Option<Instant> {
        let every = if self.has_work() { WORK_WAITS } else { PASSED_WAITS };
        self.dirty_since.map(|since| moment_after(since, every))
    }

    fn has_work(&self) -> bool {
        self.work > 0 || !self.pending.parked.is_empty() || !self.pending.settled.is_empty()
    }

    /// The checkpoint to write; the next one starts empty.
    pub(super) fn take(&mut self) -> Checkpoint {
        self.work = 0;
        self.dirty_since = None;
        let empty = Checkpoint::new(self.pending.lease.clone());
        let mut checkpoint = std::mem::replace(&mut self.pending, empty);
        // A delivery can be parked, tried again and settled between two checkpoints: the last word counts.
        let mut decided: HashSet<_> = checkpoint.settled.iter().copied().collect();
        checkpoint.parked.reverse();
        checkpoint.parked.retain(|row| decided.insert(row.position));
        checkpoint.parked.reverse();
        checkpoint
    }
}

/// The first moment after that time, of those that are so far apart.
fn moment_after(time: Instant, apart: Duration) -> Instant {
    let past = time.saturating_duration_since(*FIRST_MOMENT).as_nanos() % apart.as_nanos();
    time + apart - Duration::from_nanos_u128(past)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::record::{NodeId, SubscriptionId};

    #[test]
    fn a_checkpoint_that_came_due_since_the_last_look_still_has_a_time() {
        let subscription = SubscriptionId { handler: Arc::from("a.a"), partition: 0 };
        let mut progress = Progress::new(Lease { subscription, owner: NodeId("n".into()), fence: 1 }, usize::MAX);
        progress.pass(&Position { after: 7, window: None });
        assert!(!progress.is_due(true));
        progress.dirty_since = Instant::now().checked_sub(PASSED_WAITS * 2);
        assert!(progress.due_at().is_some(), "nobody would look again");
    }

    #[test]
    fn after_a_crash_little_is_done_that_is_not_written_down() {
        let subscription = SubscriptionId { handler: Arc::from("a.a"), partition: 0 };
        let lease = Lease { subscription, owner: NodeId("n".into()), fence: 1 };
        let is_due_after = |most: usize, deliveries: usize| {
            let mut progress = Progress::new(lease.clone(), most);
            (0..deliveries).for_each(|_| progress.worked());
            progress.done(Passed::Parked(7));
            // The moment is not now.
            progress.dirty_since = Some(Instant::now() + WORK_WAITS);
            progress.is_due(false)
        };
        assert!(is_due_after(128, 128) && !is_due_after(128, 127) && !is_due_after(usize::MAX, 10_000));
    }

    #[test]
    fn whoever_has_something_to_write_writes_at_the_same_moment_as_others() {
        let (first, apart) = (*FIRST_MOMENT, Duration::from_millis(10));
        let after = |since_first| moment_after(first + Duration::from_micros(since_first), apart) - first;
        assert_eq!([0, 1, 9_999].map(after), [apart; 3]);
        assert_eq!([10_000, 19_999].map(after), [apart * 2; 2]);
    }
}

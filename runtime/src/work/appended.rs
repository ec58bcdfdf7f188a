//! Events written in a transaction that the application itself will commit.

use crate::{aggregate::PendingHandle, event::EventId, wake::Bell};

/// Events that stand in a transaction of the application's own, which is still open.
///
/// Nothing needs to be done with it: the events stay pending on their aggregate, marked, and whenever the aggregate is
/// saved again, those that are in the log by then are passed over. Calling [`committed`](Self::committed) after the
/// commit takes them off at once and wakes the processor without waiting for it to look.
#[derive(Debug)]
pub struct Appended {
    pub(crate) pending: PendingHandle,
    pub(crate) ids: Vec<EventId>,
    pub(crate) bell: Bell,
}

impl Appended {
    /// Says that the transaction has committed.
    pub fn committed(self) {
        self.pending.forget(&self.ids);
        self.bell.ring();
    }

    /// The ids of the events, in the order they were raised.
    #[must_use]
    pub fn event_ids(&self) -> &[EventId] {
        &self.ids
    }
}

//! The store in RAM: for tests, first steps, and programs that need no memory beyond their own life.
//!
//! `log` is its event log, `subscription` its positions and leases, `dead_letter` what failed, `forget` the end of a
//! handler; `state` is what all of them change under one lock.

mod dead_letter;
mod forget;
mod log;
mod received;
mod state;
mod subscription;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::{
    event::{Envelope, EventId},
    store::record::Lease,
};
use state::State;

/// An event log and its subscriptions in this process's memory, gone when the last clone is dropped.
///
/// Clones share the same log. Several transactions can be open at a time; their events get their positions at commit.
/// The application's own tables are not in it, so transactional handlers need another store.
///
/// ```
/// use domain_events::store::{EventLog, MemoryStore};
///
/// let store = MemoryStore::new();
/// assert!(!store.capabilities().durable);
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    /// Never held across an await.
    state: Mutex<State>,
    /// Counts commits of events and actions of people, from 1, so that `changed` with 0 returns at once.
    changes: watch::Sender<i64>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::default(), changes: watch::Sender::new(1) }) }
    }

    // A panic while the lock was held leaves whole entries behind: every change is checked before it is made.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self) {
        self.shared.changes.send_modify(|changes| *changes += 1);
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").field("events", &self.state().log.len()).finish_non_exhaustive()
    }
}

/// An open transaction of a [`MemoryStore`]. Dropped, it leaves no trace.
#[derive(Debug, Default)]
pub struct MemoryTransaction {
    connection: MemoryConnection,
}

/// What a transaction of a [`MemoryStore`] has staged so far; others see it when it is committed.
#[derive(Debug, Default)]
pub struct MemoryConnection {
    events: Vec<Envelope>,
    handled: Vec<Handled>,
    received: Vec<(Arc<str>, EventId)>,
    /// How many of each there were at the last savepoint.
    savepoint: (usize, usize, usize),
}

/// An event marked as handled in a transaction.
#[derive(Debug)]
struct Handled {
    lease: Lease,
    event: EventId,
    position: i64,
}

impl Handled {
    fn is_of(&self, handler: &str, event: EventId) -> bool {
        self.event == event && *self.lease.subscription.handler == *handler
    }
}

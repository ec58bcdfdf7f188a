//! The settings of one runtime, with their defaults and why these.

use std::time::Duration;

/// What a subscription does with an event of a name that no linked event has.
///
/// It may be an event of a newer release, or of code that was removed. Where several services with code of their own
/// share one log, each meets the others' events: that is what [`Skip`](Self::Skip) is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownEvents {
    /// It becomes a dead letter of each handler that reads it: nothing is lost in silence.
    #[default]
    DeadLetter,
    /// It is passed over.
    Skip,
}

#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The greatest payload, in bytes. An event is a notice, not a document store.
    pub(crate) payload_limit: usize,
    /// How long a processor's hold on a subscription lasts without renewal: the longest pause after a process died.
    pub(crate) lease: Duration,
    /// How long deliveries may run on after the processor was told to stop.
    pub(crate) grace: Duration,
    /// The most events in one read of the log, and in one subscription's window.
    pub(crate) batch: usize,
    /// The most parked deliveries of a subscription before it stops reading on: they are kept in memory, so this bounds
    /// it, and a handler that fails for everything gains nothing by running ahead.
    pub(crate) parked_limit: usize,
    pub(crate) unknown_events: UnknownEvents,
    /// How long the deliveries of a transactional handler may take that share a transaction: its locks last as long.
    pub(crate) share_transactions: Duration,
    /// How long the log keeps events behind every position; `None` is for ever.
    pub(crate) retain: Option<Duration>,
    /// Between two rounds of housekeeping: often enough that a round is short, seldom enough to cost nothing.
    pub(crate) sweep: Duration,
    /// How the processor calls itself; a random part is added.
    pub(crate) node: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            payload_limit: 1024 * 1024,
            lease: Duration::from_secs(10),
            grace: Duration::from_secs(30),
            batch: 512,
            parked_limit: 10_000,
            unknown_events: UnknownEvents::default(),
            share_transactions: Duration::from_millis(20),
            retain: None,
            sweep: Duration::from_secs(60),
            node: format!("pid-{}", std::process::id()),
        }
    }
}

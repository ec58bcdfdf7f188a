//! The rows a store keeps beside the log, and how a delivery moves between them.
//!
//! ```text
//!              fails, or stands behind one that failed
//!   in the log ──────────────────────────────────────► parked ──┐ fails again: next attempt
//!       │                                              │  ▲  ◄──┘
//!       │ handled                              handled │  │ redrive
//!       ▼                                              ▼  │
//!   behind the position                        (row gone) │     discard
//!                                                         dead letter ──► (row gone)
//! ```

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use crate::event::DeadReason;
use crate::event::{AggregateId, Envelope, EventId, EventMeta};

/// How far a subscription has come in the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    /// The log position of the last event that is done.
    pub after: i64,
    /// What else the backend needs to know to go on from here, in its own form; `None` where one number says it all.
    pub window: Option<Arc<str>>,
}

impl Position {
    /// Before the first event.
    pub const BEGINNING: Self = Self { after: 0, window: None };
}

/// A stretch of the log.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// The events, in log order; `meta.position` and `meta.recorded_at` are set.
    pub events: Vec<Envelope>,
    /// The position after each of them (in the same order).
    pub resume: Vec<Position>,
    /// Where to read next; it can lie further than the last event.
    pub end: Position,
    /// Whether there is more to read at once.
    pub more: bool,
}

/// One handler's share of the aggregates: its own position, retries, dead letters and pause switch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId {
    /// The handler's full name, `group.name`.
    pub handler: Arc<str>,
    /// From 0 to one less than the handler's `partitions`.
    pub partition: u16,
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.partition {
            0 => f.write_str(&self.handler),
            partition => write!(f, "{}/{partition}", self.handler),
        }
    }
}

/// A subscription that a program wants to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSubscription {
    /// Which.
    pub id: SubscriptionId,
    /// Into how many the handler is split.
    pub partitions: u16,
    /// Former full names of the handler.
    pub aliases: Vec<String>,
    /// Where it begins if it was never seen.
    pub start: StartAt,
}

/// Where a subscription begins that was never seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartAt {
    /// At the first event that is still kept.
    #[default]
    Beginning,
    /// Behind the last event.
    Head,
    /// Where the one that is furthest behind of all that there are stands; at the beginning where there are none.
    Least,
}

/// A process that runs subscriptions. Unique for each start of a processor.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub Arc<str>);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A process, and the handlers it has and may run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Which process.
    pub id: NodeId,
    /// The full names of its handlers.
    pub handlers: Vec<String>,
}

/// The right to move a subscription, until it runs out or somebody else's claim has a greater fence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Of which subscription.
    pub subscription: SubscriptionId,
    /// Who holds it.
    pub owner: NodeId,
    /// Grows with each claim of the subscription.
    pub fence: i64,
}

/// A lease that was just taken, and where its subscription stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The lease.
    pub lease: Lease,
    /// How far it has come.
    pub position: Position,
    /// How often a holder was gone without giving the lease back, since the last checkpoint that was `calm`.
    pub crashes: u32,
    /// Whether its deliveries are stopped.
    pub paused: bool,
    /// Changes when a person paused, resumed, redrove or discarded.
    pub revision: i64,
}

/// What became of a lease that was to be prolonged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewed {
    /// Whether it is still held.
    pub held: bool,
    /// Whether the subscription's deliveries are stopped.
    pub paused: bool,
    /// As in [`Claim::revision`].
    pub revision: i64,
}

/// An aggregate: its type and id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AggregateKey {
    /// The aggregate type's name.
    pub aggregate_type: Arc<str>,
    /// Which of them.
    pub aggregate_id: AggregateId,
}

impl From<&EventMeta> for AggregateKey {
    fn from(meta: &EventMeta) -> Self {
        Self { aggregate_type: meta.aggregate_type.as_ref().into(), aggregate_id: meta.aggregate_id.clone() }
    }
}

/// Why a parked delivery is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkedState {
    /// It stands behind an earlier one of its aggregate and was not tried yet.
    Waiting,
    /// It failed (or was redriven) and is due at `next_at`.
    Retrying,
    /// An attempt is under way; found so after a claim, the attempt took its process down.
    Running,
    /// It is a dead letter, and by `on_dead = "park"` the later ones of its aggregate wait for a person.
    Dead,
}

/// A delivery the position has moved past, though it is not done. Identified by handler and log position.
#[derive(Debug, Clone, PartialEq)]
pub struct Parked {
    /// The aggregate it is about.
    pub aggregate: AggregateKey,
    /// Its place in the log.
    pub position: i64,
    /// The event.
    pub event: EventId,
    /// Why it is parked.
    pub state: ParkedState,
    /// How many attempts were begun.
    pub attempts: u32,
    /// When it is due.
    pub next_at: DateTime<Utc>,
    /// What the last attempt said.
    pub error: Option<String>,
}

/// The identity of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeadLetterId(pub Uuid);

impl DeadLetterId {
    /// A new id (UUID version 7).
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for DeadLetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A delivery that was given up on: kept with its payload, error and attempts until someone redrives or discards it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its identity.
    pub id: DeadLetterId,
    /// The handler whose delivery it was.
    pub handler: Arc<str>,
    /// The event, payload untouched.
    pub envelope: Envelope,
    /// Its place in the log.
    pub position: i64,
    /// How many attempts were made.
    pub attempts: u32,
    /// Why it was given up on.
    pub reason: DeadReason,
    /// The last error.
    pub error: String,
    /// When.
    pub at: DateTime<Utc>,
}

impl DeadLetter {
    /// A dead letter about this envelope, which comes from the log and so has a position.
    #[must_use]
    pub fn new(
        handler: Arc<str>,
        envelope: Envelope,
        attempts: u32,
        reason: DeadReason,
        error: String,
        at: DateTime<Utc>,
    ) -> Self {
        let position = envelope.meta.position.unwrap_or(0);
        Self { id: DeadLetterId::generate(), handler, envelope, position, attempts, reason, error, at }
    }
}

/// What a subscription has done since its last checkpoint.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// In whose right.
    pub lease: Lease,
    /// How far it has come; `None` leaves it.
    pub position: Option<Position>,
    /// Parked deliveries, new or changed.
    pub parked: Vec<Parked>,
    /// Parked deliveries that are done, by log position.
    pub settled: Vec<i64>,
    /// New dead letters. A delivery has one at most: a new one takes the place of an earlier one.
    pub dead: Vec<DeadLetter>,
    /// Events handled `once`: their marks become final.
    pub once_done: Vec<EventId>,
    /// Events whose `once` attempt failed and left no effect: their marks go.
    pub once_failed: Vec<EventId>,
    /// No attempt is under way whose crash could be laid on an event: `crashes` goes back to 0.
    pub calm: bool,
}

impl Checkpoint {
    /// A checkpoint that changes nothing yet.
    #[must_use]
    pub fn new(lease: Lease) -> Self {
        Self {
            lease,
            position: None,
            parked: Vec::new(),
            settled: Vec::new(),
            dead: Vec::new(),
            once_done: Vec::new(),
            once_failed: Vec::new(),
            calm: false,
        }
    }
}

/// The answer to marking an event before a `once` handler runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnceClaim {
    /// It is marked now: run the handler.
    Fresh,
    /// It was handled before.
    Done,
    /// An earlier attempt was marked and never heard of again.
    Interrupted,
    /// Nothing was marked: the lease is lost.
    LeaseLost,
}

/// The answer to forgetting a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forgotten {
    /// Nothing of it is left.
    Gone {
        /// So many parked deliveries it had,
        parked: u64,
        /// and so many dead letters.
        dead: u64,
    },
    /// Nothing was changed: this node holds one of its leases, or lives and has the handler.
    Alive(NodeId),
    /// Nothing was changed: so many dead letters wait for a person.
    DeadLetters(u64),
    /// There is no such subscription.
    Unknown,
}

/// Where a subscription stands, for people and tests.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SubscriptionState {
    /// Which.
    pub id: SubscriptionId,
    /// How far it has come.
    pub position: Position,
    /// Who holds its lease, if it is live.
    pub owner: Option<NodeId>,
    /// Whether its deliveries are stopped.
    pub paused: bool,
    /// Committed events behind its position (all kinds, also those it does not handle).
    pub lag: u64,
    /// Parked deliveries of the handler that will be tried again, or wait behind one (all partitions).
    pub parked: u64,
    /// Dead letters of the handler (all partitions).
    pub dead: u64,
    /// As in [`Claim::revision`].
    pub revision: i64,
}

impl SubscriptionState {
    /// A subscription that has just been created.
    #[must_use]
    pub fn new(id: SubscriptionId, position: Position) -> Self {
        Self { id, position, owner: None, paused: false, lag: 0, parked: 0, dead: 0, revision: 0 }
    }
}

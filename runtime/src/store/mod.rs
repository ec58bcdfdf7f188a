//! 4 · Keep it: the event log, subscriptions with their positions, and what failed.
//!
//! Four small traits, all of whose methods a backend must write; [`Store`] is their sum. The backends are leaves: they
//! know these traits, the rows in [`record`] and the event, and nothing of handlers or the processor. `sql` is either of
//! two of them, for programs that are told at start-up which database they run on.

mod capabilities;
mod check;
pub mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod record;
#[cfg(all(feature = "postgres", feature = "sqlite"))]
mod sql;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(test)]
mod tests;

pub use capabilities::{Capabilities, Schema};
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
#[cfg(all(feature = "postgres", feature = "sqlite"))]
pub use sql::{SqlStore, SqlTransaction};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;

use std::{future::Future, time::Duration};

use chrono::{DateTime, Utc};
use record::{
    Checkpoint, Claim, DeadLetter, DeadLetterId, Forgotten, Lease, NewSubscription, Node, NodeId, OnceClaim, Page,
    Parked, Position, Renewed, SubscriptionId, SubscriptionState,
};

use crate::{
    error::Result,
    event::{Envelope, EventId},
};

/// Everything the framework asks of a database.
pub trait Store: EventLog + SubscriptionStore + DeadLetterStore + Inbox {}

impl<S: EventLog + SubscriptionStore + DeadLetterStore + Inbox> Store for S {}

/// The append-only log of committed events.
pub trait EventLog: Send + Sync + 'static {
    /// What a statement runs on inside a transaction: the driver's connection. Transactional handlers ask for it.
    type Connection: Send + 'static;

    /// An open transaction of this store, in which the application writes too. Dropped, it is rolled back.
    type Transaction: Send + 'static;

    /// What this store can do.
    fn capabilities(&self) -> Capabilities;

    /// Which schema version the store was found to have when it was opened.
    fn schema(&self) -> Schema;

    /// Begins a transaction that may write.
    fn begin(&self) -> impl Future<Output = Result<Self::Transaction>> + Send;

    /// The connection of an open transaction.
    fn connection(transaction: &mut Self::Transaction) -> &mut Self::Connection;

    /// Marks the place in an open transaction that [`undo`](Self::undo) goes back to; with `again`, instead of the last
    /// one.
    ///
    /// # Errors
    ///
    /// [`Aborted`](crate::ErrorKind::Aborted) where a statement since the last place failed and the database keeps nothing
    /// of the transaction unless it goes back there.
    fn savepoint(&self, connection: &mut Self::Connection, again: bool) -> impl Future<Output = Result<()>> + Send;

    /// Takes back what was written since the last [`savepoint`](Self::savepoint); the place stays marked.
    fn undo(&self, connection: &mut Self::Connection) -> impl Future<Output = Result<()>> + Send;

    /// Writes events, in this order, in the transaction that is open on this connection. Their `position` and
    /// `recorded_at` are the store's to give.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::ErrorKind::Conflict), naming the expected and the actual version, where an event's
    /// `aggregate_version` is not the successor of the last one the log has had of its aggregate (0 where it has had
    /// none); [`InvalidEvent`](crate::ErrorKind::InvalidEvent), naming event and field, for a value the store can't keep,
    /// and for an event id that is in the log already. [`Aborted`](crate::ErrorKind::Aborted), also with no events at all,
    /// where a statement of the transaction has failed and the database will keep nothing of it. After an error the caller
    /// rolls back.
    fn append(&self, connection: &mut Self::Connection, events: &[Envelope])
    -> impl Future<Output = Result<()>> + Send;

    /// Which of these events are in the log, as this connection sees it.
    fn contains(
        &self,
        connection: &mut Self::Connection,
        events: &[EventId],
    ) -> impl Future<Output = Result<Vec<EventId>>> + Send;

    /// Commits; when it returns `Ok`, the writes survive a crash of the process and, on a durable store, of the machine.
    fn commit(&self, transaction: Self::Transaction) -> impl Future<Output = Result<()>> + Send;

    /// Whether a commit that others can see survives a crash of the machine, as the database is set up. Where it need not,
    /// an event could be published that the log has never had.
    fn flushes(&self) -> impl Future<Output = Result<bool>> + Send;

    /// Rolls back.
    fn rollback(&self, transaction: Self::Transaction) -> impl Future<Output = Result<()>> + Send;

    /// The position behind the last event: where a subscription begins that wants only what is new.
    fn head(&self) -> impl Future<Output = Result<Position>> + Send;

    /// At most `limit` committed events behind a position, in log order, never one before an earlier one of its
    /// aggregate.
    fn read(&self, after: &Position, limit: usize) -> impl Future<Output = Result<Page>> + Send;

    /// The events at these log positions; those that are gone are left out.
    fn fetch(&self, positions: &[i64]) -> impl Future<Output = Result<Vec<Envelope>>> + Send;

    /// Names and versions of events that are in the log, each once: all there are in a log of at most `limit` events; of
    /// a longer one, those of the `limit` newest and of `limit` others that are spread evenly over it, so that the
    /// answer costs the same however long the log is.
    fn kinds(&self, limit: usize) -> impl Future<Output = Result<Vec<(String, u32)>>> + Send;

    /// Resolves when the log, a pause switch or a dead letter may have changed by another hand since the last call with
    /// this `seen` resolved; may resolve without need, must resolve within 250 ms of a change. Start with 0.
    fn changed(&self, seen: &mut i64) -> impl Future<Output = Result<()>> + Send;

    /// Removes at most `limit` events recorded before a time that lie behind every subscription's position and that no
    /// parked delivery or dead letter refers to, and at most `limit` marks of what is not delivered again; returns how many
    /// of one kind there were at most, so that with `limit` there may be more. What remains of an aggregate is its last
    /// version, so that its next event still has to be its successor. A store that removes events in larger pieces removes
    /// a piece when all of it can go, and may say `limit` when more is gone.
    fn trim(&self, before: DateTime<Utc>, limit: usize) -> impl Future<Output = Result<usize>> + Send;
}

/// Subscriptions: position, lease and pause switch of every (handler, partition). Leases are judged by the database's
/// clock.
pub trait SubscriptionStore: Send + Sync + 'static {
    /// Makes sure that these subscriptions exist: a new one takes over the position, parked deliveries and dead letters
    /// of the first alias that exists, else begins where its `start` says. When a handler's number of partitions has
    /// changed, all its partitions begin at the least of the old positions (and superfluous rows go) once no lease is
    /// live on them.
    fn ensure(&self, subscriptions: &[NewSubscription]) -> impl Future<Output = Result<()>> + Send;

    /// Says that this node lives for another `ttl`, and returns all nodes that do, itself included, sorted by id.
    /// Forgets nodes that have been gone for longer than an hour.
    fn heartbeat(&self, node: &Node, ttl: Duration) -> impl Future<Output = Result<Vec<Node>>> + Send;

    /// Says that this node is gone.
    fn leave(&self, node: &NodeId) -> impl Future<Output = Result<()>> + Send;

    /// Takes the lease of a subscription that nobody holds or whose lease has run out; `None` if somebody holds it
    /// (this node too). Each claim has a greater fence. A lease that ran out, rather than being released, adds one to
    /// `crashes`.
    fn claim(
        &self,
        node: &NodeId,
        subscription: &SubscriptionId,
        ttl: Duration,
    ) -> impl Future<Output = Result<Option<Claim>>> + Send;

    /// Prolongs leases to `ttl` from now. One result per lease, in order.
    fn renew(&self, leases: &[Lease], ttl: Duration) -> impl Future<Output = Result<Vec<Renewed>>> + Send;

    /// Gives a lease back cleanly; one that is not held any more is left alone.
    fn release(&self, lease: &Lease) -> impl Future<Output = Result<()>> + Send;

    /// Writes what a subscription has done, all or nothing per step, and only where its lease's fence is still the
    /// latest and its owner the same. One `true` (written) or `false` (the lease is lost) per step, in order; may use
    /// one transaction for all. May lose the last ones in a crash of the machine: that only delivers again.
    fn checkpoint(&self, steps: &[Checkpoint]) -> impl Future<Output = Result<Vec<bool>>> + Send;

    /// Marks, durably and before its handler runs, that an event is being handled `once`.
    fn claim_once(
        &self,
        lease: &Lease,
        event: EventId,
        position: i64,
    ) -> impl Future<Output = Result<OnceClaim>> + Send;

    /// The state of all subscriptions in the store, sorted by handler and partition.
    fn subscriptions(&self) -> impl Future<Output = Result<Vec<SubscriptionState>>> + Send;

    /// As [`subscriptions`](Self::subscriptions), for whoever only asks which have something left to do: where a
    /// subscription lags at all, its `lag` may be any number above zero. Worth having where counting costs.
    fn glance(&self) -> impl Future<Output = Result<Vec<SubscriptionState>>> + Send {
        self.subscriptions()
    }

    /// Pauses or resumes all partitions of a handler; `false` if there is no such subscription. Adds one to their
    /// `revision`.
    fn set_paused(&self, handler: &str, paused: bool) -> impl Future<Output = Result<bool>> + Send;

    /// Removes everything there is of a handler, all or nothing: its subscriptions, parked deliveries, marks and, only
    /// if `dead_letters` says so, its dead letters. Not while a lease of it is live, or a live node has the handler.
    fn forget(&self, handler: &str, dead_letters: bool) -> impl Future<Output = Result<Forgotten>> + Send;
}

/// What failed: parked deliveries, which are tried again, and dead letters, which wait for a person.
pub trait DeadLetterStore: EventLog {
    /// A handler's parked deliveries (all partitions), ordered by position, at most `limit`.
    fn parked(&self, handler: &str, limit: usize) -> impl Future<Output = Result<Vec<Parked>>> + Send;

    /// Which of these events committed transactions of this subscription's handler have handled; `None` if the lease is
    /// lost. Locks out every other holder of the lease until the transaction that is open on this connection ends.
    fn handled(
        &self,
        connection: &mut Self::Connection,
        lease: &Lease,
        events: &[EventId],
    ) -> impl Future<Output = Result<Option<Vec<EventId>>>> + Send;

    /// Marks events, each with its log position, as handled by this subscription, in the transaction of its handler: the
    /// marks commit or roll back with the handler's writes. To be called last before the commit, after
    /// [`handled`](Self::handled) in the same transaction.
    ///
    /// # Errors
    ///
    /// [`Aborted`](crate::ErrorKind::Aborted) where a statement of the handler failed, it passed over the error, and the
    /// database will keep nothing of the transaction.
    fn mark_handled(
        &self,
        connection: &mut Self::Connection,
        lease: &Lease,
        events: &[(EventId, i64)],
    ) -> impl Future<Output = Result<()>> + Send;

    /// Dead letters, newest first, of one handler or of all, at most `limit`.
    fn dead_letters(&self, handler: Option<&str>, limit: usize)
    -> impl Future<Output = Result<Vec<DeadLetter>>> + Send;

    /// Turns a dead letter back into a delivery that is due at once, with no attempts counted; `false` if there is none
    /// with this id. Where its aggregate is parked behind it, it keeps its place at the head. Forgets a `once` mark of
    /// the event. Adds one to the subscription's `revision`.
    fn redrive(&self, letter: DeadLetterId) -> impl Future<Output = Result<bool>> + Send;

    /// Removes a dead letter for good and releases what is parked behind it; `false` if there is none with this id.
    /// Adds one to the subscription's `revision`.
    fn discard(&self, letter: DeadLetterId) -> impl Future<Output = Result<bool>> + Send;
}

/// What handlers have had from a broker, so that what is delivered again is not handled again. Marks last until they are
/// trimmed; they have nothing to do with positions in the log.
pub trait Inbox: EventLog {
    /// Which of these events this handler has handled.
    fn received(&self, handler: &str, events: &[EventId]) -> impl Future<Output = Result<Vec<EventId>>> + Send;

    /// Notes that this handler has handled these events; one that is noted already stays so.
    fn note_received(&self, handler: &str, events: &[EventId]) -> impl Future<Output = Result<()>> + Send;

    /// Notes an event as handled in the transaction of its handler: the mark commits or rolls back with the handler's
    /// writes. `false` if it was noted before: the handler is not to run. A second transaction that notes the same event
    /// waits for the first, or fails.
    fn receive_in(
        &self,
        connection: &mut Self::Connection,
        handler: &str,
        event: EventId,
    ) -> impl Future<Output = Result<bool>> + Send;

    /// Notes, durably and before its handler runs, that an event is being handled `once`. Never
    /// [`LeaseLost`](OnceClaim::LeaseLost).
    fn receive_once(&self, handler: &str, event: EventId) -> impl Future<Output = Result<OnceClaim>> + Send;

    /// Notes, durably and before its handler runs, that an attempt at an event is begun, the how-manieth it is; if the
    /// process ends during it, [`begun_received`](Self::begun_received) tells the next one. An event that is noted as
    /// handled stays so.
    fn begin_received(&self, handler: &str, event: EventId, attempt: u32) -> impl Future<Output = Result<()>> + Send;

    /// Those of these events that are not handled and whose attempts were noted, with the last attempt.
    fn begun_received(
        &self,
        handler: &str,
        events: &[EventId],
    ) -> impl Future<Output = Result<Vec<(EventId, u32)>>> + Send;

    /// Takes back what [`receive_once`](Self::receive_once) or [`begin_received`](Self::begin_received) noted. What is
    /// handled stays so.
    fn forget_received(&self, handler: &str, events: &[EventId]) -> impl Future<Output = Result<()>> + Send;

    /// Removes at most `limit` marks made before a time; returns how many.
    fn trim_received(&self, before: DateTime<Utc>, limit: usize) -> impl Future<Output = Result<usize>> + Send;
}

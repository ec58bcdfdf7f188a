//! A store that halts where a test wants to do something in between.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use domain_events::{
    Envelope, EventId, MemoryStore, Result,
    store::{
        Capabilities, DeadLetterStore, EventLog, Inbox, Schema, SubscriptionStore,
        memory::{MemoryConnection, MemoryTransaction},
        record::*,
    },
};
use tokio::sync::Notify;

/// A memory store that halts once after it has read the parked deliveries, or takes no checkpoint any more.
#[derive(Clone, Default)]
pub(crate) struct HaltingStore {
    inner: MemoryStore,
    pub(crate) halt: Arc<Halt>,
}

#[derive(Default)]
pub(crate) struct Halt {
    pub(crate) armed: AtomicBool,
    pub(crate) reached: Notify,
    pub(crate) go_on: Notify,
    /// Whether checkpoints are not answered for now.
    pub(crate) mute: AtomicBool,
    /// How often the subscriptions were read.
    pub(crate) looks: AtomicU32,
    /// How often events were appended.
    pub(crate) appends: AtomicU32,
}

impl EventLog for HaltingStore {
    type Connection = MemoryConnection;
    type Transaction = MemoryTransaction;

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn schema(&self) -> Schema {
        self.inner.schema()
    }
    async fn begin(&self) -> Result<MemoryTransaction> {
        self.inner.begin().await
    }
    fn connection(transaction: &mut MemoryTransaction) -> &mut MemoryConnection {
        MemoryStore::connection(transaction)
    }
    async fn savepoint(&self, connection: &mut MemoryConnection, again: bool) -> Result<()> {
        self.inner.savepoint(connection, again).await
    }
    async fn undo(&self, connection: &mut MemoryConnection) -> Result<()> {
        self.inner.undo(connection).await
    }
    async fn append(&self, connection: &mut MemoryConnection, events: &[Envelope]) -> Result<()> {
        self.halt.appends.fetch_add(1, Ordering::SeqCst);
        self.inner.append(connection, events).await
    }
    async fn contains(&self, connection: &mut MemoryConnection, events: &[EventId]) -> Result<Vec<EventId>> {
        self.inner.contains(connection, events).await
    }
    async fn commit(&self, transaction: MemoryTransaction) -> Result<()> {
        self.inner.commit(transaction).await
    }
    async fn flushes(&self) -> Result<bool> {
        self.inner.flushes().await
    }

    async fn rollback(&self, transaction: MemoryTransaction) -> Result<()> {
        self.inner.rollback(transaction).await
    }
    async fn head(&self) -> Result<Position> {
        self.inner.head().await
    }
    async fn read(&self, after: &Position, limit: usize) -> Result<Page> {
        self.inner.read(after, limit).await
    }
    async fn fetch(&self, positions: &[i64]) -> Result<Vec<Envelope>> {
        self.inner.fetch(positions).await
    }
    async fn kinds(&self, limit: usize) -> Result<Vec<(String, u32)>> {
        self.inner.kinds(limit).await
    }
    async fn changed(&self, seen: &mut i64) -> Result<()> {
        self.inner.changed(seen).await
    }
    async fn trim(&self, before: DateTime<Utc>, limit: usize) -> Result<usize> {
        self.inner.trim(before, limit).await
    }
}

impl SubscriptionStore for HaltingStore {
    async fn ensure(&self, subscriptions: &[NewSubscription]) -> Result<()> {
        self.inner.ensure(subscriptions).await
    }
    async fn heartbeat(&self, node: &Node, ttl: Duration) -> Result<Vec<Node>> {
        self.inner.heartbeat(node, ttl).await
    }
    async fn leave(&self, node: &NodeId) -> Result<()> {
        self.inner.leave(node).await
    }
    async fn claim(&self, node: &NodeId, subscription: &SubscriptionId, ttl: Duration) -> Result<Option<Claim>> {
        self.inner.claim(node, subscription, ttl).await
    }
    async fn renew(&self, leases: &[Lease], ttl: Duration) -> Result<Vec<Renewed>> {
        self.inner.renew(leases, ttl).await
    }
    async fn release(&self, lease: &Lease) -> Result<()> {
        self.inner.release(lease).await
    }
    async fn checkpoint(&self, steps: &[Checkpoint]) -> Result<Vec<bool>> {
        while self.halt.mute.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.inner.checkpoint(steps).await
    }
    async fn claim_once(&self, lease: &Lease, event: EventId, position: i64) -> Result<OnceClaim> {
        self.inner.claim_once(lease, event, position).await
    }
    async fn subscriptions(&self) -> Result<Vec<SubscriptionState>> {
        self.halt.looks.fetch_add(1, Ordering::SeqCst);
        self.inner.subscriptions().await
    }
    async fn set_paused(&self, handler: &str, paused: bool) -> Result<bool> {
        self.inner.set_paused(handler, paused).await
    }
    async fn forget(&self, handler: &str, dead_letters: bool) -> Result<Forgotten> {
        self.inner.forget(handler, dead_letters).await
    }
}

impl Inbox for HaltingStore {
    async fn received(&self, handler: &str, events: &[EventId]) -> Result<Vec<EventId>> {
        self.inner.received(handler, events).await
    }
    async fn note_received(&self, handler: &str, events: &[EventId]) -> Result<()> {
        self.inner.note_received(handler, events).await
    }
    async fn receive_in(&self, connection: &mut MemoryConnection, handler: &str, event: EventId) -> Result<bool> {
        self.inner.receive_in(connection, handler, event).await
    }
    async fn receive_once(&self, handler: &str, event: EventId) -> Result<OnceClaim> {
        self.inner.receive_once(handler, event).await
    }
    async fn begin_received(&self, handler: &str, event: EventId, attempt: u32) -> Result<()> {
        self.inner.begin_received(handler, event, attempt).await
    }
    async fn begun_received(&self, handler: &str, events: &[EventId]) -> Result<Vec<(EventId, u32)>> {
        self.inner.begun_received(handler, events).await
    }
    async fn forget_received(&self, handler: &str, events: &[EventId]) -> Result<()> {
        self.inner.forget_received(handler, events).await
    }
    async fn trim_received(&self, before: DateTime<Utc>, limit: usize) -> Result<usize> {
        self.inner.trim_received(before, limit).await
    }
}

impl DeadLetterStore for HaltingStore {
    async fn parked(&self, handler: &str, limit: usize) -> Result<Vec<Parked>> {
        let parked = self.inner.parked(handler, limit).await;
        if self.halt.armed.swap(false, Ordering::SeqCst) {
            self.halt.reached.notify_one();
            self.halt.go_on.notified().await;
        }
        parked
    }
    async fn handled(
        &self,
        connection: &mut MemoryConnection,
        lease: &Lease,
        events: &[EventId],
    ) -> Result<Option<Vec<EventId>>> {
        self.inner.handled(connection, lease, events).await
    }
    async fn mark_handled(
        &self,
        connection: &mut MemoryConnection,
        lease: &Lease,
        events: &[(EventId, i64)],
    ) -> Result<()> {
        self.inner.mark_handled(connection, lease, events).await
    }
    async fn dead_letters(&self, handler: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>> {
        self.inner.dead_letters(handler, limit).await
    }
    async fn redrive(&self, letter: DeadLetterId) -> Result<bool> {
        self.inner.redrive(letter).await
    }
    async fn discard(&self, letter: DeadLetterId) -> Result<bool> {
        self.inner.discard(letter).await
    }
}

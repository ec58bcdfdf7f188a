//! One database transaction: the application's writes, and the events of every aggregate recorded in it.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    sync::Arc,
};

use uuid::Uuid;

use super::outbound::{Cause, Outbound, append};
use crate::{
    aggregate::AggregateRoot,
    error::Result,
    event::{EventId, EventMeta},
    fault,
    store::EventLog,
    wake::Bell,
};

/// One database transaction: the application's writes, and the events of every aggregate recorded in it. Begun by
/// [`DomainEvents::begin`](crate::DomainEvents::begin).
///
/// It dereferences to the store's own transaction. The events are written last, right before the commit, and leave
/// their aggregates only when the commit has succeeded; then the processor wakes. Dropped without a commit, everything
/// is rolled back and the aggregates keep their events.
#[must_use = "dropped without `commit()`, everything in it is rolled back"]
pub struct UnitOfWork<S: EventLog> {
    store: Arc<S>,
    transaction: S::Transaction,
    recorded: Vec<Outbound>,
    cause: Cause,
    payload_limit: usize,
    bell: Bell,
}

impl<S: EventLog> UnitOfWork<S> {
    pub(crate) async fn begin(store: &Arc<S>, payload_limit: usize, bell: &Bell) -> Result<Self> {
        let transaction = store.begin().await?;
        Ok(Self {
            store: Arc::clone(store),
            transaction,
            recorded: Vec::new(),
            cause: Cause::default(),
            payload_limit,
            bell: bell.clone(),
        })
    }

    /// The connection to write the application's own tables on.
    pub fn connection(&mut self) -> &mut S::Connection {
        S::connection(&mut self.transaction)
    }

    /// Takes note of an aggregate: the events pending on it when this unit of work commits are committed with it.
    /// Recording it again changes nothing.
    pub fn record<A: AggregateRoot>(&mut self, aggregate: &mut A) {
        let pending = aggregate.pending_mut().handle();
        if !self.recorded.iter().any(|recorded| recorded.pending.is_same(&pending)) {
            let aggregate_id = aggregate.aggregate_id();
            self.recorded.push(Outbound { pending, aggregate_type: A::NAME, aggregate_id });
        }
    }

    /// Says that what is recorded here is about this event: sets correlation and causation id, and the trace. For
    /// handlers that change an aggregate in turn.
    pub fn caused_by(&mut self, event: &EventMeta) {
        self.cause = Cause::event(event);
    }

    /// Sets the correlation id of the events recorded here: what ties everything together that one request began.
    pub fn correlation_id(&mut self, id: Uuid) {
        self.cause.correlation_id = Some(id);
    }

    /// Sets the W3C `traceparent` of the events recorded here.
    pub fn trace(&mut self, traceparent: impl Into<String>) {
        self.cause.trace = Some(traceparent.into());
    }

    /// Writes the events and commits, all or nothing.
    ///
    /// # Errors
    ///
    /// [`Conflict`](crate::ErrorKind::Conflict) if another writer changed a versioned aggregate first;
    /// [`InvalidEvent`](crate::ErrorKind::InvalidEvent), naming event and field, for what can't be kept;
    /// [`Aborted`](crate::ErrorKind::Aborted) if a statement on its connection failed, the error was passed over, and the
    /// database (PostgreSQL) keeps nothing of the transaction for it; [`Unavailable`](crate::ErrorKind::Unavailable) if the
    /// store can't be reached, or asks for another try. Nothing is written then, and the aggregates keep their events. Only where the connection
    /// breaks during the commit itself can it have succeeded all the same; saving the same aggregates again is safe, since
    /// the log takes each event once.
    pub async fn commit(mut self) -> Result<()> {
        let written = match self.append().await {
            Ok(written) => written,
            Err(error) => {
                // The first error is the one to tell; a failed rollback is made up for by dropping the transaction.
                let _ = self.store.rollback(self.transaction).await;
                return Err(error);
            }
        };
        fault::point("append.before_commit");
        self.store.commit(self.transaction).await?;
        fault::point("append.after_commit");
        for (outbound, ids) in self.recorded.iter().zip(&written) {
            outbound.pending.forget(ids);
        }
        self.bell.ring();
        Ok(())
    }

    /// Writes the events; returns the ids of those that are now in the transaction, or were committed before.
    async fn append(&mut self) -> Result<Vec<Vec<EventId>>> {
        let connection = S::connection(&mut self.transaction);
        append(&self.recorded, &*self.store, connection, &self.cause, self.payload_limit).await
    }

    /// Rolls back; the aggregates keep their events. Dropping the unit of work does the same.
    ///
    /// # Errors
    ///
    /// If the store can't be told; it rolls back by itself then.
    pub async fn rollback(self) -> Result<()> {
        self.store.rollback(self.transaction).await
    }
}

impl<S: EventLog> Deref for UnitOfWork<S> {
    type Target = S::Transaction;

    fn deref(&self) -> &S::Transaction {
        &self.transaction
    }
}

impl<S: EventLog> DerefMut for UnitOfWork<S> {
    fn deref_mut(&mut self) -> &mut S::Transaction {
        &mut self.transaction
    }
}

impl<S: EventLog> fmt::Debug for UnitOfWork<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnitOfWork").field("recorded", &self.recorded.len()).field("cause", &self.cause).finish()
    }
}

//! Writing what a subscription has done, fenced by its lease: one UPDATE per step judges the lease and moves the position.

use sqlx::SqliteConnection;

use super::{
    Durability, SqliteStore,
    error::Context,
    log::json_numbers,
    row::{state_text, time_text},
};
use crate::{
    error::Result,
    event::EventId,
    store::record::{Checkpoint, DeadLetter, Lease, Marked, OnceClaim, Parked},
};

const MOVE: &str = "
    UPDATE event_subscription
       SET position = coalesce(?1, position),
           crashes  = iif(?2, 0, crashes)
     WHERE handler = ?3 AND partition = ?4 AND owner = ?5 AND fence = ?6";

const PARK: &str = "
    INSERT INTO event_retry (handler, position, event_id, aggregate_type, aggregate_id, state, attempts, next_at, error)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (handler, position)
        DO UPDATE SET event_id       = excluded.event_id,
                      aggregate_type = excluded.aggregate_type,
                      aggregate_id   = excluded.aggregate_id,
                      state          = excluded.state,
                      attempts       = excluded.attempts,
                      next_at        = excluded.next_at,
                      error          = excluded.error";

/// A delivery has one dead letter at most: a new one takes the place of an earlier one.
const BURY: &str = "
    INSERT OR REPLACE INTO event_dead_letter
           (id, handler, position, attempts, reason, error, dead_at, event_id, aggregate_type, aggregate_id,
            aggregate_version, event_name, event_version, occurred_at, recorded_at, correlation_id, causation_id, trace,
            payload)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// Marks an event where the lease is held. `?1` is whether it is handled as soon as the mark is committed.
const MARK: &str = "
    INSERT INTO event_inbox (handler, event_id, position, done)
    SELECT ?2, ?3, ?4, ?1
     WHERE EXISTS (SELECT 1 FROM event_subscription
                    WHERE handler = ?2 AND partition = ?5 AND owner = ?6 AND fence = ?7)
        ON CONFLICT (handler, event_id)
        DO UPDATE SET position = excluded.position, done = 1
     WHERE excluded.done AND NOT done";

const IS_HELD: &str = "
    SELECT EXISTS (SELECT 1 FROM event_subscription WHERE handler = ? AND partition = ? AND owner = ? AND fence = ?)";

impl SqliteStore {
    pub(super) async fn write_checkpoint(&self, steps: &[Checkpoint]) -> Result<Vec<bool>> {
        let mut written = Vec::with_capacity(steps.len());
        if steps.is_empty() {
            return Ok(written);
        }
        let mut transaction = self.write(Durability::Process).await?;
        for step in steps {
            // Nothing of a step is written before its lease is judged, so a lost one leaves the others whole.
            let held = self.advance(&mut transaction, step).await?;
            if held {
                self.write_deliveries(&mut transaction, step).await?;
                self.write_marks(&mut transaction, step).await?;
            }
            written.push(held);
        }
        transaction.commit().await.context(self)?;
        Ok(written)
    }

    async fn advance(&self, connection: &mut SqliteConnection, step: &Checkpoint) -> Result<bool> {
        let Checkpoint { lease, position, calm, .. } = step;
        let done = sqlx::query(MOVE)
            .bind(position.as_ref().map(|position| position.after))
            .bind(calm)
            .bind(&*lease.subscription.handler)
            .bind(i64::from(lease.subscription.partition))
            .bind(&*lease.owner.0)
            .bind(lease.fence)
            .execute(connection)
            .await
            .context(self)?;
        Ok(done.rows_affected() == 1)
    }

    async fn write_deliveries(&self, connection: &mut SqliteConnection, step: &Checkpoint) -> Result<()> {
        let handler = &*step.lease.subscription.handler;
        if !step.settled.is_empty() {
            sqlx::query("DELETE FROM event_retry WHERE handler = ? AND position IN (SELECT value FROM json_each(?))")
                .bind(handler)
                .bind(json_numbers(&step.settled))
                .execute(&mut *connection)
                .await
                .context(self)?;
        }
        for delivery in &step.parked {
            self.park(connection, handler, delivery).await?;
        }
        for letter in &step.dead {
            self.bury(connection, handler, letter).await?;
        }
        Ok(())
    }

    async fn park(&self, connection: &mut SqliteConnection, handler: &str, delivery: &Parked) -> Result<()> {
        sqlx::query(PARK)
            .bind(handler)
            .bind(delivery.position)
            .bind(delivery.event.as_uuid().hyphenated())
            .bind(&*delivery.aggregate.aggregate_type)
            .bind(delivery.aggregate.aggregate_id.as_str())
            .bind(state_text(delivery.state))
            .bind(delivery.attempts)
            .bind(time_text(delivery.next_at))
            .bind(delivery.error.as_deref())
            .execute(connection)
            .await
            .context(self)?;
        Ok(())
    }

    async fn bury(&self, connection: &mut SqliteConnection, handler: &str, letter: &DeadLetter) -> Result<()> {
        let meta = &letter.envelope.meta;
        let query = sqlx::query(BURY)
            .bind(letter.id.0.hyphenated())
            .bind(handler)
            .bind(letter.position)
            .bind(letter.attempts)
            .bind(letter.reason.as_str())
            .bind(&letter.error)
            .bind(time_text(letter.at))
            .bind(meta.id.as_uuid().hyphenated())
            .bind(&*meta.aggregate_type)
            .bind(meta.aggregate_id.as_str())
            .bind(meta.aggregate_version.and_then(|version| i64::try_from(version).ok()))
            .bind(&*meta.name)
            .bind(meta.version)
            .bind(time_text(meta.occurred_at))
            .bind(meta.recorded_at.map(time_text))
            .bind(meta.correlation_id.map(uuid::Uuid::hyphenated))
            .bind(meta.causation_id.map(uuid::Uuid::hyphenated))
            .bind(meta.trace.as_deref());
        // The payload comes back as it was, whatever it is; as text where a person can read it.
        let query = match std::str::from_utf8(&letter.envelope.payload) {
            Ok(text) => query.bind(text),
            Err(_) => query.bind(letter.envelope.payload.as_slice()),
        };
        query.execute(connection).await.context(self)?;
        Ok(())
    }

    async fn write_marks(&self, connection: &mut SqliteConnection, step: &Checkpoint) -> Result<()> {
        let handler = &*step.lease.subscription.handler;
        for event in &step.once_done {
            sqlx::query("UPDATE event_inbox SET done = 1 WHERE handler = ? AND event_id = ?")
                .bind(handler)
                .bind(event.as_uuid().hyphenated())
                .execute(&mut *connection)
                .await
                .context(self)?;
        }
        for event in &step.once_failed {
            sqlx::query("DELETE FROM event_inbox WHERE handler = ? AND event_id = ?")
                .bind(handler)
                .bind(event.as_uuid().hyphenated())
                .execute(&mut *connection)
                .await
                .context(self)?;
        }
        Ok(())
    }

    pub(super) async fn mark_once(&self, lease: &Lease, event: EventId, position: i64) -> Result<OnceClaim> {
        let mut transaction = self.write(Durability::Full).await?;
        if self.mark(&mut transaction, lease, event, position, false).await? {
            transaction.commit().await.context(self)?;
            return Ok(OnceClaim::Fresh);
        }
        let held = self.is_held(&mut transaction, lease).await?;
        let done: Option<bool> = sqlx::query_scalar("SELECT done FROM event_inbox WHERE handler = ? AND event_id = ?")
            .bind(&*lease.subscription.handler)
            .bind(event.as_uuid().hyphenated())
            .fetch_optional(&mut *transaction)
            .await
            .context(self)?;
        transaction.rollback().await.context(self)?;
        Ok(match done {
            Some(true) if held => OnceClaim::Done,
            Some(false) if held => OnceClaim::Interrupted,
            _ => OnceClaim::LeaseLost,
        })
    }

    /// The write lock, which the mark takes where the transaction does not have it, keeps every other holder out.
    pub(super) async fn mark_in(
        &self,
        connection: &mut SqliteConnection,
        lease: &Lease,
        event: EventId,
        position: i64,
    ) -> Result<Marked> {
        if self.mark(connection, lease, event, position, true).await? {
            return Ok(Marked::Fresh);
        }
        Ok(if self.is_held(connection, lease).await? { Marked::Done } else { Marked::LeaseLost })
    }

    async fn mark(
        &self,
        connection: &mut SqliteConnection,
        lease: &Lease,
        event: EventId,
        position: i64,
        done: bool,
    ) -> Result<bool> {
        let marked = sqlx::query(MARK)
            .bind(done)
            .bind(&*lease.subscription.handler)
            .bind(event.as_uuid().hyphenated())
            .bind(position)
            .bind(i64::from(lease.subscription.partition))
            .bind(&*lease.owner.0)
            .bind(lease.fence)
            .execute(connection)
            .await
            .context(self)?;
        Ok(marked.rows_affected() == 1)
    }

    async fn is_held(&self, connection: &mut SqliteConnection, lease: &Lease) -> Result<bool> {
        sqlx::query_scalar(IS_HELD)
            .bind(&*lease.subscription.handler)
            .bind(i64::from(lease.subscription.partition))
            .bind(&*lease.owner.0)
            .bind(lease.fence)
            .fetch_one(connection)
            .await
            .context(self)
    }
}

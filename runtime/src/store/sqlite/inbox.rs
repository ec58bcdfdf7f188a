//! Marks of what is handled once: set before the handler runs, or in its own transaction.

use sqlx::SqliteConnection;

use super::{Durability, SqliteStore, error::Context};
use crate::{
    error::Result,
    event::EventId,
    store::record::{Checkpoint, Lease, Marked, OnceClaim},
};

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
    pub(super) async fn write_marks(&self, connection: &mut SqliteConnection, step: &Checkpoint) -> Result<()> {
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

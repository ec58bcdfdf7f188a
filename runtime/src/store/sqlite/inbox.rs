//! Marks of what is handled once: set before the handler runs, or in its own transaction.

use sqlx::SqliteConnection;
use uuid::fmt::Hyphenated;

use super::{Durability, SqliteStore, error::Context};
use crate::{
    error::Result,
    event::EventId,
    store::record::{Checkpoint, Lease, OnceClaim},
};

/// Marks an event as begun where the lease is held.
const MARK_BEGUN: &str = "
    INSERT INTO event_inbox (handler, event_id, position, done)
    SELECT ?1, ?2, ?3, 0
     WHERE EXISTS (SELECT 1 FROM event_subscription
                    WHERE handler = ?1 AND partition = ?4 AND owner = ?5 AND fence = ?6)
        ON CONFLICT (handler, event_id) DO NOTHING";

const IS_HELD: &str = "
    SELECT EXISTS (SELECT 1 FROM event_subscription WHERE handler = ? AND partition = ? AND owner = ? AND fence = ?)";

/// Keeps every other writer out from here on, also where the transaction has only read before. Changes nothing.
const LOCK: &str = "UPDATE event_meta SET value = value WHERE false";

/// Those of these events that are handled.
const HANDLED: &str = "
    SELECT event_id FROM event_inbox
     WHERE handler = ? AND done AND event_id IN (SELECT value FROM json_each(?))";

/// Marks events as handled: pairs of id and position.
const MARK_HANDLED: &str = "
    INSERT INTO event_inbox (handler, event_id, position, done)
    SELECT ?1, value ->> 0, value ->> 1, 1
      FROM json_each(?2)
     WHERE true
        ON CONFLICT (handler, event_id)
        DO UPDATE SET position = excluded.position, done = 1";

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
        let marked = sqlx::query(MARK_BEGUN)
            .bind(&*lease.subscription.handler)
            .bind(event.as_uuid().hyphenated())
            .bind(position)
            .bind(i64::from(lease.subscription.partition))
            .bind(&*lease.owner.0)
            .bind(lease.fence)
            .execute(&mut *transaction)
            .await
            .context(self)?;
        if marked.rows_affected() == 1 {
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

    /// The write lock keeps every other holder out.
    pub(super) async fn handled_before(
        &self,
        connection: &mut SqliteConnection,
        lease: &Lease,
        events: &[EventId],
    ) -> Result<Option<Vec<EventId>>> {
        sqlx::query(LOCK).execute(&mut *connection).await.context(self)?;
        if !self.is_held(connection, lease).await? {
            return Ok(None);
        }
        let ids: Vec<_> = events.iter().map(|event| event.as_uuid()).collect();
        let handled: Vec<Hyphenated> = sqlx::query_scalar(HANDLED)
            .bind(&*lease.subscription.handler)
            .bind(serde_json::json!(ids).to_string())
            .fetch_all(connection)
            .await
            .context(self)?;
        Ok(Some(handled.into_iter().map(|id| EventId::from(id.into_uuid())).collect()))
    }

    pub(super) async fn mark_in(
        &self,
        connection: &mut SqliteConnection,
        lease: &Lease,
        events: &[(EventId, i64)],
    ) -> Result<()> {
        let marks: Vec<_> = events.iter().map(|(event, position)| (event.as_uuid(), position)).collect();
        sqlx::query(MARK_HANDLED)
            .bind(&*lease.subscription.handler)
            .bind(serde_json::json!(marks).to_string())
            .execute(connection)
            .await
            .context(self)?;
        Ok(())
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

//! The inbox: what handlers have had from a broker.

use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;

use super::{Durability, SqliteStore, error::Context, limited, row::time_text};
use crate::{
    error::Result,
    event::EventId,
    store::{Inbox, record::OnceClaim},
};

impl Inbox for SqliteStore {
    async fn received(&self, handler: &str, events: &[EventId]) -> Result<Vec<EventId>> {
        let found: Vec<uuid::fmt::Hyphenated> = sqlx::query_scalar(
            "SELECT event_id FROM event_received
              WHERE handler = ? AND done AND event_id IN (SELECT value FROM json_each(?))",
        )
        .bind(handler)
        .bind(texts(events))
        .fetch_all(&self.shared.reader)
        .await
        .context(self)?;
        Ok(found.into_iter().map(|id| EventId::from(id.into_uuid())).collect())
    }

    async fn note_received(&self, handler: &str, events: &[EventId]) -> Result<()> {
        // A power cut may undo it: then a broker that was not told either delivers again.
        let mut transaction = self.write(Durability::Process).await?;
        sqlx::query(
            "INSERT INTO event_received (handler, event_id, done)
             SELECT ?, value, 1 FROM json_each(?) WHERE true
                 ON CONFLICT (handler, event_id) DO UPDATE SET done = 1",
        )
        .bind(handler)
        .bind(texts(events))
        .execute(&mut *transaction)
        .await
        .context(self)?;
        transaction.commit().await.context(self)
    }

    async fn receive_in(&self, connection: &mut SqliteConnection, handler: &str, event: EventId) -> Result<bool> {
        let marked = sqlx::query(
            "INSERT INTO event_received (handler, event_id, done) VALUES (?, ?, 1)
                 ON CONFLICT (handler, event_id) DO UPDATE SET done = 1 WHERE NOT done",
        )
        .bind(handler)
        .bind(event.as_uuid().hyphenated())
        .execute(connection)
        .await
        .context(self)?;
        Ok(marked.rows_affected() == 1)
    }

    async fn receive_once(&self, handler: &str, event: EventId) -> Result<OnceClaim> {
        let mut transaction = self.write(Durability::Full).await?;
        let marked = sqlx::query(
            "INSERT INTO event_received (handler, event_id, done) VALUES (?, ?, 0)
                 ON CONFLICT (handler, event_id) DO NOTHING",
        )
        .bind(handler)
        .bind(event.as_uuid().hyphenated())
        .execute(&mut *transaction)
        .await
        .context(self)?;
        if marked.rows_affected() == 1 {
            transaction.commit().await.context(self)?;
            return Ok(OnceClaim::Fresh);
        }
        let done: bool = sqlx::query_scalar("SELECT done FROM event_received WHERE handler = ? AND event_id = ?")
            .bind(handler)
            .bind(event.as_uuid().hyphenated())
            .fetch_one(&mut *transaction)
            .await
            .context(self)?;
        transaction.rollback().await.context(self)?;
        Ok(if done { OnceClaim::Done } else { OnceClaim::Interrupted })
    }

    async fn begin_received(&self, handler: &str, event: EventId, attempt: u32) -> Result<()> {
        let mut transaction = self.write(Durability::Process).await?;
        sqlx::query(
            "INSERT INTO event_received (handler, event_id, done, attempts) VALUES (?, ?, 0, ?)
                 ON CONFLICT (handler, event_id) DO UPDATE SET attempts = excluded.attempts WHERE NOT done",
        )
        .bind(handler)
        .bind(event.as_uuid().hyphenated())
        .bind(attempt)
        .execute(&mut *transaction)
        .await
        .context(self)?;
        transaction.commit().await.context(self)
    }

    async fn begun_received(&self, handler: &str, events: &[EventId]) -> Result<Vec<(EventId, u32)>> {
        let found: Vec<(uuid::fmt::Hyphenated, u32)> = sqlx::query_as(
            "SELECT event_id, attempts FROM event_received
              WHERE handler = ? AND NOT done AND attempts > 0 AND event_id IN (SELECT value FROM json_each(?))",
        )
        .bind(handler)
        .bind(texts(events))
        .fetch_all(&self.shared.reader)
        .await
        .context(self)?;
        Ok(found.into_iter().map(|(id, attempts)| (EventId::from(id.into_uuid()), attempts)).collect())
    }

    async fn forget_received(&self, handler: &str, events: &[EventId]) -> Result<()> {
        let mut transaction = self.write(Durability::Full).await?;
        sqlx::query(
            "DELETE FROM event_received
              WHERE handler = ? AND NOT done AND event_id IN (SELECT value FROM json_each(?))",
        )
        .bind(handler)
        .bind(texts(events))
        .execute(&mut *transaction)
        .await
        .context(self)?;
        transaction.commit().await.context(self)
    }

    async fn trim_received(&self, before: DateTime<Utc>, limit: usize) -> Result<usize> {
        let mut transaction = self.write(Durability::Process).await?;
        let gone = sqlx::query(
            "DELETE FROM event_received
              WHERE (handler, event_id) IN (SELECT handler, event_id FROM event_received
                                             WHERE noted_at < ? ORDER BY noted_at LIMIT ?)",
        )
        .bind(time_text(before))
        .bind(limited(limit))
        .execute(&mut *transaction)
        .await
        .context(self)?;
        transaction.commit().await.context(self)?;
        Ok(usize::try_from(gone.rows_affected()).unwrap_or(usize::MAX))
    }
}

/// A JSON array of ids.
fn texts(events: &[EventId]) -> String {
    let ids: Vec<_> = events.iter().map(|event| format!("\"{event}\"")).collect();
    format!("[{}]", ids.join(","))
}

//! The inbox: what handlers have had from a broker.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{PostgresStore, error::Context, limited, row::time};
use crate::{
    error::Result,
    event::EventId,
    store::{Inbox, record::OnceClaim},
};

impl Inbox for PostgresStore {
    async fn received(&self, handler: &str, events: &[EventId]) -> Result<Vec<EventId>> {
        let mut own = self.own().await?;
        let rows = self
            .query("SELECT event_id FROM @.event_received WHERE handler = $1 AND done AND event_id = ANY ($2)")
            .bind(handler.to_owned())
            .bind(uuids(events))
            .fetch_all(&mut *own)
            .await
            .context(self)?;
        own.done().await.context(self)?;
        let ids: Vec<Uuid> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().context(self)?;
        Ok(ids.into_iter().map(EventId::from).collect())
    }

    async fn note_received(&self, handler: &str, events: &[EventId]) -> Result<()> {
        let mut own = self.own().await?;
        // In one order, or two processes could wait for each other.
        self.query(
            "INSERT INTO @.event_received (handler, event_id, done)
             SELECT $1, id, true FROM unnest($2::uuid[]) AS id ORDER BY id
                 ON CONFLICT (handler, event_id) DO UPDATE SET done = true WHERE NOT event_received.done",
        )
        .bind(handler.to_owned())
        .bind(unique(events))
        .execute(&mut *own)
        .await
        .context(self)?;
        own.done().await.context(self)
    }

    async fn receive_in(&self, connection: &mut PgConnection, handler: &str, event: EventId) -> Result<bool> {
        let marked = self
            .query(
                "INSERT INTO @.event_received (handler, event_id, done) VALUES ($1, $2, true)
                     ON CONFLICT (handler, event_id) DO UPDATE SET done = true WHERE NOT event_received.done",
            )
            .bind(handler.to_owned())
            .bind(event.as_uuid())
            .execute(connection)
            .await
            .context(self)?;
        Ok(marked.rows_affected() == 1)
    }

    async fn receive_once(&self, handler: &str, event: EventId) -> Result<OnceClaim> {
        let mut own = self.own().await?;
        let row = self
            .query(
                "WITH marked AS (
                     INSERT INTO @.event_received (handler, event_id, done) VALUES ($1, $2, false)
                         ON CONFLICT (handler, event_id) DO NOTHING
                  RETURNING 1
                 )
                 SELECT EXISTS (SELECT 1 FROM marked),
                        (SELECT done FROM @.event_received WHERE handler = $1 AND event_id = $2)",
            )
            .bind(handler.to_owned())
            .bind(event.as_uuid())
            .fetch_one(&mut *own)
            .await
            .context(self)?;
        let read = || Ok((row.try_get::<bool, _>(0)?, row.try_get::<Option<bool>, _>(1)?));
        let (marked, done) = read().context(self)?;
        own.done().await.context(self)?;
        Ok(match done {
            _ if marked => OnceClaim::Fresh,
            Some(true) => OnceClaim::Done,
            Some(false) | None => OnceClaim::Interrupted,
        })
    }

    async fn begin_received(&self, handler: &str, event: EventId, attempt: u32) -> Result<()> {
        let mut own = self.own().await?;
        self.query(
            "INSERT INTO @.event_received (handler, event_id, done, attempts) VALUES ($1, $2, false, $3)
                 ON CONFLICT (handler, event_id) DO UPDATE SET attempts = excluded.attempts
              WHERE NOT event_received.done",
        )
        .bind(handler.to_owned())
        .bind(event.as_uuid())
        .bind(i32::try_from(attempt).unwrap_or(i32::MAX))
        .execute(&mut *own)
        .await
        .context(self)?;
        own.done().await.context(self)
    }

    async fn begun_received(&self, handler: &str, events: &[EventId]) -> Result<Vec<(EventId, u32)>> {
        let mut own = self.own().await?;
        let rows = self
            .query(
                "SELECT event_id, attempts FROM @.event_received
                  WHERE handler = $1 AND NOT done AND attempts > 0 AND event_id = ANY ($2)",
            )
            .bind(handler.to_owned())
            .bind(uuids(events))
            .fetch_all(&mut *own)
            .await
            .context(self)?;
        own.done().await.context(self)?;
        let read = |row: &sqlx::postgres::PgRow| {
            let attempts = u32::try_from(row.try_get::<i32, _>(1)?).unwrap_or(0);
            Ok((EventId::from(row.try_get::<Uuid, _>(0)?), attempts))
        };
        rows.iter().map(read).collect::<Result<_, sqlx::Error>>().context(self)
    }

    async fn forget_received(&self, handler: &str, events: &[EventId]) -> Result<()> {
        let mut own = self.own().await?;
        self.query("DELETE FROM @.event_received WHERE handler = $1 AND NOT done AND event_id = ANY ($2)")
            .bind(handler.to_owned())
            .bind(uuids(events))
            .execute(&mut *own)
            .await
            .context(self)?;
        own.done().await.context(self)
    }

    async fn trim_received(&self, before: DateTime<Utc>, limit: usize) -> Result<usize> {
        let mut own = self.own().await?;
        let gone = self
            .query(
                "DELETE FROM @.event_received
                  WHERE (handler, event_id) IN (SELECT handler, event_id FROM @.event_received
                                                 WHERE noted_at < $1 ORDER BY noted_at LIMIT $2
                                                   FOR UPDATE SKIP LOCKED)",
            )
            .bind(time(before))
            .bind(limited(limit))
            .execute(&mut *own)
            .await
            .context(self)?;
        own.done().await.context(self)?;
        Ok(usize::try_from(gone.rows_affected()).unwrap_or(usize::MAX))
    }
}

fn uuids(events: &[EventId]) -> Vec<Uuid> {
    events.iter().map(EventId::as_uuid).collect()
}

/// Each once: one statement can't touch a row twice.
fn unique(events: &[EventId]) -> Vec<Uuid> {
    let mut ids = uuids(events);
    ids.sort_unstable();
    ids.dedup();
    ids
}

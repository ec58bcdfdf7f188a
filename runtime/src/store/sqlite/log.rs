//! The event log. There is one writer at a time, so the order of positions is the order of commits.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::{Row, Sqlite, SqliteConnection, Transaction};
use uuid::Uuid;

use super::{
    Durability, SqliteStore,
    error::Context,
    limited,
    row::{envelope, event_columns, kind},
};
use crate::{
    error::Result,
    event::{Envelope, EventId},
    store::{
        Capabilities, EventLog, Schema,
        record::{Page, Position},
    },
};

/// The last position ever given; retention does not lower it.
macro_rules! head {
    () => {
        "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event_log'), 0)"
    };
}
pub(super) use head;

impl EventLog for SqliteStore {
    type Connection = SqliteConnection;
    type Transaction = Transaction<'static, Sqlite>;

    fn capabilities(&self) -> Capabilities {
        let kept = self.shared.private.is_none();
        Capabilities {
            durable: kept,
            transactional: true,
            several_processes: kept,
            concurrent_writers: false,
            ..Capabilities::none("sqlite")
        }
    }

    fn schema(&self) -> Schema {
        self.schema_version()
    }

    async fn begin(&self) -> Result<Self::Transaction> {
        self.write(Durability::Full).await
    }

    fn connection(transaction: &mut Self::Transaction) -> &mut Self::Connection {
        transaction
    }

    async fn savepoint(&self, connection: &mut Self::Connection, again: bool) -> Result<()> {
        let statement = match again {
            true => "RELEASE SAVEPOINT domain_events; SAVEPOINT domain_events",
            false => "SAVEPOINT domain_events",
        };
        sqlx::raw_sql(statement).execute(connection).await.context(self)?;
        Ok(())
    }

    async fn undo(&self, connection: &mut Self::Connection) -> Result<()> {
        sqlx::raw_sql("ROLLBACK TO SAVEPOINT domain_events").execute(connection).await.context(self)?;
        Ok(())
    }

    async fn append(&self, connection: &mut Self::Connection, events: &[Envelope]) -> Result<()> {
        self.append_events(connection, events).await
    }

    async fn contains(&self, connection: &mut Self::Connection, events: &[EventId]) -> Result<Vec<EventId>> {
        let known = self.known(connection, events).await?;
        Ok(events.iter().copied().filter(|id| known.contains(id)).collect())
    }

    async fn commit(&self, transaction: Self::Transaction) -> Result<()> {
        self.check_file()?;
        transaction.commit().await.context(self)?;
        self.shared.committed.notify_waiters();
        Ok(())
    }

    async fn flushes(&self) -> Result<bool> {
        // Applications write in transactions that this store begins, with the level it sets.
        Ok(true)
    }

    async fn rollback(&self, transaction: Self::Transaction) -> Result<()> {
        transaction.rollback().await.context(self)
    }

    async fn head(&self) -> Result<Position> {
        let after =
            sqlx::query_scalar(concat!("SELECT ", head!())).fetch_one(&self.shared.reader).await.context(self)?;
        Ok(Position { after, window: None })
    }

    async fn read(&self, after: &Position, limit: usize) -> Result<Page> {
        const READ: &str =
            concat!("SELECT ", event_columns!("id"), " FROM event_log WHERE position > ? ORDER BY position LIMIT ?");
        let rows = sqlx::query(READ)
            .bind(after.after)
            .bind(limited(limit))
            .fetch_all(&self.shared.reader)
            .await
            .context(self)?;
        let events: Vec<Envelope> = rows.iter().map(envelope).collect::<Result<_, _>>().context(self)?;
        let resume: Vec<Position> = events
            .iter()
            .filter_map(|event| event.meta.position)
            .map(|after| Position { after, window: None })
            .collect();
        let end = resume.last().unwrap_or(after).clone();
        let more = events.len() >= limit;
        Ok(Page { events, resume, end, more })
    }

    async fn fetch(&self, positions: &[i64]) -> Result<Vec<Envelope>> {
        const FETCH: &str = concat!(
            "SELECT ",
            event_columns!("id"),
            " FROM event_log WHERE position IN (SELECT value FROM json_each(?))"
        );
        let rows =
            sqlx::query(FETCH).bind(json_numbers(positions)).fetch_all(&self.shared.reader).await.context(self)?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in &rows {
            let event = envelope(row).context(self)?;
            found.insert(event.meta.position, event);
        }
        Ok(positions.iter().filter_map(|position| found.remove(&Some(*position))).collect())
    }

    async fn kinds(&self, limit: usize) -> Result<Vec<(String, u32)>> {
        const KINDS: &str = "
            WITH RECURSIVE bounds AS (
                SELECT (SELECT min(position) FROM event_log) AS first, (SELECT max(position) FROM event_log) AS last
            ), spread (place, stride, last) AS (
                SELECT first, (last - first) / ?1 + 1, last FROM bounds WHERE first IS NOT NULL
                 UNION ALL
                SELECT place + stride, stride, last FROM spread WHERE place + stride <= last
            )
            SELECT * FROM (SELECT event_name, event_version FROM event_log ORDER BY position DESC LIMIT ?1)
             UNION
            SELECT e.event_name, e.event_version
              FROM spread
              JOIN event_log e ON e.position = (SELECT min(position) FROM event_log WHERE position >= spread.place)";
        let limit = limited(limit.max(1));
        let rows = sqlx::query(KINDS).bind(limit).fetch_all(&self.shared.reader).await.context(self)?;
        rows.iter().map(kind).collect::<Result<_, _>>().context(self)
    }

    async fn changed(&self, seen: &mut i64) -> Result<()> {
        // Both numbers only grow, so their sum changes when one does. Not `PRAGMA data_version`: that also changes with
        // every checkpoint and every write of the application, and every change here makes a processor read.
        const STATE: &str = concat!("SELECT 1 + ", head!(), " + (SELECT value FROM event_meta WHERE key = 'revision')");
        loop {
            // Before the look, so that a commit just after it is not missed.
            let committed = self.shared.committed.notified();
            let state: i64 = sqlx::query_scalar(STATE).fetch_one(&self.shared.reader).await.context(self)?;
            if state != *seen {
                *seen = state;
                return Ok(());
            }
            // Both arms lose nothing when dropped: the state is read again.
            tokio::select! {
                () = committed => {}
                () = tokio::time::sleep(self.shared.poll_interval) => {}
            }
        }
    }

    async fn trim(&self, before: DateTime<Utc>, limit: usize) -> Result<usize> {
        self.trim_events(before, limit).await
    }
}

impl SqliteStore {
    pub(super) async fn known(
        &self,
        connection: &mut SqliteConnection,
        events: &[EventId],
    ) -> Result<HashSet<EventId>> {
        // Numbers and UUIDs are safe in JSON as they are; other text goes in parameters of its own.
        let ids: Vec<String> = events.iter().map(|id| format!("\"{id}\"")).collect();
        let rows = sqlx::query("SELECT id FROM event_log WHERE id IN (SELECT value FROM json_each(?))")
            .bind(format!("[{}]", ids.join(",")))
            .fetch_all(connection)
            .await
            .context(self)?;
        let mut known = HashSet::with_capacity(rows.len());
        for row in rows {
            let id: &str = row.try_get(0).context(self)?;
            known.extend(Uuid::parse_str(id).map(EventId::from));
        }
        Ok(known)
    }
}

/// Numbers for `json_each`: one statement for any count of them.
pub(super) fn json_numbers(numbers: &[i64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
    format!("[{}]", numbers.join(","))
}

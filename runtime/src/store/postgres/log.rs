//! The event log's trait; its longer work stands in `append`, `read`, `wake` and `trim`.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Postgres, Row, Transaction, postgres::PgRow};

use super::{
    PostgresStore,
    error::Context,
    limited,
    row::{envelope, event_columns},
};
use crate::{
    error::Result,
    event::{Envelope, EventId},
    store::{
        Capabilities, EventLog, Schema,
        record::{Page, Position},
    },
};

impl EventLog for PostgresStore {
    type Connection = PgConnection;
    type Transaction = Transaction<'static, Postgres>;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            transactional: true,
            several_processes: true,
            concurrent_writers: true,
            retains_pieces: self.shared.partitioning.events().is_some(),
            ..Capabilities::none("postgres")
        }
    }

    fn schema(&self) -> Schema {
        self.schema_version()
    }

    async fn begin(&self) -> Result<Self::Transaction> {
        self.application_transaction().await
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
        transaction.commit().await.context(self)?;
        self.announce();
        self.tend_partitions();
        Ok(())
    }

    async fn flushes(&self) -> Result<bool> {
        let mut own = self.own().await?;
        let row =
            self.query("SELECT setting FROM pg_settings WHERE name = 'synchronous_commit'").fetch_one(&mut *own).await;
        let setting: String = row.and_then(|row| row.try_get(0)).context(self)?;
        own.done().await.context(self)?;
        Ok(setting != "off")
    }

    async fn rollback(&self, transaction: Self::Transaction) -> Result<()> {
        transaction.rollback().await.context(self)
    }

    async fn head(&self) -> Result<Position> {
        Ok(self.head_place().await?.position())
    }

    async fn read(&self, after: &Position, limit: usize) -> Result<Page> {
        self.read_page(after, limit).await
    }

    async fn fetch(&self, positions: &[i64]) -> Result<Vec<Envelope>> {
        const FETCH: &str =
            concat!("SELECT ", event_columns!("id", "payload::text"), " FROM @.event_log WHERE position = ANY ($1)");
        let mut own = self.own().await?;
        let rows = self.query(FETCH).bind(positions).fetch_all(&mut *own).await.context(self)?;
        let mut found = HashMap::with_capacity(rows.len());
        for row in &rows {
            let event = envelope(row).context(self)?;
            found.insert(event.meta.position, event);
        }
        Ok(positions.iter().filter_map(|position| found.remove(&Some(*position))).collect())
    }

    async fn kinds(&self, limit: usize) -> Result<Vec<(String, u32)>> {
        const KINDS: &str = "
            WITH bounds AS MATERIALIZED (
                SELECT min(position) AS first, max(position) AS last FROM @.event_log
            ), spread AS (
                SELECT generate_series(first, last, (last - first) / $1 + 1) AS place FROM bounds
            )
            SELECT * FROM (SELECT event_name, event_version
                             FROM @.event_log
                            ORDER BY position DESC
                            LIMIT $1) newest
             UNION
            SELECT e.event_name, e.event_version
              FROM spread, LATERAL (SELECT event_name, event_version
                                      FROM @.event_log
                                     WHERE position >= spread.place
                                     ORDER BY position
                                     LIMIT 1) e";
        let mut own = self.own().await?;
        let rows = self.query(KINDS).bind(limited(limit.max(1))).fetch_all(&mut *own).await.context(self)?;
        let kind = |row: &PgRow| Ok((row.try_get(0)?, u32::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0)));
        rows.iter().map(kind).collect::<Result<_, sqlx::Error>>().context(self)
    }

    async fn changed(&self, seen: &mut i64) -> Result<()> {
        self.await_change(seen).await
    }

    async fn trim(&self, before: DateTime<Utc>, limit: usize) -> Result<usize> {
        self.trim_events(before, limit).await
    }
}

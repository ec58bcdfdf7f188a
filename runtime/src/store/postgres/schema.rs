//! The tables and their version, kept in `event_meta`: the application's own migrations have a table of their own.

use std::sync::atomic::Ordering;

use sqlx::{PgConnection, Row};

use super::{
    PostgresStore,
    error::{Context, code, from_sqlx},
};
use crate::{
    error::{Error, ErrorKind, Result},
    store::Schema,
};

/// One script per version, in order.
const MIGRATIONS: [&str; 1] = [include_str!("../../../migrations/postgres/0001_event_log.sql")];

/// What gives the log partitions, with so many events in each.
const PARTITIONS: &str = include_str!("../../../migrations/postgres/partitions.sql");
const PARTITION_EVENTS: &str = "bigint := 1000000;";

/// The version this code needs.
const NEEDED: u32 = MIGRATIONS.len() as u32;

/// The lock under which tables are made and a new server is taken over: any number that others will not use.
pub(super) const LOCK: i64 = 0x646f_6d65_7665_6e74;

impl PostgresStore {
    /// The scripts that make the tables, one per version, for a migration tool of your own: run each in one transaction,
    /// with the schema of your choice first in `search_path`.
    ///
    /// ```
    /// use domain_events::PostgresStore;
    ///
    /// for script in PostgresStore::migration_sql() {
    ///     assert!(script.contains("CREATE TABLE event_log"));
    /// }
    /// ```
    #[must_use]
    pub fn migration_sql() -> &'static [&'static str] {
        &MIGRATIONS
    }

    /// The script that gives the log partitions of so many events each (see
    /// [`partition_events`](super::PostgresOptions::partition_events)), for a migration tool of your own, and for a log that
    /// has events already: to be run in one transaction after those of [`migration_sql`](Self::migration_sql), with the
    /// same schema first in `search_path`, while no program is at work on it: those that run don't notice.
    ///
    /// ```
    /// use domain_events::PostgresStore;
    ///
    /// assert!(PostgresStore::partition_sql(5_000_000).contains("bigint := 5000000;"));
    /// ```
    #[must_use]
    pub fn partition_sql(events: u32) -> String {
        PARTITIONS.replace(PARTITION_EVENTS, &format!("bigint := {};", events.max(1)))
    }

    /// Brings the tables to the version this code needs; does nothing where they have it. Several processes may do this
    /// at once.
    ///
    /// # Errors
    ///
    /// [`Schema`](ErrorKind::Schema) if the tables are newer than this code, or if another table has one of their
    /// names; [`Configuration`](ErrorKind::Configuration) if this role may not make tables.
    pub async fn migrate(&self) -> Result<()> {
        self.find_schema().await?;
        if self.schema_version().found == NEEDED {
            let wanted = self.shared.options.partitions().is_some();
            if wanted && self.shared.partitioning.events().is_none() {
                tracing::warn!(place = %self.shared.place, "the event log exists, and stays without partitions; \
                    `PostgresStore::partition_sql` is the script that gives it some");
            }
            return Ok(());
        }
        let schema = self.shared.prefix.trim_end_matches('.');
        let mut transaction = self.own_transaction().await?;
        self.lock(&mut transaction).await?;
        // Another process may have been faster.
        let found = self.check(self.found(&mut transaction).await?)?;
        let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)")
            .persistent(false)
            .bind(self.shared.options.schema_name())
            .fetch_one(&mut *transaction)
            .await
            .context(self)?;
        if !exists {
            let create = sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}"));
            sqlx::raw_sql(create).execute(&mut *transaction).await.context(self)?;
        }
        let path = sqlx::AssertSqlSafe(format!("SET LOCAL search_path TO {schema}"));
        sqlx::raw_sql(path).execute(&mut *transaction).await.context(self)?;
        for migration in MIGRATIONS.iter().skip(found as usize) {
            sqlx::raw_sql(*migration).execute(&mut *transaction).await.map_err(|error| self.not_migrated(error))?;
        }
        // Not those of another process that has been faster.
        if let Some(events) = self.shared.options.partitions().filter(|_| found == 0) {
            let script = sqlx::AssertSqlSafe(Self::partition_sql(events));
            sqlx::raw_sql(script).execute(&mut *transaction).await.map_err(|error| self.not_migrated(error))?;
        }
        transaction.commit().await.context(self)?;
        self.find_schema().await
    }

    /// Waits for other processes that start.
    pub(super) async fn lock(&self, connection: &mut PgConnection) -> Result<()> {
        sqlx::query("SELECT pg_advisory_xact_lock($1)")
            .persistent(false)
            .bind(LOCK)
            .execute(connection)
            .await
            .context(self)?;
        Ok(())
    }

    pub(super) fn schema_version(&self) -> Schema {
        Schema { found: self.shared.schema_found.load(Ordering::Relaxed), needed: NEEDED }
    }

    pub(super) async fn find_schema(&self) -> Result<()> {
        let mut own = self.own().await?;
        let found = self.check(self.found(&mut own).await?)?;
        self.shared.schema_found.store(found, Ordering::Relaxed);
        Ok(())
    }

    /// The version of the tables; 0 where there are none.
    async fn found(&self, connection: &mut PgConnection) -> Result<u32> {
        // Not `to_regclass`: a session that has looked before the tables were made remembers there that there are none.
        let exists: bool = self
            .query(
                "SELECT EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                                 WHERE n.nspname = $1 AND c.relname = 'event_meta')",
            )
            .bind(self.shared.options.schema_name().to_owned())
            .fetch_one(&mut *connection)
            .await
            .and_then(|row| row.try_get(0))
            .context(self)?;
        if !exists {
            return Ok(0);
        }
        let row = self
            .query(
                "SELECT (SELECT value FROM @.event_meta WHERE key = 'schema_version'),
                        (SELECT value FROM @.event_meta WHERE key = 'partition_events')",
            )
            .fetch_one(connection)
            .await
            .context(self)?;
        let version: Option<i64> = row.try_get(0).context(self)?;
        self.shared.partitioning.set(row.try_get::<Option<i64>, _>(1).context(self)?.unwrap_or(0));
        Ok(version.and_then(|version| u32::try_from(version).ok()).unwrap_or(0))
    }

    fn check(&self, found: u32) -> Result<u32> {
        if found <= NEEDED {
            return Ok(found);
        }
        let place = &self.shared.place;
        Err(Error::new(
            ErrorKind::Schema,
            format!(
                "PostgreSQL at `{place}` has version {found} of the event tables, this program knows version {NEEDED}; \
                 run a release of it that is built with a newer domain-events"
            ),
        ))
    }

    fn not_migrated(&self, error: sqlx::Error) -> Error {
        // Duplicate table, object, function.
        let is_taken = matches!(code(&error).as_deref(), Some("42P07" | "42710" | "42723"));
        let Some(taken) = error.as_database_error().filter(|_| is_taken).map(|error| error.message().to_owned()) else {
            return from_sqlx(&self.shared.place, error);
        };
        let message = format!(
            "schema {} at PostgreSQL `{}` has a table, view or function of its own under a name the event tables need \
             ({taken}); rename it, or use another schema (`PostgresOptions::schema`)",
            self.shared.prefix.trim_end_matches('.'),
            self.shared.place
        );
        Error::new(ErrorKind::Schema, message).with_source(error)
    }
}

//! The tables and their version, kept in `event_meta`: the application's own migrations have a table of their own.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use super::{
    Durability, SqliteOptions, SqliteStore,
    error::{Context, from_sqlx, is_busy},
};
use crate::{
    error::{Error, ErrorKind, Result},
    store::Schema,
};

/// One script per version, in order.
const MIGRATIONS: [&str; 1] = [include_str!("../../../migrations/sqlite/0001_event_log.sql")];

/// The version this code needs.
const NEEDED: u32 = MIGRATIONS.len() as u32;

/// Puts the file in WAL mode: readers and the writer then don't wait for each other.
///
/// The switch wants the file for itself and does not heed the busy timeout, so two processes that open a new file at
/// once must be patient here.
pub(super) async fn prepare_file(connect: &SqliteConnectOptions, options: &SqliteOptions) -> Result<(), sqlx::Error> {
    let give_up = Instant::now() + options.patience().max(Duration::from_secs(1));
    let mut connection = connect.connect().await?;
    while options.creates() {
        match sqlx::query("PRAGMA journal_mode = WAL").execute(&mut connection).await {
            Err(error) if is_busy(&error) && Instant::now() < give_up => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    connection.close().await
}

impl SqliteStore {
    /// Brings the tables to the version this code needs; does nothing where they have it. Several processes may do this
    /// at once.
    ///
    /// # Errors
    ///
    /// [`Schema`](ErrorKind::Schema) if the tables are newer than this code, or if another table has one of their
    /// names.
    pub async fn migrate(&self) -> Result<()> {
        self.find_schema().await?;
        if self.schema_version().found == NEEDED {
            return Ok(());
        }
        let mut transaction = self.write(Durability::Full).await?;
        // Another process may have been faster.
        let found = self.check(found(&mut transaction).await.context(self)?)?;
        for migration in MIGRATIONS.iter().skip(found as usize) {
            sqlx::raw_sql(*migration).execute(&mut *transaction).await.map_err(|error| self.not_migrated(error))?;
        }
        transaction.commit().await.context(self)?;
        self.shared.schema_found.store(NEEDED, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn schema_version(&self) -> Schema {
        Schema { found: self.shared.schema_found.load(Ordering::Relaxed), needed: NEEDED }
    }

    pub(super) async fn find_schema(&self) -> Result<()> {
        let mut connection = self.shared.reader.acquire().await.context(self)?;
        let found = self.check(found(&mut connection).await.context(self)?)?;
        self.shared.schema_found.store(found, Ordering::Relaxed);
        Ok(())
    }

    fn check(&self, found: u32) -> Result<u32> {
        if found <= NEEDED {
            return Ok(found);
        }
        let path = self.shared.path.display();
        Err(Error::new(
            ErrorKind::Schema,
            format!(
                "SQLite file `{path}` has version {found} of the event tables, this program knows version {NEEDED}; run a \
                 release of it that is built with a newer domain-events"
            ),
        ))
    }

    fn not_migrated(&self, error: sqlx::Error) -> Error {
        let taken = error.as_database_error().map(|error| error.message().to_owned());
        let Some(taken) = taken.filter(|message| message.contains("already exists")) else {
            return from_sqlx(&self.shared.path, error);
        };
        let message = format!(
            "SQLite file `{}` has a table or view of its own under a name the event tables need ({taken}); rename it",
            self.shared.path.display()
        );
        Error::new(ErrorKind::Schema, message).with_source(error)
    }
}

/// The version of the tables; 0 where there are none.
async fn found(connection: &mut SqliteConnection) -> Result<u32, sqlx::Error> {
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'event_meta'")
            .fetch_one(&mut *connection)
            .await?;
    if tables == 0 {
        return Ok(0);
    }
    let version: Option<i64> = sqlx::query_scalar("SELECT value FROM event_meta WHERE key = 'schema_version'")
        .fetch_optional(connection)
        .await?;
    Ok(version.and_then(|version| u32::try_from(version).ok()).unwrap_or(0))
}

//! The store in a SQLite file: the events in the same transaction as the application's own tables, without a server.
//!
//! `open` finds the file, `file` sees that it stays, `schema` makes its tables. `log`, `subscription` and `dead_letter`
//! are the store's traits; `append`, `trim`, `lease`, `checkpoint`, `inbox` and `forget` do their longer work. `row` reads
//! what may be in a row, `error` says what SQLite complains about.

mod append;
mod checkpoint;
mod dead_letter;
mod error;
mod file;
mod forget;
mod inbox;
mod lease;
mod log;
mod open;
mod received;
mod row;
mod schema;
mod subscription;
mod trim;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use sqlx::{Sqlite, SqlitePool};
use tokio::sync::Notify;

use crate::error::Result;
use error::Context;
pub use open::SqliteOptions;

/// An event log and its subscriptions in a SQLite file, beside the application's own tables.
///
/// Clones share their connections: one that writes, a few that read. Several processes of one machine can work on the
/// same file; a file on a network drive can't be shared. Open it with [`open`](Self::open), [`connect`](Self::connect),
/// or [`in_memory`](Self::in_memory).
///
/// What is committed is on the disk (`synchronous = FULL`), except for leases and positions: a power cut may undo the
/// last ones, and then events are delivered again.
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    opened: file::Opened,
    /// One connection: SQLite has one writer at a time, and waiting for it here is fair and costs nothing.
    writer: SqlitePool,
    /// The store's own readers, so that an application that has borrowed all of `queries` can't hold up deliveries.
    reader: SqlitePool,
    queries: SqlitePool,
    poll_interval: Duration,
    /// Wakes `changed` at a commit in this process.
    committed: Notify,
    schema_found: AtomicU32,
    /// Keeps the file of an [`in_memory`](SqliteStore::in_memory) store, until the last clone is gone.
    private: Option<file::PrivateFile>,
}

/// What a commit must survive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// A power cut.
    Full,
    /// The end of the process; a power cut may undo it.
    Process,
}

impl SqliteStore {
    /// The application's connections to the same file, for its queries.
    ///
    /// Better write in a transaction of this store: one on these connections does not queue with its writes, but races
    /// for the file's lock, and fails if it reads before another one writes and then writes itself.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        &self.shared.queries
    }

    /// Begins to write. The lock is taken at once: a transaction that first reads and then writes would fail as soon as
    /// another one wrote in between.
    async fn write(&self, durability: Durability) -> Result<sqlx::Transaction<'static, Sqlite>> {
        // The level is set at every begin, so that none is left behind by a future that was dropped half-way.
        let begin = match durability {
            _ if self.shared.private.is_some() => "PRAGMA synchronous = OFF; BEGIN IMMEDIATE",
            Durability::Full => "PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
            Durability::Process => "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
        };
        let begun = self.shared.writer.begin_with(begin).await.context(self)?;
        self.check_file()?;
        Ok(begun)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

/// A lease's or heartbeat's length in the database's unit; a longer one than thirty years counts as that.
fn millis(ttl: Duration) -> i64 {
    const THIRTY_YEARS: i64 = 30 * 365 * 24 * 3600 * 1000;
    i64::try_from(ttl.as_millis()).unwrap_or(THIRTY_YEARS).min(THIRTY_YEARS)
}

/// A `LIMIT`.
fn limited(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

//! The one SQLite file: the framework's tables and those of every context, side by side.
//!
//! Reads come from a pool and never wait; writes take turns on the store's one writing connection.

use std::path::Path;

use domain_events::{SqliteStore, store::EventLog};
use sqlx::{Executor as _, Sqlite, SqlitePool, Transaction};

use crate::{analytics, cards, curators, feeds, notifications, recommendations, search};

/// Every context brings its own tables; none reads another's.
const SCHEMAS: [&str; 7] = [
    curators::SCHEMA,
    cards::SCHEMA,
    analytics::SCHEMA,
    notifications::SCHEMA,
    feeds::SCHEMA,
    search::SCHEMA,
    recommendations::SCHEMA,
];

/// Why the database did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error(transparent)]
    Store(#[from] domain_events::Error),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

/// What every adapter holds. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    store: SqliteStore,
}

impl Database {
    /// Opens the file, or makes it, with all tables.
    pub async fn open(path: &Path) -> Result<Self, DatabaseError> {
        Self::with_tables(SqliteStore::open(path).await?).await
    }

    /// A database that is gone with the last handle on it.
    pub async fn in_memory() -> Result<Self, DatabaseError> {
        Self::with_tables(SqliteStore::in_memory().await?).await
    }

    async fn with_tables(store: SqliteStore) -> Result<Self, DatabaseError> {
        let database = Self { store };
        let mut transaction = database.begin().await?;
        for schema in SCHEMAS {
            transaction.execute(schema).await?;
        }
        transaction.commit().await?;
        Ok(database)
    }

    /// Where the framework keeps its events: the same file.
    pub fn store(&self) -> SqliteStore {
        self.store.clone()
    }

    /// The connections for reading.
    pub fn reader(&self) -> &SqlitePool {
        self.store.pool()
    }

    /// Begins a transaction that may write. Dropped, it is rolled back.
    pub async fn begin(&self) -> Result<Transaction<'static, Sqlite>, DatabaseError> {
        Ok(self.store.begin().await?)
    }
}

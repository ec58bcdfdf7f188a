//! The one database: the framework's tables and those of every context, side by side, in SQLite or in PostgreSQL.
//!
//! `place` says where it is, `query` how the contexts talk to it: in SQL that both understand, so that no context knows
//! which of the two it is.

mod place;
mod query;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::fmt;

use domain_events::{SqlStore, SqlTransaction, SqliteStore, store::EventLog as _};
#[cfg(test)]
pub use testing::on_each_database;

pub use self::{
    place::Place,
    query::{Queries, Query},
};
use crate::{analytics, cards, curators, feeds, notifications, peer::PeerError, recommendations, search};

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

/// Why the database, or the process that has it, did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error(transparent)]
    Store(#[from] domain_events::Error),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error(transparent)]
    Peer(#[from] PeerError),
}

impl DatabaseError {
    /// Whether the same call may succeed later: the database, or the process that has it, was away or busy.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Store(error) => error.is_temporary(),
            Self::Sql(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut) | Self::Peer(_) => true,
            // PostgreSQL is stopping, or starting.
            Self::Sql(error) => {
                error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code.starts_with("57P"))
            }
        }
    }
}

/// What every adapter holds. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Database {
    store: SqlStore,
}

impl Database {
    /// Opens the database, with all tables; a file is made if it is missing.
    pub async fn open(place: &Place) -> Result<Self, DatabaseError> {
        let store = match place {
            Place::File(path) => SqliteStore::open(path).await?.into(),
            Place::Memory => SqliteStore::in_memory().await?.into(),
            Place::Sqlite(url) | Place::Postgres(url) => SqlStore::connect(url).await?,
        };
        Self::on(store).await
    }

    /// The tables of all contexts, in the database of this store.
    pub async fn on(store: SqlStore) -> Result<Self, DatabaseError> {
        let mut transaction = store.begin().await?;
        if let SqlTransaction::Postgres(transaction) = &mut transaction {
            // Processes that start at the same time take turns: `if not exists` alone does not make them. (In SQLite
            // they do anyway.) The number is this program's own.
            sqlx::query("select pg_advisory_xact_lock(5210814297)").execute(&mut **transaction).await?;
        }
        for schema in SCHEMAS {
            match &mut transaction {
                SqlTransaction::Sqlite(transaction) => {
                    sqlx::raw_sql(schema).execute(&mut **transaction).await.map(drop)?
                }
                SqlTransaction::Postgres(transaction) => {
                    sqlx::raw_sql(schema).execute(&mut **transaction).await.map(drop)?
                }
            }
        }
        transaction.commit().await?;
        Ok(Self { store })
    }

    /// Where the framework keeps its events: the same database.
    pub fn store(&self) -> SqlStore {
        self.store.clone()
    }

    /// A statement that reads. It waits for no writer.
    pub fn query(&self, statement: &'static str) -> Query<'_> {
        Query::reading(&self.store, statement)
    }

    /// Begins a transaction that may write. Dropped, it is rolled back.
    pub async fn begin(&self) -> Result<SqlTransaction, DatabaseError> {
        Ok(self.store.begin().await?)
    }
}

impl fmt::Display for Database {
    /// Where it is, for people: never with a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.store {
            SqlStore::Sqlite(store) if !store.capabilities().durable => f.write_str("a database in memory"),
            SqlStore::Sqlite(store) => store.pool().connect_options().get_filename().display().fmt(f),
            SqlStore::Postgres(store) => {
                let at = store.pool().connect_options();
                let database = at.get_database().unwrap_or_else(|| at.get_username());
                write!(f, "PostgreSQL at {}:{}/{database}", at.get_host(), at.get_port())
            }
        }
    }
}

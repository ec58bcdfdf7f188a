//! The store in a PostgreSQL database: many processes, and many transactions that write at a time.
//!
//! `options` and `connect` find the server, `transaction` begins on it, `schema` makes its tables, `server` says what has
//! happened to it meanwhile. `log`, `subscription` and `dead_letter` are the store's traits; `append` (by the statements
//! of `insert`), `read`, `wake`, `trim`, `lease`, `checkpoint`, `inbox` and `forget` do their longer work; `partition` and
//! `retire` add and drop partitions where the log has some. `place` is a position, `snapshot` what it is made of; `row`
//! reads rows, `json` checks payloads, `error` says what PostgreSQL complains about.
//!
//! In the statements here `@.` stands for the schema of the store's tables.

mod append;
mod checkpoint;
mod connect;
mod dead_letter;
mod ensure;
mod error;
mod forget;
mod inbox;
mod insert;
mod json;
mod lease;
mod log;
mod options;
mod partition;
mod place;
mod read;
mod received;
mod retire;
mod row;
mod schema;
mod server;
mod snapshot;
mod subscription;
mod transaction;
mod trim;
mod wake;

#[cfg(test)]
pub(in crate::store) mod tests;

use std::{fmt, sync::Arc};

use sqlx::{AssertSqlSafe, PgPool, Postgres, postgres::PgArguments, query::Query};

pub use options::PostgresOptions;

/// An event log and its subscriptions in a PostgreSQL database (13 or newer), beside the application's own tables.
///
/// Clones share their connections. Any number of processes work on one database: each subscription is run by one of
/// them at a time. Open it with [`connect`](Self::connect), [`connect_with`](Self::connect_with) or
/// [`from_pool`](Self::from_pool).
///
/// No event is skipped, in whatever order transactions commit, and none waits for a transaction that is left open: a
/// subscription's position is a pair of snapshots (<https://www.postgresql.org/docs/current/functions-info.html>,
/// `pg_current_snapshot`), not a number.
#[derive(Clone)]
pub struct PostgresStore {
    shared: Arc<Shared>,
}

struct Shared {
    /// The application's connections.
    pool: PgPool,
    /// The store's own, so that an application that has borrowed all of `pool` can't hold up deliveries.
    own: PgPool,
    /// Where the server is, for messages: never with a password.
    place: String,
    options: PostgresOptions,
    /// The schema, quoted, with the dot behind it.
    prefix: String,
    schema_found: std::sync::atomic::AtomicU32,
    partitioning: partition::Partitioning,
    wake: wake::Wake,
    /// The target of the window that was opened last: see `read`.
    last_target: std::sync::Mutex<Option<(chrono::DateTime<chrono::Utc>, place::Target)>>,
}

impl PostgresStore {
    /// The application's connections to the same database.
    ///
    /// Those that the store has made itself (not [`from_pool`](Self::from_pool)) are asked whether they still live when they
    /// come back, and before use when that was a second ago or longer. One that breaks in between costs a statement of
    /// yours an error, and a unit of work nothing: it takes another one.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.shared.pool
    }

    /// A statement with the schema put in.
    fn sql(&self, statement: &str) -> AssertSqlSafe<String> {
        // The statements are this module's own, and the schema's name is quoted.
        AssertSqlSafe(statement.replace("@.", &self.shared.prefix))
    }

    fn query(&self, statement: &str) -> Query<'static, Postgres, PgArguments> {
        sqlx::query(self.sql(statement)).persistent(self.shared.options.prepares())
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("place", &self.shared.place).finish_non_exhaustive()
    }
}

/// A `LIMIT`.
fn limited(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

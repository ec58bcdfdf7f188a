//! Statements that run on either database. They are written in what SQL the two share, with `$1`, `$2`, .. for values;
//! the calls are sqlx's.

use domain_events::{SqlStore, SqlTransaction};
use sqlx::{Database, Encode, FromRow, PgPool, Postgres, Sqlite, SqlitePool, Type, postgres::PgRow, sqlite::SqliteRow};

/// A statement, the values bound to it, and where it will run.
#[must_use = "a query does nothing until it is executed"]
pub enum Query<'c> {
    Sqlite(Statement<Sqlite>, On<&'c SqlitePool, &'c mut sqlx::SqliteConnection>),
    Postgres(Statement<Postgres>, On<&'c PgPool, &'c mut sqlx::PgConnection>),
}

type Statement<D> = sqlx::query::Query<'static, D, <D as Database>::Arguments>;

/// On any connection, or in a transaction.
pub enum On<P, C> {
    Pool(P),
    Transaction(C),
}

/// What a statement can be given: a value that both databases know.
pub trait Value<'v>: Encode<'v, Sqlite> + Type<Sqlite> + Encode<'v, Postgres> + Type<Postgres> {}

impl<'v, T: Encode<'v, Sqlite> + Type<Sqlite> + Encode<'v, Postgres> + Type<Postgres>> Value<'v> for T {}

/// What can be read from a row: a tuple of values that both databases know.
pub trait Row: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> {}

impl<T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow>> Row for T {}

/// Statements in a transaction.
pub trait Queries {
    /// A statement that runs in this transaction.
    fn query(&mut self, statement: &'static str) -> Query<'_>;
}

impl Queries for SqlTransaction {
    fn query(&mut self, statement: &'static str) -> Query<'_> {
        match self {
            Self::Sqlite(transaction) => Query::Sqlite(sqlx::query(statement), On::Transaction(transaction)),
            Self::Postgres(transaction) => Query::Postgres(sqlx::query(statement), On::Transaction(transaction)),
        }
    }
}

/// The same on whichever database, connection or transaction it is.
macro_rules! run {
    ($query:expr, |$statement:ident, $on:ident| $run:expr) => {
        match $query {
            Query::Sqlite($statement, On::Pool($on)) => $run,
            Query::Sqlite($statement, On::Transaction($on)) => $run,
            Query::Postgres($statement, On::Pool($on)) => $run,
            Query::Postgres($statement, On::Transaction($on)) => $run,
        }
    };
}

impl<'c> Query<'c> {
    /// A statement that runs on one of the connections for reading.
    pub(super) fn reading(store: &'c SqlStore, statement: &'static str) -> Self {
        match store {
            SqlStore::Sqlite(store) => Self::Sqlite(sqlx::query(statement), On::Pool(store.pool())),
            SqlStore::Postgres(store) => Self::Postgres(sqlx::query(statement), On::Pool(store.pool())),
        }
    }

    /// The next value.
    pub fn bind<'v>(self, value: impl Value<'v>) -> Self {
        match self {
            Self::Sqlite(statement, on) => Self::Sqlite(statement.bind(value), on),
            Self::Postgres(statement, on) => Self::Postgres(statement.bind(value), on),
        }
    }

    /// Runs it; returns how many rows it changed.
    pub async fn execute(self) -> Result<u64, sqlx::Error> {
        run!(self, |statement, on| Ok(statement.execute(on).await?.rows_affected()))
    }

    /// Runs it; returns all rows.
    pub async fn fetch_all<T: Row>(self) -> Result<Vec<T>, sqlx::Error> {
        run!(self, |statement, on| statement.fetch_all(on).await?.iter().map(|row| T::from_row(row)).collect())
    }

    /// Runs it; returns the first row, if there is one.
    pub async fn fetch_optional<T: Row>(self) -> Result<Option<T>, sqlx::Error> {
        run!(self, |statement, on| statement.fetch_optional(on).await?.map(|row| T::from_row(&row)).transpose())
    }
}

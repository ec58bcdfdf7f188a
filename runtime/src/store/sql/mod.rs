//! The store of an application that runs on SQLite or on PostgreSQL, as its configuration says: whichever of the two
//! stores it is, under one type.
//!
//! `log`, `subscription` and `dead_letter` pass each call on. Backends don't know of this; it knows both.

mod dead_letter;
mod log;
mod received;
mod subscription;

use sqlx::{Postgres, Sqlite, Transaction};

use super::{EventLog, PostgresStore, SqliteStore};
use crate::error::{Error, ErrorKind, Result};

/// A [`SqliteStore`] or a [`PostgresStore`], decided when the program starts. There with both features.
///
/// Its transaction is a [`SqlTransaction`], and so is what a transactional handler takes: one code base serves both
/// databases. To open one of them in another way than [`connect`](Self::connect) does, open it and convert it; to use
/// what only one of them has, its pool above all, `match`.
///
/// ```no_run
/// use domain_events::{DomainEvents, PostgresStore, SqlStore, store::postgres::PostgresOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // `postgres://app@localhost/library` in production, `sqlite://library.db` on a developer's machine.
/// let store = SqlStore::connect(&std::env::var("DATABASE_URL")?).await?;
/// let events = DomainEvents::builder().store(store).build()?;
///
/// let options = PostgresOptions::new().schema("events");
/// let store: SqlStore = PostgresStore::connect_with("postgres://app@localhost/library", options).await?.into();
/// # drop((events, store));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub enum SqlStore {
    /// In a SQLite file.
    Sqlite(SqliteStore),
    /// In a PostgreSQL database.
    Postgres(PostgresStore),
}

/// An open transaction of a [`SqlStore`]: the driver's own. Dropped, it is rolled back.
///
/// Both databases understand parameters written `$1`, `$2`, and in such a statement only the executor differs:
///
/// ```
/// # use domain_events::store::SqlTransaction;
/// async fn rename(transaction: &mut SqlTransaction, card: &str, title: &str) -> Result<(), sqlx::Error> {
///     const RENAME: &str = "update cards set title = $2 where id = $1";
///     match transaction {
///         SqlTransaction::Sqlite(sqlite) => {
///             sqlx::query(RENAME).bind(card).bind(title).execute(&mut **sqlite).await?;
///         }
///         SqlTransaction::Postgres(postgres) => {
///             sqlx::query(RENAME).bind(card).bind(title).execute(&mut **postgres).await?;
///         }
///     }
///     Ok(())
/// }
/// ```
///
/// A program with many statements says this once, as `examples/library/src/database` does.
#[derive(Debug)]
pub enum SqlTransaction {
    /// In a SQLite file.
    Sqlite(Transaction<'static, Sqlite>),
    /// In a PostgreSQL database.
    Postgres(Transaction<'static, Postgres>),
}

impl SqlStore {
    /// Opens the database that a URL names: `sqlite://library.db` as [`SqliteStore::connect`] does,
    /// `postgres://app@localhost/library` as [`PostgresStore::connect`] does.
    ///
    /// ```
    /// use domain_events::{ErrorKind, SqlStore};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = SqlStore::connect("mysql://app:secret@localhost/library").await.expect_err("another database");
    /// assert_eq!(error.kind(), ErrorKind::Configuration);
    /// assert!(error.to_string().contains("`mysql:`") && !error.to_string().contains("secret"));
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As these two, and [`Configuration`](ErrorKind::Configuration), without the text itself, for any other URL.
    pub async fn connect(url: &str) -> Result<Self> {
        let found = match url.split_once(':') {
            Some(("sqlite", _)) => return SqliteStore::connect(url).await.map(Self::Sqlite),
            Some(("postgres" | "postgresql", _)) => return PostgresStore::connect(url).await.map(Self::Postgres),
            // Nothing else of the text is told: what is no URL may be, or hold, a password.
            Some((scheme, rest)) if rest.starts_with("//") => format!("a `{scheme}:` URL names no database of these"),
            _ => "this is not the URL of a database".to_owned(),
        };
        let message = format!("{found}; write `postgres://user@host/database` or `sqlite://path/to/file.db`");
        Err(Error::new(ErrorKind::Configuration, message))
    }
}

impl SqlTransaction {
    /// Commits what the application wrote. For a transaction that events were appended to, too: other processes then
    /// find them by polling.
    ///
    /// # Errors
    ///
    /// The driver's: what was written may be there all the same if the connection broke.
    pub async fn commit(self) -> std::result::Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        }
    }

    /// Rolls back. Dropping it does the same.
    ///
    /// # Errors
    ///
    /// The driver's: nothing was written then either.
    pub async fn rollback(self) -> std::result::Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.rollback().await,
            Self::Postgres(transaction) => transaction.rollback().await,
        }
    }
}

impl From<SqliteStore> for SqlStore {
    fn from(store: SqliteStore) -> Self {
        Self::Sqlite(store)
    }
}

impl From<PostgresStore> for SqlStore {
    fn from(store: PostgresStore) -> Self {
        Self::Postgres(store)
    }
}

/// For [`DomainEvents::append`](crate::DomainEvents::append): the events go into a transaction of the application's own.
impl From<Transaction<'static, Sqlite>> for SqlTransaction {
    fn from(transaction: Transaction<'static, Sqlite>) -> Self {
        Self::Sqlite(transaction)
    }
}

/// For [`DomainEvents::append`](crate::DomainEvents::append): the events go into a transaction of the application's own.
impl From<Transaction<'static, Postgres>> for SqlTransaction {
    fn from(transaction: Transaction<'static, Postgres>) -> Self {
        Self::Postgres(transaction)
    }
}

/// The same call on whichever store it is; with `in transaction`, on the transaction of that store.
macro_rules! pass_on {
    ($self:ident.$method:ident($($argument:expr),*)) => {
        match $self {
            $crate::store::SqlStore::Sqlite(store) => store.$method($($argument),*).await,
            $crate::store::SqlStore::Postgres(store) => store.$method($($argument),*).await,
        }
    };
    ($self:ident.$method:ident($($argument:expr),*) in $transaction:ident) => {
        match ($self, $transaction) {
            ($crate::store::SqlStore::Sqlite(store), $crate::store::SqlTransaction::Sqlite(transaction)) => {
                store.$method(transaction, $($argument),*).await
            }
            ($crate::store::SqlStore::Postgres(store), $crate::store::SqlTransaction::Postgres(transaction)) => {
                store.$method(transaction, $($argument),*).await
            }
            (store, _) => Err($crate::store::sql::foreign(store)),
        }
    };
}
use pass_on;

fn foreign(store: &SqlStore) -> Error {
    let name = store.capabilities().name;
    let message = format!("this transaction is not one of the store `{name}`; begin it on the database of the store");
    Error::new(ErrorKind::Configuration, message)
}

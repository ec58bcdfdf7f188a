//! What SQLite complains about, in the crate's words: which file, what is wrong, what to do next.

use std::path::Path;

use super::SqliteStore;
use crate::error::{Error, ErrorKind, Result};

/// The primary result codes (<https://www.sqlite.org/rescode.html>) that have a next step of their own.
mod code {
    pub(super) const ERROR: i32 = 1;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const TOOBIG: i32 = 18;
    pub(super) const NOTADB: i32 = 26;
    /// An extended code: a transaction that began by reading can't write, because another one has written since.
    pub(super) const BUSY_SNAPSHOT: i32 = 517;
}

/// Adds the file to a driver's error.
pub(super) trait Context<T> {
    fn context(self, store: &SqliteStore) -> Result<T>;
}

impl<T> Context<T> for Result<T, sqlx::Error> {
    fn context(self, store: &SqliteStore) -> Result<T> {
        self.map_err(|error| from_sqlx(&store.shared.path, error))
    }
}

/// The result code of SQLite, if this is its error.
fn extended_code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    extended_code(error).map(|code| code & 0xff)
}

/// Whether another connection holds the lock.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(code::BUSY | code::LOCKED))
}

pub(super) fn from_sqlx(path: &Path, error: sqlx::Error) -> Error {
    let (kind, problem) = explain(&error);
    Error::new(kind, format!("SQLite file `{}`: {problem}", path.display())).with_source(error)
}

fn explain(error: &sqlx::Error) -> (ErrorKind, String) {
    use ErrorKind::{Configuration, Corrupt, InvalidEvent, Schema, Store, Unavailable};
    let text = match error {
        sqlx::Error::PoolTimedOut => {
            return (
                Unavailable,
                "no connection came free in time; is a transaction left open, or begun inside another one?".into(),
            );
        }
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            return (Unavailable, "the connection is closed; open the store again".into());
        }
        sqlx::Error::Io(io) => return (Unavailable, io.to_string()),
        sqlx::Error::Configuration(problem) => return (Configuration, problem.to_string()),
        sqlx::Error::ColumnDecode { index, source } => {
            return (Corrupt, format!("column `{index}` can't be read: {source}"));
        }
        other => other.as_database_error().map_or_else(|| other.to_string(), |error| error.message().to_owned()),
    };
    match primary_code(error) {
        Some(_) if extended_code(error) == Some(code::BUSY_SNAPSHOT) => (
            Unavailable,
            "another transaction wrote after this one had begun to read; repeat it, begun with `BEGIN IMMEDIATE`".into(),
        ),
        Some(code::BUSY | code::LOCKED) => (
            Unavailable,
            "another transaction has held the write lock for longer than the busy timeout; keep transactions short, or \
             raise `SqliteOptions::busy_timeout`"
                .into(),
        ),
        Some(code::READONLY) => {
            (Store, "it is read-only; give this process the right to write the file and its folder".into())
        }
        Some(code::CORRUPT) => (Corrupt, format!("it is damaged ({text}); restore it from a backup")),
        Some(code::NOTADB) => (Corrupt, "it is not a SQLite database (or encrypted); check the path".into()),
        Some(code::FULL) => (Unavailable, "the disk is full; free some space, then the same call succeeds".into()),
        Some(code::CANTOPEN) => {
            (Configuration, "it can't be opened; its folder must exist and this process may write in it".into())
        }
        Some(code::IOERR) => (Unavailable, format!("the disk reports an error ({text}); check it and its free space")),
        Some(code::TOOBIG) => (InvalidEvent, "a value is longer than SQLite's limit of 1,000,000,000 bytes".into()),
        Some(code::ERROR) if text.contains("no such table: event_") => {
            (Schema, format!("the tables of domain-events are missing ({text}); call `migrate()`"))
        }
        _ => (Store, text),
    }
}

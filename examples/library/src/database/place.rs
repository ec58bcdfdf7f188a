//! Which database: what the command line and `DATABASE_URL` say.

use std::{fmt, path::PathBuf};

/// Which database.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A SQLite file, by its path.
    File(PathBuf),
    /// A SQLite file, by its URL.
    Sqlite(String),
    /// A database that is gone afterwards.
    Memory,
    /// A PostgreSQL database, by its URL. There may be a password in it.
    Postgres(String),
}

impl Place {
    /// The place that a URL names.
    ///
    /// What is wrong is told without the URL, but for its scheme: the rest may be, or hold, a password.
    pub fn at(url: String) -> Result<Self, String> {
        let problem = match url.split_once(':') {
            Some(("sqlite", file)) if file.contains(":memory:") || file.contains("mode=memory") => {
                return Ok(Self::Memory);
            }
            Some(("sqlite", _)) => return Ok(Self::Sqlite(url)),
            Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") => return Ok(Self::Postgres(url)),
            Some((scheme, rest)) if rest.starts_with("//") => format!("is a `{scheme}:` URL"),
            _ => "is not a URL".to_owned(),
        };
        Err(format!("{problem}; write `postgres://user:password@host/database` or `sqlite://path/to/file.db`"))
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Sqlite(url) => f.debug_tuple("Sqlite").field(url).finish(),
            Self::Memory => f.write_str("Memory"),
            Self::Postgres(_) => f.write_str("Postgres(..)"),
        }
    }
}

//! What PostgreSQL complains about, in the crate's words: which server, what is wrong, what to do next.

use super::PostgresStore;
use crate::error::{Error, ErrorKind, Result};

/// Adds the server to a driver's error.
pub(super) trait Context<T> {
    fn context(self, store: &PostgresStore) -> Result<T>;
}

impl<T> Context<T> for Result<T, sqlx::Error> {
    fn context(self, store: &PostgresStore) -> Result<T> {
        self.map_err(|error| from_sqlx(&store.shared.place, error))
    }
}

pub(super) fn from_sqlx(place: &str, error: sqlx::Error) -> Error {
    let (kind, problem) = explain(&error);
    Error::new(kind, format!("PostgreSQL at `{place}`: {problem}")).with_source(error)
}

/// The error's code (<https://www.postgresql.org/docs/current/errcodes-appendix.html>), if the server sent it.
pub(super) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(|code| code.into_owned())
}

/// Whether the connection is gone, which a call on another one need not be.
pub(super) fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Protocol(_) => true,
        other => code(other).is_some_and(|code| ["08", "57P", "25P03"].iter().any(|class| code.starts_with(class))),
    }
}

fn explain(error: &sqlx::Error) -> (ErrorKind, String) {
    use ErrorKind::{Configuration, Corrupt, Unavailable};
    match error {
        sqlx::Error::PoolTimedOut => (
            Unavailable,
            "no connection came free in time; is the server away, or all connections in transactions that are left \
             open? (`PostgresOptions::connections`, `acquire_timeout`)"
                .into(),
        ),
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            (Unavailable, "the pool is closed; connect again".into())
        }
        sqlx::Error::Io(io) => (Unavailable, format!("the connection failed ({io}); is the server running?")),
        sqlx::Error::Protocol(problem) => (Unavailable, format!("the connection broke ({problem})")),
        sqlx::Error::Tls(problem) => {
            (Configuration, format!("TLS failed ({problem}); check `sslmode` and `sslrootcert` in the URL"))
        }
        sqlx::Error::Configuration(problem) => (Configuration, problem.to_string()),
        sqlx::Error::ColumnDecode { index, source } => (Corrupt, format!("column `{index}` can't be read: {source}")),
        other => match (other.as_database_error(), code(other)) {
            (Some(database), Some(code)) => explain_code(&code, database.message()),
            _ => (ErrorKind::Store, other.to_string()),
        },
    }
}

fn explain_code(code: &str, text: &str) -> (ErrorKind, String) {
    use ErrorKind::{Aborted, Configuration, Corrupt, InvalidEvent, Schema, Store, Unavailable};
    match code {
        "40001" | "40P01" => (Unavailable, format!("another transaction was in the way ({text}); repeat this one")),
        "53100" => (Unavailable, "its disk is full; free some space, then the same call succeeds".into()),
        // A limit or quota for files is none of the errors that PostgreSQL has a code for.
        "XX000" if text.starts_with("could not extend file") => (
            Unavailable,
            format!("its disk is full, or lets no file grow ({text}); free some space, then the same call succeeds"),
        ),
        "53300" => (
            Unavailable,
            "it has no connection left; use fewer (`PostgresOptions::connections`) or raise its `max_connections`"
                .into(),
        ),
        "57014" | "55P03" | "25P03" | "57P05" => {
            (Unavailable, format!("a time limit was reached ({text}); the same call may succeed later"))
        }
        "25006" => {
            (Unavailable, "it is read-only: a standby, or one that is being replaced; connect to the primary".into())
        }
        "25P02" => (
            Aborted,
            "an earlier statement of this transaction failed, and nothing of it can be kept; roll it back".into(),
        ),
        "42P01" | "42883" | "3F000" if text.contains("event_") || code == "3F000" => {
            (Schema, format!("the tables of domain-events are missing ({text}); call `migrate()`"))
        }
        "42501" => (Configuration, format!("this role may not do that ({text}); grant it the right")),
        "3D000" => (Configuration, format!("{text}; create it, or name another one in the URL")),
        "54000" | "54001" | "22P05" | "22021" => (InvalidEvent, format!("a value can't be kept ({text})")),
        "26000" | "42P05" => (
            Configuration,
            format!(
                "{text}: a proxy seems to give its connections to other clients between transactions; use \
                 `PostgresOptions::transaction_pooling()`, and `persistent(false)` for statements of your own"
            ),
        ),
        "08P01" if text.contains("startup parameter") => (
            Configuration,
            format!(
                "a proxy refuses this connection ({text}); if it pools by transaction, use \
                 `PostgresOptions::transaction_pooling()`, else let the parameter pass (PgBouncer: \
                 `ignore_startup_parameters`)"
            ),
        ),
        "XX001" | "XX002" => (Corrupt, format!("it is damaged ({text}); restore it from a backup")),
        _ if code.starts_with("28") => (Configuration, format!("{text}; check user and password in the URL")),
        _ if ["08", "53", "57P", "58"].iter().any(|class| code.starts_with(class)) => {
            (Unavailable, format!("{text}; the same call may succeed later"))
        }
        _ => (Store, format!("{text} (code {code})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_temporary() {
        for code in [
            "08006", "40001", "40P01", "53100", "53300", "55P03", "57014", "57P01", "57P02", "57P03", "25006", "25P03",
            "58030",
        ] {
            assert_eq!(explain_code(code, "").0, ErrorKind::Unavailable, "{code}");
        }
        let quota = "could not extend file \"base/5/16400\": Disk quota exceeded";
        assert_eq!(explain_code("XX000", quota).0, ErrorKind::Unavailable);
        assert_eq!(explain_code("XX000", "cache lookup failed").0, ErrorKind::Store);
        for (code, kind) in [
            ("28P01", ErrorKind::Configuration),
            ("3D000", ErrorKind::Configuration),
            ("42501", ErrorKind::Configuration),
            ("XX001", ErrorKind::Corrupt),
            ("54001", ErrorKind::InvalidEvent),
            ("42601", ErrorKind::Store),
        ] {
            assert_eq!(explain_code(code, "").0, kind, "{code}");
        }
        let (kind, text) = explain_code("08P01", "unsupported startup parameter: options");
        assert!(kind == ErrorKind::Configuration && text.contains("transaction_pooling()"), "{text}");
        assert_eq!(explain_code("08P01", "server closed the connection").0, ErrorKind::Unavailable);
        assert_eq!(explain_code("42P01", "relation \"event_log\" does not exist").0, ErrorKind::Schema);
        assert_eq!(explain_code("42P01", "relation \"card\" does not exist").0, ErrorKind::Store);
    }
}

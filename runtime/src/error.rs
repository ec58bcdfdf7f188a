//! The crate's error: what happened, with the value, and the next step.
//!
//! One type for every store, so that code above a store never names a database driver.

use std::{error::Error as StdError, fmt};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure an [`Error`] is: for code that must decide what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An event, or one of its fields, can't be kept: too large, an empty id, a value the store has no room for.
    InvalidEvent,
    /// Another writer changed the same aggregate first: reload it and try again.
    Conflict,
    /// The store can't be reached or is busy; the same call may succeed later.
    Unavailable,
    /// The store holds data this crate did not write, or can't read.
    Corrupt,
    /// The store's schema is older or newer than this code.
    Schema,
    /// The wiring is wrong: found at start-up, by `build()`.
    Configuration,
    /// What was asked for does not exist: a dead letter, a subscription.
    NotFound,
    /// A statement of the transaction failed, the error was passed over, and the database keeps nothing of it: roll back.
    Aborted,
    /// What a person asked for would destroy what is still in use; the message says what, and how to go on.
    Refused,
    /// The store refused the call for another reason.
    Store,
}

/// What went wrong, and what to do about it.
///
/// `Display` is one line that carries the value at fault and the next step; `source` is the driver's error, where
/// there is one.
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of this kind. For implementers of stores and transports.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// The same error with the cause below it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of failure this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later without a change: the store was away or busy.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    // `fn main() -> Result<(), Error>` prints `Debug`: make that readable too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.message, self.kind)?;
        let mut cause = self.source.as_deref().map(|source| source as &dyn StdError);
        while let Some(error) = cause {
            write!(f, "\n  caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

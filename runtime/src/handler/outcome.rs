//! What a handler answers: done, or an error that says whether and when to try again.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

/// What is to happen with a delivery whose handler failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Try again after the handler's backoff, up to its `max_attempts`. What every ordinary error means.
    Retry,
    /// Try again after this long; counts as an attempt.
    RetryAfter(Duration),
    /// Trying again can't help: a dead letter at once.
    Permanent,
    /// Nothing is to be done about it: recorded and over.
    Discard,
}

/// Why a handler failed. Every error type converts into it, so `?` works in a handler that returns
/// `Result<(), HandlerError>`; the constructors below say more than "try again".
///
/// ```
/// use domain_events::HandlerError;
/// use std::time::Duration;
///
/// fn send(status: u16) -> Result<(), HandlerError> {
///     match status {
///         200 => Ok(()),
///         410 => Err(HandlerError::discard("the recipient closed the account")),
///         422 => Err(HandlerError::permanent("the gateway refuses this address")),
///         429 => Err(HandlerError::retry_after(Duration::from_secs(30), "too many requests")),
///         _ => Err("the gateway is away".into()), // any error: retried with backoff
///     }
/// }
/// # assert!(send(429).is_err());
/// ```
pub struct HandlerError(Box<Inner>);

struct Inner {
    verdict: Verdict,
    cause: Box<dyn StdError + Send + Sync>,
}

impl HandlerError {
    /// Trying again can't help: the delivery becomes a dead letter at once.
    pub fn permanent(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Verdict::Permanent, cause)
    }

    /// Try again, not before `wait` has passed. Counts as an attempt.
    pub fn retry_after(wait: Duration, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Verdict::RetryAfter(wait), cause)
    }

    /// Nothing is to be done: the delivery counts as handled, and the reason is logged.
    pub fn discard(why: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Verdict::Discard, why)
    }

    fn new(verdict: Verdict, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(Box::new(Inner { verdict, cause: cause.into() }))
    }

    /// What is to happen with the delivery.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.0.verdict
    }

    /// The error the handler returned.
    #[must_use]
    pub fn cause(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.0.cause
    }
}

// Not for `HandlerError` itself, which for this reason is no `std::error::Error`.
impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for HandlerError {
    fn from(cause: E) -> Self {
        Self::new(Verdict::Retry, cause)
    }
}

impl fmt::Display for HandlerError {
    /// The error and its causes, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.cause)?;
        let mut source = self.0.cause.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandlerError({:?}, {self})", self.0.verdict)
    }
}

/// What an event handler can return: `()`, or `Result<(), E>` where `E` converts into [`HandlerError`].
#[diagnostic::on_unimplemented(
    message = "an event handler can't return `{Self}`",
    label = "expected `Result<(), E>` or `()`",
    note = "`E` can be any error type: one that implements `std::error::Error + Send + Sync`, `HandlerError`, \
            `anyhow::Error`, `String` or `&str`"
)]
pub trait HandlerOutput {
    /// The answer in its one form.
    #[doc(hidden)]
    fn into_result(self) -> Result<(), HandlerError>;
}

#[diagnostic::do_not_recommend]
impl HandlerOutput for () {
    fn into_result(self) -> Result<(), HandlerError> {
        Ok(())
    }
}

#[diagnostic::do_not_recommend]
impl<E: Into<HandlerError>> HandlerOutput for Result<(), E> {
    fn into_result(self) -> Result<(), HandlerError> {
        self.map_err(Into::into)
    }
}

/// The text a dead letter or a report carries for a failure that did not come from the handler's own code.
pub(crate) fn failure(text: impl Into<Cow<'static, str>>) -> HandlerError {
    HandlerError::from(text.into().into_owned())
}

/// What became of a handler that answered that all went well, after a statement of its transaction had failed.
pub(crate) fn passed_over(error: &crate::error::Error) -> HandlerError {
    failure(format!(
        "a statement of the handler failed and its error was not passed on: {error}; return the error of each statement, \
         for example with `?`"
    ))
}

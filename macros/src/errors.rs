//! All mistakes of one annotation, told at once.

use quote::ToTokens;
use syn::{Error, Result};

/// Takes in mistakes. There is no constructor: it exists only inside [`collect`], which reads it, so that no mistake
/// can be dropped unread.
pub(crate) struct Errors(Option<Error>);

/// Runs `f` and returns what it found out beside the mistakes it told.
pub(crate) fn collect<T>(f: impl FnOnce(&mut Errors) -> T) -> (T, Result<()>) {
    let mut errors = Errors(None);
    let value = f(&mut errors);
    (value, errors.0.map_or(Ok(()), Err))
}

/// The mistakes of two steps, the first one's first.
pub(crate) fn both(first: Result<()>, second: Result<()>) -> Result<()> {
    match (first, second) {
        (Err(mut first), Err(second)) => {
            first.combine(second);
            Err(first)
        }
        (first, second) => first.and(second),
    }
}

impl Errors {
    /// A mistake in these tokens.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(Error::new_spanned(tokens, message));
    }

    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// The value of `result`; its mistake is taken in.
    pub(crate) fn keep<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }
}

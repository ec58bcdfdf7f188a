//! A handler's panic is an error like any other: it takes neither the processor nor another handler with it.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::handler::outcome::{HandlerError, failure};

/// Runs a piece of a handler; a panic is its answer. The handler must not be run on then.
#[inline]
pub(super) fn caught<T>(piece: impl FnOnce() -> T) -> Result<T, HandlerError> {
    // What the handler shares with others is behind services, whose locks poison: that is for them to answer.
    catch_unwind(AssertUnwindSafe(piece)).map_err(|payload| panicked(&*payload))
}

#[cold]
fn panicked(payload: &(dyn Any + Send)) -> HandlerError {
    failure(format!("the handler panicked: {}", panic_message(payload)))
}

/// What a panic said.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "with a value that is no text"
    }
}

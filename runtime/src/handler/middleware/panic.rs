//! A handler's panic is an error like any other: it takes neither the processor nor another handler with it.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use crate::handler::outcome::{HandlerError, failure};

/// Polls a handler; a panic is its answer. The future must not be polled again then.
pub(super) fn caught(
    future: Pin<&mut (dyn Future<Output = Result<(), HandlerError>> + Send + '_)>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), HandlerError>> {
    // What the handler shares with others is behind services, whose locks poison: that is for them to answer.
    match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
        Ok(poll) => poll,
        Err(payload) => Poll::Ready(Err(failure(format!("the handler panicked: {}", panic_message(&*payload))))),
    }
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

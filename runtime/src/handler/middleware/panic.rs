//! A handler's panic is an error like any other: it takes neither the processor nor another handler with it.

use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use crate::handler::{
    definition::HandlerFuture,
    outcome::{HandlerError, failure},
};

pub(super) struct CatchPanic<'a> {
    future: HandlerFuture<'a>,
}

impl<'a> CatchPanic<'a> {
    pub(super) fn new(future: HandlerFuture<'a>) -> Self {
        Self { future }
    }
}

impl Future for CatchPanic<'_> {
    type Output = Result<(), HandlerError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // After a panic the future is dropped and never polled again. What it shares with others is behind services,
        // whose locks poison: that is for them to answer.
        match catch_unwind(AssertUnwindSafe(|| self.future.as_mut().poll(cx))) {
            Ok(poll) => poll,
            Err(payload) => Poll::Ready(Err(failure(format!("the handler panicked: {}", panic_message(&*payload))))),
        }
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

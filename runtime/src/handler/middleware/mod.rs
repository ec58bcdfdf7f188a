//! What stands around every call of a handler, outermost first: a span, a limit of time, a net for panics.
//!
//! They are one future rather than three nested ones, and hold nothing that is not needed yet: a handler that answers at
//! once pays for the net alone.

mod panic;
mod timeout;
mod trace;

use std::{
    any::Any,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tracing::Span;

pub(crate) use self::panic::panic_message;
use self::{panic::caught, timeout::Timer};
use super::{
    definition::{HandlerFuture, Invocation, MetaSource},
    outcome::HandlerError,
    registry::{Entry, Wired},
};
use crate::event::AnyEvent;

/// What one call is about, beside the handler.
pub(crate) struct Call<'a> {
    pub(crate) event: &'a AnyEvent,
    pub(crate) meta: &'a dyn MetaSource,
    /// From 1.
    pub(crate) attempt: u32,
    /// The connection of an open transaction, for a handler that takes it.
    pub(crate) transaction: Option<&'a mut (dyn Any + Send)>,
}

/// A call of a handler, in which a panic and a run that takes too long are errors.
pub(crate) struct Guarded<'a> {
    // Taken out when it is done, so that it is dropped before whoever waits goes on.
    future: Option<HandlerFuture<'a>>,
    timer: Timer,
    span: Option<Box<Span>>,
}

/// Calls a handler.
// Inlined, it is made where it is polled; moved there, it would be read before its parts have been written.
#[inline(always)]
pub(crate) fn call<'a>(wired: &'a Wired, entry: &'a Entry, call: Call<'a>) -> Guarded<'a> {
    let invocation = Invocation {
        event: call.event,
        meta: call.meta,
        attempt: call.attempt,
        bound: &entry.bound,
        instance: wired.instance.as_ref(),
        transaction: call.transaction,
    };
    Guarded {
        future: Some((entry.handled.call)(invocation)),
        timer: Timer::new(wired.options.timeout),
        span: trace::span(wired, entry, call.attempt),
    }
}

impl Future for Guarded<'_> {
    type Output = Result<(), HandlerError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { future, timer, span } = &mut *self;
        let _entered = span.as_ref().map(|span| span.enter());
        let Some(running) = future else { return Poll::Ready(Ok(())) };
        let answer = match caught(running.as_mut(), cx) {
            Poll::Ready(answer) => answer,
            Poll::Pending => match timer.poll(cx) {
                Poll::Ready(late) => Err(late),
                Poll::Pending => return Poll::Pending,
            },
        };
        *future = None;
        Poll::Ready(answer)
    }
}

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
    task::{Context, Poll, ready},
};

use tracing::Span;

pub(crate) use self::panic::panic_message;
use self::{panic::caught, timeout::Timer};
use super::{
    definition::{Begun, Call, HandlerFuture, Invocation},
    outcome::HandlerError,
    registry::{Entry, Wired},
};

/// A call of a handler, in which a panic and a run that takes too long are errors.
pub(crate) struct Guarded<'a> {
    invocation: Invocation<'a>,
    span: Option<Box<Span>>,
    progress: Progress<'a>,
}

/// How far the handler is.
enum Progress<'a> {
    Fresh,
    Waiting(HandlerFuture<'a>, Timer),
    // The handler's future is dropped before whoever waits for its answer goes on.
    Answered,
}

/// Calls a handler.
// Inlined, it is made where it is polled; moved there, it would be read before its parts have been written.
#[inline(always)]
pub(crate) fn call<'a>(
    about: &'a Call<'a>,
    wired: &'a Wired,
    entry: &'a Entry,
    transaction: Option<&'a mut (dyn Any + Send)>,
) -> Guarded<'a> {
    Guarded {
        invocation: Invocation { about, wired, entry, transaction },
        span: trace::span(about, wired, entry),
        progress: Progress::Fresh,
    }
}

impl Future for Guarded<'_> {
    type Output = Result<(), HandlerError>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { invocation, span, progress } = &mut *self;
        let _entered = span.as_ref().map(|span| span.enter());
        let answer = match progress {
            Progress::Fresh => match caught(|| (invocation.entry.handled.call)(invocation, cx)) {
                Ok(Begun::Answered(answer)) => answer,
                Ok(Begun::Waiting(handler)) => {
                    let mut timer = Timer::new(invocation.wired.options.timeout);
                    match timer.poll(cx) {
                        Poll::Ready(late) => Err(late),
                        Poll::Pending => {
                            *progress = Progress::Waiting(handler, timer);
                            return Poll::Pending;
                        }
                    }
                }
                Err(panicked) => Err(panicked),
            },
            Progress::Waiting(handler, timer) => match caught(|| handler.as_mut().poll(cx)) {
                Ok(Poll::Ready(answer)) => answer,
                Ok(Poll::Pending) => Err(ready!(timer.poll(cx))),
                Err(panicked) => Err(panicked),
            },
            Progress::Answered => return Poll::Ready(Ok(())),
        };
        *progress = Progress::Answered;
        Poll::Ready(answer)
    }
}

//! One span per call, named after OpenTelemetry's messaging conventions: operation `process`, destination the event.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tracing::{Level, Span, debug_span, level_filters::LevelFilter};

use crate::handler::registry::{Entry, Wired};

/// A call within its span. Where nobody listens at level DEBUG, none is made: a disabled span costs as much as a call.
pub(super) struct Traced<F> {
    future: F,
    span: Option<Span>,
}

impl<F> Traced<F> {
    pub(super) fn new(future: F, wired: &Wired, entry: &Entry, attempt: u32) -> Self {
        let span = (LevelFilter::current() >= Level::DEBUG).then(|| {
            debug_span!(
                "process",
                messaging.operation.name = "process",
                messaging.destination.name = entry.handled.event.name,
                messaging.consumer.group.name = &*wired.name,
                attempt,
            )
        });
        Self { future, span }
    }
}

impl<F: Future + Unpin> Future for Traced<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { future, span } = &mut *self;
        let _entered = span.as_ref().map(Span::enter);
        Pin::new(future).poll(cx)
    }
}

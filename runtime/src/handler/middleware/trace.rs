//! One span per call, named after OpenTelemetry's messaging conventions: operation `process`, destination the event.

use tracing::{Level, Span, debug_span, level_filters::LevelFilter};

use crate::handler::registry::{Entry, Wired};

/// The span of a call. Where nobody listens at level DEBUG, none is made: a disabled one costs as much as a call.
#[inline]
pub(super) fn span(wired: &Wired, entry: &Entry, attempt: u32) -> Option<Box<Span>> {
    (LevelFilter::current() >= Level::DEBUG).then(|| enabled(wired, entry, attempt))
}

#[cold]
fn enabled(wired: &Wired, entry: &Entry, attempt: u32) -> Box<Span> {
    Box::new(debug_span!(
        "process",
        messaging.operation.name = "process",
        messaging.destination.name = entry.handled.event.name,
        messaging.consumer.group.name = &*wired.name,
        attempt,
    ))
}

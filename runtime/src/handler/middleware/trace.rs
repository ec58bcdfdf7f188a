//! One span per call, named after OpenTelemetry's messaging conventions: operation `process`, destination the event.

use tracing::{Level, Span, debug_span, level_filters::LevelFilter};

use crate::handler::{
    definition::Call,
    registry::{Entry, Wired},
};

/// The span of a call. Where nobody listens at level DEBUG, none is made: a disabled one costs as much as a call.
#[inline]
pub(super) fn span(about: &Call<'_>, wired: &Wired, entry: &Entry) -> Option<Box<Span>> {
    (LevelFilter::current() >= Level::DEBUG).then(|| enabled(about, wired, entry))
}

#[cold]
fn enabled(about: &Call<'_>, wired: &Wired, entry: &Entry) -> Box<Span> {
    Box::new(debug_span!(
        "process",
        messaging.operation.name = "process",
        messaging.destination.name = entry.handled.event.name,
        messaging.consumer.group.name = &*wired.name,
        attempt = about.attempt,
    ))
}

//! One span per call, named after OpenTelemetry's messaging conventions: operation `process`, destination the event.

use std::future::Future;

use tracing::{Instrument, debug_span};

use crate::handler::{
    outcome::HandlerError,
    registry::{Entry, Wired},
};

pub(super) async fn traced(
    call: impl Future<Output = Result<(), HandlerError>>,
    wired: &Wired,
    entry: &Entry,
    attempt: u32,
) -> Result<(), HandlerError> {
    let span = debug_span!(
        "process",
        messaging.operation.name = "process",
        messaging.destination.name = entry.handled.event.name,
        messaging.consumer.group.name = &*wired.name,
        attempt,
    );
    if span.is_disabled() { call.await } else { call.instrument(span).await }
}

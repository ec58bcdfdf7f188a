//! From an envelope to the event that handlers are given, or to why none can be.

use std::sync::Arc;

use super::{Registry, Resolution};
use crate::event::{AnyEvent, DeadReason, Envelope, EventDef};

/// Why no handler can be given this event.
#[derive(Debug, Clone)]
pub(crate) struct Undeliverable {
    pub(crate) reason: DeadReason,
    pub(crate) error: String,
}

/// The event in an envelope, or why there is none for this program.
pub(crate) fn decode(
    envelope: &Envelope,
    registry: &Registry,
) -> std::result::Result<(&'static EventDef, Arc<AnyEvent>), Undeliverable> {
    let meta = &envelope.meta;
    match registry.resolve(&meta.name, meta.version) {
        Resolution::Known(def) => match (def.decode)(&envelope.payload) {
            Ok(event) => Ok((def, event)),
            Err(error) => Err(Undeliverable {
                reason: DeadReason::Undecodable,
                error: format!("the payload is no `{}` of version {}: {error}", meta.name, meta.version),
            }),
        },
        Resolution::UnknownVersion(known) => Err(Undeliverable {
            reason: DeadReason::UnknownVersion,
            error: format!(
                "`{}` is stored in version {}, this program knows version {known:?}",
                meta.name, meta.version
            ),
        }),
        Resolution::UnknownEvent => Err(Undeliverable {
            reason: DeadReason::UnknownEvent,
            error: format!(
                "no event of this program is named `{}`; if it was renamed, give the new one `alias = \"{0}\"`",
                meta.name
            ),
        }),
    }
}

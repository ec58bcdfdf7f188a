//! A message that arrived, read as an envelope.

use std::sync::Arc;

use crate::{
    event::{Envelope, key_of},
    handler::{Registry, Resolution},
    transport::{
        message::{self, Unreadable},
        record::Incoming,
    },
};

/// A message that is an event, by its envelope.
pub(super) struct Arrival {
    pub(super) envelope: Envelope,
    /// As it came: what a dead letter keeps.
    pub(super) message: Arc<Incoming>,
    pub(super) key: u64,
}

impl Arrival {
    pub(super) fn read(message: &Arc<Incoming>, registry: &Registry) -> Result<Self, Unreadable> {
        let mut envelope = message::decode(message)?;
        if envelope.meta.aggregate_type.is_empty()
            && let Resolution::Known(def) = registry.resolve(&envelope.meta.name, envelope.meta.version)
        {
            envelope.meta.aggregate_type = def.aggregate.into();
        }
        let key = key_of(&envelope.meta.aggregate_type, envelope.meta.aggregate_id.as_str());
        Ok(Self { envelope, message: Arc::clone(message), key })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::event::{AggregateId, EventId, EventMeta};

    /// Something of this aggregate.
    pub(in crate::consumer) fn arrival(aggregate: &str) -> Arc<Arrival> {
        let id = AggregateId::from(aggregate);
        let meta = EventMeta::new(EventId::generate(), "CardAdded", 1, "Card", id, DateTime::UNIX_EPOCH);
        Arc::new(Arrival {
            envelope: Envelope::new(meta, b"{}".to_vec()),
            message: Arc::default(),
            key: key_of("Card", aggregate),
        })
    }
}

//! The queue of an aggregate, as the processor meets it: in an event, or in a parked delivery.

pub(super) use crate::event::partition_of as partition;
use crate::{
    event::{EventMeta, key_of},
    store::record::AggregateKey,
};

pub(super) fn of_event(meta: &EventMeta) -> u64 {
    key_of(&meta.aggregate_type, meta.aggregate_id.as_str())
}

pub(super) fn of_aggregate(key: &AggregateKey) -> u64 {
    key_of(&key.aggregate_type, key.aggregate_id.as_str())
}

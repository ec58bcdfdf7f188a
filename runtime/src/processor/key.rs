//! Which queue and which partition an aggregate belongs to: a hash that is the same in every process and release.

use crate::event::EventMeta;
use crate::store::record::AggregateKey;

/// FNV-1a, 64 bits, over type, a byte that no UTF-8 text has, and id. Two aggregates of one hash share a queue: they
/// are delivered one after the other, which harms nothing.
fn fnv1a(aggregate_type: &str, aggregate_id: &str) -> u64 {
    let bytes = aggregate_type.bytes().chain([0xff]).chain(aggregate_id.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

pub(super) fn of_event(meta: &EventMeta) -> u64 {
    fnv1a(&meta.aggregate_type, meta.aggregate_id.as_str())
}

pub(super) fn of_aggregate(key: &AggregateKey) -> u64 {
    fnv1a(&key.aggregate_type, key.aggregate_id.as_str())
}

/// The partition of a key. FNV's low bits are its weakest, so the high half takes part.
pub(super) fn partition(key: u64, partitions: u16) -> u16 {
    u16::try_from((key ^ (key >> 32)) % u64::from(partitions.max(1))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_never_changes() {
        // Stored positions depend on it: a partition's events must be the same in every release.
        assert_eq!(fnv1a("", ""), 0xaf64_724c_8602_eb6e);
        assert_eq!(fnv1a("Card", "c1"), fnv1a("Card", "c1"));
        assert_ne!(fnv1a("Card", "c1"), fnv1a("Car", "dc1"));
    }

    #[test]
    fn partitions_share_aggregates_about_evenly() {
        let mut counts = [0_u32; 4];
        for id in 0..4_000 {
            counts[usize::from(partition(fnv1a("Card", &format!("card-{id}")), 4))] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}

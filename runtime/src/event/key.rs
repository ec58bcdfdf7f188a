//! Which queue and which partition an aggregate belongs to: a hash that is the same in every process and release.

/// FNV-1a, 64 bits, over type, a byte that no UTF-8 text has, and id. Two aggregates of one hash share a queue: they
/// are delivered one after the other, which harms nothing.
#[must_use]
pub fn key_of(aggregate_type: &str, aggregate_id: &str) -> u64 {
    let bytes = aggregate_type.bytes().chain([0xff]).chain(aggregate_id.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The partition of a key, from 0 to one less than `partitions`. FNV's low bits are its weakest, so the high half takes
/// part.
#[must_use]
pub fn partition_of(key: u64, partitions: u16) -> u16 {
    u16::try_from((key ^ (key >> 32)) % u64::from(partitions.max(1))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_never_changes() {
        // Stored positions depend on it: a partition's events must be the same in every release.
        assert_eq!(key_of("", ""), 0xaf64_724c_8602_eb6e);
        assert_eq!(key_of("Card", "c1"), key_of("Card", "c1"));
        assert_ne!(key_of("Card", "c1"), key_of("Car", "dc1"));
    }

    #[test]
    fn partitions_share_aggregates_about_evenly() {
        let mut counts = [0_u32; 4];
        for id in 0..4_000 {
            counts[usize::from(partition_of(key_of("Card", &format!("card-{id}")), 4))] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}

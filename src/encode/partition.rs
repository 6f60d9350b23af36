//! Which partition a key belongs to: `murmur2(key) & 0x7fffffff mod n`, the default of Kafka's Java producer.
//!
//! Source of truth: `org.apache.kafka.common.utils.Utils.murmur2` and its test vectors.

/// The partition of `key` among `partitions`, which is at least 1.
pub fn partition(key: &[u8], partitions: u32) -> i32 {
    debug_assert!(partitions > 0, "a topic has at least one partition");
    ((murmur2(key) & 0x7fff_ffff) % partitions.max(1)) as i32
}

pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut h = SEED ^ data.len() as u32;
    let (chunks, tail) = data.as_chunks::<4>();
    for chunk in chunks {
        let mut k = u32::from_le_bytes(*chunk).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (i, byte) in tail.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ h >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of Kafka's `UtilsTest.testMurmur2`.
    #[test]
    fn hashes_are_kafkas_own() {
        for (text, hash) in [
            ("21", -973932308),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
            ("abc", 479470107),
        ] {
            assert_eq!(murmur2(text.as_bytes()) as i32, hash, "{text}");
        }
    }

    #[test]
    fn the_partition_is_never_negative() {
        assert_eq!(partition(b"21", 1), 0);
        assert!((0..1000u32).all(|i| (0..7).contains(&partition(&i.to_be_bytes(), 7))));
    }
}

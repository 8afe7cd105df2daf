//! A small stable hash, for names and digests that must come out alike in every run and build.

/// FNV-1a, 64 bits. Not for anything an adversary could gain by colliding.
pub(crate) fn fnv1a(parts: &[&[u8]]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash = OFFSET;
    for part in parts {
        // A byte between the parts, so that ("ab", "c") and ("a", "bc") differ.
        for byte in part.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        // The published vector for "a" followed by the separator's round.
        let a = 0xaf63_dc4c_8601_ec8c_u64;
        assert_eq!(fnv1a(&[b"a"]), (a ^ 0xff).wrapping_mul(0x100_0000_01b3));
        assert_ne!(fnv1a(&[b"ab", b"c"]), fnv1a(&[b"a", b"bc"]));
    }
}

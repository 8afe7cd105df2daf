//! Numbers that look random and follow from a seed (splitmix64, Steele, Lea and Flood 2014).

use std::str::FromStr;

use vpc_model::MacAddress;

/// A generator. Equal seeds give equal sequences.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound`, both included.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        match bound.checked_add(1) {
            Some(range) => self.next() % range,
            None => self.next(),
        }
    }

    /// An id in EC2's long form: the prefix and seventeen hexadecimal digits, the first a zero.
    pub(crate) fn id<T: FromStr>(&mut self, prefix: &str) -> T {
        loop {
            if let Ok(id) = format!("{prefix}0{:016x}", self.next()).parse() {
                return id;
            }
        }
    }

    /// The MAC address of a new ENI.
    pub(crate) fn mac(&mut self) -> MacAddress {
        let [a, b, c, d, e, f, ..] = self.next().to_be_bytes();
        MacAddress::locally_administered([a & 0x0f, b, c, d, e, f])
    }
}

#[cfg(test)]
mod tests {
    use vpc_model::EniId;

    use super::*;

    #[test]
    fn equal_seeds_give_equal_ids_and_others_do_not() {
        let id = |seed| Random::new(seed).id::<EniId>("eni-").to_string();
        assert_eq!(id(7), id(7));
        assert_ne!(id(7), id(8));
        assert_eq!(id(7).len(), "eni-".len() + 17);
    }

    #[test]
    fn numbers_stay_within_their_bound() {
        let mut random = Random::new(3);
        let seen: std::collections::BTreeSet<u64> = (0..200).map(|_| random.below(3)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(random.below(0), 0);
    }
}

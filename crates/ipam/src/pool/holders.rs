//! Which address a sandbox holds. Looked up by a digest of the key, which stands in the tree
//! itself: comparing whole keys would fetch three strings from memory at every step down, most of
//! the time of an ADD on a large node. The order of digests decides nothing.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use vpc_model::{EniId, PodKey};

/// The ENI and the address that a sandbox holds.
pub(super) type Place = (EniId, Ipv4Addr);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Holders {
    by_digest: BTreeMap<u64, Box<(PodKey, Place)>>,
    /// Keys whose digest another key had first.
    others: BTreeMap<PodKey, Place>,
}

impl Holders {
    pub(super) fn len(&self) -> usize {
        self.by_digest.len() + self.others.len()
    }

    pub(super) fn get(&self, key: &PodKey) -> Option<&Place> {
        match self.by_digest.get(&digest(key)) {
            Some(found) if found.0 == *key => Some(&found.1),
            Some(_) | None => self.others.get(key),
        }
    }

    pub(super) fn insert(&mut self, key: PodKey, place: Place) {
        let entry = self.by_digest.entry(digest(&key));
        match entry {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                self.others.remove(&key);
                vacant.insert(Box::new((key, place)));
            }
            std::collections::btree_map::Entry::Occupied(mut occupied) => {
                if occupied.get().0 == key {
                    occupied.get_mut().1 = place;
                } else {
                    self.others.insert(key, place);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, key: &PodKey) -> Option<Place> {
        let digest = digest(key);
        match self.by_digest.get(&digest) {
            Some(found) if found.0 == *key => self.by_digest.remove(&digest).map(|found| found.1),
            Some(_) | None => self.others.remove(key),
        }
    }
}

/// Eight bytes at a time, each multiplied in (the constants are those of SplitMix64). Two keys may
/// have the same one; nothing depends on that they do not.
fn digest(key: &PodKey) -> u64 {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    for text in [&key.container_id, &key.if_name, &key.network] {
        for chunk in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            state = (state ^ u64::from_le_bytes(word)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            state ^= state >> 29;
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> PodKey {
        PodKey {
            network: "aws-cni".to_owned(),
            container_id: name.to_owned(),
            if_name: "eth0".to_owned(),
        }
    }

    fn place(last: u8) -> Place {
        ("eni-1".parse().unwrap(), Ipv4Addr::new(10, 0, 0, last))
    }

    #[test]
    fn what_was_inserted_is_found_until_it_is_removed() {
        let mut holders = Holders::default();
        for number in 0..200 {
            holders.insert(key(&format!("{number}")), place(number));
        }
        holders.insert(key("7"), place(250));
        assert_eq!(holders.len(), 200);
        assert_eq!(holders.get(&key("7")), Some(&place(250)));
        assert_eq!(holders.remove(&key("7")), Some(place(250)));
        assert_eq!(holders.remove(&key("7")), None);
        assert_eq!(holders.get(&key("8")), Some(&place(8)));
    }

    #[test]
    fn keys_with_the_same_digest_do_not_disturb_each_other() {
        let mut holders = Holders::default();
        let (first, second) = (key("a"), key("b"));
        // As if both had the digest of the second.
        let taken = Box::new((first, place(1)));
        holders.by_digest.insert(digest(&second), taken);
        holders.insert(second.clone(), place(2));
        assert_eq!(holders.get(&second), Some(&place(2)));
        holders.insert(second.clone(), place(3));
        assert_eq!((holders.len(), holders.get(&second)), (2, Some(&place(3))));
        holders.by_digest.clear();
        assert_eq!(holders.get(&second), Some(&place(3)));
        holders.insert(second.clone(), place(4));
        assert_eq!((holders.len(), holders.get(&second)), (1, Some(&place(4))));
        assert_eq!(holders.remove(&second), Some(place(4)));
    }
}

//! Things that end: looked up by what they are, dropped in the order in which they end.

use std::collections::{BTreeMap, BTreeSet};

use vpc_model::Timestamp;

/// Keys and when each ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deadlines<K> {
    by_key: BTreeMap<K, Timestamp>,
    by_end: BTreeSet<(Timestamp, K)>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Self {
            by_key: BTreeMap::new(),
            by_end: BTreeSet::new(),
        }
    }
}

impl<K: Ord + Clone> Deadlines<K> {
    /// Sets when a key ends.
    pub(crate) fn insert(&mut self, key: K, end: Timestamp) {
        self.remove(&key);
        self.by_end.insert((end, key.clone()));
        self.by_key.insert(key, end);
    }

    /// Takes a key out.
    pub(crate) fn remove(&mut self, key: &K) -> Option<Timestamp> {
        let end = self.by_key.remove(key)?;
        self.by_end.remove(&(end, key.clone()));
        Some(end)
    }

    /// Whether the key is in, and ends later than that.
    pub(crate) fn lasts(&self, key: &K, now: Timestamp) -> bool {
        self.by_key.get(key).is_some_and(|end| *end > now)
    }

    /// Drops what has ended.
    pub(crate) fn drop_ended(&mut self, now: Timestamp) {
        while let Some((end, key)) = self.by_end.pop_first() {
            if end > now {
                self.by_end.insert((end, key));
                break;
            }
            self.by_key.remove(&key);
        }
    }

    /// All of them, by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, Timestamp)> {
        self.by_key.iter().map(|(key, end)| (key, *end))
    }

    /// When the last one ends.
    pub(crate) fn last_end(&self) -> Option<Timestamp> {
        self.by_end.last().map(|(end, _)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn what_has_ended_is_dropped_and_the_rest_stays() {
        let mut deadlines = Deadlines::default();
        for (key, end) in [("a", 10), ("b", 20), ("c", 30)] {
            deadlines.insert(key, at(end));
        }
        deadlines.drop_ended(at(20));
        assert_eq!(deadlines.iter().collect::<Vec<_>>(), [(&"c", at(30))]);
        assert_eq!(deadlines.last_end(), Some(at(30)));
        assert!(deadlines.lasts(&"c", at(29)) && !deadlines.lasts(&"c", at(30)));
    }

    #[test]
    fn a_key_has_one_end_the_one_set_last() {
        let mut deadlines = Deadlines::default();
        deadlines.insert("a", at(30));
        deadlines.insert("a", at(10));
        assert_eq!(deadlines.last_end(), Some(at(10)));
        assert_eq!(deadlines.remove(&"a"), Some(at(10)));
        assert_eq!(deadlines, Deadlines::default());
    }
}

//! Objects, the versions they went through, and how far back those are remembered.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::kinds::Kind;
use super::object::{Key, metadata};

/// How many changes are remembered, unless they are forgotten on purpose.
const MEMORY: usize = 20_000;

/// The first version: versions soon get another digit, so that a client which compares them as
/// text is found out.
const FIRST: u64 = 990;

/// How far versions jump when the history is forgotten.
const JUMP: u64 = 1_000;

/// One change of one object.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) key: Key,
    pub(super) before: Option<Arc<Value>>,
    pub(super) after: Option<Arc<Value>>,
}

/// All objects. A clone is cheap: objects are shared.
#[derive(Debug, Clone)]
pub(super) struct Store {
    objects: BTreeMap<Key, Arc<Value>>,
    revision: u64,
    log: VecDeque<Arc<Change>>,
    /// The last change that `log` has no more.
    lost: u64,
    /// The first version that a client may still go on from.
    oldest: u64,
    made: u64,
    seed: u64,
}

impl Store {
    /// An empty one. `seed` tells its objects' uids from those of others.
    pub(super) fn new(seed: u64) -> Store {
        Store {
            objects: BTreeMap::new(),
            revision: FIRST,
            log: VecDeque::new(),
            lost: FIRST,
            oldest: FIRST,
            made: 0,
            seed,
        }
    }

    /// The version of the last change.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// The first version that a client may still go on from.
    pub(super) fn oldest(&self) -> u64 {
        self.oldest
    }

    /// A uid that no other object has.
    pub(super) fn uid(&mut self) -> String {
        self.made += 1;
        let (high, low) = (self.seed >> 32, self.seed & 0xffff);
        format!("{high:08x}-{low:04x}-4000-8000-{:012x}", self.made)
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(key)
    }

    /// Writes an object, or removes it, as a new version. Gives the object as it is now, or was.
    pub(super) fn commit(&mut self, key: Key, object: Value) -> Arc<Value> {
        let object = self.stamped(object);
        let before = self.objects.insert(key.clone(), Arc::clone(&object));
        self.remember(key, before, Some(Arc::clone(&object)));
        object
    }

    /// Removes an object. What is given, and what watchers see, is its last state with the
    /// version of the removal.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let before = self.objects.remove(key)?;
        let last = self.stamped(Value::clone(&before));
        self.remember(key.clone(), Some(before), None);
        Some(last)
    }

    /// The objects of a kind, in a namespace or in all, by name.
    pub(super) fn all(&self, kind: &Kind, namespace: Option<&str>) -> BTreeMap<Key, Arc<Value>> {
        let first = Key {
            group: kind.group,
            plural: kind.plural,
            namespace: namespace.unwrap_or_default().to_owned(),
            name: String::new(),
        };
        let own = |key: &Key| {
            key.group == kind.group
                && key.plural == kind.plural
                && namespace.is_none_or(|namespace| key.namespace == namespace)
        };
        let found = self.objects.range(first..);
        let found = found.take_while(|(key, _)| own(key));
        found
            .map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect()
    }

    /// The same as it was at `revision`; `None` if that is forgotten.
    pub(super) fn all_at(
        &self,
        kind: &Kind,
        namespace: Option<&str>,
        revision: u64,
    ) -> Option<BTreeMap<Key, Arc<Value>>> {
        if revision < self.oldest {
            return None;
        }
        let mut objects = self.all(kind, namespace);
        for change in self.log.iter().rev() {
            if change.revision <= revision {
                break;
            }
            let own = change.key.group == kind.group && change.key.plural == kind.plural;
            if !own || namespace.is_some_and(|namespace| change.key.namespace != namespace) {
                continue;
            }
            match &change.before {
                Some(before) => objects.insert(change.key.clone(), Arc::clone(before)),
                None => objects.remove(&change.key),
            };
        }
        Some(objects)
    }

    /// The changes after `revision`; `None` if some of them are forgotten.
    pub(super) fn since(&self, revision: u64) -> Option<impl Iterator<Item = &Arc<Change>>> {
        if revision < self.lost {
            return None;
        }
        let first = self
            .log
            .partition_point(|change| change.revision <= revision);
        Some(self.log.range(first..))
    }

    /// Forgets every change: no version given out before can be gone on from.
    pub(super) fn forget(&mut self) {
        self.lost = self.revision;
        self.log.clear();
        self.revision += JUMP;
        self.oldest = self.revision;
    }

    fn stamped(&mut self, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        let version = self.revision.to_string();
        metadata(&mut object).insert("resourceVersion".to_owned(), version.into());
        Arc::new(object)
    }

    fn remember(&mut self, key: Key, before: Option<Arc<Value>>, after: Option<Arc<Value>>) {
        let revision = self.revision;
        self.log.push_back(Arc::new(Change {
            revision,
            key,
            before,
            after,
        }));
        while self.log.len() > MEMORY {
            if let Some(change) = self.log.pop_front() {
                self.lost = change.revision;
                self.oldest = self.oldest.max(change.revision);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::kinds::NODE;
    use super::*;

    fn key(name: &str) -> Key {
        Key {
            group: "",
            plural: "nodes",
            namespace: String::new(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_past_state_is_found_again_until_it_is_forgotten() {
        let mut store = Store::new(0);
        store.commit(key("a"), json!({"x": 1}));
        store.commit(key("b"), json!({"x": 1}));
        let then = store.revision();
        store.commit(key("a"), json!({"x": 2}));
        store.remove(&key("b")).unwrap();
        store.commit(key("c"), json!({"x": 1}));
        let past = store.all_at(&NODE, None, then).unwrap();
        let names: Vec<&str> = past.keys().map(|key| key.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(past[&key("a")]["x"], 1);
        assert_eq!(store.since(then).unwrap().count(), 3);
        store.forget();
        assert!(store.all_at(&NODE, None, then).is_none());
        assert!(store.since(then).is_none());
        assert!(store.since(store.revision()).is_some());
    }

    #[test]
    fn memory_ends_somewhere() {
        let mut store = Store::new(0);
        store.commit(key("a"), json!({}));
        let first = store.revision();
        for _ in 0..=MEMORY {
            store.commit(key("a"), json!({}));
        }
        assert!(store.since(first).is_none());
        assert!(store.oldest() > first);
        assert!(store.since(store.oldest()).is_some());
    }
}

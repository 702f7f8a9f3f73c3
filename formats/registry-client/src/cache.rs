//! What was learned and does not change, bounded: what was used least recently goes first.

use std::collections::HashMap;
use std::hash::Hash;

/// A bounded map.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    capacity: usize,
    clock: u64,
    kept: HashMap<K, (u64, V)>,
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            clock: 0,
            kept: HashMap::new(),
        }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        self.clock += 1;
        let (used, value) = self.kept.get_mut(key)?;
        *used = self.clock;
        Some(value.clone())
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.clock += 1;
        if self.kept.len() >= self.capacity && !self.kept.contains_key(&key) {
            let oldest = self.kept.iter().min_by_key(|(_, (used, _))| *used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.kept.remove(&oldest);
            }
        }
        self.kept.insert(key, (self.clock, value));
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.kept.remove(key);
    }

    /// Keeps only what these keys have.
    pub(crate) fn retain(&mut self, stays: impl Fn(&K) -> bool) {
        self.kept.retain(|key, _| stays(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_least_recently_goes() {
        let mut cache = Cache::new(2);
        cache.insert("a", 1);
        cache.insert("b", 2);
        assert_eq!(cache.get(&"a"), Some(1));
        cache.insert("c", 3);
        assert_eq!(
            (cache.get(&"a"), cache.get(&"b"), cache.get(&"c")),
            (Some(1), None, Some(3))
        );
        cache.remove(&"a");
        assert_eq!(cache.get(&"a"), None);
        cache.insert("d", 4);
        cache.retain(|key| *key != "c");
        assert_eq!((cache.get(&"c"), cache.get(&"d")), (None, Some(4)));
    }
}

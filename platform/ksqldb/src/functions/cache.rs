//! What a function compiles from an argument (a pattern) and would compile anew for every record.

use std::collections::HashMap;
use std::rc::Rc;

use super::FunctionError;

/// How many patterns a thread remembers. A statement's patterns are literals, so a few would do; a
/// pattern that comes from the data starts the cache anew whenever this many have been seen.
const CAPACITY: usize = 128;

/// Compiled patterns by their text, for one thread.
pub(super) struct Cache<T> {
    entries: HashMap<String, Rc<T>>,
}

impl<T> Cache<T> {
    pub(super) fn new() -> Self {
        Self {
            entries: HashMap::new(),
        }
    }

    /// What the pattern compiles to.
    pub(super) fn get_or_compile(
        &mut self,
        pattern: &str,
        compile: impl FnOnce(&str) -> Result<T, FunctionError>,
    ) -> Result<Rc<T>, FunctionError> {
        if let Some(known) = self.entries.get(pattern) {
            return Ok(Rc::clone(known));
        }
        let compiled = Rc::new(compile(pattern)?);
        if self.entries.len() == CAPACITY {
            self.entries.clear();
        }
        self.entries.insert(pattern.to_owned(), Rc::clone(&compiled));
        Ok(compiled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_compiles_once_and_failures_are_not_kept() {
        let mut cache = Cache::new();
        assert!(
            cache
                .get_or_compile("x", |_| Err::<i32, _>(FunctionError::new("bad")))
                .is_err()
        );
        assert_eq!(*cache.get_or_compile("x", |_| Ok(1)).unwrap(), 1);
        assert_eq!(*cache.get_or_compile("x", |_| Ok(2)).unwrap(), 1);
        for index in 0..2 * CAPACITY {
            cache.get_or_compile(&index.to_string(), |_| Ok(0)).unwrap();
            assert!(cache.entries.len() <= CAPACITY);
        }
    }
}

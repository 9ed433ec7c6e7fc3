//! Rendered studies, bounded by bytes: two generations, so that neither a hit nor an insertion
//! walks a list. What was used since the last turn survives it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use actix_web::web::Bytes;

use crate::mapping::fhir::View;

/// One rendering of one version of a study.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Key {
    pub(super) number: i64,
    pub(super) version: i32,
    pub(super) view: View,
    pub(super) shape: Shape,
}

/// How much of a study is rendered.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Shape {
    /// All of it.
    Whole,
    /// All but the instances of its series.
    Bare,
    /// `_summary=true`
    Summary,
}

/// A rendered resource.
#[derive(Clone, Debug)]
pub(super) struct Rendered {
    pub(super) id: Box<str>,
    /// The store's number of the subject.
    pub(super) patient: i64,
    pub(super) bytes: Bytes,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Key, Rendered>,
    old: HashMap<Key, Rendered>,
    young_bytes: usize,
}

/// The cache.
#[derive(Debug)]
pub(super) struct Cache {
    generations: Mutex<Generations>,
    /// Of one generation.
    limit: usize,
}

impl Cache {
    pub(super) fn new(mebibytes: usize) -> Self {
        Self { generations: Mutex::default(), limit: mebibytes.saturating_mul(1 << 20) / 2 }
    }

    pub(super) fn get(&self, key: &Key) -> Option<Rendered> {
        let mut all = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = all.young.get(key) {
            return Some(found.clone());
        }
        let found = all.old.remove(key)?;
        self.put_locked(&mut all, *key, found.clone());
        Some(found)
    }

    pub(super) fn put(&self, key: Key, rendered: Rendered) {
        let mut all = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        self.put_locked(&mut all, key, rendered);
    }

    fn put_locked(&self, all: &mut Generations, key: Key, rendered: Rendered) {
        // What the entry costs besides its bytes.
        let size = rendered.bytes.len() + 200;
        if size > self.limit {
            return;
        }
        if all.young_bytes + size > self.limit {
            all.old = std::mem::take(&mut all.young);
            all.young_bytes = 0;
        }
        if all.young.insert(key, rendered).is_none() {
            all.young_bytes += size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cache, Key, Rendered, Shape};
    use crate::mapping::fhir::View;

    fn key(number: i64) -> Key {
        Key { number, version: 1, view: View::Care, shape: Shape::Whole }
    }

    fn rendered(size: usize) -> Rendered {
        Rendered { id: "x".into(), patient: 1, bytes: vec![b' '; size].into() }
    }

    #[test]
    fn the_cache_forgets_what_nobody_asks_for_and_stays_within_its_bounds() {
        let cache = Cache::new(1);
        cache.put(key(0), rendered(1_000));
        for number in 1..5_000 {
            cache.put(key(number), rendered(1_000));
            assert!(cache.get(&key(0)).is_some(), "used and yet forgotten after {number}");
        }
        assert!(cache.get(&key(1)).is_none());
        let all = cache.generations.lock().unwrap();
        assert!((all.young.len() + all.old.len()) * 1_200 <= 1 << 20);
        drop(all);
        cache.put(key(9_999), rendered(2 << 20));
        assert!(cache.get(&key(9_999)).is_none(), "larger than the cache");
    }
}

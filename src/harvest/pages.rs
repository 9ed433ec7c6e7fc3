//! Pages of the listing are made before somebody asks: what they say of their datasets is packed once and
//! stands until one of those changes, so that a walk after a change costs as much as what changed.
//!
//! In: the shelf. Out: parts of pages. Absent: what a page says of the catalogue, which every change
//! changes (`catalogue/listing.rs` puts them together).

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::State;
use crate::catalogue::{Format, Packed};
use crate::error::Result;

/// Between two looks at whether the catalogue changed.
const LOOK: Duration = Duration::from_secs(1);

/// What pages say of their datasets, by form and datasets, as of a change of the shelf.
#[derive(Default)]
pub(super) struct Bodies {
    change: u64,
    kept: HashMap<(Format, Arc<[String]>), Kept>,
    bytes: usize,
}

struct Kept {
    body: Arc<Packed>,
    used: Instant,
}

impl Bodies {
    /// The shelf went on to a change, and these datasets are others now; `None`: all may be.
    fn follow(&mut self, change: u64, changed: Option<&[String]>) {
        match changed {
            Some(changed) => {
                let changed: HashSet<&String> = changed.iter().collect();
                self.kept.retain(|(_, slugs), _| !slugs.iter().any(|slug| changed.contains(slug)));
            }
            None => self.kept.clear(),
        }
        self.change = change;
        self.count();
    }

    fn find(&mut self, key: &(Format, Arc<[String]>)) -> Option<Arc<Packed>> {
        let kept = self.kept.get_mut(key)?;
        kept.used = Instant::now();
        Some(Arc::clone(&kept.body))
    }

    /// Keeps what was made of the shelf at a change, unless it has gone on; whether there is room.
    fn keep(
        &mut self,
        key: (Format, Arc<[String]>),
        body: &Arc<Packed>,
        change: u64,
        budget: usize,
    ) -> bool {
        let has_room = self.bytes + body.size() <= budget;
        if has_room && self.change == change {
            self.kept.insert(key, Kept { body: Arc::clone(body), used: Instant::now() });
            self.count();
        }
        has_room
    }

    /// Forgets the half that nobody asked for.
    fn make_room(&mut self) {
        let mut used: Vec<Instant> = self.kept.values().map(|kept| kept.used).collect();
        let half = used.len() / 2;
        if half < used.len() {
            let (_, median, _) = used.select_nth_unstable(half);
            let median = *median;
            self.kept.retain(|_, kept| kept.used > median);
        }
        self.count();
    }

    fn count(&mut self) {
        let size = |slugs: &[String]| slugs.iter().map(|slug| slug.len() + 24).sum::<usize>();
        self.bytes =
            self.kept.iter().map(|((_, slugs), kept)| kept.body.size() + size(slugs)).sum();
    }
}

impl State {
    /// What a page says of these datasets: kept, or made, and then kept if others will
    /// ask for it.
    pub(super) fn page_body(
        &self,
        format: Format,
        slugs: &Arc<[String]>,
        is_kept: bool,
    ) -> Result<Arc<Packed>> {
        let (body, change) = self.known_body(format, slugs)?;
        if let Some(body) = body {
            return Ok(body);
        }
        let body = Arc::new(self.writer().page_packed(&*self.shelf, slugs, format)?);
        if is_kept {
            let key = (lines_alike(format), Arc::clone(slugs));
            let mut bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
            if !bodies.keep(key.clone(), &body, change, self.body_budget()) {
                bodies.make_room();
                bodies.keep(key, &body, change, self.body_budget());
            }
        }
        Ok(body)
    }

    /// What is kept, and the change that it would have to be made at.
    fn known_body(
        &self,
        format: Format,
        slugs: &Arc<[String]>,
    ) -> Result<(Option<Arc<Packed>>, u64)> {
        let change = self.shelf.state()?.change;
        let lock = || self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().change;
        if known < change {
            let changed = self.shelf.changed_since(known)?;
            let mut bodies = lock();
            if bodies.change == known {
                bodies.follow(change, changed.as_deref());
            }
        }
        Ok((lock().find(&(lines_alike(format), Arc::clone(slugs))), change))
    }

    fn body_budget(&self) -> usize {
        self.config.server.cache_mib.max(16) << 18 // a quarter of the cache
    }

    /// Makes the pages of the listing in every form until it is told to stop, and after each change those
    /// that changed. It takes half a processor's time at most.
    pub fn keep_pages(&self, stop: &AtomicBool) {
        let mut done = None;
        while !stop.load(Ordering::Relaxed) {
            match self.make_pages(done, stop) {
                Ok(change) => done = Some(change),
                Err(failure) => {
                    tracing::warn!(%failure, "the pages of the listing could not be made");
                }
            }
            let until = Instant::now() + LOOK;
            while !stop.load(Ordering::Relaxed) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// Makes what is not kept; the change up to which all is.
    fn make_pages(&self, done: Option<u64>, stop: &AtomicBool) -> Result<u64> {
        let change = self.shelf.state()?.change;
        if done == Some(change) {
            return Ok(change);
        }
        let snapshot = crate::catalogue::Snapshot::take(&*self.shelf, None)?;
        // Forgets what changed.
        self.known_body(Format::Turtle, &Arc::default())?;
        let size = self.config.catalogue.page_size;
        for format in Format::ALL.iter().filter(|format| lines_alike(**format) == **format) {
            for number in 1..=snapshot.pages(size) {
                if stop.load(Ordering::Relaxed) {
                    return Ok(change);
                }
                let slugs: Arc<[String]> = snapshot.slugs(number, size).unwrap_or_default().into();
                let key = (*format, slugs);
                let lock = || self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
                if lock().kept.contains_key(&key) {
                    continue;
                }
                // Others may have gone on meanwhile.
                let (None, now) = self.known_body(*format, &key.1)? else { continue };
                let began = Instant::now();
                let body = Arc::new(self.writer().page_packed(&*self.shelf, &key.1, *format)?);
                let mut bodies = lock();
                if !bodies.keep(key, &body, now, self.body_budget()) {
                    // What is asked for takes the place of what is not.
                    return Ok(change);
                }
                drop(bodies);
                std::thread::sleep(began.elapsed());
            }
        }
        Ok(change)
    }
}

/// N-Quads of the default graph are N-Triples.
const fn lines_alike(format: Format) -> Format {
    match format {
        Format::NQuads => Format::NTriples,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Bodies, Format, Packed};

    fn key(slugs: &[&str]) -> (Format, Arc<[String]>) {
        (Format::Turtle, slugs.iter().map(|slug| (*slug).to_owned()).collect())
    }

    fn body() -> Arc<Packed> {
        Arc::new(Packed::of(Format::Turtle, b"<a> <b> <c> .\n").unwrap())
    }

    #[test]
    fn only_what_changed_is_made_again() {
        let (mut bodies, body) = (Bodies::default(), body());
        bodies.follow(1, None);
        assert!(bodies.keep(key(&["a", "b"]), &body, 1, 10_000));
        assert!(bodies.keep(key(&["c"]), &body, 1, 10_000));
        bodies.follow(2, Some(&["b".to_owned()]));
        assert!(bodies.find(&key(&["a", "b"])).is_none());
        assert!(bodies.find(&key(&["c"])).is_some());
        // Made before the change, and late.
        assert!(bodies.keep(key(&["a", "b"]), &body, 1, 10_000));
        assert!(bodies.find(&key(&["a", "b"])).is_none());
        bodies.follow(3, None);
        assert!(bodies.find(&key(&["c"])).is_none() && bodies.bytes == 0);
    }

    #[test]
    fn what_nobody_asked_for_makes_room() {
        let (mut bodies, body) = (Bodies::default(), body());
        let names = ["a", "b", "c", "d"];
        for name in names {
            assert!(bodies.keep(key(&[name]), &body, 0, 10_000));
        }
        let full = bodies.bytes;
        assert!(!bodies.keep(key(&["e"]), &body, 0, full));
        for name in ["a", "b"] {
            assert!(bodies.find(&key(&[name])).is_some());
        }
        bodies.make_room();
        assert!(bodies.bytes <= full / 2);
        assert!(bodies.keep(key(&["e"]), &body, 0, full));
        assert!(bodies.find(&key(&["c"])).is_none() && bodies.find(&key(&["d"])).is_none());
    }
}

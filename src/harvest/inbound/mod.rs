//! The catalogue's doors in: other catalogues, walked and kept, as a regional or national
//! catalogue does.
//!
//! In: sources of the configuration; documents of DCAT 3 in pages by Hydra, FAIR Data Point 1.2
//! or CKAN. Out: one row per dataset and source in the store, and a report of each walk.
//! Everything that a source says is hostile until it is read: addresses (`address.rs`), sizes and
//! times (`fetch.rs`), nesting (`read.rs`), names (`piece.rs`). A source writes only its own
//! namespaces, and only rows of its own. Absent: publishing what was harvested.

mod address;
mod fetch;
mod keep;
mod missing;
mod names;
mod piece;
mod read;
mod walk;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::config::HarvestSource;
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::harvested::{self, RunRow};

pub use crate::store::harvested::{Summary, Trouble};
pub use address::{LookUp, is_inside, system};
pub use read::read_document;

/// No two harvests of one store run at once: the lease of none of ingest's sources.
const LEASE: i64 = -904;

/// What walks need besides their sources.
#[derive(Clone, Copy)]
pub struct Harvester<'a> {
    /// Where it is kept.
    pub store: &'a Store,
    /// Where this node's own datasets begin (`{base}/dataset/`), whose copies elsewhere are
    /// duplicates.
    pub ours: &'a str,
    /// Microseconds since 1970.
    pub clock: fn() -> i64,
    /// Who knows where names lead.
    pub look_up: &'a LookUp<'a>,
    /// Whether the operator says that what is missing is gone, at once and however much it is.
    pub prune: bool,
}

/// A source, and what came of its walk.
pub type Walked<'s> = (&'s HarvestSource, Result<Summary>);

impl<'a> Harvester<'a> {
    /// Walks that ask the system's resolver.
    #[must_use]
    pub fn new(store: &'a Store, ours: &'a str, clock: fn() -> i64) -> Self {
        Self { store, ours, clock, look_up: &system, prune: false }
    }

    /// Walks sources, at most so many side by side; those of one host one after another, as its
    /// operator expects of one harvester. In the order of the sources: what came of each.
    ///
    /// # Errors
    /// When another harvest runs. What a source does wrong is in its summary.
    pub fn walk_all<'s>(
        &self,
        sources: &[&'s HarvestSource],
        side_by_side: usize,
    ) -> Result<Vec<Walked<'s>>> {
        let _lease = self.store.lease(LEASE)?;
        let mut hosts: Vec<(String, Vec<usize>)> = Vec::new();
        for (at, source) in sources.iter().enumerate() {
            let url = source.url.parse::<reqwest::Url>().ok();
            let host = url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
            match hosts.iter_mut().find(|(known, _)| *known == host) {
                Some((_, own)) => own.push(at),
                None => hosts.push((host, vec![at])),
            }
        }
        let (turn, next) = (Mutex::new(()), AtomicUsize::new(0));
        let ours = names::Own::new(self.ours);
        let done: Mutex<Vec<(usize, Result<Summary>)>> = Mutex::default();
        let work = || {
            while let Some((_, own)) = hosts.get(next.fetch_add(1, Ordering::Relaxed)) {
                for at in own {
                    let Some(source) = sources.get(*at) else { continue };
                    let walked = self.walk(source, &ours, &turn);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((*at, walked));
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..side_by_side.min(hosts.len()) {
                // Where there is no thread to have, those that are there do all of it.
                let thread = std::thread::Builder::new().name("harvest".to_owned());
                let _ = thread.spawn_scoped(scope, work);
            }
            work();
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(at, _)| *at);
        let of = |(at, walked): (usize, _)| sources.get(at).map(|source| (*source, walked));
        Ok(done.into_iter().filter_map(of).collect())
    }

    fn walk(
        &self,
        source: &HarvestSource,
        ours: &names::Own<'_>,
        turn: &Mutex<()>,
    ) -> Result<Summary> {
        let store = self.store;
        let started = (self.clock)();
        let mut keeper = keep::Keeper::new(store, source, ours, started, turn)?;
        keeper.prune = self.prune;
        // Whatever a reader of documents does with what it did not expect, the server's thread
        // that walks goes on, and the report says so.
        let walk = std::panic::AssertUnwindSafe(|| walk::walk(keeper, self.look_up));
        let summary = std::panic::catch_unwind(walk).unwrap_or_else(|_| {
            let mut summary = Summary { source: source.name.clone(), ..Summary::default() };
            let fault = "the walk ended by a fault of ours";
            summary.trouble(Trouble::new(&source.url, "reader", fault));
            Ok(summary)
        })?;
        let run = RunRow {
            number: 0,
            source: source.name.clone(),
            started,
            ended: (self.clock)(),
            complete: summary.complete,
            summary: serde_json::to_string(&summary)
                .map_err(|failure| Error::Internal(failure.to_string()))?,
        };
        store.write(|db| harvested::put_run(db, &run))?;
        Ok(summary)
    }
}

/// Walks a source and keeps what it brought.
///
/// # Errors
/// When the store fails, or another harvest runs. What the source does wrong is in the summary.
pub fn harvest(
    store: &Store,
    source: &HarvestSource,
    ours: &str,
    clock: fn() -> i64,
) -> Result<Summary> {
    let mut walked = Harvester::new(store, ours, clock).walk_all(&[source], 1)?;
    let fault = || Error::Internal("the walk did not end".to_owned());
    walked.pop().ok_or_else(fault)?.1
}

/// Whether a source is due for a walk of the server.
///
/// # Errors
/// When the store fails.
pub fn is_due(store: &Store, source: &HarvestSource, now: i64) -> Result<bool> {
    let last = store.read(|db| harvested::last_run(db, &source.name))?;
    Ok(source.next_walk(last.map(|last| last.started)).is_some_and(|next| next <= now))
}

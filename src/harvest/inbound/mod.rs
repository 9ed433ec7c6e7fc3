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
mod piece;
mod read;
mod walk;

use crate::config::HarvestSource;
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::harvested::{self, RunRow};

pub use crate::store::harvested::{Summary, Trouble};
pub use address::is_inside;
pub use read::read_document;

/// No two harvests of one store run at once: the lease of none of ingest's sources.
const LEASE: i64 = -904;

/// Walks a source and keeps what it brought. `ours` is where this node's own datasets begin
/// (`{base}/dataset/`), whose copies elsewhere are duplicates; `clock` tells microseconds since 1970.
///
/// # Errors
/// When the store fails, or another harvest runs. What the source does wrong is in the summary.
pub fn harvest(
    store: &Store,
    source: &HarvestSource,
    ours: &str,
    clock: fn() -> i64,
) -> Result<Summary> {
    let _lease = store.lease(LEASE)?;
    let started = clock();
    let keeper = keep::Keeper::new(store, source, ours, started)?;
    // Whatever a reader of documents does with what it did not expect, the server's thread that
    // walks goes on, and the report says so.
    let walked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| walk::walk(keeper)));
    let summary = walked.unwrap_or_else(|_| {
        let mut summary = Summary { source: source.name.clone(), ..Summary::default() };
        summary.trouble(Trouble::new(&source.url, "reader", "the walk ended by a fault of ours"));
        Ok(summary)
    })?;
    let run = RunRow {
        number: 0,
        source: source.name.clone(),
        started,
        ended: clock(),
        complete: summary.complete,
        summary: serde_json::to_string(&summary)
            .map_err(|failure| Error::Internal(failure.to_string()))?,
    };
    store.write(|db| harvested::put_run(db, &run))?;
    Ok(summary)
}

/// Whether a source is due for a walk of the server.
///
/// # Errors
/// When the store fails.
pub fn is_due(store: &Store, source: &HarvestSource, now: i64) -> Result<bool> {
    let last = store.read(|db| harvested::last_run(db, &source.name))?;
    Ok(source.next_walk(last.map(|last| last.started)).is_some_and(|next| next <= now))
}

//! The catalogue's doors in: other catalogues, walked and kept, as a regional or national
//! catalogue does.
//!
//! In: sources of the configuration; documents of DCAT 3 in pages by Hydra, FAIR Data Point 1.2
//! or CKAN. Out: one row per dataset and source in the store, and a report of each walk.
//! Everything that a source says is hostile until it is read: addresses ([`address`]), sizes and
//! times ([`fetch`]), nesting ([`read`]), names ([`piece`]). A source writes only its own
//! namespaces, and only rows of its own. Absent: publishing what was harvested.

mod address;
mod fetch;
mod keep;
mod piece;
mod read;
mod walk;

use serde::{Deserialize, Serialize};

use crate::config::HarvestSource;
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::harvested::{self, RunRow};

pub use address::is_inside;
pub use read::read_document;

/// Why something of a source was not taken.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Trouble {
    /// What it is about: an address or the IRI of a dataset.
    pub about: String,
    /// Stable code in kebab case.
    pub code: String,
    /// What is wrong, for people.
    pub detail: String,
}

impl Trouble {
    fn new(about: &str, code: &str, detail: impl Into<String>) -> Self {
        let short =
            |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(500).collect() };
        Self { about: short(about), code: code.to_owned(), detail: short(&detail.into()) }
    }
}

/// What a walk did.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Summary {
    /// The source.
    pub source: String,
    /// Whether the walk met everything that the source offers; if not, nothing is missing by it.
    pub complete: bool,
    /// Documents that were fetched.
    pub pages: usize,
    /// Of those, the ones that had not changed (304).
    pub unchanged_pages: usize,
    /// Bytes that were read.
    pub bytes: u64,
    /// Datasets that were met.
    pub seen: usize,
    /// Datasets that were not known.
    pub new: usize,
    /// Datasets with another document than before.
    pub changed: usize,
    /// Datasets as they were.
    pub unchanged: usize,
    /// Datasets that were refused; `troubles` says why.
    pub refused: usize,
    /// Datasets whose identifier another source brought first.
    pub duplicates: usize,
    /// Known datasets that a complete walk did not meet.
    pub missing: usize,
    /// Datasets that were missed often enough to be gone.
    pub gone: usize,
    /// Statements about things outside the source's namespaces, left out.
    pub foreign_statements: usize,
    /// What was not taken and why; the first 1,000.
    pub troubles: Vec<Trouble>,
}

impl Summary {
    fn trouble(&mut self, trouble: Trouble) {
        if self.troubles.len() < 1_000 {
            self.troubles.push(trouble);
        }
    }
}

/// No two harvests of one store run at once: the lease of none of ingest's sources.
const LEASE: i64 = -904;

/// Walks a source and keeps what it brought. `now` in microseconds since 1970; `clock` tells when
/// it ended.
///
/// # Errors
/// When the store fails, or another harvest runs. What the source does wrong is in the summary.
pub fn harvest(store: &Store, source: &HarvestSource, clock: fn() -> i64) -> Result<Summary> {
    let _lease = store.lease(LEASE)?;
    let started = clock();
    let keeper = keep::Keeper::new(store, source, started)?;
    let summary = walk::walk(keeper)?;
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
    if source.every_hours == 0 {
        return Ok(false);
    }
    let wait = i64::from(source.every_hours) * 3_600 * 1_000_000;
    let last = store.read(|db| harvested::last_run(db, &source.name))?;
    Ok(last.is_none_or(|last| now.saturating_sub(last.started) >= wait))
}

//! Open datasets follow the archive: when studies or clinical records change, the datasets that hold them are counted
//! and published again, and no others. What is not open waits for its release.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::desk::Desk;
use super::figures::COUNTED;
use super::history;
use super::kept::entry;
use super::publish::Outcome;
use super::shacl::Severity;
use super::shelf::{Entry, Shelf as _, State};
use super::{AccessRights, Selection};
use crate::config::{Config, Identity};
use crate::error::Result;
use crate::index::{Criteria, Index};
use crate::store::changes::{self, Kind, Seen};
use crate::store::{Db, Store, datasets};

/// The datasets that are open to secondary use, kept up with the change feed: what did not change
/// is not read again.
#[derive(Debug, Default)]
pub struct OpenDatasets {
    seen: Option<(i64, Seen)>,
    /// By the store's number.
    known: BTreeMap<i64, OpenDataset>,
}

/// An open dataset.
#[derive(Clone, Debug)]
struct OpenDataset {
    slug: String,
    /// What secondary use may read row by row.
    open: Selection,
    /// What is counted: the selection, and those of its distributions that narrow it.
    counted: Vec<Selection>,
    /// Whether the newest description was refused: the document stays as it is.
    is_refused: bool,
}

impl OpenDataset {
    /// `None`: it is not open. Open is a published dataset with the access right PUBLIC, as far as
    /// its newest description goes.
    fn of(entry: Entry) -> Option<Self> {
        let description = entry.description();
        let is_public = description.access_rights == Some(AccessRights::Public);
        if entry.state != State::Published || !is_public {
            return None;
        }
        let narrowed_to = entry.figures().narrowed_to;
        let is_violated = |report: &[super::Problem]| {
            report.iter().any(|problem| problem.severity == Severity::Violation)
        };
        let is_refused = narrowed_to.is_some() || is_violated(&entry.report());
        let parts = description.distributions.iter().map(|distribution| &distribution.selection);
        let parts = parts.filter(|selection| !selection.is_empty());
        let mut counted = vec![description.selection.clone()];
        counted.extend(parts.map(|selection| description.selection.and(selection)));
        let open = match narrowed_to {
            Some(newest) => description.selection.and(&newest),
            None => description.selection,
        };
        Some(Self { slug: entry.slug, open, counted, is_refused })
    }
}

impl OpenDatasets {
    /// Reads the datasets that changed since the last time; all of them the first time.
    ///
    /// # Errors
    /// When the store does not answer; what was known stays then.
    pub fn refresh(&mut self, store: &Store, config: &Config) -> Result<()> {
        if config.archive.identity != Identity::DeIdentified {
            return Ok(());
        }
        let mut db = store.reader()?;
        let last = changes::last_change(&mut db)?;
        if let Some((seen, was)) = &self.seen
            && *seen <= last
            && changes::seen(&mut db, *seen)? == *was
        {
            let numbers = changes::list_changed(&mut db, Kind::Dataset, *seen)?;
            let now = changes::seen(&mut db, last)?;
            let read = read(&mut db, &numbers)?;
            for number in numbers {
                self.known.remove(&number);
            }
            self.known.extend(read);
            self.seen = Some((last, now));
            return Ok(());
        }
        // The first time, or another store than before.
        let numbers = changes::list_changed(&mut db, Kind::Dataset, 0)?;
        let now = changes::seen(&mut db, last)?;
        let mut known = BTreeMap::new();
        for numbers in numbers.chunks(AT_ONCE) {
            known.extend(read(&mut db, numbers)?);
        }
        (self.known, self.seen) = (known, Some((last, now)));
        Ok(())
    }

    /// What secondary use may read row by row.
    #[must_use]
    pub fn criteria(&self) -> Vec<Criteria> {
        let mut open: Vec<&OpenDataset> = self.known.values().collect();
        open.sort_by(|a, b| a.slug.cmp(&b.slug));
        open.into_iter().map(|dataset| Criteria::from(&dataset.open)).collect()
    }

    /// Lets the figures of the open datasets run along with the changes of the archive.
    pub fn keep_counts(&self, index: &Index) {
        let counted = self.known.values().flat_map(|dataset| &dataset.counted);
        let counted: Vec<Criteria> = counted.map(Criteria::from).collect();
        index.keep_counts(&counted, COUNTED);
    }
}

/// How many documents are held at once.
const AT_ONCE: usize = 200;

fn read(db: &mut Db, numbers: &[i64]) -> Result<Vec<(i64, OpenDataset)>> {
    let mut known = Vec::new();
    for row in datasets::list_numbered(db, numbers)? {
        let number = row.number;
        known.extend(OpenDataset::of(entry(row)?).map(|dataset| (number, dataset)));
    }
    Ok(known)
}

impl Desk {
    /// Whether clinical records were written that no open dataset has followed yet.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn is_written(&self) -> Result<bool> {
        self.facts.read_records()
    }

    /// Publishes again what is open and holds a study that changed, or that a clinical record was
    /// written about. Descriptions are taken from
    /// what is published, so that a file that is being written plays no part.
    ///
    /// # Errors
    /// When index or store do not answer.
    pub fn follow(&self, open: &mut OpenDatasets, now: Timestamp) -> Result<Vec<Outcome>> {
        let store: &Arc<Store> = &self.shelf.0;
        open.refresh(store, self.config())?;
        // First, so that what is counted from now on is noticed.
        open.keep_counts(self.index());
        let is_written = self.facts.read_records()?;
        let touched = self.index().take_touched();
        if touched.is_empty() && !is_written {
            return Ok(Vec::new());
        }
        let is_written = self.facts.take_written();
        let among: Vec<(&str, &Selection)> =
            open.known.values().map(|dataset| (&*dataset.slug, &dataset.open)).collect();
        let is_touched = |selection: &Selection| {
            touched.contains(&Criteria::from(selection)) || is_written(selection)
        };
        let mut outcomes = Vec::new();
        for dataset in open.known.values().filter(|dataset| !dataset.is_refused) {
            if !dataset.counted.iter().any(is_touched) {
                continue;
            }
            let began = std::time::Instant::now();
            // Another process may have closed it meanwhile.
            let Some(entry) = self.shelf.find(&dataset.slug)? else { continue };
            if OpenDataset::of(entry.clone()).is_none_or(|now| now.is_refused) {
                continue;
            }
            let (file, text) = (format!("{}.toml", entry.slug), &entry.text);
            let (publisher, rooms) = (self.publisher(), (&self.facts as _, &self.shelf as _));
            let outcome = publisher.publish_among(&file, text, rooms, now, &among)?;
            history::remember(store, &outcome, text, self.who(), now)?;
            let milliseconds = began.elapsed().as_secs_f64() * 1e3;
            tracing::debug!(dataset = outcome.slug, milliseconds, "a dataset followed the archive");
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }
}

//! What is kept of a dataset, and where.
//!
//! In: entries that the [`publish`](super::publish) gate let through, or that it put aside.
//! Out: entries by slug, by page, by event of the [`log`](super::log). Absent: whether an entry is
//! right, which is the publisher's to say, and the store itself ([`StoreShelf`](super::StoreShelf)).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::description::Description;
use super::figures::Disclosed;
use super::log::{self, Event, Log, Standing};
use super::selection::Selection;
use super::shacl::Problem;
use crate::error::Result;

/// Where a dataset stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its document is served. An entry whose newest description was refused stays so, with
    /// its last good document and a report that tells why, unless that document is more open
    /// than the newest description.
    Published,
    /// It never passed the gate.
    Failed,
    /// Its address answers 410 with the tombstone in `document`. The steward said so, or the
    /// newest description was refused and asks for less than what was open.
    Withdrawn,
}

/// A dataset as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Last part of its IRI.
    pub slug: String,
    /// Where it stands.
    pub state: State,
    /// The description (TOML) that `document` was made from; before the first publication, the
    /// one that was refused.
    pub text: String,
    /// Version of the published document.
    pub version: String,
    /// Published figures: [`Disclosed`] as JSON. Exact ones are here only for open datasets.
    pub figures: String,
    /// The document as canonical N-Quads; empty before the first publication.
    pub document: String,
    /// What the gate said to the newest description: [`Problem`]s as JSON list.
    pub report: String,
    /// First publication.
    pub issued: Timestamp,
    /// Last change of the document.
    pub modified: Timestamp,
    /// Before this time the figures of a dataset that is not open do not change.
    pub next_release: Option<Timestamp>,
}

impl Entry {
    /// The published figures.
    #[must_use]
    pub fn figures(&self) -> Disclosed {
        serde_json::from_str(&self.figures).unwrap_or_default()
    }

    /// The report of the gate.
    #[must_use]
    pub fn report(&self) -> Vec<Problem> {
        serde_json::from_str(&self.report).unwrap_or_default()
    }

    /// The description that the document was made from.
    #[must_use]
    pub fn description(&self) -> Description {
        toml::from_str(&self.text).unwrap_or_default()
    }
}

/// What changes with every change of the shelf.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ShelfState {
    /// Grows with every [`Shelf::put`]; what is cached under it is valid until it grows.
    pub change: u64,
    /// How many datasets are published.
    pub published: usize,
    /// The last event of the log.
    pub latest: Option<Timestamp>,
}

/// Where datasets are kept: the store.
pub trait Shelf: Log {
    /// The dataset of that slug, in whatever state.
    ///
    /// # Errors
    /// When the store does not answer.
    fn find(&self, slug: &str) -> Result<Option<Entry>>;
    /// Keeps an entry, replacing that of the same slug.
    ///
    /// # Errors
    /// When the store does not answer.
    fn put(&self, entry: &Entry) -> Result<()>;
    /// Published datasets by slug (byte order), some of them.
    ///
    /// # Errors
    /// When the store does not answer.
    fn published(&self, offset: usize, limit: usize) -> Result<Vec<Entry>>;
    /// Datasets that are or were published, whose figures were counted by that selection.
    ///
    /// # Errors
    /// When the store does not answer.
    fn counted_by(&self, selection: &Selection) -> Result<Vec<Entry>>;
    /// Every slug, in byte order.
    ///
    /// # Errors
    /// When the store does not answer.
    fn slugs(&self) -> Result<Vec<String>>;
    /// What changes with every change.
    ///
    /// # Errors
    /// When the store does not answer.
    fn state(&self) -> Result<ShelfState>;
    /// The slugs of what changed after a [`ShelfState::change`]; `None`: everything may have.
    ///
    /// # Errors
    /// When the store does not answer.
    fn changed_since(&self, _change: u64) -> Result<Option<Vec<String>>> {
        Ok(None)
    }
    /// A number that costs nothing to ask for and is another one after every change from this process;
    /// `None`: there is none, so nothing may be answered without asking.
    fn writes(&self) -> Option<u64> {
        None
    }
}

/// A shelf in memory, for tests and for trying out.
#[derive(Debug, Default)]
pub struct MemoryShelf {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    change: u64,
    entries: BTreeMap<String, Entry>,
    events: Vec<Event>,
}

impl MemoryShelf {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for MemoryShelf {
    fn last_event(&self) -> Result<Option<Event>> {
        Ok(self.held().events.last().cloned())
    }

    fn event(&self, seq: u64) -> Result<Option<Event>> {
        let held = self.held();
        Ok(held.events.iter().find(|event| event.seq == seq).cloned())
    }

    fn newest(&self, slug: &str) -> Result<Option<Event>> {
        let held = self.held();
        Ok(held.events.iter().rev().find(|event| event.slug == slug).cloned())
    }

    fn events(&self, after: u64, limit: usize) -> Result<Vec<Event>> {
        let held = self.held();
        Ok(held.events.iter().filter(|event| event.seq > after).take(limit).cloned().collect())
    }

    fn standing(&self, seq: u64, since: Option<Timestamp>) -> Result<Vec<Standing>> {
        let held = self.held();
        Ok(log::standing_of(&held.events, seq, since))
    }

    fn entries(&self, slugs: &[String]) -> Result<Vec<Entry>> {
        let held = self.held();
        let mut found: Vec<Entry> =
            slugs.iter().filter_map(|slug| held.entries.get(slug).cloned()).collect();
        found.sort_by(|a, b| a.slug.cmp(&b.slug));
        Ok(found)
    }
}

impl Shelf for MemoryShelf {
    fn writes(&self) -> Option<u64> {
        Some(self.held().change)
    }

    fn find(&self, slug: &str) -> Result<Option<Entry>> {
        Ok(self.held().entries.get(slug).cloned())
    }

    fn put(&self, entry: &Entry) -> Result<()> {
        let mut held = self.held();
        held.change += 1;
        let before = held.entries.insert(entry.slug.clone(), entry.clone());
        log::append(&mut held.events, before.as_ref(), entry);
        Ok(())
    }

    fn published(&self, offset: usize, limit: usize) -> Result<Vec<Entry>> {
        let held = self.held();
        let published = held.entries.values().filter(|entry| entry.state == State::Published);
        Ok(published.skip(offset).take(limit).cloned().collect())
    }

    fn counted_by(&self, selection: &Selection) -> Result<Vec<Entry>> {
        let held = self.held();
        let key = selection.key();
        let entries = held.entries.values().filter(|entry| entry.state != State::Failed);
        let same = entries.filter(|entry| entry.figures().selection.key() == key);
        Ok(same.cloned().collect())
    }

    fn slugs(&self) -> Result<Vec<String>> {
        let held = self.held();
        Ok(held.entries.keys().cloned().collect())
    }

    fn state(&self) -> Result<ShelfState> {
        let held = self.held();
        let published =
            held.entries.values().filter(|entry| entry.state == State::Published).count();
        let latest = held.events.last().map(|event| event.time);
        Ok(ShelfState { change: held.change, published, latest })
    }
}

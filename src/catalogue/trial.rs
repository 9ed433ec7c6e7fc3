//! A shelf over another one that keeps nothing: what publishing would do, without doing it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use super::log::{Event, Log, Standing};
use super::shelf::{Entry, Shelf, ShelfState};
use crate::error::Result;

/// A shelf whose entries hide those of the one below.
pub(super) struct Trial<'s> {
    below: &'s dyn Shelf,
    put: Mutex<BTreeMap<String, Entry>>,
}

impl<'s> Trial<'s> {
    pub(super) fn over(below: &'s dyn Shelf) -> Self {
        Self { below, put: Mutex::default() }
    }

    fn own(&self, slug: &str) -> Option<Entry> {
        self.put.lock().unwrap_or_else(PoisonError::into_inner).get(slug).cloned()
    }
}

impl Log for Trial<'_> {
    fn last_event(&self) -> Result<Option<Event>> {
        self.below.last_event()
    }

    fn event(&self, seq: u64) -> Result<Option<Event>> {
        self.below.event(seq)
    }

    fn newest(&self, slug: &str) -> Result<Option<Event>> {
        self.below.newest(slug)
    }

    fn events(&self, after: u64, limit: usize) -> Result<Vec<Event>> {
        self.below.events(after, limit)
    }

    fn standing(&self, seq: u64, since: Option<Timestamp>) -> Result<Vec<Standing>> {
        self.below.standing(seq, since)
    }

    fn entries(&self, slugs: &[String]) -> Result<Vec<Entry>> {
        let entries = self.below.entries(slugs)?.into_iter();
        Ok(entries.map(|entry| self.own(&entry.slug).unwrap_or(entry)).collect())
    }
}

impl Shelf for Trial<'_> {
    fn find(&self, slug: &str) -> Result<Option<Entry>> {
        self.own(slug).map_or_else(|| self.below.find(slug), |entry| Ok(Some(entry)))
    }

    fn put(&self, entry: &Entry) -> Result<()> {
        let mut put = self.put.lock().unwrap_or_else(PoisonError::into_inner);
        put.insert(entry.slug.clone(), entry.clone());
        Ok(())
    }

    fn published(&self, offset: usize, limit: usize) -> Result<Vec<Entry>> {
        self.below.published(offset, limit)
    }

    fn counted_by(&self, selection: &super::Selection) -> Result<Vec<Entry>> {
        self.below.counted_by(selection)
    }

    fn slugs(&self) -> Result<Vec<String>> {
        self.below.slugs()
    }

    fn state(&self) -> Result<ShelfState> {
        self.below.state()
    }
}

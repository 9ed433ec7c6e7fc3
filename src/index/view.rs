//! The index in memory: what is known of every study and series, side by side with who has which
//! term.
//!
//! In: studies and series ([`write`]), criteria and queries with an actor. Out: sets of studies
//! ([`search`]) and series ([`select`]), pages of them ([`page`]), exact counts ([`count`], and those
//! that run along with the changes, [`running`]). [`visible`] says of what. Absent: rounding and
//! masking ([`disclosure`](super::disclosure)), the store.

mod count;
mod page;
mod rows;
mod running;
mod search;
mod select;
mod visible;
mod write;

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use roaring::RoaringBitmap;

use super::census::Census;
use super::query::Criteria;
use super::terms::{Dictionary, Posting, Sets};
use crate::imaging::{Facet, Started};
use crate::store::changes::Seen;

pub use rows::Row;
pub(super) use write::{NewSeries, NewStudy};

/// What is known of one study.
#[derive(Clone, Debug, Default)]
pub(super) struct StudySlot {
    pub is_there: bool,
    pub set: u32,
    pub patient: u32,
    pub started: Option<Started>,
    pub updated: i64,
    pub series: Box<[u32]>,
}

/// What is known of one series.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SeriesSlot {
    pub study: u32,
    pub patient: u32,
    pub set: u32,
    pub images: u32,
    pub bytes: u64,
    /// Micrometres; 0: not known.
    pub spacing: u32,
}

/// The index as of one change of the feed. Slots are the store's numbers.
#[derive(Debug, Default)]
pub struct View {
    pub(super) seq: i64,
    /// The store and the entry at `seq`: what the view was made from.
    pub(super) seen: Seen,
    pub(super) studies: Vec<StudySlot>,
    pub(super) series: Vec<SeriesSlot>,
    pub(super) dictionary: Dictionary,
    pub(super) sets: Sets,
    pub(super) all_studies: RoaringBitmap,
    pub(super) all_series: RoaringBitmap,
    /// Patients that the store holds, with or without a study.
    pub(super) all_patients: RoaringBitmap,
    /// By the kind of a finding the studies that have one.
    pub(super) findings: BTreeMap<Box<str>, RoaringBitmap>,
    /// Selections whose counts run along with the changes.
    kept: HashMap<Criteria, Kept>,
    /// Criteria of the open datasets: what secondary use may read row by row.
    open: Vec<Criteria>,
    open_studies: OnceLock<RoaringBitmap>,
    by_started: OnceLock<Vec<u32>>,
    by_updated: OnceLock<Vec<u32>>,
    columns: OnceLock<Columns>,
}

/// What queries scan, side by side: a scan reads only the bytes that it compares.
#[derive(Debug, Default)]
struct Columns {
    started: Vec<Option<Started>>,
    updated: Vec<i64>,
    /// `(patient, study)`, sorted.
    of_patients: Vec<(u32, u32)>,
}

/// A selection whose counts are kept.
#[derive(Debug, Default)]
struct Kept {
    /// `None`: more changed than it is worth to follow; it is counted anew.
    census: Option<Census>,
    /// Whether a study of it changed since somebody asked.
    is_touched: bool,
}

/// Facets that every series has its own value of; the others are of the study or its patient.
const OF_SERIES: &[Facet] = &[
    Facet::Modality,
    Facet::BodySite,
    Facet::Laterality,
    Facet::Manufacturer,
    Facet::Model,
    Facet::SopClass,
    Facet::Performer,
    Facet::Licence,
    Facet::SourceDoi,
    Facet::Attribute,
    Facet::Listing,
];

fn slot(number: i64) -> Option<u32> {
    u32::try_from(number).ok()
}

impl View {
    /// The last change that the view has seen.
    #[must_use]
    pub const fn seq(&self) -> i64 {
        self.seq
    }

    /// Says which selections are open to secondary use.
    pub(super) fn set_open(&mut self, open: Vec<Criteria>) {
        if self.open != open {
            self.open = open;
            self.open_studies = OnceLock::new();
        }
    }

    /// What others asked of the view that this one takes the place of.
    pub(super) fn inherit(&mut self, old: &mut Self) {
        self.set_open(std::mem::take(&mut old.open));
        self.kept = std::mem::take(&mut old.kept);
        self.forget_counts();
    }

    fn columns(&self) -> &Columns {
        self.columns.get_or_init(|| Columns {
            started: self.studies.iter().map(|study| study.started).collect(),
            updated: self.studies.iter().map(|study| study.updated).collect(),
            of_patients: self.pairs_of_patients(),
        })
    }

    fn pairs_of_patients(&self) -> Vec<(u32, u32)> {
        let of = |at: u32| Some((self.studies.get(at as usize)?.patient, at));
        let mut pairs: Vec<_> = self.all_studies.iter().filter_map(of).collect();
        pairs.sort_unstable();
        pairs
    }

    fn forget_orders(&mut self) {
        self.by_started = OnceLock::new();
        self.by_updated = OnceLock::new();
        self.columns = OnceLock::new();
    }

    fn posting(&self, facet: Facet, text: &str) -> Option<&Posting> {
        let term = self.dictionary.find(facet, text)?;
        self.dictionary.postings.get(term as usize)
    }

    fn series_of(&self, studies: &RoaringBitmap) -> RoaringBitmap {
        let mut numbers: Vec<u32> = studies
            .iter()
            .filter_map(|study| self.studies.get(study as usize))
            .flat_map(|study| study.series.iter().copied())
            .collect();
        numbers.sort_unstable();
        RoaringBitmap::from_sorted_iter(numbers).unwrap_or_default()
    }

    fn studies_of(&self, series: &RoaringBitmap) -> RoaringBitmap {
        let mut studies = RoaringBitmap::new();
        let mut last = u32::MAX;
        for at in series {
            if let Some(slot) = self.series.get(at as usize)
                && slot.study != last
            {
                last = slot.study;
                studies.insert(last);
            }
        }
        studies
    }

    /// The terms of a facet, to word a question with; who has them is asked with an actor.
    #[must_use]
    pub fn terms(&self, facet: Facet) -> Vec<String> {
        self.dictionary.terms_of(facet).map(|(_, text)| text.to_owned()).collect()
    }

    /// When the study began, as the index knows it.
    #[must_use]
    pub fn started(&self, number: i64) -> Option<Started> {
        self.studies.get(usize::try_from(number).ok()?)?.started
    }

    /// Those of these studies that are of these patients.
    #[must_use]
    pub fn studies_of_patients(
        &self,
        studies: &RoaringBitmap,
        patients: &RoaringBitmap,
    ) -> RoaringBitmap {
        let is_of = |study: &u32| {
            let slot = self.studies.get(*study as usize);
            slot.is_some_and(|slot| patients.contains(slot.patient))
        };
        studies.iter().filter(is_of).collect()
    }

    /// The patients of these studies.
    #[must_use]
    pub fn patients_of(&self, studies: &RoaringBitmap) -> RoaringBitmap {
        studies
            .iter()
            .filter_map(|study| self.studies.get(study as usize))
            .map(|study| study.patient)
            .collect()
    }
}

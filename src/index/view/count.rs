//! Exact counts of what criteria select, of what the actor may count. They leave the house only
//! through the disclosure rule.

use std::collections::{BTreeMap, HashMap};

use roaring::RoaringBitmap;

use super::{SeriesSlot, View};
use crate::actor::Actor;
use crate::imaging::Facet;
use crate::index::census::loads;
use crate::index::query::{Counts, Criteria, FacetCount};
use crate::index::terms::Term;

impl View {
    /// Exact counts of what the criteria select, of what the actor may count.
    #[must_use]
    pub fn count(&self, actor: &Actor, criteria: &Criteria) -> Counts {
        self.counts_of(&self.selected(actor, criteria))
    }

    /// Exact counts of a facet's terms within what the criteria select, most studies first.
    #[must_use]
    pub fn facet(&self, actor: &Actor, criteria: &Criteria, facet: Facet) -> Vec<FacetCount> {
        self.facets(actor, criteria, &[facet]).remove(&facet).unwrap_or_default()
    }

    /// Exact counts of the terms of several facets, in one walk over the selected series.
    #[must_use]
    pub fn facets(
        &self,
        actor: &Actor,
        criteria: &Criteria,
        wanted: &[Facet],
    ) -> BTreeMap<Facet, Vec<FacetCount>> {
        let selected = self.selected(actor, criteria);
        // Series with the same terms are counted together: there are few such sets.
        let mut groups: HashMap<(u32, u32), RoaringBitmap> = HashMap::new();
        for at in &selected {
            let Some(series) = self.series.get(at as usize) else { continue };
            let of_study = self.studies.get(series.study as usize).map_or(0, |study| study.set);
            groups.entry((series.set, of_study)).or_default().insert(at);
        }
        let mut tallies: HashMap<Term, Tally> = HashMap::new();
        for ((of_series, of_study), series) in &groups {
            let mut tally = Tally::default();
            for at in series {
                if let Some(slot) = self.series.get(at as usize) {
                    tally.add(slot);
                }
            }
            let terms = self.sets.get(*of_series).iter().chain(self.sets.get(*of_study));
            for term in terms {
                if wanted.contains(&self.dictionary.text(*term).0) {
                    tallies.entry(*term).or_default().join(&tally);
                }
            }
        }
        let mut facets: BTreeMap<Facet, Vec<FacetCount>> = BTreeMap::new();
        for (term, tally) in tallies {
            let (facet, text) = self.dictionary.text(term);
            let count = FacetCount { term: text.to_owned(), counts: tally.counts() };
            facets.entry(facet).or_default().push(count);
        }
        for counts in facets.values_mut() {
            counts.sort_by(|a, b| {
                b.counts.studies.cmp(&a.counts.studies).then_with(|| a.term.cmp(&b.term))
            });
        }
        facets
    }

    /// First and last instant at which a selected study may have begun: microseconds since
    /// 1970-01-01T00:00:00Z, the last one exclusive.
    #[must_use]
    pub fn span(&self, actor: &Actor, criteria: &Criteria) -> Option<(i64, i64)> {
        let studies = self.studies_of(&self.selected(actor, criteria));
        let started = studies.iter().filter_map(|study| self.studies.get(study as usize)?.started);
        started.fold(None, |span, started| match span {
            None => Some((started.from, started.to)),
            Some((from, to)) => Some((from.min(started.from), to.max(started.to))),
        })
    }

    /// The studies that the criteria select, of what the actor may count: to count by what the
    /// index does not keep.
    #[must_use]
    pub fn selected_studies(&self, actor: &Actor, criteria: &Criteria) -> RoaringBitmap {
        self.studies_of(&self.selected(actor, criteria))
    }

    /// The pixel spacings of the selected series in micrometres, the finest first, with exact
    /// counts.
    #[must_use]
    pub fn spacings(&self, actor: &Actor, criteria: &Criteria) -> Vec<(u32, Counts)> {
        let mut tallies: BTreeMap<u32, Tally> = BTreeMap::new();
        for at in &self.selected(actor, criteria) {
            if let Some(slot) = self.series.get(at as usize).filter(|slot| slot.spacing > 0) {
                tallies.entry(slot.spacing).or_default().add(slot);
            }
        }
        tallies.into_iter().map(|(spacing, tally)| (spacing, tally.counts())).collect()
    }

    /// The sources of the selected studies, each with the first and the last time that one of
    /// them changed: microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn arrivals(&self, actor: &Actor, criteria: &Criteria) -> BTreeMap<String, (i64, i64)> {
        let mut of_set: HashMap<u32, Option<Term>> = HashMap::new();
        let mut spans: HashMap<Term, (i64, i64)> = HashMap::new();
        for at in &self.selected_studies(actor, criteria) {
            let Some(study) = self.studies.get(at as usize) else { continue };
            let source = *of_set.entry(study.set).or_insert_with(|| {
                let mut terms = self.sets.get(study.set).iter().copied();
                terms.find(|term| self.dictionary.text(*term).0 == Facet::Source)
            });
            let Some(source) = source else { continue };
            let span = spans.entry(source).or_insert((study.updated, study.updated));
            *span = (span.0.min(study.updated), span.1.max(study.updated));
        }
        spans
            .into_iter()
            .map(|(term, span)| (self.dictionary.text(term).1.to_owned(), span))
            .collect()
    }

    /// How many of these studies each person has, most first, of so many persons.
    #[must_use]
    pub fn loads_of(&self, studies: &RoaringBitmap, persons: usize) -> Vec<u64> {
        let slots = studies.iter().filter_map(|study| self.studies.get(study as usize));
        loads(slots.map(|study| study.patient), persons)
    }

    fn counts_of(&self, series: &RoaringBitmap) -> Counts {
        let mut tally = Tally::default();
        for at in series {
            if let Some(slot) = self.series.get(at as usize) {
                tally.add(slot);
            }
        }
        tally.counts()
    }
}

/// What has been counted of some series.
#[derive(Clone, Default)]
struct Tally {
    studies: RoaringBitmap,
    patients: RoaringBitmap,
    series: u64,
    images: u64,
    bytes: u64,
    last: Option<(u32, u32)>,
}

impl Tally {
    fn add(&mut self, slot: &SeriesSlot) {
        self.series += 1;
        self.images += u64::from(slot.images);
        self.bytes = self.bytes.saturating_add(slot.bytes);
        // The series of a study mostly follow each other.
        if self.last != Some((slot.study, slot.patient)) {
            self.last = Some((slot.study, slot.patient));
            self.studies.insert(slot.study);
            self.patients.insert(slot.patient);
        }
    }

    fn join(&mut self, other: &Self) {
        self.series += other.series;
        self.images += other.images;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.studies |= &other.studies;
        self.patients |= &other.patients;
    }

    fn counts(&self) -> Counts {
        Counts {
            patients: self.patients.len(),
            studies: self.studies.len(),
            series: self.series,
            images: self.images,
            bytes: self.bytes,
        }
    }
}

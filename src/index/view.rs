//! The index in memory, and the evaluation of queries on it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::OnceLock;

use roaring::RoaringBitmap;

use super::census::Census;
use super::query::{Counts, Criteria, FacetCount, Query, Sort};
use super::terms::{Dictionary, Sets, Term};
use crate::actor::{Actor, Purpose, Role};
use crate::imaging::{Facet, SeriesFacts, Started, StudyFacts};
use crate::store::changes::Seen;

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
];

fn slot(number: i64) -> Option<u32> {
    u32::try_from(number).ok()
}

fn grow<T: Default + Clone>(slots: &mut Vec<T>, at: u32) -> Option<&mut T> {
    let at = usize::try_from(at).ok()?;
    if slots.len() <= at {
        slots.resize(at + 1, T::default());
    }
    slots.get_mut(at)
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

    // ── running counts ─────────────────────────────────────────────────────────────────────

    /// Much will change at once: what runs along with single changes is made anew when it is
    /// asked for.
    pub(super) fn forget_counts(&mut self) {
        self.open_studies = OnceLock::new();
        for kept in self.kept.values_mut() {
            *kept = Kept { census: None, is_touched: true };
        }
    }

    /// Of these criteria the ones that have no running counts of these facets.
    pub(super) fn not_kept<'c>(
        &self,
        wanted: &'c [Criteria],
        facets: &[Facet],
    ) -> Vec<&'c Criteria> {
        let has = |criteria: &Criteria| {
            let kept = self.kept.get(criteria).and_then(|kept| kept.census.as_ref());
            kept.is_some_and(|census| census.counts_facets(facets))
        };
        wanted.iter().filter(|criteria| !has(criteria)).collect()
    }

    pub(super) fn keep(&mut self, census: Census) {
        let criteria = census.criteria().clone();
        self.kept.entry(criteria).or_default().census = Some(census);
    }

    /// Keeps no others than these.
    pub(super) fn keep_only(&mut self, wanted: &[Criteria]) {
        let wanted: HashSet<&Criteria> = wanted.iter().collect();
        self.kept.retain(|criteria, _| wanted.contains(criteria));
    }

    /// The kept criteria that a change touched since the last time that this was asked.
    pub(super) fn take_touched(&mut self) -> Vec<Criteria> {
        let touched = self.kept.iter_mut().filter(|(_, kept)| kept.is_touched);
        touched
            .map(|(criteria, kept)| {
                kept.is_touched = false;
                criteria.clone()
            })
            .collect()
    }

    pub(super) fn has_touched(&self) -> bool {
        self.kept.values().any(|kept| kept.is_touched)
    }

    /// What the criteria select of what the actor may count, with the terms of these facets: from
    /// the running counts where somebody keeps them.
    #[must_use]
    pub fn census(
        &self,
        actor: &Actor,
        criteria: &Criteria,
        facets: &[Facet],
    ) -> Option<Cow<'_, Census>> {
        // Running counts are of the whole archive.
        if actor.purpose() != Purpose::Operations {
            return None;
        }
        let kept = self.kept.get(criteria).and_then(|kept| kept.census.as_ref());
        Some(match kept.filter(|census| census.counts_facets(facets)) {
            Some(census) => Cow::Borrowed(census),
            None => Cow::Owned(Census::take(self, criteria.clone(), facets)),
        })
    }

    /// Before the study goes.
    fn uncount(&mut self, at: u32) {
        if let Some(open) = self.open_studies.get_mut() {
            open.remove(at);
        }
        let mut all = std::mem::take(&mut self.kept);
        for kept in all.values_mut() {
            if let Some(census) = &mut kept.census {
                kept.is_touched |= census.remove_study(self, at);
            }
        }
        self.kept = all;
    }

    /// After the study came.
    fn recount(&mut self, at: u32) {
        let mut all = std::mem::take(&mut self.kept);
        for kept in all.values_mut() {
            if let Some(census) = &mut kept.census {
                kept.is_touched |= census.put_study(self, at);
            }
        }
        self.kept = all;
        if self.open_studies.get().is_some() {
            let is_open = self.is_wholly_open(at);
            if let Some(open) = self.open_studies.get_mut().filter(|_| is_open) {
                open.insert(at);
            }
        }
    }

    /// The open studies as they run along, and by a walk over everything.
    #[cfg(test)]
    pub(super) fn open_studies_for_test(&self) -> (RoaringBitmap, RoaringBitmap) {
        let kept = self.open_studies.get().cloned().unwrap_or_default();
        (kept, self.studies_wholly_in(&self.open))
    }

    /// Whether every series of a study is in an open selection.
    fn is_wholly_open(&self, at: u32) -> bool {
        let Some(study) = self.studies.get(at as usize) else { return false };
        let mut closed: HashSet<u32> = study.series.iter().copied().collect();
        if closed.is_empty() {
            return false;
        }
        for criteria in &self.open {
            for series in self.series_of_study_where(criteria, at) {
                closed.remove(&series);
            }
            if closed.is_empty() {
                return true;
            }
        }
        false
    }

    /// Says which kinds of findings a study has.
    pub(super) fn put_findings(&mut self, number: i64, kinds: &[Box<str>]) {
        let Some(at) = slot(number) else { return };
        for (kind, studies) in &mut self.findings {
            if !kinds.contains(kind) {
                studies.remove(at);
            }
        }
        self.findings.retain(|_, studies| !studies.is_empty());
        for kind in kinds {
            self.findings.entry(kind.clone()).or_default().insert(at);
        }
        for kept in self.kept.values_mut() {
            let is_in = kept.census.as_ref().is_some_and(|census| census.studies().contains(at));
            kept.is_touched |= is_in;
        }
    }

    /// The studies of a census that have a finding of one of these kinds.
    #[must_use]
    pub fn studies_with_findings(&self, census: &Census, kinds: &[String]) -> RoaringBitmap {
        let mut studies = RoaringBitmap::new();
        for kind in kinds {
            if let Some(with) = self.findings.get(kind.as_str()) {
                studies |= with;
            }
        }
        studies & census.studies()
    }

    // ── writing ────────────────────────────────────────────────────────────────────────────

    fn forget_orders(&mut self) {
        self.by_started = OnceLock::new();
        self.by_updated = OnceLock::new();
        self.columns = OnceLock::new();
    }

    fn pairs_of_patients(&self) -> Vec<(u32, u32)> {
        let of = |at: u32| Some((self.studies.get(at as usize)?.patient, at));
        let mut pairs: Vec<_> = self.all_studies.iter().filter_map(of).collect();
        pairs.sort_unstable();
        pairs
    }

    fn columns(&self) -> &Columns {
        self.columns.get_or_init(|| Columns {
            started: self.studies.iter().map(|study| study.started).collect(),
            updated: self.studies.iter().map(|study| study.updated).collect(),
            of_patients: self.pairs_of_patients(),
        })
    }

    pub(super) fn put_patient(&mut self, number: i64, is_there: bool) {
        let Some(at) = slot(number) else { return };
        if is_there {
            self.all_patients.insert(at);
        } else {
            self.all_patients.remove(at);
        }
    }

    /// Takes a study and its series out.
    pub(super) fn remove_study(&mut self, number: i64) {
        let Some(at) = slot(number) else { return };
        if !self.studies.get(at as usize).is_some_and(|study| study.is_there) {
            return;
        }
        self.uncount(at);
        let Some(study) = self.studies.get_mut(at as usize).map(std::mem::take) else { return };
        self.all_studies.remove(at);
        let mut terms: HashSet<Term> = self.sets.get(study.set).iter().copied().collect();
        for series in &study.series {
            self.all_series.remove(*series);
            let Some(of) = self.series.get_mut(*series as usize) else { continue };
            let of = std::mem::take(of);
            for term in self.sets.get(of.set) {
                if let Some(posting) = self.dictionary.postings.get_mut(*term as usize) {
                    posting.series.remove(*series);
                }
                terms.insert(*term);
            }
        }
        for term in terms {
            if let Some(posting) = self.dictionary.postings.get_mut(term as usize) {
                posting.studies.remove(at);
            }
        }
        self.forget_orders();
    }

    /// Puts a study in, replacing what was known of it.
    pub(super) fn put_study(&mut self, number: i64, study: &NewStudy, series: &[NewSeries]) {
        self.remove_study(number);
        let (Some(at), Some(patient)) = (slot(number), slot(study.patient)) else { return };
        let mut terms: Vec<Term> = Vec::with_capacity(study.facts.terms.len() + 6);
        let mut put = |dictionary: &mut Dictionary, facet: Facet, text: &str| {
            if !text.is_empty() {
                terms.push(dictionary.intern(facet, text));
            }
        };
        for (facet, text) in &study.facts.terms {
            put(&mut self.dictionary, *facet, text);
        }
        if let Some(started) = study.facts.started {
            put(&mut self.dictionary, Facet::Year, &format!("{:04}", started.year));
            if started.month > 0 {
                let month = format!("{:04}-{:02}", started.year, started.month);
                put(&mut self.dictionary, Facet::Month, &month);
            }
        }
        if let Some(age) = study.facts.age {
            put(&mut self.dictionary, Facet::Age, &age.to_string());
        }
        put(&mut self.dictionary, Facet::Source, study.source);
        put(&mut self.dictionary, Facet::Collection, study.collection.as_deref().unwrap_or(""));
        let set = self.sets.intern(terms);
        for term in self.sets.get(set) {
            if let Some(posting) = self.dictionary.postings.get_mut(*term as usize) {
                posting.studies.insert(at);
            }
        }
        let mut numbers = Vec::with_capacity(series.len());
        for one in series {
            let Some(series_at) = slot(one.number) else { continue };
            let terms: Vec<Term> = one
                .facts
                .terms
                .iter()
                .filter(|(_, text)| !text.is_empty())
                .map(|(facet, text)| self.dictionary.intern(*facet, text))
                .collect();
            let set = self.sets.intern(terms);
            for term in self.sets.get(set) {
                if let Some(posting) = self.dictionary.postings.get_mut(*term as usize) {
                    posting.series.insert(series_at);
                    posting.studies.insert(at);
                }
            }
            if let Some(slot) = grow(&mut self.series, series_at) {
                *slot = SeriesSlot {
                    study: at,
                    patient: u32::try_from(one.patient).unwrap_or(patient),
                    set,
                    images: one.images,
                    bytes: one.bytes,
                    spacing: one.facts.spacing,
                };
            }
            self.all_series.insert(series_at);
            numbers.push(series_at);
        }
        if let Some(slot) = grow(&mut self.studies, at) {
            *slot = StudySlot {
                is_there: true,
                set,
                patient,
                started: study.facts.started,
                updated: study.updated,
                series: numbers.into(),
            };
        }
        self.all_studies.insert(at);
        self.forget_orders();
        self.recount(at);
    }

    /// Compresses runs after many insertions.
    pub(super) fn optimise(&mut self) {
        for posting in &mut self.dictionary.postings {
            posting.series.optimize();
            posting.studies.optimize();
        }
        self.all_series.optimize();
        self.all_studies.optimize();
        self.all_patients.optimize();
    }

    // ── who sees what ──────────────────────────────────────────────────────────────────────

    /// The studies that the actor may read row by row.
    ///
    /// Secondary use reads a study only if every series of it is in an open dataset, because a
    /// study is shown whole. Operators of the node read no patient.
    fn visible(&self, actor: &Actor) -> &RoaringBitmap {
        static NOTHING: OnceLock<RoaringBitmap> = OnceLock::new();
        match actor.role {
            Role::Ehr | Role::ImagingIt => &self.all_studies,
            Role::Researcher | Role::Public => {
                self.open_studies.get_or_init(|| self.studies_wholly_in(&self.open))
            }
            Role::Steward | Role::Admin => NOTHING.get_or_init(RoaringBitmap::new),
        }
    }

    /// The studies of which every series is in one of the selections.
    fn studies_wholly_in(&self, selections: &[Criteria]) -> RoaringBitmap {
        let mut open = RoaringBitmap::new();
        for criteria in selections {
            open |= self.series_where(criteria);
        }
        let candidates = self.studies_of(&open);
        candidates
            .iter()
            .filter(|study| {
                self.studies
                    .get(*study as usize)
                    .is_some_and(|study| study.series.iter().all(|series| open.contains(*series)))
            })
            .collect()
    }

    /// How many studies with a series in `criteria` secondary use could read, were these and the
    /// `others` the selections of the open datasets: for the steward, before it is so.
    #[must_use]
    pub fn count_wholly_open(&self, criteria: &Criteria, others: &[Criteria]) -> u64 {
        let kept = self.kept.get(criteria).and_then(|kept| kept.census.as_ref());
        let selected = match kept {
            Some(census) => Cow::Borrowed(census.studies()),
            None => Cow::Owned(self.studies_of(&self.series_where(criteria))),
        };
        let asked: HashSet<&Criteria> = others.iter().chain([criteria]).collect();
        if asked == self.open.iter().collect() {
            // As it is already.
            let open = self.open_studies.get_or_init(|| self.studies_wholly_in(&self.open));
            return open.intersection_len(&selected);
        }
        let mut selections = others.to_vec();
        selections.push(criteria.clone());
        self.studies_wholly_in(&selections).intersection_len(&selected)
    }

    /// The studies that the actor may count: operators count what they describe.
    fn countable(&self, actor: &Actor) -> &RoaringBitmap {
        match actor.purpose() {
            Purpose::Operations => &self.all_studies,
            Purpose::Care | Purpose::SecondaryUse => self.visible(actor),
        }
    }

    /// The terms of a facet, to word a question with; who has them is asked with an actor.
    #[must_use]
    pub fn terms(&self, facet: Facet) -> Vec<String> {
        self.dictionary.terms_of(facet).map(|(_, text)| text.to_owned()).collect()
    }

    /// Whether the actor may read the study.
    #[must_use]
    pub fn may_read_study(&self, actor: &Actor, number: i64) -> bool {
        slot(number).is_some_and(|at| self.visible(actor).contains(at))
    }

    /// Whether the actor may read the patient: in care every one, in secondary use those of a
    /// visible study.
    #[must_use]
    pub fn may_read_patient(&self, actor: &Actor, number: i64) -> bool {
        let Some(at) = slot(number) else { return false };
        match actor.role {
            Role::Ehr | Role::ImagingIt => self.all_patients.contains(at),
            Role::Researcher | Role::Public => self.visible_patients(actor).contains(at),
            Role::Steward | Role::Admin => false,
        }
    }

    /// The patients that the actor may read.
    #[must_use]
    pub fn visible_patients(&self, actor: &Actor) -> RoaringBitmap {
        match actor.role {
            Role::Ehr | Role::ImagingIt => self.all_patients.clone(),
            Role::Researcher | Role::Public => self
                .visible(actor)
                .iter()
                .filter_map(|study| self.studies.get(study as usize))
                .map(|study| study.patient)
                .collect(),
            Role::Steward | Role::Admin => RoaringBitmap::new(),
        }
    }

    // ── search ─────────────────────────────────────────────────────────────────────────────

    /// The visible studies that answer the query.
    #[must_use]
    pub fn search(&self, actor: &Actor, query: &Query<'_>) -> RoaringBitmap {
        let visible = self.visible(actor);
        match query {
            Query::All => visible.clone(),
            _ => self.evaluate(visible, query) & visible,
        }
    }

    /// How many studies of the whole archive answer the query, whoever may read them: only for
    /// counts that go through the disclosure rule.
    #[must_use]
    pub fn count_for_disclosure(&self, query: &Query<'_>) -> u64 {
        (self.evaluate(&self.all_studies, query) & &self.all_studies).len()
    }

    /// Those of them that the actor may not read: what may be read must not lift the rest above
    /// the rule's threshold.
    #[must_use]
    pub fn hidden_for_disclosure(&self, actor: &Actor, query: &Query<'_>) -> RoaringBitmap {
        (self.evaluate(&self.all_studies, query) & &self.all_studies) - self.visible(actor)
    }

    /// How many of these studies each person has, most first, of so many persons.
    #[must_use]
    pub fn loads_of(&self, studies: &RoaringBitmap, persons: usize) -> Vec<u64> {
        let slots = studies.iter().filter_map(|study| self.studies.get(study as usize));
        super::census::loads(slots.map(|study| study.patient), persons)
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

    fn evaluate(&self, visible: &RoaringBitmap, query: &Query<'_>) -> RoaringBitmap {
        match query {
            Query::All => visible.clone(),
            Query::Has(facet, terms) => {
                let mut studies = RoaringBitmap::new();
                for term in terms {
                    if let Some(posting) = self.posting(*facet, term) {
                        studies |= &posting.studies;
                    }
                }
                studies
            }
            Query::HasAny(facet) => {
                let mut studies = RoaringBitmap::new();
                for (term, _) in self.dictionary.terms_of(*facet) {
                    if let Some(posting) = self.dictionary.postings.get(term as usize) {
                        studies |= &posting.studies;
                    }
                }
                studies
            }
            Query::SameSeries(criteria) => self.studies_of(&self.series_where(criteria)),
            Query::Studies(numbers) => numbers.iter().filter_map(|number| slot(*number)).collect(),
            Query::Patients(numbers) => {
                let of_patients = &self.columns().of_patients;
                let mut studies = RoaringBitmap::new();
                for patient in numbers.iter().filter_map(|number| slot(*number)) {
                    let start = of_patients.partition_point(|(of, _)| *of < patient);
                    let theirs = of_patients.iter().skip(start);
                    studies.extend(
                        theirs.take_while(|(of, _)| *of == patient).map(|(_, study)| *study),
                    );
                }
                studies
            }
            Query::Started(condition) => {
                scan(visible, &self.columns().started, |started| condition(*started))
            }
            Query::Updated(condition) => {
                scan(visible, &self.columns().updated, |updated| condition(*updated))
            }
            Query::Set(studies) => studies.clone(),
            Query::And(parts) => {
                let mut answer: Option<RoaringBitmap> = None;
                for part in parts {
                    // What is left so far bounds the scans of the next part.
                    let within = answer.as_ref().unwrap_or(visible);
                    let found = self.evaluate(within, part);
                    answer = Some(match answer {
                        None => found,
                        Some(answer) => answer & found,
                    });
                }
                answer.unwrap_or_else(|| visible.clone())
            }
            Query::Or(parts) => {
                let mut answer = RoaringBitmap::new();
                for part in parts {
                    answer |= self.evaluate(visible, part);
                }
                answer
            }
            Query::Not(part) => visible - self.evaluate(visible, part),
        }
    }

    fn posting(&self, facet: Facet, text: &str) -> Option<&super::terms::Posting> {
        let term = self.dictionary.find(facet, text)?;
        self.dictionary.postings.get(term as usize)
    }

    /// The series of one study that the criteria select.
    pub(super) fn series_of_study_where(&self, criteria: &Criteria, at: u32) -> Vec<u32> {
        let Some(study) = self.studies.get(at as usize).filter(|study| study.is_there) else {
            return Vec::new();
        };
        let has = |facet: Facet, terms: &[String], series: u32| {
            terms.iter().filter_map(|term| self.posting(facet, term)).any(|posting| {
                if OF_SERIES.contains(&facet) {
                    posting.series.contains(series)
                } else {
                    posting.studies.contains(at)
                }
            })
        };
        // Most selections differ by a fact of the study, such as its collection.
        let is_of_study = |facet: &Facet| !OF_SERIES.contains(facet);
        let mut of_study = criteria.any_of.iter().filter(|(facet, _)| is_of_study(facet));
        if !of_study.all(|(facet, terms)| has(*facet, terms, 0)) {
            return Vec::new();
        }
        let meets = |series: u32| {
            let mut any_of = criteria.any_of.iter().filter(|(facet, _)| !is_of_study(facet));
            any_of.all(|(facet, terms)| has(*facet, terms, series))
                && !criteria.exclude.iter().any(|(facet, terms)| has(*facet, terms, series))
        };
        let mut selected: Vec<u32> =
            study.series.iter().copied().filter(|series| meets(*series)).collect();
        if criteria.whole_studies && !selected.is_empty() {
            selected = study.series.to_vec();
        }
        selected
    }

    /// The series that the criteria select: those on which all hold, or every one of their studies.
    pub(super) fn series_where(&self, criteria: &Criteria) -> RoaringBitmap {
        let series = self.series_meeting(criteria);
        if criteria.whole_studies { self.series_of(&self.studies_of(&series)) } else { series }
    }

    /// The series on which all criteria hold.
    fn series_meeting(&self, criteria: &Criteria) -> RoaringBitmap {
        let mut series: Option<RoaringBitmap> = None;
        let mut studies: Option<RoaringBitmap> = None;
        for (facet, terms) in &criteria.any_of {
            let is_of_series = OF_SERIES.contains(facet);
            let mut found = RoaringBitmap::new();
            for posting in terms.iter().filter_map(|term| self.posting(*facet, term)) {
                found |= if is_of_series { &posting.series } else { &posting.studies };
            }
            let side = if is_of_series { &mut series } else { &mut studies };
            *side = Some(match side.take() {
                None => found,
                Some(known) => known & found,
            });
        }
        let mut answer = match (series, studies) {
            (None, None) => self.all_series.clone(),
            (Some(series), None) => series,
            (None, Some(studies)) => self.series_of(&studies),
            (Some(series), Some(studies)) => series & self.series_of(&studies),
        };
        for (facet, terms) in &criteria.exclude {
            for posting in terms.iter().filter_map(|term| self.posting(*facet, term)) {
                if OF_SERIES.contains(facet) {
                    answer -= &posting.series;
                } else {
                    answer -= self.series_of(&posting.studies);
                }
            }
        }
        answer
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

    // ── pages ──────────────────────────────────────────────────────────────────────────────

    /// The numbers of the hits after `after` in the order, at most `count`. `after` is the last
    /// entry of the page before, with its [`View::sort_key`] of then: so a page continues rightly
    /// whatever was written or deleted in between.
    #[must_use]
    pub fn page(
        &self,
        hits: &RoaringBitmap,
        sort: Sort,
        after: Option<(i64, i64)>,
        count: usize,
    ) -> Vec<i64> {
        let after = after.and_then(|(number, key)| Some((key, slot(number)?)));
        let key = |at: u32| self.sort_key(sort, i64::from(at));
        match sort {
            Sort::Arrival => {
                let start = after.map_or(0, |(_, at)| at.saturating_add(1));
                hits.range(start..).take(count).map(i64::from).collect()
            }
            Sort::Started { descending } => {
                let order = self.by_started.get_or_init(|| {
                    self.ordered(|study| study.started.map_or(i64::MAX, |started| started.from))
                });
                walk(order, hits, after, count, descending, key)
            }
            Sort::Updated { descending } => {
                let order = self.by_updated.get_or_init(|| self.ordered(|study| study.updated));
                walk(order, hits, after, count, descending, key)
            }
        }
    }

    /// What a study is sorted by: 0 in the order of arrival.
    #[must_use]
    pub fn sort_key(&self, sort: Sort, number: i64) -> i64 {
        let study = usize::try_from(number).ok().and_then(|at| self.studies.get(at));
        match sort {
            Sort::Arrival => 0,
            // Without a date they stand last, whichever way the others stand.
            Sort::Started { descending } => study
                .and_then(|study| study.started)
                .map_or(if descending { i64::MIN } else { i64::MAX }, |started| started.from),
            Sort::Updated { .. } => study.map_or(0, |study| study.updated),
        }
    }

    fn ordered(&self, key: impl Fn(&StudySlot) -> i64) -> Vec<u32> {
        let mut order: Vec<u32> = self.all_studies.iter().collect();
        order.sort_by_key(|at| (self.studies.get(*at as usize).map_or(0, &key), *at));
        order
    }

    /// When the study began, as the index knows it.
    #[must_use]
    pub fn started(&self, number: i64) -> Option<Started> {
        self.studies.get(usize::try_from(number).ok()?)?.started
    }

    // ── counts ─────────────────────────────────────────────────────────────────────────────

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

    fn selected(&self, actor: &Actor, criteria: &Criteria) -> RoaringBitmap {
        let series = self.series_where(criteria);
        let countable = self.countable(actor);
        if countable.len() == self.all_studies.len() {
            series
        } else {
            series & self.series_of(countable)
        }
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

    /// Every series as a row, for comparisons.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        self.all_series.iter().filter_map(|at| self.row(at)).collect()
    }

    fn row(&self, at: u32) -> Option<Row> {
        let series = self.series.get(at as usize)?;
        let study = self.studies.get(series.study as usize)?;
        let terms = self.sets.get(series.set).iter().chain(self.sets.get(study.set));
        let mut terms: Vec<_> = terms
            .map(|term| self.dictionary.text(*term))
            .map(|(facet, text)| (facet, text.to_owned()))
            .collect();
        terms.sort();
        Some(Row {
            series: at,
            study: series.study,
            patient: series.patient,
            images: series.images,
            bytes: series.bytes,
            started: study.started,
            terms,
        })
    }

    /// How this view differs from `truth`, in words, at most a hundred; posting lists are held
    /// against the rows too.
    pub(super) fn differences(&self, truth: &Self) -> Vec<String> {
        let mut found = Vec::new();
        let sets = [
            ("studies", &self.all_studies, &truth.all_studies),
            ("series", &self.all_series, &truth.all_series),
            ("patients", &self.all_patients, &truth.all_patients),
        ];
        for (what, mine, theirs) in sets {
            if mine != theirs {
                let (more, less) = ((mine - theirs).len(), (theirs - mine).len());
                found.push(format!("{more} {what} too many and {less} too few"));
            }
        }
        for at in &truth.all_series {
            let (mine, theirs) = (self.row(at), truth.row(at));
            if mine != theirs {
                found.push(format!("series {at}: {mine:?} instead of {theirs:?}"));
                if found.len() >= 100 {
                    return found;
                }
            }
        }
        if self.findings != truth.findings {
            found.push("the studies with findings differ".to_owned());
        }
        for (at, posting) in truth.dictionary.postings.iter().enumerate() {
            let (facet, text) = truth.dictionary.text(u32::try_from(at).unwrap_or(u32::MAX));
            let empty = super::terms::Posting::default();
            let mine = self.posting(facet, text).unwrap_or(&empty);
            if mine.series != posting.series || mine.studies != posting.studies {
                found.push(format!("the postings of {facet:?} `{text}` differ"));
            }
        }
        found.truncate(100);
        found
    }
}

/// A series with everything that is known of it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "named by what they are")]
pub struct Row {
    pub series: u32,
    pub study: u32,
    pub patient: u32,
    pub images: u32,
    pub bytes: u64,
    pub started: Option<Started>,
    /// Terms of the series and of its study, sorted.
    pub terms: Vec<(Facet, String)>,
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

/// The slots within a set whose value in a column satisfies a condition.
fn scan<T>(within: &RoaringBitmap, column: &[T], condition: impl Fn(&T) -> bool) -> RoaringBitmap {
    if within.len() < (column.len() / 16) as u64 {
        let hits = within.iter().filter(|at| column.get(*at as usize).is_some_and(&condition));
        return RoaringBitmap::from_sorted_iter(hits).unwrap_or_default();
    }
    // Most slots are asked for: one walk along the column, a bit for each, and the set afterwards.
    let mut bits = vec![0_u8; column.len().div_ceil(8)];
    for (values, byte) in column.chunks(8).zip(&mut bits) {
        for (bit, value) in values.iter().enumerate() {
            *byte |= u8::from(condition(value)) << bit;
        }
    }
    RoaringBitmap::from_lsb0_bytes(0, &bits) & within
}

/// Walks a sorted order from behind `after` and picks hits.
fn walk(
    order: &[u32],
    hits: &RoaringBitmap,
    after: Option<(i64, u32)>,
    count: usize,
    descending: bool,
    key: impl Fn(u32) -> i64,
) -> Vec<i64> {
    let pick = |at: &&u32| hits.contains(**at);
    if descending {
        // What has no key is at the end of the order, and stays there.
        let (with, without) = order.split_at(order.partition_point(|at| key(*at) != i64::MIN));
        let left = |part: &[u32]| match after {
            None => part.len(),
            Some(after) => part.partition_point(|at| (key(*at), *at) < after),
        };
        let with = with.iter().take(left(with)).rev();
        let all = with.chain(without.iter().take(left(without)).rev());
        all.filter(pick).take(count).map(|at| i64::from(*at)).collect()
    } else {
        let start = after.map_or(0, |after| order.partition_point(|at| (key(*at), *at) <= after));
        order.iter().skip(start).filter(pick).take(count).map(|at| i64::from(*at)).collect()
    }
}

/// A study on its way into the view.
pub(super) struct NewStudy<'a> {
    pub patient: i64,
    pub source: &'a str,
    pub collection: Option<String>,
    pub updated: i64,
    pub facts: StudyFacts,
}

/// A series on its way into the view.
pub(super) struct NewSeries {
    pub number: i64,
    pub patient: i64,
    pub images: u32,
    pub bytes: u64,
    pub facts: SeriesFacts,
}

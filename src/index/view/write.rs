//! Studies, series and patients into the view and out of it.
//!
//! In: what [`catch_up`](crate::index) read of the store. Out: slots, terms and postings that agree; the
//! orders and columns that queries made are made anew.

use std::collections::HashSet;

use super::{SeriesSlot, StudySlot, View, slot};
use crate::imaging::{Facet, SeriesFacts, StudyFacts};
use crate::index::terms::{Dictionary, Term};

/// A study on its way into the view.
pub(in crate::index) struct NewStudy<'a> {
    pub patient: i64,
    pub source: &'a str,
    pub collection: Option<String>,
    pub updated: i64,
    pub facts: StudyFacts,
}

/// A series on its way into the view.
pub(in crate::index) struct NewSeries {
    pub number: i64,
    pub patient: i64,
    pub images: u32,
    pub bytes: u64,
    pub facts: SeriesFacts,
}

impl View {
    pub(in crate::index) fn put_patient(&mut self, number: i64, is_there: bool) {
        let Some(at) = slot(number) else { return };
        if is_there {
            self.all_patients.insert(at);
        } else {
            self.all_patients.remove(at);
        }
    }

    /// Takes a study and its series out.
    pub(in crate::index) fn remove_study(&mut self, number: i64) {
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
    pub(in crate::index) fn put_study(
        &mut self,
        number: i64,
        study: &NewStudy,
        series: &[NewSeries],
    ) {
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
    pub(in crate::index) fn optimise(&mut self) {
        for posting in &mut self.dictionary.postings {
            posting.series.optimize();
            posting.studies.optimize();
        }
        self.all_series.optimize();
        self.all_studies.optimize();
        self.all_patients.optimize();
    }
}

fn grow<T: Default + Clone>(slots: &mut Vec<T>, at: u32) -> Option<&mut T> {
    let at = usize::try_from(at).ok()?;
    if slots.len() <= at {
        slots.resize(at + 1, T::default());
    }
    slots.get_mut(at)
}

//! Counts that run along with the changes, for whoever asked to keep them.
//!
//! In: studies before they go and after they came, kinds of findings. Out: the
//! [`Census`] of a selection without a walk, and which selections a change touched.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::OnceLock;

use roaring::RoaringBitmap;

use super::{Kept, View, slot};
use crate::actor::{Actor, Purpose};
use crate::imaging::Facet;
use crate::index::census::Census;
use crate::index::query::Criteria;

impl View {
    /// Much will change at once: what runs along with single changes is made anew when it is
    /// asked for.
    pub(in crate::index) fn forget_counts(&mut self) {
        self.open_studies = OnceLock::new();
        for kept in self.kept.values_mut() {
            *kept = Kept { census: None, is_touched: true };
        }
    }

    /// Of these criteria the ones that have no running counts of these facets.
    pub(in crate::index) fn not_kept<'c>(
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

    pub(in crate::index) fn keep(&mut self, census: Census) {
        let criteria = census.criteria().clone();
        self.kept.entry(criteria).or_default().census = Some(census);
    }

    /// Keeps no others than these.
    pub(in crate::index) fn keep_only(&mut self, wanted: &[Criteria]) {
        let wanted: HashSet<&Criteria> = wanted.iter().collect();
        self.kept.retain(|criteria, _| wanted.contains(criteria));
    }

    /// The kept criteria that a change touched since the last time that this was asked.
    pub(in crate::index) fn take_touched(&mut self) -> Vec<Criteria> {
        let touched = self.kept.iter_mut().filter(|(_, kept)| kept.is_touched);
        touched
            .map(|(criteria, kept)| {
                kept.is_touched = false;
                criteria.clone()
            })
            .collect()
    }

    pub(in crate::index) fn has_touched(&self) -> bool {
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
    pub(super) fn uncount(&mut self, at: u32) {
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
    pub(super) fn recount(&mut self, at: u32) {
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
    pub(in crate::index) fn open_studies_for_test(&self) -> (RoaringBitmap, RoaringBitmap) {
        let kept = self.open_studies.get().cloned().unwrap_or_default();
        (kept, self.studies_wholly_in(&self.open))
    }

    /// Says which kinds of findings a study has.
    pub(in crate::index) fn put_findings(&mut self, number: i64, kinds: &[Box<str>]) {
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

    /// The studies of a census with a series that it holds and that has no code of a facet whose
    /// terms are `system|code`, or `|text` of what has none.
    #[must_use]
    pub fn studies_without_code(&self, census: &Census, facet: Facet) -> RoaringBitmap {
        let mut series = census.series().clone();
        for (term, text) in self.dictionary.terms_of(facet) {
            if !text.starts_with('|')
                && let Some(posting) = self.dictionary.postings.get(term as usize)
            {
                series -= &posting.series;
            }
        }
        self.studies_of(&series)
    }
}

//! Criteria become a set of series: those on which all hold at once.

use roaring::RoaringBitmap;

use super::{OF_SERIES, View};
use crate::actor::Actor;
use crate::imaging::Facet;
use crate::index::query::Criteria;

impl View {
    pub(super) fn selected(&self, actor: &Actor, criteria: &Criteria) -> RoaringBitmap {
        let series = self.series_where(criteria);
        let countable = self.countable(actor);
        if countable.len() == self.all_studies.len() {
            series
        } else {
            series & self.series_of(countable)
        }
    }

    /// The series of one study that the criteria select.
    pub(in crate::index) fn series_of_study_where(&self, criteria: &Criteria, at: u32) -> Vec<u32> {
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
    pub(in crate::index) fn series_where(&self, criteria: &Criteria) -> RoaringBitmap {
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
}

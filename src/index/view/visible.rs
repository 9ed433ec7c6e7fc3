//! Who sees what: the studies and patients that an actor may read, and those that may be counted.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::OnceLock;

use roaring::RoaringBitmap;

use super::{View, slot};
use crate::actor::{Actor, Purpose, Role};
use crate::index::query::Criteria;

impl View {
    /// The studies that the actor may read row by row.
    ///
    /// Secondary use reads a study only if every series of it is in an open dataset, because a
    /// study is shown whole. Operators of the node read no patient.
    pub(super) fn visible(&self, actor: &Actor) -> &RoaringBitmap {
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
    pub(super) fn studies_wholly_in(&self, selections: &[Criteria]) -> RoaringBitmap {
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

    /// Whether every series of a study is in an open selection.
    pub(super) fn is_wholly_open(&self, at: u32) -> bool {
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
    pub(super) fn countable(&self, actor: &Actor) -> &RoaringBitmap {
        match actor.purpose() {
            Purpose::Operations => &self.all_studies,
            Purpose::Care | Purpose::SecondaryUse => self.visible(actor),
        }
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
}

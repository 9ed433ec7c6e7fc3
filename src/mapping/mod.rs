//! Reads `mappings/` once; imaging → FHIR JSON, imaging → facts for the index, ConceptMaps.

pub mod attributes;
pub mod tables;

use crate::imaging::{Attributes, SeriesFacts, StudyFacts, Uid};

/// What the rules need besides attributes: the archive's zone and identifier systems.
#[derive(Clone, Debug)]
pub struct Context {
    /// Zone of times that carry none.
    pub time_zone: Option<jiff::tz::TimeZone>,
}

/// The facts of a study.
#[must_use]
pub fn study_facts(_context: &Context, _patient: &Attributes, _study: &Attributes) -> StudyFacts {
    StudyFacts::default()
}

/// The facts of a series.
#[must_use]
pub fn series_facts(_context: &Context, _series: &Attributes, _sop_classes: &[Uid]) -> SeriesFacts {
    SeriesFacts::default()
}

//! Reads `mappings/` once; imaging → FHIR JSON, imaging → facts for the index, ConceptMaps.

pub mod attributes;
pub mod lookup;
pub mod tables;

use crate::imaging::{Attributes, Finding, SeriesFacts, StudyFacts, Uid};

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

/// What is missing or odd about a series, by the rules that map it.
#[must_use]
pub fn findings(
    _context: &Context,
    _patient: &Attributes,
    _study: &Attributes,
    _series: &Attributes,
) -> Vec<Finding> {
    Vec::new()
}

impl Context {
    /// Changes whenever facts could come out differently from the same attributes: an index
    /// made under another fingerprint is rebuilt.
    #[must_use]
    pub fn fingerprint(&self) -> Vec<u8> {
        let zone = self.time_zone.as_ref().and_then(jiff::tz::TimeZone::iana_name).unwrap_or("");
        format!("1;{zone}").into_bytes()
    }
}

//! The facts of a study and of a series that can be searched and counted.
//!
//! `mapping` derives them from attributes by the rules that also render FHIR and HealthDCAT-AP;
//! the index counts them. So an answer and its count cannot disagree.

/// A property that the index keeps a dictionary and bitmaps for.
#[derive(
    Clone,
    Copy,
    Debug,
    serde::Deserialize,
    Eq,
    Hash,
    Ord,
    PartialEq,
    PartialOrd,
    schemars::JsonSchema,
    serde::Serialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Facet {
    /// DICOM modality code (PS3.3 C.7.3.1.1.1): `CT`. Of a series.
    Modality,
    /// `system|code`, or `|text` for a body part without a code. Of a series.
    BodySite,
    /// SNOMED CT code of the side. Of a series.
    Laterality,
    /// Manufacturer, normalised by the table of manufacturers. Of a series.
    Manufacturer,
    /// ManufacturerModelName. Of a series.
    Model,
    /// SOPClassUID of one of its instances. Of a series.
    SopClass,
    /// A person or device that performed, as `mapping` writes it. Of a series.
    Performer,
    /// Licence of the data, where the source tells. Of a series.
    Licence,
    /// DOI of the publication that the series came with, where the source tells. Of a series.
    SourceDoi,
    /// Year of `started`, `2024`. Of a study.
    Year,
    /// Month of `started`, `2024-05`. Of a study.
    Month,
    /// Completed years of age at the study, `63`. Of a study.
    Age,
    /// FHIR administrative gender (`male`, `female`, `other`, `unknown`). Of the patient.
    Sex,
    /// Species, where it is not a human (`mouse`, `phantom` …). Of the patient.
    Species,
    /// The collection that the source assigned. Of a study.
    Collection,
    /// Name of the source. Of a study.
    Source,
    /// `system|code` or `|text` of a reason. Of a study.
    Reason,
    /// The person who referred, as `mapping` writes it. Of a study.
    Referrer,
    /// A person who read the study, as `mapping` writes it. Of a study.
    Interpreter,
    /// Keyword of an attribute that has a value: `StudyDate`. Of a series, with those of its study
    /// and patient.
    Attribute,
    /// `system|code` of a procedure that was performed. Of a study.
    Procedure,
    /// `system|code` of a procedure that was requested. Of a study.
    Requested,
    /// How many orders the study answers, `1`; none when it names none. Of a study.
    Orders,
    /// `counted`: the archive knows how many instances the series has, and not which. Of a series.
    Listing,
}

impl Facet {
    /// Every facet, in the order of the pages.
    pub const ALL: &[Self] = &[
        Self::Modality,
        Self::BodySite,
        Self::Laterality,
        Self::Manufacturer,
        Self::Model,
        Self::SopClass,
        Self::Performer,
        Self::Licence,
        Self::SourceDoi,
        Self::Year,
        Self::Month,
        Self::Age,
        Self::Sex,
        Self::Species,
        Self::Collection,
        Self::Source,
        Self::Reason,
        Self::Referrer,
        Self::Interpreter,
        Self::Attribute,
        Self::Procedure,
        Self::Requested,
        Self::Orders,
        Self::Listing,
    ];
}

/// When a study began: the interval that its value in FHIR stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Started {
    /// First instant: microseconds since 1970-01-01T00:00:00Z.
    pub from: i64,
    /// The instant after the last one: a second later for a time, a day later for a date.
    pub to: i64,
    /// Year in the archive's zone.
    pub year: i16,
    /// Month in the archive's zone, 1 to 12; 0 when only the year is known.
    pub month: i8,
}

/// What can be searched and counted of a study and its patient.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StudyFacts {
    /// When it began, if known.
    pub started: Option<Started>,
    /// Completed years of age at the study, if known.
    pub age: Option<u16>,
    /// Terms of the study-level facets, [`Facet::Source`] and [`Facet::Collection`] excepted
    /// (the index knows them from the row).
    pub terms: Vec<(Facet, String)>,
}

/// What can be searched and counted of a series.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SeriesFacts {
    /// Terms of the series-level facets.
    pub terms: Vec<(Facet, String)>,
    /// The smaller pixel spacing (PS3.3 section 10.7) to two digits, in micrometres; 0: not known.
    pub spacing: u32,
}

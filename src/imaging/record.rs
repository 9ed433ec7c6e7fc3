//! What a source hands to ingest.

use super::{Attributes, Finding, Instance, Report, Uid};

/// Who a patient is: an identifier within the domain of its issuer (PS3.3 C.2.1). Identity is
/// scoped by the data holder, so the same PatientID of two issuers is two patients.
#[derive(
    Clone, Debug, serde::Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize,
)]
pub struct PatientKey {
    /// The issuer: the universal entity id or local name that the data carry, else the
    /// source's own scope (for a table: the data holder); may be empty.
    pub issuer: String,
    /// PatientID as it is; for a study without one `study:` and its UID.
    pub id: String,
}

/// Which of several descriptions of one thing counts, whatever the order of arrival: the
/// smallest. Study-level values come from the first image series, a series' values from its
/// first instance, so that a follow-up object (SR, KO, PR, SEG) cannot rename a study.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Rank {
    /// Images before derived and presentation objects.
    pub is_derived: bool,
    /// SeriesNumber; series without one come last (`u32::MAX`).
    pub series_number: u32,
    /// SeriesInstanceUID.
    pub series: String,
    /// InstanceNumber; instances without one come last (`u32::MAX`).
    pub instance_number: u32,
    /// SOPInstanceUID; empty for a row of a table that knows only the series.
    pub instance: String,
}

impl Rank {
    /// Modalities whose objects are made from images or say something about them
    /// (PS3.3 C.7.3.1.1.1).
    pub const DERIVED: &[&str] = &[
        "ANN",
        "AU",
        "DOC",
        "FID",
        "KO",
        "M3D",
        "PLAN",
        "PR",
        "REG",
        "RESP",
        "RTDOSE",
        "RTPLAN",
        "RTRECORD",
        "RTSTRUCT",
        "RWV",
        "SEG",
        "SMR",
        "SR",
        "STAIN",
        "TEXTUREMAP",
    ];

    /// The rank as one text whose order is the rank's, for the store.
    #[must_use]
    pub fn to_key(&self) -> String {
        format!(
            "{}{:08x}.{}/{:08x}.{}",
            u8::from(self.is_derived),
            self.series_number,
            self.series,
            self.instance_number,
            self.instance
        )
    }
}

/// One SOP instance as a source read it, or one row of a table of series: the attributes of
/// each level and where they belong.
#[derive(Clone, Debug, serde::Deserialize, serde::Serialize)]
pub struct Record {
    /// Whose study it is.
    pub patient_key: PatientKey,
    /// StudyInstanceUID.
    pub study_uid: Uid,
    /// SeriesInstanceUID.
    pub series_uid: Uid,
    /// Patient-level attributes (Patient IE).
    pub patient: Attributes,
    /// Study-level attributes (Study IE, with the Patient Study module).
    pub study: Attributes,
    /// Series-level attributes (Series, Equipment and Frame of Reference IEs).
    pub series: Attributes,
    /// The instance; `None` where the source knows the series only by its count.
    pub instance: Option<Instance>,
    /// What the instance reports, if it is a structured report or an encapsulated document.
    #[serde(default)]
    pub report: Option<Box<Report>>,
    /// How many instances the row stands for: 1 with an instance.
    pub count: u32,
    /// How many bytes they have in the archive; 0 when not known.
    pub bytes: u64,
    /// SOP classes of a count-only row.
    pub sop_classes: Vec<Uid>,
    /// The collection that the source assigns (for a table: the column that chooses the dataset).
    pub collection: Option<String>,
    /// The licence of the series' data, where the source tells: a short name (`CC BY 4.0`).
    /// PS3.6 has no attribute for it. Becomes [`Facet::Licence`](super::Facet::Licence).
    #[serde(default)]
    pub licence: Option<String>,
    /// The DOI of the publication that the series came with, where the source tells
    /// (`10.7937/…`). Becomes [`Facet::SourceDoi`](super::Facet::SourceDoi).
    #[serde(default)]
    pub source_doi: Option<String>,
    /// Where the record came from, for the journal: path relative to the source's root, or
    /// `row N` of a table, or the WADO-RS path.
    pub origin: String,
    /// What is missing or odd in it.
    pub findings: Vec<Finding>,
}

impl Record {
    /// The rank of this record's description of its study.
    #[must_use]
    pub fn rank(&self) -> Rank {
        let modality = self.series.first("Modality").unwrap_or("");
        let number = self.series.first("SeriesNumber").and_then(|n| n.parse().ok());
        Rank {
            is_derived: Rank::DERIVED.contains(&modality),
            series_number: number.unwrap_or(u32::MAX),
            series: self.series_uid.as_str().to_owned(),
            instance_number: self
                .instance
                .as_ref()
                .and_then(|instance| instance.number)
                .unwrap_or(u32::MAX),
            instance: self
                .instance
                .as_ref()
                .map_or(String::new(), |instance| instance.uid.as_str().to_owned()),
        }
    }
}

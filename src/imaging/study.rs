//! Patient, study and series as the store knows them.

use super::{Attributes, Instance, PatientKey, Uid};

/// A patient.
#[derive(Clone, Debug, PartialEq)]
pub struct Patient {
    /// The store's number.
    pub number: i64,
    /// Who it is.
    pub key: PatientKey,
    /// Patient-level attributes, those of the patient's latest study.
    pub attributes: Attributes,
    /// The logical id under which the actor's purpose of use sees the patient.
    pub public_id: String,
    /// Counts up from 1 with every change of content.
    pub version: i32,
    /// When the content last changed: microseconds since 1970-01-01T00:00:00Z.
    pub updated: i64,
}

/// A series of a study.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The store's number.
    pub number: i64,
    /// SeriesInstanceUID.
    pub uid: Uid,
    /// Series-level attributes.
    pub attributes: Attributes,
    /// How many instances the series has.
    pub images: u32,
    /// Bytes in the archive; 0 when not known.
    pub bytes: u64,
    /// The SOP classes of its instances, sorted.
    pub sop_classes: Vec<Uid>,
    /// Its instances by InstanceNumber and UID: loaded only when a reader asks for them, and
    /// always empty for a count-only series.
    pub instances: Vec<Instance>,
}

/// A study with its series.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// The store's number.
    pub number: i64,
    /// StudyInstanceUID.
    pub uid: Uid,
    /// The subject.
    pub patient: Patient,
    /// Study-level attributes, those of its first image series ([`super::Rank`]).
    pub attributes: Attributes,
    /// The collection that its source assigned, if any.
    pub collection: Option<String>,
    /// The name of the source that it came from.
    pub source: String,
    /// The logical id under which the actor's purpose of use sees the study.
    pub public_id: String,
    /// Counts up from 1 with every change of content.
    pub version: i32,
    /// When the content last changed: microseconds since 1970-01-01T00:00:00Z.
    pub updated: i64,
    /// Its series by SeriesNumber and UID.
    pub series: Vec<Series>,
}

impl Study {
    /// How many instances all series have together.
    #[must_use]
    pub fn images(&self) -> u64 {
        self.series.iter().map(|series| u64::from(series.images)).sum()
    }
}

//! The values of imaging: [`Patient`], [`Study`], [`Series`], [`Instance`] and the rules that
//! hold for them whatever the source and whatever the edge.
//!
//! In: text as a source decoded it. Out: values that the other rooms trust.
//! Governed by DICOM PS3.3 (information objects), PS3.5 (UIDs, value representations), PS3.6
//! (keywords). Absent: IO, JSON of any edge, SQL, HTTP, tag numbers.

mod attributes;
mod facet;
mod finding;
mod ids;
mod instance;
mod quarantine;
mod record;
mod report;
mod study;
mod uid;

pub use attributes::{Attributes, Keyword, NotAKeyword, Value};
pub use facet::{Facet, SeriesFacts, Started, StudyFacts};
pub use finding::{FINDING_KINDS, Finding, FindingKind};
pub use ids::{IdSpace, Lookup, fold, fold_words, keyed, public_id, uid_hash};
pub use instance::{Concept, Instance, Laterality, NotPacked};
pub use quarantine::Quarantine;
pub use record::{PatientKey, Rank, Record};
pub use report::{
    Code, Content, Document, Evidence, ImageReference, Item, Observer, Report, StoredReport,
};
pub use study::{Patient, Series, Study};
pub use uid::{NotAUid, Uid};

//! Drives a [`Source`](crate::source::Source) into the store.
//!
//! In: items of a source. Out: rows, findings, journal entries, change numbers; a [`Summary`].
//! A batch of items is one transaction: what was reported as stored is durable, a run that is
//! killed leaves the state after its last batch, and the next run goes on from there.
//! Absent: what an attribute means (`mapping`), how it is read (`source`, `dicom`).

pub mod clinical;
mod clinical_journal;
mod merge;
mod run;
mod settle;

pub use merge::Merged;
pub use run::{Files, Ingest, Progress, Summary, ingest};
pub use settle::settle;

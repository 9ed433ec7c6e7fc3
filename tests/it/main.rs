//! The integration tests: one binary, a folder per room.

mod catalogue;
mod dicom;
mod fhir;
mod index;
mod ingest;
mod source;
mod store;
mod support;

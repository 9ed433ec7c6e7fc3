//! The integration tests: one binary, a folder per room.

mod catalogue;
mod dicom;
mod fhir;
mod source;

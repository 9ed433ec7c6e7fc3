//! The integration tests: one binary, a folder per room.
#![allow(clippy::unwrap_used, clippy::print_stdout)] // a test that cannot go on panics and says why

mod catalogue;
mod dicom;
mod fhir;
mod source;

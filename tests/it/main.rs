//! The integration tests: a folder per room.

mod fhir;
mod source;

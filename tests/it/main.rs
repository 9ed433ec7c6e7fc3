//! The integration tests: a folder per room.

mod fhir;
mod ingest;
mod source;
mod store;
mod support;

//! The integration tests: one binary, a folder per room.

mod catalogue;
mod fhir;
mod source;
mod web;

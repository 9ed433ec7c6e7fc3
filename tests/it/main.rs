//! The integration tests: one binary, a folder per room.

mod architecture;
mod catalogue;
mod config;
mod data_files;
mod dicom;
mod fhir;
mod index;
mod ingest;
mod source;
mod store;
mod support;
mod web;

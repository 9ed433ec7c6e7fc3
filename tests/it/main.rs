//! The integration tests: one binary, a folder per room.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these are tests"
)]

mod app;
mod architecture;
mod catalogue;
mod commands;
mod config;
mod data_files;
mod dicom;
mod dicomweb;
mod fhir;
mod harvest_in;
mod index;
mod ingest;
mod source;
mod store;
mod support;
mod web;

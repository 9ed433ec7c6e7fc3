//! FHIR: what the rows of `mappings/` make of imaging values, and what a client sees.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests say what they measured")]

mod edges;
mod hostile;
mod judged;
mod records;
mod records_hostile;
mod records_search;
mod rendering;
mod rows;
mod sample;
mod schemas;
mod search;
mod server;
mod speed;
mod validate;

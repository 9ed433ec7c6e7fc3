//! FHIR: what the rows of `mappings/` make of imaging values, and what a client sees.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests say what they measured")]

mod bulk;
mod bulk_ahead;
mod derived;
mod documents;
mod edges;
mod guide;
mod hidden;
mod hostile;
mod intake;
mod judged;
mod manifests;
mod profiles;
mod provided;
mod reach;
mod records;
mod records_hostile;
mod records_search;
mod rendering;
mod report;
mod report_server;
mod rows;
mod sample;
mod schemas;
mod search;
mod search_generated;
mod server;
mod speed;
mod subscription;
mod terminology;
mod validate;

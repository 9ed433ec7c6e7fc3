//! FHIR: what the rows of `mappings/` make of imaging values, and what a client sees.

mod edges;
mod judged;
mod rendering;
mod rows;
mod sample;
mod search;
mod server;

//! Turns a steward's [`Description`] and the figures of the index into RDF documents by
//! HealthDCAT-AP, holds them to shapes, and publishes them.
//!
//! In: descriptions (TOML), [`Facts`] (counts over the index), the configuration, the clock.
//! Out: one document per dataset, its catalogue record, the listing, answers to SPARQL.
//! Governed by HealthDCAT-AP Release 8 (Regulation (EU) 2026/2098), DCAT-AP 3.0.1, W3C SHACL,
//! RDFC-1.0, Hydra. Absent: HTTP, SQL, the counting itself.

mod check;
mod description;
mod desk;
mod emit;
mod export;
mod fdp;
mod feed;
mod figures;
mod graph;
mod kept;
mod listing;
mod log;
mod names;
mod publish;
mod release;
mod selection;
mod service;
mod shacl;
pub mod sparql;
mod summary;

use crate::imaging::Facet;

pub use check::{Refusal, is_slug, read};
pub use description::{
    AccessRights, Activity, Agent, Contact, Day, Description, Distribution, LegalBasis, Period,
    Precision, Series, Text, Words,
};
pub use desk::{Desk, How, Pass, read_folder, stamp_folder};
pub use emit::{Format, canonical, digest, digest_bytes, emit, gzip, parse};
pub use fdp::FDP_SPECIFICATION;
pub use feed::{FRAGMENT, FeedPage};
pub use figures::{Disclosed, FACETS, Facts, Figures, Part};
pub use graph::{Subject, Writer, configured, moment};
pub use kept::{IndexFacts, StoreShelf, open_selections};
pub use listing::Page;
pub use log::{Event, Log, Lost, Operation, SNAPSHOT_LIFE, Snapshot, Standing};
pub use names::Names;
pub use publish::{
    Entry, Gate, MemoryShelf, Outcome, Publisher, Shelf, ShelfState, State, Verdict,
};
pub use release::{
    CodeSystemsFile, LicencesFile, Release, Scheme, VariableTable, VariablesFile, VocabularyFile,
    samples, schemas,
};
pub use selection::Selection;
pub use shacl::{FieldsFile, Outcome as ShapeOutcome, Problem, Severity, Shapes};
pub use summary::{Place, Summary};

//! Turns a steward's [`Description`] and the figures of the index into RDF documents by
//! HealthDCAT-AP, holds them to shapes, and publishes them.
//!
//! In: descriptions (TOML), [`Facts`] (counts over the index), the configuration, the clock.
//! Out: one document per dataset, its catalogue record, the listing, answers to SPARQL.
//! Governed by HealthDCAT-AP Release 8 (Regulation (EU) 2026/2098), DCAT-AP 3.0.1, W3C SHACL,
//! RDFC-1.0, Hydra. Absent: HTTP, SQL, the counting itself.

mod about;
pub mod bench;
mod check;
mod clinical;
mod description;
mod desk;
mod elements;
mod emit;
mod eucaim_rows;
mod export;
mod fdp;
mod feed;
mod figures;
mod follow;
pub mod form;
mod gate;
mod graph;
pub mod history;
pub mod import;
mod kept;
mod language;
mod listing;
mod log;
mod names;
mod others;
mod parts;
mod publish;
mod quality;
mod release;
pub mod rewrite;
mod selection;
mod service;
mod shacl;
mod shelf;
pub mod sparql;
mod summary;
mod trial;

pub use about::{About, PartCatalog, Service};
pub use check::{Refusal, is_slug, read};
pub use description::{
    AccessRights, Activity, Agent, Attribution, Checksum, Contact, Day, Description, Distribution,
    Eucaim, Hours, LegalBasis, Location, Period, Policy, Precision, Relationship, Series, Table,
    Text, Waiver, Words,
};
pub use desk::{Desk, How, Pass, read_folder, stamp_folder};
pub use elements::{Due, Element, ElementsFile, When, completeness};
pub use emit::{Format, canonical, digest, digest_bytes, emit, gzip, parse};
pub use fdp::FDP_SPECIFICATION;
pub use feed::{FRAGMENT, FeedPage};
pub use figures::{Arrival, Disclosed, FACETS, Facts, Figures, Part};
pub use follow::OpenDatasets;
pub use gate::Gate;
pub use graph::{Subject, Writer, configured, moment};
pub use kept::{IndexFacts, Lowering, StoreShelf, open_selections};
pub use language::language_code;
pub use listing::Page;
pub use log::{Event, Log, Lost, Operation, SNAPSHOT_LIFE, Snapshot, Standing};
pub use names::Names;
pub use others::Other;
pub use parts::{Packed, Parts};
pub use publish::{Outcome, Publisher, Verdict};
pub use quality::{Dimension, Figure, LEVELS, Measure, Metric, QualityFile};
pub use release::{
    Carrier, CodeSystemsFile, CodeValues, Form, LicencesFile, Release, Scheme, VariableTable,
    VariablesFile, VocabularyFile, WaiverRow, samples, schemas,
};
pub use selection::Selection;
pub use shacl::{FieldsFile, Outcome as ShapeOutcome, Problem, Severity, Shapes};
pub use shelf::{Entry, MemoryShelf, Shelf, ShelfState, State};
pub use summary::{Place, Summary};

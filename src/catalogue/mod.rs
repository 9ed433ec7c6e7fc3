//! Turns a steward's [`Description`] and the figures of the index into RDF documents by
//! HealthDCAT-AP, holds them to shapes, and publishes them.
//!
//! In: descriptions (TOML), [`Facts`] (counts over the index), the configuration, the clock.
//! Out: one document per dataset, its catalogue record, the listing, answers to SPARQL.
//! Governed by HealthDCAT-AP Release 8 (Regulation (EU) 2026/2098), DCAT-AP 3.0.1, W3C SHACL,
//! RDFC-1.0, Hydra. Absent: HTTP, SQL, the counting itself.

mod description;
mod selection;

pub use description::{
    AccessRights, Activity, Agent, Contact, Day, Description, Distribution, LegalBasis, Period,
    Precision, Series, Text, Words,
};
pub use selection::Selection;

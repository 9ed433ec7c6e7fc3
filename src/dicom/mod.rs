//! Reads DICOM data sets within bounds into [`imaging`](crate::imaging) values, and writes them.
//!
//! In: files of PS3.10 (and what older devices write: no preamble, no file meta information), or
//! DICOM JSON of PS3.18 Annex F. Out: one [`Record`](crate::imaging::Record) for each SOP
//! instance, with [`Finding`](crate::imaging::Finding)s, or the reason why there is none.
//! Governed by PS3.5 (encoding, transfer syntaxes, character sets), PS3.10, PS3.18 Annex F.
//! Absent: pixel data, the store, FHIR. Which attributes are read is
//! [`mapping::attributes`](crate::mapping::attributes)' business.

mod charset;
mod codec;
mod digest;
pub mod hostile;
mod input;
pub mod json;
pub mod kos;
mod kos_read;
mod part10;
pub mod pixels;
mod plan;
pub mod read;
mod record;
pub mod render;
mod scan;
pub mod sr;
mod to_json;
pub mod value;
mod walk;
pub mod worker;
pub mod write;

pub use json::record_from_json;
pub use part10::{Identity, Part10, Told, encapsulated_document, instance_of_head};
pub use plan::Plan;
pub use read::{Outcome, Reader};
pub use to_json::{element_of, keyword_of, value_to_json};

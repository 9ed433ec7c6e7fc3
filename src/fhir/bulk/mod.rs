//! Bulk Data Access 3.0.0 (`$export`): everything that a reader may see, as files.
//!
//! In: a kick-off request of an [`Actor`](crate::actor::Actor). Out: a folder of NDJSON files with
//! a manifest, made by one thread of low priority and its helpers, and handed out to the same actor until they
//! expire or are deleted. While none waits, the thread keeps the lines of studies ready. What an actor may not see is subtracted as in every search; the types'
//! providers give the resources. A job is a file beside its output: one that was not finished when
//! the server stopped begins anew with the next.
//! A group is one that a client wrote; its members are looked up at the kick-off.
//! Absent: `includeAssociatedData`, exports in several manifests.

mod ahead;
mod desk;
mod kept;
mod order;
mod routes;
mod rows;
mod write;

pub use ahead::Turn;
pub(super) use desk::Desk;
pub use kept::{disk_of_exports, forget_lines};
pub(super) use routes::routes;

use super::State;
use super::outcome::{Failure, Result};

/// The media type of the files (Bulk Data Access, file request).
pub(super) const NDJSON: &str = "application/fhir+ndjson";

impl State {
    /// The exports, if this server keeps any.
    fn exports(&self) -> Result<&Desk> {
        self.exports.as_ref().ok_or_else(|| Failure::no_such_address("$export"))
    }
}

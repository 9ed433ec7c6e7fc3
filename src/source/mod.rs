//! Where studies come from: a folder, a DICOMweb server, a table. One trait, [`Source`].
//!
//! In: an archive. Out: [`Item`]s, one after the other, into a sink that may say stop.
//! Governed by PS3.10 (files), PS3.18 (DICOMweb). Absent: the store; what was seen before is
//! asked through [`Journal`].

use crate::error::Result;
pub use crate::imaging::Quarantine;
use crate::imaging::{Record, Uid};

pub mod dicomweb;
pub mod folder;
pub mod kept;
pub mod table;

/// Tells whether an input is the one that was read before, without reading it again.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Stamp {
    /// Size in bytes of a file; number of instances of a study served by DICOMweb.
    pub size: u64,
    /// Modification time of a file in nanoseconds; a digest of what QIDO-RS said of a study.
    pub mark: i64,
}

/// What earlier runs knew of a source.
pub trait Journal: Sync {
    /// The stamp under which an input was settled (ingested, quarantined or found to be no
    /// DICOM); `None` if it never was, or is to be read again.
    fn stamp(&self, origin: &str) -> Option<Stamp>;

    /// How many inputs the settled input held (rows of a table, instances of a study).
    fn inputs(&self, origin: &str) -> u64;

    /// The inputs that earlier runs settled and that were not reported as gone since. A source
    /// that can ask for an input by name does so before it lets it count as deleted.
    fn origins(&self) -> Vec<String> {
        Vec::new()
    }
}

/// What a source reports.
#[derive(Debug)]
pub enum Item {
    /// One SOP instance, or one row of a table. With a stamp the input is settled by it (a
    /// file); without one it is a part of an input that [`Item::Settled`] ends.
    Record {
        /// What was read.
        record: Box<Record>,
        /// The input's stamp, when this record is all of it.
        stamp: Option<Stamp>,
    },
    /// An input that cannot be used.
    Quarantined {
        /// The input, relative to the source. A part of an input is named below it:
        /// `studies/1.2/series/1.3`, `series.csv/row 7`.
        origin: String,
        /// Its stamp; `None` for a part of an input.
        stamp: Option<Stamp>,
        /// Why.
        reason: Quarantine,
    },
    /// An input that is no DICOM at all.
    NotDicom {
        /// The input, relative to the source.
        origin: String,
        /// Its stamp.
        stamp: Stamp,
    },
    /// An input whose stamp the journal already holds: it was not opened.
    Unchanged {
        /// The input, relative to the source.
        origin: String,
        /// How many instances or rows it holds.
        inputs: u64,
    },
    /// The parts of an input are complete.
    Settled {
        /// The input, relative to the source (`studies/1.2.3`, the path of a table).
        origin: String,
        /// Its stamp.
        stamp: Stamp,
        /// How many instances or rows it held.
        inputs: u64,
        /// For a source that serves whole studies: the study, and the SOP instances that it has
        /// now; others that the store knows of it from this source are removed.
        study: Option<(Uid, Vec<Uid>)>,
    },
    /// How much there is to read, for progress: total inputs, when known.
    Expected(u64),
}

/// The sink that a source feeds. `Err` means: stop, and return that error.
pub type Sink<'a> = dyn FnMut(Item) -> Result<()> + 'a;

/// An archive that can be read.
pub trait Source: Send {
    /// The word of the command line: `folder`, `dicomweb`, `table`.
    fn kind(&self) -> &'static str;

    /// Where it is: path or URL without credentials. Identifies the source between runs.
    fn locator(&self) -> String;

    /// Whether an input that the journal knows and this run did not see was deleted at the
    /// source for certain (`true`), or may just be unreachable (`false`: reported, kept).
    fn is_authoritative(&self) -> bool;

    /// Reads everything, in any order.
    ///
    /// # Errors
    /// When the source as a whole cannot be read, or the sink said stop. A single input that
    /// cannot be used is an [`Item::Quarantined`], not an error.
    fn read(&mut self, journal: &dyn Journal, sink: &mut Sink<'_>) -> Result<()>;
}

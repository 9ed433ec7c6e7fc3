//! A table of series or instances (Parquet or CSV), read through a table mapping.
//!
//! In: a file and a [`SeriesTable`]. Out: one [`Record`](crate::imaging::Record) a row, or the reason why not.
//! Rows are streamed: memory holds a batch of the mapped columns, whatever the file's size.
//! Absent: what a column means (`mappings/tables/`), the store.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::error::{Error, Result};
use crate::mapping::tables::{self, Format, Lookup, Mapping, SeriesTable, line_of};

use super::{Item, Journal, Sink, Source, Stamp};

pub mod clinical;
mod csv;
pub mod descriptions;
mod parquet;
mod plan;
mod rows;
mod slots;
mod transform;

use plan::{Plan, refused};
use rows::Rows;

/// Rows that are decoded at once.
const BATCH: usize = 8_192;

/// Rows of a lookup table that are read at most; it is held in memory.
const LARGEST_LOOKUP: usize = 1_000_000;

/// A table that can be ingested.
pub struct Table {
    path: PathBuf,
    mapping: Box<SeriesTable>,
    text: String,
    place: String,
    format: Format,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("path", &self.path).field("mapping", &self.place).finish()
    }
}

impl Table {
    /// Finds the mapping by name ([`tables::find`]), and checks that the file has its columns.
    ///
    /// # Errors
    /// [`Error::Configuration`] with file, line, key and remedy.
    pub fn open(path: &Path, mapping: &str, overrides: Option<&Path>) -> Result<Self> {
        let (text, place) = tables::find(mapping, overrides)?;
        match tables::parse(&text, &place)? {
            Mapping::Series(mapping) => Self::with_mapping(path, mapping, text, place),
            Mapping::Clinical(_) => Err(Error::Configuration(format!(
                "{place}: maps clinical data, not series; use it with `vesalius ingest table`"
            ))),
            Mapping::Descriptions(_) => Err(Error::Configuration(format!(
                "{place}: maps a table of dataset descriptions, not of series; use it with \
                 `vesalius catalogue`"
            ))),
        }
    }

    fn with_mapping(
        path: &Path,
        mapping: Box<SeriesTable>,
        text: String,
        place: String,
    ) -> Result<Self> {
        let format = format_of(path, mapping.format, &place)?;
        let table = Self { path: path.to_owned(), mapping, text, place, format };
        let rows = Rows::open(&table.path, table.format, &table.mapping.csv)?;
        Plan::new(&table, &rows.columns())?;
        for lookup in &table.mapping.lookups {
            let path = table.lookup_path(lookup);
            if !lookup.optional && !path.is_file() {
                return Err(table.wrong(
                    lookup.column.span().start,
                    "lookup",
                    &format!("there is no file {}", path.display()),
                    "put it beside the table, or say `optional = true`",
                ));
            }
        }
        Ok(table)
    }

    fn wrong(&self, at: usize, key: &str, problem: &str, remedy: &str) -> Error {
        let line = line_of(&self.text, at);
        Error::Configuration(format!("{}, line {line}: `{key}`: {problem}; {remedy}", self.place))
    }

    fn lookup_path(&self, lookup: &Lookup) -> PathBuf {
        self.path.parent().unwrap_or_else(|| Path::new("")).join(&lookup.file)
    }

    fn origin(&self) -> String {
        self.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// Size and time of the file. The mapping and the lookups count too: another mapping reads
    /// other records from the same file.
    fn stamp(&self) -> Result<Stamp> {
        let stat = |path: &Path| -> Option<(u64, i64)> {
            let stat = std::fs::metadata(path).ok()?;
            let time = stat.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
            Some((stat.len(), i64::try_from(time.as_nanos()).ok()?))
        };
        let (size, mut mark) = stat(&self.path).ok_or_else(|| unreadable(&self.path, "no file"))?;
        let mut digest = Digest::default();
        digest.add(self.text.as_bytes());
        for lookup in &self.mapping.lookups {
            let (size, mark) = stat(&self.lookup_path(lookup)).unwrap_or((0, 0));
            digest.add(&size.to_le_bytes());
            digest.add(&mark.to_le_bytes());
        }
        mark ^= digest.0.cast_signed();
        Ok(Stamp { size, mark })
    }
}

/// FNV-1a, 64 bits: stable between runs and releases.
struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.0 = (self.0 ^ 0xff).wrapping_mul(0x0100_0000_01b3);
    }
}

/// How a file is written, by its mapping or its ending.
fn format_of(path: &Path, said: Option<Format>, place: &str) -> Result<Format> {
    let ending = path.extension().and_then(|end| end.to_str()).unwrap_or("");
    match (said, ending.to_ascii_lowercase().as_str()) {
        (Some(format), _) => Ok(format),
        (None, "parquet") => Ok(Format::Parquet),
        (None, "csv" | "tsv" | "txt") => Ok(Format::Csv),
        (None, _) => Err(Error::Configuration(format!(
            "{}: neither the file's ending nor `format` in {place} tells how it is written; add \
             `format = \"parquet\"` or `\"csv\"` to the mapping",
            path.display()
        ))),
    }
}

fn unreadable(path: &Path, failure: &str) -> Error {
    Error::Invalid(format!("{}: cannot be read ({failure})", path.display()))
}

impl Source for Table {
    fn kind(&self) -> &'static str {
        "table"
    }

    fn locator(&self) -> String {
        let path = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        path.display().to_string()
    }

    fn is_authoritative(&self) -> bool {
        false
    }

    fn read(&mut self, journal: &dyn Journal, sink: &mut Sink<'_>) -> Result<()> {
        let (origin, stamp) = (self.origin(), self.stamp()?);
        if journal.stamp(&origin) == Some(stamp) {
            let inputs = journal.inputs(&origin);
            sink(Item::Expected(inputs))?;
            return sink(Item::Unchanged { origin, inputs });
        }
        let mut rows = Rows::open(&self.path, self.format, &self.mapping.csv)?;
        let mut plan = Plan::new(self, &rows.columns())?;
        rows.choose(&plan.names)?;
        plan.read_lookups(self)?;
        if let Some(expected) = rows.expected() {
            sink(Item::Expected(expected))?;
        }
        let mut number = 0;
        rows.each(|row| {
            number += 1;
            let item = match row {
                Ok(row) => plan.record(row, number),
                Err(detail) => Err(refused("row-broken", "", detail)),
            };
            sink(match item {
                Ok(record) => Item::Record { record: Box::new(record), stamp: None },
                Err(mut reason) => {
                    reason.offset = Some(number);
                    // Named as a part of the table, which is what the journal settles.
                    let origin = format!("{origin}/row {number}");
                    Item::Quarantined { origin, stamp: None, reason }
                }
            })
        })?;
        sink(Item::Settled { origin, stamp, inputs: number, study: None })
    }
}

//! The rows of a file, whatever its format.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{csv, parquet, unreadable};
use crate::error::Result;
use crate::mapping::tables::{Csv, Format};

/// A value of a row as its reader gives it.
pub(super) enum Cell<'a> {
    Absent,
    Bytes(&'a [u8]),
    /// Bytes that are no text in the encoding that the mapping declares.
    Foreign(&'a [u8]),
    Integer(i64),
    Real(f64),
}

/// The rows of a file, whatever its format.
pub(super) enum Rows {
    Parquet { path: PathBuf, file: Option<Box<OpenParquet>>, reader: Option<parquet::Reader> },
    Csv { path: PathBuf, reader: Box<csv::Reader> },
}

type OpenParquet = ::parquet::file::reader::SerializedFileReader<parquet::Chunks>;

/// One row of the chosen columns.
pub(super) struct Row<'a> {
    rows: &'a Rows,
    at: usize,
}

impl Row<'_> {
    /// Where it stands in a file of lines.
    pub(super) fn line(&self) -> Option<u64> {
        match self.rows {
            Rows::Csv { reader, .. } => Some(reader.line()),
            Rows::Parquet { .. } => None,
        }
    }

    pub(super) fn cell<'b>(&'b self, column: usize, scratch: &'b mut String) -> Cell<'b> {
        match self.rows {
            Rows::Parquet { reader: Some(reader), .. } => reader.cell(column, self.at, scratch),
            Rows::Parquet { reader: None, .. } => Cell::Absent,
            Rows::Csv { reader, .. } => reader.cell(column, scratch),
        }
    }
}

impl Rows {
    pub(super) fn open(path: &Path, format: Format, how: &Csv) -> Result<Self> {
        let file = File::open(path).map_err(|failure| unreadable(path, &failure.to_string()))?;
        let failed = |detail: String| unreadable(path, &detail);
        Ok(match format {
            Format::Parquet => Self::Parquet {
                path: path.to_owned(),
                file: Some(Box::new(parquet::open(file).map_err(failed)?)),
                reader: None,
            },
            Format::Csv => Self::Csv {
                path: path.to_owned(),
                reader: Box::new(csv::Reader::open(file, how).map_err(failed)?),
            },
        })
    }

    pub(super) fn columns(&self) -> Vec<String> {
        match self {
            Self::Parquet { file, .. } => {
                file.as_ref().map(|file| parquet::columns(file)).unwrap_or_default()
            }
            Self::Csv { reader, .. } => reader.header().to_vec(),
        }
    }

    pub(super) fn choose(&mut self, names: &[String]) -> Result<()> {
        match self {
            Self::Parquet { path, file, reader } => {
                if let Some(open) = file.take() {
                    let chosen = parquet::Reader::new(*open, names);
                    *reader = Some(chosen.map_err(|detail| unreadable(path, &detail))?);
                }
                Ok(())
            }
            Self::Csv { path, reader } => {
                reader.choose(names).map_err(|detail| unreadable(path, &detail))
            }
        }
    }

    pub(super) fn expected(&self) -> Option<u64> {
        match self {
            Self::Parquet { reader, .. } => reader.as_ref().map(parquet::Reader::rows),
            Self::Csv { .. } => None,
        }
    }

    /// Calls with each row, or with the reason why a row has none.
    pub(super) fn each(
        &mut self,
        mut work: impl FnMut(Result<&Row<'_>, String>) -> Result<()>,
    ) -> Result<()> {
        loop {
            let batch = match self {
                Self::Parquet { path, reader: Some(reader), .. } => {
                    let rows = reader.next_batch().map_err(|detail| unreadable(path, &detail))?;
                    if rows == 0 {
                        return Ok(());
                    }
                    rows
                }
                Self::Parquet { reader: None, .. } => return Ok(()),
                Self::Csv { path, reader } => {
                    match reader.next_row().map_err(|detail| unreadable(path, &detail))? {
                        csv::Next::Row => 1,
                        csv::Next::Broken(detail) => {
                            work(Err(detail))?;
                            continue;
                        }
                        csv::Next::End => return Ok(()),
                    }
                }
            };
            for at in 0..batch {
                work(Ok(&Row { rows: self, at }))?;
            }
        }
    }
}

/// Whether the cell holds bytes that are no text.
pub(super) fn is_no_text(cell: &Cell<'_>) -> bool {
    match cell {
        Cell::Bytes(bytes) => std::str::from_utf8(bytes).is_err(),
        Cell::Foreign(_) => true,
        Cell::Absent | Cell::Integer(_) | Cell::Real(_) => false,
    }
}

pub(super) fn text_of(cell: Cell<'_>) -> String {
    match cell {
        Cell::Absent => String::new(),
        Cell::Bytes(bytes) | Cell::Foreign(bytes) => {
            String::from_utf8_lossy(bytes).trim().to_owned()
        }
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
    }
}

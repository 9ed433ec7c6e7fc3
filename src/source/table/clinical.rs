//! Rows of a table of clinical data, read through a clinical mapping.
//!
//! In: a file (CSV, Parquet) and a [`ClinicalTable`]. Out: each row's cells by column, with the
//! number of its line, or the reason why it has none. Streamed: memory holds a row or a batch.

use std::collections::HashMap;
use std::path::Path;

use super::format_of;
use super::rows::{Rows, is_no_text, text_of};
use crate::error::{Error, Result};
use crate::mapping::clinical::ClinicalTable;

/// A row that was read.
#[derive(Debug)]
pub struct ClinicalRow {
    /// The line of the file where it begins; its number among the rows where there are no lines.
    pub line: u64,
    /// Cells that are not empty, trimmed, by column; or why the row cannot be read.
    pub cells: Result<HashMap<String, String>, String>,
}

/// Hands every row to `each`, in the file's order.
///
/// # Errors
/// When the file cannot be read or lacks a column, or `each` says stop.
pub fn read(
    path: &Path,
    mapping: &ClinicalTable,
    place: &str,
    mut each: impl FnMut(ClinicalRow) -> Result<()>,
) -> Result<()> {
    let format = format_of(path, mapping.format, place)?;
    let mut rows = Rows::open(path, format, &mapping.csv)?;
    let (names, columns) = (mapping.columns(), rows.columns());
    if let Some(missing) = names.iter().find(|name| !columns.contains(name)) {
        return Err(Error::Configuration(format!(
            "{place}: {} has no column `{missing}`; its columns are {}",
            path.display(),
            columns.join(", ")
        )));
    }
    rows.choose(&names)?;
    let (mut number, mut scratch) = (0, String::new());
    rows.each(|row| {
        number += 1;
        let (line, cells) = match row {
            Err(detail) => (number + 1, Err(detail)),
            Ok(row) => {
                let mut cells = Ok(HashMap::with_capacity(names.len()));
                for (column, name) in names.iter().enumerate() {
                    let cell = row.cell(column, &mut scratch);
                    if is_no_text(&cell) {
                        // Half of a text is none: a letter that is lost may be a person's.
                        cells = Err(format!(
                            "column `{name}` is no text in the encoding `{}`; say in `csv.encoding` \
                             of the mapping how the file is written",
                            mapping.csv.encoding
                        ));
                        break;
                    }
                    let text = text_of(cell);
                    if let (Ok(cells), false) = (&mut cells, text.is_empty()) {
                        cells.insert(name.clone(), text);
                    }
                }
                (row.line().unwrap_or(number), cells)
            }
        };
        each(ClinicalRow { line, cells })
    })
}

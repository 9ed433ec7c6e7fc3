//! Columns of a CSV file (RFC 4180 with a header row), a row at a time.

use std::cell::Cell as Counter;
use std::fs::File;
use std::io::Read;
use std::rc::Rc;

use super::rows::Cell;
use crate::mapping::tables::Csv;

/// A row beyond this size is not read: an unclosed quote would swallow the file.
const LONGEST_ROW: usize = 4 << 20;

/// Reads no further than [`LONGEST_ROW`] beyond the last row that was complete.
struct Bounded {
    file: File,
    read: Rc<Counter<usize>>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.read.get() > LONGEST_ROW {
            return Err(std::io::Error::other(
                "a row is longer than 4 MiB; is a quotation mark never closed?",
            ));
        }
        let read = self.file.read(buffer)?;
        self.read.set(self.read.get() + read);
        Ok(read)
    }
}

/// The chosen columns of a file.
pub(super) struct Reader {
    csv: csv::Reader<Bounded>,
    read: Rc<Counter<usize>>,
    encoding: &'static encoding_rs::Encoding,
    header: Vec<String>,
    wanted: Vec<usize>,
    row: csv::ByteRecord,
}

/// What the next row is.
pub(super) enum Next {
    /// A row with as many fields as the header.
    Row,
    /// A row that cannot be used, and why.
    Broken(String),
    /// There is none.
    End,
}

impl Reader {
    /// Opens the file and reads its header.
    pub(super) fn open(file: File, how: &Csv) -> Result<Self, String> {
        let encoding = encoding_rs::Encoding::for_label(how.encoding.as_bytes())
            .ok_or_else(|| format!("`{}` is no encoding", how.encoding))?;
        let read = Rc::new(Counter::new(0));
        let mut csv = csv::ReaderBuilder::new()
            .delimiter(u8::try_from(how.delimiter).unwrap_or(b','))
            .flexible(true)
            .from_reader(Bounded { file, read: Rc::clone(&read) });
        let header = csv
            .byte_headers()
            .map_err(|failure| failure.to_string())?
            .iter()
            .map(|name| {
                let name = name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(name);
                encoding.decode_without_bom_handling(name).0.trim().to_owned()
            })
            .collect();
        Ok(Self { csv, read, encoding, header, wanted: Vec::new(), row: csv::ByteRecord::new() })
    }

    /// The names of the columns.
    pub(super) fn header(&self) -> &[String] {
        &self.header
    }

    /// Chooses columns by name.
    pub(super) fn choose(&mut self, names: &[String]) -> Result<(), String> {
        self.wanted = names
            .iter()
            .map(|name| {
                let mut found =
                    self.header.iter().enumerate().filter(|(_, column)| *column == name);
                match (found.next(), found.next()) {
                    (Some((at, _)), None) => Ok(at),
                    (Some(_), Some(_)) => Err(format!("two columns are called `{name}`")),
                    (None, _) => Err(format!("there is no column `{name}`")),
                }
            })
            .collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Reads the next row.
    pub(super) fn next_row(&mut self) -> Result<Next, String> {
        let more =
            self.csv.read_byte_record(&mut self.row).map_err(|failure| failure.to_string())?;
        self.read.set(0);
        if !more {
            return Ok(Next::End);
        }
        if self.row.len() == self.header.len() {
            return Ok(Next::Row);
        }
        let line = self.row.position().map_or(0, csv::Position::line);
        Ok(Next::Broken(format!(
            "line {line} has {} fields where the header has {}; is a delimiter or a quotation \
             mark missing?",
            self.row.len(),
            self.header.len()
        )))
    }

    /// The line that the row begins on.
    pub(super) fn line(&self) -> u64 {
        self.row.position().map_or(0, csv::Position::line)
    }

    /// The value of the row.
    pub(super) fn cell<'a>(&'a self, column: usize, scratch: &'a mut String) -> Cell<'a> {
        let Some(bytes) = self.wanted.get(column).and_then(|at| self.row.get(*at)) else {
            return Cell::Absent;
        };
        if bytes.is_empty() {
            return Cell::Absent;
        }
        if bytes.is_ascii() {
            return Cell::Bytes(bytes);
        }
        if self.encoding == encoding_rs::UTF_8 {
            return match std::str::from_utf8(bytes) {
                Ok(_) => Cell::Bytes(bytes),
                Err(_) => Cell::Foreign(bytes),
            };
        }
        let (text, is_damaged) = self.encoding.decode_without_bom_handling(bytes);
        if is_damaged {
            return Cell::Foreign(bytes);
        }
        scratch.clear();
        scratch.push_str(&text);
        Cell::Bytes(scratch.as_bytes())
    }
}

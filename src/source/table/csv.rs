//! Columns of a CSV file (RFC 4180 with a header row), a row at a time.

use std::cell::{Cell as Counter, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::rc::Rc;

use super::rows::Cell;
use crate::mapping::tables::Csv;

/// A row beyond this size is not read: an unclosed quote would swallow the file.
const LONGEST_ROW: usize = 4 << 20;

/// The ends of lines that were read, by their place in the file.
#[derive(Debug, Default)]
struct Ends {
    /// Where the next byte stands.
    at: u64,
    /// Carriage returns and line feeds (`true`) that no row has passed yet.
    places: VecDeque<(u64, bool)>,
    /// Line feeds that were passed.
    passed: u64,
}

impl Ends {
    /// The line on which the row begins whose reading began there. What ends the row before, and
    /// empty lines, are read with the row that follows.
    fn line(&mut self, start: u64) -> u64 {
        let mut begin = start;
        while let Some((at, is_feed)) = self.places.front().copied().filter(|(at, _)| *at <= begin)
        {
            self.places.pop_front();
            self.passed += u64::from(is_feed);
            if at == begin {
                begin += 1;
            }
        }
        self.passed + 1
    }
}

/// Reads no further than [`LONGEST_ROW`] beyond the last row that was complete.
struct Bounded {
    file: File,
    read: Rc<Counter<usize>>,
    ends: Rc<RefCell<Ends>>,
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
        let mut ends = self.ends.borrow_mut();
        let from = ends.at;
        for (at, byte) in (from..).zip(buffer.iter().take(read)) {
            if matches!(byte, b'\r' | b'\n') {
                ends.places.push_back((at, *byte == b'\n'));
            }
        }
        ends.at = from + read as u64;
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
    ends: Rc<RefCell<Ends>>,
    line: u64,
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
        let ends = Rc::new(RefCell::new(Ends::default()));
        let mut csv = csv::ReaderBuilder::new()
            .delimiter(u8::try_from(how.delimiter).unwrap_or(b','))
            .flexible(true)
            .from_reader(Bounded { file, read: Rc::clone(&read), ends: Rc::clone(&ends) });
        let header = csv
            .byte_headers()
            .map_err(|failure| failure.to_string())?
            .iter()
            .map(|name| {
                let name = name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(name);
                encoding.decode_without_bom_handling(name).0.trim().to_owned()
            })
            .collect();
        let (wanted, row) = (Vec::new(), csv::ByteRecord::new());
        Ok(Self { csv, read, encoding, header, wanted, row, ends, line: 0 })
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
        let start = self.row.position().map_or(0, csv::Position::byte);
        self.line = self.ends.borrow_mut().line(start);
        if self.row.len() == self.header.len() {
            return Ok(Next::Row);
        }
        let line = self.line;
        Ok(Next::Broken(format!(
            "line {line} has {} fields where the header has {}; is a delimiter or a quotation \
             mark missing?",
            self.row.len(),
            self.header.len()
        )))
    }

    /// The line that the row begins on.
    pub(super) const fn line(&self) -> u64 {
        self.line
    }

    /// The value of the row.
    pub(super) fn cell<'a>(&'a self, column: usize, scratch: &'a mut String) -> Cell<'a> {
        let Some(bytes) = self.wanted.get(column).and_then(|at| self.row.get(*at)) else {
            return Cell::Absent;
        };
        if bytes.is_empty() {
            return Cell::Absent;
        }
        if self.encoding == encoding_rs::UTF_8 || bytes.is_ascii() {
            return Cell::Bytes(bytes);
        }
        scratch.clear();
        scratch.push_str(&self.encoding.decode_without_bom_handling(bytes).0);
        Cell::Bytes(scratch.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use super::{Next, Reader};
    use crate::mapping::tables::Csv;

    #[test]
    fn a_row_has_the_line_that_an_editor_shows() {
        let how = Csv::default();
        for end in ["\n", "\r\n"] {
            let text = ["a,b", "1,x", "2,\"y", "z\"", "3,w", "", "", "4,v", "5", "6,u"].join(end);
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.rewind().unwrap();
            let mut reader = Reader::open(file, &how).unwrap();
            let mut lines = Vec::new();
            loop {
                match reader.next_row().unwrap() {
                    Next::Row => lines.push(reader.line()),
                    Next::Broken(reason) => {
                        assert!(reason.starts_with(&format!("line {} has 1", reader.line())));
                        lines.push(reader.line());
                    }
                    Next::End => break,
                }
            }
            assert_eq!(lines, [2, 3, 5, 8, 9, 10], "{end:?}");
        }
    }
}

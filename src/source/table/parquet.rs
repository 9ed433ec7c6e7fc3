//! Columns of a Parquet file, a batch of rows at a time.
//!
//! The file's pages are decoded as they are needed: a row group of a million rows costs a page
//! and a dictionary per column, never the column. Only the columns that are asked for are read.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;

use super::BATCH;
use super::rows::Cell;

/// A page or dictionary beyond this size is not read: writers make pages of a megabyte.
const LARGEST_READ: usize = 256 << 20;

/// A file whose reads are bounded by its length and by [`LARGEST_READ`].
pub(super) struct Chunks {
    file: File,
    length: u64,
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<File>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(start))?;
        Ok(BufReader::with_capacity(1 << 16, file))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<bytes::Bytes> {
        let end = start.checked_add(length as u64);
        if length > LARGEST_READ || end.is_none_or(|end| end > self.length) {
            return Err(ParquetError::General(format!(
                "a page of {length} bytes at {start} does not fit the file"
            )));
        }
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::with_capacity(length);
        file.take(length as u64).read_to_end(&mut bytes)?;
        if bytes.len() == length {
            Ok(bytes.into())
        } else {
            Err(ParquetError::EOF(format!("the file ends inside a page at {start}")))
        }
    }
}

/// What a number in the file stands for.
#[derive(Clone, Copy, Debug)]
enum Meaning {
    Plain,
    Unsigned,
    Day,
    Instant { per_second: i64 },
    Decimal { scale: u32 },
}

enum Buffer {
    Bool(ColumnReaderImpl<parquet::data_type::BoolType>, Vec<bool>),
    Int32(ColumnReaderImpl<parquet::data_type::Int32Type>, Vec<i32>),
    Int64(ColumnReaderImpl<parquet::data_type::Int64Type>, Vec<i64>),
    Float(ColumnReaderImpl<parquet::data_type::FloatType>, Vec<f32>),
    Double(ColumnReaderImpl<parquet::data_type::DoubleType>, Vec<f64>),
    Bytes(ColumnReaderImpl<parquet::data_type::ByteArrayType>, Vec<ByteArray>),
    Fixed(ColumnReaderImpl<parquet::data_type::FixedLenByteArrayType>, Vec<FixedLenByteArray>),
}

struct Column {
    buffer: Buffer,
    meaning: Meaning,
    /// The level at which the value is there.
    present: i16,
    levels: Vec<i16>,
    /// For each row of the batch the place of its value, or [`NONE`].
    places: Vec<u32>,
}

const NONE: u32 = u32::MAX;

/// The chosen columns of a file.
pub(super) struct Reader {
    file: SerializedFileReader<Chunks>,
    wanted: Vec<usize>,
    group: usize,
    left: usize,
    columns: Vec<Column>,
}

/// Opens the file and reads its footer.
pub(super) fn open(file: File) -> Result<SerializedFileReader<Chunks>, String> {
    let length = file.metadata().map_err(|failure| failure.to_string())?.len();
    guarded(|| SerializedFileReader::new(Chunks { file, length }))
}

/// The columns of a file: the leaves that do not repeat, by their dotted paths.
pub(super) fn columns(file: &SerializedFileReader<Chunks>) -> Vec<String> {
    file.metadata()
        .file_metadata()
        .schema_descr()
        .columns()
        .iter()
        .map(|column| column.path().string())
        .collect()
}

/// The crate reports most damage as an error and the rest by a panic; both are a message here.
pub(super) fn guarded<T>(work: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|failure| failure.to_string()),
        Err(_) => Err("the file is damaged beyond what its reader can tell".to_owned()),
    }
}

impl Reader {
    /// Chooses columns by name.
    pub(super) fn new(
        file: SerializedFileReader<Chunks>,
        names: &[String],
    ) -> Result<Self, String> {
        let schema = file.metadata().file_metadata().schema_descr_ptr();
        let mut wanted = Vec::new();
        for name in names {
            let found = schema.columns().iter().position(|column| column.path().string() == *name);
            let index = found.ok_or_else(|| format!("there is no column `{name}`"))?;
            if schema.columns().get(index).is_none_or(|column| column.max_rep_level() > 0) {
                return Err(format!("column `{name}` holds a list in each row"));
            }
            wanted.push(index);
        }
        Ok(Self { file, wanted, group: 0, left: 0, columns: Vec::new() })
    }

    /// How many rows the file has.
    pub(super) fn rows(&self) -> u64 {
        u64::try_from(self.file.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Reads the next rows; 0 at the end.
    pub(super) fn next_batch(&mut self) -> Result<usize, String> {
        while self.left == 0 {
            if self.group >= self.file.num_row_groups() {
                return Ok(0);
            }
            let (file, group, wanted) = (&self.file, self.group, &self.wanted);
            let (rows, columns) = guarded(|| {
                let group = file.get_row_group(group)?;
                let rows = group.metadata().num_rows();
                let columns = wanted
                    .iter()
                    .map(|index| {
                        let reader = group.get_column_reader(*index)?;
                        let descriptor = group.metadata().column(*index).column_descr();
                        Column::new(reader, descriptor)
                    })
                    .collect::<parquet::errors::Result<Vec<_>>>()?;
                Ok((rows, columns))
            })?;
            self.left = usize::try_from(rows).map_err(|_| "a row group has no size".to_owned())?;
            self.columns = columns;
            self.group += 1;
        }
        let rows = self.left.min(BATCH);
        for column in &mut self.columns {
            guarded(|| column.read(rows))?;
        }
        self.left -= rows;
        Ok(rows)
    }

    /// The value of a row of the batch. Numbers that stand for dates, instants or decimals are
    /// written to `scratch`.
    pub(super) fn cell<'a>(
        &'a self,
        column: usize,
        row: usize,
        scratch: &'a mut String,
    ) -> Cell<'a> {
        let Some(column) = self.columns.get(column) else { return Cell::Absent };
        let place = if column.present == 0 {
            row
        } else {
            match column.places.get(row) {
                Some(place) if *place != NONE => *place as usize,
                _ => return Cell::Absent,
            }
        };
        let number = |number: i64, scratch: &'a mut String| match column.meaning {
            Meaning::Plain => Cell::Integer(number),
            Meaning::Unsigned => Cell::Integer(number),
            Meaning::Day | Meaning::Instant { .. } | Meaning::Decimal { .. } => {
                scratch.clear();
                if write_number(column.meaning, number, scratch) {
                    Cell::Bytes(scratch.as_bytes())
                } else {
                    Cell::Absent
                }
            }
        };
        match &column.buffer {
            Buffer::Bool(_, values) => values
                .get(place)
                .map_or(Cell::Absent, |v| Cell::Bytes(if *v { b"true" } else { b"false" })),
            Buffer::Int32(_, values) => values.get(place).map_or(Cell::Absent, |v| {
                let value = match column.meaning {
                    Meaning::Unsigned => i64::from(v.cast_unsigned()),
                    _ => i64::from(*v),
                };
                number(value, scratch)
            }),
            Buffer::Int64(_, values) => {
                values.get(place).map_or(Cell::Absent, |v| number(*v, scratch))
            }
            Buffer::Float(_, values) => {
                values.get(place).map_or(Cell::Absent, |v| Cell::Real(f64::from(*v)))
            }
            Buffer::Double(_, values) => values.get(place).map_or(Cell::Absent, |v| Cell::Real(*v)),
            Buffer::Bytes(_, values) => {
                values.get(place).map_or(Cell::Absent, |v| Cell::Bytes(v.data()))
            }
            Buffer::Fixed(_, values) => {
                values.get(place).map_or(Cell::Absent, |v| Cell::Bytes(v.data()))
            }
        }
    }
}

fn write_number(meaning: Meaning, number: i64, out: &mut String) -> bool {
    use std::fmt::Write as _;
    match meaning {
        Meaning::Day => {
            let epoch = jiff::civil::date(1970, 1, 1);
            let day =
                jiff::Span::new().try_days(number).ok().and_then(|s| epoch.checked_add(s).ok());
            day.is_some_and(|day| write!(out, "{day}").is_ok())
        }
        Meaning::Instant { per_second } => {
            let (second, part) = (number.div_euclid(per_second), number.rem_euclid(per_second));
            let nanos = part * (1_000_000_000 / per_second);
            let instant =
                i32::try_from(nanos).ok().and_then(|n| jiff::Timestamp::new(second, n).ok());
            instant.is_some_and(|instant| {
                let civil = instant.to_zoned(jiff::tz::TimeZone::UTC).datetime();
                write!(out, "{civil}").is_ok()
            })
        }
        Meaning::Decimal { scale } => {
            let Some(unit) = 10_u64.checked_pow(scale) else { return false };
            let (whole, part) = (number.unsigned_abs() / unit, number.unsigned_abs() % unit);
            let sign = if number < 0 { "-" } else { "" };
            let width = scale as usize;
            if scale == 0 {
                write!(out, "{sign}{whole}").is_ok()
            } else {
                write!(out, "{sign}{whole}.{part:0width$}").is_ok()
            }
        }
        Meaning::Plain | Meaning::Unsigned => false,
    }
}

impl Column {
    fn new(reader: ColumnReader, descriptor: &ColumnDescriptor) -> parquet::errors::Result<Self> {
        let buffer = match reader {
            ColumnReader::BoolColumnReader(reader) => Buffer::Bool(reader, Vec::new()),
            ColumnReader::Int32ColumnReader(reader) => Buffer::Int32(reader, Vec::new()),
            ColumnReader::Int64ColumnReader(reader) => Buffer::Int64(reader, Vec::new()),
            ColumnReader::FloatColumnReader(reader) => Buffer::Float(reader, Vec::new()),
            ColumnReader::DoubleColumnReader(reader) => Buffer::Double(reader, Vec::new()),
            ColumnReader::ByteArrayColumnReader(reader) => Buffer::Bytes(reader, Vec::new()),
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                Buffer::Fixed(reader, Vec::new())
            }
            ColumnReader::Int96ColumnReader(_) => {
                return Err(ParquetError::NYI(format!(
                    "column `{}` holds INT96 timestamps, which Parquet has withdrawn; write it as \
                     TIMESTAMP or text",
                    descriptor.path().string()
                )));
            }
        };
        let scale = |scale: i32| Meaning::Decimal { scale: u32::try_from(scale).unwrap_or(0) };
        let meaning = match (descriptor.logical_type_ref(), descriptor.converted_type()) {
            (Some(LogicalType::Date), _) | (None, ConvertedType::DATE) => Meaning::Day,
            (Some(LogicalType::Timestamp(time)), _) => Meaning::Instant {
                per_second: match time.unit {
                    TimeUnit::MILLIS => 1_000,
                    TimeUnit::MICROS => 1_000_000,
                    TimeUnit::NANOS => 1_000_000_000,
                },
            },
            (None, ConvertedType::TIMESTAMP_MILLIS) => Meaning::Instant { per_second: 1_000 },
            (None, ConvertedType::TIMESTAMP_MICROS) => Meaning::Instant { per_second: 1_000_000 },
            (Some(LogicalType::Decimal(_)), _) | (None, ConvertedType::DECIMAL) => {
                scale(descriptor.type_scale())
            }
            (_, ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32) => {
                Meaning::Unsigned
            }
            _ => Meaning::Plain,
        };
        let present = descriptor.max_def_level();
        Ok(Self { buffer, meaning, present, levels: Vec::new(), places: Vec::new() })
    }

    fn read(&mut self, rows: usize) -> parquet::errors::Result<()> {
        self.levels.clear();
        let levels = &mut self.levels;
        let read = match &mut self.buffer {
            Buffer::Bool(reader, values) => fill(reader, values, levels, rows),
            Buffer::Int32(reader, values) => fill(reader, values, levels, rows),
            Buffer::Int64(reader, values) => fill(reader, values, levels, rows),
            Buffer::Float(reader, values) => fill(reader, values, levels, rows),
            Buffer::Double(reader, values) => fill(reader, values, levels, rows),
            Buffer::Bytes(reader, values) => fill(reader, values, levels, rows),
            Buffer::Fixed(reader, values) => fill(reader, values, levels, rows),
        }?;
        if read != rows {
            return Err(ParquetError::General("a column is shorter than its row group".to_owned()));
        }
        if self.present > 0 {
            self.places.clear();
            let mut place = 0;
            for level in &self.levels {
                let is_there = *level == self.present;
                self.places.push(if is_there { place } else { NONE });
                place += u32::from(is_there);
            }
        }
        Ok(())
    }
}

fn fill<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    values: &mut Vec<T::T>,
    levels: &mut Vec<i16>,
    rows: usize,
) -> parquet::errors::Result<usize> {
    values.clear();
    reader.read_records(rows, Some(levels), None, values).map(|(records, _, _)| records)
}

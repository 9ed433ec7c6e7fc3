//! A table of series or instances (Parquet or CSV), read through a table mapping.
//!
//! In: a file and a [`SeriesTable`]. Out: one [`Record`] a row, or the reason why not.
//! Rows are streamed: memory holds a batch of the mapped columns, whatever the file's size.
//! Absent: what a column means (`mappings/tables/`), the store.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::error::{Error, Result};
use crate::imaging::{Attributes, Finding, Instance, Keyword, Laterality, PatientKey, Record, Uid};
use crate::mapping::tables::{
    self, Action, Csv, Format, Level, Lookup, Mapping, SeriesTable, level_of, line_of,
};

use super::{Item, Journal, Quarantine, Sink, Source, Stamp};

pub mod clinical;
mod csv;
pub mod descriptions;
mod parquet;
mod transform;

use transform::Step;

/// Rows that are decoded at once.
const BATCH: usize = 8_192;

/// Rows of a lookup table that are read at most; it is held in memory.
const LARGEST_LOOKUP: usize = 1_000_000;

/// A value of a row as its reader gives it.
enum Cell<'a> {
    Absent,
    Bytes(&'a [u8]),
    Integer(i64),
    Real(f64),
}

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

/// The rows of a file, whatever its format.
enum Rows {
    Parquet { path: PathBuf, file: Option<Box<OpenParquet>>, reader: Option<parquet::Reader> },
    Csv { path: PathBuf, reader: Box<csv::Reader> },
}

type OpenParquet = ::parquet::file::reader::SerializedFileReader<parquet::Chunks>;

/// One row of the chosen columns.
struct Row<'a> {
    rows: &'a Rows,
    at: usize,
}

impl Row<'_> {
    /// Where it stands in a file of lines.
    fn line(&self) -> Option<u64> {
        match self.rows {
            Rows::Csv { reader, .. } => Some(reader.line()),
            Rows::Parquet { .. } => None,
        }
    }

    fn cell<'b>(&'b self, column: usize, scratch: &'b mut String) -> Cell<'b> {
        match self.rows {
            Rows::Parquet { reader: Some(reader), .. } => reader.cell(column, self.at, scratch),
            Rows::Parquet { reader: None, .. } => Cell::Absent,
            Rows::Csv { reader, .. } => reader.cell(column, scratch),
        }
    }
}

impl Rows {
    fn open(path: &Path, format: Format, how: &Csv) -> Result<Self> {
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

    fn columns(&self) -> Vec<String> {
        match self {
            Self::Parquet { file, .. } => {
                file.as_ref().map(|file| parquet::columns(file)).unwrap_or_default()
            }
            Self::Csv { reader, .. } => reader.header().to_vec(),
        }
    }

    fn choose(&mut self, names: &[String]) -> Result<()> {
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

    fn expected(&self) -> Option<u64> {
        match self {
            Self::Parquet { reader, .. } => reader.as_ref().map(parquet::Reader::rows),
            Self::Csv { .. } => None,
        }
    }

    /// Calls with each row, or with the reason why a row has none.
    fn each(&mut self, mut work: impl FnMut(Result<&Row<'_>, String>) -> Result<()>) -> Result<()> {
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

/// A column that is read, and its value in the current row.
struct Slot {
    text: String,
    is_present: bool,
    /// The value differs from that of the row before.
    is_new: bool,
    /// The bytes were no UTF-8.
    is_foreign: bool,
    /// Its number matters.
    is_number: bool,
    /// Its text matters.
    is_text: bool,
    number: f64,
}

/// An attribute that a column fills.
struct Field {
    slot: usize,
    lookup: Option<(usize, usize)>,
    column: String,
    keyword: Keyword,
    level: Level,
    names_person: bool,
    steps: Vec<Step>,
    absent: Option<&'static str>,
    value: String,
    findings: Vec<Finding>,
    is_new: bool,
}

struct Join {
    slot: usize,
    /// Columns of the further table that are used.
    columns: Vec<String>,
    rows: HashMap<String, Vec<String>>,
    /// Where the current row's key was found.
    current: Vec<String>,
    is_new: bool,
}

struct Rule {
    slot: usize,
    lookup: Option<(usize, usize)>,
    values: Vec<String>,
    column: String,
    action: Action,
    finding: Option<&'static str>,
}

struct UidSlot {
    slot: usize,
    uid: Option<Uid>,
    finding: Option<Finding>,
}

/// A mapping resolved against the columns of a file, and the state of the current row.
struct Plan {
    names: Vec<String>,
    slots: Vec<Slot>,
    scratch: String,
    patient: usize,
    issuer: Option<usize>,
    constant_issuer: String,
    study: UidSlot,
    series: UidSlot,
    instance: Option<UidSlot>,
    sop_class: Option<usize>,
    sop_classes: Vec<Uid>,
    count: Option<usize>,
    bytes: Option<(usize, f64)>,
    collection: Option<usize>,
    licence: Option<usize>,
    source_doi: Option<usize>,
    fields: Vec<Field>,
    joins: Vec<Join>,
    rules: Vec<Rule>,
    bags: [Attributes; 3],
    patient_id: Option<Keyword>,
    is_first: bool,
}

fn refused(code: &str, path: &str, detail: String) -> Quarantine {
    Quarantine { code: code.to_owned(), path: path.to_owned(), offset: None, detail }
}

fn known(code: Option<&str>) -> Option<&'static str> {
    let code = code?;
    crate::imaging::FINDING_KINDS.iter().find(|kind| kind.code == code).map(|kind| kind.code)
}

impl Plan {
    fn new(table: &Table, columns: &[String]) -> Result<Self> {
        let mapping = &*table.mapping;
        let mut names: Vec<String> = Vec::new();
        let mut slot = |column: &toml::Spanned<String>, key: &str| -> Result<usize> {
            let name = column.get_ref();
            if !columns.contains(name) {
                return Err(table.wrong(
                    column.span().start,
                    key,
                    &format!("{} has no column `{name}`", table.path.display()),
                    &format!("its columns are {}", columns.join(", ")),
                ));
            }
            Ok(names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name.clone());
                names.len() - 1
            }))
        };
        let mut optional = |column: &Option<toml::Spanned<String>>, key: &str| {
            column.as_ref().map(|column| slot(column, key)).transpose()
        };
        let issuer = optional(&mapping.identity.issuer.column, "identity.issuer")?;
        let sop_class = optional(&mapping.identity.sop_class, "identity.sop-class")?;
        let instance = optional(&mapping.identity.instance, "identity.instance")?;
        let count = optional(&mapping.size.instances, "size.instances")?;
        let collection = optional(&mapping.dataset.collection, "dataset.collection")?;
        let licence = optional(&mapping.dataset.licence, "dataset.licence")?;
        let source_doi = optional(&mapping.dataset.source_doi, "dataset.source-doi")?;
        let bytes = match &mapping.size.bytes {
            Some(row) => Some((slot(&row.column, "size.bytes")?, row.factor)),
            None => None,
        };
        let of = |slot| UidSlot { slot, uid: None, finding: None };
        let patient = slot(&mapping.identity.patient, "identity.patient")?;
        let study = of(slot(&mapping.identity.study, "identity.study")?);
        let series = of(slot(&mapping.identity.series, "identity.series")?);

        let mut joins = Vec::new();
        for lookup in &mapping.lookups {
            joins.push(Join {
                slot: slot(&lookup.column, "lookup.column")?,
                columns: Vec::new(),
                rows: HashMap::new(),
                current: Vec::new(),
                is_new: true,
            });
        }
        // Where a value stands: in a column of the table, or in one of a lookup.
        let mut place = |column: &toml::Spanned<String>,
                         lookup: &Option<toml::Spanned<String>>,
                         key: &str|
         -> Result<(usize, Option<(usize, usize)>)> {
            let Some(name) = lookup else { return Ok((slot(column, key)?, None)) };
            let at = mapping.lookups.iter().position(|row| row.name == *name.get_ref());
            let Some((at, join)) = at.and_then(|at| Some((at, joins.get_mut(at)?))) else {
                return Err(table.wrong(name.span().start, "lookup", "is not known", "name one"));
            };
            let name = column.get_ref();
            let index = join.columns.iter().position(|known| known == name).unwrap_or_else(|| {
                join.columns.push(name.clone());
                join.columns.len() - 1
            });
            Ok((join.slot, Some((at, index))))
        };

        let mut fields = Vec::new();
        let mut bags: [Attributes; 3] = Default::default();
        for row in &mapping.attributes {
            if row.optional && row.lookup.is_none() && !columns.contains(row.column.get_ref()) {
                continue;
            }
            let (slot, lookup) = place(&row.column, &row.lookup, "attribute.column")?;
            let Ok(keyword) = Keyword::parse(row.keyword.get_ref()) else { continue };
            let Some(level) = row.level.or_else(|| level_of(keyword.as_str())) else { continue };
            fields.push(Field {
                slot,
                lookup,
                column: row.column.get_ref().clone(),
                keyword,
                level,
                names_person: level == Level::Patient
                    && !matches!(keyword.as_str(), "PatientSex" | "PatientSpeciesDescription"),
                steps: row.transforms.iter().map(Step::new).collect(),
                absent: known(row.absent.as_ref().map(|code| code.get_ref().as_str())),
                value: String::new(),
                findings: Vec::new(),
                is_new: true,
            });
        }
        let mut rules = Vec::new();
        for row in &mapping.rules {
            let (slot, lookup) = place(&row.column, &row.lookup, "rule.column")?;
            rules.push(Rule {
                slot,
                lookup,
                values: row.values.clone(),
                column: row.column.get_ref().clone(),
                action: row.action,
                finding: known(row.finding.as_ref().map(|code| code.get_ref().as_str())),
            });
        }
        for row in &mapping.constants {
            let Ok(keyword) = Keyword::parse(row.keyword.get_ref()) else { continue };
            let level = row.level.or_else(|| level_of(keyword.as_str()));
            if let Some(bag) = level.and_then(bag_of).and_then(|at| bags.get_mut(at)) {
                bag.set(keyword, &row.value);
            }
        }
        let numbers = [count, bytes.map(|(slot, _)| slot)];
        let slots = (0..names.len())
            .map(|at| Slot {
                text: String::new(),
                is_present: false,
                is_new: true,
                is_foreign: false,
                is_number: numbers.contains(&Some(at)),
                is_text: !numbers.contains(&Some(at))
                    || fields.iter().any(|field| field.slot == at)
                    || rules.iter().any(|rule| rule.slot == at),
                number: f64::NAN,
            })
            .collect();
        Ok(Self {
            names,
            slots,
            scratch: String::new(),
            patient,
            issuer,
            constant_issuer: mapping.identity.issuer.constant.clone().unwrap_or_default(),
            study,
            series,
            instance: instance.map(of),
            sop_class,
            sop_classes: Vec::new(),
            count,
            bytes,
            collection,
            licence,
            source_doi,
            fields,
            joins,
            rules,
            bags,
            patient_id: Keyword::parse("PatientID").ok(),
            is_first: true,
        })
    }

    /// Reads the further tables into memory.
    fn read_lookups(&mut self, table: &Table) -> Result<()> {
        for (lookup, join) in table.mapping.lookups.iter().zip(&mut self.joins) {
            let path = table.lookup_path(lookup);
            if lookup.optional && !path.is_file() {
                tracing::warn!(file = %path.display(), "a lookup of the mapping is not there");
                continue;
            }
            let is_csv = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
            let format = if is_csv { Format::Csv } else { Format::Parquet };
            let mut rows = Rows::open(&path, format, &table.mapping.csv)?;
            let mut names = vec![lookup.key.clone()];
            names.extend(join.columns.iter().cloned());
            let columns = rows.columns();
            if let Some(missing) = names.iter().find(|name| !columns.contains(name)) {
                return Err(table.wrong(
                    lookup.column.span().start,
                    "lookup",
                    &format!("{} has no column `{missing}`", path.display()),
                    &format!("its columns are {}", columns.join(", ")),
                ));
            }
            rows.choose(&names)?;
            let mut scratch = String::new();
            rows.each(|row| {
                let Ok(row) = row else { return Ok(()) };
                let values: Vec<String> =
                    (0..names.len()).map(|at| text_of(row.cell(at, &mut scratch))).collect();
                if join.rows.len() >= LARGEST_LOOKUP {
                    return Err(unreadable(&path, "a lookup of more than a million rows"));
                }
                if let Some((key, rest)) = values.split_first() {
                    join.rows.entry(key.clone()).or_insert_with(|| rest.to_vec());
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Reads the row's columns and brings everything that follows from them up to date.
    fn load(&mut self, row: &Row<'_>) {
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let cell = row.cell(at, &mut self.scratch);
            slot.load(cell, self.is_first);
        }
        for join in &mut self.joins {
            let Some(slot) = self.slots.get(join.slot) else { continue };
            join.is_new = slot.is_new;
            if slot.is_new {
                join.current.clear();
                if let Some(values) = join.rows.get(slot.text.trim()) {
                    join.current.extend(values.iter().cloned());
                }
            }
        }
        for field in &mut self.fields {
            let Some(slot) = self.slots.get(field.slot) else { continue };
            field.is_new = slot.is_new;
            if slot.is_new {
                let text = match field.lookup {
                    None => slot.text.as_str(),
                    Some((join, at)) => self
                        .joins
                        .get(join)
                        .and_then(|join| join.current.get(at))
                        .map_or("", String::as_str),
                };
                field.update(text, slot.is_foreign && field.lookup.is_none());
            }
        }
        for uid in [&mut self.study, &mut self.series].into_iter().chain(self.instance.as_mut()) {
            if let Some(slot) = self.slots.get(uid.slot).filter(|slot| slot.is_new) {
                uid.update(&slot.text);
            }
        }
        if let Some(slot) = self.sop_class.and_then(|slot| self.slots.get(slot))
            && slot.is_new
        {
            let classes = slot.text.split(['\\', ',']);
            self.sop_classes = classes.filter_map(|uid| Uid::parse_lenient(uid).ok()).collect();
        }
        self.is_first = false;
    }

    fn text(&self, slot: usize) -> &str {
        self.slots.get(slot).map_or("", |slot| slot.text.trim())
    }

    fn optional(&self, slot: Option<usize>) -> Option<String> {
        let text = self.text(slot?);
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn column(&self, slot: usize) -> &str {
        self.names.get(slot).map_or("", String::as_str)
    }

    fn record(&mut self, row: &Row<'_>, number: u64) -> Result<Record, Quarantine> {
        self.load(row);
        self.update_bags();

        let mut findings = Vec::new();
        for rule in &self.rules {
            let text = match rule.lookup {
                None => self.text(rule.slot),
                Some((join, at)) => self
                    .joins
                    .get(join)
                    .and_then(|join| join.current.get(at))
                    .map_or("", |text| text.trim()),
            };
            if !rule.values.iter().any(|value| value == text) {
                continue;
            }
            match (rule.action, rule.finding) {
                (Action::Skip, _) => {
                    let detail = "the mapping leaves rows with this value out".to_owned();
                    return Err(refused("left-out-by-mapping", &rule.column, detail));
                }
                (Action::Flag, Some(code)) => findings.push(Finding {
                    code: Cow::Borrowed(code),
                    attribute: Cow::Owned(rule.column.clone()),
                    value: text.chars().take(64).collect(),
                }),
                (Action::Flag, None) => {}
            }
        }
        let study_uid = self.uid(&self.study, "study")?;
        let series_uid = self.uid(&self.series, "series")?;
        let instance_uid = match &self.instance {
            Some(uid) => Some(self.uid(uid, "instance")?),
            None => None,
        };
        for uid in [&self.study, &self.series].into_iter().chain(self.instance.as_ref()) {
            findings.extend(uid.finding.clone());
        }
        let count = self.count(instance_uid.is_some())?;
        let bytes = self.bytes.map_or(0, |(slot, factor)| {
            let size = self.slots.get(slot).map_or(f64::NAN, |slot| slot.number) * factor;
            // `as` saturates and turns NaN into 0, which is what is wanted of a size.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let size = size.round() as u64;
            size
        });
        for field in &self.fields {
            findings.extend(field.findings.iter().cloned());
        }
        let id = self.text(self.patient);
        let issuer = self.issuer.map_or(self.constant_issuer.as_str(), |slot| self.text(slot));
        let patient_key = PatientKey {
            issuer: issuer.to_owned(),
            id: if id.is_empty() { format!("study:{study_uid}") } else { id.to_owned() },
        };
        if id.is_empty() {
            findings.push(Finding::new("patient-id-missing", "PatientID", ""));
        }
        let instance = match instance_uid {
            Some(uid) => Some(self.instance(uid, bytes)?),
            None => None,
        };
        let [patient, study, series] = self.bags.clone();
        Ok(Record {
            patient_key,
            study_uid,
            series_uid,
            patient,
            study,
            series,
            sop_classes: if instance.is_some() { Vec::new() } else { self.sop_classes.clone() },
            instance,
            report: None,
            count,
            bytes,
            collection: self.optional(self.collection),
            licence: self.optional(self.licence),
            source_doi: self.optional(self.source_doi),
            origin: format!("row {number}"),
            findings,
        })
    }

    /// Only what changed since the row before is written into the bags.
    fn update_bags(&mut self) {
        for field in self.fields.iter().filter(|field| field.is_new) {
            if let Some(bag) = bag_of(field.level).and_then(|at| self.bags.get_mut(at)) {
                bag.set(field.keyword, &field.value);
            }
        }
        let [patient, ..] = &mut self.bags;
        if let (Some(keyword), Some(slot)) = (self.patient_id, self.slots.get(self.patient))
            && slot.is_new
        {
            patient.set(keyword, &slot.text);
        }
    }

    fn uid(&self, uid: &UidSlot, level: &str) -> Result<Uid, Quarantine> {
        uid.uid.clone().ok_or_else(|| {
            let text = self.text(uid.slot);
            let (code, detail) = if text.is_empty() {
                ("uid-missing", format!("the row has no {level} UID"))
            } else {
                ("uid-invalid", format!("the {level} UID is no UID (PS3.5 section 9.1)"))
            };
            refused(code, self.column(uid.slot), detail)
        })
    }

    fn count(&self, is_instance: bool) -> Result<u32, Quarantine> {
        let Some(slot) = self.count.filter(|_| !is_instance) else { return Ok(1) };
        let number = self.slots.get(slot).map_or(f64::NAN, |slot| slot.number);
        if number.fract() == 0.0 && number >= 1.0 && number <= f64::from(u32::MAX) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let count = number as u32;
            return Ok(count);
        }
        let detail = "the number of instances is not a whole number above 0".to_owned();
        Err(refused("count-broken", self.column(slot), detail))
    }

    fn instance(&self, uid: Uid, bytes: u64) -> Result<Instance, Quarantine> {
        let column = self.sop_class.map_or("", |slot| self.column(slot));
        let sop_class = self.sop_classes.first().cloned().ok_or_else(|| {
            refused("sop-class-missing", column, "the row has no usable SOP class".to_owned())
        })?;
        let mut instance = Instance {
            uid,
            sop_class,
            number: None,
            frames: None,
            rows: None,
            columns: None,
            bytes,
            laterality: None,
            transfer_syntax: None,
            title: None,
            description: None,
            concept: None,
            digest: 0,
        };
        for field in self.fields.iter().filter(|field| field.level == Level::Instance) {
            let number = || field.value.trim().parse().ok();
            match field.keyword.as_str() {
                "InstanceNumber" => instance.number = number(),
                "NumberOfFrames" => instance.frames = number(),
                "Rows" => instance.rows = number(),
                "Columns" => instance.columns = number(),
                "ImageLaterality" => instance.laterality = Laterality::parse(&field.value),
                "TransferSyntaxUID" => {
                    instance.transfer_syntax = Uid::parse_lenient(&field.value).ok();
                }
                "ImageType" if !field.value.is_empty() => {
                    instance.title = Some(field.value.clone());
                }
                "ImageComments" | "ContentDescription" if !field.value.is_empty() => {
                    instance.description = Some(field.value.clone());
                }
                _ => {}
            }
        }
        let mut digest = Digest::default();
        for slot in &self.slots {
            digest.add(slot.text.as_bytes());
            digest.add(&slot.number.to_bits().to_le_bytes());
        }
        instance.digest = digest.0;
        Ok(instance)
    }
}

fn bag_of(level: Level) -> Option<usize> {
    match level {
        Level::Patient => Some(0),
        Level::Study => Some(1),
        Level::Series => Some(2),
        Level::Instance => None,
    }
}

fn text_of(cell: Cell<'_>) -> String {
    match cell {
        Cell::Absent => String::new(),
        Cell::Bytes(bytes) => String::from_utf8_lossy(bytes).trim().to_owned(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
    }
}

impl Slot {
    fn load(&mut self, cell: Cell<'_>, is_first: bool) {
        match cell {
            Cell::Absent => {
                self.is_new = self.is_present || is_first;
                self.is_present = false;
                self.is_foreign = false;
                self.number = f64::NAN;
                self.text.clear();
            }
            Cell::Bytes(bytes) => {
                self.is_new = is_first || !self.is_present || self.text.as_bytes() != bytes;
                self.is_present = true;
                if !self.is_new {
                    return;
                }
                self.text.clear();
                if let Ok(text) = std::str::from_utf8(bytes) {
                    self.text.push_str(text);
                    self.is_foreign = false;
                } else {
                    // A table in an older encoding that says that it is UTF-8.
                    let (text, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes);
                    self.text.push_str(&text);
                    self.is_foreign = true;
                }
                if self.is_number {
                    self.number = self.text.trim().parse().unwrap_or(f64::NAN);
                }
            }
            // Counts and sizes below 2^53 are exact.
            #[expect(clippy::cast_precision_loss)]
            Cell::Integer(number) => self.load_number(number as f64, &number, is_first),
            Cell::Real(number) => self.load_number(number, &number, is_first),
        }
    }

    fn load_number(&mut self, number: f64, text: &dyn std::fmt::Display, is_first: bool) {
        use std::fmt::Write as _;
        self.is_new = is_first || !self.is_present || self.number.to_bits() != number.to_bits();
        self.is_present = true;
        self.is_foreign = false;
        self.number = number;
        if self.is_new && self.is_text {
            self.text.clear();
            // Writing to a string cannot fail.
            let _ = write!(self.text, "{text}");
        }
    }
}

impl Field {
    fn update(&mut self, text: &str, is_foreign: bool) {
        self.findings.clear();
        self.value.clear();
        let shown = if self.names_person { "" } else { text };
        let mut find = |code: &'static str| {
            self.findings.push(Finding::new(code, self.keyword.as_str(), shown));
        };
        if text.trim().is_empty() {
            if let Some(code) = self.absent {
                if code == "row-incomplete" {
                    self.findings.push(Finding {
                        code: Cow::Borrowed(code),
                        attribute: Cow::Owned(self.column.clone()),
                        value: String::new(),
                    });
                } else {
                    find(code);
                }
            }
            return;
        }
        if is_foreign {
            find("charset-undeclared");
        }
        self.value.push_str(text);
        for step in &self.steps {
            if let Some(code) = step.apply(&mut self.value) {
                find(code);
            }
            if self.value.is_empty() {
                break;
            }
        }
    }
}

impl UidSlot {
    fn update(&mut self, text: &str) {
        self.finding = None;
        self.uid = Uid::parse(text).ok();
        if self.uid.is_none() {
            self.uid = Uid::parse_lenient(text).ok();
            if self.uid.is_some() {
                self.finding = Some(Finding::new("uid-not-standard", "", text.trim()));
            }
        }
    }
}

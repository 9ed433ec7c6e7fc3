//! EUCAIM's catalogue spreadsheet: a description as rows, and rows as a description.
//!
//! One line per value: dataset, class, number of the distribution, property, path, language, value.
//! Codes are written as our vocabularies have them, and read as code, address or label. What the
//! configuration gives stands in the rows, because EUCAIM asks for it, and is left out of the
//! description that is read.

use std::path::Path;

use oxrdf::{Graph, NamedNode, NamedOrBlankNode, TermRef};
use schemars::JsonSchema;
use serde::Deserialize;
use toml::{Table, Value};

use super::form::{Field, Kind, LICENCES, find, put};
use super::graph::{Writer, configured};
use super::release::{self, Release, Scheme};
use super::{Agent, Contact};
use crate::error::{Error, Result};

/// `eucaim-rows.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EucaimFile {
    /// Its rows.
    pub row: Vec<EucaimRow>,
}

/// A row of the spreadsheet.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EucaimRow {
    /// Of what.
    pub class: Class,
    /// What EUCAIM calls it.
    pub property: String,
    /// Its path in RDF.
    pub path: String,
    /// The key of the description; absent: it is computed.
    pub key: Option<String>,
}

/// What a row is of.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The dataset.
    Dataset,
    /// One of its distributions.
    Distribution,
}

impl Class {
    const fn name(self) -> &'static str {
        match self {
            Self::Dataset => "Dataset",
            Self::Distribution => "Distribution",
        }
    }
}

/// The columns.
const COLUMNS: [&str; 7] = ["dataset", "class", "number", "property", "path", "language", "value"];
/// Rows of a table that is read at most.
const MOST: usize = 20_000;

/// Reads `eucaim-rows.toml`.
pub(super) fn read(folder: Option<&Path>) -> Result<Vec<EucaimRow>> {
    let file: EucaimFile = release::read("eucaim-rows.toml", folder)?;
    Ok(file.row)
}

impl EucaimRow {
    /// The key from the description.
    fn full(&self, key: &str) -> String {
        match self.class {
            Class::Dataset => key.to_owned(),
            Class::Distribution => format!("distribution.{key}"),
        }
    }
}

/// A value of a field with its language.
type Said = (String, String);

/// The values of a key, in order.
fn values(value: &Value, kind: Kind) -> Vec<Said> {
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match (kind, value) {
        // A period, as ISO 8601 writes an interval.
        (Kind::Part, Value::Table(period)) => {
            let end = |key| period.get(key).map_or_else(String::new, plain);
            vec![(String::new(), format!("{}/{}", end("from"), end("to")))]
        }
        (_, Value::Array(items)) => items.iter().flat_map(|item| values(item, kind)).collect(),
        (_, Value::Table(texts)) => texts
            .iter()
            .flat_map(|(language, text)| match text {
                Value::Array(words) => {
                    words.iter().map(|word| (language.clone(), plain(word))).collect()
                }
                text => vec![(language.clone(), plain(text))],
            })
            .collect(),
        (_, value) => vec![(String::new(), plain(value))],
    }
}

impl Writer<'_> {
    /// A description as rows, with what is computed if its EUCAIM view is given.
    ///
    /// # Errors
    /// When the rows cannot be written.
    pub fn eucaim_rows(&self, slug: &str, table: &Table, view: Option<&Graph>) -> Result<Vec<u8>> {
        let mut table = table.clone();
        self.give(&mut table);
        let mut out = csv::Writer::from_writer(Vec::new());
        let failed = |failure: csv::Error| Error::Internal(failure.to_string());
        out.write_record(COLUMNS).map_err(failed)?;
        let node = self.dataset_iri(slug);
        let ways = find(Some(&table), "distribution").and_then(Value::as_array);
        let ways = ways.map_or(&[][..], Vec::as_slice);
        let mut line = |row: &EucaimRow, number: &str, said: &Said| {
            let (language, value) = said;
            out.write_record([
                slug,
                row.class.name(),
                number,
                &row.property,
                &row.path,
                language,
                value,
            ])
        };
        let of_class =
            |class| self.release.eucaim_rows.iter().filter(move |row| row.class == class);
        for row in of_class(Class::Dataset) {
            for said in self.said(row, &table, view, &node) {
                line(row, "", &said).map_err(failed)?;
            }
        }
        for (place, way) in ways.iter().enumerate() {
            let number = (place + 1).to_string();
            let part = NamedNode::new_unchecked(format!("{}/distribution/{number}", node.as_str()));
            let Some(way) = way.as_table() else { continue };
            for row in of_class(Class::Distribution) {
                for said in self.said(row, way, view, &part) {
                    line(row, &number, &said).map_err(failed)?;
                }
            }
        }
        out.into_inner().map_err(|failure| Error::Internal(failure.to_string()))
    }

    fn said(
        &self,
        row: &EucaimRow,
        table: &Table,
        view: Option<&Graph>,
        node: &NamedNode,
    ) -> Vec<Said> {
        if let Some(key) = &row.key {
            let Some(field) = self.release.form.row(&row.full(&key.replace(".*", ""))) else {
                return Vec::new();
            };
            return match key.split_once(".*.") {
                None => find(Some(table), key).map_or_else(Vec::new, |v| values(v, field.kind)),
                Some((list, rest)) => {
                    let items = find(Some(table), list).and_then(Value::as_array);
                    let items = items.into_iter().flatten().filter_map(Value::as_table);
                    let found = items.filter_map(|item| find(Some(item), rest));
                    found.flat_map(|value| values(value, field.kind)).collect()
                }
            };
        }
        let Some(view) = view else { return Vec::new() };
        let mut nodes = vec![NamedOrBlankNode::NamedNode(node.clone())];
        let mut said = Vec::new();
        for step in row.path.split('/') {
            let term = self.release.term(step);
            let found: Vec<TermRef<'_>> = nodes
                .iter()
                .flat_map(|node| view.objects_for_subject_predicate(node, &term))
                .collect();
            said = found
                .iter()
                .map(|value| match value {
                    TermRef::NamedNode(node) => (String::new(), node.as_str().to_owned()),
                    TermRef::BlankNode(node) => (String::new(), node.to_string()),
                    TermRef::Literal(text) => {
                        (text.language().unwrap_or_default().to_owned(), text.value().to_owned())
                    }
                })
                .collect();
            nodes = found
                .into_iter()
                .filter_map(|value| match value {
                    TermRef::NamedNode(node) => {
                        Some(NamedOrBlankNode::NamedNode(node.into_owned()))
                    }
                    TermRef::BlankNode(node) => {
                        Some(NamedOrBlankNode::BlankNode(node.into_owned()))
                    }
                    TermRef::Literal(_) => None,
                })
                .collect();
        }
        said.sort();
        said
    }

    /// What the configuration gives where a description is silent.
    fn given(&self) -> [(&'static str, Value); 4] {
        let agent = |organisation| {
            table_of(&Agent { other_names: super::Text::default(), ..configured(organisation) })
        };
        let office = &self.config.organisation;
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        let contact = Contact {
            name: some(&office.name),
            email: some(&office.email),
            page: some(&office.page),
        };
        [
            ("publisher", agent(office)),
            ("custodian", agent(office)),
            ("hdab", agent(&self.config.hdab)),
            ("contact", table_of(&contact)),
        ]
    }

    fn give(&self, table: &mut Table) {
        for (key, value) in self.given() {
            table.entry(key).or_insert(value);
        }
    }

    /// Datasets and their descriptions from rows, each over what was known of it.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the row and what is wrong.
    pub fn read_eucaim_rows(
        &self,
        bytes: &[u8],
        known: impl Fn(&str) -> Result<Table>,
    ) -> Result<Vec<(String, Table)>> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
        let wrong = |line: usize, problem: &str| Error::Invalid(format!("row {line}: {problem}"));
        let headers = reader.headers().map_err(|failure| wrong(1, unread(&failure)))?.clone();
        let column = |name: &str| {
            headers.iter().position(|head| {
                head.trim().trim_start_matches('\u{feff}').eq_ignore_ascii_case(name)
            })
        };
        let (Some(dataset), Some(property), Some(value)) =
            (column("dataset"), column("property"), column("value"))
        else {
            return Err(wrong(
                1,
                "write the columns `dataset`, `class`, `number`, `property`, `path`, `language`, \
             `value`",
            ));
        };
        let (class, number, language) = (column("class"), column("number"), column("language"));
        let mut found: Vec<(String, Vec<Cell<'_>>)> = Vec::new();
        for (place, record) in reader.records().enumerate() {
            let line = place + 2;
            let record = record.map_err(|failure| wrong(line, unread(&failure)))?;
            if place >= MOST {
                return Err(wrong(line, &format!("more than {MOST} rows are not read")));
            }
            let cell =
                |at: Option<usize>| at.and_then(|at| record.get(at)).unwrap_or_default().trim();
            let slug = cell(Some(dataset));
            if slug.is_empty() && cell(Some(value)).is_empty() {
                continue;
            }
            if !super::is_slug(slug) {
                return Err(wrong(
                    line,
                    &format!("`{slug}` is no name of a dataset in an address"),
                ));
            }
            let is_way = cell(class).eq_ignore_ascii_case("distribution");
            let of = if is_way { Class::Distribution } else { Class::Dataset };
            let name = cell(Some(property));
            let rows = &self.release.eucaim_rows;
            let row =
                rows.iter().find(|row| row.class == of && row.property.eq_ignore_ascii_case(name));
            let Some(row) = row else {
                return Err(wrong(
                    line,
                    &format!("EUCAIM has no property `{name}` of the class `{}`", of.name()),
                ));
            };
            let number = cell(number).parse::<usize>().unwrap_or(1).clamp(1, 200);
            let cells = match found.iter().position(|(known, _)| known == slug) {
                Some(at) => at,
                None => {
                    found.push((slug.to_owned(), Vec::new()));
                    found.len() - 1
                }
            };
            if let Some((_, cells)) = found.get_mut(cells) {
                cells.push(Cell {
                    row,
                    number,
                    said: (cell(language).to_owned(), cell(Some(value)).to_owned()),
                });
            }
        }
        found
            .into_iter()
            .map(|(slug, cells)| {
                let mut table = known(&slug)?;
                self.put_cells(&mut table, &cells);
                Ok((slug, table))
            })
            .collect()
    }

    fn put_cells(&self, table: &mut Table, cells: &[Cell<'_>]) {
        for row in &self.release.eucaim_rows {
            let Some(key) = &row.key else { continue };
            let Some(field) = self.release.form.row(&row.full(&key.replace(".*", ""))) else {
                continue;
            };
            let mut numbers: Vec<usize> = cells
                .iter()
                .filter(|cell| std::ptr::eq(cell.row, row))
                .map(|cell| cell.number)
                .collect();
            numbers.dedup();
            for number in numbers {
                let said: Vec<Said> = cells
                    .iter()
                    .filter(|cell| std::ptr::eq(cell.row, row) && cell.number == number)
                    .filter(|cell| !cell.said.1.is_empty())
                    .map(|cell| cell.said.clone())
                    .collect();
                let into = match row.class {
                    Class::Dataset => Some(&mut *table),
                    Class::Distribution => item(table, "distribution", number - 1),
                };
                let Some(into) = into else { continue };
                match key.split_once(".*.") {
                    None => put(into, key, self.value(field, &said)),
                    Some((list, rest)) => {
                        for (place, one) in rounds(&said).into_iter().enumerate() {
                            if let Some(part) = item(into, list, place) {
                                put(part, rest, self.value(field, &one));
                            }
                        }
                    }
                }
            }
        }
        for (key, given) in self.given() {
            if table.get(key).is_some_and(|own| is_given(own, &given)) {
                table.remove(key);
            }
        }
    }

    fn value(&self, field: &Field, said: &[Said]) -> Option<Value> {
        let first = said.first()?;
        let text = |text: &str| Value::String(text.to_owned());
        let tag = |language: &str| {
            if language.is_empty() {
                self.config.catalogue.language.clone()
            } else {
                language.to_owned()
            }
        };
        Some(match field.kind {
            Kind::Text | Kind::LongText => Value::Table(
                said.iter().map(|(language, one)| (tag(language), text(one))).collect(),
            ),
            Kind::Words => {
                let mut words = Table::new();
                for (language, word) in said {
                    let all =
                        words.entry(tag(language)).or_insert_with(|| Value::Array(Vec::new()));
                    if let Value::Array(all) = all {
                        all.push(text(word));
                    }
                }
                Value::Table(words)
            }
            Kind::Texts => Value::Array(
                rounds(said)
                    .iter()
                    .map(|round| {
                        let texts = round.iter().map(|(language, one)| (tag(language), text(one)));
                        Value::Table(texts.collect())
                    })
                    .collect(),
            ),
            Kind::Part => {
                let (from, to) = first.1.split_once('/').unwrap_or((first.1.as_str(), ""));
                let mut period = Table::new();
                for (key, day) in [("from", from), ("to", to)] {
                    put(&mut period, key, (!day.trim().is_empty()).then(|| day_of(day.trim())));
                }
                Value::Table(period)
            }
            Kind::Codes => {
                Value::Array(said.iter().map(|(_, one)| text(&self.code(field, one))).collect())
            }
            Kind::Lines | Kind::Addresses => {
                Value::Array(said.iter().map(|(_, one)| text(one)).collect())
            }
            Kind::Code => text(&self.code(field, &first.1)),
            Kind::Day => day_of(&first.1),
            _ => text(first.1.strip_prefix("mailto:").unwrap_or(&first.1)),
        })
    }

    /// The code of what was typed: code, address or label.
    fn code(&self, field: &Field, typed: &str) -> String {
        let release: &Release = self.release;
        // Codes come before labels: in one table a code may be called as another one is written.
        for by_label in [false, true] {
            for from in &field.from {
                let like = |name: &str| name.eq_ignore_ascii_case(typed);
                if from == LICENCES {
                    let known = release.licences.iter().find(|row| match by_label {
                        true => like(&row.title),
                        false => row.iri == typed || like(&row.name),
                    });
                    if let Some(known) = known {
                        return known.name.clone();
                    }
                    continue;
                }
                let named = Scheme::ALL.iter().find(|(_, name)| name == from);
                let Some((scheme, _)) = named else { continue };
                let base = &release.scheme(*scheme).base;
                let bare = typed.strip_prefix(base.as_str()).unwrap_or(typed);
                let like = |name: &str| name.eq_ignore_ascii_case(bare);
                let known = release.concepts(*scheme).iter().find(|concept| match by_label {
                    true => like(&concept.label),
                    false => like(&concept.code) || concept.alias.as_deref().is_some_and(like),
                });
                if let Some(known) = known {
                    // An alias that was typed stays: it is as good a name.
                    let alias = known.alias.as_ref().filter(|alias| *alias == bare);
                    return alias.unwrap_or(&known.code).clone();
                }
            }
        }
        typed.to_owned()
    }
}

struct Cell<'r> {
    row: &'r EucaimRow,
    number: usize,
    said: Said,
}

fn table_of(value: &impl serde::Serialize) -> Value {
    Value::try_from(value).unwrap_or_else(|_| Value::Table(Table::new()))
}

/// Whether everything that is said is what the configuration says.
fn is_given(own: &Value, given: &Value) -> bool {
    let (Some(own), Some(given)) = (own.as_table(), given.as_table()) else { return false };
    own.iter().all(|(key, value)| given.get(key) == Some(value))
}

fn day_of(text: &str) -> Value {
    text.parse().map_or_else(|_| Value::String(text.to_owned()), Value::Datetime)
}

/// A part of a list of parts; the list grows to hold it.
fn item<'t>(table: &'t mut Table, list: &str, place: usize) -> Option<&'t mut Table> {
    let (head, rest) = match list.rsplit_once('.') {
        Some((head, last)) => (Some(head), last),
        None => (None, list),
    };
    let mut table = table;
    for name in head.into_iter().flat_map(|head| head.split('.')) {
        table = table.entry(name).or_insert_with(|| Value::Table(Table::new())).as_table_mut()?;
    }
    let items = table.entry(rest).or_insert_with(|| Value::Array(Vec::new())).as_array_mut()?;
    while items.len() <= place {
        items.push(Value::Table(Table::new()));
    }
    items.get_mut(place)?.as_table_mut()
}

/// The first value of each language, then the second of each, and so on.
fn rounds(said: &[Said]) -> Vec<Vec<Said>> {
    let mut rounds: Vec<Vec<Said>> = Vec::new();
    for (language, value) in said {
        let free =
            rounds.iter_mut().find(|round| !round.iter().any(|(known, _)| known == language));
        match free {
            Some(round) => round.push((language.clone(), value.clone())),
            None => rounds.push(vec![(language.clone(), value.clone())]),
        }
    }
    rounds
}

/// What is wrong with a row that the reader of CSV does not take.
fn unread(failure: &csv::Error) -> &'static str {
    match failure.kind() {
        csv::ErrorKind::Utf8 { .. } => "the row is no text in UTF-8",
        _ => "the row cannot be read as CSV",
    }
}

//! The table of the steward's form (`form.toml`), and the way from what a form posts to the text of
//! a description.
//!
//! In: rows of the table, pairs of a posted form, the description that the form was made from. Out:
//! a TOML table that holds everything that was typed, valid or not: what is wrong with it is for
//! [`check`](super::read) to say, never a reason to lose it. Absent: HTML.

mod posted;

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::{Table, Value};

use super::Text;
use super::release::{self, Scheme};
use crate::error::{Error, Result};

use posted::Reading;
pub use posted::{Posted, facet_name, text_of};

/// `form.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FormFile {
    /// The parts of the page.
    pub group: Vec<Group>,
    /// The fields.
    pub field: Vec<Field>,
}

/// A part of the page.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub id: String,
    /// What people call it, per language.
    pub label: Text,
}

/// A field of a description, or of a part of one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The group of a field of the description itself.
    pub group: Option<String>,
    /// The part that it belongs to; absent: the description itself.
    pub of: Option<String>,
    /// Its key, dotted.
    pub path: String,
    /// What it holds.
    pub kind: Kind,
    /// What carries it in the document, from the node of its part; steps with `/` between.
    pub property: Option<String>,
    /// Vocabularies that codes come from.
    #[serde(default)]
    pub from: Vec<String>,
    /// Whether codes beyond them can be typed.
    #[serde(default)]
    pub other: bool,
    /// Codes that are no vocabulary's.
    #[serde(default)]
    pub choices: Vec<Choice>,
    /// The rows (`of`) of a part.
    pub part: Option<String>,
    /// For PUBLIC, RESTRICTED, NON_PUBLIC.
    pub due: [Obligation; 3],
    /// Whether many datasets can be given a value at once.
    #[serde(default)]
    pub bulk: bool,
    /// What people call it, per language.
    pub label: Text,
    /// What to write, per language.
    pub help: Text,
}

/// A code that is no vocabulary's.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// The code.
    pub code: String,
    /// What people call it, per language.
    pub label: Text,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A string.
    Line,
    /// A string of many lines.
    Prose,
    /// A string per language.
    Text,
    /// A string of many lines per language.
    LongText,
    /// A list of the former.
    Texts,
    /// A list of words per language.
    Words,
    /// A list of strings.
    Lines,
    /// A web address.
    Address,
    /// A list of web addresses.
    Addresses,
    /// An e-mail address.
    Mail,
    /// A calendar day.
    Day,
    /// An `xsd:duration`.
    Duration,
    /// A list of numbers.
    Numbers,
    /// True, or left out.
    Flag,
    /// A code.
    Code,
    /// A list of codes.
    Codes,
    /// A part with fields of its own.
    Part,
    /// A list of parts.
    Parts,
    /// A selection over the index.
    Selection,
}

/// What the standard asks of a field.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
pub enum Obligation {
    /// Mandatory.
    M,
    /// Recommended.
    R,
    /// Optional.
    O,
}

/// The list of licences, which is no scheme.
pub const LICENCES: &str = "licences";

/// The rules that a description may be excused from.
pub const WAIVERS: &str = "waivers";

/// Reads `form.toml`.
pub(super) fn read(folder: Option<&Path>) -> Result<FormFile> {
    let file: FormFile = release::read("form.toml", folder)?;
    let wrong =
        |problem: String| Err(Error::Configuration(format!("catalogue/form.toml: {problem}")));
    for row in &file.field {
        let name = &row.path;
        let is_root = row.of.is_none();
        if is_root != row.group.is_some() {
            return wrong(format!("`{name}`: give a `group`, or `of`, and not both"));
        }
        if let Some(group) = &row.group
            && !file.group.iter().any(|known| known.id == *group)
        {
            return wrong(format!("`{name}`: there is no group `{group}`"));
        }
        if matches!(row.kind, Kind::Part | Kind::Parts)
            != row.part.as_ref().is_some_and(|part| file.rows(Some(part)).next().is_some())
        {
            return wrong(format!(
                "`{name}`: a part names the rows that it has, nothing else does"
            ));
        }
        for from in &row.from {
            let is_known = [LICENCES, WAIVERS].contains(&from.as_str())
                || Scheme::ALL.iter().any(|(_, known)| known == from);
            if !is_known {
                return wrong(format!("`{name}`: there is no vocabulary `{from}`"));
            }
        }
    }
    Ok(file)
}

impl FormFile {
    /// The rows of a part; `None`: of the description itself.
    pub fn rows<'s>(&'s self, of: Option<&'s str>) -> impl Iterator<Item = &'s Field> {
        self.field.iter().filter(move |row| row.of.as_deref() == of)
    }

    /// The row of a dotted path with or without places: `distribution.0.title`.
    #[must_use]
    pub fn row(&self, path: &str) -> Option<&Field> {
        let mut of = None;
        let mut rest: Vec<&str> = path.split('.').collect();
        loop {
            let row = self.rows(of).find(|row| {
                let own: Vec<&str> = row.path.split('.').collect();
                rest.starts_with(&own)
            })?;
            rest.drain(..row.path.split('.').count());
            if rest.first().is_some_and(|place| place.parse::<usize>().is_ok()) {
                rest.remove(0);
            }
            match &row.part {
                Some(part) if !rest.is_empty() => of = Some(part.as_str()),
                _ => return Some(row),
            }
        }
    }

    /// What was posted, put over the description that the form was made from: keys that the form
    /// does not know stay. `without` names a part of a list that is taken out
    /// (`distribution.1`).
    #[must_use]
    pub fn fill(
        &self,
        posted: &Posted,
        languages: &[String],
        without: &str,
        base: &Table,
    ) -> Table {
        let reading = Reading { file: self, posted, languages, without };
        reading.part(None, "", Some(base))
    }

    /// The value of one field as it was posted, for the bulk edit.
    #[must_use]
    pub fn value(&self, row: &Field, posted: &Posted, languages: &[String]) -> Option<Value> {
        Reading { file: self, posted, languages, without: "" }.value(row, &row.path, None)
    }
}

/// The value of a dotted key.
#[must_use]
pub fn find<'t>(table: Option<&'t Table>, path: &str) -> Option<&'t Value> {
    let mut parts = path.split('.');
    let mut value = table?.get(parts.next()?)?;
    for part in parts {
        value = match value {
            Value::Table(table) => table.get(part)?,
            Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    Some(value)
}

/// Puts a value at a dotted key of tables, or takes it away; tables that are empty then go too.
pub fn put(table: &mut Table, path: &str, value: Option<Value>) {
    match (path.split_once('.'), value) {
        (None, Some(value)) => drop(table.insert(path.to_owned(), value)),
        (None, None) => drop(table.remove(path)),
        (Some((head, rest)), value) => {
            let is_gone = value.is_none();
            if is_gone && !table.get(head).is_some_and(Value::is_table) {
                return;
            }
            let inner = table.entry(head).or_insert_with(|| Value::Table(Table::new()));
            if !inner.is_table() {
                *inner = Value::Table(Table::new());
            }
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
                if inner.is_empty() {
                    table.remove(head);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{FormFile, Kind, Obligation, Posted, Value, facet_name, find, put, text_of};
    use crate::catalogue::Description;

    fn file() -> FormFile {
        super::read(None).unwrap()
    }

    /// The dotted keys of a JSON Schema, and what each holds.
    fn keys(
        schema: &serde_json::Value,
        root: &serde_json::Value,
        path: &str,
        into: &mut BTreeSet<String>,
    ) {
        let mut schema = schema;
        loop {
            if let Some(at) = schema["$ref"].as_str() {
                schema = root.pointer(&at[1..]).unwrap();
            } else if let Some(first) = schema["anyOf"].as_array().and_then(|any| {
                let is_null = any.iter().any(|one| one["type"] == "null");
                is_null.then(|| any.iter().find(|one| one["type"] != "null")).flatten()
            }) {
                schema = first;
            } else {
                break;
            }
        }
        let is_object = schema["properties"].is_object() && schema["propertyNames"].is_null();
        if is_object {
            for (name, inner) in schema["properties"].as_object().unwrap() {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                into.insert(below.clone());
                keys(inner, root, &below, into);
            }
        } else if schema["type"] == "array" && schema["items"].is_object() {
            keys(&schema["items"], root, path, into);
        }
    }

    #[test]
    fn the_form_has_every_field_of_the_description_and_no_other() {
        let schema = serde_json::to_value(schemars::schema_for!(Description)).unwrap();
        let mut known = BTreeSet::new();
        keys(&schema, &schema, "", &mut known);
        let file = file();
        let mut rows = BTreeSet::new();
        let mut open: Vec<(Option<String>, String)> = vec![(None, String::new())];
        while let Some((of, path)) = open.pop() {
            for row in file.rows(of.as_deref()) {
                let below =
                    if path.is_empty() { row.path.clone() } else { format!("{path}.{}", row.path) };
                if let Some(part) = &row.part {
                    open.push((Some(part.clone()), below.clone()));
                }
                rows.insert(below);
            }
        }
        // `tables` is a map of two names, `withdrawn` has a page of its own.
        let only = |path: &&String| !path.starts_with("tables") && *path != "withdrawn";
        let known: Vec<_> = known.iter().filter(only).collect();
        let rows: Vec<_> = rows.iter().filter(only).collect();
        assert_eq!(rows, known);
        assert!(known.len() > 200, "{}", known.len());
    }

    #[test]
    fn every_row_speaks_every_language() {
        let file = file();
        for row in &file.field {
            let choices = row.choices.iter().map(|choice| &choice.label);
            for text in [&row.label, &row.help].into_iter().chain(choices) {
                let languages: Vec<&str> = text.iter().map(|(language, _)| language).collect();
                assert_eq!(languages, ["cs", "el", "en"], "{}", row.path);
            }
            assert_eq!(
                row.kind == Kind::Code || row.kind == Kind::Codes,
                !row.from.is_empty() || !row.choices.is_empty(),
                "{}",
                row.path
            );
        }
        assert_eq!(file.row("distribution.3.checksum.value").unwrap().kind, Kind::Line);
        assert_eq!(file.row("tables.studies.url").unwrap().kind, Kind::Address);
        assert_eq!(file.row("attributions.0.agent.name").unwrap().due[0], Obligation::M);
        assert!(file.row("nothing").is_none());
    }

    #[test]
    fn what_was_typed_is_kept_valid_or_not() {
        let pairs = [
            ("f:title.en", " Breast "),
            ("f:title.cs", "Prs"),
            ("f:keywords.en", "one\r\n\r\ntwo\n"),
            ("f:access_rights", "PUBLIC"),
            ("f:health_categories", "EHRS"),
            ("f:health_categories", "PHDR"),
            ("f:spatial", "CZE"),
            ("f:spatial+", "https://sws.geonames.org/3067696/"),
            ("f:issued", "2026-13-45"),
            ("f:retention.from", "2026-01-01"),
            ("n:purposes", "2"),
            ("f:purposes.1.en", "Why"),
            ("n:distribution", "3"),
            ("f:distribution.0.title.en", "A"),
            ("f:distribution.0.fhir", "on"),
            ("f:distribution.1.title.en", "B"),
            ("f:distribution.2.format", "ZIP"),
            ("n:locations", "1"),
            ("f:locations.0.bbox", "12, 48.5, 19, nowhere"),
            ("f:selection=modality", "MG"),
            ("f:selection=modality+", "MR\nCT"),
            ("f:selection!species", "phantom"),
            ("f:selection*", "on"),
        ];
        let posted = Posted::new(pairs.map(|(n, v)| (n.to_owned(), v.to_owned())));
        let base: toml::Table =
            toml::from_str("wrong_key = 1\nversion = \"1.0\"\nspatial = [\"DEU\"]").unwrap();
        let languages = ["en".to_owned(), "cs".to_owned()];
        let table = file().fill(&posted, &languages, "distribution.1", &base);
        let shown = |path: &str| find(Some(&table), path).map(ToString::to_string);
        assert_eq!(shown("title.en").as_deref(), Some("\"Breast\""));
        assert_eq!(shown("keywords.en").as_deref(), Some("[\"one\", \"two\"]"));
        assert_eq!(shown("spatial.1").as_deref(), Some("\"https://sws.geonames.org/3067696/\""));
        assert_eq!(shown("issued").as_deref(), Some("\"2026-13-45\""), "no day, and not lost");
        assert!(matches!(find(Some(&table), "retention.from"), Some(Value::Datetime(_))));
        assert_eq!(shown("purposes.0.en").as_deref(), Some("\"Why\""));
        assert_eq!(shown("distribution.1.format").as_deref(), Some("\"ZIP\""), "B is taken out");
        assert_eq!(shown("distribution.0.fhir").as_deref(), Some("true"));
        assert_eq!(shown("locations.0.bbox").as_deref(), Some("\"12, 48.5, 19, nowhere\""));
        assert_eq!(shown("selection.modality").as_deref(), Some("[\"MG\", \"MR\", \"CT\"]"));
        assert_eq!(shown("selection.exclude.species").as_deref(), Some("[\"phantom\"]"));
        assert_eq!(shown("selection.whole_studies").as_deref(), Some("true"));
        assert_eq!(shown("wrong_key").as_deref(), Some("1"), "what the form does not know stays");
        assert_eq!(shown("version"), None, "what was emptied is gone");
        let text = text_of(&table);
        assert_eq!(toml::from_str::<toml::Table>(&text).unwrap(), table, "{text}");
    }

    #[test]
    fn keys_are_put_and_taken() {
        let mut table = toml::Table::new();
        put(&mut table, "tables.studies.url", Some(Value::String("x".to_owned())));
        assert_eq!(find(Some(&table), "tables.studies.url").unwrap().as_str(), Some("x"));
        put(&mut table, "tables.studies.url", None);
        assert!(table.is_empty(), "{table:?}");
        assert_eq!(facet_name(crate::imaging::Facet::BodySite), "body-site");
    }
}

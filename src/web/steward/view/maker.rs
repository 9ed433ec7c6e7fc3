//! Makes the fields of a form: rows of `form.toml` with the values of one description.

use toml::{Table, Value};

use super::super::super::convert::Converter;
use super::super::super::tongue::Tongue;
use super::{Control, FieldView, Finding, GroupView, LanguageRow, place};
use crate::catalogue::form::{Field, FormFile, Kind, Obligation, find};
use crate::catalogue::{AccessRights, Release, Scheme};
use crate::index::Index;

/// Codes that stand open; more are folded.
const FOLDED: usize = 8;

/// Makes the fields of one page.
pub(in crate::web::steward) struct Maker<'m> {
    pub form: &'m FormFile,
    pub release: &'m Release,
    pub converter: &'m Converter<'m>,
    pub index: &'m Index,
    pub tongue: &'static Tongue,
    pub languages: &'m [String],
    pub catalogue_language: &'m str,
    pub rights: Option<AccessRights>,
    /// The list that gets an empty part more.
    pub add: &'m str,
}

/// The name of a language as the page's language has it.
pub(in crate::web::steward) fn language_name(
    tongue: &'static Tongue,
    release: &Release,
    tag: &str,
) -> String {
    let code = crate::catalogue::language_code(tag).unwrap_or_default();
    let label = tongue.label("language", code).or_else(|| release.label(Scheme::Language, code));
    label.map_or_else(|| tag.to_owned(), str::to_owned)
}

/// The languages that a description has texts in, the catalogue's first.
pub(in crate::web::steward) fn languages(
    table: &Table,
    form: &FormFile,
    catalogue: &str,
) -> Vec<String> {
    fn gather(form: &FormFile, of: Option<&str>, table: &Table, into: &mut Vec<String>) {
        for row in form.rows(of) {
            let Some(value) = find(Some(table), &row.path) else { continue };
            let texts: Vec<&Value> = match row.kind {
                Kind::Texts => value.as_array().into_iter().flatten().collect(),
                Kind::Text | Kind::LongText | Kind::Words => vec![value],
                Kind::Part => {
                    if let Some(part) = value.as_table() {
                        gather(form, row.part.as_deref(), part, into);
                    }
                    continue;
                }
                Kind::Parts => {
                    for part in value.as_array().into_iter().flatten() {
                        if let Some(part) = part.as_table() {
                            gather(form, row.part.as_deref(), part, into);
                        }
                    }
                    continue;
                }
                _ => continue,
            };
            let tags = texts.into_iter().filter_map(Value::as_table).flat_map(Table::keys);
            into.extend(tags.filter(|tag| !tag.is_empty()).cloned());
        }
    }
    let mut found = Vec::new();
    gather(form, None, table, &mut found);
    found.sort();
    found.dedup();
    found.retain(|tag| tag != catalogue);
    found.insert(0, catalogue.to_owned());
    found.truncate(30);
    found
}

impl Maker<'_> {
    pub(in crate::web::steward) fn groups(
        &self,
        table: &Table,
        findings: &mut [Finding],
    ) -> Vec<GroupView> {
        let mut groups: Vec<GroupView> = self
            .form
            .group
            .iter()
            .map(|group| GroupView {
                id: group.id.clone(),
                label: group.label.best(&self.tongue.code).to_owned(),
                fields: self
                    .form
                    .rows(None)
                    .filter(|row| row.group.as_deref() == Some(&group.id))
                    .map(|row| self.field(row, &row.path, find(Some(table), &row.path)))
                    .collect(),
                tongue: self.tongue,
            })
            .collect();
        for finding in findings.iter_mut() {
            finding.anchor = groups.iter_mut().find_map(|group| place(&mut group.fields, finding));
        }
        groups
    }

    fn due(&self, row: &Field) -> Obligation {
        let [public, restricted, non_public] = row.due;
        match self.rights {
            Some(AccessRights::Public) => public,
            Some(AccessRights::Restricted) => restricted,
            Some(AccessRights::NonPublic) | None => non_public,
        }
    }

    pub(in crate::web::steward) fn field(
        &self,
        row: &Field,
        path: &str,
        value: Option<&Value>,
    ) -> FieldView {
        FieldView {
            path: path.to_owned(),
            id: format!("f-{}", path.replace('.', "-")),
            label: row.label.best(&self.tongue.code).to_owned(),
            help: row.help.best(&self.tongue.code).to_owned(),
            due: self.due(row),
            findings: Vec::new(),
            control: self.control(row, path, value),
            tongue: self.tongue,
        }
    }

    fn control(&self, row: &Field, path: &str, value: Option<&Value>) -> Control {
        match row.kind {
            Kind::Line | Kind::Day | Kind::Duration => {
                Control::Line { value: plain(value), kind: "text" }
            }
            Kind::Address => Control::Line { value: plain(value), kind: "url" },
            Kind::Mail => Control::Line { value: plain(value), kind: "email" },
            Kind::Numbers => Control::Line {
                value: match value {
                    Some(Value::Array(numbers)) => {
                        numbers.iter().map(number).collect::<Vec<_>>().join(", ")
                    }
                    other => plain(other),
                },
                kind: "text",
            },
            Kind::Prose => Control::Area { value: plain(value), rows: 3 },
            Kind::Lines | Kind::Addresses => Control::Area { value: listed(value), rows: 3 },
            Kind::Text => Control::Texts { rows: self.texts(value), is_long: false },
            Kind::LongText => Control::Texts { rows: self.texts(value), is_long: true },
            Kind::Texts => {
                let items = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                let mut items: Vec<_> = items.iter().map(|item| self.texts(Some(item))).collect();
                if self.add == path {
                    items.push(self.texts(None));
                }
                Control::TextList { items }
            }
            Kind::Words => Control::Words { rows: self.words(value) },
            Kind::Flag => Control::Flag { is_on: value.and_then(Value::as_bool) == Some(true) },
            Kind::Code => {
                let code = plain(value);
                let chosen = if code.is_empty() { Vec::new() } else { vec![code] };
                let (choices, other) = self.choices(row, &chosen);
                Control::Code { choices, other: row.other.then(|| other.join(", ")) }
            }
            Kind::Codes => {
                let chosen: Vec<String> = match value {
                    Some(Value::Array(codes)) => codes.iter().map(|c| plain(Some(c))).collect(),
                    Some(other) => vec![plain(Some(other))],
                    None => Vec::new(),
                };
                let (choices, other) = self.choices(row, &chosen);
                let named = choices.iter().filter(|choice| choice.is_chosen);
                let named = named.map(|choice| choice.label.text.clone()).chain(other.clone());
                let named = named.collect::<Vec<_>>().join(", ");
                Control::Codes {
                    is_folded: choices.len() > FOLDED,
                    choices,
                    other: row.other.then(|| other.join(", ")),
                    chosen: named,
                }
            }
            Kind::Part => {
                let table = value.and_then(Value::as_table);
                Control::Part {
                    fields: self.part(row, path, table),
                    is_open: table.is_some_and(|table| !table.is_empty()),
                }
            }
            Kind::Parts => {
                let all = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                let mut items: Vec<_> = all
                    .iter()
                    .enumerate()
                    .map(|(at, item)| self.part(row, &format!("{path}.{at}"), item.as_table()))
                    .collect();
                if self.add == path {
                    items.push(self.part(row, &format!("{path}.{}", items.len()), None));
                }
                Control::Parts { items }
            }
            Kind::Selection => Control::Selection(self.selection(value, path)),
        }
    }

    fn part(&self, row: &Field, path: &str, table: Option<&Table>) -> Vec<FieldView> {
        self.form
            .rows(row.part.as_deref())
            .map(|row| self.field(row, &format!("{path}.{}", row.path), find(table, &row.path)))
            .collect()
    }

    fn rows(&self, of: impl Fn(&str) -> String) -> Vec<LanguageRow> {
        let row = |tag: &String| LanguageRow {
            code: tag.clone(),
            name: language_name(self.tongue, self.release, tag),
            value: of(tag),
        };
        self.languages.iter().map(row).collect()
    }

    fn texts(&self, value: Option<&Value>) -> Vec<LanguageRow> {
        self.rows(|tag| match value {
            Some(Value::Table(texts)) => plain(texts.get(tag)),
            // A plain string is in the catalogue's language.
            Some(text) if tag == self.catalogue_language => plain(Some(text)),
            _ => String::new(),
        })
    }

    fn words(&self, value: Option<&Value>) -> Vec<LanguageRow> {
        self.rows(|tag| match value {
            Some(Value::Table(words)) => listed(words.get(tag)),
            Some(words) if tag == self.catalogue_language => listed(Some(words)),
            _ => String::new(),
        })
    }
}

/// A value as it is typed.
pub(super) fn plain(value: Option<&Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn number(value: &Value) -> String {
    match value {
        Value::Float(number) => number.to_string(),
        other => plain(Some(other)),
    }
}

fn listed(value: Option<&Value>) -> String {
    match value {
        Some(Value::Array(items)) => {
            items.iter().map(|item| plain(Some(item))).collect::<Vec<_>>().join("\n")
        }
        other => plain(other),
    }
}

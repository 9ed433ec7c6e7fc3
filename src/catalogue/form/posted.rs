//! What a form posted, and how it becomes the keys of a description.
//!
//! In: pairs of names and values, the rows of the table. Out: a TOML table with everything that was
//! typed, valid or not.

use std::collections::{BTreeMap, HashMap};

use toml::{Table, Value};

use super::{Field, FormFile, Kind, find, put};
use crate::imaging::Facet;

/// What a form posted: values by name, in order.
#[derive(Clone, Debug, Default)]
pub struct Posted(HashMap<String, Vec<String>>);

/// Parts that a list holds at most, and pairs of a form: what is more is not read.
const MOST: usize = 200;

impl Posted {
    /// From pairs.
    #[must_use]
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut by_name: HashMap<String, Vec<String>> = HashMap::new();
        for (name, value) in pairs {
            by_name.entry(name).or_default().push(value);
        }
        Self(by_name)
    }

    /// The first value of a name, without the space around it.
    #[must_use]
    pub fn one(&self, name: &str) -> &str {
        self.all(name).first().map_or("", |value| value.trim())
    }

    /// Every value of a name.
    #[must_use]
    pub fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether a name was sent.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Every name.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    fn count(&self, path: &str) -> usize {
        self.one(&format!("n:{path}")).parse().unwrap_or(0).min(MOST)
    }
}

/// Reading one form.
pub(super) struct Reading<'f> {
    pub(super) file: &'f FormFile,
    pub(super) posted: &'f Posted,
    pub(super) languages: &'f [String],
    /// The part of a list that is taken out.
    pub(super) without: &'f str,
}

impl Reading<'_> {
    pub(super) fn part(&self, of: Option<&str>, path: &str, base: Option<&Table>) -> Table {
        let mut table = base.cloned().unwrap_or_default();
        for row in self.file.rows(of) {
            let key =
                if path.is_empty() { row.path.clone() } else { format!("{path}.{}", row.path) };
            let known = find(base, &row.path);
            put(&mut table, &row.path, self.value(row, &key, known));
        }
        table
    }

    pub(super) fn value(&self, row: &Field, path: &str, base: Option<&Value>) -> Option<Value> {
        let name = format!("f:{path}");
        let line = || Some(self.posted.one(&name)).filter(|text| !text.is_empty());
        let list = |items: Vec<Value>| (!items.is_empty()).then_some(Value::Array(items));
        match row.kind {
            Kind::Line | Kind::Address | Kind::Mail | Kind::Duration | Kind::Prose => {
                line().map(|text| Value::String(text.replace("\r\n", "\n")))
            }
            Kind::Day => line().map(day),
            Kind::Text | Kind::LongText => self.text(&name),
            Kind::Texts => {
                let places = 0..self.posted.count(path);
                let texts = places.filter(|place| self.without != format!("{path}.{place}"));
                list(texts.filter_map(|place| self.text(&format!("{name}.{place}"))).collect())
            }
            Kind::Words => {
                let mut words = Table::new();
                for language in self.languages {
                    let all = lines(self.posted.one(&format!("{name}.{language}")));
                    if !all.is_empty() {
                        words.insert(language.clone(), Value::Array(all));
                    }
                }
                (!words.is_empty()).then_some(Value::Table(words))
            }
            Kind::Lines | Kind::Addresses => list(lines(self.posted.one(&name))),
            Kind::Numbers => line().map(|text| {
                let numbers = text.split(',').map(|part| part.trim().parse().map(Value::Float));
                match numbers.collect() {
                    Ok(numbers) => Value::Array(numbers),
                    Err(_) => Value::String(text.to_owned()),
                }
            }),
            Kind::Flag => self.posted.has(&name).then_some(Value::Boolean(true)),
            Kind::Code => {
                let other = self.posted.one(&format!("{name}+"));
                let code = if other.is_empty() { self.posted.one(&name) } else { other };
                (!code.is_empty()).then(|| Value::String(code.to_owned()))
            }
            Kind::Codes => {
                let mut codes: Vec<Value> = Vec::new();
                let chosen = self.posted.all(&name).iter().map(|code| Value::String(code.clone()));
                let typed = lines(&self.posted.one(&format!("{name}+")).replace([',', ' '], "\n"));
                for code in chosen.chain(typed) {
                    if !codes.contains(&code) {
                        codes.push(code);
                    }
                }
                // In the order in which they stood.
                if let Some(known) = base.and_then(Value::as_array) {
                    codes.sort_by_key(|code| {
                        known.iter().position(|one| one == code).unwrap_or(usize::MAX)
                    });
                }
                list(codes)
            }
            Kind::Part => {
                let base = base.and_then(Value::as_table);
                let part = self.part(row.part.as_deref(), path, base);
                (!part.is_empty()).then_some(Value::Table(part))
            }
            Kind::Parts => {
                let known = base.and_then(Value::as_array);
                let places = 0..self.posted.count(path);
                let parts = places.filter(|place| self.without != format!("{path}.{place}"));
                list(
                    parts
                        .map(|place| {
                            let base =
                                known.and_then(|all| all.get(place)).and_then(Value::as_table);
                            self.part(row.part.as_deref(), &format!("{path}.{place}"), base)
                        })
                        .filter(|part| !part.is_empty())
                        .map(Value::Table)
                        .collect(),
                )
            }
            Kind::Selection => self.selection(&name),
        }
    }

    fn text(&self, name: &str) -> Option<Value> {
        let mut texts = Table::new();
        for language in self.languages {
            let text = self.posted.one(&format!("{name}.{language}"));
            if !text.is_empty() {
                texts.insert(language.clone(), Value::String(text.replace("\r\n", "\n")));
            }
        }
        (!texts.is_empty()).then_some(Value::Table(texts))
    }

    fn selection(&self, name: &str) -> Option<Value> {
        let chosen = |mark: &str| {
            let mut facets: BTreeMap<Facet, Vec<Value>> = BTreeMap::new();
            for facet in Facet::ALL {
                let facet_name = facet_name(*facet);
                let ticked = self.posted.all(&format!("{name}{mark}{facet_name}"));
                let typed = lines(self.posted.one(&format!("{name}{mark}{facet_name}+")));
                let ticked = ticked.iter().map(|term| Value::String(term.clone()));
                for term in ticked.chain(typed) {
                    let terms = facets.entry(*facet).or_default();
                    if !terms.contains(&term) {
                        terms.push(term);
                    }
                }
            }
            let named = facets.into_iter();
            named.map(|(facet, terms)| (facet_name(facet), Value::Array(terms))).collect::<Table>()
        };
        let mut selection = chosen("=");
        if self.posted.has(&format!("{name}*")) {
            selection.insert("whole_studies".to_owned(), Value::Boolean(true));
        }
        let exclude = chosen("!");
        if !exclude.is_empty() {
            selection.insert("exclude".to_owned(), Value::Table(exclude));
        }
        (!selection.is_empty()).then_some(Value::Table(selection))
    }
}

/// The name of a facet in descriptions.
#[must_use]
pub fn facet_name(facet: Facet) -> String {
    let name = serde_json::to_value(facet).ok();
    name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A day as TOML writes one; what is none stays as it was typed.
fn day(text: &str) -> Value {
    match text.parse::<toml::value::Datetime>() {
        Ok(day) if day.date.is_some() && day.time.is_none() => Value::Datetime(day),
        _ => Value::String(text.to_owned()),
    }
}

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| Value::String(line.to_owned())).collect()
}

/// The text of a description: as its type writes it when it can be read as one, so that the same
/// words are always the same text; otherwise as it is.
#[must_use]
pub fn text_of(table: &Table) -> String {
    if let Ok(description) = Value::Table(table.clone()).try_into::<crate::catalogue::Description>()
        && let Ok(text) = toml::to_string_pretty(&description)
    {
        return text;
    }
    toml::to_string_pretty(table).unwrap_or_default()
}

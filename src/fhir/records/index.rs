//! What was written, by its values: held in memory, read from the store behind the number of the
//! feed that was seen last. Codes, references and identifiers have lists of who has them; they
//! narrow a search, and the values themselves decide.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use roaring::RoaringBitmap;
use serde_json::Value as Json;

use super::super::search::documents::{Targets, holds};
use super::super::search::values::{Path, Reader, Value};
use super::super::search::{Criterion, Test};
use super::super::table::{Kind, Parameter, Resource, Table};
use crate::store::records::{self, Head};
use crate::store::{Db, QueryResult};

/// How many are read from the store at once.
const BATCH: i64 = 1_000;

/// A resource, as searches see it.
#[derive(Debug)]
pub(super) struct Doc {
    pub(super) resource: Resource,
    pub(super) id: Box<str>,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub(super) updated: i64,
    /// By the place of the parameter's row.
    values: Box<[(u16, Value)]>,
}

impl Doc {
    fn under(&self, row: u16) -> impl Iterator<Item = &Value> {
        let start = self.values.partition_point(|(of, _)| *of < row);
        self.values.iter().skip(start).take_while(move |(of, _)| *of == row).map(|(_, v)| v)
    }
}

#[derive(Debug, Default)]
pub(super) struct View {
    seen: i64,
    /// By the store's number.
    docs: Vec<Option<Doc>>,
    types: HashMap<Resource, RoaringBitmap>,
    postings: HashMap<(u16, u64), RoaringBitmap>,
}

struct Row {
    resource: Resource,
    parameter: Parameter,
    path: Path,
}

/// The index.
pub(super) struct Index {
    rows: Vec<Row>,
    view: RwLock<View>,
}

/// A criterion, ready to be looked at for one resource after the other.
pub(super) struct Ready<'a> {
    criterion: &'a Criterion,
    what: What,
    /// What a reference may point at, if it is one.
    targets: Option<Targets>,
}

enum What {
    Id,
    Updated,
    Row(u16),
    /// Nothing that was written has it.
    Nothing,
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// What a value is listed under.
fn key(value: &Value) -> Option<&str> {
    match value {
        Value::Token { code, .. } => Some(code),
        Value::Typed { value, .. } | Value::Logical { value, .. } => Some(value),
        Value::Local { id, .. } => Some(id),
        Value::Url(url) => Some(url),
        _ => None,
    }
}

impl Index {
    pub(super) fn new(table: &Table) -> Self {
        let rows = table
            .written
            .iter()
            .filter_map(|parameter| {
                let resource = Resource::parse(&parameter.resource)?;
                let path = Path::parse(&parameter.path)?;
                Some(Row { resource, parameter: parameter.clone(), path })
            })
            .collect();
        Self { rows, view: RwLock::default() }
    }

    pub(super) fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what was committed since. Within a transaction it must come before its own writes.
    pub(super) fn catch_up(&self, db: &mut Db, reader: &Reader<'_>) -> QueryResult<()> {
        loop {
            let seen = self.view().seen;
            let changed = records::list_changed(db, seen, BATCH)?;
            let count = changed.len();
            if count == 0 {
                return Ok(());
            }
            let docs: Vec<(Head, Option<Doc>)> = changed
                .into_iter()
                .map(|(head, body)| {
                    let doc = body.and_then(|body| self.doc(&head, &body, reader));
                    (head, doc)
                })
                .collect();
            let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
            for (head, doc) in docs {
                // Another thread may have been faster.
                if head.change > view.seen {
                    view.put(&head, doc);
                }
            }
            if i64::try_from(count).unwrap_or(BATCH) < BATCH {
                return Ok(());
            }
        }
    }

    fn doc(&self, head: &Head, body: &[u8], reader: &Reader<'_>) -> Option<Doc> {
        let resource = Resource::parse(&head.kind)?;
        let json: Json = serde_json::from_slice(body).ok()?;
        let values = self.values(resource, &json, reader);
        let (id, updated) = (head.id.as_str().into(), head.updated);
        Some(Doc { resource, id, updated, values: values.into() })
    }

    /// The values of a resource under each parameter of its type, by the place of its row.
    fn values(&self, resource: Resource, json: &Json, reader: &Reader<'_>) -> Vec<(u16, Value)> {
        let mut values = Vec::new();
        for (at, row) in self.rows.iter().enumerate().filter(|(_, row)| row.resource == resource) {
            let at = u16::try_from(at).unwrap_or(u16::MAX);
            let found = reader.values(&row.parameter, &row.path, json);
            values.extend(found.into_iter().map(|value| (at, value)));
        }
        values
    }

    /// What a resource points at under a parameter of its type.
    pub(super) fn references(
        &self,
        resource: Resource,
        name: &str,
        json: &Json,
        reader: &Reader<'_>,
    ) -> Vec<(Resource, String)> {
        let row = |row: &&Row| row.resource == resource && row.parameter.is_called(name);
        let Some(row) = self.rows.iter().find(row) else { return Vec::new() };
        reader
            .values(&row.parameter, &row.path, json)
            .into_iter()
            .filter_map(|value| match value {
                Value::Local { kind, id } => Some((Resource::parse(&kind)?, id.to_string())),
                _ => None,
            })
            .collect()
    }

    fn row(&self, resource: Resource, name: &str) -> Option<u16> {
        let is_it = |row: &Row| row.resource == resource && row.parameter.is_called(name);
        self.rows.iter().position(is_it).and_then(|at| u16::try_from(at).ok())
    }

    /// The parameter by which a type names its patient.
    fn subject(&self, resource: Resource) -> Option<u16> {
        self.row(resource, "patient").or_else(|| self.row(resource, "subject"))
    }

    /// Makes a criterion ready.
    pub(super) fn ready<'a>(
        &self,
        resource: Resource,
        criterion: &'a Criterion,
        targets: Option<Targets>,
    ) -> Ready<'a> {
        let what = match criterion.parameter.name.as_str() {
            "_id" => What::Id,
            "_lastUpdated" => What::Updated,
            name => self.row(resource, name).map_or(What::Nothing, What::Row),
        };
        Ready { criterion, what, targets }
    }

    /// Those of a type that hold to all criteria.
    pub(super) fn search(&self, resource: Resource, criteria: &[Ready<'_>]) -> RoaringBitmap {
        let view = self.view();
        let mut found = view.types.get(&resource).cloned().unwrap_or_default();
        for ready in criteria {
            if let Some(listed) = view.listed(ready) {
                found &= listed;
            }
        }
        if criteria.is_empty() {
            return found;
        }
        found
            .iter()
            .filter(|number| {
                view.doc(*number).is_some_and(|doc| criteria.iter().all(|ready| ready.holds(doc)))
            })
            .collect()
    }

    /// What each of some resources is about: references to patients.
    pub(super) fn subjects(&self, numbers: &RoaringBitmap) -> Vec<(u32, Vec<Value>)> {
        let view = self.view();
        let of = |doc: &Doc| match self.subject(doc.resource) {
            None => Vec::new(),
            Some(row) => doc
                .under(row)
                .filter(|value| match value {
                    Value::Local { kind, .. } => &**kind == "Patient",
                    Value::Logical { .. } | Value::Url(_) => true,
                    _ => false,
                })
                .cloned()
                .collect(),
        };
        numbers.iter().filter_map(|number| Some((number, of(view.doc(number)?)))).collect()
    }

    /// What some resources are sorted by; those without a date stand last.
    pub(super) fn keys(
        &self,
        resource: Resource,
        numbers: &RoaringBitmap,
        name: &str,
        descending: bool,
    ) -> Vec<(i64, u32)> {
        let view = self.view();
        let row = self.row(resource, name);
        let key = |doc: &Doc| {
            if name == "_lastUpdated" {
                return doc.updated;
            }
            let dates = row.into_iter().flat_map(|row| doc.under(row));
            let first = dates.filter_map(|value| match value {
                Value::Date { from, .. } => Some(*from),
                _ => None,
            });
            let missing = if descending { i64::MIN } else { i64::MAX };
            first.min().unwrap_or(missing)
        };
        numbers.iter().filter_map(|number| Some((key(view.doc(number)?), number))).collect()
    }

    /// Ids of resources.
    pub(super) fn ids(&self, numbers: &RoaringBitmap) -> Vec<String> {
        let view = self.view();
        numbers.iter().filter_map(|number| Some(view.doc(number)?.id.to_string())).collect()
    }
}

impl View {
    pub(super) fn doc(&self, number: u32) -> Option<&Doc> {
        self.docs.get(usize::try_from(number).ok()?)?.as_ref()
    }

    fn put(&mut self, head: &Head, doc: Option<Doc>) {
        self.seen = head.change;
        // The numbers of the store are counted from one; more than four thousand million do not fit.
        let (Ok(number), Ok(at)) = (u32::try_from(head.number), usize::try_from(head.number))
        else {
            return;
        };
        if self.docs.len() <= at {
            self.docs.resize_with(at + 1, || None);
        }
        let Some(place) = self.docs.get_mut(at) else { return };
        let before = place.take();
        if let Some(before) = before {
            for (row, value) in &before.values {
                let listed = key(value).map(|key| (*row, hash(key)));
                if let Some(listed) = listed
                    && let Some(posting) = self.postings.get_mut(&listed)
                {
                    posting.remove(number);
                    if posting.is_empty() {
                        self.postings.remove(&listed);
                    }
                }
            }
            if let Some(of_type) = self.types.get_mut(&before.resource) {
                of_type.remove(number);
            }
        }
        let Some(doc) = doc else { return };
        for (row, value) in &doc.values {
            if let Some(key) = key(value) {
                self.postings.entry((*row, hash(key))).or_default().insert(number);
            }
        }
        self.types.entry(doc.resource).or_default().insert(number);
        if let Some(place) = self.docs.get_mut(at) {
            *place = Some(doc);
        }
    }

    /// Those that may hold to a criterion, where lists tell.
    fn listed(&self, ready: &Ready<'_>) -> Option<RoaringBitmap> {
        let What::Row(row) = ready.what else { return None };
        let mut keys: Vec<&str> = Vec::new();
        match &ready.criterion.test {
            Test::Tokens(tokens) => {
                for token in tokens {
                    keys.push(token.code.as_deref()?);
                }
            }
            Test::OfType(of) => keys.extend(of.iter().map(|of| of.value.as_str())),
            Test::Uris(how, urls) if how.is_equal() => {
                keys.extend(urls.iter().map(String::as_str));
            }
            Test::References(_) | Test::Identifiers(_) | Test::Chain(_) | Test::Linked(_) => {
                let targets = ready.targets.as_ref()?;
                keys.extend(targets.local.values().flatten().map(String::as_str));
                keys.extend(targets.ids.iter().chain(&targets.urls).map(String::as_str));
                for token in &targets.identifiers {
                    keys.push(token.code.as_deref()?);
                }
            }
            _ => return None,
        }
        let mut found = RoaringBitmap::new();
        for key in keys {
            if let Some(posting) = self.postings.get(&(row, hash(key))) {
                found |= posting;
            }
        }
        Some(found)
    }
}

impl Ready<'_> {
    fn holds(&self, doc: &Doc) -> bool {
        let test = &self.criterion.test;
        match self.what {
            What::Row(row) => holds(test, self.targets.as_ref(), doc.under(row)),
            What::Nothing => holds(test, None, std::iter::empty()),
            What::Id => {
                let id = Value::Token { system: None, code: (&*doc.id).into(), is_plain: false };
                holds(test, None, std::iter::once(&id))
            }
            What::Updated => {
                let (from, to) = (doc.updated, doc.updated.saturating_add(1));
                holds(test, None, std::iter::once(&Value::Date { from, to }))
            }
        }
    }
}

/// Whether a parameter can point at a patient.
pub(super) fn can_be_patient(parameter: &Parameter) -> bool {
    parameter.kind == Kind::Reference
        && (parameter.targets.is_empty() || parameter.targets.iter().any(|t| t == "Patient"))
}

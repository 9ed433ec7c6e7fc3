//! A judge of profiles by the table of elements (`eehrxf-imaging-elements.tsv`): cardinality for
//! each parent that occurs, fixed and pattern values, slices by pattern, by the URL of an
//! extension, by the type of an entry. Until the server's own profile checker is the judge.

use std::path::Path;

use serde_json::Value;

struct Row {
    path: Vec<String>,
    min: usize,
    max: Option<usize>,
    pattern: Option<Value>,
    note: String,
}

/// The rows of one profile.
pub struct Profile {
    name: String,
    rows: Vec<Row>,
}

impl Profile {
    /// Reads the rows of a profile of the table below the folder of official data.
    pub fn read(reference: &Path, name: &str) -> Self {
        let table = reference.join("reference/data/eehrxf-imaging-elements.tsv");
        let text = std::fs::read_to_string(table).unwrap();
        let mut rows = Vec::new();
        for line in text.lines().skip(1) {
            let cells: Vec<&str> = line.split('\t').collect();
            if cells[1] != name || cells[4].is_empty() && cells[9].is_empty() {
                continue;
            }
            let value = |text: &str| {
                serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
            };
            rows.push(Row {
                path: cells[3].split('.').map(str::to_owned).collect(),
                min: cells[4].parse().unwrap_or(0),
                max: cells[5].parse().ok(),
                pattern: cells[9].split_once('=').map(|(_, text)| value(text)),
                note: cells[10].to_owned(),
            });
        }
        assert!(rows.len() > 1, "the table has no profile `{name}`");
        Self { name: name.to_owned(), rows }
    }

    /// What is wrong with a resource.
    pub fn complaints(&self, resource: &Value) -> Vec<String> {
        let mut found = Vec::new();
        for row in self.rows.iter().filter(|row| row.path.len() > 1) {
            let (last, parent) = row.path.split_last().unwrap();
            if last.contains('/') || parent.iter().any(|step| step.contains('/')) {
                continue;
            }
            let Some(parents) = self.at(resource, parent) else { continue };
            for one in parents {
                let Some(here) = self.step(one, parent, last) else { continue };
                let count = here.len();
                if count < row.min || row.max.is_some_and(|max| count > max) {
                    let max = row.max.map_or("*".to_owned(), |max| max.to_string());
                    let path = row.path.join(".");
                    found.push(format!("{}: {path} {count} of {}..{max}", self.name, row.min));
                }
                let is_slice = last.contains(':');
                for value in here.iter().filter(|_| !is_slice) {
                    if row.pattern.as_ref().is_some_and(|pattern| !holds(value, pattern)) {
                        let path = row.path.join(".");
                        found.push(format!("{}: {path} is {value}", self.name));
                    }
                }
            }
        }
        found
    }

    /// The values at a path; `None` when a slice of it cannot be told by the table.
    fn at<'v>(&self, resource: &'v Value, path: &[String]) -> Option<Vec<&'v Value>> {
        let mut here = vec![resource];
        for at in 1..path.len() {
            let mut next = Vec::new();
            for one in here {
                next.extend(self.step(one, &path[..at], &path[at])?);
            }
            here = next;
        }
        Some(here)
    }

    fn step<'v>(&self, one: &'v Value, parent: &[String], last: &str) -> Option<Vec<&'v Value>> {
        let (name, slice) = last.split_once(':').map_or((last, None), |(n, s)| (n, Some(s)));
        let values: Vec<&Value> = match name.strip_suffix("[x]") {
            Some(stem) => one
                .as_object()?
                .iter()
                .filter(|(key, _)| key.starts_with(stem))
                .map(|(_, value)| value)
                .collect(),
            None => match one.get(name) {
                None => Vec::new(),
                Some(Value::Array(all)) => all.iter().collect(),
                Some(value) => vec![value],
            },
        };
        if slice.is_none() {
            return Some(values);
        }
        let mut path = parent.to_vec();
        path.push(last.to_owned());
        let row = |path: &[String]| self.rows.iter().find(|row| row.path == path);
        let own = row(&path)?;
        if let Some(pattern) = &own.pattern {
            return Some(values.into_iter().filter(|value| holds(value, pattern)).collect());
        }
        if name == "extension" {
            let kind = own.note.split("type Extension{").nth(1)?.split('}').next()?;
            let is_of = |value: &&&Value| {
                value["url"].as_str().is_some_and(|url| url.rsplit('/').next() == Some(kind))
            };
            return Some(values.iter().filter(is_of).copied().collect());
        }
        let below = |step: &str| {
            let mut path = path.clone();
            path.push(step.to_owned());
            row(&path)
        };
        if let Some(code) = below("code").and_then(|row| row.pattern.as_ref()) {
            return Some(values.into_iter().filter(|value| holds(&value["code"], code)).collect());
        }
        let kind = below("resource")?.note.split("type ").nth(1)?.split('{').next()?.to_owned();
        let is_of = |value: &&Value| value["resource"]["resourceType"] == kind.as_str();
        Some(values.into_iter().filter(is_of).collect())
    }
}

/// Whether a value has what a pattern has.
fn holds(value: &Value, pattern: &Value) -> bool {
    match (value, pattern) {
        (Value::Object(value), Value::Object(pattern)) => pattern
            .iter()
            .all(|(key, wanted)| value.get(key).is_some_and(|value| holds(value, wanted))),
        (Value::Array(values), Value::Array(wanted)) => {
            wanted.iter().all(|wanted| values.iter().any(|value| holds(value, wanted)))
        }
        (value, pattern) => value == pattern,
    }
}

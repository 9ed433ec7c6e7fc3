//! The history of a description: who wrote it, when, and what changed, field by field
//! (TEHDAS2 D5.3, chapter 9: change tracking and audit trail of a national catalogue).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::publish::{Outcome, Verdict};
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::descriptions::{self, DescriptionRow};

/// A field that changed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Change {
    /// The key, dotted: `title.en`, `distribution.0.format`. Empty: the whole text, because one of
    /// the two is no TOML.
    pub key: String,
    /// What it was; absent: it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// What it is; absent: it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<String>,
}

/// A version of a description.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// Its number, in the order of writing.
    pub number: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: String,
    /// What became of it.
    pub verdict: Verdict,
    /// What changed against the version before.
    pub changes: Vec<Change>,
    /// The whole description (TOML).
    pub text: String,
}

/// The fields in which two descriptions differ, by key.
#[must_use]
pub fn differences(old: &str, new: &str) -> Vec<Change> {
    let (Some(before), Some(after)) = (fields(old), fields(new)) else {
        return if old == new {
            Vec::new()
        } else {
            let text = |text: &str| (!text.is_empty()).then(|| shorten(text));
            vec![Change { key: String::new(), old: text(old), new: text(new) }]
        };
    };
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| Change {
            key: key.clone(),
            old: before.get(key).map(|text| shorten(text)),
            new: after.get(key).map(|text| shorten(text)),
        })
        .collect()
}

/// The values of a description by dotted key; `None` for what is no TOML.
fn fields(text: &str) -> Option<BTreeMap<String, String>> {
    let table: toml::Table = toml::from_str(text).ok()?;
    let mut fields = BTreeMap::new();
    flatten("", &toml::Value::Table(table), &mut fields);
    Some(fields)
}

fn flatten(key: &str, value: &toml::Value, into: &mut BTreeMap<String, String>) {
    let below = |name: &str| if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
    match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                flatten(&below(name), value, into);
            }
        }
        toml::Value::Array(items) => {
            for (place, value) in items.iter().enumerate() {
                flatten(&below(&place.to_string()), value, into);
            }
        }
        toml::Value::String(text) => drop(into.insert(key.to_owned(), text.clone())),
        other => drop(into.insert(key.to_owned(), other.to_string())),
    }
}

/// Enough to see what changed; the whole text is kept beside.
fn shorten(text: &str) -> String {
    const LONGEST: usize = 500;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

/// Keeps the version that an outcome is about, unless its text is that of the newest one kept and
/// nothing else became of it.
///
/// # Errors
/// When the store does not answer.
pub fn remember(
    store: &Store,
    outcome: &Outcome,
    text: &str,
    who: &str,
    now: Timestamp,
) -> Result<()> {
    if !super::is_slug(&outcome.slug) {
        return Ok(());
    }
    let known = store.read(|db| descriptions::find_description(db, &outcome.slug))?;
    let is_same = known.as_ref().is_some_and(|row| row.text == text);
    let verdict = name(outcome.verdict)?;
    if is_same && (outcome.verdict == Verdict::Unchanged || is_verdict_of(known.as_ref(), &verdict))
    {
        return Ok(());
    }
    let changes = differences(known.as_ref().map_or("", |row| &row.text), text);
    let changes =
        serde_json::to_string(&changes).map_err(|failure| Error::Internal(failure.to_string()))?;
    let row = DescriptionRow {
        number: 0,
        slug: outcome.slug.clone(),
        at: now.as_microsecond(),
        who: who.to_owned(),
        verdict,
        changes,
        text: text.to_owned(),
    };
    store.write(|db| descriptions::put_description(db, &row))
}

fn is_verdict_of(known: Option<&DescriptionRow>, verdict: &str) -> bool {
    known.is_some_and(|row| row.verdict == verdict)
}

fn name(verdict: Verdict) -> Result<String> {
    let value =
        serde_json::to_value(verdict).map_err(|failure| Error::Internal(failure.to_string()))?;
    Ok(value.as_str().unwrap_or_default().to_owned())
}

/// The versions of a description, the newest first.
///
/// # Errors
/// When the store does not answer or holds what is no version.
pub fn revisions(store: &Store, slug: &str, limit: usize) -> Result<Vec<Revision>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = store.read(|db| descriptions::list_descriptions(db, slug, limit))?;
    rows.into_iter()
        .map(|row| {
            let damaged = || Error::Store(format!("the history of `{slug}` is damaged"));
            Ok(Revision {
                number: row.number,
                at: Timestamp::from_microsecond(row.at).map_err(|_| damaged())?,
                who: row.who,
                verdict: serde_json::from_value(serde_json::Value::String(row.verdict))
                    .map_err(|_| damaged())?,
                changes: serde_json::from_str(&row.changes).map_err(|_| damaged())?,
                text: row.text,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Change, differences};

    #[test]
    fn a_change_names_its_field() {
        let old = "title.en = \"A\"\nkeywords.en = [\"x\"]\nversion = \"1\"\n";
        let new = "title.en = \"B\"\nkeywords.en = [\"x\", \"y\"]\n";
        let change = |key: &str, old: Option<&str>, new: Option<&str>| Change {
            key: key.to_owned(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        };
        assert_eq!(
            differences(old, new),
            [
                change("keywords.en.1", None, Some("y")),
                change("title.en", Some("A"), Some("B")),
                change("version", Some("1"), None),
            ]
        );
        assert_eq!(differences(old, &format!("# a comment\n{old}")), []);
        assert_eq!(differences(old, "no TOML").len(), 1);
    }
}

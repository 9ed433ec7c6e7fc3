//! Environment variables on top of the file: `VESALIUS_` and the path of a key.
//!
//! In: the tree of the file, the environment. Out: the tree with what was set, and which variable set
//! which key.

use super::Config;
use crate::error::{Error, Result};

/// Beginnings of variables that are not settings: the tests', the credentials of `ingest
/// dicomweb`, and what container platforms set for a service that is called `vesalius`.
const FOREIGN: &[&str] = &["REFERENCE", "TEST_", "DICOMWEB_", "PORT", "SERVICE_"];

/// `VESALIUS_ARCHIVE_TIME_ZONE=…` sets `archive.time_zone`; which paths were set by which
/// variable. An unknown variable is refused, because a misspelt key that does nothing is worse
/// than an error.
pub(super) fn overlay(
    tree: &mut toml::Table,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<(String, String)>> {
    let keys = Config::keys();
    let mut set = Vec::new();
    for (name, text) in environment {
        let Some(rest) = name.strip_prefix("VESALIUS_") else { continue };
        if FOREIGN.iter().any(|foreign| rest.starts_with(foreign)) {
            continue;
        }
        let found = keys.iter().find(|(path, _)| path.replace('.', "_").to_uppercase() == rest);
        let Some((path, default)) = found else {
            return Err(Error::Configuration(format!(
                "environment variable `{name}` sets no known key; see vesalius.example.toml"
            )));
        };
        let refused = |expected: &str| {
            Error::Configuration(format!(
                "environment variable `{name}`: `{text}` is not {expected}"
            ))
        };
        let value = match default {
            toml::Value::Integer(_) => {
                toml::Value::Integer(text.parse().map_err(|_| refused("an integer"))?)
            }
            toml::Value::Boolean(_) => {
                toml::Value::Boolean(text.parse().map_err(|_| refused("`true` or `false`"))?)
            }
            toml::Value::String(_) => toml::Value::String(text.clone()),
            _ => {
                let table: toml::Table = toml::from_str(&format!("value = {text}"))
                    .map_err(|_| refused("a TOML value"))?;
                table.get("value").cloned().unwrap_or(toml::Value::Boolean(false))
            }
        };
        let mut place = &mut *tree;
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                place.insert(part.to_owned(), value.clone());
                break;
            }
            let next = place.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
            match next {
                toml::Value::Table(table) => place = table,
                _ => return Err(refused("settable here: the file gives its table another type")),
            }
        }
        toml::Value::Table(tree.clone()).try_into::<Config>().map_err(|failure| {
            let reason = failure.message();
            Error::Configuration(format!("environment variable `{name}`: `{text}`: {reason}"))
        })?;
        set.push((path.clone(), name));
    }
    Ok(set)
}

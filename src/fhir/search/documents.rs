//! Searches by what resources say themselves: a test and the values under its parameter.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::quantity::Unit;
use super::reference::Reference;
use super::token::Token;
use super::values::{Path, Reader, Value};
use super::{Criterion, Test, unsupported};
use crate::fhir::outcome::Result;

/// Whether a resource holds to all criteria, of which none looks into other resources.
pub(in crate::fhir) fn matches(
    reader: &Reader<'_>,
    resource: &Json,
    criteria: &[Criterion],
) -> Result<bool> {
    for criterion in criteria {
        if let Test::Chain(_) | Test::Linked(_) = criterion.test {
            return Err(unsupported(criterion, "a chain"));
        }
        let path = Path::parse(&criterion.parameter.path).unwrap_or_default();
        let values = reader.values(&criterion.parameter, &path, resource);
        let targets = Targets::of(&criterion.test);
        if !holds(&criterion.test, targets.as_ref(), values.iter()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a reference may point at for a criterion to hold.
#[derive(Debug, Default)]
pub(in crate::fhir) struct Targets {
    /// Ids by type.
    pub(in crate::fhir) local: HashMap<String, HashSet<String>>,
    /// Of any type.
    pub(in crate::fhir) ids: HashSet<String>,
    pub(in crate::fhir) urls: HashSet<String>,
    pub(in crate::fhir) identifiers: Vec<Token>,
}

impl Targets {
    /// Those that a test names by itself.
    pub(in crate::fhir) fn of(test: &Test) -> Option<Self> {
        let mut targets = Self::default();
        match test {
            Test::References(references) => {
                for reference in references {
                    match reference {
                        Reference::Local(Some(kind), id) => {
                            targets.point_at(kind, id.clone());
                        }
                        Reference::Local(None, id) => {
                            targets.ids.insert(id.clone());
                        }
                        Reference::Foreign(url) => {
                            targets.urls.insert(url.clone());
                        }
                    }
                }
            }
            Test::Identifiers(tokens) => targets.identifiers.clone_from(tokens),
            Test::Chain(_) | Test::Linked(_) => {}
            _ => return None,
        }
        Some(targets)
    }

    /// Adds something of this server.
    pub(in crate::fhir) fn point_at(&mut self, kind: &str, id: String) {
        match self.local.get_mut(kind) {
            Some(ids) => ids.insert(id),
            None => self.local.entry(kind.to_owned()).or_default().insert(id),
        };
    }

    fn has(&self, value: &Value) -> bool {
        match value {
            Value::Local { kind, id } => {
                self.ids.contains(&**id)
                    || self.local.get(&**kind).is_some_and(|ids| ids.contains(&**id))
            }
            Value::Url(url) => self.urls.contains(&**url),
            Value::Logical { system, value } => {
                self.identifiers.iter().any(|token| token.matches(system.as_deref(), value))
            }
            _ => false,
        }
    }
}

/// Whether the values under a parameter hold to a test; `targets` are those of its references.
pub(in crate::fhir) fn holds<'v>(
    test: &Test,
    targets: Option<&Targets>,
    mut values: impl Iterator<Item = &'v Value>,
) -> bool {
    let is_token = |value: &Value, tokens: &[Token]| match value {
        Value::Token { system, code, is_plain } => tokens.iter().any(|token| {
            token.matches(system.as_deref(), code) || (*is_plain && token.matches(None, code))
        }),
        _ => false,
    };
    match test {
        Test::Missing(missing) => values.next().is_none() == *missing,
        Test::Tokens(tokens) => values.any(|value| is_token(value, tokens)),
        Test::NotTokens(tokens) => !values.any(|value| is_token(value, tokens)),
        Test::Text(texts) => values.any(|value| match value {
            Value::Words(words) => texts.iter().any(|text| words.contains(text.as_str())),
            _ => false,
        }),
        Test::OfType(asked) => values.any(|value| match value {
            Value::Typed { system, code, value } => asked.iter().any(|asked| {
                (asked.system.is_empty() || asked.system == **system)
                    && asked.code == **code
                    && asked.value == **value
            }),
            _ => false,
        }),
        Test::Dates(dates) => values.any(|value| match value {
            Value::Date { from, to } => dates.iter().any(|date| date.matches(*from, *to)),
            _ => false,
        }),
        Test::Strings(how, texts) => values.any(|value| match value {
            Value::String { text, folded } => {
                texts.iter().any(|asked| how.matches_folded(asked, text, folded))
            }
            _ => false,
        }),
        Test::Quantities(asked) => values.any(|value| match value {
            Value::Quantity { low, high, system, code, unit } => {
                let unit = Unit {
                    system: system.as_deref(),
                    code: code.as_deref(),
                    unit: unit.as_deref(),
                };
                asked.iter().any(|asked| asked.matches(*low, *high, &unit))
            }
            _ => false,
        }),
        Test::Uris(how, asked) => values.any(|value| match value {
            Value::Url(url) => asked.iter().any(|asked| how.matches(asked, url)),
            _ => false,
        }),
        Test::References(_) | Test::Identifiers(_) | Test::Chain(_) | Test::Linked(_) => {
            targets.is_some_and(|targets| values.any(|value| targets.has(value)))
        }
    }
}

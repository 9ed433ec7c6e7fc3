//! Searches by looking at the resources: of those of which there are few, and of those that reports
//! become, because the study or the patient was found before.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::date::interval;
use super::token::OfType;
use super::{Criterion, Test, unsupported};
use crate::fhir::outcome::Result;
use crate::imaging::fold;

/// Whether a resource holds to all criteria. Dates without a zone are days of `zone`.
pub(in crate::fhir) fn matches(
    resource: &Value,
    criteria: &[Criterion],
    zone: Option<&TimeZone>,
) -> Result<bool> {
    for criterion in criteria {
        if !one(resource, criterion, zone)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The values at a path, through every list on the way.
fn values<'v>(resource: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = vec![resource];
    for name in path.split('.') {
        found = found
            .into_iter()
            .filter_map(|value| value.get(name))
            .flat_map(|value| match value {
                Value::Array(items) => items.iter().collect::<Vec<_>>(),
                value => vec![value],
            })
            .collect();
    }
    // What only says why it is absent is absent.
    found.retain(|value| !value.as_object().is_some_and(|of| of.keys().eq(["extension"])));
    found
}

/// System and code of a code, a Coding, each Coding of a CodeableConcept, or an Identifier.
fn tokens_of<'v>(value: &'v Value, system: &'v str) -> Vec<(Option<&'v str>, &'v str)> {
    if let Value::String(code) = value {
        return vec![(Some(system).filter(|system| !system.is_empty()), code)];
    }
    if let Some(Value::Array(codings)) = value.get("coding") {
        return codings.iter().flat_map(|coding| tokens_of(coding, "")).collect();
    }
    let code = value.get("code").or_else(|| value.get("value")).and_then(Value::as_str);
    let system = value.get("system").and_then(Value::as_str);
    code.map(|code| (system, code)).into_iter().collect()
}

/// Every text of a string or of a HumanName.
fn texts_of(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts_of).collect(),
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| {
                ["text", "family", "given", "prefix", "suffix"].contains(&name.as_str())
            })
            .flat_map(|(_, member)| texts_of(member))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn one(resource: &Value, criterion: &Criterion, zone: Option<&TimeZone>) -> Result<bool> {
    let parameter = &criterion.parameter;
    let values = values(resource, &parameter.path);
    let any_token = |matches: &dyn Fn(Option<&str>, &str) -> bool| {
        values.iter().any(|value| {
            tokens_of(value, &parameter.system)
                .into_iter()
                .any(|(system, code)| matches(system, code))
        })
    };
    Ok(match &criterion.test {
        Test::Missing(missing) => values.is_empty() == *missing,
        Test::Tokens(tokens) => {
            any_token(&|system, code| tokens.iter().any(|token| token.matches(system, code)))
        }
        Test::NotTokens(tokens) => {
            !any_token(&|system, code| tokens.iter().any(|token| token.matches(system, code)))
        }
        Test::Text(texts) => values.iter().any(|value| {
            let codings = value.get("coding").and_then(Value::as_array);
            let displays = codings.into_iter().flatten().chain([*value]);
            let displays = displays.filter_map(|coding| coding.get("display"));
            displays
                .chain(value.get("text"))
                .filter_map(Value::as_str)
                .map(fold)
                .any(|display| texts.iter().any(|text| display.contains(&fold(text))))
        }),
        Test::OfType(asked) => values.iter().any(|value| {
            let types = value.get("type").map(|of| tokens_of(of, "")).unwrap_or_default();
            let has = |OfType { system, code, value: number }: &OfType| {
                value.get("value").and_then(Value::as_str) == Some(number)
                    && types.iter().any(|(of, known)| {
                        (system.is_empty() || of.unwrap_or("") == system) && known == code
                    })
            };
            asked.iter().any(has)
        }),
        Test::References(references) => values.iter().any(|value| {
            let reference = value.get("reference").and_then(Value::as_str).unwrap_or("");
            let (kind, id) = reference.split_once('/').unwrap_or(("", reference));
            references.iter().any(|asked| asked.id_of(kind) == Some(id))
        }),
        Test::Identifiers(tokens) => values.iter().any(|value| {
            let identifier = value.get("identifier");
            let known = identifier.map(|of| tokens_of(of, "")).unwrap_or_default();
            known
                .into_iter()
                .any(|(system, code)| tokens.iter().any(|token| token.matches(system, code)))
        }),
        Test::Strings(how, texts) => values.iter().any(|value| {
            texts_of(value).iter().any(|known| texts.iter().any(|text| how.matches(text, known)))
        }),
        Test::Dates(dates) => values.iter().any(|value| {
            let known = value.as_str().and_then(|text| interval(text, zone));
            known.is_some_and(|(from, to)| dates.iter().any(|date| date.matches(from, to)))
        }),
        Test::Chain(_) => return Err(unsupported(criterion, "the modifier")),
    })
}

//! Searches by looking at the resources: of those that the configuration makes, because there are
//! few, and of those that reports become, because the study or the patient was found before.

use serde_json::Value;

use jiff::tz::TimeZone;

use super::date::interval;
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

fn one(resource: &Value, criterion: &Criterion, zone: Option<&TimeZone>) -> Result<bool> {
    let path = criterion.parameter.path.as_str();
    let found = path.split('.').try_fold(resource, |value, name| value.get(name));
    let values: Vec<&Value> = match found {
        None => Vec::new(),
        Some(Value::Array(values)) => values.iter().collect(),
        Some(value) => vec![value],
    };
    let any_token = |matches: &dyn Fn(Option<&str>, &str) -> bool| {
        values.iter().any(|value| match value {
            // A code or an id.
            Value::String(code) => {
                let system = criterion.parameter.system.as_str();
                matches(None, code) || (!system.is_empty() && matches(Some(system), code))
            }
            Value::Object(concept) if concept.contains_key("coding") => {
                let codings = value["coding"].as_array().into_iter().flatten();
                codings.into_iter().any(|coding| {
                    let code = coding.get("code").and_then(Value::as_str);
                    let system = coding.get("system").and_then(Value::as_str);
                    code.is_some_and(|code| matches(system, code))
                })
            }
            // A Coding has a code, an Identifier a value.
            _ => {
                let code = value.get("code").or_else(|| value.get("value")).and_then(Value::as_str);
                let system = value.get("system").and_then(Value::as_str);
                code.is_some_and(|code| matches(system, code))
            }
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
            let codings = value.get("coding").and_then(Value::as_array).into_iter().flatten();
            let all = codings.filter_map(|coding| coding.get("display"));
            let all = all.chain(value.get("display")).chain(value.get("text"));
            all.filter_map(Value::as_str)
                .map(fold)
                .any(|display| texts.iter().any(|text| display.contains(&fold(text))))
        }),
        Test::References(references) => values.iter().any(|value| {
            let reference = value.get("reference").and_then(Value::as_str).unwrap_or("");
            let (kind, id) = reference.split_once('/').unwrap_or(("", reference));
            references.iter().any(|asked| asked.id_of(kind) == Some(id))
        }),
        Test::Identifiers(tokens) => values.iter().any(|value| {
            let identifier = value.get("identifier");
            let part = |name| identifier.and_then(|known| known.get(name)).and_then(Value::as_str);
            part("value").is_some_and(|value| {
                tokens.iter().any(|token| token.matches(part("system"), value))
            })
        }),
        Test::Strings(how, texts) => values.iter().any(|value| {
            value.as_str().is_some_and(|value| texts.iter().any(|text| how.matches(text, value)))
        }),
        // What the configuration makes says nothing of when it changed.
        Test::Dates(dates) => values.iter().any(|value| {
            let known = value.as_str().and_then(|text| interval(text, zone));
            known.is_some_and(|(from, to)| dates.iter().any(|date| date.matches(from, to)))
        }),
        Test::OfType(_) | Test::Chain(_) => return Err(unsupported(criterion, "the modifier")),
    })
}

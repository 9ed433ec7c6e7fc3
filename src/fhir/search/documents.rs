//! Searches of the resources that the configuration makes: there are few, so each is looked at.

use serde_json::Value;

use super::{Answer, Criterion, Test, unsupported};
use crate::fhir::outcome::Result;
use crate::imaging::fold;

/// Whether a resource holds to all criteria.
pub(in crate::fhir) fn matches(resource: &Value, criteria: &[Criterion]) -> Result<bool> {
    for criterion in criteria {
        if !one(resource, criterion)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn one(resource: &Value, criterion: &Criterion) -> Result<bool> {
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
                matches(None, code)
                    || (criterion.parameter.answer == Answer::Document
                        && matches(Some("http://hl7.org/fhir/endpoint-status"), code))
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
            let display = value.get("display").and_then(Value::as_str).map(fold);
            display.is_some_and(|display| texts.iter().any(|text| display.contains(&fold(text))))
        }),
        Test::References(references) => values.iter().any(|value| {
            let reference = value.get("reference").and_then(Value::as_str).unwrap_or("");
            let (kind, id) = reference.split_once('/').unwrap_or(("", reference));
            references.iter().any(|asked| asked.id_of(kind) == Some(id))
        }),
        Test::Identifiers(_) => false,
        Test::Strings(how, texts) => values.iter().any(|value| {
            value.as_str().is_some_and(|value| texts.iter().any(|text| how.matches(text, value)))
        }),
        // What the configuration makes says nothing of when it changed.
        Test::Dates(_) => false,
        Test::OfType(_) | Test::Chain(_) => return Err(unsupported(criterion, "the modifier")),
    })
}

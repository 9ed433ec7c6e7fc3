//! One parameter as the client wrote it becomes a [`Criterion`]: its row, its modifier, its values.
//!
//! In: a name with modifier or chain, the text behind it. Out: what is compared, or what is wrong
//! with it. Separators that are escaped are text (FHIR R4 search.html, escaping).

use super::date::DateTest;
use super::quantity::QuantityTest;
use super::string::{How, UriHow};
use super::token::{OfType, Token};
use super::{Criterion, MOST_VALUES, Reference, Test};
use crate::error::Error;
use crate::fhir::Asking;
use crate::fhir::outcome::{Failure, Result};
use crate::fhir::table::{Answer, Kind, Parameter, Resource};
use crate::imaging::fold;

/// Reads one parameter; `None`: the type has none of that name.
pub(super) fn criterion(
    asking: &Asking<'_>,
    resource: Resource,
    name: &str,
    value: &str,
) -> Result<Option<Criterion>> {
    // `patient.identifier`, `subject:Patient.identifier`; but `author.given` has a row of its own.
    let has_row = asking.state.table.parameter(resource, name).is_some();
    if let Some((link, rest)) = name.split_once('.').filter(|_| !has_row) {
        let (link, kind) = match link.split_once(':') {
            None => (link, None),
            Some((link, kind)) => (link, Some(kind)),
        };
        let Some(parameter) = asking.state.table.parameter(resource, link) else {
            return Ok(None);
        };
        if parameter.answer == Answer::Document && parameter.kind == Kind::Reference {
            return linked(asking, parameter, kind, name, rest, value);
        }
        let can_chain = parameter.answer == Answer::Patient && kind.is_none_or(|k| k == "Patient");
        if !can_chain {
            return Err(Failure::parameter(name, "cannot be chained"));
        }
        let of = criterion(asking, Resource::Patient, rest, value)
            .map_err(|failure| failure.about(name))?;
        return match of {
            None => Err(Failure::parameter(name, format!("Patient has no parameter `{rest}`"))),
            Some(of) => Ok(Some(Criterion {
                name: name.to_owned(),
                parameter: parameter.clone(),
                test: Test::Chain(Box::new(of)),
                is_never_study_id: false,
            })),
        };
    }
    let (plain, modifier) = match name.split_once(':') {
        None => (name, None),
        Some((plain, modifier)) => (plain, Some(modifier)),
    };
    let Some(parameter) = asking.state.table.parameter(resource, plain) else { return Ok(None) };
    let raw = split(value, ',');
    if raw.len() > MOST_VALUES {
        return Err(Error::TooCostly(format!("`{name}` has more than {MOST_VALUES} values")).into());
    }
    if raw.iter().any(|value| value.is_empty()) {
        return Err(Failure::parameter(name, "has an empty value"));
    }
    let wrong = |reason: String| Failure::parameter(name, reason);
    let tokens =
        || raw.iter().map(|raw| Token::parse(raw)).collect::<Result<_, _>>().map_err(wrong);
    let texts = || raw.iter().map(|raw| unescape(raw)).collect();
    // What is compared without case and accents is folded once.
    let folded = || raw.iter().map(|raw| fold(&unescape(raw))).collect();
    let base = asking.state.base.as_str();
    let references = |kind: Option<&str>| {
        raw.iter()
            .map(|raw| Reference::parse(raw, base, kind))
            .collect::<Result<_, _>>()
            .map_err(wrong)
    };
    let test = match (parameter.kind, modifier) {
        (_, Some("missing")) => match value {
            "true" => Test::Missing(true),
            "false" => Test::Missing(false),
            _ => return Err(wrong(format!("`{value}` is neither true nor false"))),
        },
        (Kind::Token, None) => Test::Tokens(tokens()?),
        (Kind::Token, Some("not")) => Test::NotTokens(tokens()?),
        (Kind::Token, Some("text")) => Test::Text(folded()),
        (Kind::Token, Some("of-type")) if parameter.name == "identifier" => Test::OfType(
            raw.iter().map(|raw| OfType::parse(raw)).collect::<Result<_, _>>().map_err(wrong)?,
        ),
        (Kind::Date, None) => {
            // A birth date is a day of the calendar, wherever one was born.
            let zone = match parameter.answer {
                Answer::BirthDate => None,
                _ => asking.state.context.time_zone(),
            };
            let dates = raw.iter().map(|raw| DateTest::parse(&unescape(raw), zone, asking.now));
            Test::Dates(dates.collect::<Result<_, _>>().map_err(wrong)?)
        }
        (Kind::Reference, None) => Test::References(references(None)?),
        (Kind::Reference, Some("identifier")) => Test::Identifiers(tokens()?),
        (Kind::Reference, Some(kind))
            if kind.starts_with(|first: char| first.is_ascii_uppercase()) =>
        {
            if !kind.bytes().all(|b| b.is_ascii_alphanumeric()) {
                return Err(wrong(format!("there is no type `{kind}`")));
            }
            Test::References(references(Some(kind))?)
        }
        (Kind::String, None) => Test::Strings(How::Begins, folded()),
        (Kind::String, Some("contains")) => Test::Strings(How::Contains, folded()),
        (Kind::String, Some("exact")) => Test::Strings(How::Exact, texts()),
        (Kind::Quantity | Kind::Number, None) => {
            let has_unit = parameter.kind == Kind::Quantity;
            let read = raw.iter().map(|raw| QuantityTest::parse(raw, has_unit));
            Test::Quantities(read.collect::<Result<_, _>>().map_err(wrong)?)
        }
        (Kind::Uri, None) => Test::Uris(UriHow::Equal, texts()),
        (Kind::Uri, Some("below")) => Test::Uris(UriHow::Below, texts()),
        (Kind::Uri, Some("above")) => Test::Uris(UriHow::Above, texts()),
        // R4: a search with a modifier that the server does not know must be refused.
        (kind, Some(modifier)) => {
            return Err(wrong(format!(
                "the modifier `{modifier}` is not supported for a {} parameter",
                kind.code()
            )));
        }
    };
    Ok(Some(Criterion {
        name: name.to_owned(),
        parameter: parameter.clone(),
        test,
        is_never_study_id: false,
    }))
}

/// Deepest chain: `a.b.c.d`.
pub(super) const LONGEST_CHAIN: usize = 3;

/// Reads a chain from a parameter that is evaluated on the resource itself.
fn linked(
    asking: &Asking<'_>,
    parameter: &Parameter,
    kind: Option<&str>,
    name: &str,
    rest: &str,
    value: &str,
) -> Result<Option<Criterion>> {
    if rest.matches('.').count() >= LONGEST_CHAIN {
        return Err(Error::TooCostly(format!("`{name}` is a longer chain than is followed")).into());
    }
    let mut of = Vec::new();
    let targets = parameter.targets.iter().filter_map(|target| Resource::parse(target));
    for target in targets.filter(|target| kind.is_none_or(|kind| kind == target.name())) {
        match criterion(asking, target, rest, value) {
            Ok(found) => of.extend(found.map(|found| (target, found))),
            Err(failure) => return Err(failure.about(name)),
        }
    }
    if of.is_empty() {
        return Err(Failure::parameter(
            name,
            format!("`{}` points at nothing that has a parameter `{rest}`", parameter.name),
        ));
    }
    let test = Test::Linked(of);
    let (name, parameter) = (name.to_owned(), parameter.clone());
    Ok(Some(Criterion { name, parameter, test, is_never_study_id: false }))
}

/// The parts between separators that no backslash stands before; backslashes stay.
pub(super) fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut is_escaped = false;
    for letter in text.chars() {
        if letter == separator && !is_escaped {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
        is_escaped = letter == '\\' && !is_escaped;
    }
    parts
}

/// Takes the backslash away from `\,`, `\|`, `\$` and `\\`.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (letter, letters.peek()) {
            ('\\', Some(',' | '|' | '$' | '\\')) => out.extend(letters.next()),
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{split, unescape};

    #[test]
    fn escaped_separators_are_text() {
        assert_eq!(split(r"a\,b,c", ','), [r"a\,b", "c"]);
        assert_eq!(split(r"a\\,c", ','), [r"a\\", "c"]);
        assert_eq!(unescape(r"a\,b\|c\\d\x"), r"a,b|c\d\x");
    }
}

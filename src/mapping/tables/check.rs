//! What a single key of a mapping cannot tell: whether the keys fit each other.

use toml::Spanned;

use super::{Action, DescriptionTable, OF_INSTANCES, SeriesTable, Transform, level_of, line_of};
use crate::error::{Error, Result};
use crate::imaging::{FINDING_KINDS, Keyword};
use crate::mapping::attributes::Level;

/// What a single key cannot tell.
pub(super) fn check(mapping: &SeriesTable, text: &str, file: &str) -> Result<()> {
    let wrong = |at: usize, key: &str, problem: String, remedy: &str| {
        Err(Error::Configuration(format!(
            "{file}, line {}: `{key}`: {problem}; {remedy}",
            line_of(text, at)
        )))
    };
    let whole = |key: &str, problem: &str, remedy: &str| {
        let at = text.find(key).unwrap_or(0);
        wrong(at, key, problem.to_owned(), remedy)
    };
    let by_count = mapping.count_only;
    match (&mapping.identity.instance, by_count) {
        (Some(instance), true) => {
            return wrong(
                instance.span().start,
                "identity.instance",
                "rows are instances, but `count-only` says that there are none".to_owned(),
                "remove one of the two",
            );
        }
        (None, false) => {
            return whole(
                "identity",
                "no column gives SOPInstanceUID",
                "add `identity.instance`, or say `count-only = true` if rows are series",
            );
        }
        (Some(instance), false) if mapping.identity.sop_class.is_none() => {
            return wrong(
                instance.span().start,
                "identity.instance",
                "rows are instances, but no column gives their SOP class".to_owned(),
                "add `sop-class` to `[identity]`",
            );
        }
        _ => {}
    }
    if mapping.identity.issuer.column.is_some() && mapping.identity.issuer.constant.is_some() {
        return whole("issuer", "has both a column and a constant", "keep one of them");
    }
    if !mapping.csv.delimiter.is_ascii() {
        return whole("delimiter", "is not an ASCII character", "take `,`, `;` or `\\t`");
    }
    let encoding = encoding_rs::Encoding::for_label(mapping.csv.encoding.as_bytes());
    if !encoding.is_some_and(encoding_rs::Encoding::is_ascii_compatible) {
        return whole(
            "encoding",
            "is no encoding that contains ASCII",
            "take a name of the WHATWG encoding standard such as `utf-8` or `windows-1252`",
        );
    }
    if let Some(bytes) = &mapping.size.bytes
        && !(bytes.factor.is_finite() && bytes.factor > 0.0)
    {
        return whole("factor", "is no positive number", "take 1 for bytes, 1000000 for megabytes");
    }
    let lookup_named =
        |name: &Spanned<String>| mapping.lookups.iter().any(|row| row.name == *name.get_ref());
    let finding_known = |code: &str| FINDING_KINDS.iter().any(|kind| kind.code == code);
    let keyword = |keyword: &Spanned<String>, level: Option<Level>| {
        let word = keyword.get_ref();
        let at = keyword.span().start;
        if Keyword::parse(word).is_err() {
            return wrong(
                at,
                "keyword",
                format!("`{word}` is no keyword of PS3.6"),
                "write it as in chapter 6 of PS3.6, for instance `StudyDescription`",
            );
        }
        match level.or_else(|| level_of(word)) {
            None => wrong(
                at,
                "keyword",
                format!("the level of `{word}` is not known"),
                "add `level = \"patient\"`, `\"study\"`, `\"series\"` or `\"instance\"`",
            ),
            Some(Level::Instance) if by_count => wrong(
                at,
                "keyword",
                format!("`{word}` describes an instance, but the table has only series"),
                "remove the row, or say `level = \"series\"` if the whole series shares the value",
            ),
            Some(Level::Instance) if !OF_INSTANCES.contains(&word.as_str()) => wrong(
                at,
                "keyword",
                format!("`{word}` is not kept of an instance"),
                "remove the row, or say `level = \"series\"` if the whole series shares the value",
            ),
            Some(_) => Ok(()),
        }
    };
    for (at, row) in mapping.attributes.iter().enumerate() {
        keyword(&row.keyword, row.level)?;
        let start = row.keyword.span().start;
        if let Some(earlier) = mapping.attributes[..at]
            .iter()
            .find(|earlier| earlier.keyword.get_ref() == row.keyword.get_ref())
        {
            return wrong(
                start,
                "keyword",
                format!(
                    "`{}` is already filled in line {}",
                    row.keyword.get_ref(),
                    line_of(text, earlier.keyword.span().start)
                ),
                "remove one of the rows",
            );
        }
        if let Some(lookup) = row.lookup.as_ref().filter(|name| !lookup_named(name)) {
            return wrong(
                lookup.span().start,
                "lookup",
                format!("there is no `[[lookup]]` named `{}`", lookup.get_ref()),
                "add it or correct the name",
            );
        }
        if let Some(code) = row.absent.as_ref().filter(|code| !finding_known(code.get_ref())) {
            return wrong(
                code.span().start,
                "absent",
                format!("`{}` is no finding", code.get_ref()),
                "take a code that `vesalius` lists, for instance `row-incomplete`",
            );
        }
        for transform in &row.transforms {
            if let Err((problem, remedy)) = check_transform(transform, &finding_known) {
                return wrong(start, "transforms", problem, remedy);
            }
        }
    }
    for row in &mapping.constants {
        keyword(&row.keyword, row.level)?;
    }
    for rule in &mapping.rules {
        if let Some(lookup) = rule.lookup.as_ref().filter(|name| !lookup_named(name)) {
            return wrong(
                lookup.span().start,
                "lookup",
                format!("there is no `[[lookup]]` named `{}`", lookup.get_ref()),
                "add it or correct the name",
            );
        }
        let at = rule.column.span().start;
        match (&rule.finding, rule.action) {
            (None, Action::Flag) => {
                return wrong(
                    at,
                    "action",
                    "`flag` names no finding".to_owned(),
                    "add `finding = \"…\"`",
                );
            }
            (Some(code), _) if !finding_known(code.get_ref()) => {
                return wrong(
                    code.span().start,
                    "finding",
                    format!("`{}` is no finding", code.get_ref()),
                    "take a code that `vesalius` lists, for instance `not-human`",
                );
            }
            _ => {}
        }
    }
    Ok(())
}

/// The same of a mapping of descriptions.
pub(super) fn check_descriptions(mapping: &DescriptionTable, text: &str, file: &str) -> Result<()> {
    let wrong = |near: &str, problem: String, remedy: &str| {
        let line = line_of(text, text.find(near).unwrap_or(0));
        Err(Error::Configuration(format!("{file}, line {line}: {problem}; {remedy}")))
    };
    for key in &mapping.languages {
        if !mapping.texts.contains_key(key) {
            let problem = format!("`languages` names `{key}`, which `[texts]` does not have");
            return wrong("languages", problem, "add the text or remove the word");
        }
    }
    for rule in &mapping.codes {
        if regex::Regex::new(&rule.matches).is_err() {
            let problem = format!("`{}` is no regular expression", rule.matches);
            return wrong(&rule.matches, problem, "correct it");
        }
    }
    for licence in &mapping.licences {
        if !licence.iri.starts_with("https://") && !licence.iri.starts_with("http://") {
            let problem = format!("`{}` is no web address", licence.iri);
            return wrong(&licence.iri, problem, "begin with `https://`");
        }
    }
    Ok(())
}

fn check_transform(
    transform: &Transform,
    finding_known: &dyn Fn(&str) -> bool,
) -> Result<(), (String, &'static str)> {
    let dates = |dates: [&Option<String>; 2]| {
        for date in dates.into_iter().flatten() {
            if date.parse::<jiff::civil::Date>().is_err() {
                return Err((format!("`{date}` is no date"), "write `1895-11-08`"));
            }
        }
        Ok(())
    };
    let finding = |code: &Option<String>| match code {
        Some(code) if !finding_known(code) => {
            Err((format!("`{code}` is no finding"), "take a code that `vesalius` lists"))
        }
        _ => Ok(()),
    };
    match transform {
        Transform::DateIso(row) => dates([&row.earliest, &row.latest]),
        Transform::DateFormat(row) => dates([&row.earliest, &row.latest]),
        Transform::FirstOf(row) | Transform::Split(row) if row.separator.is_empty() => {
            Err(("`separator` is empty".to_owned(), "write what stands between the values"))
        }
        Transform::FirstOf(row) | Transform::Split(row) => finding(&row.finding),
        Transform::Map(row) => finding(&row.finding),
        Transform::Replace(row) => regex::Regex::new(&row.pattern)
            .map(drop)
            .map_err(|_| (format!("`{}` is no regular expression", row.pattern), "correct it")),
        Transform::Trim
        | Transform::Lower
        | Transform::Upper
        | Transform::TimeIso
        | Transform::AgeDicom(_)
        | Transform::AgeYears(_)
        | Transform::Integer(_)
        | Transform::Uid
        | Transform::PersonName
        | Transform::Doi
        | Transform::PlainText => Ok(()),
    }
}

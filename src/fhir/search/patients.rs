//! Searches of Patient: criteria → numbers, through the store's lookups and the index.

use roaring::RoaringBitmap;

use super::date::{DateTest, Span};
use super::string::How;
use super::studies::{ids_of, store};
use super::token::{OfType, Token};
use super::{Answer, Criterion, Test, unsupported};
use crate::error::Error;
use crate::fhir::Asking;
use crate::fhir::outcome::{Failure, Result};
use crate::imaging::{Lookup, fold};
use crate::mapping;
use crate::store::Db;
use crate::store::read::{self, Compare};

/// The visible patients that the criteria describe, by the store's numbers.
pub(in crate::fhir) fn numbers(
    asking: &Asking<'_>,
    db: &mut Db,
    criteria: &[Criterion],
) -> Result<Vec<i64>> {
    Ok(search(asking, db, criteria)?.iter().map(i64::from).collect())
}

/// The visible patients that the criteria describe.
pub(in crate::fhir) fn search(
    asking: &Asking<'_>,
    db: &mut Db,
    criteria: &[Criterion],
) -> Result<RoaringBitmap> {
    let visible = asking.visible_patients();
    let mut hits = visible.clone();
    for criterion in criteria {
        hits &= one(asking, db, criterion, &visible)?;
    }
    Ok(hits)
}

fn bitmap(numbers: impl IntoIterator<Item = i64>) -> RoaringBitmap {
    numbers.into_iter().filter_map(|number| u32::try_from(number).ok()).collect()
}

fn lookup(db: &mut Db, kind: Lookup, compare: Compare, value: &str) -> Result<RoaringBitmap> {
    Ok(bitmap(store(read::find_by_lookup(db, kind, compare, value))?))
}

fn one(
    asking: &Asking<'_>,
    db: &mut Db,
    criterion: &Criterion,
    visible: &RoaringBitmap,
) -> Result<RoaringBitmap> {
    let all_or_none = |all: bool| if all { visible.clone() } else { RoaringBitmap::new() };
    match criterion.parameter.answer {
        Answer::Id => {
            let (tokens, negated) = match &criterion.test {
                Test::Missing(missing) => return Ok(all_or_none(!missing)),
                Test::Tokens(tokens) => (tokens, false),
                Test::NotTokens(tokens) => (tokens, true),
                _ => return Err(unsupported(criterion, "the modifier")),
            };
            let found = store(read::find_patients_by_id(db, asking.ids(), &ids_of(tokens)))?;
            let found = bitmap(found.iter().filter(|f| !f.is_deleted).map(|f| f.number));
            Ok(if negated { visible - found } else { found })
        }
        Answer::LastUpdated => match &criterion.test {
            Test::Missing(missing) => Ok(all_or_none(!missing)),
            Test::Dates(dates) => {
                let rows = store(read::list_patient_updates(db))?;
                let is_hit = |updated: i64| dates.iter().any(|d| d.matches(updated, updated + 1));
                Ok(bitmap(
                    rows.into_iter().filter(|(_, updated)| is_hit(*updated)).map(|row| row.0),
                ))
            }
            _ => Err(unsupported(criterion, "the modifier")),
        },
        Answer::PatientIdentifier => identifier(asking, db, criterion, visible),
        Answer::Family => string(asking, db, criterion, visible, Lookup::Family),
        Answer::Given => string(asking, db, criterion, visible, Lookup::Given),
        Answer::Name => string(asking, db, criterion, visible, Lookup::Name),
        Answer::BirthDate => birth_date(db, criterion, visible),
        Answer::Gender => gender(db, criterion, visible),
        Answer::StudyIdentifier
        | Answer::Patient
        | Answer::Started
        | Answer::Modality
        | Answer::BodySite
        | Answer::BasedOn
        | Answer::Series
        | Answer::Instance
        | Answer::SopClass
        | Answer::Endpoint
        | Answer::Performer
        | Answer::Interpreter
        | Answer::Referrer
        | Answer::Reason
        | Answer::Encounter
        | Answer::OrderIdentifier
        | Answer::ProcedureCode
        | Answer::RequestedCode
        | Answer::Nothing
        | Answer::Status
        | Answer::Document
        | Answer::DocumentId
        | Answer::DocumentFormat
        | Answer::DocumentIdentifier
        | Answer::DocumentConstant
        | Answer::StudyUid
        | Answer::Accession
        | Answer::Related
        | Answer::Region => Err(Failure::from(Error::Internal(format!(
            "search parameter `{}` cannot be answered for Patient",
            criterion.parameter.name
        )))),
    }
}

fn missing(
    db: &mut Db,
    kind: Lookup,
    visible: &RoaringBitmap,
    is_missing: bool,
) -> Result<RoaringBitmap> {
    let with = lookup(db, kind, Compare::Begins, "")?;
    Ok(if is_missing { visible - with } else { with })
}

fn identifier(
    asking: &Asking<'_>,
    db: &mut Db,
    criterion: &Criterion,
    visible: &RoaringBitmap,
) -> Result<RoaringBitmap> {
    let of_tokens = |db: &mut Db, tokens: &[Token], types: Option<(&str, &str)>| {
        let mut found = RoaringBitmap::new();
        for token in tokens {
            let Some(value) = token.code.as_deref() else {
                return Err(unsupported(criterion, "a system without a value"));
            };
            let candidates =
                lookup(db, Lookup::PatientIdentifier, Compare::Equal, value)? & visible;
            let candidates: Vec<i64> = candidates.iter().map(i64::from).collect();
            for patient in store(read::load_patients(db, &candidates, asking.ids()))? {
                let known = mapping::patient_identifiers(
                    &asking.state.context,
                    &patient.key,
                    &patient.attributes,
                );
                let has = known.iter().any(|known| {
                    let is_of_type = types.is_none_or(|(system, code)| {
                        known.types.iter().any(|(of, known)| {
                            (system.is_empty() || *of == system) && *known == code
                        })
                    });
                    is_of_type && token.matches(Some(&known.system), &known.value)
                });
                if has {
                    found |= bitmap([patient.number]);
                }
            }
        }
        Ok(found)
    };
    match &criterion.test {
        Test::Missing(is_missing) => missing(db, Lookup::PatientIdentifier, visible, *is_missing),
        Test::Tokens(tokens) => of_tokens(db, tokens, None),
        Test::NotTokens(tokens) => Ok(visible - of_tokens(db, tokens, None)?),
        Test::OfType(asked) => {
            let mut found = RoaringBitmap::new();
            for OfType { system, code, value } in asked {
                let token = Token { system: None, code: Some(value.clone()) };
                found |= of_tokens(db, &[token], Some((system, code)))?;
            }
            Ok(found)
        }
        // No identifier type has a text.
        Test::Text(_) => Ok(RoaringBitmap::new()),
        _ => Err(unsupported(criterion, "the modifier")),
    }
}

fn string(
    asking: &Asking<'_>,
    db: &mut Db,
    criterion: &Criterion,
    visible: &RoaringBitmap,
    kind: Lookup,
) -> Result<RoaringBitmap> {
    let (how, texts) = match &criterion.test {
        Test::Missing(is_missing) => return missing(db, kind, visible, *is_missing),
        Test::Strings(how, texts) => (*how, texts),
        _ => return Err(unsupported(criterion, "the modifier")),
    };
    let compare = match how {
        How::Begins => Compare::Begins,
        How::Contains => Compare::Contains,
        How::Exact => Compare::Equal,
    };
    let mut found = RoaringBitmap::new();
    for text in texts {
        let candidates = lookup(db, kind, compare, &fold(text))?;
        if how != How::Exact {
            found |= candidates;
            continue;
        }
        // Lookups are folded: case and accents are compared on the names themselves.
        let candidates: Vec<i64> = (candidates & visible).iter().map(i64::from).collect();
        for patient in store(read::load_patients(db, &candidates, asking.ids()))? {
            let names = mapping::patient_names(&patient.attributes);
            let has = names.iter().any(|name| match kind {
                Lookup::Family => how.matches(text, &name.family),
                Lookup::Given => name.given.iter().any(|part| how.matches(text, part)),
                _ => name.all.iter().any(|part| how.matches(text, part)),
            });
            if has {
                found |= bitmap([patient.number]);
            }
        }
    }
    Ok(found)
}

fn gender(db: &mut Db, criterion: &Criterion, visible: &RoaringBitmap) -> Result<RoaringBitmap> {
    let mut of = |tokens: &[Token]| {
        let mut found = RoaringBitmap::new();
        for known in ["male", "female", "other", "unknown"] {
            let system = Some("http://hl7.org/fhir/administrative-gender");
            if tokens.iter().any(|token| token.matches(system, known)) {
                found |= lookup(db, Lookup::Gender, Compare::Equal, known)?;
            }
        }
        Ok::<_, Failure>(found)
    };
    match &criterion.test {
        Test::Tokens(tokens) => of(tokens),
        Test::NotTokens(tokens) => Ok(visible - of(tokens)?),
        Test::Missing(is_missing) => missing(db, Lookup::Gender, visible, *is_missing),
        _ => Err(unsupported(criterion, "the modifier")),
    }
}

/// Birth dates are looked up as `YYYYMMDD`, whose order is that of time. Of those without day or
/// month (`YYYYMM`, `YYYY`) the text sorts before all its days: the few that a bound of the
/// interval could misjudge are judged by their intervals.
fn birth_date(
    db: &mut Db,
    criterion: &Criterion,
    visible: &RoaringBitmap,
) -> Result<RoaringBitmap> {
    let dates = match &criterion.test {
        Test::Missing(is_missing) => return missing(db, Lookup::BirthDate, visible, *is_missing),
        Test::Dates(dates) => dates,
        _ => return Err(unsupported(criterion, "the modifier")),
    };
    let mut found = RoaringBitmap::new();
    for date in dates {
        found |= born(db, date)?;
    }
    Ok(found)
}

fn born(db: &mut Db, date: &DateTest) -> Result<RoaringBitmap> {
    let Some((first, next)) = date.days() else { return Ok(RoaringBitmap::new()) };
    let text =
        |day: jiff::civil::Date| format!("{:04}{:02}{:02}", day.year(), day.month(), day.day());
    let at_least = |db: &mut Db, day| lookup(db, Lookup::BirthDate, Compare::AtLeast, &text(day));
    let below = |db: &mut Db, day| lookup(db, Lookup::BirthDate, Compare::Below, &text(day));
    let mut found = match date.span() {
        Span::Within => at_least(db, first)? & below(db, next)?,
        Span::Outside => below(db, first)? | at_least(db, next)?,
        Span::After => at_least(db, next)?,
        Span::Before => below(db, first)?,
        Span::FromStart => at_least(db, first)?,
        Span::ToEnd => below(db, next)?,
    };
    // The texts whose order could mislead: the days, months and years of both bounds.
    let mut texts = Vec::new();
    for day in [first, next] {
        let whole = text(day);
        for length in [4, 6, 8] {
            texts.extend(whole.get(..length).map(str::to_owned));
        }
    }
    texts.sort_unstable();
    texts.dedup();
    for text in texts {
        let with = lookup(db, Lookup::BirthDate, Compare::Equal, &text)?;
        let dashed = match (text.get(..4), text.get(4..6), text.get(6..8)) {
            (Some(year), Some(month), Some(day)) => format!("{year}-{month}-{day}"),
            (Some(year), Some(month), None) => format!("{year}-{month}"),
            _ => text,
        };
        let holds =
            super::date::interval(&dashed, None).is_some_and(|(from, to)| date.matches(from, to));
        if holds {
            found |= with;
        } else {
            found -= with;
        }
    }
    Ok(found)
}

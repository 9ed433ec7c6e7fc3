//! Searches of ImagingStudy: criteria → questions to the index.

use std::collections::BTreeSet;

use super::token::{OfType, Token};
use super::{Answer, Criterion, Reference, Test, constant, manifests, patients, unsupported};
use crate::error::Error;
use crate::fhir::Asking;
use crate::fhir::outcome::{Failure, Result};
use crate::imaging::{Facet, Lookup, Started, fold};
use crate::index::Query;
use crate::mapping::agent::Agent;
use crate::mapping::fhir::order_place;
use crate::mapping::{self, ACCESSION, DCM, body_site_codes, display_of};
use crate::store::Db;
use crate::store::read::{self, Compare};

/// The conditions of the criteria that are about times, in their order.
pub(in crate::fhir) fn conditions(criteria: &[Criterion]) -> Vec<Option<TimeCondition>> {
    criteria.iter().map(TimeCondition::of).collect()
}

/// A condition on `started` or `_lastUpdated`.
pub(in crate::fhir) enum TimeCondition {
    Started(Box<dyn Fn(Option<Started>) -> bool>),
    Updated(Box<dyn Fn(i64) -> bool>),
}

impl TimeCondition {
    fn of(criterion: &Criterion) -> Option<Self> {
        match (criterion.parameter.answer, &criterion.test) {
            (Answer::Started, Test::Missing(missing)) => {
                let missing = *missing;
                Some(Self::Started(Box::new(move |started| started.is_none() == missing)))
            }
            (Answer::Started, Test::Dates(dates)) => {
                let dates = dates.clone();
                Some(Self::Started(Box::new(move |started| {
                    started.is_some_and(|started| {
                        dates.iter().any(|date| date.matches(started.from, started.to))
                    })
                })))
            }
            (Answer::LastUpdated, Test::Dates(dates)) => {
                let dates = dates.clone();
                Some(Self::Updated(Box::new(move |updated| {
                    dates.iter().any(|date| date.matches(updated, updated + 1))
                })))
            }
            _ => None,
        }
    }
}

/// The question that the criteria ask together.
pub(in crate::fhir) fn query<'q>(
    asking: &Asking<'_>,
    db: &mut Db,
    criteria: &[Criterion],
    conditions: &'q [Option<TimeCondition>],
) -> Result<Query<'q>> {
    let mut all = Vec::with_capacity(criteria.len());
    for (criterion, condition) in criteria.iter().zip(conditions) {
        all.push(match condition {
            Some(TimeCondition::Started(holds)) => Query::Started(holds),
            Some(TimeCondition::Updated(holds)) => Query::Updated(holds),
            None => one(asking, db, criterion)?,
        });
    }
    Ok(match all.len() {
        0 => Query::All,
        1 => all.pop().unwrap_or(Query::All),
        _ => Query::And(all),
    })
}

/// The wider query without one of its `criteria`, in the order of [`query`]; `None`: without any.
pub(in crate::fhir) fn without<'q>(
    query: &Query<'q>,
    criteria: &[Criterion],
    left_out: usize,
) -> Option<Query<'q>> {
    // The query of a single criterion may be of several parts, too.
    let Query::And(parts) = query else { return None };
    if criteria.len() < 2 {
        return None;
    }
    let kept = parts.iter().enumerate().filter(|(at, _)| *at != left_out);
    Some(Query::And(kept.map(|(_, part)| part.clone()).collect()))
}

pub(super) fn none<'q>() -> Query<'q> {
    Query::Or(Vec::new())
}

pub(super) fn all_or_none<'q>(all: bool) -> Query<'q> {
    if all { Query::All } else { none() }
}

pub(super) fn not(query: Query<'_>) -> Query<'_> {
    Query::Not(Box::new(query))
}

fn one<'q>(asking: &Asking<'_>, db: &mut Db, criterion: &Criterion) -> Result<Query<'q>> {
    let test = &criterion.test;
    match criterion.parameter.answer {
        Answer::Id => id(asking, db, criterion),
        Answer::StudyIdentifier => study_identifier(asking, db, criterion),
        Answer::Patient => patient(asking, db, criterion),
        Answer::Modality => facet(asking, criterion, Facet::Modality, |token| {
            let is_of_dicom = token.system.as_deref().is_none_or(|system| system == DCM);
            if is_of_dicom { Some(token.code.clone()) } else { None }
        }),
        Answer::SopClass => facet(asking, criterion, Facet::SopClass, sop_class),
        Answer::BodySite => coded(asking, criterion, Facet::BodySite),
        Answer::Reason => coded(asking, criterion, Facet::Reason),
        Answer::ProcedureCode => coded(asking, criterion, Facet::Procedure),
        Answer::RequestedCode => coded(asking, criterion, Facet::Requested),
        Answer::Encounter => encounter(asking, db, criterion),
        Answer::OrderIdentifier => order_identifier(asking, db, criterion),
        Answer::Performer => agent(asking, criterion, Facet::Performer),
        Answer::Interpreter => agent(asking, criterion, Facet::Interpreter),
        Answer::Referrer => agent(asking, criterion, Facet::Referrer),
        Answer::BasedOn => based_on(asking, db, criterion),
        Answer::Series => uid(db, criterion, read::find_studies_by_series),
        Answer::Instance => uid(db, criterion, read::find_studies_by_instance),
        Answer::Endpoint => {
            Ok(match test {
                Test::Missing(missing) => all_or_none(!missing),
                Test::References(references) => all_or_none(references.iter().any(|reference| {
                    reference.id_of("Endpoint") == Some(mapping::fhir::ENDPOINT_ID)
                })),
                // The references to the endpoint carry no identifier.
                Test::Identifiers(_) => none(),
                _ => return Err(unsupported(criterion, "this form")),
            })
        }
        Answer::Nothing => Ok(match test {
            Test::Missing(missing) => all_or_none(*missing),
            _ => none(),
        }),
        Answer::Status => {
            let (system, code) = (&criterion.parameter.system, &criterion.parameter.code);
            constant(test, |token| token.matches(Some(system), code))
                .map(all_or_none)
                .ok_or_else(|| unsupported(criterion, "the modifier"))
        }
        Answer::DocumentIdentifier => manifests::identifier(asking, db, criterion),
        Answer::DocumentConstant => manifests::constant_of(asking, criterion),
        Answer::StudyUid | Answer::Accession => manifests::named(asking, db, criterion),
        Answer::Related => manifests::related(asking, db, criterion),
        Answer::Region => manifests::region(asking, criterion),
        Answer::LastUpdated => Ok(match test {
            Test::Missing(missing) => all_or_none(!missing),
            _ => none(),
        }),
        Answer::Started
        | Answer::PatientIdentifier
        | Answer::Family
        | Answer::Given
        | Answer::Name
        | Answer::BirthDate
        | Answer::Gender
        | Answer::Document
        | Answer::DocumentId
        | Answer::DocumentFormat => Err(Failure::from(Error::Internal(format!(
            "search parameter `{}` cannot be answered for ImagingStudy",
            criterion.parameter.name
        )))),
    }
}

pub(super) fn store<T>(outcome: crate::store::QueryResult<T>) -> Result<T> {
    Ok(outcome.map_err(Error::from)?)
}

fn id<'q>(asking: &Asking<'_>, db: &mut Db, criterion: &Criterion) -> Result<Query<'q>> {
    let (tokens, negated) = match &criterion.test {
        Test::Missing(missing) => return Ok(all_or_none(!missing)),
        Test::Tokens(tokens) => (tokens, false),
        Test::NotTokens(tokens) => (tokens, true),
        _ => return Err(unsupported(criterion, "the modifier")),
    };
    let ids = ids_of(tokens);
    let found = store(read::find_studies_by_id(db, asking.ids(), &ids))?;
    let found = Query::Studies(
        found.iter().filter(|found| !found.is_deleted).map(|found| found.number).collect(),
    );
    Ok(if negated { not(found) } else { found })
}

/// Ids have no system.
pub(super) fn ids_of(tokens: &[Token]) -> Vec<&str> {
    tokens
        .iter()
        .filter(|token| token.system.as_deref().is_none_or(str::is_empty))
        .filter_map(|token| token.code.as_deref())
        .collect()
}

fn patient<'q>(asking: &Asking<'_>, db: &mut Db, criterion: &Criterion) -> Result<Query<'q>> {
    Ok(match &criterion.test {
        Test::Missing(missing) => all_or_none(!missing),
        Test::References(references) => {
            let ids: Vec<&str> =
                references.iter().filter_map(|reference| reference.id_of("Patient")).collect();
            let found = store(read::find_patients_by_id(db, asking.ids(), &ids))?;
            Query::Patients(found.iter().map(|found| found.number).collect())
        }
        // `Reference.identifier` is not given; R4 lets a server resolve the reference instead.
        Test::Identifiers(tokens) => {
            let row = asking
                .state
                .table
                .parameter(crate::fhir::table::Resource::Patient, "identifier")
                .ok_or_else(|| unsupported(criterion, "`:identifier`"))?;
            let of = Criterion {
                name: criterion.name.clone(),
                parameter: row.clone(),
                test: Test::Tokens(tokens.clone()),
                is_never_study_id: false,
            };
            Query::Patients(patients::numbers(asking, db, &[of])?)
        }
        Test::Chain(of) => {
            Query::Patients(patients::numbers(asking, db, std::slice::from_ref(&**of))?)
        }
        _ => return Err(unsupported(criterion, "the modifier")),
    })
}

/// A facet of codes of one system. `code` gives the term that a token asks for, `Some(None)` for
/// any, `None` for none.
fn facet<'q>(
    asking: &Asking<'_>,
    criterion: &Criterion,
    facet: Facet,
    code: impl Fn(&Token) -> Option<Option<String>>,
) -> Result<Query<'q>> {
    let has = |tokens: &[Token]| {
        let asked: Vec<Option<String>> = tokens.iter().filter_map(&code).collect();
        if asked.iter().any(Option::is_none) {
            Query::HasAny(facet)
        } else {
            Query::Has(facet, asked.into_iter().flatten().collect())
        }
    };
    Ok(match &criterion.test {
        Test::Missing(true) => not(Query::HasAny(facet)),
        Test::Missing(false) => Query::HasAny(facet),
        Test::Tokens(tokens) => has(tokens),
        Test::NotTokens(tokens) => not(has(tokens)),
        Test::Text(texts) => by_display(asking, facet, texts),
        _ => return Err(unsupported(criterion, "the modifier")),
    })
}

fn by_display<'q>(asking: &Asking<'_>, facet: Facet, texts: &[String]) -> Query<'q> {
    let folded: Vec<String> = texts.iter().map(|text| fold(text)).collect();
    let context = &asking.state.context;
    let terms = asking.terms(facet);
    let found = terms.into_iter().filter(|term| {
        display_of(context, facet, term).is_some_and(|display| {
            let display = fold(display);
            folded.iter().any(|text| display.contains(text.as_str()))
        })
    });
    Query::Has(facet, found.collect())
}

/// A SOP class in each of the forms that are in use; any system for a bare UID.
fn sop_class(token: &Token) -> Option<Option<String>> {
    let system_is_known = match token.system.as_deref() {
        None => true,
        Some(system) => [
            "urn:ietf:rfc:3986",
            "http://dicom.nema.org/resources/CodeSystem/DICOM_UIDs",
            "http://dicom.nema.org/resources/ontology/DCMUID",
        ]
        .contains(&system),
    };
    let bare = |code: &String| code.strip_prefix("urn:oid:").unwrap_or(code).to_owned();
    system_is_known.then(|| token.code.as_ref().map(bare))
}

/// A facet of terms `system|code` and `|text`.
fn coded<'q>(asking: &Asking<'_>, criterion: &Criterion, facet: Facet) -> Result<Query<'q>> {
    let has = |tokens: &[Token]| Query::Has(facet, terms_of(asking, facet, tokens));
    Ok(match &criterion.test {
        Test::Missing(true) => not(Query::HasAny(facet)),
        Test::Missing(false) => Query::HasAny(facet),
        Test::Tokens(tokens) => has(tokens),
        Test::NotTokens(tokens) => not(has(tokens)),
        Test::Text(texts) => by_display(asking, facet, texts),
        _ => return Err(unsupported(criterion, "the modifier")),
    })
}

/// The terms that tokens ask for. A term without a system is text, which no code matches.
fn terms_of(asking: &Asking<'_>, facet: Facet, tokens: &[Token]) -> Vec<String> {
    let mut found = BTreeSet::new();
    for token in tokens {
        let codes: Vec<String> = match (&token.code, facet) {
            (Some(code), Facet::BodySite) => body_site_codes(&asking.state.context, code),
            (Some(code), _) => vec![code.clone()],
            (None, _) => Vec::new(),
        };
        match token.system.as_deref() {
            Some("") => {}
            Some(system) if !codes.is_empty() => {
                found.extend(codes.iter().map(|code| format!("{system}|{code}")));
            }
            system => found.extend(asking.terms(facet).into_iter().filter(|term| {
                term.split_once('|').is_some_and(|(of, code)| {
                    !of.is_empty()
                        && system.is_none_or(|system| system == of)
                        && (codes.is_empty() || codes.iter().any(|asked| asked == code))
                })
            })),
        }
    }
    found.into_iter().collect()
}

/// Persons and devices, by reference or by identifier.
fn agent<'q>(asking: &Asking<'_>, criterion: &Criterion, facet: Facet) -> Result<Query<'q>> {
    let context = &asking.state.context;
    let those = |is_asked: &dyn Fn(&Agent) -> bool| {
        let terms = asking.terms(facet).into_iter();
        let has = |term: &String| Agent::of_term(term).is_some_and(|agent| is_asked(&agent));
        Query::Has(facet, terms.filter(has).collect())
    };
    let is_of_series = facet == Facet::Performer && criterion.parameter.resource == "ImagingStudy";
    let is_custodian =
        |of: &Reference| of.id_of("Organization") == Some(mapping::fhir::ORGANISATION_ID);
    Ok(match &criterion.test {
        Test::Missing(missing) => {
            let with = match facet {
                // Each series has its custodian; an examination is performed by persons alone.
                Facet::Performer if is_of_series => Query::All,
                Facet::Performer => those(&|agent| matches!(agent, Agent::Person(_))),
                _ => Query::HasAny(facet),
            };
            if *missing { not(with) } else { with }
        }
        Test::References(references) if is_of_series && references.iter().any(is_custodian) => {
            Query::All
        }
        Test::References(references) => those(&|agent| {
            // Who performed is pointed at in the role.
            let kind = match (agent, facet) {
                (Agent::Device(_), _) => "Device",
                (Agent::Person(_), Facet::Performer) => "PractitionerRole",
                (Agent::Person(_), _) => "Practitioner",
                // It is named by its identifier alone.
                (Agent::Institution(_), _) => return false,
            };
            let mut asked = references.iter().filter_map(|of| of.id_of(kind)).peekable();
            asked.peek().is_some() && {
                let id = agent.id(context, asking.ids());
                asked.any(|asked| asked == id)
            }
        }),
        Test::Identifiers(tokens) => those(&|agent| {
            // Of an examination only the persons are named.
            let is_named =
                facet != Facet::Performer || is_of_series || matches!(agent, Agent::Person(_));
            is_named
                && agent.identifier(context).is_some_and(|(system, value)| {
                    tokens.iter().any(|token| token.matches(Some(&system), &value))
                })
        }),
        _ => return Err(unsupported(criterion, "the modifier")),
    })
}

/// Studies of a visit: a logical reference.
fn encounter<'q>(asking: &Asking<'_>, db: &mut Db, criterion: &Criterion) -> Result<Query<'q>> {
    Ok(match &criterion.test {
        Test::Missing(missing) => {
            let with = store(read::find_by_lookup(db, Lookup::Admission, Compare::Begins, ""))?;
            let with = Query::Studies(with);
            if *missing { not(with) } else { with }
        }
        Test::References(_) => none(),
        Test::Identifiers(tokens) => {
            let known = mapping::visit_identifiers;
            Query::Studies(numbered(asking, db, criterion, tokens, &[Lookup::Admission], known)?)
        }
        _ => return Err(unsupported(criterion, "the modifier")),
    })
}

/// Studies with an order of that identifier.
fn order_identifier<'q>(
    asking: &Asking<'_>,
    db: &mut Db,
    criterion: &Criterion,
) -> Result<Query<'q>> {
    const KINDS: &[Lookup] = &[Lookup::Accession, Lookup::Order];
    let known = mapping::order_identifiers;
    Ok(match &criterion.test {
        // An order without an identifier is none.
        Test::Missing(missing) => all_or_none(!missing),
        Test::Tokens(tokens) => {
            Query::Studies(numbered(asking, db, criterion, tokens, KINDS, known)?)
        }
        Test::NotTokens(tokens) => {
            not(Query::Studies(numbered(asking, db, criterion, tokens, KINDS, known)?))
        }
        Test::OfType(asked) => {
            let mut found = Vec::new();
            for OfType { system, code, value } in asked {
                let token = Token { system: None, code: Some(value.clone()) };
                let of_type = |context: &mapping::Context, study: &crate::imaging::Attributes| {
                    let mut all = mapping::order_identifiers(context, study);
                    all.retain(|known| {
                        known
                            .types
                            .iter()
                            .any(|(of, known)| (system.is_empty() || of == system) && known == code)
                    });
                    all
                };
                found.extend(numbered(asking, db, criterion, &[token], KINDS, of_type)?);
            }
            Query::Studies(found)
        }
        // No identifier type has a text.
        Test::Text(_) => none(),
        _ => return Err(unsupported(criterion, "the modifier")),
    })
}

/// The studies that were given one of these numbers: looked up by the bare value, judged by what
/// the study itself says.
fn numbered(
    asking: &Asking<'_>,
    db: &mut Db,
    criterion: &Criterion,
    tokens: &[Token],
    kinds: &[Lookup],
    known: impl Fn(&mapping::Context, &crate::imaging::Attributes) -> Vec<mapping::Identifier>,
) -> Result<Vec<i64>> {
    let mut found = Vec::new();
    for token in tokens {
        let Some(value) = token.code.as_deref() else {
            return Err(unsupported(criterion, "a system without a value"));
        };
        let mut candidates = Vec::new();
        for kind in kinds {
            candidates.extend(store(read::find_by_lookup(db, *kind, Compare::Equal, value))?);
        }
        candidates.sort_unstable();
        candidates.dedup();
        for study in store(read::load_studies(db, &candidates, asking.ids(), false))? {
            let known = known(&asking.state.context, &study.attributes);
            if known.iter().any(|known| token.matches(Some(&known.system), &known.value)) {
                found.push(study.number);
            }
        }
    }
    Ok(found)
}

/// Studies with an accession number, by the order that it names.
fn based_on<'q>(asking: &Asking<'_>, db: &mut Db, criterion: &Criterion) -> Result<Query<'q>> {
    Ok(match &criterion.test {
        Test::Missing(missing) => {
            let with = store(read::find_by_lookup(db, Lookup::Accession, Compare::Begins, ""))?;
            let with = Query::Studies(with);
            if *missing { not(with) } else { with }
        }
        Test::References(references) => {
            let places: Vec<(&str, usize)> = references
                .iter()
                .filter_map(|reference| order_place(reference.id_of("ServiceRequest")?))
                .collect();
            let ids: Vec<&str> = places.iter().map(|(study, _)| *study).collect();
            let mut found = Vec::new();
            let known = store(read::find_studies_by_id(db, asking.ids(), &ids))?;
            let known: Vec<i64> = known.iter().map(|found| found.number).collect();
            for study in store(read::load_studies(db, &known, asking.ids(), false))? {
                let count = mapping::count_orders(&asking.state.context, &study.attributes);
                if places.iter().any(|(id, place)| *id == study.public_id && *place < count) {
                    found.push(study.number);
                }
            }
            Query::Studies(found)
        }
        Test::Identifiers(tokens) => {
            let is_accession =
                |types: &[(&str, &str)]| types.iter().any(|(_, code)| *code == "ACSN");
            Query::Studies(identified(asking, db, criterion, tokens, is_accession)?)
        }
        _ => return Err(unsupported(criterion, "the modifier")),
    })
}

fn study_identifier<'q>(
    asking: &Asking<'_>,
    db: &mut Db,
    criterion: &Criterion,
) -> Result<Query<'q>> {
    Ok(match &criterion.test {
        // Every study has its Study Instance UID.
        Test::Missing(missing) => all_or_none(!missing),
        Test::Tokens(tokens) if is_any_uid(tokens) => Query::All,
        Test::NotTokens(tokens) if is_any_uid(tokens) => none(),
        Test::Tokens(tokens) => {
            Query::Studies(identified(asking, db, criterion, tokens, |_| true)?)
        }
        Test::NotTokens(tokens) => {
            not(Query::Studies(identified(asking, db, criterion, tokens, |_| true)?))
        }
        Test::OfType(asked) => {
            let mut found = Vec::new();
            for OfType { system, code, value } in asked {
                let token = Token { system: None, code: Some(value.clone()) };
                let is_of_type = |types: &[(&str, &str)]| {
                    types
                        .iter()
                        .any(|(of, known)| (system.is_empty() || of == system) && known == code)
                };
                found.extend(identified(asking, db, criterion, &[token], is_of_type)?);
            }
            Query::Studies(found)
        }
        // No identifier type has a text.
        Test::Text(_) => none(),
        _ => return Err(unsupported(criterion, "the modifier")),
    })
}

fn is_any_uid(tokens: &[Token]) -> bool {
    tokens
        .iter()
        .any(|token| token.code.is_none() && token.system.as_deref() == Some("urn:dicom:uid"))
}

/// The studies with one of these identifiers, of a type that is asked for.
pub(super) fn identified(
    asking: &Asking<'_>,
    db: &mut Db,
    criterion: &Criterion,
    tokens: &[Token],
    is_asked: impl Fn(&[(&str, &str)]) -> bool,
) -> Result<Vec<i64>> {
    let mut found = Vec::new();
    for token in tokens {
        let Some(value) = token.code.as_deref() else {
            return Err(unsupported(criterion, "a system without a value"));
        };
        if token.system.as_deref() == Some("") {
            continue;
        }
        // A Study Instance UID is also found without `urn:oid:`.
        let uid = value.strip_prefix("urn:oid:").unwrap_or(value);
        let is_uid = token.system.as_deref().is_none_or(|system| system == "urn:dicom:uid");
        if is_uid && is_asked(&[(DCM, "110180")]) {
            found.extend(store(read::find_studies_by_uid(db, &[uid]))?);
        }
        if token.system.as_deref() == Some("urn:dicom:uid") {
            continue;
        }
        let context = &asking.state.context;
        // Every StudyID is of the one configured system: nothing needs to be loaded.
        if !criterion.is_never_study_id
            && let Some(system) = context.study_id_system()
            && is_asked(&[])
            && token.matches(Some(system), value)
        {
            found.extend(store(read::find_by_lookup(db, Lookup::StudyId, Compare::Equal, value))?);
        }
        let candidates = store(read::find_by_lookup(db, Lookup::Accession, Compare::Equal, value))?;
        if candidates.is_empty() || !is_asked(ACCESSION) {
            continue;
        }
        if token.system.is_none() {
            found.extend(candidates);
            continue;
        }
        for study in store(read::load_studies(db, &candidates, asking.ids(), false))? {
            let known = mapping::study_identifiers(context, &study.uid, &study.attributes);
            if known.iter().any(|known| {
                known.types == ACCESSION && token.matches(Some(&known.system), &known.value)
            }) {
                found.push(study.number);
            }
        }
    }
    Ok(found)
}

/// Series and instances by UID, which has no system.
fn uid<'q>(
    db: &mut Db,
    criterion: &Criterion,
    find: fn(&mut Db, &[&str]) -> crate::store::QueryResult<Vec<i64>>,
) -> Result<Query<'q>> {
    let (tokens, negated) = match &criterion.test {
        Test::Tokens(tokens) => (tokens, false),
        Test::NotTokens(tokens) => (tokens, true),
        _ => return Err(unsupported(criterion, "the modifier")),
    };
    let uids: Vec<&str> = tokens
        .iter()
        .filter(|token| token.system.as_deref().is_none_or(str::is_empty))
        .filter_map(|token| token.code.as_deref())
        .map(|uid| uid.strip_prefix("urn:oid:").unwrap_or(uid))
        .collect();
    let found = Query::Studies(store(find(db, &uids))?);
    Ok(if negated { not(found) } else { found })
}

//! Searches of documents: the manifests of studies, and what one asks of a study by them.

use super::studies::{all_or_none, identified, none, not};
use super::{Answer, Criterion, Test, Token, constant, unsupported};
use crate::error::Error;
use crate::fhir::Asking;
use crate::fhir::outcome::Result;
use crate::imaging::{Facet, Lookup};
use crate::index::Query;
use crate::mapping::manifest::Coded;
use crate::mapping::manifest_study::study_of_document;
use crate::mapping::{ACCESSION, DCM, region_of_term};
use crate::store::Db;
use crate::store::read::{self, Compare};

/// Studies by the OID of their manifest. It has a version in it: of another version than the
/// present one there is no document.
pub(super) fn identifier<'q>(
    asking: &Asking<'_>,
    db: &mut Db,
    criterion: &Criterion,
) -> Result<Query<'q>> {
    let (tokens, negated) = match &criterion.test {
        Test::Missing(missing) => return Ok(all_or_none(!missing)),
        Test::Tokens(tokens) => (tokens, false),
        Test::NotTokens(tokens) => (tokens, true),
        Test::Text(_) => return Ok(none()),
        _ => return Err(unsupported(criterion, "the modifier")),
    };
    let system = &asking.state.context.tables().mado.identifier.system;
    let asked: Vec<(String, i32)> = tokens
        .iter()
        .filter(|token| token.system.as_ref().is_none_or(|of| of == system))
        .filter_map(|token| token.code.as_deref())
        .filter_map(|code| study_of_document(code.strip_prefix("urn:oid:").unwrap_or(code)))
        .collect();
    let mut numbers = Vec::new();
    for (id, version) in &asked {
        let found = read::find_studies_by_id(db, asking.ids(), &[id]).map_err(Error::from)?;
        let known = found.iter().filter(|found| !found.is_deleted && found.version == *version);
        numbers.extend(known.map(|found| found.number));
    }
    let found = Query::Studies(numbers);
    Ok(if negated { not(found) } else { found })
}

/// What is the same for every manifest, by the place that the row of the parameter names.
pub(super) fn constant_of<'q>(asking: &Asking<'_>, criterion: &Criterion) -> Result<Query<'q>> {
    let mado = &asking.state.context.tables().mado;
    let document = &mado.document;
    let code = |system: &str, code: &str| Coded {
        system: system.to_owned(),
        code: code.to_owned(),
        display: None,
    };
    let of = |coded: &Coded| vec![coded.clone()];
    let known = match criterion.parameter.path.as_str() {
        "status" => vec![code("http://hl7.org/fhir/document-reference-status", "current")],
        "list-status" => vec![code("http://hl7.org/fhir/list-status", "current")],
        "type" => of(&document.kind),
        "category" => asking.state.context.tables().document_categories(),
        "facility" => of(&document.facility.coding),
        "setting" => of(&document.practice.coding),
        "security-label" => of(&document.security.coding),
        "code" => of(&document.set.code),
        "source-id" => {
            vec![code(&mado.identifier.system, &super::super::documents::source_id(asking))]
        }
        other => {
            let text = format!("search-parameters.toml: no document has a constant `{other}`");
            return Err(Error::Configuration(text).into());
        }
    };
    if let Test::Text(texts) = &criterion.test {
        let fold = crate::imaging::fold;
        let shown = known.first().and_then(|coded| coded.display.as_deref()).map(fold);
        let found = shown.is_some_and(|shown| texts.iter().any(|t| shown.contains(&fold(t))));
        return Ok(all_or_none(found));
    }
    let is_one =
        |token: &Token| known.iter().any(|coded| token.matches(Some(&coded.system), &coded.code));
    constant(&criterion.test, is_one)
        .map(all_or_none)
        .ok_or_else(|| unsupported(criterion, "the modifier"))
}

/// Studies by Study Instance UID or accession number, each with or without its system.
pub(super) fn named<'q>(
    asking: &Asking<'_>,
    db: &mut Db,
    criterion: &Criterion,
) -> Result<Query<'q>> {
    let is_uid = criterion.parameter.answer == Answer::StudyUid;
    let is_asked = |types: &[(&str, &str)]| {
        if is_uid { types.contains(&(DCM, "110180")) } else { types == ACCESSION }
    };
    let (tokens, negated) = match &criterion.test {
        Test::Missing(missing) if is_uid => return Ok(all_or_none(!missing)),
        Test::Missing(missing) => {
            let with = read::find_by_lookup(db, Lookup::Accession, Compare::Begins, "");
            let with = Query::Studies(with.map_err(Error::from)?);
            return Ok(if *missing { not(with) } else { with });
        }
        Test::Tokens(tokens) => (tokens, false),
        Test::NotTokens(tokens) => (tokens, true),
        Test::Text(_) => return Ok(none()),
        _ => return Err(unsupported(criterion, "the modifier")),
    };
    let found = Query::Studies(identified(asking, db, criterion, tokens, is_asked)?);
    Ok(if negated { not(found) } else { found })
}

/// Studies that a document is about, or their orders.
pub(super) fn related<'q>(
    asking: &Asking<'_>,
    db: &mut Db,
    criterion: &Criterion,
) -> Result<Query<'q>> {
    Ok(match &criterion.test {
        Test::Missing(missing) => all_or_none(!missing),
        Test::References(references) => {
            let ids: Vec<&str> =
                references.iter().filter_map(|one| one.id_of("ImagingStudy")).collect();
            let found = read::find_studies_by_id(db, asking.ids(), &ids).map_err(Error::from)?;
            let known = found.iter().filter(|found| !found.is_deleted);
            Query::Studies(known.map(|found| found.number).collect())
        }
        Test::Identifiers(tokens) => {
            let is_asked =
                |types: &[(&str, &str)]| types.contains(&(DCM, "110180")) || types == ACCESSION;
            Query::Studies(identified(asking, db, criterion, tokens, is_asked)?)
        }
        _ => return Err(unsupported(criterion, "the modifier")),
    })
}

/// Studies with a series in an anatomical region.
pub(super) fn region<'q>(asking: &Asking<'_>, criterion: &Criterion) -> Result<Query<'q>> {
    let context = &asking.state.context;
    let system = context.body_system();
    let terms_in = |is_asked: &dyn Fn(&str, &str) -> bool| {
        let terms = asking.terms(Facet::BodySite).into_iter().filter(|term| {
            region_of_term(context, term)
                .is_some_and(|region| is_asked(&region.code, &region.display))
        });
        Query::Has(Facet::BodySite, terms.collect())
    };
    let of_tokens = |tokens: &[Token]| {
        terms_in(&|code, _| tokens.iter().any(|token| token.matches(Some(system), code)))
    };
    Ok(match &criterion.test {
        Test::Missing(true) => not(terms_in(&|_, _| true)),
        Test::Missing(false) => terms_in(&|_, _| true),
        Test::Tokens(tokens) => of_tokens(tokens),
        Test::NotTokens(tokens) => not(of_tokens(tokens)),
        Test::Text(texts) => {
            let fold = crate::imaging::fold;
            terms_in(&|_, display| {
                let display = fold(display);
                texts.iter().any(|text| display.contains(&fold(text)))
            })
        }
        _ => return Err(unsupported(criterion, "the modifier")),
    })
}

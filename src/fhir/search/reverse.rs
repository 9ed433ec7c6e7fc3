//! `_has`: resources that others point at (FHIR R4 search.html 3.1.1.5.2, reverse chaining).
//!
//! What points is searched first, as who asks would search it; what it points at is a list of ids,
//! which every provider knows how to search by. So nothing that the actor may not see narrows or
//! widens an answer. Absent: the role `ehr`, which reads one patient at a time.

use serde_json::Value as Json;

use super::values::{Path, Value};
use super::{Criterion, LONGEST_CHAIN, Search, Test, Token, criterion, scope_needed};
use crate::actor::Role;
use crate::error::Error;
use crate::fhir::Asking;
use crate::fhir::outcome::{Failure, Result};
use crate::fhir::records::linked::MOST;
use crate::fhir::records::patients;
use crate::fhir::table::{Kind, Parameter, Resource};
use crate::store::read as rows;

/// How its name begins.
pub(super) const HAS: &str = "_has:";

/// Reads `_has:Observation:patient:code=x` of a search of that type.
pub(super) fn read(
    asking: &Asking<'_>,
    resource: Resource,
    name: &str,
    value: &str,
) -> Result<Criterion> {
    let wrong = |reason: String| Err(Failure::parameter(name, reason));
    if name.matches(HAS).count() > LONGEST_CHAIN {
        let reason = format!("`{name}` is a longer chain than is followed");
        return Err(Error::TooCostly(reason).into());
    }
    if asking.actor.role == Role::Ehr {
        return Err(Error::Forbidden(
            "the role `ehr` reads one patient at a time: search what `_has` names, by its patient"
                .to_owned(),
        )
        .into());
    }
    let mut parts = name.splitn(4, ':').skip(1);
    let (Some(kind), Some(link), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return wrong("is written `_has:Observation:patient:code=…`".to_owned());
    };
    let table = &asking.state.table;
    let Some(source) = Resource::parse(kind) else {
        return wrong(format!("`{kind}` is not served"));
    };
    let points = |row: &&Parameter| {
        let is_target =
            row.targets.is_empty() || row.targets.iter().any(|of| of == resource.name());
        row.kind == Kind::Reference && is_target && !table.row(resource).is_public
    };
    let Some(link) = table.parameter(source, link).filter(points) else {
        return wrong(format!("`{kind}` does not point at {} by `{link}`", resource.name()));
    };
    let of = if rest.starts_with(HAS) {
        read(asking, source, rest, value)?
    } else {
        let read = criterion(asking, source, rest, value).map_err(|failure| failure.about(name))?;
        let Some(read) = read else {
            return wrong(format!("{kind} has no parameter `{rest}`"));
        };
        read
    };
    if !asking.actor.has_search_scope(kind) {
        return Err(scope_needed(kind, 's'));
    }
    of.permit_scopes(asking.actor)?;
    of.permit(asking)?;
    let ids = pointed_at(asking, resource, source, link, of)?;
    let Some(parameter) = table.parameter(resource, "_id") else {
        return wrong("cannot be answered for this type".to_owned());
    };
    // Ids that were found name nobody: who asks did not know them.
    let parameter = Parameter { identifies: false, ..parameter.clone() };
    let token = |id: String| Token { system: None, code: Some(id) };
    let test = Test::Tokens(ids.into_iter().map(token).collect());
    Ok(Criterion { name: name.to_owned(), parameter, test, is_never_study_id: false })
}

/// The ids of what the resources that hold to a criterion point at.
fn pointed_at(
    asking: &Asking<'_>,
    resource: Resource,
    source: Resource,
    link: &Parameter,
    of: Criterion,
) -> Result<Vec<String>> {
    let state = asking.state;
    let name = of.name.clone();
    let page = state.page(asking, &Search::of(source, vec![of], MOST))?;
    if page.next.is_some() {
        return Err(Error::TooCostly(format!(
            "`{name}` describes more than {MOST} resources of type {}; give more of them",
            source.name()
        ))
        .into());
    }
    let path = Path::parse(&link.path).unwrap_or_default();
    let mut ids = Vec::new();
    let mut logical = Vec::new();
    for entry in &page.matches {
        let Ok(json) = serde_json::from_slice::<Json>(&entry.bytes) else { continue };
        for value in state.reader().values(link, &path, &json) {
            match value {
                Value::Local { kind, id } if *kind == *resource.name() => ids.push(id.to_string()),
                Value::Logical { .. } if resource == Resource::Patient => logical.push(value),
                _ => {}
            }
        }
    }
    if !logical.is_empty() {
        let mut db = state.store.reader()?;
        for numbers in patients(asking, &mut db, logical.iter())?.into_values() {
            let numbers: Vec<i64> = numbers.iter().map(i64::from).collect();
            let found =
                rows::load_patients(&mut db, &numbers, asking.ids()).map_err(Error::from)?;
            ids.extend(found.into_iter().map(|patient| patient.public_id));
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

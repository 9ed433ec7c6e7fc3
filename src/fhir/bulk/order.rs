//! What a kick-off asks: its parameters (Bulk Data Access 3.0.0, bulk data kick-off request),
//! from a query or from a resource Parameters.

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Error;
use crate::fhir::Asking;
use crate::fhir::outcome::{Failure, Result};
use crate::fhir::records::patients;
use crate::fhir::request::{self, Parameters};
use crate::fhir::search::values::{Path, Value as Named};
use crate::fhir::search::{Handling, Search, is_control};
use crate::fhir::subset::Subset;
use crate::fhir::table::Resource;
use crate::store::read as rows;

/// More filters than any client needs.
const MOST_FILTERS: usize = 50;

/// Of what an export is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Level {
    /// Everything.
    System,
    /// What is about patients.
    Patient,
    /// What is about the members of a group.
    Group,
}

/// Most members of a group that is exported.
const MOST_MEMBERS: usize = 10_000;
/// Patients that one search names; a larger group is several searches.
const PATIENTS: usize = 200;

/// An export as it was asked for.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    pub(super) types: Vec<TypeOrder>,
    /// Microseconds since 1970-01-01T00:00:00Z: only what changed later.
    pub(super) since: Option<i64>,
}

/// What is asked of one type.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TypeOrder {
    pub(super) resource: String,
    /// Searches of which one must match; never empty.
    pub(super) searches: Vec<Parameters>,
    /// `_elements`; empty: all.
    pub(super) elements: Vec<String>,
}

/// The parameters as names and values, whatever they came in.
#[derive(Debug, Default)]
struct Asked {
    types: Vec<String>,
    since: Option<i64>,
    filters: Vec<String>,
    elements: Vec<String>,
    patients: Vec<String>,
}

/// Reads a resource Parameters as names and values.
pub(super) fn parameters_of(body: &[u8]) -> Result<Parameters> {
    let wrong = |what: &str| Failure::from(Error::Invalid(format!("the body {what}")));
    let body: Value = serde_json::from_slice(body).map_err(|_| wrong("is no JSON"))?;
    if body["resourceType"] != "Parameters" {
        return Err(wrong("is no resource `Parameters`"));
    }
    let mut read = Parameters::new();
    for (at, part) in body["parameter"].as_array().into_iter().flatten().enumerate() {
        let name = part["name"].as_str();
        let name = name.ok_or_else(|| wrong(&format!("has no `parameter[{at}].name`")))?;
        let value =
            part.as_object().into_iter().flatten().find(|(key, _)| key.starts_with("value"));
        let text = match value {
            Some((_, Value::String(text))) => text.clone(),
            Some((_, Value::Bool(is))) => is.to_string(),
            Some((_, Value::Object(object))) => {
                let reference = object.get("reference").and_then(Value::as_str);
                let reference = reference.ok_or_else(|| {
                    wrong(&format!("has no reference in `parameter[{at}]` (`{name}`)"))
                })?;
                reference.to_owned()
            }
            _ => return Err(wrong(&format!("has no value in `parameter[{at}]` (`{name}`)"))),
        };
        read.push((name.to_owned(), text));
    }
    Ok(read)
}

impl Asked {
    /// Takes the parameters; one that is not understood is refused, unless the client asked for
    /// lenient handling.
    fn read(parameters: Parameters, handling: Handling) -> Result<Self> {
        let mut asked = Self::default();
        let list = |value: &str| {
            let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
            items.map(str::to_owned).collect::<Vec<_>>()
        };
        for (name, value) in parameters {
            let wrong = |reason: String| Failure::parameter(&name, reason);
            match name.as_str() {
                "_format" | "_pretty" => {}
                "_outputFormat" => {
                    // A `+` that was not encoded is a space in a query.
                    let media = value.replace(' ', "+").to_ascii_lowercase();
                    if ![super::NDJSON, "application/ndjson", "ndjson"].contains(&media.as_str()) {
                        return Err(wrong(format!("`{value}` is not {}", super::NDJSON)));
                    }
                }
                "_since" => {
                    let since: jiff::Timestamp = value.replace(' ', "+").parse().map_err(|_| {
                        wrong(format!("`{value}` is no instant such as 2026-01-31T00:00:00Z"))
                    })?;
                    asked.since = Some(since.as_microsecond());
                }
                "_type" => asked.types.extend(list(&value)),
                "_typeFilter" => asked.filters.extend(filters(&value)),
                "_elements" => asked.elements.extend(list(&value)),
                "patient" => asked.patients.extend(list(&value)),
                _ if handling == Handling::Lenient => {}
                _ => {
                    return Err(wrong(
                        "is not supported by this export; with `Prefer: handling=lenient` it is \
                         ignored"
                            .to_owned(),
                    ));
                }
            }
        }
        if asked.filters.len() > MOST_FILTERS {
            return Err(Failure::parameter(
                "_typeFilter",
                format!("stands more than {MOST_FILTERS} times"),
            ));
        }
        Ok(asked)
    }
}

/// The searches of a `_typeFilter`: releases before 3 put several into one value, with commas,
/// which also stand within searches.
fn filters(value: &str) -> Vec<String> {
    let begins = |text: &str| {
        text.split_once('?').is_some_and(|(kind, _)| {
            !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_alphabetic())
        })
    };
    let mut found: Vec<String> = Vec::new();
    for part in value.split(',') {
        match found.last_mut() {
            Some(last) if !begins(part) => {
                last.push(',');
                last.push_str(part);
            }
            _ => found.push(part.to_owned()),
        }
    }
    found
}

impl Order {
    /// Reads and checks an order: each search as if it were asked now by who asks.
    pub(super) fn read(
        asking: &Asking<'_>,
        level: Level,
        parameters: Parameters,
        handling: Handling,
    ) -> Result<Self> {
        Self::of(asking, level, Asked::read(parameters, handling)?, handling)
    }

    /// The same of the members of a group, which `patient` narrows further.
    pub(super) fn of_group(
        asking: &Asking<'_>,
        group: &str,
        parameters: Parameters,
        handling: Handling,
    ) -> Result<Self> {
        let mut asked = Asked::read(parameters, handling)?;
        let mut members = members(asking, group)?;
        let bare = |text: &String| text.rsplit('/').next().unwrap_or_default().to_owned();
        let wanted: Vec<String> = asked.patients.iter().map(bare).collect();
        if let Some(other) = wanted.iter().find(|id| !members.contains(id)) {
            return Err(Failure::parameter(
                "patient",
                format!("`{other}` is no patient of this group"),
            ));
        }
        if !wanted.is_empty() {
            members.retain(|id| wanted.contains(id));
        }
        if members.is_empty() {
            // Still the types are looked at: a mistake in them is told.
            types(asking, Level::Group, &asked, handling)?;
            return Ok(Self { types: Vec::new(), since: asked.since });
        }
        asked.patients = members;
        Self::of(asking, Level::Group, asked, handling)
    }

    fn of(asking: &Asking<'_>, level: Level, asked: Asked, handling: Handling) -> Result<Self> {
        let resources = types(asking, level, &asked, handling)?;
        let mut order = Self { types: Vec::new(), since: asked.since };
        for resource in resources {
            order.types.push(TypeOrder {
                resource: resource.name().to_owned(),
                searches: searches(asking, resource, &asked)?,
                elements: elements(resource, &asked.elements),
            });
        }
        let is_wanted = |kind: &str| order.types.iter().any(|of| of.resource == kind);
        for filter in &asked.filters {
            let kind = filter.split_once('?').map_or(filter.as_str(), |(kind, _)| kind);
            if !is_wanted(kind) && handling == Handling::Strict {
                return Err(Failure::parameter(
                    "_typeFilter",
                    format!("`{kind}` is not among the types of this export"),
                ));
            }
        }
        for of in &order.types {
            for search in order.parsed(asking, of)? {
                search.permit(asking)?;
            }
        }
        Ok(order)
    }

    /// The searches of a type, with what `_since` adds.
    pub(super) fn parsed(&self, asking: &Asking<'_>, of: &TypeOrder) -> Result<Vec<Search>> {
        let resource = Resource::parse(&of.resource).ok_or_else(|| {
            Failure::parameter("_type", format!("`{}` is not served", of.resource))
        })?;
        let mut all = Vec::with_capacity(of.searches.len());
        for parameters in &of.searches {
            let mut parameters = parameters.clone();
            if let Some(since) = self.since.filter(|_| knows_changes(asking, resource)) {
                parameters.push(("_lastUpdated".to_owned(), format!("gt{}", instant(since))));
            }
            all.push(Search::parse(asking, resource, parameters, Handling::Strict)?);
        }
        Ok(all)
    }
}

/// Whether the type's resources say when they changed. Those of the configuration do not: they
/// are in every export.
pub(super) fn knows_changes(asking: &Asking<'_>, resource: Resource) -> bool {
    use crate::fhir::provider::Provider as _;
    !asking.state.made.resources().contains(&resource)
}

/// An instant to the microsecond.
pub(super) fn instant(micros: i64) -> String {
    let at = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{at:.6}")
}

/// The types of an export: those that were asked for, or each that the actor may read.
fn types(
    asking: &Asking<'_>,
    level: Level,
    asked: &Asked,
    handling: Handling,
) -> Result<Vec<Resource>> {
    let table = &asking.state.table;
    let is_exported = |resource: Resource| {
        let row = table.row(resource);
        let is_of_level = match level {
            Level::System => true,
            Level::Patient => row.is_of_patients,
            Level::Group => {
                resource == Resource::Patient || table.parameter(resource, "patient").is_some()
            }
        };
        !row.is_read_only_by_id && is_of_level
    };
    let may = |resource: Resource| {
        let actor = asking.actor;
        actor.has_read_scope(resource.name()) && actor.has_search_scope(resource.name())
    };
    if asked.types.is_empty() {
        let all = Resource::ALL.iter().copied();
        let found: Vec<Resource> = all.filter(|of| is_exported(*of) && may(*of)).collect();
        if found.is_empty() {
            return Err(Error::Forbidden(
                "the token's scopes allow to read and to search no type of this export".to_owned(),
            )
            .into());
        }
        return Ok(found);
    }
    let mut found = Vec::new();
    for name in &asked.types {
        match Resource::parse(name).filter(|resource| is_exported(*resource)) {
            Some(resource) if !may(resource) => {
                return Err(Error::Forbidden(format!(
                    "the token's scopes do not allow this: it needs `system/{name}.rs`"
                ))
                .into());
            }
            Some(resource) if found.contains(&resource) => {}
            Some(resource) => found.push(resource),
            None if handling == Handling::Lenient => {}
            None => {
                let all = Resource::ALL.iter().filter(|of| is_exported(**of));
                let names: Vec<&str> = all.map(|of| of.name()).collect();
                return Err(Failure::parameter(
                    "_type",
                    format!("`{name}` is not exported here; there are {}", names.join(", ")),
                ));
            }
        }
    }
    if found.is_empty() {
        return Err(Failure::parameter("_type", "names no type that is exported here"));
    }
    Ok(found)
}

/// The searches of a type: its filters, or everything; each for the patients that were named.
fn searches(asking: &Asking<'_>, resource: Resource, asked: &Asked) -> Result<Vec<Parameters>> {
    let mut all = Vec::new();
    for filter in &asked.filters {
        let Some((kind, query)) = filter.split_once('?') else {
            return Err(Failure::parameter(
                "_typeFilter",
                format!("`{filter}` is no search such as `ImagingStudy?modality=MG`"),
            ));
        };
        if kind != resource.name() {
            continue;
        }
        let mut parameters = Parameters::new();
        request::decode(query, &mut parameters)?;
        if let Some((name, _)) = parameters.iter().find(|(name, _)| is_control(name)) {
            return Err(Failure::parameter(
                "_typeFilter",
                format!("`{name}` has no place in a filter"),
            ));
        }
        all.push(parameters);
    }
    if all.is_empty() {
        all.push(Parameters::new());
    }
    if !asked.patients.is_empty() {
        let name = match resource {
            Resource::Patient => "_id",
            _ if asking.state.table.parameter(resource, "patient").is_some() => "patient",
            _ => {
                return Err(Failure::parameter(
                    "patient",
                    format!("`{}` is not about patients; name the types", resource.name()),
                ));
            }
        };
        let bare = |text: &String| text.rsplit('/').next().unwrap_or_default().to_owned();
        let ids: Vec<String> = asked.patients.iter().map(bare).collect();
        let each = |parameters: Parameters| {
            ids.chunks(PATIENTS).map(move |ids| {
                let mut parameters = parameters.clone();
                parameters.push((name.to_owned(), ids.join(",")));
                parameters
            })
        };
        all = all.into_iter().flat_map(each).collect();
    }
    Ok(all)
}

/// The patients of a group that the actor may read: members that are not inactive, by reference
/// or by identifier.
fn members(asking: &Asking<'_>, group: &str) -> Result<Vec<String>> {
    let state = asking.state;
    let read = state.read(asking, Resource::Group, group, &Subset::Whole)?;
    let json: Value = serde_json::from_slice(&read.bytes)
        .map_err(|failure| Error::Internal(failure.to_string()))?;
    let all = json["member"].as_array().into_iter().flatten();
    let active: Vec<&Value> = all.filter(|member| member["inactive"] != true).collect();
    if active.len() > MOST_MEMBERS {
        return Err(Error::TooCostly(format!(
            "the group has {} members, and at most {MOST_MEMBERS} are exported at once",
            active.len()
        ))
        .into());
    }
    let Some(parameter) = state.table.parameter(Resource::Group, "member") else {
        return Ok(Vec::new());
    };
    let path = Path::parse(&parameter.path).unwrap_or_default();
    let named = state.reader().values(parameter, &path, &json!({ "member": active }));
    let mut db = state.store.reader()?;
    let is_person = |of: &&Named| match of {
        Named::Local { kind, .. } => &**kind == "Patient",
        Named::Logical { .. } => true,
        _ => false,
    };
    let found = patients(asking, &mut db, named.iter().filter(is_person))?;
    let numbers = found.into_values().fold(RoaringBitmap::new(), |all, of| all | of);
    let numbers: Vec<i64> = (numbers & asking.visible_patients()).iter().map(i64::from).collect();
    let loaded = rows::load_patients(&mut db, &numbers, asking.ids()).map_err(Error::from)?;
    Ok(loaded.into_iter().map(|patient| patient.public_id).collect())
}

/// The elements of a type: `id`, or `ImagingStudy.id` for that type alone.
fn elements(resource: Resource, asked: &[String]) -> Vec<String> {
    let own = |text: &String| match text.split_once('.') {
        None => Some(text.clone()),
        Some((kind, element)) => (kind == resource.name()).then(|| element.to_owned()),
    };
    asked.iter().filter_map(own).collect()
}

#[cfg(test)]
mod tests {
    use super::{filters, parameters_of};

    #[test]
    fn commas_part_filters_only_where_a_search_begins() {
        assert_eq!(
            filters("ImagingStudy?modality=CT,MR,Patient?gender=male"),
            ["ImagingStudy?modality=CT,MR", "Patient?gender=male"]
        );
        assert_eq!(filters("ImagingStudy?modality=CT"), ["ImagingStudy?modality=CT"]);
    }

    #[test]
    fn a_body_is_read_as_names_and_values() {
        let body = br#"{"resourceType":"Parameters","parameter":[
            {"name":"_type","valueString":"Patient"},
            {"name":"_since","valueInstant":"2026-01-01T00:00:00Z"},
            {"name":"patient","valueReference":{"reference":"Patient/1"}}]}"#;
        let read = parameters_of(body).unwrap();
        assert_eq!(read[0], ("_type".to_owned(), "Patient".to_owned()));
        assert_eq!(read[2], ("patient".to_owned(), "Patient/1".to_owned()));
        for wrong in [
            &b"x"[..],
            b"{}",
            br#"{"resourceType":"Parameters","parameter":[{"valueString":"x"}]}"#,
            br#"{"resourceType":"Parameters","parameter":[{"name":"_type"}]}"#,
            br#"{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{}}]}"#,
        ] {
            assert!(parameters_of(wrong).is_err());
        }
    }
}

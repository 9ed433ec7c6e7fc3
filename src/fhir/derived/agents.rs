//! Persons and devices: from the terms of the index that visible studies have.

use std::collections::BTreeMap;

use actix_web::web::Bytes;
use serde_json::Value;

use crate::actor::Role;
use crate::fhir::Asking;
use crate::fhir::archive::{MOST_INCLUDED, several_patients};
use crate::fhir::bundle::Total;
use crate::fhir::cache::Shape;
use crate::fhir::outcome::Result;
use crate::fhir::provider::{Entry, Page};
use crate::fhir::search::{Place, Search, documents};
use crate::fhir::table::Resource;
use crate::imaging::Facet;
use crate::index::{Query, Sort};
use crate::mapping::Person;
use crate::mapping::agent::{Agent, Device};
use crate::mapping::fhir::{View, render_device, render_practitioner, render_practitioner_role};

/// A rendered person or device.
pub(super) struct Found {
    pub(super) bytes: Bytes,
    /// A digest of the content.
    pub(super) version: String,
}

/// The facets whose terms are agents of a type. A role is what one performs in.
fn facets(resource: Resource) -> &'static [Facet] {
    match resource {
        Resource::Practitioner => &[Facet::Referrer, Facet::Interpreter, Facet::Performer],
        Resource::PractitionerRole | Resource::Device => &[Facet::Performer],
        _ => &[],
    }
}

fn is_of(resource: Resource, agent: &Agent) -> bool {
    match agent {
        Agent::Person(_) => resource != Resource::Device,
        Agent::Device(_) => resource == Resource::Device,
        // A reference by identifier leads to no resource.
        Agent::Institution(_) => false,
    }
}

/// Everything that visible studies say of the agents with these ids, or of all, by id.
fn said(
    asking: &Asking<'_>,
    resource: Resource,
    ids: Option<&[&str]>,
) -> BTreeMap<String, Vec<Agent>> {
    let mut found: BTreeMap<String, Vec<Agent>> = BTreeMap::new();
    // Secondary use of an archive that names persons sees no staff either.
    if asking.view == View::Pseudonymous && resource != Resource::Device {
        return found;
    }
    let index = asking.state.index.read();
    for facet in facets(resource) {
        for term in index.terms(*facet) {
            let Some(agent) = Agent::of_term(&term).filter(|agent| is_of(resource, agent)) else {
                continue;
            };
            let id = agent.id(&asking.state.context, asking.ids());
            let is_asked = ids.is_none_or(|ids| ids.contains(&id.as_str()));
            if is_asked && !index.search(asking.actor, &Query::Has(*facet, vec![term])).is_empty() {
                let all = found.entry(id).or_default();
                if !all.contains(&agent) {
                    all.push(agent);
                }
            }
        }
    }
    // The order of a dictionary is that of arrival: sorted, the same rows give the same bytes.
    for all in found.values_mut() {
        all.sort_by_cached_key(Agent::term);
    }
    found
}

fn render(asking: &Asking<'_>, resource: Resource, said: Vec<Agent>) -> Option<Found> {
    let context = &asking.state.context;
    let (mut persons, mut devices): (Vec<Person>, Vec<Device>) = Default::default();
    for agent in said {
        match agent {
            Agent::Person(person) => persons.push(person),
            Agent::Device(device) => devices.push(device),
            Agent::Institution(_) => {}
        }
    }
    let bytes = match resource {
        Resource::Practitioner => render_practitioner(context, &persons),
        Resource::PractitionerRole => render_practitioner_role(context, &persons),
        _ => render_device(context, &devices, asking.view),
    }?;
    let json: Value = serde_json::from_slice(&bytes).ok()?;
    let version = json["meta"]["versionId"].as_str().unwrap_or("1").to_owned();
    Some(Found { bytes: bytes.into(), version })
}

/// The agent of that id.
pub(super) fn find(asking: &Asking<'_>, resource: Resource, id: &str) -> Option<Found> {
    render(asking, resource, said(asking, resource, Some(&[id])).remove(id)?)
}

/// The agents with these ids, as includes.
pub(super) fn entries(asking: &Asking<'_>, asked: &[(Resource, String)]) -> Vec<Entry> {
    let mut entries = Vec::new();
    for resource in [Resource::Practitioner, Resource::PractitionerRole, Resource::Device] {
        let ids: Vec<&str> =
            asked.iter().filter(|(of, _)| *of == resource).map(|(_, id)| id.as_str()).collect();
        if ids.is_empty() {
            continue;
        }
        for (id, agents) in said(asking, resource, Some(&ids)) {
            if let Some(found) = render(asking, resource, agents) {
                entries.push(Entry { resource, id, bytes: found.bytes, key: 0 });
            }
        }
    }
    entries
}

/// A page of agents, by id.
pub(super) fn search(asking: &Asking<'_>, search: &Search, after: Option<&Place>) -> Result<Page> {
    let state = asking.state;
    let control = &search.control;
    let resource = search.resource;
    let mut all: Vec<(String, Bytes)> = Vec::new();
    for (id, agents) in said(asking, resource, None) {
        let Some(found) = render(asking, resource, agents) else { continue };
        let json: Value = serde_json::from_slice(&found.bytes).unwrap_or_default();
        if documents::matches(&state.reader(), &json, &search.criteria)? {
            all.push((id, found.bytes));
        }
    }
    let total = Total::Known(all.len() as u64);
    if control.is_count_only {
        return Ok(Page::count(total));
    }
    let start = after.map_or(0, |place| all.partition_point(|(id, _)| *id <= place.id));
    let has_more = all.len() - start > control.count;
    let row = state.table.row(resource);
    let mut matches = Vec::new();
    for (id, bytes) in all.into_iter().skip(start).take(control.count) {
        let bytes = control.subset.cut(row, &bytes).map_or(bytes, Bytes::from);
        matches.push(Entry { resource, id, bytes, key: 0 });
    }
    let ids: Vec<&str> = matches.iter().map(|entry| entry.id.as_str()).collect();
    let (mut included, mut notes) = studies_of(asking, search, &ids)?;
    // A role and its person have one id.
    let followed = |source, name: &str, target| {
        control.include.iter().any(|include| include.brings(source, &[name], target))
    };
    let role = Resource::PractitionerRole;
    let mut beside = Vec::new();
    if resource == role && followed(role, "practitioner", Resource::Practitioner) {
        beside.extend(ids.iter().map(|id| (Resource::Practitioner, (*id).to_owned())));
    }
    if resource == Resource::Practitioner
        && control.revinclude.iter().any(|include| include.source == role)
    {
        beside.extend(ids.iter().map(|id| (role, (*id).to_owned())));
    }
    included.extend(entries(asking, &beside));
    notes.truncate(1);
    Ok(Page { total, matches, has_more, seen: None, included, notes })
}

/// What the reader should know: a code of `issue-type` and a text.
type Notes = Vec<(&'static str, &'static str)>;

/// The studies that point at agents, where `_revinclude` asks for them.
fn studies_of(asking: &Asking<'_>, search: &Search, ids: &[&str]) -> Result<(Vec<Entry>, Notes)> {
    let state = asking.state;
    let mut asked: Vec<Facet> = Vec::new();
    for include in &search.control.revinclude {
        match (include.source, include.name.as_str(), search.resource) {
            (Resource::ImagingStudy, "referrer", Resource::Practitioner) => {
                asked.push(Facet::Referrer);
            }
            (Resource::ImagingStudy, "interpreter", Resource::Practitioner) => {
                asked.push(Facet::Interpreter);
            }
            (
                Resource::ImagingStudy,
                "performer",
                Resource::PractitionerRole | Resource::Device,
            ) => asked.push(Facet::Performer),
            _ => {}
        }
    }
    if asked.is_empty() || ids.is_empty() {
        return Ok(Default::default());
    }
    let (numbers, are_more) = {
        let index = state.index.read();
        let mut parts = Vec::new();
        for facet in asked {
            let mut terms = index.terms(facet);
            terms.retain(|term| {
                Agent::of_term(term).is_some_and(|agent| {
                    is_of(search.resource, &agent)
                        && ids.contains(&agent.id(&state.context, asking.ids()).as_str())
                })
            });
            parts.push(Query::Has(facet, terms));
        }
        let hits = index.search(asking.actor, &Query::Or(parts));
        if asking.actor.role == Role::Ehr && index.patients_of(&hits).len() > 1 {
            return Err(several_patients());
        }
        let page = index.page(&hits, Sort::Arrival, None, MOST_INCLUDED);
        (page, hits.len() > MOST_INCLUDED as u64)
    };
    let mut db = state.store.reader()?;
    let rendered = state.rendered(&mut db, asking, &numbers, Shape::Whole)?;
    let entries = rendered.into_iter().map(|study| Entry {
        resource: Resource::ImagingStudy,
        id: study.rendered.id.to_string(),
        bytes: study.rendered.bytes,
        key: 0,
    });
    let notes = are_more.then_some((
        "too-costly",
        "there are more studies than a page includes; search ImagingStudy",
    ));
    Ok((entries.collect(), notes.into_iter().collect()))
}

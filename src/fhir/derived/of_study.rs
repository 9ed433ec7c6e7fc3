//! Orders, examinations and viewers: of each visible study, in the order of arrival.

use actix_web::web::Bytes;
use roaring::RoaringBitmap;
use serde_json::Value;

use super::render;
use crate::actor::Role;
use crate::error::Error;
use crate::fhir::Asking;
use crate::fhir::archive::several_patients;
use crate::fhir::bundle::Total;
use crate::fhir::cache::Shape;
use crate::fhir::outcome::Result;
use crate::fhir::provider::{Entry, Page};
use crate::fhir::reports::sort_key;
use crate::fhir::search::{self, Criterion, Place, Search, Test, documents, studies};
use crate::fhir::table::{Answer, Resource};
use crate::imaging::{Facet, Study};
use crate::index::Query;
use crate::mapping::agent::Agent;
use crate::mapping::fhir::{
    AgentOf, PROCEDURE_SUFFIX, VIEWER_SUFFIX, View, agents_of_study, order_id, order_place,
    render_patient,
};
use crate::store::Db;
use crate::store::read;

/// Most studies that a search looks into one by one: those with several orders, and what is sorted.
const MOST_LOOKED_INTO: usize = 5_000;

/// The study's logical id and the place that an id of a derived resource names.
fn of_id(resource: Resource, id: &str) -> Option<(&str, usize)> {
    match resource {
        Resource::ServiceRequest => order_place(id),
        Resource::Procedure => Some((id.strip_suffix(PROCEDURE_SUFFIX)?, 0)),
        Resource::Endpoint => Some((id.strip_suffix(VIEWER_SUFFIX)?, 0)),
        _ => None,
    }
}

fn id_of(resource: Resource, study: &Study, place: usize) -> String {
    let id = &study.public_id;
    match resource {
        Resource::ServiceRequest => order_id(id, place),
        Resource::Procedure => format!("{id}{PROCEDURE_SUFFIX}"),
        _ => format!("{id}{VIEWER_SUFFIX}"),
    }
}

pub(super) fn order_entry(study: &Study, place: usize, bytes: Vec<u8>) -> Entry {
    let resource = Resource::ServiceRequest;
    Entry { resource, id: id_of(resource, study, place), bytes: bytes.into(), key: 0 }
}

pub(super) fn viewer_entry(study: &Study, bytes: Vec<u8>) -> Entry {
    let resource = Resource::Endpoint;
    Entry { resource, id: id_of(resource, study, 0), bytes: bytes.into(), key: 0 }
}

/// The resource of that id with its study, if there is one and the actor may read it.
pub(super) fn find(
    asking: &Asking<'_>,
    db: &mut Db,
    resource: Resource,
    id: &str,
) -> Result<Option<(Bytes, Study)>> {
    let Some((study, place)) = of_id(resource, id) else { return Ok(None) };
    let found = read::find_studies_by_id(db, asking.ids(), &[study]).map_err(Error::from)?;
    let Some(found) = found.first().filter(|found| !found.is_deleted) else { return Ok(None) };
    if !asking.state.index.read().may_read_study(asking.actor, found.number) {
        return Ok(None);
    }
    let loaded = read::load_studies(db, &[found.number], asking.ids(), false);
    let Some(study) = loaded.map_err(Error::from)?.pop() else { return Ok(None) };
    let bytes = render(asking, resource, &study).into_iter().nth(place);
    Ok(bytes.map(|bytes| (bytes.into(), study)))
}

/// Criteria that a study's orders do not share.
fn is_of_one_order(criterion: &Criterion) -> bool {
    matches!(
        criterion.parameter.answer,
        Answer::Id | Answer::OrderIdentifier | Answer::RequestedCode
    )
}

/// The criteria as a search of studies takes them: ids are those of the studies.
fn of_studies(resource: Resource, criteria: &[Criterion]) -> Vec<Criterion> {
    let mut criteria = criteria.to_vec();
    for criterion in &mut criteria {
        if criterion.parameter.answer == Answer::Id
            && let Test::Tokens(tokens) | Test::NotTokens(tokens) = &mut criterion.test
        {
            tokens.retain_mut(|token| {
                let study = token.code.as_deref().and_then(|id| of_id(resource, id));
                match study.map(|(study, _)| study.to_owned()) {
                    Some(study) => {
                        token.code = Some(study);
                        true
                    }
                    None => false,
                }
            });
        }
    }
    criteria
}

/// The studies whose one resource of the type is a hit, and those of which some are, with their
/// places.
struct Hits {
    whole: RoaringBitmap,
    parts: Vec<(i64, Vec<usize>)>,
}

impl Hits {
    fn count(&self) -> u64 {
        self.whole.len() + self.parts.iter().map(|(_, places)| places.len() as u64).sum::<u64>()
    }

    fn studies(&self) -> RoaringBitmap {
        let parts = self.parts.iter().filter_map(|(number, _)| u32::try_from(*number).ok());
        &self.whole | parts.collect::<RoaringBitmap>()
    }

    /// The places of a study that are hits; `None`: all of them.
    fn places(&self, number: i64) -> Option<&[usize]> {
        let at = self.parts.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        self.parts.get(at).map(|(_, places)| places.as_slice())
    }
}

fn answer(
    asking: &Asking<'_>,
    db: &mut Db,
    search: &Search,
    criteria: &[Criterion],
) -> Result<RoaringBitmap> {
    let criteria = of_studies(search.resource, criteria);
    let conditions = studies::conditions(&criteria);
    let query = studies::query(asking, db, &criteria, &conditions)?;
    let index = asking.state.index.read();
    let hits = index.search(asking.actor, &query);
    Ok(match search.resource {
        Resource::ServiceRequest => {
            hits & index.search(asking.actor, &Query::HasAny(Facet::Orders))
        }
        _ => hits,
    })
}

fn hits(asking: &Asking<'_>, db: &mut Db, search: &Search) -> Result<Hits> {
    let whole = answer(asking, db, search, &search.criteria)?;
    if search.resource != Resource::ServiceRequest {
        return Ok(Hits { whole, parts: Vec::new() });
    }
    let one = Query::Has(Facet::Orders, vec!["1".to_owned()]);
    let one = asking.state.index.read().search(asking.actor, &one);
    // Of a group case each order is looked at.
    let (own, shared): (Vec<_>, Vec<_>) =
        search.criteria.iter().cloned().partition(is_of_one_order);
    let several: Vec<i64> =
        (answer(asking, db, search, &shared)? - &one).iter().map(i64::from).collect();
    if several.len() > MOST_LOOKED_INTO {
        return Err(Error::TooCostly(format!(
            "more than {MOST_LOOKED_INTO} studies with several orders; give a patient or a date"
        ))
        .into());
    }
    let mut parts = Vec::new();
    let loaded = read::load_studies(db, &several, asking.ids(), false).map_err(Error::from)?;
    for study in loaded {
        let mut places = Vec::new();
        for (place, bytes) in render(asking, search.resource, &study).iter().enumerate() {
            let json: Value = serde_json::from_slice(bytes).unwrap_or_default();
            if documents::matches(&asking.state.reader(), &json, &own)? {
                places.push(place);
            }
        }
        if !places.is_empty() {
            parts.push((study.number, places));
        }
    }
    parts.sort_unstable_by_key(|(number, _)| *number);
    Ok(Hits { whole: whole & one, parts })
}

/// A page.
pub(super) fn search(asking: &Asking<'_>, search: &Search, after: Option<&Place>) -> Result<Page> {
    let state = asking.state;
    let control = &search.control;
    let resource = search.resource;
    let names_ids = search.criteria.iter().any(|of| of.parameter.answer == Answer::Id);
    let is_hidden = match resource {
        // Nobody sees orders in secondary use.
        Resource::ServiceRequest => asking.view == View::Pseudonymous,
        // A viewer is found by its study, or by id: a list of them would be a list of studies.
        Resource::Endpoint => {
            state.context.viewer_url().is_empty()
                || asking.view == View::Pseudonymous
                || !names_ids
                || search.criteria.len() > 1
        }
        _ => false,
    };
    if is_hidden {
        return Ok(Page::count(Total::Known(0)));
    }
    let mut db = state.store.reader()?;
    let hits = hits(asking, &mut db, search)?;
    let all = hits.studies();
    if asking.actor.role == Role::Ehr && state.index.read().patients_of(&all).len() > 1 {
        return Err(several_patients());
    }
    let total = Total::Known(hits.count());
    if control.is_count_only {
        return Ok(Page::count(total));
    }
    // A page begins behind an order, which may be in the middle of its study.
    let (start, behind) = match after {
        None => (0, None),
        Some(place) => {
            let (study, order) = of_id(resource, &place.id).ok_or_else(search::foreign_cursor)?;
            let found = read::find_studies_by_id(&mut db, asking.ids(), &[study]);
            let found = found.map_err(Error::from)?;
            let number = found.first().ok_or_else(search::foreign_cursor)?.number;
            (u32::try_from(number).unwrap_or(u32::MAX), Some((number, order)))
        }
    };
    if control.sort.is_some() {
        let before = behind.zip(after).map(|((number, order), place)| (place.key, number, order));
        return sorted(asking, &mut db, search, &hits, before);
    }
    let more = control.count.saturating_add(2);
    let numbers: Vec<i64> = all.range(start..).take(more).map(i64::from).collect();
    let loaded = read::load_studies(&mut db, &numbers, asking.ids(), false).map_err(Error::from)?;
    let row = state.table.row(resource);
    let mut matches = Vec::new();
    let mut shown: Vec<&Study> = Vec::new();
    let mut has_more = false;
    'page: for study in &loaded {
        let places = hits.places(study.number);
        for (place, bytes) in render(asking, resource, study).into_iter().enumerate() {
            let is_before =
                behind.is_some_and(|(number, order)| number == study.number && place <= order);
            if is_before || places.is_some_and(|places| !places.contains(&place)) {
                continue;
            }
            if matches.len() == control.count {
                has_more = true;
                break 'page;
            }
            let bytes: Bytes = bytes.into();
            let bytes = control.subset.cut(row, &bytes).map_or(bytes, Bytes::from);
            matches.push(Entry { resource, id: id_of(resource, study, place), bytes, key: 0 });
            if shown.last().is_none_or(|last| last.number != study.number) {
                shown.push(study);
            }
        }
    }
    let included = included(asking, &mut db, search, &shown)?;
    Ok(Page { total, matches, has_more, seen: None, included, notes: Vec::new() })
}

/// A page in the order that was asked for, behind an entry with its key, study and place.
fn sorted(
    asking: &Asking<'_>,
    db: &mut Db,
    search: &Search,
    hits: &Hits,
    before: Option<(i64, i64, usize)>,
) -> Result<Page> {
    let state = asking.state;
    let control = &search.control;
    let resource = search.resource;
    let numbers: Vec<i64> = hits.studies().iter().map(i64::from).collect();
    if numbers.len() > MOST_LOOKED_INTO {
        return Err(Error::TooCostly(format!(
            "what more than {MOST_LOOKED_INTO} studies name is not sorted; give a patient or a \
             date, or leave `_sort` out"
        ))
        .into());
    }
    let is_descending = control.sort.as_ref().is_some_and(|sort| sort.descending);
    let rank = |key: i64| if is_descending { key.saturating_neg() } else { key };
    let before = before.map(|(key, number, place)| (rank(key), number, place));
    let loaded = read::load_studies(db, &numbers, asking.ids(), false).map_err(Error::from)?;
    let row = state.table.row(resource);
    let mut found = Vec::new();
    for study in &loaded {
        let places = hits.places(study.number);
        for (place, bytes) in render(asking, resource, study).into_iter().enumerate() {
            if places.is_some_and(|places| !places.contains(&place)) {
                continue;
            }
            let json: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let key = sort_key(asking, search, &json, study.updated);
            let here = (rank(key), study.number, place);
            if before.is_none_or(|before| here > before) {
                found.push((here, key, study, bytes));
            }
        }
    }
    found.sort_by_key(|(here, ..)| *here);
    let has_more = found.len() > control.count;
    found.truncate(control.count);
    let mut matches = Vec::with_capacity(found.len());
    let mut shown: Vec<&Study> = Vec::new();
    for ((_, _, place), key, study, bytes) in found {
        let bytes: Bytes = bytes.into();
        let bytes = control.subset.cut(row, &bytes).map_or(bytes, Bytes::from);
        matches.push(Entry { resource, id: id_of(resource, study, place), bytes, key });
        if !shown.iter().any(|known| known.number == study.number) {
            shown.push(study);
        }
    }
    let included = included(asking, db, search, &shown)?;
    let total = Total::Known(hits.count());
    Ok(Page { total, matches, has_more, seen: None, included, notes: Vec::new() })
}

fn included(
    asking: &Asking<'_>,
    db: &mut Db,
    search: &Search,
    studies: &[&Study],
) -> Result<Vec<Entry>> {
    let state = asking.state;
    let resource = search.resource;
    let follows = |names: &[&str], target: Resource| {
        search.control.include.iter().any(|include| include.brings(resource, names, target))
    };
    let mut included = Vec::new();
    if follows(&["patient", "subject"], Resource::Patient) {
        let mut known = Vec::new();
        for study in studies {
            let mut patient = study.patient.clone();
            if !known.contains(&patient.number) {
                known.push(patient.number);
                asking.as_visible(db, &mut [&mut patient])?;
                let bytes = render_patient(&state.context, &patient, asking.view).into();
                let id = patient.public_id.clone();
                included.push(Entry { resource: Resource::Patient, id, bytes, key: 0 });
            }
        }
    }
    let has_requesters = follows(&["requester"], Resource::Practitioner);
    let has_roles = follows(&["performer"], Resource::PractitionerRole);
    let mut agents = Vec::new();
    for study in studies {
        if !(has_requesters || has_roles) {
            break;
        }
        for (of, agent) in agents_of_study(&state.context, study) {
            let wanted = match (of, &agent) {
                (AgentOf::Referrer, Agent::Person(_)) if has_requesters => Resource::Practitioner,
                (AgentOf::Performer, Agent::Person(_)) if has_roles => Resource::PractitionerRole,
                _ => continue,
            };
            agents.push((wanted, agent.id(&state.context, asking.ids())));
        }
    }
    included.extend(super::agents::entries(asking, &agents));
    let has_studies = resource == Resource::ServiceRequest
        && search.control.revinclude.iter().any(|one| one.source == Resource::ImagingStudy);
    if has_studies {
        let numbers: Vec<i64> = studies.iter().map(|study| study.number).collect();
        for study in state.rendered(db, asking, &numbers, Shape::Whole)? {
            included.push(Entry {
                resource: Resource::ImagingStudy,
                id: study.rendered.id.to_string(),
                bytes: study.rendered.bytes,
                key: 0,
            });
        }
    }
    Ok(included)
}

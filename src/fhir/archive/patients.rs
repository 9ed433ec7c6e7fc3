//! Searches of Patient.

use actix_web::web::Bytes;

use super::{MOST_INCLUDED, beginning, cut_page, several_patients};
use crate::actor::Role;
use crate::fhir::Asking;
use crate::fhir::bundle::Total;
use crate::fhir::cache::Shape;
use crate::fhir::outcome::Result;
use crate::fhir::provider::{Entry, Page};
use crate::fhir::search::{Place, Search, patients};
use crate::fhir::table::Resource;
use crate::index::{Query, Sort};
use crate::mapping::fhir::render_patient;
use crate::store::read;

/// A page of patients.
pub(super) fn search(asking: &Asking<'_>, search: &Search, after: Option<&Place>) -> Result<Page> {
    let state = asking.state;
    let control = &search.control;
    let mut db = state.store.reader()?;
    let hits = patients::search(asking, &mut db, &search.criteria)?;
    if asking.actor.role == Role::Ehr && hits.len() > 1 {
        return Err(several_patients());
    }
    let total = Total::Known(hits.len());
    if control.is_count_only {
        if asking.actor.role == Role::Researcher {
            let index = state.index.read();
            let hidden = index.hidden_for_disclosure(asking.actor, &Query::All);
            if !hidden.is_empty() {
                // Every parameter of Patient is about single persons: only all are counted.
                let persons = index.patients_of(&hidden) - index.visible_patients(asking.actor);
                let shown = state.disclosure.persons(persons.len());
                return Ok(Page::count(match shown.filter(|_| search.criteria.is_empty()) {
                    Some(shown) => Total::Known(hits.len().saturating_add(shown)),
                    None => Total::Masked,
                }));
            }
        }
        return Ok(Page::count(total));
    }
    let start = match after {
        None => 0,
        Some(Place { id, .. }) => {
            let after = beginning(read::find_patients_by_id(&mut db, asking.ids(), &[id]))?;
            u32::try_from(after).unwrap_or(u32::MAX).saturating_add(1)
        }
    };
    let more = control.count.saturating_add(1);
    let numbers = hits.range(start..).take(more).map(i64::from).collect();
    let (numbers, has_more) = cut_page(numbers, control.count);
    let row = state.table.row(search.resource);
    let page = asking.patients(&mut db, &numbers)?;
    let entry = |patient: &_| {
        let bytes: Bytes = render_patient(&state.context, patient, asking.view).into();
        let cut = control.subset.cut(row, &bytes);
        let id = patient.public_id.to_string();
        let bytes = cut.map_or(bytes, Bytes::from);
        Entry { resource: Resource::Patient, id, bytes, key: 0 }
    };
    let matches = page.iter().map(entry).collect();
    let mut included = Vec::new();
    let mut notes = Vec::new();
    let are_studies_asked =
        control.revinclude.iter().any(|include| include.source == Resource::ImagingStudy);
    if are_studies_asked && !numbers.is_empty() {
        let (of_patients, are_more) = {
            let index = state.index.read();
            let hits = index.search(asking.actor, &Query::Patients(numbers));
            let page = index.page(&hits, Sort::Arrival, None, MOST_INCLUDED);
            (page, hits.len() > MOST_INCLUDED as u64)
        };
        for study in state.rendered(&mut db, asking, &of_patients, Shape::Whole)? {
            included.push(Entry {
                resource: Resource::ImagingStudy,
                id: study.rendered.id.to_string(),
                bytes: study.rendered.bytes,
                key: 0,
            });
        }
        if are_more {
            notes.push((
                "too-costly",
                "the patients have more studies than a page includes; search ImagingStudy",
            ));
        }
    }
    Ok(Page { total, matches, has_more, seen: None, included, notes })
}

//! Patients and studies of the archive: rows of the store, searched through the index, rendered
//! by `mapping`.

mod patients;
mod studies;

use actix_web::web::Bytes;

use super::Asking;
use super::cache::Shape;
use super::outcome::{Failure, Result};
use super::provider::{Page, Provider, Read, not_found};
use super::search::{self, Place, Search};
use super::subset::Subset;
use super::table::Resource;
use crate::actor::Role;
use crate::error::Error;
use crate::mapping::fhir::render_patient;
use crate::store::read;

/// Most resources that includes add to a page.
pub(super) const MOST_INCLUDED: usize = 1_000;

/// The provider.
pub(super) struct Archive;

impl Provider for Archive {
    fn resources(&self) -> &[Resource] {
        &[Resource::Patient, Resource::ImagingStudy]
    }

    fn read(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        id: &str,
        subset: &Subset,
    ) -> Result<Read> {
        let state = asking.state;
        let row = state.table.row(resource);
        let mut db = state.store.reader()?;
        let found = match resource {
            Resource::Patient => read::find_patients_by_id(&mut db, asking.ids(), &[id]),
            _ => read::find_studies_by_id(&mut db, asking.ids(), &[id]),
        }
        .map_err(Error::from)?;
        let found = *found.first().ok_or_else(|| not_found(resource, id))?;
        if found.is_deleted {
            // Who reads the whole archive may know that it was there.
            return Err(match asking.actor.role {
                Role::Ehr | Role::ImagingIt => {
                    Error::Gone { kind: resource.name(), id: id.to_owned() }.into()
                }
                Role::Researcher | Role::Steward | Role::Admin | Role::Public => {
                    not_found(resource, id)
                }
            });
        }
        let may_read = match resource {
            Resource::Patient => state.index.read().may_read_patient(asking.actor, found.number),
            _ => state.index.read().may_read_study(asking.actor, found.number),
        };
        if !may_read {
            return Err(not_found(resource, id));
        }
        let (bytes, version, updated): (Bytes, i32, i64) = match resource {
            Resource::Patient => {
                let patients = asking.patients(&mut db, &[found.number])?;
                let patient = patients.first().ok_or_else(|| not_found(resource, id))?;
                let bytes = render_patient(&state.context, patient, asking.view).into();
                (bytes, patient.version, patient.updated)
            }
            _ => {
                let mut rendered = state.rendered_of(&mut db, asking, &[found], subset.shape())?;
                let study =
                    rendered.remove(&found.number).ok_or_else(|| not_found(resource, id))?;
                (study.rendered.bytes, study.version, study.updated)
            }
        };
        // A summary of a study is rendered as one.
        let is_cut = resource == Resource::ImagingStudy && subset.shape() == Shape::Summary;
        let bytes = if is_cut { bytes } else { subset.cut(row, &bytes).map_or(bytes, Bytes::from) };
        Ok(Read { bytes, version: state.tag(asking, version), updated: Some(updated) })
    }

    fn search(&self, asking: &Asking<'_>, search: &Search, after: Option<&Place>) -> Result<Page> {
        match search.resource {
            Resource::Patient => patients::search(asking, search, after),
            _ => studies::search(asking, search, after),
        }
    }
}

/// The numbers of a page, and whether another page follows.
pub(super) fn cut_page(mut numbers: Vec<i64>, count: usize) -> (Vec<i64>, bool) {
    let has_more = numbers.len() > count;
    numbers.truncate(count);
    (numbers, has_more)
}

/// The store's number of what a page begins behind; it may have been deleted since.
pub(super) fn beginning(found: crate::store::QueryResult<Vec<read::Found>>) -> Result<i64> {
    let found = found.map_err(Error::from)?;
    found.first().map(|found| found.number).ok_or_else(search::foreign_cursor)
}

pub(super) fn several_patients() -> Failure {
    Error::Forbidden(
        "the role `ehr` reads one patient at a time, and this is about several: give the \
         identifier's system, or `patient`"
            .to_owned(),
    )
    .into()
}

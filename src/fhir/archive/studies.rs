//! Searches of ImagingStudy.

use std::collections::HashMap;

use actix_web::web::Bytes;
use roaring::RoaringBitmap;

use super::{beginning, cut_page, several_patients};
use crate::actor::Role;
use crate::error::Error;
use crate::fhir::bundle::Total;
use crate::fhir::cache::{Key, Rendered, Shape};
use crate::fhir::derived;
use crate::fhir::outcome::Result;
use crate::fhir::provider::{Entry, Page};
use crate::fhir::search::{Place, Search, studies};
use crate::fhir::subset::Subset;
use crate::fhir::table::Resource;
use crate::fhir::{Asking, State};
use crate::index::{Query, Sort, takes_whole_periods};
use crate::mapping::fhir::{render_patient, render_study};
use crate::store::Db;
use crate::store::read::{self, Found};

/// A page of studies.
pub(super) fn search(asking: &Asking<'_>, search: &Search, after: Option<&Place>) -> Result<Page> {
    let state = asking.state;
    let control = &search.control;
    let mut db = state.store.reader()?;
    let after = match after {
        None => None,
        Some(Place { id, key }) => {
            let found = read::find_studies_by_id(&mut db, asking.ids(), &[id]);
            Some((beginning(found)?, *key))
        }
    };
    let sort = match &control.sort {
        None => Sort::Arrival,
        Some(sort) if sort.name == "started" => Sort::Started { descending: sort.descending },
        Some(sort) => Sort::Updated { descending: sort.descending },
    };
    let conditions = studies::conditions(&search.criteria);
    let query = studies::query(asking, &mut db, &search.criteria, &conditions)?;
    let (total, numbers, keys) = {
        let index = state.index.read();
        let hits = index.search(asking.actor, &query);
        if asking.actor.role == Role::Ehr && index.patients_of(&hits).len() > 1 {
            return Err(several_patients());
        }
        if control.is_count_only {
            let everything = index.count_for_disclosure(&Query::All);
            let is_hidden = asking.actor.role == Role::Researcher
                && index.search(asking.actor, &Query::All).len() < everything;
            if !is_hidden {
                return Ok(Page::count(Total::Known(hits.len())));
            }
            // What is about single persons or studies is not counted, and nothing is no count.
            if search.identifies() {
                return Ok(Page::count(Total::Masked));
            }
            search.permit_hidden_count()?;
            // What may be read is known anyway: it must not hide how few the rest are.
            let rule = state.disclosure;
            let all_hidden = index.hidden_for_disclosure(asking.actor, &Query::All);
            let hidden = index.hidden_for_disclosure(asking.actor, &query);
            let count_persons = |of: &RoaringBitmap| index.patients_of(of).len();
            // Nor must the rest of a wider question be of few persons: the two counts would tell.
            // Nobody at all is masked too, or the mask would tell that there is somebody.
            let mut is_too_close = false;
            for left_out in 0..search.criteria.len() {
                let wider = studies::without(&query, &search.criteria, left_out).map_or_else(
                    || all_hidden.clone(),
                    |wider| index.hidden_for_disclosure(asking.actor, &wider),
                );
                is_too_close |= count_persons(&(wider - &hidden)) < rule.threshold;
            }
            let times = conditions.iter().filter_map(|condition| match condition {
                Some(studies::TimeCondition::Started(holds)) => Some(holds),
                _ => None,
            });
            let times: Vec<_> = times.collect();
            // Nor the years between two questions.
            if !times.is_empty() {
                let always =
                    index.hidden_for_disclosure(asking.actor, &studies::at_any_time(&query));
                is_too_close |= !takes_whole_periods(&index, &always, rule.threshold, &|started| {
                    times.iter().all(|holds| holds(started))
                });
            }
            let most = usize::try_from(rule.threshold).unwrap_or(usize::MAX);
            let rule = rule.coarser(rule.heaviest(&index.loads_of(&all_hidden, most)));
            let shown = rule.things(hidden.len(), count_persons(&hidden));
            return Ok(Page::count(match shown.filter(|_| !is_too_close) {
                Some(shown) => Total::Known(hits.len().saturating_add(shown)),
                None => Total::Masked,
            }));
        }
        let numbers = index.page(&hits, sort, after, control.count.saturating_add(1));
        let keys: HashMap<i64, i64> =
            numbers.iter().map(|number| (*number, index.sort_key(sort, *number))).collect();
        (hits.len(), numbers, keys)
    };
    let (numbers, has_more) = cut_page(numbers, control.count);
    let rendered = state.rendered(&mut db, asking, &numbers, control.subset.shape())?;
    let row = state.table.row(search.resource);
    let mut matches = Vec::with_capacity(rendered.len());
    for study in &rendered {
        let cut = match control.subset.shape() {
            Shape::Summary => None,
            Shape::Whole | Shape::Bare => control.subset.cut(row, &study.rendered.bytes),
        };
        matches.push(Entry {
            resource: Resource::ImagingStudy,
            id: study.rendered.id.to_string(),
            bytes: cut.map_or_else(|| study.rendered.bytes.clone(), Bytes::from),
            key: keys.get(&study.number).copied().unwrap_or_default(),
        });
    }
    let mut included = Vec::new();
    let is_patient_asked = control.include.iter().any(|include| {
        include.brings(Resource::ImagingStudy, &["patient", "subject"], Resource::Patient)
    });
    if is_patient_asked {
        let mut patients: Vec<i64> = rendered.iter().map(|study| study.rendered.patient).collect();
        patients.sort_unstable();
        patients.dedup();
        let patients = asking.patients(&mut db, &patients)?;
        included.extend(patients.iter().map(|patient| Entry {
            resource: Resource::Patient,
            id: patient.public_id.to_string(),
            bytes: render_patient(&state.context, patient, asking.view).into(),
            key: 0,
        }));
    }
    if !rendered.is_empty() {
        included.extend(state.made.included(search));
        included.extend(derived::included(asking, &mut db, search, &numbers)?);
    }
    Ok(Page {
        total: Total::Known(total),
        matches,
        has_more,
        seen: None,
        included,
        notes: Vec::new(),
    })
}

/// A study as it is rendered.
pub(in crate::fhir) struct Study {
    /// The store's number.
    pub(in crate::fhir) number: i64,
    pub(in crate::fhir) version: i32,
    /// Its last change, in microseconds since 1970-01-01T00:00:00Z.
    pub(in crate::fhir) updated: i64,
    pub(in crate::fhir) rendered: Rendered,
}

impl State {
    /// Studies by the store's numbers, rendered, in their order; deleted ones are left out.
    pub(in crate::fhir) fn rendered(
        &self,
        db: &mut Db,
        asking: &Asking<'_>,
        numbers: &[i64],
        shape: Shape,
    ) -> Result<Vec<Study>> {
        let versions = read::list_study_versions(db, numbers).map_err(Error::from)?;
        let mut found = self.rendered_of(db, asking, &versions, shape)?;
        Ok(numbers.iter().filter_map(|number| found.remove(number)).collect())
    }

    /// Studies whose versions are known, rendered, by number; deleted ones are left out.
    pub(in crate::fhir) fn rendered_of(
        &self,
        db: &mut Db,
        asking: &Asking<'_>,
        versions: &[Found],
        shape: Shape,
    ) -> Result<HashMap<i64, Study>> {
        let view = asking.view;
        let key = |number, version| Key { number, version, view, shape };
        let mut found: HashMap<i64, Study> = HashMap::with_capacity(versions.len());
        let mut missing = Vec::new();
        for row in versions.iter().filter(|row| !row.is_deleted) {
            let (number, version, updated) = (row.number, row.version, row.updated);
            match self.cache.get(&key(number, version)) {
                Some(rendered) => {
                    found.insert(number, Study { number, version, updated, rendered });
                }
                None => missing.push(number),
            }
        }
        let has_instances = shape == Shape::Whole;
        let loaded = read::load_studies(db, &missing, asking.ids(), has_instances);
        for study in loaded.map_err(Error::from)? {
            let whole = render_study(&self.context, &study, view);
            let bytes: Bytes = match shape {
                Shape::Whole => whole.with_instances(&self.context, &study, view).into(),
                Shape::Bare => Bytes::copy_from_slice(&whole.bytes),
                Shape::Summary => {
                    let row = self.table.row(Resource::ImagingStudy);
                    match Subset::Summary.cut(row, &whole.bytes) {
                        Some(cut) => cut.into(),
                        None => Bytes::copy_from_slice(&whole.bytes),
                    }
                }
            };
            let rendered = Rendered {
                id: study.public_id.as_str().into(),
                patient: study.patient.number,
                bytes,
            };
            let (number, version, updated) = (study.number, study.version, study.updated);
            self.cache.put(key(number, version), rendered.clone());
            found.insert(number, Study { number, version, updated, rendered });
        }
        Ok(found)
    }
}

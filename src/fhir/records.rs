//! Resources that clients wrote (FHIR R4 http.html): kept as the bytes that came, in versions,
//! found by what they say.
//!
//! A record belongs to the archive's patient that its `patient` or `subject` names, by
//! `Patient/{id}` or by identifier; which patient that is, is asked of the archive when somebody
//! searches. Care reads what care wrote. Secondary use reads it only in an archive that is
//! de-identified, of patients of open datasets.

pub(super) mod batch;
pub(super) mod checked;
pub(super) mod everything;
mod fhirpath_patch;
pub(super) mod history;
mod import;
mod index;
mod intake;
pub(super) mod json;
pub(super) mod linked;
pub(super) mod patch;
pub(super) mod write;

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use actix_web::web::Bytes;
use roaring::RoaringBitmap;

use super::bundle::Total;
use super::outcome::{Failure, Result};
use super::provider::{Entry, Page, Provider, Read, asked_of, not_found};
use super::search::documents::Targets;
use super::search::values::Value;
use super::search::{self, Criterion, Place, Reference, Search, Test, Token};
use super::subset::Subset;
use super::table::{Resource, Table};
use super::{Asking, State};
use crate::actor::Role;
use crate::error::Error;
use crate::mapping::fhir::View;
use crate::mapping::patient_identifiers;
use crate::store::records::{self as rows, Head};
use crate::store::{Db, read};
use index::Index;
pub use intake::{Aside, Intake, IntakeSummary, LARGEST};

/// The provider of what was written.
pub(super) struct Records {
    resources: Vec<Resource>,
    index: Index,
    /// Whose turn it is to write.
    turn: Mutex<()>,
}

impl Records {
    /// Of the types that the table says are written.
    pub(super) fn new(table: &Table) -> Self {
        let written = table.resource.iter().filter(|row| row.is_written);
        Self {
            resources: written.map(|row| row.resource).collect(),
            index: Index::new(table),
            turn: Mutex::default(),
        }
    }

    /// Sees what was committed.
    pub(super) fn catch_up(&self, state: &State, db: &mut Db) -> Result<()> {
        Ok(self.index.catch_up(db, &state.reader()).map_err(Error::from)?)
    }

    /// What holds to all criteria and the actor may see. The index must have caught up.
    fn hits(
        &self,
        asking: &Asking<'_>,
        db: &mut Db,
        resource: Resource,
        criteria: &[Criterion],
    ) -> Result<RoaringBitmap> {
        if asking.view == View::Pseudonymous || asking.sees_none(resource) {
            return Ok(RoaringBitmap::new());
        }
        let mut ready = Vec::with_capacity(criteria.len());
        for criterion in criteria {
            let targets = asking.state.targets(asking, db, criterion)?;
            ready.push(self.index.ready(resource, criterion, targets));
        }
        let hits = self.index.search(resource, &ready);
        match asking.actor.role {
            Role::Ehr | Role::ImagingIt => Ok(hits),
            Role::Researcher => self.open(asking, db, &hits),
            Role::Steward | Role::Admin | Role::Public => Ok(RoaringBitmap::new()),
        }
    }

    /// Those of patients that secondary use may read.
    fn open(
        &self,
        asking: &Asking<'_>,
        db: &mut Db,
        hits: &RoaringBitmap,
    ) -> Result<RoaringBitmap> {
        let visible = asking.visible_patients();
        let subjects = self.index.subjects(hits);
        let known = patients(asking, db, subjects.iter().flat_map(|(_, of)| of))?;
        let is_open = |of: &[Value]| {
            !of.is_empty()
                && of.iter().all(|subject| {
                    let of = named(subject).and_then(|name| known.get(&name));
                    of.is_some_and(|of| !of.is_empty() && of.is_subset(&visible))
                })
        };
        Ok(subjects.iter().filter(|(_, of)| is_open(of)).map(|(number, _)| *number).collect())
    }

    /// Whether some records are about several patients.
    fn are_of_several(
        &self,
        asking: &Asking<'_>,
        db: &mut Db,
        hits: &RoaringBitmap,
    ) -> Result<bool> {
        let subjects = self.index.subjects(hits);
        let names: BTreeSet<String> =
            subjects.iter().flat_map(|(_, of)| of).filter_map(named).collect();
        if names.len() < 2 {
            return Ok(false);
        }
        let known = patients(asking, db, subjects.iter().flat_map(|(_, of)| of))?;
        let mut found = RoaringBitmap::new();
        let mut unknown = 0;
        for name in &names {
            match known.get(name) {
                Some(of) if !of.is_empty() => found |= of,
                _ => unknown += 1,
            }
        }
        Ok(found.len() + unknown > 1)
    }
}

/// A subject in one word.
fn named(subject: &Value) -> Option<String> {
    match subject {
        Value::Local { kind, id } => Some(format!("{kind}/{id}")),
        Value::Logical { system, value } => {
            Some(format!("|{}|{value}", system.as_deref().unwrap_or("")))
        }
        Value::Url(url) => Some(url.to_string()),
        _ => None,
    }
}

/// The archive's patients that subjects name.
pub(super) fn patients<'v>(
    asking: &Asking<'_>,
    db: &mut Db,
    subjects: impl Iterator<Item = &'v Value>,
) -> Result<HashMap<String, RoaringBitmap>> {
    let mut known = HashMap::new();
    let mut ids = BTreeSet::new();
    for subject in subjects {
        let Some(name) = named(subject) else { continue };
        match subject {
            Value::Local { id, .. } => {
                ids.insert(id.to_string());
            }
            Value::Logical { system, value } if !known.contains_key(&name) => {
                let token = Token {
                    system: Some(system.as_deref().unwrap_or("").to_owned()),
                    code: Some(value.to_string()),
                };
                let found = patients_called(asking, db, vec![token])?;
                known.insert(name, found);
            }
            _ => {}
        }
    }
    for id in ids {
        let found = read::find_patients_by_id(db, asking.ids(), &[&id]).map_err(Error::from)?;
        let found = found.iter().filter(|found| !found.is_deleted);
        let found = found.filter_map(|found| u32::try_from(found.number).ok()).collect();
        known.insert(format!("Patient/{id}"), found);
    }
    Ok(known)
}

/// The visible patients that have one of these identifiers.
fn patients_called(asking: &Asking<'_>, db: &mut Db, tokens: Vec<Token>) -> Result<RoaringBitmap> {
    let parameter = asking.state.table.parameter(Resource::Patient, "identifier");
    let tokens: Vec<Token> = tokens.into_iter().filter(|token| token.code.is_some()).collect();
    let (Some(parameter), false) = (parameter, tokens.is_empty()) else {
        return Ok(RoaringBitmap::new());
    };
    let criterion = Criterion {
        name: "identifier".to_owned(),
        parameter: parameter.clone(),
        test: Test::Tokens(tokens),
        is_never_study_id: false,
    };
    search::patients::search(asking, db, std::slice::from_ref(&criterion))
}

impl State {
    /// What a reference must point at for a criterion to hold: of a patient, by the logical id as
    /// well as by each of its identifiers. `None`: the criterion is about no reference.
    fn targets(
        &self,
        asking: &Asking<'_>,
        db: &mut Db,
        criterion: &Criterion,
    ) -> Result<Option<Targets>> {
        let Some(mut targets) = Targets::of(&criterion.test) else { return Ok(None) };
        let is_patient = index::can_be_patient(&criterion.parameter);
        match &criterion.test {
            Test::References(references) if is_patient => {
                let ids: Vec<&str> =
                    references.iter().filter_map(|one: &Reference| one.id_of("Patient")).collect();
                let found =
                    read::find_patients_by_id(db, asking.ids(), &ids).map_err(Error::from)?;
                let found = found.iter().filter(|found| !found.is_deleted);
                let found: RoaringBitmap =
                    found.filter_map(|found| u32::try_from(found.number).ok()).collect();
                let found = found & asking.visible_patients();
                add_patients(asking, db, &found, &mut targets)?;
            }
            Test::Identifiers(tokens) if is_patient => {
                let found = patients_called(asking, db, tokens.clone())?;
                add_patients(asking, db, &found, &mut targets)?;
            }
            Test::Chain(of) => {
                let found = search::patients::search(asking, db, std::slice::from_ref(&**of))?;
                add_patients(asking, db, &found, &mut targets)?;
            }
            Test::Linked(of) => {
                for (resource, of) in of {
                    if *resource == Resource::Patient {
                        let of = std::slice::from_ref(of);
                        let found = search::patients::search(asking, db, of)?;
                        add_patients(asking, db, &found, &mut targets)?;
                        continue;
                    }
                    for id in self.ids_of(asking, db, *resource, of)? {
                        targets.point_at(resource.name(), id);
                    }
                }
            }
            _ => {}
        }
        Ok(Some(targets))
    }

    /// The ids of what holds to a criterion, of all providers.
    fn ids_of(
        &self,
        asking: &Asking<'_>,
        db: &mut Db,
        resource: Resource,
        criterion: &Criterion,
    ) -> Result<Vec<String>> {
        let search = Search::of(resource, vec![criterion.clone()], linked::MOST);
        let mut ids = Vec::new();
        for provider in self.providers(resource) {
            let Some(asked) = asked_of(provider, &search) else { continue };
            if let Some(found) = provider.ids(asking, db, &asked)? {
                ids.extend(found);
                continue;
            }
            let page = provider.search(asking, &asked, None)?;
            if page.has_more {
                return Err(Error::TooCostly(format!(
                    "`{}` describes more than {} resources; give more of them",
                    criterion.name,
                    linked::MOST
                ))
                .into());
            }
            ids.extend(page.matches.into_iter().map(|entry| entry.id));
        }
        Ok(ids)
    }
}

fn add_patients(
    asking: &Asking<'_>,
    db: &mut Db,
    numbers: &RoaringBitmap,
    targets: &mut Targets,
) -> Result<()> {
    let numbers: Vec<i64> = numbers.iter().map(i64::from).collect();
    for patient in read::load_patients(db, &numbers, asking.ids()).map_err(Error::from)? {
        let known = patient_identifiers(&asking.state.context, &patient.key, &patient.attributes);
        targets.point_at("Patient", patient.public_id);
        targets.identifiers.extend(known.into_iter().map(|identifier| Token {
            system: Some(identifier.system),
            code: Some(identifier.value),
        }));
    }
    Ok(())
}

fn gone(resource: Resource, id: &str) -> Failure {
    Error::Gone { kind: resource.name(), id: id.to_owned() }.into()
}

impl Records {
    /// The state of a resource that the actor may see.
    fn head(&self, asking: &Asking<'_>, db: &mut Db, resource: Resource, id: &str) -> Result<Head> {
        let missing = || not_found(resource, id);
        if asking.sees_none(resource) {
            return Err(missing());
        }
        let head = rows::find(db, resource.name(), id).map_err(Error::from)?.ok_or_else(missing)?;
        match asking.actor.role {
            Role::Ehr | Role::ImagingIt => Ok(head),
            Role::Researcher if asking.view == View::DeIdentified && !head.is_deleted => {
                self.catch_up(asking.state, db)?;
                let one = u32::try_from(head.number).into_iter().collect();
                let is_open = !self.open(asking, db, &one)?.is_empty();
                if is_open { Ok(head) } else { Err(missing()) }
            }
            _ => Err(missing()),
        }
    }
}

impl Provider for Records {
    fn resources(&self) -> &[Resource] {
        &self.resources
    }

    fn read(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        id: &str,
        subset: &Subset,
    ) -> Result<Read> {
        let mut db = asking.state.store.reader()?;
        let head = self.head(asking, &mut db, resource, id)?;
        if head.is_deleted {
            return Err(gone(resource, id));
        }
        let body = rows::body(&mut db, head.number, head.version).map_err(Error::from)?;
        let bytes: Bytes = body.ok_or_else(|| not_found(resource, id))?.into();
        let row = asking.state.table.row(resource);
        let bytes = subset.cut(row, &bytes).map_or(bytes, Bytes::from);
        Ok(Read { bytes, version: head.version.to_string(), updated: Some(head.updated) })
    }

    fn search(&self, asking: &Asking<'_>, search: &Search, after: Option<&Place>) -> Result<Page> {
        let state = asking.state;
        let control = &search.control;
        let resource = search.resource;
        let mut db = state.store.reader()?;
        self.catch_up(state, &mut db)?;
        let hits = self.hits(asking, &mut db, resource, &search.criteria)?;
        let row = state.table.row(resource);
        if asking.actor.role == Role::Ehr
            && row.is_of_patients
            && self.are_of_several(asking, &mut db, &hits)?
        {
            return Err(super::archive::several_patients());
        }
        let total = Total::Known(hits.len());
        if control.is_count_only {
            return Ok(Page::count(total));
        }
        let after = match after {
            None => None,
            Some(Place { id, key }) => {
                let head = rows::find(&mut db, resource.name(), id).map_err(Error::from)?;
                let number = head.and_then(|head| u32::try_from(head.number).ok());
                Some((*key, number.ok_or_else(search::foreign_cursor)?))
            }
        };
        let more = control.count.saturating_add(1);
        let mut page: Vec<(i64, u32)> = match &control.sort {
            None => {
                let start = after.map_or(0, |(_, number)| number.saturating_add(1));
                hits.range(start..).take(more).map(|number| (0, number)).collect()
            }
            Some(sort) => {
                let mut keys = self.index.keys(resource, &hits, &sort.name, sort.descending);
                let order = |(key, number): &(i64, u32)| {
                    (if sort.descending { key.saturating_neg() } else { *key }, *number)
                };
                keys.retain(|one| after.is_none_or(|after| order(one) > order(&after)));
                if keys.len() > more {
                    keys.select_nth_unstable_by_key(more, order);
                    keys.truncate(more);
                }
                keys.sort_unstable_by_key(order);
                keys
            }
        };
        let has_more = page.len() > control.count;
        page.truncate(control.count);
        let numbers: Vec<i64> = page.iter().map(|(_, number)| i64::from(*number)).collect();
        let mut bodies: HashMap<i64, (Head, Vec<u8>)> = rows::bodies(&mut db, &numbers)
            .map_err(Error::from)?
            .into_iter()
            .map(|(head, body)| (head.number, (head, body)))
            .collect();
        let mut matches = Vec::with_capacity(page.len());
        for (key, number) in page {
            // One that was deleted meanwhile is left out.
            let Some((head, body)) = bodies.remove(&i64::from(number)) else { continue };
            let bytes = control.subset.cut(row, &body).unwrap_or(body).into();
            matches.push(Entry { resource, id: head.id, bytes, key });
        }
        Ok(Page { total, matches, has_more, seen: None, included: Vec::new(), notes: Vec::new() })
    }

    fn is_written(&self) -> bool {
        true
    }

    /// The index must have caught up, which whoever writes or searches has seen to.
    fn ids(
        &self,
        asking: &Asking<'_>,
        db: &mut Db,
        search: &Search,
    ) -> Result<Option<Vec<String>>> {
        let hits = self.hits(asking, db, search.resource, &search.criteria)?;
        Ok(Some(self.index.ids(&hits)))
    }
}

//! Which studies have which clinical variables: read from what clients and clinical tables wrote, in
//! profiles of our guide (`ig/`), and kept up to date by the change feed.
//!
//! A resource speaks of the studies that it refers to, else of every study of its patient. What it
//! says is not looked at: the dictionary of variables tells that a dataset has it, and how much of it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use roaring::RoaringBitmap;
use serde_json::Value;

use crate::error::Result;
use crate::imaging::IdSpace;
use crate::index::View;
use crate::index::disclosure::Cell;
use crate::mapping::clinical::GUIDE;
use crate::store::read::{find_patients_by_id, find_studies_by_id};
use crate::store::records::{self, Head};
use crate::store::{Db, QueryResult, Store};

/// What stands before the name of a profile where the dictionary names an attribute.
pub(super) const PREFIX: &str = "clinical:";

/// Resources that are read at once.
const CHUNK: i64 = 1_000;

/// What a resource is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum About {
    Study(u32),
    Patient(u32),
}

/// The studies and patients that resources are about.
#[derive(Clone, Debug, Default)]
pub(super) struct Having {
    studies: RoaringBitmap,
    patients: RoaringBitmap,
}

impl Having {
    fn insert(&mut self, about: &[About]) {
        for about in about {
            match about {
                About::Study(number) => self.studies.insert(*number),
                About::Patient(number) => self.patients.insert(*number),
            };
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.studies.is_empty() && self.patients.is_empty()
    }

    /// Whether one of them is among these studies and their patients.
    pub(super) fn is_among(&self, view: &View, studies: &RoaringBitmap) -> bool {
        !self.studies.is_disjoint(studies)
            || !self.patients.is_empty() && !self.patients.is_disjoint(&view.patients_of(studies))
    }
}

#[derive(Default)]
struct Seen {
    /// `None`: nothing was read yet.
    change: Option<i64>,
    /// What was written about since this was last asked; what stood there at first is not.
    touched: Having,
    records: HashMap<i64, (String, Vec<About>)>,
    profiles: BTreeMap<String, Having>,
}

/// The clinical variables of an archive.
#[derive(Default)]
pub(super) struct Clinical(Mutex<Seen>);

/// The profile of our guide that a resource claims first.
fn profile(resource: &Value) -> Option<&str> {
    let claimed = resource.pointer("/meta/profile")?.as_array()?;
    claimed.iter().filter_map(Value::as_str).find_map(|url| {
        let rest = url.strip_prefix(GUIDE.as_str())?.strip_prefix("/StructureDefinition/")?;
        rest.split('|').next()
    })
}

/// Every local reference to a type, wherever it stands.
fn references<'r>(value: &'r Value, kind: &str, into: &mut Vec<&'r str>) {
    match value {
        Value::Object(members) => {
            if let Some(id) = members
                .get("reference")
                .and_then(Value::as_str)
                .and_then(|reference| reference.strip_prefix(kind)?.strip_prefix('/'))
            {
                into.push(id);
            }
            members.values().for_each(|value| references(value, kind, into));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, kind, into)),
        _ => {}
    }
}

/// Numbers of studies or patients by logical id; each id is asked for once.
struct Numbers<'d> {
    db: &'d mut Db,
    known: HashMap<String, Option<u32>>,
}

impl Numbers<'_> {
    fn find(&mut self, kind: &str, id: &str) -> QueryResult<Option<u32>> {
        let key = format!("{kind}/{id}");
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let found = match kind {
            "ImagingStudy" => find_studies_by_id(self.db, IdSpace::Care, &[id])?,
            _ => find_patients_by_id(self.db, IdSpace::Care, &[id])?,
        };
        let number = found.first().and_then(|found| u32::try_from(found.number).ok());
        self.known.insert(key, number);
        Ok(number)
    }

    fn about(&mut self, resource: &Value) -> QueryResult<Vec<About>> {
        let mut about = Vec::new();
        let mut ids = Vec::new();
        references(resource, "ImagingStudy", &mut ids);
        for id in ids {
            about.extend(self.find("ImagingStudy", id)?.map(About::Study));
        }
        if about.is_empty() {
            let whose = ["subject", "patient"].iter().find_map(|name| resource.get(*name));
            let mut ids = Vec::new();
            whose.into_iter().for_each(|whose| references(whose, "Patient", &mut ids));
            for id in ids.into_iter().take(1) {
                about.extend(self.find("Patient", id)?.map(About::Patient));
            }
        }
        about.dedup();
        Ok(about)
    }
}

/// A row of the store in a few words; `None`: it is nothing of ours, or is deleted.
fn said(
    numbers: &mut Numbers<'_>,
    head: &Head,
    body: Option<&[u8]>,
) -> QueryResult<Option<(String, Vec<About>)>> {
    let resource = body.filter(|_| !head.is_deleted);
    let Some(resource) = resource.and_then(|body| serde_json::from_slice::<Value>(body).ok())
    else {
        return Ok(None);
    };
    let Some(profile) = profile(&resource) else { return Ok(None) };
    Ok(Some((profile.to_owned(), numbers.about(&resource)?)))
}

impl Clinical {
    /// Reads what was written since the last time. Nothing of the index may be held meanwhile.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(super) fn catch_up(&self, store: &Store) -> Result<()> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = seen.change.is_none();
        let mut is_changed = false;
        loop {
            let since = seen.change.unwrap_or_default();
            let read = store.read(|db| {
                let rows = records::list_changed(db, since, CHUNK)?;
                let mut numbers = Numbers { db, known: HashMap::new() };
                let mut read = Vec::with_capacity(rows.len());
                for (head, body) in rows {
                    let said = said(&mut numbers, &head, body.as_deref())?;
                    read.push((head.number, head.change, said));
                }
                Ok(read)
            })?;
            if read.is_empty() {
                break;
            }
            is_changed = true;
            for (number, change, said) in read {
                seen.change = seen.change.max(Some(change));
                let now = said.as_ref().map(|(_, about)| about.clone()).unwrap_or_default();
                let before = match said {
                    Some(said) => seen.records.insert(number, said),
                    None => seen.records.remove(&number),
                };
                if !is_first {
                    let before = before.map(|(_, about)| about).unwrap_or_default();
                    seen.touched.insert(&before);
                    seen.touched.insert(&now);
                }
            }
        }
        seen.change.get_or_insert(0);
        if is_changed {
            let mut profiles: BTreeMap<String, Having> = BTreeMap::new();
            for (profile, about) in seen.records.values() {
                profiles.entry(profile.clone()).or_default().insert(about);
            }
            seen.profiles = profiles;
        }
        Ok(())
    }

    /// Whether anything was written about since that was last taken.
    pub(super) fn is_touched(&self) -> bool {
        !self.0.lock().unwrap_or_else(PoisonError::into_inner).touched.is_empty()
    }

    /// What was written about since this was last asked.
    pub(super) fn take_touched(&self) -> Having {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).touched)
    }

    /// Per profile, as an attribute of the dictionary: the studies among these that have it, and their
    /// persons.
    pub(super) fn cells(&self, view: &View, selected: impl FnOnce() -> RoaringBitmap) -> Vec<Cell> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.profiles.is_empty() {
            return Vec::new();
        }
        let selected = selected();
        let persons = view.patients_of(&selected);
        let mut cells = Vec::new();
        for (profile, having) in &seen.profiles {
            let mut studies = &having.studies & &selected;
            let patients = &having.patients & &persons;
            if !patients.is_empty() {
                studies |= view.studies_of_patients(&selected, &patients);
            }
            if !studies.is_empty() {
                cells.push(Cell {
                    term: format!("{PREFIX}{profile}"),
                    records: studies.len(),
                    individuals: view.patients_of(&studies).len(),
                });
            }
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{GUIDE, profile, references};

    #[test]
    fn a_resource_tells_its_profile_and_what_it_is_about() {
        let own = format!("{}/StructureDefinition/psa|1.0", *GUIDE);
        let resource = json!({
            "resourceType": "Observation",
            "meta": { "profile": ["http://hl7.org/fhir/StructureDefinition/vitalsigns", own] },
            "subject": { "reference": "Patient/p1" },
            "derivedFrom": [{ "reference": "ImagingStudy/s1" }, { "reference": "Observation/o" }],
            "partOf": [{ "reference": "ImagingStudyX/s2" }],
        });
        assert_eq!(profile(&resource), Some("psa"));
        let mut found = Vec::new();
        references(&resource, "ImagingStudy", &mut found);
        assert_eq!(found, ["s1"]);
        assert_eq!(profile(&json!({ "meta": { "profile": "x" } })), None);
        assert_eq!(profile(&json!([])), None);
    }
}

//! Patients as those may know them who may not read all of their studies.
//!
//! A patient's row describes the person by the latest study. Who may read only earlier ones knows the
//! person from those: what each series says of its patient is kept with it (name, birth date, sex,
//! species; secondary use of an archive that names persons is shown nothing else of a patient).

use std::collections::HashMap;

use super::Asking;
use crate::actor::Role;
use crate::error::Result;
use crate::imaging::{Attributes, Patient};
use crate::index::Query;
use crate::mapping::as_person;
use crate::store::{Db, archive, read};

impl Asking<'_> {
    /// The patients with these numbers.
    pub(super) fn patients(&self, db: &mut Db, numbers: &[i64]) -> Result<Vec<Patient>> {
        let mut patients = read::load_patients(db, numbers, self.ids())?;
        self.as_visible(db, &mut patients.iter_mut().collect::<Vec<_>>())?;
        Ok(patients)
    }

    /// Describes each patient by the latest of the studies that may be read, if not all may.
    pub(super) fn as_visible(&self, db: &mut Db, patients: &mut [&mut Patient]) -> Result<()> {
        match self.actor.role {
            Role::Researcher | Role::Public => {}
            Role::Ehr | Role::ImagingIt | Role::Steward | Role::Admin => return Ok(()),
        }
        // The visible studies of those of whom something is hidden, the latest first.
        let mut partly: HashMap<i64, Vec<i64>> = HashMap::new();
        {
            let index = self.state.index.read();
            for patient in patients.iter() {
                let theirs = Query::Patients(vec![patient.number]);
                if index.hidden_for_disclosure(self.actor, &theirs).is_empty() {
                    continue;
                }
                let visible = index.search(self.actor, &theirs);
                let mut studies: Vec<i64> = visible.iter().map(i64::from).collect();
                studies.sort_by_key(|study| {
                    (std::cmp::Reverse(index.started(*study).map(|started| started.from)), *study)
                });
                partly.insert(patient.number, studies);
            }
        }
        if partly.is_empty() {
            return Ok(());
        }
        let mut numbers: Vec<i64> = partly.keys().copied().collect();
        numbers.sort_unstable();
        let mut told: HashMap<(i64, i64), Vec<String>> = HashMap::new();
        for (patient, study, person) in archive::list_persons(db, &numbers)? {
            told.entry((patient, study)).or_default().extend(person);
        }
        for patient in patients.iter_mut() {
            let Some(studies) = partly.get(&patient.number) else { continue };
            // Of several series of the study that say something else, always the same one.
            let latest = studies.iter().find_map(|study| {
                told.get(&(patient.number, *study)).and_then(|persons| persons.iter().min())
            });
            let person = match latest {
                Some(text) => read::attributes(text, "patient", patient.number)?,
                None => Attributes::new(),
            };
            patient.attributes = as_person(&patient.attributes, &person);
        }
        Ok(())
    }
}

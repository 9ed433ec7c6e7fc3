//! One PatientID that stands for different persons.
//!
//! An identifier within its issuer is one patient (PS3.3 C.2.1), so its studies are one person's
//! history. Where they contradict each other about who that is, each of them has a finding for each
//! attribute that differs: nothing is split, as a name changes with a marriage, and nothing is silent.

use std::collections::BTreeMap;

use super::*;

const CODE: &str = "patient-differs";

/// What the series of a patient say of who it is, each with its study.
type Told = BTreeMap<i64, Vec<(i64, Option<String>)>>;

impl Batch<'_> {
    /// Says of the studies of every patient of whom more or less is known now in what they contradict
    /// each other.
    pub(super) fn contradicting_persons(&mut self, db: &mut Db) -> QueryResult<()> {
        let mut touched: BTreeSet<i64> = BTreeSet::new();
        for series in self.studies.values().flat_map(|study| &study.series) {
            let is_there = series.row.images > 0;
            let stored = series.stored.as_ref();
            let is_same = stored.is_some_and(|stored| {
                is_there
                    && stored.patient == series.row.patient
                    && stored.person == series.row.person
            });
            if !is_same {
                touched.extend(stored.map(|stored| stored.patient));
                touched.extend(is_there.then_some(series.row.patient));
            }
        }
        if touched.is_empty() {
            return Ok(());
        }
        let told = self.told(db, &touched)?;
        let mut differs = contradictions(&told)?;
        // The studies that one of them is named in, or was.
        let mut named: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
        for (patient, series) in &told {
            for (study, _) in series {
                named.entry(*study).or_default().insert(*patient);
            }
        }
        for study in self.studies.values().filter(|study| !study.is_new) {
            let was = study.series.iter().filter_map(|series| series.stored.as_ref());
            if was.clone().any(|stored| touched.contains(&stored.patient)) {
                named.entry(study.row.number).or_default();
            }
        }
        let fresh: HashSet<i64> = self
            .studies
            .values()
            .filter(|study| study.is_new)
            .map(|study| study.row.number)
            .collect();
        let asked: Vec<i64> =
            named.keys().copied().filter(|study| !fresh.contains(study)).collect();
        let mut known: HashMap<i64, HashMap<String, i64>> = HashMap::new();
        for (study, attribute, count) in findings::list_attributes(db, &asked, CODE)? {
            known.entry(study).or_default().insert(attribute, count);
        }
        if known.is_empty() && differs.values().all(Vec::is_empty) {
            return Ok(());
        }
        // A study may name others beside them, of whom nothing new is known.
        let others: BTreeSet<i64> =
            self.complete(db, &mut named)?.difference(&touched).copied().collect();
        let of_others = self.told(db, &others)?;
        differs.append(&mut contradictions(&of_others)?);
        for (study, patients) in named {
            let wanted: BTreeSet<&'static str> = patients
                .iter()
                .filter_map(|patient| differs.get(patient))
                .flatten()
                .copied()
                .collect();
            let known = known.remove(&study).unwrap_or_default();
            let news = wanted.iter().filter(|attribute| !known.contains_key(**attribute));
            let mut news: Vec<(&'static str, i64)> =
                news.map(|attribute| (*attribute, 1)).collect();
            for (attribute, count) in &known {
                let keyword = Keyword::parse(attribute).map(Keyword::as_str);
                if let Ok(keyword) = keyword
                    && !wanted.contains(keyword)
                {
                    news.push((keyword, -count));
                }
            }
            let mut now = self.studies.values_mut().find(|now| now.row.number == study);
            for (attribute, count) in news {
                // The values name persons.
                let finding = Finding::new(CODE, attribute, "");
                match &mut now {
                    Some(now) => now.say(finding, count),
                    None => self.said_elsewhere.push(row(study, &finding, count)),
                }
            }
        }
        Ok(())
    }

    /// What is told of the patients by series that are there: those of the batch as they are now.
    fn told(&self, db: &mut Db, patients: &BTreeSet<i64>) -> QueryResult<Told> {
        let new: HashSet<i64> =
            self.patients.values().filter(|p| p.is_new).map(|patient| patient.row.number).collect();
        let asked: Vec<i64> =
            patients.iter().copied().filter(|patient| !new.contains(patient)).collect();
        let loaded: HashSet<i64> = self.studies.values().map(|study| study.row.number).collect();
        let mut told = Told::new();
        for (patient, study, person) in archive::list_persons(db, &asked)? {
            if !loaded.contains(&study) {
                told.entry(patient).or_default().push((study, person));
            }
        }
        for study in self.studies.values() {
            for series in study.series.iter().filter(|series| series.row.images > 0) {
                if patients.contains(&series.row.patient) {
                    let place = told.entry(series.row.patient).or_default();
                    place.push((study.row.number, series.row.person.clone()));
                }
            }
        }
        Ok(told)
    }

    /// Every patient that the studies name, into `named`; all of them together.
    fn complete(
        &self,
        db: &mut Db,
        named: &mut BTreeMap<i64, BTreeSet<i64>>,
    ) -> QueryResult<BTreeSet<i64>> {
        let mut elsewhere: BTreeSet<i64> = named.keys().copied().collect();
        for study in self.studies.values() {
            if elsewhere.remove(&study.row.number)
                && let Some(patients) = named.get_mut(&study.row.number)
            {
                let there = study.series.iter().filter(|series| series.row.images > 0);
                patients.extend(there.map(|series| series.row.patient));
            }
        }
        let elsewhere: Vec<i64> = elsewhere.into_iter().collect();
        for (study, patient) in archive::list_patients_of_studies(db, &elsewhere)? {
            named.entry(study).or_default().insert(patient);
        }
        Ok(named.values().flatten().copied().collect())
    }
}

/// In what the series of each patient contradict each other.
fn contradictions(told: &Told) -> QueryResult<BTreeMap<i64, Vec<&'static str>>> {
    let mut differs = BTreeMap::new();
    for (patient, series) in told {
        let texts: BTreeSet<&str> =
            series.iter().filter_map(|(_, person)| person.as_deref()).collect();
        if texts.len() < 2 {
            continue;
        }
        let persons = texts
            .iter()
            .map(|text| crate::store::read::attributes(text, "patient", *patient))
            .collect::<QueryResult<Vec<_>>>()?;
        let found = mapping::contradictions(persons.iter());
        if !found.is_empty() {
            differs.insert(*patient, found);
        }
    }
    Ok(differs)
}

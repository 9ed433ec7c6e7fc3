//! Merges one batch of records into what the store knows.
//!
//! The result does not depend on the order in which the instances of a study arrive: which
//! instance describes its series, and which series its study, is decided by
//! [`Rank`](crate::imaging::Rank).

use std::collections::{HashMap, HashSet};

use diesel::QueryResult;

use crate::imaging::{
    Attributes, Finding, Instance, Keyword, Laterality, PatientKey, Record, Uid, public_id,
    uid_hash,
};
use crate::mapping::{self, Context, lookup};
use crate::store::Db;
use crate::store::archive::{self, PackedRow, PatientRow, SeriesRow, StudyRow};
use crate::store::changes::{self, Kind};
use crate::store::findings::{self, FindingRow};

/// What a batch changed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Merged {
    /// Studies whose content changed.
    pub studies: usize,
    /// Findings that were added.
    pub findings: u64,
}

/// Where a record ended up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    /// The series' number.
    pub series: i64,
}

/// What a record replaces: the input that it came from gave this instance earlier.
#[derive(Clone, Debug)]
pub(super) struct Earlier {
    pub series: i64,
    pub sop: String,
}

/// One record with what its input gave before.
pub(super) struct Arrival {
    pub record: Record,
    pub earlier: Option<Earlier>,
}

struct PatientNow {
    row: PatientRow,
    attributes: Attributes,
    is_new: bool,
    is_changed: bool,
}

struct SeriesNow {
    row: SeriesRow,
    stored: Option<SeriesRow>,
    study_attributes: Attributes,
    attributes: Attributes,
    /// `None` until a record with an instance touches the series.
    instances: Option<Vec<Instance>>,
    by_uid: HashMap<Uid, usize>,
    is_repacked: bool,
}

struct StudyNow {
    row: StudyRow,
    attributes: Attributes,
    is_new: bool,
    is_changed: bool,
    series: Vec<SeriesNow>,
    findings: HashMap<(String, String), (String, i64)>,
}

/// Everything that one batch touches.
pub(super) struct Batch<'a> {
    context: &'a Context,
    pseudonym_key: &'a [u8],
    source: i64,
    now: i64,
    patients: HashMap<PatientKey, PatientNow>,
    studies: HashMap<Uid, StudyNow>,
    new_keys: Vec<(i64, i64)>,
    removed_keys: Vec<(i64, i64)>,
    emptied: Vec<i64>,
    next: Numbers,
}

/// Numbers that the batch may hand out, taken from the store's counters in one step each.
#[derive(Default)]
struct Numbers {
    patient: i64,
    study: i64,
    series: i64,
}

fn conflict(what: &str) -> diesel::result::Error {
    diesel::result::Error::SerializationError(what.to_owned().into())
}

fn to_json(attributes: &Attributes) -> QueryResult<String> {
    serde_json::to_string(attributes).map_err(|failure| conflict(&failure.to_string()))
}

impl<'a> Batch<'a> {
    /// Loads what the store knows of everything that the records touch.
    pub(super) fn load(
        db: &mut Db,
        context: &'a Context,
        pseudonym_key: &'a [u8],
        source: i64,
        now: i64,
        arrivals: &[Arrival],
        also: &[Uid],
    ) -> QueryResult<Self> {
        let mut batch = Self {
            context,
            pseudonym_key,
            source,
            now,
            patients: HashMap::new(),
            studies: HashMap::new(),
            new_keys: Vec::new(),
            removed_keys: Vec::new(),
            emptied: Vec::new(),
            next: Numbers::default(),
        };
        let mut uids: Vec<&str> =
            arrivals.iter().map(|arrival| arrival.record.study_uid.as_str()).collect();
        uids.extend(also.iter().map(Uid::as_str));
        uids.sort_unstable();
        uids.dedup();
        let mut studies = archive::find_studies(db, &uids)?;
        // Studies that lose an instance because its file now holds another one.
        let earlier: Vec<i64> = arrivals
            .iter()
            .filter_map(|arrival| arrival.earlier.as_ref())
            .map(|earlier| earlier.series)
            .collect();
        if !earlier.is_empty() {
            let known: HashSet<i64> = studies.iter().map(|row| row.number).collect();
            let mut more = crate::store::read::studies_of_series(db, &earlier)?;
            more.retain(|number| !known.contains(number));
            more.sort_unstable();
            more.dedup();
            studies.append(&mut archive::list_studies(db, &more)?);
        }
        for (row, series) in crate::store::read::list_aggregates(db, studies)? {
            let attributes = crate::store::read::attributes(&row.attributes, "study", row.number)?;
            let series = series
                .into_iter()
                .map(|stored| SeriesNow::of(stored, &attributes))
                .collect::<QueryResult<Vec<_>>>()?;
            let uid = Uid::parse_lenient(&row.uid).map_err(|e| conflict(&e.to_string()))?;
            batch.studies.insert(
                uid,
                StudyNow {
                    row,
                    attributes,
                    is_new: false,
                    is_changed: false,
                    series,
                    findings: HashMap::new(),
                },
            );
        }
        let mut ids: Vec<&str> =
            arrivals.iter().map(|arrival| arrival.record.patient_key.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        for row in archive::find_patients(db, &ids)? {
            let key = PatientKey { issuer: row.issuer.clone(), id: row.id.clone() };
            let attributes =
                crate::store::read::attributes(&row.attributes, "patient", row.number)?;
            batch
                .patients
                .insert(key, PatientNow { row, attributes, is_new: false, is_changed: false });
        }
        batch.load_instances(db, arrivals)?;
        batch.take_numbers(db, arrivals)?;
        Ok(batch)
    }

    /// Unpacks the instances of every stored series that gets or loses one.
    fn load_instances(&mut self, db: &mut Db, arrivals: &[Arrival]) -> QueryResult<()> {
        let mut touched: HashSet<(Uid, Uid)> = HashSet::new();
        let mut numbers: HashSet<i64> = HashSet::new();
        for arrival in arrivals {
            if arrival.record.instance.is_some() {
                touched
                    .insert((arrival.record.study_uid.clone(), arrival.record.series_uid.clone()));
            }
            if let Some(earlier) = &arrival.earlier {
                numbers.insert(earlier.series);
            }
        }
        let mut wanted = Vec::new();
        for (uid, study) in &self.studies {
            for series in &study.series {
                let is_touched = numbers.contains(&series.row.number)
                    || Uid::parse_lenient(&series.row.uid)
                        .is_ok_and(|series| touched.contains(&(uid.clone(), series)));
                if is_touched {
                    wanted.push(series.row.number);
                }
            }
        }
        self.unpack(db, &wanted)
    }

    /// Unpacks the instances of every loaded series.
    pub(super) fn load_all_instances(&mut self, db: &mut Db) -> QueryResult<()> {
        let numbers: Vec<i64> = self
            .studies
            .values()
            .flat_map(|study| &study.series)
            .filter(|series| series.instances.is_none())
            .map(|series| series.row.number)
            .collect();
        self.unpack(db, &numbers)
    }

    fn unpack(&mut self, db: &mut Db, numbers: &[i64]) -> QueryResult<()> {
        let mut packed: HashMap<i64, Vec<u8>> =
            archive::list_packed(db, numbers)?.into_iter().collect();
        for series in self.studies.values_mut().flat_map(|study| &mut study.series) {
            if let Some(packed) = packed.remove(&series.row.number) {
                let instances = Instance::unpack(&packed).map_err(|failure| {
                    conflict(&format!("series {}: {failure}", series.row.number))
                })?;
                series.set_instances(instances);
            }
        }
        Ok(())
    }

    fn take_numbers(&mut self, db: &mut Db, arrivals: &[Arrival]) -> QueryResult<()> {
        let mut patients: HashSet<&PatientKey> = HashSet::new();
        let mut studies: HashSet<&Uid> = HashSet::new();
        let mut series: HashSet<(&Uid, &Uid)> = HashSet::new();
        for Arrival { record, .. } in arrivals {
            if !self.patients.contains_key(&record.patient_key) {
                patients.insert(&record.patient_key);
            }
            match self.studies.get(&record.study_uid) {
                None => {
                    studies.insert(&record.study_uid);
                    series.insert((&record.study_uid, &record.series_uid));
                }
                Some(study) => {
                    if study.find(&record.series_uid).is_none() {
                        series.insert((&record.study_uid, &record.series_uid));
                    }
                }
            }
        }
        let mut taken = |name: &str, count: usize| {
            if count == 0 { Ok(0) } else { changes::take(db, name, count) }
        };
        self.next = Numbers {
            patient: taken("patient", patients.len())?,
            study: taken("study", studies.len())?,
            series: taken("series", series.len())?,
        };
        Ok(())
    }

    /// Merges one record; tells which series it belongs to.
    pub(super) fn merge(&mut self, arrival: Arrival) -> QueryResult<Placed> {
        let Arrival { record, earlier } = arrival;
        if let Some(earlier) = &earlier {
            let same = record
                .instance
                .as_ref()
                .is_some_and(|instance| instance.uid.as_str() == earlier.sop);
            if !same {
                self.remove_instance(earlier);
            }
        }
        let patient = self.merge_patient(&record);
        self.merge_study(record, patient, earlier.is_some())
    }

    fn merge_patient(&mut self, record: &Record) -> i64 {
        let now = self.now;
        let key = self.pseudonym_key;
        let next = &mut self.next.patient;
        // The latest study describes the person; ties go to the study's own rank.
        let date = record.study.first("StudyDate").and_then(|d| d.parse::<u32>().ok()).unwrap_or(0);
        let rank = format!("{:08}{}", 99_999_999_u32.saturating_sub(date), record.rank().to_key());
        let entry = self.patients.entry(record.patient_key.clone()).or_insert_with(|| {
            let number = *next;
            *next += 1;
            let name = [record.patient_key.issuer.as_str(), record.patient_key.id.as_str()];
            PatientNow {
                row: PatientRow {
                    number,
                    issuer: record.patient_key.issuer.clone(),
                    id: record.patient_key.id.clone(),
                    care_id: public_id(None, "Patient", &name),
                    research_id: public_id(Some(key), "Patient", &name),
                    attributes: String::new(),
                    rank: rank.clone(),
                    version: 0,
                    updated: now,
                    deleted: false,
                },
                attributes: record.patient.clone(),
                is_new: true,
                is_changed: true,
            }
        });
        if entry.row.deleted {
            entry.row.deleted = false;
            entry.is_changed = true;
        }
        if !entry.is_new || entry.row.rank != rank {
            let is_better = rank < entry.row.rank;
            let is_same_place = rank == entry.row.rank;
            if (is_better || is_same_place) && entry.attributes != record.patient {
                entry.attributes = record.patient.clone();
                entry.is_changed = true;
            }
            if is_better {
                entry.row.rank = rank;
                entry.is_changed = true;
            }
        }
        entry.row.number
    }

    fn merge_study(
        &mut self,
        record: Record,
        patient: i64,
        is_replacement: bool,
    ) -> QueryResult<Placed> {
        let rank = record.rank().to_key();
        let (source, now, key) = (self.source, self.now, self.pseudonym_key);
        let next = &mut self.next;
        let study = self.studies.entry(record.study_uid.clone()).or_insert_with(|| {
            let number = next.study;
            next.study += 1;
            StudyNow {
                row: StudyRow {
                    number,
                    uid: record.study_uid.as_str().to_owned(),
                    patient,
                    source,
                    collection: record.collection.clone(),
                    care_id: public_id(None, "ImagingStudy", &[record.study_uid.as_str()]),
                    research_id: public_id(Some(key), "ImagingStudy", &[record.study_uid.as_str()]),
                    attributes: String::new(),
                    rank: rank.clone(),
                    version: 0,
                    updated: now,
                    deleted: false,
                },
                attributes: record.study.clone(),
                is_new: true,
                is_changed: true,
                series: Vec::new(),
                findings: HashMap::new(),
            }
        });
        if study.row.deleted {
            // The same study came back.
            study.row.deleted = false;
            study.row.rank.clone_from(&rank);
            study.row.patient = patient;
            study.attributes = record.study.clone();
            study.is_changed = true;
        }
        let mut news: Vec<Finding> = Vec::new();
        if study.row.patient != patient {
            news.push(Finding::new("patient-changed", "PatientID", ""));
        }
        if study.attributes.first("StudyDate") != record.study.first("StudyDate") {
            let found = record.study.first("StudyDate").unwrap_or("");
            news.push(Finding::new("study-dates", "StudyDate", found));
        }
        if rank < study.row.rank {
            study.row.rank.clone_from(&rank);
            study.row.patient = patient;
            study.row.collection.clone_from(&record.collection);
            if study.attributes != record.study {
                study.attributes = record.study.clone();
            }
            study.is_changed = true;
        } else if rank == study.row.rank
            && (study.attributes != record.study || study.row.collection != record.collection)
        {
            study.attributes = record.study.clone();
            study.row.collection.clone_from(&record.collection);
            study.is_changed = true;
        }
        let at = match study.find(&record.series_uid) {
            Some(at) => at,
            None => {
                let number = next.series;
                next.series += 1;
                study.series.push(SeriesNow::new(
                    number,
                    study.row.number,
                    patient,
                    &record,
                    &rank,
                ));
                study.is_changed = true;
                study.series.len() - 1
            }
        };
        let series = &mut study.series[at];
        let is_first_of_series = series.stored.is_none() && series.row.images == 0;
        let outcome = series.merge(&record, &rank, patient, is_replacement)?;
        news.extend(outcome.findings);
        if outcome.is_added {
            if let Some(instance) = &record.instance {
                self.new_keys.push((uid_hash(instance.uid.as_str()), series.row.number));
            }
            news.extend(record.findings);
        }
        if outcome.is_changed {
            study.is_changed = true;
        }
        if is_first_of_series {
            news.extend(mapping::findings(
                self.context,
                &record.patient,
                &record.study,
                &record.series,
            ));
        }
        let placed = Placed { series: series.row.number };
        for finding in news {
            let entry = study
                .findings
                .entry((finding.code.into_owned(), finding.attribute.into_owned()))
                .or_insert((finding.value, 0));
            entry.1 += 1;
        }
        Ok(placed)
    }

    /// Removes one instance that its input no longer holds.
    pub(super) fn remove_instance(&mut self, earlier: &Earlier) {
        for study in self.studies.values_mut() {
            for series in &mut study.series {
                if series.row.number == earlier.series
                    && Uid::parse_lenient(&earlier.sop).is_ok_and(|uid| series.remove(&uid))
                {
                    study.is_changed = true;
                    self.removed_keys.push((uid_hash(&earlier.sop), series.row.number));
                }
            }
        }
    }

    /// Keeps of a study only the instances that its source says it has now.
    pub(super) fn retain(&mut self, db: &mut Db, uid: &Uid, now: &[Uid]) -> QueryResult<()> {
        let numbers: Vec<i64> = match self.studies.get(uid) {
            None => return Ok(()),
            Some(study) => study
                .series
                .iter()
                .filter(|series| series.instances.is_none())
                .map(|series| series.row.number)
                .collect(),
        };
        self.unpack(db, &numbers)?;
        let keep: HashSet<&Uid> = now.iter().collect();
        let Some(study) = self.studies.get_mut(uid) else { return Ok(()) };
        for series in &mut study.series {
            let gone: Vec<Uid> =
                series.by_uid.keys().filter(|instance| !keep.contains(instance)).cloned().collect();
            for instance in gone {
                series.remove(&instance);
                study.is_changed = true;
                self.removed_keys.push((uid_hash(instance.as_str()), series.row.number));
            }
        }
        Ok(())
    }

    /// Writes what changed; everything in the caller's transaction.
    pub(super) fn put(mut self, db: &mut Db) -> QueryResult<Merged> {
        self.drop_repeated_elsewhere(db)?;
        let mut feed: Vec<(Kind, i64)> = Vec::new();
        let merged = self.put_patients_and_studies(db, &mut feed)?;
        for (hash, series) in &self.removed_keys {
            archive::remove_instance_key(db, *hash, *series)?;
        }
        archive::put_instance_keys(db, &self.new_keys)?;
        archive::remove_series(db, &self.emptied)?;
        changes::put_changes(db, &feed)?;
        Ok(merged)
    }

    /// An instance that another series already holds stays there: the first is kept.
    fn drop_repeated_elsewhere(&mut self, db: &mut Db) -> QueryResult<()> {
        let hashes: Vec<i64> = self.new_keys.iter().map(|(hash, _)| *hash).collect();
        let known = archive::find_instance_keys(db, &hashes)?;
        let mut holders: HashMap<i64, Vec<i64>> = HashMap::new();
        for (hash, series) in known {
            if !self.removed_keys.contains(&(hash, series)) {
                holders.entry(hash).or_default().push(series);
            }
        }
        // Twice within the batch counts too.
        let mut first: HashMap<i64, i64> = HashMap::new();
        for (hash, series) in &self.new_keys {
            let kept = *first.entry(*hash).or_insert(*series);
            if kept != *series {
                holders.entry(*hash).or_default().push(kept);
            }
        }
        if holders.is_empty() {
            return Ok(());
        }
        let mut numbers: Vec<i64> = holders.values().flatten().copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut elsewhere: HashMap<i64, HashMap<Uid, u64>> = HashMap::new();
        for (number, packed) in archive::list_packed(db, &numbers)? {
            let instances =
                Instance::unpack(&packed).map_err(|failure| conflict(&failure.to_string()))?;
            elsewhere.insert(number, instances.into_iter().map(|i| (i.uid, i.digest)).collect());
        }
        for series in self.studies.values().flat_map(|study| &study.series) {
            if numbers.contains(&series.row.number) {
                let now = series.instances.iter().flatten().map(|i| (i.uid.clone(), i.digest));
                elsewhere.insert(series.row.number, now.collect());
            }
        }
        let mut dropped: HashSet<(i64, i64)> = HashSet::new();
        for (hash, series) in &self.new_keys {
            for holder in holders.get(hash).into_iter().flatten().filter(|n| *n != series) {
                if dropped.contains(&(*hash, *holder)) {
                    continue;
                }
                let Some(known) = elsewhere.get(holder) else { continue };
                for study in self.studies.values_mut() {
                    let Some(mine) = study.series.iter_mut().find(|s| s.row.number == *series)
                    else {
                        continue;
                    };
                    let Some(instance) = mine
                        .instances
                        .iter()
                        .flatten()
                        .find(|i| uid_hash(i.uid.as_str()) == *hash && known.contains_key(&i.uid))
                        .cloned()
                    else {
                        continue;
                    };
                    mine.remove(&instance.uid);
                    dropped.insert((*hash, *series));
                    let same = known.get(&instance.uid) == Some(&instance.digest);
                    let code = if same { "sop-instance-repeated" } else { "sop-instance-differs" };
                    let place = (code.to_owned(), "SOPInstanceUID".to_owned());
                    study.findings.entry(place).or_insert((instance.uid.to_string(), 0)).1 += 1;
                }
            }
        }
        self.new_keys.retain(|key| !dropped.contains(key));
        Ok(())
    }

    fn put_patients_and_studies(
        &mut self,
        db: &mut Db,
        feed: &mut Vec<(Kind, i64)>,
    ) -> QueryResult<Merged> {
        let mut merged = Merged::default();
        let mut new_patients = Vec::new();
        let mut new_lookups = Vec::new();
        let mut patients: Vec<&mut PatientNow> =
            self.patients.values_mut().filter(|patient| patient.is_changed).collect();
        patients.sort_by_key(|patient| patient.row.number);
        for patient in patients {
            let row = &mut patient.row;
            row.attributes = to_json(&patient.attributes)?;
            row.version += 1;
            row.updated = self.now;
            feed.push((Kind::Patient, row.number));
            let key = PatientKey { issuer: row.issuer.clone(), id: row.id.clone() };
            let values = lookup::patient_lookups(&key, &patient.attributes);
            if patient.is_new {
                new_lookups
                    .extend(values.into_iter().map(|(kind, value)| (kind, value, row.number)));
                new_patients.push(row.clone());
            } else {
                archive::put_patient(db, row)?;
                archive::put_lookups(db, crate::imaging::Lookup::OF_PATIENT, row.number, &values)?;
            }
        }
        archive::put_new_patients(db, &new_patients)?;

        let mut new_studies = Vec::new();
        let mut new_series = Vec::new();
        let mut packed = Vec::new();
        let mut new_findings = Vec::new();
        let mut more_findings = Vec::new();
        let mut studies: Vec<&mut StudyNow> = self.studies.values_mut().collect();
        studies.sort_by_key(|study| study.row.number);
        for study in studies.iter_mut().filter(|study| study.is_changed) {
            study.settle();
            for series in study.series.iter_mut().filter(|series| series.row.images > 0) {
                series.prepare(&study.attributes)?;
            }
        }
        reserve_images(db, &mut studies)?;
        for study in studies {
            let number = study.row.number;
            for ((code, attribute), (value, count)) in study.findings.drain() {
                merged.findings += count.unsigned_abs();
                let row = FindingRow { study: number, code, attribute, value, count };
                if study.is_new { new_findings.push(row) } else { more_findings.push(row) }
            }
            if !study.is_changed {
                continue;
            }
            merged.studies += 1;
            feed.push((Kind::Study, number));
            study.row.attributes = to_json(&study.attributes)?;
            study.row.version += 1;
            study.row.updated = self.now;
            for series in &mut study.series {
                if series.row.images == 0 {
                    if series.stored.is_some() {
                        self.emptied.push(series.row.number);
                    }
                    continue;
                }
                match &series.stored {
                    None => new_series.push(series.row.clone()),
                    Some(stored) if *stored != series.row => archive::put_series(db, &series.row)?,
                    Some(_) => {}
                }
                if series.is_repacked {
                    let bytes = series.instances.as_deref().map(Instance::pack);
                    packed.push(PackedRow { series: series.row.number, packed: bytes });
                }
            }
            if study.series.iter().all(|series| series.row.images == 0) {
                study.row.deleted = true;
            }
            let values = lookup::study_lookups(&study.attributes);
            if study.is_new {
                new_lookups.extend(values.into_iter().map(|(kind, value)| (kind, value, number)));
                new_studies.push(study.row.clone());
            } else {
                archive::put_study(db, &study.row)?;
                archive::put_lookups(db, crate::imaging::Lookup::OF_STUDY, number, &values)?;
            }
        }
        archive::put_new_studies(db, &new_studies)?;
        archive::put_new_series(db, &new_series)?;
        for row in &packed {
            archive::put_packed(db, row)?;
        }
        archive::put_new_lookups(db, &new_lookups)?;
        findings::put_new_findings(db, &new_findings)?;
        findings::add_findings(db, &more_findings)?;
        Ok(merged)
    }
}

impl StudyNow {
    fn find(&self, uid: &Uid) -> Option<usize> {
        self.series.iter().position(|series| series.row.uid == uid.as_str())
    }

    /// After instances went, the study is described by what is left.
    fn settle(&mut self) {
        let best = self
            .series
            .iter()
            .filter(|s| s.row.images > 0)
            .min_by(|a, b| a.row.rank.cmp(&b.row.rank));
        if let Some(best) = best
            && best.row.rank != self.row.rank
        {
            self.row.rank.clone_from(&best.row.rank);
            self.row.patient = best.row.patient;
            self.attributes = best.study_attributes.clone();
        }
    }
}

/// What merging a record into its series did.
struct Outcome {
    is_added: bool,
    is_changed: bool,
    findings: Vec<Finding>,
}

impl SeriesNow {
    fn of(stored: SeriesRow, study: &Attributes) -> QueryResult<Self> {
        Ok(Self {
            attributes: crate::store::read::attributes(
                &stored.attributes,
                "series",
                stored.number,
            )?,
            study_attributes: match &stored.study_attributes {
                None => study.clone(),
                Some(text) => crate::store::read::attributes(text, "series", stored.number)?,
            },
            row: stored.clone(),
            stored: Some(stored),
            instances: None,
            by_uid: HashMap::new(),
            is_repacked: false,
        })
    }

    fn new(number: i64, study: i64, patient: i64, record: &Record, rank: &str) -> Self {
        Self {
            row: SeriesRow {
                number,
                study,
                uid: record.series_uid.as_str().to_owned(),
                patient,
                attributes: String::new(),
                study_attributes: None,
                rank: rank.to_owned(),
                images: 0,
                bytes: 0,
                first_image: 0,
                image_block: 0,
                sop_classes: String::new(),
                licence: record.licence.clone(),
                source_doi: record.source_doi.clone(),
            },
            stored: None,
            study_attributes: record.study.clone(),
            attributes: record.series.clone(),
            instances: None,
            by_uid: HashMap::new(),
            is_repacked: false,
        }
    }

    fn set_instances(&mut self, instances: Vec<Instance>) {
        self.by_uid =
            instances.iter().enumerate().map(|(at, instance)| (instance.uid.clone(), at)).collect();
        self.instances = Some(instances);
    }

    fn merge(
        &mut self,
        record: &Record,
        rank: &str,
        patient: i64,
        is_replacement: bool,
    ) -> QueryResult<Outcome> {
        let mut outcome = Outcome { is_added: false, is_changed: false, findings: Vec::new() };
        if rank < self.row.rank.as_str() || rank == self.row.rank {
            let describes = self.attributes_of(record);
            if self.attributes != describes
                || self.study_attributes != record.study
                || self.row.patient != patient
                || self.row.rank != rank
                || self.row.licence != record.licence
                || self.row.source_doi != record.source_doi
            {
                self.attributes = describes;
                self.study_attributes = record.study.clone();
                self.row.patient = patient;
                rank.clone_into(&mut self.row.rank);
                self.row.licence.clone_from(&record.licence);
                self.row.source_doi.clone_from(&record.source_doi);
                outcome.is_changed = true;
            }
        }
        let Some(instance) = &record.instance else {
            return self.merge_count(record, outcome);
        };
        let instances = self.instances.get_or_insert_with(Vec::new);
        match self.by_uid.get(&instance.uid) {
            None => {
                self.by_uid.insert(instance.uid.clone(), instances.len());
                instances.push(instance.clone());
                self.row.images = count(instances.len())?;
                self.row.bytes = self.row.bytes.saturating_add_unsigned(instance.bytes);
                self.is_repacked = true;
                outcome.is_added = true;
                outcome.is_changed = true;
            }
            Some(at) if instances[*at] == *instance => {
                if !is_replacement {
                    outcome.findings.push(Finding::new(
                        "sop-instance-repeated",
                        "SOPInstanceUID",
                        instance.uid.as_str(),
                    ));
                }
            }
            Some(at) if is_replacement => {
                let bytes = i64::try_from(instances[*at].bytes).unwrap_or(0);
                self.row.bytes =
                    self.row.bytes.saturating_sub(bytes).saturating_add_unsigned(instance.bytes);
                instances[*at] = instance.clone();
                self.is_repacked = true;
                outcome.is_changed = true;
            }
            Some(at) => {
                let same = instances[*at].digest == instance.digest;
                let code = if same { "sop-instance-repeated" } else { "sop-instance-differs" };
                outcome.findings.push(Finding::new(code, "SOPInstanceUID", instance.uid.as_str()));
            }
        }
        Ok(outcome)
    }

    /// A row that knows the series only by its count.
    fn merge_count(&mut self, record: &Record, mut outcome: Outcome) -> QueryResult<Outcome> {
        let images = i32::try_from(record.count).map_err(|_| conflict("too many instances"))?;
        let bytes = i64::try_from(record.bytes).unwrap_or(i64::MAX);
        let classes = joined(record.sop_classes.iter());
        if self.instances.is_none()
            && (self.row.images != images
                || self.row.bytes != bytes
                || self.row.sop_classes != classes)
        {
            outcome.is_added = self.row.images == 0;
            outcome.is_changed = true;
            self.row.images = images;
            self.row.bytes = bytes;
            self.row.sop_classes = classes;
        }
        Ok(outcome)
    }

    fn attributes_of(&self, record: &Record) -> Attributes {
        let mut attributes = record.series.clone();
        // Kept from earlier instances; `prepare` decides it anew when instances change.
        if let (Some(side), Ok(keyword)) =
            (self.attributes.first("ImageLaterality"), Keyword::parse("ImageLaterality"))
        {
            attributes.set(keyword, side);
        }
        attributes
    }

    fn remove(&mut self, uid: &Uid) -> bool {
        let Some(at) = self.by_uid.remove(uid) else { return false };
        let Some(instances) = &mut self.instances else { return false };
        let gone = instances.swap_remove(at);
        if let Some(moved) = instances.get(at) {
            self.by_uid.insert(moved.uid.clone(), at);
        }
        self.row.images = i32::try_from(instances.len()).unwrap_or(i32::MAX);
        self.row.bytes =
            self.row.bytes.saturating_sub(i64::try_from(gone.bytes).unwrap_or(0)).max(0);
        self.is_repacked = true;
        true
    }

    /// Derives what the row holds from the instances.
    fn prepare(&mut self, study: &Attributes) -> QueryResult<()> {
        if self.is_repacked
            && let Some(instances) = &mut self.instances
        {
            instances.sort_by(|a, b| {
                let number = |i: &Instance| i.number.unwrap_or(u32::MAX);
                number(a).cmp(&number(b)).then_with(|| a.uid.cmp(&b.uid))
            });
            let mut classes: Vec<&Uid> = instances.iter().map(|i| &i.sop_class).collect();
            classes.sort_unstable();
            classes.dedup();
            self.row.sop_classes = joined(classes.into_iter());
            let sides: HashSet<Laterality> =
                instances.iter().filter_map(|i| i.laterality).collect();
            if let Ok(keyword) = Keyword::parse("ImageLaterality") {
                // Laterality of a series only where all its images agree (PS3.3 C.7.3.1, C.8.3.1).
                match (sides.len(), sides.iter().next()) {
                    (1, Some(side)) => self.attributes.set(keyword, side.code()),
                    _ => self.attributes.remove(keyword),
                }
            }
            let instances = std::mem::take(instances);
            self.set_instances(instances);
        }
        self.row.attributes = to_json(&self.attributes)?;
        self.row.study_attributes = if self.study_attributes == *study {
            None
        } else {
            Some(to_json(&self.study_attributes)?)
        };
        Ok(())
    }

    /// The block of image numbers that the series needs, if the one it has is too small. A
    /// block that grows doubles, so that a series moves a logarithmic number of times.
    fn wanted_block(&self) -> Option<i32> {
        (self.row.image_block < self.row.images)
            .then(|| self.row.images.max(self.row.image_block.saturating_mul(2)))
    }
}

/// Hands out contiguous image numbers to the series that need them, in one step for the batch.
fn reserve_images(db: &mut Db, studies: &mut [&mut StudyNow]) -> QueryResult<()> {
    let mut total = 0_usize;
    for study in studies.iter().filter(|study| study.is_changed) {
        for block in study.series.iter().filter_map(SeriesNow::wanted_block) {
            total += usize::try_from(block).map_err(|_| conflict("negative count"))?;
        }
    }
    if total == 0 {
        return Ok(());
    }
    let mut next = changes::take(db, "image", total)?;
    for study in studies.iter_mut().filter(|study| study.is_changed) {
        for series in &mut study.series {
            if let Some(block) = series.wanted_block() {
                series.row.first_image = next;
                series.row.image_block = block;
                next += i64::from(block);
            }
        }
    }
    Ok(())
}

fn joined<'u>(uids: impl Iterator<Item = &'u Uid>) -> String {
    uids.map(Uid::as_str).collect::<Vec<_>>().join(",")
}

fn count(length: usize) -> QueryResult<i32> {
    i32::try_from(length).map_err(|_| conflict("too many instances"))
}

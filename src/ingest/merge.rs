//! Merges one batch of records into what the store knows.
//!
//! The result does not depend on the order in which the instances of a study arrive: which
//! instance describes its series, and which series its study, is decided by
//! [`Rank`](crate::imaging::Rank), and findings about a series or a study are derived from what
//! describes it. Only of two inputs that are the same SOP instance the first stays.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use crate::imaging::{
    Attributes, Finding, Instance, Keyword, Laterality, PatientKey, Record, Uid, public_id,
    uid_hash,
};
use crate::mapping::{self, Context, lookup};
use crate::store::archive::{self, PackedRow, PatientRow, SeriesRow, StudyRow};
use crate::store::changes::{self, Kind};
use crate::store::findings::{self, FindingRow};
use crate::store::{Db, QueryResult, conflict};

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
    /// What the same input gave before.
    pub earlier: Option<Earlier>,
    /// Whether that goes when the input no longer gives it: no other input gives it too.
    pub is_sole: bool,
    /// Whether the record is a part of an input that is read as a whole (a served study, a
    /// table): what an earlier reading gave is replaced, not repeated.
    pub is_part: bool,
}

struct PatientNow {
    row: PatientRow,
    attributes: Attributes,
    is_new: bool,
    /// Whether what is known of the patient changed.
    is_changed: bool,
    /// Whether the row changed otherwise: where its description comes from.
    is_moved: bool,
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
    /// The attributes as they were loaded.
    before: Attributes,
    is_new: bool,
    is_changed: bool,
    /// Whether an instance went.
    is_cut: bool,
    series: Vec<SeriesNow>,
    /// What the batch adds to the counts of findings, by code and attribute, with an example.
    findings: HashMap<(Cow<'static, str>, Cow<'static, str>), (String, i64)>,
    /// Whether instances of one series disagree about the patient, and about the date.
    mixed: [bool; 2],
}

/// Everything that one batch touches.
pub(super) struct Batch<'a> {
    context: &'a Context,
    pseudonym_key: &'a [u8],
    source: i64,
    now: i64,
    patients: HashMap<PatientKey, PatientNow>,
    studies: HashMap<Uid, StudyNow>,
    /// Parts that were merged, to tell a repetition from a second reading.
    arrived: HashSet<(i64, Uid)>,
    /// Keys of instances that parts gave: they moved if another series of the study holds them.
    moved: HashSet<(i64, i64)>,
    new_keys: BTreeSet<(i64, i64)>,
    removed_keys: BTreeSet<(i64, i64)>,
    emptied: Vec<i64>,
    /// Findings of studies that are not loaded.
    said_elsewhere: Vec<FindingRow>,
    next: Numbers,
}

/// Numbers that the batch may hand out, taken from the store's counters in one step each.
#[derive(Default)]
struct Numbers {
    patient: i64,
    study: i64,
    series: i64,
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
            arrived: HashSet::new(),
            moved: HashSet::new(),
            new_keys: BTreeSet::new(),
            removed_keys: BTreeSet::new(),
            emptied: Vec::new(),
            said_elsewhere: Vec::new(),
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
                    before: attributes.clone(),
                    attributes,
                    is_new: false,
                    is_changed: false,
                    is_cut: false,
                    series,
                    findings: HashMap::new(),
                    mixed: [false; 2],
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
            batch.patients.insert(key, PatientNow::known(row, attributes));
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
            // A row that knows only a count too: it must not cut a series that has instances.
            touched.insert((arrival.record.study_uid.clone(), arrival.record.series_uid.clone()));
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
        let Arrival { record, earlier, is_sole, is_part } = arrival;
        let uid = record.instance.as_ref().map(|instance| instance.uid.clone());
        let target = self.studies.get(&record.study_uid).and_then(|study| {
            let series = study.series.get(study.find(&record.series_uid)?)?;
            Some((series.row.number, uid.as_ref().is_some_and(|uid| series.holds(uid))))
        });
        let mut is_replacement = false;
        if let Some(earlier) = &earlier {
            let is_same = uid.as_ref().is_some_and(|uid| uid.as_str() == earlier.sop);
            is_replacement = is_same && target.is_some_and(|target| target.0 == earlier.series);
            // An instance that changed its series moves; one that its file lost goes.
            if !is_replacement && (is_same || is_sole) {
                self.remove_instance(earlier);
            }
        }
        if let (Some((number, true)), Some(uid)) = (target, &uid) {
            if is_part && !self.arrived.contains(&(number, uid.clone())) {
                is_replacement = true;
            }
            if !is_replacement {
                return Ok(self.repeat(&record, number));
            }
        }
        let rank = record.rank().to_key();
        let patient = self.merge_patient(&record, &rank, is_replacement);
        let placed = self.merge_study(record, &rank, patient, is_replacement)?;
        if is_part && let Some(uid) = uid {
            self.moved.insert((uid_hash(uid.as_str()), placed.series));
            self.arrived.insert((placed.series, uid));
        }
        Ok(placed)
    }

    /// A second input that is an instance which the series holds: the first stays.
    fn repeat(&mut self, record: &Record, number: i64) -> Placed {
        if let Some(study) = self.studies.get_mut(&record.study_uid)
            && let Some(instance) = &record.instance
        {
            let held = study
                .series
                .iter()
                .find(|series| series.row.number == number)
                .and_then(|series| series.instance(&instance.uid));
            let same = held.is_some_and(|held| held.digest == instance.digest);
            let code = if same { "sop-instance-repeated" } else { "sop-instance-differs" };
            study.say(Finding::new(code, "SOPInstanceUID", instance.uid.as_str()), 1);
        }
        Placed { series: number }
    }

    fn merge_patient(&mut self, record: &Record, rank: &str, is_replacement: bool) -> i64 {
        let now = self.now;
        let key = self.pseudonym_key;
        let next = &mut self.next.patient;
        // The latest study describes the person; ties go to the study's own rank.
        let date = record.study.first("StudyDate").and_then(|d| d.parse::<u32>().ok()).unwrap_or(0);
        let rank = format!("{:08}{rank}", 99_999_999_u32.saturating_sub(date));
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
                is_moved: false,
            }
        });
        if entry.row.deleted {
            entry.row.deleted = false;
            NOBODY.clone_into(&mut entry.row.rank);
            entry.is_changed = true;
        }
        if rank <= entry.row.rank || (is_replacement && describes(&entry.row.rank, record)) {
            if entry.attributes != record.patient {
                entry.attributes = record.patient.clone();
                entry.is_changed = true;
            }
            if entry.row.rank != rank {
                entry.row.rank = rank;
                entry.is_moved = true;
            }
        }
        entry.row.number
    }

    fn merge_study(
        &mut self,
        record: Record,
        rank: &str,
        patient: i64,
        is_replacement: bool,
    ) -> QueryResult<Placed> {
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
                    rank: rank.to_owned(),
                    version: 0,
                    updated: now,
                    deleted: false,
                },
                attributes: record.study.clone(),
                before: record.study.clone(),
                is_new: true,
                is_changed: true,
                is_cut: false,
                series: Vec::new(),
                findings: HashMap::new(),
                mixed: [false; 2],
            }
        });
        if study.row.deleted {
            // The same study came back, perhaps from elsewhere.
            study.row.deleted = false;
            study.row.source = source;
            NOBODY.clone_into(&mut study.row.rank);
            study.is_changed = true;
        }
        if rank <= study.row.rank.as_str()
            || (is_replacement && describes(&study.row.rank, &record))
        {
            let is_same = study.row.rank == rank
                && study.row.patient == patient
                && study.row.collection == record.collection
                && study.attributes == record.study;
            if !is_same {
                rank.clone_into(&mut study.row.rank);
                study.row.patient = patient;
                study.row.collection.clone_from(&record.collection);
                study.attributes = record.study.clone();
                study.is_changed = true;
            }
        }
        let at = match study.find(&record.series_uid) {
            Some(at) => at,
            None => {
                let number = next.series;
                next.series += 1;
                study.series.push(SeriesNow::new(number, study.row.number, patient, &record, rank));
                study.is_changed = true;
                study.series.len() - 1
            }
        };
        let series = &mut study.series[at];
        let is_first_of_series = series.stored.is_none() && series.row.images == 0;
        study.mixed[0] |= series.row.patient != patient;
        study.mixed[1] |= date_of(&series.study_attributes) != date_of(&record.study);
        let outcome = series.merge(&record, rank, patient, is_replacement)?;
        let placed = Placed { series: series.row.number };
        if let Some(instance) = record.instance.as_ref().filter(|_| outcome.is_added) {
            let key = (uid_hash(instance.uid.as_str()), placed.series);
            // Taken away before in this batch: then the key is there already.
            if !self.removed_keys.remove(&key) {
                self.new_keys.insert(key);
            }
        }
        study.is_changed |= outcome.is_changed;
        if outcome.is_added || (is_replacement && outcome.is_changed) {
            let mut own = record.findings;
            if !own.is_empty() {
                // What the attributes tell anyway is said of the series, and once.
                let told =
                    mapping::findings(self.context, &record.patient, &record.study, &record.series);
                own.retain(|finding| told.iter().all(|other| other.code != finding.code));
            }
            own.into_iter().for_each(|finding| study.say(finding, 1));
        }
        if is_first_of_series {
            let nothing = Attributes::new();
            mapping::findings(self.context, &record.patient, &nothing, &nothing)
                .into_iter()
                .filter(|finding| finding.attribute.starts_with("Patient"))
                .for_each(|finding| study.say(finding, 1));
        }
        Ok(placed)
    }

    /// Removes one instance that its input no longer holds.
    pub(super) fn remove_instance(&mut self, earlier: &Earlier) {
        let Ok(uid) = Uid::parse_lenient(&earlier.sop) else { return };
        for study in self.studies.values_mut() {
            let Some(at) = study.series.iter().position(|s| s.row.number == earlier.series) else {
                continue;
            };
            if let Some(key) = study.remove(at, &uid) {
                forget(&mut self.new_keys, &mut self.removed_keys, key);
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
        for at in 0..study.series.len() {
            let gone: Vec<Uid> = study
                .series
                .get(at)
                .map(|series| series.by_uid.keys().filter(|uid| !keep.contains(uid)))
                .into_iter()
                .flatten()
                .cloned()
                .collect();
            for uid in gone {
                if let Some(key) = study.remove(at, &uid) {
                    forget(&mut self.new_keys, &mut self.removed_keys, key);
                }
            }
        }
        Ok(())
    }

    /// Writes what changed; everything in the caller's transaction.
    pub(super) fn put(mut self, db: &mut Db) -> QueryResult<Merged> {
        self.drop_repeated_elsewhere(db)?;
        self.settle_patients(db)?;
        let mut feed: Vec<(Kind, i64)> = Vec::new();
        let merged = self.put_patients_and_studies(db, &mut feed)?;
        for (hash, series) in &self.removed_keys {
            archive::remove_instance_key(db, *hash, *series)?;
        }
        let keys: Vec<(i64, i64)> = self.new_keys.iter().copied().collect();
        archive::put_instance_keys(db, &keys)?;
        archive::remove_series(db, &self.emptied)?;
        changes::put_changes(db, &feed)?;
        Ok(merged)
    }

    /// An instance that another series already holds stays there: the first is kept. Only when a
    /// source served a whole study anew, the instance follows the study's new order.
    fn drop_repeated_elsewhere(&mut self, db: &mut Db) -> QueryResult<()> {
        let hashes: Vec<i64> = self.new_keys.iter().map(|(hash, _)| *hash).collect();
        let mut holders: HashMap<i64, Vec<i64>> = HashMap::new();
        for (hash, series) in archive::find_instance_keys(db, &hashes)? {
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
        self.unpack_missing(db, &numbers)?;
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
        for (hash, series) in self.new_keys.clone() {
            for holder in holders.get(&hash).into_iter().flatten().filter(|n| **n != series) {
                if dropped.contains(&(hash, *holder)) {
                    continue;
                }
                let Some(known) = elsewhere.get(holder) else { continue };
                let Some((study, at)) = place(&mut self.studies, series) else { continue };
                let held = study.series.get(at).and_then(|mine| mine.instances.as_ref());
                let same_uid =
                    |i: &&Instance| uid_hash(i.uid.as_str()) == hash && known.contains_key(&i.uid);
                let Some(instance) = held.into_iter().flatten().find(same_uid).cloned() else {
                    continue;
                };
                let uid = instance.uid;
                let from = study.series.iter().position(|other| other.row.number == *holder);
                if let Some(from) = from
                    && self.moved.contains(&(hash, series))
                    && !self.arrived.contains(&(*holder, uid.clone()))
                {
                    if let Some(key) = study.remove(from, &uid) {
                        forget(&mut self.new_keys, &mut self.removed_keys, key);
                    }
                    continue;
                }
                study.remove(at, &uid);
                dropped.insert((hash, series));
                let same = known.get(&uid) == Some(&instance.digest);
                let code = if same { "sop-instance-repeated" } else { "sop-instance-differs" };
                let finding = Finding::new(code, "SOPInstanceUID", uid.as_str());
                if study.is_there() {
                    study.say(finding, 1);
                } else if let Some((study, _)) = place(&mut self.studies, *holder) {
                    // Nothing is left of the study that gave it: said of the one that holds it.
                    study.say(finding, 1);
                } else {
                    let of = crate::store::read::studies_of_series(db, &[*holder])?;
                    self.said_elsewhere.extend(of.into_iter().map(|study| row(study, &finding, 1)));
                }
            }
        }
        self.new_keys.retain(|key| !dropped.contains(key));
        Ok(())
    }

    /// Unpacks those of the series that are loaded without their instances.
    fn unpack_missing(&mut self, db: &mut Db, numbers: &[i64]) -> QueryResult<()> {
        let missing: Vec<i64> = self
            .studies
            .values()
            .flat_map(|study| &study.series)
            .filter(|series| series.instances.is_none() && numbers.contains(&series.row.number))
            .map(|series| series.row.number)
            .collect();
        self.unpack(db, &missing)
    }

    /// A patient is in the store as long as a series names it.
    fn settle_patients(&mut self, db: &mut Db) -> QueryResult<()> {
        let mut named: HashSet<i64> = HashSet::new();
        let mut loaded: HashSet<i64> = HashSet::new();
        let mut doubtful: BTreeSet<i64> = BTreeSet::new();
        for series in self.studies.values().flat_map(|study| &study.series) {
            loaded.insert(series.row.number);
            if series.row.images > 0 {
                named.insert(series.row.patient);
            }
            if let Some(stored) = &series.stored
                && (stored.patient != series.row.patient || series.row.images == 0)
            {
                doubtful.insert(stored.patient);
            }
        }
        let touched =
            self.patients.values().filter(|p| p.is_changed || p.is_moved).map(|p| p.row.number);
        doubtful.extend(touched);
        doubtful.retain(|number| !named.contains(number));
        if doubtful.is_empty() {
            return Ok(());
        }
        let asked: Vec<i64> = doubtful.iter().copied().collect();
        for (patient, series) in archive::list_series_of_patients(db, &asked)? {
            if !loaded.contains(&series) {
                doubtful.remove(&patient);
            }
        }
        let known: HashSet<i64> = self.patients.values().map(|p| p.row.number).collect();
        let missing: Vec<i64> =
            doubtful.difference(&known.into_iter().collect()).copied().collect();
        for row in archive::list_patients(db, &missing)? {
            let key = PatientKey { issuer: row.issuer.clone(), id: row.id.clone() };
            let attributes =
                crate::store::read::attributes(&row.attributes, "patient", row.number)?;
            self.patients.insert(key, PatientNow::known(row, attributes));
        }
        for patient in self.patients.values_mut() {
            if doubtful.contains(&patient.row.number) && !patient.row.deleted {
                patient.row.deleted = true;
                patient.is_changed = true;
            }
        }
        self.patients.retain(|_, patient| !(patient.is_new && patient.row.deleted));
        Ok(())
    }

    fn put_patients_and_studies(
        &mut self,
        db: &mut Db,
        feed: &mut Vec<(Kind, i64)>,
    ) -> QueryResult<Merged> {
        let mut merged = Merged::default();
        let mut new_lookups = Vec::new();
        self.put_patients(db, feed, &mut new_lookups)?;

        let mut studies: Vec<&mut StudyNow> = self.studies.values_mut().collect();
        studies.sort_by_key(|study| study.row.number);
        for study in studies.iter_mut().filter(|study| study.is_changed) {
            study.settle();
            for series in study.series.iter_mut().filter(|series| series.row.images > 0) {
                series.prepare(&study.attributes)?;
            }
        }
        reserve_images(db, &mut studies)?;
        self.derive_findings(db)?;

        let mut new_studies = Vec::new();
        let mut new_series = Vec::new();
        let mut packed = Vec::new();
        let mut new_findings = Vec::new();
        let mut more_findings = std::mem::take(&mut self.said_elsewhere);
        let mut studies: Vec<&mut StudyNow> = self.studies.values_mut().collect();
        studies.sort_by_key(|study| study.row.number);
        for study in studies {
            let number = study.row.number;
            let is_there = study.is_there();
            if study.is_new && !is_there {
                // All that it had is held by another study.
                continue;
            }
            for ((code, attribute), (value, count)) in study.findings.drain() {
                merged.findings += u64::try_from(count).unwrap_or(0);
                if count == 0 || !is_there {
                    continue;
                }
                let (code, attribute) = (code.into_owned(), attribute.into_owned());
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
            study.row.deleted = !is_there;
            let values =
                if is_there { lookup::study_lookups(&study.attributes) } else { Vec::new() };
            if study.is_new {
                new_lookups.extend(values.into_iter().map(|(kind, value)| (kind, value, number)));
                new_studies.push(study.row.clone());
            } else {
                archive::put_study(db, &study.row)?;
                archive::put_lookups(db, crate::imaging::Lookup::OF_STUDY, number, &values)?;
                if !is_there {
                    findings::remove_findings(db, number)?;
                }
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

    fn put_patients(
        &mut self,
        db: &mut Db,
        feed: &mut Vec<(Kind, i64)>,
        new_lookups: &mut Vec<(i16, String, i64)>,
    ) -> QueryResult<()> {
        let mut new_patients = Vec::new();
        let mut patients: Vec<&mut PatientNow> =
            self.patients.values_mut().filter(|p| p.is_changed || p.is_moved).collect();
        patients.sort_by_key(|patient| patient.row.number);
        for patient in patients {
            let row = &mut patient.row;
            if !patient.is_changed {
                archive::put_patient(db, row)?;
                continue;
            }
            row.attributes = to_json(&patient.attributes)?;
            row.version += 1;
            row.updated = self.now;
            feed.push((Kind::Patient, row.number));
            let key = PatientKey { issuer: row.issuer.clone(), id: row.id.clone() };
            let values = if row.deleted {
                Vec::new()
            } else {
                lookup::patient_lookups(&key, &patient.attributes)
            };
            if patient.is_new {
                new_lookups
                    .extend(values.into_iter().map(|(kind, value)| (kind, value, row.number)));
                new_patients.push(row.clone());
            } else {
                archive::put_patient(db, row)?;
                archive::put_lookups(db, crate::imaging::Lookup::OF_PATIENT, row.number, &values)?;
            }
        }
        archive::put_new_patients(db, &new_patients)
    }

    /// What follows from the rows as they are now, whatever the order in which they came.
    fn derive_findings(&mut self, db: &mut Db) -> QueryResult<()> {
        self.same_series_elsewhere(db)?;
        let twins = self.twins(db)?;
        let numbers: Vec<i64> = self
            .studies
            .values()
            .filter(|study| study.is_changed && !study.is_new)
            .map(|study| study.row.number)
            .collect();
        let known: HashMap<(i64, String), i64> =
            findings::list_counts(db, &numbers, &[PATIENTS, DATES, ISSUERS])?.into_iter().collect();
        for study in self.studies.values_mut().filter(|study| study.is_changed) {
            let known = |code: &str| known.get(&(study.row.number, code.to_owned())).copied();
            let known = [PATIENTS, DATES, ISSUERS].map(|code| known(code).unwrap_or(0));
            study.derive(self.context, known, twins.contains(&study.row.patient))?;
        }
        Ok(())
    }

    /// One SeriesInstanceUID in two studies: said of both, once for each pair.
    fn same_series_elsewhere(&mut self, db: &mut Db) -> QueryResult<()> {
        let mut new: Vec<(i64, String, i64)> = Vec::new();
        for study in self.studies.values() {
            let added = study.series.iter().filter(|s| s.stored.is_none() && s.row.images > 0);
            new.extend(added.map(|s| (s.row.number, s.row.uid.clone(), study.row.number)));
        }
        new.sort_unstable();
        let uids: Vec<&str> = new.iter().map(|(_, uid, _)| uid.as_str()).collect();
        let mut places: HashMap<String, Vec<i64>> = HashMap::new();
        for (uid, study) in archive::find_series(db, &uids)? {
            places.entry(uid).or_default().push(study);
        }
        let mut pairs: Vec<(i64, i64, String)> = Vec::new();
        for (_, uid, study) in new {
            let known = places.entry(uid.clone()).or_default();
            pairs.extend(known.iter().map(|other| (study, *other, uid.clone())));
            known.push(study);
        }
        for (one, other, uid) in pairs {
            let finding = Finding::new("study-of-series-changed", "SeriesInstanceUID", &uid);
            for number in [one, other] {
                match self.studies.values_mut().find(|study| study.row.number == number) {
                    Some(study) => study.say(finding.clone(), 1),
                    None => self.said_elsewhere.push(row(number, &finding, 1)),
                }
            }
        }
        Ok(())
    }

    /// Patients of this batch whose identifier is known under another issuer too. The studies of
    /// those that were alone until now are told.
    fn twins(&mut self, db: &mut Db) -> QueryResult<HashSet<i64>> {
        let mut by_id: HashMap<&str, Vec<&PatientNow>> = HashMap::new();
        for (key, patient) in self.patients.iter().filter(|(_, patient)| !patient.row.deleted) {
            by_id.entry(&key.id).or_default().push(patient);
        }
        let mut twins = HashSet::new();
        let mut told = Vec::new();
        for patients in by_id.values().filter(|patients| patients.len() > 1) {
            twins.extend(patients.iter().map(|patient| patient.row.number));
            let old: Vec<i64> =
                patients.iter().filter(|p| !p.is_new).map(|p| p.row.number).collect();
            // Two old ones told each other's studies when the second came.
            if let ([only], true) = (old.as_slice(), patients.len() > old.len()) {
                told.push(*only);
            }
        }
        let finding = Finding::new(ISSUERS, "PatientID", "");
        for number in crate::store::read::list_studies_of_patients(db, &told)? {
            if !self.studies.values().any(|s| s.row.number == number && s.is_changed) {
                self.said_elsewhere.push(row(number, &finding, 1));
            }
        }
        Ok(twins)
    }
}

/// Findings that are derived from a study as a whole.
const PATIENTS: &str = "patient-changed";
const DATES: &str = "study-dates";
const ISSUERS: &str = "patient-issuers";

/// The rank of a description whose instance is gone: behind every other.
const NOBODY: &str = "~";

fn row(study: i64, finding: &Finding, count: i64) -> FindingRow {
    FindingRow {
        study,
        code: finding.code.clone().into_owned(),
        attribute: finding.attribute.clone().into_owned(),
        value: finding.value.clone(),
        count,
    }
}

/// Whether a stored rank ([`crate::imaging::Rank::to_key`]) is the record's instance.
fn describes(rank: &str, record: &Record) -> bool {
    record.instance.as_ref().is_some_and(|instance| is_describer(rank, &instance.uid))
}

fn is_describer(rank: &str, uid: &Uid) -> bool {
    rank.rsplit_once('/')
        .and_then(|(_, tail)| tail.split_once('.'))
        .is_some_and(|(_, instance)| instance == uid.as_str())
}

fn date_of(study: &Attributes) -> Option<&str> {
    study.first("StudyDate")
}

/// An instance goes: its key need not be written, or is removed.
fn forget(new: &mut BTreeSet<(i64, i64)>, removed: &mut BTreeSet<(i64, i64)>, key: (i64, i64)) {
    if !new.remove(&key) {
        removed.insert(key);
    }
}

/// The study that has the series, and the series' place in it.
fn place(studies: &mut HashMap<Uid, StudyNow>, series: i64) -> Option<(&mut StudyNow, usize)> {
    studies.values_mut().find_map(|study| {
        let at = study.series.iter().position(|s| s.row.number == series)?;
        Some((study, at))
    })
}

impl PatientNow {
    const fn known(row: PatientRow, attributes: Attributes) -> Self {
        Self { row, attributes, is_new: false, is_changed: false, is_moved: false }
    }
}

impl StudyNow {
    fn find(&self, uid: &Uid) -> Option<usize> {
        self.series.iter().position(|series| series.row.uid == uid.as_str())
    }

    fn is_there(&self) -> bool {
        self.series.iter().any(|series| series.row.images > 0)
    }

    /// Adds to the count of a finding.
    fn say(&mut self, finding: Finding, count: i64) {
        let entry = self
            .findings
            .entry((finding.code, finding.attribute))
            .or_insert_with(|| (finding.value, 0));
        entry.1 += count;
    }

    /// Removes an instance of the series at that place; its key, if it was there.
    fn remove(&mut self, at: usize, uid: &Uid) -> Option<(i64, i64)> {
        let series = self.series.get_mut(at)?;
        if !series.remove(uid) {
            return None;
        }
        self.is_changed = true;
        self.is_cut = true;
        Some((uid_hash(uid.as_str()), series.row.number))
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

    /// The findings that describe the study as it is now instead of as it was: what is odd in
    /// the descriptions of its series, and where they disagree.
    fn derive(&mut self, context: &Context, known: [i64; 3], is_twin: bool) -> QueryResult<()> {
        let nobody = Attributes::new();
        let mut news: Vec<(Finding, i64)> = Vec::new();
        let mut disagree = [0_i64; 2];
        let mut example = String::new();
        for series in &self.series {
            let is_there = series.row.images > 0;
            if let Some(stored) = &series.stored {
                let study = match &stored.study_attributes {
                    None => Cow::Borrowed(&self.before),
                    Some(text) => {
                        Cow::Owned(crate::store::read::attributes(text, "series", stored.number)?)
                    }
                };
                let is_same = is_there
                    && stored.attributes == series.row.attributes
                    && *study == series.study_attributes;
                if !is_same {
                    let was = crate::store::read::attributes(
                        &stored.attributes,
                        "series",
                        stored.number,
                    )?;
                    let old = mapping::findings(context, &nobody, &study, &was);
                    news.extend(old.into_iter().map(|finding| (finding, -1)));
                }
                if is_there && !is_same {
                    let new = mapping::findings(
                        context,
                        &nobody,
                        &series.study_attributes,
                        &series.attributes,
                    );
                    news.extend(new.into_iter().map(|finding| (finding, 1)));
                }
            } else if is_there {
                let new = mapping::findings(
                    context,
                    &nobody,
                    &series.study_attributes,
                    &series.attributes,
                );
                news.extend(new.into_iter().map(|finding| (finding, 1)));
            }
            if is_there {
                disagree[0] += i64::from(series.row.patient != self.row.patient);
                let date = date_of(&series.study_attributes);
                if date != date_of(&self.attributes) {
                    disagree[1] += 1;
                    date.unwrap_or("").clone_into(&mut example);
                }
            }
        }
        // Within a series only the presence is known, not how many: said once, until the
        // study loses an instance, which may have been the one.
        let now = |at: usize, known: i64| {
            let seen = self.mixed[at] || (known > 0 && !self.is_cut);
            disagree[at].max(i64::from(seen)) - known
        };
        news.push((Finding::new(PATIENTS, "PatientID", ""), now(0, known[0])));
        news.push((Finding::new(DATES, "StudyDate", &example), now(1, known[1])));
        if is_twin {
            news.push((Finding::new(ISSUERS, "PatientID", ""), 1 - known[2]));
        }
        for (finding, count) in news.into_iter().filter(|(_, count)| *count != 0) {
            self.say(finding, count);
        }
        Ok(())
    }
}

/// What merging a record into its series did.
struct Outcome {
    is_added: bool,
    is_changed: bool,
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
        let mut outcome = Outcome { is_added: false, is_changed: false };
        // A series that this record made is described by it already.
        let is_fresh = self.stored.is_none() && self.row.images == 0 && self.row.rank == rank;
        let is_better =
            rank <= self.row.rank.as_str() || (is_replacement && describes(&self.row.rank, record));
        if is_better && !is_fresh {
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
        if self.instances.is_none() {
            // Until now only counted: what is named replaces what was counted.
            self.row.bytes = 0;
        }
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
            Some(at) => {
                let held = &mut instances[*at];
                if held != instance {
                    let bytes = i64::try_from(held.bytes).unwrap_or(0);
                    self.row.bytes = self
                        .row
                        .bytes
                        .saturating_sub(bytes)
                        .saturating_add_unsigned(instance.bytes);
                    *held = instance.clone();
                    self.is_repacked = true;
                    outcome.is_changed = true;
                }
            }
        }
        Ok(outcome)
    }

    fn holds(&self, uid: &Uid) -> bool {
        self.by_uid.contains_key(uid)
    }

    fn instance(&self, uid: &Uid) -> Option<&Instance> {
        self.instances.as_ref()?.get(*self.by_uid.get(uid)?)
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
        if is_describer(&self.row.rank, uid) {
            // Its description stands until another instance of the series is read.
            NOBODY.clone_into(&mut self.row.rank);
        }
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

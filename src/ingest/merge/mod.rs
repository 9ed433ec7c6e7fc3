//! Merges one batch of records into what the store knows.
//!
//! The result does not depend on the order in which the instances of a study arrive: which
//! instance describes its series, and which series its study, is decided by
//! [`Rank`](crate::imaging::Rank), and findings about a series or a study are derived from what
//! describes it. Only of two inputs that are the same SOP instance the first stays.

mod persons;
mod put;
mod report;
mod series;
mod study;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};

use crate::imaging::{
    Attributes, Finding, IdSpace, Instance, Keyword, Laterality, PatientKey, Record, Uid,
    public_id, uid_hash,
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
    /// Whether a series says something else of who its patient is: nothing that a reader of the
    /// study sees.
    is_retold: bool,
    /// Whether an instance went.
    is_cut: bool,
    series: Vec<SeriesNow>,
    /// What the batch adds to the counts of findings, by code and attribute, with an example.
    findings: HashMap<(Cow<'static, str>, Cow<'static, str>), (String, i64)>,
    /// Whether instances of one series disagree about the patient, the date, and the modality.
    mixed: [bool; 3],
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
    /// What the batch gave for instances that came or changed.
    reports: HashMap<Uid, report::ReportNow>,
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
            reports: HashMap::new(),
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
                    is_retold: false,
                    is_cut: false,
                    series,
                    findings: HashMap::new(),
                    mixed: [false; 3],
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
                    care_id: public_id(key, IdSpace::Care, "Patient", &name),
                    research_id: public_id(key, IdSpace::Research, "Patient", &name),
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
            let id = |space| public_id(key, space, "ImagingStudy", &[record.study_uid.as_str()]);
            next.study += 1;
            StudyNow {
                row: StudyRow {
                    number,
                    uid: record.study_uid.as_str().to_owned(),
                    patient,
                    source,
                    collection: record.collection.clone(),
                    care_id: id(IdSpace::Care),
                    research_id: id(IdSpace::Research),
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
                is_retold: false,
                is_cut: false,
                series: Vec::new(),
                findings: HashMap::new(),
                mixed: [false; 3],
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
                study.series.push(SeriesNow::new(
                    number,
                    study.row.number,
                    patient,
                    &record,
                    rank,
                )?);
                study.is_changed = true;
                study.series.len() - 1
            }
        };
        let series = &mut study.series[at];
        let is_first_of_series = series.stored.is_none() && series.row.images == 0;
        // What the record replaces cannot disagree with it.
        let is_alone = (is_replacement && series.row.images <= 1)
            || (record.instance.is_none() && series.row.rank == rank);
        if !is_alone {
            let modality = |bag: &Attributes| bag.first("Modality").map(str::to_owned);
            study.mixed[0] |= series.row.patient != patient;
            study.mixed[1] |= date_of(&series.study_attributes) != date_of(&record.study);
            study.mixed[2] |= modality(&series.attributes) != modality(&record.series);
        }
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
        study.is_retold |= outcome.is_retold;
        if outcome.is_added || is_replacement {
            self.reports.extend(report::ReportNow::of(&record, placed.series));
        }
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
}

/// Findings that are derived from a study as a whole.
const PATIENTS: &str = "patient-changed";
const DATES: &str = "study-dates";
const ISSUERS: &str = "patient-issuers";
const MODALITIES: &str = "series-modalities";
const BIRTHS: &str = "birth-date-odd";
/// All of them but `patient-differs`, which has rows by attribute ([`persons`]).
const DERIVED: [&str; 5] = [PATIENTS, DATES, ISSUERS, MODALITIES, BIRTHS];

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

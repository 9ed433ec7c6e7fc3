//! Studies and patients as values, for the edges.

use std::collections::HashMap;

use diesel::prelude::*;

use super::archive::{self, PatientRow, SeriesRow, StudyRow, of_any};
use super::schema::{lookup, patient, series, source, study};
use super::{Db, on_backend};
pub use crate::imaging::IdSpace;
use crate::imaging::{Attributes, Instance, Lookup, Patient, PatientKey, Series, Study, Uid};

fn damaged(what: &str, number: i64) -> diesel::result::Error {
    diesel::result::Error::DeserializationError(
        format!("{what} {number} is damaged in the store; restore a backup or ingest again").into(),
    )
}

pub(crate) fn attributes(text: &str, what: &str, number: i64) -> QueryResult<Attributes> {
    serde_json::from_str(text).map_err(|_| damaged(what, number))
}

impl PatientRow {
    /// The row as a value.
    ///
    /// # Errors
    /// When the stored attributes are damaged.
    pub fn to_patient(&self, ids: IdSpace) -> QueryResult<Patient> {
        Ok(Patient {
            number: self.number,
            key: PatientKey { issuer: self.issuer.clone(), id: self.id.clone() },
            attributes: attributes(&self.attributes, "patient", self.number)?,
            public_id: match ids {
                IdSpace::Care => self.care_id.clone(),
                IdSpace::Research => self.research_id.clone(),
            },
            version: self.version,
            updated: self.updated,
        })
    }
}

impl SeriesRow {
    /// Its SOP classes.
    #[must_use]
    pub fn sop_class_uids(&self) -> Vec<Uid> {
        self.sop_classes.split(',').filter_map(|uid| Uid::parse_lenient(uid).ok()).collect()
    }

    /// The row as a value, without instances.
    ///
    /// # Errors
    /// When the stored attributes are damaged.
    pub fn to_series(&self) -> QueryResult<Series> {
        Ok(Series {
            number: self.number,
            uid: Uid::parse_lenient(&self.uid).map_err(|_| damaged("series", self.number))?,
            attributes: attributes(&self.attributes, "series", self.number)?,
            images: u32::try_from(self.images).unwrap_or(0),
            bytes: u64::try_from(self.bytes).unwrap_or(0),
            sop_classes: self.sop_class_uids(),
            instances: Vec::new(),
        })
    }
}

/// Studies by number, in the order asked for; deleted and unknown ones are left out. With
/// `instances` each series carries its instances (none for a count-only series).
///
/// # Errors
/// When the database fails or a row is damaged.
pub fn load_studies(
    db: &mut Db,
    numbers: &[i64],
    ids: IdSpace,
    instances: bool,
) -> QueryResult<Vec<Study>> {
    let rows = archive::list_studies(db, numbers)?;
    let patients: Vec<i64> = rows.iter().map(|row| row.patient).collect();
    let patients: HashMap<i64, PatientRow> =
        archive::list_patients(db, &patients)?.into_iter().map(|row| (row.number, row)).collect();
    let mut of_study: HashMap<i64, Vec<Series>> = HashMap::new();
    let series_rows = archive::list_series(db, numbers)?;
    let mut packed: HashMap<i64, Vec<u8>> = if instances {
        let numbers: Vec<i64> = series_rows.iter().map(|row| row.number).collect();
        archive::list_packed(db, &numbers)?.into_iter().collect()
    } else {
        HashMap::new()
    };
    for row in &series_rows {
        let mut series = row.to_series()?;
        if let Some(packed) = packed.remove(&row.number) {
            series.instances =
                Instance::unpack(&packed).map_err(|_| damaged("series", row.number))?;
        }
        of_study.entry(row.study).or_default().push(series);
    }
    let sources: HashMap<i64, String> = on_backend!(db, |c| source::table
        .select((source::number, source::name))
        .load::<(i64, String)>(c))?
    .into_iter()
    .collect();
    let mut by_number: HashMap<i64, Study> = HashMap::new();
    for row in rows.into_iter().filter(|row| !row.deleted) {
        let Some(patient) = patients.get(&row.patient) else { continue };
        let mut series = of_study.remove(&row.number).unwrap_or_default();
        series.sort_by_cached_key(|series| {
            let number =
                series.attributes.first("SeriesNumber").and_then(|n| n.parse::<u32>().ok());
            (number.unwrap_or(u32::MAX), series.uid.clone())
        });
        let study = Study {
            number: row.number,
            uid: Uid::parse_lenient(&row.uid).map_err(|_| damaged("study", row.number))?,
            patient: patient.to_patient(ids)?,
            attributes: attributes(&row.attributes, "study", row.number)?,
            collection: row.collection,
            source: sources.get(&row.source).cloned().unwrap_or_default(),
            public_id: match ids {
                IdSpace::Care => row.care_id,
                IdSpace::Research => row.research_id,
            },
            version: row.version,
            updated: row.updated,
            series,
        };
        by_number.insert(row.number, study);
    }
    Ok(numbers.iter().filter_map(|number| by_number.remove(number)).collect())
}

/// Patients by number, in the order asked for; deleted and unknown ones are left out.
///
/// # Errors
/// When the database fails or a row is damaged.
pub fn load_patients(db: &mut Db, numbers: &[i64], ids: IdSpace) -> QueryResult<Vec<Patient>> {
    let mut by_number: HashMap<i64, Patient> = HashMap::new();
    for row in archive::list_patients(db, numbers)?.iter().filter(|row| !row.deleted) {
        by_number.insert(row.number, row.to_patient(ids)?);
    }
    Ok(numbers.iter().filter_map(|number| by_number.remove(number)).collect())
}

/// What stands behind a logical id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Found {
    /// The store's number.
    pub number: i64,
    /// Its version.
    pub version: i32,
    /// When it last changed, in microseconds since 1970-01-01T00:00:00Z.
    pub updated: i64,
    /// Whether it was deleted.
    pub is_deleted: bool,
}

type FoundRow = (i64, i32, i64, bool);

const fn found((number, version, updated, is_deleted): FoundRow) -> Found {
    Found { number, version, updated, is_deleted }
}

/// The studies with these logical ids.
///
/// # Errors
/// When the database fails.
pub fn find_studies_by_id(db: &mut Db, ids: IdSpace, of: &[&str]) -> QueryResult<Vec<Found>> {
    let columns = (study::number, study::version, study::updated, study::deleted);
    let rows: Vec<FoundRow> = match ids {
        IdSpace::Care => {
            of_any!(db, of, study::care_id, |is| study::table.filter(is).select(columns))?
        }
        IdSpace::Research => {
            of_any!(db, of, study::research_id, |is| study::table.filter(is).select(columns))?
        }
    };
    Ok(rows.into_iter().map(found).collect())
}

/// The patients with these logical ids.
///
/// # Errors
/// When the database fails.
pub fn find_patients_by_id(db: &mut Db, ids: IdSpace, of: &[&str]) -> QueryResult<Vec<Found>> {
    let columns = (patient::number, patient::version, patient::updated, patient::deleted);
    let rows: Vec<FoundRow> = match ids {
        IdSpace::Care => {
            of_any!(db, of, patient::care_id, |is| patient::table.filter(is).select(columns))?
        }
        IdSpace::Research => {
            of_any!(db, of, patient::research_id, |is| patient::table.filter(is).select(columns))?
        }
    };
    Ok(rows.into_iter().map(found).collect())
}

/// The logical ids of studies that were deleted after `since`, in the order of their numbers.
///
/// # Errors
/// When the database fails.
pub fn list_deleted_studies(db: &mut Db, since: i64, ids: IdSpace) -> QueryResult<Vec<String>> {
    let is_deleted = study::deleted.eq(true).and(study::updated.gt(since));
    match ids {
        IdSpace::Care => on_backend!(db, |c| study::table
            .filter(is_deleted)
            .order(study::number)
            .select(study::care_id)
            .load(c)),
        IdSpace::Research => on_backend!(db, |c| study::table
            .filter(is_deleted)
            .order(study::number)
            .select(study::research_id)
            .load(c)),
    }
}

/// The same of patients.
///
/// # Errors
/// When the database fails.
pub fn list_deleted_patients(db: &mut Db, since: i64, ids: IdSpace) -> QueryResult<Vec<String>> {
    let is_deleted = patient::deleted.eq(true).and(patient::updated.gt(since));
    match ids {
        IdSpace::Care => on_backend!(db, |c| patient::table
            .filter(is_deleted)
            .order(patient::number)
            .select(patient::care_id)
            .load(c)),
        IdSpace::Research => on_backend!(db, |c| patient::table
            .filter(is_deleted)
            .order(patient::number)
            .select(patient::research_id)
            .load(c)),
    }
}

/// Numbers and versions of studies: what a cache of rendered bytes is keyed by.
///
/// # Errors
/// When the database fails.
pub fn list_study_versions(db: &mut Db, numbers: &[i64]) -> QueryResult<Vec<Found>> {
    let columns = (study::number, study::version, study::updated, study::deleted);
    let rows: Vec<FoundRow> =
        of_any!(db, numbers, study::number, |is| study::table.filter(is).select(columns))?;
    Ok(rows.into_iter().map(found).collect())
}

/// The numbers of the studies with one of these StudyInstanceUIDs.
///
/// # Errors
/// When the database fails.
pub fn find_studies_by_uid(db: &mut Db, uids: &[&str]) -> QueryResult<Vec<i64>> {
    of_any!(db, uids, study::uid, |is| study::table
        .filter(is.and(study::deleted.eq(false)))
        .select(study::number))
}

/// The numbers of the studies with a series of one of these SeriesInstanceUIDs.
///
/// # Errors
/// When the database fails.
pub fn find_studies_by_series(db: &mut Db, uids: &[&str]) -> QueryResult<Vec<i64>> {
    of_any!(db, uids, series::uid, |is| series::table.filter(is).select(series::study))
}

/// The numbers of the studies with an instance of one of these SOPInstanceUIDs. Count-only
/// series are never found by instance.
///
/// # Errors
/// When the database fails or a row is damaged.
pub fn find_studies_by_instance(db: &mut Db, uids: &[&str]) -> QueryResult<Vec<i64>> {
    let hashes: Vec<i64> = uids.iter().map(|uid| crate::imaging::uid_hash(uid)).collect();
    let mut candidates: Vec<i64> =
        archive::find_instance_keys(db, &hashes)?.into_iter().map(|(_, series)| series).collect();
    candidates.sort_unstable();
    candidates.dedup();
    let mut holding = Vec::new();
    for (number, packed) in archive::list_packed(db, &candidates)? {
        let instances = Instance::unpack(&packed).map_err(|_| damaged("series", number))?;
        if instances.iter().any(|instance| uids.contains(&instance.uid.as_str())) {
            holding.push(number);
        }
    }
    of_any!(db, &holding, series::number, |is| series::table.filter(is).select(series::study))
}

/// How a looked-up value is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Compare {
    /// The same text.
    Equal,
    /// The stored text begins with it.
    Begins,
    /// The stored text contains it.
    Contains,
    /// The stored text is at least it (dates as `YYYYMMDD`).
    AtLeast,
    /// The stored text is below it.
    Below,
}

/// The numbers of patients or studies with a looked-up value: sorted, each once.
///
/// # Errors
/// When the database fails.
pub fn find_by_lookup(
    db: &mut Db,
    kind: Lookup,
    compare: Compare,
    value: &str,
) -> QueryResult<Vec<i64>> {
    let of_kind = lookup::kind.eq(kind.code());
    let mut numbers: Vec<i64> = match compare {
        Compare::Equal => on_backend!(db, |c| lookup::table
            .filter(of_kind.and(lookup::value.eq(value)))
            .select(lookup::number)
            .load(c)),
        Compare::Begins => {
            // The index is in byte order on both databases, so a prefix is a range.
            let end = format!("{value}\u{10FFFF}");
            on_backend!(db, |c| lookup::table
                .filter(of_kind.and(lookup::value.ge(value)).and(lookup::value.lt(&end)))
                .select(lookup::number)
                .load(c))
        }
        Compare::Contains => {
            let pattern =
                format!("%{}%", value.replace('!', "!!").replace('%', "!%").replace('_', "!_"));
            on_backend!(db, |c| lookup::table
                .filter(of_kind.and(lookup::value.like(&pattern).escape('!')))
                .select(lookup::number)
                .load(c))
        }
        Compare::AtLeast => on_backend!(db, |c| lookup::table
            .filter(of_kind.and(lookup::value.ge(value)))
            .select(lookup::number)
            .load(c)),
        Compare::Below => on_backend!(db, |c| lookup::table
            .filter(of_kind.and(lookup::value.lt(value)))
            .select(lookup::number)
            .load(c)),
    }?;
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

/// When each patient last changed, in microseconds since 1970-01-01T00:00:00Z.
///
/// # Errors
/// When the database fails.
pub fn list_patient_updates(db: &mut Db) -> QueryResult<Vec<(i64, i64)>> {
    on_backend!(db, |c| patient::table
        .filter(patient::deleted.eq(false))
        .select((patient::number, patient::updated))
        .load(c))
}

/// How many patients, studies, series and instances the store holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
#[allow(missing_docs, reason = "named by what they count")]
pub struct Totals {
    pub patients: i64,
    pub studies: i64,
    pub series: i64,
    pub images: i64,
}

/// Counts the store, row by row: the reference that views are verified against.
///
/// # Errors
/// When the database fails.
pub fn count_all(db: &mut Db) -> QueryResult<Totals> {
    use diesel::dsl::{count_star, sql};
    use diesel::sql_types::BigInt;
    on_backend!(db, |c| Ok(Totals {
        patients: patient::table
            .filter(patient::deleted.eq(false))
            .select(count_star())
            .first(c)?,
        studies: study::table.filter(study::deleted.eq(false)).select(count_star()).first(c)?,
        series: series::table.select(count_star()).first(c)?,
        images: series::table
            .select(sql::<BigInt>("CAST(COALESCE(SUM(images), 0) AS BIGINT)"))
            .first(c)?,
    }))
}

/// A study row together with its series rows: what the index reads.
pub type Aggregate = (StudyRow, Vec<SeriesRow>);

/// Studies by number with their series rows, deleted ones with none.
///
/// # Errors
/// When the database fails.
pub fn list_aggregates(db: &mut Db, studies: Vec<StudyRow>) -> QueryResult<Vec<Aggregate>> {
    let numbers: Vec<i64> = studies.iter().map(|row| row.number).collect();
    let mut of_study: HashMap<i64, Vec<SeriesRow>> = HashMap::new();
    for row in archive::list_series(db, &numbers)? {
        of_study.entry(row.study).or_default().push(row);
    }
    Ok(studies
        .into_iter()
        .map(|row| {
            let mut series = of_study.remove(&row.number).unwrap_or_default();
            series.sort_by_key(|series| series.number);
            (row, series)
        })
        .collect())
}

/// The studies that series belong to.
///
/// # Errors
/// When the database fails.
pub fn studies_of_series(db: &mut Db, numbers: &[i64]) -> QueryResult<Vec<i64>> {
    of_any!(db, numbers, series::number, |is| series::table.filter(is).select(series::study))
}

/// The studies of patients that are not deleted.
///
/// # Errors
/// When the database fails.
pub fn list_studies_of_patients(db: &mut Db, numbers: &[i64]) -> QueryResult<Vec<i64>> {
    of_any!(db, numbers, study::patient, |is| study::table
        .filter(is.and(study::deleted.eq(false)))
        .select(study::number))
}

/// Every patient that is not deleted.
///
/// # Errors
/// When the database fails.
pub fn list_patient_numbers(db: &mut Db) -> QueryResult<Vec<i64>> {
    on_backend!(db, |c| patient::table
        .filter(patient::deleted.eq(false))
        .order(patient::number)
        .select(patient::number)
        .load(c))
}

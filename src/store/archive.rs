//! Patients, studies, series and instances as rows: what ingest loads, merges and puts back.

use diesel::prelude::*;

use super::schema::{instance, lookup, patient, series, study};
use super::{CHUNK, Db, on_backend};

/// A row of `patient`.
#[derive(
    AsChangeset, Clone, Debug, Eq, Identifiable, Insertable, PartialEq, Queryable, Selectable,
)]
#[diesel(table_name = patient, primary_key(number))]
#[allow(missing_docs, reason = "the columns are those of the migration")]
pub struct PatientRow {
    pub number: i64,
    pub issuer: String,
    pub id: String,
    pub care_id: String,
    pub research_id: String,
    pub attributes: String,
    pub rank: String,
    pub version: i32,
    pub updated: i64,
    pub deleted: bool,
}

/// A row of `study`.
#[derive(
    AsChangeset, Clone, Debug, Eq, Identifiable, Insertable, PartialEq, Queryable, Selectable,
)]
#[diesel(table_name = study, primary_key(number), treat_none_as_null = true)]
#[diesel(treat_none_as_default_value = false)]
#[allow(missing_docs, reason = "the columns are those of the migration")]
pub struct StudyRow {
    pub number: i64,
    pub uid: String,
    pub patient: i64,
    pub source: i64,
    pub collection: Option<String>,
    pub care_id: String,
    pub research_id: String,
    pub attributes: String,
    pub rank: String,
    pub version: i32,
    pub updated: i64,
    pub deleted: bool,
}

/// A row of `series` without its instances.
#[derive(
    AsChangeset, Clone, Debug, Eq, Identifiable, Insertable, PartialEq, Queryable, Selectable,
)]
#[diesel(table_name = series, primary_key(number), treat_none_as_null = true)]
#[diesel(treat_none_as_default_value = false)]
#[allow(missing_docs, reason = "the columns are those of the migration")]
pub struct SeriesRow {
    pub number: i64,
    pub study: i64,
    pub uid: String,
    pub patient: i64,
    pub attributes: String,
    /// Study-level attributes as this series gave them; `NULL` where they are the study's.
    pub study_attributes: Option<String>,
    pub rank: String,
    pub images: i32,
    pub bytes: i64,
    /// First of the contiguous image numbers of this series.
    pub first_image: i64,
    /// How many image numbers are reserved for it.
    pub image_block: i32,
    /// SOP class UIDs, sorted, between commas.
    pub sop_classes: String,
    pub licence: Option<String>,
    pub source_doi: Option<String>,
}

/// Packed instances of a series, to be stored with its row.
#[derive(Clone, Debug)]
pub struct PackedRow {
    /// The series' number.
    pub series: i64,
    /// [`crate::imaging::Instance::pack`]; `None` for a count-only series.
    pub packed: Option<Vec<u8>>,
}

/// Patients by their identifiers within any issuer; the caller picks the issuer.
///
/// # Errors
/// When the database fails.
pub fn find_patients(db: &mut Db, ids: &[&str]) -> QueryResult<Vec<PatientRow>> {
    of_any!(db, ids, patient::id, |is| patient::table.filter(is).select(PatientRow::as_select()))
}

/// Patients by number.
///
/// # Errors
/// When the database fails.
pub fn list_patients(db: &mut Db, numbers: &[i64]) -> QueryResult<Vec<PatientRow>> {
    of_any!(db, numbers, patient::number, |is| patient::table
        .filter(is)
        .select(PatientRow::as_select()))
}

/// Studies by StudyInstanceUID, deleted ones too.
///
/// # Errors
/// When the database fails.
pub fn find_studies(db: &mut Db, uids: &[&str]) -> QueryResult<Vec<StudyRow>> {
    of_any!(db, uids, study::uid, |is| study::table.filter(is).select(StudyRow::as_select()))
}

/// Studies by number, deleted ones too.
///
/// # Errors
/// When the database fails.
pub fn list_studies(db: &mut Db, numbers: &[i64]) -> QueryResult<Vec<StudyRow>> {
    of_any!(db, numbers, study::number, |is| study::table.filter(is).select(StudyRow::as_select()))
}

/// Studies after `number`, in order, deleted ones too: for a rebuild.
///
/// # Errors
/// When the database fails.
pub fn scan_studies(db: &mut Db, number: i64, limit: i64) -> QueryResult<Vec<StudyRow>> {
    on_backend!(db, |c| study::table
        .filter(study::number.gt(number))
        .order(study::number)
        .limit(limit)
        .select(StudyRow::as_select())
        .load(c))
}

/// Patients after `number`, in order, deleted ones too.
///
/// # Errors
/// When the database fails.
pub fn scan_patients(db: &mut Db, number: i64, limit: i64) -> QueryResult<Vec<PatientRow>> {
    on_backend!(db, |c| patient::table
        .filter(patient::number.gt(number))
        .order(patient::number)
        .limit(limit)
        .select(PatientRow::as_select())
        .load(c))
}

/// The series of studies, without instances.
///
/// # Errors
/// When the database fails.
pub fn list_series(db: &mut Db, studies: &[i64]) -> QueryResult<Vec<SeriesRow>> {
    of_any!(db, studies, series::study, |is| series::table
        .filter(is)
        .select(SeriesRow::as_select()))
}

/// Where series with these SeriesInstanceUIDs are: `(uid, study)`.
///
/// # Errors
/// When the database fails.
pub fn find_series(db: &mut Db, uids: &[&str]) -> QueryResult<Vec<(String, i64)>> {
    of_any!(db, uids, series::uid, |is| series::table
        .filter(is)
        .select((series::uid, series::study)))
}

/// The series that name these patients: `(patient, series)`.
///
/// # Errors
/// When the database fails.
pub fn list_series_of_patients(db: &mut Db, numbers: &[i64]) -> QueryResult<Vec<(i64, i64)>> {
    of_any!(db, numbers, series::patient, |is| series::table
        .filter(is)
        .select((series::patient, series::number)))
}

/// The packed instances of series; count-only series are left out.
///
/// # Errors
/// When the database fails.
pub fn list_packed(db: &mut Db, numbers: &[i64]) -> QueryResult<Vec<(i64, Vec<u8>)>> {
    let rows: Vec<(i64, Option<Vec<u8>>)> =
        of_any!(db, numbers, series::number, |is| series::table
            .filter(is.and(series::instances.is_not_null()))
            .select((series::number, series::instances)))?;
    Ok(rows.into_iter().filter_map(|(number, packed)| Some((number, packed?))).collect())
}

/// The series of studies of which only the number of instances is known.
///
/// # Errors
/// When the database fails.
pub fn list_counted(db: &mut Db, studies: &[i64]) -> QueryResult<Vec<i64>> {
    of_any!(db, studies, series::study, |is| series::table
        .filter(is.and(series::instances.is_null()))
        .select(series::number))
}

/// Inserts patients.
///
/// # Errors
/// When one of them exists, or the database fails.
pub fn put_new_patients(db: &mut Db, rows: &[PatientRow]) -> QueryResult<()> {
    on_backend!(db, |c| {
        for rows in rows.chunks(CHUNK) {
            diesel::insert_into(patient::table).values(rows).execute(c)?;
        }
        Ok(())
    })
}

/// Replaces a patient's row.
///
/// # Errors
/// When the database fails.
pub fn put_patient(db: &mut Db, row: &PatientRow) -> QueryResult<()> {
    on_backend!(db, |c| diesel::update(patient::table.find(row.number)).set(row).execute(c))
        .map(drop)
}

/// Inserts studies.
///
/// # Errors
/// When one of them exists, or the database fails.
pub fn put_new_studies(db: &mut Db, rows: &[StudyRow]) -> QueryResult<()> {
    on_backend!(db, |c| {
        for rows in rows.chunks(CHUNK) {
            diesel::insert_into(study::table).values(rows).execute(c)?;
        }
        Ok(())
    })
}

/// Replaces a study's row.
///
/// # Errors
/// When the database fails.
pub fn put_study(db: &mut Db, row: &StudyRow) -> QueryResult<()> {
    on_backend!(db, |c| diesel::update(study::table.find(row.number)).set(row).execute(c)).map(drop)
}

/// Inserts series.
///
/// # Errors
/// When one of them exists, or the database fails.
pub fn put_new_series(db: &mut Db, rows: &[SeriesRow]) -> QueryResult<()> {
    on_backend!(db, |c| {
        for rows in rows.chunks(CHUNK) {
            diesel::insert_into(series::table).values(rows).execute(c)?;
        }
        Ok(())
    })
}

/// Replaces a series' row; its instances stay.
///
/// # Errors
/// When the database fails.
pub fn put_series(db: &mut Db, row: &SeriesRow) -> QueryResult<()> {
    on_backend!(db, |c| diesel::update(series::table.find(row.number)).set(row).execute(c))
        .map(drop)
}

/// Replaces the packed instances of a series.
///
/// # Errors
/// When the database fails.
pub fn put_packed(db: &mut Db, row: &PackedRow) -> QueryResult<()> {
    on_backend!(db, |c| diesel::update(series::table.find(row.series))
        .set(series::instances.eq(&row.packed))
        .execute(c))
    .map(drop)
}

/// Removes series with their instance keys.
///
/// # Errors
/// When the database fails.
pub fn remove_series(db: &mut Db, numbers: &[i64]) -> QueryResult<()> {
    on_backend!(db, |c| {
        for numbers in numbers.chunks(CHUNK) {
            diesel::delete(instance::table.filter(instance::series.eq_any(numbers))).execute(c)?;
            diesel::delete(series::table.filter(series::number.eq_any(numbers))).execute(c)?;
        }
        Ok(())
    })
}

/// Inserts keys by which an instance's series is found.
///
/// # Errors
/// When one of them exists, or the database fails.
pub fn put_instance_keys(db: &mut Db, keys: &[(i64, i64)]) -> QueryResult<()> {
    on_backend!(db, |c| {
        for keys in keys.chunks(2_000) {
            let rows: Vec<_> = keys
                .iter()
                .map(|(hash, series)| (instance::hash.eq(*hash), instance::series.eq(*series)))
                .collect();
            diesel::insert_into(instance::table).values(&rows).execute(c)?;
        }
        Ok(())
    })
}

/// Removes the key of one instance.
///
/// # Errors
/// When the database fails.
pub fn remove_instance_key(db: &mut Db, hash: i64, number: i64) -> QueryResult<()> {
    on_backend!(db, |c| diesel::delete(instance::table.find((hash, number))).execute(c)).map(drop)
}

/// The series that may hold instances with these hashes: `(hash, series)`.
///
/// # Errors
/// When the database fails.
pub fn find_instance_keys(db: &mut Db, hashes: &[i64]) -> QueryResult<Vec<(i64, i64)>> {
    of_any!(db, hashes, instance::hash, |is| instance::table.filter(is))
}

/// Replaces every value by which a patient or study is looked up.
///
/// # Errors
/// When the database fails.
pub fn put_lookups(
    db: &mut Db,
    kinds: &[i16],
    number: i64,
    values: &[(i16, String)],
) -> QueryResult<()> {
    on_backend!(db, |c| {
        diesel::delete(
            lookup::table.filter(lookup::number.eq(number).and(lookup::kind.eq_any(kinds))),
        )
        .execute(c)
    })?;
    let rows: Vec<_> = values.iter().map(|(kind, value)| (*kind, value.clone(), number)).collect();
    put_new_lookups(db, &rows)
}

/// Inserts values by which patients and studies that have none yet are looked up.
///
/// # Errors
/// When one of them exists, or the database fails.
pub fn put_new_lookups(db: &mut Db, rows: &[(i16, String, i64)]) -> QueryResult<()> {
    on_backend!(db, |c| {
        for rows in rows.chunks(1_000) {
            let rows: Vec<_> = rows
                .iter()
                .map(|(kind, value, number)| {
                    (lookup::kind.eq(*kind), lookup::value.eq(value), lookup::number.eq(*number))
                })
                .collect();
            diesel::insert_into(lookup::table).values(&rows).execute(c)?;
        }
        Ok(())
    })
}

/// Rows whose column has one of these values: `of_any!(db, values, column, |is| query)`, where
/// `is` stands for the condition. For a single value the statement has one shape, which the
/// connection keeps prepared; a list is prepared each time.
macro_rules! of_any {
    ($db:expr, $values:expr, $column:expr, |$is:ident| $query:expr) => {
        $crate::store::archive::chunked($values, |values| match values {
            [one] => {
                let $is = $column.eq(one);
                $crate::store::on_backend!($db, |c| $query.load(c))
            }
            several => {
                let $is = $column.eq_any(several);
                $crate::store::on_backend!($db, |c| $query.load(c))
            }
        })
    };
}
pub(super) use of_any;

/// Runs a query over chunks of a list of keys and joins the answers.
pub(super) fn chunked<K, T>(
    keys: &[K],
    mut query: impl FnMut(&[K]) -> QueryResult<Vec<T>>,
) -> QueryResult<Vec<T>> {
    let mut all = Vec::new();
    for keys in keys.chunks(CHUNK) {
        all.append(&mut query(keys)?);
    }
    Ok(all)
}

//! Reports: what structured reports, key object selections and encapsulated documents say.
//!
//! In: packed [`Report`]s from ingest, in the transaction of the instance that they belong to.
//! Out: rows, found by study, by SOP Instance UID, or by logical id. Absent: the bytes of
//! encapsulated documents, which stay in their file; [`Report::document`] says where.

use diesel::prelude::*;

use super::archive::chunked;
use super::read::{Found, IdSpace};
use super::schema::report;
use super::{CHUNK, Db, on_backend};
pub use crate::imaging::StoredReport;
use crate::imaging::{Report, Uid};

/// A row of `report`.
#[derive(
    AsChangeset, Clone, Debug, Eq, Identifiable, Insertable, PartialEq, Queryable, Selectable,
)]
#[diesel(table_name = report, primary_key(number), treat_none_as_null = true)]
#[diesel(treat_none_as_default_value = false)]
#[allow(missing_docs, reason = "the columns are those of the migration")]
pub struct ReportRow {
    pub number: i64,
    pub study: i64,
    pub series: i64,
    pub uid: String,
    pub sop_class: String,
    pub care_id: String,
    pub research_id: String,
    pub version: i32,
    pub updated: i64,
    pub deleted: bool,
    /// [`Report::pack`]; `None` of one that is gone.
    pub content: Option<Vec<u8>>,
}

impl ReportRow {
    /// The row as a value; `None` when it is gone.
    ///
    /// # Errors
    /// When the packed content is damaged.
    pub fn to_report(&self, ids: IdSpace) -> QueryResult<Option<StoredReport>> {
        let Some(content) = self.content.as_deref().filter(|_| !self.deleted) else {
            return Ok(None);
        };
        let report = Report::unpack(content).map_err(|_| {
            diesel::result::Error::DeserializationError(
                format!(
                    "report {} is damaged in the store; restore a backup or ingest again",
                    self.number
                )
                .into(),
            )
        })?;
        Ok(Some(StoredReport {
            number: self.number,
            study: self.study,
            series: self.series,
            public_id: match ids {
                IdSpace::Care => self.care_id.clone(),
                IdSpace::Research => self.research_id.clone(),
            },
            version: self.version,
            updated: self.updated,
            report,
        }))
    }
}

/// Reports by SOPInstanceUID, those that are gone too.
///
/// # Errors
/// When the database fails.
pub fn find_reports(db: &mut Db, uids: &[&str]) -> QueryResult<Vec<ReportRow>> {
    chunked(uids, |uids| {
        on_backend!(db, |c| report::table
            .filter(report::uid.eq_any(uids))
            .select(ReportRow::as_select())
            .load(c))
    })
}

/// The reports of series, those that are gone too.
///
/// # Errors
/// When the database fails.
pub fn list_reports_of_series(db: &mut Db, numbers: &[i64]) -> QueryResult<Vec<ReportRow>> {
    chunked(numbers, |numbers| {
        on_backend!(db, |c| report::table
            .filter(report::series.eq_any(numbers))
            .select(ReportRow::as_select())
            .load(c))
    })
}

/// The reports of studies, in the order of the studies and then of their numbers. The caller has
/// subtracted what the actor may not see from `studies`.
///
/// # Errors
/// When the database fails or a row is damaged.
pub fn load_reports(db: &mut Db, studies: &[i64], ids: IdSpace) -> QueryResult<Vec<StoredReport>> {
    let rows: Vec<ReportRow> = chunked(studies, |studies| {
        on_backend!(db, |c| report::table
            .filter(report::study.eq_any(studies).and(report::deleted.eq(false)))
            .select(ReportRow::as_select())
            .load(c))
    })?;
    let place: std::collections::HashMap<i64, usize> =
        studies.iter().enumerate().map(|(at, number)| (*number, at)).collect();
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        found.extend(row.to_report(ids)?);
    }
    found.sort_by_key(|found| (place.get(&found.study).copied(), found.number));
    Ok(found)
}

/// Where a report is: the number of its study, and what stands behind its id. Of one that is gone
/// too, so that an edge can say so.
///
/// # Errors
/// When the database fails.
pub fn find_reports_by_id(
    db: &mut Db,
    ids: IdSpace,
    of: &[&str],
) -> QueryResult<Vec<(i64, Found)>> {
    type Row = (i64, i64, i32, i64, bool);
    let columns =
        (report::study, report::number, report::version, report::updated, report::deleted);
    let rows: Vec<Row> = chunked(of, |of| match ids {
        IdSpace::Care => on_backend!(db, |c| report::table
            .filter(report::care_id.eq_any(of))
            .select(columns)
            .load(c)),
        IdSpace::Research => on_backend!(db, |c| report::table
            .filter(report::research_id.eq_any(of))
            .select(columns)
            .load(c)),
    })?;
    Ok(rows
        .into_iter()
        .map(|(study, number, version, updated, is_deleted)| {
            (study, Found { number, version, updated, is_deleted })
        })
        .collect())
}

/// Reports by number, in the order of their numbers; those that are gone are left out. The caller
/// has looked whether the actor may read their studies.
///
/// # Errors
/// When the database fails or a row is damaged.
pub fn load_reports_by_number(
    db: &mut Db,
    numbers: &[i64],
    ids: IdSpace,
) -> QueryResult<Vec<StoredReport>> {
    let rows: Vec<ReportRow> = chunked(numbers, |numbers| {
        on_backend!(db, |c| report::table
            .filter(report::number.eq_any(numbers).and(report::deleted.eq(false)))
            .select(ReportRow::as_select())
            .load(c))
    })?;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        found.extend(row.to_report(ids)?);
    }
    found.sort_by_key(|found| found.number);
    Ok(found)
}

/// The numbers of the reports of studies, sorted.
///
/// # Errors
/// When the database fails.
pub fn numbers_of_studies(db: &mut Db, studies: &[i64]) -> QueryResult<Vec<i64>> {
    let mut found: Vec<i64> = chunked(studies, |studies| {
        on_backend!(db, |c| report::table
            .filter(report::study.eq_any(studies).and(report::deleted.eq(false)))
            .select(report::number)
            .load(c))
    })?;
    found.sort_unstable();
    Ok(found)
}

/// Of reports by number: `(number, study)`.
///
/// # Errors
/// When the database fails.
pub fn places_of(db: &mut Db, numbers: &[i64]) -> QueryResult<Vec<(i64, i64)>> {
    chunked(numbers, |numbers| {
        on_backend!(db, |c| report::table
            .filter(report::number.eq_any(numbers).and(report::deleted.eq(false)))
            .select((report::number, report::study))
            .load(c))
    })
}

/// Of the reports after `number`, in order: `(number, study)`.
///
/// # Errors
/// When the database fails.
pub fn scan_places(db: &mut Db, number: i64, limit: i64) -> QueryResult<Vec<(i64, i64)>> {
    on_backend!(db, |c| report::table
        .filter(report::number.gt(number).and(report::deleted.eq(false)))
        .order(report::number)
        .limit(limit)
        .select((report::number, report::study))
        .load(c))
}

/// Inserts reports.
///
/// # Errors
/// When one of them exists, or the database fails.
pub fn put_new_reports(db: &mut Db, rows: &[ReportRow]) -> QueryResult<()> {
    on_backend!(db, |c| {
        for rows in rows.chunks(CHUNK) {
            diesel::insert_into(report::table).values(rows).execute(c)?;
        }
        Ok(())
    })
}

/// Replaces a report's row.
///
/// # Errors
/// When the database fails.
pub fn put_report(db: &mut Db, row: &ReportRow) -> QueryResult<()> {
    on_backend!(db, |c| diesel::update(report::table.find(row.number)).set(row).execute(c))
        .map(drop)
}

/// Reports after `number`, in order, those that are gone too: for `verify` and for views.
///
/// # Errors
/// When the database fails.
pub fn scan_reports(db: &mut Db, number: i64, limit: i64) -> QueryResult<Vec<ReportRow>> {
    on_backend!(db, |c| report::table
        .filter(report::number.gt(number))
        .order(report::number)
        .limit(limit)
        .select(ReportRow::as_select())
        .load(c))
}

/// Every contradiction between reports and the instances that they are.
///
/// # Errors
/// When the database fails.
pub(super) fn contradictions(db: &mut Db, found: &mut Vec<String>) -> QueryResult<()> {
    let mut after = 0;
    loop {
        let rows = scan_reports(db, after, 1_000)?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.number;
        let hashes: Vec<i64> = rows.iter().map(|row| crate::imaging::uid_hash(&row.uid)).collect();
        let keys: std::collections::HashSet<(i64, i64)> =
            super::archive::find_instance_keys(db, &hashes)?.into_iter().collect();
        let series: Vec<i64> = rows.iter().map(|row| row.series).collect();
        let of_study: std::collections::HashSet<(i64, i64)> = places(db, &series)?;
        for (row, hash) in rows.iter().zip(hashes) {
            let ReportRow { number, .. } = row;
            if row.deleted {
                if row.content.is_some() {
                    found.push(format!("report {number} is gone and still has its content"));
                }
                continue;
            }
            if !keys.contains(&(hash, row.series)) {
                found.push(format!("report {number} is no instance of series {}", row.series));
            }
            if !of_study.contains(&(row.series, row.study)) {
                found.push(format!(
                    "report {number} says study {} and its series is elsewhere",
                    row.study
                ));
            }
            let unpacked = row.content.as_deref().map(Report::unpack);
            let is_sound = matches!(
                &unpacked,
                Some(Ok(report)) if report.uid.as_str() == row.uid
                    && report.sop_class.as_str() == row.sop_class
            );
            if !is_sound || Uid::parse_lenient(&row.uid).is_err() {
                found.push(format!("report {number} is damaged"));
            }
        }
    }
}

fn places(db: &mut Db, numbers: &[i64]) -> QueryResult<std::collections::HashSet<(i64, i64)>> {
    use super::schema::series;
    let rows: Vec<(i64, i64)> = chunked(numbers, |numbers| {
        on_backend!(db, |c| series::table
            .filter(series::number.eq_any(numbers))
            .select((series::number, series::study))
            .load(c))
    })?;
    Ok(rows.into_iter().collect())
}

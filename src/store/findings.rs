//! Findings: what is missing or odd, per study, counted.

use diesel::prelude::*;

use super::changes::{Kind, put_changes};
use super::schema::finding;
use super::{Db, on_backend};

/// A finding of a study with its count.
#[derive(Clone, Debug, Eq, Insertable, PartialEq, Queryable)]
#[diesel(table_name = finding)]
#[diesel(treat_none_as_default_value = false)]
pub struct FindingRow {
    /// The study's number.
    pub study: i64,
    /// A code of [`crate::imaging::FINDING_KINDS`].
    pub code: String,
    /// The attribute that it is about.
    pub attribute: String,
    /// An example of the value.
    pub value: String,
    /// How many instances or rows of the study gave it.
    pub count: i64,
}

/// Adds counts to the findings of studies; a negative one takes away, and a finding that comes
/// to nothing goes.
///
/// # Errors
/// When the database fails.
pub fn add_findings(db: &mut Db, rows: &[FindingRow]) -> QueryResult<()> {
    let mut fewer: Vec<i64> =
        rows.iter().filter(|row| row.count < 0).map(|row| row.study).collect();
    fewer.dedup();
    on_backend!(db, |c| {
        for row in rows {
            diesel::insert_into(finding::table)
                .values(row)
                .on_conflict((finding::study, finding::code, finding::attribute))
                .do_update()
                .set(finding::count.eq(finding::count + row.count))
                .execute(c)?;
        }
        for studies in fewer.chunks(super::CHUNK) {
            diesel::delete(
                finding::table.filter(finding::study.eq_any(studies).and(finding::count.le(0))),
            )
            .execute(c)?;
        }
        Ok(())
    })
}

/// Removes every finding of a study.
///
/// # Errors
/// When the database fails.
pub fn remove_findings(db: &mut Db, study: i64) -> QueryResult<()> {
    on_backend!(db, |c| diesel::delete(finding::table.filter(finding::study.eq(study))).execute(c))
        .map(drop)
}

/// Removes the findings of a kind that the configuration has answered; how many studies had one.
/// Each is told in the change feed.
///
/// # Errors
/// When the database fails.
pub fn remove_findings_of_kind(db: &mut Db, code: &str) -> QueryResult<usize> {
    let mut studies: Vec<i64> = on_backend!(db, |c| finding::table
        .filter(finding::code.eq(code))
        .select(finding::study)
        .distinct()
        .load(c))?;
    if studies.is_empty() {
        return Ok(0);
    }
    studies.sort_unstable();
    on_backend!(db, |c| diesel::delete(finding::table.filter(finding::code.eq(code))).execute(c))?;
    let changes: Vec<_> = studies.iter().map(|study| (Kind::Finding, *study)).collect();
    put_changes(db, &changes)?;
    Ok(studies.len())
}

/// The counts of some kinds of findings in some studies, by study and code.
///
/// # Errors
/// When the database fails.
pub fn list_counts(
    db: &mut Db,
    studies: &[i64],
    codes: &[&str],
) -> QueryResult<Vec<((i64, String), i64)>> {
    let rows: Vec<(i64, String, i64)> = super::archive::chunked(studies, |studies| {
        on_backend!(db, |c| finding::table
            .filter(finding::study.eq_any(studies).and(finding::code.eq_any(codes)))
            .select((finding::study, finding::code, finding::count))
            .load(c))
    })?;
    Ok(rows.into_iter().map(|(study, code, count)| ((study, code), count)).collect())
}

/// Inserts the findings of studies that have none yet.
///
/// # Errors
/// When one of them exists, or the database fails.
pub fn put_new_findings(db: &mut Db, rows: &[FindingRow]) -> QueryResult<()> {
    on_backend!(db, |c| {
        for rows in rows.chunks(1_000) {
            diesel::insert_into(finding::table).values(rows).execute(c)?;
        }
        Ok(())
    })
}

/// One line of the summary of findings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FindingCount {
    /// The code.
    pub code: String,
    /// In how many studies.
    pub studies: i64,
    /// How many instances or rows.
    pub count: i64,
}

/// Every code with its counts, the most frequent first.
///
/// # Errors
/// When the database fails.
pub fn count_findings(db: &mut Db) -> QueryResult<Vec<FindingCount>> {
    use diesel::dsl::sql;
    use diesel::sql_types::{BigInt, Nullable};
    let rows: Vec<(String, i64, Option<i64>)> = on_backend!(db, |c| finding::table
        .group_by(finding::code)
        .select((
            finding::code,
            sql::<BigInt>("COUNT(DISTINCT study)"),
            sql::<Nullable<BigInt>>("CAST(SUM(count) AS BIGINT)"),
        ))
        .load(c))?;
    let mut rows: Vec<_> = rows
        .into_iter()
        .map(|(code, studies, count)| FindingCount { code, studies, count: count.unwrap_or(0) })
        .collect();
    rows.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.code.cmp(&b.code)));
    Ok(rows)
}

/// How many findings there are, over all studies.
///
/// # Errors
/// When the database fails.
pub fn total_findings(db: &mut Db) -> QueryResult<i64> {
    let sum: Option<i64> = on_backend!(db, |c| finding::table
        .select(diesel::dsl::sql::<diesel::sql_types::Nullable<diesel::sql_types::BigInt>>(
            "CAST(SUM(count) AS BIGINT)"
        ))
        .first(c))?;
    Ok(sum.unwrap_or(0))
}

/// The findings of one kind, page by page in the order of the studies.
///
/// # Errors
/// When the database fails.
pub fn list_findings(
    db: &mut Db,
    code: &str,
    after_study: i64,
    limit: i64,
) -> QueryResult<Vec<FindingRow>> {
    on_backend!(db, |c| finding::table
        .filter(finding::code.eq(code).and(finding::study.gt(after_study)))
        .order((finding::study, finding::attribute))
        .limit(limit)
        .load(c))
}

/// The kinds of findings that studies have: study and code, each pair once, by study.
///
/// # Errors
/// When the database fails.
pub fn list_kinds(db: &mut Db, studies: &[i64]) -> QueryResult<Vec<(i64, String)>> {
    let mut kinds: Vec<(i64, String)> = super::archive::chunked(studies, |studies| {
        on_backend!(db, |c| finding::table
            .filter(finding::study.eq_any(studies))
            .select((finding::study, finding::code))
            .distinct()
            .load(c))
    })?;
    kinds.sort();
    Ok(kinds)
}

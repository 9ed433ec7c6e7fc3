//! What was harvested from other catalogues: datasets by source, pages with their validators,
//! runs.

use diesel::prelude::*;

use super::changes::take;
use super::schema::{harvest_dataset, harvest_page, harvest_run};
use super::{Db, on_backend};

/// A row of `harvest_dataset`.
#[derive(AsChangeset, Clone, Debug, Eq, Insertable, PartialEq, Queryable, Selectable)]
#[diesel(table_name = harvest_dataset, primary_key(source, iri))]
#[allow(missing_docs, reason = "the columns are those of the migration")]
pub struct HarvestedRow {
    pub source: String,
    pub iri: String,
    pub identifier: String,
    pub state: String,
    pub document: String,
    pub hash: String,
    pub first_seen: i64,
    pub changed: i64,
    pub missing: i32,
    pub report: String,
}

/// A row of `harvest_page`.
#[derive(AsChangeset, Clone, Debug, Eq, Insertable, PartialEq, Queryable, Selectable)]
#[diesel(table_name = harvest_page, primary_key(source, url))]
#[allow(missing_docs, reason = "the columns are those of the migration")]
pub struct PageRow {
    pub source: String,
    pub url: String,
    pub etag: String,
    pub modified: String,
    pub kind: String,
    pub body: String,
}

/// A row of `harvest_run`.
#[derive(Clone, Debug, Eq, Insertable, PartialEq, Queryable, Selectable)]
#[diesel(table_name = harvest_run)]
#[allow(missing_docs, reason = "the columns are those of the migration")]
pub struct RunRow {
    pub number: i64,
    pub source: String,
    pub started: i64,
    pub ended: i64,
    pub complete: bool,
    pub summary: String,
}

/// The dataset of a source.
///
/// # Errors
/// When the database fails.
pub fn find_harvested(db: &mut Db, source: &str, iri: &str) -> QueryResult<Option<HarvestedRow>> {
    on_backend!(db, |c| harvest_dataset::table
        .find((source, iri))
        .select(HarvestedRow::as_select())
        .first(c)
        .optional())
}

/// A dataset of another source with that identifier and a good document, the first that came.
///
/// # Errors
/// When the database fails.
pub fn find_same_identifier(
    db: &mut Db,
    source: &str,
    identifier: &str,
) -> QueryResult<Option<HarvestedRow>> {
    on_backend!(db, |c| harvest_dataset::table
        .filter(harvest_dataset::identifier.eq(identifier))
        .filter(harvest_dataset::source.ne(source))
        .filter(harvest_dataset::state.eq("current"))
        .order((harvest_dataset::first_seen, harvest_dataset::source, harvest_dataset::iri))
        .select(HarvestedRow::as_select())
        .first(c)
        .optional())
}

/// Inserts or replaces a dataset of a source.
///
/// # Errors
/// When the database fails.
pub fn put_harvested(db: &mut Db, row: &HarvestedRow) -> QueryResult<()> {
    on_backend!(db, |c| diesel::insert_into(harvest_dataset::table)
        .values(row)
        .on_conflict((harvest_dataset::source, harvest_dataset::iri))
        .do_update()
        .set(row)
        .execute(c))
    .map(drop)
}

/// Datasets of a source after an IRI, in order of IRIs.
///
/// # Errors
/// When the database fails.
pub fn list_harvested(
    db: &mut Db,
    source: &str,
    after: &str,
    limit: i64,
) -> QueryResult<Vec<HarvestedRow>> {
    on_backend!(db, |c| harvest_dataset::table
        .filter(harvest_dataset::source.eq(source))
        .filter(harvest_dataset::iri.gt(after))
        .order(harvest_dataset::iri)
        .limit(limit)
        .select(HarvestedRow::as_select())
        .load(c))
}

/// The last answer of an address.
///
/// # Errors
/// When the database fails.
pub fn find_page(db: &mut Db, source: &str, url: &str) -> QueryResult<Option<PageRow>> {
    on_backend!(db, |c| harvest_page::table
        .find((source, url))
        .select(PageRow::as_select())
        .first(c)
        .optional())
}

/// Keeps the last answer of an address.
///
/// # Errors
/// When the database fails.
pub fn put_page(db: &mut Db, row: &PageRow) -> QueryResult<()> {
    on_backend!(db, |c| diesel::insert_into(harvest_page::table)
        .values(row)
        .on_conflict((harvest_page::source, harvest_page::url))
        .do_update()
        .set(row)
        .execute(c))
    .map(drop)
}

/// The addresses whose last answer is kept.
///
/// # Errors
/// When the database fails.
pub fn list_page_urls(db: &mut Db, source: &str) -> QueryResult<Vec<String>> {
    on_backend!(db, |c| harvest_page::table
        .filter(harvest_page::source.eq(source))
        .select(harvest_page::url)
        .load(c))
}

/// Forgets the answer of an address.
///
/// # Errors
/// When the database fails.
pub fn remove_page(db: &mut Db, source: &str, url: &str) -> QueryResult<()> {
    on_backend!(db, |c| diesel::delete(harvest_page::table.find((source, url))).execute(c))
        .map(drop)
}

/// Appends a run; its number is the store's to give.
///
/// # Errors
/// When the database fails.
pub fn put_run(db: &mut Db, row: &RunRow) -> QueryResult<i64> {
    let number = take(db, "harvest_run", 1)?;
    let row = RunRow { number, ..row.clone() };
    on_backend!(db, |c| diesel::insert_into(harvest_run::table).values(&row).execute(c))?;
    Ok(number)
}

/// The newest run of a source.
///
/// # Errors
/// When the database fails.
pub fn last_run(db: &mut Db, source: &str) -> QueryResult<Option<RunRow>> {
    on_backend!(db, |c| harvest_run::table
        .filter(harvest_run::source.eq(source))
        .order(harvest_run::number.desc())
        .select(RunRow::as_select())
        .first(c)
        .optional())
}

//! What was harvested from other catalogues: datasets by source, the names that they are known
//! by, pages with their validators, runs with their summaries.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::changes::take;
use super::schema::{harvest_dataset, harvest_identifier, harvest_page, harvest_run};
use super::{Db, on_backend};

/// A dataset that is kept, with a good document.
pub const CURRENT: &str = "current";
/// One that never had a good document.
pub const REFUSED: &str = "refused";
/// One that another source, or this node itself, has too.
pub const DUPLICATE: &str = "duplicate";
/// One that complete walks missed, or that its source said is gone.
pub const GONE: &str = "gone";

/// Runs that are kept of a source.
const RUNS: i64 = 100;

/// Why something of a source was not taken.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Trouble {
    /// What it is about: an address or the IRI of a dataset.
    pub about: String,
    /// Stable code in kebab case.
    pub code: String,
    /// What is wrong, for people.
    pub detail: String,
}

impl Trouble {
    /// Cut short, without control characters: all of it may come from a source.
    #[must_use]
    pub fn new(about: &str, code: &str, detail: impl Into<String>) -> Self {
        let short =
            |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(500).collect() };
        Self { about: short(about), code: code.to_owned(), detail: short(&detail.into()) }
    }
}

/// What a walk did.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Summary {
    /// The source.
    pub source: String,
    /// Whether the walk met everything that the source offers; if not, nothing is missing by it.
    pub complete: bool,
    /// Documents that were fetched.
    pub pages: usize,
    /// Of those, the ones that had not changed (304).
    pub unchanged_pages: usize,
    /// Bytes that were read.
    pub bytes: u64,
    /// Datasets that were met.
    pub seen: usize,
    /// Datasets that were not known.
    pub new: usize,
    /// Datasets with another document than before.
    pub changed: usize,
    /// Datasets as they were.
    pub unchanged: usize,
    /// Datasets that were refused; `troubles` says why.
    pub refused: usize,
    /// Datasets that another source, or this node, has too.
    pub duplicates: usize,
    /// Known datasets that a complete walk did not meet.
    pub missing: usize,
    /// Datasets that were missed often enough, or said, to be gone.
    pub gone: usize,
    /// Of the missing, those that are too many at once, and are kept until the operator says that
    /// they are gone.
    pub kept_vanished: usize,
    /// Statements about things outside the source's namespaces, left out.
    pub foreign_statements: usize,
    /// What was not taken and why; the first 1,000.
    pub troubles: Vec<Trouble>,
}

impl Summary {
    /// Adds a trouble, as long as there are not too many.
    pub fn trouble(&mut self, trouble: Trouble) {
        if self.troubles.len() < 1_000 {
            self.troubles.push(trouble);
        }
    }
}

/// A row of `harvest_dataset`.
#[derive(AsChangeset, Clone, Debug, Eq, Insertable, PartialEq, Queryable, Selectable)]
#[diesel(table_name = harvest_dataset, primary_key(source, iri))]
#[allow(missing_docs, reason = "the columns are those of the migration")]
pub struct HarvestedRow {
    pub source: String,
    pub iri: String,
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

/// Datasets that are kept with a good document and share a name with one of a source, the first
/// that came before the others; with the names that they share.
///
/// # Errors
/// When the database fails.
pub fn list_same(
    db: &mut Db,
    (source, iri): (&str, &str),
    identifiers: &[String],
) -> QueryResult<Vec<(HarvestedRow, String)>> {
    on_backend!(db, |c| harvest_dataset::table
        .inner_join(
            harvest_identifier::table.on(harvest_identifier::source
                .eq(harvest_dataset::source)
                .and(harvest_identifier::iri.eq(harvest_dataset::iri)))
        )
        .filter(harvest_identifier::identifier.eq_any(identifiers))
        .filter(harvest_dataset::source.ne(source).or(harvest_dataset::iri.ne(iri)))
        .filter(harvest_dataset::state.eq(CURRENT))
        .order((harvest_dataset::first_seen, harvest_dataset::source, harvest_dataset::iri))
        .limit(100)
        .select((HarvestedRow::as_select(), harvest_identifier::identifier))
        .load(c))
}

/// The names that a dataset of a source is known by.
///
/// # Errors
/// When the database fails.
pub fn list_identifiers(db: &mut Db, source: &str, iri: &str) -> QueryResult<Vec<String>> {
    on_backend!(db, |c| harvest_identifier::table
        .filter(harvest_identifier::source.eq(source))
        .filter(harvest_identifier::iri.eq(iri))
        .order(harvest_identifier::identifier)
        .select(harvest_identifier::identifier)
        .load(c))
}

/// Replaces the names that a dataset of a source is known by.
///
/// # Errors
/// When the database fails.
pub fn put_identifiers(
    db: &mut Db,
    source: &str,
    iri: &str,
    identifiers: &[String],
) -> QueryResult<()> {
    if list_identifiers(db, source, iri)? == identifiers {
        return Ok(());
    }
    on_backend!(db, |c| diesel::delete(
        harvest_identifier::table
            .filter(harvest_identifier::source.eq(source))
            .filter(harvest_identifier::iri.eq(iri))
    )
    .execute(c))?;
    for identifier in identifiers {
        let row = (
            harvest_identifier::source.eq(source),
            harvest_identifier::iri.eq(iri),
            harvest_identifier::identifier.eq(identifier),
        );
        on_backend!(db, |c| diesel::insert_into(harvest_identifier::table).values(row).execute(c))?;
    }
    Ok(())
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

/// How many datasets of a source are in each state, and how many keep an older version because a
/// newer one was refused.
///
/// # Errors
/// When the database fails.
pub fn count_states(db: &mut Db, source: &str) -> QueryResult<(Vec<(String, i64)>, i64)> {
    let states = on_backend!(db, |c| harvest_dataset::table
        .filter(harvest_dataset::source.eq(source))
        .group_by(harvest_dataset::state)
        .select((harvest_dataset::state, diesel::dsl::count_star()))
        .order(harvest_dataset::state)
        .load(c))?;
    let kept = on_backend!(db, |c| harvest_dataset::table
        .filter(harvest_dataset::source.eq(source))
        .filter(harvest_dataset::state.eq(CURRENT))
        .filter(harvest_dataset::report.ne(""))
        .count()
        .get_result(c))?;
    Ok((states, kept))
}

/// Datasets of a source that something is to be said of, after an IRI: all but those that are
/// current with their newest version and were met.
///
/// # Errors
/// When the database fails.
pub fn list_reported(
    db: &mut Db,
    source: &str,
    after: &str,
    limit: i64,
) -> QueryResult<Vec<HarvestedRow>> {
    on_backend!(db, |c| harvest_dataset::table
        .filter(harvest_dataset::source.eq(source))
        .filter(harvest_dataset::iri.gt(after))
        .filter(
            harvest_dataset::state
                .ne(CURRENT)
                .or(harvest_dataset::report.ne(""))
                .or(harvest_dataset::missing.gt(0))
        )
        .order(harvest_dataset::iri)
        .limit(limit)
        .select(HarvestedRow::as_select())
        .load(c))
}

/// The sources that brought something or were tried, by name.
///
/// # Errors
/// When the database fails.
pub fn list_sources(db: &mut Db) -> QueryResult<Vec<String>> {
    on_backend!(db, |c| harvest_run::table
        .select(harvest_run::source)
        .distinct()
        .order(harvest_run::source)
        .load(c))
}

/// The number of the last run of each source.
///
/// # Errors
/// When the database fails.
pub fn list_last_runs(db: &mut Db) -> QueryResult<Vec<(String, i64)>> {
    let rows: Vec<(String, Option<i64>)> = on_backend!(db, |c| harvest_run::table
        .group_by(harvest_run::source)
        .select((harvest_run::source, diesel::dsl::max(harvest_run::number)))
        .load(c))?;
    Ok(rows.into_iter().filter_map(|(source, number)| Some((source, number?))).collect())
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

/// Appends a run; its number is the store's to give. Old runs of the source are forgotten.
///
/// # Errors
/// When the database fails.
pub fn put_run(db: &mut Db, row: &RunRow) -> QueryResult<i64> {
    let number = take(db, "harvest_run", 1)?;
    let row = RunRow { number, ..row.clone() };
    on_backend!(db, |c| diesel::insert_into(harvest_run::table).values(&row).execute(c))?;
    let oldest = list_runs(db, &row.source, RUNS)?.last().map_or(0, |oldest| oldest.number);
    on_backend!(db, |c| diesel::delete(
        harvest_run::table
            .filter(harvest_run::source.eq(&row.source))
            .filter(harvest_run::number.lt(oldest))
    )
    .execute(c))?;
    Ok(number)
}

/// The newest runs of a source, the newest first.
///
/// # Errors
/// When the database fails.
pub fn list_runs(db: &mut Db, source: &str, limit: i64) -> QueryResult<Vec<RunRow>> {
    on_backend!(db, |c| harvest_run::table
        .filter(harvest_run::source.eq(source))
        .order(harvest_run::number.desc())
        .limit(limit)
        .select(RunRow::as_select())
        .load(c))
}

/// The newest run of a source.
///
/// # Errors
/// When the database fails.
pub fn last_run(db: &mut Db, source: &str) -> QueryResult<Option<RunRow>> {
    Ok(list_runs(db, source, 1)?.into_iter().next())
}

//! Datasets of the catalogue as rows.

use diesel::prelude::*;

use super::changes::{Kind, put_changes, take};
use super::events::{self, put_event};
use super::schema::{change, dataset};
use super::{Db, on_backend};

/// The state of a dataset whose document is served.
pub const PUBLISHED: &str = "published";
/// The state of a dataset whose document is a tombstone.
pub const WITHDRAWN: &str = "withdrawn";

/// A row of `dataset`.
#[derive(AsChangeset, Clone, Debug, Eq, Insertable, PartialEq, Queryable, Selectable)]
#[diesel(table_name = dataset, primary_key(slug), treat_none_as_null = true)]
#[diesel(treat_none_as_default_value = false)]
#[allow(missing_docs, reason = "the columns are those of the migration")]
pub struct DatasetRow {
    pub slug: String,
    pub number: i64,
    pub state: String,
    pub description: String,
    pub version: String,
    pub figures: String,
    pub document: String,
    pub report: String,
    pub issued: i64,
    pub modified: i64,
    pub next_release: Option<i64>,
    pub selection: String,
}

/// The dataset of a slug.
///
/// # Errors
/// When the database fails.
pub fn find_dataset(db: &mut Db, slug: &str) -> QueryResult<Option<DatasetRow>> {
    on_backend!(db, |c| dataset::table
        .find(slug)
        .select(DatasetRow::as_select())
        .first(c)
        .optional())
}

/// Inserts or replaces a dataset, and logs what it is to readers; its `number` is the store's to
/// give. `access` is the code of its access right.
///
/// # Errors
/// When the database fails.
pub fn put_dataset(db: &mut Db, row: &DatasetRow, access: &str) -> QueryResult<()> {
    let mut row = row.clone();
    let known = find_dataset(db, &row.slug)?;
    if let Some(known) = &known {
        row.number = known.number;
        if *known == row {
            return Ok(());
        }
        on_backend!(db, |c| diesel::update(dataset::table.find(&row.slug)).set(&row).execute(c))?;
    } else {
        row.number = take(db, "dataset", 1)?;
        on_backend!(db, |c| diesel::insert_into(dataset::table).values(&row).execute(c))?;
    }
    put_event(db, known.as_ref(), &row, access)?;
    put_changes(db, &[(Kind::Dataset, row.number)])
}

/// The datasets of these slugs that are there, by slug.
///
/// # Errors
/// When the database fails.
pub fn find_datasets(db: &mut Db, slugs: &[String]) -> QueryResult<Vec<DatasetRow>> {
    let mut rows = Vec::with_capacity(slugs.len());
    for slugs in slugs.chunks(super::CHUNK) {
        let found: Vec<DatasetRow> = on_backend!(db, |c| dataset::table
            .filter(dataset::slug.eq_any(slugs))
            .select(DatasetRow::as_select())
            .load(c))?;
        rows.extend(found);
    }
    rows.sort_by(|a, b| a.slug.cmp(&b.slug));
    Ok(rows)
}

/// The datasets whose figures were counted by the selection of this digest, and those of which that
/// is not known; none that was never published.
///
/// # Errors
/// When the database fails.
pub fn list_counted(db: &mut Db, selection: &str) -> QueryResult<Vec<DatasetRow>> {
    on_backend!(db, |c| dataset::table
        .filter(dataset::selection.eq_any([selection, ""]))
        .filter(dataset::state.eq_any([PUBLISHED, WITHDRAWN]))
        .order(dataset::slug)
        .select(DatasetRow::as_select())
        .load(c))
}

/// The datasets of these numbers that are there.
///
/// # Errors
/// When the database fails.
pub fn list_numbered(db: &mut Db, numbers: &[i64]) -> QueryResult<Vec<DatasetRow>> {
    super::archive::chunked(numbers, |numbers| {
        on_backend!(db, |c| dataset::table
            .filter(dataset::number.eq_any(numbers))
            .select(DatasetRow::as_select())
            .load(c))
    })
}

/// The slugs of the datasets of these numbers.
///
/// # Errors
/// When the database fails.
pub fn list_slugs_of(db: &mut Db, numbers: &[i64]) -> QueryResult<Vec<String>> {
    super::archive::chunked(numbers, |numbers| {
        on_backend!(db, |c| dataset::table
            .filter(dataset::number.eq_any(numbers))
            .select(dataset::slug)
            .load(c))
    })
}

/// Datasets in a state by slug, some of them.
///
/// # Errors
/// When the database fails.
pub fn list_datasets(
    db: &mut Db,
    state: &str,
    offset: i64,
    limit: i64,
) -> QueryResult<Vec<DatasetRow>> {
    on_backend!(db, |c| dataset::table
        .filter(dataset::state.eq(state))
        .order(dataset::slug)
        .offset(offset)
        .limit(limit)
        .select(DatasetRow::as_select())
        .load(c))
}

/// The documents that are served after a slug, in order of slugs.
///
/// # Errors
/// When the database fails.
pub fn list_documents(db: &mut Db, after: &str, limit: i64) -> QueryResult<Vec<(String, String)>> {
    on_backend!(db, |c| dataset::table
        .filter(dataset::slug.gt(after))
        .filter(dataset::state.eq_any([PUBLISHED, WITHDRAWN]))
        .order(dataset::slug)
        .limit(limit)
        .select((dataset::slug, dataset::document))
        .load(c))
}

/// Every slug, in byte order.
///
/// # Errors
/// When the database fails.
pub fn list_slugs(db: &mut Db) -> QueryResult<Vec<String>> {
    on_backend!(db, |c| dataset::table.order(dataset::slug).select(dataset::slug).load(c))
}

/// The last change of the feed that is about a dataset, how many datasets are published, and the
/// time of the last event.
///
/// # Errors
/// When the database fails.
pub fn dataset_state(db: &mut Db) -> QueryResult<(i64, i64, Option<i64>)> {
    let last: Option<i64> = on_backend!(db, |c| change::table
        .filter(change::kind.eq(Kind::Dataset.code()))
        .select(diesel::dsl::max(change::seq))
        .first(c))?;
    // The log keeps the sums, so that nothing is counted here.
    let event = events::last_event(db)?;
    let (published, time) = event.map_or((0, None), |event| (event.published, Some(event.time)));
    Ok((last.unwrap_or(0), published, time))
}

//! Datasets of the catalogue as rows.

use diesel::prelude::*;

use super::changes::{Kind, put_changes, take};
use super::schema::{change, dataset};
use super::{Db, on_backend};

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

/// Inserts or replaces a dataset; its `number` is the store's to give.
///
/// # Errors
/// When the database fails.
pub fn put_dataset(db: &mut Db, row: &DatasetRow) -> QueryResult<()> {
    let mut row = row.clone();
    if let Some(known) = find_dataset(db, &row.slug)? {
        row.number = known.number;
        if known == row {
            return Ok(());
        }
        on_backend!(db, |c| diesel::update(dataset::table.find(&row.slug)).set(&row).execute(c))?;
    } else {
        row.number = take(db, "dataset", 1)?;
        on_backend!(db, |c| diesel::insert_into(dataset::table).values(&row).execute(c))?;
    }
    put_changes(db, &[(Kind::Dataset, row.number)])
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

/// Every slug, in byte order.
///
/// # Errors
/// When the database fails.
pub fn list_slugs(db: &mut Db) -> QueryResult<Vec<String>> {
    on_backend!(db, |c| dataset::table.order(dataset::slug).select(dataset::slug).load(c))
}

/// The last change of the feed that is about a dataset, how many datasets are in a state, and
/// the last change of a document.
///
/// # Errors
/// When the database fails.
pub fn dataset_state(db: &mut Db, state: &str) -> QueryResult<(i64, i64, Option<i64>)> {
    use diesel::dsl::{count_star, max};
    let last: Option<i64> = on_backend!(db, |c| change::table
        .filter(change::kind.eq(Kind::Dataset.code()))
        .select(max(change::seq))
        .first(c))?;
    let count: i64 = on_backend!(db, |c| dataset::table
        .filter(dataset::state.eq(state))
        .select(count_star())
        .first(c))?;
    let latest: Option<i64> = on_backend!(db, |c| dataset::table
        .filter(dataset::document.ne(""))
        .select(max(dataset::modified))
        .first(c))?;
    Ok((last.unwrap_or(0), count, latest))
}

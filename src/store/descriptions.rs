//! The history of descriptions: every version, with who, when and what changed.

use diesel::prelude::*;

use super::changes::take;
use super::schema::description_version;
use super::{Db, on_backend};

/// A row of `description_version`.
#[derive(Clone, Debug, Eq, Insertable, PartialEq, Queryable, Selectable)]
#[diesel(table_name = description_version)]
#[diesel(treat_none_as_default_value = false)]
pub struct DescriptionRow {
    /// Its number, in the order of writing; the store's to give.
    pub number: i64,
    /// The dataset.
    pub slug: String,
    /// When, in microseconds since 1970-01-01T00:00:00Z.
    pub at: i64,
    /// Who.
    pub who: String,
    /// What became of it.
    pub verdict: String,
    /// The fields that changed, as JSON.
    pub changes: String,
    /// The whole description (TOML).
    pub text: String,
}

/// Adds a version.
///
/// # Errors
/// When the database fails.
pub fn put_description(db: &mut Db, row: &DescriptionRow) -> QueryResult<()> {
    let row = DescriptionRow { number: take(db, "description_version", 1)?, ..row.clone() };
    on_backend!(db, |c| diesel::insert_into(description_version::table).values(&row).execute(c))
        .map(drop)
}

/// The newest version of a description.
///
/// # Errors
/// When the database fails.
pub fn find_description(db: &mut Db, slug: &str) -> QueryResult<Option<DescriptionRow>> {
    Ok(list_descriptions(db, slug, 1)?.into_iter().next())
}

/// The versions of a description, the newest first.
///
/// # Errors
/// When the database fails.
pub fn list_descriptions(db: &mut Db, slug: &str, limit: i64) -> QueryResult<Vec<DescriptionRow>> {
    on_backend!(db, |c| description_version::table
        .filter(description_version::slug.eq(slug))
        .order(description_version::number.desc())
        .limit(limit)
        .select(DescriptionRow::as_select())
        .load(c))
}

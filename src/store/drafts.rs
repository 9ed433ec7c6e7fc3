//! What stewards write on the pages: drafts, and accepted texts on their way into the folder.

use diesel::prelude::*;

use super::changes::take;
use super::schema::{description_write, draft};
use super::{Db, on_backend};

/// A row of `draft`.
#[derive(AsChangeset, Clone, Debug, Eq, Insertable, PartialEq, Queryable, Selectable)]
#[diesel(table_name = draft, primary_key(slug))]
pub struct DraftRow {
    /// The dataset.
    pub slug: String,
    /// Its version, which grows with every save and never comes again; the store's to give.
    pub version: i64,
    /// Digest of the description that it was begun from; empty: there was none.
    pub base: String,
    /// The text (TOML), valid or not.
    pub text: String,
    /// Who saved it.
    pub who: String,
    /// When, in microseconds since 1970-01-01T00:00:00Z.
    pub at: i64,
}

/// A row of `description_write`: a text that was accepted and must reach the folder.
#[derive(Clone, Debug, Eq, Insertable, PartialEq, Queryable, Selectable)]
#[diesel(table_name = description_write)]
pub struct WriteRow {
    /// Its number; the store's to give.
    pub number: i64,
    /// The dataset.
    pub slug: String,
    /// Digest of the file that it replaces; empty: there was none.
    pub base: String,
    /// The text (TOML).
    pub text: String,
    /// Who.
    pub who: String,
    /// When.
    pub at: i64,
}

/// The draft of a dataset.
///
/// # Errors
/// When the database fails.
pub fn find_draft(db: &mut Db, slug: &str) -> QueryResult<Option<DraftRow>> {
    on_backend!(db, |c| draft::table.find(slug).select(DraftRow::as_select()).first(c).optional())
}

/// The slugs that have a draft, in order.
///
/// # Errors
/// When the database fails.
pub fn list_draft_slugs(db: &mut Db) -> QueryResult<Vec<String>> {
    on_backend!(db, |c| draft::table.order(draft::slug).select(draft::slug).load(c))
}

/// Keeps a draft if nobody saved one since version `seen` (0: there was none). The new version,
/// or the draft that is there instead.
///
/// # Errors
/// When the database fails.
pub fn put_draft(db: &mut Db, row: &DraftRow, seen: i64) -> QueryResult<Result<i64, DraftRow>> {
    // The counter's row is locked first, so that of two savers the second sees the first.
    let version = take(db, "draft", 1)?;
    let known = find_draft(db, &row.slug)?;
    match known {
        Some(known) if known.version != seen => return Ok(Err(known)),
        // It was published or dropped meanwhile: what the steward wrote becomes a new one.
        _ => {}
    }
    let row = DraftRow { version, ..row.clone() };
    let is_known =
        on_backend!(db, |c| diesel::update(draft::table.find(&row.slug)).set(&row).execute(c))?;
    if is_known == 0 {
        on_backend!(db, |c| diesel::insert_into(draft::table).values(&row).execute(c))?;
    }
    Ok(Ok(version))
}

/// Removes a draft of that version; `false` when it is another one by now.
///
/// # Errors
/// When the database fails.
pub fn remove_draft(db: &mut Db, slug: &str, seen: i64) -> QueryResult<bool> {
    take(db, "draft", 1)?;
    let gone = on_backend!(db, |c| diesel::delete(
        draft::table.filter(draft::slug.eq(slug).and(draft::version.eq(seen)))
    )
    .execute(c))?;
    Ok(gone > 0)
}

/// Keeps texts that were accepted.
///
/// # Errors
/// When the database fails.
pub fn put_writes(db: &mut Db, rows: &[WriteRow]) -> QueryResult<()> {
    let first = take(db, "description_write", rows.len())?;
    for (number, row) in (first..).zip(rows) {
        let row = WriteRow { number, ..row.clone() };
        on_backend!(db, |c| diesel::insert_into(description_write::table).values(&row).execute(c))?;
    }
    Ok(())
}

/// The texts that have not reached the folder yet, in order.
///
/// # Errors
/// When the database fails.
pub fn list_writes(db: &mut Db) -> QueryResult<Vec<WriteRow>> {
    on_backend!(db, |c| description_write::table
        .order(description_write::number)
        .select(WriteRow::as_select())
        .load(c))
}

/// Says that a text reached the folder.
///
/// # Errors
/// When the database fails.
pub fn remove_write(db: &mut Db, number: i64) -> QueryResult<()> {
    on_backend!(db, |c| diesel::delete(description_write::table.find(number)).execute(c)).map(drop)
}

//! The log of what became of each dataset of the catalogue: created, updated, deleted.
//!
//! Appended in the transaction that changes the dataset. Its numbers are its own: those of the
//! change feed would tell readers of the catalogue how often the archive changes.

use diesel::prelude::*;
use sha2::{Digest as _, Sha256};

use super::changes::take;
use super::datasets::{DatasetRow, PUBLISHED, WITHDRAWN};
use super::schema::{dataset, dataset_event};
use super::{Db, on_backend};

/// What happened, as the table has it.
pub const CREATED: i16 = 1;
/// The document of a published dataset changed.
pub const UPDATED: i16 = 2;
/// The dataset was withdrawn.
pub const DELETED: i16 = 3;

/// A row of `dataset_event` without the document.
#[derive(Clone, Debug, Eq, Insertable, PartialEq, Queryable, Selectable)]
#[diesel(table_name = dataset_event)]
#[allow(missing_docs, reason = "the columns are those of the migration")]
pub struct EventRow {
    pub seq: i64,
    pub slug: String,
    pub operation: i16,
    pub version: String,
    pub access: String,
    pub time: i64,
    pub hash: String,
    pub bytes: i64,
    pub published: i64,
    pub successor: Option<i64>,
}

/// Which dataset stood how: slug, event, operation, time, access right.
pub type StandingRow = (String, i64, i16, i64, String);

/// Logs what a change of a dataset is to readers, if it is anything to them.
pub(super) fn put_event(
    db: &mut Db,
    known: Option<&DatasetRow>,
    row: &DatasetRow,
    access: &str,
) -> QueryResult<()> {
    let was_published = known.is_some_and(|known| known.state == PUBLISHED);
    let was_withdrawn = known.is_some_and(|known| known.state == WITHDRAWN);
    let is_same = known.is_some_and(|known| known.document == row.document);
    let (operation, difference) = match row.state.as_str() {
        PUBLISHED if was_published && is_same => return Ok(()),
        PUBLISHED if was_published => (UPDATED, 0),
        PUBLISHED => (CREATED, 1),
        WITHDRAWN if was_withdrawn && is_same => return Ok(()),
        WITHDRAWN if was_published => (DELETED, -1),
        // A tombstone that was written anew.
        WITHDRAWN => (DELETED, 0),
        // What is refused keeps its state once it was published.
        _ => return Ok(()),
    };
    let seq = take(db, "dataset_event", 1)?;
    let last = last_event(db)?;
    let event = EventRow {
        seq,
        slug: row.slug.clone(),
        operation,
        version: row.version.clone(),
        access: access.to_owned(),
        time: last.as_ref().map_or(row.modified, |last| last.time.max(row.modified)),
        hash: digest(&row.document),
        bytes: i64::try_from(row.document.len()).unwrap_or(i64::MAX),
        published: last.map_or(0, |last| last.published) + difference,
        successor: None,
    };
    let before = dataset_event::table
        .filter(dataset_event::slug.eq(&row.slug))
        .filter(dataset_event::successor.is_null());
    // What was withdrawn may have been more open than it may be now: nothing of it stays.
    let kept = known.filter(|_| operation != DELETED).map(|known| known.document.as_str());
    on_backend!(db, |c| diesel::update(before)
        .set((dataset_event::successor.eq(seq), dataset_event::document.eq(kept)))
        .execute(c))?;
    if operation == DELETED {
        let all = dataset_event::table
            .filter(dataset_event::slug.eq(&row.slug))
            .filter(dataset_event::document.is_not_null());
        on_backend!(db, |c| diesel::update(all)
            .set(dataset_event::document.eq(None::<String>))
            .execute(c))?;
    }
    on_backend!(db, |c| diesel::insert_into(dataset_event::table).values(&event).execute(c))
        .map(drop)
}

fn digest(text: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(text.as_bytes()).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Whether datasets were published before there was a log.
pub(super) fn is_behind(db: &mut Db) -> QueryResult<bool> {
    if last_event(db)?.is_some() {
        return Ok(false);
    }
    let published: Option<String> = on_backend!(db, |c| dataset::table
        .filter(dataset::document.ne(""))
        .select(dataset::slug)
        .first(c)
        .optional())?;
    Ok(published.is_some())
}

/// Logs the datasets that were published before there was a log.
pub(super) fn put_missing(db: &mut Db) -> QueryResult<()> {
    // Another process may have done it meanwhile.
    if !is_behind(db)? {
        return Ok(());
    }
    let slugs: Vec<String> = on_backend!(db, |c| dataset::table
        .filter(dataset::document.ne(""))
        .order((dataset::modified, dataset::slug))
        .select(dataset::slug)
        .load(c))?;
    for slug in slugs {
        if let Some(row) = super::datasets::find_dataset(db, &slug)? {
            put_event(db, None, &row, "")?;
        }
    }
    Ok(())
}

/// The newest event.
///
/// # Errors
/// When the database fails.
pub fn last_event(db: &mut Db) -> QueryResult<Option<EventRow>> {
    on_backend!(db, |c| dataset_event::table
        .order(dataset_event::seq.desc())
        .select(EventRow::as_select())
        .first(c)
        .optional())
}

/// The event of a number.
///
/// # Errors
/// When the database fails.
pub fn find_event(db: &mut Db, seq: i64) -> QueryResult<Option<EventRow>> {
    on_backend!(db, |c| dataset_event::table
        .find(seq)
        .select(EventRow::as_select())
        .first(c)
        .optional())
}

/// The newest event of a dataset.
///
/// # Errors
/// When the database fails.
pub fn find_newest_event(db: &mut Db, slug: &str) -> QueryResult<Option<EventRow>> {
    on_backend!(db, |c| dataset_event::table
        .filter(dataset_event::slug.eq(slug))
        .order(dataset_event::seq.desc())
        .select(EventRow::as_select())
        .first(c)
        .optional())
}

/// Events after a number in order, at most `limit`.
///
/// # Errors
/// When the database fails.
pub fn list_events(db: &mut Db, after: i64, limit: i64) -> QueryResult<Vec<EventRow>> {
    on_backend!(db, |c| dataset_event::table
        .filter(dataset_event::seq.gt(after))
        .order(dataset_event::seq)
        .limit(limit)
        .select(EventRow::as_select())
        .load(c))
}

/// How every dataset stood when the event `seq` was the newest, by slug; those that had changed
/// at or after `since`.
///
/// # Errors
/// When the database fails.
pub fn list_standing(db: &mut Db, seq: i64, since: Option<i64>) -> QueryResult<Vec<StandingRow>> {
    let columns = (
        dataset_event::slug,
        dataset_event::seq,
        dataset_event::operation,
        dataset_event::time,
        dataset_event::access,
    );
    let newest = dataset_event::successor.is_null().or(dataset_event::successor.gt(seq));
    let standing =
        dataset_event::table.filter(dataset_event::seq.le(seq)).filter(newest).select(columns);
    let mut rows: Vec<StandingRow> = match since {
        // In the order of the index that finds the few that changed: by slug, the database would
        // rather go through all of them.
        Some(since) => on_backend!(db, |c| standing
            .filter(dataset_event::time.ge(since))
            .order((dataset_event::time, dataset_event::seq))
            .load(c))?,
        None => on_backend!(db, |c| standing.order(dataset_event::slug).load(c))?,
    };
    if since.is_some() {
        rows.sort();
    }
    Ok(rows)
}

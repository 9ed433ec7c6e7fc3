//! The change feed: 1, 2, 3, …; every view remembers the last number that it has seen.

use diesel::prelude::*;

use super::schema::{change, counter};
use super::{Db, on_backend};

/// What changed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// A patient.
    Patient,
    /// A study, with its series and instances.
    Study,
    /// A dataset of the catalogue.
    Dataset,
    /// A resource that a client wrote.
    Record,
    /// A report of a study: its content, or the series that it is in.
    Report,
    /// The findings of a study, which did not change itself.
    Finding,
}

impl Kind {
    pub(super) const fn code(self) -> i16 {
        match self {
            Self::Patient => 1,
            Self::Study => 2,
            Self::Dataset => 3,
            Self::Record => 6,
            Self::Report => 10,
            Self::Finding => 11,
        }
    }

    const fn of(code: i16) -> Option<Self> {
        match code {
            1 => Some(Self::Patient),
            2 => Some(Self::Study),
            3 => Some(Self::Dataset),
            6 => Some(Self::Record),
            10 => Some(Self::Report),
            11 => Some(Self::Finding),
            _ => None,
        }
    }
}

/// One entry of the feed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Change {
    /// Its place in the feed.
    pub seq: i64,
    /// What changed.
    pub kind: Kind,
    /// The store's number of it.
    pub number: i64,
}

/// Takes `count` numbers of a counter and returns the first. On PostgreSQL the row stays locked
/// until the transaction ends, so that no later number is ever seen before an earlier one.
///
/// # Errors
/// When the database fails.
pub fn take(db: &mut Db, name: &str, count: usize) -> QueryResult<i64> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let last: i64 = on_backend!(db, |c| diesel::update(counter::table.find(name))
        .set(counter::value.eq(counter::value + count))
        .returning(counter::value)
        .get_result(c))?;
    Ok(last - count + 1)
}

/// Appends changes to the feed.
///
/// # Errors
/// When the database fails.
pub fn put_changes(db: &mut Db, changes: &[(Kind, i64)]) -> QueryResult<()> {
    if changes.is_empty() {
        return Ok(());
    }
    append(db, changes).map(drop)
}

/// Appends changes to the feed and returns the number of the first.
///
/// # Errors
/// When the database fails.
pub fn append(db: &mut Db, changes: &[(Kind, i64)]) -> QueryResult<i64> {
    let first = take(db, "change", changes.len())?;
    let mut mark = [0_u8; 8];
    getrandom::fill(&mut mark).map_err(|failure| super::conflict(&failure.to_string()))?;
    let mark = i64::from_be_bytes(mark);
    let rows: Vec<_> = (first..)
        .zip(changes)
        .map(|(seq, (kind, number))| {
            (
                change::seq.eq(seq),
                change::kind.eq(kind.code()),
                change::number.eq(*number),
                change::mark.eq(mark),
            )
        })
        .collect();
    for rows in rows.chunks(2_000) {
        on_backend!(db, |c| diesel::insert_into(change::table).values(rows).execute(c))?;
    }
    Ok(first)
}

/// The last number of the feed.
///
/// # Errors
/// When the database fails.
pub fn last_change(db: &mut Db) -> QueryResult<i64> {
    on_backend!(db, |c| counter::table.find("change").select(counter::value).first(c))
}

/// By which a view knows the feed that it has seen: the store, and the entry where it stands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// The store's random id.
    pub store: String,
    /// Kind, number and mark of the entry, as the table has them.
    pub entry: Option<(i16, i64, i64)>,
}

/// What a view that stands at `seq` has seen, if it has seen this feed.
///
/// # Errors
/// When the database fails.
pub fn seen(db: &mut Db, seq: i64) -> QueryResult<Seen> {
    let entry = on_backend!(db, |c| change::table
        .find(seq)
        .select((change::kind, change::number, change::mark))
        .first(c)
        .optional())?;
    Ok(Seen { store: super::meta::store_id(db)?, entry })
}

/// The entries after `seq`, at most `limit`, in order.
///
/// # Errors
/// When the database fails.
pub fn list_changes(db: &mut Db, seq: i64, limit: i64) -> QueryResult<Vec<Change>> {
    let rows: Vec<(i64, i16, i64)> = on_backend!(db, |c| change::table
        .filter(change::seq.gt(seq))
        .order(change::seq)
        .limit(limit)
        .select((change::seq, change::kind, change::number))
        .load(c))?;
    Ok(rows
        .into_iter()
        .filter_map(|(seq, kind, number)| Some(Change { seq, kind: Kind::of(kind)?, number }))
        .collect())
}

/// What changed of one kind after `seq`, each number once.
///
/// # Errors
/// When the database fails.
pub fn list_changed(db: &mut Db, kind: Kind, seq: i64) -> QueryResult<Vec<i64>> {
    let mut numbers: Vec<i64> = on_backend!(db, |c| change::table
        .filter(change::kind.eq(kind.code()).and(change::seq.gt(seq)))
        .select(change::number)
        .load(c))?;
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers)
}

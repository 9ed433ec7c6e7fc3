//! Resources that clients wrote: the head of each, and every version as the bytes that came.
//! What they say is for the rooms above; here they have a type, an id and versions.

use diesel::prelude::*;

use super::archive::chunked;
use super::changes::{self, Kind};
use super::schema::{record, record_version};
use super::{Db, on_backend};

/// What made a version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// It was created with an id of the server's choice.
    Create,
    /// It was put where the client said.
    Update,
    /// It was deleted.
    Delete,
}

impl Method {
    const fn code(self) -> i16 {
        match self {
            Self::Create => 1,
            Self::Update => 2,
            Self::Delete => 3,
        }
    }

    const fn of(code: i16) -> Self {
        match code {
            1 => Self::Create,
            3 => Self::Delete,
            _ => Self::Update,
        }
    }
}

/// The state of a resource.
#[derive(Clone, Debug, Eq, PartialEq, Queryable)]
pub struct Head {
    /// The store's number; it stays when the resource is deleted.
    pub number: i64,
    /// The resource type.
    pub kind: String,
    /// The logical id.
    pub id: String,
    /// 1, 2, 3, …
    pub version: i32,
    /// The number of the feed that the version came by.
    pub change: i64,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub updated: i64,
    /// Whether it is deleted.
    pub is_deleted: bool,
}

/// One version of a resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Version {
    /// The resource type.
    pub kind: String,
    /// The logical id.
    pub id: String,
    /// 1, 2, 3, …
    pub version: i32,
    /// The number of the feed that the version came by.
    pub change: i64,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub updated: i64,
    /// What made it.
    pub method: Method,
    /// The bytes; none when it was deleted.
    pub body: Option<Vec<u8>>,
}

/// What is to become the next version of a resource.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The resource type.
    pub kind: &'a str,
    /// The logical id.
    pub id: &'a str,
    /// The state that it follows, read in the same transaction.
    pub before: Option<&'a Head>,
    /// What makes it.
    pub method: Method,
    /// Who does.
    pub author: &'a str,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub now: i64,
    /// The bytes; none when it is deleted.
    pub body: Option<&'a [u8]>,
}

impl Write<'_> {
    /// The version that it becomes.
    #[must_use]
    pub fn version(&self) -> i32 {
        self.before.map_or(1, |before| before.version.saturating_add(1))
    }
}

/// Keeps every other writer away until the transaction ends, so that what is looked for and not
/// found is still not there when it is written.
///
/// # Errors
/// When the database fails.
pub fn lock(db: &mut Db) -> QueryResult<()> {
    // The embedded database has one writer, and its transaction has begun as one.
    changes::take(db, "record", 0).map(drop)
}

/// Stores the next version of a resource.
///
/// # Errors
/// When somebody else stored that version, or the database fails.
pub fn put(db: &mut Db, write: &Write<'_>) -> QueryResult<Head> {
    let number = match write.before {
        Some(before) => before.number,
        None => changes::take(db, "record", 1)?,
    };
    let change = changes::append(db, &[(Kind::Record, number)])?;
    let head = Head {
        number,
        kind: write.kind.to_owned(),
        id: write.id.to_owned(),
        version: write.version(),
        change,
        updated: write.now,
        is_deleted: write.body.is_none(),
    };
    let state = (
        record::version.eq(head.version),
        record::change.eq(change),
        record::updated.eq(write.now),
        record::deleted.eq(head.is_deleted),
    );
    on_backend!(db, |c| {
        if write.before.is_some() {
            diesel::update(record::table.find(number)).set(state).execute(c)?;
        } else {
            diesel::insert_into(record::table)
                .values((
                    record::number.eq(number),
                    record::kind.eq(write.kind),
                    record::id.eq(write.id),
                    state,
                ))
                .execute(c)?;
        }
        diesel::insert_into(record_version::table)
            .values((
                record_version::record.eq(number),
                record_version::version.eq(head.version),
                record_version::kind.eq(write.kind),
                record_version::change.eq(change),
                record_version::updated.eq(write.now),
                record_version::method.eq(write.method.code()),
                record_version::author.eq(write.author),
                record_version::body.eq(write.body),
            ))
            .execute(c)
    })?;
    Ok(head)
}

/// The state of a resource, deleted or not.
///
/// # Errors
/// When the database fails.
pub fn find(db: &mut Db, kind: &str, id: &str) -> QueryResult<Option<Head>> {
    on_backend!(db, |c| record::table
        .filter(record::kind.eq(kind).and(record::id.eq(id)))
        .first(c)
        .optional())
}

/// The ids that begin so, of what is not deleted.
///
/// # Errors
/// When the database fails.
pub fn list_begun(db: &mut Db, prefix: &str) -> QueryResult<Vec<String>> {
    // Ids are of ASCII, so that what begins so is a range.
    let end = format!("{prefix}\u{7f}");
    on_backend!(db, |c| record::table
        .filter(record::id.ge(prefix).and(record::id.lt(&end)).and(record::deleted.eq(false)))
        .select(record::id)
        .load(c))
}

/// The bytes of a version; `None`: there is no such version, or it is a deletion.
///
/// # Errors
/// When the database fails.
pub fn body(db: &mut Db, number: i64, version: i32) -> QueryResult<Option<Vec<u8>>> {
    on_backend!(db, |c| record_version::table
        .find((number, version))
        .select(record_version::body)
        .first::<Option<Vec<u8>>>(c)
        .optional())
    .map(Option::flatten)
}

/// The present bytes of resources by number; deleted ones are left out.
///
/// # Errors
/// When the database fails.
pub fn bodies(db: &mut Db, numbers: &[i64]) -> QueryResult<Vec<(Head, Vec<u8>)>> {
    let rows: Vec<(Head, Option<Vec<u8>>)> = chunked(numbers, |numbers| {
        on_backend!(db, |c| record::table
            .inner_join(
                record_version::table.on(record_version::record
                    .eq(record::number)
                    .and(record_version::version.eq(record::version)))
            )
            .filter(record::number.eq_any(numbers))
            .select((record::all_columns, record_version::body))
            .load(c))
    })?;
    Ok(rows.into_iter().filter_map(|(head, body)| Some((head, body?))).collect())
}

/// What changed behind a number of the feed, in its order, at most `limit`.
///
/// # Errors
/// When the database fails.
pub fn list_changed(
    db: &mut Db,
    change: i64,
    limit: i64,
) -> QueryResult<Vec<(Head, Option<Vec<u8>>)>> {
    on_backend!(db, |c| record::table
        .inner_join(
            record_version::table.on(record_version::record
                .eq(record::number)
                .and(record_version::version.eq(record::version)))
        )
        .filter(record::change.gt(change))
        .order(record::change)
        .limit(limit)
        .select((record::all_columns, record_version::body))
        .load(c))
}

/// Whose versions are listed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Of<'a> {
    /// One resource, by the store's number.
    One(i64),
    /// A type.
    Type(&'a str),
    /// Everything.
    All,
}

type Row = (i64, i32, String, i64, i64, i16, Option<Vec<u8>>, String);

/// Versions, the newest first: those before the change `before` and not older than `since`; at
/// most `limit`.
///
/// # Errors
/// When the database fails.
pub fn history(
    db: &mut Db,
    of: Of<'_>,
    before: i64,
    since: i64,
    limit: i64,
) -> QueryResult<Vec<Version>> {
    let rows: Vec<Row> = on_backend!(db, |c| {
        let mut query = record_version::table
            .inner_join(record::table.on(record::number.eq(record_version::record)))
            .filter(record_version::change.lt(before).and(record_version::updated.ge(since)))
            .order(record_version::change.desc())
            .limit(limit)
            .select((
                record_version::record,
                record_version::version,
                record_version::kind,
                record_version::change,
                record_version::updated,
                record_version::method,
                record_version::body,
                record::id,
            ))
            .into_boxed();
        match of {
            Of::One(number) => query = query.filter(record_version::record.eq(number)),
            Of::Type(kind) => query = query.filter(record_version::kind.eq(kind)),
            Of::All => {}
        }
        query.load(c)
    })?;
    Ok(rows
        .into_iter()
        .map(|(_, version, kind, change, updated, method, body, id)| Version {
            kind,
            id,
            version,
            change,
            updated,
            method: Method::of(method),
            body,
        })
        .collect())
}

/// How many versions there are, as [`history`] lists them without a page.
///
/// # Errors
/// When the database fails.
pub fn count_history(db: &mut Db, of: Of<'_>, since: i64) -> QueryResult<i64> {
    on_backend!(db, |c| {
        let mut query =
            record_version::table.filter(record_version::updated.ge(since)).into_boxed();
        match of {
            Of::One(number) => query = query.filter(record_version::record.eq(number)),
            Of::Type(kind) => query = query.filter(record_version::kind.eq(kind)),
            Of::All => {}
        }
        query.count().get_result(c)
    })
}

//! What is true of the store as a whole: its id, and the fingerprints of its node's keys.

use diesel::prelude::*;

use super::schema::meta;
use super::{Db, on_backend};

/// The name of the store's random id: a view that was made from another store is known by it.
const STORE: &str = "store";

/// The value of that name.
///
/// # Errors
/// When the database fails.
pub fn find_meta(db: &mut Db, name: &str) -> QueryResult<Option<String>> {
    on_backend!(db, |c| meta::table.find(name).select(meta::value).first(c).optional())
}

/// The random id that the store was born with.
///
/// # Errors
/// When it is not there, or the database fails.
pub fn store_id(db: &mut Db) -> QueryResult<String> {
    on_backend!(db, |c| meta::table.find(STORE).select(meta::value).first(c))
}

/// Stores a value unless there is one; returns the one that is there afterwards.
///
/// # Errors
/// When the database fails.
pub fn put_new_meta(db: &mut Db, name: &str, value: &str) -> QueryResult<String> {
    on_backend!(db, |c| {
        diesel::insert_into(meta::table)
            .values((meta::name.eq(name), meta::value.eq(value)))
            .on_conflict(meta::name)
            .do_nothing()
            .execute(c)?;
        meta::table.find(name).select(meta::value).first(c)
    })
}

/// Stores a value, replacing an earlier one.
///
/// # Errors
/// When the database fails.
pub fn put_meta(db: &mut Db, name: &str, value: &str) -> QueryResult<()> {
    on_backend!(db, |c| diesel::insert_into(meta::table)
        .values((meta::name.eq(name), meta::value.eq(value)))
        .on_conflict(meta::name)
        .do_update()
        .set(meta::value.eq(value))
        .execute(c))
    .map(drop)
}

//! Subscriptions to changes as rows, and how far each was served.

use diesel::prelude::*;

use super::schema::subscription;
use super::{Db, on_backend};

/// A row of `subscription`.
#[derive(AsChangeset, Clone, Debug, Eq, Insertable, PartialEq, Queryable, Selectable)]
#[diesel(table_name = subscription, treat_none_as_null = true)]
#[diesel(treat_none_as_default_value = false)]
#[allow(missing_docs, reason = "the columns are those of the migration")]
pub struct SubscriptionRow {
    pub id: String,
    pub subject: String,
    pub body: String,
    pub status: String,
    pub error: Option<String>,
    pub version: i32,
    pub updated: i64,
    pub seq: i64,
    pub attempts: i32,
    pub due: i64,
}

/// The subscription of an id.
///
/// # Errors
/// When the database fails.
pub fn find_subscription(db: &mut Db, id: &str) -> QueryResult<Option<SubscriptionRow>> {
    on_backend!(db, |c| subscription::table
        .find(id)
        .select(SubscriptionRow::as_select())
        .first(c)
        .optional())
}

/// Every subscription, by id.
///
/// # Errors
/// When the database fails.
pub fn list_subscriptions(db: &mut Db) -> QueryResult<Vec<SubscriptionRow>> {
    on_backend!(db, |c| subscription::table
        .order(subscription::id)
        .select(SubscriptionRow::as_select())
        .load(c))
}

/// Inserts a subscription, if there are fewer than `most`; whether it was.
///
/// # Errors
/// When the database fails.
pub fn put_subscription(db: &mut Db, row: &SubscriptionRow, most: usize) -> QueryResult<bool> {
    let known: i64 = on_backend!(db, |c| subscription::table.count().get_result(c))?;
    if usize::try_from(known).unwrap_or(usize::MAX) >= most {
        return Ok(false);
    }
    on_backend!(db, |c| diesel::insert_into(subscription::table).values(row).execute(c))?;
    Ok(true)
}

/// Replaces a subscription that still is what was read of it: of version `was`, and served up to
/// the change `seq`. Whether it still was.
///
/// # Errors
/// When the database fails.
pub fn replace_subscription(
    db: &mut Db,
    row: &SubscriptionRow,
    was: i32,
    seq: i64,
) -> QueryResult<bool> {
    let known = subscription::id
        .eq(&row.id)
        .and(subscription::version.eq(was))
        .and(subscription::seq.eq(seq));
    let changed =
        on_backend!(db, |c| diesel::update(subscription::table.filter(known)).set(row).execute(c))?;
    Ok(changed > 0)
}

/// Removes a subscription; whether there was one.
///
/// # Errors
/// When the database fails.
pub fn remove_subscription(db: &mut Db, id: &str) -> QueryResult<bool> {
    let removed = on_backend!(db, |c| diesel::delete(subscription::table.find(id)).execute(c))?;
    Ok(removed > 0)
}

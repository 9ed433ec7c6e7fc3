//! Checks of the truth itself: rows that contradict each other.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::schema::{change, input, instance, series, study};
use super::{Db, on_backend};
use crate::imaging::{Instance, uid_hash};

/// Every contradiction found, in words; empty when the store agrees with itself.
///
/// # Errors
/// When the database fails.
pub fn contradictions(db: &mut Db) -> QueryResult<Vec<String>> {
    let mut found = Vec::new();
    db.snapshot(|db| {
        series_and_instances(db, &mut found)?;
        inputs(db, &mut found)?;
        feed(db, &mut found)
    })?;
    Ok(found)
}

type SeriesCheck = (i64, i64, i32, i64, i32, Option<Vec<u8>>);

fn series_and_instances(db: &mut Db, found: &mut Vec<String>) -> QueryResult<()> {
    let live: HashSet<i64> = on_backend!(db, |c| study::table
        .filter(study::deleted.eq(false))
        .select(study::number)
        .load::<i64>(c))?
    .into_iter()
    .collect();
    let mut with_series: HashSet<i64> = HashSet::new();
    let mut blocks: Vec<(i64, i64, i64)> = Vec::new();
    let mut packed_instances = 0_i64;
    let mut after = 0;
    loop {
        let rows: Vec<SeriesCheck> = on_backend!(db, |c| series::table
            .filter(series::number.gt(after))
            .order(series::number)
            .limit(5_000)
            .select((
                series::number,
                series::study,
                series::images,
                series::first_image,
                series::image_block,
                series::instances,
            ))
            .load(c))?;
        let Some(last) = rows.last() else { break };
        after = last.0;
        for (number, of, images, first, block, packed) in rows {
            if !live.contains(&of) {
                found.push(format!("series {number} belongs to study {of}, which is not there"));
            }
            with_series.insert(of);
            if block < images || first < 1 {
                found.push(format!("series {number} has {images} images and a block of {block}"));
            }
            blocks.push((first, i64::from(block), number));
            if let Some(packed) = packed {
                match Instance::unpack(&packed) {
                    Err(_) => found.push(format!("the instances of series {number} are damaged")),
                    Ok(instances) => {
                        let uids: HashSet<_> = instances.iter().map(|i| &i.uid).collect();
                        if uids.len() != instances.len() {
                            found.push(format!("series {number} holds an instance twice"));
                        }
                        if i32::try_from(instances.len()) != Ok(images) {
                            found.push(format!(
                                "series {number} says {images} images and holds {}",
                                instances.len()
                            ));
                        }
                        packed_instances += i64::try_from(instances.len()).unwrap_or(i64::MAX);
                    }
                }
            }
        }
    }
    for number in live.difference(&with_series) {
        found.push(format!("study {number} has no series and is not deleted"));
    }
    blocks.sort_unstable();
    for pair in blocks.windows(2) {
        if let [(first, block, a), (second, _, b)] = pair
            && first + block > *second
        {
            found.push(format!("series {a} and {b} share image numbers"));
        }
    }
    let keys: i64 = on_backend!(db, |c| instance::table.count().get_result(c))?;
    if keys != packed_instances {
        found.push(format!(
            "{packed_instances} instances are packed and {keys} can be found by UID"
        ));
    }
    Ok(())
}

/// Nothing lost: every input that was reported as ingested is in a series.
fn inputs(db: &mut Db, found: &mut Vec<String>) -> QueryResult<()> {
    let mut after = (i64::MIN, String::new());
    loop {
        let rows: Vec<(i64, String, Option<String>)> = on_backend!(db, |c| input::table
            .filter(input::state.eq(0).and(input::sop.is_not_null()))
            .filter(
                input::source
                    .gt(after.0)
                    .or(input::source.eq(after.0).and(input::origin.gt(&after.1)))
            )
            .order((input::source, input::origin))
            .limit(5_000)
            .select((input::source, input::origin, input::sop))
            .load(c))?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = (last.0, last.1.clone());
        let hashes: HashMap<i64, &str> = rows
            .iter()
            .filter_map(|(_, origin, sop)| Some((uid_hash(sop.as_deref()?), origin.as_str())))
            .collect();
        let wanted: Vec<i64> = hashes.keys().copied().collect();
        let known: HashSet<i64> = super::archive::find_instance_keys(db, &wanted)?
            .into_iter()
            .map(|(hash, _)| hash)
            .collect();
        for (hash, origin) in hashes {
            if !known.contains(&hash) {
                found.push(format!("`{origin}` was ingested and its instance is not there"));
            }
        }
    }
}

fn feed(db: &mut Db, found: &mut Vec<String>) -> QueryResult<()> {
    let last = super::changes::last_change(db)?;
    let (count, most): (i64, Option<i64>) = on_backend!(db, |c| change::table
        .select((diesel::dsl::count_star(), diesel::dsl::max(change::seq)))
        .first(c))?;
    if count != last || most.unwrap_or(0) != last {
        found.push(format!("the change feed counts to {last} and holds {count} entries"));
    }
    Ok(())
}

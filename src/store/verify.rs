//! Checks of the truth itself: rows that contradict each other.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;

use super::schema::{
    change, counter, finding, input, instance, lookup, meta, patient, report, run, series, study,
};
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
        patients_and_studies(db, &mut found)?;
        lookups_and_findings(db, &mut found)?;
        super::reports::contradictions(db, &mut found)?;
        inputs(db, &mut found)?;
        counters(db, &mut found)?;
        store_and_runs(db, &mut found)?;
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
                        let wanted: Vec<i64> =
                            instances.iter().map(|i| uid_hash(i.uid.as_str())).collect();
                        let keys: HashSet<(i64, i64)> =
                            super::archive::find_instance_keys(db, &wanted)?.into_iter().collect();
                        let lost = wanted.iter().filter(|hash| !keys.contains(&(**hash, number)));
                        for _ in lost.take(1) {
                            found.push(format!(
                                "an instance of series {number} cannot be found by its UID"
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

/// Every study and series names a patient who is there, and every patient is named.
fn patients_and_studies(db: &mut Db, found: &mut Vec<String>) -> QueryResult<()> {
    let mut live: HashSet<i64> = HashSet::new();
    let mut after = 0;
    loop {
        let rows = super::archive::scan_patients(db, after, 5_000)?;
        let Some(last) = rows.last() else { break };
        after = last.number;
        for row in rows {
            damaged(&row.attributes, "patient", row.number, found);
            if !row.deleted {
                live.insert(row.number);
            }
        }
    }
    let absent = |what: &str, number: i64, patient: i64| {
        format!("{what} {number} names patient {patient}, who is not there")
    };
    let mut after = 0;
    loop {
        let rows = super::archive::scan_studies(db, after, 5_000)?;
        let Some(last) = rows.last() else { break };
        after = last.number;
        for row in rows {
            damaged(&row.attributes, "study", row.number, found);
            if !row.deleted && !live.contains(&row.patient) {
                found.push(absent("study", row.number, row.patient));
            }
        }
    }
    let mut named: HashSet<i64> = HashSet::new();
    let mut after = 0;
    loop {
        let rows: Vec<(i64, i64, String, Option<String>)> = on_backend!(db, |c| series::table
            .filter(series::number.gt(after))
            .order(series::number)
            .limit(5_000)
            .select((series::number, series::patient, series::attributes, series::study_attributes))
            .load(c))?;
        let Some(last) = rows.last() else { break };
        after = last.0;
        for (number, patient, attributes, of_study) in rows {
            damaged(&attributes, "series", number, found);
            if let Some(of_study) = of_study {
                damaged(&of_study, "series", number, found);
            }
            if !live.contains(&patient) && !named.contains(&patient) {
                found.push(absent("series", number, patient));
            }
            named.insert(patient);
        }
    }
    for number in live.difference(&named) {
        found.push(format!("patient {number} is named by no series"));
    }
    Ok(())
}

fn damaged(attributes: &str, what: &str, number: i64, found: &mut Vec<String>) {
    if super::read::attributes(attributes, what, number).is_err() {
        found.push(format!("{what} {number} is damaged"));
    }
}

/// What is looked up is there, and every patient can be looked up by the own identifier.
fn lookups_and_findings(db: &mut Db, found: &mut Vec<String>) -> QueryResult<()> {
    use crate::imaging::Lookup;
    let live_patients = on_backend!(db, |c| patient::table
        .filter(patient::deleted.eq(false))
        .select(patient::number)
        .load::<i64>(c))?;
    let live_studies = on_backend!(db, |c| study::table
        .filter(study::deleted.eq(false))
        .select(study::number)
        .load::<i64>(c))?;
    for (kinds, live) in [(Lookup::OF_PATIENT, &live_patients), (Lookup::OF_STUDY, &live_studies)] {
        let live: HashSet<i64> = live.iter().copied().collect();
        let numbers: Vec<i64> = on_backend!(db, |c| lookup::table
            .filter(lookup::kind.eq_any(kinds))
            .select(lookup::number)
            .distinct()
            .load(c))?;
        for number in numbers.iter().filter(|number| !live.contains(number)) {
            found.push(format!("a value looks up what is not there ({number})"));
        }
    }
    // A study without PatientID is its own patient, who has no identifier to be looked up by.
    let named: Vec<(i64, String)> = on_backend!(db, |c| patient::table
        .filter(patient::deleted.eq(false).and(patient::id.not_like("study:%")))
        .select((patient::number, patient::id))
        .load(c))?;
    let known: HashSet<(i64, String)> = on_backend!(db, |c| lookup::table
        .filter(lookup::kind.eq(Lookup::PatientIdentifier.code()))
        .select((lookup::number, lookup::value))
        .load::<(i64, String)>(c))?
    .into_iter()
    .collect();
    for pair in named.iter().filter(|pair| !known.contains(*pair)) {
        found.push(format!("patient {} cannot be looked up by identifier", pair.0));
    }
    let live: HashSet<i64> = live_studies.into_iter().collect();
    let about: Vec<i64> =
        on_backend!(db, |c| finding::table.select(finding::study).distinct().load(c))?;
    for number in about.iter().filter(|number| !live.contains(number)) {
        found.push(format!("a finding is about study {number}, which is not there"));
    }
    let said = super::findings::total_findings(db)?;
    let tally: i64 = on_backend!(db, |c| counter::table
        .find(super::findings::TALLY)
        .select(counter::value)
        .first(c))?;
    if said != tally {
        found.push(format!(
            "the findings count to {said} and {tally} were said: rows of `finding` were changed past \
             vesalius, and no rebuild knows them; restore the database from a backup, or ingest \
             into a new data folder"
        ));
    }
    Ok(())
}

/// No number is handed out twice: every counter stands at or behind the greatest in use.
fn counters(db: &mut Db, found: &mut Vec<String>) -> QueryResult<()> {
    use diesel::dsl::max;
    let greatest: [(&str, Option<i64>); 5] = on_backend!(db, |c| [
        ("patient", patient::table.select(max(patient::number)).first(c)?),
        ("study", study::table.select(max(study::number)).first(c)?),
        ("series", series::table.select(max(series::number)).first(c)?),
        ("image", series::table.select(max(series::first_image)).first(c)?),
        ("report", report::table.select(max(report::number)).first(c)?),
    ]);
    for (name, greatest) in greatest {
        let stands: i64 =
            on_backend!(db, |c| counter::table.find(name).select(counter::value).first(c))?;
        if let Some(greatest) = greatest.filter(|greatest| *greatest > stands) {
            found
                .push(format!("the counter of {name} stands at {stands} and {greatest} is in use"));
        }
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

/// The store says which one it is, and no source is read twice at once.
fn store_and_runs(db: &mut Db, found: &mut Vec<String>) -> QueryResult<()> {
    let rows: Vec<(String, String)> = on_backend!(db, |c| meta::table.load(c))?;
    if !rows.iter().any(|(name, value)| name == "store" && !value.is_empty()) {
        found.push("the store has no id".to_owned());
    }
    let mut sources: Vec<i64> = on_backend!(db, |c| run::table
        .filter(run::state.eq("running"))
        .order(run::source)
        .select(run::source)
        .load(c))?;
    let all = sources.len();
    sources.dedup();
    if sources.len() < all {
        found.push("two runs of one source are said to go on at once".to_owned());
    }
    Ok(())
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

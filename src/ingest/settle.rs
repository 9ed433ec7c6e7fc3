//! Findings that follow of the configuration and of the tables, said anew of rows that stay as they are.
//!
//! A zone that is configured later, or a body part that a table learns, changes what every series
//! means, and no input is read again for it.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::imaging::Attributes;
use crate::mapping::{self, Context};
use crate::store::changes::{Kind, put_changes};
use crate::store::findings::{FindingRow, add_findings, list_attributes};
use crate::store::{Db, QueryResult, Store, archive, read};

/// The kinds of findings that nothing but the configuration and the tables decides.
const SETTLED: [&str; 3] = ["body-part-free-text", "modality-unlisted", "time-zone-missing"];

/// Studies in one transaction.
const STEP: i64 = 500;

/// Brings these findings up to the configuration and the tables; how many studies have others now.
///
/// # Errors
/// When the store fails; what was settled before stays.
pub fn settle(store: &Store, context: &Context) -> Result<usize> {
    let (mut after, mut changed) = (0, 0);
    loop {
        let (last, count) = store.write(|db| step(db, context, after))?;
        changed += count;
        match last {
            Some(last) => after = last,
            None => return Ok(changed),
        }
    }
}

fn step(db: &mut Db, context: &Context, after: i64) -> QueryResult<(Option<i64>, usize)> {
    let rows = archive::scan_studies(db, after, STEP)?;
    let Some(last) = rows.last().map(|row| row.number) else { return Ok((None, 0)) };
    let live: Vec<_> = rows.into_iter().filter(|row| !row.deleted).collect();
    let numbers: Vec<i64> = live.iter().map(|row| row.number).collect();
    let mut news: BTreeMap<(i64, &'static str, String), (String, i64)> = BTreeMap::new();
    for code in SETTLED {
        for (study, attribute, count) in list_attributes(db, &numbers, code)? {
            news.insert((study, code, attribute), (String::new(), -count));
        }
    }
    let nobody = Attributes::new();
    for (study, series) in read::list_aggregates(db, live)? {
        let of_study = read::attributes(&study.attributes, "study", study.number)?;
        for row in series {
            let attributes = read::attributes(&row.attributes, "series", row.number)?;
            let own = match &row.study_attributes {
                Some(text) => Some(read::attributes(text, "series", row.number)?),
                None => None,
            };
            let of_study = own.as_ref().unwrap_or(&of_study);
            for finding in mapping::findings(context, &nobody, of_study, &attributes) {
                let Some(code) = SETTLED.iter().find(|code| **code == finding.code) else {
                    continue;
                };
                let entry = news
                    .entry((study.number, *code, finding.attribute.into_owned()))
                    .or_insert_with(|| (finding.value.clone(), 0));
                entry.1 += 1;
                entry.0 = finding.value;
            }
        }
    }
    let rows: Vec<FindingRow> = news
        .into_iter()
        .filter(|(_, (_, count))| *count != 0)
        .map(|((study, code, attribute), (value, count))| FindingRow {
            study,
            code: code.to_owned(),
            attribute,
            value,
            count,
        })
        .collect();
    let mut studies: Vec<i64> = rows.iter().map(|row| row.study).collect();
    studies.dedup();
    add_findings(db, &rows)?;
    let changes: Vec<_> = studies.iter().map(|study| (Kind::Finding, *study)).collect();
    put_changes(db, &changes)?;
    Ok((Some(last), studies.len()))
}

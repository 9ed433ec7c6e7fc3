//! Reports while a batch is merged: each follows the instance that it is.

use super::*;
use crate::store::reports::{self, ReportRow};

/// What the batch gave for an instance, the last that was merged into its series.
pub(super) struct ReportNow {
    series: i64,
    digest: u64,
    class: String,
    /// Packed; `None` when the instance is no report, or no longer one.
    packed: Option<Vec<u8>>,
}

impl ReportNow {
    pub(super) fn of(record: &Record, series: i64) -> Option<(Uid, Self)> {
        let instance = record.instance.as_ref()?;
        let packed = record.report.as_ref().map(|report| report.pack());
        let class = instance.sop_class.as_str().to_owned();
        Some((instance.uid.clone(), Self { series, digest: instance.digest, class, packed }))
    }
}

impl Batch<'_> {
    /// Writes the reports of instances that came or changed, and takes away those of instances
    /// that went. After it is settled which series holds which instance.
    pub(super) fn put_reports(
        &mut self,
        db: &mut Db,
        feed: &mut Vec<(Kind, i64)>,
    ) -> QueryResult<()> {
        let mut wanted: Vec<(Uid, ReportNow, i64)> = Vec::new();
        for (uid, now) in std::mem::take(&mut self.reports) {
            // What another series already holds was dropped again.
            let Some((study, at)) = place(&mut self.studies, now.series) else { continue };
            let held = study.series.get(at).and_then(|series| series.instance(&uid));
            if held.is_some_and(|held| held.digest == now.digest) {
                wanted.push((uid, now, study.row.number));
            }
        }
        wanted.sort_by(|a, b| a.0.cmp(&b.0));
        let uids: Vec<&str> = wanted.iter().map(|(uid, ..)| uid.as_str()).collect();
        let mut known: HashMap<String, ReportRow> = reports::find_reports(db, &uids)?
            .into_iter()
            .map(|row| (row.uid.clone(), row))
            .collect();
        let mut cut: Vec<i64> = self.removed_keys.iter().map(|(_, series)| *series).collect();
        cut.sort_unstable();
        cut.dedup();
        for mut row in reports::list_reports_of_series(db, &cut)? {
            let is_gone = self.removed_keys.contains(&(uid_hash(&row.uid), row.series));
            if is_gone && !row.deleted && !known.contains_key(&row.uid) {
                self.take_away(db, &mut row, feed)?;
            }
        }
        let new = wanted
            .iter()
            .filter(|(uid, now, _)| now.packed.is_some() && !known.contains_key(uid.as_str()))
            .count();
        let mut next = if new == 0 { 0 } else { changes::take(db, "report", new)? };
        let mut rows = Vec::with_capacity(new);
        for (uid, now, study) in wanted {
            match (known.remove(uid.as_str()), now.packed) {
                (None, None) => {}
                (Some(mut row), None) => {
                    if !row.deleted {
                        self.take_away(db, &mut row, feed)?;
                    }
                }
                (Some(mut row), Some(packed)) => {
                    let is_same = !row.deleted
                        && row.series == now.series
                        && row.study == study
                        && row.content.as_deref() == Some(&*packed);
                    if is_same {
                        continue;
                    }
                    row.sop_class = now.class;
                    row.series = now.series;
                    row.study = study;
                    row.content = Some(packed);
                    row.deleted = false;
                    row.version += 1;
                    row.updated = self.now;
                    reports::put_report(db, &row)?;
                    feed.push((Kind::Report, row.number));
                }
                (None, Some(packed)) => {
                    let id = |space| {
                        public_id(self.pseudonym_key, space, "DiagnosticReport", &[uid.as_str()])
                    };
                    feed.push((Kind::Report, next));
                    rows.push(ReportRow {
                        number: next,
                        study,
                        series: now.series,
                        uid: uid.as_str().to_owned(),
                        sop_class: now.class,
                        care_id: id(IdSpace::Care),
                        research_id: id(IdSpace::Research),
                        version: 1,
                        updated: self.now,
                        deleted: false,
                        content: Some(packed),
                    });
                    next += 1;
                }
            }
        }
        reports::put_new_reports(db, &rows)
    }

    fn take_away(
        &self,
        db: &mut Db,
        row: &mut ReportRow,
        feed: &mut Vec<(Kind, i64)>,
    ) -> QueryResult<()> {
        row.deleted = true;
        row.content = None;
        row.version += 1;
        row.updated = self.now;
        feed.push((Kind::Report, row.number));
        reports::put_report(db, row)
    }
}

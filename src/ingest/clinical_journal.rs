//! What the journal keeps of an import of a clinical table: the run, and the rows that were put
//! aside, which stand in quarantine until an import of the same file and mapping takes them.

use super::clinical::{AsideRow, ClinicalSummary};
use crate::error::Result;
use crate::store::Store;
use crate::store::journal::{self, InputRow, InputState};

/// Rows of one import that the quarantine lists; more are only counted in the run's summary.
const MOST: usize = 10_000;

/// The kind of source that an import is of.
pub(super) const KIND: &str = "clinical";

/// An import under way.
#[derive(Debug)]
pub(super) struct Ledger {
    source: i64,
    run: i64,
    aside: Vec<InputRow>,
}

impl Ledger {
    /// Begins a run of the source of that locator.
    pub(super) fn begin(store: &Store, locator: &str, name: &str, now: i64) -> Result<Self> {
        store.write(|db| {
            let source = journal::put_source(db, KIND, locator, name)?.number;
            let run = journal::put_run(db, source, now)?;
            Ok(Self { source, run, aside: Vec::new() })
        })
    }

    /// Writes down a row that was put aside.
    pub(super) fn put_aside(&mut self, row: &AsideRow) {
        if self.aside.len() >= MOST {
            return;
        }
        self.aside.push(InputRow {
            source: self.source,
            // In the order of the lines.
            origin: format!("row {:07}", row.line),
            size: 0,
            mark: 0,
            state: InputState::Quarantined.code(),
            inputs: 1,
            series: None,
            sop: None,
            run: self.run,
            code: Some(row.code.clone()),
            path: Some(row.column.clone()).filter(|column| !column.is_empty()),
            place: i64::try_from(row.line).ok(),
            detail: Some(row.detail.clone()),
        });
    }

    /// Ends the run. Of one that came to the end of the file, its quarantine takes the place of that
    /// of the run before; of another one both stay.
    pub(super) fn end(
        self,
        store: &Store,
        summary: Option<&ClinicalSummary>,
        now: i64,
    ) -> Result<()> {
        let Self { source, run, aside } = self;
        store.write(|db| {
            if summary.is_some() {
                let mut former = Vec::new();
                journal::scan_inputs(db, source, |(origin, ..)| former.push(origin))?;
                let former: Vec<&str> = former.iter().map(String::as_str).collect();
                journal::remove_inputs(db, source, &former)?;
            }
            journal::put_inputs(db, &aside)?;
            let words = summary.and_then(|summary| serde_json::to_string(summary).ok());
            let state = if summary.is_some() { "done" } else { "failed" };
            journal::end_run(db, run, now, state, &words.unwrap_or_default())
        })
    }
}

//! What sources report: a table, a DICOMweb server.

use std::collections::HashMap;

use vesalius::error::Result;
use vesalius::imaging::{Record, Uid};
use vesalius::source::{Item, Journal, Quarantine, Source, Stamp};

mod table;

/// A journal in memory, filled from what a run settled.
#[derive(Debug, Default)]
pub(crate) struct Memory(HashMap<String, (Stamp, u64)>);

impl Journal for Memory {
    fn stamp(&self, origin: &str) -> Option<Stamp> {
        self.0.get(origin).map(|(stamp, _)| *stamp)
    }

    fn inputs(&self, origin: &str) -> u64 {
        self.0.get(origin).map_or(0, |(_, inputs)| *inputs)
    }
}

/// What a run reported.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) records: Vec<Record>,
    pub(crate) quarantined: Vec<(String, Quarantine)>,
    pub(crate) unchanged: Vec<(String, u64)>,
    pub(crate) settled: Vec<(String, Stamp, u64, Option<(Uid, Vec<Uid>)>)>,
    pub(crate) expected: Option<u64>,
}

/// Runs a source to its end and remembers in the journal what was settled.
pub(crate) fn run(source: &mut dyn Source, journal: &mut Memory) -> Result<Run> {
    let mut run = Run::default();
    source.read(journal, &mut |item| {
        match item {
            Item::Record { record, stamp } => {
                assert!(stamp.is_none(), "only files are settled by a record");
                run.records.push(*record);
            }
            Item::Quarantined { origin, reason, .. } => run.quarantined.push((origin, reason)),
            Item::NotDicom { origin, .. } => panic!("{origin} is no file"),
            Item::Unchanged { origin, inputs } => run.unchanged.push((origin, inputs)),
            Item::Settled { origin, stamp, inputs, study } => {
                run.settled.push((origin, stamp, inputs, study));
            }
            Item::Expected(count) => run.expected = Some(count),
        }
        Ok(())
    })?;
    for (origin, stamp, inputs, _) in &run.settled {
        journal.0.insert(origin.clone(), (*stamp, *inputs));
    }
    Ok(run)
}

//! What sources report: a table, a DICOMweb server.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "tests")]

use std::collections::HashMap;
use std::path::Path;

use vesalius::error::Result;
use vesalius::imaging::{Record, Uid};
use vesalius::source::{Item, Journal, Quarantine, Source, Stamp};

mod dicomweb;
mod table;

/// What an input was settled with: origin, stamp, inputs, and the whole study if one.
pub(crate) type Settled = (String, Stamp, u64, Option<(Uid, Vec<Uid>)>);

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

    fn origins(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

impl Memory {
    /// What an earlier process saved; empty when it did not.
    pub(crate) fn load(file: &Path) -> Self {
        std::fs::read(file)
            .map_or_else(|_| Self::default(), |text| Self(serde_json::from_slice(&text).unwrap()))
    }

    pub(crate) fn save(&self, file: &Path) {
        std::fs::write(file, serde_json::to_vec(&self.0).unwrap()).unwrap();
    }
}

/// What a run reported.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) records: Vec<Record>,
    pub(crate) quarantined: Vec<(String, Quarantine)>,
    pub(crate) unchanged: Vec<(String, u64)>,
    pub(crate) settled: Vec<Settled>,
    pub(crate) expected: Option<u64>,
}

/// Runs a source to its end and remembers in the journal what was settled.
pub(crate) fn run(source: &mut dyn Source, journal: &mut Memory) -> Result<Run> {
    let mut run = Run::default();
    let mut alone = Vec::new();
    source.read(journal, &mut |item| {
        match item {
            Item::Quarantined { origin, stamp: Some(stamp), reason } => {
                alone.push((origin.clone(), stamp));
                run.quarantined.push((origin, reason));
            }
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
    for (origin, stamp) in alone {
        journal.0.insert(origin, (stamp, 1));
    }
    Ok(run)
}

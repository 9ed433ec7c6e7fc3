//! `vesalius ingest table` with a clinical mapping.

use std::io::{BufWriter, Write};
use std::path::Path;

use serde_json::Value;

use super::{Common, Node, event};
use crate::error::{Error, Result};
use crate::fhir;
use crate::fhir::validate::{Issue, validate};
use crate::ingest::clinical::{ClinicalSummary, Import, Journaled, import as run};
use crate::mapping::clinical::{ClinicalTable, Kept, Writer};

/// Checks every resource, and writes it as a line of a file.
struct Lines<W: Write>(W);

impl<W: Write> Writer for Lines<W> {
    fn check(&self, resource: &Value) -> Vec<String> {
        let report = validate(resource, &[]);
        let said = |issue: &Issue| format!("{}: {}", issue.expression, issue.diagnostics);
        report.errors().take(3).map(said).collect()
    }

    fn put(&mut self, rows: &[Vec<Value>]) -> Result<Vec<Result<Kept, String>>> {
        let failed = |failure: std::io::Error| Error::Internal(failure.to_string());
        for resource in rows.iter().flatten() {
            writeln!(self.0, "{resource}").map_err(failed)?;
        }
        self.0.flush().map_err(failed)?;
        Ok(rows
            .iter()
            .map(|row| Ok(Kept { created: row.len() as u64, ..Kept::default() }))
            .collect())
    }
}

/// Reads the table and writes what it gives.
pub(super) fn import(
    node: &Node,
    file: &Path,
    table: &ClinicalTable,
    place: &str,
    to: Option<&Path>,
) -> Result<ClinicalSummary> {
    let locator = file.canonicalize().unwrap_or_else(|_| file.to_owned()).display().to_string();
    let how = Import {
        table,
        place,
        context: &node.context,
        key: &node.keys.pseudonym,
        store: &node.store,
        // What goes to a file is not the archive's.
        journal: to.is_none().then_some(Journaled { locator: &locator, clock: &super::now }),
    };
    match to {
        None => {
            node.catch_up()?;
            let (store, index) = ((*node.store).clone(), std::sync::Arc::clone(&node.index));
            let state = fhir::State::new(&node.config, store, index, node.context.clone())?;
            let source = format!("table {}", table.name);
            run(file, &how, &mut state.importer(&source, super::now()))
        }
        Some(to) => {
            let made = std::fs::File::create(to).map_err(|failure| {
                Error::Configuration(format!("{}: cannot be written ({failure})", to.display()))
            })?;
            run(file, &how, &mut Lines(BufWriter::new(made)))
        }
    }
}

/// The end of an import, in words or as an event of that name.
pub(super) fn tell(common: &Common, name: &str, summary: &ClinicalSummary) {
    if common.json {
        event(name, &serde_json::to_value(summary).unwrap_or_default());
        return;
    }
    out!("{} rows = {} taken + {} quarantined", summary.rows, summary.taken, summary.quarantined);
    out!(
        "{} resources are new, {} changed, {} as before",
        summary.created,
        summary.changed,
        summary.unchanged
    );
    for (profile, count) in &summary.by_profile {
        out!("  {count:>9}  {profile}");
    }
    if summary.unknown_patients + summary.unknown_studies > 0 {
        out!(
            "{} rows are about patients and {} about studies that the archive does not have: they \
             are kept by identifier",
            summary.unknown_patients,
            summary.unknown_studies
        );
    }
    if summary.vanished > 0 {
        out!(
            "{} resources of earlier imports are in no row any more: they stay until a client \
             deletes them",
            summary.vanished
        );
    }
    for row in summary.aside.iter().take(20) {
        out!("  line {}: {} {} {}", row.line, row.code, row.column, row.detail);
    }
}

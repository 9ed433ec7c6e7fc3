//! Clinical tables into resources: rows are read, told whom they are about, mapped and checked.
//!
//! In: a file, its mapping, the store. Out: the resources of each good row, handed to a
//! [`Writer`]; a [`ClinicalSummary`] with every row that was put aside, by line; the same rows in the
//! journal's quarantine, where a journal is kept. A row is
//! all or nothing. The id of a resource comes of the row's key and the mapping's name, so that the
//! same row is the same resources again. Absent: where resources are kept, what makes them valid.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde_json::{Value, json};

use super::clinical_journal::Ledger;
use crate::error::Result;
use crate::imaging::{IdSpace, Lookup, Uid, public_id};
use crate::mapping::clinical::{About, BadRow, Cells, ClinicalTable, Known, Writer};
use crate::mapping::{Context, accession_of, patient_of};
use crate::source::table::clinical::{ClinicalRow, read};
use crate::store::archive::{find_patients, find_studies, list_studies};
use crate::store::read::{Compare, find_by_lookup};
use crate::store::{Db, Store};

/// Rows that are handed on together.
const BATCH: usize = 200;

/// Rows put aside that the summary lists; more are only counted.
const LISTED: usize = 1_000;

/// A row that was put aside.
#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
pub struct AsideRow {
    /// The line of the file.
    pub line: u64,
    /// A code.
    pub code: String,
    /// The column, where one is at fault.
    pub column: String,
    /// In words; no value of the row.
    pub detail: String,
}

/// The end of an import.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct ClinicalSummary {
    /// Rows of the file: those that gave resources and those put aside.
    pub rows: u64,
    /// Rows whose resources are kept.
    pub taken: u64,
    /// Rows put aside.
    pub quarantined: u64,
    /// Resources that were not there.
    pub created: u64,
    /// Resources that became a new version.
    pub changed: u64,
    /// Resources that were there with the same content.
    pub unchanged: u64,
    /// Rows that were taken, about patients whom the archive does not know: kept by identifier.
    pub unknown_patients: u64,
    /// Rows that were taken, about studies that the archive does not have: kept by identifier.
    pub unknown_studies: u64,
    /// Resources of earlier imports that no row gives any more: they stay.
    pub vanished: u64,
    /// Resources by profile.
    pub by_profile: BTreeMap<String, u64>,
    /// The first thousand rows put aside.
    pub aside: Vec<AsideRow>,
}

/// How a table is imported.
pub struct Import<'a> {
    /// The mapping.
    pub table: &'a ClinicalTable,
    /// Where it stands, for messages.
    pub place: &'a str,
    /// Zone and identifier systems.
    pub context: &'a Context,
    /// The node's key of logical ids.
    pub key: &'a [u8],
    /// Where patients and studies are looked up.
    pub store: &'a Store,
    /// What the journal calls the import; `None`: nothing is kept, and it stands in no journal.
    pub journal: Option<Journaled<'a>>,
}

/// An import that stands in the journal.
pub struct Journaled<'a> {
    /// The file, as its source is known.
    pub locator: &'a str,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub clock: &'a dyn Fn() -> i64,
}

impl std::fmt::Debug for Import<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Import").field("place", &self.place).finish_non_exhaustive()
    }
}

/// A row that is good so far.
struct Good {
    line: u64,
    resources: Vec<Value>,
    is_patient_known: bool,
    is_study_known: bool,
}

/// Reads the file and hands the resources of its rows on.
///
/// # Errors
/// When the file cannot be read, the store does not answer, or nothing can be written.
pub fn import(path: &Path, how: &Import<'_>, writer: &mut dyn Writer) -> Result<ClinicalSummary> {
    let Some(journaled) = &how.journal else { return run(path, how, writer, &mut None) };
    // One file may be read by several mappings.
    let locator = format!("{}#{}", journaled.locator, how.table.name);
    let begun = Ledger::begin(how.store, &locator, &how.table.name, (journaled.clock)())?;
    let mut ledger = Some(begun);
    let summary = run(path, how, writer, &mut ledger);
    if let Some(ledger) = ledger {
        ledger.end(how.store, summary.as_ref().ok(), (journaled.clock)())?;
    }
    summary
}

fn run(
    path: &Path,
    how: &Import<'_>,
    writer: &mut dyn Writer,
    ledger: &mut Option<Ledger>,
) -> Result<ClinicalSummary> {
    let mut run = Run {
        how,
        writer,
        ledger,
        summary: ClinicalSummary::default(),
        keys: HashSet::new(),
        seen: HashSet::new(),
    };
    let mut batch = Vec::with_capacity(BATCH);
    read(path, how.table, how.place, |row| {
        batch.push(row);
        if batch.len() == BATCH { run.batch(std::mem::take(&mut batch)) } else { Ok(()) }
    })?;
    run.batch(batch)?;
    let standing = run.writer.standing(&format!("{}-", how.table.name))?;
    let vanished = standing.iter().filter(|id| !run.seen.contains(*id)).count();
    run.summary.vanished = vanished as u64;
    Ok(run.summary)
}

struct Run<'a, 'w> {
    how: &'a Import<'a>,
    writer: &'w mut dyn Writer,
    ledger: &'w mut Option<Ledger>,
    summary: ClinicalSummary,
    keys: HashSet<Vec<String>>,
    /// Ids that rows give, and those that rows put aside might have given.
    seen: HashSet<String>,
}

impl Run<'_, '_> {
    fn batch(&mut self, rows: Vec<ClinicalRow>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let how = self.how;
        let mut good = Vec::with_capacity(rows.len());
        let mut db = how.store.reader()?;
        for row in rows {
            self.summary.rows += 1;
            let line = row.line;
            match self.row(&mut db, row)? {
                Ok(row) => good.push(row),
                Err(bad) => self.aside(line, bad.code, bad.column, bad.detail),
            }
        }
        drop(db);
        let (lines, resources): (Vec<_>, Vec<_>) = good
            .into_iter()
            .map(|row| ((row.line, row.is_patient_known, row.is_study_known), row.resources))
            .unzip();
        let kept = self.writer.put(&resources)?;
        for (((line, is_patient_known, is_study_known), resources), kept) in
            lines.into_iter().zip(resources).zip(kept)
        {
            let kept = match kept {
                Ok(kept) => kept,
                Err(detail) => {
                    self.aside(line, "not-kept", String::new(), detail);
                    continue;
                }
            };
            let summary = &mut self.summary;
            summary.taken += 1;
            summary.created += kept.created;
            summary.changed += kept.changed;
            summary.unchanged += kept.unchanged;
            summary.unknown_patients += u64::from(!is_patient_known);
            summary.unknown_studies += u64::from(!is_study_known);
            for resource in &resources {
                let profile = resource["meta"]["profile"][0].as_str().unwrap_or_default();
                let name = profile.rsplit('/').next().unwrap_or_default();
                *summary.by_profile.entry(name.to_owned()).or_default() += 1;
            }
        }
        Ok(())
    }

    fn aside(&mut self, line: u64, code: &str, column: String, detail: String) {
        self.summary.quarantined += 1;
        let row = AsideRow { line, code: code.to_owned(), column, detail };
        if let Some(ledger) = self.ledger {
            ledger.put_aside(&row);
        }
        if self.summary.aside.len() < LISTED {
            self.summary.aside.push(row);
        }
    }

    /// The outer error ends the run, the inner one puts the row aside.
    fn row(&mut self, db: &mut Db, row: ClinicalRow) -> Result<Result<Good, BadRow>> {
        let bad = |code, column: &str, detail: String| {
            Ok(Err(BadRow { code, column: column.to_owned(), detail }))
        };
        let how = self.how;
        let table = how.table;
        let cells = match row.cells {
            Ok(cells) => cells,
            Err(detail) => return bad("row-broken", "", detail),
        };
        let cells = |column: &str| cells.get(column).map(String::as_str);
        let about = match table.about(&cells) {
            Ok(about) => about,
            Err(wrong) => return Ok(Err(wrong)),
        };
        if !self.keys.insert(about.key.clone()) {
            let detail = "another row has the same key; `identity.key` must tell rows apart";
            return bad("key-twice", "", detail.to_owned());
        }
        let names: Vec<&str> = about.key.iter().map(String::as_str).collect();
        let id = |name: &str| {
            let mut parts = vec![name];
            parts.extend(&names);
            format!("{}-{}", table.name, public_id(how.key, IdSpace::Care, "clinical", &parts))
        };
        let read = self.resources(db, &about, &cells, &id)?;
        match &read {
            Ok(good) => {
                let ids = good.resources.iter().filter_map(|resource| resource["id"].as_str());
                self.seen.extend(ids.map(str::to_owned));
            }
            Err(_) => self.seen.extend(table.resources.iter().map(|row| id(&row.name))),
        }
        Ok(read.map(|good| Good { line: row.line, ..good }))
    }

    fn resources(
        &self,
        db: &mut Db,
        about: &About,
        cells: Cells<'_>,
        id: &dyn Fn(&str) -> String,
    ) -> Result<Result<Good, BadRow>> {
        let bad = |code, column: &str, detail: String| {
            Ok(Err(BadRow { code, column: column.to_owned(), detail }))
        };
        let how = self.how;
        let (patient, patient_number) = how.patient(db, about)?;
        let found = match how.study(db, about, patient_number)? {
            Ok(found) => found,
            Err(wrong) => return Ok(Err(wrong)),
        };
        let known =
            Known { patient, study: found.as_ref().map(|found| found.reference.clone()), id };
        let resources = match how.table.resources(cells, &known) {
            Ok(resources) => resources,
            Err(wrong) => return Ok(Err(wrong)),
        };
        if resources.is_empty() {
            let detail = "the row has no value that the mapping makes a resource of";
            return bad("row-empty", "", detail.to_owned());
        }
        for resource in &resources {
            let wrong = self.writer.check(resource);
            if !wrong.is_empty() {
                let profile = resource["meta"]["profile"][0].as_str().unwrap_or_default();
                let name = profile.rsplit('/').next().unwrap_or_default();
                return bad("resource-invalid", "", format!("{name}: {}", wrong.join("; ")));
            }
        }
        Ok(Ok(Good {
            line: 0,
            resources,
            is_patient_known: patient_number.is_some(),
            is_study_known: found.is_none_or(|found| found.is_known),
        }))
    }
}

/// The study that a row is about.
struct FoundStudy {
    reference: Value,
    is_known: bool,
}

impl Import<'_> {
    /// The reference to the patient, and the store's number where it is known.
    fn patient(&self, db: &mut Db, about: &About) -> Result<(Value, Option<i64>)> {
        let found = find_patients(db, &[about.patient.as_str()])?
            .into_iter()
            .find(|row| row.issuer == about.issuer && !row.deleted);
        Ok(match found {
            Some(row) => {
                (json!({ "reference": format!("Patient/{}", row.care_id) }), Some(row.number))
            }
            None => (
                json!({
                    "type": "Patient",
                    "identifier": patient_of(self.context, &about.patient, &about.issuer),
                }),
                None,
            ),
        })
    }

    fn study(
        &self,
        db: &mut Db,
        about: &About,
        patient: Option<i64>,
    ) -> Result<Result<Option<FoundStudy>, BadRow>> {
        let identity = &self.table.identity;
        let (column, mut found, identifier) = if about.study.is_empty() {
            if about.accession.is_empty() {
                return Ok(Ok(None));
            }
            let numbers = find_by_lookup(db, Lookup::Accession, Compare::Equal, &about.accession)?;
            let column = identity.accession.clone().unwrap_or_default();
            let identifier = accession_of(self.context, &about.accession);
            (column, list_studies(db, &numbers)?, identifier)
        } else {
            let column = identity.study.clone().unwrap_or_default();
            let Ok(uid) = Uid::parse(&about.study) else {
                let detail = "the study UID is no UID (PS3.5 section 9.1)".to_owned();
                return Ok(Err(BadRow { code: "uid-invalid", column, detail }));
            };
            let identifier = json!({ "system": "urn:dicom:uid", "value": uid.to_urn() });
            (column, find_studies(db, &[about.study.as_str()])?, identifier)
        };
        found.retain(|study| !study.deleted);
        let had = !found.is_empty();
        found.retain(|study| Some(study.patient) == patient);
        Ok(match found.as_slice() {
            [study] => Ok(Some(FoundStudy {
                reference: json!({ "reference": format!("ImagingStudy/{}", study.care_id) }),
                is_known: true,
            })),
            [] if had => Err(BadRow {
                code: "study-of-another-patient",
                column,
                detail: "the archive has the study, but of another patient than the row names; \
                         compare patient identifier and issuer"
                    .to_owned(),
            }),
            [] => Ok(Some(FoundStudy {
                reference: json!({ "type": "ImagingStudy", "identifier": identifier }),
                is_known: false,
            })),
            several => Err(BadRow {
                code: "study-ambiguous",
                column,
                detail: format!(
                    "{} studies of the patient have this accession number; name the study by UID",
                    several.len()
                ),
            }),
        })
    }
}

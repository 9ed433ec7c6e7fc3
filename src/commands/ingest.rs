//! `vesalius ingest`: an archive into the store, with progress.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Common, Ended, Node, event};
use crate::error::{Error, Result};
use crate::ingest::{self, Progress, Summary};
use crate::mapping::tables;
use crate::source::Source;
use crate::source::dicomweb::{Credentials, DicomWeb, Settings};
use crate::source::table::descriptions::descriptions_from_table;
use crate::store::{findings, journal};

#[derive(Args)]
pub(super) struct Ingest {
    #[command(subcommand)]
    from: From,
    /// What the source is called on pages and in selections.
    #[arg(long, global = true, default_value = "")]
    name: String,
    /// Read quarantined inputs again although they did not change.
    #[arg(long, global = true)]
    retry_quarantined: bool,
    /// Remove what a folder no longer holds, and what a PACS no longer serves even if that is more
    /// than a tenth of it (otherwise it is reported and kept).
    #[arg(long, global = true)]
    prune: bool,
    /// Exit with 1 when input of the source is in quarantine, by this run or an earlier one, when
    /// the run added a finding, or when too much vanished to remove it.
    #[arg(long, global = true)]
    strict: bool,
}

#[derive(Subcommand)]
enum From {
    /// A folder of DICOM files.
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// A PACS, over QIDO-RS and WADO-RS.
    Dicomweb {
        /// Base URL of its DICOMweb service.
        url: String,
    },
    /// A table of series, of dataset descriptions or of clinical data: Parquet or CSV.
    Table {
        /// The file.
        file: PathBuf,
        /// Name of a mapping of `mappings/tables/` or `mappings/clinical/`, or the path of one.
        #[arg(long)]
        mapping: String,
        /// Of clinical data: write the resources to this file, one a line (NDJSON).
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// FHIR resources about the archive's patients: Bundles and single resources (JSON), NDJSON.
    /// Patients and studies link by identifier; everything else is checked and kept. `--name` begins
    /// the ids of what comes from this source (default `fhir`).
    Fhir {
        /// Files, or folders of `.json`, `.ndjson` and `.jsonl`.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

pub(super) fn run(common: &Common, command: &Ingest) -> Result<Ended> {
    let node = Node::open(common)?;
    super::demo::refuse(&common.data, &node)?;
    if let From::Fhir { files } = &command.from {
        let summary = super::fhir::ingest(&node, files, &command.name)?;
        super::fhir::tell(common, &summary);
        let asks = summary.quarantined > 0 || summary.unknown_patients > 0;
        return Ok(if command.strict && asks { Ended::Look } else { Ended::Done });
    }
    if let From::Table { file, mapping, to } = &command.from {
        let overrides = overrides(&node);
        let (text, place) = tables::find(mapping, overrides.as_deref())?;
        match tables::parse(&text, &place)? {
            tables::Mapping::Descriptions(_) => {
                let found = descriptions_from_table(mapping, overrides.as_deref(), file)?;
                return super::catalogue::put_descriptions(common, &node, &found);
            }
            tables::Mapping::Clinical(table) => {
                let to = to.as_deref();
                let summary = super::clinical::import(&node, file, &table, &place, to)?;
                super::clinical::tell(common, "summary", &summary);
                let asks = summary.quarantined > 0 || summary.unknown_patients > 0;
                return Ok(if command.strict && asks { Ended::Look } else { Ended::Done });
            }
            tables::Mapping::Series(_) => {}
        }
    }
    let mut source = open(&node, &command.from)?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // The first signal ends after the batch under way; the second ends at once.
        let registered =
            signal_hook::flag::register_conditional_shutdown(signal, 3, Arc::clone(&stop))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)));
        registered.map_err(|failure| Error::Internal(failure.to_string()))?;
    }
    if command.retry_quarantined {
        let (kind, locator) = (source.kind(), source.locator());
        node.store.write(|db| {
            let row = journal::put_source(db, kind, &locator, &command.name)?;
            journal::retry_quarantined(db, row.number)
        })?;
    }
    let summary = drive(common, &node, source.as_mut(), &command.name, command.prune, &stop)?;
    tell(common, &node, &summary)?;
    if stop.load(Ordering::Relaxed) {
        return Err(Error::Internal(
            "stopped; what is stored stays, and the next run goes on from there".to_owned(),
        ));
    }
    let asks = summary.still_quarantined > 0 || summary.findings > 0 || summary.kept_vanished > 0;
    Ok(if command.strict && asks { Ended::Look } else { Ended::Done })
}

fn open(node: &Node, from: &From) -> Result<Box<dyn Source>> {
    Ok(match from {
        From::Folder { path } => Box::new(folder(node, path)?),
        From::Dicomweb { url } => {
            let credentials = Credentials::from_environment(std::env::vars())?;
            Box::new(DicomWeb::new(url, Settings::from(&node.config.ingest), credentials)?)
        }
        From::Table { file, mapping, .. } => {
            let overrides = overrides(node);
            Box::new(crate::source::table::Table::open(file, mapping, overrides.as_deref())?)
        }
        // It has no images: `run` has taken it before.
        From::Fhir { .. } => {
            return Err(Error::Internal("resources are no source of images".to_owned()));
        }
    })
}

fn overrides(node: &Node) -> Option<PathBuf> {
    let folder = &node.config.overrides.mappings;
    (!folder.is_empty()).then(|| PathBuf::from(folder))
}

pub(super) fn folder(node: &Node, path: &std::path::Path) -> Result<crate::source::folder::Folder> {
    let executable = std::env::current_exe()
        .map_err(|failure| Error::Internal(format!("cannot find the own binary: {failure}")))?;
    let how = &node.config.ingest;
    let pool = crate::dicom::worker::Pool::start(
        &executable,
        how.workers,
        how.worker_memory_mib,
        how.worker_cpu_seconds,
    )?;
    crate::source::folder::Folder::new(path, pool)
}

/// Runs the source into the store and brings the index up to it.
pub(super) fn drive(
    common: &Common,
    node: &Node,
    source: &mut dyn Source,
    name: &str,
    prune: bool,
    stop: &AtomicBool,
) -> Result<Summary> {
    let how = ingest::Ingest {
        name: name.to_owned(),
        context: node.context.clone(),
        pseudonym_key: node.keys.pseudonym.clone(),
        batch: node.config.ingest.batch,
        prune,
    };
    let mut display = Display::new(common);
    let summary = ingest::ingest(&node.store, source, &how, &super::now, stop, &mut |progress| {
        display.show(progress);
    });
    display.end();
    let summary = summary?;
    node.index.catch_up(&node.store)?;
    if summary.studies_changed > 0 {
        node.index.save()?;
    }
    Ok(summary)
}

/// The end of a run, in words or as the `summary` event.
pub(super) fn tell(common: &Common, node: &Node, summary: &Summary) -> Result<()> {
    if common.json {
        each_quarantined(node, summary, usize::MAX, |row| {
            event("quarantined", &quarantined(row));
        })?;
        event("summary", &serde_json::to_value(summary).unwrap_or_default());
        return Ok(());
    }
    let files = &summary.files;
    out!(
        "{} seen = {} ingested + {} unchanged + {} quarantined + {} not DICOM, in {:.1} s",
        files.seen,
        files.ingested,
        files.unchanged,
        files.quarantined,
        files.not_dicom,
        summary.seconds
    );
    if summary.changed + summary.vanished > 0 {
        out!("{} had changed, {} are no longer there", summary.changed, summary.vanished);
    }
    if summary.kept_vanished > 0 {
        out!(
            "{} that the source no longer has are more than a tenth of it: what they gave is kept; \
             if they were deleted, run again with `--prune`",
            summary.kept_vanished
        );
    }
    out!(
        "the store holds {} patients, {} studies, {} series, {} images",
        summary.patients,
        summary.studies,
        summary.series,
        summary.images
    );
    let findings = node.store.read(findings::count_findings)?;
    for row in findings.iter().take(MOST_SHOWN) {
        let meaning = crate::imaging::FINDING_KINDS.iter().find(|kind| kind.code == row.code);
        out!(
            "  {:>9}  {} ({} studies): {}",
            row.count,
            row.code,
            row.studies,
            meaning.map_or("", |kind| kind.meaning)
        );
    }
    if findings.len() > MOST_SHOWN {
        out!("  and {} more kinds of findings: /operator/findings", findings.len() - MOST_SHOWN);
    }
    if files.quarantined > 0 {
        out!("quarantined:");
        let shown = each_quarantined(node, summary, MOST_SHOWN, |row| {
            let place = row.place.map(|place| format!(" at {place}")).unwrap_or_default();
            out!(
                "  {}: {}{} {} {}",
                row.origin,
                row.code.as_deref().unwrap_or(""),
                place,
                row.path.as_deref().unwrap_or(""),
                row.detail.as_deref().unwrap_or("")
            );
        })?;
        let more = files.quarantined.saturating_sub(shown);
        if more > 0 {
            out!("  and {more} more: /operator/quarantine, or `--json` for all of them");
        }
    }
    let earlier = summary.still_quarantined.saturating_sub_unsigned(files.quarantined);
    if earlier > 0 {
        out!("{earlier} of earlier runs are still in quarantine: /operator/quarantine");
    }
    Ok(())
}

/// Rows of a list that are shown in words.
const MOST_SHOWN: usize = 20;

/// Calls with what the run put into quarantine, `most` of it; how many those were.
fn each_quarantined(
    node: &Node,
    summary: &Summary,
    most: usize,
    mut show: impl FnMut(&journal::InputRow),
) -> Result<u64> {
    const PAGE: i64 = 500;
    let (mut after, mut shown) = (String::new(), 0);
    loop {
        let (run, source) = (summary.run, summary.source);
        let rows =
            node.store.read(|db| journal::list_quarantined_by(db, run, source, &after, PAGE))?;
        let Some(last) = rows.last() else { return Ok(shown) };
        after.clone_from(&last.origin);
        for row in &rows {
            if shown >= most as u64 {
                return Ok(shown);
            }
            show(row);
            shown += 1;
        }
    }
}

fn quarantined(row: &journal::InputRow) -> serde_json::Value {
    serde_json::json!({
        "origin": row.origin,
        "code": row.code,
        "path": row.path,
        "offset": row.place,
        "detail": row.detail,
    })
}

/// Progress: a bar on a terminal, up to four events a second with `--json`, nothing in a pipe.
struct Display {
    bar: Option<ProgressBar>,
    json: bool,
    last: Instant,
}

impl Display {
    fn new(common: &Common) -> Self {
        let bar = (!common.json && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::no_length();
            let style = ProgressStyle::with_template(
                "{spinner} {pos}/{len} {wide_bar} {per_sec} {eta} {msg}",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, json: common.json, last: Instant::now() }
    }

    fn show(&mut self, progress: &Progress) {
        if let Some(bar) = &self.bar {
            if let Some(expected) = progress.expected {
                bar.set_length(expected);
            }
            bar.set_position(progress.files.seen);
            bar.set_message(format!(
                "{} findings, {} quarantined",
                progress.findings, progress.files.quarantined
            ));
        } else if self.json && self.last.elapsed() > Duration::from_millis(250) {
            self.last = Instant::now();
            // What an event counts is stored: a reader may rely on it after a kill.
            event(
                "progress",
                &serde_json::json!({
                    "files": progress.files,
                    "findings": progress.findings,
                    "expected": progress.expected,
                }),
            );
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

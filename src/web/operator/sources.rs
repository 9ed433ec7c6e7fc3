//! Sources and their runs: what an ingest saw, and where it stands.
//!
//! In: the journal. Out: the pages of sources and of runs, and the lines that the overview and the
//! quarantine show too.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::{Moment, answer, parameter};
use crate::error::{Error, Result};
use crate::ingest::Summary;
use crate::store::journal::{self, InputState, RunRow, SourceRow};
use crate::web::State;
use crate::web::layout::Layout;
use crate::web::problem::render;
use crate::web::tongue::Tongue;

/// Runs that are shown of a source.
const RUNS: i64 = 50;

pub(super) struct SourceLine {
    pub(super) number: i64,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) is_table: bool,
    pub(super) locator: String,
    pub(super) ingested: String,
    pub(super) quarantined: i64,
    pub(super) quarantined_shown: String,
    pub(super) not_dicom: String,
    pub(super) vanished: String,
    pub(super) retry: i64,
    pub(super) last: Option<RunLine>,
}

pub(super) struct RunLine {
    pub(super) number: i64,
    pub(super) source: String,
    pub(super) started: Moment,
    pub(super) duration: String,
    pub(super) state: &'static str,
    pub(super) style: &'static str,
    pub(super) summary: Option<RunSummary>,
    /// Of an import of rows, which has other figures.
    pub(super) rows: Option<String>,
}

pub(super) struct RunSummary {
    pub(super) seen: String,
    pub(super) ingested: String,
    pub(super) unchanged: String,
    pub(super) quarantined: String,
    pub(super) not_dicom: String,
    pub(super) changed: String,
    pub(super) vanished: String,
    pub(super) studies_changed: String,
    pub(super) findings: String,
}

pub(super) fn source_lines(state: &State, tongue: &'static Tongue) -> Result<Vec<SourceLine>> {
    let rows = state.store.read(|db| {
        let mut rows = Vec::new();
        for source in journal::list_sources(db)? {
            let counts: HashMap<InputState, i64> =
                journal::count_inputs(db, source.number)?.into_iter().collect();
            let last = journal::list_runs(db, source.number, 1)?.into_iter().next();
            rows.push((source, counts, last));
        }
        Ok(rows)
    })?;
    let lines = rows.into_iter().map(|(source, counts, last)| {
        let of = |state: InputState| counts.get(&state).copied().unwrap_or(0);
        let name = source_name(&source, tongue);
        let rows = last.as_ref().and_then(Rows::of);
        let taken = rows.and_then(|rows| i64::try_from(rows.taken).ok());
        SourceLine {
            number: source.number,
            is_table: ["table", "clinical"].contains(&source.kind.as_str()),
            kind: kind_name(&source.kind, tongue),
            locator: source.locator.clone(),
            ingested: tongue.signed(taken.unwrap_or_else(|| of(InputState::Ingested))),
            quarantined: of(InputState::Quarantined),
            quarantined_shown: tongue.signed(of(InputState::Quarantined)),
            not_dicom: tongue.signed(of(InputState::NotDicom)),
            vanished: tongue.signed(of(InputState::Vanished)),
            retry: of(InputState::Retry),
            last: last.map(|run| run_line(&run, &name, tongue)),
            name,
        }
    });
    Ok(lines.collect())
}

/// What an import of rows wrote of itself (`vesalius ingest table`, kind `clinical`).
#[derive(serde::Deserialize)]
struct Rows {
    rows: u64,
    taken: u64,
    quarantined: u64,
    created: u64,
    changed: u64,
    unchanged: u64,
    vanished: u64,
}

impl Rows {
    fn of(row: &RunRow) -> Option<Self> {
        serde_json::from_str(&row.summary).ok()
    }

    fn shown(&self, tongue: &'static Tongue) -> String {
        let figures = [
            ("operator.ingested", self.taken),
            ("operator.quarantined", self.quarantined),
            ("operator.resources-new", self.created),
            ("operator.changed", self.changed),
            ("operator.unchanged", self.unchanged),
            ("operator.vanished", self.vanished),
        ];
        let figures =
            figures.map(|(key, count)| format!("{}: {}", tongue.word(key), tongue.count(count)));
        format!("{}. {}", tongue.counted("row", self.rows), figures.join(", "))
    }
}

fn run_line(row: &RunRow, source: &str, tongue: &'static Tongue) -> RunLine {
    let summary: Option<Summary> = serde_json::from_str(&row.summary).ok();
    let (state, style) = match row.state.as_str() {
        "done" => ("operator.run-done", "good"),
        "stopped" => ("operator.run-stopped", "warn"),
        "failed" => ("operator.run-failed", "bad"),
        "running" => ("operator.run-running", "plain"),
        "interrupted" => ("operator.run-interrupted", "bad"),
        _ => ("operator.run-unknown", "plain"),
    };
    #[allow(clippy::cast_precision_loss, reason = "seconds of a run")]
    let duration = row.finished.map_or_else(
        || tongue.word("operator.not-ended").to_owned(),
        |end| tongue.seconds(end.saturating_sub(row.started).max(0) as f64 / 1e6),
    );
    RunLine {
        number: row.number,
        source: source.to_owned(),
        started: Moment::new(row.started, tongue),
        duration,
        state: tongue.word(state),
        style,
        rows: Rows::of(row).map(|rows| rows.shown(tongue)),
        summary: summary.map(|s| RunSummary {
            seen: tongue.count(s.files.seen),
            ingested: tongue.count(s.files.ingested),
            unchanged: tongue.count(s.files.unchanged),
            quarantined: tongue.count(s.files.quarantined),
            not_dicom: tongue.count(s.files.not_dicom),
            changed: tongue.count(s.changed),
            vanished: tongue.count(s.vanished),
            studies_changed: tongue.count(s.studies_changed),
            findings: tongue.count(s.findings),
        }),
    }
}

fn kind_name(kind: &str, tongue: &'static Tongue) -> String {
    match kind {
        "folder" => tongue.word("operator.folder").to_owned(),
        "dicomweb" => "DICOMweb".to_owned(),
        "table" => tongue.word("operator.table").to_owned(),
        "clinical" => tongue.word("operator.clinical").to_owned(),
        other => other.to_owned(),
    }
}

fn source_name(source: &SourceRow, tongue: &'static Tongue) -> String {
    if source.name.is_empty() || source.name == source.locator {
        format!("{} {}", kind_name(&source.kind, tongue), source.number)
    } else {
        source.name.clone()
    }
}

#[derive(Template)]
#[template(path = "operator/sources.html")]
struct SourcesPage {
    layout: Layout,
    sources: Vec<SourceLine>,
}

pub(super) async fn sources(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    answer(request, state, |state, viewer| {
        render(&SourcesPage {
            layout: viewer.layout(state, viewer.w("operator.sources"), "/operator/sources"),
            sources: source_lines(state, viewer.reader.tongue)?,
        })
    })
    .await
}

#[derive(Template)]
#[template(path = "operator/runs.html")]
struct RunsPage {
    layout: Layout,
    of: Option<String>,
    runs: Vec<RunLine>,
}

pub(super) async fn runs(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let wanted = parameter(&request, "source").and_then(|text| text.parse::<i64>().ok());
    answer(request, state, move |state, viewer| {
        let (of, mut runs) = state.store.read(|db| {
            let mut lines = Vec::new();
            let mut of = None;
            for source in journal::list_sources(db)? {
                if wanted.is_some_and(|number| number != source.number) {
                    continue;
                }
                let name = source_name(&source, viewer.reader.tongue);
                if wanted.is_some() {
                    of = Some(name.clone());
                }
                let rows = journal::list_runs(db, source.number, RUNS)?;
                lines.extend(
                    rows.iter().map(|row| (row.number, run_line(row, &name, viewer.reader.tongue))),
                );
            }
            Ok((of, lines))
        })?;
        if wanted.is_some() && of.is_none() {
            return Err(Error::NotFound {
                kind: "source",
                id: wanted.map_or_else(String::new, |number| number.to_string()),
            });
        }
        runs.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        runs.truncate(usize::try_from(RUNS).unwrap_or(50));
        render(&RunsPage {
            layout: viewer.layout(state, viewer.w("operator.runs"), "/operator/runs"),
            of,
            runs: runs.into_iter().map(|(_, line)| line).collect(),
        })
    })
    .await
}

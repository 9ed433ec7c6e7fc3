//! The operator's pages: totals, sources, runs, quarantine, findings.
//!
//! Roles: `imaging-it`, `steward` and `admin` see them. Only `imaging-it`, whose purpose is care,
//! sees what can name a person: Study Instance UIDs, and where an input lies (paths of exports
//! often hold names).

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::State;
use super::layout::Layout;
use super::problem::{page_or_problem, render};
use super::reader::Reader;
use super::reasons::explained;
use super::session::{operator, private, same_origin, sentence};
use super::tongue::Tongue;
use super::words;
use crate::actor::{Actor, Purpose};
use crate::error::{Error, Result};
use crate::imaging::FINDING_KINDS;
use crate::ingest::Summary;
use crate::store::journal::{InputState, RunRow, SourceRow};
use crate::store::{archive, changes, findings, journal, read};

/// Rows on a page of quarantine and findings.
const ROWS: usize = 50;
/// Runs that are shown of a source.
const RUNS: i64 = 50;

pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/operator").get(overview))
        .service(web::resource("/operator/sources").get(sources))
        .service(web::resource("/operator/runs").get(runs))
        .service(web::resource("/operator/quarantine").get(quarantine))
        .service(web::resource("/operator/quarantine/retry").post(retry))
        .service(web::resource("/operator/findings").get(findings_page))
        .service(web::resource("/operator/findings/{code}").get(finding));
}

/// Who looks at an operator's page.
pub(super) struct Viewer {
    pub(super) actor: Actor,
    pub(super) reader: Reader,
}

impl Viewer {
    /// The words of a key in the viewer's language.
    pub(super) fn w(&self, key: &str) -> &'static str {
        self.reader.tongue.word(key)
    }

    /// The frame of a page below that path.
    pub(super) fn layout(&self, state: &State, title: &str, path: &'static str) -> Layout {
        Layout::operator(state.pages.site(), &self.reader, title, path, &self.actor)
    }

    /// Whether this one sees what leads to persons.
    pub(super) fn may_name_persons(&self) -> bool {
        self.actor.purpose() == Purpose::Care
    }
}

/// Checks who asks, then makes the page on a thread that may wait for the database.
pub(super) async fn answer(
    request: HttpRequest,
    state: web::Data<State>,
    make: impl FnOnce(&State, &Viewer) -> Result<String> + Send + 'static,
) -> HttpResponse {
    let actor = match operator(&request) {
        Ok(actor) => actor,
        Err(error) => return page_or_problem(state.pages.site(), &request, &error),
    };
    let viewer = Viewer { actor, reader: Reader::of(&request) };
    let (cookie, tongue) = (viewer.reader.cookie(state.is_secure), viewer.reader.tongue);
    let worker = state.clone();
    let made = web::block(move || make(&worker, &viewer)).await;
    match made.unwrap_or_else(|failure| Err(Error::Internal(failure.to_string()))) {
        Ok(html) => {
            let mut response = HttpResponse::Ok();
            response.insert_header((header::CONTENT_LANGUAGE, tongue.code.as_str()));
            if let Some(cookie) = cookie {
                response.append_header((header::SET_COOKIE, cookie));
            }
            private(&mut response).body(html)
        }
        Err(error) => page_or_problem(state.pages.site(), &request, &error),
    }
}

pub(super) fn parameter(request: &HttpRequest, name: &str) -> Option<String> {
    words::pairs(request.query_string()).into_iter().find(|(n, _)| n == name).map(|(_, v)| v)
}

/// A moment for people and for machines.
pub(super) struct Moment {
    pub(super) shown: String,
    pub(super) machine: String,
}

impl Moment {
    pub(super) fn new(microseconds: i64) -> Self {
        Self { shown: words::moment(microseconds), machine: words::machine_moment(microseconds) }
    }
}

struct RunLine {
    number: i64,
    source: String,
    started: Moment,
    duration: String,
    state: &'static str,
    style: &'static str,
    summary: Option<RunSummary>,
}

struct RunSummary {
    seen: String,
    ingested: String,
    unchanged: String,
    quarantined: String,
    not_dicom: String,
    changed: String,
    vanished: String,
    studies_changed: String,
    findings: String,
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
        |end| words::seconds(end.saturating_sub(row.started).max(0) as f64 / 1e6),
    );
    RunLine {
        number: row.number,
        source: source.to_owned(),
        started: Moment::new(row.started),
        duration,
        state: tongue.word(state),
        style,
        summary: summary.map(|s| RunSummary {
            seen: words::count(s.files.seen),
            ingested: words::count(s.files.ingested),
            unchanged: words::count(s.files.unchanged),
            quarantined: words::count(s.files.quarantined),
            not_dicom: words::count(s.files.not_dicom),
            changed: words::count(s.changed),
            vanished: words::count(s.vanished),
            studies_changed: words::count(s.studies_changed),
            findings: words::count(s.findings),
        }),
    }
}

struct SourceLine {
    number: i64,
    name: String,
    kind: String,
    is_table: bool,
    locator: String,
    ingested: String,
    quarantined: i64,
    quarantined_shown: String,
    not_dicom: String,
    vanished: String,
    retry: i64,
    last: Option<RunLine>,
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

fn source_lines(state: &State, tongue: &'static Tongue) -> Result<Vec<SourceLine>> {
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
        SourceLine {
            number: source.number,
            is_table: ["table", "clinical"].contains(&source.kind.as_str()),
            kind: kind_name(&source.kind, tongue),
            locator: source.locator.clone(),
            ingested: words::signed(of(InputState::Ingested)),
            quarantined: of(InputState::Quarantined),
            quarantined_shown: words::signed(of(InputState::Quarantined)),
            not_dicom: words::signed(of(InputState::NotDicom)),
            vanished: words::signed(of(InputState::Vanished)),
            retry: of(InputState::Retry),
            last: last.map(|run| run_line(&run, &name, tongue)),
            name,
        }
    });
    Ok(lines.collect())
}

fn source_name(source: &SourceRow, tongue: &'static Tongue) -> String {
    if source.name.is_empty() || source.name == source.locator {
        format!("{} {}", kind_name(&source.kind, tongue), source.number)
    } else {
        source.name.clone()
    }
}

#[derive(Template)]
#[template(path = "operator/overview.html")]
struct OverviewPage {
    layout: Layout,
    totals: Vec<(&'static str, String)>,
    change: String,
    index: String,
    behind: i64,
    behind_shown: String,
    quarantined: i64,
    quarantined_shown: String,
    findings: i64,
    findings_shown: String,
    published: usize,
    refused: usize,
    sources: Vec<SourceLine>,
}

async fn overview(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    answer(request, state, |state, viewer| {
        let sources = source_lines(state, viewer.reader.tongue)?;
        let (totals, change, found) = state.store.read(|db| {
            Ok((read::count_all(db)?, changes::last_change(db)?, findings::total_findings(db)?))
        })?;
        let seen = state.index.read().seq();
        let quarantined = sources.iter().map(|source| source.quarantined).sum();
        let ledger = state.pages.ledger()?;
        render(&OverviewPage {
            layout: viewer.layout(state, viewer.w("operator.overview"), "/operator"),
            totals: vec![
                (viewer.w("operator.patients"), words::signed(totals.patients)),
                (viewer.w("operator.studies"), words::signed(totals.studies)),
                (viewer.w("operator.series"), words::signed(totals.series)),
                (viewer.w("operator.images"), words::signed(totals.images)),
            ],
            change: words::signed(change),
            index: words::signed(seen),
            behind: change.saturating_sub(seen),
            behind_shown: words::signed(change.saturating_sub(seen)),
            quarantined,
            quarantined_shown: words::signed(quarantined),
            findings: found,
            findings_shown: words::signed(found),
            published: ledger.published(),
            refused: ledger.refused(),
            sources,
        })
    })
    .await
}

#[derive(Template)]
#[template(path = "operator/sources.html")]
struct SourcesPage {
    layout: Layout,
    sources: Vec<SourceLine>,
}

async fn sources(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
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

async fn runs(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
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

struct QuarantineLine {
    source: String,
    origin: Option<String>,
    code: String,
    meaning: &'static str,
    remedy: &'static str,
    path: String,
    offset: String,
    detail: String,
    run: i64,
}

/// A row number, or a byte offset in both spellings that viewers of files use.
fn offset(place: i64, is_row: bool, tongue: &'static Tongue) -> String {
    if is_row || place < 0 {
        tongue.put("operator.row", words::signed(place))
    } else {
        format!("{} (0x{place:X})", words::signed(place))
    }
}

struct RetryButton {
    number: i64,
    name: String,
    count: String,
    waiting: i64,
}

#[derive(Template)]
#[template(path = "operator/quarantine.html")]
struct QuarantinePage {
    layout: Layout,
    lines: Vec<QuarantineLine>,
    next: Option<String>,
    is_first: bool,
    shows_origin: bool,
    buttons: Vec<RetryButton>,
    total: String,
    done: Option<String>,
}

async fn quarantine(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let after = parameter(&request, "after").and_then(|text| text.parse::<usize>().ok());
    // Nobody pages further by hand; the walk stays cheap.
    let place = after.unwrap_or(0).min(100_000);
    let done = parameter(&request, "again").and_then(|text| text.parse::<u64>().ok());
    answer(request, state, move |state, viewer| {
        let sources = source_lines(state, viewer.reader.tongue)?;
        let limit = i64::try_from(ROWS).unwrap_or(50) + 1;
        // The cursor must not carry what the role may not see: a path in an address ends up in
        // histories and logs, so it is the row's place in the journal's order instead.
        let shows_origin = viewer.may_name_persons();
        let rows = state.store.read(|db| {
            let mut cursor = (i64::MIN, String::new());
            let mut left = place;
            // Walks to the place in pages; quarantines are short, or the archive is broken.
            while left > 0 {
                let step = left.min(1_000);
                let page = journal::list_quarantined(
                    db,
                    (cursor.0, &cursor.1),
                    i64::try_from(step).unwrap_or(1_000),
                )?;
                let Some(last) = page.last() else { return Ok(Vec::new()) };
                cursor = (last.source, last.origin.clone());
                left -= step;
            }
            journal::list_quarantined(db, (cursor.0, &cursor.1), limit)
        })?;
        let has_more = rows.len() > ROWS;
        let name = |number: i64| {
            let found = sources.iter().find(|source| source.number == number);
            found.map_or_else(|| number.to_string(), |source| source.name.clone())
        };
        let is_table =
            |number: i64| sources.iter().any(|source| source.number == number && source.is_table);
        let lines = rows
            .into_iter()
            .take(ROWS)
            .map(|row| {
                let code = row.code.unwrap_or_default();
                let (meaning, remedy) = explained(&code, viewer.reader.tongue);
                QuarantineLine {
                    source: name(row.source),
                    origin: shows_origin.then_some(row.origin),
                    meaning,
                    remedy,
                    path: row.path.unwrap_or_default(),
                    offset: row
                        .place
                        .map(|place| offset(place, is_table(row.source), viewer.reader.tongue))
                        .unwrap_or_default(),
                    detail: row.detail.unwrap_or_default(),
                    run: row.run,
                    code,
                }
            })
            .collect();
        let total: i64 = sources.iter().map(|source| source.quarantined).sum();
        render(&QuarantinePage {
            layout: viewer.layout(state, viewer.w("operator.quarantine"), "/operator/quarantine"),
            lines,
            next: has_more.then(|| format!("/operator/quarantine?after={}", place + ROWS)),
            is_first: place == 0,
            shows_origin,
            total: words::signed(total),
            buttons: sources
                .into_iter()
                .filter(|source| source.quarantined > 0 || source.retry > 0)
                .map(|source| RetryButton {
                    number: source.number,
                    name: source.name,
                    count: if source.quarantined > 0 {
                        source.quarantined_shown
                    } else {
                        String::new()
                    },
                    waiting: source.retry,
                })
                .collect(),
            done: done.map(|count| viewer.reader.tongue.counted("input", count)),
        })
    })
    .await
}

/// Marks the quarantined inputs of a source to be read again at its next run.
async fn retry(request: HttpRequest, state: web::Data<State>, body: web::Bytes) -> HttpResponse {
    let checked = operator(&request).and_then(|actor| {
        same_origin(&request, &state.base)?;
        Ok(actor)
    });
    let actor = match checked {
        Ok(actor) => actor,
        Err(error) => return page_or_problem(state.pages.site(), &request, &error),
    };
    let body = String::from_utf8_lossy(&body).into_owned();
    let source = words::pairs(&body)
        .into_iter()
        .find(|(name, _)| name == "source")
        .and_then(|(_, value)| value.parse::<i64>().ok());
    let Some(source) = source else {
        let error = Error::Parameter {
            name: "source".to_owned(),
            reason: "write the number of a source".to_owned(),
        };
        return page_or_problem(state.pages.site(), &request, &error);
    };
    let worker: Arc<_> = Arc::clone(&state.store);
    let done = web::block(move || -> Result<usize> {
        worker.write(|db| journal::retry_quarantined(db, source))
    })
    .await;
    match done.unwrap_or_else(|failure| Err(Error::Internal(failure.to_string()))) {
        Ok(count) => {
            tracing::info!(role = actor.role.name(), source, count, "quarantine is read again");
            HttpResponse::SeeOther()
                .insert_header((header::LOCATION, format!("/operator/quarantine?again={count}")))
                .insert_header((header::CACHE_CONTROL, "no-store"))
                .finish()
        }
        Err(error) => page_or_problem(state.pages.site(), &request, &error),
    }
}

struct FindingLine {
    code: String,
    meaning: String,
    remedy: String,
    studies: String,
    count: String,
}

#[derive(Template)]
#[template(path = "operator/findings.html")]
struct FindingsPage {
    layout: Layout,
    lines: Vec<FindingLine>,
}

const UNKNOWN_FINDING: (&str, &str) =
    ("a kind of finding that this version does not know", "update vesalius");

fn found(code: &str, tongue: &'static Tongue) -> (String, String) {
    if let Some(own) = tongue.explained("finding", code) {
        return (own.meaning.clone(), own.remedy.clone());
    }
    let (meaning, remedy) = FINDING_KINDS
        .iter()
        .find(|kind| kind.code == code)
        .map_or(UNKNOWN_FINDING, |kind| (kind.meaning, kind.remedy));
    (sentence(meaning), sentence(remedy))
}

async fn findings_page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    answer(request, state, |state, viewer| {
        let counts = state.store.read(findings::count_findings)?;
        let lines = counts
            .into_iter()
            .map(|row| {
                let (meaning, remedy) = found(&row.code, viewer.reader.tongue);
                FindingLine {
                    meaning,
                    remedy,
                    studies: words::signed(row.studies),
                    count: words::signed(row.count),
                    code: row.code,
                }
            })
            .collect();
        render(&FindingsPage {
            layout: viewer.layout(state, viewer.w("operator.findings"), "/operator/findings"),
            lines,
        })
    })
    .await
}

struct StudyLine {
    study: String,
    is_uid: bool,
    attribute: String,
    value: String,
    count: String,
}

#[derive(Template)]
#[template(path = "operator/finding.html")]
struct FindingPage {
    layout: Layout,
    code: String,
    meaning: String,
    remedy: String,
    lines: Vec<StudyLine>,
    shows_uids: bool,
    is_first: bool,
    next: Option<String>,
}

async fn finding(
    request: HttpRequest,
    state: web::Data<State>,
    code: web::Path<String>,
) -> HttpResponse {
    let after = parameter(&request, "after").and_then(|text| text.parse().ok()).unwrap_or(0_i64);
    let code = code.into_inner();
    answer(request, state, move |state, viewer| {
        // No kind of finding has such a name, and not every database can be asked for it.
        if code.chars().any(char::is_control) {
            return Err(Error::Invalid("the kind holds a control character".to_owned()));
        }
        let shows_uids = viewer.may_name_persons();
        let is_known = FINDING_KINDS.iter().any(|kind| kind.code == code);
        let limit = i64::try_from(ROWS).unwrap_or(50) + 1;
        let (rows, uids) = state.store.read(|db| {
            let rows = findings::list_findings(db, &code, after, limit)?;
            let numbers: Vec<i64> = rows.iter().map(|row| row.study).collect();
            let uids: HashMap<i64, String> = if shows_uids {
                archive::list_studies(db, &numbers)?
                    .into_iter()
                    .map(|s| (s.number, s.uid))
                    .collect()
            } else {
                HashMap::new()
            };
            Ok((rows, uids))
        })?;
        if rows.is_empty() && !is_known {
            let id = code.chars().take(100).collect();
            return Err(Error::NotFound { kind: "finding", id });
        }
        let has_more = rows.len() > ROWS;
        // The cursor is a study: all rows of the last study must be on this page. A study that
        // alone has more rows of one kind than a page does not exist: a row is an attribute.
        let shown = if has_more {
            let last = rows.last().map(|row| row.study);
            let whole = rows.iter().take_while(|row| Some(row.study) != last).count();
            if whole == 0 { ROWS } else { whole }
        } else {
            rows.len()
        };
        let next = has_more.then(|| rows.get(shown.saturating_sub(1))).flatten();
        let next = next
            .map(|row| format!("/operator/findings/{}?after={}", words::encode(&code), row.study));
        let lines = rows
            .iter()
            .take(shown)
            .map(|row| {
                let uid = uids.get(&row.study);
                StudyLine {
                    study: uid.cloned().unwrap_or_else(|| {
                        viewer.reader.tongue.put("operator.study-number", row.study)
                    }),
                    is_uid: uid.is_some(),
                    attribute: row.attribute.clone(),
                    value: row.value.clone(),
                    count: words::signed(row.count),
                }
            })
            .collect();
        let (meaning, remedy) = found(&code, viewer.reader.tongue);
        render(&FindingPage {
            layout: viewer.layout(state, viewer.w("operator.findings"), "/operator/findings"),
            meaning,
            remedy,
            lines,
            shows_uids,
            is_first: after == 0,
            next,
            code,
        })
    })
    .await
}

//! The operator's pages: totals, sources, runs, quarantine, findings.
//!
//! Roles: `imaging-it`, `steward` and `admin` see them. Only `imaging-it`, whose purpose is care,
//! sees what can name a person: Study Instance UIDs, and where an input lies (paths of exports
//! often hold names).
//!
//! This file has what the pages share, and the overview; each other file has one subject.

mod findings;
mod quarantine;
mod sources;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use self::sources::{SourceLine, source_lines};
use super::State;
use super::layout::Layout;
use super::problem::{page_or_problem, render};
use super::reader::Reader;
use super::session::{operator, private};
use super::tongue::Tongue;
use super::words;
use crate::actor::{Actor, Purpose};
use crate::error::{Error, Result};
use crate::store::{changes, findings as found, read};

/// Rows on a page of quarantine and findings.
const ROWS: usize = 50;

pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/operator").get(overview))
        .service(web::resource("/operator/sources").get(sources::sources))
        .service(web::resource("/operator/runs").get(sources::runs))
        .service(web::resource("/operator/quarantine").get(quarantine::quarantine))
        .service(web::resource("/operator/quarantine/retry").post(quarantine::retry))
        .service(web::resource("/operator/findings").get(findings::findings_page))
        .service(web::resource("/operator/findings/{code}").get(findings::finding));
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

/// The text that is looked for in a list (`q`).
pub(super) fn looked_for(request: &HttpRequest) -> String {
    parameter(request, "q").unwrap_or_default().trim().chars().take(200).collect()
}

/// A moment for people and for machines.
pub(super) struct Moment {
    pub(super) shown: String,
    pub(super) machine: String,
}

impl Moment {
    pub(super) fn new(microseconds: i64, tongue: &Tongue) -> Self {
        Self { shown: tongue.moment(microseconds), machine: words::machine_moment(microseconds) }
    }
}

/// Who did something: whoever was at the command line has no name of a token.
pub(super) fn who(name: &str, tongue: &'static Tongue) -> String {
    name.strip_prefix("command line").map_or_else(
        || name.to_owned(),
        |user| format!("{}{user}", tongue.word("operator.command-line")),
    )
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
        let (totals, change, findings) = state.store.read(|db| {
            Ok((read::count_all(db)?, changes::last_change(db)?, found::total_findings(db)?))
        })?;
        let seen = state.index.read().seq();
        let quarantined = sources.iter().map(|source| source.quarantined).sum();
        let ledger = state.pages.ledger()?;
        render(&OverviewPage {
            layout: viewer.layout(state, viewer.w("operator.overview"), "/operator"),
            totals: vec![
                (viewer.w("operator.patients"), viewer.reader.tongue.signed(totals.patients)),
                (viewer.w("operator.studies"), viewer.reader.tongue.signed(totals.studies)),
                (viewer.w("operator.series"), viewer.reader.tongue.signed(totals.series)),
                (viewer.w("operator.images"), viewer.reader.tongue.signed(totals.images)),
            ],
            change: viewer.reader.tongue.signed(change),
            index: viewer.reader.tongue.signed(seen),
            behind: change.saturating_sub(seen),
            behind_shown: viewer.reader.tongue.signed(change.saturating_sub(seen)),
            quarantined,
            quarantined_shown: viewer.reader.tongue.signed(quarantined),
            findings,
            findings_shown: viewer.reader.tongue.signed(findings),
            published: ledger.published(),
            refused: ledger.refused(),
            sources,
        })
    })
    .await
}

//! The operator's page of each catalogue that is harvested: what it brought, what was refused and
//! why, what is kept instead, what went, and when it is walked next. In the reader's language.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::State;
use super::layout::Layout;
use super::operator::{Moment, parameter};
use super::problem::{page_or_problem, render};
use super::reader::Reader;
use super::session::{operator, private};
use super::tongue::Tongue;
use super::words::{self, Href, Phrase};
use crate::actor::Actor;
use crate::config::{HarvestKind, HarvestSource};
use crate::error::{Error, Result};
use crate::store::harvested::{
    self, CURRENT, DUPLICATE, GONE, HarvestedRow, REFUSED, RunRow, Summary,
};

/// Datasets on a page, and troubles that are shown of a walk.
const ROWS: usize = 50;
/// Walks that are shown.
const RUNS: i64 = 20;

const PATH: &str = "/operator/harvest";

pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/operator/harvest").get(sources))
        .service(web::resource("/operator/harvest/{source}").get(source))
        .service(web::resource("/operator/harvest/{source}/document").get(document));
}

/// Checks who asks, then makes the page on a thread that may wait for the database.
async fn answer(
    request: HttpRequest,
    state: web::Data<State>,
    make: impl FnOnce(&State, &Actor, &Reader) -> Result<String> + Send + 'static,
) -> HttpResponse {
    let actor = match operator(&request) {
        Ok(actor) => actor,
        Err(error) => return page_or_problem(state.pages.site(), &request, &error),
    };
    let reader = Reader::of(&request);
    let (worker, whose) = (state.clone(), reader.clone());
    let made = web::block(move || make(&worker, &actor, &whose)).await;
    match made.unwrap_or_else(|failure| Err(Error::Internal(failure.to_string()))) {
        Ok(html) => {
            let mut response = HttpResponse::Ok();
            reader.headers(&mut response, state.is_secure);
            private(&mut response)
                .insert_header((header::VARY, "Accept, Accept-Language, Cookie, Authorization"))
                .body(html)
        }
        Err(error) => page_or_problem(state.pages.site(), &request, &error),
    }
}

/// A number of datasets in a state, with what it means.
struct Tally {
    label: &'static str,
    count: String,
}

/// A walk.
struct Walk {
    started: Moment,
    took: String,
    style: &'static str,
    state: &'static str,
    /// What that means, where it needs saying.
    long: &'static str,
    figures: Vec<Tally>,
}

fn walk(tongue: &'static Tongue, row: &RunRow) -> (Walk, Summary) {
    let summary: Summary = serde_json::from_str(&row.summary).unwrap_or_default();
    let figures = [
        ("harvest.pages", summary.pages),
        ("harvest.seen", summary.seen),
        ("harvest.new", summary.new),
        ("harvest.changed", summary.changed),
        ("harvest.unchanged", summary.unchanged),
        ("harvest.refused", summary.refused),
        ("harvest.duplicates", summary.duplicates),
        ("harvest.missing", summary.missing),
        ("harvest.gone", summary.gone),
        ("harvest.kept-vanished", summary.kept_vanished),
        ("harvest.foreign", summary.foreign_statements),
    ];
    let figures = figures
        .into_iter()
        .map(|(key, count)| Tally { label: tongue.word(key), count: tongue.count(count as u64) })
        .collect();
    #[allow(clippy::cast_precision_loss, reason = "seconds of a walk")]
    let took = tongue.seconds(row.ended.saturating_sub(row.started).max(0) as f64 / 1e6);
    let (style, state, long) = match (row.complete, summary.pages) {
        (true, _) => ("good", "harvest.complete", ""),
        (false, 0) => ("bad", "harvest.unreached", tongue.word("harvest.unreached-long")),
        (false, _) => ("warn", "harvest.incomplete", tongue.word("harvest.incomplete-long")),
    };
    let walk = Walk {
        started: Moment::new(row.started, tongue),
        took,
        style,
        state: tongue.word(state),
        long,
        figures,
    };
    (walk, summary)
}

/// When a source is walked next, in words.
fn next(tongue: &'static Tongue, source: Option<&HarvestSource>, last: Option<&RunRow>) -> Next {
    let Some(source) = source else { return Next::Words(tongue.word("harvest.not-configured")) };
    match (source.next_walk(last.map(|last| last.started)), last) {
        (None, _) => Next::Words(tongue.word("harvest.by-hand")),
        (Some(_), None) => Next::Words(tongue.word("harvest.soon")),
        (Some(next), Some(_)) => Next::At(Moment::new(next, tongue)),
    }
}

enum Next {
    Words(&'static str),
    At(Moment),
}

struct Line {
    name: String,
    url: String,
    current: String,
    refused: String,
    gone: String,
    last: Option<Walk>,
    next: Next,
}

/// A source of the configuration, or one that was there once: its rows stay until it is named
/// again.
struct Known<'a> {
    name: String,
    source: Option<&'a HarvestSource>,
}

fn known(state: &State) -> Result<Vec<Known<'_>>> {
    let configured = &state.pages.config().harvest.source;
    let mut all: Vec<Known<'_>> = configured
        .iter()
        .map(|source| Known { name: source.name.clone(), source: Some(source) })
        .collect();
    for name in state.store.read(harvested::list_sources)? {
        if !all.iter().any(|known| known.name == name) {
            all.push(Known { name, source: None });
        }
    }
    Ok(all)
}

fn count_of(states: &[(String, i64)], name: &str) -> u64 {
    let found = states.iter().find(|(state, _)| state == name);
    found.map_or(0, |(_, count)| u64::try_from(*count).unwrap_or(0))
}

#[derive(Template)]
#[template(path = "harvested.html")]
struct SourcesPage {
    layout: Layout,
    lines: Vec<Line>,
}

async fn sources(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    answer(request, state, |state, actor, reader| {
        let tongue = reader.tongue;
        let mut lines = Vec::new();
        for known in known(state)? {
            let ((states, _), last) = state.store.read(|db| {
                Ok((
                    harvested::count_states(db, &known.name)?,
                    harvested::last_run(db, &known.name)?,
                ))
            })?;
            lines.push(Line {
                url: known.source.map_or_else(String::new, |source| source.url.clone()),
                current: tongue.count(count_of(&states, CURRENT)),
                refused: tongue.count(count_of(&states, REFUSED)),
                gone: tongue.count(count_of(&states, GONE)),
                next: next(tongue, known.source, last.as_ref()),
                last: last.map(|last| walk(tongue, &last).0),
                name: known.name,
            });
        }
        let title = tongue.word("harvest.title");
        render(&SourcesPage {
            layout: Layout::operator(state.pages.site(), reader, title, PATH, actor),
            lines,
        })
    })
    .await
}

/// Something that was not taken.
struct TroubleLine {
    about: String,
    href: Option<Href>,
    code: String,
    meaning: &'static str,
    detail: Phrase,
}

/// A dataset that something is to be said of.
struct DatasetLine {
    iri: String,
    state: &'static str,
    style: &'static str,
    code: String,
    meaning: &'static str,
    detail: Phrase,
    missed: Option<String>,
    changed_label: &'static str,
    changed: Moment,
    document: Option<String>,
}

/// The words of every code that a walk gives.
const MEANINGS: &[&str] = &[
    "harvest-code.scheme",
    "harvest-code.credentials",
    "harvest-code.no-host",
    "harvest-code.no-address",
    "harvest-code.private-address",
    "harvest-code.redirect",
    "harvest-code.redirects",
    "harvest-code.status",
    "harvest-code.coding",
    "harvest-code.too-large",
    "harvest-code.cut-off",
    "harvest-code.too-slow",
    "harvest-code.no-answer",
    "harvest-code.not-text",
    "harvest-code.media-type",
    "harvest-code.syntax",
    "harvest-code.too-deep",
    "harvest-code.long-iri",
    "harvest-code.long-literal",
    "harvest-code.too-many-triples",
    "harvest-code.triple-term",
    "harvest-code.entities",
    "harvest-code.large-context",
    "harvest-code.reader",
    "harvest-code.no-iri",
    "harvest-code.foreign-namespace",
    "harvest-code.gate",
    "harvest-code.large-dataset",
    "harvest-code.blank-nodes",
    "harvest-code.too-costly",
    "harvest-code.duplicate",
    "harvest-code.renamed",
    "harvest-code.endless",
    "harvest-code.elsewhere",
    "harvest-code.more-pages",
    "harvest-code.not-described",
    "harvest-code.empty",
    "harvest-code.vanished",
];

/// What a code means, in the reader's language; empty for one that has no words.
fn meaning(tongue: &'static Tongue, code: &str) -> &'static str {
    let key =
        MEANINGS.iter().find(|key| key.split_once('.').is_some_and(|(_, known)| known == code));
    key.map_or("", |key| tongue.word(key))
}

fn dataset_line(tongue: &'static Tongue, row: HarvestedRow) -> DatasetLine {
    let (code, detail) = row.report.split_once(": ").unwrap_or(("", &row.report));
    let is_kept = row.state == CURRENT && !row.report.is_empty();
    let (key, style) = match row.state.as_str() {
        CURRENT if is_kept => ("harvest.state-kept", "warn"),
        CURRENT if row.missing > 0 => ("harvest.state-missed", "warn"),
        CURRENT => ("harvest.state-current", "good"),
        DUPLICATE => ("harvest.state-duplicate", "plain"),
        GONE => ("harvest.state-went", "bad"),
        _ => ("harvest.state-never", "bad"),
    };
    let mut address = words::encode(&row.iri);
    address.insert_str(0, &format!("{PATH}/{}/document?iri=", words::encode(&row.source)));
    let missing = u64::try_from(row.missing).unwrap_or(0);
    DatasetLine {
        state: tongue.word(key),
        style,
        code: code.to_owned(),
        meaning: meaning(tongue, code),
        detail: tongue.gate_list(detail),
        missed: (missing > 0).then(|| tongue.counted("walk", missing)),
        // One that was never accepted never was good.
        changed_label: tongue.word(match row.document.is_empty() {
            true => "harvest.refused-at",
            false => "harvest.changed-at",
        }),
        changed: Moment::new(
            if row.document.is_empty() { row.first_seen } else { row.changed },
            tongue,
        ),
        document: (!row.document.is_empty()).then_some(address),
        iri: row.iri,
    }
}

#[derive(Template)]
#[template(path = "harvested-source.html")]
struct SourcePage {
    layout: Layout,
    name: String,
    url: String,
    kind: &'static str,
    namespaces: Vec<String>,
    tallies: Vec<Tally>,
    next: Next,
    last: Option<Walk>,
    bytes: String,
    troubles: Vec<TroubleLine>,
    more_troubles: Option<String>,
    datasets: Vec<DatasetLine>,
    /// What is said where no dataset needs a look.
    no_datasets: &'static str,
    is_first: bool,
    further: Option<String>,
    heads: Vec<&'static str>,
    walks: Vec<Walk>,
}

async fn source(
    request: HttpRequest,
    state: web::Data<State>,
    path: web::Path<String>,
) -> HttpResponse {
    let name = path.into_inner();
    let after = parameter(&request, "after").unwrap_or_default();
    answer(request, state, move |state, actor, reader| {
        let tongue = reader.tongue;
        let found = known(state)?.into_iter().find(|known| known.name == name);
        let Some(Known { name, source }) = found else {
            return Err(Error::NotFound { kind: "source", id: name });
        };
        if after.contains('\0') {
            let reason = "is no IRI".to_owned();
            return Err(Error::Parameter { name: "after".to_owned(), reason });
        }
        let limit = i64::try_from(ROWS).unwrap_or(50) + 1;
        let ((states, kept), runs, mut rows) = state.store.read(|db| {
            Ok((
                harvested::count_states(db, &name)?,
                harvested::list_runs(db, &name, RUNS)?,
                harvested::list_reported(db, &name, &after, limit)?,
            ))
        })?;
        let tally =
            |key: &str, count: u64| Tally { label: tongue.word(key), count: tongue.count(count) };
        let kept = u64::try_from(kept).unwrap_or(0);
        let has_more = rows.len() > ROWS;
        rows.truncate(ROWS);
        let further = rows.last().filter(|_| has_more).map(|last| {
            format!("{PATH}/{}?after={}", words::encode(&name), words::encode(&last.iri))
        });
        let last = runs.first().map(|last| walk(tongue, last));
        let troubles = last.as_ref().map_or(&[][..], |(_, summary)| &summary.troubles);
        let title = format!("{}: {name}", tongue.word("harvest.title"));
        render(&SourcePage {
            layout: Layout::operator(state.pages.site(), reader, &title, PATH, actor),
            url: source.map_or_else(String::new, |source| source.url.clone()),
            kind: source.map_or("", |source| match source.kind {
                HarvestKind::Dcat => "DCAT",
                HarvestKind::Hydra => "DCAT, Hydra",
                HarvestKind::Fdp => "FAIR Data Point",
                HarvestKind::Ckan => "CKAN",
            }),
            namespaces: source.map_or_else(Vec::new, |source| source.namespaces.clone()),
            tallies: vec![
                tally("harvest.state-current", count_of(&states, CURRENT)),
                tally("harvest.state-kept", kept),
                tally("harvest.state-never", count_of(&states, REFUSED)),
                tally("harvest.state-duplicate", count_of(&states, DUPLICATE)),
                tally("harvest.state-went", count_of(&states, GONE)),
            ],
            next: next(tongue, source, runs.first()),
            bytes: last.as_ref().map_or_else(String::new, |(_, s)| tongue.bytes(s.bytes)),
            more_troubles: troubles
                .len()
                .checked_sub(ROWS + 1)
                .map(|more| tongue.put("harvest.more", tongue.count(more as u64 + 1))),
            troubles: troubles
                .iter()
                .take(ROWS)
                .map(|trouble| TroubleLine {
                    href: Href::parse(&trouble.about).filter(Href::is_web),
                    about: trouble.about.clone(),
                    meaning: meaning(tongue, &trouble.code),
                    code: trouble.code.clone(),
                    detail: tongue.gate_list(&trouble.detail),
                })
                .collect(),
            datasets: rows.into_iter().map(|row| dataset_line(tongue, row)).collect(),
            no_datasets: tongue.word(match (count_of(&states, CURRENT), runs.first()) {
                (0, _) | (_, None) => "harvest.none-kept",
                (_, Some(last)) if last.complete => "harvest.all-well",
                (_, Some(_)) => "harvest.all-as-met",
            }),
            is_first: after.is_empty(),
            further,
            walks: runs.iter().map(|run| walk(tongue, run).0).collect(),
            heads: last.as_ref().map_or_else(Vec::new, |(walk, _)| {
                walk.figures.iter().map(|figure| figure.label).collect()
            }),
            last: last.map(|(walk, _)| walk),
            name,
        })
    })
    .await
}

/// The last good version of a dataset, as the node keeps it: to look at, not to run in a browser.
async fn document(
    request: HttpRequest,
    state: web::Data<State>,
    path: web::Path<String>,
) -> HttpResponse {
    let name = path.into_inner();
    let iri = parameter(&request, "iri").unwrap_or_default();
    if let Err(error) = operator(&request) {
        return page_or_problem(state.pages.site(), &request, &error);
    }
    let worker = state.clone();
    let made = web::block(move || {
        let is_odd = name.contains('\0') || iri.contains('\0');
        let found = match is_odd {
            true => None,
            false => worker.store.read(|db| harvested::find_harvested(db, &name, &iri))?,
        };
        found
            .map(|row| row.document)
            .filter(|document| !document.is_empty())
            .ok_or(Error::NotFound { kind: "dataset", id: iri })
    })
    .await;
    match made.unwrap_or_else(|failure| Err(Error::Internal(failure.to_string()))) {
        Ok(document) => private(&mut HttpResponse::Ok())
            .content_type("application/n-triples")
            .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"dataset.nt\""))
            .body(document),
        Err(error) => page_or_problem(state.pages.site(), &request, &error),
    }
}

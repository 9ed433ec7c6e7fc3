//! The steward's page of a dataset's quality label: the score, what each metric measured, which
//! studies lower it, and the history of the description.
//!
//! As on the other operator's pages: counts and numbers of studies for every operator; Study
//! Instance UIDs, which lead to persons, only for the role whose purpose is care.

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::State;
use super::layout::Layout;
use super::ledger::Sheet;
use super::operator::{Moment, answer, parameter};
use super::problem::render;
use super::tongue::Tongue;
use super::words;
use crate::catalogue::{self as rdf, Figure, IndexFacts, LEVELS, Writer, history};
use crate::error::{Error, Result};
use crate::store::archive;

/// Studies that are listed for a metric at once.
const STUDIES: usize = 50;
/// Versions of the description that are shown.
const VERSIONS: usize = 20;

pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/operator/catalogue/{slug}").get(page));
}

struct MetricLine {
    label: String,
    dimension: String,
    definition: String,
    query: String,
    weight: u32,
    value: String,
    level: String,
    style: &'static str,
    lowering: u64,
    lowering_shown: String,
    id: String,
    /// Whether another page of its studies was asked for.
    is_open: bool,
    sheet: Sheet,
    studies: Vec<StudyLine>,
}

/// A study that lowers a metric.
struct StudyLine {
    /// Its UID for whom it may be shown, else its number.
    name: String,
    /// What stands before what it lacks, or has.
    word: &'static str,
    lacks: Vec<Lack>,
}

/// An attribute that is missing, or a finding: with the page of all studies that have it.
struct Lack {
    code: String,
    href: Option<String>,
}

struct VersionLine {
    region: String,
    at: Moment,
    who: String,
    verdict: String,
    changes: Vec<history::Change>,
}

#[derive(Template)]
#[template(path = "operator/quality.html")]
struct QualityPage {
    layout: Layout,
    slug: String,
    title: words::Phrase,
    score: String,
    table_version: String,
    elements: Vec<(String, &'static str, &'static str)>,
    lines: Vec<MetricLine>,
    shows_uids: bool,
    versions: Vec<VersionLine>,
    is_published: bool,
}

async fn page(
    request: HttpRequest,
    state: web::Data<State>,
    slug: web::Path<String>,
) -> HttpResponse {
    let slug = slug.into_inner();
    let metric = parameter(&request, "metric").unwrap_or_default();
    let page_asked = parameter(&request, "page").unwrap_or_default();
    answer(request, state, move |state, viewer| {
        let unknown = || Error::NotFound { kind: "dataset", id: slug.chars().take(100).collect() };
        if !rdf::is_slug(&slug) {
            return Err(unknown());
        }
        let entry = state.pages.shelf().find(&slug)?;
        let revisions = history::revisions(&state.store, &slug, VERSIONS)?;
        if entry.is_none() && revisions.is_empty() {
            return Err(unknown());
        }
        let tongue = viewer.reader.tongue;
        let versions = revisions
            .into_iter()
            .map(|revision| (Moment::new(revision.at.as_microsecond(), tongue), revision))
            .map(|(at, revision)| VersionLine {
                region: tongue.put_two("steward.changes-of", &at.shown, revision.number),
                at,
                who: super::operator::who(&revision.who, tongue),
                verdict: viewer.w(super::steward::verdict_word(revision.verdict)).to_owned(),
                changes: revision.changes,
            })
            .collect();
        let shows_uids = viewer.may_name_persons();
        let release = state.pages.release();
        let mut page = QualityPage {
            layout: viewer.layout(state, viewer.w("steward.quality"), "/operator/catalogue"),
            title: entry.as_ref().map_or_else(
                || words::Phrase::plain(slug.clone()),
                |e| state.pages.title_in(e, tongue),
            ),
            score: String::new(),
            table_version: release.quality.version.clone(),
            elements: Vec::new(),
            lines: Vec::new(),
            shows_uids,
            versions,
            is_published: false,
            slug: slug.clone(),
        };
        if page.title.is_empty() {
            page.title = words::Phrase::plain(slug.clone());
        }
        if let Some(entry) = entry.filter(|entry| entry.state == rdf::State::Published) {
            measured(state, &mut page, &entry, (&metric, &page_asked), tongue)?;
        }
        render(&page)
    })
    .await
}

fn measured(
    state: &State,
    page: &mut QualityPage,
    entry: &rdf::Entry,
    (asked, number): (&str, &str),
    tongue: &'static Tongue,
) -> Result<()> {
    let shows_uids = page.shows_uids;
    let release = state.pages.release();
    let file = &release.quality;
    let writer = Writer { config: state.pages.config(), release };
    let measures = file.measures(writer, entry)?;
    page.is_published = true;
    page.score = file.score(&measures).map_or_else(String::new, |score| format!("{score} %"));
    let description = entry.description();
    let rights = description.access_rights.unwrap_or(rdf::AccessRights::NonPublic);
    let document = rdf::parse(&entry.document)?;
    let dataset = writer.dataset_iri(&entry.slug);
    page.elements = rdf::completeness(&document, &dataset, rights, release)
        .into_iter()
        .map(|standing| {
            let (style, word) = match (standing.is_there, standing.is_due) {
                (true, _) => ("good", "operator.given"),
                (false, true) => ("bad", "operator.due-missing"),
                (false, false) => ("plain", "operator.not-due"),
            };
            (standing.label.best(&tongue.code).to_owned(), style, tongue.word(word))
        })
        .collect();
    let facts =
        IndexFacts::new(Arc::clone(&state.index), None).with_store(Arc::clone(&state.store));
    for metric in &file.metrics {
        let selection = &description.selection;
        let is_open = metric.id == asked;
        let mut lowering = facts.lowering(selection, &metric.figure, 0, STUDIES)?;
        let count = usize::try_from(lowering.studies).unwrap_or(usize::MAX);
        let sheet = Sheet::of(if is_open { number } else { "" }, count, STUDIES);
        if sheet.number > 1 {
            let skip = (sheet.number - 1) * STUDIES;
            lowering = facts.lowering(selection, &metric.figure, skip, STUDIES)?;
        }
        let mut lacks = facts.lacks(selection, &metric.figure, &lowering.numbers);
        let is_finding = matches!(metric.figure, Figure::Without { .. });
        let uids: HashMap<i64, String> = if shows_uids && !lowering.numbers.is_empty() {
            let rows = state.store.read(|db| archive::list_studies(db, &lowering.numbers))?;
            rows.into_iter().map(|row| (row.number, row.uid)).collect()
        } else {
            HashMap::new()
        };
        let measure = measures.iter().find(|measure| measure.metric == metric.id);
        let dimension = file.dimensions.iter().find(|row| row.id == metric.dimension);
        page.lines.push(MetricLine {
            label: metric.label.best(&tongue.code).to_owned(),
            dimension: dimension.map_or_else(String::new, |row| {
                tongue.put_two("label.article", row.label.best(&tongue.code), &row.article)
            }),
            definition: metric.definition.best(&tongue.code).to_owned(),
            query: metric.figure.query(),
            weight: metric.weight,
            value: measure.map_or_else(
                || tongue.word("operator.not-shown").to_owned(),
                |measure| match metric.figure {
                    Figure::Days {} => tongue.counted("day", whole(measure.value)),
                    _ => format!("{:.0} %", measure.value * 100.0),
                },
            ),
            level: measure.map_or_else(
                || "–".to_owned(),
                |measure| tongue.put_two("label.level-of", measure.level, LEVELS),
            ),
            style: match measure.map(|measure| measure.level) {
                Some(LEVELS) => "good",
                Some(2 | 3) => "warn",
                Some(_) => "bad",
                None => "plain",
            },
            lowering: lowering.studies,
            lowering_shown: tongue.count(lowering.studies),
            id: metric.id.clone(),
            is_open,
            sheet,
            studies: lowering
                .numbers
                .iter()
                .map(|number| StudyLine {
                    name: uids
                        .get(number)
                        .cloned()
                        .unwrap_or_else(|| tongue.put("operator.study-number", number)),
                    word: tongue.word(match is_finding {
                        true => "operator.has-finding",
                        false => "operator.lacks",
                    }),
                    lacks: lacks
                        .remove(number)
                        .unwrap_or_default()
                        .into_iter()
                        .map(|code| Lack {
                            href: is_finding.then(|| format!("/operator/findings/{code}")),
                            code,
                        })
                        .collect(),
                })
                .collect(),
        });
    }
    Ok(())
}

/// Days, of which a metric has whole ones.
fn whole(days: f64) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let whole = days.round() as u64;
    whole
}

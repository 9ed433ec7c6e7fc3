//! The operator's list of descriptions: where each stands and what the gate says, page by page, so
//! that it stays of use with tens of thousands of datasets.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::State;
use super::layout::Layout;
use super::ledger::{Paging, Sheet, Show};
use super::operator::{Moment, answer, looked_for, parameter};
use super::problem::render;
use super::tongue::Tongue;
use super::words::{self, Phrase};
use crate::actor::Role;
use crate::catalogue::{Entry, Severity, State as Standing, Text};
use crate::error::Result;

/// Datasets on a page.
const ROWS: usize = 50;

pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/operator/catalogue").get(catalogue));
}

struct ProblemLine {
    label: String,
    field: String,
    rule: Phrase,
    value: String,
    remedy: Phrase,
    is_violation: bool,
}

struct DatasetLine {
    slug: String,
    title: Phrase,
    state: &'static str,
    style: &'static str,
    version: String,
    modified: Option<Moment>,
    next_release: String,
    is_published: bool,
    violations: usize,
    problems: Vec<ProblemLine>,
}

fn line(state: &State, tongue: &'static Tongue, entry: Entry) -> DatasetLine {
    let form = &state.pages.release().form;
    let label = |field: &str, otherwise: &str| {
        let row = form.row(field).map(|row| row.label.best(&tongue.code).to_owned());
        row.unwrap_or_else(|| tongue.gate(otherwise).text)
    };
    let problems: Vec<ProblemLine> = entry
        .report()
        .into_iter()
        .map(|problem| ProblemLine {
            is_violation: problem.severity == Severity::Violation,
            label: label(&problem.field, &problem.label),
            field: problem.field,
            rule: tongue.gate(&problem.rule),
            value: problem.value.unwrap_or_default(),
            remedy: tongue.gate(&problem.remedy),
        })
        .collect();
    let violations = problems.iter().filter(|problem| problem.is_violation).count();
    let (standing, style) = match (entry.state, violations) {
        (Standing::Published, 0) => ("operator.stands-published", "good"),
        (Standing::Published, _) => ("operator.stands-refused", "warn"),
        (Standing::Failed, _) => ("operator.stands-failed", "bad"),
        (Standing::Withdrawn, _) => ("operator.stands-withdrawn", "plain"),
    };
    let title = state.pages.title_in(&entry, tongue);
    DatasetLine {
        title: if title.is_empty() { Phrase::plain(entry.slug.clone()) } else { title },
        state: tongue.word(standing),
        style,
        modified: (entry.state != Standing::Failed)
            .then(|| Moment::new(entry.modified.as_microsecond(), tongue)),
        next_release: entry.next_release.map_or_else(String::new, |next| {
            tongue.day(next.to_zoned(jiff::tz::TimeZone::UTC).date())
        }),
        version: entry.version,
        is_published: entry.state == Standing::Published,
        violations,
        problems,
        slug: entry.slug,
    }
}

/// A draft that was never published.
struct NewLine {
    slug: String,
    title: Phrase,
    said: String,
    version: i64,
}

/// A draft as the list shows it; `None`: somebody published or deleted it meanwhile.
fn new_line(state: &State, tongue: &'static Tongue, slug: String) -> Result<Option<NewLine>> {
    let Some(bench) = &state.bench else { return Ok(None) };
    let Some(draft) = bench.draft(&slug)? else { return Ok(None) };
    // A draft may be anything: its title is read by itself.
    let table: toml::Table = toml::from_str(&draft.text).unwrap_or_default();
    let title = table.get("title").and_then(|title| title.clone().try_into::<Text>().ok());
    let title = title.map(|title| state.pages.converter(tongue).best(&title)).unwrap_or_default();
    let at = Moment::new(draft.at, tongue);
    Ok(Some(NewLine {
        title: if title.is_empty() { Phrase::plain(slug.clone()) } else { title },
        said: tongue.put_two("steward.is-draft", &draft.who, &at.shown),
        version: draft.version,
        slug,
    }))
}

#[derive(Template)]
#[template(path = "operator/catalogue.html")]
struct CataloguePage {
    layout: Layout,
    lines: Vec<DatasetLine>,
    /// Drafts of datasets that are described nowhere else.
    new: Vec<NewLine>,
    /// Slugs with a draft.
    drafts: BTreeSet<String>,
    may_write: bool,
    was_dropped: bool,
    was_imported: bool,
    /// Whether there is any description.
    is_empty: bool,
    text: String,
    /// Name, words, whether it is chosen.
    shows: Vec<(&'static str, &'static str, bool)>,
    found: String,
    paging: Paging,
}

impl CataloguePage {
    fn has_draft(&self, slug: &str) -> bool {
        self.drafts.contains(slug)
    }
}

async fn catalogue(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let was_dropped = parameter(&request, "dropped").is_some();
    let was_imported = parameter(&request, "imported").is_some();
    let text = looked_for(&request);
    let show = Show::of(&parameter(&request, "show").unwrap_or_default());
    let asked = parameter(&request, "page").unwrap_or_default();
    answer(request, state, move |state, viewer| {
        let tongue = viewer.reader.tongue;
        let ledger = state.pages.ledger()?;
        let may_write =
            matches!(viewer.actor.role, Role::Steward | Role::Admin) && state.bench.is_some();
        let drafts: BTreeSet<String> = match &state.bench {
            Some(bench) if may_write => bench.draft_slugs()?.into_iter().collect(),
            _ => BTreeSet::new(),
        };
        let all = ledger.list(&text, show, &drafts);
        let sheet = Sheet::of(&asked, all.len(), ROWS);
        let (known, new): (Vec<String>, Vec<String>) =
            sheet.of_list(&all, ROWS).iter().cloned().partition(|slug| ledger.has(slug));
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for entry in state.pages.shelf().entries(&known)? {
            entries.insert(entry.slug.clone(), entry);
        }
        let lines: Vec<DatasetLine> = known
            .iter()
            .filter_map(|slug| Some(line(state, tongue, entries.remove(slug)?)))
            .collect();
        let new = new.into_iter().map(|slug| new_line(state, tongue, slug));
        let new: Vec<NewLine> = new.filter_map(Result::transpose).collect::<Result<_>>()?;
        let name = Show::ALL.iter().find(|row| row.0 == show).map_or("all", |row| row.1);
        let href = |number: usize| {
            format!("/operator/catalogue?q={}&show={name}&page={number}", words::encode(&text))
        };
        render(&CataloguePage {
            layout: viewer.layout(state, viewer.w("operator.catalogue"), "/operator/catalogue"),
            is_empty: all.is_empty() && text.is_empty() && show == Show::All,
            new,
            drafts,
            lines,
            may_write,
            was_dropped,
            was_imported,
            shows: Show::ALL
                .iter()
                .map(|(of, name, words)| (*name, tongue.word(words), *of == show))
                .collect(),
            found: tongue.found(all.len()),
            paging: sheet.paging(href),
            text,
        })
    })
    .await
}

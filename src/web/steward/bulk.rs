//! One field of many datasets: chosen, previewed with a verdict for each, applied to all or none.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use toml::{Table, Value};

use super::super::State;
use super::super::layout::Layout;
use super::super::ledger::Sheet;
use super::super::problem::render;
use super::view::{self, ChangeView, Control, FieldView, Finding, Maker};
use super::{Answer, Asking, answer, answer_form, posted};
use crate::catalogue::bench::{Publication, Wanted, digest};
use crate::catalogue::form::{Field, FormFile, Kind, Posted, find, put};
use crate::catalogue::rewrite::rewritten;
use crate::catalogue::{self as rdf, Outcome, Shelf as _, Verdict};
use crate::error::{Error, Result};
use crate::imaging::fold;

/// Datasets of one edit at most.
const MOST: usize = 500;
/// Datasets on a page of the list to choose from.
const ROWS: usize = 50;

pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/operator/bulk-edit").get(show).post(send));
}

struct DatasetLine {
    slug: String,
    title: String,
    is_chosen: bool,
    base: String,
    /// Digest of the text that is shown to come of it.
    seen: String,
    /// Who has a draft of it.
    draft: Option<String>,
    /// What would change; `None`: it was not asked for yet.
    changes: Option<Vec<ChangeView>>,
    style: &'static str,
    verdict: &'static str,
    findings: Vec<Finding>,
}

#[derive(Template)]
#[template(path = "steward/bulk.html")]
struct BulkPage {
    layout: Layout,
    lines: Vec<DatasetLine>,
    /// Those that are chosen and stand on another page.
    elsewhere: Vec<String>,
    /// How many are chosen, in words.
    chosen: String,
    text: String,
    found: String,
    most: usize,
    sheet: Sheet,
    fields: Vec<(String, String)>,
    path: String,
    field: Option<FieldView>,
    is_list: bool,
    adds: bool,
    languages: Vec<String>,
    is_preview: bool,
    can_apply: bool,
    is_stale: bool,
    /// What is asked for differs from what was shown before.
    is_other: bool,
    /// Those that are found and have no text that could be edited.
    left_out: Option<String>,
    done: Option<String>,
}

/// How the page is shown.
#[derive(Clone, Copy, Default)]
struct Look {
    is_preview: bool,
    is_stale: bool,
    is_other: bool,
}

impl Look {
    const PREVIEW: Self = Self { is_preview: true, is_stale: false, is_other: false };
}

/// The fields that many datasets can be given at once: path and row.
fn fields(form: &FormFile) -> Vec<(String, &Field)> {
    let rows = form.field.iter().filter(|row| row.bulk);
    rows.map(|row| match &row.of {
        Some(of) => (format!("{of}.{}", row.path), row),
        None => (row.path.clone(), row),
    })
    .collect()
}

/// A description with the value put in; lists of parts have it in each part.
fn with(table: &Table, path: &str, row: &Field, value: Option<&Value>, adds: bool) -> Table {
    let mut table = table.clone();
    let joined = |old: Option<&Value>| match (row.kind, adds, old, value) {
        (Kind::Codes, true, Some(Value::Array(old)), Some(Value::Array(new))) => {
            let mut all = old.clone();
            all.extend(new.iter().filter(|one| !old.contains(one)).cloned());
            Some(Value::Array(all))
        }
        (Kind::Codes, true, old, None) => old.cloned(),
        (_, _, _, new) => new.cloned(),
    };
    match (&row.of, path.split_once('.')) {
        (Some(_), Some((list, rest))) => {
            if let Some(Value::Array(parts)) = table.get_mut(list) {
                for part in parts.iter_mut().filter_map(Value::as_table_mut) {
                    let new = joined(find(Some(part), rest));
                    put(part, rest, new);
                }
            }
        }
        _ => {
            let new = joined(find(Some(&table), path));
            put(&mut table, path, new);
        }
    }
    table
}

struct Asked<'p> {
    posted: &'p Posted,
    path: String,
    chosen: Vec<String>,
    adds: bool,
    languages: Vec<String>,
    /// What is looked for in the list, and the page of it.
    text: String,
    sheet: String,
}

/// The datasets that a text finds, by slug: those with a text that can be edited, and the others.
fn found(state: &State, asking: &Asking, text: &str) -> Result<(Vec<String>, Vec<String>)> {
    let ledger = state.pages.ledger()?;
    let folded = fold(text);
    let words: Vec<&str> = folded.split_whitespace().collect();
    let mut slugs = asking.bench.slugs()?;
    slugs.retain(|slug| ledger.fits(slug, &words));
    let (mut editable, mut others) = (Vec::new(), Vec::new());
    for slug in slugs {
        // What is in order was read once; of anything else one must look.
        let is_editable =
            ledger.is_in_order(&slug) || table_of(&asking.bench.current(&slug)?.text).is_some();
        if is_editable { &mut editable } else { &mut others }.push(slug);
    }
    Ok((editable, others))
}

/// The description of a text; `None`: there is none that a form could change.
fn table_of(text: &str) -> Option<Table> {
    toml::from_str::<Table>(text).ok().filter(|_| !text.is_empty())
}

fn page(
    state: &State,
    asking: &Asking,
    asked: Option<&Asked<'_>>,
    look: Look,
    done: Option<String>,
) -> Result<String> {
    let Look { is_preview, is_stale, is_other } = look;
    let release = state.pages.release();
    let form = &release.form;
    let tongue = asking.reader.tongue;
    let catalogue_language = state.pages.config().catalogue.language.as_str();
    let languages = match asked {
        Some(asked) if !asked.languages.is_empty() => asked.languages.clone(),
        _ => vec![catalogue_language.to_owned()],
    };
    let choices = fields(form);
    let path = asked.map_or_else(String::new, |asked| asked.path.clone());
    let row = choices.iter().find(|(known, _)| *known == path).map(|(_, row)| *row);
    let converter = state.pages.converter(tongue);
    let maker = Maker {
        form,
        release,
        converter: &converter,
        index: &state.index,
        tongue,
        languages: &languages,
        catalogue_language,
        rights: None,
        add: "",
    };
    let value = row.zip(asked).and_then(|(row, asked)| form.value(row, asked.posted, &languages));
    let field = row.map(|row| {
        let mut field = maker.field(row, &row.path, value.as_ref());
        if let Control::Part { is_open, .. } = &mut field.control {
            *is_open = true;
        }
        field
    });
    let mut lines = Vec::new();
    let mut texts = Vec::new();
    let chosen: &[String] = asked.map_or(&[], |asked| &asked.chosen);
    let text = asked.map_or("", |asked| asked.text.as_str());
    let (found, others) = found(state, asking, text)?;
    let sheet = Sheet::of(asked.map_or("", |asked| asked.sheet.as_str()), found.len(), ROWS);
    // What would be done is shown of all that are chosen, the list to choose from page by page.
    let shown: &[String] = if is_preview { chosen } else { sheet.of_list(&found, ROWS) };
    let elsewhere = chosen.iter().filter(|slug| !shown.contains(slug)).cloned().collect();
    for slug in shown.iter().cloned() {
        let current = asking.bench.current(&slug)?;
        let Some(table) = table_of(&current.text) else { continue };
        let is_chosen = chosen.contains(&slug);
        let title = asking.bench.desk.shelf.find(&slug)?;
        let title =
            title.map_or_else(String::new, |entry| state.pages.title_in(&entry, tongue).text);
        let mut line = DatasetLine {
            title,
            is_chosen,
            base: current.digest,
            seen: String::new(),
            draft: asking.bench.draft(&slug)?.map(|draft| draft.who),
            changes: None,
            style: "",
            verdict: "",
            findings: Vec::new(),
            slug: slug.clone(),
        };
        if let (true, true, Some(row), Some(asked)) = (is_preview, is_chosen, row, asked) {
            let new = with(&table, &asked.path, row, value.as_ref(), asked.adds);
            let text = rewritten(&current.text, &new, catalogue_language);
            line.changes = Some(view::changes(&current.text, &text, form, tongue));
            line.seen = digest(&text);
            texts.push((slug, text));
        }
        lines.push(line);
    }
    let mut can_apply = !texts.is_empty();
    for (tried, (slug, _)) in asking.bench.try_out(&texts, asking.now)?.into_iter().zip(&texts) {
        let Some(line) = lines.iter_mut().find(|line| line.slug == *slug) else { continue };
        let (style, word) = said(&tried.outcome);
        line.style = style;
        line.verdict = asking.w(word);
        if tried.outcome.verdict == Verdict::Refused {
            can_apply = false;
            line.findings = view::findings(&tried.outcome, form, tongue);
        }
    }
    let mut layout = asking.layout(state, asking.w("steward.bulk"));
    layout.form = Some(("work", if is_preview { "preview" } else { "show" }));
    render(&BulkPage {
        layout,
        lines,
        elsewhere,
        chosen: tongue.counted("dataset", chosen.len() as u64),
        text: text.to_owned(),
        found: tongue.found(found.len()),
        most: MOST,
        sheet,
        fields: choices
            .iter()
            .map(|(path, row)| (path.clone(), row.label.best(&tongue.code).to_owned()))
            .collect(),
        is_list: row.is_some_and(|row| row.kind == Kind::Codes),
        adds: asked.is_some_and(|asked| asked.adds),
        path,
        field,
        languages,
        is_preview,
        can_apply,
        is_stale,
        is_other,
        left_out: (!others.is_empty() && !is_preview)
            .then(|| tongue.put("steward.bulk-left-out", others.join(", "))),
        done,
    })
}

/// What the gate would do.
fn said(outcome: &Outcome) -> (&'static str, &'static str) {
    match outcome.verdict {
        Verdict::Refused => ("bad", "steward.verdict-refused"),
        Verdict::Withdrawn => ("warn", "steward.verdict-withdrawn"),
        Verdict::Unchanged => ("plain", "steward.verdict-unchanged"),
        Verdict::Published => ("good", "steward.passes"),
    }
}

async fn show(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let query = request.query_string().to_owned();
    answer(&request, state, move |state, asking| {
        let pairs = super::words::pairs(&query);
        let done = pairs.iter().find(|(name, _)| name == "done");
        let done = done.and_then(|(_, count)| count.parse::<u64>().ok());
        let done = done.map(|count| asking.reader.tongue.counted("dataset", count));
        page(state, asking, None, Look::default(), done).map(Answer::Page)
    })
    .await
}

async fn send(request: HttpRequest, state: web::Data<State>, body: web::Bytes) -> HttpResponse {
    let sent = body.clone();
    answer_form(&request, state, &sent, move |state, asking| {
        let posted = posted(&body);
        let mut chosen: Vec<String> = posted.all("dataset").to_vec();
        chosen.retain(|slug| rdf::is_slug(slug));
        if chosen.len() > MOST {
            return Err(Error::TooCostly(format!("choose at most {MOST} datasets at once")));
        }
        chosen.sort();
        chosen.dedup();
        let what = posted.one("do").to_owned();
        let text: String = posted.one("q").chars().take(200).collect();
        if what == "all" {
            chosen = found(state, asking, &text)?.0.into_iter().take(MOST).collect();
        }
        if what == "none" {
            chosen.clear();
        }
        // A text that is looked for anew begins with its first page.
        let sheet = what.strip_prefix("page:").unwrap_or_default().to_owned();
        let known = |tag: &&String| crate::config::LANGUAGES.contains(&tag.as_str());
        let asked = Asked {
            text,
            sheet,
            path: posted.one("field").to_owned(),
            chosen,
            adds: posted.one("how") == "add",
            languages: posted.all("language").iter().filter(known).cloned().collect(),
            posted: &posted,
        };
        match what.as_str() {
            "apply" => apply(state, asking, &asked),
            "preview" => page(state, asking, Some(&asked), Look::PREVIEW, None).map(Answer::Page),
            _ => page(state, asking, Some(&asked), Look::default(), None).map(Answer::Page),
        }
    })
    .await
}

fn apply(state: &State, asking: &Asking, asked: &Asked<'_>) -> Result<Answer> {
    let form = &state.pages.release().form;
    let choices = fields(form);
    let Some((path, row)) = choices.iter().find(|(path, _)| *path == asked.path) else {
        return Err(Error::Parameter {
            name: "field".to_owned(),
            reason: "is none that many datasets can be given".to_owned(),
        });
    };
    let value = form.value(row, asked.posted, &asked.languages);
    let mut wanted = Vec::new();
    let mut is_other = false;
    for slug in &asked.chosen {
        let current = asking.bench.current(slug)?;
        let base = asked.posted.one(&format!("base:{slug}")).to_owned();
        let Some(table) = table_of(&current.text) else { continue };
        let new = with(&table, path, row, value.as_ref(), asked.adds);
        let language = &state.pages.config().catalogue.language;
        let text = rewritten(&current.text, &new, language);
        // Of the same text, nothing is written that was not looked at.
        let is_same_ground = base == current.digest;
        is_other |= is_same_ground && *asked.posted.one(&format!("seen:{slug}")) != digest(&text);
        // What says the same is left as it is written.
        let is_same = rdf::history::differences(&current.text, &text).is_empty();
        if !is_same {
            wanted.push(Wanted { slug: slug.clone(), base, text, draft: None });
        }
    }
    if is_other {
        let look = Look { is_other, ..Look::PREVIEW };
        return page(state, asking, Some(asked), look, None).map(Answer::Conflict);
    }
    if wanted.is_empty() {
        return page(state, asking, Some(asked), Look::PREVIEW, None).map(Answer::Page);
    }
    match asking.bench.publish(&wanted, &asking.who(), asking.now)? {
        Publication::Done(_) => {
            Ok(Answer::See(format!("/operator/bulk-edit?done={}", wanted.len())))
        }
        Publication::Refused(_) => {
            page(state, asking, Some(asked), Look::PREVIEW, None).map(Answer::Refused)
        }
        Publication::Stale(_) => {
            let look = Look { is_stale: true, ..Look::PREVIEW };
            page(state, asking, Some(asked), look, None).map(Answer::Conflict)
        }
    }
}

//! What stands between a draft and the public: comparison, verdict, preview; then versions,
//! restoring, withdrawing.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use toml::{Table, Value};

use super::super::State;
use super::super::layout::Layout;
use super::super::operator::Moment;
use super::super::problem::render;
use super::super::reader::Preview;
use super::super::words::pairs;
use super::edit::{DraftLine, Ground, check, ground, is_behind};
use super::view::{self, ChangeView, Finding};
use super::{Answer, Asking, address, answer, answer_form, posted, unknown};
use crate::catalogue::bench::{Publication, Wanted};
use crate::catalogue::form::put;
use crate::catalogue::rewrite::rewritten;
use crate::catalogue::{self as rdf, Entry, Outcome, Shelf as _, Verdict, Writer, history};
use crate::error::{Error, Result};

/// Versions that are shown.
const VERSIONS: usize = 100;

pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/operator/catalogue/{slug}/review").get(show).post(send))
        .service(web::resource("/operator/catalogue/{slug}/preview").get(preview))
        .service(web::resource("/operator/catalogue/{slug}/preview-rdf").get(preview_rdf))
        .service(web::resource("/operator/catalogue/{slug}/versions").get(versions).post(restore))
        .service(web::resource("/operator/catalogue/{slug}/withdraw").get(ask).post(withdraw));
}

#[derive(Template)]
#[template(path = "steward/review.html")]
struct ReviewPage {
    layout: Layout,
    slug: String,
    version: i64,
    draft: Option<DraftLine>,
    changes: Vec<ChangeView>,
    /// The published document stays as it is, only the text of the description changes.
    is_same_document: bool,
    is_new: bool,
    is_behind: bool,
    /// What the file holds that the draft was not begun from.
    theirs: Vec<ChangeView>,
    is_refused: bool,
    is_stale: bool,
    violations: usize,
    findings: Vec<Finding>,
    withdraws: bool,
}

fn page(
    state: &State,
    asking: &Asking,
    ground: &Ground,
    refused: Option<&Outcome>,
    is_stale: bool,
) -> Result<String> {
    let form = &state.pages.release().form;
    let tongue = asking.reader.tongue;
    let published = asking.bench.desk.shelf.find(&ground.slug)?;
    let published = published.filter(|entry| entry.state != rdf::State::Failed);
    let old = published.as_ref().map_or("", |entry| entry.text.as_str());
    let is_behind = is_behind(asking, ground)?;
    let theirs = if is_behind {
        view::changes(old, &asking.bench.current(&ground.slug)?.text, form, tongue)
    } else {
        Vec::new()
    };
    let checked;
    let outcome = match refused {
        Some(outcome) => outcome,
        None => {
            checked = check(asking, &ground.slug, &ground.text)?;
            &checked
        }
    };
    let mut findings = view::findings(outcome, form, tongue);
    findings.sort_by_key(|finding| !finding.is_violation);
    render(&ReviewPage {
        layout: asking.layout(state, &format!("{} {}", asking.w("steward.review"), ground.slug)),
        slug: ground.slug.clone(),
        version: ground.version,
        draft: ground.draft.as_ref().map(|draft| DraftLine::of(draft, tongue)),
        changes: view::changes(old, &ground.text, form, tongue),
        is_same_document: outcome.verdict == Verdict::Unchanged,
        is_new: published.is_none(),
        is_behind,
        theirs,
        is_refused: outcome.verdict == Verdict::Refused,
        is_stale,
        violations: findings.iter().filter(|finding| finding.is_violation).count(),
        findings,
        withdraws: outcome.verdict == Verdict::Withdrawn,
    })
}

async fn show(
    request: HttpRequest,
    state: web::Data<State>,
    slug: web::Path<String>,
) -> HttpResponse {
    let slug = slug.into_inner();
    answer(&request, state, move |state, asking| {
        let ground = ground(asking, &slug)?;
        page(state, asking, &ground, None, false).map(Answer::Page)
    })
    .await
}

async fn send(
    request: HttpRequest,
    state: web::Data<State>,
    slug: web::Path<String>,
    body: web::Bytes,
) -> HttpResponse {
    let slug = slug.into_inner();
    let sent = body.clone();
    answer_form(&request, state, &sent, move |state, asking| {
        let posted = posted(&body);
        let ground = ground(asking, &slug)?;
        let seen: i64 = posted.one("version").parse().unwrap_or(0);
        if seen != ground.version || ground.draft.is_none() {
            return page(state, asking, &ground, None, true).map(Answer::Conflict);
        }
        match posted.one("do") {
            "drop" => drop_page(state, asking, &ground).map(Answer::Page),
            "drop-now" => {
                if asking.bench.drop_draft(&slug, seen)? {
                    return Ok(Answer::See("/operator/catalogue?dropped".to_owned()));
                }
                page(state, asking, &ground, None, true).map(Answer::Conflict)
            }
            "rebase" => {
                // The steward has seen what the file says; the draft is now one of it.
                let base = asking.bench.current(&slug)?.digest;
                let text = &ground.text;
                match asking.bench.save(&slug, &base, text, seen, &asking.who(), asking.now)? {
                    Ok(_) => Ok(Answer::See(address(&slug, "review"))),
                    Err(_) => page(state, asking, &ground, None, true).map(Answer::Conflict),
                }
            }
            "publish" => {
                let wanted = Wanted {
                    slug: slug.clone(),
                    base: ground.base.clone(),
                    text: ground.text.clone(),
                    draft: Some(seen),
                };
                match asking.bench.publish(&[wanted], &asking.who(), asking.now)? {
                    Publication::Done(_) => Ok(Answer::See(address(&slug, "versions?published"))),
                    Publication::Refused(outcomes) => {
                        page(state, asking, &ground, outcomes.first(), false).map(Answer::Refused)
                    }
                    Publication::Stale(_) => {
                        page(state, asking, &ground, None, true).map(Answer::Conflict)
                    }
                }
            }
            other => Err(Error::Parameter {
                name: "do".to_owned(),
                reason: format!("`{}` is nothing that this page does", cut(other)),
            }),
        }
    })
    .await
}

#[derive(Template)]
#[template(path = "steward/drop.html")]
struct DropPage {
    layout: Layout,
    slug: String,
    version: i64,
    long: String,
}

/// Asks whether a draft shall go: nothing brings it back.
fn drop_page(state: &State, asking: &Asking, ground: &Ground) -> Result<String> {
    let tongue = asking.reader.tongue;
    let draft = ground.draft.as_ref().map(|draft| DraftLine::of(draft, tongue));
    let (who, at) = draft.map_or_else(Default::default, |draft| (draft.who, draft.at.shown));
    render(&DropPage {
        layout: asking.layout(state, &format!("{} {}", asking.w("steward.drop"), ground.slug)),
        slug: ground.slug.clone(),
        version: ground.version,
        long: tongue.put_two("steward.drop-long", who, at),
    })
}

fn cut(text: &str) -> String {
    text.chars().take(100).collect()
}

/// What would be published of a draft, as an entry; `None`: it has findings, or is withdrawn.
pub(super) fn tried(asking: &Asking, ground: &Ground) -> Result<Option<Entry>> {
    let text = (ground.slug.clone(), ground.text.clone());
    let tried = asking.bench.try_out(&[text], asking.now)?.into_iter().next();
    let tried =
        tried.filter(|one| matches!(one.outcome.verdict, Verdict::Published | Verdict::Unchanged));
    Ok(tried.and_then(|one| one.entry).filter(rdf::bench::is_page))
}

async fn preview(
    request: HttpRequest,
    state: web::Data<State>,
    slug: web::Path<String>,
) -> HttpResponse {
    let slug = slug.into_inner();
    answer(&request, state, move |state, asking| {
        let ground = ground(asking, &slug)?;
        let Some(entry) = tried(asking, &ground)? else {
            return Ok(Answer::See(address(&slug, "review")));
        };
        let mut reader = asking.reader.clone();
        reader.preview = Some(Preview {
            note: asking.w("steward.preview-note"),
            back: address(&slug, "review"),
            words: asking.w("steward.preview-back"),
        });
        let page = state.pages.converter(reader.tongue).page(&entry);
        super::super::render_dataset(state.pages.site(), &reader, &page).map(Answer::Page)
    })
    .await
}

#[derive(Template)]
#[template(path = "steward/rdf.html")]
struct RdfPage {
    layout: Layout,
    slug: String,
    turtle: String,
}

async fn preview_rdf(
    request: HttpRequest,
    state: web::Data<State>,
    slug: web::Path<String>,
) -> HttpResponse {
    let slug = slug.into_inner();
    answer(&request, state, move |state, asking| {
        let ground = ground(asking, &slug)?;
        let Some(entry) = tried(asking, &ground)? else {
            return Ok(Answer::See(address(&slug, "review")));
        };
        let turtle = turtle(state, &entry)?;
        render(&RdfPage {
            layout: asking.layout(state, &format!("{} {slug}", asking.w("steward.turtle"))),
            slug,
            turtle: String::from_utf8_lossy(&turtle).into_owned(),
        })
        .map(Answer::Page)
    })
    .await
}

/// The document of an entry as Turtle.
pub(super) fn turtle(state: &State, entry: &Entry) -> Result<Vec<u8>> {
    let release = state.pages.release();
    let writer = Writer { config: state.pages.config(), release };
    let graph = rdf::parse(&entry.document)?;
    let first = writer.dataset_iri(&entry.slug);
    rdf::emit(&graph, rdf::Format::Turtle, release, first.as_str())
}

struct VersionLine {
    number: i64,
    region: String,
    at: Moment,
    who: String,
    verdict: &'static str,
    style: &'static str,
    changes: Vec<ChangeView>,
    is_newest: bool,
}

#[derive(Template)]
#[template(path = "steward/versions.html")]
struct VersionsPage {
    layout: Layout,
    slug: String,
    draft: Option<DraftLine>,
    draft_version: i64,
    versions: Vec<VersionLine>,
    is_published: bool,
    is_withdrawn: bool,
    was_published: bool,
    was_withdrawn: bool,
    is_stale: bool,
    file: String,
}

/// What became of a version: style and the key of the word.
pub(super) const fn verdict(verdict: Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Published => ("good", "steward.verdict-published"),
        Verdict::Unchanged => ("plain", "steward.verdict-unchanged"),
        Verdict::Withdrawn => ("plain", "steward.verdict-withdrawn"),
        Verdict::Refused => ("bad", "steward.verdict-refused"),
    }
}

fn versions_page(
    state: &State,
    asking: &Asking,
    slug: &str,
    query: &str,
    is_stale: bool,
) -> Result<String> {
    if !rdf::is_slug(slug) || !asking.bench.knows(slug)? {
        return Err(unknown(slug));
    }
    let form = &state.pages.release().form;
    let tongue = asking.reader.tongue;
    let revisions = history::revisions(&state.store, slug, VERSIONS)?;
    let versions = revisions.iter().enumerate().map(|(place, revision)| {
        let (style, word) = verdict(revision.verdict);
        let older = revisions.get(place + 1).map_or("", |older| older.text.as_str());
        // The oldest that is shown may not be the first: what changed was kept with it.
        let changes = if place + 1 < revisions.len() {
            view::changes(older, &revision.text, form, tongue)
        } else {
            Vec::new()
        };
        let at = Moment::new(revision.at.as_microsecond(), tongue);
        VersionLine {
            number: revision.number,
            // Two versions of one minute are two regions.
            region: tongue.put_two("steward.changes-of", &at.shown, revision.number),
            at,
            who: super::super::operator::who(&revision.who, tongue),
            verdict: asking.w(word),
            style,
            changes,
            is_newest: place == 0,
        }
    });
    let entry = asking.bench.desk.shelf.find(slug)?;
    let draft = asking.bench.draft(slug)?;
    let has = |name: &str| pairs(query).iter().any(|(known, _)| known == name);
    render(&VersionsPage {
        layout: asking.layout(state, &format!("{} {slug}", asking.w("steward.versions"))),
        slug: slug.to_owned(),
        draft_version: draft.as_ref().map_or(0, |draft| draft.version),
        draft: draft.as_ref().map(|draft| DraftLine::of(draft, tongue)),
        versions: versions.collect(),
        is_published: entry.as_ref().is_some_and(|entry| entry.state == rdf::State::Published),
        is_withdrawn: entry.as_ref().is_some_and(|entry| entry.state == rdf::State::Withdrawn),
        was_published: has("published"),
        was_withdrawn: has("withdrawn"),
        is_stale,
        file: asking.bench.folder().join(format!("{slug}.toml")).display().to_string(),
    })
}

async fn versions(
    request: HttpRequest,
    state: web::Data<State>,
    slug: web::Path<String>,
) -> HttpResponse {
    let slug = slug.into_inner();
    let query = request.query_string().to_owned();
    answer(&request, state, move |state, asking| {
        versions_page(state, asking, &slug, &query, false).map(Answer::Page)
    })
    .await
}

/// A former version, or one that is not withdrawn any more, becomes the draft.
async fn restore(
    request: HttpRequest,
    state: web::Data<State>,
    slug: web::Path<String>,
    body: web::Bytes,
) -> HttpResponse {
    let slug = slug.into_inner();
    answer(&request, state, move |state, asking| {
        let posted = posted(&body);
        let current = asking.bench.current(&slug)?;
        let text = if posted.one("do") == "bring-back" {
            let mut table: Table = toml::from_str(&current.text).unwrap_or_default();
            put(&mut table, "withdrawn", None);
            rewritten(&current.text, &table, "")
        } else {
            let number: i64 = posted.one("number").parse().unwrap_or(0);
            let revisions = history::revisions(&state.store, &slug, VERSIONS)?;
            let Some(found) = revisions.into_iter().find(|one| one.number == number) else {
                return Err(Error::NotFound { kind: "version", id: number.to_string() });
            };
            found.text
        };
        let seen: i64 = posted.one("version").parse().unwrap_or(0);
        match asking.bench.save(&slug, &current.digest, &text, seen, &asking.who(), asking.now)? {
            Ok(_) => Ok(Answer::See(address(&slug, "review"))),
            Err(_) => versions_page(state, asking, &slug, "", true).map(Answer::Conflict),
        }
    })
    .await
}

#[derive(Template)]
#[template(path = "steward/withdraw.html")]
struct WithdrawPage {
    layout: Layout,
    slug: String,
    base: String,
    is_stale: bool,
    findings: Vec<Finding>,
}

fn withdraw_page(
    state: &State,
    asking: &Asking,
    slug: &str,
    is_stale: bool,
    findings: Vec<Finding>,
) -> Result<String> {
    let entry = asking.bench.desk.shelf.find(slug)?;
    if !entry.is_some_and(|entry| entry.state == rdf::State::Published) {
        return Err(Error::Invalid(format!("dataset `{}` is not published", cut(slug))));
    }
    render(&WithdrawPage {
        layout: asking.layout(state, &format!("{} {slug}", asking.w("steward.withdraw"))),
        slug: slug.to_owned(),
        base: asking.bench.current(slug)?.digest,
        is_stale,
        findings,
    })
}

async fn ask(
    request: HttpRequest,
    state: web::Data<State>,
    slug: web::Path<String>,
) -> HttpResponse {
    let slug = slug.into_inner();
    answer(&request, state, move |state, asking| {
        withdraw_page(state, asking, &slug, false, Vec::new()).map(Answer::Page)
    })
    .await
}

async fn withdraw(
    request: HttpRequest,
    state: web::Data<State>,
    slug: web::Path<String>,
    body: web::Bytes,
) -> HttpResponse {
    let slug = slug.into_inner();
    answer(&request, state, move |state, asking| {
        let posted = posted(&body);
        let current = asking.bench.current(&slug)?;
        let entry = asking.bench.desk.shelf.find(&slug)?.ok_or_else(|| unknown(&slug))?;
        // A text that cannot be read or that the gate refuses must not keep a dataset published:
        // then the one that was published is withdrawn.
        let mut findings = Vec::new();
        for text in [&current.text, &entry.text] {
            let Ok(mut table) = toml::from_str::<Table>(text) else { continue };
            put(&mut table, "withdrawn", Some(Value::Boolean(true)));
            let wanted = Wanted {
                slug: slug.clone(),
                base: posted.one("base").to_owned(),
                text: rewritten(text, &table, ""),
                draft: None,
            };
            match asking.bench.publish(&[wanted], &asking.who(), asking.now)? {
                Publication::Done(_) => {
                    return Ok(Answer::See(address(&slug, "versions?withdrawn")));
                }
                Publication::Refused(outcomes) => {
                    let (form, tongue) = (&state.pages.release().form, asking.reader.tongue);
                    let said = outcomes.iter().flat_map(|of| view::findings(of, form, tongue));
                    findings = said.filter(|finding| finding.is_violation).collect();
                }
                Publication::Stale(_) => {
                    return withdraw_page(state, asking, &slug, true, Vec::new())
                        .map(Answer::Conflict);
                }
            }
        }
        withdraw_page(state, asking, &slug, false, findings).map(Answer::Refused)
    })
    .await
}

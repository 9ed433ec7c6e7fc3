//! The form, and the same description as TOML.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use toml::Table;

use super::super::State;
use super::super::layout::Layout;
use super::super::operator::Moment;
use super::super::problem::render;
use super::super::tongue::Tongue;
use super::super::words::Phrase;
use super::view::{self, ChangeView, Finding, GroupView, Maker};
use super::{Answer, Asking, address, answer, answer_form, posted, unknown};
use crate::catalogue::form::{self, Posted};
use crate::catalogue::rewrite::rewritten;
use crate::catalogue::{AccessRights, Outcome, Severity, bench};
use crate::error::Result;
use crate::store::drafts::DraftRow;

pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/operator/catalogue/{slug}/edit").get(show).post(send))
        .service(web::resource("/operator/catalogue/{slug}/toml").get(show_text).post(send_text))
        .service(web::resource("/operator/new-description").get(new_page).post(new));
}

/// What a form was made from.
pub(super) struct Ground {
    pub slug: String,
    pub text: String,
    /// The version of the draft that is shown; 0: there is none.
    pub version: i64,
    /// Digest of the file that it was begun from.
    pub base: String,
    pub draft: Option<DraftRow>,
    pub is_file: bool,
}

/// The draft of a dataset, else what describes it now.
pub(super) fn ground(asking: &Asking, slug: &str) -> Result<Ground> {
    let draft = asking.bench.draft(slug)?;
    let current = asking.bench.current(slug)?;
    if draft.is_none() && current.text.is_empty() && !asking.bench.knows(slug)? {
        return Err(unknown(slug));
    }
    let is_file = current.is_file;
    Ok(match draft {
        Some(draft) => Ground {
            slug: slug.to_owned(),
            text: draft.text.clone(),
            version: draft.version,
            base: draft.base.clone(),
            draft: Some(draft),
            is_file,
        },
        None => Ground {
            slug: slug.to_owned(),
            text: current.text,
            version: 0,
            base: current.digest,
            draft: None,
            is_file,
        },
    })
}

pub(super) struct DraftLine {
    pub who: String,
    pub at: Moment,
}

impl DraftLine {
    pub(super) fn of(draft: &DraftRow, tongue: &Tongue) -> Self {
        Self { who: draft.who.clone(), at: Moment::new(draft.at, tongue) }
    }
}

/// What somebody else saved meanwhile.
pub(super) struct Rival {
    pub draft: DraftLine,
    pub changes: Vec<ChangeView>,
}

#[derive(Template)]
#[template(path = "steward/edit.html")]
struct EditPage {
    layout: Layout,
    slug: String,
    version: i64,
    base: String,
    languages: Vec<(String, String)>,
    other_languages: Vec<(String, String)>,
    groups: Vec<GroupView>,
    draft: Option<DraftLine>,
    rival: Option<Rival>,
    is_file: bool,
    /// The file was changed since the draft was begun.
    is_behind: bool,
    is_checked: bool,
    is_saved: bool,
    is_kept: bool,
    violations: usize,
    findings: Vec<Finding>,
}

/// What the form of a description shows besides its fields.
struct Shown<'s> {
    languages: Vec<String>,
    add: &'s str,
    checked: Option<Outcome>,
    rival: Option<Rival>,
    is_saved: bool,
    /// Whether what is shown is what is saved.
    is_kept: bool,
}

fn page(
    state: &State,
    asking: &Asking,
    ground: &Ground,
    table: &Table,
    shown: Shown<'_>,
) -> Result<String> {
    let release = state.pages.release();
    let form = &release.form;
    let tongue = asking.reader.tongue;
    let catalogue_language = state.pages.config().catalogue.language.as_str();
    let converter = state.pages.converter(tongue);
    let rights = table.get("access_rights").and_then(toml::Value::as_str);
    let maker = Maker {
        form,
        release,
        converter: &converter,
        index: &state.index,
        tongue,
        languages: &shown.languages,
        catalogue_language,
        rights: rights.and_then(AccessRights::of_code),
        add: shown.add,
    };
    let mut findings = shown
        .checked
        .as_ref()
        .map_or_else(Vec::new, |outcome| view::findings(outcome, form, tongue));
    findings.sort_by_key(|finding| !finding.is_violation);
    let groups = maker.groups(table, &mut findings);
    let name = |tag: &str| (tag.to_owned(), view::language_name(tongue, release, tag));
    let mut layout = asking.layout(state, &format!("{} {}", asking.w("steward.edit"), ground.slug));
    layout.path = "";
    layout.form = Some(("work", "show"));
    render(&EditPage {
        layout,
        slug: ground.slug.clone(),
        version: ground.version,
        base: ground.base.clone(),
        languages: shown.languages.iter().map(|tag| name(tag)).collect(),
        other_languages: crate::config::LANGUAGES
            .iter()
            .filter(|tag| !shown.languages.iter().any(|known| known == *tag))
            .map(|tag| name(tag))
            .collect(),
        groups,
        draft: ground.draft.as_ref().map(|draft| DraftLine::of(draft, asking.reader.tongue)),
        rival: shown.rival,
        is_file: ground.is_file,
        is_behind: ground.draft.is_some() && is_behind(asking, ground)?,
        is_checked: shown.checked.is_some(),
        is_saved: shown.is_saved,
        is_kept: shown.is_kept,
        violations: findings.iter().filter(|finding| finding.is_violation).count(),
        findings,
    })
}

fn parameter(request: &HttpRequest, name: &str) -> bool {
    super::words::pairs(request.query_string()).iter().any(|(known, _)| known == name)
}

async fn show(
    request: HttpRequest,
    state: web::Data<State>,
    slug: web::Path<String>,
) -> HttpResponse {
    let slug = slug.into_inner();
    let (is_saved, is_checked) = (parameter(&request, "saved"), parameter(&request, "check"));
    answer(&request, state, move |state, asking| {
        let ground = ground(asking, &slug)?;
        let Ok(table) = toml::from_str::<Table>(&ground.text) else {
            // What is no TOML has no fields: it is mended as text.
            return Ok(Answer::See(address(&slug, "toml")));
        };
        let checked = if is_checked { Some(check(asking, &slug, &ground.text)?) } else { None };
        let catalogue = state.pages.config().catalogue.language.clone();
        let languages = view::languages(&table, &state.pages.release().form, &catalogue);
        let shown = Shown { languages, add: "", checked, rival: None, is_saved, is_kept: true };
        page(state, asking, &ground, &table, shown).map(Answer::Page)
    })
    .await
}

/// What the gate says to a text; nothing is kept.
pub(super) fn check(asking: &Asking, slug: &str, text: &str) -> Result<Outcome> {
    let tried = asking.bench.try_out(&[(slug.to_owned(), text.to_owned())], asking.now)?;
    let mut outcomes = tried.into_iter().map(|one| one.outcome);
    outcomes.next().ok_or_else(|| unknown(slug))
}

/// The languages that a posted form has, and the one that it adds.
fn posted_languages(posted: &Posted) -> Vec<String> {
    let known = |tag: &&String| crate::config::LANGUAGES.contains(&tag.as_str());
    let also = posted.all("also").iter().filter(|_| posted.one("do") == "language").filter(known);
    let mut languages: Vec<String> = Vec::new();
    for tag in posted.all("language").iter().filter(|tag| is_tag(tag)).take(30).chain(also) {
        if !languages.contains(tag) {
            languages.push(tag.clone());
        }
    }
    languages
}

/// A tag that texts may have: descriptions hold other tags than the catalogue's languages too.
fn is_tag(tag: &str) -> bool {
    (2..=35).contains(&tag.len())
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
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
        let known = ground(asking, &slug)?;
        let form = &state.pages.release().form;
        let base = toml::from_str::<Table>(&known.text).unwrap_or_default();
        let mut languages = posted_languages(&posted);
        if languages.is_empty() {
            languages.push(state.pages.config().catalogue.language.clone());
        }
        let what = posted.one("do").to_owned();
        let without = what.strip_prefix("remove:").unwrap_or_default();
        let table = form.fill(&posted, &languages, without, &base);
        let catalogue_language = &state.pages.config().catalogue.language;
        let text = rewritten(&known.text, &table, catalogue_language);
        let seen: i64 = posted.one("version").parse().unwrap_or(0);
        let ground = Ground { version: seen, base: posted.one("base").to_owned(), ..known };
        let shown = |checked| Shown {
            languages: languages.clone(),
            add: what.strip_prefix("add:").unwrap_or_default(),
            checked,
            rival: None,
            is_saved: false,
            is_kept: false,
        };
        match what.as_str() {
            "save" | "review" => {
                match asking.bench.save(
                    &slug,
                    &ground.base,
                    &text,
                    seen,
                    &asking.who(),
                    asking.now,
                )? {
                    Ok(_) if what == "review" => Ok(Answer::See(address(&slug, "review"))),
                    Ok(_) => Ok(Answer::See(address(&slug, "edit?saved"))),
                    Err(theirs) => {
                        let rival = Rival {
                            changes: view::changes(&theirs.text, &text, form, asking.reader.tongue),
                            draft: DraftLine::of(&theirs, asking.reader.tongue),
                        };
                        // Saving again overwrites knowingly.
                        let ground =
                            Ground { version: theirs.version, draft: Some(theirs), ..ground };
                        let shown = Shown { rival: Some(rival), ..shown(None) };
                        page(state, asking, &ground, &table, shown).map(Answer::Conflict)
                    }
                }
            }
            "check" => {
                let outcome = check(asking, &slug, &text)?;
                page(state, asking, &ground, &table, shown(Some(outcome))).map(Answer::Page)
            }
            _ => page(state, asking, &ground, &table, shown(None)).map(Answer::Page),
        }
    })
    .await
}

#[derive(Template)]
#[template(path = "steward/toml.html")]
struct TextPage {
    layout: Layout,
    slug: String,
    version: i64,
    base: String,
    text: String,
    draft: Option<DraftLine>,
    rival: Option<Rival>,
    findings: Vec<TextFinding>,
    is_checked: bool,
    is_saved: bool,
    is_broken: bool,
}

struct TextFinding {
    label: String,
    key: String,
    rule: Phrase,
    remedy: Phrase,
    is_violation: bool,
}

fn text_page(
    state: &State,
    asking: &Asking,
    ground: &Ground,
    checked: Option<&Outcome>,
    rival: Option<Rival>,
    is_saved: bool,
) -> Result<String> {
    let is_broken = toml::from_str::<Table>(&ground.text).is_err();
    let checked_now;
    let checked = match checked {
        None if is_broken => {
            checked_now = check(asking, &ground.slug, &ground.text)?;
            Some(&checked_now)
        }
        other => other,
    };
    let findings = checked.map_or_else(Vec::new, |outcome| {
        // As text it has lines, which the problems of refusals name.
        outcome
            .problems
            .iter()
            .map(|problem| TextFinding {
                label: match problem.label.as_str() {
                    "" => "TOML".to_owned(),
                    label => asking.reader.tongue.gate(label).text,
                },
                key: problem.field.clone(),
                rule: asking.reader.tongue.gate(&problem.rule),
                remedy: asking.reader.tongue.gate(&problem.remedy),
                is_violation: problem.severity == Severity::Violation,
            })
            .collect()
    });
    let title = format!("{} {}", asking.w("steward.as-toml"), ground.slug);
    let mut layout = asking.layout(state, &title);
    layout.form = Some(("work", "show"));
    render(&TextPage {
        layout,
        slug: ground.slug.clone(),
        version: ground.version,
        base: ground.base.clone(),
        text: ground.text.clone(),
        draft: ground.draft.as_ref().map(|draft| DraftLine::of(draft, asking.reader.tongue)),
        rival,
        findings,
        is_checked: checked.is_some(),
        is_saved,
        is_broken,
    })
}

async fn show_text(
    request: HttpRequest,
    state: web::Data<State>,
    slug: web::Path<String>,
) -> HttpResponse {
    let slug = slug.into_inner();
    let is_saved = parameter(&request, "saved");
    answer(&request, state, move |state, asking| {
        let ground = ground(asking, &slug)?;
        text_page(state, asking, &ground, None, None, is_saved).map(Answer::Page)
    })
    .await
}

async fn send_text(
    request: HttpRequest,
    state: web::Data<State>,
    slug: web::Path<String>,
    body: web::Bytes,
) -> HttpResponse {
    let slug = slug.into_inner();
    let sent = body.clone();
    answer_form(&request, state, &sent, move |state, asking| {
        let posted = posted(&body);
        let known = ground(asking, &slug)?;
        let text = posted.all("text").first().map_or("", String::as_str).replace("\r\n", "\n");
        let seen: i64 = posted.one("version").parse().unwrap_or(0);
        let ground = Ground { version: seen, base: posted.one("base").to_owned(), text, ..known };
        if posted.one("do") == "check" {
            let outcome = check(asking, &slug, &ground.text)?;
            return text_page(state, asking, &ground, Some(&outcome), None, false)
                .map(Answer::Page);
        }
        if !matches!(posted.one("do"), "save" | "review") {
            // Another language, or nothing that one could do: the text stays as it was typed.
            return text_page(state, asking, &ground, None, None, false).map(Answer::Page);
        }
        let saved = asking.bench.save(
            &slug,
            &ground.base,
            &ground.text,
            seen,
            &asking.who(),
            asking.now,
        )?;
        match saved {
            Ok(_) if posted.one("do") == "review" => Ok(Answer::See(address(&slug, "review"))),
            Ok(_) => Ok(Answer::See(address(&slug, "toml?saved"))),
            Err(theirs) => {
                let form = &state.pages.release().form;
                let rival = Rival {
                    changes: view::changes(&theirs.text, &ground.text, form, asking.reader.tongue),
                    draft: DraftLine::of(&theirs, asking.reader.tongue),
                };
                let ground = Ground { version: theirs.version, draft: Some(theirs), ..ground };
                text_page(state, asking, &ground, None, Some(rival), false).map(Answer::Conflict)
            }
        }
    })
    .await
}

#[derive(Template)]
#[template(path = "steward/new.html")]
struct NewPage {
    layout: Layout,
    slug: String,
    failure: String,
    others: Vec<(String, String)>,
    copy: String,
}

fn new_form(
    state: &State,
    asking: &Asking,
    slug: &str,
    copy: &str,
    failure: &str,
) -> Result<String> {
    let mut others = Vec::new();
    for known in asking.bench.slugs()?.into_iter().take(2_000) {
        others.push((known.clone(), known));
    }
    render(&NewPage {
        layout: asking.layout(state, asking.w("steward.new")),
        slug: slug.to_owned(),
        failure: failure.to_owned(),
        others,
        copy: copy.to_owned(),
    })
}

async fn new_page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    answer(&request, state, |state, asking| new_form(state, asking, "", "", "").map(Answer::Page))
        .await
}

async fn new(request: HttpRequest, state: web::Data<State>, body: web::Bytes) -> HttpResponse {
    let sent = body.clone();
    answer_form(&request, state, &sent, move |state, asking| {
        let posted = posted(&body);
        let (slug, copy) = (posted.one("slug"), posted.one("copy"));
        let refused = |why: &str| new_form(state, asking, slug, copy, why).map(Answer::Refused);
        if !crate::catalogue::is_slug(slug) {
            return refused(asking.w("steward.bad-slug"));
        }
        if asking.bench.knows(slug)? {
            return refused(asking.w("steward.taken"));
        }
        let text = if crate::catalogue::is_slug(copy) {
            let ground = ground(asking, copy)?;
            copied(&ground.text)
        } else {
            String::new()
        };
        match asking.bench.save(slug, "", &text, 0, &asking.who(), asking.now)? {
            Ok(_) => Ok(Answer::See(address(slug, "edit"))),
            Err(_) => refused(asking.w("steward.taken")),
        }
    })
    .await
}

/// A description to begin another one from: without what belongs to the one dataset alone.
fn copied(text: &str) -> String {
    let Ok(mut table) = toml::from_str::<Table>(text) else { return String::new() };
    for key in
        ["withdrawn", "formerly", "identifiers", "version", "version_notes", "issued", "versions"]
    {
        form::put(&mut table, key, None);
    }
    rewritten(text, &table, "")
}

/// Whether a file was changed since a draft was begun from it.
pub(super) fn is_behind(asking: &Asking, ground: &Ground) -> Result<bool> {
    let current = asking.bench.current(&ground.slug)?;
    let digest = if current.is_file { bench::digest(&current.text) } else { String::new() };
    Ok(digest != ground.base)
}

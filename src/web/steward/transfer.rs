//! Descriptions in and out: TOML, Turtle, EUCAIM's rows. What comes in becomes a draft.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use toml::Table;

use super::super::State;
use super::super::layout::Layout;
use super::super::problem::{render, said};
use super::super::words::Phrase;
use super::edit::{Ground, ground};
use super::review::{tried, turtle};
use super::{Answer, Asking, address, answer, answer_form, posted};
use crate::catalogue::form::text_of;
use crate::catalogue::{self as rdf, Shelf as _, Writer, import};
use crate::error::{Error, Result};

/// Datasets that one import holds at most.
const MOST: usize = 500;

pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/operator/catalogue/{slug}/export/{form}").get(export))
        .service(web::resource("/operator/import-description").get(import_page).post(take));
}

async fn export(
    request: HttpRequest,
    state: web::Data<State>,
    path: web::Path<(String, String)>,
) -> HttpResponse {
    let (slug, form) = path.into_inner();
    answer(&request, state, move |state, asking| {
        let ground = ground(asking, &slug)?;
        match form.as_str() {
            "toml" => Ok(Answer::File(
                "application/toml; charset=utf-8",
                format!("{slug}.toml"),
                ground.text.into_bytes(),
            )),
            "turtle" => {
                let entry = document(asking, &ground)?;
                let bytes = turtle(state, &entry)?;
                Ok(Answer::File("text/turtle; charset=utf-8", format!("{slug}.ttl"), bytes))
            }
            "eucaim" => {
                let release = state.pages.release();
                let writer = Writer { config: state.pages.config(), release };
                let table = toml::from_str::<Table>(&ground.text)
                    .map_err(|_| Error::Invalid("the description is no TOML".to_owned()))?;
                // Of a draft that cannot be published nothing is computed.
                let view = document(asking, &ground).ok().map(|entry| writer.eucaim_of(&entry));
                let bytes = writer.eucaim_rows(&slug, &table, view.as_ref())?;
                Ok(Answer::File("text/csv; charset=utf-8", format!("{slug}-eucaim.csv"), bytes))
            }
            other => Err(Error::NotFound { kind: "form", id: other.chars().take(100).collect() }),
        }
    })
    .await
}

/// The entry of a draft, else of what is published.
fn document(asking: &Asking, ground: &Ground) -> Result<rdf::Entry> {
    if let Some(entry) = tried(asking, ground)? {
        return Ok(entry);
    }
    let published = asking.bench.desk.shelf.find(&ground.slug)?;
    published.filter(|entry| entry.state == rdf::State::Published).ok_or_else(|| {
        Error::Invalid("the description has findings, and nothing is published".to_owned())
    })
}

#[derive(Template)]
#[template(path = "steward/import.html")]
struct ImportPage {
    layout: Layout,
    form: String,
    slug: String,
    text: String,
    failure: Phrase,
}

fn page(
    state: &State,
    asking: &Asking,
    form: &str,
    slug: &str,
    text: &str,
    failure: Phrase,
) -> Result<String> {
    let mut layout = asking.layout(state, asking.w("steward.import"));
    layout.form = Some(("work", "show"));
    render(&ImportPage {
        layout,
        form: form.to_owned(),
        slug: slug.to_owned(),
        text: text.to_owned(),
        failure,
    })
}

async fn import_page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    answer(&request, state, |state, asking| {
        page(state, asking, "toml", "", "", Phrase::default()).map(Answer::Page)
    })
    .await
}

/// The text of each dataset that was sent.
fn read(
    state: &State,
    asking: &Asking,
    form: &str,
    slug: &str,
    text: &str,
) -> Result<Vec<(String, String)>> {
    let release = state.pages.release();
    let writer = Writer { config: state.pages.config(), release };
    let known = |slug: &str| -> Result<Table> {
        let current = asking.bench.current(slug)?;
        Ok(toml::from_str(&current.text).unwrap_or_default())
    };
    match form {
        "toml" => Ok(vec![(slug.to_owned(), text.to_owned())]),
        "turtle" => {
            let table = writer.read_dataset(&import::turtle(text)?, &known(slug)?)?;
            Ok(vec![(slug.to_owned(), text_of(&table))])
        }
        "eucaim" => {
            let all = writer.read_eucaim_rows(text.as_bytes(), known)?;
            if all.is_empty() || all.len() > MOST {
                return Err(Error::Invalid(format!(
                    "the rows are of {} datasets; send 1 to {MOST}",
                    all.len()
                )));
            }
            Ok(all.into_iter().map(|(slug, table)| (slug, text_of(&table))).collect())
        }
        _ => Err(Error::Invalid("choose TOML, Turtle or EUCAIM rows".to_owned())),
    }
}

async fn take(request: HttpRequest, state: web::Data<State>, body: web::Bytes) -> HttpResponse {
    let sent = body.clone();
    answer_form(&request, state, &sent, move |state, asking| {
        let posted = posted(&body);
        let (form, slug) = (posted.one("form"), posted.one("slug"));
        let text = posted.all("text").first().map_or("", String::as_str).replace("\r\n", "\n");
        let tongue = asking.reader.tongue;
        let page = |text: &str, why: Phrase| page(state, asking, form, slug, text, why);
        if posted.one("do") == "show" {
            return page(&text, Phrase::default()).map(Answer::Page);
        }
        if form != "eucaim" && !rdf::is_slug(slug) {
            let why = Phrase::plain(asking.w("steward.bad-slug"));
            return page(&text, why).map(Answer::Refused);
        }
        let all = match read(state, asking, form, slug, &text) {
            Ok(all) => all,
            Err(Error::Invalid(why)) => {
                return page(&text, said(tongue, &why)).map(Answer::Refused);
            }
            Err(failure) => return Err(failure),
        };
        // A draft that somebody works on is not replaced by a file.
        let taken = |slug: &str, who: &str| {
            let why = Phrase::plain(tongue.put_two("steward.draft-in-the-way", slug, who));
            page(&text, why).map(Answer::Conflict)
        };
        for (slug, _) in &all {
            if let Some(draft) = asking.bench.draft(slug)? {
                return taken(slug, &draft.who);
            }
        }
        for (slug, text) in &all {
            let base = asking.bench.current(slug)?.digest;
            if let Err(theirs) =
                asking.bench.save(slug, &base, text, 0, &asking.who(), asking.now)?
            {
                return taken(slug, &theirs.who);
            }
        }
        match all.as_slice() {
            [(slug, _)] => Ok(Answer::See(address(slug, "review"))),
            _ => Ok(Answer::See("/operator/catalogue?imported".to_owned())),
        }
    })
    .await
}

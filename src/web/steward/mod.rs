//! The steward's pages: descriptions by form, checked, compared, published, restored, withdrawn.
//!
//! In: posted forms of a signed-in steward. Out: pages, drafts, and through the
//! [`Bench`](crate::catalogue::bench::Bench) files in the folder of descriptions. Every POST comes
//! from a page of this node, is stored before it is answered, and names the version that it was
//! made from, so that nobody's work is overwritten unseen. No page needs a script.

mod bulk;
mod edit;
mod review;
mod transfer;
mod view;

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::State;
use super::layout::Layout;
use super::problem::page_or_problem;
use super::reader::Reader;
use super::session::{interrupted, is_interrupted, operator, private, same_origin};
use super::words;
use crate::actor::{Actor, Role};
use crate::catalogue::bench::Bench;
use crate::catalogue::form::Posted;
use crate::error::{Error, Result};

pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.configure(edit::routes)
        .configure(review::routes)
        .configure(bulk::routes)
        .configure(transfer::routes);
}

/// Pairs of a form at most; the largest description has some hundreds of fields.
pub(super) const PAIRS: usize = 10_000;

/// Who asks on a steward's page, and how it is answered.
pub(super) struct Asking {
    pub actor: Actor,
    pub reader: Reader,
    pub bench: Arc<Bench>,
    pub now: jiff::Timestamp,
}

impl Asking {
    pub(super) fn w(&self, key: &str) -> &'static str {
        self.reader.tongue.word(key)
    }

    /// The name that histories know.
    pub(super) fn who(&self) -> String {
        format!("{} ({})", self.actor.subject, self.actor.role.name())
    }

    pub(super) fn layout(&self, state: &State, title: &str) -> Layout {
        Layout::operator(
            state.pages.site(),
            &self.reader,
            title,
            "/operator/catalogue",
            &self.actor,
        )
    }
}

/// What a page answers.
pub(super) enum Answer {
    /// A page.
    Page(String),
    /// A page that could not do what was asked, because somebody else was first.
    Conflict(String),
    /// A page that names what is wrong with what was posted.
    Refused(String),
    /// Done; the page that shows it.
    See(String),
    /// A file: media type, name, bytes.
    File(&'static str, String, Vec<u8>),
}

/// Whether somebody may write descriptions.
///
/// # Errors
/// [`Error::Unauthenticated`], [`Error::Forbidden`].
fn steward(request: &HttpRequest) -> Result<Actor> {
    let actor = operator(request)?;
    if matches!(actor.role, Role::Steward | Role::Admin) {
        Ok(actor)
    } else {
        Err(Error::Forbidden(format!(
            "the role `{}` does not write descriptions; the roles `steward` and `admin` do",
            actor.role
        )))
    }
}

fn asking(request: &HttpRequest, state: &State, actor: Actor) -> Result<Asking> {
    let bench = state.bench.clone().ok_or_else(|| {
        Error::Configuration("this node has no folder of descriptions to write".to_owned())
    })?;
    let mut reader = Reader::of(request);
    if request.method() == actix_web::http::Method::POST {
        // In another language one gets the page anew, or the form with what was typed.
        reader.here = request.path().to_owned();
    }
    let now = (bench.clock)();
    Ok(Asking { actor, reader, bench, now })
}

async fn answer(
    request: &HttpRequest,
    state: web::Data<State>,
    make: impl FnOnce(&State, &Asking) -> Result<Answer> + Send + 'static,
) -> HttpResponse {
    let checked = steward(request).and_then(|actor| {
        if request.method() == actix_web::http::Method::POST {
            same_origin(request, &state.base)?;
        }
        asking(request, &state, actor)
    });
    let asking = match checked {
        Ok(asking) => asking,
        Err(error) => return page_or_problem(state.pages.site(), request, &error),
    };
    let cookie = asking.reader.cookie(state.is_secure);
    let language = asking.reader.tongue.code.as_str();
    let worker = state.clone();
    let made = web::block(move || make(&worker, &asking)).await;
    let made = made.unwrap_or_else(|failure| Err(Error::Internal(failure.to_string())));
    let page = |mut response: actix_web::HttpResponseBuilder, html: String| {
        response.insert_header((header::CONTENT_LANGUAGE, language));
        if let Some(cookie) = &cookie {
            response.append_header((header::SET_COOKIE, cookie.as_str()));
        }
        private(&mut response).body(html)
    };
    match made {
        Ok(Answer::Page(html)) => page(HttpResponse::Ok(), html),
        Ok(Answer::Conflict(html)) => page(HttpResponse::Conflict(), html),
        Ok(Answer::Refused(html)) => page(HttpResponse::UnprocessableEntity(), html),
        Ok(Answer::See(address)) => HttpResponse::SeeOther()
            .insert_header((header::LOCATION, address))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .finish(),
        Ok(Answer::File(media, name, bytes)) => HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((
                header::CONTENT_DISPOSITION,
                format!("attachment; filename=\"{name}\""),
            ))
            .content_type(media)
            .body(bytes),
        Err(error) => page_or_problem(state.pages.site(), request, &error),
    }
}

/// As [`answer`], to a form that holds somebody's work: who has no session any more signs in and
/// sends it again.
async fn answer_form(
    request: &HttpRequest,
    state: web::Data<State>,
    body: &[u8],
    make: impl FnOnce(&State, &Asking) -> Result<Answer> + Send + 'static,
) -> HttpResponse {
    if is_interrupted(request, &state.base) {
        return interrupted(request, &state, body);
    }
    answer(request, state, make).await
}

fn posted(body: &[u8]) -> Posted {
    Posted::new(words::pairs_up_to(&String::from_utf8_lossy(body), PAIRS))
}

fn unknown(slug: &str) -> Error {
    Error::NotFound { kind: "dataset", id: slug.chars().take(100).collect() }
}

/// The key of the word for what became of a description.
pub(super) const fn verdict_word(of: crate::catalogue::Verdict) -> &'static str {
    review::verdict(of).1
}

/// The address of a steward's page of a dataset.
pub(super) fn address(slug: &str, page: &str) -> String {
    format!("/operator/catalogue/{slug}/{page}")
}

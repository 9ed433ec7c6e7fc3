//! Answers at a door: find, write or take from the cache, and say so in the terms of RFC 9110.

use std::sync::{Arc, PoisonError};

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{StatusCode, Uri};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use jiff::Timestamp;

use super::document::{Document, Head};
use super::doors::{Ask, Body, Door, Form, Found, Refused};
use super::negotiate::is_current;
use super::problem::problem_of;
use super::repeat::{look, question};
use super::{Key, Rendition, State, Topic, problem};
use crate::catalogue as rdf;
use crate::error::{Error, Result};
use crate::http::{http_date, takes_gzip};

/// What a reader gets.
enum Served {
    /// With the links of what it shows, and when that changed last.
    Page(Topic, Vec<String>, Option<Timestamp>),
    Document(Document),
}

/// Longest path and query together that is read.
const MAX_ADDRESS: usize = 4_096;

/// Answers a request at a door.
pub(super) async fn answer(
    door: &'static Door,
    state: web::Data<State>,
    request: HttpRequest,
) -> HttpResponse {
    if length(request.uri()) > MAX_ADDRESS {
        return problem_of(StatusCode::URI_TOO_LONG, "the address is too long");
    }
    let question = question(&request, takes_gzip(request.headers()));
    let query = request.query_string().to_owned();
    answer_query(door, state, request, &query, Some(question)).await
}

/// Answers a posted form at a door that takes them.
pub(super) async fn answer_form(
    door: &'static Door,
    state: web::Data<State>,
    request: HttpRequest,
    form: Result<String, actix_web::Error>,
) -> HttpResponse {
    match form {
        Ok(form) => answer_query(door, state, request, &form, None).await,
        Err(_) => problem_of(StatusCode::PAYLOAD_TOO_LARGE, "send a small form in UTF-8"),
    }
}

async fn answer_query(
    door: &'static Door,
    state: web::Data<State>,
    request: HttpRequest,
    query: &str,
    question: Option<Vec<u8>>,
) -> HttpResponse {
    let ask = match Ask::of(door, &request, query, (state.clock)()) {
        Ok(ask) => ask,
        Err(failure) => return problem(&failure),
    };
    let is_gzip = takes_gzip(request.headers());
    let worker = state.clone();
    let served = web::block(move || {
        let look = look(&worker)?;
        let asked = look.zip(question);
        if let Some((look, question)) = &asked {
            let mut cache = worker.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(document) = cache.answers.again(question, *look) {
                return Ok(Served::Document(document));
            }
        }
        let served = serve(door, &worker, &ask, is_gzip)?;
        if let (Some((look, question)), Served::Document(document)) = (asked, &served) {
            let mut cache = worker.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.answers.note(question, look, document);
        }
        Ok(served)
    })
    .await;
    match served {
        Ok(Ok(Served::Document(document))) => document.send(&request),
        Ok(Ok(Served::Page(topic, links, modified))) => {
            hand_over(&state, request, topic, &links, modified).await
        }
        Ok(Err(Refused::Error(failure))) => problem(&failure),
        Ok(Err(Refused::Gone(detail))) => problem_of(StatusCode::GONE, &detail),
        Err(failure) => problem(&Error::Internal(failure.to_string())),
    }
}

fn length(uri: &Uri) -> usize {
    uri.path().len() + uri.query().map_or(0, str::len)
}

fn serve(door: &Door, state: &State, ask: &Ask, is_gzip: bool) -> Result<Served, Refused> {
    let found = (door.find)(state, ask);
    let Some(form) = ask.form else {
        // What there is no document of, the pages know how to say.
        let (links, modified) =
            found.map(|found| (found.links, found.modified)).unwrap_or_default();
        let topic = door.page.map_or(Topic::Catalogue, |topic| topic(ask));
        return Ok(Served::Page(topic, links, modified));
    };
    let Found { key, modified, status, links, is_immutable, is_kept, is_repeated, body } = found?;
    let key = |is_gzip| Key { resource: key.clone(), form, is_gzip };
    let kept = |is_gzip| if is_kept { state.kept(&key(is_gzip)) } else { None };
    let keep = |is_gzip, rendition: Arc<Rendition>| {
        if is_kept {
            state.keep(key(is_gzip), &rendition);
        }
        rendition
    };
    let rendition = match (kept(is_gzip), body) {
        (Some(rendition), _) => rendition,
        (None, Body::Parts(make)) => {
            let parts = make(state)?;
            let bytes = if is_gzip { parts.gzip()? } else { parts.plain()? };
            let digest = parts.digest();
            keep(is_gzip, Arc::new(Rendition { bytes: Bytes::from(bytes), digest }))
        }
        (None, body) => {
            let plain = match kept(false) {
                Some(plain) => plain,
                None => {
                    let bytes = write(state, form, body)?;
                    let digest = rdf::digest_bytes(&bytes);
                    let plain = Arc::new(Rendition { bytes: Bytes::from(bytes), digest });
                    // Who takes it packed does not ask for it plain.
                    if is_gzip { plain } else { keep(false, plain) }
                }
            };
            if is_gzip {
                let bytes = Bytes::from(rdf::gzip(&plain.bytes));
                let digest = plain.digest.clone();
                keep(true, Arc::new(Rendition { bytes, digest }))
            } else {
                plain
            }
        }
    };
    let head = Head { modified, status, links, is_immutable };
    // What is too large for the cache is not kept by way of its answer either.
    let is_repeated = is_repeated && is_kept && state.kept(&key(is_gzip)).is_some();
    Ok(Served::Document(Document::new(head, form, is_gzip, rendition, is_repeated)?))
}

fn write(state: &State, form: Form, body: Body) -> Result<Vec<u8>> {
    match (body, form.rdf) {
        (Body::Bytes(make), _) => make(state),
        (Body::Parts(make), _) => make(state)?.plain(),
        (Body::Graph { first, make }, Some(format)) => {
            rdf::emit(&make(state)?, format, &state.release, &first)
        }
        (Body::Graph { .. }, None) => {
            Err(Error::Internal(format!("no writer for `{}`", form.suffix)))
        }
    }
}

async fn hand_over(
    state: &State,
    request: HttpRequest,
    topic: Topic,
    links: &[String],
    modified: Option<Timestamp>,
) -> HttpResponse {
    let Some(page) = &state.page else {
        return problem(&Error::NotAcceptable(
            "there are no pages here; ask for text/turtle".to_owned(),
        ));
    };
    let mut response = page(request.clone(), topic).await;
    if response.status().is_success() || response.status() == StatusCode::GONE {
        for link in links.iter().filter_map(|link| HeaderValue::from_str(link).ok()) {
            response.headers_mut().append(header::LINK, link);
        }
    }
    if response.status() == StatusCode::OK {
        tagged(&request, response, modified).await
    } else {
        response
    }
}

/// A page with a strong tag of its bytes and the date of what it shows, or that the reader has it.
async fn tagged(
    request: &HttpRequest,
    response: HttpResponse,
    modified: Option<Timestamp>,
) -> HttpResponse {
    let (head, body) = response.into_parts();
    let Ok(bytes) = actix_web::body::to_bytes(body).await else {
        return problem(&Error::Internal("a page broke off".to_owned()));
    };
    let digest = rdf::digest_bytes(&bytes);
    let tags = [format!("\"{}-html\"", digest.get(..32).unwrap_or(&digest))];
    let has_it = is_current(request, &tags, modified);
    let mut response =
        head.set_body(if has_it { Bytes::new() } else { bytes }).map_into_boxed_body();
    if has_it {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    let headers = response.headers_mut();
    for tag in tags.iter().filter_map(|tag| HeaderValue::from_str(tag).ok()) {
        headers.insert(header::ETAG, tag);
    }
    let modified = modified.and_then(|time| HeaderValue::from_str(&http_date(time)).ok());
    if let Some(modified) = modified {
        headers.insert(header::LAST_MODIFIED, modified);
    }
    response
}

//! Answers at a door: find, write or take from the cache, and say so in the terms of RFC 9110.

use std::sync::Arc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{StatusCode, Uri};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use jiff::Timestamp;

use super::doors::{Ask, Body, Door, Form, Found, Refused};
use super::negotiate::is_current;
use super::problem::problem_of;
use super::{Key, Rendition, State, Topic, problem};
use crate::catalogue as rdf;
use crate::error::{Error, Result};
use crate::http::{http_date, takes_gzip};

/// What a reader gets.
enum Served {
    /// With the links of what it shows, and when that changed last.
    Page(Topic, Vec<String>, Option<Timestamp>),
    Document(Head, Form, Arc<Rendition>),
}

/// What the headers say of it.
struct Head {
    modified: Option<Timestamp>,
    status: StatusCode,
    links: Vec<String>,
    is_immutable: bool,
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
    let query = request.query_string().to_owned();
    answer_query(door, state, request, &query).await
}

/// Answers a posted form at a door that takes them.
pub(super) async fn answer_form(
    door: &'static Door,
    state: web::Data<State>,
    request: HttpRequest,
    form: Result<String, actix_web::Error>,
) -> HttpResponse {
    match form {
        Ok(form) => answer_query(door, state, request, &form).await,
        Err(_) => problem_of(StatusCode::PAYLOAD_TOO_LARGE, "send a small form in UTF-8"),
    }
}

async fn answer_query(
    door: &'static Door,
    state: web::Data<State>,
    request: HttpRequest,
    query: &str,
) -> HttpResponse {
    let ask = match Ask::of(door, &request, query, (state.clock)()) {
        Ok(ask) => ask,
        Err(failure) => return problem(&failure),
    };
    let is_gzip = takes_gzip(request.headers());
    let worker = state.clone();
    let served = web::block(move || serve(door, &worker, &ask, is_gzip)).await;
    match served {
        Ok(Ok(Served::Document(head, form, rendition))) => {
            send(&request, &head, form, &rendition, is_gzip)
        }
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
    let Found { key, modified, status, links, is_immutable, is_kept, body } = found?;
    let key = |is_gzip| Key { resource: key.clone(), form, is_gzip };
    let kept = |is_gzip| if is_kept { state.kept(&key(is_gzip)) } else { None };
    let keep = |is_gzip, rendition: Arc<Rendition>| {
        if is_kept {
            state.keep(key(is_gzip), &rendition);
        }
        rendition
    };
    let rendition = match kept(is_gzip) {
        Some(rendition) => rendition,
        None => {
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
    Ok(Served::Document(Head { modified, status, links, is_immutable }, form, rendition))
}

fn write(state: &State, form: Form, body: Body) -> Result<Vec<u8>> {
    match (body, form.rdf) {
        (Body::Bytes(make), _) => make(state),
        (Body::Graph { first, make }, Some(format)) => {
            rdf::emit(&make(state)?, format, &state.release, &first)
        }
        (Body::Graph { .. }, None) => {
            Err(Error::Internal(format!("no writer for `{}`", form.suffix)))
        }
    }
}

fn send(
    request: &HttpRequest,
    head: &Head,
    form: Form,
    rendition: &Rendition,
    is_gzip: bool,
) -> HttpResponse {
    // A strong tag names the bytes: another form or coding has another one.
    let short = rendition.digest.get(..32).unwrap_or(&rendition.digest);
    let suffix = form.suffix;
    let tags = [format!("\"{short}-{suffix}\""), format!("\"{short}-{suffix}-gz\"")];
    let tag = if is_gzip { &tags[1] } else { &tags[0] };
    let has_it = head.status == StatusCode::OK && is_current(request, &tags, head.modified);
    let status = if has_it { StatusCode::NOT_MODIFIED } else { head.status };
    let mut response = HttpResponse::build(status);
    let cache =
        if head.is_immutable { "public, max-age=31536000, immutable" } else { "public, no-cache" };
    response
        .insert_header((header::ETAG, tag.as_str()))
        .insert_header((header::VARY, "Accept, Accept-Encoding"))
        .insert_header((header::CACHE_CONTROL, cache))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
    if let Some(modified) = head.modified {
        response.insert_header((header::LAST_MODIFIED, http_date(modified)));
    }
    for link in &head.links {
        response.append_header((header::LINK, link.as_str()));
    }
    if has_it {
        return response.finish();
    }
    let is_json = form.media_type.contains("json");
    let charset = if is_json { "" } else { "; charset=utf-8" };
    response.insert_header((header::CONTENT_TYPE, format!("{}{charset}", form.media_type)));
    if is_gzip {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    // For HEAD the server sends the length and no body.
    response.body(rendition.bytes.clone())
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

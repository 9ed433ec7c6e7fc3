//! Answers at a door: find, write or take from the cache, and say so in the terms of RFC 9110.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

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
    Document(Document),
}

/// A document, and whether others who ask the same get it too.
#[derive(Clone)]
struct Document {
    head: Arc<Head>,
    form: Form,
    rendition: Arc<Rendition>,
    is_kept: bool,
}

/// For so long a look at the catalogue stands, as far as others may change it: a publishing command,
/// another server on the same database. What this process itself changes shows at once.
const GLANCE: Duration = Duration::from_millis(20);

/// For so long an answer is given again without finding out what to answer: the token of a walk
/// expires while nothing changes.
const REPEATED: Duration = Duration::from_secs(60);

/// Answers that are remembered; more are begun anew.
const MOST_ANSWERS: usize = 10_000;

/// What requests were answered with: who asks the same of the same catalogue is answered from memory,
/// without a question to the database and without a thread to put it.
#[derive(Default)]
pub(super) struct Answers {
    /// The last look: what the shelf's number of writes was, when, and which change stood there.
    seen: Option<(u64, Instant, u64)>,
    /// Under that change: by address, `Accept` and coding.
    given: HashMap<Vec<u8>, (Instant, Document)>,
}

impl Answers {
    pub(super) fn clear(&mut self) {
        self.given.clear();
    }

    /// What this question was answered with, if nothing can have changed since.
    fn repeat(&self, question: &[u8], writes: u64, now: Instant) -> Option<Document> {
        let (seen, at, _) = self.seen?;
        let is_fresh = seen == writes && now.saturating_duration_since(at) < GLANCE;
        let (made, document) = self.given.get(question).filter(|_| is_fresh)?;
        (now.saturating_duration_since(*made) < REPEATED).then(|| document.clone())
    }

    /// What this question was answered with, if a look finds the catalogue as it was; the look then
    /// stands for every other question too.
    fn again(
        &mut self,
        question: &[u8],
        (writes, at, change): (u64, Instant, u64),
    ) -> Option<Document> {
        let (_, before, known) = self.seen?;
        if known != change {
            return None;
        }
        if before <= at {
            self.seen = Some((writes, at, change));
        }
        let (made, document) = self.given.get(question)?;
        (at.saturating_duration_since(*made) < REPEATED).then(|| document.clone())
    }

    /// Notes a look, and what was answered after it.
    fn note(
        &mut self,
        question: Vec<u8>,
        (writes, at, change): (u64, Instant, u64),
        document: &Document,
    ) {
        // Of two looks side by side the later one stands.
        let is_later = self.seen.is_none_or(|(_, before, _)| before <= at);
        let is_same = self.seen.is_some_and(|(_, _, before)| before == change);
        if is_later {
            self.seen = Some((writes, at, change));
            if !is_same {
                self.given.clear();
            }
        }
        if document.is_kept && (is_later || is_same) {
            if self.given.len() >= MOST_ANSWERS {
                self.given.clear();
            }
            self.given.insert(question, (at, document.clone()));
        }
    }
}

/// Everything of a request that decides which document it gets.
fn question(request: &HttpRequest, is_gzip: bool) -> Vec<u8> {
    let mut question = vec![u8::from(is_gzip)];
    question.extend_from_slice(request.uri().path().as_bytes());
    question.push(b'?');
    question.extend_from_slice(request.query_string().as_bytes());
    for accept in request.headers().get_all(header::ACCEPT) {
        question.push(b'\n');
        question.extend_from_slice(accept.as_bytes());
    }
    question
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
    let is_gzip = takes_gzip(request.headers());
    let question = question(&request, is_gzip);
    if let Some(writes) = state.shelf.writes() {
        let cache = state.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let known = cache.answers.repeat(&question, writes, Instant::now());
        drop(cache);
        if let Some(document) = known {
            return send(&request, &document, is_gzip);
        }
    }
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
        Ok(Ok(Served::Document(document))) => send(&request, &document, is_gzip),
        Ok(Ok(Served::Page(topic, links, modified))) => {
            hand_over(&state, request, topic, &links, modified).await
        }
        Ok(Err(Refused::Error(failure))) => problem(&failure),
        Ok(Err(Refused::Gone(detail))) => problem_of(StatusCode::GONE, &detail),
        Err(failure) => problem(&Error::Internal(failure.to_string())),
    }
}

/// How the catalogue stands before it is read; the number of writes is taken first, so that a write that
/// comes between is noticed.
fn look(state: &State) -> Result<Option<(u64, Instant, u64)>> {
    let Some(writes) = state.shelf.writes() else { return Ok(None) };
    let at = Instant::now();
    Ok(Some((writes, at, state.shelf.state()?.change)))
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
    let head = Arc::new(Head { modified, status, links, is_immutable });
    // What is too large for the cache is not kept by way of its answer either.
    let is_kept = is_kept && state.kept(&key(is_gzip)).is_some();
    Ok(Served::Document(Document { head, form, rendition, is_kept }))
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

fn send(request: &HttpRequest, document: &Document, is_gzip: bool) -> HttpResponse {
    let Document { head, form, rendition, .. } = document;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use actix_web::http::StatusCode;
    use actix_web::test::TestRequest;
    use bytes::Bytes;

    use super::super::doors::DOORS;
    use super::{Answers, Document, GLANCE, Head, REPEATED, Rendition, question};

    fn document(is_kept: bool) -> Document {
        let head =
            Head { modified: None, status: StatusCode::OK, links: Vec::new(), is_immutable: false };
        Document {
            head: Arc::new(head),
            form: DOORS[0].forms[0],
            rendition: Arc::new(Rendition { bytes: Bytes::new(), digest: String::new() }),
            is_kept,
        }
    }

    #[test]
    fn an_answer_stands_for_a_moment_and_until_somebody_writes() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        let ask = |answers: &Answers, writes, at| answers.repeat(b"a", writes, at).is_some();
        assert!(!ask(&answers, 0, now));
        answers.note(b"a".to_vec(), (4, now, 1), &document(true));
        assert!(ask(&answers, 4, now) && ask(&answers, 4, now + GLANCE / 2));
        assert!(answers.repeat(b"b", 4, now).is_none());
        assert!(!ask(&answers, 5, now), "this process wrote");
        assert!(!ask(&answers, 4, now + GLANCE), "somebody else may have written");
        // Another look finds the same: the answer stands again, though it was not asked for.
        let later = now + GLANCE;
        answers.note(b"b".to_vec(), (5, later, 1), &document(true));
        assert!(ask(&answers, 5, later));
        // A look that began before and comes late changes nothing.
        answers.note(b"c".to_vec(), (4, now, 0), &document(true));
        assert!(ask(&answers, 5, later) && answers.repeat(b"c", 5, later).is_none());
        answers.note(b"c".to_vec(), (7, later, 2), &document(true));
        assert!(!ask(&answers, 7, later) && answers.repeat(b"c", 7, later).is_some());
    }

    #[test]
    fn a_look_that_finds_nothing_new_stands_for_every_answer() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        assert!(answers.again(b"a", (4, now, 1)).is_none(), "nothing was seen yet");
        answers.note(b"a".to_vec(), (4, now, 1), &document(true));
        answers.note(b"b".to_vec(), (4, now, 1), &document(true));
        let later = now + GLANCE;
        assert!(answers.repeat(b"b", 4, later).is_none());
        assert!(answers.again(b"a", (4, later, 1)).is_some());
        assert!(answers.repeat(b"b", 4, later).is_some(), "the same look");
        assert!(answers.again(b"a", (4, later, 2)).is_none(), "the catalogue is another");
        assert!(answers.again(b"a", (4, now + REPEATED, 1)).is_none(), "a walk may have expired");
        // One that began before and comes late does not set the look back.
        assert!(answers.again(b"b", (3, now, 1)).is_some());
        assert!(answers.repeat(b"b", 3, later).is_none());
    }

    #[test]
    fn an_answer_ends_and_one_that_is_not_worth_keeping_is_not_kept() {
        let (mut answers, now) = (Answers::default(), Instant::now());
        answers.note(b"a".to_vec(), (0, now, 1), &document(true));
        answers.note(b"b".to_vec(), (0, now + REPEATED, 1), &document(false));
        assert!(answers.repeat(b"a", 0, now + REPEATED).is_none(), "a walk may have expired");
        assert!(answers.repeat(b"b", 0, now + REPEATED).is_none());
    }

    #[test]
    fn what_decides_the_document_is_in_the_question() {
        let of = |uri: &str, accept: &str, is_gzip| {
            let request = TestRequest::get().uri(uri).insert_header(("Accept", accept));
            question(&request.to_http_request(), is_gzip)
        };
        let all = [
            of("/a", "*/*", false),
            of("/a", "*/*", true),
            of("/a?b", "*/*", false),
            of("/b", "*/*", false),
            of("/a", "text/turtle", false),
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(!all[place + 1..].contains(one), "{place}");
        }
    }
}

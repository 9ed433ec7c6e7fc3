//! What is asked again is answered again: from memory, before a route is looked for, without a question
//! to the database and without a thread to put it.
//!
//! In: requests, and what the doors answered (`answer.rs`). Out: the same document, for as long as
//! nothing can have changed.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::Next;
use actix_web::web;

use super::State;
use super::document::Document;
use crate::error::Result;
use crate::http::takes_gzip;

/// For so long a look at the catalogue stands, as far as others may change it: a publishing command,
/// another server on the same database. What this process itself changes shows at once.
const GLANCE: Duration = Duration::from_millis(20);

/// For so long an answer is given again without finding out what to answer: the token of a walk
/// expires while nothing changes.
const REPEATED: Duration = Duration::from_secs(60);

/// Answers that are remembered; more are begun anew.
const MOST_ANSWERS: usize = 10_000;

/// How the catalogue stood: the shelf's number of writes, when it was looked at, and which change was
/// the last.
pub(super) type Look = (u64, Instant, u64);

/// What requests were answered with, and under which look.
#[derive(Default)]
pub(super) struct Answers {
    /// The last look.
    seen: Option<Look>,
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
    pub(super) fn again(
        &mut self,
        question: &[u8],
        (writes, at, change): Look,
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
    pub(super) fn note(
        &mut self,
        question: Vec<u8>,
        (writes, at, change): Look,
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
        if document.is_kept() && (is_later || is_same) {
            if self.given.len() >= MOST_ANSWERS {
                self.given.clear();
            }
            self.given.insert(question, (at, document.clone()));
        }
    }
}

/// Everything of a request that decides which document it gets.
pub(super) fn question(request: &HttpRequest, is_gzip: bool) -> Vec<u8> {
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

/// How the catalogue stands before it is read; the number of writes is taken first, so that a write that
/// comes between is noticed.
pub(super) fn look(state: &State) -> Result<Option<Look>> {
    let Some(writes) = state.shelf.writes() else { return Ok(None) };
    let at = Instant::now();
    Ok(Some((writes, at, state.shelf.state()?.change)))
}

/// Middleware: a document that was given to this question a moment ago is given again.
///
/// # Errors
/// Only what the inner service returns.
pub async fn repeat(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> std::result::Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let is_asked = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = request.app_data::<web::Data<State>>().filter(|_| is_asked).and_then(|state| {
        let writes = state.shelf.writes()?;
        let question = question(request.request(), takes_gzip(request.headers()));
        let cache = state.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.answers.repeat(&question, writes, Instant::now())
    });
    match known {
        Some(document) => {
            let response = document.send(request.request());
            Ok(request.into_response(response))
        }
        None => Ok(next.call(request).await?.map_into_boxed_body()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use actix_web::http::StatusCode;
    use actix_web::test::TestRequest;
    use bytes::Bytes;

    use super::super::Rendition;
    use super::super::document::{Document, Head};
    use super::super::doors::DOORS;
    use super::{Answers, GLANCE, REPEATED, question};

    fn document(is_kept: bool) -> Document {
        let head =
            Head { modified: None, status: StatusCode::OK, links: Vec::new(), is_immutable: false };
        let rendition = Arc::new(Rendition { bytes: Bytes::new(), digest: String::new() });
        Document::new(head, DOORS[0].forms[0], false, rendition, is_kept).unwrap()
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

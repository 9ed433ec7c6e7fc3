//! `/sparql`: SPARQL 1.1 Protocol, query operations only.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answer::answer;
use super::doors::{Door, Found};
use super::negotiate::preferred;
use super::{State, Topic, problem};
use crate::catalogue::Format;
use crate::catalogue::sparql::{Graphs, Question, ResultsFormat, Unanswered, WORKERS};
use crate::error::{Error, Result};

/// Queries that wait for a worker; more are turned away.
const WAITING: usize = 16;

/// Where queries wait: here and not in a thread, because the threads that may block are shared
/// with care.
pub(super) struct Queue {
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(WORKERS + WAITING)),
            turns: Arc::new(Semaphore::new(WORKERS)),
        }
    }
}

/// A query's turn: whoever evaluates it holds it until the end, even when the reader has gone.
struct Turn {
    _place: OwnedSemaphorePermit,
    _turn: OwnedSemaphorePermit,
}

impl Queue {
    async fn turn(&self, patience: Duration) -> Result<Turn> {
        let busy = || Error::TooCostly("other queries are under way; try again".to_owned());
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())?;
        let turn = tokio::time::timeout(patience, Arc::clone(&self.turns).acquire_owned());
        let turn = turn.await.map_err(|_| busy())?.map_err(|_| busy())?;
        Ok(Turn { _place: place, _turn: turn })
    }
}

/// What describes the endpoint to whoever asks nothing (SPARQL 1.1 Service Description section 2).
static DESCRIPTION: Door = Door {
    path: "/sparql",
    forms: super::doors::RDF,
    page: Some(|_| Topic::Sparql(None)),
    find: |state, _| {
        let first = state.writer().iri("/sparql");
        let make = |state: &State| Ok(state.writer().sparql_service());
        Ok(Found::graph("/sparql".to_owned(), &first, make))
    },
    query: &[],
    takes_forms: false,
};

/// `GET /sparql?query=…`; without any parameter the description, or the page with a form.
pub(super) async fn get(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    if request.query_string().is_empty() {
        return answer(&DESCRIPTION, state, request).await;
    }
    match read(request.query_string().as_bytes()).and_then(Asked::query) {
        Ok(asked) => run(state, request, asked).await,
        Err(failure) => failed(&state, request, String::new(), &failure).await,
    }
}

/// `POST /sparql`, with a form or with the query as body; then the data set is in the address.
pub(super) async fn post(
    state: web::Data<State>,
    request: HttpRequest,
    body: Result<web::Bytes, actix_web::Error>,
) -> HttpResponse {
    let Ok(body) = body else {
        return problem::problem_of(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the request is too large for a query",
        );
    };
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let asked = match kind.as_str() {
        "application/sparql-query" => {
            read(request.query_string().as_bytes()).and_then(|mut asked| {
                let text = std::str::from_utf8(&body).ok().map(str::to_owned);
                asked.queries.extend(text);
                asked.query()
            })
        }
        "application/x-www-form-urlencoded" => read(&body).and_then(Asked::query),
        other => {
            let detail = if other == "application/sparql-update" {
                "this endpoint answers queries only"
            } else {
                "send application/sparql-query or application/x-www-form-urlencoded"
            };
            return problem::problem_of(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
        }
    };
    match asked {
        Ok(asked) => run(state, request, asked).await,
        Err(failure) => failed(&state, request, String::new(), &failure).await,
    }
}

/// Says why a query has no answer: who reads HTML gets the form back, with the query in it.
async fn failed(
    state: &State,
    request: HttpRequest,
    text: String,
    failure: &Error,
) -> HttpResponse {
    let why = match failure {
        Error::Invalid(_) | Error::Parameter { .. } => Unanswered::Refused(failure.to_string()),
        Error::TooCostly(why) => Unanswered::TooCostly(why.clone()),
        Error::NotFound { .. }
        | Error::Gone { .. }
        | Error::Unauthenticated(_)
        | Error::Forbidden(_)
        | Error::NotAcceptable(_)
        | Error::Configuration(_)
        | Error::Store(_)
        | Error::Internal(_) => return problem(failure),
    };
    match state.page.as_ref().filter(|_| is_for_people(&request)) {
        Some(page) => page(request, Topic::Sparql(Some((text, Err(why))))).await,
        None => problem(failure),
    }
}

/// Graphs in one request.
const MOST_GRAPHS: usize = 1_000;

/// What the parameters of a request ask.
#[derive(Default)]
struct Asked {
    queries: Vec<String>,
    graphs: Graphs,
}

impl Asked {
    /// The one query (SPARQL 1.1 Protocol section 2.1).
    fn query(self) -> Result<(String, Graphs)> {
        let wrong = |reason: &str| {
            Err(Error::Parameter { name: "query".to_owned(), reason: reason.to_owned() })
        };
        let mut queries = self.queries.into_iter();
        match (queries.next(), queries.next()) {
            (Some(text), None) => Ok((text, self.graphs)),
            (None, _) => wrong("is missing or not UTF-8; send `query=SELECT …`"),
            (Some(_), Some(_)) => wrong("send one query at a time"),
        }
    }
}

/// The parameters of a form.
fn read(form: &[u8]) -> Result<Asked> {
    let pairs = std::str::from_utf8(form)
        .ok()
        .and_then(|text| web::Query::<Vec<(String, String)>>::from_query(text).ok())
        .map(web::Query::into_inner)
        .unwrap_or_default();
    let mut asked = Asked::default();
    for (name, value) in pairs {
        match name.as_str() {
            "query" => asked.queries.push(value),
            "default-graph-uri" => asked.graphs.default.push(value),
            "named-graph-uri" => asked.graphs.named.push(value),
            "update" | "using-graph-uri" | "using-named-graph-uri" => {
                return Err(Error::Parameter {
                    name,
                    reason: "is not answered here; this endpoint answers queries only".to_owned(),
                });
            }
            _ => {}
        }
    }
    if asked.graphs.default.len() + asked.graphs.named.len() > MOST_GRAPHS {
        return Err(Error::Invalid(format!("name at most {MOST_GRAPHS} graphs")));
    }
    Ok(asked)
}

/// Whether a page is preferred to every form of results and graphs.
fn is_for_people(request: &HttpRequest) -> bool {
    let results = ResultsFormat::ALL.iter().map(|(_, media_type)| *media_type);
    let graphs = Format::ALL.iter().map(|format| format.media_type());
    let offers: Vec<&str> = results.chain(graphs).chain(["text/html"]).collect();
    preferred(request, &offers) == Some("text/html")
}

async fn run(
    state: web::Data<State>,
    request: HttpRequest,
    (text, graphs): (String, Graphs),
) -> HttpResponse {
    let mut results: Vec<&str> =
        ResultsFormat::ALL.iter().map(|(_, media_type)| *media_type).collect();
    results.extend(["application/json", "application/xml"]);
    let results = preferred(&request, &results).and_then(|media_type| match media_type {
        "application/json" => Some(ResultsFormat::Json),
        "application/xml" => Some(ResultsFormat::Xml),
        other => {
            ResultsFormat::ALL.iter().find(|(_, own)| *own == other).map(|(format, _)| *format)
        }
    });
    let forms: Vec<&str> = Format::ALL.iter().map(|format| format.media_type()).collect();
    let graph = preferred(&request, &forms).and_then(|media_type| {
        Format::ALL.iter().find(|format| format.media_type() == media_type).copied()
    });
    // Who reads HTML gets a page, made of what programs get.
    let page = state.page.as_ref().filter(|_| is_for_people(&request));
    let (results, graph) = match page {
        Some(_) => (Some(ResultsFormat::Json), Some(Format::Turtle)),
        None => (results, graph),
    };
    let asked = page.map(|_| text.clone());
    let question = Question { text, results, graph, graphs };
    let patience = Duration::from_secs(state.config.sparql.seconds.max(1));
    let turn = match state.queue.turn(patience).await {
        Ok(turn) => turn,
        Err(failure) => {
            return failed(&state, request.clone(), asked.unwrap_or_default(), &failure).await;
        }
    };
    let worker = state.clone();
    let done = web::block(move || {
        let _turn = turn;
        worker.endpoint.ask(worker.writer(), &*worker.shelf, &question)
    })
    .await;
    if let (Some(page), Some(text)) = (page, asked) {
        match done {
            Ok(Ok(answer)) => {
                return page(request.clone(), Topic::Sparql(Some((text, Ok(answer))))).await;
            }
            // Why there is none is said beside the query.
            Ok(Err(failure)) => return failed(&state, request, text, &failure).await,
            Err(failure) => return problem(&Error::Internal(failure.to_string())),
        }
    }
    match done {
        Ok(Ok(answer)) => {
            let mut response = HttpResponse::Ok();
            response
                .insert_header((
                    header::CONTENT_TYPE,
                    format!("{}; charset=utf-8", answer.media_type),
                ))
                .insert_header((header::VARY, "Accept"))
                .insert_header((header::CACHE_CONTROL, "no-cache"))
                .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
            if answer.is_truncated {
                // The rest of the rows is left off; a LIMIT and OFFSET give them.
                response.insert_header(("X-Result-Truncated", "true"));
            }
            response.body(answer.body)
        }
        Ok(Err(failure)) => problem(&failure),
        Err(failure) => problem(&Error::Internal(failure.to_string())),
    }
}

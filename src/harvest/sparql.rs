//! `/sparql`: SPARQL 1.1 Protocol, query operations only.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::negotiate::preferred;
use super::{State, Topic, problem};
use crate::catalogue::Format;
use crate::catalogue::sparql::{Question, ResultsFormat, WORKERS};
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

/// `GET /sparql?query=…`.
pub(super) async fn get(state: web::Data<State>, request: HttpRequest) -> HttpResponse {
    let query = match parameter(request.query_string().as_bytes()) {
        Ok(query) => query,
        Err(failure) => return problem(&failure),
    };
    if query.is_none()
        && preferred(&request, &["application/sparql-results+json", "text/html"])
            == Some("text/html")
        && let Some(page) = &state.page
    {
        return page(request, Topic::Sparql).await;
    }
    run(state, request, query).await
}

/// `POST /sparql`, with a form or with the query as body.
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
    let query = match kind.as_str() {
        "application/sparql-query" => Ok(std::str::from_utf8(&body).ok().map(str::to_owned)),
        "application/x-www-form-urlencoded" => parameter(&body),
        other => {
            let detail = if other == "application/sparql-update" {
                "this endpoint answers queries only"
            } else {
                "send application/sparql-query or application/x-www-form-urlencoded"
            };
            return problem::problem_of(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
        }
    };
    match query {
        Ok(query) => run(state, request, query).await,
        Err(failure) => problem(&failure),
    }
}

/// The query of a form. A data set by parameter is refused, not ignored: `FROM` in the query does
/// the same.
fn parameter(form: &[u8]) -> Result<Option<String>> {
    let pairs = std::str::from_utf8(form)
        .ok()
        .and_then(|text| web::Query::<Vec<(String, String)>>::from_query(text).ok())
        .map(web::Query::into_inner)
        .unwrap_or_default();
    let unused = pairs.iter().find(|(name, _)| {
        matches!(name.as_str(), "default-graph-uri" | "named-graph-uri" | "update")
    });
    if let Some((name, _)) = unused {
        return Err(Error::Parameter {
            name: name.clone(),
            reason: "is not answered here; send a query, with `FROM` where needed".to_owned(),
        });
    }
    Ok(pairs.into_iter().find(|(name, _)| name == "query").map(|(_, value)| value))
}

async fn run(state: web::Data<State>, request: HttpRequest, query: Option<String>) -> HttpResponse {
    let Some(text) = query else {
        return problem(&Error::Parameter {
            name: "query".to_owned(),
            reason: "is missing or not UTF-8; send `query=SELECT …`".to_owned(),
        });
    };
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
    let graphs: Vec<&str> = Format::ALL.iter().map(|format| format.media_type()).collect();
    let graph = preferred(&request, &graphs).and_then(|media_type| {
        Format::ALL.iter().find(|format| format.media_type() == media_type).copied()
    });
    let question = Question { text, results, graph };
    let patience = Duration::from_secs(state.config.sparql.seconds.max(1));
    let turn = match state.queue.turn(patience).await {
        Ok(turn) => turn,
        Err(failure) => return problem(&failure),
    };
    let worker = state.clone();
    let answer = web::block(move || {
        let _turn = turn;
        worker.endpoint.ask(worker.writer(), &*worker.shelf, &question)
    })
    .await;
    match answer {
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

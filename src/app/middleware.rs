//! What every answer passes on its way out: refusals of the framework become problem documents, the
//! headers that no answer lacks are put, and it is counted and timed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Instant;

use actix_web::HttpRequest;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use metrics::{Counter, Histogram};

use crate::harvest;

/// What the framework itself refuses (a parameter given twice, a body that is too large) it
/// answers as plain text; here that becomes a problem document.
pub(super) async fn errors_as_problems(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let response = next.call(request).await?.map_into_boxed_body();
    let Some(reason) = response.response().error().map(ToString::to_string) else {
        return Ok(response);
    };
    let status = response.status();
    let detail = if status.is_server_error() {
        tracing::error!(reason, "a request failed");
        "the server could not answer; the operator's log tells why"
    } else {
        &reason
    };
    Ok(response.into_response(harvest::problem_of(status, detail)))
}

/// Headers of every answer: no script, nothing from elsewhere, no framing, no guessing of types.
const HEADERS: &[(HeaderName, &str)] = &[
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
];

/// Counts and times requests by area (never by path: a path may hold an identifier).
pub(super) async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let began = Instant::now();
    let area = area(request.request());
    let mut response = next.call(request).await?;
    for (name, value) in HEADERS {
        if !response.headers().contains_key(name) {
            response.headers_mut().insert(name.clone(), HeaderValue::from_static(value));
        }
    }
    let status = response.status();
    METERS.with_borrow_mut(|meters| {
        let meter = meters.entry((area, status)).or_insert_with(|| Meter::of(area, status));
        meter.requests.increment(1);
        meter.seconds.record(began.elapsed());
    });
    if status.is_server_error() {
        tracing::error!(area, status = status.as_u16(), "a request failed");
    }
    Ok(response)
}

/// What is counted and timed of an area's answers with one status.
struct Meter {
    requests: Counter,
    seconds: Histogram,
}

impl Meter {
    fn of(area: &'static str, status: StatusCode) -> Self {
        let code = status.as_str().to_owned();
        Self {
            requests: metrics::counter!("vesalius_requests_total", "area" => area, "status" => code),
            seconds: metrics::histogram!("vesalius_request_seconds", "area" => area),
        }
    }
}

thread_local! {
    /// Those that this thread met: to look a meter up costs more than to read it.
    static METERS: RefCell<HashMap<(&'static str, StatusCode), Meter>> = RefCell::default();
}

fn area(request: &HttpRequest) -> &'static str {
    const AREAS: &[(&str, &str)] = &[
        ("/fhir", "fhir"),
        ("/dicom-web", "images"),
        ("/catalog", "catalogue"),
        ("/dataset", "catalogue"),
        ("/record", "catalogue"),
        ("/changes", "catalogue"),
        ("/fdp", "catalogue"),
        ("/ldes", "catalogue"),
        ("/oai", "catalogue"),
        ("/sparql", "sparql"),
        ("/healthz", "health"),
        ("/readyz", "health"),
        ("/metrics", "health"),
        ("/openapi", "health"),
    ];
    let path = request.path();
    AREAS.iter().find(|(prefix, _)| path.starts_with(prefix)).map_or("pages", |(_, area)| area)
}

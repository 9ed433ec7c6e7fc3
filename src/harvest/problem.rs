//! Failures as `application/problem+json` (RFC 9457).

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use crate::error::Error;

/// The problem document of a failure.
#[must_use]
pub fn problem(error: &Error) -> HttpResponse {
    let status = match error {
        Error::NotFound { .. } => StatusCode::NOT_FOUND,
        Error::Gone { .. } => StatusCode::GONE,
        Error::Parameter { .. } | Error::Invalid(_) => StatusCode::BAD_REQUEST,
        Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
        Error::Forbidden(_) => StatusCode::FORBIDDEN,
        Error::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
        Error::TooCostly(_) | Error::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        Error::Configuration(_) | Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let detail = match error {
        Error::NotFound { .. }
        | Error::Gone { .. }
        | Error::Parameter { .. }
        | Error::Invalid(_)
        | Error::Unauthenticated(_)
        | Error::Forbidden(_)
        | Error::NotAcceptable(_)
        | Error::TooCostly(_) => error.to_string(),
        // The cause is for the log, not for the reader.
        Error::Store(_) | Error::Configuration(_) | Error::Internal(_) => {
            tracing::error!(%error, "a catalogue request failed");
            "the server could not answer; the operator's log tells why".to_owned()
        }
    };
    problem_of(status, &detail)
}

/// The problem document of a status.
#[must_use]
pub fn problem_of(status: StatusCode, detail: &str) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.insert_header(("Retry-After", "5"));
    }
    response.content_type("application/problem+json").body(
        json!({
            "type": "about:blank",
            "title": status.canonical_reason().unwrap_or_default(),
            "status": status.as_u16(),
            "detail": detail,
        })
        .to_string(),
    )
}

/// Methods other than those of the resource.
pub(super) async fn not_allowed(request: HttpRequest) -> HttpResponse {
    let is_sparql = request.path() == "/sparql";
    let allowed = if is_sparql { "GET, HEAD, POST" } else { "GET, HEAD" };
    let mut response = problem_of(
        StatusCode::METHOD_NOT_ALLOWED,
        &format!("{} is not answered here; use {allowed}", request.method()),
    );
    if let Ok(value) = actix_web::http::header::HeaderValue::from_str(allowed) {
        response.headers_mut().insert(actix_web::http::header::ALLOW, value);
    }
    response
}

//! Failures as `application/problem+json` (RFC 9457).

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
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
    let detail = if error.is_ours() {
        // The cause is for the log, not for the reader.
        tracing::error!(%error, "a catalogue request failed");
        "the server could not answer; the operator's log tells why".to_owned()
    } else {
        error.to_string()
    };
    problem_of(status, &detail)
}

/// The problem document of a status.
#[must_use]
pub fn problem_of(status: StatusCode, detail: &str) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.insert_header((header::RETRY_AFTER, "5"));
    }
    // Who accepts other forms gets one (RFC 9110 section 12.5.5).
    if status == StatusCode::NOT_ACCEPTABLE {
        response.insert_header((header::VARY, "Accept"));
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

/// The methods of a resource that takes what is posted, or does not.
pub(super) const fn allowed(is_posted_to: bool) -> &'static str {
    if is_posted_to { "GET, HEAD, POST, OPTIONS" } else { "GET, HEAD, OPTIONS" }
}

/// Methods other than those of the resource.
pub(super) fn not_allowed(allowed: &'static str, request: &HttpRequest) -> HttpResponse {
    let mut response = problem_of(
        StatusCode::METHOD_NOT_ALLOWED,
        &format!("{} is not answered here; use {allowed}", request.method()),
    );
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Which methods a resource has (RFC 9110 section 9.3.7; LDP 1.0 section 4.2.8), and that a page of
/// any origin may use them (Fetch Standard, CORS preflight).
pub(super) fn options(allowed: &'static str) -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header((header::ALLOW, allowed))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, allowed))
        .insert_header((
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Accept, Content-Type, If-None-Match, If-Modified-Since",
        ))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "86400"))
        .finish()
}

//! Failures as `application/problem+json` (RFC 9457).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use serde_json::json;

use crate::error::Error;

pub(super) type Result<T, E = Failure> = std::result::Result<T, E>;

/// What goes back instead of an answer.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    detail: String,
    header: Option<(HeaderName, String)>,
}

impl Failure {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), header: None }
    }

    pub(super) fn method() -> Self {
        Self {
            header: Some((header::ALLOW, "GET, HEAD".to_owned())),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "images are only read here; use GET or HEAD",
            )
        }
    }

    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn not_acceptable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn gone(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, detail)
    }

    /// A range that the resource does not have (RFC 9110 section 15.5.17).
    pub(super) fn range(length: u64) -> Self {
        Self {
            header: Some((header::CONTENT_RANGE, format!("bytes */{length}"))),
            ..Self::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                format!("the range lies outside of the {length} bytes"),
            )
        }
    }

    pub(super) fn internal(detail: &dyn std::fmt::Display) -> Self {
        Error::Internal(detail.to_string()).into()
    }

    pub(super) fn to_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some((name, value)) = &self.header {
            response.insert_header((name.clone(), value.as_str()));
        }
        match self.status {
            StatusCode::UNAUTHORIZED => {
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"vesalius\""));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                response.insert_header((header::RETRY_AFTER, crate::http::RETRY_AFTER));
            }
            _ => {}
        }
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        response.content_type("application/problem+json").body(
            json!({
                "type": "about:blank",
                "title": self.status.canonical_reason().unwrap_or_default(),
                "status": self.status.as_u16(),
                "detail": self.detail,
            })
            .to_string(),
        )
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match &error {
            Error::NotFound { .. } => StatusCode::NOT_FOUND,
            Error::Gone { .. } => StatusCode::GONE,
            Error::Parameter { .. } | Error::Invalid(_) => StatusCode::BAD_REQUEST,
            Error::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            Error::NotAcceptable(_) => StatusCode::NOT_ACCEPTABLE,
            // PS3.18 section 10.6.3.1: a search whose answer would be too large.
            Error::TooCostly(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Error::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            Error::Configuration(_) | Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let detail = match &error {
            // The cause is for the log, not for the reader.
            Error::Store(_) | Error::Configuration(_) | Error::Internal(_) => {
                tracing::error!(%error, "a request for images failed");
                "the server could not answer; the operator's log tells why".to_owned()
            }
            told => told.to_string(),
        };
        Self::new(status, detail)
    }
}

/// What the store returned, with its failure as ours.
pub(super) fn store<T>(answer: crate::store::QueryResult<T>) -> Result<T> {
    answer.map_err(|failure| Error::from(failure).into())
}

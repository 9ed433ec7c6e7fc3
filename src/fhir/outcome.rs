//! What goes wrong, as the client sees it: a status and an OperationOutcome.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde_json::{Value, json};

use crate::error::Error;

/// A refused request.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    /// Code of the required value set `issue-type`.
    code: &'static str,
    diagnostics: String,
    /// The parameter that it is about.
    parameter: Option<String>,
    /// For 405: what may be asked.
    allow: Option<&'static str>,
}

/// The result of everything in this room.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let (status, code) = match &error {
            Error::NotFound { .. } => (StatusCode::NOT_FOUND, "not-found"),
            Error::Gone { .. } => (StatusCode::GONE, "deleted"),
            Error::Parameter { .. } | Error::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid"),
            Error::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "login"),
            Error::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Error::NotAcceptable(_) => (StatusCode::NOT_ACCEPTABLE, "not-supported"),
            Error::TooCostly(_) => (StatusCode::BAD_REQUEST, "too-costly"),
            Error::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "transient"),
            Error::Configuration(_) | Error::Internal(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "exception")
            }
        };
        let parameter = match &error {
            Error::Parameter { name, .. } => Some(name.clone()),
            _ => None,
        };
        let diagnostics = match &error {
            // The cause is for the log; the client can only try again.
            Error::Store(_) | Error::Configuration(_) | Error::Internal(_) => {
                tracing::error!(%error, "a FHIR request failed");
                "the server could not answer; try again later".to_owned()
            }
            _ => error.to_string(),
        };
        Self { status, code, diagnostics, parameter, allow: None }
    }
}

impl Failure {
    /// A parameter that cannot be used.
    pub(super) fn parameter(name: &str, reason: impl Into<String>) -> Self {
        Error::Parameter { name: name.to_owned(), reason: reason.into() }.into()
    }

    /// The same, said of the parameter as the client wrote it.
    pub(super) fn about(mut self, name: &str) -> Self {
        self.parameter = Some(name.to_owned());
        self
    }

    /// A method that the address does not take.
    pub(super) fn method(allow: &'static str) -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "not-supported",
            diagnostics: format!("the address takes {allow}"),
            parameter: None,
            allow: Some(allow),
        }
    }

    /// A body that is not the form that `_search` takes.
    pub(super) fn media_type() -> Self {
        Self {
            status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code: "not-supported",
            diagnostics: "`_search` takes `application/x-www-form-urlencoded`".to_owned(),
            parameter: None,
            allow: None,
        }
    }

    /// An address that names nothing here.
    pub(super) fn no_such_address(what: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "not-supported",
            diagnostics: format!("`{what}` is not served; see /fhir/metadata"),
            parameter: None,
            allow: None,
        }
    }

    /// A body that is too large.
    pub(super) fn too_large() -> Self {
        Self {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            code: "too-long",
            diagnostics: format!("a form has at most {} bytes", super::FORM_LIMIT),
            parameter: None,
            allow: None,
        }
    }

    fn to_json(&self) -> Value {
        outcome("error", self.code, &self.diagnostics, self.parameter.as_deref())
    }

    /// The response; OperationOutcome is JSON whatever was asked for, as R4 allows.
    pub(super) fn to_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.insert_header((header::CONTENT_TYPE, super::negotiate::FHIR_JSON));
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"fhir\""));
        }
        if let Some(allow) = self.allow {
            response.insert_header((header::ALLOW, allow));
        }
        response.body(self.to_json().to_string())
    }
}

/// An OperationOutcome with one issue. `parameter` becomes `http.NAME`, as R4 has it for what
/// is wrong with a request and not with a resource.
pub(super) fn outcome(
    severity: &str,
    code: &str,
    diagnostics: &str,
    parameter: Option<&str>,
) -> Value {
    let mut issue = json!({ "severity": severity, "code": code, "diagnostics": diagnostics });
    if let Some(name) = parameter {
        issue["expression"] = json!([format!("http.{name}")]);
    }
    json!({ "resourceType": "OperationOutcome", "issue": [issue] })
}

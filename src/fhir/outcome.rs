//! What goes wrong, as the client sees it: a status and an OperationOutcome.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde_json::{Value, json};

use super::negotiate::Format;
use super::table::Resource;
use super::xml;
use crate::error::Error;
use crate::http::RETRY_AFTER;

/// A refused request.
#[derive(Debug)]
pub struct Failure {
    status: StatusCode,
    /// Code of the required value set `issue-type`.
    code: &'static str,
    diagnostics: String,
    /// The parameter that it is about.
    parameter: Option<String>,
    /// What is said of a body.
    body: Option<Box<AboutBody>>,
    /// For 405: what may be asked.
    allow: Option<&'static str>,
    /// For 401: why the token that came was refused.
    bad_token: Option<String>,
}

/// What is wrong with a body.
#[derive(Debug, Default)]
struct AboutBody {
    /// Where it is.
    expression: Option<String>,
    /// The whole OperationOutcome, where there is more to say.
    report: Option<Value>,
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
        Self { parameter, ..Self::new(status, code, diagnostics) }
    }
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, diagnostics: String) -> Self {
        Self {
            status,
            code,
            diagnostics,
            parameter: None,
            body: None,
            allow: None,
            bad_token: None,
        }
    }

    /// What is wrong, in one line.
    pub(super) fn words(&self) -> String {
        let report = self.body.as_ref().and_then(|body| body.report.as_ref());
        let issues = report.and_then(|report| report["issue"].as_array()).into_iter().flatten();
        let said: Vec<String> = issues
            .filter(|issue| issue["severity"] == "error")
            .take(3)
            .filter_map(|issue| {
                let place = issue["expression"][0].as_str().unwrap_or_default();
                Some(format!("{place}: {}", issue["diagnostics"].as_str()?))
            })
            .collect();
        if said.is_empty() { self.diagnostics.clone() } else { said.join("; ") }
    }

    /// A body that is not what the address takes.
    pub(super) fn unreadable(what: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "structure", what.to_owned())
    }

    /// A type, or one resource of it, that only the archive and the configuration make.
    pub(super) fn read_only(resource: Resource) -> Self {
        let diagnostics = format!(
            "this {} is derived from what the archive holds, and read-only: correct it at its \
             source, and the archive follows",
            resource.name()
        );
        let allow = Some("GET, HEAD");
        Self { allow, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "not-supported", diagnostics) }
    }

    /// Versions of what keeps none.
    pub(super) fn no_history() -> Self {
        let diagnostics = "no versions are kept of what is derived from the archive";
        Self::new(StatusCode::NOT_FOUND, "not-supported", diagnostics.to_owned())
    }

    /// A condition of the request that does not hold.
    pub(super) fn precondition(what: &str) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "conflict", what.to_owned())
    }

    /// What contradicts the present state.
    pub(super) fn conflict(what: &str) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", what.to_owned())
    }

    /// A resource that breaks a rule of this server.
    pub(super) fn rule(what: &str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "business-rule", what.to_owned())
    }

    /// A resource that is not valid, with the report.
    pub(super) fn invalid_resource(report: Value) -> Self {
        let diagnostics = "the resource is not valid".to_owned();
        let failure = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invariant", diagnostics);
        let about = AboutBody { report: Some(report), expression: None };
        Self { body: Some(Box::new(about)), ..failure }
    }

    /// A body of a type that is not read.
    pub(super) fn unsupported_media(media: &str) -> Self {
        let shown: String = media.chars().take(80).collect();
        let diagnostics = format!("`{shown}` is not read: send `application/fhir+json`");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", diagnostics)
    }

    /// The same, said of an entry of a Bundle.
    pub(super) fn within(mut self, entry: usize) -> Self {
        let place = format!("Bundle.entry[{entry}]");
        let body = self.body.get_or_insert_default();
        if let Some(report) = &mut body.report {
            for issue in report["issue"].as_array_mut().into_iter().flatten() {
                let inner = issue["expression"][0].as_str().unwrap_or("");
                let path =
                    inner.split_once('.').map_or(String::new(), |(_, rest)| format!(".{rest}"));
                issue["expression"] = json!([format!("{place}.resource{path}")]);
            }
        }
        body.expression = Some(place);
        self
    }

    /// The status.
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

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
        let diagnostics = format!("the address takes {allow}");
        let allow = Some(allow);
        Self { allow, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "not-supported", diagnostics) }
    }

    /// A body that is not the form that `_search` takes.
    pub(super) fn media_type() -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not-supported",
            "`_search` takes `application/x-www-form-urlencoded`".to_owned(),
        )
    }

    /// An address that names nothing here.
    pub(super) fn no_such_address(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-supported",
            format!("`{what}` is not served; see /fhir/metadata"),
        )
    }

    /// Something that follows from the archive and cannot be had of it: 404 with the reason.
    pub(super) fn unavailable(reason: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-supported", reason.to_owned())
    }

    /// The server that something came from does not give it: 502 or 504 with the reason.
    pub(super) fn upstream(is_late: bool, reason: &str) -> Self {
        let status = if is_late { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
        Self::new(status, "transient", reason.to_owned())
    }

    /// A body of another media type than those.
    pub(super) fn other_media_type(takes: &str) -> Self {
        Self { diagnostics: format!("the address takes {takes}"), ..Self::media_type() }
    }

    /// What it says.
    pub(super) fn told(&self) -> &str {
        &self.diagnostics
    }

    /// A resource that is not what it must be: 422, as R4 has it for business rules.
    pub(super) fn unprocessable(expression: &str, reason: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: "invalid",
            diagnostics: format!("`{expression}`: {}", reason.into()),
            parameter: None,
            allow: None,
            bad_token: None,
            body: None,
        }
    }

    /// A request that this server could answer at another time.
    pub(super) fn too_many(reason: String) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            code: "throttled",
            diagnostics: reason,
            parameter: None,
            allow: None,
            bad_token: None,
            body: None,
        }
    }

    /// Whether there is nothing of that name.
    pub(super) fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && self.code == "not-found"
    }

    /// Whether it was deleted.
    pub(super) fn is_gone(&self) -> bool {
        self.status == StatusCode::GONE
    }

    /// A body of more than `longest` bytes.
    pub(super) fn too_large(longest: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-long",
            format!("the body may have at most {longest} bytes"),
        )
    }

    /// A token that was refused, and why.
    pub(super) fn bad_token(reason: &str) -> Self {
        let mut failure = Self::from(Error::Unauthenticated(reason.to_owned()));
        failure.bad_token = Some(reason.to_owned());
        failure
    }

    /// The challenge of RFC 6750 section 3; the description may hold visible ASCII only.
    fn challenge(&self) -> String {
        let mut challenge = "Bearer realm=\"fhir\"".to_owned();
        if let Some(reason) = &self.bad_token {
            let plain = reason.replace('…', "...").replace(['"', '\\'], "'");
            let plain: String = plain.chars().filter(|c| matches!(c, ' '..='~')).collect();
            challenge
                .push_str(&format!(", error=\"invalid_token\", error_description=\"{plain}\""));
        }
        challenge
    }

    /// The OperationOutcome.
    pub(super) fn to_json(&self) -> Value {
        let body = self.body.as_deref();
        if let Some(report) = body.and_then(|body| body.report.as_ref()) {
            return report.clone();
        }
        let mut json = outcome("error", self.code, &self.diagnostics, self.parameter.as_deref());
        let place = body.and_then(|body| body.expression.as_ref());
        if let (Some(place), Some(issue)) = (place, json["issue"].get_mut(0)) {
            issue["expression"] = json!([place]);
        }
        json
    }

    /// The response, in the format that the client asked for.
    pub(super) fn to_response(&self, format: Format) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, self.challenge()));
        }
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.insert_header((header::RETRY_AFTER, RETRY_AFTER));
        }
        if let Some(allow) = self.allow {
            response.insert_header((header::ALLOW, allow));
        }
        let json = self.to_json().to_string();
        let (format, body) = match format {
            Format::Json => (format, json.into_bytes()),
            Format::Xml => match xml::to_xml(json.as_bytes()) {
                Ok(xml) => (format, xml),
                Err(_) => (Format::Json, json.into_bytes()),
            },
        };
        response.insert_header((header::CONTENT_TYPE, format.media()));
        response.body(body)
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

#[cfg(test)]
mod tests {
    use actix_web::http::header;

    use super::{Failure, Format};
    use crate::error::Error;

    fn header_of(failure: &Failure, name: header::HeaderName) -> Option<String> {
        let response = failure.to_response(Format::Json);
        response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn what_failed_in_passing_says_when_to_ask_again() {
        let failure = Failure::from(Error::Store("gone".to_owned()));
        assert_eq!(header_of(&failure, header::RETRY_AFTER).as_deref(), Some("5"));
        let failure = Failure::from(Error::Invalid("x".to_owned()));
        assert_eq!(header_of(&failure, header::RETRY_AFTER), None);
    }

    #[test]
    fn the_reason_of_a_refused_token_cannot_leave_its_quotes() {
        let failure = Failure::bad_token("it \"ends\\ here\r\n…");
        assert_eq!(
            header_of(&failure, header::WWW_AUTHENTICATE).as_deref(),
            Some(
                "Bearer realm=\"fhir\", error=\"invalid_token\", \
                 error_description=\"it 'ends' here...\""
            )
        );
    }
}

//! Failures as pages for people and as `application/problem+json` (RFC 9457) for programs.

use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::State;
use super::layout::{Layout, Place, Site};
use super::reader::Reader;
use super::tongue::Tongue;
use super::words::Phrase;
use crate::error::Error;

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    layout: Layout,
    status: u16,
    heading: &'a str,
    detail: Phrase,
    advice: &'a str,
    reference: &'a str,
    sign_in: Option<String>,
}

/// What answers with status 401 name (RFC 9110 section 15.5.2, RFC 6750).
pub(super) const CHALLENGE: &str = "Bearer realm=\"vesalius\"";

/// Status, and the keys of heading and advice, of each kind of failure.
fn kind(error: &Error) -> (StatusCode, &'static str, &'static str) {
    match error {
        Error::NotFound { .. } => {
            (StatusCode::NOT_FOUND, "problem.not-found", "problem.not-found-advice")
        }
        Error::Gone { .. } => (StatusCode::GONE, "problem.gone", "problem.gone-advice"),
        Error::Parameter { .. } | Error::Invalid(_) => {
            (StatusCode::BAD_REQUEST, "problem.invalid", "problem.invalid-advice")
        }
        Error::Unauthenticated(_) => {
            (StatusCode::UNAUTHORIZED, "problem.unauthenticated", "problem.unauthenticated-advice")
        }
        Error::Forbidden(_) => {
            (StatusCode::FORBIDDEN, "problem.forbidden", "problem.forbidden-advice")
        }
        Error::NotAcceptable(_) => {
            (StatusCode::NOT_ACCEPTABLE, "problem.not-acceptable", "problem.not-acceptable-advice")
        }
        Error::TooCostly(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "problem.costly", "problem.costly-advice")
        }
        Error::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "problem.busy", "problem.busy-advice"),
        Error::Configuration(_) | Error::Internal(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "problem.fault", "problem.fault-advice")
        }
    }
}

/// Whether the client would rather read HTML than JSON (RFC 9110 section 12.5.1).
pub(super) fn prefers_html(headers: &HeaderMap) -> bool {
    let weight = |wanted: &[&str]| {
        headers
            .get_all(header::ACCEPT)
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let media = parts.next()?.to_ascii_lowercase();
                wanted.contains(&media.as_str()).then(|| {
                    let q = parts.find_map(|part| part.strip_prefix("q="));
                    q.map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0))
                })
            })
            .fold(0.0_f32, f32::max)
    };
    let html = weight(&["text/html", "application/xhtml+xml"]);
    html > 0.0 && html >= weight(&["application/json", "application/problem+json"])
}

/// The answer to a failed request.
#[must_use]
pub fn page_or_problem(site: &Arc<Site>, request: &HttpRequest, error: &Error) -> HttpResponse {
    let (status, heading, advice) = kind(error);
    let reader = Reader::of(request);
    let (heading, advice) = (reader.tongue.word(heading), reader.tongue.word(advice));
    // What the reader may know of a fault of ours is its reference; the cause is in the log.
    let (detail, reference) = if error.is_ours() {
        let mut id = [0_u8; 6];
        let reference = match getrandom::fill(&mut id) {
            Ok(()) => id.iter().map(|byte| format!("{byte:02x}")).collect(),
            Err(_) => "none".to_owned(),
        };
        tracing::error!(reference, %error, "a page failed");
        (String::new(), reference)
    } else {
        (error.to_string(), String::new())
    };
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    response.insert_header((header::VARY, "Accept, Accept-Language, Cookie"));
    if status == StatusCode::UNAUTHORIZED {
        response.insert_header((header::WWW_AUTHENTICATE, CHALLENGE));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.insert_header((header::RETRY_AFTER, "60"));
    }
    if prefers_html(request.headers()) {
        let mut layout = Layout::new(site, &reader, heading, Place::Elsewhere);
        layout.is_unlisted = true;
        let page = ProblemPage {
            layout,
            status: status.as_u16(),
            heading,
            detail: said(reader.tongue, &detail),
            advice,
            reference: &reference,
            sign_in: (status == StatusCode::UNAUTHORIZED).then(|| {
                format!("/operator/sign-in?next={}", super::words::encode(request.path()))
            }),
        };
        if let Ok(text) = page.render() {
            return response.content_type("text/html; charset=utf-8").body(text);
        }
    }
    let mut problem = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or("Failure"),
        "status": status.as_u16(),
    });
    if let Some(fields) = problem.as_object_mut() {
        if !detail.is_empty() {
            fields.insert("detail".to_owned(), super::session::sentence(&detail).into());
        }
        if !reference.is_empty() {
            fields.insert("instance".to_owned(), format!("urn:vesalius:{reference}").into());
        }
    }
    response.content_type("application/problem+json").body(problem.to_string())
}

/// Why something failed, as a sentence in the reader's language.
pub(super) fn said(tongue: &'static Tongue, english: &str) -> Phrase {
    let own = tongue.gate_list(english);
    if own.is_empty() {
        return own;
    }
    Phrase { text: super::session::sentence(&own.text), lang: own.lang }
}

/// Middleware: a problem document that another room answered to a reader of HTML becomes a page.
/// The APIs keep theirs.
///
/// # Errors
/// Only what the inner service returns.
pub async fn problems_as_pages(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let is_api = ["/fhir", "/api", "/dicom-web"].iter().any(|api| request.path().starts_with(api));
    let is_reader = !is_api && prefers_html(request.headers());
    let response = next.call(request).await?.map_into_boxed_body();
    let is_problem = response.status().is_client_error() || response.status().is_server_error();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_document =
        kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/problem+json"));
    if !(is_reader && is_problem && is_document) {
        return Ok(response);
    }
    let (request, response) = response.into_parts();
    let (head, body) = response.into_parts();
    // A problem document is small; one that cannot be read leaves only its status.
    let body = actix_web::body::to_bytes_limited(body, 64 * 1024).await;
    let body = body.ok().and_then(Result::ok).unwrap_or_default();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let detail = problem.get("detail").and_then(serde_json::Value::as_str).unwrap_or_default();
    let status = head.status();
    let site = request.app_data::<web::Data<State>>().map(|state| Arc::clone(state.pages.site()));
    let (heading, advice) = words_of(status);
    let reader = Reader::of(&request);
    let (heading, advice) = (reader.tongue.word(heading), reader.tongue.word(advice));
    let page = site.map(|site| {
        let mut layout = Layout::new(&site, &reader, heading, Place::Elsewhere);
        layout.is_unlisted = true;
        ProblemPage {
            layout,
            status: status.as_u16(),
            heading,
            detail: said(reader.tongue, detail),
            advice,
            reference: "",
            sign_in: None,
        }
        .render()
    });
    let Some(Ok(text)) = page else {
        let response = head.set_body(body).map_into_boxed_body();
        return Ok(ServiceResponse::new(request, response));
    };
    let mut response = head.set_body(text).map_into_boxed_body();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Language, Cookie"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.remove(header::CONTENT_LENGTH);
    Ok(ServiceResponse::new(request, response))
}

/// Keys of heading and advice of a status that another room chose.
fn words_of(status: StatusCode) -> (&'static str, &'static str) {
    let alike = match status {
        StatusCode::NOT_FOUND => Error::NotFound { kind: "", id: String::new() },
        StatusCode::GONE => Error::Gone { kind: "", id: String::new() },
        StatusCode::UNAUTHORIZED => Error::Unauthenticated(String::new()),
        StatusCode::FORBIDDEN => Error::Forbidden(String::new()),
        StatusCode::NOT_ACCEPTABLE => Error::NotAcceptable(String::new()),
        StatusCode::SERVICE_UNAVAILABLE => {
            return ("problem.busy", "problem.busy-other");
        }
        status if status.is_server_error() => {
            return ("problem.fault", "problem.fault-other");
        }
        _ => Error::Invalid(String::new()),
    };
    let (_, heading, advice) = kind(&alike);
    (heading, advice)
}

/// The answer to a path that nothing serves: for the app's `default_service`.
pub async fn not_found(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let path: String = request.path().chars().take(200).collect();
    let error = Error::NotFound { kind: "the page", id: path };
    page_or_problem(state.pages.site(), &request, &error)
}

/// A rendered page, or the failure to render it.
pub(super) fn render(template: &impl Template) -> crate::error::Result<String> {
    template.render().map_err(|failure| Error::Internal(format!("a template failed: {failure}")))
}

#[cfg(test)]
mod tests {
    use super::prefers_html;
    use actix_web::http::header::{self, HeaderMap, HeaderValue};

    #[test]
    fn browsers_get_pages_and_programs_get_problems() {
        let prefers = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
            prefers_html(&headers)
        };
        assert!(prefers("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(prefers("application/json;q=0.5, text/html"));
        assert!(!prefers("application/json, text/html;q=0.9"));
        assert!(!prefers("text/turtle"));
        assert!(!prefers("*/*"));
        assert!(!prefers("text/html;q=0"));
        assert!(!prefers_html(&HeaderMap::new()));
    }
}

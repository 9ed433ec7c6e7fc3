//! `/openapi.json`: what every edge says of its addresses, in one document that is made once.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::config::Config;
use crate::{dicomweb, fhir, harvest, openapi};

/// The API's description, made once.
pub(super) struct Description {
    bytes: web::Bytes,
    etag: String,
}

impl Description {
    pub(super) fn new(fhir: &fhir::State, images: &dicomweb::State, config: &Config) -> Self {
        let mut paths = described();
        paths.extend(fhir.described());
        paths.extend(images.described());
        paths.extend(harvest::described());
        paths.extend(crate::web::described());
        let bytes = openapi::document(&config.server.base(), &paths).to_string();
        let digest = crate::imaging::keyed(b"etag", bytes.as_bytes());
        let etag = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>();
        Self { bytes: bytes.into(), etag: format!("\"{etag}\"") }
    }
}

/// What the routes of this room say of themselves.
fn described() -> Vec<openapi::Path> {
    let rows: &[(&str, &str, &str, &[u16], openapi::Access)] = &[
        ("/healthz", "whether it runs", "text/plain", &[200], openapi::Access::Open),
        (
            "/readyz",
            "whether its views follow",
            "application/json",
            &[200, 503],
            openapi::Access::Open,
        ),
        ("/metrics", "Prometheus", "text/plain", &[200, 401], openapi::Access::Token),
        (openapi::ADDRESS, "this document", "application/json", &[200, 304], openapi::Access::Open),
    ];
    rows.iter()
        .map(|(path, summary, gives, statuses, access)| openapi::Path {
            path: (*path).to_owned(),
            operations: vec![openapi::Operation {
                method: "get",
                tag: "server",
                summary: (*summary).to_owned(),
                parameters: Vec::new(),
                takes: Vec::new(),
                gives: vec![(*gives).to_owned()],
                statuses: statuses.to_vec(),
                access: *access,
            }],
        })
        .collect()
}

pub(super) async fn openapi_json(
    request: HttpRequest,
    description: web::Data<Description>,
) -> HttpResponse {
    let known = request.headers().get_all(header::IF_NONE_MATCH);
    let mut known = known.filter_map(|value| value.to_str().ok());
    let is_known = known.any(|value| {
        value.split(',').any(|tag| [description.etag.as_str(), "*"].contains(&tag.trim()))
    });
    let status = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::ETAG, description.etag.as_str()))
        .insert_header((header::CACHE_CONTROL, "public, no-cache"))
        .content_type("application/json");
    if is_known { response.finish() } else { response.body(description.bytes.clone()) }
}

//! A document as it goes over the wire: its bytes, and what the headers say of them (RFC 9110), written
//! once for everybody who asks.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;

use super::Rendition;
use super::doors::Form;
use super::negotiate::is_current;
use crate::error::{Error, Result};
use crate::http::{InPieces, http_date};

/// What its headers say of a document.
pub(super) struct Head {
    pub modified: Option<Timestamp>,
    pub status: StatusCode,
    /// Values of `Link`.
    pub links: Vec<String>,
    /// It never changes any more.
    pub is_immutable: bool,
}

/// A document in a form and a coding.
#[derive(Clone)]
pub(super) struct Document(Arc<Made>);

struct Made {
    status: StatusCode,
    modified: Option<Timestamp>,
    /// Strong tags of the bytes: as they are, and packed. Another form or coding has another one.
    tags: [String; 2],
    /// Also of an answer that says that the reader has it.
    headers: Vec<(HeaderName, HeaderValue)>,
    of_body: Vec<(HeaderName, HeaderValue)>,
    rendition: Arc<Rendition>,
    /// Whether others who ask the same get it too.
    is_kept: bool,
}

impl Document {
    /// # Errors
    /// When a header cannot say it.
    pub(super) fn new(
        head: Head,
        form: Form,
        is_gzip: bool,
        rendition: Arc<Rendition>,
        is_kept: bool,
    ) -> Result<Self> {
        let short = rendition.digest.get(..32).unwrap_or(&rendition.digest);
        let suffix = form.suffix;
        let tags = [format!("\"{short}-{suffix}\""), format!("\"{short}-{suffix}-gz\"")];
        let cache = if head.is_immutable {
            "public, max-age=31536000, immutable"
        } else {
            "public, no-cache"
        };
        let mut headers = vec![
            (header::ETAG, value(&tags[usize::from(is_gzip)])?),
            (header::VARY, HeaderValue::from_static("Accept, Accept-Encoding")),
            (header::CACHE_CONTROL, HeaderValue::from_static(cache)),
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        ];
        if let Some(modified) = head.modified {
            headers.push((header::LAST_MODIFIED, value(&http_date(modified))?));
        }
        for link in &head.links {
            headers.push((header::LINK, value(link)?));
        }
        let is_json = form.media_type.contains("json");
        let charset = if is_json { "" } else { "; charset=utf-8" };
        let kind = value(&format!("{}{charset}", form.media_type))?;
        let mut of_body = vec![(header::CONTENT_TYPE, kind)];
        if is_gzip {
            of_body.push((header::CONTENT_ENCODING, HeaderValue::from_static("gzip")));
        }
        let Head { status, modified, .. } = head;
        Ok(Self(Arc::new(Made { status, modified, tags, headers, of_body, rendition, is_kept })))
    }

    /// Whether others who ask the same get it too.
    pub(super) fn is_kept(&self) -> bool {
        self.0.is_kept
    }

    /// The answer to a request: the document, or that the reader has it.
    pub(super) fn send(&self, request: &HttpRequest) -> HttpResponse {
        let made = &*self.0;
        let has_it =
            made.status == StatusCode::OK && is_current(request, &made.tags, made.modified);
        let (status, of_body) = if has_it {
            (StatusCode::NOT_MODIFIED, &[][..])
        } else {
            (made.status, &*made.of_body)
        };
        let mut response = HttpResponse::new(status);
        for (name, value) in made.headers.iter().chain(of_body) {
            response.headers_mut().append(name.clone(), value.clone());
        }
        if has_it {
            return response;
        }
        // For HEAD the server sends the length and no body.
        response.set_body(InPieces(made.rendition.bytes.clone())).map_into_boxed_body()
    }
}

fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text)
        .map_err(|failure| Error::Internal(format!("`{text}` cannot stand in a header: {failure}")))
}

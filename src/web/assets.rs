//! The stylesheet and the icon: one file each, named by its content, so that browsers may keep
//! it for ever.

use std::io::Write as _;
use std::sync::OnceLock;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use sha2::{Digest as _, Sha256};

struct Asset {
    path: String,
    etag: String,
    media: &'static str,
    bytes: &'static [u8],
    gzip: Vec<u8>,
}

fn asset(name: &str, suffix: &str, media: &'static str, text: &'static str) -> Asset {
    let digest: String =
        Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    // Writing to memory does not fail; an empty result would only mean no compression.
    let gzip = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    Asset {
        path: format!("/assets/{name}-{digest}.{suffix}"),
        etag: format!("\"{digest}\""),
        media,
        bytes: text.as_bytes(),
        gzip: gzip.unwrap_or_default(),
    }
}

fn stylesheet() -> &'static Asset {
    static STYLE: OnceLock<Asset> = OnceLock::new();
    STYLE.get_or_init(|| {
        asset("vesalius", "css", "text/css; charset=utf-8", include_str!("style.css"))
    })
}

fn icon() -> &'static Asset {
    static ICON: OnceLock<Asset> = OnceLock::new();
    ICON.get_or_init(|| asset("vesalius", "svg", "image/svg+xml", include_str!("icon.svg")))
}

/// The address of the stylesheet.
#[must_use]
pub fn stylesheet_path() -> &'static str {
    &stylesheet().path
}

/// The address of the icon.
pub(super) fn icon_path() -> &'static str {
    &icon().path
}

pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/assets/{file}").get(file));
}

async fn file(request: HttpRequest) -> HttpResponse {
    let path = request.path();
    let Some(asset) = [stylesheet(), icon()].into_iter().find(|asset| asset.path == path) else {
        return HttpResponse::NotFound().finish();
    };
    let has = |name: header::HeaderName, wanted: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.split(',').any(|part| part.trim().starts_with(wanted)))
    };
    let mut response = if has(header::IF_NONE_MATCH, &asset.etag) {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .insert_header((header::VARY, "Accept-Encoding"));
    if let Ok(etag) = HeaderValue::from_str(&asset.etag) {
        response.insert_header((header::ETAG, etag));
    }
    if has(header::IF_NONE_MATCH, &asset.etag) {
        return response.finish();
    }
    response.insert_header((header::CONTENT_TYPE, asset.media));
    if !asset.gzip.is_empty() && has(header::ACCEPT_ENCODING, "gzip") {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
        response.body(asset.gzip.as_slice())
    } else {
        response.body(asset.bytes)
    }
}

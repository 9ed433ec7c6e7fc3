//! What the client accepts: JSON, version 4.0, compressed or not.

use std::io::Write as _;

use actix_web::http::header::{self, HeaderMap};

use super::outcome::Result;
use crate::error::Error;

/// The media type of every answer.
pub(super) const FHIR_JSON: &str = "application/fhir+json; fhirVersion=4.0; charset=utf-8";

const JSON: &[&str] =
    &["application/fhir+json", "application/json", "application/json+fhir", "text/json"];

/// Whether a body of this media type (without parameters) is read as FHIR; `text/plain` is not.
pub(super) fn is_fhir_json(media: &str) -> bool {
    JSON.contains(&media)
}

/// Whether the media type of a body, with its parameters, is one of this version of FHIR.
pub(super) fn is_readable(media: &str) -> bool {
    is_acceptable(media, false)
}

/// Refuses what cannot be represented: another format than JSON, another version than 4.0.
/// `_format` stands above the header (R4 http, 3.1.0.1.11).
pub(super) fn accept(headers: &HeaderMap, format: Option<&str>) -> Result<()> {
    if let Some(format) = format {
        // A `+` that was not escaped arrives as a space.
        let format = format.replace(' ', "+");
        let is_json = format == "json" || is_acceptable(&format, false);
        return if is_json { Ok(()) } else { Err(refuse(&format).into()) };
    }
    let mut ranges = headers.get_all(header::ACCEPT).peekable();
    if ranges.peek().is_none() {
        return Ok(());
    }
    let mut asked = String::new();
    for value in ranges {
        let text = value.to_str().unwrap_or("");
        if text.split(',').any(|range| is_acceptable(range, true)) || text.trim().is_empty() {
            return Ok(());
        }
        asked.push_str(text);
    }
    Err(refuse(&asked).into())
}

fn refuse(asked: &str) -> Error {
    let shown: String = asked.chars().take(100).collect();
    Error::NotAcceptable(format!(
        "`{shown}` is not served: ask for `application/fhir+json; fhirVersion=4.0`"
    ))
}

fn is_acceptable(range: &str, with_wildcards: bool) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next().unwrap_or("").to_ascii_lowercase();
    let is_json = JSON.contains(&media.as_str())
        || (with_wildcards && ["*/*", "application/*", "text/*"].contains(&media.as_str()));
    is_json
        && parts.all(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "fhirversion" => ["4.0", "4.0.1"].contains(&value),
                "q" => value.parse::<f32>().is_ok_and(|weight| weight > 0.0),
                "charset" => value.eq_ignore_ascii_case("utf-8"),
                _ => true,
            }
        })
}

/// Below this many bytes compression costs more than it saves.
pub(super) const GZIP_FROM: usize = 8 * 1024;

/// Compresses at the cheapest level: bundles repeat themselves, so it already saves nine tenths.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let sink = Vec::with_capacity(bytes.len() / 8);
    let mut encoder = flate2::write::GzEncoder::new(sink, flate2::Compression::fast());
    // A Vec as sink cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::accept;
    use actix_web::http::header::{self, HeaderMap, HeaderValue};

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn json_of_version_four_is_served_and_nothing_else() {
        for (value, is_served) in [
            ("application/fhir+json", true),
            ("application/fhir+json; fhirVersion=4.0", true),
            ("application/fhir+xml, application/json;q=0.5", true),
            ("*/*", true),
            ("text/html, */*;q=0.1", true),
            ("application/fhir+json; fhirVersion=5.0", false),
            ("application/fhir+xml", false),
            ("application/json;q=0", false),
            ("text/turtle", false),
        ] {
            assert_eq!(accept(&headers(header::ACCEPT, value), None).is_ok(), is_served, "{value}");
        }
        for (format, is_served) in
            [("json", true), ("application/fhir json", true), ("xml", false), ("*/*", false)]
        {
            assert_eq!(accept(&HeaderMap::new(), Some(format)).is_ok(), is_served, "{format}");
        }
    }
}

//! What the client accepts: JSON, version 4.0, compressed or not.

use std::io::Write as _;

use actix_web::http::header::{self, HeaderMap};

use super::outcome::Result;
use crate::error::Error;

/// How a resource is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Format {
    Json,
    Xml,
}

impl Format {
    /// The media type of answers.
    pub(super) const fn media(self) -> &'static str {
        match self {
            Self::Json => "application/fhir+json; fhirVersion=4.0; charset=utf-8",
            Self::Xml => "application/fhir+xml; fhirVersion=4.0; charset=utf-8",
        }
    }

    /// The format of a body's media type, without parameters and in lower case.
    pub(super) fn of(media: &str) -> Option<Self> {
        if JSON.contains(&media) {
            Some(Self::Json)
        } else if XML.contains(&media) {
            Some(Self::Xml)
        } else {
            None
        }
    }
}

const JSON: &[&str] =
    &["application/fhir+json", "application/json", "application/json+fhir", "text/json"];
const XML: &[&str] =
    &["application/fhir+xml", "application/xml", "application/xml+fhir", "text/xml"];

/// Whether a body of this media type (without parameters) is read as FHIR JSON.
pub(super) fn is_fhir_json(media: &str) -> bool {
    Format::of(media) == Some(Format::Json)
}

/// Whether the media type of a body, with its parameters, is one of this version of FHIR.
pub(super) fn is_readable(media: &str) -> bool {
    acceptable(media, false).is_some()
}

/// The format that the client likes best; JSON where it likes both alike. Another format and
/// another version than 4.0 (or 4.3, which is the same for every type here) are refused. `_format` stands above the header (R4 http, 3.1.0.1.11).
pub(super) fn accept(headers: &HeaderMap, format: Option<&str>) -> Result<Format> {
    if let Some(format) = format {
        // A `+` that was not escaped arrives as a space.
        let format = format.replace(' ', "+");
        return match format.as_str() {
            "json" => Ok(Format::Json),
            "xml" => Ok(Format::Xml),
            _ => match acceptable(&format, false) {
                Some((format, _)) => Ok(format),
                None => Err(refuse(&format).into()),
            },
        };
    }
    let mut ranges = headers.get_all(header::ACCEPT).peekable();
    if ranges.peek().is_none() {
        return Ok(Format::Json);
    }
    let mut asked = String::new();
    let mut best: Option<(Format, f32)> = None;
    for value in ranges {
        let text = value.to_str().unwrap_or("");
        if text.trim().is_empty() {
            return Ok(Format::Json);
        }
        for (format, weight) in text.split(',').filter_map(|range| acceptable(range, true)) {
            let is_better = best.is_none_or(|(known, most)| {
                weight > most || (weight == most && known == Format::Xml && format == Format::Json)
            });
            if is_better {
                best = Some((format, weight));
            }
        }
        asked.push_str(text);
    }
    match best {
        Some((format, _)) => Ok(format),
        None => Err(refuse(&asked).into()),
    }
}

/// Whether a resource Binary is asked for as a resource (FHIR R4 binary.html): by `_format`, or by
/// a type of FHIR in `Accept`. Otherwise its content is asked for.
pub(super) fn names_fhir(headers: &HeaderMap, format: Option<&str>) -> bool {
    let values = headers.get_all(header::ACCEPT).filter_map(|value| value.to_str().ok());
    format.is_some()
        || values.flat_map(|value| value.split(',')).any(|range| acceptable(range, false).is_some())
}

/// Refuses content of a type that the client does not accept.
pub(super) fn accept_content(headers: &HeaderMap, media: &str) -> Result<()> {
    let values: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let family = media.split('/').next().unwrap_or_default();
    let takes = |range: &&str| {
        let range = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        range == media || range == "*/*" || range == format!("{family}/*") || range.is_empty()
    };
    if values.is_empty() || values.iter().any(takes) {
        return Ok(());
    }
    let asked: String = values.join(",").chars().take(100).collect();
    Err(Error::NotAcceptable(format!(
        "`{asked}` is not served: the content is `{media}`, the resource `application/fhir+json`"
    ))
    .into())
}

fn refuse(asked: &str) -> Error {
    let shown: String = asked.chars().take(100).collect();
    Error::NotAcceptable(format!(
        "`{shown}` is not served: ask for `application/fhir+json; fhirVersion=4.0` or \
         `application/fhir+xml; fhirVersion=4.0`"
    ))
}

/// The format of a range and how much it is liked.
fn acceptable(range: &str, with_wildcards: bool) -> Option<(Format, f32)> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next().unwrap_or("").to_ascii_lowercase();
    let is_any = with_wildcards && ["*/*", "application/*", "text/*"].contains(&media.as_str());
    let format = Format::of(&media).or(is_any.then_some(Format::Json))?;
    let mut liked = 1.0;
    for parameter in parts {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        let is_served = match name.trim().to_ascii_lowercase().as_str() {
            // What R4B (4.3) changes are types that are not served here: its clients may ask.
            "fhirversion" => ["4.0", "4.0.1", "4.3", "4.3.0"].contains(&value),
            "q" => {
                liked = value.parse::<f32>().ok()?;
                liked > 0.0
            }
            "charset" => value.eq_ignore_ascii_case("utf-8"),
            _ => true,
        };
        if !is_served {
            return None;
        }
    }
    Some((format, liked))
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
    use super::{Format, accept};
    use actix_web::http::header::{self, HeaderMap, HeaderValue};

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).unwrap());
        headers
    }

    #[test]
    fn what_is_liked_best_of_version_four_is_served_and_nothing_else() {
        let (json, xml) = (Some(Format::Json), Some(Format::Xml));
        for (value, served) in [
            ("application/fhir+json", json),
            ("application/fhir+json; fhirVersion=4.0", json),
            ("application/fhir+xml, application/json;q=0.5", xml),
            ("application/fhir+xml;q=0.5, application/json", json),
            ("application/fhir+xml, application/json", json),
            ("*/*", json),
            ("text/html, */*;q=0.1", json),
            ("application/fhir+json; fhirVersion=4.3", json),
            ("application/fhir+json; fhirVersion=5.0", None),
            ("application/fhir+json; fhirVersion=3.0", None),
            ("application/fhir+xml; fhirVersion=4.0", xml),
            ("application/json;q=0", None),
            ("text/turtle", None),
        ] {
            assert_eq!(accept(&headers(header::ACCEPT, value), None).ok(), served, "{value}");
        }
        for (format, served) in [
            ("json", json),
            ("application/fhir json", json),
            ("xml", xml),
            ("text/xml", xml),
            ("turtle", None),
            ("*/*", None),
        ] {
            assert_eq!(accept(&HeaderMap::new(), Some(format)).ok(), served, "{format}");
        }
    }
}

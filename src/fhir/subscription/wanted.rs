//! What a Subscription asks for: read when it is written, and again each time that it is served.

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;

use super::{OFF, REQUESTED, address};
use crate::actor::Role;
use crate::error::Error;
use crate::fhir::Asking;
use crate::fhir::negotiate::Format;
use crate::fhir::outcome::{Failure, Result};
use crate::fhir::request::{self, Parameters};
use crate::fhir::search::{Handling, Search, is_control};
use crate::fhir::table::Resource;
use crate::store::changes::Kind;

/// The types whose changes can be subscribed to, and what the feed calls them.
pub(super) const SUBSCRIBED: &[(Resource, &[Kind])] = &[
    (Resource::ImagingStudy, &[Kind::Study]),
    (Resource::Patient, &[Kind::Patient]),
    // Derived from the archive's reports, and written by clients.
    (Resource::DiagnosticReport, &[Kind::Report, Kind::Record]),
];

/// More headers than a receiver needs.
const MOST_HEADERS: usize = 20;
/// Those that this server sets itself.
const OWN_HEADERS: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The elements of R4 Subscription.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[allow(dead_code, reason = "an element that is not known is refused, and these are known")]
struct Written {
    resource_type: String,
    id: Option<String>,
    meta: Option<Value>,
    language: Option<String>,
    text: Option<Value>,
    extension: Option<Vec<Value>>,
    status: String,
    #[serde(default)]
    contact: Vec<serde_json::Map<String, Value>>,
    end: Option<String>,
    reason: String,
    criteria: String,
    error: Option<String>,
    channel: Channel,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "as above")]
struct Channel {
    id: Option<String>,
    extension: Option<Vec<Value>>,
    r#type: String,
    endpoint: Option<String>,
    payload: Option<String>,
    #[serde(default)]
    header: Vec<String>,
}

/// A subscription that can be served.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Whether the client wants it to rest.
    pub(super) is_off: bool,
    pub(super) search: Search,
    /// The criteria as names and values.
    pub(super) parameters: Parameters,
    pub(super) kinds: &'static [Kind],
    pub(super) endpoint: Url,
    /// `None`: a notice without a body.
    pub(super) payload: Option<Format>,
    pub(super) headers: HeaderMap,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub(super) end: Option<i64>,
}

impl Wanted {
    /// Reads a resource.
    ///
    /// # Errors
    /// 422 with the element, what is wrong with it and how to mend it.
    pub(super) fn read(asking: &Asking<'_>, body: &Value) -> Result<Self> {
        let written: Written = serde_json::from_value(body.clone())
            .map_err(|failure| Failure::unprocessable("Subscription", failure.to_string()))?;
        let wrong = |element: &str, reason: String| {
            Failure::unprocessable(&format!("Subscription.{element}"), reason)
        };
        if written.resource_type != "Subscription" {
            return Err(wrong("resourceType", "is not `Subscription`".to_owned()));
        }
        if ![REQUESTED, OFF].contains(&written.status.as_str()) {
            return Err(wrong(
                "status",
                format!("a client asks for `{REQUESTED}` or `{OFF}`, not for `{}`", written.status),
            ));
        }
        if written.reason.trim().is_empty() {
            return Err(wrong("reason", "says nothing".to_owned()));
        }
        let channel = &written.channel;
        if channel.r#type != "rest-hook" {
            return Err(wrong(
                "channel.type",
                format!("`{}` is not supported; this server knows `rest-hook`", channel.r#type),
            ));
        }
        let endpoint = channel.endpoint.as_deref().unwrap_or("");
        let endpoint = address::read(endpoint, &asking.state.subscriptions)
            .map_err(|reason| wrong("channel.endpoint", reason))?;
        let payload = match channel.payload.as_deref() {
            None | Some("") => None,
            Some(media) => Some(Format::of(media).ok_or_else(|| {
                wrong(
                    "channel.payload",
                    format!("`{media}` is neither application/fhir+json nor application/fhir+xml"),
                )
            })?),
        };
        let headers = headers(&channel.header).map_err(|reason| wrong("channel.header", reason))?;
        let end = match &written.end {
            None => None,
            Some(end) => {
                let instant: std::result::Result<jiff::Timestamp, _> = end.parse();
                let instant =
                    instant.map_err(|_| wrong("end", format!("`{end}` is no instant")))?;
                Some(instant.as_microsecond())
            }
        };
        let (search, parameters, kinds) = criteria(asking, &written.criteria)?;
        let is_off = written.status == OFF;
        Ok(Self { is_off, search, parameters, kinds, endpoint, payload, headers, end })
    }
}

/// Lines `Name: value`; `Err` says what is wrong.
fn headers(lines: &[String]) -> std::result::Result<HeaderMap, String> {
    if lines.len() > MOST_HEADERS {
        return Err(format!("has more than {MOST_HEADERS} lines"));
    }
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("has a line without `:`")?;
        let name = HeaderName::from_bytes(name.trim().as_bytes())
            .map_err(|_| format!("`{}` is no name of a header", name.trim()))?;
        if OWN_HEADERS.contains(&name.as_str()) {
            return Err(format!("`{name}` is this server's to set"));
        }
        let mut value = HeaderValue::from_str(value.trim())
            .map_err(|_| format!("the value of `{name}` holds what HTTP does not allow"))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// Reads the criteria: a search that its subscriber may ask, of a type that the feed tells of.
fn criteria(asking: &Asking<'_>, text: &str) -> Result<(Search, Parameters, &'static [Kind])> {
    let wrong = |reason: String| Failure::unprocessable("Subscription.criteria", reason);
    let (name, query) = text.split_once('?').unwrap_or((text, ""));
    let known = SUBSCRIBED.iter().find(|(resource, _)| resource.name() == name);
    let Some((resource, kinds)) = known else {
        let names: Vec<&str> = SUBSCRIBED.iter().map(|(resource, _)| resource.name()).collect();
        return Err(wrong(format!(
            "`{name}` cannot be subscribed to; {} can, as in `ImagingStudy?modality=MG`",
            names.join(", ")
        )));
    };
    let mut parameters = Parameters::new();
    request::decode(query, &mut parameters).map_err(|failure| wrong(failure.told().to_owned()))?;
    if let Some((name, _)) = parameters.iter().find(|(name, _)| is_control(name)) {
        return Err(wrong(format!("`{name}` has no place in criteria")));
    }
    if asking.actor.role != Role::ImagingIt {
        return Err(Error::Forbidden(
            "only the role `imaging-it` subscribes to changes of the archive".to_owned(),
        )
        .into());
    }
    let search = Search::parse(asking, *resource, parameters.clone(), Handling::Strict)
        .map_err(|failure| wrong(failure.told().to_owned()))?;
    search.permit(asking)?;
    if !asking.actor.has_read_scope(resource.name()) {
        return Err(crate::fhir::search::scope_needed(resource.name(), 'r'));
    }
    Ok((search, parameters, *kinds))
}

#[cfg(test)]
mod tests {
    use super::headers;

    #[test]
    fn headers_cannot_carry_others() {
        let lines = |line: &str| headers(&[line.to_owned()]);
        assert_eq!(lines("Authorization: Bearer x").unwrap()["authorization"], "Bearer x");
        for wrong in ["x", ": y", "a b: c", "Host: evil", "X: a\r\nY: b", "Content-Length: 4"] {
            assert!(lines(wrong).is_err(), "{wrong:?}");
        }
    }
}

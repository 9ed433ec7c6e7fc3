//! One document, fetched within bounds: address, redirects, time, size (unpacked), coding.

use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use reqwest::blocking::{Client, Response};
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
};
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};

use super::Trouble;
use super::address::{LookUp, resolve};
use crate::config::HarvestSource;
use crate::store::harvested::PageRow;

/// Hops of a redirect.
const HOPS: usize = 5;

/// What is asked for, by preference.
const TYPES: &str = "text/turtle, application/n-triples;q=0.9, application/rdf+xml;q=0.8, \
                     application/ld+json;q=0.7";

/// A document as it came.
pub(super) struct Fetched {
    /// Where it came from, after redirects: the base of its relative references.
    pub(super) url: Url,
    pub(super) page: PageRow,
    /// 304: it is the one that was kept.
    pub(super) is_unchanged: bool,
}

fn header(answer: &Response, name: HeaderName) -> String {
    let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().chars().take(1_000).collect()
}

/// Fetches a document; `known` is the last answer, `deadline` the end of the walk.
pub(super) fn fetch(
    url: &Url,
    source: &HarvestSource,
    known: Option<PageRow>,
    deadline: Instant,
    look_up: &LookUp<'_>,
) -> Result<Fetched, Trouble> {
    let patience = Duration::from_secs(source.seconds);
    let until = deadline.min(Instant::now() + patience);
    let mut at = url.clone();
    at.set_fragment(None);
    for _ in 0..=HOPS {
        let answer = ask(&at, source, known.as_ref(), until, look_up)?;
        let status = answer.status();
        if status == StatusCode::NOT_MODIFIED
            && let Some(page) = known
        {
            return Ok(Fetched { url: at, page, is_unchanged: true });
        }
        if matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            let target = header(&answer, LOCATION);
            let next = at.join(&target).ok().filter(|_| !target.is_empty());
            at = next.ok_or_else(|| {
                Trouble::new(at.as_str(), "redirect", "a redirect that leads to no address")
            })?;
            continue;
        }
        if status != StatusCode::OK {
            let detail = format!("the source answered {}", status.as_u16());
            return Err(Trouble::new(at.as_str(), "status", detail));
        }
        let coding = header(&answer, CONTENT_ENCODING).to_ascii_lowercase();
        // Some servers hold nothing but the packed file, and send it to everybody.
        let is_packed = matches!(&*coding, "gzip" | "x-gzip");
        if !is_packed && !matches!(&*coding, "" | "identity") {
            let detail = format!("the coding `{coding}` was not asked for");
            return Err(Trouble::new(at.as_str(), "coding", detail));
        }
        let (etag, modified) = (header(&answer, ETAG), header(&answer, LAST_MODIFIED));
        let kind = header(&answer, CONTENT_TYPE);
        let body = body(answer, &at, source, until, is_packed)?;
        let page = PageRow {
            source: source.name.clone(),
            url: url.to_string(),
            etag,
            modified,
            kind,
            body,
        };
        return Ok(Fetched { url: at, page, is_unchanged: false });
    }
    Err(Trouble::new(url.as_str(), "redirects", format!("more than {HOPS} redirects")))
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

fn ask(
    url: &Url,
    source: &HarvestSource,
    known: Option<&PageRow>,
    until: Instant,
    look_up: &LookUp<'_>,
) -> Result<Response, Trouble> {
    let addresses = resolve(url, &source.allow_private, left(until), look_up)?;
    let failed = |failure: reqwest::Error| {
        let (code, detail) = if failure.is_timeout() {
            ("too-slow", "no answer within `seconds`")
        } else {
            ("no-answer", "the connection failed, or the answer is no HTTP")
        };
        Trouble::new(url.as_str(), code, detail)
    };
    let client = Client::builder()
        .user_agent(concat!("vesalius/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .no_proxy()
        .timeout(left(until))
        .resolve_to_addrs(url.host_str().unwrap_or_default(), &addresses)
        .build()
        .map_err(failed)?;
    let mut request = client.get(url.clone()).header(ACCEPT, TYPES);
    request = request.header(ACCEPT_ENCODING, "identity");
    if let Some(known) = known {
        if !known.etag.is_empty() {
            request = request.header(IF_NONE_MATCH, &known.etag);
        } else if !known.modified.is_empty() {
            request = request.header(IF_MODIFIED_SINCE, &known.modified);
        }
    }
    request.send().map_err(failed)
}

/// Reads the body in pieces, so that a slow one ends at its time and a large one at its size, packed
/// or not.
fn body(
    answer: Response,
    url: &Url,
    source: &HarvestSource,
    until: Instant,
    is_packed: bool,
) -> Result<String, Trouble> {
    let most = usize::try_from(source.document_mib << 20).unwrap_or(usize::MAX);
    let too_large = || {
        let detail = format!("larger than {} MiB", source.document_mib);
        Trouble::new(url.as_str(), "too-large", detail)
    };
    if answer.content_length().is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let mut reader: Box<dyn Read> =
        if is_packed { Box::new(MultiGzDecoder::new(answer)) } else { Box::new(answer) };
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 64 * 1_024]);
    loop {
        let count = reader.read(&mut piece).map_err(|failure| {
            // What the packing itself is refused for; the network fails in other ways.
            let kinds = [ErrorKind::InvalidInput, ErrorKind::InvalidData];
            if is_packed && (kinds.contains(&failure.kind())) {
                return Trouble::new(
                    url.as_str(),
                    "coding",
                    "the packed answer cannot be unpacked",
                );
            }
            Trouble::new(url.as_str(), "cut-off", "the answer ended early, or took too long")
        })?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
        if bytes.len() > most {
            return Err(too_large());
        }
        if Instant::now() >= until {
            return Err(Trouble::new(url.as_str(), "too-slow", "no answer within `seconds`"));
        }
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
        .ok_or_else(|| Trouble::new(url.as_str(), "not-text", "the document is no UTF-8 text"))
}

//! HTTP towards a PACS: patient, bounded, and polite.

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{StatusCode, Url, redirect};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::Settings;
use super::credentials::Credentials;
use super::split::{NotAnArray, Splitter};
use crate::error::{Error, Result};

/// JSON of DICOM attributes (PS3.18 Annex F), one data set.
pub(super) type DataSet = Map<String, Value>;

/// A server that asks to wait longer than this is not waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Why a request had no usable answer.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// Stable code in kebab case, for the journal.
    pub(super) code: String,
    /// What, without patient data.
    pub(super) detail: String,
    /// It may be gone next time.
    pub(super) is_passing: bool,
    /// The source as a whole cannot be read.
    pub(super) is_fatal: bool,
    /// How often such a request is tried at most.
    tries: u32,
    wait: Option<Duration>,
}

impl Trouble {
    pub(super) fn new(code: &str, detail: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            detail: detail.into(),
            is_passing: false,
            is_fatal: false,
            tries: 1,
            wait: None,
        }
    }

    fn passing(code: &str, detail: impl Into<String>) -> Self {
        Self { is_passing: true, tries: u32::MAX, ..Self::new(code, detail) }
    }

    /// The source as a whole cannot be read.
    pub(super) fn fatal(code: &str, detail: impl Into<String>) -> Self {
        Self { is_fatal: true, ..Self::new(code, detail) }
    }

    /// The server as a whole does not answer now: asking for less at once will not help.
    pub(super) fn is_of_server(&self) -> bool {
        matches!(&*self.code, "unreachable" | "no-answer" | "http-429" | "http-503")
    }

    /// The sink said stop.
    pub(super) fn stop() -> Self {
        Self::fatal("stopped", "the run was stopped")
    }

    pub(super) fn is_stop(&self) -> bool {
        self.code == "stopped"
    }
}

pub(super) struct Client {
    http: reqwest::Client,
    attempts: u32,
    first_wait: Duration,
    longest_answer: Duration,
    largest_data_set: usize,
    /// No request is sent before this instant: the server asked for a pause.
    not_before: Cell<Option<Instant>>,
}

impl Client {
    pub(super) fn new(settings: &Settings, credentials: &Credentials) -> Result<Self> {
        let http = http(settings, credentials)?;
        Ok(Self {
            http,
            attempts: settings.attempts.max(1),
            first_wait: settings.first_wait,
            longest_answer: settings.longest_answer,
            largest_data_set: settings.largest_data_set,
            not_before: Cell::new(None),
        })
    }

    /// All data sets of an answer that is small enough to be held (a page of QIDO-RS).
    pub(super) async fn list(&self, url: &Url) -> Result<Vec<DataSet>, Trouble> {
        self.retrying(async || {
            let mut rows = Vec::new();
            self.once(url, &mut async |_, row: Result<DataSet, Trouble>| {
                rows.push(row?);
                if rows.len() > 200_000 {
                    return Err(Trouble::new("too-large", "a list of more than 200,000 rows"));
                }
                Ok(())
            })
            .await?;
            Ok(rows)
        })
        .await
    }

    /// The data sets of an answer, one after the other, each with its number from 1. After a
    /// failure in passing they come again from the first.
    pub(super) async fn each(
        &self,
        url: &Url,
        each: &mut impl AsyncFnMut(u64, Result<DataSet, Trouble>) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        self.retrying(async || self.once(url, each).await).await
    }

    async fn retrying<T>(
        &self,
        mut attempt: impl AsyncFnMut() -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let mut tried = 0;
        loop {
            if let Some(until) = self.not_before.get() {
                tokio::time::sleep_until(until).await;
            }
            let trouble = match attempt().await {
                Ok(done) => return Ok(done),
                Err(trouble) => trouble,
            };
            tried += 1;
            if trouble.is_fatal || tried >= self.attempts.min(trouble.tries) {
                return Err(trouble);
            }
            let wait = match trouble.wait {
                Some(wait) if wait > LONGEST_WAIT => return Err(trouble),
                Some(wait) => {
                    // Every request waits: the server asked the client, not the request.
                    self.not_before.set(Some(Instant::now() + wait));
                    wait
                }
                None => backoff(self.first_wait, tried),
            };
            tracing::debug!(code = %trouble.code, tried, ?wait, "DICOMweb request is tried again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn once(
        &self,
        url: &Url,
        each: &mut impl AsyncFnMut(u64, Result<DataSet, Trouble>) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let work = self.exchange(url, each);
        tokio::time::timeout(self.longest_answer, work).await.unwrap_or_else(|_| {
            Err(Trouble::passing(
                "timeout",
                "the answer took longer than the longest that is waited",
            ))
        })
    }

    async fn exchange(
        &self,
        url: &Url,
        each: &mut impl AsyncFnMut(u64, Result<DataSet, Trouble>) -> Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let answer =
            self.http.get(url.clone()).header(ACCEPT, "application/dicom+json").send().await;
        let mut answer = answer.map_err(|failure| failed(&failure))?;
        check_status(&answer)?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(());
        }
        let kind = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if let Some(kind) = kind.filter(|kind| !kind.to_ascii_lowercase().contains("json")) {
            let kind: String = kind.chars().take(64).collect();
            return Err(Trouble::new("not-dicom-json", format!("the server answered `{kind}`")));
        }
        let mut splitter = Splitter::new(self.largest_data_set);
        let mut elements = Vec::new();
        let mut number = 0;
        loop {
            let chunk = answer.chunk().await.map_err(|failure| failed(&failure))?;
            let Some(chunk) = chunk else { break };
            splitter.feed(&chunk, &mut elements).map_err(broken)?;
            for element in elements.drain(..) {
                let row = serde_json::from_slice::<DataSet>(&element).map_err(|failure| {
                    let detail = format!("a data set is no JSON (column {})", failure.column());
                    Trouble::new("json-broken", detail)
                });
                number += 1;
                each(number, row).await?;
            }
        }
        splitter.end().map_err(broken)
    }
}

/// The client for every request to a server.
pub(super) fn http(settings: &Settings, credentials: &Credentials) -> Result<reqwest::Client> {
    let mut headers = HeaderMap::new();
    if let Some(authorization) = credentials.header() {
        let mut value = HeaderValue::from_str(&authorization).map_err(|_| {
            Error::Configuration(
                "the credentials for the DICOMweb server hold a character that HTTP does not allow"
                    .to_owned(),
            )
        })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    // Only the same origin: a PACS that redirects elsewhere would get its data, and our
    // credentials, from or to somebody else.
    let same_origin = redirect::Policy::custom(|attempt| {
        let is_same = attempt
            .previous()
            .first()
            .is_some_and(|first| first.origin() == attempt.url().origin());
        if is_same && attempt.previous().len() <= 5 { attempt.follow() } else { attempt.stop() }
    });
    reqwest::Client::builder()
        .default_headers(headers)
        .user_agent(concat!("vesalius/", env!("CARGO_PKG_VERSION")))
        .redirect(same_origin)
        .referer(false)
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.idle_timeout)
        .pool_max_idle_per_host(settings.concurrency)
        .build()
        .map_err(|failure| Error::Internal(format!("no HTTP client: {failure}")))
}

/// Doubles with every try, and varies, so that clients that failed together come back apart.
fn backoff(first: Duration, tried: u32) -> Duration {
    let doubled = first.saturating_mul(1 << tried.min(10).saturating_sub(1));
    let random = RandomState::new().build_hasher().finish() % 1_000;
    let share = u32::try_from(random).unwrap_or(0);
    (doubled / 2 + doubled * share / 1_000).min(LONGEST_WAIT)
}

fn check_status(answer: &reqwest::Response) -> Result<(), Trouble> {
    let status = answer.status();
    let code = format!("http-{}", status.as_u16());
    let detail = format!("the server answered {status}");
    match status {
        _ if status.is_success() => Ok(()),
        StatusCode::UNAUTHORIZED => Err(Trouble::fatal(&code, detail)),
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            let wait = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            Err(Trouble { wait: wait.and_then(retry_after), ..Trouble::passing(&code, detail) })
        }
        // An object that a PACS cannot convert answers 500 for ever: tried twice, no more.
        StatusCode::INTERNAL_SERVER_ERROR => {
            Err(Trouble { tries: 2, ..Trouble::new(&code, detail) })
        }
        _ if status.is_redirection() => Err(Trouble::new(
            "redirected",
            "the server redirects to another origin, which is not followed",
        )),
        _ => Err(Trouble::new(&code, detail)),
    }
}

/// Seconds or a date (RFC 9110 section 10.2.3).
fn retry_after(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    let wait = date.duration_since(jiff::Timestamp::now());
    Some(wait.try_into().unwrap_or(Duration::ZERO))
}

fn broken(what: NotAnArray) -> Trouble {
    match what {
        NotAnArray::Markup => {
            Trouble::new("not-dicom-json", "the server answered with a page instead of DICOM JSON")
        }
        NotAnArray::Other | NotAnArray::Surplus => {
            Trouble::new("not-dicom-json", "the answer is no JSON array of data sets")
        }
        NotAnArray::TooLarge => Trouble::new("too-large", "a data set exceeds the allowed size"),
        NotAnArray::TooDeep => Trouble::new("too-deep", "a data set is nested too deep"),
        NotAnArray::Truncated => {
            Trouble::passing("truncated", "the answer ended before its array did")
        }
    }
}

/// The message of a failed request names no URL: it would hold UIDs.
fn failed(failure: &reqwest::Error) -> Trouble {
    if failure.is_timeout() {
        Trouble::passing("timeout", "the server did not answer in time")
    } else if failure.is_connect() {
        Trouble::passing("unreachable", "no connection to the server")
    } else if failure.is_body() || failure.is_decode() {
        Trouble::passing("truncated", "the connection broke off inside the answer")
    } else {
        Trouble::passing("no-answer", "the request failed before an answer came")
    }
}

#[cfg(test)]
mod tests {
    use super::{backoff, retry_after};
    use std::time::Duration;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn waits_grow_and_stay_bounded() {
        let first = Duration::from_millis(100);
        assert!(backoff(first, 1) >= Duration::from_millis(50));
        assert!(backoff(first, 4) >= Duration::from_millis(400));
        assert!(backoff(Duration::from_secs(90), 40) <= super::LONGEST_WAIT);
    }
}

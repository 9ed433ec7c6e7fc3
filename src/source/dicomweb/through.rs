//! Requests that go through to a PACS: its answer is handed on as it arrives, never held whole.
//!
//! In: the path below a server's base, and what the reader accepts. Out: status, media type, and
//! the body in pieces. Headers of the connection stay here, and so does everything else that the
//! server says of itself.

use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Map, Value};

use super::client::http;
use super::split::Splitter;
use super::{Credentials, Event, Parts, Settings};
use crate::error::Result;

/// What is asked of a server.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The server's base, as the journal has it.
    pub base: &'a str,
    /// The path below it.
    pub path: &'a str,
    /// The query, already encoded; may be empty.
    pub query: &'a str,
    /// `Accept`.
    pub accept: &'a str,
    /// Whether the configured credentials are meant for this server.
    pub with_credentials: bool,
}

/// Why there is no answer to hand on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoAnswer {
    /// No connection.
    Unreachable,
    /// No answer in time.
    Late,
    /// The answer broke off, or is not what was asked for.
    Broken,
}

/// Asks servers on behalf of readers.
#[derive(Clone)]
pub struct Through {
    known: reqwest::Client,
    other: reqwest::Client,
    largest_data_set: usize,
}

impl Through {
    /// One for every server; `credentials` go to those that they are meant for.
    ///
    /// # Errors
    /// When the credentials cannot be sent.
    pub fn new(settings: &Settings, credentials: &Credentials) -> Result<Self> {
        Ok(Self {
            known: http(settings, credentials)?,
            other: http(settings, &Credentials::None)?,
            largest_data_set: settings.largest_data_set,
        })
    }

    /// Asks; the body is read by who takes the answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(&self, asked: Asked<'_>) -> Result<Answer, NoAnswer> {
        let mut url = Url::parse(&format!("{}/{}", asked.base, asked.path))
            .map_err(|_| NoAnswer::Unreachable)?;
        if !asked.query.is_empty() {
            url.set_query(Some(asked.query));
        }
        let client = if asked.with_credentials { &self.known } else { &self.other };
        let body = client.get(url).header(ACCEPT, asked.accept).send().await.map_err(why)?;
        let kind = body.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        Ok(Answer {
            status: body.status().as_u16(),
            content_type: kind.unwrap_or_default().to_owned(),
            largest_data_set: self.largest_data_set,
            body,
        })
    }
}

impl Through {
    /// An instance as PS3.10, held whole: the first part of the answer. `None`: the server does not
    /// have it any more.
    ///
    /// # Errors
    /// When there is no answer, or it is longer than `most` bytes.
    pub async fn instance(
        &self,
        asked: Asked<'_>,
        most: usize,
    ) -> Result<Option<Vec<u8>>, NoAnswer> {
        let mut answer = self.ask(asked).await?;
        match answer.status {
            200 => {}
            404 | 410 => return Ok(None),
            _ => return Err(NoAnswer::Broken),
        }
        let mut parts = Parts::of(&answer.content_type).ok_or(NoAnswer::Broken)?;
        let (mut whole, mut events) = (Vec::new(), Vec::new());
        while let Some(chunk) = answer.chunk().await? {
            parts.feed(&chunk, &mut events).map_err(|_| NoAnswer::Broken)?;
            for event in events.drain(..) {
                match event {
                    Event::Begin(_) => {}
                    Event::Data(data) if whole.len() + data.len() > most => {
                        return Err(NoAnswer::Broken);
                    }
                    Event::Data(data) => whole.extend_from_slice(&data),
                    Event::End => return Ok(Some(whole)),
                }
            }
        }
        // It ended within the part.
        Err(NoAnswer::Broken)
    }
}

/// The URL of a failure would hold UIDs: it is not told.
fn why(failure: reqwest::Error) -> NoAnswer {
    if failure.is_timeout() {
        NoAnswer::Late
    } else if failure.is_connect() {
        NoAnswer::Unreachable
    } else {
        NoAnswer::Broken
    }
}

/// An answer whose body is still to come.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`; empty without one.
    pub content_type: String,
    largest_data_set: usize,
    body: reqwest::Response,
}

impl Answer {
    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// When the body breaks off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, NoAnswer> {
        self.body.chunk().await.map_err(why)
    }

    /// The body as an array of data sets, one after the other.
    #[must_use]
    pub fn data_sets(self) -> DataSets {
        DataSets {
            splitter: Some(Splitter::new(self.largest_data_set)),
            answer: self,
            ready: Vec::new(),
        }
    }
}

/// Data sets (PS3.18 annex F) as they arrive.
#[derive(Debug)]
pub struct DataSets {
    answer: Answer,
    splitter: Option<Splitter>,
    /// In reverse.
    ready: Vec<Vec<u8>>,
}

impl DataSets {
    /// The next one; `None` at the end of the array.
    ///
    /// # Errors
    /// When the body breaks off or is no array of data sets.
    pub async fn next(&mut self) -> Result<Option<Map<String, Value>>, NoAnswer> {
        loop {
            if let Some(element) = self.ready.pop() {
                return serde_json::from_slice(&element).map(Some).map_err(|_| NoAnswer::Broken);
            }
            let Some(splitter) = &mut self.splitter else { return Ok(None) };
            match self.answer.body.chunk().await.map_err(why)? {
                Some(chunk) => {
                    splitter.feed(&chunk, &mut self.ready).map_err(|_| NoAnswer::Broken)?;
                    self.ready.reverse();
                }
                None => {
                    if let Some(splitter) = self.splitter.take() {
                        splitter.end().map_err(|_| NoAnswer::Broken)?;
                    }
                }
            }
        }
    }
}

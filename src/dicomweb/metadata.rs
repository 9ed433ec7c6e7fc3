//! Metadata (PS3.18 section 10.4.1.1.2): data sets as DICOM JSON, one after the other.

use std::collections::VecDeque;
use std::io;

use actix_web::http::header;
use actix_web::web::{self, Bytes};
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::stream::{self, Stream};

use super::Asking;
use super::accept::only;
use super::address::Target;
use super::body::{begin, is_known, mark, mark_of, unchanged};
use super::locate::{Ready, locate_files};
use super::pacs;
use super::problem::{Failure, Result};
use super::retrieve::completeness;
use crate::imaging::Uid;

pub(super) const DICOM_JSON: &str = "application/dicom+json";

/// Bytes after which a piece is sent.
const CHUNK: usize = 256 * 1024;

pub(super) async fn answer(asking: &Asking, target: &Target) -> Result<HttpResponse> {
    let media = only(asking, &[DICOM_JSON, "application/json"])?;
    let (located, files) = locate_files(asking, target).await?;
    let Some(files) = files else {
        return pacs::metadata(asking, target, &located, media).await;
    };
    let mut all: Vec<String> = files.ready.iter().map(mark_of).collect();
    all.push(format!("metadata {} {}", asking.who.state.base, env!("CARGO_PKG_VERSION")));
    let etag = format!("W/{}", mark(asking, &all).etag);
    if is_known(asking, &etag) {
        return Ok(unchanged(&etag));
    }
    let (status, warning) = completeness(&asking.who.state.base, files.lost.len(), 0);
    let mut response = begin(status, &etag);
    response.insert_header((header::CONTENT_TYPE, media));
    if let Some(warning) = warning {
        response.insert_header((header::WARNING, warning));
    }
    let sending = Sending {
        base: asking.who.state.base.clone(),
        study: located.study,
        left: files.ready.into(),
        has_begun: false,
        is_over: false,
    };
    if asking.is_head() {
        return Ok(response.finish());
    }
    finish(&mut response, sending).await
}

/// Makes the first piece before anything is sent, so that its failure can still be told.
async fn finish(response: &mut HttpResponseBuilder, mut sending: Sending) -> Result<HttpResponse> {
    let (sending, first) = web::block(move || {
        let first = sending.next();
        (sending, first)
    })
    .await
    .map_err(|failure| Failure::internal(&failure))?;
    match first {
        Ok(first) if sending.is_over => Ok(response.body(first.unwrap_or_default())),
        Ok(first) => Ok(response.streaming(Box::pin(sending.stream(first)))),
        Err(reason) => Err(Failure::gone(format!("the metadata cannot be made: {reason}"))),
    }
}

/// What is still to be written.
struct Sending {
    base: String,
    study: Uid,
    left: VecDeque<Ready>,
    has_begun: bool,
    is_over: bool,
}

impl Sending {
    /// The next piece. Blocks.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.is_over {
            return Ok(None);
        }
        let mut out = Vec::new();
        while out.len() < CHUNK {
            let Some(ready) = self.left.pop_front() else {
                out.extend_from_slice(if self.has_begun { b"]" } else { b"[]" });
                self.is_over = true;
                break;
            };
            out.push(if self.has_begun { b',' } else { b'[' });
            self.has_begun = true;
            let opened =
                ready.wanted.open(&self.study).map_err(|lost| io::Error::other(lost.words()))?;
            let bulk = format!(
                "{}/studies/{}/series/{}/instances/{}/bulkdata",
                self.base, self.study, ready.wanted.series, ready.wanted.instance.uid
            );
            opened.to_json(&bulk, &mut out).map_err(|reason| io::Error::other(reason.detail))?;
        }
        Ok(Some(out.into()))
    }

    fn stream(self, first: Option<Bytes>) -> impl Stream<Item = io::Result<Bytes>> {
        stream::unfold((Some(self), first), |(sending, first)| async move {
            if let Some(first) = first {
                return Some((Ok(first), (sending, None)));
            }
            let mut sending = sending?;
            let made = web::block(move || {
                let made = sending.next();
                (sending, made)
            })
            .await;
            match made {
                Ok((sending, Ok(Some(bytes)))) => Some((Ok(bytes), (Some(sending), None))),
                Ok((_, Ok(None))) => None,
                Ok((_, Err(failure))) => {
                    tracing::warn!(%failure, "the metadata that were being sent break off");
                    Some((Err(failure), (None, None)))
                }
                Err(failure) => Some((Err(io::Error::other(failure)), (None, None))),
            }
        })
    }
}

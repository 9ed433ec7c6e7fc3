//! Bodies: bytes of files as the reader takes them, never more than a piece at a time.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::web::{self, Bytes};
use actix_web::{HttpResponse, HttpResponseBuilder};
use futures_util::stream::{self, Stream};

use super::Asking;
use super::locate::Ready;
use super::problem::{Failure, Result};
use crate::dicom::Part10;
use crate::dicom::pixels::Piece;
use crate::imaging::{Uid, keyed};

/// Bytes that are read at once, and so the memory that one reader costs.
const CHUNK: usize = 256 * 1024;

/// A piece of a body.
pub(super) enum Segment {
    /// As it is.
    Text(Bytes),
    /// Bytes of a file as PS3.10, from a place on.
    File { ready: Box<Ready>, from: u64, length: u64 },
    /// Bytes of the file of an instance that is open.
    Piece { file: Arc<Part10>, piece: Piece, from: u64, length: u64 },
}

impl Segment {
    pub(super) const fn length(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::File { length, .. } | Self::Piece { length, .. } => *length,
        }
    }
}

/// What is read of a body, and what was.
pub(super) struct Body {
    study: Uid,
    segments: VecDeque<Segment>,
    /// The file of the first segment, and how much of it was read.
    open: Option<Part10>,
    done: u64,
}

impl Body {
    pub(super) fn new(study: &Uid, segments: Vec<Segment>) -> Self {
        Self { study: study.clone(), segments: segments.into(), open: None, done: 0 }
    }

    fn length(&self) -> u64 {
        self.segments.iter().map(Segment::length).sum()
    }

    fn pass(&mut self) {
        self.segments.pop_front();
        self.open = None;
        self.done = 0;
    }

    /// The next bytes. Blocks.
    fn read(&mut self) -> io::Result<Option<Bytes>> {
        while let Some(segment) = self.segments.front_mut() {
            let left = segment.length().saturating_sub(self.done);
            if left == 0 {
                self.pass();
                continue;
            }
            let want = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
            let bytes = match segment {
                Segment::Text(text) => {
                    let text = text.clone();
                    self.pass();
                    return Ok(Some(text));
                }
                Segment::File { ready, from, .. } => {
                    let opened = match self.open.take() {
                        Some(opened) => opened,
                        // Between the look at it and now it may have become another.
                        None => ready
                            .wanted
                            .open(&self.study)
                            .ok()
                            .filter(|opened| opened.length() == ready.length)
                            .ok_or_else(|| io::Error::other("a file changed while it was sent"))?,
                    };
                    let mut bytes = vec![0; want];
                    let count = opened.read(from.saturating_add(self.done), &mut bytes)?;
                    bytes.truncate(count);
                    self.open = Some(opened);
                    bytes
                }
                Segment::Piece { file, piece, from, .. } => {
                    read_piece(file, piece, from.saturating_add(self.done), want)?
                }
            };
            if bytes.is_empty() {
                return Err(io::Error::other("a file became shorter while it was sent"));
            }
            self.done += bytes.len() as u64;
            return Ok(Some(bytes.into()));
        }
        Ok(None)
    }

    /// The bytes one after the other, each read when the reader has taken the one before: a
    /// reader who goes away reads no further.
    fn stream(self) -> impl Stream<Item = io::Result<Bytes>> {
        stream::unfold(Some(self), |body| async move {
            let mut body = body?;
            let read = web::block(move || {
                let read = body.read();
                (body, read)
            })
            .await;
            match read {
                Ok((body, Ok(Some(bytes)))) => Some((Ok(bytes), Some(body))),
                Ok((_, Ok(None))) => None,
                Ok((_, Err(failure))) => {
                    tracing::warn!(%failure, "the images that were being sent break off");
                    Some((Err(failure), None))
                }
                Err(failure) => Some((Err(io::Error::other(failure)), None)),
            }
        })
    }

    /// Ends a response with this body; its length is told.
    pub(super) fn finish(self, response: &mut HttpResponseBuilder, is_head: bool) -> HttpResponse {
        let length = self.length();
        // A body of a HEAD is not read: its length is all that is told.
        let body = if is_head { Self { segments: VecDeque::new(), ..self } } else { self };
        response.no_chunking(length);
        response.body(SizedStream::new(length, Box::pin(body.stream())))
    }
}

fn read_piece(file: &Part10, piece: &Piece, from: u64, want: usize) -> io::Result<Vec<u8>> {
    if let Some(held) = &piece.held {
        let rest = held.get(usize::try_from(from).unwrap_or(usize::MAX)..).unwrap_or_default();
        return Ok(rest.get(..want).unwrap_or(rest).to_vec());
    }
    let mut skip = from;
    for (at, length) in &piece.ranges {
        if skip >= *length {
            skip -= length;
            continue;
        }
        // Numbers that are turned around are read whole: a piece begins and ends with one.
        let width = piece.swap.max(1) as u64;
        let lead = skip % width;
        let begin = skip - lead;
        let most = (length - begin).min(want as u64 + lead);
        let whole = most.next_multiple_of(width).min(length - begin);
        let mut bytes = vec![0; usize::try_from(whole).unwrap_or(0)];
        let count = file.read_file(at.saturating_add(begin), &mut bytes)?;
        bytes.truncate(count);
        if piece.swap > 1 {
            bytes.chunks_exact_mut(piece.swap).for_each(<[u8]>::reverse);
        }
        let lead = usize::try_from(lead).unwrap_or(0).min(bytes.len());
        bytes.drain(..lead);
        bytes.truncate(want);
        return Ok(bytes);
    }
    Ok(Vec::new())
}

/// The tag and the boundary of what is sent.
pub(super) struct Mark {
    pub(super) etag: String,
    pub(super) boundary: String,
}

/// Tag and boundary of what these texts determine.
pub(super) fn mark(asking: &Asking, what: &[String]) -> Mark {
    let text = what.join("\n");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let tag = hex(keyed(&asking.who.state.key, text.as_bytes()).get(..12).unwrap_or_default());
    let boundary = keyed(&asking.who.state.key, format!("boundary {text}").as_bytes());
    Mark { etag: format!("\"{tag}\""), boundary: hex(boundary.get(..16).unwrap_or_default()) }
}

/// What determines the bytes of a file: it is the one with that stamp.
pub(super) fn mark_of(ready: &Ready) -> String {
    let stamp = ready.wanted.file.as_ref().map(|kept| kept.stamp);
    format!("{}/{} {stamp:?}", ready.wanted.series, ready.wanted.instance.uid)
}

/// Whether the reader has it already (RFC 9110 section 13.1.2).
pub(super) fn is_known(asking: &Asking, etag: &str) -> bool {
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    asking
        .request
        .headers()
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim() == "*" || bare(known) == bare(etag))
}

/// The beginning of every answer: images are for the bearer of the token.
pub(super) fn begin(status: StatusCode, etag: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response.insert_header((header::CACHE_CONTROL, "private, no-cache"));
    response.insert_header((header::VARY, "Accept, Authorization"));
    if !etag.is_empty() {
        response.insert_header((header::ETAG, etag));
    }
    response
}

/// What the reader has already.
pub(super) fn unchanged(etag: &str) -> HttpResponse {
    begin(StatusCode::NOT_MODIFIED, etag).finish()
}

/// A part of a multipart.
pub(super) struct Part {
    pub(super) content_type: String,
    pub(super) location: String,
    pub(super) segment: Segment,
}

/// Parts as `multipart/related` (PS3.18 section 8.6.1.2).
pub(super) fn multipart(
    asking: &Asking,
    study: &Uid,
    (status, kind): (StatusCode, &str),
    mark: &Mark,
    parts: Vec<Part>,
    warning: Option<String>,
) -> HttpResponse {
    let boundary = &mark.boundary;
    let mut segments = Vec::with_capacity(parts.len() * 2 + 1);
    for (number, part) in parts.into_iter().enumerate() {
        let lead = if number == 0 { "" } else { "\r\n" };
        segments.push(Segment::Text(
            format!(
                "{lead}--{boundary}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\
                 Content-Location: {}\r\n\r\n",
                part.content_type,
                part.segment.length(),
                part.location
            )
            .into(),
        ));
        segments.push(part.segment);
    }
    segments.push(Segment::Text(format!("\r\n--{boundary}--\r\n").into()));
    let mut response = begin(status, &mark.etag);
    let content_type = format!("multipart/related; type=\"{kind}\"; boundary={boundary}");
    response.insert_header((header::CONTENT_TYPE, content_type));
    if let Some(warning) = warning {
        response.insert_header((header::WARNING, warning));
    }
    Body::new(study, segments).finish(&mut response, asking.is_head())
}

/// One part alone, of which a range may be asked for (RFC 9110 section 14).
pub(super) fn single(
    asking: &Asking,
    study: &Uid,
    content_type: &str,
    etag: &str,
    length: u64,
    segment: impl FnOnce(u64, u64) -> Segment,
) -> Result<HttpResponse> {
    let headers = asking.request.headers();
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let may_range = text(header::IF_RANGE).is_none_or(|known| known.trim() == etag);
    let range = text(header::RANGE).filter(|_| may_range && !asking.is_head());
    let range = range.map_or(Asked::Whole, |range| asked(range, length));
    let (status, from, count) = match range {
        Asked::Whole => (StatusCode::OK, 0, length),
        Asked::Part(from, count) => (StatusCode::PARTIAL_CONTENT, from, count),
        Asked::Nothing => return Err(Failure::range(length)),
    };
    let mut response = begin(status, etag);
    response.insert_header((header::CONTENT_TYPE, content_type));
    response.insert_header((header::ACCEPT_RANGES, "bytes"));
    if status == StatusCode::PARTIAL_CONTENT {
        let last = from + count - 1;
        response.insert_header((header::CONTENT_RANGE, format!("bytes {from}-{last}/{length}")));
    }
    Ok(Body::new(study, vec![segment(from, count)]).finish(&mut response, asking.is_head()))
}

#[derive(Debug, Eq, PartialEq)]
enum Asked {
    Whole,
    /// From where, and how many bytes.
    Part(u64, u64),
    Nothing,
}

/// One range; several, and what is none, ask for the whole (section 14.2 lets a server ignore
/// them).
fn asked(range: &str, length: u64) -> Asked {
    let Some((unit, list)) = range.split_once('=') else { return Asked::Whole };
    let Some((first, last)) = list.trim().split_once('-') else { return Asked::Whole };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !unit.trim().eq_ignore_ascii_case("bytes") || !is_number(first) || !is_number(last) {
        return Asked::Whole;
    }
    // Larger than any number is larger than any file.
    let number = |text: &str| text.parse().unwrap_or(u64::MAX);
    match (first.is_empty(), last.is_empty()) {
        (true, true) => Asked::Whole,
        (true, false) => match number(last).min(length) {
            0 => Asked::Nothing,
            count => Asked::Part(length - count, count),
        },
        (false, _) => {
            let first = number(first);
            let end = if last.is_empty() { length } else { number(last).saturating_add(1) };
            if end <= first && !last.is_empty() {
                Asked::Whole
            } else if first >= length {
                Asked::Nothing
            } else {
                Asked::Part(first, end.min(length) - first)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, asked};

    #[test]
    fn a_range_is_one_of_bytes() {
        for (range, expected) in [
            ("bytes=0-0", Asked::Part(0, 1)),
            ("bytes=2-", Asked::Part(2, 8)),
            ("Bytes=-3", Asked::Part(7, 3)),
            ("bytes=-99", Asked::Part(0, 10)),
            ("bytes=5-99999999999999999999999", Asked::Part(5, 5)),
            ("bytes=10-", Asked::Nothing),
            ("bytes=99999999999999999999999-", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=0-1,3-4", Asked::Whole),
            ("bytes=4-2", Asked::Whole),
            ("bytes=-", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("lines=0-1", Asked::Whole),
            ("", Asked::Whole),
        ] {
            assert_eq!(asked(range, 10), expected, "{range}");
        }
        assert_eq!(asked("bytes=0-", 0), Asked::Nothing);
    }
}

//! What a PACS answers, handed on as it arrives: for studies that came from one over DICOMweb.
//!
//! The same request goes to the server that the study came from. Of its answer go on: the objects
//! that the store knows of the target and no others, their media types, and the addresses of bulk
//! data as ours. Everything else that it says stays behind; its failures become 502 and 504.

mod data_sets;
mod parts;

use std::collections::HashSet;
use std::io;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use actix_web::web::Bytes;
use futures_util::stream;
use futures_util::{Stream, StreamExt as _};

use super::Asking;
use super::accept::Range;
use super::address::Target;
use super::body::begin;
use super::locate::{Located, Server};
use super::problem::{Failure, Result};
use super::rendered::PARAMETERS;
use super::retrieve::DICOM;
use crate::source::dicomweb::{Answer, Asked, NoAnswer, Parts};
use data_sets::DataSetsOut;
use parts::PartsOut;

/// Asks the server that the located came from.
async fn ask(
    asking: &Asking,
    located: &Located,
    path: &str,
    query: &str,
    accept: &str,
) -> Result<Answer> {
    let Some(Server { base, is_only }) = located.server_of_all() else {
        return Err(Failure::not_found("the archive holds no files of this"));
    };
    let asked = Asked { base, path, query, accept, with_credentials: *is_only };
    let answer = asking.who.state.through.ask(asked).await.map_err(no_answer)?;
    let bad = |words: String| Err(Failure::new(StatusCode::BAD_GATEWAY, words));
    match answer.status {
        200 | 206 => Ok(answer),
        404 | 410 => {
            Err(Failure::not_found("the PACS that it came from does not have it any more"))
        }
        406 | 415 => Err(Failure::not_acceptable(
            "the PACS that it came from does not serve it in that form; try \
             `transfer-syntax=*`",
        )),
        400 | 416 => Err(Failure::bad("the PACS that it came from does not take the request")),
        401 | 403 => {
            tracing::error!("the PACS refuses the credentials of this server");
            bad("the PACS refuses this server; the operator's log tells why".to_owned())
        }
        408 | 504 => Err(Failure::new(StatusCode::GATEWAY_TIMEOUT, "the PACS is late")),
        status => bad(format!("the PACS answered with status {status}")),
    }
}

fn no_answer(why: NoAnswer) -> Failure {
    match why {
        NoAnswer::Unreachable => {
            Failure::new(StatusCode::BAD_GATEWAY, "the PACS that it came from cannot be reached")
        }
        NoAnswer::Late => Failure::new(
            StatusCode::GATEWAY_TIMEOUT,
            "the PACS that it came from did not answer in time",
        ),
        NoAnswer::Broken => {
            Failure::new(StatusCode::BAD_GATEWAY, "the PACS did not answer what was asked for")
        }
    }
}

/// What the reader takes, as it is asked of the server.
fn accept_of<'r>(ranges: impl Iterator<Item = &'r Range>) -> String {
    let one = |range: &Range| {
        let media = range.media.as_str();
        // It goes into a header: only what a media type is made of, and UIDs.
        let is_plain =
            |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+-.*_".contains(&b));
        let syntax = match range.syntax.as_deref().map(crate::imaging::Uid::parse_lenient) {
            None => "; transfer-syntax=*".to_owned(),
            Some(Ok(syntax)) => format!("; transfer-syntax={syntax}"),
            Some(Err(_)) => return None,
        };
        match (is_plain(media), range.is_multipart) {
            (false, _) => None,
            (true, true) => Some(format!("multipart/related; type=\"{media}\"{syntax}")),
            (true, false) if range.is_anything() => Some("*/*".to_owned()),
            (true, false) => Some(media.to_owned()),
        }
    };
    ranges.filter_map(one).collect::<Vec<_>>().join(", ")
}

/// Objects of a study, series or instance.
pub(super) async fn objects(
    asking: &Asking,
    target: &Target,
    located: &Located,
    ranges: &[Range],
) -> Result<HttpResponse> {
    let is_instance = target.instance.is_some();
    let fitting: Vec<Range> = ranges
        .iter()
        .filter(|range| {
            range.takes(DICOM) && (range.is_multipart || range.is_anything() || is_instance)
        })
        .cloned()
        .collect();
    let Some(first) = fitting.first() else {
        return Err(Failure::not_acceptable(
            "ask for `multipart/related; type=\"application/dicom\"`",
        ));
    };
    let is_single = !(first.is_multipart || first.is_anything());
    // The server is always asked for a multipart: not every one serves objects alone.
    let asked: Vec<Range> = fitting
        .iter()
        .map(|range| Range { is_multipart: true, media: DICOM.to_owned(), ..range.clone() })
        .collect();
    let accept = accept_of(asked.iter());
    if accept.is_empty() {
        return Err(Failure::not_acceptable(
            "a transfer syntax is named by its UID; ask for `transfer-syntax=*`",
        ));
    }
    let answer = ask(asking, located, &target.path(), "", &accept).await?;
    let known = located.wanted.iter().map(|wanted| wanted.instance.uid.to_string()).collect();
    send_parts(asking, answer, Some(known), DICOM, is_single).await
}

/// Frames, and values that metadata refer to.
pub(super) async fn frames(
    asking: &Asking,
    target: &Target,
    located: &Located,
    path: &str,
) -> Result<HttpResponse> {
    let ranges = super::accept::ranges(asking)?;
    let path = format!("{}/{path}", target.path());
    let answer = ask(asking, located, &path, "", &accept_of(ranges.iter())).await?;
    if Parts::of(&answer.content_type).is_some() {
        let inner = ranges.first().map_or("*/*", |range| range.media.as_str());
        let media = if inner.contains('*') { super::frames::OCTETS } else { inner }.to_owned();
        return send_parts(asking, answer, None, &media, false).await;
    }
    send_alone(asking, answer, &["application/octet-stream", "image/", "video/"])
}

/// A picture.
pub(super) async fn rendered(
    asking: &Asking,
    target: &Target,
    located: &Located,
    path: &str,
    media: &str,
) -> Result<HttpResponse> {
    let mut query = String::new();
    for (name, value) in &asking.parameters {
        // They were read: numbers, names of functions and commas.
        if PARAMETERS.contains(&name.as_str()) {
            let value = value.replace(' ', "");
            query.push_str(if query.is_empty() { "" } else { "&" });
            query.push_str(&format!("{name}={value}"));
        }
    }
    let path = format!("{}/{path}", target.path());
    let answer = ask(asking, located, &path, &query, media).await?;
    send_alone(asking, answer, &[media])
}

/// Metadata: of the data sets those that the store knows, with addresses of ours.
pub(super) async fn metadata(
    asking: &Asking,
    target: &Target,
    located: &Located,
    media: &str,
) -> Result<HttpResponse> {
    let path = format!("{}/metadata", target.path());
    let answer = ask(asking, located, &path, "", super::metadata::DICOM_JSON).await?;
    let server = located.server_of_all().map(|server| server.base.clone()).unwrap_or_default();
    let base = asking.who.state.base.clone();
    let mut sending = DataSetsOut::new(answer.data_sets(), located, server, base);
    let first = sending.next().await.map_err(no_answer)?;
    let mut response = begin(StatusCode::OK, "");
    response.insert_header((header::CONTENT_TYPE, media));
    if asking.is_head() {
        return Ok(response.finish());
    }
    Ok(response.streaming(Box::pin(stream::iter(first.map(Ok)).chain(passed_on(sending)))))
}

fn broken(why: NoAnswer) -> io::Error {
    tracing::warn!(?why, "what a PACS was sending breaks off");
    io::Error::other("the PACS broke off")
}

/// What arrives from a server piece by piece and goes on as it comes.
trait Flow {
    /// The next piece; `None` at the end.
    async fn next(&mut self) -> std::result::Result<Option<Bytes>, NoAnswer>;
}

impl Flow for Answer {
    async fn next(&mut self) -> std::result::Result<Option<Bytes>, NoAnswer> {
        self.chunk().await
    }
}

/// A flow as a body; a server that breaks off breaks it off.
fn passed_on(flow: impl Flow) -> impl Stream<Item = io::Result<Bytes>> {
    stream::unfold(Some(flow), |flow| async move {
        let mut flow = flow?;
        match flow.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(flow))),
            Ok(None) => None,
            Err(why) => Some((Err(broken(why)), None)),
        }
    })
}

/// A body of one part.
fn send_alone(asking: &Asking, answer: Answer, kinds: &[&str]) -> Result<HttpResponse> {
    let kind = answer.content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let is_plain = kind.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+-._".contains(&b));
    if !is_plain || !kinds.iter().any(|wanted| kind.starts_with(wanted)) {
        return Err(no_answer(NoAnswer::Broken));
    }
    let mut response = begin(StatusCode::OK, "");
    response.insert_header((header::CONTENT_TYPE, kind));
    if asking.is_head() {
        return Ok(response.finish());
    }
    Ok(response.streaming(Box::pin(passed_on(answer))))
}

/// The parts of a body, those of unknown instances left out.
async fn send_parts(
    asking: &Asking,
    answer: Answer,
    known: Option<HashSet<String>>,
    media: &str,
    is_single: bool,
) -> Result<HttpResponse> {
    let Some(parts) = Parts::of(&answer.content_type) else {
        return Err(no_answer(NoAnswer::Broken));
    };
    let mut random = [0_u8; 16];
    getrandom::fill(&mut random).map_err(|failure| Failure::internal(&failure))?;
    let boundary: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut sending = PartsOut::new(answer, parts, known, boundary, is_single);
    let first = sending.next().await.map_err(no_answer)?;
    if sending.is_empty() {
        return Err(Failure::not_found("the PACS that it came from does not have it any more"));
    }
    let mut response = begin(StatusCode::OK, "");
    response.insert_header((header::CONTENT_TYPE, sending.content_type(media)));
    if asking.is_head() {
        return Ok(response.finish());
    }
    Ok(response.streaming(Box::pin(stream::iter(first.map(Ok)).chain(passed_on(sending)))))
}

//! What a PACS answers, handed on as it arrives: for studies that came from one over DICOMweb.
//!
//! The same request goes to the server that the study came from. Of its answer go on: the objects
//! that the store knows of the target and no others, their media types, and the addresses of bulk
//! data as ours. Everything else that it says stays behind; its failures become 502 and 504.

use std::collections::{HashSet, VecDeque};
use std::io;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use actix_web::web::Bytes;
use futures_util::Stream;
use futures_util::stream;
use serde_json::{Map, Value};

use super::Asking;
use super::accept::Range;
use super::address::Target;
use super::body::begin;
use super::locate::{Located, Server};
use super::problem::{Failure, Result};
use super::rendered::PARAMETERS;
use super::retrieve::{DICOM, with_syntax};
use crate::dicom::{Told, instance_of_head};
use crate::source::dicomweb::{Answer, Asked, DataSets, Event, NoAnswer, Parts};

/// Bytes of a part that are held until it says which instance it is.
const HELD: usize = 64 * 1024;

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
    let mut sending = DataSetsOut {
        data_sets: answer.data_sets(),
        study: located.study.to_string(),
        known: located
            .wanted
            .iter()
            .map(|wanted| (wanted.series.to_string(), wanted.instance.uid.to_string()))
            .collect(),
        server,
        base: asking.who.state.base.clone(),
        has_begun: false,
        is_over: false,
    };
    let first = sending.next().await.map_err(no_answer)?;
    let mut response = begin(StatusCode::OK, "");
    response.insert_header((header::CONTENT_TYPE, media));
    if asking.is_head() {
        return Ok(response.finish());
    }
    let rest = stream::unfold(Some(sending), |sending| async move {
        let mut sending = sending?;
        match sending.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(sending))),
            Ok(None) => None,
            Err(why) => Some((Err(broken(why)), None)),
        }
    });
    Ok(response.streaming(Box::pin(first_then(first, rest))))
}

fn broken(why: NoAnswer) -> io::Error {
    tracing::warn!(?why, "what a PACS was sending breaks off");
    io::Error::other("the PACS broke off")
}

/// What was had before the response began, and the rest.
fn first_then(
    first: Option<Bytes>,
    rest: impl Stream<Item = io::Result<Bytes>>,
) -> impl Stream<Item = io::Result<Bytes>> {
    use futures_util::StreamExt as _;
    stream::iter(first.map(Ok)).chain(rest)
}

struct DataSetsOut {
    data_sets: DataSets,
    study: String,
    /// Series and instance.
    known: HashSet<(String, String)>,
    server: String,
    base: String,
    has_begun: bool,
    is_over: bool,
}

impl DataSetsOut {
    async fn next(&mut self) -> std::result::Result<Option<Bytes>, NoAnswer> {
        while !self.is_over {
            let Some(mut set) = self.data_sets.next().await? else {
                self.is_over = true;
                let end: &[u8] = if self.has_begun { b"]" } else { b"[]" };
                return Ok(Some(Bytes::copy_from_slice(end)));
            };
            let value = |tag: &str| {
                let text = set.get(tag)?.get("Value")?.get(0)?.as_str()?;
                Some(text.trim_end_matches(['\0', ' ']).to_owned())
            };
            let (study, series, instance) =
                (value("0020000D"), value("0020000E"), value("00080018"));
            let (Some(series), Some(instance)) = (series, instance) else { continue };
            let place = (series, instance);
            if study.as_ref() != Some(&self.study) || !self.known.contains(&place) {
                continue;
            }
            let path = format!("studies/{}/series/{}/instances/{}", self.study, place.0, place.1);
            // RetrieveURL is where the server is.
            set.remove("00081190");
            readdress(&mut set, &format!("{}/{path}/", self.server), &path, &self.base);
            let mut out = vec![if self.has_begun { b',' } else { b'[' }];
            self.has_begun = true;
            serde_json::to_writer(&mut out, &set).map_err(|_| NoAnswer::Broken)?;
            return Ok(Some(out.into()));
        }
        Ok(None)
    }
}

/// Addresses of bulk data below the instance become ours; others go. The depth was bounded when
/// the data set was cut out.
fn readdress(set: &mut Map<String, Value>, theirs: &str, path: &str, ours: &str) {
    for element in set.values_mut() {
        let Some(element) = element.as_object_mut() else { continue };
        if let Some(uri) = element.remove("BulkDataURI") {
            let uri = uri.as_str().unwrap_or_default();
            // Some servers give the path alone.
            let rest = uri
                .strip_prefix(theirs)
                .or_else(|| uri.split_once(&format!("/{path}/")).map(|(_, rest)| rest))
                .filter(|rest| {
                    rest.split('/').all(|step| {
                        (1..=128).contains(&step.len())
                            && step
                                .bytes()
                                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                            && step.bytes().any(|b| b.is_ascii_alphanumeric())
                    })
                });
            if let Some(rest) = rest {
                let uri = format!("{ours}/{path}/bulkdata/{rest}");
                element.insert("BulkDataURI".to_owned(), uri.into());
            }
        }
        for item in element.get_mut("Value").and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(item) = item.as_object_mut() {
                readdress(item, theirs, path, ours);
            }
        }
    }
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
    let body = stream::unfold(Some(answer), |answer| async move {
        let mut answer = answer?;
        match answer.chunk().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(answer))),
            Ok(None) => None,
            Err(why) => Some((Err(broken(why)), None)),
        }
    });
    Ok(response.streaming(Box::pin(body)))
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
    let mut sending = PartsOut {
        answer,
        parts,
        known,
        boundary,
        is_single,
        events: VecDeque::new(),
        content_type: String::new(),
        part: Passing::Dropped,
        count: 0,
        is_over: false,
    };
    let first = sending.next().await.map_err(no_answer)?;
    if sending.count == 0 {
        return Err(Failure::not_found("the PACS that it came from does not have it any more"));
    }
    let mut response = begin(StatusCode::OK, "");
    let content_type = if is_single {
        sending.content_type.clone()
    } else {
        format!("multipart/related; type=\"{media}\"; boundary={}", sending.boundary)
    };
    response.insert_header((header::CONTENT_TYPE, content_type));
    if asking.is_head() {
        return Ok(response.finish());
    }
    let rest = stream::unfold(Some(sending), |sending| async move {
        let mut sending = sending?;
        match sending.next().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some(sending))),
            Ok(None) => None,
            Err(why) => Some((Err(broken(why)), None)),
        }
    });
    Ok(response.streaming(Box::pin(first_then(first, rest))))
}

/// What becomes of the part that arrives.
enum Passing {
    /// Until it says which instance it is.
    Held(Vec<u8>),
    Sent,
    Dropped,
}

struct PartsOut {
    answer: Answer,
    parts: Parts,
    /// Instances that go on; `None`: everything does.
    known: Option<HashSet<String>>,
    boundary: String,
    is_single: bool,
    events: VecDeque<Event>,
    content_type: String,
    part: Passing,
    /// Parts that went on.
    count: u64,
    is_over: bool,
}

impl PartsOut {
    async fn next(&mut self) -> std::result::Result<Option<Bytes>, NoAnswer> {
        loop {
            if self.is_over {
                return Ok(None);
            }
            while let Some(event) = self.events.pop_front() {
                let out = self.take(event);
                if !out.is_empty() {
                    return Ok(Some(out.into()));
                }
            }
            let Some(chunk) = self.answer.chunk().await? else {
                if !self.parts.is_over() {
                    return Err(NoAnswer::Broken);
                }
                self.is_over = true;
                let end = format!("\r\n--{}--\r\n", self.boundary);
                return Ok((!self.is_single && self.count > 0).then(|| end.into()));
            };
            let mut events = Vec::new();
            self.parts.feed(&chunk, &mut events).map_err(|_| NoAnswer::Broken)?;
            self.events.extend(events);
        }
    }

    /// What goes on of an event.
    fn take(&mut self, event: Event) -> Vec<u8> {
        match event {
            Event::Begin(kind) => {
                // One part is all that a single answer has.
                if self.is_single && self.count > 0 {
                    self.part = Passing::Dropped;
                    return Vec::new();
                }
                self.content_type = plain(&kind);
                if self.known.is_some() {
                    self.part = Passing::Held(Vec::new());
                    return Vec::new();
                }
                self.begin()
            }
            Event::Data(bytes) => match &mut self.part {
                Passing::Sent => bytes,
                Passing::Dropped => Vec::new(),
                Passing::Held(held) => {
                    held.extend_from_slice(&bytes);
                    let told = instance_of_head(held);
                    let is_known = match (&told, &self.known) {
                        (Told::Nothing, _) | (_, None) => false,
                        (Told::NotYet, _) if held.len() < HELD => return Vec::new(),
                        (Told::NotYet, _) => false,
                        (Told::Is(uid), Some(known)) => known.contains(uid),
                    };
                    if !is_known {
                        self.part = Passing::Dropped;
                        return Vec::new();
                    }
                    let held = std::mem::take(held);
                    let mut out = self.begin();
                    out.extend_from_slice(&held);
                    out
                }
            },
            Event::End => {
                self.part = Passing::Dropped;
                Vec::new()
            }
        }
    }

    fn begin(&mut self) -> Vec<u8> {
        self.part = Passing::Sent;
        self.count += 1;
        if self.is_single {
            return Vec::new();
        }
        let lead = if self.count == 1 { "" } else { "\r\n" };
        let head =
            format!("{lead}--{}\r\nContent-Type: {}\r\n\r\n", self.boundary, self.content_type);
        head.into_bytes()
    }
}

/// A part's media type with its transfer syntax, and nothing else of it.
fn plain(kind: &str) -> String {
    let mut parts = kind.split(';');
    let media = parts.next().unwrap_or("").trim().to_ascii_lowercase();
    let is_media = media.split_once('/').is_some()
        && media.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+-._".contains(&b));
    let media = if is_media { media } else { super::frames::OCTETS.to_owned() };
    let syntax = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("transfer-syntax"))
        .map(|(_, value)| value.trim().trim_matches('"'));
    syntax.map_or_else(|| media.clone(), |syntax| with_syntax(&media, syntax))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{plain, readdress};

    #[test]
    fn addresses_of_the_server_become_ours_or_go() {
        let path = "studies/1/series/2/instances/3";
        let mut set = json!({
            "7FE00010": {"vr": "OW", "BulkDataURI": "http://pacs/dw/studies/1/series/2/instances/3/bulk/7fe00010"},
            "00420011": {"vr": "OB", "BulkDataURI": "/x/studies/1/series/2/instances/3/bulk/1"},
            "00281201": {"vr": "OW", "BulkDataURI": "http://other/secret"},
            "00281202": {"vr": "OW", "BulkDataURI": "http://pacs/dw/studies/1/series/2/instances/3/../../9"},
            "00081140": {"vr": "SQ", "Value": [{"00020001": {"vr": "OB", "BulkDataURI": 7}}]},
        });
        let object = set.as_object_mut().unwrap();
        readdress(object, &format!("http://pacs/dw/{path}/"), path, "https://us/dicom-web");
        assert_eq!(
            set,
            json!({
                "7FE00010": {"vr": "OW", "BulkDataURI": format!("https://us/dicom-web/{path}/bulkdata/bulk/7fe00010")},
                "00420011": {"vr": "OB", "BulkDataURI": format!("https://us/dicom-web/{path}/bulkdata/bulk/1")},
                "00281201": {"vr": "OW"},
                "00281202": {"vr": "OW"},
                "00081140": {"vr": "SQ", "Value": [{"00020001": {"vr": "OB"}}]},
            })
        );
    }

    #[test]
    fn of_a_media_type_only_the_type_goes_on() {
        assert_eq!(
            plain("application/dicom; x=\"y\"; transfer-syntax=\"1.2.840.10008.1.2.1\""),
            "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
        );
        assert_eq!(plain("a\r\nb: c"), "application/octet-stream");
        assert_eq!(plain("image/jpeg; transfer-syntax=a b"), "image/jpeg");
    }
}

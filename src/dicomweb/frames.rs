//! Frames and other large values, cut out of files (PS3.18 sections 10.4.1.1.4 and 10.4.1.1.5).

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::Asking;
use super::accept::ranges;
use super::address::Target;
use super::body::{Mark, Part, Segment, is_known, mark, multipart, single, unchanged};
use super::locate::{Located, locate};
use super::pacs;
use super::problem::{Failure, Result};
use super::retrieve::with_syntax;
use crate::dicom::Part10;
use crate::dicom::pixels::{Piece, Uncut};

pub(super) const OCTETS: &str = "application/octet-stream";
const EXPLICIT_LITTLE_ENDIAN: &str = "1.2.840.10008.1.2.1";
/// PixelData: the one value of which the pieces are frames.
const PIXEL_DATA: &str = "7FE00010";

/// The media type of a frame in an encapsulated transfer syntax (PS3.18 tables 8.7.3-3 to
/// 8.7.3-5).
const MEDIA: &[(&str, &str)] = &[
    ("1.2.840.10008.1.2.4.50", "image/jpeg"),
    ("1.2.840.10008.1.2.4.51", "image/jpeg"),
    ("1.2.840.10008.1.2.4.57", "image/jpeg"),
    ("1.2.840.10008.1.2.4.70", "image/jpeg"),
    ("1.2.840.10008.1.2.4.80", "image/jls"),
    ("1.2.840.10008.1.2.4.81", "image/jls"),
    ("1.2.840.10008.1.2.4.90", "image/jp2"),
    ("1.2.840.10008.1.2.4.91", "image/jp2"),
    ("1.2.840.10008.1.2.4.92", "image/jpx"),
    ("1.2.840.10008.1.2.4.93", "image/jpx"),
    ("1.2.840.10008.1.2.4.100", "video/mpeg"),
    ("1.2.840.10008.1.2.4.101", "video/mpeg"),
    ("1.2.840.10008.1.2.4.102", "video/mp4"),
    ("1.2.840.10008.1.2.4.103", "video/mp4"),
    ("1.2.840.10008.1.2.4.104", "video/mp4"),
    ("1.2.840.10008.1.2.4.105", "video/mp4"),
    ("1.2.840.10008.1.2.4.106", "video/mp4"),
    ("1.2.840.10008.1.2.4.107", "video/H265"),
    ("1.2.840.10008.1.2.4.108", "video/H265"),
    ("1.2.840.10008.1.2.4.110", "image/jxl"),
    ("1.2.840.10008.1.2.4.111", "image/jxl"),
    ("1.2.840.10008.1.2.4.112", "image/jxl"),
    ("1.2.840.10008.1.2.4.201", "image/jphc"),
    ("1.2.840.10008.1.2.4.202", "image/jphc"),
    ("1.2.840.10008.1.2.4.203", "image/jphc"),
    ("1.2.840.10008.1.2.5", "image/dicom-rle"),
];

/// Transfer syntaxes whose pixel data are native.
pub(super) const NATIVE: &[&str] = &[
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
    // GE's, whose pixel data alone are big endian, is left out: nothing here tells them apart.
];

/// What an instance's file is, opened.
pub(super) enum Opened {
    Here(Located, Arc<Part10>),
    AtServer(Located),
}

pub(super) async fn open(asking: &Asking, target: &Target) -> Result<Opened> {
    let of = target.clone();
    asking
        .blocking(move |who| {
            let located = locate(who, &of)?;
            if located.server_of_all().is_some() {
                return Ok(Opened::AtServer(located));
            }
            let wanted = located.wanted.first().ok_or_else(|| Failure::not_found("no instance"))?;
            let opened = wanted.open(&located.study).map_err(|lost| Failure::gone(lost.words()))?;
            Ok(Opened::Here(located, Arc::new(opened)))
        })
        .await
}

impl From<Uncut> for Failure {
    fn from(uncut: Uncut) -> Self {
        match uncut {
            Uncut::Absent(reason) => Self::not_found(reason),
            Uncut::Undecoded(reason) => Self::not_acceptable(reason),
            Uncut::Damaged(reason) => {
                Self::gone(format!("the file cannot be read as far as that: {reason}"))
            }
        }
    }
}

/// Answers with frames as they are stored.
pub(super) async fn frames(
    asking: &Asking,
    target: &Target,
    numbers: &[u32],
) -> Result<HttpResponse> {
    match open(asking, target).await? {
        Opened::AtServer(located) => {
            in_range(&located, numbers)?;
            let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            pacs::frames(asking, target, &located, &format!("frames/{}", list.join(","))).await
        }
        Opened::Here(located, file) => {
            let wanted = numbers.to_vec();
            let opened = Arc::clone(&file);
            let pieces = asking.blocking(move |_| cut(&opened, Some(&wanted))).await?;
            send(asking, target, &located, file, pieces, true)
        }
    }
}

/// Refuses frames that the instance does not have, as far as the store knows.
pub(super) fn in_range(located: &Located, numbers: &[u32]) -> Result<()> {
    let known = located.wanted.first().map_or(1, |wanted| wanted.instance.frames.unwrap_or(1));
    match numbers.iter().find(|number| **number > known.max(1)) {
        Some(number) => Err(Failure::not_found(format!(
            "frame {number} is not one of the instance's {known}, which are counted from 1"
        ))),
        None => Ok(()),
    }
}

/// Frames by number; all of them without.
fn cut(file: &Part10, numbers: Option<&[u32]>) -> Result<Vec<(String, Piece)>> {
    let pixels = file.pixels(1).map_err(Uncut::from)?;
    let all: Vec<u32>;
    let numbers = match numbers {
        Some(numbers) => numbers,
        None => {
            all = (1..=pixels.number_of_frames.min(100_000)).collect();
            &all
        }
    };
    numbers
        .iter()
        .map(|number| Ok((format!("frames/{number}"), file.frame(&pixels, *number)?)))
        .collect()
}

/// Answers with a value that metadata refer to.
pub(super) async fn bulk(asking: &Asking, target: &Target, way: &[String]) -> Result<HttpResponse> {
    match open(asking, target).await? {
        Opened::AtServer(located) => pacs::frames(asking, target, &located, &way.join("/")).await,
        Opened::Here(located, file) => {
            let (steps, of) = parse(way)?;
            let is_encapsulated =
                !NATIVE.contains(&file.syntax()) && media(file.syntax()).is_some();
            let is_frames =
                is_encapsulated && way.len() == 1 && way.iter().any(|w| w == PIXEL_DATA);
            let opened = Arc::clone(&file);
            let name = format!("bulkdata/{}", way.join("/"));
            let pieces = asking
                .blocking(move |_| {
                    if is_frames {
                        cut(&opened, None)
                    } else {
                        Ok(vec![(name, opened.bulk(&steps, of)?)])
                    }
                })
                .await?;
            send(asking, target, &located, file, pieces, is_frames)
        }
    }
}

/// The way to a value, as metadata give it: `00880200/1/7FE00010`.
fn parse(way: &[String]) -> Result<(Vec<(u32, u32)>, u32)> {
    let wrong = || {
        Failure::not_found(
            "no value stands there: the way is tags of eight hexadecimal digits with item numbers \
             between them",
        )
    };
    let tag = |text: &String| {
        (text.len() == 8).then(|| u32::from_str_radix(text, 16).ok()).flatten().ok_or_else(wrong)
    };
    let mut steps = Vec::new();
    let mut rest = way;
    while let [sequence, item, behind @ ..] = rest {
        steps.push((tag(sequence)?, item.parse().map_err(|_| wrong())?));
        rest = behind;
    }
    match rest {
        [last] => Ok((steps, tag(last)?)),
        _ => Err(wrong()),
    }
}

pub(super) fn media(syntax: &str) -> Option<&'static str> {
    MEDIA.iter().find(|(known, _)| *known == syntax).map(|(_, media)| *media)
}

fn send(
    asking: &Asking,
    target: &Target,
    located: &Located,
    file: Arc<Part10>,
    pieces: Vec<(String, Piece)>,
    is_frames: bool,
) -> Result<HttpResponse> {
    // Native values leave as explicit little endian, whatever the file is.
    let (media, syntax) = match media(file.syntax()) {
        Some(media) if is_frames => (media, file.syntax().to_owned()),
        _ if !is_frames || NATIVE.contains(&file.syntax()) => {
            (OCTETS, EXPLICIT_LITTLE_ENDIAN.to_owned())
        }
        _ => {
            return Err(Failure::not_acceptable(format!(
                "frames of `transfer-syntax={}` have no media type; retrieve the instance",
                file.syntax()
            )));
        }
    };
    let ranges = ranges(asking)?;
    let best = ranges.iter().find(|range| {
        range.takes(media)
            && range.takes_syntax(&syntax)
            && (range.is_multipart || range.is_anything() || pieces.len() == 1)
    });
    let Some(best) = best else {
        let single = if pieces.len() == 1 { ", or without `multipart/related`" } else { "" };
        return Err(Failure::not_acceptable(format!(
            "nothing is decoded here; available is `multipart/related; type=\"{media}\"; \
             transfer-syntax={syntax}`{single}"
        )));
    };
    let stamp = located.wanted.first().and_then(|wanted| wanted.file.as_ref()).map(|k| k.stamp);
    let names: Vec<&str> = pieces.iter().map(|(name, _)| name.as_str()).collect();
    let text = format!("{} {stamp:?} {} {media}", target.path(), names.join(","));
    // A single value is answered alone unless the reader asks for a multipart.
    let is_multipart = best.is_multipart || (best.is_anything() && (is_frames || pieces.len() > 1));
    let Mark { etag, boundary } = mark(asking, &[text, is_multipart.to_string()]);
    if is_known(asking, &etag) {
        return Ok(unchanged(&etag));
    }
    let content_type = if media == OCTETS { media.to_owned() } else { with_syntax(media, &syntax) };
    if !is_multipart && let [(_, piece)] = pieces.as_slice() {
        let length = piece.length();
        let piece = piece.clone();
        return single(asking, &located.study, &content_type, &etag, length, |from, length| {
            Segment::Piece { file, piece, from, length }
        });
    }
    let base = format!("{}/{}", asking.who.state.base, target.path());
    let parts = pieces
        .into_iter()
        .map(|(name, piece)| Part {
            content_type: content_type.clone(),
            location: format!("{base}/{name}"),
            segment: Segment::Piece {
                file: Arc::clone(&file),
                from: 0,
                length: piece.length(),
                piece,
            },
        })
        .collect();
    let mark = Mark { etag, boundary };
    Ok(multipart(asking, &located.study, (StatusCode::OK, media), &mark, parts, None))
}

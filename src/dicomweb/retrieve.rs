//! Studies, series and instances as they are stored (PS3.18 section 10.4, IHE RAD-107).

use std::collections::BTreeSet;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use super::Asking;
use super::accept::{Range, ranges};
use super::address::Target;
use super::body::{Part, Segment, is_known, mark, mark_of, multipart, single, unchanged};
use super::locate::{Files, Ready, locate_files};
use super::pacs;
use super::problem::{Failure, Result};

pub(super) const DICOM: &str = "application/dicom";

/// Answers with the objects of a target.
pub(super) async fn objects(asking: &Asking, target: &Target) -> Result<HttpResponse> {
    let ranges = ranges(asking)?;
    let (located, files) = locate_files(asking, target).await?;
    let Some(mut files) = files else {
        return pacs::objects(asking, target, &located, &ranges).await;
    };
    let lost = files.lost.len();
    let (is_multipart, refused) = choose(&ranges, target.instance.is_some(), &mut files)?;
    let all: Vec<String> = files.ready.iter().map(mark_of).collect();
    if !is_multipart && let [ready] = files.ready.as_slice() {
        let mark = mark(asking, &[all.join(""), "single".to_owned()]);
        if is_known(asking, &mark.etag) {
            return Ok(unchanged(&mark.etag));
        }
        let content_type = with_syntax(DICOM, &ready.syntax);
        return single(
            asking,
            &located.study,
            &content_type,
            &mark.etag,
            ready.length,
            |from, length| Segment::File { ready: Box::new(ready.clone()), from, length },
        );
    }
    let mark = mark(asking, &all);
    if is_known(asking, &mark.etag) {
        return Ok(unchanged(&mark.etag));
    }
    let base = &asking.who.state.base;
    let parts = files
        .ready
        .into_iter()
        .map(|ready| Part {
            content_type: with_syntax(DICOM, &ready.syntax),
            location: format!(
                "{base}/studies/{}/series/{}/instances/{}",
                located.study, ready.wanted.series, ready.wanted.instance.uid
            ),
            segment: Segment::File { from: 0, length: ready.length, ready: Box::new(ready) },
        })
        .collect();
    let (status, warning) = completeness(base, lost, refused);
    Ok(multipart(asking, &located.study, (status, DICOM), &mark, parts, warning))
}

/// The status and the warning of an answer that holds less than the target (PS3.18 section
/// 10.4.3: 206).
pub(super) fn completeness(
    base: &str,
    lost: usize,
    refused: usize,
) -> (StatusCode, Option<String>) {
    let mut told = Vec::new();
    if lost > 0 {
        told.push(format!("{lost} instances are left out: their files vanished or changed"));
    }
    if refused > 0 {
        told.push(format!(
            "{refused} instances are left out: not in an acceptable transfer syntax"
        ));
    }
    if told.is_empty() {
        (StatusCode::OK, None)
    } else {
        (StatusCode::PARTIAL_CONTENT, Some(format!("299 {base} \"{}\"", told.join("; "))))
    }
}

pub(super) fn with_syntax(media: &str, syntax: &str) -> String {
    // What a file says of itself goes into a header: only if it is a UID.
    match crate::imaging::Uid::parse_lenient(syntax) {
        Ok(syntax) => format!("{media}; transfer-syntax={syntax}"),
        Err(_) => media.to_owned(),
    }
}

/// Whether to answer with a multipart; of the files those that the reader takes stay, and how
/// many do not is told.
fn choose(ranges: &[Range], is_instance: bool, files: &mut Files) -> Result<(bool, usize)> {
    let fits = |range: &Range| {
        range.takes(DICOM) && (range.is_multipart || range.is_anything() || is_instance)
    };
    // `*/*` is the default, multipart/related (section 8.7.5); it takes every syntax.
    let fitting: Vec<&Range> = ranges.iter().filter(|range| fits(range)).collect();
    let taken = |range: &Range, files: &Files| {
        files.ready.iter().filter(|ready| range.takes_syntax(&ready.syntax)).count()
    };
    let best = fitting.iter().find(|range| taken(range, files) > 0);
    let Some(best) = best else {
        if fitting.is_empty() {
            let single = if is_instance { " or `application/dicom`" } else { "" };
            return Err(Failure::not_acceptable(format!(
                "ask for `multipart/related; type=\"application/dicom\"`{single}"
            )));
        }
        return Err(Failure::not_acceptable(format!(
            "nothing is transcoded here; available is {}: ask for one of these, or for \
             `transfer-syntax=*`",
            syntaxes(&files.ready)
        )));
    };
    let before = files.ready.len();
    let is_multipart = best.is_multipart || best.is_anything();
    // What another acceptable range takes goes along, as long as it has the same form.
    let same: Vec<&&Range> = fitting
        .iter()
        .filter(|range| (range.is_multipart || range.is_anything()) == is_multipart)
        .collect();
    files.ready.retain(|ready| same.iter().any(|range| range.takes_syntax(&ready.syntax)));
    Ok((is_multipart, before - files.ready.len()))
}

/// The transfer syntaxes of files, for people.
pub(super) fn syntaxes(files: &[Ready]) -> String {
    let all: BTreeSet<String> =
        files.iter().map(|ready| format!("`transfer-syntax={}`", ready.syntax)).collect();
    all.into_iter().take(10).collect::<Vec<_>>().join(", ")
}

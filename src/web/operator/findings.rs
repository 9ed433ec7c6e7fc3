//! What the archive's data say wrongly, by kind and by study.
//!
//! In: findings of the store. Out: a page of kinds with what they mean and how to mend them, and a
//! page of studies for each; without UIDs for who may not name persons.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::{ROWS, answer, parameter};
use crate::error::Error;
use crate::imaging::FINDING_KINDS;
use crate::store::{archive, findings};
use crate::web::State;
use crate::web::layout::Layout;
use crate::web::problem::render;
use crate::web::session::sentence;
use crate::web::tongue::Tongue;
use crate::web::words;

struct FindingLine {
    code: String,
    meaning: String,
    remedy: String,
    studies: String,
    count: String,
}

#[derive(Template)]
#[template(path = "operator/findings.html")]
struct FindingsPage {
    layout: Layout,
    lines: Vec<FindingLine>,
}

pub(super) async fn findings_page(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    answer(request, state, |state, viewer| {
        let counts = state.store.read(findings::count_findings)?;
        let lines = counts
            .into_iter()
            .map(|row| {
                let (meaning, remedy) = found(&row.code, viewer.reader.tongue);
                FindingLine {
                    meaning,
                    remedy,
                    studies: viewer.reader.tongue.signed(row.studies),
                    count: viewer.reader.tongue.signed(row.count),
                    code: row.code,
                }
            })
            .collect();
        render(&FindingsPage {
            layout: viewer.layout(state, viewer.w("operator.findings"), "/operator/findings"),
            lines,
        })
    })
    .await
}

struct StudyLine {
    study: String,
    is_uid: bool,
    attribute: String,
    value: String,
    count: String,
}

#[derive(Template)]
#[template(path = "operator/finding.html")]
struct FindingPage {
    layout: Layout,
    code: String,
    meaning: String,
    remedy: String,
    lines: Vec<StudyLine>,
    shows_uids: bool,
    is_first: bool,
    next: Option<String>,
}

pub(super) async fn finding(
    request: HttpRequest,
    state: web::Data<State>,
    code: web::Path<String>,
) -> HttpResponse {
    let after = parameter(&request, "after").and_then(|text| text.parse().ok()).unwrap_or(0_i64);
    let code = code.into_inner();
    answer(request, state, move |state, viewer| {
        // No kind of finding has such a name, and not every database can be asked for it.
        if code.chars().any(char::is_control) {
            return Err(Error::Invalid("the kind holds a control character".to_owned()));
        }
        let shows_uids = viewer.may_name_persons();
        let is_known = FINDING_KINDS.iter().any(|kind| kind.code == code);
        let limit = i64::try_from(ROWS).unwrap_or(50) + 1;
        let (rows, uids) = state.store.read(|db| {
            let rows = findings::list_findings(db, &code, after, limit)?;
            let numbers: Vec<i64> = rows.iter().map(|row| row.study).collect();
            let uids: HashMap<i64, String> = if shows_uids {
                archive::list_studies(db, &numbers)?
                    .into_iter()
                    .map(|s| (s.number, s.uid))
                    .collect()
            } else {
                HashMap::new()
            };
            Ok((rows, uids))
        })?;
        if rows.is_empty() && !is_known {
            let id = code.chars().take(100).collect();
            return Err(Error::NotFound { kind: "finding", id });
        }
        let has_more = rows.len() > ROWS;
        // The cursor is a study: all rows of the last study must be on this page. A study that
        // alone has more rows of one kind than a page does not exist: a row is an attribute.
        let shown = if has_more {
            let last = rows.last().map(|row| row.study);
            let whole = rows.iter().take_while(|row| Some(row.study) != last).count();
            if whole == 0 { ROWS } else { whole }
        } else {
            rows.len()
        };
        let next = has_more.then(|| rows.get(shown.saturating_sub(1))).flatten();
        let next = next
            .map(|row| format!("/operator/findings/{}?after={}", words::encode(&code), row.study));
        let lines = rows
            .iter()
            .take(shown)
            .map(|row| {
                let uid = uids.get(&row.study);
                StudyLine {
                    study: uid.cloned().unwrap_or_else(|| {
                        viewer.reader.tongue.put("operator.study-number", row.study)
                    }),
                    is_uid: uid.is_some(),
                    attribute: row.attribute.clone(),
                    value: row.value.clone(),
                    count: viewer.reader.tongue.signed(row.count),
                }
            })
            .collect();
        let (meaning, remedy) = found(&code, viewer.reader.tongue);
        render(&FindingPage {
            layout: viewer.layout(state, viewer.w("operator.findings"), "/operator/findings"),
            meaning,
            remedy,
            lines,
            shows_uids,
            is_first: after == 0,
            next,
            code,
        })
    })
    .await
}

const UNKNOWN_FINDING: (&str, &str) =
    ("a kind of finding that this version does not know", "update vesalius");

fn found(code: &str, tongue: &'static Tongue) -> (String, String) {
    if let Some(own) = tongue.explained("finding", code) {
        return (own.meaning.clone(), own.remedy.clone());
    }
    let (meaning, remedy) = FINDING_KINDS
        .iter()
        .find(|kind| kind.code == code)
        .map_or(UNKNOWN_FINDING, |kind| (kind.meaning, kind.remedy));
    (sentence(meaning), sentence(remedy))
}

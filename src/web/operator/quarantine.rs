//! What was put aside at ingest, why, and the button that has it read again.
//!
//! In: quarantined inputs of the journal. Out: a page of them in the journal's order, without the
//! place of an input for who may not name persons.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::sources::source_lines;
use super::{ROWS, answer, parameter};
use crate::error::{Error, Result};
use crate::store::journal;
use crate::web::State;
use crate::web::layout::Layout;
use crate::web::problem::{page_or_problem, render};
use crate::web::reasons::explained;
use crate::web::session::{operator, same_origin};
use crate::web::tongue::Tongue;
use crate::web::words;

struct QuarantineLine {
    source: String,
    origin: Option<String>,
    code: String,
    meaning: &'static str,
    remedy: &'static str,
    path: String,
    offset: String,
    detail: String,
    run: i64,
}

/// A row number, or a byte offset in both spellings that viewers of files use.
fn offset(place: i64, is_row: bool, tongue: &'static Tongue) -> String {
    if is_row || place < 0 {
        tongue.put("operator.row", tongue.signed(place))
    } else {
        format!("{} (0x{place:X})", tongue.signed(place))
    }
}

struct RetryButton {
    number: i64,
    name: String,
    count: String,
    waiting: i64,
}

#[derive(Template)]
#[template(path = "operator/quarantine.html")]
struct QuarantinePage {
    layout: Layout,
    lines: Vec<QuarantineLine>,
    next: Option<String>,
    is_first: bool,
    shows_origin: bool,
    buttons: Vec<RetryButton>,
    total: String,
    done: Option<String>,
}

pub(super) async fn quarantine(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let after = parameter(&request, "after").and_then(|text| text.parse::<usize>().ok());
    // Nobody pages further by hand; the walk stays cheap.
    let place = after.unwrap_or(0).min(100_000);
    let done = parameter(&request, "again").and_then(|text| text.parse::<u64>().ok());
    answer(request, state, move |state, viewer| {
        let sources = source_lines(state, viewer.reader.tongue)?;
        let limit = i64::try_from(ROWS).unwrap_or(50) + 1;
        // The cursor must not carry what the role may not see: a path in an address ends up in
        // histories and logs, so it is the row's place in the journal's order instead.
        let shows_origin = viewer.may_name_persons();
        let rows = state.store.read(|db| {
            let mut cursor = (i64::MIN, String::new());
            let mut left = place;
            // Walks to the place in pages; quarantines are short, or the archive is broken.
            while left > 0 {
                let step = left.min(1_000);
                let page = journal::list_quarantined(
                    db,
                    (cursor.0, &cursor.1),
                    i64::try_from(step).unwrap_or(1_000),
                )?;
                let Some(last) = page.last() else { return Ok(Vec::new()) };
                cursor = (last.source, last.origin.clone());
                left -= step;
            }
            journal::list_quarantined(db, (cursor.0, &cursor.1), limit)
        })?;
        let has_more = rows.len() > ROWS;
        let name = |number: i64| {
            let found = sources.iter().find(|source| source.number == number);
            found.map_or_else(|| number.to_string(), |source| source.name.clone())
        };
        let is_table =
            |number: i64| sources.iter().any(|source| source.number == number && source.is_table);
        let lines = rows
            .into_iter()
            .take(ROWS)
            .map(|row| {
                let code = row.code.unwrap_or_default();
                let (meaning, remedy) = explained(&code, viewer.reader.tongue);
                QuarantineLine {
                    source: name(row.source),
                    origin: shows_origin.then_some(row.origin),
                    meaning,
                    remedy,
                    path: row.path.unwrap_or_default(),
                    offset: row
                        .place
                        .map(|place| offset(place, is_table(row.source), viewer.reader.tongue))
                        .unwrap_or_default(),
                    detail: row.detail.unwrap_or_default(),
                    run: row.run,
                    code,
                }
            })
            .collect();
        let total: i64 = sources.iter().map(|source| source.quarantined).sum();
        render(&QuarantinePage {
            layout: viewer.layout(state, viewer.w("operator.quarantine"), "/operator/quarantine"),
            lines,
            next: has_more.then(|| format!("/operator/quarantine?after={}", place + ROWS)),
            is_first: place == 0,
            shows_origin,
            total: viewer.reader.tongue.signed(total),
            buttons: sources
                .into_iter()
                .filter(|source| source.quarantined > 0 || source.retry > 0)
                .map(|source| RetryButton {
                    number: source.number,
                    name: source.name,
                    count: if source.quarantined > 0 {
                        source.quarantined_shown
                    } else {
                        String::new()
                    },
                    waiting: source.retry,
                })
                .collect(),
            done: done.map(|count| viewer.reader.tongue.counted("input", count)),
        })
    })
    .await
}

/// Marks the quarantined inputs of a source to be read again at its next run.
pub(super) async fn retry(
    request: HttpRequest,
    state: web::Data<State>,
    body: web::Bytes,
) -> HttpResponse {
    let checked = operator(&request).and_then(|actor| {
        same_origin(&request, &state.base)?;
        Ok(actor)
    });
    let actor = match checked {
        Ok(actor) => actor,
        Err(error) => return page_or_problem(state.pages.site(), &request, &error),
    };
    let body = String::from_utf8_lossy(&body).into_owned();
    let source = words::pairs(&body)
        .into_iter()
        .find(|(name, _)| name == "source")
        .and_then(|(_, value)| value.parse::<i64>().ok());
    let Some(source) = source else {
        let error = Error::Parameter {
            name: "source".to_owned(),
            reason: "write the number of a source".to_owned(),
        };
        return page_or_problem(state.pages.site(), &request, &error);
    };
    let worker: Arc<_> = Arc::clone(&state.store);
    let done = web::block(move || -> Result<usize> {
        worker.write(|db| journal::retry_quarantined(db, source))
    })
    .await;
    match done.unwrap_or_else(|failure| Err(Error::Internal(failure.to_string()))) {
        Ok(count) => {
            tracing::info!(role = actor.role.name(), source, count, "quarantine is read again");
            HttpResponse::SeeOther()
                .insert_header((header::LOCATION, format!("/operator/quarantine?again={count}")))
                .insert_header((header::CACHE_CONTROL, "no-store"))
                .finish()
        }
        Err(error) => page_or_problem(state.pages.site(), &request, &error),
    }
}

//! HTTP of exports: kick-off, status, files, deletion (Bulk Data Access 3.0.0). Everything that
//! is wrong is answered as an OperationOutcome in JSON, as the protocol has it.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use actix_web::web::{self, Bytes};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use flate2::Compression;
use flate2::write::GzEncoder;
use roaring::RoaringBitmap;
use serde_json::{Value, json};

use super::desk::{Busy, End, Job, Ticket, Written};
use super::order::{Level, Order, parameters_of};
use super::write::transaction_time;
use super::{NDJSON, State};
use crate::actor::{Actor, Purpose, Role};
use crate::error::Error;
use crate::fhir::Asking;
use crate::fhir::handle::{asker, read_body};
use crate::fhir::negotiate::Format;
use crate::fhir::outcome::{Failure, Result, outcome};
use crate::fhir::request::{self, Parameters};
use crate::fhir::search::Handling;
use crate::http::{http_date, takes_gzip};
use crate::index::Query;

/// Largest body of a kick-off.
const BODY: usize = 256 * 1024;
/// What is read of a file at once.
const PIECE: usize = 256 * 1024;
/// Seconds after which a client may ask again how far an export is.
const AGAIN: &str = "2";

/// Adds the addresses of exports.
pub(in crate::fhir) fn routes(config: &mut web::ServiceConfig) {
    let kick_off = |path: &str| {
        let refuse = || async { refused(&Failure::method("GET, POST")) };
        web::resource(path)
            .route(web::get().to(kick_off))
            .route(web::post().to(kick_off))
            .default_service(web::route().to(refuse))
    };
    let refuse_status = || async { refused(&Failure::method("GET, DELETE")) };
    let refuse_file = || async { refused(&Failure::method("GET")) };
    config
        .service(kick_off("/fhir/$export"))
        .service(kick_off("/fhir/Patient/$export"))
        .service(kick_off("/fhir/Group/{group}/$export"))
        .service(
            web::resource("/fhir/$export-status/{job}")
                .route(web::get().to(status))
                .route(web::delete().to(delete))
                .default_service(web::route().to(refuse_status)),
        )
        .service(
            web::resource("/fhir/$export-status/{job}/{file}")
                .route(web::get().to(file))
                .default_service(web::route().to(refuse_file)),
        );
}

fn refused(failure: &Failure) -> HttpResponse {
    failure.to_response(Format::Json)
}

fn told(status: StatusCode, code: &'static str, text: &str) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type(Format::Json.media())
        .body(outcome("error", code, text, None).to_string())
}

/// Whether a header `Prefer` holds the preference (RFC 7240).
fn prefers(request: &HttpRequest, preference: &str) -> bool {
    let values = request.headers().get_all("Prefer").filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split([',', ';']))
        .any(|one| one.trim().eq_ignore_ascii_case(preference))
}

async fn kick_off(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> HttpResponse {
    take(&request, payload, state).await.unwrap_or_else(|failure| refused(&failure))
}

async fn take(
    request: &HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse> {
    let (actor, view) = asker(request, &state)?;
    state.exports()?;
    let group = request.match_info().get("group").map(request::id).transpose()?;
    if actor.role == Role::Ehr {
        return Err(Error::Forbidden(
            "the role `ehr` reads one patient at a time, and an export is of many: it needs the \
             role `imaging-it`, or `researcher` for open datasets"
                .to_owned(),
        )
        .into());
    }
    if !prefers(request, "respond-async") {
        return Err(Error::Invalid(
            "an export is made in the background: send the header `Prefer: respond-async`"
                .to_owned(),
        )
        .into());
    }
    // What an export leaves out unasked is missed: here nothing is ignored unless asked to.
    let handling =
        if prefers(request, "handling=lenient") { Handling::Lenient } else { Handling::Strict };
    let level = if request.path().contains("/Patient/") { Level::Patient } else { Level::System };
    let mut parameters = Parameters::new();
    request::decode(request.query_string(), &mut parameters)?;
    let media = request.content_type().to_ascii_lowercase();
    let body = read_body(payload, BODY).await?;
    if !body.is_empty() {
        if !matches!(media.as_str(), "application/fhir+json" | "application/json") {
            return Err(Failure::other_media_type(
                "a resource Parameters as `application/fhir+json`",
            ));
        }
        parameters.extend(parameters_of(&body)?);
    }
    let origin = state.base.strip_suffix("/fhir").unwrap_or(&state.base);
    let asked = format!("{origin}{}", request.uri());
    let now = jiff::Timestamp::now().as_microsecond();
    let state = state.into_inner();
    let taken = web::block(move || {
        let order = {
            let asking = Asking { state: &state, actor: &actor, view, now };
            match &group {
                Some(group) => Order::of_group(&asking, group, parameters, handling)?,
                None => Order::read(&asking, level, parameters, handling)?,
            }
        };
        let desk = state.exports()?;
        desk.expire(now);
        let ticket = Ticket {
            subject: actor.subject,
            role: actor.role,
            asked: now,
            request: asked,
            order,
            end: None,
        };
        let job = desk.put(ticket).map_err(|busy| match busy {
            Busy::TooMany(most) => Failure::too_many(format!(
                "you have {most} exports under way, which is as many as one may have: wait, or \
                 delete one"
            )),
            Busy::Full => Failure::too_many(
                "the disk that exports may use is used: delete exports that you have fetched, or \
                 wait until they expire"
                    .to_owned(),
            ),
            Busy::Broken(failure) => failure.into(),
        })?;
        Ok::<_, Failure>(format!("{}/$export-status/{}", state.base, job.id))
    })
    .await
    .map_err(|failure| Error::Internal(failure.to_string()))?;
    let address = taken?;
    Ok(HttpResponse::Accepted()
        .insert_header((header::CONTENT_LOCATION, address.as_str()))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .content_type(Format::Json.media())
        .body(
            outcome(
                "information",
                "informational",
                &format!("the export was queued; its status is at {address}"),
                None,
            )
            .to_string(),
        ))
}

/// The job that an address names, if it is the actor's own.
fn job_of(request: &HttpRequest, state: &State) -> Result<(Actor, Arc<Job>)> {
    let (actor, _) = asker(request, state)?;
    let desk = state.exports()?;
    desk.expire(jiff::Timestamp::now().as_microsecond());
    let id = request.match_info().get("job").unwrap_or("");
    let unknown = || Error::NotFound { kind: "export", id: id.chars().take(40).collect() };
    let job = desk.find(id, &actor).ok_or_else(unknown)?;
    Ok((actor, job))
}

async fn status(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    match job_of(&request, &state) {
        Err(failure) => refused(&failure),
        Ok((actor, job)) => {
            let ticket = job.ticket();
            match &ticket.end {
                None => HttpResponse::Accepted()
                    .insert_header((HeaderName::from_static("x-progress"), job.progress()))
                    .insert_header((header::RETRY_AFTER, AGAIN))
                    .insert_header((header::CACHE_CONTROL, "no-store"))
                    .finish(),
                Some((_, End::Failed { reason })) => {
                    told(StatusCode::INTERNAL_SERVER_ERROR, "exception", reason)
                }
                Some((_, End::Complete { visible, .. }))
                    if !is_still_visible(&state, &actor, visible) =>
                {
                    no_longer()
                }
                Some((ended, End::Complete { transaction_time, files, .. })) => {
                    manifest(&state, &job, &ticket, *ended, *transaction_time, files)
                }
            }
        }
    }
}

/// Whether secondary use may still see every study that an export was made of. What was closed,
/// withdrawn or deleted is not handed out from a file either.
fn is_still_visible(state: &State, actor: &Actor, visible: &[u8]) -> bool {
    if actor.purpose() != Purpose::SecondaryUse {
        return true;
    }
    match RoaringBitmap::deserialize_from(visible) {
        Ok(then) => then.is_subset(&state.index.read().search(actor, &Query::All)),
        Err(_) => false,
    }
}

fn no_longer() -> HttpResponse {
    told(
        StatusCode::GONE,
        "expired",
        "studies of this export are no longer open to you; export again",
    )
}

fn manifest(
    state: &State,
    job: &Job,
    ticket: &Ticket,
    ended: i64,
    time: i64,
    files: &[Written],
) -> HttpResponse {
    let list = |name: &str| -> Vec<Value> {
        files
            .iter()
            .filter(|file| file.list == name)
            .map(|file| {
                let url = format!("{}/$export-status/{}/{}", state.base, job.id, file.name);
                json!({ "type": file.resource, "url": url, "count": file.count })
            })
            .collect()
    };
    let body = json!({
        "transactionTime": transaction_time(time),
        "request": ticket.request,
        "requiresAccessToken": true,
        "output": list("output"),
        "deleted": list("deleted"),
        "error": list("error"),
    });
    let expires = state.exports().map_or(ended, |desk| ended.saturating_add(desk.lifetime));
    let mut response = HttpResponse::Ok();
    if let Ok(expires) = jiff::Timestamp::from_microsecond(expires) {
        response.insert_header((header::EXPIRES, http_date(expires)));
    }
    response
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .content_type("application/json")
        .body(body.to_string())
}

async fn delete(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let (_, job) = match job_of(&request, &state) {
        Ok(found) => found,
        Err(failure) => return refused(&failure),
    };
    let state = state.into_inner();
    let removed = web::block(move || state.exports().map(|desk| desk.remove(&job))).await;
    match removed {
        Ok(Ok(())) => HttpResponse::Accepted().content_type(Format::Json.media()).body(
            outcome("information", "informational", "the export was removed", None).to_string(),
        ),
        Ok(Err(failure)) => refused(&failure),
        Err(failure) => refused(&Error::Internal(failure.to_string()).into()),
    }
}

async fn file(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    serve(&request, &state).await.unwrap_or_else(|failure| refused(&failure))
}

async fn serve(request: &HttpRequest, state: &State) -> Result<HttpResponse> {
    let (actor, job) = job_of(request, state)?;
    let name = request.match_info().get("file").unwrap_or("");
    let unknown = || Error::NotFound { kind: "file", id: name.chars().take(80).collect() };
    // Only names that the manifest gives: nothing of an address becomes a path.
    let file = match job.ticket().end {
        Some((_, End::Complete { visible, .. })) if !is_still_visible(state, &actor, &visible) => {
            return Ok(no_longer());
        }
        Some((_, End::Complete { files, .. })) => {
            files.into_iter().find(|file| file.name == name).ok_or_else(unknown)?
        }
        Some((_, End::Failed { .. })) | None => return Err(unknown().into()),
    };
    let path = job.folder.join(&file.name);
    let open = web::block(move || std::fs::File::open(path))
        .await
        .map_err(|failure| Error::Internal(failure.to_string()))?;
    let mut open = open.map_err(|failure| {
        tracing::error!(%failure, "a file of an export is gone");
        unknown()
    })?;
    let mut response = HttpResponse::Ok();
    let etag = format!("\"{}-{}\"", job.id, file.name);
    response
        .insert_header((header::CONTENT_TYPE, NDJSON))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .insert_header((header::VARY, "Accept-Encoding, Authorization"))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::ETAG, etag.clone()));
    let range = request.headers().get(header::RANGE).and_then(|value| value.to_str().ok());
    let if_range = request.headers().get(header::IF_RANGE).and_then(|value| value.to_str().ok());
    // A range of another version would be put together with this one.
    let range = range.filter(|_| if_range.is_none_or(|known| known == etag));
    let range = range.and_then(|range| part_of(range, file.bytes));
    let (from, length) = match range {
        None => (0, file.bytes),
        Some(None) => {
            return Ok(HttpResponse::RangeNotSatisfiable()
                .insert_header((header::CONTENT_RANGE, format!("bytes */{}", file.bytes)))
                .finish());
        }
        Some(Some((from, last))) => {
            response.status(StatusCode::PARTIAL_CONTENT);
            response.insert_header((
                header::CONTENT_RANGE,
                format!("bytes {from}-{last}/{}", file.bytes),
            ));
            (from, last - from + 1)
        }
    };
    if from > 0 {
        let sought = open.seek(SeekFrom::Start(from));
        sought.map_err(|failure| Error::Internal(failure.to_string()))?;
    }
    let pieces = Pieces {
        file: open,
        left: length,
        gzip: (range.is_none() && takes_gzip(request.headers()))
            .then(|| GzEncoder::new(Vec::with_capacity(PIECE), Compression::fast())),
    };
    if pieces.gzip.is_some() {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
    } else {
        response.no_chunking(length);
    }
    Ok(response.streaming(futures_util::stream::unfold(Some(pieces), |pieces| async {
        let mut pieces = pieces?;
        let read = web::block(move || {
            let piece = pieces.next();
            (pieces, piece)
        });
        match read.await {
            Ok((pieces, Ok(Some(piece)))) => Some((Ok(piece), Some(pieces))),
            Ok((_, Ok(None))) => None,
            Ok((_, Err(failure))) => Some((Err(failure), None)),
            Err(failure) => Some((Err(std::io::Error::other(failure.to_string())), None)),
        }
    })))
}

/// One range of a length (RFC 9110 section 14.1.2): `None`: it is none that is understood, and is
/// ignored; `Some(None)`: it lies outside.
fn part_of(range: &str, length: u64) -> Option<Option<(u64, u64)>> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    if to.contains(',') {
        return None;
    }
    let last = length.checked_sub(1);
    Some(match (from.trim(), to.trim()) {
        ("", suffix) => {
            let suffix: u64 = suffix.parse().ok()?;
            last.filter(|_| suffix > 0).map(|last| (length.saturating_sub(suffix), last))
        }
        (from, to) => {
            let from: u64 = from.parse().ok()?;
            let to: u64 = if to.is_empty() { u64::MAX } else { to.parse().ok()? };
            if to < from {
                return None;
            }
            last.filter(|last| from <= *last).map(|last| (from, to.min(last)))
        }
    })
}

/// A file in pieces, each read when the one before was sent.
struct Pieces {
    file: std::fs::File,
    left: u64,
    gzip: Option<GzEncoder<Vec<u8>>>,
}

impl Pieces {
    fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        loop {
            if self.left == 0 {
                let rest = self.gzip.take().map(GzEncoder::finish).transpose()?;
                return Ok(rest.filter(|rest| !rest.is_empty()).map(Bytes::from));
            }
            let most = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
            let mut piece = vec![0; most];
            self.file.read_exact(&mut piece)?;
            self.left -= most as u64;
            let Some(gzip) = &mut self.gzip else { return Ok(Some(piece.into())) };
            gzip.write_all(&piece)?;
            let out = std::mem::take(gzip.get_mut());
            if !out.is_empty() {
                return Ok(Some(out.into()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::part_of;

    #[test]
    fn ranges_are_cut_to_the_file_or_ignored() {
        assert_eq!(part_of("bytes=0-9", 100), Some(Some((0, 9))));
        assert_eq!(part_of("bytes=90-", 100), Some(Some((90, 99))));
        assert_eq!(part_of("bytes=-10", 100), Some(Some((90, 99))));
        assert_eq!(part_of("bytes=0-1000", 100), Some(Some((0, 99))));
        assert_eq!(part_of("bytes=100-", 100), Some(None));
        assert_eq!(part_of("bytes=-0", 100), Some(None));
        assert_eq!(part_of("bytes=0-", 0), Some(None));
        for ignored in ["bytes=9-1", "bytes=a-b", "items=0-1", "bytes=0-1,5-6", "bytes=-"] {
            assert_eq!(part_of(ignored, 100), None, "{ignored}");
        }
    }
}

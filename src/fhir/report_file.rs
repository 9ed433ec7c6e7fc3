//! The bytes of an encapsulated document, as the resource Binary that a report's `presentedForm`
//! leads to.
//!
//! In: a report that the actor may read. Out: a Binary, with what stands in the file that was
//! ingested, or in what the PACS that it came from answers. In secondary use there is none, of a
//! de-identified archive neither: its attributes were
//! cleaned, and nobody knows what stands on the pages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Asking;
use super::outcome::{Failure, Result};
use super::provider::not_found;
use super::table::Resource;
use crate::actor::Purpose;
use crate::dicom::{Part10, encapsulated_document};
use crate::error::Error;
use crate::imaging::{Instance, StoredReport, Study};
use crate::mapping::fhir::instant;
use crate::source::Stamp;
use crate::source::dicomweb::{Asked, NoAnswer};
use crate::source::kept;
use crate::store::files::{FileRow, list_files, list_servers_of};
use crate::store::journal::list_sources;
use crate::store::{Db, archive};

/// Longest document that is handed out here; `/dicom-web` sends longer ones in pieces.
const LONGEST: u64 = 32 << 20;

/// Whether who asks may have documents at all.
pub(super) fn is_shown(asking: &Asking<'_>) -> bool {
    asking.actor.purpose() == Purpose::Care
}

/// The Binary of a report.
///
/// # Errors
/// When the report has no document, or its file is not the one that was ingested any more.
pub(super) fn binary(
    asking: &Asking<'_>,
    db: &mut Db,
    stored: &StoredReport,
    study: &Study,
) -> Result<Value> {
    let none = || not_found(Resource::Binary, &stored.public_id);
    let document = stored.report.document.as_ref().filter(|_| is_shown(asking)).ok_or_else(none)?;
    if document.size > LONGEST {
        return Err(Failure::unavailable(&format!(
            "the document is longer than {LONGEST} bytes; retrieve its DICOM instance from \
             /dicom-web"
        )));
    }
    let place = document.offset.filter(|_| document.size > 0);
    let bytes = match place {
        Some(place) => read(db, stored, study, place, document.size)?,
        None => from_pacs(asking, db, stored, study, document.size)?.ok_or_else(|| {
            Failure::unavailable(
                "the document stands in no file of a folder as it is (it is compressed); retrieve \
                 its DICOM instance from /dicom-web",
            )
        })?,
    };
    let updated = stored.updated.max(study.updated);
    Ok(json!({
        "resourceType": "Binary",
        "id": stored.public_id,
        "meta": {
            "versionId": stored.version.saturating_add(study.version).to_string(),
            "lastUpdated": instant(updated),
        },
        "contentType": document.mime,
        "securityContext": { "reference": format!("DiagnosticReport/{}", stored.public_id) },
        "data": STANDARD.encode(bytes),
    }))
}

/// The document of a report that came from a PACS; `None`: it came from none.
fn from_pacs(
    asking: &Asking<'_>,
    db: &mut Db,
    stored: &StoredReport,
    study: &Study,
    size: u64,
) -> Result<Option<Vec<u8>>> {
    let servers = list_servers_of(db, study.uid.as_str()).map_err(Error::from)?;
    let series = study.series.iter().find(|series| series.number == stored.series);
    let (Some(server), Some(series), Some(pacs), Ok(runtime)) =
        (servers.first(), series, &asking.state.pacs, tokio::runtime::Handle::try_current())
    else {
        return Ok(None);
    };
    let sources = list_sources(db).map_err(Error::from)?;
    let uid = &stored.report.uid;
    let asked = Asked {
        base: &server.locator,
        path: &format!("studies/{}/series/{}/instances/{uid}", study.uid, series.uid),
        query: "",
        accept: "multipart/related; type=\"application/dicom\"; transfer-syntax=*",
        // Credentials are those of the one PACS.
        with_credentials: sources.iter().filter(|row| row.kind == "dicomweb").count() == 1,
    };
    // This is a thread that may block; the socket is the runtime's.
    let most = usize::try_from(LONGEST).unwrap_or(usize::MAX).saturating_add(1 << 20);
    let answer = runtime.block_on(pacs.instance(asked, most)).map_err(|why| {
        let words = "the PACS that the document came from did not answer with it";
        Failure::upstream(why == NoAnswer::Late, words)
    })?;
    let gone = || Failure::unavailable("the PACS that it came from does not have it any more");
    let (identity, document) = encapsulated_document(&answer.ok_or_else(gone)?)
        .map_err(|_| Failure::upstream(false, "what the PACS answered cannot be read"))?;
    if identity.instance != uid.as_str() || identity.study != study.uid.as_str() {
        return Err(Failure::upstream(false, "the PACS answered with another object"));
    }
    let mut document = document.ok_or_else(gone)?;
    if let Some(size) = usize::try_from(size).ok().filter(|size| *size > 0) {
        document.truncate(size);
    }
    Ok(Some(document))
}

/// The bytes of a place in the file that gave the report.
fn read(
    db: &mut Db,
    stored: &StoredReport,
    study: &Study,
    place: u64,
    size: u64,
) -> Result<Vec<u8>> {
    let uid = &stored.report.uid;
    let mut length = None;
    for (_, packed) in archive::list_packed(db, &[stored.series]).map_err(Error::from)? {
        let instances = Instance::unpack(&packed)
            .map_err(|failure| Error::Internal(format!("a series is damaged: {failure}")))?;
        length = instances.iter().find(|one| one.uid == *uid).map(|one| one.bytes);
    }
    let (rows, folders) = list_files(db, &[uid.as_str()]).map_err(Error::from)?;
    // Of two files of one instance the first that came was stored: the place is one in it.
    let is_it = |row: &&FileRow| {
        row.series == stored.series && u64::try_from(row.size).is_ok_and(|of| Some(of) == length)
    };
    for row in rows.iter().filter(is_it) {
        let Some(folder) = folders.iter().find(|folder| folder.number == row.source) else {
            continue;
        };
        let Some(length) = length else { continue };
        let stamp = Stamp { size: length, mark: row.mark };
        let Ok(file) = kept::open(&folder.locator, &row.origin, stamp) else { continue };
        let Ok(opened) = Part10::open(file, length) else { continue };
        let identity = opened.identity();
        if identity.instance != uid.as_str() || identity.study != study.uid.as_str() {
            continue;
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        if opened.read_file(place, &mut bytes).is_ok_and(|count| count == bytes.len()) {
            return Ok(bytes);
        }
    }
    Err(Failure::unavailable(
        "the file of the document is no longer the one that was ingested; ask the archive's \
         operator",
    ))
}

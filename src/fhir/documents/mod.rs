//! The Document Responder of IHE MHD with the documents of IHE MADO: the manifest of each study
//! in two encodings.
//!
//! In: reads and searches of DocumentReference (ITI-67), List (ITI-66), Bundle and Binary
//! (ITI-68). Out: resources that are rendered from the study when they are asked for; nothing of
//! them is stored, so that a document is never older than its study. Logical ids are those of the
//! study with an ending; searches are questions to the index about studies.
//! Governed by IHE MHD 4.2.3, IHE RAD MADO (trial implementation 2026-03), HL7 EU Health Data API
//! 1.0.0-ballot. Absent: documents that others write.

mod convert;
mod render;
mod search;

use actix_web::web::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

pub(super) use convert::Convert;

use super::Asking;
use super::bundle::Total;
use super::outcome::{Failure, Result};
use super::provider::{Page, Provider, Read, not_found};
use super::search::{Place, Search};
use super::subset::Subset;
use super::table::Resource;
use crate::actor::Role;
use crate::dicom::kos;
use crate::error::Error;
use crate::imaging::Study;
use crate::mapping::manifest::Manifest;
use crate::mapping::manifest_study::of_study;
use crate::mapping::manifest_write::to_bundle;
use crate::store::Db;
use crate::store::read;

/// What there is of each study.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) enum Part {
    /// The manifest as FHIR document.
    Fhir,
    /// The manifest as Key Object Selection Document.
    Kos,
    /// Both together.
    Set,
}

impl Part {
    const fn ending(self) -> &'static str {
        match self {
            Self::Fhir => "-mado-fhir",
            Self::Kos => "-mado-kos",
            Self::Set => "-mado-set",
        }
    }

    /// The logical id of a part of a study.
    fn id(self, study: &str) -> String {
        format!("{study}{}", self.ending())
    }

    /// The parts that are resources of a type, in the order of a Bundle.
    const fn all(resource: Resource) -> &'static [Self] {
        match resource {
            Resource::DocumentReference => &[Self::Fhir, Self::Kos],
            Resource::List => &[Self::Set],
            Resource::Bundle => &[Self::Fhir],
            Resource::Binary => &[Self::Kos],
            // The provider has no others.
            _ => &[],
        }
    }

    /// The study and the part that a logical id names.
    fn parse(resource: Resource, id: &str) -> Option<(&str, Self)> {
        Self::all(resource)
            .iter()
            .find_map(|part| Some((id.strip_suffix(part.ending())?, *part)))
            .filter(|(study, _)| !study.is_empty())
    }
}

/// Identifier of the archive as a source of documents (IHE MHD sourceId): an OID.
pub(super) fn source_id(asking: &Asking<'_>) -> String {
    asking.state.context.retrieve_location().to_urn()
}

/// The provider.
pub(super) struct Documents;

impl Provider for Documents {
    fn resources(&self) -> &[Resource] {
        &[Resource::DocumentReference, Resource::List, Resource::Bundle, Resource::Binary]
    }

    fn read(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        id: &str,
        subset: &Subset,
    ) -> Result<Read> {
        let (study, part) = Part::parse(resource, id).ok_or_else(|| not_found(resource, id))?;
        let mut db = asking.state.store.reader()?;
        let study = load(asking, &mut db, resource, id, study)?;
        let bytes: Bytes = match resource {
            Resource::Bundle => bundle(asking, &study)?.into(),
            Resource::Binary => binary(asking, &study)?.into(),
            Resource::List => render::list(asking, &study, render::is_listed(&study))?.into(),
            _ => {
                let sized = render::Sized::of(asking, &study);
                if part == Part::Kos && !sized.has_kos {
                    return Err(no_kos());
                }
                render::reference(asking, &study, part, &sized)?.into()
            }
        };
        // A document is whole or it is none.
        let is_document = matches!(resource, Resource::Bundle | Resource::Binary);
        let row = asking.state.table.row(resource);
        let cut = if is_document { None } else { subset.cut(row, &bytes) };
        Ok(Read {
            bytes: cut.map_or(bytes, Bytes::from),
            version: asking.state.tag(asking, study.version),
            updated: Some(study.updated),
        })
    }

    fn search(&self, asking: &Asking<'_>, search: &Search, after: Option<&Place>) -> Result<Page> {
        match search.resource {
            Resource::DocumentReference | Resource::List => search::search(asking, search, after),
            // The manifests themselves are read by their ids; their references are searched.
            _ => Ok(Page::count(Total::Known(0))),
        }
    }
}

/// The study of a document with its instances, if the actor may read it.
fn load(
    asking: &Asking<'_>,
    db: &mut Db,
    resource: Resource,
    id: &str,
    study: &str,
) -> Result<Study> {
    let found = read::find_studies_by_id(db, asking.ids(), &[study]).map_err(Error::from)?;
    let found = *found.first().ok_or_else(|| not_found(resource, id))?;
    if found.is_deleted {
        // Who reads the whole archive may know that it was there.
        return Err(match asking.actor.role {
            Role::Ehr | Role::ImagingIt => {
                Error::Gone { kind: resource.name(), id: id.to_owned() }.into()
            }
            Role::Researcher | Role::Steward | Role::Admin | Role::Public => {
                not_found(resource, id)
            }
        });
    }
    if !asking.state.index.read().may_read_study(asking.actor, found.number) {
        return Err(not_found(resource, id));
    }
    let studies = read::load_studies(db, &[found.number], asking.ids(), true);
    studies.map_err(Error::from)?.pop().ok_or_else(|| not_found(resource, id))
}

/// The manifest as the actor sees the study.
fn manifest(asking: &Asking<'_>, study: &Study) -> Result<Manifest> {
    of_study(&asking.state.context, study, asking.view)
        .ok_or_else(|| Error::Internal("a study has no manifest".to_owned()).into())
}

/// The FHIR encoding: the bytes of the Bundle.
fn bundle(asking: &Asking<'_>, study: &Study) -> Result<Vec<u8>> {
    let id = Part::Fhir.id(&study.public_id);
    let value = to_bundle(&asking.state.context, &manifest(asking, study)?, Some(&id));
    Ok(value.to_string().into_bytes())
}

/// The DICOM encoding: the bytes of the file.
fn file(asking: &Asking<'_>, study: &Study) -> Result<Vec<u8>> {
    let manifest = manifest(asking, study)?;
    if !manifest.is_complete() {
        return Err(no_kos());
    }
    Ok(kos::write(&asking.state.context, &manifest)?)
}

fn no_kos() -> Failure {
    Failure::unavailable(
        "the archive knows how many instances a series of this study has, and not which: its \
         manifest exists in FHIR only",
    )
}

/// The DICOM encoding as resource Binary.
fn binary(asking: &Asking<'_>, study: &Study) -> Result<Vec<u8>> {
    let mado = &asking.state.context.tables().mado;
    let id = Part::Kos.id(&study.public_id);
    let value = json!({
        "resourceType": "Binary",
        "id": id,
        "meta": {
            "versionId": study.version.to_string(),
            "lastUpdated": crate::mapping::fhir::instant(study.updated),
        },
        "contentType": mado.document.kos.content_type,
        "securityContext": { "reference": format!("DocumentReference/{id}") },
        "data": STANDARD.encode(file(asking, study)?),
    });
    Ok(value.to_string().into_bytes())
}

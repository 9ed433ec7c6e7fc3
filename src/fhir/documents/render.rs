//! DocumentReference and List of a study's manifests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha1::{Digest as _, Sha1};

use super::{Part, bundle, file, manifest, source_id};
use crate::fhir::Asking;
use crate::fhir::outcome::Result;
use crate::imaging::Study;
use crate::mapping::fhir::{ORGANISATION_ID, instant};
use crate::mapping::manifest::{Coded, Named};
use crate::mapping::manifest_write::{coding, concept_of, identifier, tidied};

/// Instances of a study up to which its documents are written to tell their size and digest:
/// of larger ones it would cost more than it tells.
pub(super) const SIZED: u64 = 100;

/// Which documents there are, and size and SHA-1 (FHIR R4 Attachment.hash) of both, where they are
/// cheap.
#[derive(Debug)]
pub(super) struct Sized {
    /// Whether there is a KOS: the archive knows every instance.
    pub(super) has_kos: bool,
    fhir: Option<(usize, String)>,
    kos: Option<(usize, String)>,
}

impl Sized {
    /// Of a study that was loaded with its instances.
    pub(super) fn of(asking: &Asking<'_>, study: &Study) -> Self {
        let has_kos = is_listed(study);
        if study.images() > SIZED {
            return Self::bare(has_kos);
        }
        let tell = |bytes: Vec<u8>| (bytes.len(), STANDARD.encode(Sha1::digest(&bytes)));
        let kos = if has_kos { file(asking, study).ok().map(tell) } else { None };
        Self { has_kos, fhir: bundle(asking, study).ok().map(tell), kos }
    }

    /// Of a study that came without its instances.
    pub(super) const fn bare(has_kos: bool) -> Self {
        Self { has_kos, fhir: None, kos: None }
    }
}

/// Whether every instance of a study is known that was loaded with them: only then there is a KOS.
pub(super) fn is_listed(study: &Study) -> bool {
    study.series.iter().all(|series| !series.instances.is_empty())
}

/// `MadoFhirDocumentReference`, `MadoDicomKosDocumentReference`.
pub(super) fn reference(
    asking: &Asking<'_>,
    study: &Study,
    part: Part,
    sized: &Sized,
) -> Result<Vec<u8>> {
    let state = asking.state;
    let mado = &state.context.tables().mado;
    let document = &mado.document;
    let manifest = manifest(asking, study)?;
    let (row, other, home, size) = match part {
        Part::Kos => (&document.kos, Part::Fhir, "Binary", &sized.kos),
        Part::Fhir | Part::Set => (&document.fhir, Part::Kos, "Bundle", &sized.fhir),
    };
    let id = part.id(&study.public_id);
    let modalities: Vec<Value> = manifest.modalities().into_iter().map(coding).collect();
    let mut extensions = vec![if modalities.is_empty() {
        json!({ "url": document.modality.url, "valueCodeableConcept": { "text": "unknown" } })
    } else {
        json!({ "url": document.modality.url, "valueCodeableConcept": { "coding": modalities } })
    }];
    if !manifest.regions.is_empty() {
        let regions: Vec<Value> = manifest.regions.iter().map(coding).collect();
        extensions.push(json!({
            "url": document.body_site.url,
            "extension": [{ "url": "concept", "valueCodeableConcept": { "coding": regions } }],
        }));
    }
    let profile = match part {
        Part::Kos => Value::Null,
        Part::Fhir | Part::Set => json!([{
            "url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-DocumentReference.content.profile",
            "extension": [{ "url": "value[x]", "valueCanonical": document.bundle_profile }],
        }]),
    };
    let master = json!({
        "use": "usual",
        "system": mado.identifier.system,
        "value": manifest.uid.to_urn(),
    });
    let study_uid = json!({
        "reference": format!("ImagingStudy/{}", study.public_id),
        "type": "ImagingStudy",
        "identifier": crate::mapping::manifest_write::study_uid(manifest.study_uid.as_str()),
    });
    // One that was made up for the manifest finds nothing.
    let orders = manifest.requests.iter().filter(|request| !request.is_generated);
    let related: Vec<Value> = std::iter::once(study_uid)
        .chain(orders.map(|request| {
            json!({
                "type": "ServiceRequest",
                "identifier": identifier(&request.accession, &mado.accession.types),
            })
        }))
        .collect();
    // Two encodings of one document, where there are two.
    let other = if sized.has_kos {
        json!([{
            "code": "transforms",
            "target": { "reference": format!("DocumentReference/{}", other.id(&study.public_id)) },
        }])
    } else {
        Value::Null
    };
    let period = match &manifest.started {
        Some(started) => json!({ "start": started.as_str() }),
        None => json!({ "_start": { "extension": [{
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "unknown",
        }] } }),
    };
    let value = json!({
        "resourceType": "DocumentReference",
        "id": id,
        "meta": meta(study, &row.profile, manifest.subject.is_pseudonymous),
        "extension": extensions,
        "masterIdentifier": master,
        "identifier": [master],
        "status": "current",
        "type": concept_of(&document.kind),
        "category": state.context.tables().document_categories().first().map(|of| [concept_of(of)]),
        "subject": { "reference": format!("Patient/{}", study.patient.public_id) },
        "date": instant(study.updated),
        "author": [organisation(&manifest.creator.organisation), device(asking)],
        "custodian": organisation(&manifest.creator.organisation),
        "relatesTo": other,
        "description": manifest.shown_title(),
        "securityLabel": [concept_of(&document.security.coding)],
        "content": [{
            "extension": profile,
            "attachment": {
                "contentType": row.content_type,
                "language": document.language,
                "url": format!("{}/{home}/{id}", state.base),
                "size": size.as_ref().map(|(size, _)| size),
                "hash": size.as_ref().map(|(_, hash)| hash),
                "title": row.title,
                "creation": manifest.created.as_str(),
            },
            "format": coding(&row.format),
        }],
        "context": {
            "period": period,
            "facilityType": concept_of(&document.facility.coding),
            "practiceSetting": concept_of(&document.practice.coding),
            "related": related,
        },
    });
    Ok(tidied(value).to_string().into_bytes())
}

/// The submission set (`IHE.MHD.Minimal.SubmissionSet`).
pub(super) fn list(asking: &Asking<'_>, study: &Study, has_kos: bool) -> Result<Vec<u8>> {
    let mado = &asking.state.context.tables().mado;
    let document = &mado.document;
    let manifest = manifest(asking, study)?;
    let entries: Vec<Value> = [Part::Fhir, Part::Kos]
        .into_iter()
        .filter(|part| has_kos || *part != Part::Kos)
        .map(|part| part.id(&study.public_id))
        .map(|id| json!({ "item": { "reference": format!("DocumentReference/{id}") } }))
        .collect();
    let source =
        Named { system: mado.identifier.system.clone(), value: source_id(asking), assigner: None };
    let value = json!({
        "resourceType": "List",
        "id": Part::Set.id(&study.public_id),
        "meta": meta(study, &document.set.profile, manifest.subject.is_pseudonymous),
        "extension": [
            {
                "url": document.set.designation,
                "valueCodeableConcept": concept_of(&document.kind),
            },
            { "url": document.set.source, "valueIdentifier": identifier(&source, &[]) },
        ],
        "identifier": [{
            "use": "usual",
            "system": mado.identifier.system,
            "value": manifest.uid.to_urn(),
        }],
        "status": "current",
        "mode": "working",
        "title": manifest.shown_title(),
        "code": concept_of(&Coded { display: None, ..document.set.code.clone() }),
        "subject": { "reference": format!("Patient/{}", study.patient.public_id) },
        "date": instant(study.updated),
        "source": device(asking),
        "entry": entries,
    });
    Ok(tidied(value).to_string().into_bytes())
}

fn meta(study: &Study, profile: &str, is_pseudonymous: bool) -> Value {
    let label = json!([{
        "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
        "code": "PSEUDED",
        "display": "pseudonymized",
    }]);
    json!({
        "versionId": study.version.to_string(),
        "lastUpdated": instant(study.updated),
        "profile": [profile],
        "security": if is_pseudonymous { label } else { Value::Null },
    })
}

fn organisation(name: &str) -> Value {
    json!({
        "reference": format!("Organization/{ORGANISATION_ID}"),
        "type": "Organization",
        "display": name,
    })
}

fn device(asking: &Asking<'_>) -> Value {
    let row = &asking.state.context.tables().mado.device;
    json!({ "type": "Device", "display": format!("{} {}", row.name, env!("CARGO_PKG_VERSION")) })
}

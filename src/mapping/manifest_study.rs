//! The manifest of a stored study.
//!
//! Facts come from the resources that the rows of `mappings/` render for the reader's view, so
//! that a manifest never says more of a study than its ImagingStudy does, nor anything else. Only
//! what FHIR's ImagingStudy has no place for is added, and only in care: order numbers, the
//! issuer's own name, the name of the referrer as it is written.

use serde_json::Value;

use super::Context;
use super::fhir::{ENDPOINT_ID, View, render_endpoint, render_patient, render_study};
use super::identifier::universal;
use super::manifest::{Concept, Creator, Manifest, Named, Request, When, derived_uid};
use super::manifest_read::{Resources, imaging_study, owned, patient_of};
use crate::imaging::{Attributes, Study, Uid};

/// The manifest of a study that was loaded with its instances. `None` for a row that cannot be
/// rendered, which the store does not hold.
#[must_use]
pub fn of_study(context: &Context, study: &Study, view: View) -> Option<Manifest> {
    let rendered = render_study(context, study, view).with_instances(context, study, view);
    let resource: Value = serde_json::from_slice(&rendered).ok()?;
    let patient: Value =
        serde_json::from_slice(&render_patient(context, &study.patient, view)).ok()?;
    let endpoint: Value = serde_json::from_slice(&render_endpoint(context)).ok()?;
    let mut resources = Resources::new();
    resources.add(&format!("Endpoint/{ENDPOINT_ID}"), &endpoint);
    let mut manifest = imaging_study(context, &resource, &resources).ok()?;
    manifest.uid = document_uid(context, study);
    manifest.created = When::of_instant(study.updated, context.time_zone());
    manifest.creator = creator(context);
    manifest.subject = patient_of(context, &patient);
    // A study may be described before its patient: the resource names the subject by id.
    manifest.subject.is_pseudonymous |= view == View::Pseudonymous;
    for series in &mut manifest.series {
        series.retrieve.location = Some(context.retrieve_location().as_str().to_owned());
    }
    if view != View::Pseudonymous {
        complete(context, study, &mut manifest);
    }
    if manifest.requests.is_empty() && context.tables().mado.accession.generate {
        manifest.requests.push(generated(context, &manifest.study_uid));
    }
    Some(manifest)
}

/// Identifier of the document of a version of a study: the same for both encodings. It is made
/// of the study's logical id, which depends on the node's keys and the reader's purpose, and of
/// the version, so that a search finds the study by it.
#[must_use]
pub fn document_uid(context: &Context, study: &Study) -> Uid {
    let own = u128::from_str_radix(&study.public_id, 16)
        .ok()
        .and_then(|id| Uid::parse(&format!("2.25.{id}.{}", study.version)).ok());
    // Logical ids are 32 hexadecimal digits; whatever else one were, there is a document.
    own.unwrap_or_else(|| {
        let key = context.derived_key("manifests");
        derived_uid(&key, &["document", &study.public_id, &study.version.to_string()])
    })
}

/// The logical id and the version of a study whose document has that identifier.
#[must_use]
pub fn study_of_document(uid: &str) -> Option<(String, i32)> {
    let (id, version) = uid.strip_prefix("2.25.")?.split_once('.')?;
    Some((format!("{:032x}", id.parse::<u128>().ok()?), version.parse().ok()?))
}

impl Context {
    /// By what others know the archive's retrieval service (Retrieve Location UID).
    #[must_use]
    pub fn retrieve_location(&self) -> Uid {
        match Uid::parse(&self.0.retrieve_location) {
            Ok(uid) if !self.0.retrieve_location.is_empty() => uid,
            _ => derived_uid(&self.derived_key("manifests"), &["retrieve location"]),
        }
    }
}

/// MADO's absent case: a study without an accession number gets one in its manifest.
fn generated(context: &Context, study_uid: &Uid) -> Request {
    let uid = derived_uid(&context.derived_key("manifests"), &["accession", study_uid.as_str()]);
    // SH holds 16 characters.
    let tail = uid.as_str().len().saturating_sub(15);
    Request {
        accession: Named {
            system: context.system_below("accession", "generated"),
            value: format!("V{}", uid.as_str().get(tail..).unwrap_or_default()),
            assigner: None,
        },
        is_generated: true,
        ..Request::default()
    }
}

fn creator(context: &Context) -> Creator {
    let holder = &context.0.organisation;
    let row = &context.tables().mado.device;
    let name = [&holder.name, &context.0.archive].into_iter().find(|name| !name.is_empty());
    let iri = match holder.iri.as_str() {
        "" => context.local_system("organisation", super::fhir::ORGANISATION_ID),
        iri => iri.to_owned(),
    };
    Creator {
        organisation: name.map_or("Imaging archive", String::as_str).to_owned(),
        identifier: Some(Named {
            system: "urn:ietf:rfc:3986".to_owned(),
            value: iri,
            assigner: None,
        }),
        manufacturer: Some(row.manufacturer.clone()),
        device: Some(row.name.clone()),
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
    }
}

/// What the resources have no place for.
fn complete(context: &Context, study: &Study, manifest: &mut Manifest) {
    let bag = &study.attributes;
    if let Some(name) = bag.first("ReferringPhysicianName") {
        manifest.referrer = Some(name.to_owned());
    }
    let patient = &study.patient.attributes;
    if let (Some(first), Some(issuer)) =
        (manifest.subject.identifiers.first_mut(), patient.first("IssuerOfPatientID"))
    {
        let is_said = first.system == issuer || first.system.ends_with(&format!("/{issuer}"));
        first.assigner = Some(issuer.to_owned()).filter(|_| !is_said);
    }
    for item in bag.items("ReferencedRequestSequence") {
        let accession = item.first("AccessionNumber").or_else(|| bag.first("AccessionNumber"));
        let Some(request) = manifest
            .requests
            .iter_mut()
            .find(|one| Some(one.accession.value.as_str()) == accession)
        else {
            continue;
        };
        request.placer = order_number(
            context,
            item,
            "placer",
            "PlacerOrderNumberImagingServiceRequest",
            "OrderPlacerIdentifierSequence",
        );
        request.filler = order_number(
            context,
            item,
            "filler",
            "FillerOrderNumberImagingServiceRequest",
            "OrderFillerIdentifierSequence",
        );
        let codings: Vec<_> = item
            .items("RequestedProcedureCodeSequence")
            .iter()
            .filter_map(|code| context.coded(code))
            .collect();
        let text = item.text("RequestedProcedureDescription").and_then(|text| owned(&text.into()));
        request.code = (!codings.is_empty() || text.is_some()).then_some(Concept { codings, text });
    }
    let viewer = &context.0.viewer_url;
    if !viewer.is_empty() {
        let uid = manifest.study_uid.as_str();
        manifest.viewers.push(viewer.replace("{StudyInstanceUID}", uid));
    }
}

/// An order number with its issuer.
#[must_use]
pub fn order_number(
    context: &Context,
    item: &Attributes,
    kind: &str,
    number: &str,
    issuer: &str,
) -> Option<Named> {
    let value = item.first(number)?.to_owned();
    let issuer = item.items(issuer).first();
    let universal = issuer.and_then(|issuer| {
        let id = issuer.first("UniversalEntityID").unwrap_or("");
        universal(id, issuer.first("UniversalEntityIDType").unwrap_or(""))
    });
    let local = || {
        let name = issuer.and_then(|issuer| issuer.first("LocalNamespaceEntityID"));
        context.local_system(kind, name.unwrap_or(""))
    };
    Some(Named { system: universal.unwrap_or_else(local), value, assigner: None })
}

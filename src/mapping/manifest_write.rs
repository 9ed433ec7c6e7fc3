//! A manifest in its FHIR encoding: `MadoFhirBundle`, a document.
//!
//! Full URLs are UUIDs that are derived from the document's own identifier: the same manifest
//! always has the same bytes. No entry has an id of its own: none is served under one.

use serde_json::{Map, Value, json};

use super::Context;
use super::fhir::{absent, tidy};
use super::mado::Representation;
use super::manifest::{Coded, Concept, Manifest, ManifestSeries, Named, Request, derived_uid};
use super::person::{human_names, names};

const SUBJECT: &str = "Patient";
const STUDY: &str = "ImagingStudy";
const DEVICE: &str = "Device";
const ORGANISATION: &str = "Organization";

/// The document Bundle. `id` is its logical id where it is served under one.
#[must_use]
pub fn to_bundle(context: &Context, manifest: &Manifest, id: Option<&str>) -> Value {
    Writer { context, manifest }.bundle(id)
}

struct Writer<'a> {
    context: &'a Context,
    manifest: &'a Manifest,
}

/// As FHIR writes it.
#[must_use]
pub fn coding(code: &Coded) -> Value {
    let mut coding = Map::new();
    for (key, text) in [
        ("system", Some(code.system.as_str())),
        ("code", Some(code.code.as_str())),
        ("display", code.display.as_deref()),
    ] {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            coding.insert(key.to_owned(), text.into());
        }
    }
    coding.into()
}

/// As FHIR writes it.
#[must_use]
pub fn concept_of(code: &Coded) -> Value {
    json!({ "coding": [coding(code)] })
}

fn concept(concept: &Concept) -> Value {
    json!({ "coding": concept.codings.iter().map(coding).collect::<Vec<_>>(), "text": concept.text })
}

/// As FHIR writes it.
#[must_use]
pub fn identifier(named: &Named, types: &[Coded]) -> Value {
    json!({
        "type": { "coding": types.iter().map(coding).collect::<Vec<_>>() },
        "system": named.system,
        "value": named.value,
        "assigner": { "display": named.assigner },
    })
}

/// Narrative: a table of names and values (XHTML of R4 narrative.html).
fn narrative(title: &str, rows: &[(&str, String)]) -> Value {
    let mut div = "<div xmlns=\"http://www.w3.org/1999/xhtml\">".to_owned();
    let escape = |text: &str| {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
    };
    if !title.is_empty() {
        div.push_str(&format!("<p><b>{}</b></p>", escape(title)));
    }
    div.push_str("<table><tbody>");
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        div.push_str(&format!("<tr><td>{}</td><td>{}</td></tr>", escape(name), escape(value)));
    }
    div.push_str("</tbody></table></div>");
    json!({ "status": "generated", "div": div })
}

impl Writer<'_> {
    fn url(&self, part: &str) -> String {
        let uid = derived_uid(b"MADO entry", &[self.manifest.uid.as_str(), part]);
        let number = uid.as_str().strip_prefix("2.25.").and_then(|text| text.parse::<u128>().ok());
        let hex = format!("{:032x}", number.unwrap_or_default());
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!(
            "urn:uuid:{}-{}-{}-{}-{}",
            part(0, 8),
            part(8, 12),
            part(12, 16),
            part(16, 20),
            part(20, 32)
        )
    }

    fn reference(&self, part: &str, kind: &str) -> Value {
        json!({ "reference": self.url(part), "type": kind })
    }

    fn bundle(&self, id: Option<&str>) -> Value {
        let manifest = self.manifest;
        let mado = &self.context.tables().mado;
        let mut entries = vec![
            ("Composition".to_owned(), self.composition()),
            (STUDY.to_owned(), self.study()),
            (SUBJECT.to_owned(), self.patient()),
            (DEVICE.to_owned(), self.device()),
            (ORGANISATION.to_owned(), self.organisation()),
        ];
        for (at, series) in manifest.series.iter().enumerate() {
            let name = self.endpoint_of(at);
            if !entries.iter().any(|(known, _)| *known == name) {
                entries.push((name, self.endpoint(series)));
            }
        }
        for (at, viewer) in manifest.viewers.iter().enumerate() {
            entries.push((format!("Viewer/{at}"), viewer_endpoint(viewer)));
        }
        for (at, request) in manifest.requests.iter().enumerate() {
            entries.push((format!("ServiceRequest/{at}"), self.request(request)));
        }
        let entries: Vec<Value> = entries
            .into_iter()
            .map(|(part, mut resource)| {
                tidy(&mut resource);
                json!({ "fullUrl": self.url(&part), "resource": resource })
            })
            .collect();
        let mut bundle = json!({
            "resourceType": "Bundle",
            "id": id,
            "meta": {
                "profile": [mado.document.bundle_profile],
                "security": self.security(),
            },
            "identifier": self.document_identifier(),
            "type": "document",
            "timestamp": manifest.created.as_str(),
            "entry": entries,
        });
        tidy(&mut bundle);
        bundle
    }

    fn security(&self) -> Value {
        if !self.manifest.subject.is_pseudonymous {
            return Value::Null;
        }
        json!([{
            "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
            "code": "PSEUDED",
            "display": "pseudonymized",
        }])
    }

    fn document_identifier(&self) -> Value {
        let system = &self.context.tables().mado.identifier.system;
        json!({ "system": system, "value": self.manifest.uid.to_urn() })
    }

    fn composition(&self) -> Value {
        let manifest = self.manifest;
        let document = &self.context.tables().mado.document;
        let title = manifest.shown_title();
        let modalities: Vec<&str> = manifest.modalities().iter().map(|m| m.code.as_str()).collect();
        let sections: Vec<Value> = manifest
            .series
            .iter()
            .enumerate()
            .map(|(at, series)| {
                let number = series.number.map_or_else(|| (at + 1).to_string(), |n| n.to_string());
                let site = series.body_site.as_ref().and_then(|site| site.display.clone());
                json!({
                    "title": format!("Series {number}"),
                    "text": narrative("", &[
                        ("Series Instance UID", series.uid.as_str().to_owned()),
                        ("Modality", series.modality.as_ref().map(|m| m.code.clone()).unwrap_or_default()),
                        ("Body site", site.unwrap_or_default()),
                        ("Started", series.started.as_ref().map(|w| w.as_str().to_owned()).unwrap_or_default()),
                        ("Description", series.description.clone().unwrap_or_default()),
                        ("Number of instances", series.count.to_string()),
                    ]),
                    "entry": [self.reference(&self.endpoint_of(at), "Endpoint")],
                })
            })
            .collect();
        json!({
            "resourceType": "Composition",
            "language": document.language,
            "text": narrative(&title, &[
                ("Study Instance UID", manifest.study_uid.as_str().to_owned()),
                ("Started", manifest.started.as_ref().map(|w| w.as_str().to_owned()).unwrap_or_default()),
                ("Modalities", modalities.join(", ")),
                ("Number of series", manifest.series.len().to_string()),
                ("Manifest made", manifest.created.as_str().to_owned()),
                ("By", manifest.creator.organisation.clone()),
            ]),
            "identifier": self.document_identifier(),
            "status": document.status,
            "type": concept_of(&document.kind),
            "category": self.context.tables().document_categories().first().map(|of| [concept_of(of)]),
            "subject": self.reference(SUBJECT, "Patient"),
            "date": manifest.created.as_str(),
            "author": [self.reference(DEVICE, "Device"), self.reference(ORGANISATION, "Organization")],
            "title": title,
            "event": [{ "detail": [self.reference(STUDY, "ImagingStudy")] }],
            "section": sections,
        })
    }

    fn study(&self) -> Value {
        let manifest = self.manifest;
        let mado = &self.context.tables().mado;
        let mut extensions = Vec::new();
        for region in &manifest.regions {
            for url in &mado.region.extensions {
                extensions.push(json!({ "url": url, "valueCodeableConcept": concept_of(region) }));
            }
        }
        let orders: Vec<Value> = manifest
            .requests
            .iter()
            .enumerate()
            .map(|(at, request)| {
                let mut order = self.reference(&format!("ServiceRequest/{at}"), "ServiceRequest");
                order["identifier"] = identifier(&request.accession, &mado.accession.types);
                order
            })
            .collect();
        let mut procedures: Vec<Value> = manifest.procedures.iter().map(concept).collect();
        let has_words = manifest.procedures.iter().any(|known| {
            known.text.is_some() || known.codings.iter().any(|code| code.display.is_some())
        });
        if !has_words {
            // mado-reqproc-1: text or display must say what was done.
            let words = manifest.description.clone().unwrap_or_else(|| manifest.shown_title());
            match procedures.first_mut() {
                Some(first) => first["text"] = words.into(),
                None => procedures.push(json!({ "text": words })),
            }
        }
        let viewers = (0..manifest.viewers.len())
            .map(|at| self.reference(&format!("Viewer/{at}"), "Endpoint"))
            .collect::<Vec<_>>();
        let referrer = manifest.referrer.as_ref().and_then(|name| {
            let (_, name) = names(name).next()?;
            Some(json!({ "type": "Practitioner", "display": name.to_text() }))
        });
        let count: u64 = manifest.series.iter().map(|series| u64::from(series.count)).sum();
        json!({
            "resourceType": "ImagingStudy",
            "extension": extensions,
            "identifier": [super::identifier::study_uid(manifest.study_uid.as_str())],
            "status": "available",
            "modality": manifest.modalities().into_iter().map(coding).collect::<Vec<_>>(),
            "subject": self.reference(SUBJECT, "Patient"),
            "started": manifest.started.as_ref().map(|when| when.as_str()),
            "basedOn": orders,
            "referrer": referrer,
            "endpoint": viewers,
            "numberOfSeries": manifest.series.len(),
            "numberOfInstances": count,
            "procedureCode": procedures,
            "description": manifest.description,
            "series": manifest.series.iter().enumerate().map(|(at, series)| self.series(at, series)).collect::<Vec<_>>(),
        })
    }

    fn series(&self, at: usize, series: &ManifestSeries) -> Value {
        let mado = &self.context.tables().mado;
        let mut instances: Vec<Value> = series
            .instances
            .iter()
            .map(|instance| {
                let mut extensions = Vec::new();
                for url in instance.frames.map_or(&[][..], |_| &mado.frames.extensions) {
                    extensions.push(json!({ "url": url, "valueInteger": instance.frames }));
                }
                if let (Some(title), Representation::Extension) =
                    (&instance.key_title, mado.key_object.representation)
                {
                    extensions.push(json!({
                        "url": mado.key_object.extension,
                        "valueCodeableConcept": concept_of(title),
                    }));
                }
                json!({
                    "extension": extensions,
                    "uid": instance.uid.as_str(),
                    "sopClass": { "system": mado.sop_class.system, "code": instance.sop_class.to_urn() },
                    "number": instance.number,
                    "title": instance.title,
                })
            })
            .collect();
        if instances.is_empty() {
            // An archive that was read from a table of series knows how many, and not which.
            instances.push(json!({
                "_uid": { "extension": [absent("unknown")] },
                "sopClass": { "extension": [absent("unknown")] },
            }));
        }
        let modality = match &series.modality {
            Some(modality) => coding(modality),
            None => json!({ "extension": [absent("unknown")] }),
        };
        json!({
            "uid": series.uid.as_str(),
            "number": series.number,
            "modality": modality,
            "description": series.description,
            "numberOfInstances": series.count,
            "endpoint": [self.reference(&self.endpoint_of(at), "Endpoint")],
            "bodySite": series.body_site.as_ref().map(coding),
            "laterality": series.laterality.as_ref().map(coding),
            "started": series.started.as_ref().map(|when| when.as_str()),
            "instance": instances,
        })
    }

    /// The endpoint of a series: the first that has the same.
    fn endpoint_of(&self, at: usize) -> String {
        let all = &self.manifest.series;
        let own = all.get(at).map(|series| (&series.retrieve.url, &series.retrieve.location));
        let first = all
            .iter()
            .position(|other| Some((&other.retrieve.url, &other.retrieve.location)) == own);
        format!("Endpoint/{}", first.unwrap_or(at))
    }

    fn endpoint(&self, series: &ManifestSeries) -> Value {
        let row = &self.context.tables().mado.retrieve;
        let retrieve = &series.retrieve;
        let location = match &retrieve.location {
            Some(location) => json!({ "url": row.extension, "valueString": location }),
            None => json!({
                "url": row.extension,
                "_valueString": { "extension": [absent("unknown")] },
            }),
        };
        let mut endpoint = json!({
            "resourceType": "Endpoint",
            "extension": [location],
            "status": "active",
            "connectionType": {
                "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
                "code": "dicom-wado-rs",
                "display": "DICOM WADO-RS",
            },
            "name": "WADO-RS",
            "payloadType": [{
                "coding": [payload_none()],
                "text": "DICOM WADO-RS",
            }],
            "payloadMimeType": row.mime_types,
        });
        match &retrieve.url {
            Some(url) => endpoint["address"] = url.as_str().into(),
            None => {
                endpoint["address"] = row.unknown_address.as_str().into();
                endpoint["_address"] = json!({ "extension": [absent("unknown")] });
            }
        }
        endpoint
    }

    fn patient(&self) -> Value {
        let subject = &self.manifest.subject;
        let identifiers: Vec<Value> = subject
            .identifiers
            .iter()
            .map(|named| {
                let mut value = super::identifier::patient(&named.system, &named.value);
                value["assigner"] = json!({ "display": named.assigner });
                value
            })
            .collect();
        let is_nobody = identifiers.is_empty()
            && subject.name.is_none()
            && subject.gender.is_none()
            && subject.birth.is_none();
        json!({
            "resourceType": "Patient",
            "meta": { "security": self.security() },
            "identifier": identifiers,
            "name": match &subject.name {
                Some(name) => json!(human_names(name)),
                // A resource that says nothing is none (R4 invariants ele-1 and bdl-5).
                None if is_nobody => json!([{ "extension": [absent("unknown")] }]),
                None => Value::Null,
            },
            "gender": subject.gender,
            "birthDate": subject.birth,
        })
    }

    fn device(&self) -> Value {
        let creator = &self.manifest.creator;
        let row = &self.context.tables().mado.device;
        json!({
            "resourceType": "Device",
            "manufacturer": creator.manufacturer,
            "deviceName": creator.device.as_ref().map(|name| json!([{ "name": name, "type": "user-friendly-name" }])),
            "type": concept_of(&row.kind),
            "version": creator.version.as_ref().map(|version| json!([{ "value": version }])),
            "owner": self.reference(ORGANISATION, "Organization"),
        })
    }

    fn organisation(&self) -> Value {
        let creator = &self.manifest.creator;
        let name = Some(creator.organisation.as_str()).filter(|name| !name.is_empty());
        json!({
            "resourceType": "Organization",
            "identifier": creator.identifier.as_ref().map(|named| json!([identifier(named, &[])])),
            "name": name.unwrap_or("Imaging archive"),
        })
    }

    fn request(&self, request: &Request) -> Value {
        let mado = &self.context.tables().mado;
        let mut identifiers = vec![identifier(&request.accession, &mado.accession.types)];
        for (named, row) in [(&request.placer, &mado.placer), (&request.filler, &mado.filler)] {
            identifiers.extend(
                named.iter().map(|named| identifier(named, std::slice::from_ref(&row.kind))),
            );
        }
        json!({
            "resourceType": "ServiceRequest",
            "identifier": identifiers,
            "status": "completed",
            "intent": "order",
            "category": [concept_of(&mado.request.category)],
            "code": request.code.as_ref().map(concept),
            "subject": self.reference(SUBJECT, "Patient"),
        })
    }
}

fn payload_none() -> Value {
    json!({
        "system": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type",
        "code": "none",
        "display": "None",
    })
}

/// `MadoWebViewerEndpoint`.
fn viewer_endpoint(url: &str) -> Value {
    json!({
        "resourceType": "Endpoint",
        "status": "active",
        "connectionType": {
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "ihe-iid",
            "display": "IHE IID",
        },
        "name": "Web viewer",
        "payloadType": [{ "coding": [payload_none()] }],
        "payloadMimeType": ["text/html"],
        "address": url,
    })
}

/// The Study Instance UID as an identifier.
#[must_use]
pub fn study_uid(uid: &str) -> Value {
    super::identifier::study_uid(uid)
}

/// Without what is empty (R4, invariant ele-1).
#[must_use]
pub fn tidied(mut value: Value) -> Value {
    tidy(&mut value);
    value
}

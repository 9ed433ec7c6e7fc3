//! A manifest from its FHIR encoding: the document Bundle of IHE RAD MADO (`MadoFhirBundle`).
//!
//! The input is a stranger's: whatever is missing, of the wrong type or refers to nothing is
//! either left out, where MADO lets it be absent, or refused with its place. References are
//! resolved as R4 bundle.html says (by `fullUrl`), and more leniently by `Type/id`, because the
//! published examples have full URLs that are no absolute URIs.

use std::collections::HashMap;

use serde_json::Value;

use super::Context;
use super::manifest::{
    Coded, Concept, Creator, Manifest, ManifestInstance, ManifestSeries, Named, NotAManifest,
    Request, Retrieve, Subject, When, derived_uid,
};
use crate::imaging::Uid;

type Read<T> = Result<T, NotAManifest>;

/// Instances of a study that a manifest may list.
const INSTANCES: usize = 200_000;

fn refuse<T>(at: impl Into<String>, reason: impl Into<String>) -> Read<T> {
    Err(NotAManifest::new(at, reason))
}

pub(super) fn text(value: &Value) -> Option<&str> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty())
}

pub(super) fn owned(value: &Value) -> Option<String> {
    text(value).map(str::to_owned)
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn coding(value: &Value) -> Option<Coded> {
    Some(Coded {
        system: owned(&value["system"]).unwrap_or_default(),
        code: owned(&value["code"])?,
        display: owned(&value["display"]),
    })
}

fn concept(value: &Value) -> Option<Concept> {
    let codings: Vec<Coded> = list(&value["coding"]).iter().filter_map(coding).collect();
    let words = || list(&value["coding"]).iter().find_map(|one| owned(&one["display"]));
    let known = owned(&value["text"]).or_else(|| if codings.is_empty() { words() } else { None });
    (!codings.is_empty() || known.is_some()).then_some(Concept { codings, text: known })
}

/// An identifier; one without a system belongs to a system below the public URL.
fn named(context: &Context, value: &Value, kind: &str) -> Option<Named> {
    Some(Named {
        system: owned(&value["system"]).unwrap_or_else(|| context.system_below(kind, "")),
        value: owned(&value["value"])?,
        assigner: owned(&value["assigner"]["display"]),
    })
}

fn has_type(value: &Value, types: &[Coded]) -> bool {
    list(&value["type"]["coding"]).iter().filter_map(coding).any(|found| {
        types.iter().any(|known| known.system == found.system && known.code == found.code)
    })
}

/// A UID, with or without `urn:oid:`.
fn uid(value: &Value) -> Option<Uid> {
    let text = text(value)?;
    Uid::parse_lenient(text.strip_prefix("urn:oid:").unwrap_or(text)).ok()
}

fn unsigned(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

/// Resources by the references that find them.
pub(super) struct Resources<'a>(HashMap<String, &'a Value>);

impl<'a> Resources<'a> {
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    fn of(entries: &'a [Value]) -> Self {
        let mut found = HashMap::new();
        for entry in entries {
            let resource = &entry["resource"];
            if let Some(url) = text(&entry["fullUrl"]) {
                found.entry(url.to_owned()).or_insert(resource);
            }
            if let (Some(kind), Some(id)) = (text(&resource["resourceType"]), text(&resource["id"]))
            {
                found.entry(format!("{kind}/{id}")).or_insert(resource);
            }
        }
        Self(found)
    }

    pub(super) fn add(&mut self, reference: &str, resource: &'a Value) {
        self.0.insert(reference.to_owned(), resource);
    }

    fn find(&self, reference: &Value) -> Option<&'a Value> {
        let text = text(&reference["reference"])?;
        self.0.get(text).copied()
    }
}

/// Reads a manifest.
///
/// # Errors
/// With the place, when the Bundle is no MADO manifest.
pub fn from_bundle(context: &Context, bundle: &Value) -> Read<Manifest> {
    if text(&bundle["resourceType"]) != Some("Bundle") {
        return refuse("Bundle", "the resource is no Bundle");
    }
    if text(&bundle["type"]) != Some("document") {
        return refuse("Bundle.type", "a MADO manifest is a Bundle of type `document`");
    }
    let entries = list(&bundle["entry"]);
    let of_kind = |kind: &str| -> Vec<&Value> {
        let all = entries.iter().map(|entry| &entry["resource"]);
        all.filter(|resource| text(&resource["resourceType"]) == Some(kind)).collect()
    };
    let composition = match of_kind("Composition").as_slice() {
        [one] => *one,
        other => {
            let found = other.len();
            return refuse("Bundle.entry", format!("one Composition is needed, {found} are there"));
        }
    };
    let first = entries.first().map(|entry| &entry["resource"]["resourceType"]);
    if first.and_then(text) != Some("Composition") {
        return refuse("Bundle.entry[0]", "a document begins with its Composition (R4 bdl-11)");
    }
    let study = match of_kind("ImagingStudy").as_slice() {
        [one] => *one,
        other => {
            let found = other.len();
            return refuse(
                "Bundle.entry",
                format!("one ImagingStudy is needed, {found} are there"),
            );
        }
    };
    let resources = Resources::of(entries);
    let created = [&composition["date"], &bundle["timestamp"]]
        .into_iter()
        .filter_map(text)
        .find_map(When::parse)
        .filter(|when| when.offset().is_some());
    let Some(created) = created else {
        return refuse("Bundle.timestamp", "no date and time says when the manifest was made");
    };
    let mut manifest = imaging_study(context, study, &resources)?;
    manifest.uid = document_uid(&bundle["identifier"], &composition["identifier"])?;
    manifest.created = created;
    manifest.title = owned(&composition["title"]);
    manifest.creator = creator(context, composition, &resources, &of_kind("Device"));
    let subject = resources
        .find(&study["subject"])
        .or_else(|| resources.find(&composition["subject"]))
        .or_else(|| of_kind("Patient").into_iter().next());
    if let Some(patient) = subject {
        manifest.subject = patient_of(context, patient);
    } else if let Some(id) = named(context, &study["subject"]["identifier"], "patient") {
        manifest.subject.identifiers = vec![id];
    }
    Ok(manifest)
}

/// The identifier of a document: its OID, or an OID that is derived from whatever it is.
fn document_uid(bundle: &Value, composition: &Value) -> Read<Uid> {
    for identifier in [bundle, composition] {
        let Some(value) = text(&identifier["value"]) else { continue };
        if let Ok(uid) = Uid::parse(value.strip_prefix("urn:oid:").unwrap_or(value)) {
            return Ok(uid);
        }
        let system = text(&identifier["system"]).unwrap_or("");
        return Ok(derived_uid(b"MADO document", &[system, value]));
    }
    refuse("Bundle.identifier", "a document has an identifier (R4 bdl-9)")
}

fn creator(
    context: &Context,
    composition: &Value,
    resources: &Resources<'_>,
    devices: &[&Value],
) -> Creator {
    let authors: Vec<&Value> =
        list(&composition["author"]).iter().filter_map(|author| resources.find(author)).collect();
    let author = |kind: &str| {
        authors.iter().copied().find(|author| text(&author["resourceType"]) == Some(kind))
    };
    let mut creator = Creator::default();
    let device = author("Device").or_else(|| devices.first().copied());
    if let Some(device) = device {
        creator.manufacturer = owned(&device["manufacturer"]);
        creator.device = list(&device["deviceName"]).iter().find_map(|name| owned(&name["name"]));
        creator.version = list(&device["version"]).iter().find_map(|row| owned(&row["value"]));
    }
    let owner = device.and_then(|device| resources.find(&device["owner"]));
    if let Some(organisation) = author("Organization").or(owner) {
        creator.organisation = owned(&organisation["name"]).unwrap_or_default();
        creator.identifier = list(&organisation["identifier"])
            .iter()
            .find_map(|identifier| named(context, identifier, "organisation"));
    }
    creator
}

/// Name, birth date, gender and identifiers of a Patient.
pub(super) fn patient_of(context: &Context, patient: &Value) -> Subject {
    let labels = list(&patient["meta"]["security"]);
    let is_pseudonymous = labels.iter().any(|label| text(&label["code"]) == Some("PSEUDED"));
    let groups = ["ABC", "IDE", "SYL"].map(|representation| {
        list(&patient["name"]).iter().find_map(|name| {
            let own = list(&name["extension"]).iter().find_map(|extension| {
                text(&extension["url"])?.ends_with("iso21090-EN-representation").then_some(())?;
                text(&extension["valueCode"])
            });
            (own.unwrap_or("ABC") == representation).then(|| person_name(name)).flatten()
        })
    });
    let mut name = groups.map(Option::unwrap_or_default).join("=");
    name.truncate(name.trim_end_matches('=').len());
    Subject {
        identifiers: list(&patient["identifier"])
            .iter()
            .filter_map(|identifier| named(context, identifier, "patient"))
            .collect(),
        name: Some(name).filter(|name| !name.is_empty()),
        birth: text(&patient["birthDate"])
            .and_then(When::parse)
            .filter(|when| when.offset().is_none())
            .map(|when| when.as_str().to_owned()),
        gender: owned(&patient["gender"]),
        is_pseudonymous,
    }
}

/// HumanName → one component group of PN.
fn person_name(name: &Value) -> Option<String> {
    let plain = |text: &str| text.replace(['^', '=', '\\'], " ");
    let joined = |key: &str, skip: usize| {
        let all: Vec<String> =
            list(&name[key]).iter().skip(skip).filter_map(text).map(plain).collect();
        all.join(" ")
    };
    let given = list(&name["given"]).first().and_then(text).map(plain).unwrap_or_default();
    let family = text(&name["family"]).map(plain).unwrap_or_default();
    let parts = [family, given, joined("given", 1), joined("prefix", 0), joined("suffix", 0)];
    let mut group = parts.join("^");
    group.truncate(group.trim_end_matches('^').len());
    if group.is_empty() {
        group = text(&name["text"]).map(plain)?;
    }
    Some(group)
}

/// What an ImagingStudy says; the rest of the manifest is empty.
pub(super) fn imaging_study(
    context: &Context,
    study: &Value,
    resources: &Resources<'_>,
) -> Read<Manifest> {
    let mado = &context.tables().mado;
    let own = list(&study["identifier"])
        .iter()
        .find(|identifier| text(&identifier["system"]) == Some("urn:dicom:uid"))
        .and_then(|identifier| uid(&identifier["value"]));
    let Some(study_uid) = own else {
        return refuse("ImagingStudy.identifier", "no identifier of system urn:dicom:uid");
    };
    let mut series = Vec::new();
    let mut count = 0;
    for (at, one) in list(&study["series"]).iter().enumerate() {
        let one = series_of(context, one, resources, &format!("ImagingStudy.series[{at}]"))?;
        count += one.instances.len();
        if count > INSTANCES {
            return refuse("ImagingStudy.series", format!("more than {INSTANCES} instances"));
        }
        series.push(one);
    }
    let mut requests: Vec<Request> = Vec::new();
    for order in list(&study["basedOn"]) {
        let request = request_of(context, order, resources.find(order));
        requests.extend(request.filter(|request| !requests.contains(request)));
    }
    let mut regions: Vec<Coded> = Vec::new();
    for extension in list(&study["extension"]) {
        let is_region =
            mado.region.extensions.iter().any(|url| text(&extension["url"]) == Some(url));
        let found = list(&extension["valueCodeableConcept"]["coding"]).iter().find_map(coding);
        if let Some(region) = found.filter(|_| is_region)
            && !regions.iter().any(|known| known.code == region.code)
        {
            regions.push(region);
        }
    }
    let mut viewers = Vec::new();
    for endpoint in list(&study["endpoint"]).iter().filter_map(|one| resources.find(one)) {
        let is_page = list(&endpoint["payloadMimeType"]).iter().any(|kind| *kind == "text/html");
        viewers.extend(owned(&endpoint["address"]).filter(|_| is_page));
    }
    Ok(Manifest {
        uid: study_uid.clone(),
        created: When::of_instant(0, None),
        title: None,
        creator: Creator::default(),
        subject: Subject::default(),
        study_uid,
        started: text(&study["started"]).and_then(When::parse),
        description: owned(&study["description"]),
        requests,
        procedures: list(&study["procedureCode"]).iter().filter_map(concept).collect(),
        referrer: owned(&study["referrer"]["display"])
            .map(|name| name.replace(['^', '=', '\\'], " ")),
        regions,
        viewers,
        series,
    })
}

/// The order that `basedOn` names: by its ServiceRequest, or by its identifier alone.
fn request_of(context: &Context, order: &Value, resource: Option<&Value>) -> Option<Request> {
    let mado = &context.tables().mado;
    let own = std::slice::from_ref(&order["identifier"]);
    let all = resource.map_or(&[][..], |resource| list(&resource["identifier"]));
    let find = |types: &[Coded], kind: &str| {
        all.iter()
            .chain(own)
            .find(|identifier| has_type(identifier, types))
            .and_then(|identifier| named(context, identifier, kind))
    };
    let accession = find(&mado.accession.types, "accession")?;
    let generated = context.system_below("accession", "generated");
    Some(Request {
        is_generated: accession.system == generated,
        accession,
        placer: find(std::slice::from_ref(&mado.placer.kind), "placer"),
        filler: find(std::slice::from_ref(&mado.filler.kind), "filler"),
        code: resource.and_then(|resource| concept(&resource["code"])),
    })
}

fn series_of(
    context: &Context,
    series: &Value,
    resources: &Resources<'_>,
    at: &str,
) -> Read<ManifestSeries> {
    let mado = &context.tables().mado;
    let Some(series_uid) = uid(&series["uid"]) else {
        return refuse(format!("{at}.uid"), "no SeriesInstanceUID");
    };
    let mut retrieve = Retrieve::default();
    for endpoint in list(&series["endpoint"]).iter().filter_map(|one| resources.find(one)) {
        if text(&endpoint["connectionType"]["code"]) != Some("dicom-wado-rs") {
            continue;
        }
        let is_absent = !list(&endpoint["_address"]["extension"]).is_empty();
        retrieve.url = owned(&endpoint["address"])
            .filter(|url| *url != mado.retrieve.unknown_address && !is_absent);
        retrieve.location = list(&endpoint["extension"])
            .iter()
            .find(|extension| text(&extension["url"]) == Some(&mado.retrieve.extension))
            .and_then(|extension| owned(&extension["valueString"]));
        break;
    }
    let mut instances = Vec::new();
    for (place, instance) in list(&series["instance"]).iter().enumerate() {
        let at = format!("{at}.instance[{place}]");
        let is_absent = instance["uid"].is_null() && !instance["_uid"].is_null();
        if is_absent {
            continue;
        }
        let Some(instance_uid) = uid(&instance["uid"]) else {
            return refuse(format!("{at}.uid"), "no SOPInstanceUID");
        };
        let system = text(&instance["sopClass"]["system"]).unwrap_or("");
        let is_known = system == mado.sop_class.system
            || mado.sop_class.also.iter().any(|known| known == system);
        let Some(sop_class) = uid(&instance["sopClass"]["code"]).filter(|_| is_known) else {
            return refuse(format!("{at}.sopClass"), "no SOPClassUID in a system that is known");
        };
        let extension = |url: &str| {
            list(&instance["extension"])
                .iter()
                .find(|extension| text(&extension["url"]) == Some(url))
        };
        let mut frames = mado.frames.extensions.iter().filter_map(|url| extension(url));
        instances.push(ManifestInstance {
            uid: instance_uid,
            sop_class,
            number: unsigned(&instance["number"]),
            frames: frames.find_map(|extension| unsigned(&extension["valueInteger"])),
            title: owned(&instance["title"]),
            key_title: extension(&mado.key_object.extension).and_then(|extension| {
                list(&extension["valueCodeableConcept"]["coding"]).iter().find_map(coding)
            }),
        });
    }
    let found = u32::try_from(instances.len()).unwrap_or(u32::MAX);
    Ok(ManifestSeries {
        uid: series_uid,
        number: unsigned(&series["number"]),
        modality: coding(&series["modality"]).map(|code| modality(context, code)),
        description: owned(&series["description"]),
        started: text(&series["started"]).and_then(When::parse),
        body_site: body_site(&series["bodySite"]),
        laterality: coding(&series["laterality"]),
        retrieve,
        count: if instances.is_empty() {
            unsigned(&series["numberOfInstances"]).unwrap_or(0)
        } else {
            found
        },
        instances,
    })
}

/// A modality of DICOM is called what the table calls it, whatever the writer wrote.
fn modality(context: &Context, mut code: Coded) -> Coded {
    if let Some(display) = context.modality_display(&code.code)
        && code.system == super::DCM
    {
        code.display = Some(display.to_owned());
    }
    code
}

/// A body site; text that no table knows has a display alone.
fn body_site(value: &Value) -> Option<Coded> {
    coding(value)
        .or_else(|| Some(Coded { display: Some(owned(&value["display"])?), ..Coded::default() }))
}

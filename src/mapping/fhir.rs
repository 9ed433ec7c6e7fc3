//! Imaging values → FHIR R4 (4.0.1) resources as JSON bytes.
//!
//! The elements and the rules that fill them are rows of `mappings/dicom-imaging-study.toml`
//! and `mappings/dicom-patient.toml`; this file knows the rules by name. A study is rendered
//! once without its instances; [`RenderedStudy`] remembers where they belong, so that a read
//! with instances joins bytes and never parses JSON.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::body::{body_site, region, side, side_code};
use super::codes::{self, DCM, code_of, gender, species};
use super::element::{Element, Elements, Secondary, Transform};
use super::facts::{moment, study_moment};
use super::moment::Day;
use super::person::{Person, human_names, persons};
use super::{Context, identifier};
use crate::actor::Purpose;
use crate::config::Identity;
use crate::imaging::{Attributes, Instance, Patient, Series, Study, keyed};

/// Which rendering of a resource somebody gets.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum View {
    /// Care: the archive names persons, and so does the resource.
    Care,
    /// An archive that is de-identified already: its rows as they are, labelled as such.
    DeIdentified,
    /// Secondary use of an archive that names persons: no identity.
    Pseudonymous,
}

impl View {
    /// The view of a purpose of use; `None` for operations, which read no patient data.
    #[must_use]
    pub const fn of(purpose: Purpose, identity: Identity) -> Option<Self> {
        match (purpose, identity) {
            (Purpose::Operations, _) => None,
            (_, Identity::DeIdentified) => Some(Self::DeIdentified),
            (Purpose::Care, Identity::Identified) => Some(Self::Care),
            (Purpose::SecondaryUse, Identity::Identified) => Some(Self::Pseudonymous),
        }
    }
}

/// A study without instances, and where they belong.
#[derive(Clone, Debug)]
pub struct RenderedStudy {
    /// The complete resource, but for `series.instance`.
    pub bytes: Arc<[u8]>,
    /// For each series, in order, the offset of the brace that closes it.
    series_ends: Box<[u32]>,
}

impl RenderedStudy {
    /// The resource with the instances of `study`, which must be the study that was rendered,
    /// loaded with them.
    #[must_use]
    pub fn with_instances(&self, context: &Context, study: &Study, view: View) -> Vec<u8> {
        let count: usize = study.series.iter().map(|series| series.instances.len()).sum();
        let mut out = Vec::with_capacity(self.bytes.len() + count * 300);
        let mut from = 0;
        for (series, end) in study.series.iter().zip(&self.series_ends) {
            let end = usize::try_from(*end).unwrap_or(usize::MAX);
            if series.instances.is_empty() {
                continue;
            }
            out.extend_from_slice(self.bytes.get(from..end).unwrap_or_default());
            from = end;
            out.extend_from_slice(b",\"instance\":[");
            for (at, instance) in series.instances.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                let mut object = Map::new();
                let input = Input { context, view, study };
                fill(&mut object, &context.0.tables.instance, view, |element| {
                    input.instance(element, instance)
                });
                write(&mut out, &object);
            }
            out.push(b']');
        }
        out.extend_from_slice(self.bytes.get(from..).unwrap_or_default());
        out
    }
}

/// `ImagingStudy`, from a study that need not have its instances loaded.
#[must_use]
pub fn render_study(context: &Context, study: &Study, view: View) -> RenderedStudy {
    let mut object = head("ImagingStudy", &study.public_id, study.version, study.updated, {
        is_deidentified(&study.patient.attributes) || view != View::Care
    });
    let input = Input { context, view, study };
    fill(&mut object, &context.0.tables.study, view, |element| input.study(element));
    let mut out = Vec::with_capacity(1024 + study.series.len() * 640);
    write(&mut out, &object);
    let mut series_ends = Vec::with_capacity(study.series.len());
    if !study.series.is_empty() {
        // The brace that closes the study moves behind its series.
        out.pop();
        out.extend_from_slice(b",\"series\":[");
        for (at, series) in study.series.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            let mut object = Map::new();
            let input = Input { context, view, study };
            fill(&mut object, &context.0.tables.series, view, |element| {
                input.series(element, series)
            });
            write(&mut out, &object);
            series_ends.push(u32::try_from(out.len() - 1).unwrap_or(u32::MAX));
        }
        out.extend_from_slice(b"]}");
    }
    RenderedStudy { bytes: out.into(), series_ends: series_ends.into() }
}

/// `Patient`.
#[must_use]
pub fn render_patient(context: &Context, patient: &Patient, view: View) -> Vec<u8> {
    let mut object = head("Patient", &patient.public_id, patient.version, patient.updated, {
        is_deidentified(&patient.attributes) || view != View::Care
    });
    fill(&mut object, &context.0.tables.patient, view, |element| {
        patient_element(context, view, patient, element)
    });
    let mut out = Vec::with_capacity(512);
    write(&mut out, &object);
    out
}

/// The logical id of the archive's WADO-RS endpoint.
pub const ENDPOINT_ID: &str = "wado-rs";
/// The logical id of the archive's organisation.
pub const ORGANISATION_ID: &str = "data-holder";

/// `Endpoint`: the archive's WADO-RS service. Without one the address is IHE MADO's
/// `http://notspecified` with data-absent-reason.
#[must_use]
pub fn render_endpoint(context: &Context) -> Vec<u8> {
    let inner = &context.0;
    let mut object = deployed("Endpoint", ENDPOINT_ID);
    object.insert(
        "identifier".to_owned(),
        json!([{ "system": context.local_system("endpoint", ""), "value": ENDPOINT_ID }]),
    );
    object.insert("status".to_owned(), "active".into());
    object.insert(
        "connectionType".to_owned(),
        json!({
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "dicom-wado-rs",
            "display": "DICOM WADO-RS",
        }),
    );
    let name = if inner.archive.is_empty() { "Imaging archive" } else { &inner.archive };
    object.insert("name".to_owned(), format!("{name}, WADO-RS").into());
    object.insert(
        "managingOrganization".to_owned(),
        json!({ "reference": format!("Organization/{ORGANISATION_ID}") }),
    );
    object.insert(
        "payloadType".to_owned(),
        json!([{
            "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type",
                "code": "none",
                "display": "None",
            }],
            "text": "DICOM WADO-RS",
        }]),
    );
    object.insert("payloadMimeType".to_owned(), json!(["application/dicom"]));
    if inner.wado_url.is_empty() {
        object.insert("address".to_owned(), "http://notspecified".into());
        object.insert("_address".to_owned(), json!({ "extension": [absent("unknown")] }));
    } else {
        object.insert("address".to_owned(), inner.wado_url.as_str().into());
    }
    versioned(object)
}

/// `Organization`: the data holder.
#[must_use]
pub fn render_organisation(context: &Context) -> Vec<u8> {
    let holder = &context.0.organisation;
    let mut object = deployed("Organization", ORGANISATION_ID);
    let iri = match holder.iri.as_str() {
        "" => context.local_system("organisation", ORGANISATION_ID),
        iri => iri.to_owned(),
    };
    object
        .insert("identifier".to_owned(), json!([{ "system": "urn:ietf:rfc:3986", "value": iri }]));
    object.insert("active".to_owned(), true.into());
    let name = [&holder.name, &context.0.archive].into_iter().find(|name| !name.is_empty());
    object.insert("name".to_owned(), name.map_or("Imaging archive", String::as_str).into());
    let telecom: Vec<Value> =
        [("phone", &holder.telephone), ("email", &holder.email), ("url", &holder.page)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(system, value)| json!({ "system": system, "value": value }))
            .collect();
    if !telecom.is_empty() {
        object.insert("telecom".to_owned(), telecom.into());
    }
    if !holder.country.is_empty() {
        object.insert("address".to_owned(), json!([{ "country": holder.country }]));
    }
    object
        .insert("endpoint".to_owned(), json!([{ "reference": format!("Endpoint/{ENDPOINT_ID}") }]));
    versioned(object)
}

/// A resource that the configuration makes: its version is a digest of its content.
fn versioned(mut object: Map<String, Value>) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, &object);
    let digest = keyed(b"version", &out);
    let version: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    object.insert("meta".to_owned(), json!({ "versionId": version }));
    out.clear();
    write(&mut out, &object);
    out
}

fn deployed(kind: &str, id: &str) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("resourceType".to_owned(), kind.into());
    object.insert("id".to_owned(), id.into());
    object.insert("meta".to_owned(), Value::Null);
    object
}

/// An instant as `meta.lastUpdated` gives it.
#[must_use]
pub fn instant(micros: i64) -> String {
    let stamp = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{stamp:.6}")
}

pub(super) fn head(
    kind: &str,
    id: &str,
    version: i32,
    updated: i64,
    is_labelled: bool,
) -> Map<String, Value> {
    let mut meta = Map::new();
    meta.insert("versionId".to_owned(), version.to_string().into());
    meta.insert("lastUpdated".to_owned(), instant(updated).into());
    if is_labelled {
        // Stable identifiers remain, so the data are pseudonymised, not anonymous.
        meta.insert(
            "security".to_owned(),
            json!([{
                "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
                "code": "PSEUDED",
                "display": "pseudonymized",
            }]),
        );
    }
    let mut object = Map::new();
    object.insert("resourceType".to_owned(), kind.into());
    object.insert("id".to_owned(), id.into());
    object.insert("meta".to_owned(), Value::Object(meta));
    object
}

pub(super) fn is_deidentified(bag: &Attributes) -> bool {
    bag.first("PatientIdentityRemoved") == Some("YES")
}

pub(super) fn absent(reason: &str) -> Value {
    json!({
        "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
        "valueCode": reason,
    })
}

fn write(out: &mut Vec<u8>, object: &Map<String, Value>) {
    // Strings as keys and a Vec as sink: neither can fail.
    let _ = serde_json::to_writer(out, object);
}

/// Fills in the elements of one level by their rows.
fn fill(
    object: &mut Map<String, Value>,
    elements: &Elements,
    view: View,
    mut value: impl FnMut(&Element) -> Vec<Value>,
) {
    for place in &elements.0 {
        if view == View::Pseudonymous && place.element.secondary == Secondary::Drop {
            continue;
        }
        let mut values = value(&place.element);
        values.retain_mut(tidy);
        if place.is_list {
            if values.is_empty() {
                continue;
            }
            match object.get_mut(&*place.name) {
                Some(Value::Array(list)) => list.append(&mut values),
                _ => {
                    object.insert(place.name.to_string(), values.into());
                }
            }
        } else if let Some(value) = values.into_iter().next() {
            object.insert(place.name.to_string(), value);
        }
    }
}

/// Whatever the attributes held: no string of a resource has control characters, and nothing is
/// empty (R4, invariant ele-1). `false`: nothing is left.
pub(super) fn tidy(value: &mut Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => match clean(text) {
            None => false,
            Some(Cow::Borrowed(same)) if same.len() == text.len() => true,
            Some(other) => {
                *text = other.into_owned();
                true
            }
        },
        Value::Array(items) => {
            items.retain_mut(tidy);
            !items.is_empty()
        }
        Value::Object(members) => {
            members.retain(|_, member| tidy(member));
            !members.is_empty()
        }
    }
}

/// Text as FHIR `string` takes it: no control characters but line breaks and tabs, not empty.
pub(super) fn clean(text: &str) -> Option<Cow<'_, str>> {
    let is_control = |letter: char| letter.is_control() && !matches!(letter, '\t' | '\n' | '\r');
    let text = text.trim();
    if text.is_empty() {
        None
    } else if text.contains(is_control) {
        Some(text.replace(is_control, " ").trim().to_owned().into())
            .filter(|t: &Cow<'_, str>| !t.is_empty())
    } else {
        Some(text.into())
    }
}

fn text_of(bag: &Attributes, keyword: &str) -> Vec<Value> {
    bag.text(keyword).and_then(clean).map(|text| text.into_owned().into()).into_iter().collect()
}

/// A number that FHIR's `unsignedInt` holds (IS is no larger, but texts are).
fn unsigned(text: &str) -> Option<i32> {
    text.trim_start_matches('+').parse::<i32>().ok().filter(|number| *number >= 0)
}

struct Input<'a> {
    context: &'a Context,
    view: View,
    study: &'a Study,
}

impl Input<'_> {
    fn uid(&self, element: &Element, uid: &str) -> String {
        if self.view == View::Pseudonymous && element.secondary == Secondary::Map {
            mapped_uid(&self.context.0.key, uid)
        } else {
            uid.to_owned()
        }
    }

    fn codes_only(&self, element: &Element) -> bool {
        self.view == View::Pseudonymous && element.secondary == Secondary::Codes
    }

    fn modalities(&self) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        for series in &self.study.series {
            if let Some(code) = codes::modality(&series.attributes)
                && !found.contains(&code)
            {
                found.push(code);
            }
        }
        found
    }

    fn concept(&self, element: &Element, item: &Attributes) -> Option<Value> {
        let code = code_of(self.context, item)?;
        let mut coding = json!({ "system": code.system, "code": code.code });
        let mut concept = Map::new();
        let display = code.display.as_deref().and_then(clean);
        match display {
            Some(display) if !self.codes_only(element) => {
                coding["display"] = display.as_ref().into();
                concept.insert("coding".to_owned(), json!([coding]));
                concept.insert("text".to_owned(), display.into_owned().into());
            }
            _ => {
                concept.insert("coding".to_owned(), json!([coding]));
            }
        }
        Some(Value::Object(concept))
    }

    fn started(&self, element: &Element, moment: Option<super::moment::Moment>) -> Vec<Value> {
        let text = moment.map(|moment| {
            if self.view == View::Pseudonymous && element.secondary == Secondary::Month {
                moment.to_month_text()
            } else {
                moment.to_text()
            }
        });
        text.map(Value::from).into_iter().collect()
    }

    fn modality(&self, code: &str) -> Value {
        match self.context.0.tables.modality.get(code) {
            Some(display) => json!({ "system": DCM, "code": code, "display": &**display }),
            None => json!({ "system": DCM, "code": code }),
        }
    }

    fn persons(&self, bag: &Attributes, element: &Element) -> Vec<Person> {
        let sequence = element.dicom.get(1).map_or("", String::as_str);
        persons(self.context, bag, element.keyword(), sequence)
    }

    fn study(&self, element: &Element) -> Vec<Value> {
        let (context, study) = (self.context, self.study);
        let bag = &study.attributes;
        match element.transform {
            Transform::StudyUid => {
                vec![identifier::study_uid(&self.uid(element, study.uid.as_str()))]
            }
            Transform::Accession => context
                .accessions(bag)
                .iter()
                .map(|(system, value)| identifier::accession(system, value))
                .collect(),
            Transform::AccessionOrder => context
                .accessions(bag)
                .iter()
                .map(|(system, value)| {
                    json!({
                        "type": "ServiceRequest",
                        "identifier": identifier::accession(system, value),
                    })
                })
                .collect(),
            Transform::StudyId => match (&context.0.study_id, bag.first("StudyID")) {
                (Some(system), Some(value)) => vec![json!({ "system": system, "value": value })],
                _ => Vec::new(),
            },
            Transform::Available => vec!["available".into()],
            Transform::Modalities => {
                self.modalities().into_iter().map(|code| self.modality(code)).collect()
            }
            Transform::Subject => {
                vec![json!({ "reference": format!("Patient/{}", study.patient.public_id) })]
            }
            Transform::StudyStarted => self.started(element, study_moment(context, bag)),
            Transform::Referrer | Transform::Interpreters => {
                self.persons(bag, element).iter().map(|p| p.to_reference("Practitioner")).collect()
            }
            Transform::Endpoint => endpoint(),
            Transform::NumberOfSeries => vec![study.series.len().into()],
            Transform::NumberOfInstances => vec![study.images().into()],
            Transform::ProcedureCode => self.procedure_code(element),
            Transform::Location => {
                let text =
                    element.dicom.iter().find_map(|keyword| bag.text(keyword).and_then(clean));
                text.map(|text| json!({ "type": "Location", "display": text }))
                    .into_iter()
                    .collect()
            }
            Transform::ReasonCode => {
                let mut reasons: Vec<Value> = bag
                    .items("ReasonForRequestedProcedureCodeSequence")
                    .iter()
                    .filter_map(|item| self.concept(element, item))
                    .collect();
                let text = bag.text("ReasonForTheRequestedProcedure").and_then(clean);
                if let (Some(text), false) = (text, self.codes_only(element)) {
                    reasons.push(json!({ "text": text }));
                }
                reasons
            }
            Transform::StudyText => text_of(bag, element.keyword()),
            Transform::AnatomicalRegion => self.regions(),
            _ => Vec::new(),
        }
    }

    fn procedure_code(&self, element: &Element) -> Vec<Value> {
        let bag = &self.study.attributes;
        let mut found: Vec<Value> = bag
            .items("ProcedureCodeSequence")
            .iter()
            .filter_map(|item| self.concept(element, item))
            .collect();
        let has_text = found.iter().any(|concept| concept.get("text").is_some());
        if !has_text {
            let described = bag.text("StudyDescription").and_then(clean);
            let text = match described {
                Some(text) if !self.codes_only(element) => text.into_owned(),
                _ => match self.modalities().join(", ") {
                    none if none.is_empty() => "Imaging study".to_owned(),
                    modalities => format!("Imaging study: {modalities}"),
                },
            };
            match found.first_mut() {
                Some(concept) => concept["text"] = text.into(),
                None => found.push(json!({ "text": text })),
            }
        }
        found
    }

    fn regions(&self) -> Vec<Value> {
        let mut seen: Vec<&str> = Vec::new();
        let mut found = Vec::new();
        for series in &self.study.series {
            let Some(site) = body_site(self.context, &series.attributes) else { continue };
            let Some(region) = region(self.context, &site) else { continue };
            if seen.contains(&region.code.as_str()) {
                continue;
            }
            seen.push(&region.code);
            for url in [
                "http://hl7.eu/fhir/imaging/StructureDefinition/AnatomicalRegionExtension",
                "https://profiles.ihe.net/RAD/MADO/StructureDefinition/MadoAnatomicalRegionExtension",
            ] {
                found.push(json!({
                    "url": url,
                    "valueCodeableConcept": { "coding": [{
                        "system": self.context.0.tables.body.system,
                        "code": region.code,
                        "display": region.display,
                    }] },
                }));
            }
        }
        found
    }

    fn series(&self, element: &Element, series: &Series) -> Vec<Value> {
        let context = self.context;
        let bag = &series.attributes;
        match element.transform {
            Transform::SeriesUid => vec![self.uid(element, series.uid.as_str()).into()],
            Transform::SeriesNumber => bag
                .first(element.keyword())
                .and_then(unsigned)
                .map(Value::from)
                .into_iter()
                .collect(),
            Transform::Modality => vec![match codes::modality(bag) {
                Some(code) => self.modality(code),
                None => json!({ "extension": [absent("unknown")] }),
            }],
            Transform::SeriesText => text_of(bag, element.keyword()),
            Transform::SeriesInstances => vec![series.images.into()],
            Transform::Endpoint => endpoint(),
            Transform::BodySite => {
                let Some(site) = body_site(context, bag) else { return Vec::new() };
                let Some(display) = clean(&site.display) else { return Vec::new() };
                vec![match &site.code {
                    Some((system, code)) => {
                        json!({ "system": system, "code": code, "display": display })
                    }
                    None if self.codes_only(element) => return Vec::new(),
                    None => json!({ "display": display }),
                }]
            }
            Transform::Laterality => {
                let site = body_site(context, bag);
                side(bag, site.as_ref())
                    .and_then(|side| side_code(context, side))
                    .map(|(code, display)| {
                        let system = &context.0.tables.body.system;
                        json!({ "system": system, "code": code, "display": display })
                    })
                    .into_iter()
                    .collect()
            }
            Transform::Specimen => {
                let system = context.local_system("specimen", "");
                bag.items(element.keyword())
                    .iter()
                    .filter_map(|item| item.first("SpecimenIdentifier").and_then(clean))
                    .map(|id| {
                        json!({
                            "type": "Specimen",
                            "identifier": { "system": system, "value": id },
                        })
                    })
                    .collect()
            }
            Transform::SeriesStarted => self.started(
                element,
                moment(context, &self.study.attributes, bag, "SeriesDate", "SeriesTime"),
            ),
            Transform::PerformingPhysician => self.performers(bag, element, "PRF", "performer"),
            Transform::Operator => self.performers(bag, element, "SPRF", "secondary performer"),
            Transform::Device => device(context, bag, self.codes_only(element)),
            _ => Vec::new(),
        }
    }

    fn performers(&self, bag: &Attributes, element: &Element, code: &str, is: &str) -> Vec<Value> {
        self.persons(bag, element)
            .iter()
            .map(|person| performer(code, is, person.to_reference("Practitioner")))
            .collect()
    }

    fn instance(&self, element: &Element, instance: &Instance) -> Vec<Value> {
        match element.transform {
            Transform::InstanceUid => vec![self.uid(element, instance.uid.as_str()).into()],
            Transform::SopClass => {
                vec![json!({ "system": "urn:ietf:rfc:3986", "code": instance.sop_class.to_urn() })]
            }
            Transform::InstanceNumber => {
                let number = instance.number.and_then(|number| i32::try_from(number).ok());
                number.map(Value::from).into_iter().collect()
            }
            Transform::InstanceTitle => {
                let title = instance.title.as_deref().and_then(clean);
                title.map(|title| title.into_owned().into()).into_iter().collect()
            }
            Transform::NumberOfFrames => {
                let frames = instance.frames.and_then(|frames| i32::try_from(frames).ok());
                let Some(frames) = frames.filter(|frames| *frames > 0) else { return Vec::new() };
                [
                    "http://hl7.eu/fhir/imaging/StructureDefinition/NumberOfFrames",
                    "https://profiles.ihe.net/RAD/MADO/StructureDefinition/MadoNumberOfFrames",
                ]
                .map(|url| json!({ "url": url, "valueInteger": frames }))
                .into()
            }
            _ => Vec::new(),
        }
    }
}

fn performer(code: &str, display: &str, actor: Value) -> Value {
    json!({
        "function": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
            "code": code,
            "display": display,
        }] },
        "actor": actor,
    })
}

/// Naming system and serial number of the device that made a series.
pub(super) fn device_identifier<'a>(
    context: &Context,
    series: &'a Attributes,
) -> Option<(String, &'a str)> {
    let serial = series.first("DeviceSerialNumber")?;
    let maker = series.first("Manufacturer").unwrap_or("");
    Some((context.local_system("device-serial", codes::manufacturer(context, maker)), serial))
}

fn device(context: &Context, series: &Attributes, codes_only: bool) -> Vec<Value> {
    let words: Vec<&str> = ["Manufacturer", "ManufacturerModelName"]
        .into_iter()
        .filter_map(|keyword| series.first(keyword))
        .collect();
    let mut actor = Map::new();
    actor.insert("type".to_owned(), "Device".into());
    if let Some((system, serial)) = device_identifier(context, series)
        && !codes_only
    {
        actor.insert("identifier".to_owned(), json!({ "system": system, "value": serial }));
    }
    if let Some(display) = clean(&words.join(" ")) {
        actor.insert("display".to_owned(), display.into_owned().into());
    }
    if actor.len() == 1 {
        return Vec::new();
    }
    vec![performer("DEV", "device", Value::Object(actor))]
}

fn endpoint() -> Vec<Value> {
    vec![json!({ "reference": format!("Endpoint/{ENDPOINT_ID}") })]
}

/// A UID that stands for another one in secondary use (PS3.5 Annex B.2, `2.25.` and a UUID):
/// the same archive maps it always alike, and nobody without the key can map it back.
pub(super) fn mapped_uid(key: &[u8], uid: &str) -> String {
    let mut head = [0_u8; 16];
    head.copy_from_slice(&keyed(key, format!("uid:{uid}").as_bytes())[..16]);
    format!("2.25.{}", u128::from_be_bytes(head))
}

fn patient_element(
    context: &Context,
    view: View,
    patient: &Patient,
    element: &Element,
) -> Vec<Value> {
    let bag = &patient.attributes;
    match element.transform {
        Transform::PatientId if view == View::Pseudonymous => {
            vec![identifier::patient(&context.local_system("pseudonym", ""), &patient.public_id)]
        }
        // The first of the identifiers is the primary one, unless the patient has none.
        Transform::PatientId => identifier::patient_identifiers(context, &patient.key, bag)
            .iter()
            .take(usize::from(identifier::patient_id(&patient.key).is_some()))
            .filter_map(|known| Some(identifier::patient(&known.system, &clean(&known.value)?)))
            .collect(),
        Transform::OtherPatientIds => identifier::patient_identifiers(context, &patient.key, bag)
            .iter()
            .skip(usize::from(identifier::patient_id(&patient.key).is_some()))
            .filter_map(|known| Some(identifier::patient(&known.system, &clean(&known.value)?)))
            .collect(),
        Transform::PatientName => bag
            .text("PatientName")
            .and_then(clean)
            .map(|text| human_names(&text))
            .unwrap_or_default(),
        Transform::Gender => gender(context, bag)
            .map(|gender| gender.unwrap_or("unknown").into())
            .into_iter()
            .collect(),
        Transform::BirthDate => {
            let day = bag.first("PatientBirthDate").and_then(Day::parse);
            let is_cut = view == View::Pseudonymous && element.secondary == Secondary::Year;
            day.map(|day| if is_cut { Day { month: 0, day: 0, ..day } } else { day })
                .map(|day| day.to_text().into())
                .into_iter()
                .collect()
        }
        Transform::Species => species(context, bag)
            .map(|found| {
                let concept = match found {
                    Ok(row) => match &row.code {
                        Some(code) => json!({
                            "coding": [{
                                "system": context.0.tables.body.system,
                                "code": code,
                                "display": row.display.as_deref().unwrap_or(&row.term),
                            }],
                            "text": row.term,
                        }),
                        None => json!({ "text": row.term }),
                    },
                    Err(text) => json!({ "text": text }),
                };
                json!({
                    "url": "http://hl7.org/fhir/StructureDefinition/patient-animal",
                    "extension": [{ "url": "species", "valueCodeableConcept": concept }],
                })
            })
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

//! Reports → FHIR R4: DiagnosticReport, Composition, Observation, key images, documents.
//!
//! In: a [`StoredReport`] and the [`Study`] that holds it. Out: resources as JSON values, by the
//! rows of `mappings/sr-reports.toml`. Pure functions: what the caller may not see it does not
//! pass in. The view decides what of it is said: in secondary use no names, no free text, no
//! encapsulated document, codes without their meanings, mapped UIDs, months instead of moments.
//! Governed by HL7 Europe Imaging R4 1.0.0-ballot and the templates of PS3.16 that the rows name.

mod composition;
mod diagnostic;
mod key_image;
mod narrative;
mod observation;
mod table;

use serde_json::{Map, Value, json};

use super::Context;
use super::codes::code_in;
use super::fhir::{View, clean, head, instant, is_deidentified, mapped_uid, tidy};
use super::moment::{Day, Moment};
use super::profiles::Switch;
use crate::imaging::{Code, StoredReport, Study};

pub use composition::document;
pub use table::{Kind, Reports};

/// The resources of one report. Their ids derive from the report's: itself and its Composition and
/// DocumentReference have the same, Observations and key images `{id}-{n}`.
#[derive(Clone, Debug)]
pub struct RenderedReport {
    /// What it is.
    pub kind: Kind,
    /// DiagnosticReport, of reports and documents.
    pub diagnostic_report: Option<Value>,
    /// Composition, of reports.
    pub composition: Option<Value>,
    /// What was observed and measured, in the order of the content tree.
    pub observations: Vec<Value>,
    /// Basic with R5's ImagingSelection, one for each series of a key object selection.
    pub key_images: Vec<Value>,
    /// DocumentReference of reports and documents.
    pub document_reference: Option<Value>,
}

/// Renders a report. `study` is the one that holds it, and need not have its instances loaded.
#[must_use]
pub fn render_report(
    context: &Context,
    stored: &StoredReport,
    study: &Study,
    view: View,
) -> RenderedReport {
    let kind = context.0.tables.reports.kind(&stored.report);
    let source = Source { context, stored, study, view, kind };
    let mut rendered = RenderedReport {
        kind,
        diagnostic_report: None,
        composition: None,
        observations: Vec::new(),
        key_images: Vec::new(),
        document_reference: None,
    };
    match kind {
        Kind::Record => {}
        Kind::Dose => rendered.observations.extend(observation::dose(&source)),
        Kind::KeyObjects => rendered.key_images = key_image::key_images(&source),
        Kind::Document => {
            rendered.diagnostic_report = Some(diagnostic::report(&source, &[]));
            rendered.document_reference = diagnostic::document_reference(&source);
        }
        Kind::Report | Kind::Findings => {
            let found = observation::observations(&source);
            rendered.diagnostic_report = Some(diagnostic::report(&source, &found.results));
            rendered.composition = Some(composition::composition(&source, &found));
            rendered.document_reference = diagnostic::document_reference(&source);
            rendered.observations = found.all;
        }
    }
    let all = rendered
        .diagnostic_report
        .iter_mut()
        .chain(&mut rendered.composition)
        .chain(&mut rendered.observations)
        .chain(&mut rendered.key_images)
        .chain(&mut rendered.document_reference);
    for resource in all {
        tidy(resource);
        context.0.tables.reports.claim(resource, kind);
    }
    rendered
}

/// LOINC.
const LOINC: &str = "http://loinc.org";
/// DICOM elements that no terminology has a code for.
const ELEMENTS: &str = "http://hl7.eu/fhir/imaging/CodeSystem/codesystem-missing-dicom-terminology";

/// A report while it is rendered.
struct Source<'a> {
    context: &'a Context,
    stored: &'a StoredReport,
    study: &'a Study,
    view: View,
    kind: Kind,
}

impl<'a> Source<'a> {
    fn tables(&self) -> &'a Reports {
        &self.context.0.tables.reports
    }

    /// Whether only what identifies nobody may be said.
    fn is_secondary(&self) -> bool {
        self.view == View::Pseudonymous
    }

    fn head(&self, kind: &str, id: &str) -> Map<String, Value> {
        // Either changes the resource, and neither number ever falls.
        let version = self.stored.version.saturating_add(self.study.version);
        let is_labelled =
            is_deidentified(&self.study.patient.attributes) || self.view != View::Care;
        head(self.context, kind, id, (version, self.updated()), is_labelled)
    }

    fn updated(&self) -> i64 {
        self.stored.updated.max(self.study.updated)
    }

    fn uid(&self, uid: &str) -> String {
        if self.is_secondary() { mapped_uid(&self.context.0.key, uid) } else { uid.to_owned() }
    }

    fn coding(&self, code: &Code) -> Option<Value> {
        let code = code_in(self.context, code)?;
        let mut coding = json!({ "system": code.system, "code": code.code });
        let display = code.display.as_deref().and_then(clean);
        if let Some(display) = display.filter(|_| !self.is_secondary()) {
            coding["display"] = display.into_owned().into();
        }
        Some(coding)
    }

    fn concept(&self, code: &Code) -> Option<Value> {
        let coding = self.coding(code)?;
        let mut concept = json!({ "coding": [coding] });
        if let Some(text) = clean(&code.meaning).filter(|_| !self.is_secondary()) {
            concept["text"] = text.into_owned().into();
        }
        Some(concept)
    }

    fn subject(&self) -> Value {
        json!({ "reference": format!("Patient/{}", self.study.patient.public_id) })
    }

    fn study_reference(&self) -> Value {
        json!({ "reference": format!("ImagingStudy/{}", self.study.public_id) })
    }

    /// The SOP Instance UID as an identifier (SopInstanceUidIdentifierEuImaging).
    fn identifier(&self) -> Value {
        sop_instance(&self.uid(self.stored.report.uid.as_str()))
    }

    /// The orders that it answers: logical references, for orders are not in the archive.
    fn based_on(&self) -> Vec<Value> {
        if self.is_secondary() {
            return Vec::new();
        }
        self.context
            .accessions(&self.study.attributes)
            .iter()
            .map(|(system, value)| {
                json!({
                    "type": "ServiceRequest",
                    "identifier": super::identifier::accession(self.context, system, value),
                })
            })
            .collect()
    }

    fn moment(&self, date: Option<&str>, time: Option<&str>, zone: Option<&str>) -> Option<String> {
        let date = date?;
        let day = Day::parse(date.get(..8).unwrap_or(date))?;
        let zone = zone.or(self.stored.report.zone.as_deref());
        let moment = Moment::new(day, time, zone, self.context.time_zone());
        Some(if self.is_secondary() { moment.to_month_text() } else { moment.to_text() })
    }

    /// A DT (PS3.5 section 6.2).
    fn whole_moment(&self, text: &str) -> Option<String> {
        let (plain, zone) = match text.find(['+', '-']) {
            Some(at) => (text.get(..at)?, text.get(at..)),
            None => (text, None),
        };
        let (date, time) = plain.split_at_checked(8).unwrap_or((plain, ""));
        self.moment(Some(date), Some(time).filter(|time| !time.is_empty()), zone)
    }

    /// When it was written.
    fn written(&self) -> Option<String> {
        let report = &self.stored.report;
        self.moment(report.date.as_deref(), report.time.as_deref(), None)
    }

    /// An instant, where the moment is known so exactly.
    fn issued(&self) -> Option<String> {
        self.written().filter(|text| text.contains('T'))
    }

    /// The code system of the Regulation's priority categories (conflict 4 of `eu-profiles.toml`).
    fn priority(&self) -> &str {
        self.context.tables().profiles.first(Switch::DocumentCategorySystem)
    }

    /// Categories of an imaging report: the diagnostic service, LOINC's and the Regulation's.
    fn categories(&self) -> Value {
        json!([
            { "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v2-0074",
                "code": "RAD",
                "display": "Radiology",
            }] },
            { "coding": [{ "system": LOINC, "code": "85430-7" }] },
            { "coding": [{
                "system": self.priority(),
                "code": "Medical-Imaging",
                "display": "medical imaging studies and related imaging reports",
            }] },
        ])
    }

    /// The kind of report by its title: LOINC's where the report has one.
    fn code(&self) -> Value {
        let title = self.stored.report.title.as_ref().and_then(|title| self.coding(title));
        let general = json!({ "system": LOINC, "code": "85430-7" });
        let coding = match title {
            Some(title) if title["system"] == LOINC => vec![title],
            Some(title) => vec![general, title],
            None => vec![general],
        };
        json!({ "coding": coding })
    }

    /// What it is called.
    fn title(&self) -> String {
        let report = &self.stored.report;
        let document = report.document.as_ref().and_then(|document| clean(&document.title));
        let title = report.title.as_ref().and_then(|title| clean(&title.meaning));
        match document.or(title).filter(|_| !self.is_secondary()) {
            Some(title) => title.into_owned(),
            None => "Imaging report".to_owned(),
        }
    }

    /// Who wrote, or else verified: logical references.
    fn authors(&self) -> Vec<Value> {
        let report = &self.stored.report;
        let all = if report.authors.is_empty() { &report.verifiers } else { &report.authors };
        all.iter().filter_map(|person| self.person(person)).collect()
    }

    fn person(&self, person: &crate::imaging::Observer) -> Option<Value> {
        if self.is_secondary() {
            return None;
        }
        let mut reference = Map::new();
        reference.insert("type".to_owned(), "Practitioner".into());
        if let Some(code) = person.code.as_ref().and_then(|code| code_in(self.context, code)) {
            let identifier = json!({ "system": code.system, "value": code.code });
            reference.insert("identifier".to_owned(), identifier);
        }
        let name = super::person::names(&person.name).next().map(|(_, name)| name.to_text());
        if let Some(name) = name.as_deref().and_then(clean) {
            reference.insert("display".to_owned(), name.into_owned().into());
        }
        (reference.len() > 1).then_some(Value::Object(reference))
    }

    /// The status of the resources, by the flags of the report.
    fn status(&self) -> [&'a str; 3] {
        self.tables()
            .status(&self.stored.report, self.kind)
            .map_or(["unknown", "preliminary", "unknown"], |row| {
                [&row.report, &row.composition, &row.observation]
            })
    }
}

/// A SOP Instance UID as an identifier.
fn sop_instance(uid: &str) -> Value {
    json!({
        "type": { "coding": [{
            "system": ELEMENTS, "code": "00080018", "display": "SOP Instance UID",
        }] },
        "system": "urn:dicom:uid",
        "value": format!("urn:oid:{uid}"),
    })
}

/// Where the data holder's organisation is.
fn organisation() -> Value {
    json!({ "reference": format!("Organization/{}", super::fhir::ORGANISATION_ID) })
}

fn put(object: &mut Map<String, Value>, name: &str, values: Vec<Value>) {
    if !values.is_empty() {
        object.insert(name.to_owned(), values.into());
    }
}

fn put_text(object: &mut Map<String, Value>, name: &str, text: Option<String>) {
    if let Some(text) = text {
        object.insert(name.to_owned(), text.into());
    }
}

/// The last change as an instant.
fn changed(source: &Source<'_>) -> String {
    instant(source.updated())
}

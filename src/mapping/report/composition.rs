//! Composition (CompositionEuImaging) and the document Bundles of a report
//! (BundleReportEuImaging, BundleReportMinimalMetadataEuImaging).

use serde_json::{Map, Value, json};

use super::observation::Found;
use super::{Kind, LOINC, RenderedReport, Source, changed, narrative, organisation, put};
use crate::imaging::{StoredReport, Study};
use crate::mapping::Context;
use crate::mapping::fhir::{
    ORGANISATION_ID, View, mapped_uid, render_organisation, render_patient, render_study,
};

const REPORT: &str =
    "http://hl7.eu/fhir/extensions/StructureDefinition/composition-diagnosticReportReference";

pub(super) fn composition(source: &Source<'_>, found: &Found) -> Value {
    let stored = source.stored;
    let mut object = source.head("Composition", &stored.public_id);
    let mut extension: Vec<Value> = source
        .based_on()
        .into_iter()
        .map(|order| {
            json!({
                "url": "http://hl7.org/fhir/StructureDefinition/event-basedOn",
                "valueReference": order,
            })
        })
        .collect();
    extension.push(json!({
        "url": REPORT,
        "valueReference": { "reference": format!("DiagnosticReport/{}", stored.public_id) },
    }));
    put(&mut object, "extension", extension);
    object.insert("identifier".to_owned(), source.identifier());
    let [_, status, _] = source.status();
    object.insert("status".to_owned(), status.into());
    object.insert("type".to_owned(), source.code());
    object.insert("category".to_owned(), source.categories());
    object.insert("subject".to_owned(), source.subject());
    let date = source.written().unwrap_or_else(|| changed(source));
    object.insert("date".to_owned(), date.into());
    put(&mut object, "author", [source.authors(), vec![organisation()]].concat());
    object.insert("title".to_owned(), source.title().into());
    put(&mut object, "attester", attesters(source));
    object.insert("custodian".to_owned(), organisation());
    let relates: Vec<Value> = stored
        .report
        .predecessors
        .iter()
        .take(64)
        .map(|before| {
            let uid = source.uid(before.reference.instance.as_str());
            json!({ "code": "replaces", "targetIdentifier": super::sop_instance(&uid) })
        })
        .collect();
    put(&mut object, "relatesTo", relates);
    put(&mut object, "section", sections(source, found));
    Value::Object(object)
}

/// Who verified, and when (slice resultValidator, whose time is 1..1).
fn attesters(source: &Source<'_>) -> Vec<Value> {
    let all = source.stored.report.verifiers.iter();
    all.filter_map(|verifier| {
        let time = source.whole_moment(verifier.at.as_deref()?)?;
        let mut attester = json!({ "mode": "professional", "time": time });
        if let Some(party) = source.person(verifier) {
            attester["party"] = party;
        }
        Some(attester)
    })
    .collect()
}

fn sections(source: &Source<'_>, found: &Found) -> Vec<Value> {
    let tables = source.tables();
    let lines = narrative::lines(source);
    let findings = tables.section("findings");
    let mut all = Vec::new();
    for (at, (row, lines)) in tables.section.iter().zip(&lines).enumerate() {
        let mut entries: Vec<Value> = Vec::new();
        let mut own = String::new();
        match row.name.as_str() {
            "imagingstudy" => {
                entries.push(source.study_reference());
                own = format!("Imaging study urn:oid:{}.", source.uid(source.study.uid.as_str()));
            }
            "order" => {
                let orders = source.based_on();
                let numbers: Vec<&str> =
                    orders.iter().filter_map(|o| o["identifier"]["value"].as_str()).collect();
                if !numbers.is_empty() {
                    own = format!("Accession number {}.", numbers.join(", "));
                }
                entries.extend(orders);
            }
            _ => {
                let mut in_section = |id: &String| {
                    entries.push(json!({ "reference": format!("Observation/{id}") }));
                };
                let placed = |section: usize| if section == at { Some(()) } else { None };
                for (section, id) in &found.of_section {
                    if placed(*section).is_some() {
                        in_section(id);
                    }
                }
                // What stands in no section that is known was found nevertheless.
                if Some(at) == findings {
                    let is_placed = |id: &String| found.of_section.iter().any(|(_, of)| of == id);
                    if found.of_section.len() < found.results.len() {
                        found.results.iter().filter(|id| !is_placed(id)).for_each(&mut in_section);
                    }
                }
            }
        }
        let is_empty = lines.is_empty() && entries.is_empty() && own.is_empty();
        if is_empty && !row.required {
            continue;
        }
        let mut section = Map::new();
        section.insert("title".to_owned(), row.title.as_str().into());
        section.insert(
            "code".to_owned(),
            json!({ "coding": [{ "system": LOINC, "code": row.code, "display": row.display }] }),
        );
        let div = match (lines.is_empty(), own.is_empty()) {
            (false, _) => narrative::xhtml(lines),
            (true, false) => narrative::sentence(&own),
            (true, true) if entries.is_empty() && source.is_secondary() => {
                narrative::sentence("Left out for secondary use.")
            }
            (true, true) if entries.is_empty() => narrative::sentence("The report does not tell."),
            (true, true) => narrative::sentence("Observations are referred to."),
        };
        section.insert("text".to_owned(), json!({ "status": "generated", "div": div }));
        let has_entries = !entries.is_empty();
        put(&mut section, "entry", entries);
        if !has_entries && lines.is_empty() {
            let code = match &row.empty {
                Some(code) if !source.is_secondary() => code.as_str(),
                _ => "withheld",
            };
            section.insert(
                "emptyReason".to_owned(),
                json!({ "coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/list-empty-reason",
                    "code": code,
                }] }),
            );
        } else if !has_entries {
            // eu-imaging-composition-1: a section without entries says its text as a note too.
            section.insert(
                "extension".to_owned(),
                json!([{
                    "url": "http://hl7.org/fhir/StructureDefinition/note",
                    "valueAnnotation": { "text": note(lines) },
                }]),
            );
        }
        all.push(Value::Object(section));
    }
    all
}

fn note(lines: &[narrative::Line]) -> String {
    let text = narrative::plain(lines);
    if text.is_empty() {
        lines.iter().map(|line| line.label.as_str()).collect::<Vec<_>>().join("\n")
    } else {
        text
    }
}

/// The report as one Bundle: of a structured report a document (BundleReportEuImaging), of an
/// encapsulated document a collection (BundleReportMinimalMetadataEuImaging). `None` of what is no
/// report. `companions` are other reports of the same study that the actor may see: the dose of
/// the examination and its key images go with it.
#[must_use]
pub fn document(
    context: &Context,
    stored: &StoredReport,
    rendered: &RenderedReport,
    companions: &[RenderedReport],
    study: &Study,
    view: View,
) -> Option<Value> {
    let report = rendered.diagnostic_report.clone()?;
    let base = format!("{}/fhir", context.base());
    let mut entries: Vec<Value> = Vec::new();
    let tables = &context.0.tables.reports;
    let mut push = |mut resource: Value| {
        if resource.pointer("/meta/profile").is_none() {
            tables.claim(&mut resource, rendered.kind);
        }
        let (kind, id) = (resource["resourceType"].as_str(), resource["id"].as_str());
        if let (Some(kind), Some(id)) = (kind, id) {
            let url = format!("{base}/{kind}/{id}");
            entries.push(json!({ "fullUrl": url, "resource": resource }));
        }
    };
    let is_document = rendered.kind != Kind::Document;
    let companions: Vec<&RenderedReport> = companions
        .iter()
        .filter(|other| is_document && matches!(other.kind, Kind::Dose | Kind::KeyObjects))
        .collect();
    if is_document {
        let mut composition = rendered.composition.clone()?;
        for other in &companions {
            let (name, all) = match other.kind {
                Kind::Dose => ("procedure", &other.observations),
                _ => ("findings", &other.key_images),
            };
            refer(context, &mut composition, name, all);
        }
        push(composition);
    }
    push(report);
    let parsed = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    let patient = parsed(&render_patient(context, &study.patient, view));
    patient.map(|patient| complete(patient, view)).map(&mut push);
    parsed(&render_study(context, study, view).bytes).map(&mut push);
    if is_document {
        for resource in &rendered.observations {
            push(resource.clone());
        }
        for other in &companions {
            let all = other.observations.iter().chain(&other.key_images);
            all.cloned().for_each(&mut push);
        }
    }
    parsed(&render_organisation(context)).map(&mut push);
    debug_assert!(entries.iter().any(|entry| entry["resource"]["id"] == ORGANISATION_ID));
    let uid = stored.report.uid.as_str();
    let uid = match view {
        View::Pseudonymous => mapped_uid(&context.0.key, uid),
        View::Care | View::DeIdentified => uid.to_owned(),
    };
    let mut bundle = Map::new();
    bundle.insert("resourceType".to_owned(), "Bundle".into());
    bundle.insert("id".to_owned(), stored.public_id.as_str().into());
    bundle.insert("meta".to_owned(), json!({}));
    bundle.insert(
        "identifier".to_owned(),
        json!({ "system": "urn:ietf:rfc:3986", "value": format!("urn:oid:{uid}") }),
    );
    bundle.insert("type".to_owned(), if is_document { "document" } else { "collection" }.into());
    let updated = stored.updated.max(study.updated);
    bundle.insert("timestamp".to_owned(), crate::mapping::fhir::instant(updated).into());
    put(&mut bundle, "entry", entries);
    let mut bundle = Value::Object(bundle);
    context.0.tables.reports.claim(&mut bundle, rendered.kind);
    Some(bundle)
}

/// Says why what patient-eu-core demands is not given (the guide's page on missing data).
fn complete(mut patient: Value, view: View) -> Value {
    let reason = if view == View::Pseudonymous { "masked" } else { "unknown" };
    let why = json!({ "extension": [crate::mapping::fhir::absent(reason)] });
    if let Some(object) = patient.as_object_mut() {
        if !object.contains_key("name") {
            object.insert("name".to_owned(), json!([why]));
        }
        if !object.contains_key("birthDate") {
            object.insert("_birthDate".to_owned(), why);
        }
    }
    patient
}

/// Adds references to a section, which is there because the profile demands it, or is made.
fn refer(context: &Context, composition: &mut Value, name: &str, all: &[Value]) {
    let rows = &context.0.tables.reports.section;
    let Some(row) = rows.iter().find(|row| row.name == name) else { return };
    let references: Vec<Value> = all
        .iter()
        .filter_map(|one| {
            let (kind, id) = (one["resourceType"].as_str()?, one["id"].as_str()?);
            Some(json!({ "reference": format!("{kind}/{id}") }))
        })
        .collect();
    let Some(sections) = composition["section"].as_array_mut() else { return };
    if references.is_empty() {
        return;
    }
    let is_it = |section: &Value| section["code"]["coding"][0]["code"] == row.code.as_str();
    let at = match sections.iter().position(is_it) {
        Some(at) => at,
        None => {
            sections.push(json!({
                "title": row.title,
                "code": { "coding": [{ "system": LOINC, "code": row.code, "display": row.display }] },
                "text": {
                    "status": "generated",
                    "div": narrative::sentence("Resources of the study are referred to."),
                },
            }));
            sections.len() - 1
        }
    };
    let Some(section) = sections.get_mut(at).and_then(Value::as_object_mut) else { return };
    section.shift_remove("emptyReason");
    match section.get_mut("entry") {
        Some(Value::Array(entries)) => entries.extend(references),
        _ => put(section, "entry", references),
    }
}

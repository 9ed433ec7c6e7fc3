//! DiagnosticReport (DiagnosticReportEuImaging; of encapsulated documents
//! DiagnosticReportEuImagingMinimalMetadata) and DocumentReference (DocumentReferenceImagingReport).

use serde_json::{Map, Value, json};

use super::{Kind, LOINC, Source, narrative, organisation, put, put_text};
use crate::imaging::{Content, Item, Rank};
use crate::mapping::body::{body_site, region};
use crate::mapping::codes::{self, DCM};

/// R5's DiagnosticReport.composition in R4.
const COMPOSITION: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-DiagnosticReport.composition";

pub(super) fn report(source: &Source<'_>, results: &[String]) -> Value {
    let stored = source.stored;
    let mut object = source.head("DiagnosticReport", &stored.public_id);
    if source.kind != Kind::Document {
        let reference = format!("Composition/{}", stored.public_id);
        let composition =
            json!([{ "url": COMPOSITION, "valueReference": { "reference": reference } }]);
        object.insert("extension".to_owned(), composition);
    }
    let mut identifiers = vec![source.identifier()];
    let hl7 = stored.report.document.as_ref().and_then(|document| document.hl7.as_deref());
    if let Some(own) = hl7.filter(|_| !source.is_secondary()).and_then(instance_identifier) {
        identifiers.push(own);
    }
    put(&mut object, "identifier", identifiers);
    put(&mut object, "basedOn", source.based_on());
    let [status, ..] = source.status();
    object.insert("status".to_owned(), status.into());
    object.insert("category".to_owned(), source.categories());
    object.insert("code".to_owned(), source.code());
    object.insert("subject".to_owned(), source.subject());
    put_text(&mut object, "effectiveDateTime", source.written());
    if !source.is_secondary() {
        put_text(&mut object, "issued", source.issued());
    }
    put(&mut object, "performer", vec![organisation()]);
    put(&mut object, "resultsInterpreter", source.authors());
    let results = results.iter().map(|id| json!({ "reference": format!("Observation/{id}") }));
    put(&mut object, "result", results.collect());
    put(&mut object, "imagingStudy", studies(source));
    conclusion(source, &mut object);
    if let Some(form) = presented_form(source) {
        put(&mut object, "presentedForm", vec![form]);
    }
    Value::Object(object)
}

/// The study that holds the report, and the others that it names.
fn studies(source: &Source<'_>) -> Vec<Value> {
    let report = &source.stored.report;
    let mut all = vec![source.study_reference()];
    let named = report.studies.iter().chain(report.evidence.iter().map(|evidence| &evidence.study));
    let mut seen = vec![&source.study.uid];
    for uid in named {
        if seen.len() > 64 {
            break;
        }
        if !seen.contains(&uid) {
            seen.push(uid);
            all.push(json!({
                "type": "ImagingStudy",
                "identifier": crate::mapping::identifier::study_uid(&source.uid(uid.as_str())),
            }));
        }
    }
    all
}

/// The words of the sections that conclude, and the codes in them.
fn conclusion(source: &Source<'_>, object: &mut Map<String, Value>) {
    let rows = &source.tables().section;
    let lines = narrative::lines(source);
    let texts: Vec<String> = rows
        .iter()
        .zip(&lines)
        .filter(|(row, _)| row.conclusion)
        .map(|(_, lines)| narrative::plain(lines))
        .filter(|text| !text.is_empty())
        .collect();
    if !texts.is_empty() {
        object.insert("conclusion".to_owned(), texts.join("\n").into());
    }
    let mut found: Vec<Value> = Vec::new();
    concluding_codes(source, &source.stored.report.items, false, &mut found);
    put(object, "conclusionCode", found);
}

fn concluding_codes(
    source: &Source<'_>,
    items: &[Item],
    is_concluding: bool,
    into: &mut Vec<Value>,
) {
    for item in items {
        let tables = source.tables();
        let own = item.concept.as_ref().and_then(|concept| tables.section_of(concept));
        let row = own.and_then(|at| tables.section.get(at));
        let is_concluding = row.map_or(is_concluding, |row| row.conclusion);
        let is_said = item.relationship == "CONTAINS" && into.len() < 32;
        if let (true, Content::Coded { code }) = (is_concluding && is_said, &item.content)
            && let Some(concept) = source.concept(code)
            && !into.contains(&concept)
        {
            into.push(concept);
        }
        concluding_codes(source, &item.items, is_concluding, into);
    }
}

/// The document that is encapsulated: where its bytes can be fetched, never the bytes.
fn presented_form(source: &Source<'_>) -> Option<Value> {
    let document = source.stored.report.document.as_ref().filter(|_| !source.is_secondary())?;
    let mut form = Map::new();
    form.insert("contentType".to_owned(), document.mime.as_str().into());
    let url = format!("{}/fhir/Binary/{}", source.context.base(), source.stored.public_id);
    form.insert("url".to_owned(), url.into());
    if let Some(size) = i32::try_from(document.size).ok().filter(|size| *size > 0) {
        form.insert("size".to_owned(), size.into());
    }
    form.insert("title".to_owned(), source.title().into());
    put_text(&mut form, "creation", source.written());
    Some(Value::Object(form))
}

/// HL7InstanceIdentifier (PS3.3 C.24.2): the root, or root and extension with `^` between them.
fn instance_identifier(text: &str) -> Option<Value> {
    let (root, extension) = text.split_once('^').unwrap_or((text, ""));
    let root = crate::imaging::Uid::parse(root).ok()?.to_urn();
    Some(if extension.is_empty() {
        json!({ "system": "urn:ietf:rfc:3986", "value": root })
    } else {
        json!({ "system": root, "value": extension })
    })
}

/// How a document consumer finds the report (MHD, ITI-67): it refers to the Bundle. None in
/// secondary use, where nobody asks for documents of a patient.
pub(super) fn document_reference(source: &Source<'_>) -> Option<Value> {
    if source.is_secondary() {
        return None;
    }
    let (context, stored, study) = (source.context, source.stored, source.study);
    let tables = &context.0.tables;
    let mut object = source.head("DocumentReference", &stored.public_id);
    let images = study.series.iter().filter(|series| {
        codes::modality(&series.attributes).is_some_and(|code| !Rank::DERIVED.contains(&code))
    });
    let modality = images.clone().find_map(|series| codes::modality(&series.attributes));
    let modality = match modality {
        Some(code) => match tables.modality.get(code) {
            Some(display) => {
                json!({ "coding": [{ "system": DCM, "code": code, "display": &**display }] })
            }
            None => json!({ "coding": [{ "system": DCM, "code": code }] }),
        },
        // The profile demands one; a study of reports alone has none of images.
        None => json!({ "coding": [{ "system": DCM, "code": "SR", "display": "SR Document" }] }),
    };
    let mut extension = vec![json!({
        "url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-DocumentReference.modality",
        "valueCodeableConcept": modality,
    })];
    let found = images
        .filter_map(|series| body_site(context, &series.attributes))
        .find_map(|site| region(context, &site));
    if let Some(region) = found {
        extension.push(json!({
            "url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-DocumentReference.bodySite",
            "extension": [{
                "url": "concept",
                "valueCodeableConcept": { "coding": [{
                    "system": tables.body.system, "code": region.code, "display": region.display,
                }] },
            }],
        }));
    }
    put(&mut object, "extension", extension);
    let uid = stored.report.uid.to_urn();
    let master = json!({ "use": "usual", "system": "urn:ietf:rfc:3986", "value": uid });
    object.insert("masterIdentifier".to_owned(), master.clone());
    put(&mut object, "identifier", vec![master, source.identifier()]);
    object.insert("status".to_owned(), "current".into());
    let mut coding = vec![json!({ "system": LOINC, "code": "85430-7" })];
    let title = stored.report.title.as_ref().and_then(|title| source.coding(title));
    coding.extend(title.filter(|title| title["code"] != "85430-7"));
    object.insert("type".to_owned(), json!({ "coding": coding }));
    object.insert(
        "category".to_owned(),
        json!([{ "coding": [{
            "system": source.priority(), "code": "Medical-Imaging", "display": "medical imaging studies and related imaging reports",
        }] }]),
    );
    object.insert("subject".to_owned(), source.subject());
    let date = source.issued().unwrap_or_else(|| super::changed(source));
    object.insert("date".to_owned(), date.into());
    put(&mut object, "author", [source.authors(), vec![organisation()]].concat());
    object.insert("custodian".to_owned(), organisation());
    let title = source.title();
    object.insert("description".to_owned(), title.as_str().into());
    let profile = if source.kind == Kind::Document {
        "http://hl7.eu/fhir/imaging/StructureDefinition/BundleReportMinimalMetadataEuImaging"
    } else {
        "http://hl7.eu/fhir/imaging/StructureDefinition/BundleReportEuImaging"
    };
    let url = format!("{}/fhir/DiagnosticReport/{}/$fhir-report", context.base(), stored.public_id);
    object.insert(
        "content".to_owned(),
        json!([{
            "extension": [{
                "url": "http://hl7.eu/fhir/imaging/StructureDefinition/im-documentreference-content-profile",
                "valueCanonical": profile,
            }],
            "attachment": {
                "contentType": "application/fhir+json", "url": url, "title": title,
            },
            // As the EU Health Data API's examples name the format of a document of FHIR.
            "format": { "system": "urn:ietf:rfc:3986", "code": profile },
        }]),
    );
    let mut about = Map::new();
    if let Some(when) = source.written() {
        about.insert("period".to_owned(), json!({ "start": when }));
    }
    about.insert("related".to_owned(), json!([source.study_reference()]));
    object.insert("context".to_owned(), Value::Object(about));
    Some(Value::Object(object))
}

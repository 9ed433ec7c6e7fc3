//! Key object selections (PS3.3 A.35.4, PS3.16 TID 2010) → key images: Basic with R5's
//! ImagingSelection as an extension (ImagingSelectionKeyImageEuImaging), one for each series.

use serde_json::{Map, Value, json};

use super::table::KeyImages;
use super::{Source, put, put_text};
use crate::imaging::{Content, ImageReference};

const SELECTION: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ImagingSelection";
/// Instances of one selection that are named; a key object selection that names more selects
/// nothing.
const INSTANCES: usize = 1_000;

pub(super) fn key_images(source: &Source<'_>) -> Vec<Value> {
    if source.tables().key_images == KeyImages::None {
        return Vec::new();
    }
    let report = &source.stored.report;
    let chosen: Vec<&ImageReference> = report
        .items
        .iter()
        .filter_map(|item| match &item.content {
            Content::Object { reference } => Some(reference),
            _ => None,
        })
        .collect();
    // The evidence tells which series an instance is of.
    let mut series: Vec<(&str, &str, Vec<&ImageReference>)> = Vec::new();
    let place: std::collections::HashMap<&str, (&str, &str)> = report
        .evidence
        .iter()
        .map(|evidence| {
            let of = (evidence.study.as_str(), evidence.series.as_str());
            (evidence.reference.instance.as_str(), of)
        })
        .collect();
    for reference in chosen {
        let Some((study, of)) = place.get(reference.instance.as_str()) else { continue };
        match series.iter_mut().find(|(_, known, _)| known == of) {
            Some((_, _, all)) => all.push(reference),
            None => series.push((study, of, vec![reference])),
        }
    }
    let title = report.title.as_ref().and_then(|title| source.concept(title));
    series
        .into_iter()
        .enumerate()
        .map(|(at, (study, of, all))| {
            let id = format!("{}-{}", source.stored.public_id, at + 1);
            let mut object = source.head("Basic", &id);
            let mut parts = vec![
                json!({ "url": "status", "valueCode": "available" }),
                json!({ "url": "subject", "valueReference": source.subject() }),
            ];
            if let Some(issued) = source.issued().filter(|_| !source.is_secondary()) {
                parts.push(json!({ "url": "issued", "valueInstant": issued }));
            }
            if let Some(title) = &title {
                parts.push(json!({ "url": "code", "valueCodeableConcept": title }));
            }
            parts.push(json!({ "url": "studyUid", "valueId": source.uid(study) }));
            if study == source.study.uid.as_str() {
                let reference = source.study_reference();
                parts.push(json!({ "url": "derivedFrom", "valueReference": reference }));
            }
            parts.push(json!({ "url": "seriesUid", "valueId": source.uid(of) }));
            parts.extend(all.into_iter().take(INSTANCES).map(|one| instance(source, one)));
            put(&mut object, "extension", vec![json!({ "url": SELECTION, "extension": parts })]);
            put(&mut object, "identifier", vec![source.identifier()]);
            object.insert(
                "code".to_owned(),
                json!({ "coding": [{
                    "system": "http://hl7.org/fhir/fhir-types", "code": "ImagingSelection",
                }] }),
            );
            object.insert("subject".to_owned(), source.subject());
            let created = source.written().map(|text| text.chars().take(10).collect());
            put_text(&mut object, "created", created);
            Value::Object(object)
        })
        .collect()
}

fn instance(source: &Source<'_>, one: &ImageReference) -> Value {
    let class = json!({ "system": "urn:ietf:rfc:3986", "code": one.class.to_urn() });
    let mut parts: Map<String, Value> = Map::new();
    let mut list = vec![
        json!({ "url": "uid", "valueId": source.uid(one.instance.as_str()) }),
        json!({ "url": "sopClass", "valueCoding": class }),
    ];
    let subsets = one.frames.iter().chain(&one.segments).take(INSTANCES);
    list.extend(subsets.map(|frame| json!({ "url": "subset", "valueString": frame.to_string() })));
    parts.insert("url".to_owned(), "instance".into());
    parts.insert("extension".to_owned(), list.into());
    Value::Object(parts)
}

//! DICOM JSON (PS3.18 Annex F) into the same records that files give.

use dicom_core::VR;
use serde_json::{Map, Value as Json};

use super::charset;
use super::digest::Digest;
use super::plan::{Goal, Plan, Wanted};
use super::record::{Source, assemble};
use super::sr;
use super::value;
use super::walk::Collected;
use crate::imaging::{Attributes, Finding, Keyword, Quarantine, Record, Uid, Value};

/// One instance's metadata, as WADO-RS `/metadata` serves it, by the table and rules of files.
/// The size of the instance is not known, and the digest is of the attributes that are read.
///
/// # Errors
/// Why the instance cannot be used.
pub fn record_from_json(instance: &Map<String, Json>, origin: &str) -> Result<Record, Quarantine> {
    let plan = Plan::current();
    let mut collected = Collected::new(plan);
    let mut bag = Vec::new();
    collect(plan, 0, instance, &mut collected, &mut bag);
    collected.settle();

    // AvailableTransferSyntaxUID where the server tells it; some give the file meta information.
    let syntax = ["00020010", "00083002"].iter().find_map(|tag| {
        let values = instance.get(*tag)?.get("Value")?.as_array()?;
        match values.as_slice() {
            [Json::String(uid)] => Uid::parse_lenient(uid).ok(),
            _ => None,
        }
    });
    let mut digest = Digest::new(0);
    for (row, value) in plan.rows.iter().zip(&collected.rows) {
        if let Some(value) = value {
            digest.add(row.keyword.as_str().as_bytes());
            add(&mut digest, value);
        }
    }
    let class = collected.text(plan, "SOPClassUID").and_then(|uid| Uid::parse_lenient(uid).ok());
    let content = class.filter(sr::is_report).map(|_| {
        let mut content = Collected::within(sr::plan(), sr::LIMITS);
        collect(sr::plan(), 0, instance, &mut content, &mut Vec::new());
        content.settle();
        for (row, value) in sr::plan().rows.iter().zip(&content.rows) {
            if let Some(value) = value {
                digest.add(row.keyword.as_str().as_bytes());
                add(&mut digest, value);
            }
        }
        content
    });
    let digest = digest.finish();
    let source = Source { origin, bytes: 0, digest, transfer_syntax: syntax };
    let mut record = assemble(plan, collected, source)?;
    if let (Some(instance), Some(content)) = (&record.instance, content) {
        let (report, findings) = sr::report(instance, content);
        record.report = Some(Box::new(report));
        for finding in findings {
            value::note(&mut record.findings, finding);
        }
    }
    Ok(record)
}

fn add(digest: &mut Digest, value: &Value) {
    match value {
        Value::Text(text) => digest.add(text.as_bytes()),
        Value::Items(items) => {
            for item in items {
                digest.add(b"item");
                for (keyword, value) in item.iter() {
                    digest.add(keyword.as_str().as_bytes());
                    add(digest, value);
                }
            }
        }
    }
}

fn collect(
    plan: &Plan,
    place: u16,
    object: &Map<String, Json>,
    into: &mut Collected,
    bag: &mut Vec<(Keyword, Value)>,
) {
    for (key, element) in object {
        let wanted = (key.len() == 8)
            .then(|| u32::from_str_radix(key, 16).ok())
            .flatten()
            .and_then(|tag| plan.find(place, tag));
        let (Some(wanted), Some(values)) = (wanted, element.get("Value").and_then(Json::as_array))
        else {
            continue;
        };
        let vr = element.get("vr").and_then(Json::as_str).unwrap_or_default();
        if vr != wanted.vr.to_string() && vr != "UN" {
            into.note(Finding::new("vr-odd", wanted.keyword.as_str(), vr));
        }
        let value = match wanted.items {
            Some(items) => sequence(plan, items, values, into),
            None => text(wanted, values, into).map(|text| Value::Text(text.into())),
        };
        match (value, wanted.goal) {
            (Some(value), Goal::Item) => bag.push((wanted.keyword, value)),
            (Some(value), goal) => into.put(goal, value),
            (None, _) => {}
        }
    }
}

fn sequence(plan: &Plan, place: u16, values: &[Json], into: &mut Collected) -> Option<Value> {
    let mut items: Vec<Attributes> = Vec::new();
    for value in values {
        let Some(object) = value.as_object() else { continue };
        let mut bag = Vec::new();
        collect(plan, place, object, into, &mut bag);
        if !bag.is_empty() && items.len() < into.limits.items {
            items.push(bag.into_iter().collect());
        }
    }
    (!items.is_empty()).then(|| Value::Items(items.into()))
}

fn text(wanted: &Wanted, values: &[Json], into: &mut Collected) -> Option<String> {
    let parts: Vec<String> = values.iter().map(|value| part(wanted.vr, value)).collect();
    let joined = charset::clean(&parts.join("\\"));
    let keyword = wanted.keyword.as_str();
    if joined.len() > into.limits.value as usize {
        into.note(Finding::new("value-too-long", keyword, ""));
        return None;
    }
    value::normalise(wanted.vr, keyword, &joined, &mut into.findings)
        .filter(|text| wanted.goal != Goal::Item || into.affords(wanted.keyword, text.len()))
        .map(std::borrow::Cow::into_owned)
}

fn part(vr: VR, value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => number.to_string(),
            (None, Some(number)) => value::shortest(number),
            (None, None) => String::new(),
        },
        Json::Object(name) if vr == VR::PN => {
            let group = |key| name.get(key).and_then(Json::as_str).unwrap_or_default();
            [group("Alphabetic"), group("Ideographic"), group("Phonetic")].join("=")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::record_from_json;

    fn object(value: &Value) -> &serde_json::Map<String, Value> {
        value.as_object().unwrap()
    }

    #[test]
    fn metadata_becomes_a_record() {
        let metadata = json!({
            "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
            "00080018": {"vr": "UI", "Value": ["2.25.3"]},
            "00080008": {"vr": "CS", "Value": ["ORIGINAL", null, "AXIAL"]},
            "00080060": {"vr": "CS", "Value": ["CT"]},
            "00081032": {"vr": "SQ", "Value": [{"00080104": {"vr": "LO", "Value": ["CT of chest"]}}]},
            "00083002": {"vr": "UI", "Value": ["1.2.840.10008.1.2.1"]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}]},
            "00100020": {"vr": "LO", "Value": ["P1"]},
            "0020000D": {"vr": "UI", "Value": ["2.25.1"]},
            "0020000e": {"vr": "UI", "Value": ["2.25.2"]},
            "00200011": {"vr": "IS", "Value": [4]},
            "00280010": {"vr": "US", "Value": [512]},
            "00280030": {"vr": "DS", "Value": [0.5, "0.50"]},
            "7FE00010": {"vr": "OW", "BulkDataURI": "http://pacs/bulk"},
        });
        let record = record_from_json(object(&metadata), "studies/2.25.1").unwrap();
        assert_eq!(record.findings, []);
        assert_eq!(record.patient.text("PatientName"), Some("Yamada^Tarou=山田^太郎"));
        assert_eq!(record.series.text("PixelSpacing"), Some(r"0.5\0.5"));
        assert_eq!(record.series.text("SeriesNumber"), Some("4"));
        let procedure = &record.study.items("ProcedureCodeSequence")[0];
        assert_eq!(procedure.text("CodeMeaning"), Some("CT of chest"));
        let instance = record.instance.unwrap();
        assert_eq!(instance.title.as_deref(), Some(r"ORIGINAL\\AXIAL"));
        assert_eq!(instance.rows, Some(512));
        assert_eq!(instance.transfer_syntax.unwrap().as_str(), "1.2.840.10008.1.2.1");
    }

    #[test]
    fn metadata_that_is_none_is_refused_without_panic() {
        for wrong in [
            json!({}),
            json!({"0020000D": {"vr": "UI", "Value": ["../.."]}}),
            json!({"0020000D": {"vr": "UI", "Value": "2.25.1"}}),
            json!({"0020000D": []}),
            json!({"zzzzzzzz": {"vr": "SQ", "Value": [[[1]]]}}),
            json!({"00081032": {"vr": "SQ", "Value": [{"00081032": {"vr": "SQ", "Value": [null]}}]}}),
        ] {
            let reason = record_from_json(object(&wrong), "").unwrap_err();
            assert!(reason.code.starts_with("uid-"), "{reason:?}");
        }
    }
}

//! Resources that come from files: how they are linked to the archive, and that bytes stay.

use serde_json::{Value, json};
use vesalius::actor::Role;

use super::server::{Server, archive};

const NOW: i64 = 1_764_000_000_000_000;

fn server() -> Server {
    Server::new(archive(6, 7), |_| ())
}

fn take(server: &Server, documents: &[&str]) -> vesalius::fhir::IntakeSummary {
    let state = server.state();
    let mut intake = state.intake("registry", b"a key of tests", NOW).unwrap();
    documents.iter().for_each(|document| intake.note(document.as_bytes()));
    for document in documents {
        intake.take("file", 1, document.as_bytes()).unwrap();
    }
    intake.end().unwrap()
}

fn bundle(entries: &[Value]) -> String {
    let entries: Vec<Value> = entries.iter().map(|one| json!({ "resource": one })).collect();
    json!({ "resourceType": "Bundle", "type": "searchset", "entry": entries }).to_string()
}

/// A study of the archive with its patient.
async fn study(server: &Server) -> (Value, Value) {
    let study = server.all("/fhir/ImagingStudy").await.remove(0);
    let patient = study["subject"]["reference"].as_str().unwrap();
    let patient = server.get(Role::ImagingIt, &format!("/fhir/{patient}")).await.json();
    (study, patient)
}

#[actix_web::test]
async fn what_comes_is_linked_to_patient_study_and_each_other() {
    let server = server();
    let (study, patient) = study(&server).await;
    let theirs = json!({
        "resourceType": "Patient", "id": "77", "identifier": patient["identifier"],
    });
    let their_study = json!({
        "resourceType": "ImagingStudy", "id": "5", "status": "available",
        "identifier": study["identifier"], "subject": { "reference": "Patient/77" },
    });
    let condition = json!({
        "resourceType": "Condition", "id": "9", "code": { "text": "x" },
        "subject": { "reference": "Patient/77", "display": "she" },
    });
    let report = r#"{"resourceType":"Observation","id":"8","meta":{"versionId":"3","lastUpdated":"2020-01-01T00:00:00Z"},"status":"final","code":{"text":"size"},"subject":{"reference":"https://their.example/fhir/Patient/77"},"focus":[{"reference":"Condition/9/_history/2"}],"derivedFrom":[{"reference":"ImagingStudy/5"}],"valueQuantity":{"value":1.50,"unit":"mm"}}"#;
    let with_url = json!({
        "resourceType": "Bundle", "type": "collection",
        "entry": [{ "fullUrl": "https://their.example/fhir/Patient/77", "resource": theirs }],
    });
    let rest = [bundle(&[condition, their_study]), with_url.to_string()];
    let summary = take(&server, &[report, &rest[0], &rest[1]]);
    assert_eq!((summary.taken, summary.links, summary.quarantined), (2, 2, 0), "{summary:?}");
    assert_eq!((summary.unknown_patients, summary.unknown_studies), (0, 0));

    let own = format!("Patient/{}", patient["id"].as_str().unwrap());
    let found = server.all(&format!("/fhir/Observation?patient={own}&code:text=size")).await;
    assert_eq!(found.len(), 1);
    let found = &found[0];
    assert_eq!(found["subject"]["reference"], own.as_str());
    let own_study = format!("ImagingStudy/{}", study["id"].as_str().unwrap());
    assert_eq!(found["derivedFrom"][0]["reference"], own_study.as_str());
    let focus = found["focus"][0]["reference"].as_str().unwrap();
    assert!(focus.starts_with("Condition/registry-"), "{focus}");
    let condition = server.get(Role::ImagingIt, &format!("/fhir/{focus}")).await;
    assert_eq!(condition.json()["subject"]["display"], "she");
    let id = found["id"].as_str().unwrap();
    let bytes = server.get(Role::ImagingIt, &format!("/fhir/Observation/{id}")).await.bytes;
    assert!(String::from_utf8(bytes).unwrap().contains("\"value\":1.50"), "digits stay");
    // The same again is nothing new, whatever version the other server gives it.
    let later = report.replace("\"versionId\":\"3\"", "\"versionId\":\"4\"");
    let again = take(&server, &[&later, &rest[0], &rest[1]]);
    assert_eq!((again.created, again.changed, again.unchanged), (0, 0, 2), "{again:?}");
}

#[actix_web::test]
async fn who_is_not_there_yet_is_kept_by_identifier_and_found_later() {
    let server = server();
    let them = json!({
        "resourceType": "Patient", "id": "1",
        "identifier": [{ "system": "urn:oid:2.999.5", "value": "X1" }],
    });
    let observation = json!({
        "resourceType": "Observation", "status": "final", "code": { "text": "x" },
        "subject": { "reference": "Patient/1" },
        "derivedFrom": [{ "reference": "ImagingStudy/1" }],
    });
    let study = json!({
        "resourceType": "ImagingStudy", "id": "1", "status": "available",
        "identifier": [{ "system": "urn:dicom:uid", "value": "urn:oid:1.2.3" }],
        "subject": { "reference": "Patient/1" },
    });
    let summary = take(&server, &[&bundle(&[observation.clone(), them.clone(), study.clone()])]);
    assert_eq!((summary.taken, summary.unknown_patients, summary.unknown_studies), (1, 1, 1));
    let found = server.all("/fhir/Observation?subject:identifier=urn:oid:2.999.5%7CX1").await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["subject"]["type"], "Patient");
    assert_eq!(found[0]["derivedFrom"][0]["identifier"]["value"], "urn:oid:1.2.3");
    // Without an id it is known by what it says.
    let again = take(&server, &[&bundle(&[observation, them, study])]);
    assert_eq!((again.created, again.unchanged), (0, 1));
}

#[actix_web::test]
async fn what_cannot_be_linked_or_read_is_put_aside_with_the_reason() {
    let server = server();
    let (study, _) = study(&server).await;
    let observation = |patient: &str, more: Value| {
        let mut json = json!({
            "resourceType": "Observation", "status": "final", "code": { "text": "x" },
            "subject": { "reference": patient },
        });
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json
    };
    let stranger = json!({
        "resourceType": "Patient", "id": "1", "identifier": [{ "value": "no such" }],
    });
    let nobody = json!({ "resourceType": "Patient", "id": "2" });
    let theirs = json!({
        "resourceType": "ImagingStudy", "id": "5", "status": "available",
        "identifier": study["identifier"], "subject": { "reference": "Patient/1" },
    });
    let all = server.all("/fhir/Patient").await;
    let other = all
        .iter()
        .find(|of| {
            Some(format!("Patient/{}", of["id"].as_str().unwrap()))
                != study["subject"]["reference"].as_str().map(str::to_owned)
        })
        .unwrap();
    let other = format!("Patient/{}", other["id"].as_str().unwrap());
    for (entries, code) in [
        (vec![observation("Patient/3", json!({}))], "patient-unknown"),
        (vec![observation("Patient/2", json!({})), nobody], "patient-unidentified"),
        (
            vec![observation("urn:uuid:00000000-0000-0000-0000-000000000001", json!({}))],
            "reference-unknown",
        ),
        (
            vec![
                observation(&other, json!({ "derivedFrom": [{ "reference": "ImagingStudy/5" }] })),
                theirs,
            ],
            "study-of-another-patient",
        ),
        (vec![observation("Patient/1", json!({ "status": "x" })), stranger], "resource-invalid"),
    ] {
        let summary = take(&server, &[&bundle(&entries)]);
        assert_eq!((summary.taken, summary.quarantined), (0, 1), "{code}: {summary:?}");
        assert_eq!(summary.aside[0].code, code);
        assert_eq!(summary.aside[0].entry, Some(0));
    }
    let state = server.state();
    for name in ["", "A", "a b", "../x", &"a".repeat(31)] {
        assert!(state.intake(name, b"k", NOW).is_err(), "{name:?}");
    }
    for broken in ["", "{", "[]", "null", "{\"resourceType\":7}", &"[".repeat(100_000)] {
        let summary = take(&server, &[broken]);
        assert_eq!(summary.aside[0].code, "json-broken", "{broken:.20}");
    }
}

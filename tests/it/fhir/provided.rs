//! Documents that clients provide: a transaction with a submission set, its references and their
//! content (IHE MHD 4.2.3, ITI-65), patches among its entries (FHIR R4 http.html 3.1.0.11.2), and how
//! they are found (ITI-66, ITI-67). All of it is synthetic.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vesalius::actor::Role;

use super::records::{Client, writer};
use super::server::{Reply, Server, archive};

const SET: &str = "urn:uuid:aaaaaaaa-bbbb-cccc-dddd-e00333300001";
const REFERENCE: &str = "urn:uuid:aaaaaaaa-bbbb-cccc-dddd-e00333300002";
const CONTENT: &str = "urn:uuid:aaaaaaaa-bbbb-cccc-dddd-e00333300003";
const MHD: &str = "https://profiles.ihe.net/ITI/MHD/StructureDefinition";

fn read(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.bytes).unwrap()
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.bytes).into_owned()
}

fn provided(patient: &str, number: u32) -> Value {
    let subject = json!({ "reference": format!("Patient/{patient}") });
    let extension = |name: &str| {
        format!("http://hl7.org/fhir/5.0/StructureDefinition/extension-DocumentReference.{name}")
    };
    let coded =
        |system: &str, code: &str| json!({ "coding": [{ "system": system, "code": code }] });
    let identified = |code: &str, value: &str| {
        json!({ "identifier": {
        "type": coded("http://dicom.nema.org/resources/ontology/DCM", code),
        "system": "urn:dicom:uid", "value": value,
    } })
    };
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "fullUrl": SET, "request": { "method": "POST", "url": "List" }, "resource": {
            "resourceType": "List", "status": "current", "mode": "working", "subject": subject,
            "date": "2020-02-02", "title": "Letters",
            "extension": [
                { "url": format!("{MHD}/ihe-designationType"), "valueCodeableConcept": coded("http://snomed.info/sct", "225728007") },
                { "url": format!("{MHD}/ihe-sourceId"), "valueIdentifier": { "value": "urn:oid:1.2.3.4" } },
            ],
            "identifier": [{ "system": "urn:ietf:rfc:3986", "value": format!("urn:oid:2.999.1.{number}") }],
            "code": coded("https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "submissionset"),
            "entry": [{ "item": { "reference": REFERENCE } }],
        } },
        { "fullUrl": REFERENCE, "request": { "method": "POST", "url": "DocumentReference" }, "resource": {
            "resourceType": "DocumentReference", "status": "current", "subject": subject,
            "masterIdentifier": { "system": "urn:ietf:rfc:3986", "value": format!("urn:oid:2.999.2.{number}") },
            "extension": [
                { "url": extension("modality"), "valueCodeableConcept": coded("http://dicom.nema.org/resources/ontology/DCM", "XC") },
                { "url": extension("bodySite"), "extension": [{ "url": "concept", "valueCodeableConcept": coded("http://snomed.info/sct", "774007") }] },
            ],
            "content": [{ "attachment": { "contentType": "text/plain", "url": CONTENT, "creation": "2020-02-01T10:00:00Z" } }],
            "context": { "related": [identified("110180", "urn:oid:2.999.3"), identified("121022", "A77")] },
        } },
        { "fullUrl": CONTENT, "request": { "method": "POST", "url": "Binary" }, "resource": {
            "resourceType": "Binary", "contentType": "text/plain", "data": STANDARD.encode("Hello (synthetic)"),
        } },
    ] })
}

/// Where the entries of an answer were put.
fn places(answer: &Value) -> Vec<String> {
    let entries = answer["entry"].as_array().unwrap().iter();
    entries
        .map(|entry| {
            let place = entry["response"]["location"].as_str().unwrap_or_default();
            let path = place.trim_start_matches("https://imaging.example/fhir/");
            path.split("/_history").next().unwrap().to_owned()
        })
        .collect()
}

async fn a_patient(server: &Server) -> String {
    let patients = server.all("/fhir/Patient?_count=1").await;
    patients[0]["id"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn a_provided_document_is_kept_and_found_like_those_of_the_archive() {
    let server = Server::new(archive(30, 3), |_| ());
    let patient = a_patient(&server).await;
    let care = Client(&server, writer(Role::Ehr));
    let reply = care.post("", &provided(&patient, 1)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", text(&reply));
    let [list, reference, content] = places(&read(&reply)).try_into().unwrap();

    let kept = read(&care.get(&format!("/{list}")).await);
    assert_eq!(kept["entry"][0]["item"]["reference"], reference.as_str());
    let kept = read(&care.get(&format!("/{reference}")).await);
    assert_eq!(kept["content"][0]["attachment"]["url"], content.as_str());
    let plain = TestRequest::get().uri(&format!("/fhir/{content}"));
    assert_eq!(
        text(&care.send(plain.insert_header(("Accept", "text/plain"))).await),
        "Hello (synthetic)"
    );

    for query in [
        "identifier=urn:ietf:rfc:3986|urn:oid:2.999.1.1",
        "code=submissionset",
        "status=current",
        "date=2020-02-02",
        "title=let",
        "designationType=http://snomed.info/sct|225728007",
        "sourceId=urn:oid:1.2.3.4",
        &format!("item={reference}"),
    ] {
        let found = read(&care.get(&format!("/List?patient={patient}&{query}")).await);
        let entries = found["entry"].as_array().unwrap().iter();
        let ids: Vec<String> =
            entries.map(|e| format!("List/{}", e["resource"]["id"].as_str().unwrap())).collect();
        assert!(ids.contains(&list), "{query}: {found:#}");
        let is_code_or_status = query.starts_with("code") || query.starts_with("status");
        assert!(is_code_or_status || ids.len() == 1, "{query}: {ids:?}");
    }
    for query in [
        "modality=XC",
        "bodysite=774007",
        "body-site=http://snomed.info/sct|774007",
        "study-instance-uid=urn:dicom:uid|urn:oid:2.999.3",
        "accession-number=A77",
        "creation=2020-02-01",
    ] {
        let found = read(&care.get(&format!("/DocumentReference?patient={patient}&{query}")).await);
        assert_eq!(found["total"], 1, "{query}: {found:#}");
        assert_eq!(found["entry"][0]["resource"]["id"], reference.rsplit('/').next().unwrap());
    }
    for other in ["study-instance-uid=A77", "accession-number=urn:oid:2.999.3", "modality=774007"] {
        let found = read(&care.get(&format!("/DocumentReference?patient={patient}&{other}")).await);
        assert_eq!(found["total"], 0, "{other}");
    }
    let with = format!(
        "/DocumentReference?_id={}&_revinclude=List:item",
        reference.rsplit('/').next().unwrap()
    );
    let kinds = |found: &Value| -> Vec<String> {
        let entries = found["entry"].as_array().unwrap().iter();
        entries.map(|e| e["resource"]["resourceType"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&read(&care.get(&with).await)), ["DocumentReference", "List"]);
    let of_archive = server.all("/fhir/List?code=submissionset&_count=100").await;
    let of_archive =
        of_archive.iter().find(|one| one["id"].as_str().unwrap().ends_with("-mado-set")).unwrap();
    let id =
        of_archive["entry"][0]["item"]["reference"].as_str().unwrap().rsplit('/').next().unwrap();
    let imaging = Client(&server, writer(Role::ImagingIt));
    let with = format!("/DocumentReference?_id={id}&_revinclude=List:item");
    assert_eq!(kinds(&read(&imaging.get(&with).await)), ["DocumentReference", "List"]);

    // What the archive makes stays what it is.
    let derived = of_archive["id"].as_str().unwrap();
    let mut mine = of_archive.clone();
    mine["title"] = "mine".into();
    assert_eq!(
        imaging.put(&format!("/List/{derived}"), &mine).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[actix_web::test]
async fn a_transaction_patches_what_it_replaces() {
    let server = Server::new(archive(30, 3), |_| ());
    let patient = a_patient(&server).await;
    let care = Client(&server, writer(Role::Ehr));
    let first = places(&read(&care.post("", &provided(&patient, 1)).await));
    let (list, old) = (&first[0], &first[1]);
    let fhir_path = json!({ "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": [
        { "name": "path", "valueString": "DocumentReference.status" },
        { "name": "type", "valueCode": "replace" },
        { "name": "value", "valueCode": "superseded" },
    ] }] });
    let json_patch = |value: &str| {
        json!({
            "resourceType": "Binary", "contentType": "application/json-patch+json",
            "data": STANDARD.encode(json!([{ "op": "replace", "path": "/status", "value": value }]).to_string()),
        })
    };
    let entry = |url: &str, resource: &Value| {
        json!({
            "resource": resource, "request": { "method": "PATCH", "url": url },
        })
    };
    let mut next = provided(&patient, 2);
    next["entry"][1]["resource"]["relatesTo"] =
        json!([{ "code": "replaces", "target": { "reference": old } }]);
    next["entry"].as_array_mut().unwrap().push(entry(old, &fhir_path));
    next["entry"].as_array_mut().unwrap().push(entry(list, &json_patch("retired")));
    let reply = care.post("", &next).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", text(&reply));
    let statuses: Vec<Value> =
        (0..5).map(|at| read(&reply)["entry"][at]["response"]["status"].clone()).collect();
    assert_eq!(statuses, ["201 Created", "201 Created", "201 Created", "200 OK", "200 OK"]);
    assert_eq!(read(&care.get(&format!("/{old}")).await)["status"], "superseded");
    assert_eq!(read(&care.get(&format!("/{list}")).await)["status"], "retired");
    // The references of the first content stay as they were.
    assert_eq!(
        read(&care.get(&format!("/{old}")).await)["content"][0]["attachment"]["url"],
        first[2].as_str()
    );

    // A bad patch changes nothing of the rest.
    let before = read(
        &care.get(&format!("/DocumentReference?patient={patient}&_summary=count")).await,
    )["total"]
        .clone();
    for (patch, status) in [
        (json_patch("painted"), StatusCode::UNPROCESSABLE_ENTITY),
        (
            json!({ "resourceType": "Binary", "contentType": "text/plain", "data": "" }),
            StatusCode::BAD_REQUEST,
        ),
        (json!({ "resourceType": "Basic" }), StatusCode::BAD_REQUEST),
        (json!({ "resourceType": "Parameters" }), StatusCode::BAD_REQUEST),
    ] {
        let mut bad = provided(&patient, 3);
        bad["entry"].as_array_mut().unwrap().push(entry(list, &patch));
        let reply = care.post("", &bad).await;
        assert_eq!(reply.status, status, "{patch}: {}", text(&reply));
        assert!(text(&reply).contains("Bundle.entry[3]"), "{}", text(&reply));
        bad["type"] = "batch".into();
        for entry in bad["entry"].as_array_mut().unwrap() {
            entry["request"]["method"] =
                if entry["request"]["method"] == "PATCH" { "PATCH" } else { "GET" }.into();
            entry.as_object_mut().unwrap().remove("fullUrl");
        }
        let reply = care.post("", &bad).await;
        let told = read(&reply)["entry"][3]["response"]["status"].clone();
        assert!(told.as_str().unwrap().starts_with(status.as_str()), "{told}");
    }
    let after = read(
        &care.get(&format!("/DocumentReference?patient={patient}&_summary=count")).await,
    )["total"]
        .clone();
    assert_eq!(before, after);

    // The same patch by itself, as JSON and as XML.
    for (media, body, expected) in [
        ("application/fhir+json", fhir_path.to_string().replace("superseded", "current"), "current"),
        ("application/fhir+xml", "<Parameters xmlns=\"http://hl7.org/fhir\"><parameter><name value=\"operation\"/><part><name value=\"type\"/><valueCode value=\"replace\"/></part><part><name value=\"path\"/><valueString value=\"status\"/></part><part><name value=\"value\"/><valueCode value=\"entered-in-error\"/></part></parameter></Parameters>".to_owned(), "entered-in-error"),
    ] {
        let request = TestRequest::patch().uri(&format!("/fhir/{old}")).insert_header(("Content-Type", media)).set_payload(body);
        let reply = care.send(request).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", text(&reply));
        assert_eq!(read(&care.get(&format!("/{old}")).await)["status"], expected);
    }
    let request = TestRequest::patch()
        .uri(&format!("/fhir/{old}"))
        .insert_header(("Content-Type", "text/plain"))
        .set_payload("x");
    assert_eq!(care.send(request).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[actix_web::test]
async fn more_entries_than_are_looked_at_are_too_costly() {
    let server = Server::new(archive(3, 3), |_| ());
    let care = Client(&server, writer(Role::ImagingIt));
    let many = |kind: &str| {
        format!(
            r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{}]}}"#,
            vec!["{}"; 10_001].join(",")
        )
    };
    for (path, body) in [
        ("", many("transaction")),
        ("/Bundle", many("collection")),
        ("/Bundle/$validate", many("collection")),
        (
            "/Bundle/$validate",
            format!(
                r#"{{"resourceType":"Parameters","parameter":[{{"name":"resource","resource":{}}}]}}"#,
                many("collection")
            ),
        ),
    ] {
        let reply = care.ask(actix_web::http::Method::POST, path, body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(read(&reply)["issue"][0]["code"], "too-costly", "{path}");
    }
}

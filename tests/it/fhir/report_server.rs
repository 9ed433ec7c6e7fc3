//! Reports as a client finds them: read, searched, as a document; and who finds nothing.

use std::sync::atomic::AtomicBool;

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::Value;
use vesalius::actor::{Actor, Role};
use vesalius::config::Identity;
use vesalius::imaging::{Facet, Record};
use vesalius::index::Criteria;
use vesalius::ingest::{Ingest, ingest};
use vesalius::source::folder::{Folder, Remembered};
use vesalius::source::{Item, Source as _};

use super::server::Server;

/// The records of a synthetic archive with reports.
pub(super) fn records(studies: usize) -> Vec<Record> {
    let dir = tempfile::tempdir().unwrap();
    vesalius::sample::write(dir.path(), studies, 11).unwrap();
    let mut found = Vec::new();
    Folder::in_process(dir.path())
        .unwrap()
        .read(&Remembered::default(), &mut |item| {
            if let Item::Record { record, .. } = item {
                found.push(*record);
            }
            Ok(())
        })
        .unwrap();
    found
}

fn ids(all: &[Value]) -> Vec<String> {
    let mut ids: Vec<String> =
        all.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

async fn found(server: &Server, query: &str) -> Vec<String> {
    ids(&server.all(&format!("/fhir/{query}")).await)
}

#[actix_web::test]
async fn searches_find_what_a_reader_of_all_resources_would() {
    let server = Server::new(records(70), |_| ());
    let reports = server.all("/fhir/DiagnosticReport?_count=7").await;
    let observations = server.all("/fhir/Observation?_count=13").await;
    assert!(reports.len() > 40 && observations.len() > 60);
    let patient = reports[3]["subject"]["reference"].as_str().unwrap().to_owned();
    let identifier = reports[5]["identifier"][0]["value"].as_str().unwrap().to_owned();
    let accession = reports[5]["basedOn"][0]["identifier"]["value"].as_str().unwrap().to_owned();
    let study = observations[4]["derivedFrom"][0]["reference"].as_str().unwrap().to_owned();
    let year = |one: &Value| one["effectiveDateTime"].as_str().unwrap()[..4].to_owned();
    let has = |one: &Value, path: &str, code: &str| {
        one[path]["coding"].as_array().is_some_and(|all| all.iter().any(|c| c["code"] == code))
    };
    type Judge<'j> = Box<dyn Fn(&Value) -> bool + 'j>;
    let cases: Vec<(String, &[Value], Judge<'_>)> = vec![
        (
            format!("DiagnosticReport?patient={patient}"),
            &reports,
            Box::new(|one| one["subject"]["reference"] == patient.as_str()),
        ),
        (
            format!("Observation?subject={patient}&code=73569-6"),
            &observations,
            Box::new(|one| {
                one["subject"]["reference"] == patient.as_str() && has(one, "code", "73569-6")
            }),
        ),
        (
            format!("DiagnosticReport?identifier=urn:dicom:uid|{identifier}"),
            &reports,
            Box::new(|one| one["identifier"][0]["value"] == identifier.as_str()),
        ),
        (
            "DiagnosticReport?status=final".to_owned(),
            &reports,
            Box::new(|one| one["status"] == "final"),
        ),
        (
            "DiagnosticReport?status=http://hl7.org/fhir/diagnostic-report-status|preliminary"
                .to_owned(),
            &reports,
            Box::new(|one| one["status"] == "preliminary"),
        ),
        ("DiagnosticReport?category=Medical-Imaging".to_owned(), &reports, Box::new(|_| true)),
        ("DiagnosticReport?category=LAB".to_owned(), &reports, Box::new(|_| false)),
        (
            "DiagnosticReport?code=http://loinc.org|18748-4".to_owned(),
            &reports,
            Box::new(|one| has(one, "code", "18748-4")),
        ),
        (
            format!("DiagnosticReport?based-on:identifier={accession}"),
            &reports,
            Box::new(|one| one["basedOn"][0]["identifier"]["value"] == accession.as_str()),
        ),
        ("DiagnosticReport?date=2023".to_owned(), &reports, Box::new(|one| year(one) == "2023")),
        (
            "Observation?date=lt2023".to_owned(),
            &observations,
            Box::new(|one| year(one).as_str() < "2023"),
        ),
        (
            format!("Observation?derived-from={study}"),
            &observations,
            Box::new(|one| one["derivedFrom"][0]["reference"] == study.as_str()),
        ),
        (
            "Observation?value-concept=27925004,397141009".to_owned(),
            &observations,
            Box::new(|one| {
                ["27925004", "397141009"].iter().any(|c| has(one, "valueCodeableConcept", c))
            }),
        ),
        (
            "Observation?code:text=axis".to_owned(),
            &observations,
            Box::new(|one| one["code"]["text"].as_str().is_some_and(|text| text.contains("axis"))),
        ),
        (
            "Observation?has-member:missing=false".to_owned(),
            &observations,
            Box::new(|one| one.get("hasMember").is_some()),
        ),
    ];
    for (query, all, judge) in cases {
        let expected: Vec<Value> = all.iter().filter(|one| judge(one)).cloned().collect();
        assert_eq!(found(&server, &query).await, ids(&expected), "{query}");
        let counted = server.get(Role::ImagingIt, &format!("/fhir/{query}&_summary=count")).await;
        assert_eq!(counted.json()["total"], expected.len(), "{query}");
    }
    assert_eq!(found(&server, "Composition?status=final").await.len(), {
        reports
            .iter()
            .filter(|one| one["status"] == "final" && one.get("extension").is_some())
            .count()
    });
    assert!(!found(&server, "Basic?code=ImagingSelection").await.is_empty());
}

#[actix_web::test]
async fn each_is_read_by_its_id_and_the_report_as_a_document() {
    let server = Server::new(records(24), |_| ());
    for path in ["DiagnosticReport", "Composition", "Observation"] {
        for one in server.all(&format!("/fhir/{path}")).await.iter().take(8) {
            let id = one["id"].as_str().unwrap();
            let reply = server.get(Role::ImagingIt, &format!("/fhir/{path}/{id}")).await;
            assert_eq!(reply.status, StatusCode::OK);
            assert_eq!(&reply.json(), one);
            let again = TestRequest::get()
                .uri(&format!("/fhir/{path}/{id}"))
                .insert_header(("If-None-Match", reply.header("etag").to_owned()));
            let again = server.send(Some(Role::ImagingIt), again).await;
            assert_eq!(again.status, StatusCode::NOT_MODIFIED);
        }
    }
    for one in server.all("/fhir/DiagnosticReport").await {
        let id = one["id"].as_str().unwrap();
        let reply =
            server.get(Role::ImagingIt, &format!("/fhir/DiagnosticReport/{id}/$fhir-report")).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", String::from_utf8_lossy(&reply.bytes));
        let bundle = reply.json();
        let is_document = one.get("extension").is_some();
        assert_eq!(bundle["type"], if is_document { "document" } else { "collection" });
        if is_document {
            let section = bundle["entry"][0]["resource"]["section"].as_array().unwrap();
            assert!(section.len() >= 4);
        }
    }
    for path in [
        "DiagnosticReport/none",
        "Observation/none-1",
        "Composition/0/$fhir-report",
        "DiagnosticReport/none/$fhir-report",
    ] {
        let reply = server.get(Role::ImagingIt, &format!("/fhir/{path}")).await;
        assert!(reply.status.is_client_error(), "{path} {}", reply.status);
    }
}

#[actix_web::test]
async fn care_names_a_patient_and_a_report_that_is_gone_is_gone() {
    let mut all = records(12);
    let server = Server::new(all.clone(), |_| ());
    let reply = server.get(Role::Ehr, "/fhir/DiagnosticReport").await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    let reports = server.all("/fhir/DiagnosticReport").await;
    let patient = reports[0]["subject"]["reference"].as_str().unwrap();
    let reply = server
        .get(
            Role::Ehr,
            &format!("/fhir/DiagnosticReport?patient={patient}&_include=DiagnosticReport:patient"),
        )
        .await;
    assert_eq!(reply.status, StatusCode::OK);
    let bundle = reply.json();
    let kinds: Vec<&str> = bundle["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["resource"]["resourceType"].as_str().unwrap())
        .collect();
    assert!(kinds.contains(&"Patient") && kinds.contains(&"DiagnosticReport"));

    let gone = all.iter().position(|record| record.report.is_some()).unwrap();
    let uid = all[gone].report.as_ref().unwrap().uid.to_string();
    let id = reports
        .iter()
        .find(|one| one["identifier"][0]["value"] == format!("urn:oid:{uid}"))
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .unwrap();
    all.remove(gone);
    server.ingest(all, 1_763_000_001_000_000);
    let reply = server.get(Role::ImagingIt, &format!("/fhir/DiagnosticReport/{id}")).await;
    assert_eq!(reply.status, StatusCode::GONE);
    let reply = server.get(Role::Researcher, &format!("/fhir/DiagnosticReport/{id}")).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_eq!(found(&server, "DiagnosticReport").await.len(), reports.len() - 1);
}

#[actix_web::test]
async fn research_reads_reports_of_open_datasets_only_and_without_text() {
    let server = Server::new(records(24), |config| {
        config.archive.identity = Identity::Identified;
    });
    let none = server.get(Role::Researcher, "/fhir/DiagnosticReport").await.json();
    assert_eq!(none["total"], 0);
    server.open(vec![Criteria { whole_studies: true, ..Criteria::of(Facet::Modality, &["CT"]) }]);
    let some = server.get(Role::Researcher, "/fhir/DiagnosticReport?_count=100").await;
    let text = String::from_utf8_lossy(&some.bytes).into_owned();
    let total = some.json()["total"].as_u64().unwrap();
    assert!(total > 0 && total < found(&server, "DiagnosticReport").await.len() as u64);
    for hidden in ["Invented", "Radiologist", "No nodule", "SYN0", "Binary"] {
        assert!(!text.contains(hidden), "{hidden}");
    }
    // What another archive without the hidden studies answers, byte by byte.
    let mut open = records(24);
    let is_ct = |record: &Record| record.series.first("Modality") == Some("CT");
    let studies: Vec<_> =
        open.iter().filter(|one| is_ct(one)).map(|one| one.study_uid.clone()).collect();
    open.retain(|record| studies.contains(&record.study_uid));
    let smaller = Server::new(open, |config| config.archive.identity = Identity::Identified);
    smaller.open(vec![Criteria { whole_studies: true, ..Criteria::of(Facet::Modality, &["CT"]) }]);
    for query in [
        "DiagnosticReport?_count=100",
        "Observation?_count=100",
        "Observation?code=103339001",
        "DiagnosticReport?_summary=count",
        "Composition?status=final&_count=3",
    ] {
        let one = server.get(Role::Researcher, &format!("/fhir/{query}")).await;
        let other = smaller.get(Role::Researcher, &format!("/fhir/{query}")).await;
        assert_eq!(
            String::from_utf8_lossy(&one.bytes),
            String::from_utf8_lossy(&other.bytes),
            "{query}"
        );
    }
}

#[actix_web::test]
async fn reports_stand_in_the_order_that_was_asked_for_whoever_wrote_them() {
    let server = Server::new(records(40), |_| ());
    let patient = server.all("/fhir/Patient").await[0]["id"].as_str().unwrap().to_owned();
    for year in ["2019", "2022", "2023", "2031"] {
        let report = serde_json::json!({
            "resourceType": "DiagnosticReport",
            "status": "final",
            "code": { "text": "written" },
            "subject": { "reference": format!("Patient/{patient}") },
            "effectiveDateTime": format!("{year}-06-01"),
        });
        let request = TestRequest::post()
            .uri("/fhir/DiagnosticReport")
            .insert_header(("Content-Type", "application/fhir+json"))
            .set_payload(report.to_string());
        let actor = Actor::new("ris", Role::ImagingIt).with_scopes("system/*.cruds");
        let reply = server.send_as(Some(actor), None, request).await;
        assert_eq!(
            reply.status,
            StatusCode::CREATED,
            "{:?}",
            String::from_utf8_lossy(&reply.bytes)
        );
    }
    for path in ["DiagnosticReport", "Observation", "Composition", "Procedure"] {
        let day = |one: &Value| {
            let dates = ["effectiveDateTime", "date", "performedDateTime"];
            dates.iter().find_map(|date| one[date].as_str()).unwrap()[..10].to_owned()
        };
        let all = server.all(&format!("/fhir/{path}")).await;
        let rising = server.all(&format!("/fhir/{path}?_sort=date&_count=7")).await;
        let falling = server.all(&format!("/fhir/{path}?_sort=-date&_count=7")).await;
        let days: Vec<String> = rising.iter().map(day).collect();
        assert!(days.is_sorted() && days.first() < days.last(), "{path} {days:?}");
        assert!(falling.iter().map(day).is_sorted_by(|a, b| a >= b), "{path}");
        assert_eq!(ids(&rising), ids(&all), "{path}");
        assert_eq!(ids(&falling), ids(&all), "{path}");
    }
}

#[actix_web::test]
async fn a_report_is_found_as_a_document_and_its_reference_leads_to_it() {
    let server = Server::new(records(24), |_| ());
    let reports = server.all("/fhir/DiagnosticReport").await;
    let query = "/fhir/DocumentReference?type=http://loinc.org|85430-7&_count=5";
    let references = server.all(query).await;
    assert_eq!(ids(&references), ids(&reports));
    for one in references.iter().take(6) {
        let id = one["id"].as_str().unwrap();
        let url = one["content"][0]["attachment"]["url"].as_str().unwrap();
        let path = url.strip_prefix("https://imaging.example").unwrap();
        let document = server.get(Role::ImagingIt, path).await;
        assert_eq!(document.status, StatusCode::OK, "{path}");
        assert_eq!(document.json()["resourceType"], "Bundle");
        let read = server.get(Role::ImagingIt, &format!("/fhir/DocumentReference/{id}")).await;
        assert_eq!(&read.json(), one);
        let identifier = one["masterIdentifier"]["value"].as_str().unwrap();
        let patient = one["subject"]["reference"].as_str().unwrap();
        let study = one["context"]["related"][0]["reference"].as_str().unwrap();
        for query in [
            format!("_id={id}"),
            format!("identifier={identifier}"),
            format!("patient={patient}&related={study}&type=85430-7"),
            format!("patient={patient}&status=current&category=Medical-Imaging"),
        ] {
            let found = found(&server, &format!("DocumentReference?{query}")).await;
            assert!(found.iter().any(|found| found == id), "{query} {found:?}");
        }
        for query in [
            format!("patient={patient}&status=superseded"),
            format!("patient={patient}&author:missing=true&type=85430-7"),
            format!("patient={patient}&type=18748-9"),
            format!("patient={patient}&format=urn:none"),
        ] {
            let found = found(&server, &format!("DocumentReference?{query}")).await;
            assert!(found.is_empty(), "{query} {found:?}");
        }
    }
    // What is a manifest still is one, and the other kind is none.
    let manifests = found(&server, "DocumentReference?event:missing=true&type:not=85430-7").await;
    assert!(manifests.iter().all(|id| id.contains("-mado-")));
    let reply = server.get(Role::Ehr, "/fhir/DocumentReference?type=85430-7").await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
}

#[actix_web::test]
async fn an_encapsulated_document_is_served_to_care_and_to_nobody_else() {
    for identity in [Identity::Identified, Identity::DeIdentified] {
        documents_are_for_care(identity).await;
    }
}

async fn documents_are_for_care(identity: Identity) {
    let dir = tempfile::tempdir().unwrap();
    vesalius::sample::write(dir.path(), 70, 11).unwrap();
    let server = Server::new(Vec::new(), |config| {
        config.archive.identity = identity;
    });
    let how = Ingest {
        name: "folder".to_owned(),
        context: server.context.clone(),
        pseudonym_key: b"a key of tests".to_vec(),
        batch: 500,
        prune: true,
    };
    let mut folder = Folder::in_process(dir.path()).unwrap();
    let stop = AtomicBool::new(false);
    let now = || 1_763_000_000_000_000;
    ingest(&server.store, &mut folder, &how, &now, &stop, &mut |_| ()).unwrap();
    server.index.catch_up(&server.store).unwrap();
    server.open(vec![Criteria::default()]);
    let reports = server.all("/fhir/DiagnosticReport?_count=100").await;
    let mut seen = 0;
    for one in &reports {
        let Some(form) = one["presentedForm"].as_array().and_then(|all| all.first()) else {
            continue;
        };
        let url = form["url"].as_str().unwrap().strip_prefix("https://imaging.example").unwrap();
        let reply = server.get(Role::ImagingIt, url).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.header("content-type"), form["contentType"].as_str().unwrap());
        assert_eq!(reply.bytes.len() as u64, form["size"].as_u64().unwrap());
        assert!(reply.bytes.starts_with(b"%PDF"));
        let again = TestRequest::get()
            .uri(url)
            .insert_header(("If-None-Match", reply.header("etag").to_owned()));
        let again = server.send(Some(Role::ImagingIt), again).await;
        assert_eq!(again.status, StatusCode::NOT_MODIFIED);
        let resource =
            TestRequest::get().uri(url).insert_header(("Accept", "application/fhir+json"));
        let resource = server.send(Some(Role::Ehr), resource).await.json();
        assert_eq!(resource["resourceType"], "Binary");
        let reply = server.get(Role::Researcher, url).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);
        seen += 1;
    }
    assert!(seen > 0);
    // Secondary use has ids of its own where persons are known, and no document under any.
    let bundle = server.get(Role::Researcher, "/fhir/DiagnosticReport?_count=100").await;
    assert!(!String::from_utf8_lossy(&bundle.bytes).contains("Binary/"));
    for one in bundle.json()["entry"].as_array().unwrap() {
        let id = one["resource"]["id"].as_str().unwrap();
        let reply = server.get(Role::Researcher, &format!("/fhir/Binary/{id}")).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);
        let path = format!("/fhir/DiagnosticReport/{id}/$fhir-report");
        let reply = server.get(Role::Researcher, &path).await;
        assert!(!String::from_utf8_lossy(&reply.bytes).contains("Binary/"));
    }
    // A report without a document has no Binary; a file that changed is not handed out.
    let without = reports.iter().find(|one| one.get("presentedForm").is_none()).unwrap();
    let path = format!("/fhir/Binary/{}", without["id"].as_str().unwrap());
    assert_eq!(server.get(Role::ImagingIt, &path).await.status, StatusCode::NOT_FOUND);
    let with = reports.iter().find(|one| one.get("presentedForm").is_some()).unwrap();
    let path = format!("/fhir/Binary/{}", with["id"].as_str().unwrap());
    drop(dir);
    let reply = server.get(Role::ImagingIt, &path).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert!(reply.json()["issue"][0]["diagnostics"].as_str().unwrap().contains("operator"));
}

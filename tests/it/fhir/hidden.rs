//! What roles and scopes let a client see: what is hidden is neither shown nor counted, and follows from
//! nothing that is.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::Value;
use vesalius::actor::Role;
use vesalius::config::Identity;
use vesalius::imaging::Facet;
use vesalius::index::Criteria;

use super::edges::{is_outcome, server};
use super::server::{Server, archive, link};

#[actix_web::test]
async fn care_reads_one_patient_at_a_time() {
    let server = server();
    let study = server.all("/fhir/ImagingStudy").await.remove(0);
    let patient = study["subject"]["reference"].as_str().unwrap().to_owned();
    let (id, uid) =
        (study["id"].as_str().unwrap(), study["identifier"][0]["value"].as_str().unwrap());
    for (path, status) in [
        ("ImagingStudy".to_owned(), 403),
        ("ImagingStudy?modality=CT".to_owned(), 403),
        ("ImagingStudy?_summary=count".to_owned(), 403),
        ("ImagingStudy?patient:missing=false".to_owned(), 403),
        ("ImagingStudy?identifier=urn:dicom:uid%7C".to_owned(), 403),
        ("ImagingStudy?_id:not=x".to_owned(), 403),
        ("ImagingStudy?patient.gender=female".to_owned(), 403),
        ("Patient".to_owned(), 403),
        ("Patient?family=a".to_owned(), 403),
        // A list of names names several; many patients may share a StudyID.
        ("Patient?identifier=P1,P2".to_owned(), 403),
        ("Patient?_id=a,b".to_owned(), 403),
        (format!("ImagingStudy?patient={patient},Patient/x"), 403),
        (format!("ImagingStudy?identifier={uid},x"), 403),
        ("ImagingStudy?patient.identifier=P1,P2".to_owned(), 403),
        ("ImagingStudy?patient:identifier=P1,P2".to_owned(), 403),
        ("ImagingStudy?identifier=https://imaging.example/study-id%7CS7".to_owned(), 403),
        (format!("ImagingStudy?patient={patient}&modality=CT,MR"), 200),
        (format!("ImagingStudy?patient={patient}"), 200),
        (format!("ImagingStudy?subject={patient}&modality=CT"), 200),
        (format!("ImagingStudy?_id={id}"), 200),
        (format!("ImagingStudy?identifier={uid}"), 200),
        ("ImagingStudy?patient.identifier=P1".to_owned(), 200),
        ("Patient?identifier=P1".to_owned(), 200),
        (format!("ImagingStudy/{id}"), 200),
        (patient.clone(), 200),
        ("Endpoint".to_owned(), 200),
        ("Organization?name=x".to_owned(), 200),
    ] {
        let reply = server.get(Role::Ehr, &format!("/fhir/{path}")).await;
        assert_eq!(reply.status.as_u16(), status, "{path}");
        if status == 403 {
            is_outcome(&reply, &path);
        }
    }
    // Without a system a StudyID is not looked at, unless the patient is named.
    let study_id = study["identifier"]
        .as_array()
        .unwrap()
        .iter()
        .find(|identifier| identifier["system"] == "https://imaging.example/study-id")
        .and_then(|identifier| identifier["value"].as_str())
        .unwrap();
    for (path, is_found) in [
        (format!("ImagingStudy?identifier={study_id}"), false),
        (format!("ImagingStudy?identifier={study_id}&patient={patient}"), true),
    ] {
        let bundle = server.get(Role::Ehr, &format!("/fhir/{path}")).await.json();
        assert_eq!(bundle["total"].as_u64().unwrap() > 0, is_found, "{path}");
    }
    // What one value finds may still be of several patients: an accession number or a PatientID
    // that two issuers gave.
    let mut records = archive(30, 3);
    let mut other = records[0].clone();
    other.patient_key.issuer = "ELSEWHERE".to_owned();
    other.study_uid = vesalius::imaging::Uid::parse("2.25.71").unwrap();
    other.series_uid = vesalius::imaging::Uid::parse("2.25.72").unwrap();
    other.instance.as_mut().unwrap().uid = vesalius::imaging::Uid::parse("2.25.73").unwrap();
    other.origin = "elsewhere".to_owned();
    let shared = other.patient_key.id.clone();
    records.push(other);
    server.ingest(records, 1_763_000_100_000_000);
    for path in [
        format!("Patient?identifier={shared}"),
        format!("Patient?identifier={shared}&_summary=count"),
        format!("ImagingStudy?patient.identifier={shared}"),
        format!("ImagingStudy?patient:identifier={shared}&_summary=count"),
    ] {
        let reply = server.get(Role::Ehr, &format!("/fhir/{path}")).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}");
        is_outcome(&reply, &path);
        let reply = server.get(Role::ImagingIt, &format!("/fhir/{path}")).await;
        assert!(reply.json()["total"].as_u64().unwrap() > 1, "{path}");
    }
    for role in [Role::Steward, Role::Admin, Role::Public] {
        for path in ["ImagingStudy?_summary=count", "Patient?identifier=P1", "Endpoint"] {
            let reply = server.get(role, &format!("/fhir/{path}")).await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{role} {path}");
        }
    }
}

#[actix_web::test]
async fn research_reads_open_rows_and_counts_the_rest_by_the_rule() {
    let server =
        Server::new(archive(120, 3), |config| config.archive.identity = Identity::DeIdentified);
    // Nothing is open yet: no row, and counts by the rule.
    let reply = server.get(Role::Researcher, "/fhir/ImagingStudy").await.json();
    assert_eq!((reply["total"].as_u64(), reply.get("entry")), (Some(0), None));
    let count = |bundle: &Value| {
        (
            bundle["total"].as_u64(),
            bundle["_total"]["extension"][0]["valueCode"].as_str().map(str::to_owned),
        )
    };
    let of = |path: &'static str| {
        let server = &server;
        async move { count(&server.get(Role::Researcher, path).await.json()) }
    };
    // The unit is what ten persons can have: 120 studies of 60 persons.
    let all = server.all("/fhir/ImagingStudy").await;
    let unit = unit(&all);
    assert!((20..60).contains(&unit), "{unit}");
    let rounded = |exact: u64| Some((exact + unit / 2) / unit * unit);
    assert_eq!(of("/fhir/ImagingStudy?_summary=count").await, (rounded(120), None));
    let exact = server.all("/fhir/ImagingStudy?modality=CT").await.len() as u64;
    assert_eq!(of("/fhir/ImagingStudy?_summary=count&modality=CT").await, (rounded(exact), None));
    assert_eq!(
        of("/fhir/ImagingStudy?_summary=count&modality=XX").await,
        (None, Some("masked".to_owned()))
    );
    // What names one is not counted, and a count that is not told is no zero.
    for path in [
        "/fhir/ImagingStudy?_summary=count&identifier=A3",
        "/fhir/ImagingStudy?_summary=count&identifier:not=A3",
        "/fhir/ImagingStudy?_summary=count&patient.family:contains=a",
        "/fhir/ImagingStudy?_count=0&patient.gender=female",
        "/fhir/ImagingStudy?_summary=count&series=2.25.800001.1",
        "/fhir/ImagingStudy?_summary=count&_lastUpdated=ge2025",
    ] {
        assert_eq!(of(path).await, (None, Some("masked".to_owned())), "{path}");
    }
    let persons = server.all("/fhir/Patient").await.len() as u64;
    assert_eq!(of("/fhir/Patient?_summary=count").await, (Some((persons + 5) / 10 * 10), None));
    for path in
        ["/fhir/Patient?_summary=count&gender=female", "/fhir/Patient?_count=0&_lastUpdated=ge2025"]
    {
        assert_eq!(of(path).await, (None, Some("masked".to_owned())), "{path}");
    }
    let hidden = server.all("/fhir/ImagingStudy").await.remove(0);
    for path in [
        format!("/fhir/ImagingStudy/{}", hidden["id"].as_str().unwrap()),
        format!("/fhir/{}", hidden["subject"]["reference"].as_str().unwrap()),
    ] {
        assert_eq!(server.get(Role::Researcher, &path).await.status, StatusCode::NOT_FOUND);
    }

    server.open(vec![Criteria::of(Facet::Modality, &["CT", "MR", "MG", "SR"])]);
    let open = server
        .get(Role::Researcher, "/fhir/ImagingStudy?_count=200&_include=ImagingStudy:patient")
        .await
        .json();
    assert!(open["total"].as_u64().unwrap() > 20);
    for entry in open["entry"].as_array().unwrap() {
        if let Some(series) = entry["resource"]["series"].as_array() {
            assert!(series.iter().all(|series| series["modality"]["code"].is_string()));
        }
        assert_eq!(entry["resource"]["meta"]["security"][0]["code"], "PSEUDED");
    }
}

#[actix_web::test]
async fn a_patient_is_described_by_the_studies_that_may_be_read() {
    let set = |bag: &mut vesalius::imaging::Attributes, keyword: &str, text: &str| {
        bag.set(vesalius::imaging::Keyword::parse(keyword).unwrap(), text);
    };
    let mut records: Vec<_> = archive(2, 3);
    let key = records[0].patient_key.clone();
    let first = records[0].study_uid.clone();
    for record in &mut records {
        record.patient_key = key.clone();
        // The later study is hidden, and says something else.
        let (date, modality, birth, sex) = match record.study_uid == first {
            true => ("20200101", "CT", "19550512", "F"),
            false => ("20240101", "US", "19610101", "M"),
        };
        set(&mut record.study, "StudyDate", date);
        set(&mut record.series, "Modality", modality);
        set(&mut record.patient, "PatientBirthDate", birth);
        set(&mut record.patient, "PatientSex", sex);
    }
    let server = Server::new(records, |_| {});
    server.open(vec![Criteria::of(Facet::Modality, &["CT"])]);
    let path = "/fhir/ImagingStudy?_include=ImagingStudy:patient";
    let found = server.get(Role::Researcher, path).await.json();
    let patients: Vec<_> = found["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["resource"])
        .filter(|resource| resource["resourceType"] == "Patient")
        .collect();
    assert_eq!(patients.len(), 1, "{found}");
    assert_eq!(
        (&patients[0]["gender"], &patients[0]["birthDate"]),
        (&"female".into(), &"1955".into())
    );
    let path = format!("/fhir/Patient/{}", patients[0]["id"].as_str().unwrap());
    assert_eq!(&server.get(Role::Researcher, &path).await.json(), patients[0]);
    let care = server.get(Role::ImagingIt, "/fhir/Patient").await.json();
    assert_eq!(care["entry"][0]["resource"]["gender"], "male");
}

/// The studies that the ten persons with most have, up to a multiple of ten.
fn unit(studies: &[Value]) -> u64 {
    let mut loads: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for study in studies {
        *loads.entry(study["subject"]["reference"].as_str().unwrap()).or_default() += 1;
    }
    let mut loads: Vec<u64> = loads.into_values().collect();
    loads.sort_unstable_by(|a, b| b.cmp(a));
    loads.iter().take(10).sum::<u64>().div_ceil(10) * 10
}

#[actix_web::test]
async fn the_many_studies_of_one_hidden_person_follow_from_no_two_counts() {
    let mut records = archive(240, 3);
    let person = (records[0].patient_key.clone(), records[0].patient.clone());
    let pet: BTreeSet<_> = records.iter().map(|r| r.study_uid.clone()).take(60).collect();
    let modality = vesalius::imaging::Keyword::parse("Modality").unwrap();
    for record in &mut records {
        if pet.contains(&record.study_uid) {
            (record.patient_key, record.patient) = person.clone();
            record.series.set(modality, "PT");
        }
    }
    let server = Server::new(records, |config| config.archive.identity = Identity::DeIdentified);
    let exact = server.all("/fhir/ImagingStudy?modality=PT").await.len() as u64;
    assert!(exact >= 10, "{exact}");
    let count = |query: &'static str| {
        let server = &server;
        async move {
            let path = format!("/fhir/ImagingStudy?_summary=count{query}");
            server.get(Role::Researcher, &path).await.json()["total"].as_u64()
        }
    };
    let total = count("").await.unwrap();
    // What leaves fewer than ten persons is told no more than they are, and nobody is few.
    for close in
        ["&modality=PT", "&modality:not=PT", "&modality:not=XX", "&modality=CT&modality:not=PT"]
    {
        assert_eq!(count(close).await, None, "{close}");
    }
    // Differences of what is shown are of a unit that is wider than the one person's studies.
    assert!(count("&modality=CT").await.is_some());
    let unit = unit(&server.all("/fhir/ImagingStudy").await);
    assert!(unit > exact && total % unit == 0, "{total} by {unit}");
}

#[actix_web::test]
async fn two_counts_of_hidden_rows_do_not_tell_who_is_between() {
    let mut records = archive(120, 3);
    let date = vesalius::imaging::Keyword::parse("StudyDate").unwrap();
    let mut studies: Vec<_> = records.iter().map(|record| record.study_uid.clone()).collect();
    studies.sort();
    studies.dedup();
    for record in &mut records {
        let at = studies.iter().position(|uid| *uid == record.study_uid).unwrap();
        // A person for each study, and three of them in 2023.
        record.patient_key.id = format!("ONE{at}");
        let year = if at < 40 {
            2021
        } else if at < 43 {
            2023
        } else {
            2024
        };
        record.study.set(date, &format!("{year}0615"));
    }
    let server = Server::new(records, |config| config.archive.identity = Identity::DeIdentified);
    let count = |query: &'static str| {
        let server = &server;
        async move {
            let path = format!("/fhir/ImagingStudy?_summary=count&{query}");
            server.get(Role::Researcher, &path).await.json()["total"].as_u64()
        }
    };
    for (query, is_told) in [
        ("started=ge2024", true),
        ("started=lt2024", true),
        ("started=ge2023", false),
        // Nobody is in 2022, which is told as little.
        ("started=ge2022", false),
        ("started=lt2023", false),
        ("started=2023", false),
        ("started=ge2023&started=lt2024", false),
        ("started=ge2025", false),
        ("started=lt2026", false),
    ] {
        assert_eq!(count(query).await.is_some(), is_told, "{query}");
    }
}

#[actix_web::test]
async fn counts_of_hidden_rows_answer_coarse_questions_only() {
    let server =
        Server::new(archive(120, 3), |config| config.archive.identity = Identity::DeIdentified);
    let refused = [
        "started=lt2024-07-31T10:11:12Z",
        "started=ge2024-07",
        "started=2024-07-31",
        "started=ap2024",
        "started=2023,2024",
        "modality=CT,MR",
        "modality:not=CT,MR",
        "bodysite:text=breast",
        "modality=CT&modality:not=MG&started=ge2023&started=lt2025",
    ];
    let answered = [
        "",
        "modality=CT&started=ge2023&started=lt2025",
        "started=ne2024",
        "bodysite=76752008&modality:not=CT",
        "started:missing=true",
    ];
    for query in refused {
        for count in ["_summary=count", "_count=0"] {
            let path = format!("/fhir/ImagingStudy?{count}&{query}");
            let reply = server.get(Role::Researcher, &path).await;
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}");
            is_outcome(&reply, &path);
        }
    }
    for query in answered {
        let path = format!("/fhir/ImagingStudy?_summary=count&{query}");
        assert_eq!(server.get(Role::Researcher, &path).await.status, StatusCode::OK, "{path}");
    }
    // Where everything may be read there is nothing to hide.
    server.open(vec![Criteria::default()]);
    for query in refused {
        let path = format!("/fhir/ImagingStudy?_summary=count&{query}");
        let reply = server.get(Role::Researcher, &path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        let exact = server.get(Role::ImagingIt, &path).await.json();
        assert_eq!(reply.json()["total"], exact["total"], "{path}");
    }
}

#[actix_web::test]
async fn what_may_be_read_lifts_no_hidden_person_above_the_threshold() {
    let server =
        Server::new(archive(120, 3), |config| config.archive.identity = Identity::DeIdentified);
    server.open(vec![Criteria::of(Facet::Modality, &["CT"])]);
    let total = |bundle: Value| bundle["total"].as_u64();
    let all = total(server.get(Role::ImagingIt, "/fhir/ImagingStudy").await.json()).unwrap();
    let visible = total(server.get(Role::Researcher, "/fhir/ImagingStudy").await.json()).unwrap();
    assert!(visible > 10 && all - visible > 20 && visible % 10 != 0, "{visible} of {all}");
    let shown =
        total(server.get(Role::Researcher, "/fhir/ImagingStudy?_summary=count").await.json());
    let shown = shown.unwrap() - visible;
    assert!(shown % 10 == 0 && shown.abs_diff(all - visible) <= 30, "{shown}");

    // Four hidden studies beside many that may be read.
    let mut records = archive(200, 3);
    let is_open = |study: &vesalius::imaging::Record| study.series.first("Modality") == Some("CT");
    let hidden: BTreeSet<_> =
        records.iter().filter(|r| !is_open(r)).map(|r| r.study_uid.clone()).collect();
    let few: BTreeSet<_> = hidden.iter().take(4).cloned().collect();
    records.retain(|r| few.contains(&r.study_uid) || !hidden.contains(&r.study_uid));
    server.ingest(records, 1_763_000_100_000_000);
    let all = total(server.get(Role::ImagingIt, "/fhir/ImagingStudy").await.json()).unwrap();
    let visible = total(server.get(Role::Researcher, "/fhir/ImagingStudy").await.json()).unwrap();
    assert!(visible > 10 && all - visible == 4, "{visible} of {all}");
    let masked = server.get(Role::Researcher, "/fhir/ImagingStudy?_summary=count").await.json();
    assert_eq!(masked["_total"]["extension"][0]["valueCode"], "masked");
}

#[actix_web::test]
async fn a_cursor_asks_nothing_of_hidden_rows() {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let server =
        Server::new(archive(60, 3), |config| config.archive.identity = Identity::DeIdentified);
    server.open(vec![Criteria::of(Facet::Modality, &["CT"])]);
    let open: BTreeSet<String> =
        server.get(Role::Researcher, "/fhir/ImagingStudy?_count=100").await.json()["entry"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned())
            .collect();
    let hidden = server
        .all("/fhir/ImagingStudy")
        .await
        .iter()
        .map(|study| study["id"].as_str().unwrap().to_owned())
        .find(|id| !open.contains(id))
        .unwrap();
    let cursor_of = |bundle: &Value| {
        let next = link(bundle, "next").unwrap();
        next.split_once("_cursor=").unwrap().1.to_owned()
    };
    let path = "/fhir/ImagingStudy?_count=2";
    let own = cursor_of(&server.get(Role::Researcher, path).await.json());
    let foreign = cursor_of(&server.get(Role::ImagingIt, path).await.json());
    let mut forged = URL_SAFE_NO_PAD.decode(&own).unwrap();
    forged.truncate(16);
    forged.extend_from_slice(format!("{hidden}.0").as_bytes());
    let bare = |id: &str| URL_SAFE_NO_PAD.encode(format!("1{id}.0"));
    let mut answers = BTreeSet::new();
    for cursor in [
        bare(&hidden),
        bare("0123456789abcdef0123456789abcdef"),
        URL_SAFE_NO_PAD.encode(forged),
        foreign,
        "x".to_owned(),
    ] {
        let reply = server.get(Role::Researcher, &format!("{path}&_cursor={cursor}")).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{cursor}");
        answers.insert(reply.bytes);
    }
    // Another search, another reader.
    let reply = server.get(Role::Researcher, &format!("{path}&modality=CT&_cursor={own}")).await;
    answers.insert(reply.bytes);
    let another = vesalius::actor::Actor::new("another", Role::Researcher);
    let request = TestRequest::get().uri(&format!("{path}&_cursor={own}"));
    let reply = server.send_as(Some(another), None, request).await;
    answers.insert(reply.bytes);
    assert_eq!(answers.len(), 1, "one answer to all of them");
    let reply = server.get(Role::Researcher, &format!("{path}&_cursor={own}")).await;
    assert_eq!(reply.status, StatusCode::OK);
}

#[actix_web::test]
async fn scopes_narrow_a_role() {
    let server = server();
    let study = server.all("/fhir/ImagingStudy").await.remove(0);
    let one = format!("ImagingStudy/{}", study["id"].as_str().unwrap());
    let included = "ImagingStudy?_include=ImagingStudy:patient";
    for (scopes, path, status) in [
        ("", one.as_str(), 200),
        ("system/*.rs", &one, 200),
        ("system/*.rs", included, 200),
        ("system/ImagingStudy.r", &one, 200),
        ("system/ImagingStudy.r", "ImagingStudy", 403),
        ("system/ImagingStudy.s", &one, 403),
        ("system/ImagingStudy.s", "ImagingStudy", 200),
        ("system/ImagingStudy.read|search", "ImagingStudy", 200),
        ("system/ImagingStudy.read", "ImagingStudy", 403),
        ("system/ImagingStudy.search", "ImagingStudy?_summary=count", 200),
        ("system/ImagingStudy.rs", "Patient", 403),
        ("system/ImagingStudy.rs", "Endpoint/wado-rs", 403),
        ("system/ImagingStudy.rs", included, 403),
        ("system/ImagingStudy.rs", "ImagingStudy?patient.family=a", 403),
        ("system/ImagingStudy.rs system/Patient.rs", included, 200),
        ("system/ImagingStudy.rs system/Patient.rs", "ImagingStudy?patient.family=a", 200),
        ("openid", &one, 403),
    ] {
        let actor = vesalius::actor::Actor::new("tester", Role::ImagingIt).with_scopes(scopes);
        let request = TestRequest::get().uri(&format!("/fhir/{path}"));
        let reply = server.send_as(Some(actor), None, request).await;
        assert_eq!(reply.status.as_u16(), status, "{scopes}: {path}");
        if status == 403 {
            is_outcome(&reply, path);
            let said = reply.json()["issue"][0]["diagnostics"].as_str().unwrap().to_owned();
            assert!(said.contains("system/"), "{said}");
        }
    }
}

#[actix_web::test]
async fn a_refused_token_is_told_why() {
    let server = server();
    let bad = vesalius::auth::BadToken("the bearer token is refused: it has expired".to_owned());
    let request = TestRequest::get().uri("/fhir/Patient");
    let reply = server.send_as(None, Some(bad), request).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    is_outcome(&reply, "expired");
    let said = reply.json()["issue"][0]["diagnostics"].as_str().unwrap().to_owned();
    assert!(said.contains("has expired"), "{said}");
    assert_eq!(
        reply.header("www-authenticate"),
        "Bearer realm=\"fhir\", error=\"invalid_token\", \
         error_description=\"the bearer token is refused: it has expired\""
    );
    let reply = server.send(None, TestRequest::get().uri("/fhir/Patient")).await;
    assert!(!reply.header("www-authenticate").contains("error"));
}

#[actix_web::test]
async fn hidden_rows_influence_no_answer() {
    // The same open studies, with and without others that are hidden from research.
    let all = archive(60, 5);
    let hidden: BTreeSet<_> = all
        .iter()
        .filter(|record| record.series.first("Modality") != Some("CT"))
        .map(|record| record.study_uid.clone())
        .collect();
    let visible: Vec<_> = all.iter().filter(|r| !hidden.contains(&r.study_uid)).cloned().collect();
    assert!(!visible.is_empty() && visible.len() < all.len());
    let open =
        |config: &mut vesalius::config::Config| config.archive.identity = Identity::DeIdentified;
    let (with, without) = (Server::new(all, open), Server::new(visible, open));
    for server in [&with, &without] {
        server.open(vec![Criteria::of(Facet::Modality, &["CT"])]);
    }
    let mut compared = 0;
    for path in [
        "ImagingStudy?_count=3",
        "ImagingStudy?_count=100",
        "ImagingStudy?modality=CT",
        "ImagingStudy?modality=MG",
        "ImagingStudy?modality:not=CT",
        "ImagingStudy?bodysite=76752008",
        "ImagingStudy?bodysite:missing=true",
        "ImagingStudy?bodysite:text=breast",
        "ImagingStudy?started=2024",
        "ImagingStudy?_sort=-started&_count=2",
        "ImagingStudy?_include=ImagingStudy:patient&_count=50",
        "ImagingStudy?patient.identifier=P3",
        "ImagingStudy?patient.gender=female",
        "ImagingStudy?identifier=A3",
        "ImagingStudy?identifier=S7",
        "ImagingStudy?basedon:missing=true",
        "ImagingStudy?referrer:missing=false",
        "ImagingStudy?series=2.25.800001.1",
        "ImagingStudy?_lastUpdated=ge2025",
        "Patient",
        "Patient?_count=2",
        "Patient?gender=female",
        "Patient?gender:not=female",
        "Patient?name=dvor",
        "Patient?birthdate=lt1960",
        "Patient?_revinclude=ImagingStudy:patient",
        "Patient?identifier:missing=false",
        "Patient?_lastUpdated=ge2025",
    ] {
        let path = format!("/fhir/{path}");
        let (a, b) =
            (with.get(Role::Researcher, &path).await, without.get(Role::Researcher, &path).await);
        assert_eq!(a.status, StatusCode::OK, "{path}");
        assert_eq!(a.bytes, b.bytes, "{path}: {}", String::from_utf8_lossy(&a.bytes));
        compared += 1;
    }
    assert_eq!(compared, 28);
}

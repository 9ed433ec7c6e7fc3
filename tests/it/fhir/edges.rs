//! What a client sees at the edges: refusals, conditions, pages, subsets, roles.

use std::collections::BTreeSet;

use actix_web::http::{Method, StatusCode, header};
use actix_web::test::TestRequest;
use serde_json::Value;
use vesalius::actor::Role;
use vesalius::config::Identity;
use vesalius::imaging::Facet;
use vesalius::index::Criteria;

use super::server::{Reply, Server, archive, link};

fn server() -> Server {
    Server::new(archive(30, 3), |_| ())
}

fn first<'v>(bundle: &'v Value, field: &str) -> &'v str {
    bundle["entry"][0]["resource"][field].as_str().unwrap()
}

fn is_outcome(reply: &Reply, what: &str) {
    let outcome = reply.json();
    assert_eq!(outcome["resourceType"], "OperationOutcome", "{what}");
    let issue = &outcome["issue"][0];
    assert_eq!(issue["severity"], "error", "{what}");
    assert!(issue["diagnostics"].as_str().unwrap().len() > 10, "{what}: {issue}");
    assert!(reply.header("content-type").starts_with("application/fhir+json"), "{what}");
}

#[actix_web::test]
async fn malformed_requests_are_refused_with_the_place() {
    let server = server();
    let long = "x".repeat(9_000);
    let many = vec!["a"; 201].join(",");
    let crowded = "&_format=json".repeat(101);
    for (path, expression) in [
        ("ImagingStudy?started=yesterday", "http.started"),
        ("ImagingStudy?started=2024-13", "http.started"),
        ("ImagingStudy?started=2024-02-30", "http.started"),
        ("ImagingStudy?started=zz2024", "http.started"),
        ("ImagingStudy?started=2024-01-01T10", "http.started"),
        ("ImagingStudy?started=2024-01-01T25:00:00Z", "http.started"),
        ("ImagingStudy?started=20240101", "http.started"),
        ("ImagingStudy?started:exact=2024", "http.started:exact"),
        ("ImagingStudy?started:missing=perhaps", "http.started:missing"),
        ("ImagingStudy?_lastUpdated=now", "http._lastUpdated"),
        ("ImagingStudy?modality=a%7Cb%7Cc", "http.modality"),
        ("ImagingStudy?modality=%7C", "http.modality"),
        ("ImagingStudy?modality=CT,,MR", "http.modality"),
        ("ImagingStudy?modality:in=http://x", "http.modality:in"),
        ("ImagingStudy?modality:above=CT", "http.modality:above"),
        ("ImagingStudy?modality:exact=CT", "http.modality:exact"),
        ("ImagingStudy?modality:of-type=a%7Cb%7Cc", "http.modality:of-type"),
        ("ImagingStudy?identifier:of-type=a%7Cb", "http.identifier:of-type"),
        ("ImagingStudy?identifier=https://imaging.example/id/accession%7C", "http.identifier"),
        ("ImagingStudy?patient=Patient/", "http.patient"),
        ("ImagingStudy?patient=a%20b", "http.patient"),
        ("ImagingStudy?patient=patient/1", "http.patient"),
        ("ImagingStudy?patient:Device=Patient/1", "http.patient:Device"),
        ("ImagingStudy?patient:contains=1", "http.patient:contains"),
        ("ImagingStudy?patient.shoe-size=44", "http.patient.shoe-size"),
        ("ImagingStudy?patient.birthdate=soon", "http.patient.birthdate"),
        ("ImagingStudy?referrer.name=x", "http.referrer.name"),
        ("ImagingStudy?subject:Device.identifier=x", "http.subject:Device.identifier"),
        ("ImagingStudy?_count=many", "http._count"),
        ("ImagingStudy?_count=-1", "http._count"),
        ("ImagingStudy?_count=1&_count=2", "http._count"),
        ("ImagingStudy?_total=perhaps", "http._total"),
        ("ImagingStudy?_summary=short", "http._summary"),
        ("ImagingStudy?_summary=text&_include=ImagingStudy:patient", "http._summary"),
        ("ImagingStudy?_elements=a%20b", "http._elements"),
        ("ImagingStudy?_cursor=4711", "http._cursor"),
        ("ImagingStudy?_sort:up=started", "http._sort:up"),
        ("ImagingStudy?_pretty=maybe", "http._pretty"),
        ("ImagingStudy?series:missing=true", "http.series:missing"),
        ("Patient?birthdate=19550512", "http.birthdate"),
        ("Patient?birthdate=le", "http.birthdate"),
        ("Patient?family:of-type=x", "http.family:of-type"),
        ("Patient?gender:contains=f", "http.gender:contains"),
        ("Patient?name:missing=", "http.name:missing"),
        ("Endpoint?organization:contains=x", "http.organization:contains"),
        ("Organization?name:not=x", "http.name:not"),
        ("ImagingStudy?modality=%", ""),
        ("ImagingStudy?modality=%ff", ""),
        ("ImagingStudy?%zz=1", ""),
        (&format!("ImagingStudy?modality={long}"), "http.modality"),
        (&format!("ImagingStudy?modality={many}"), ""),
        (&format!("ImagingStudy?{crowded}"), ""),
        ("Patient/x?_summary=count", "http._summary"),
        ("Patient?name=%00", ""),
        ("Patient?%00=1", ""),
        ("ImagingStudy?identifier=a%00b", ""),
        ("ImagingStudy?_id=%00", ""),
        ("ImagingStudy?series=1%00", ""),
        ("ImagingStudy?modality=%7F", ""),
        ("Patient/%00", ""),
        ("ImagingStudy/a%00b", ""),
        ("ImagingStudy/a%0Ab", ""),
    ] {
        let what = &path[..path.len().min(80)];
        let path = format!("/fhir/{path}");
        // Lenient handling ignores what is unknown, never what is wrong; an empty value is none.
        let strict = TestRequest::get().uri(&path).insert_header(("Prefer", "handling=strict"));
        let reply = server.send(Some(Role::ImagingIt), strict).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{what}");
        is_outcome(&reply, what);
        let found = reply.json()["issue"][0]["expression"][0].as_str().unwrap_or("").to_owned();
        assert_eq!(found, expression, "{what}");
    }
}

#[actix_web::test]
async fn other_refusals_have_their_status() {
    let server = server();
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    let post = |path: &str| TestRequest::post().uri(path);
    for (request, status, code) in [
        (TestRequest::get().uri("/fhir/Elephant"), 404, "not-supported"),
        (TestRequest::get().uri("/fhir"), 400, "invalid"),
        (TestRequest::get().uri("/fhir/"), 400, "invalid"),
        (TestRequest::get().uri("/fhir/Patient/1/_history"), 404, "not-supported"),
        (TestRequest::get().uri("/fhir/Patient/$everything"), 404, "not-supported"),
        // Whose client had no id to put there must not get everybody.
        (TestRequest::get().uri("/fhir/Patient/"), 404, "not-supported"),
        (TestRequest::get().uri("/fhir/ImagingStudy/?_count=1"), 404, "not-supported"),
        (TestRequest::get().uri("/fhir/Patient/unknown"), 404, "not-found"),
        (TestRequest::get().uri("/fhir/ImagingStudy/unknown"), 404, "not-found"),
        (TestRequest::get().uri("/fhir/Endpoint/unknown"), 404, "not-found"),
        (post("/fhir/Patient"), 405, "not-supported"),
        (TestRequest::get().uri("/fhir/Patient/_search"), 405, "not-supported"),
        (
            TestRequest::default().method(Method::DELETE).uri("/fhir/Patient/1"),
            405,
            "not-supported",
        ),
        (TestRequest::put().uri("/fhir/metadata"), 405, "not-supported"),
        (TestRequest::get().uri("/fhir/Patient?_format=turtle"), 406, "not-supported"),
        (TestRequest::get().uri("/fhir/metadata?_format=ttl"), 406, "not-supported"),
        (
            TestRequest::get()
                .uri("/fhir/Patient")
                .insert_header(("Accept", "application/fhir+turtle")),
            406,
            "not-supported",
        ),
        (
            TestRequest::get()
                .uri("/fhir/Patient")
                .insert_header(("Accept", "application/fhir+json; fhirVersion=5.0")),
            406,
            "not-supported",
        ),
        (
            post("/fhir/Patient/_search")
                .insert_header(("Content-Type", "application/json"))
                .set_payload("{}"),
            415,
            "not-supported",
        ),
        (
            post("/fhir/Patient/_search").insert_header(form).set_payload(vec![b'a'; 70_000]),
            413,
            "too-long",
        ),
        (
            post("/fhir/Patient/_search").insert_header(form).set_payload(vec![0xff_u8, 0xfe]),
            400,
            "invalid",
        ),
    ] {
        let reply = server.send(Some(Role::ImagingIt), request).await;
        assert_eq!(reply.status.as_u16(), status, "{}", String::from_utf8_lossy(&reply.bytes));
        is_outcome(&reply, code);
        assert_eq!(reply.json()["issue"][0]["code"], code);
        assert_eq!(reply.headers.contains_key("allow"), status == 405);
    }
    for path in ["/fhir/Patient", "/fhir/ImagingStudy/x", "/fhir/nothing", "/fhir"] {
        let reply = server.send(None, TestRequest::get().uri(path)).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{path}");
        assert!(reply.header("www-authenticate").starts_with("Bearer"), "{path}");
        is_outcome(&reply, path);
    }
    for path in ["/fhir/metadata", "/fhir/.well-known/smart-configuration"] {
        let reply = server.send(None, TestRequest::get().uri(path)).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
    }
}

#[actix_web::test]
async fn what_is_unknown_is_ignored_or_refused_as_the_client_prefers() {
    let server = server();
    for path in [
        "/fhir/ImagingStudy?modality=CT&shoe-size=44",
        "/fhir/ImagingStudy?modality=CT&_sort=description",
        "/fhir/ImagingStudy?modality=CT&_include=ImagingStudy:encounter",
    ] {
        let reply = server.get(Role::ImagingIt, path).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}");
        assert_eq!(link(&reply.json(), "self").unwrap(), "/fhir/ImagingStudy?modality=CT");
        let strict = TestRequest::get()
            .uri(path)
            .insert_header(("Prefer", "respond-async, handling=strict"));
        let reply = server.send(Some(Role::ImagingIt), strict).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}");
    }
}

#[actix_web::test]
async fn a_read_can_be_conditional() {
    let server = server();
    let bundle = server.get(Role::ImagingIt, "/fhir/ImagingStudy?_count=1").await.json();
    let path = format!("/fhir/ImagingStudy/{}", first(&bundle, "id"));
    let whole = server.get(Role::ImagingIt, &path).await;
    let tag = whole.header("etag").trim_start_matches("W/").to_owned();
    assert!(tag.starts_with("\"1-") && tag.len() == 12, "{tag}");
    assert_eq!(whole.json()["meta"]["versionId"], "1");
    assert_eq!(whole.header("last-modified"), "Thu, 13 Nov 2025 02:13:20 GMT");
    assert_eq!(
        whole.header("content-type"),
        "application/fhir+json; fhirVersion=4.0; charset=utf-8"
    );
    assert_eq!(whole.json(), bundle["entry"][0]["resource"]);
    for (name, value, status) in [
        ("If-None-Match", &*format!("W/{tag}"), 304),
        ("If-None-Match", &*format!("\"7\", {tag}"), 304),
        ("If-None-Match", "*", 304),
        ("If-None-Match", "W/\"1\"", 200),
        ("If-None-Match", "W/\"2\"", 200),
        // A date does not tell by which rules it was rendered.
        ("If-Modified-Since", "Thu, 13 Nov 2025 02:13:20 GMT", 200),
        ("If-Modified-Since", "yesterday", 200),
    ] {
        let request = TestRequest::get().uri(&path).insert_header((name, value));
        let reply = server.send(Some(Role::ImagingIt), request).await;
        assert_eq!(reply.status.as_u16(), status, "{name}: {value}");
        assert_eq!(reply.bytes.is_empty(), status == 304);
    }
    let head = TestRequest::default().method(Method::HEAD).uri(&path);
    let head = server.send(Some(Role::ImagingIt), head).await;
    assert_eq!((head.status, head.header("etag")), (StatusCode::OK, whole.header("etag")));
}

#[actix_web::test]
async fn what_was_rendered_by_another_configuration_is_stale() {
    let tag_of = |change: fn(&mut vesalius::config::Config)| async move {
        let server = Server::new(archive(3, 3), change);
        let study = server.all("/fhir/ImagingStudy").await.remove(0);
        let path = format!("/fhir/ImagingStudy/{}", study["id"].as_str().unwrap());
        server.get(Role::ImagingIt, &path).await.header("etag").to_owned()
    };
    let tag = tag_of(|_| ()).await;
    assert_eq!(tag, tag_of(|_| ()).await, "the same configuration gives the same tag");
    let changes: [fn(&mut vesalius::config::Config); 9] = [
        |config| config.archive.identifiers.patient = "urn:oid:2.999.1".to_owned(),
        |config| config.archive.identifiers.accession = "urn:oid:2.999.2".to_owned(),
        |config| config.archive.identifiers.study_id = "urn:oid:2.999.3".to_owned(),
        |config| {
            let issuer = vesalius::config::Issuer {
                issuer: "HOSP".to_owned(),
                system: "urn:oid:2.999.4".to_owned(),
            };
            config.archive.identifiers.patient_issuers = vec![issuer];
        },
        |config| config.archive.identity = Identity::DeIdentified,
        |config| config.archive.name = "Another".to_owned(),
        |config| config.archive.wado_url = "https://pacs.example/wado".to_owned(),
        |config| config.archive.time_zone = "Europe/Lisbon".to_owned(),
        |config| config.organisation.name = "Another".to_owned(),
    ];
    let mut tags = BTreeSet::from([tag]);
    for change in changes {
        let tag = tag_of(change).await;
        assert!(tags.insert(tag.clone()), "{tag} stands for two configurations");
    }
}

#[actix_web::test]
async fn a_change_counts_up_and_a_deleted_study_is_gone() {
    let server = server();
    let study = server.all("/fhir/ImagingStudy").await.remove(0);
    let path = format!("/fhir/ImagingStudy/{}", study["id"].as_str().unwrap());
    let uid =
        study["identifier"][0]["value"].as_str().unwrap().trim_start_matches("urn:oid:").to_owned();
    let count = study["numberOfInstances"].as_u64().unwrap();
    let mut records = archive(30, 3);
    let mut added = records.iter().find(|r| r.study_uid.as_str() == uid).unwrap().clone();
    let instance = added.instance.as_mut().unwrap();
    instance.uid = vesalius::imaging::Uid::parse("2.25.99").unwrap();
    added.origin = "added".to_owned();
    records.push(added);
    server.ingest(records.clone(), 1_763_000_100_000_000);
    let reply = server.get(Role::ImagingIt, &path).await;
    assert!(reply.header("etag").starts_with("W/\"2-"));
    assert_eq!(reply.json()["numberOfInstances"], count + 1);
    let changed = server.all("/fhir/ImagingStudy?_lastUpdated=gt2025-11-13T02:14:00Z").await;
    assert_eq!(changed.len(), 1);

    records.retain(|record| record.study_uid.as_str() != uid);
    server.ingest(records, 1_763_000_200_000_000);
    for role in [Role::ImagingIt, Role::Ehr] {
        let reply = server.get(role, &path).await;
        assert_eq!(reply.status, StatusCode::GONE);
        is_outcome(&reply, "gone");
    }
    assert_eq!(server.get(Role::Researcher, &path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(server.all("/fhir/ImagingStudy").await.len(), 29);
}

#[actix_web::test]
async fn pages_hold_each_study_once_while_writes_go_on() {
    for sort in ["", "&_sort=started", "&_sort=-started", "&_sort=-_lastUpdated"] {
        let server = server();
        let mut seen = Vec::new();
        let mut next = Some(format!("/fhir/ImagingStudy?_count=4{sort}"));
        let mut page = 0;
        while let Some(path) = next {
            let bundle = server.get(Role::ImagingIt, &path).await.json();
            for entry in bundle["entry"].as_array().unwrap() {
                seen.push(entry["resource"]["id"].as_str().unwrap().to_owned());
            }
            next = link(&bundle, "next");
            page += 1;
            if page == 2 {
                // More studies arrive while the client reads on, and the very study that the next
                // page begins behind is deleted.
                let last = bundle["entry"].as_array().unwrap().last().unwrap();
                let uid = last["resource"]["identifier"][0]["value"].as_str().unwrap();
                let uid = uid.trim_start_matches("urn:oid:").to_owned();
                let mut records = archive(36, 3);
                records.retain(|record| record.study_uid.as_str() != uid);
                server.ingest(records, 1_763_000_100_000_000);
            }
        }
        let distinct: BTreeSet<_> = seen.iter().collect();
        assert_eq!(distinct.len(), seen.len(), "{sort}: a study stands twice");
        assert!(seen.len() >= 30, "{sort}: {}", seen.len());
    }
    // The order is that of time.
    let server = server();
    let started: Vec<String> = server
        .all("/fhir/ImagingStudy?_sort=started&_count=7&started:missing=false&started=ge2024-07-31&started=lt2024-08-02")
        .await
        .iter()
        .map(|study| study["started"].as_str().unwrap().to_owned())
        .collect();
    assert!(!started.is_empty());
    assert!(started.first().unwrap().as_str() <= started.last().unwrap().as_str(), "{started:?}");
}

#[actix_web::test]
async fn subsets_are_marked_and_small() {
    let server = server();
    let whole = server.get(Role::ImagingIt, "/fhir/ImagingStudy?_count=3").await.json();
    let study = &whole["entry"][0]["resource"];
    for (query, has_series, has_instances) in [
        ("_summary=true", true, false),
        ("_summary=text", false, false),
        ("_summary=data", true, true),
        ("_elements=started,identifier", false, false),
        ("_elements=series", true, true),
    ] {
        let bundle = server
            .get(Role::ImagingIt, &format!("/fhir/ImagingStudy?_count=3&{query}"))
            .await
            .json();
        let part = &bundle["entry"][0]["resource"];
        assert_eq!(part["meta"]["tag"][0]["code"], "SUBSETTED", "{query}");
        assert_eq!(part["subject"], study["subject"], "{query}");
        assert_eq!(part.get("series").is_some(), has_series, "{query}");
        assert_eq!(part["series"][0].get("instance").is_some(), has_instances, "{query}");
        let read = format!("/fhir/ImagingStudy/{}?{query}", first(&whole, "id"));
        assert_eq!(&server.get(Role::ImagingIt, &read).await.json(), part, "{query}");
    }
    for query in ["_summary=count", "_count=0"] {
        let bundle =
            server.get(Role::ImagingIt, &format!("/fhir/ImagingStudy?{query}")).await.json();
        assert_eq!((bundle["total"].as_u64(), bundle.get("entry")), (Some(30), None), "{query}");
    }
    let bundle = server.get(Role::ImagingIt, "/fhir/ImagingStudy?_total=none").await.json();
    assert_eq!(bundle.get("total"), None);
}

#[actix_web::test]
async fn includes_bring_each_resource_once() {
    let server = server();
    let path = "/fhir/ImagingStudy?_count=30&_include=ImagingStudy:patient&_include=ImagingStudy:endpoint&_include:iterate=Endpoint:organization";
    let bundle = server.get(Role::ImagingIt, path).await.json();
    let mut urls = BTreeSet::new();
    let mut included = BTreeSet::new();
    for entry in bundle["entry"].as_array().unwrap() {
        assert!(urls.insert(entry["fullUrl"].as_str().unwrap().to_owned()));
        if entry["search"]["mode"] == "include" {
            included.insert(entry["resource"]["resourceType"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(
        included.iter().map(String::as_str).collect::<Vec<_>>(),
        ["Endpoint", "Organization", "Patient"]
    );
    assert_eq!(bundle["total"], 30);
    for entry in bundle["entry"].as_array().unwrap() {
        if let Some(subject) = entry["resource"]["subject"]["reference"].as_str() {
            assert!(urls.contains(&format!("https://imaging.example/fhir/{subject}")), "{subject}");
        }
    }
    let bundle = server
        .get(Role::ImagingIt, "/fhir/Patient?_count=2&_revinclude=ImagingStudy:patient")
        .await
        .json();
    let modes: BTreeSet<_> = bundle["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["search"]["mode"].as_str().unwrap())
        .collect();
    assert_eq!(modes.into_iter().collect::<Vec<_>>(), ["include", "match"]);
}

#[actix_web::test]
async fn posting_a_search_is_asking_it() {
    let server = server();
    let get = server
        .get(Role::ImagingIt, "/fhir/ImagingStudy?modality=CT,MR&_count=5&started=ge2024")
        .await;
    let post = TestRequest::post()
        .uri("/fhir/ImagingStudy/_search?modality=CT%2CMR&_count=5")
        .insert_header(("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"))
        .set_payload("started=ge2024");
    let post = server.send(Some(Role::ImagingIt), post).await;
    assert_eq!(post.status, StatusCode::OK);
    assert_eq!(post.json(), get.json());
}

#[actix_web::test]
async fn large_answers_are_compressed_for_those_who_take_it() {
    use std::io::Read as _;
    let server = server();
    let plain = server.get(Role::ImagingIt, "/fhir/ImagingStudy?_count=30").await;
    let request = TestRequest::get()
        .uri("/fhir/ImagingStudy?_count=30")
        .insert_header((header::ACCEPT_ENCODING, "gzip"));
    let small = server.send(Some(Role::ImagingIt), request).await;
    assert_eq!(small.header("content-encoding"), "gzip");
    assert!(small.bytes.len() * 4 < plain.bytes.len());
    for refusal in ["gzip;q=0, *", "identity", "*;q=0"] {
        let request = TestRequest::get()
            .uri("/fhir/ImagingStudy?_count=30")
            .insert_header((header::ACCEPT_ENCODING, refusal));
        let reply = server.send(Some(Role::ImagingIt), request).await;
        assert_eq!(reply.header("content-encoding"), "", "{refusal}");
    }
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&small.bytes[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.bytes);
    let pretty = server.get(Role::ImagingIt, "/fhir/ImagingStudy?_count=30&_pretty=true").await;
    assert_eq!(pretty.json(), plain.json());
    assert!(pretty.bytes.len() > plain.bytes.len());
}

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

#[actix_web::test]
async fn the_statement_lists_what_is_served() {
    let server = server();
    let reply = server.send(None, TestRequest::get().uri("/fhir/metadata")).await;
    let mut statement = reply.json();
    statement["version"] = "x".into();
    statement["software"]["version"] = "x".into();
    insta::assert_json_snapshot!("capability-statement", statement);
    let request = TestRequest::get()
        .uri("/fhir/metadata")
        .insert_header(("If-None-Match", reply.header("etag")));
    assert_eq!(server.send(None, request).await.status, StatusCode::NOT_MODIFIED);

    // Each parameter that it lists is answered.
    for resource in statement["rest"][0]["resource"].as_array().unwrap() {
        for parameter in resource["searchParam"].as_array().unwrap() {
            let (kind, name) =
                (resource["type"].as_str().unwrap(), parameter["name"].as_str().unwrap());
            let value = match parameter["type"].as_str().unwrap() {
                "date" => "2024",
                "quantity" | "number" => "5",
                _ => "x",
            };
            let path = format!("/fhir/{kind}?{name}={value}");
            let request =
                TestRequest::get().uri(&path).insert_header(("Prefer", "handling=strict"));
            let reply = server.send(Some(Role::ImagingIt), request).await;
            assert_eq!(
                reply.status,
                StatusCode::OK,
                "{path}: {}",
                String::from_utf8_lossy(&reply.bytes)
            );
        }
    }
}

#[actix_web::test]
async fn whoever_asks_for_xml_gets_xml_whatever_the_answer() {
    let server = server();
    let ask = |path: &str| TestRequest::get().uri(path).insert_header(("Accept", "text/xml"));
    let bundle = server.get(Role::ImagingIt, "/fhir/ImagingStudy?_count=2").await.json();
    let id = bundle["entry"][0]["resource"]["id"].as_str().unwrap().to_owned();
    for (path, status, root) in [
        ("/fhir/ImagingStudy?_count=2".to_owned(), 200, "Bundle"),
        (format!("/fhir/ImagingStudy/{id}"), 200, "ImagingStudy"),
        (format!("/fhir/ImagingStudy/{id}?_summary=true"), 200, "ImagingStudy"),
        ("/fhir/metadata".to_owned(), 200, "CapabilityStatement"),
        ("/fhir/ImagingStudy/unknown".to_owned(), 404, "OperationOutcome"),
        ("/fhir/ImagingStudy?started=yesterday".to_owned(), 400, "OperationOutcome"),
    ] {
        let reply = server.send(Some(Role::ImagingIt), ask(&path)).await;
        assert_eq!(reply.status.as_u16(), status, "{path}");
        assert!(reply.header("content-type").starts_with("application/fhir+xml"), "{path}");
        let text = String::from_utf8(reply.bytes).unwrap();
        assert!(text.starts_with(&format!("<{root} xmlns=\"http://hl7.org/fhir\">")), "{text}");
        assert!(text.ends_with(&format!("</{root}>")), "{text}");
    }
    let json = server.get(Role::ImagingIt, &format!("/fhir/ImagingStudy/{id}")).await;
    let xml = server.send(Some(Role::ImagingIt), ask(&format!("/fhir/ImagingStudy/{id}"))).await;
    assert_eq!(json.header("etag"), xml.header("etag"));
    let resource = json.json();
    let text = String::from_utf8(xml.bytes).unwrap();
    for series in resource["series"].as_array().unwrap() {
        let uid = series["uid"].as_str().unwrap();
        assert!(text.contains(&format!("<uid value=\"{uid}\"/>")), "{uid}");
    }
}

#[actix_web::test]
async fn what_a_client_sees() {
    let server = server();
    let bundle = server
        .get(
            Role::ImagingIt,
            "/fhir/ImagingStudy?modality=MG&_count=1&_include=ImagingStudy:patient",
        )
        .await;
    insta::assert_json_snapshot!("bundle", bundle.json());
    let reply = server.get(Role::ImagingIt, "/fhir/ImagingStudy?started=yesterday").await;
    insta::assert_json_snapshot!("outcome-date", reply.json());
    let reply = server.get(Role::Ehr, "/fhir/ImagingStudy").await;
    insta::assert_json_snapshot!("outcome-ehr", reply.json());
    let reply = server
        .get(
            Role::ImagingIt,
            "/fhir/Endpoint?connection-type=dicom-wado-rs&_include=Endpoint:organization",
        )
        .await;
    insta::assert_json_snapshot!("endpoint-search", reply.json());
}

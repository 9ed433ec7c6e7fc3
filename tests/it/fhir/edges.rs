//! What a client sees at the edges: refusals, conditions, pages, subsets.

use std::collections::BTreeSet;

use actix_web::http::{Method, StatusCode, header};
use actix_web::test::TestRequest;
use serde_json::Value;
use vesalius::actor::Role;
use vesalius::config::Identity;

use super::server::{Reply, Server, archive, link};

pub(super) fn server() -> Server {
    Server::new(archive(30, 3), |_| ())
}

fn first<'v>(bundle: &'v Value, field: &str) -> &'v str {
    bundle["entry"][0]["resource"][field].as_str().unwrap()
}

pub(super) fn is_outcome(reply: &Reply, what: &str) {
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

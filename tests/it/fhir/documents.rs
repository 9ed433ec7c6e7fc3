//! The Document Responder: IHE MHD ITI-66, ITI-67 and ITI-68 with the manifests of IHE MADO.

use std::collections::BTreeSet;

use actix_web::http::{StatusCode, header};
use actix_web::test::TestRequest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha1::{Digest as _, Sha1};
use vesalius::actor::Role;
use vesalius::imaging::Facet;
use vesalius::index::Criteria;

use super::server::{Reply, Server, archive};

fn server() -> Server {
    server_of(30)
}

fn server_of(studies: usize) -> Server {
    Server::new(archive(studies, 3), |config| {
        config.archive.wado_url = "https://pacs.example/dicom-web".to_owned();
    })
}

fn path_of(url: &Value) -> &str {
    url.as_str().unwrap().strip_prefix("https://imaging.example").unwrap()
}

fn ids(found: &[Value]) -> BTreeSet<String> {
    found.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

fn bundle_of(reply: &Reply) -> Value {
    assert_eq!(reply.status, StatusCode::OK, "{}", String::from_utf8_lossy(&reply.bytes));
    reply.json()
}

#[actix_web::test]
async fn an_ehr_finds_both_manifests_of_a_study_and_retrieves_them() {
    let server = server();
    let studies = server.all("/fhir/ImagingStudy?_count=1000").await;
    let study = studies.iter().find(|study| study["basedOn"].is_array()).unwrap();
    let patient = study["subject"]["reference"].as_str().unwrap();
    let uid = study["identifier"][0]["value"].as_str().unwrap();

    let path = format!(
        "/fhir/DocumentReference?patient={patient}&type=http://loinc.org%7C18748-4\
         &status=current&study-instance-uid=urn:dicom:uid%7C{uid}"
    );
    let found = bundle_of(&server.get(Role::Ehr, &path).await);
    assert_eq!(found["total"], 2);
    let [fhir, kos] = [0, 1].map(|at| found["entry"][at]["resource"].clone());
    for (one, other) in [(&fhir, &kos), (&kos, &fhir)] {
        assert_eq!(one["relatesTo"][0]["code"], "transforms");
        let target = one["relatesTo"][0]["target"]["reference"].as_str().unwrap();
        assert_eq!(target, format!("DocumentReference/{}", other["id"].as_str().unwrap()));
        assert_eq!(one["masterIdentifier"], one["identifier"][0]);
        assert_eq!(one["masterIdentifier"], other["masterIdentifier"]);
        assert_eq!(one["subject"]["reference"], patient);
        assert_eq!(one["context"]["related"][0]["identifier"]["value"], uid);
        assert_eq!(one["context"]["related"][1]["identifier"], study["basedOn"][0]["identifier"]);
    }

    // ITI-68: the FHIR document as it is, never inside a Binary.
    let attachment = &fhir["content"][0]["attachment"];
    let reply = server.get(Role::Ehr, path_of(&attachment["url"])).await;
    let document = bundle_of(&reply);
    assert_eq!(document["type"], "document");
    assert_eq!(document["identifier"]["value"], fhir["masterIdentifier"]["value"]);
    assert_eq!(attachment["size"], reply.bytes.len());
    assert_eq!(attachment["hash"], STANDARD.encode(Sha1::digest(&reply.bytes)));
    let entries = document["entry"].as_array().unwrap();
    assert_eq!(entries[0]["resource"]["resourceType"], "Composition");
    let urls: BTreeSet<&str> = entries.iter().map(|e| e["fullUrl"].as_str().unwrap()).collect();
    assert_eq!(urls.len(), entries.len());
    let text = document.to_string();
    for (at, _) in text.match_indices("\"reference\":\"") {
        let rest = &text[at + 13..];
        let reference = &rest[..rest.find('"').unwrap()];
        assert!(reference.starts_with("urn:uuid:") && urls.contains(reference), "{reference}");
    }
    let endpoint = entries
        .iter()
        .map(|entry| &entry["resource"])
        .find(|one| one["resourceType"] == "Endpoint")
        .unwrap();
    assert_eq!(endpoint["address"], "https://pacs.example/dicom-web");

    // And the KOS as it is.
    let attachment = &kos["content"][0]["attachment"];
    let request = TestRequest::get()
        .uri(path_of(&attachment["url"]))
        .insert_header((header::ACCEPT, "application/dicom"));
    let reply = server.send(Some(Role::Ehr), request).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.header("content-type"), "application/dicom");
    assert_eq!(&reply.bytes[128..132], b"DICM");
    assert_eq!(attachment["size"], reply.bytes.len());
    assert_eq!(attachment["hash"], STANDARD.encode(Sha1::digest(&reply.bytes)));
    let manifest = vesalius::dicom::kos::read(&server.context, &reply.bytes).unwrap();
    assert_eq!(manifest.uid.to_urn(), kos["masterIdentifier"]["value"].as_str().unwrap());
    assert_eq!(manifest.study_uid.to_urn(), uid);
}

/// Every value of a token parameter that a document answers to, as `system|code`.
fn codes(of: &Value) -> Vec<String> {
    match of {
        Value::Array(all) => all.iter().flat_map(codes).collect(),
        Value::Object(concept) => match concept.get("coding") {
            Some(codings) => codes(codings),
            None => {
                let code = of["code"].as_str().or_else(|| of["value"].as_str());
                let system = of["system"].as_str().unwrap_or("");
                code.map(|code| format!("{system}|{code}")).into_iter().collect()
            }
        },
        _ => Vec::new(),
    }
}

#[actix_web::test]
async fn each_parameter_finds_what_looking_at_every_document_finds() {
    let server = server_of(12);
    let all = server.all("/fhir/DocumentReference?_count=1000").await;
    assert_eq!(all.len(), 24);
    let extension = |one: &Value, name: &str| {
        let found = one["extension"]
            .as_array()
            .unwrap()
            .iter()
            .find(|extension| extension["url"].as_str().unwrap().ends_with(name))
            .cloned();
        found.unwrap_or_default()
    };
    type Look<'a> = Box<dyn Fn(&Value) -> Vec<String> + 'a>;
    let related = |one: &Value, code: &str| -> Vec<String> {
        one["context"]["related"]
            .as_array()
            .unwrap()
            .iter()
            .map(|related| &related["identifier"])
            .filter(|id| codes(&id["type"]).iter().any(|known| known.ends_with(code)))
            .flat_map(codes)
            .collect()
    };
    let looks: Vec<(&str, Look<'_>)> = vec![
        ("type", Box::new(|one| codes(&one["type"]))),
        ("category", Box::new(|one| codes(&one["category"]))),
        ("identifier", Box::new(|one| codes(&one["identifier"]))),
        ("format", Box::new(|one| codes(&one["content"][0]["format"]))),
        ("facility", Box::new(|one| codes(&one["context"]["facilityType"]))),
        ("setting", Box::new(|one| codes(&one["context"]["practiceSetting"]))),
        ("security-label", Box::new(|one| codes(&one["securityLabel"]))),
        ("modality", Box::new(|one| codes(&extension(one, ".modality")["valueCodeableConcept"]))),
        (
            "bodysite",
            Box::new(|one| {
                codes(&extension(one, ".bodySite")["extension"][0]["valueCodeableConcept"])
            }),
        ),
        ("study-instance-uid", Box::new(|one| related(one, "110180"))),
        ("accession-number", Box::new(|one| related(one, "ACSN"))),
        ("_id", Box::new(|one| vec![format!("|{}", one["id"].as_str().unwrap())])),
    ];
    for (name, look) in &looks {
        let values: BTreeSet<String> = all.iter().flat_map(look).collect();
        assert!(!values.is_empty(), "{name}");
        for value in &values {
            let expected: BTreeSet<String> = ids(&all
                .iter()
                .filter(|one| look(one).contains(value))
                .cloned()
                .collect::<Vec<_>>());
            let (_, code) = value.split_once('|').unwrap();
            let bare = code.replace(':', "%3A");
            for asked in [value.trim_start_matches('|').replace('|', "%7C"), bare] {
                let path = format!("/fhir/DocumentReference?{name}={asked}&_count=7");
                assert_eq!(ids(&server.all(&path).await), expected, "{path}");
            }
            if matches!(*name, "modality" | "bodysite" | "format") {
                let path =
                    format!("/fhir/DocumentReference?{name}:not={}", value.replace('|', "%7C"));
                let others: BTreeSet<String> = ids(&all).difference(&expected).cloned().collect();
                assert_eq!(ids(&server.all(&path).await), others, "{path}");
            }
        }
        let other = format!("/fhir/DocumentReference?{name}=http://x.example%7Cnothing");
        assert_eq!(server.all(&other).await.len(), 0, "{other}");
    }
    for (query, count) in [
        ("status=current", 24),
        ("status=superseded", 0),
        (
            "category=http://hl7.eu/fhir/eu-health-data-api/CodeSystem/eehrxf-document-priority-category-cs%7CMedical-Imaging",
            24,
        ),
        ("format=1.2.840.10008.5.1.4.1.1.88.59&modality:missing=false", 0),
        ("event:missing=true", 24),
        ("author.given=Jan", 0),
        ("author.family=Mal%C3%A1", 0),
        ("date=ge2025-11-13&creation=le2025-11-13", 24),
        ("date=gt2026", 0),
        ("_lastUpdated=lt2025", 0),
    ] {
        let found = server.all(&format!("/fhir/DocumentReference?{query}")).await.len();
        if query.contains("modality:missing") {
            let with = server.all("/fhir/ImagingStudy?modality:missing=false&_count=100").await;
            assert_eq!(found, with.len(), "{query}");
        } else {
            assert_eq!(found, count, "{query}");
        }
    }
    for query in ["started=ge2024-07", "started=2023", "started:missing=true"] {
        let studies = server.all(&format!("/fhir/ImagingStudy?{query}&_count=100")).await;
        let period = query.replace("started", "period");
        let documents = server.all(&format!("/fhir/DocumentReference?{period}&_count=100")).await;
        assert_eq!(documents.len(), studies.len() * 2, "{query}");
    }
    let one = &all[0];
    let study = one["context"]["related"][0]["reference"].as_str().unwrap();
    let patient = one["subject"]["reference"].as_str().unwrap();
    for query in [
        format!("related={study}"),
        format!("related={study}&patient={patient}&subject={patient}"),
        format!(
            "related:identifier={}",
            one["context"]["related"][0]["identifier"]["value"].as_str().unwrap()
        ),
    ] {
        assert_eq!(server.all(&format!("/fhir/DocumentReference?{query}")).await.len(), 2);
    }
}

#[actix_web::test]
async fn pages_of_any_size_give_each_document_once_and_the_same_total() {
    let server = server_of(12);
    for query in ["", "format:not=x&", "_sort=-period&", "_sort=date&", "modality=CT&"] {
        let all = ids(&server.all(&format!("/fhir/DocumentReference?{query}_count=500")).await);
        for count in [1, 2, 3, 7] {
            let path = format!("/fhir/DocumentReference?{query}_count={count}");
            let found = server.all(&path).await;
            assert_eq!(found.len(), all.len(), "{path}");
            assert_eq!(ids(&found), all, "{path}");
            let first = bundle_of(&server.get(Role::ImagingIt, &path).await);
            assert_eq!(first["total"], all.len(), "{path}");
        }
        let count = format!("/fhir/DocumentReference?{query}_summary=count");
        let count = bundle_of(&server.get(Role::ImagingIt, &count).await);
        assert_eq!(count["total"], all.len());
    }
}

#[actix_web::test]
async fn a_study_of_which_only_numbers_are_known_has_one_manifest() {
    let mut records = archive(30, 3);
    let counted = |record: &vesalius::imaging::Record| record.study_uid.as_str().ends_with('7');
    for record in records.iter_mut().filter(|record| counted(record)) {
        let instance = record.instance.take().unwrap();
        record.sop_classes = vec![instance.sop_class];
    }
    // A row says how many instances a series has.
    records.dedup_by_key(|record| {
        (
            record.series_uid.clone(),
            record.instance.is_none().then_some(()).ok_or(record.origin.clone()),
        )
    });
    let server = Server::new(records, |_| ());
    let studies = server.all("/fhir/ImagingStudy?_count=100").await;
    let is_counted = |study: &Value| study["series"][0]["instance"].is_null();
    let few = studies.iter().filter(|study| is_counted(study)).count();
    assert_eq!((studies.len(), few), (30, 3));
    for study in &studies {
        let id = study["id"].as_str().unwrap();
        let path =
            format!("/fhir/DocumentReference?related=ImagingStudy/{id}&_revinclude=List:item");
        let found = bundle_of(&server.get(Role::ImagingIt, &path).await);
        let documents = if is_counted(study) { 1 } else { 2 };
        assert_eq!(found["total"], documents, "{found:#}");
        let entries = found["entry"].as_array().unwrap();
        assert_eq!(entries.len(), documents + 1);
        let list = &entries[documents]["resource"];
        assert_eq!(list["entry"].as_array().unwrap().len(), documents);
        assert_eq!(
            bundle_of(&server.get(Role::ImagingIt, &format!("/fhir/List/{id}-mado-set")).await),
            *list
        );
        for entry in entries {
            assert_eq!(errors(&entry["resource"]), Vec::<String>::new());
        }
        let first = &entries[0]["resource"];
        assert_eq!(first["content"][0]["attachment"]["contentType"], "application/fhir+json");
        assert_eq!(first["relatesTo"].is_null(), is_counted(study));
        for kind in ["DocumentReference", "Binary"] {
            let reply = server.get(Role::ImagingIt, &format!("/fhir/{kind}/{id}-mado-kos")).await;
            let expected = if is_counted(study) { StatusCode::NOT_FOUND } else { StatusCode::OK };
            assert_eq!(reply.status, expected, "{kind}");
        }
        let path = format!("/fhir/DocumentReference?_id={id}-mado-kos,{id}-mado-fhir");
        assert_eq!(bundle_of(&server.get(Role::ImagingIt, &path).await)["total"], documents);
    }
    for (query, total) in [
        ("", 57),
        ("_sort=-period&", 57),
        ("format=1.2.840.10008.5.1.4.1.1.88.59&", 27),
        ("format:not=1.2.840.10008.5.1.4.1.1.88.59&", 30),
    ] {
        for count in [1, 2, 3, 50] {
            let path = format!("/fhir/DocumentReference?{query}_count={count}");
            let found = server.all(&path).await;
            assert_eq!((found.len(), ids(&found).len()), (total, total), "{path}");
            assert_eq!(
                bundle_of(&server.get(Role::ImagingIt, &path).await)["total"],
                total,
                "{path}"
            );
        }
    }
}

#[actix_web::test]
async fn a_search_by_post_is_the_search_by_get() {
    let server = server();
    let get = server.get(Role::ImagingIt, "/fhir/DocumentReference?modality=CT&_count=4").await;
    let post = TestRequest::post()
        .uri("/fhir/DocumentReference/_search")
        .insert_header((header::CONTENT_TYPE, "application/x-www-form-urlencoded"))
        .set_payload("modality=CT&_count=4");
    let post = server.send(Some(Role::ImagingIt), post).await;
    assert_eq!(bundle_of(&get)["entry"], bundle_of(&post)["entry"]);
}

#[actix_web::test]
async fn a_submission_set_has_the_documents_of_its_study() {
    let server = server();
    let all = server.all("/fhir/List?code=submissionset&status=current&_count=8").await;
    assert_eq!(all.len(), 30);
    let one = &all[0];
    let id = one["id"].as_str().unwrap();
    let path = format!("/fhir/List?_id={id}&_include=List:item&_include=List:patient");
    let found = bundle_of(&server.get(Role::ImagingIt, &path).await);
    let entries = found["entry"].as_array().unwrap();
    let kinds: Vec<&str> =
        entries.iter().map(|e| e["resource"]["resourceType"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["List", "Patient", "DocumentReference", "DocumentReference"]);
    for (entry, item) in entries[2..].iter().zip(one["entry"].as_array().unwrap()) {
        let reference = format!("DocumentReference/{}", entry["resource"]["id"].as_str().unwrap());
        assert_eq!(item["item"]["reference"], reference.as_str());
    }
    let patient = one["subject"]["reference"].as_str().unwrap();
    let identifier = one["identifier"][0]["value"].as_str().unwrap();
    let source = one["extension"][1]["valueIdentifier"]["value"].as_str().unwrap();
    for (query, count) in [
        (format!("patient={patient}&identifier={identifier}"), 1),
        (format!("sourceId={source}"), 30),
        ("designationType=18748-4".to_owned(), 30),
        ("source.given=Jan".to_owned(), 0),
        ("code=folder".to_owned(), 0),
        ("date=ge2025".to_owned(), 30),
    ] {
        assert_eq!(server.all(&format!("/fhir/List?{query}")).await.len(), count, "{query}");
    }
    let read = server.get(Role::ImagingIt, &format!("/fhir/List/{id}")).await;
    assert_eq!(bundle_of(&read)["id"], id);
}

#[actix_web::test]
async fn a_binary_is_its_content_or_a_resource_as_the_client_asks() {
    let server = server();
    let found = server.all("/fhir/DocumentReference?format=1.2.840.10008.5.1.4.1.1.88.59").await;
    let path = path_of(&found[0]["content"][0]["attachment"]["url"]);
    for (accept, media) in [
        (None, "application/dicom"),
        (Some("*/*"), "application/dicom"),
        (Some("application/dicom, application/fhir+json;q=0"), "application/dicom"),
        (Some("application/fhir+json"), "application/fhir+json; fhirVersion=4.0; charset=utf-8"),
    ] {
        let mut request = TestRequest::get().uri(path);
        if let Some(accept) = accept {
            request = request.insert_header((header::ACCEPT, accept));
        }
        let reply = server.send(Some(Role::ImagingIt), request).await;
        assert_eq!(reply.header("content-type"), media, "{accept:?}");
        if media.contains("json") {
            let data = reply.json()["data"].as_str().unwrap().to_owned();
            assert_eq!(&STANDARD.decode(data).unwrap()[128..132], b"DICM");
        }
    }
    let pdf = TestRequest::get().uri(path).insert_header((header::ACCEPT, "application/pdf"));
    assert_eq!(server.send(Some(Role::ImagingIt), pdf).await.status, StatusCode::NOT_ACCEPTABLE);
    let first = server.get(Role::ImagingIt, path).await;
    let known =
        TestRequest::get().uri(path).insert_header((header::IF_NONE_MATCH, first.header("etag")));
    assert_eq!(server.send(Some(Role::ImagingIt), known).await.status, StatusCode::NOT_MODIFIED);
    // Manifests are read by their ids and stand in no list.
    for path in ["/fhir/Binary", "/fhir/Bundle"] {
        let reply = server.get(Role::ImagingIt, path).await;
        assert_eq!((reply.status, &reply.json()["total"]), (StatusCode::OK, &0.into()), "{path}");
    }
    for path in ["/fhir/Binary/x-mado-kos", "/fhir/Bundle/-mado-fhir"] {
        let reply = server.get(Role::ImagingIt, path).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[actix_web::test]
async fn care_names_one_patient_and_secondary_use_sees_none() {
    let server = server();
    let reply = server.get(Role::Ehr, "/fhir/DocumentReference?modality=CT").await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    assert_eq!(server.get(Role::Steward, "/fhir/List").await.status, StatusCode::FORBIDDEN);

    // Nothing is open: a researcher sees no document, by whatever id.
    let all = server.all("/fhir/DocumentReference?_count=100").await;
    let hidden = bundle_of(&server.get(Role::Researcher, "/fhir/DocumentReference").await);
    assert_eq!(hidden["total"], 0);
    let path = path_of(&all[0]["content"][0]["attachment"]["url"]);
    assert_eq!(server.get(Role::Researcher, path).await.status, StatusCode::NOT_FOUND);

    server.open(vec![Criteria::of(Facet::Modality, &["CT"])]);
    let found = bundle_of(&server.get(Role::Researcher, "/fhir/DocumentReference?_count=50").await);
    let open = bundle_of(&server.get(Role::Researcher, "/fhir/ImagingStudy").await);
    let open = open["total"].as_u64().unwrap();
    assert!(open > 0);
    assert_eq!(found["total"], open * 2);
    let care = ids(&all);
    for entry in found["entry"].as_array().unwrap() {
        let one = &entry["resource"];
        assert!(!care.contains(one["id"].as_str().unwrap()));
        assert_eq!(one["meta"]["security"][0]["code"], "PSEUDED");
        assert_eq!(one["context"]["related"].as_array().unwrap().len(), 1);
        let document =
            server.get(Role::Researcher, path_of(&one["content"][0]["attachment"]["url"]));
        let text = String::from_utf8_lossy(&document.await.bytes).into_owned();
        for word in
            ["Dvo", "DVORAK", "Nov\u{e1}k", "Mal\u{e1}", "2.25.8000", "\"family\"", "Technik"]
        {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }
    for query in ["study-instance-uid=2.25.800001", "accession-number=A1", "patient.identifier=P1"]
    {
        let path = format!("/fhir/DocumentReference?{query}");
        assert_eq!(
            server.get(Role::Researcher, &path).await.status,
            StatusCode::FORBIDDEN,
            "{query}"
        );
    }
}

#[actix_web::test]
async fn a_new_version_of_a_study_has_new_documents() {
    let mut records = archive(3, 3);
    let server = Server::new(records.clone(), |_| ());
    let before = server.all("/fhir/DocumentReference").await;
    let oid = before[0]["masterIdentifier"]["value"].as_str().unwrap().to_owned();
    let id = before[0]["id"].as_str().unwrap().to_owned();
    let study = before[0]["context"]["related"][0]["identifier"]["value"].as_str().unwrap();
    let study = study.strip_prefix("urn:oid:").unwrap().to_owned();
    let mut added =
        records.iter().find(|record| record.study_uid.as_str() == study).unwrap().clone();
    let instance = added.instance.as_mut().unwrap();
    instance.uid = vesalius::imaging::Uid::parse("2.25.4711").unwrap();
    added.origin = "another".to_owned();
    records.push(added);
    server.ingest(records, 1_764_000_000_000_000);
    let path = format!("/fhir/DocumentReference/{id}");
    let after = bundle_of(&server.get(Role::ImagingIt, &path).await);
    assert_ne!(after["masterIdentifier"]["value"], oid.as_str());
    let old = server.all(&format!("/fhir/DocumentReference?identifier={oid}")).await;
    assert_eq!(old.len(), 0);
    let url = path_of(&after["content"][0]["attachment"]["url"]).to_owned();
    let document = String::from_utf8(server.get(Role::ImagingIt, &url).await.bytes).unwrap();
    assert!(document.contains("2.25.4711"));
}

#[actix_web::test]
async fn a_manifest_is_converted_into_the_other_encoding() {
    let server = server();
    let all = server.all("/fhir/DocumentReference?_count=2").await;
    let [fhir, kos] = [0, 1].map(|at| path_of(&all[at]["content"][0]["attachment"]["url"]));
    let bundle = server.get(Role::ImagingIt, fhir).await.bytes;
    let file = server.get(Role::ImagingIt, kos).await.bytes;
    let convert = async |media: &str, body: Vec<u8>| {
        let request = TestRequest::post()
            .uri("/fhir/$mado-convert")
            .insert_header((header::CONTENT_TYPE, media))
            .set_payload(body);
        server.send(Some(Role::ImagingIt), request).await
    };
    let made = convert("application/fhir+json", bundle.clone()).await;
    assert_eq!(made.status, StatusCode::OK);
    assert_eq!(made.header("content-type"), "application/dicom");
    let context = &server.context;
    let one = vesalius::dicom::kos::read(context, &made.bytes).unwrap();
    let two = vesalius::dicom::kos::read(context, &file).unwrap();
    assert_eq!((&one.uid, &one.series, &one.requests), (&two.uid, &two.series, &two.requests));
    let back = bundle_of(&convert("application/dicom", made.bytes).await);
    let original: Value = serde_json::from_slice(&bundle).unwrap();
    assert_eq!(back["identifier"], original["identifier"]);
    let series = |bundle: &Value| bundle["entry"][1]["resource"]["numberOfInstances"].clone();
    assert_eq!(series(&back), series(&original));

    for (media, body, status) in [
        ("application/dicom", b"no dicom".to_vec(), StatusCode::BAD_REQUEST),
        ("application/dicom", file[..file.len() / 2].to_vec(), StatusCode::BAD_REQUEST),
        ("application/fhir+json", b"{".to_vec(), StatusCode::BAD_REQUEST),
        ("application/fhir+json", b"[1]".to_vec(), StatusCode::BAD_REQUEST),
        ("application/fhir+json", "[".repeat(100_000).into_bytes(), StatusCode::BAD_REQUEST),
        ("application/pdf", Vec::new(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/dicom", vec![0; (16 << 20) + 1], StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let reply = convert(media, body).await;
        assert_eq!(reply.status, status, "{media}");
        assert_eq!(reply.json()["resourceType"], "OperationOutcome");
    }
    let get = server.get(Role::ImagingIt, "/fhir/$mado-convert").await;
    assert_eq!(get.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// What the checker of `fhir/validate` says against a resource, by the profiles that it claims and
/// by those that MADO gives to the entries of a manifest.
fn errors(resource: &Value) -> Vec<String> {
    let profile =
        |name: &str| format!("https://profiles.ihe.net/RAD/MADO/StructureDefinition/{name}");
    let mut found = Vec::new();
    let mut check = |resource: &Value, profiles: &[&str]| {
        let report = vesalius::fhir::validate::validate(resource, profiles);
        // The slice is told by two patterns inside a profile of its type, which the checker does
        // not look into; the codings are looked at below.
        let is_slice_of_orders =
            |rule: &str| rule.ends_with("#ServiceRequest.identifier:accession-number");
        let issues = report.errors().filter(|issue| !is_slice_of_orders(&issue.rule.to_string()));
        found.extend(issues.map(|issue| format!("{issue:?}")));
        if resource["resourceType"] == "ServiceRequest" {
            let types = codes(&resource["identifier"][0]["type"]);
            let known = [
                "http://terminology.hl7.org/CodeSystem/v2-0203|ACSN",
                "http://dicom.nema.org/resources/ontology/DCM|121022",
            ];
            assert_eq!(types, known);
        }
    };
    check(resource, &[]);
    for entry in resource["entry"].as_array().into_iter().flatten() {
        let resource = &entry["resource"];
        let is_viewer = resource["payloadMimeType"][0] == "text/html";
        let name = match resource["resourceType"].as_str() {
            Some("Composition") => "MadoComposition",
            Some("ImagingStudy") => "MadoImagingStudy",
            Some("Patient") => "MadoPatient",
            Some("Device") => "MadoCreator",
            Some("Organization") => "MadoCreatorOrganization",
            Some("ServiceRequest") => "MadoRequestedProcedure",
            Some("Endpoint") if is_viewer => "MadoWebViewerEndpoint",
            Some("Endpoint") => "MadoWadoEndpoint",
            _ => continue,
        };
        check(resource, &[&profile(name)]);
    }
    found
}

#[actix_web::test]
async fn everything_holds_to_its_profile() {
    let server = Server::new(archive(30, 3), |config| {
        config.archive.viewer_url = "https://viewer.example/?study={StudyInstanceUID}".to_owned();
    });
    let mut count = 0;
    for kind in ["DocumentReference", "List"] {
        for one in server.all(&format!("/fhir/{kind}?_count=100")).await {
            assert_eq!(errors(&one), Vec::<String>::new(), "{one:#}");
            count += 1;
            if one["content"][0]["attachment"]["contentType"] == "application/fhir+json" {
                let url = path_of(&one["content"][0]["attachment"]["url"]);
                let document = bundle_of(&server.get(Role::ImagingIt, url).await);
                assert_eq!(errors(&document), Vec::<String>::new(), "{document:#}");
                count += 1;
            }
        }
    }
    assert_eq!(count, 120);
    // The checker sees what it is asked to see.
    let one = &server.all("/fhir/DocumentReference?_count=1").await[0];
    for (name, at) in [("type", ""), ("extension", ""), ("period", "context")] {
        let mut broken = one.clone();
        let from = if at.is_empty() { &mut broken } else { &mut broken[at] };
        from.as_object_mut().unwrap().remove(name);
        assert!(!errors(&broken).is_empty(), "{name}");
    }
}

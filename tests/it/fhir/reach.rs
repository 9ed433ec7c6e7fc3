//! Patches, reverse chains, searches of several types, and groups that are exported.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use vesalius::actor::{Actor, Role};

use super::records::{Client, writer};
use super::server::{Reply, Server, archive, link};

fn server() -> Server {
    Server::new(archive(40, 3), |_| ())
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.bytes).into_owned()
}

fn ids(bundle: &Value) -> Vec<String> {
    let entries = bundle["entry"].as_array().into_iter().flatten();
    let of = |entry: &Value| {
        let resource = &entry["resource"];
        format!(
            "{}/{}",
            resource["resourceType"].as_str().unwrap(),
            resource["id"].as_str().unwrap()
        )
    };
    entries.filter(|entry| entry["search"]["mode"] == "match").map(of).collect()
}

async fn found(care: &Client<'_>, path: &str) -> Vec<String> {
    let reply = care.get(path).await;
    assert_eq!(reply.status, StatusCode::OK, "{path}: {}", text(&reply));
    ids(&reply.json())
}

async fn patch(care: &Client<'_>, path: &str, body: &str, tag: Option<&str>) -> Reply {
    let mut request = TestRequest::default()
        .method(Method::PATCH)
        .uri(&format!("/fhir{path}"))
        .insert_header(("Content-Type", "application/json-patch+json"))
        .set_payload(body.to_owned());
    if let Some(tag) = tag {
        request = request.insert_header(("If-Match", tag));
    }
    care.send(request).await
}

#[actix_web::test]
async fn a_patch_makes_a_version_and_leaves_alone_what_it_does_not_name() {
    let server = server();
    let care = Client(&server, writer(Role::ImagingIt));
    let body = r#"{"resourceType":"Observation","id":"a","status":"preliminary","code":{"text":"size"},"valueQuantity":{"value":1.50,"unit":"mm"}}"#;
    assert_eq!(care.ask(Method::PUT, "/Observation/a", body).await.status, StatusCode::CREATED);
    let one = r#"[{"op":"test","path":"/status","value":"preliminary"},{"op":"replace","path":"/status","value":"final"},{"op":"add","path":"/note","value":[{"text":"seen"}]}]"#;
    let reply = patch(&care, "/Observation/a", one, Some("W/\"1\"")).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", text(&reply));
    assert_eq!(reply.header("etag"), "W/\"2\"");
    assert!(text(&reply).contains("\"value\":1.50"), "{}", text(&reply));
    assert_eq!(reply.json()["status"], "final");
    assert_eq!(found(&care, "/Observation?status=final").await, ["Observation/a"]);
    // By a condition, too.
    let two = r#"[{"op":"remove","path":"/note"}]"#;
    let reply = patch(&care, "/Observation?_id=a", two, None).await;
    assert_eq!((reply.status, reply.header("etag")), (StatusCode::OK, "W/\"3\""));
    let history = care.get("/Observation/a/_history").await.json();
    assert_eq!(history["total"], 3);

    let study = server.all("/fhir/ImagingStudy").await.remove(0);
    let derived = format!("/ImagingStudy/{}", study["id"].as_str().unwrap());
    care.put("/Observation/gone", &json!({ "resourceType": "Observation", "id": "gone", "status": "final", "code": { "text": "x" } })).await;
    care.delete("/Observation/gone").await;
    let status = r#"[{"op":"replace","path":"/status","value":"final"}]"#;
    let deep = "[".repeat(100_000);
    let many = format!("[{}]", vec![&status[1..status.len() - 1]; 201].join(","));
    for (path, body, tag, expected) in [
        ("/Observation/a", status, Some("W/\"1\""), 412),
        ("/Observation/none", status, None, 404),
        ("/Observation/gone", status, None, 410),
        ("/Observation?_id=none", status, None, 404),
        ("/Observation", status, None, 412),
        (&derived, status, None, 405),
        ("/ValueSet/tnm", status, None, 405),
        ("/Observation/a", "", None, 400),
        ("/Observation/a", "{}", None, 400),
        ("/Observation/a", "[7]", None, 400),
        ("/Observation/a", &deep, None, 400),
        ("/Observation/a", &many, None, 400),
        ("/Observation/a", r#"[{"op":"add","path":"status"}]"#, None, 400),
        ("/Observation/a", r#"[{"op":"test","path":"/status","value":"x"}]"#, None, 422),
        ("/Observation/a", r#"[{"op":"remove","path":"/nothing"}]"#, None, 422),
        ("/Observation/a", r#"[{"op":"remove","path":"/status"}]"#, None, 422),
        ("/Observation/a", r#"[{"op":"replace","path":"/status","value":"x"}]"#, None, 422),
        ("/Observation/a", r#"[{"op":"replace","path":"/id","value":"b"}]"#, None, 422),
        (
            "/Observation/a",
            r#"[{"op":"replace","path":"/resourceType","value":"Basic"}]"#,
            None,
            400,
        ),
        ("/Observation/a", r#"[{"op":"replace","path":"","value":7}]"#, None, 400),
        ("/Observation/a", r#"[{"op":"add","path":"/__proto__","value":{}}]"#, None, 422),
    ] {
        let reply = patch(&care, path, body, tag).await;
        assert_eq!(reply.status.as_u16(), expected, "{path} {body:.60}: {}", text(&reply));
        assert_eq!(reply.json()["resourceType"], "OperationOutcome");
    }
    // As a type of FHIR, a patch is Parameters.
    let other = care.ask(Method::PATCH, "/Observation/a", status).await;
    assert_eq!(other.status, StatusCode::BAD_REQUEST);
    let reader = Client(&server, Actor::new("a", Role::ImagingIt));
    let reply = patch(&reader, "/Observation/a", status, None).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    let history = care.get("/Observation/a/_history").await.json();
    assert_eq!(history["total"], 3, "what was refused left nothing");
}

#[actix_web::test]
async fn a_reverse_chain_finds_what_others_point_at() {
    let server = server();
    let care = Client(&server, writer(Role::ImagingIt));
    let patients = server.all("/fhir/Patient").await;
    let id = |at: usize| patients[at]["id"].as_str().unwrap().to_owned();
    let observation = |of: &str, code: &str, subject: Value| {
        json!({
            "resourceType": "Observation", "id": of, "status": "final",
            "code": { "coding": [{ "code": code }] }, "subject": subject,
        })
    };
    let reference = |at: usize| json!({ "reference": format!("Patient/{}", id(at)) });
    let logical = json!({ "identifier": patients[2]["identifier"][0] });
    for (name, code, subject) in
        [("a", "x", reference(0)), ("b", "y", reference(1)), ("c", "x", logical)]
    {
        let reply =
            care.put(&format!("/Observation/{name}"), &observation(name, code, subject)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", text(&reply));
    }
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all
    };
    let of = |at: &[usize]| sorted(at.iter().map(|at| format!("Patient/{}", id(*at))).collect());
    let has = |rest: &str| format!("/Patient?_has:Observation:{rest}");
    assert_eq!(sorted(found(&care, &has("patient:code=x")).await), of(&[0, 2]));
    assert_eq!(sorted(found(&care, &has("subject:code=x,y")).await), of(&[0, 1, 2]));
    assert_eq!(found(&care, &has("patient:code=z")).await, Vec::<String>::new());
    assert_eq!(sorted(found(&care, &has("patient:code:not=x")).await), of(&[1]));
    let both = format!("{}&_id={}", has("patient:code=x"), id(0));
    assert_eq!(found(&care, &both).await, of(&[0]));
    // Through two, and from what the archive has.
    let condition = json!({
        "resourceType": "Condition", "id": "k", "code": { "text": "x" }, "subject": reference(0),
        "evidence": [{ "detail": [{ "reference": "Observation/a" }] }],
    });
    assert_eq!(care.put("/Condition/k", &condition).await.status, StatusCode::CREATED);
    let two = has("patient:_has:Condition:evidence-detail:_id=k");
    assert_eq!(found(&care, &two).await, of(&[0]));
    let with_mg: BTreeSet<String> = server
        .all("/fhir/ImagingStudy?modality=MG")
        .await
        .iter()
        .map(|study| study["subject"]["reference"].as_str().unwrap().to_owned())
        .collect();
    let asked = found(&care, "/Patient?_has:ImagingStudy:patient:modality=MG&_count=100").await;
    assert_eq!(asked.into_iter().collect::<BTreeSet<_>>(), with_mg);
    assert!(!with_mg.is_empty());
    let page = care.get("/Patient?_has:ImagingStudy:patient:modality=MG&_count=1").await.json();
    let next = link(&page, "next").unwrap();
    assert!(next.contains("_has:ImagingStudy:patient:modality=MG"), "{next}");
    let next = care.send(TestRequest::get().uri(&next)).await.json();
    assert_ne!(ids(&page), ids(&next));

    for wrong in [
        "_has:Observation=x",
        "_has:Observation:patient=x",
        "_has:Observation:code:code=x",
        "_has:Observation:patient:nothing=x",
        "_has:Elephant:patient:code=x",
        "_has:Observation:patient:code:above=x",
        "_has:Observation:patient:_has:Observation:patient:_has:Observation:patient:_has:Observation:patient:code=x",
        "_has::::=x",
    ] {
        let reply = care.get(&format!("/Patient?{wrong}")).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{wrong}: {}", text(&reply));
    }
    let guide = care.get("/ValueSet?_has:Provenance:target:_id=x").await;
    assert_eq!(guide.status, StatusCode::BAD_REQUEST);
    // Who may not look into the other type, or reads one patient at a time, does not.
    let narrow = Actor::new("a", Role::ImagingIt).with_scopes("system/Patient.rs");
    let narrow = Client(&server, narrow);
    assert_eq!(narrow.get(&has("patient:code=x")).await.status, StatusCode::FORBIDDEN);
    let ehr = Client(&server, writer(Role::Ehr));
    assert_eq!(ehr.get(&both).await.status, StatusCode::FORBIDDEN);
    // Researchers of an archive that names persons learn nothing of what care wrote.
    let researcher = Client(&server, Actor::new("a", Role::Researcher));
    let reply = researcher.get(&format!("{}&_summary=count", has("patient:code=x"))).await;
    let is_masked = reply.json()["_total"]["extension"][0]["valueCode"] == "masked";
    let is_none = reply.status.is_client_error() || is_masked;
    assert!(is_none, "{}", text(&reply));
}

#[actix_web::test]
async fn several_types_are_searched_at_once() {
    let server = server();
    let care = Client(&server, writer(Role::ImagingIt));
    for of in 0..5 {
        let body =
            json!({ "resourceType": "Basic", "id": format!("b{of}"), "code": { "text": "x" } });
        assert_eq!(care.put(&format!("/Basic/b{of}"), &body).await.status, StatusCode::CREATED);
    }
    let mut all = Vec::new();
    let mut next = Some("/fhir?_type=Basic,Patient,ImagingStudy,CodeSystem&_count=7".to_owned());
    let mut totals = BTreeSet::new();
    while let Some(path) = next {
        let bundle = care.send(TestRequest::get().uri(&path)).await;
        assert_eq!(bundle.status, StatusCode::OK, "{path}: {}", text(&bundle));
        let bundle = bundle.json();
        totals.insert(bundle["total"].as_u64().unwrap());
        assert!(ids(&bundle).len() <= 7);
        all.extend(ids(&bundle));
        next = link(&bundle, "next");
    }
    let mut apart = Vec::new();
    for kind in ["Basic", "Patient", "ImagingStudy", "CodeSystem"] {
        for one in server.all(&format!("/fhir/{kind}?_count=100")).await {
            apart.push(format!("{kind}/{}", one["id"].as_str().unwrap()));
        }
    }
    assert_eq!(all, apart);
    assert_eq!(totals, BTreeSet::from([apart.len() as u64]));
    assert_eq!(found(&care, "?_type=Patient,Basic&_id=b3").await, ["Basic/b3"]);
    let count = care.get("?_type=Basic,Patient&_summary=count").await.json();
    assert!(count.get("entry").is_none() && count["total"].as_u64().unwrap() > 5);
    for (path, status) in [
        ("", 400),
        ("?_type=", 400),
        ("?_id=x", 400),
        ("?_type=Elephant", 400),
        ("?_type=Patient,Basic&_sort=_lastUpdated", 400),
        ("?_type=Basic&_revinclude=Provenance:target", 400),
        ("?_type=Basic&_cursor=x", 400),
        ("?_type=Basic&_count=x", 400),
    ] {
        let reply = care.get(path).await;
        assert_eq!(reply.status.as_u16(), status, "{path}: {}", text(&reply));
    }
    let strict = TestRequest::get()
        .uri("/fhir?_type=Basic,Elephant")
        .insert_header(("Prefer", "handling=strict"));
    assert_eq!(care.send(strict).await.status, StatusCode::BAD_REQUEST);
    let ehr = Client(&server, Actor::new("a", Role::Ehr));
    assert_eq!(ehr.get("?_type=Patient,ImagingStudy").await.status, StatusCode::FORBIDDEN);
    let narrow = Actor::new("a", Role::ImagingIt).with_scopes("system/Patient.rs");
    let narrow = Client(&server, narrow);
    assert_eq!(narrow.get("?_type=Patient,Basic").await.status, StatusCode::FORBIDDEN);
    let steward = Client(&server, Actor::new("a", Role::Steward));
    assert_eq!(steward.get("?_type=ValueSet").await.status, StatusCode::FORBIDDEN);
}

#[actix_web::test]
async fn an_episode_of_care_is_kept_and_found() {
    let server = server();
    let care = Client(&server, writer(Role::ImagingIt));
    let patient = server.all("/fhir/Patient").await.remove(0);
    let id = patient["id"].as_str().unwrap();
    let episode = json!({
        "resourceType": "EpisodeOfCare", "id": "e", "status": "active",
        "type": [{ "coding": [{ "code": "screening" }] }],
        "patient": { "reference": format!("Patient/{id}") },
        "period": { "start": "2024-01-01" },
    });
    assert_eq!(care.put("/EpisodeOfCare/e", &episode).await.status, StatusCode::CREATED);
    let encounter = json!({
        "resourceType": "Encounter", "id": "n", "status": "finished",
        "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB" },
        "subject": { "reference": format!("Patient/{id}") },
        "episodeOfCare": [{ "reference": "EpisodeOfCare/e" }],
    });
    assert_eq!(care.put("/Encounter/n", &encounter).await.status, StatusCode::CREATED);
    for query in ["status=active", "type=screening", "date=ge2024-06-01", &format!("patient={id}")]
    {
        let path = format!("/EpisodeOfCare?{query}");
        assert_eq!(found(&care, &path).await, ["EpisodeOfCare/e"], "{query}");
    }
    assert_eq!(found(&care, "/Encounter?episode-of-care.type=screening").await, ["Encounter/n"]);
    let everything = care.get(&format!("/Patient/{id}/$everything?_count=100")).await.json();
    assert!(everything.to_string().contains("EpisodeOfCare/e"), "{everything:.300}");
    let mut bad = episode;
    bad["status"] = "x".into();
    let reply = care.put("/EpisodeOfCare/e", &bad).await;
    assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[actix_web::test]
async fn a_group_is_exported_and_names_its_members_to_imaging_it_only() {
    let server = server();
    let care = Client(&server, writer(Role::ImagingIt));
    let patients = server.all("/fhir/Patient").await;
    let id = |at: usize| patients[at]["id"].as_str().unwrap().to_owned();
    let entity = |at: usize| json!({ "entity": { "reference": format!("Patient/{}", id(at)) } });
    let mut inactive = entity(3);
    inactive["inactive"] = true.into();
    let by_identifier =
        json!({ "entity": { "type": "Patient", "identifier": patients[1]["identifier"][0] } });
    let group = json!({
        "resourceType": "Group", "id": "g", "type": "person", "actual": true,
        "member": [entity(0), by_identifier, inactive],
    });
    let reply = care.put("/Group/g", &group).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", text(&reply));
    let empty = json!({ "resourceType": "Group", "id": "empty", "type": "person", "actual": true });
    assert_eq!(care.put("/Group/empty", &empty).await.status, StatusCode::CREATED);
    let member = format!("/Group?member=Patient/{}", id(0));
    assert_eq!(found(&care, &member).await, ["Group/g"]);

    let kick_off =
        |path: &str| TestRequest::get().uri(path).insert_header(("Prefer", "respond-async"));
    let export = async |path: &str| -> Vec<Value> {
        let reply = care.send(kick_off(path)).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{path}: {}", text(&reply));
        let status = reply.header("content-location").to_owned();
        let clock = || jiff::Timestamp::now().as_microsecond();
        while server.state().export_next(&clock, &AtomicBool::new(false)) {}
        let status = status.strip_prefix("https://imaging.example").unwrap();
        let manifest: Value =
            serde_json::from_slice(&care.send(TestRequest::get().uri(status)).await.bytes).unwrap();
        let mut lines = Vec::new();
        for file in manifest["output"].as_array().unwrap() {
            let url = file["url"].as_str().unwrap();
            let url = url.strip_prefix("https://imaging.example").unwrap();
            let bytes = care.send(TestRequest::get().uri(url)).await.bytes;
            for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                lines.push(serde_json::from_slice(line).unwrap());
            }
        }
        lines
    };
    let lines = export("/fhir/Group/g/$export").await;
    let of = |kind: &str| -> BTreeSet<String> {
        let all = lines.iter().filter(|line| line["resourceType"] == kind);
        all.map(|line| line["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of("Patient"), BTreeSet::from([id(0), id(1)]));
    let searched = server.all(&format!("/fhir/ImagingStudy?patient={},{}", id(0), id(1))).await;
    let searched: BTreeSet<String> =
        searched.iter().map(|study| study["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(of("ImagingStudy"), searched);
    assert!(!searched.is_empty());
    assert!(of("Endpoint").is_empty() && of("Group").is_empty());
    let one =
        export(&format!("/fhir/Group/g/$export?_type=Patient&patient=Patient/{}", id(1))).await;
    assert_eq!(one.len(), 1);
    assert_eq!(export("/fhir/Group/empty/$export").await, Vec::<Value>::new());
    for (path, status) in [
        ("/fhir/Group/none/$export".to_owned(), 404),
        ("/fhir/Group/g/$export?_type=Endpoint".to_owned(), 400),
        ("/fhir/Group/empty/$export?_type=Elephant".to_owned(), 400),
        (format!("/fhir/Group/g/$export?patient=Patient/{}", id(3)), 400),
        ("/fhir/Group/%00/$export".to_owned(), 400),
    ] {
        let reply = care.send(kick_off(&path)).await;
        assert_eq!(reply.status.as_u16(), status, "{path}: {}", text(&reply));
    }
    // A group names many patients, and an EHR reads one at a time.
    let ehr = Client(&server, writer(Role::Ehr));
    assert_eq!(ehr.get("/Group/g").await.status, StatusCode::NOT_FOUND);
    assert_eq!(ehr.get("/Group/g/_history").await.status, StatusCode::NOT_FOUND);
    assert_eq!(found(&ehr, "/Group").await, Vec::<String>::new());
    assert_eq!(ehr.put("/Group/g", &group).await.status, StatusCode::FORBIDDEN);
    let with = format!("/Patient?_id={}&_revinclude=Group:member", id(0));
    let reply = ehr.get(&with).await;
    assert!(!text(&reply).contains("Group/g"), "{}", text(&reply));
    assert!(text(&care.get(&with).await).contains("Group/g"));
}

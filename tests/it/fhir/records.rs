//! Writing: what a client sees, and what is left in the store. All resources are synthetic.

use actix_web::http::{Method, StatusCode};
use actix_web::test::TestRequest;
use futures_util::future::join_all;
use serde_json::{Value, json};
use vesalius::actor::{Actor, Role};
use vesalius::config::Identity;
use vesalius::index::Criteria;

use super::server::{Reply, Server, archive, link};

pub fn writer(role: Role) -> Actor {
    Actor::new("writer", role).with_scopes("system/*.cruds")
}

/// Runs a test on a server of each database.
macro_rules! on_both {
    ($($name:ident: $body:ident),+ $(,)?) => { $(
        #[actix_web::test]
        async fn $name() {
            $body(Server::new(archive(30, 3), |_| ())).await;
            if let Some(server) = Server::on_postgres(archive(30, 3)) {
                $body(server).await;
            }
        }
    )+ };
}

on_both! {
    a_resource_lives_in_versions_and_its_bytes_stay_as_they_came: body_of_a_resource_lives_in_versions_and_its_bytes_stay_as_they_came,
    what_may_not_be_written_is_refused_with_the_reason: body_of_what_may_not_be_written_is_refused_with_the_reason,
    conditions_decide_what_a_write_becomes: body_of_conditions_decide_what_a_write_becomes,
    of_two_updates_of_one_version_one_is_refused: body_of_of_two_updates_of_one_version_one_is_refused,
    a_transaction_is_one_step_with_its_references_rewritten: body_of_a_transaction_is_one_step_with_its_references_rewritten,
    a_transaction_that_fails_changes_nothing: body_of_a_transaction_that_fails_changes_nothing,
    a_record_belongs_to_the_patient_whom_it_names_by_id_or_identifier: body_of_a_record_belongs_to_the_patient_whom_it_names_by_id_or_identifier,
    everything_of_a_patient_comes_in_pages_from_every_provider: body_of_everything_of_a_patient_comes_in_pages_from_every_provider,
    validate_tells_what_a_write_would_refuse: body_of_validate_tells_what_a_write_would_refuse,
    binaries_and_documents_are_kept_as_they_came: body_of_binaries_and_documents_are_kept_as_they_came,
}

pub struct Client<'a>(pub &'a Server, pub Actor);

impl Client<'_> {
    pub async fn send(&self, request: TestRequest) -> Reply {
        self.0.send_as(Some(self.1.clone()), None, request).await
    }

    pub async fn ask(&self, method: Method, path: &str, body: impl Into<Vec<u8>>) -> Reply {
        let request = TestRequest::default()
            .method(method)
            .uri(&format!("/fhir{path}"))
            .insert_header(("Content-Type", "application/fhir+json"))
            .set_payload(body.into());
        self.send(request).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(TestRequest::get().uri(&format!("/fhir{path}"))).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask(Method::POST, path, body.to_string()).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.ask(Method::PUT, path, body.to_string()).await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.ask(Method::DELETE, path, "").await
    }

    /// Ids and types of the entries of a search.
    async fn found(&self, path: &str) -> Vec<String> {
        let reply = self.get(path).await;
        let text = String::from_utf8_lossy(&reply.bytes).into_owned();
        assert_eq!(reply.status, StatusCode::OK, "{path}: {text}");
        let bundle: Value = serde_json::from_str(&text).unwrap();
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        let name = |entry: &Value| {
            let resource = &entry["resource"];
            format!(
                "{}/{}",
                resource["resourceType"].as_str().unwrap(),
                resource["id"].as_str().unwrap_or("-")
            )
        };
        entries.iter().map(name).collect()
    }
}

/// Id and first identifier of the archive's first patients.
async fn patients(server: &Server) -> Vec<(String, String, String)> {
    let all = server.all("/fhir/Patient?_count=1000").await;
    all.iter()
        .filter_map(|patient| {
            let identifier = &patient["identifier"][0];
            Some((
                patient["id"].as_str()?.to_owned(),
                identifier["system"].as_str()?.to_owned(),
                identifier["value"].as_str()?.to_owned(),
            ))
        })
        .collect()
}

pub fn condition(subject: Value) -> Value {
    json!({
        "resourceType": "Condition",
        "clinicalStatus": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active",
        }] },
        "verificationStatus": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
            "code": "confirmed",
        }] },
        "code": { "coding": [{
            "system": "http://snomed.info/sct", "code": "254837009",
            "display": "Malignant neoplasm of breast",
        }], "text": "Cancer of the left breast" },
        "subject": subject,
        "recordedDate": "2026-02-03",
    })
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.bytes).into_owned()
}

fn read(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.bytes).unwrap_or_default()
}

fn id_of(reply: &Reply) -> String {
    read(reply)["id"].as_str().unwrap_or_else(|| panic!("{}", text(reply))).to_owned()
}

async fn body_of_a_resource_lives_in_versions_and_its_bytes_stay_as_they_came(server: Server) {
    let (patient, ..) = patients(&server).await.remove(0);
    let care = Client(&server, writer(Role::Ehr));
    let came = format!(
        r#"{{ "resourceType" : "Observation","status":"final", "code":{{"text":"size \u00e9"}},
  "subject":{{"reference":"Patient/{patient}"}},"valueQuantity":{{"value":1.50,"unit":"mm"}} }}"#
    );
    let made = care.ask(Method::POST, "/Observation", came.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", text(&made));
    let id = id_of(&made);
    assert_eq!(made.header("etag"), "W/\"1\"");
    assert_eq!(
        made.header("location"),
        format!("https://imaging.example/fhir/Observation/{id}/_history/1")
    );
    assert!(made.header("last-modified").ends_with("GMT"));
    let kept = text(&care.get(&format!("/Observation/{id}")).await);
    assert_eq!(kept, text(&made));
    assert!(kept.contains(r#""value":1.50"#) && kept.contains(r"size \u00e9"), "{kept}");
    assert!(kept.starts_with(r#"{ "resourceType" : "Observation","id":""#), "{kept}");
    let body = json!({
        "resourceType": "Observation", "id": id, "status": "amended", "code": { "text": "size" },
        "subject": { "reference": format!("Patient/{patient}") },
    });
    let put = |tag: &'static str| {
        TestRequest::put()
            .uri(&format!("/fhir/Observation/{id}"))
            .insert_header(("Content-Type", "application/fhir+json"))
            .insert_header(("If-Match", tag))
            .set_payload(body.to_string())
    };
    assert_eq!(care.send(put("W/\"2\"")).await.status, StatusCode::PRECONDITION_FAILED);
    let second = care.send(put("W/\"1\"")).await;
    assert_eq!((second.status, second.header("etag")), (StatusCode::OK, "W/\"2\""));
    assert_eq!(care.send(put("W/\"1\"")).await.status, StatusCode::PRECONDITION_FAILED);
    let first = care.get(&format!("/Observation/{id}/_history/1")).await;
    assert_eq!((text(&first), first.header("etag")), (kept, "W/\"1\""));
    assert_eq!(care.delete(&format!("/Observation/{id}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(care.delete(&format!("/Observation/{id}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(care.get(&format!("/Observation/{id}")).await.status, StatusCode::GONE);
    assert_eq!(care.get(&format!("/Observation/{id}/_history/3")).await.status, StatusCode::GONE);
    assert_eq!(
        care.get(&format!("/Observation/{id}/_history/4")).await.status,
        StatusCode::NOT_FOUND
    );
    let search = format!("/Observation?patient={patient}");
    assert!(care.found(&search).await.is_empty());
    let again = care.put(&format!("/Observation/{id}"), &body).await;
    assert_eq!((again.status, again.header("etag")), (StatusCode::CREATED, "W/\"4\""));
    assert_eq!(care.found(&search).await, [format!("Observation/{id}")]);
    let history = read(&care.get(&format!("/Observation/{id}/_history")).await);
    let of = |name: &str| -> Vec<String> {
        let entries = history["entry"].as_array().unwrap().iter();
        entries.map(|entry| entry["request"][name].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(of("method"), ["PUT", "DELETE", "PUT", "POST"]);
    assert_eq!(history["total"], 4);
    assert!(history["entry"][1].get("resource").is_none());
    let imaging = Client(&server, writer(Role::ImagingIt));
    let page = read(&imaging.get("/Observation/_history?_count=3").await);
    assert_eq!(page["entry"].as_array().unwrap().len(), 3);
    let next = link(&page, "next").unwrap();
    let rest = read(&imaging.get(next.strip_prefix("/fhir").unwrap()).await);
    assert_eq!(rest["entry"][0]["request"]["method"], "POST");
    assert!(link(&rest, "next").is_none());
    assert_eq!(read(&imaging.get("/_history").await)["total"], 4);
    assert_eq!(care.get("/_history").await.status, StatusCode::FORBIDDEN);
}

async fn body_of_what_may_not_be_written_is_refused_with_the_reason(server: Server) {
    let (patient, ..) = patients(&server).await.remove(0);
    let subject = json!({ "reference": format!("Patient/{patient}") });
    let good = condition(subject.clone());
    let care = Client(&server, writer(Role::Ehr));
    let study = server.all("/fhir/ImagingStudy?_count=1").await.remove(0);
    let study_path = format!("/ImagingStudy/{}", study["id"].as_str().unwrap());
    let mut unknown = good.clone();
    unknown["subject"] = json!({ "reference": "Patient/nobody" });
    let mut invalid = good.clone();
    invalid["subject"] = Value::Null;
    let mut wrong_code = good.clone();
    wrong_code["clinicalStatus"]["coding"][0]["code"] = "lively".into();
    let deep = format!("{}1{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    let large = format!("{{\"resourceType\":\"Condition\",\"x\":\"{}\"}}", "x".repeat(17 << 20));
    let mut foreign = good.clone();
    foreign["id"] = "0123456789abcdef0123456789abcdef".into();
    for (method, path, body, status, says) in [
        (Method::PUT, study_path.as_str(), study.to_string(), 405, "derived"),
        (Method::DELETE, &study_path, String::new(), 405, "derived"),
        (Method::POST, "/Patient", "{}".to_owned(), 405, "derived"),
        (Method::POST, "/Condition", "{".to_owned(), 400, "no resource"),
        (Method::POST, "/Condition", deep, 400, "deeper than 64"),
        (
            Method::POST,
            "/Condition",
            r#"{"resourceType":"Condition","a":1,"a":1}"#.into(),
            400,
            "twice",
        ),
        (Method::POST, "/Condition", r#"{"resourceType":"Basic"}"#.into(), 400, "takes Condition"),
        (Method::POST, "/Condition", large, 413, "at most"),
        (Method::POST, "/Condition", invalid.to_string(), 422, "subject"),
        (Method::POST, "/Condition", wrong_code.to_string(), 422, "Condition.clinicalStatus"),
        (Method::POST, "/Condition", unknown.to_string(), 422, "no patient of this archive"),
        (Method::PUT, "/Condition/a", good.to_string(), 400, "the body none"),
        (
            Method::PUT,
            "/Condition/0123456789abcdef0123456789abcdef",
            foreign.to_string(),
            422,
            "32",
        ),
        (Method::POST, "/Condition/a", good.to_string(), 405, "GET, HEAD, PUT, PATCH, DELETE"),
        (Method::PATCH, "/Condition/a", good.to_string(), 400, "json-patch+json"),
        (Method::DELETE, "/Condition/unknown", String::new(), 404, "not known"),
        (Method::DELETE, "/Condition", String::new(), 412, "needs a search parameter"),
        (Method::PUT, "/Condition?shoe-size=1", good.to_string(), 400, "shoe-size"),
        (Method::POST, "/Elephant", good.to_string(), 404, "not served"),
        (Method::GET, "/Condition/a/_history", String::new(), 404, "not known"),
        (Method::GET, &format!("{study_path}/_history"), String::new(), 404, "no versions"),
        (Method::POST, "", good.to_string(), 400, "of type `batch` or `transaction`"),
        (Method::GET, "", String::new(), 400, "_type"),
    ] {
        let reply = care.ask(method.clone(), path, body).await;
        let shown = text(&reply);
        assert_eq!(reply.status.as_u16(), status, "{method} {path}: {shown}");
        assert!(shown.contains(says), "{method} {path}: {shown}");
        assert_eq!(read(&reply)["resourceType"], "OperationOutcome", "{method} {path}");
    }
    let media = |media: &'static str| {
        TestRequest::post()
            .uri("/fhir/Condition")
            .insert_header(("Content-Type", media))
            .set_payload(good.to_string())
    };
    for (given, status) in [
        ("text/plain", 415),
        ("application/fhir+xml", 400),
        ("application/fhir+json; fhirVersion=5.0", 415),
        ("application/fhir+json; fhirVersion=4.0", 201),
        ("application/json;charset=UTF-8", 201),
    ] {
        assert_eq!(care.send(media(given)).await.status.as_u16(), status, "{given}");
    }
    for (role, scopes) in [
        (Role::Ehr, ""),
        (Role::Ehr, "system/*.rs"),
        (Role::ImagingIt, "system/Observation.cud"),
        (Role::Researcher, "system/*.cruds"),
    ] {
        let other = Client(&server, Actor::new("other", role).with_scopes(scopes));
        let reply = other.post("/Condition", &good).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{role} {scopes}");
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
            { "request": { "method": "POST", "url": "Condition" }, "resource": good },
        ] });
        assert_eq!(other.post("", &bundle).await.status, StatusCode::FORBIDDEN, "{role} {scopes}");
    }
    assert_eq!(care.found(&format!("/Condition?patient={patient}")).await.len(), 2);
}

async fn body_of_conditions_decide_what_a_write_becomes(server: Server) {
    let care = Client(&server, writer(Role::ImagingIt));
    let numbered = |value: &str| {
        json!({
            "resourceType": "Organization", "name": "Clinic",
            "identifier": [{ "system": "http://a.example/org", "value": value }],
        })
    };
    let unless = |body: &Value, query: &str| {
        TestRequest::post()
            .uri("/fhir/Organization")
            .insert_header(("Content-Type", "application/fhir+json"))
            .insert_header(("If-None-Exist", query))
            .set_payload(body.to_string())
    };
    let query = "identifier=http://a.example/org|1";
    let first = care.send(unless(&numbered("1"), query)).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", text(&first));
    let second = care.send(unless(&numbered("1"), query)).await;
    assert_eq!((second.status, id_of(&second)), (StatusCode::OK, id_of(&first)));
    assert_eq!(second.header("etag"), "W/\"1\"");
    let path = "/Organization?identifier=http://a.example/org%7C1";
    let changed = care.put(path, &numbered("1")).await;
    assert_eq!((changed.status, id_of(&changed)), (StatusCode::OK, id_of(&first)));
    let other = care.put("/Organization?identifier=http://a.example/org%7C2", &numbered("2")).await;
    assert_eq!(other.status, StatusCode::CREATED);
    let both = "/Organization?identifier=http://a.example/org%7C";
    assert_eq!(care.put(both, &numbered("3")).await.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(care.delete(both).await.status, StatusCode::PRECONDITION_FAILED);
    let mut named = numbered("1");
    named["id"] = "other".into();
    assert_eq!(care.put(path, &named).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(care.delete(path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(care.delete(path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(
        care.get(&format!("/Organization/{}", id_of(&first))).await.status,
        StatusCode::GONE
    );
    let only_new = |id: &str| {
        let mut body = numbered("9");
        body["id"] = id.into();
        TestRequest::put()
            .uri(&format!("/fhir/Organization/{id}"))
            .insert_header(("Content-Type", "application/fhir+json"))
            .insert_header(("If-None-Match", "*"))
            .insert_header(("Prefer", "return=minimal"))
            .set_payload(body.to_string())
    };
    let made = care.send(only_new("clinic-9")).await;
    assert_eq!((made.status, made.bytes.len()), (StatusCode::CREATED, 0));
    assert_eq!(care.send(only_new("clinic-9")).await.status, StatusCode::PRECONDITION_FAILED);
    // The data holder's own resource is the configuration's.
    let own = server.all("/fhir/Organization?_id:not=clinic-9").await;
    let holder = own.iter().find(|one| one["meta"]["versionId"] != "1" || one["name"] != "Clinic");
    let holder = holder.unwrap()["id"].as_str().unwrap().to_owned();
    let mut taken = numbered("1");
    taken["id"] = holder.clone().into();
    let refused = care.put(&format!("/Organization/{holder}"), &taken).await;
    assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED, "{}", text(&refused));
}

async fn body_of_of_two_updates_of_one_version_one_is_refused(server: Server) {
    let care = Client(&server, writer(Role::ImagingIt));
    let body = json!({ "resourceType": "Organization", "id": "one", "name": "Clinic" });
    assert_eq!(care.put("/Organization/one", &body).await.status, StatusCode::CREATED);
    for version in 1..=5 {
        let update = |_: usize| async {
            let request = TestRequest::put()
                .uri("/fhir/Organization/one")
                .insert_header(("Content-Type", "application/fhir+json"))
                .insert_header(("If-Match", format!("W/\"{version}\"")))
                .set_payload(body.to_string());
            care.send(request).await.status.as_u16()
        };
        let mut seen = join_all((0..6).map(update)).await;
        seen.sort_unstable();
        assert_eq!(seen, [200, 412, 412, 412, 412, 412]);
    }
    let create = |_: usize| async {
        let request = TestRequest::post()
            .uri("/fhir/Organization")
            .insert_header(("Content-Type", "application/fhir+json"))
            .insert_header(("If-None-Exist", "name:exact=Only one"))
            .set_payload(json!({ "resourceType": "Organization", "name": "Only one" }).to_string());
        care.send(request).await.status.as_u16()
    };
    let mut seen = join_all((0..6).map(create)).await;
    seen.sort_unstable();
    assert_eq!(seen, [200, 200, 200, 200, 200, 201]);
}

async fn body_of_a_transaction_is_one_step_with_its_references_rewritten(server: Server) {
    let (patient, system, value) = patients(&server).await.remove(0);
    let care = Client(&server, writer(Role::Ehr));
    let mut of = condition(json!({ "reference": format!("Patient?identifier={system}|{value}") }));
    of["evidence"] =
        json!([{ "detail": [{ "reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0" }] }]);
    of["asserter"] = json!({ "reference": "Practitioner/x" });
    let size = json!({
        "resourceType": "Observation", "status": "final", "code": { "text": "size" },
        "subject": { "reference": format!("Patient/{patient}") },
        "valueQuantity": { "value": 12.0 },
    });
    let doctor = json!({
        "resourceType": "Practitioner",
        "identifier": [{ "system": "http://a.example/staff", "value": "7" }],
    });
    let mut bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
        { "request": { "method": "GET", "url": format!("Condition?patient={patient}") } },
        { "fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e1", "resource": of,
          "request": { "method": "POST", "url": "Condition" } },
        { "fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "resource": size,
          "request": { "method": "POST", "url": "Observation" } },
        { "fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e2", "resource": doctor,
          "request": { "method": "POST", "url": "Practitioner",
                       "ifNoneExist": "identifier=http://a.example/staff|7" } },
    ] });
    bundle["entry"][1]["resource"]["asserter"]["reference"] =
        "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e2".into();
    let reply = care.post("", &bundle).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", text(&reply));
    let answer = read(&reply);
    assert_eq!(answer["type"], "transaction-response");
    let statuses: Vec<_> =
        (0..4).map(|at| answer["entry"][at]["response"]["status"].clone()).collect();
    assert_eq!(statuses, ["200 OK", "201 Created", "201 Created", "201 Created"]);
    // The search sees what the transaction wrote.
    let seen = &answer["entry"][0]["resource"];
    assert_eq!(seen["total"], 1);
    let kept = &seen["entry"][0]["resource"];
    assert_eq!(kept["subject"]["reference"], format!("Patient/{patient}"));
    let place = |at: usize| {
        let location = answer["entry"][at]["response"]["location"].as_str().unwrap();
        let path = location.strip_prefix("https://imaging.example/fhir/").unwrap();
        path.split("/_history").next().unwrap().to_owned()
    };
    assert_eq!(kept["evidence"][0]["detail"][0]["reference"], place(2));
    assert_eq!(kept["asserter"]["reference"], place(3));
    // 12.0 is still written so.
    assert!(text(&care.get(&format!("/{}", place(2))).await).contains("12.0"));
    let again = read(&care.post("", &bundle).await);
    assert_eq!(again["entry"][3]["response"]["status"], "200 OK");
    let practitioner = care.found("/Practitioner?identifier=7").await;
    assert_eq!(practitioner, [place(3)]);
    let linked = care
        .found(&format!(
            "/Condition?patient={patient}&_include=Condition:asserter&_include=Condition:patient"
        ))
        .await;
    assert_eq!(linked.len(), 4, "{linked:?}");
    assert!(linked.contains(&place(3)) && linked.contains(&format!("Patient/{patient}")));
    let chained = care.found(&format!("/Condition?patient={patient}&asserter.identifier=7")).await;
    assert_eq!(chained.len(), 2);
    let back = care.found("/Practitioner?_id=none&_revinclude=Condition:asserter").await;
    assert!(back.is_empty());
    let id = place(3);
    let id = id.strip_prefix("Practitioner/").unwrap();
    let back = care.found(&format!("/Practitioner?_id={id}&_revinclude=Condition:asserter")).await;
    assert_eq!(back.len(), 3, "{back:?}");
}

async fn body_of_a_transaction_that_fails_changes_nothing(server: Server) {
    let (patient, ..) = patients(&server).await.remove(0);
    let imaging = Client(&server, writer(Role::ImagingIt));
    let kept = json!({ "resourceType": "Organization", "id": "kept", "name": "Clinic" });
    assert_eq!(imaging.put("/Organization/kept", &kept).await.status, StatusCode::CREATED);
    let good = condition(json!({ "reference": format!("Patient/{patient}") }));
    let post = |resource: &Value| {
        json!({
            "resource": resource,
            "request": { "method": "POST", "url": resource["resourceType"] },
        })
    };
    let mut nobody = good.clone();
    nobody["subject"] = json!({ "reference": "Patient/nobody" });
    let mut dangling = good.clone();
    dangling["subject"] = json!({ "reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6ee" });
    let mut invalid = good.clone();
    invalid["clinicalStatus"] = "x".into();
    let several = json!({
        "resource": good,
        "request": { "method": "PUT", "url": "Condition?code=254837009" },
    });
    let delete = json!({ "request": { "method": "DELETE", "url": "Organization/kept" } });
    let stale = json!({ "resource": kept, "request": {
        "method": "PUT", "url": "Organization/kept", "ifMatch": "W/\"7\"",
    } });
    imaging.post("/Condition", &good).await;
    imaging.post("/Condition", &good).await;
    let before = text(&imaging.get("/_history?_count=1000").await);
    for (name, last, status) in [
        ("nobody", post(&nobody), 422),
        ("dangling", post(&dangling), 422),
        ("invalid", post(&invalid), 422),
        ("several", several, 412),
        ("stale", stale, 412),
        ("twice", delete.clone(), 400),
        ("unknown type", json!({ "request": { "method": "DELETE", "url": "Elephant/1" } }), 404),
        ("derived", json!({ "request": { "method": "DELETE", "url": "ImagingStudy/1" } }), 405),
        ("no url", json!({ "request": { "method": "POST" } }), 400),
        ("patch", json!({ "request": { "method": "PATCH", "url": "Organization/kept" } }), 400),
        ("bad search", json!({ "request": { "method": "DELETE", "url": "Condition?x=1" } }), 400),
    ] {
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [
            post(&good), delete, post(&good), last,
        ] });
        let reply = imaging.post("", &bundle).await;
        assert_eq!(reply.status.as_u16(), status, "{name}: {}", text(&reply));
        let place = read(&reply)["issue"][0]["expression"][0].as_str().unwrap_or("").to_owned();
        assert!(place.starts_with("Bundle.entry[3]"), "{name}: {}", text(&reply));
        assert_eq!(text(&imaging.get("/_history?_count=1000").await), before, "{name}");
    }
    // In a batch, each entry is its own.
    let bundle = json!({ "resourceType": "Bundle", "type": "batch", "entry": [
        post(&good), post(&nobody), post(&invalid),
        { "request": { "method": "GET", "url": "Organization/kept" } },
        { "request": { "method": "GET", "url": "Organization/none" } },
        { "request": { "method": "DELETE", "url": "Organization/kept" } },
    ] });
    let answer = read(&imaging.post("", &bundle).await);
    let statuses: Vec<String> = answer["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["response"]["status"].as_str().unwrap()[..3].to_owned())
        .collect();
    assert_eq!(statuses, ["201", "422", "422", "200", "404", "204"]);
    assert_eq!(answer["entry"][1]["response"]["outcome"]["resourceType"], "OperationOutcome");
}

async fn body_of_a_record_belongs_to_the_patient_whom_it_names_by_id_or_identifier(server: Server) {
    let all = patients(&server).await;
    let ((one, system, value), (other, ..)) = (all[0].clone(), all[1].clone());
    let care = Client(&server, writer(Role::Ehr));
    let logical = json!({ "identifier": { "system": system, "value": value } });
    for subject in [
        json!({ "reference": format!("Patient/{one}") }),
        json!({ "reference": format!("https://imaging.example/fhir/Patient/{one}") }),
        logical.clone(),
        json!({ "reference": format!("Patient/{other}") }),
        json!({ "identifier": { "system": "http://other.example", "value": value } }),
    ] {
        let reply = care.post("/Condition", &condition(subject)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", text(&reply));
    }
    for query in [
        format!("patient={one}"),
        format!("subject=Patient/{one}"),
        format!("patient:Patient={one}"),
        format!("patient:identifier={system}%7C{value}"),
        format!("patient.identifier={system}%7C{value}"),
        format!("patient={one}&code=254837009&clinical-status=active&recorded-date=ge2026"),
        format!("patient={one}&code:text=left%20breast"),
    ] {
        assert_eq!(care.found(&format!("/Condition?{query}")).await.len(), 3, "{query}");
    }
    for (query, status) in [
        ("code=254837009", 403),
        ("patient.family:missing=false", 403),
        (&format!("patient={one},{other}"), 403),
    ] {
        let reply = care.get(&format!("/Condition?{query}")).await;
        assert_eq!(reply.status.as_u16(), status, "{query}: {}", text(&reply));
    }
    let imaging = Client(&server, writer(Role::ImagingIt));
    assert_eq!(imaging.found("/Condition").await.len(), 5);
    // Secondary use of an archive that names persons reads nothing of it.
    let research = Client(&server, Actor::new("r", Role::Researcher));
    assert!(research.found("/Condition").await.is_empty());
    let id = imaging.found("/Condition").await.remove(0);
    assert_eq!(research.get(&format!("/{id}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(research.get(&format!("/{id}/_history")).await.status, StatusCode::FORBIDDEN);
}

#[actix_web::test]
async fn secondary_use_reads_records_of_open_datasets_of_a_de_identified_archive() {
    let server = Server::new(archive(30, 3), |config| {
        config.archive.identity = Identity::DeIdentified;
    });
    let all = patients(&server).await;
    let imaging = Client(&server, writer(Role::ImagingIt));
    for (patient, ..) in &all {
        let subject = json!({ "reference": format!("Patient/{patient}") });
        let reply = imaging.post("/Condition", &condition(subject)).await;
        assert_eq!(reply.status, StatusCode::CREATED);
    }
    let reply = imaging.post("/Practitioner", &json!({ "resourceType": "Practitioner" })).await;
    let person = reply.json()["id"].as_str().unwrap().to_owned();
    let research = Client(&server, Actor::new("r", Role::Researcher));
    assert!(research.found("/Condition").await.is_empty());
    server.open(vec![Criteria::default()]);
    assert_eq!(research.found("/Condition?_count=1000").await.len(), all.len());
    // Whom the open studies themselves name is theirs to tell; who was written is not.
    assert!(!research.found("/Practitioner").await.iter().any(|found| found.contains(&person)));
    let id = imaging.found("/Condition").await.remove(0);
    assert_eq!(research.get(&format!("/{id}")).await.status, StatusCode::OK);
}

async fn body_of_everything_of_a_patient_comes_in_pages_from_every_provider(server: Server) {
    let care = Client(&server, writer(Role::Ehr));
    let study = server.all("/fhir/ImagingStudy?_count=1").await.remove(0);
    let patient = study["subject"]["reference"].as_str().unwrap().to_owned();
    let other = patients(&server).await;
    let other = other.iter().find(|(id, ..)| !patient.ends_with(id.as_str())).unwrap();
    for day in 1..=7 {
        let mut of = condition(json!({ "reference": patient }));
        of["recordedDate"] = format!("2026-02-0{day}").into();
        assert_eq!(care.post("/Condition", &of).await.status, StatusCode::CREATED);
        let elsewhere = condition(json!({ "reference": format!("Patient/{}", other.0) }));
        care.post("/Condition", &elsewhere).await;
    }
    let mut seen = Vec::new();
    let mut next = Some(format!("/fhir/{patient}/$everything?_count=3"));
    let mut pages = 0;
    while let Some(path) = next {
        let reply = care.get(path.strip_prefix("/fhir").unwrap()).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", text(&reply));
        let bundle = read(&reply);
        assert!(bundle["entry"].as_array().is_none_or(|entries| entries.len() <= 3));
        for entry in bundle["entry"].as_array().into_iter().flatten() {
            seen.push(entry["fullUrl"].as_str().unwrap().to_owned());
        }
        next = link(&bundle, "next");
        pages += 1;
    }
    assert!(pages > 3, "{pages}");
    let count = |kind: &str| seen.iter().filter(|url| url.contains(&format!("/{kind}/"))).count();
    assert_eq!((count("Patient"), count("Condition")), (1, 7));
    assert!(count("ImagingStudy") >= 1);
    let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!(distinct.len(), seen.len());
    let only =
        care.found(&format!("/{patient}/$everything?_type=Condition&start=2026-02-05")).await;
    assert_eq!(only.len(), 3, "{only:?}");
    assert_eq!(
        care.found(&format!("/{patient}/$everything?_type=Condition&_since=2999-01-01T00:00:00Z"))
            .await
            .len(),
        0
    );
    for (query, status) in [("_type=Elephant", 400), ("_count=0", 400), ("start=soon", 400)] {
        let reply = care.get(&format!("/{patient}/$everything?{query}")).await;
        assert_eq!(reply.status.as_u16(), status, "{query}");
    }
    assert_eq!(care.get("/Patient/nobody/$everything").await.status, StatusCode::NOT_FOUND);
}

async fn body_of_validate_tells_what_a_write_would_refuse(server: Server) {
    let (patient, ..) = patients(&server).await.remove(0);
    let care = Client(&server, writer(Role::Ehr));
    let good = condition(json!({ "reference": format!("Patient/{patient}") }));
    let mut bad = good.clone();
    bad["clinicalStatus"]["coding"][0]["code"] = "lively".into();
    let errors = |reply: &Reply| {
        assert_eq!(reply.status, StatusCode::OK, "{}", text(reply));
        let outcome = read(reply);
        assert_eq!(outcome["resourceType"], "OperationOutcome");
        let issues = outcome["issue"].as_array().unwrap().clone();
        issues.iter().filter(|issue| issue["severity"] == "error").count()
    };
    assert_eq!(errors(&care.post("/Condition/$validate", &good).await), 0);
    assert!(errors(&care.post("/Condition/$validate", &bad).await) > 0);
    let parameters = |resource: &Value| {
        json!({ "resourceType": "Parameters", "parameter": [
            { "name": "resource", "resource": resource },
            { "name": "mode", "valueCode": "create" },
        ] })
    };
    assert_eq!(errors(&care.post("/Condition/$validate", &parameters(&good)).await), 0);
    assert!(errors(&care.post("/Condition/$validate", &parameters(&bad)).await) > 0);
    assert!(errors(&care.post("/Observation/$validate", &good).await) > 0);
    // What is no fault of the resource, but of what it names here, is told to who may write.
    let stranger = condition(json!({ "reference": "Patient/nobody" }));
    assert_eq!(errors(&care.post("/Condition/$validate", &stranger).await), 0);
    let told = care.post("/Condition/$validate", &parameters(&stranger)).await;
    assert_eq!(errors(&told), 1);
    assert!(text(&told).contains("no patient of this archive"));
    let reader = Client(&server, Actor::new("reader", Role::Ehr));
    assert_eq!(errors(&reader.post("/Condition/$validate", &parameters(&stranger)).await), 0);
    let id = id_of(&care.post("/Condition", &good).await);
    assert_eq!(errors(&care.get(&format!("/Condition/{id}/$validate")).await), 0);
    let deletes = care.get(&format!("/Condition/{id}/$validate?mode=delete")).await;
    assert_eq!(errors(&deletes), 0);
    let refused = care.post("/Condition/$validate?profile=http://nowhere", &good).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        care.post("/Condition/$validate?mode=x", &good).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(care.post("/Condition/$validate", &json!({})).await.status, StatusCode::OK);
}

async fn body_of_binaries_and_documents_are_kept_as_they_came(server: Server) {
    let care = Client(&server, writer(Role::ImagingIt));
    let pdf = TestRequest::post()
        .uri("/fhir/Binary")
        .insert_header(("Content-Type", "application/pdf"))
        .set_payload(b"%PDF-1.7 \x00\xff".to_vec());
    let made = care.send(pdf).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", text(&made));
    assert_eq!(read(&made)["contentType"], "application/pdf");
    let xml = TestRequest::put()
        .uri("/fhir/Organization/xml")
        .insert_header(("Content-Type", "application/fhir+xml"))
        .insert_header(("Accept", "application/fhir+xml"))
        .set_payload(
            "<Organization xmlns=\"http://hl7.org/fhir\"><id value=\"xml\"/>\
             <name value=\"Clinic\"/></Organization>",
        );
    let made = care.send(xml).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", text(&made));
    assert!(text(&made).contains("<name value=\"Clinic\"/>"), "{}", text(&made));
    assert_eq!(read(&care.get("/Organization/xml").await)["name"], "Clinic");
    let document = json!({
        "resourceType": "Bundle",
        "type": "document",
        "identifier": { "system": "urn:ietf:rfc:3986", "value": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0" },
        "timestamp": "2026-02-03T10:00:00Z",
        "entry": [
            { "fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e1", "resource": {
                "resourceType": "Composition", "status": "final", "type": { "text": "report" },
                "subject": { "reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e2" },
                "date": "2026-02-03", "title": "Report",
                "author": [{ "display": "Dr. Example" }],
            } },
            { "fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e2",
              "resource": { "resourceType": "Patient" } },
        ],
    });
    let made = care.post("/Bundle", &document).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", text(&made));
    let id = id_of(&made);
    let kept = read(&care.get(&format!("/Bundle/{id}")).await);
    assert_eq!(kept["entry"], document["entry"]);
    let found = care.found("/Bundle?type=document&timestamp=2026-02-03").await;
    assert_eq!(found, [format!("Bundle/{id}")]);
}

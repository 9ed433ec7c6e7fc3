//! The tables as terminology: what a translation says is what a rendered resource says.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use vesalius::actor::Role;

use super::server::{Server, archive};

const SCT: &str = "http://snomed.info/sct";
const OWN: &str = "https://imaging.example/fhir/CodeSystem";

fn server() -> Server {
    Server::new(archive(3, 7), |_| ())
}

impl Server {
    /// Result, matches (equivalence and code), and message.
    async fn translate(&self, query: &str) -> (bool, Vec<(String, String)>, String) {
        let reply = self.get(Role::Ehr, &format!("/fhir/ConceptMap/{query}")).await;
        assert_eq!(reply.status, StatusCode::OK, "{query}");
        read(&reply.json())
    }
}

fn read(parameters: &Value) -> (bool, Vec<(String, String)>, String) {
    let (mut result, mut matches, mut message) = (None, Vec::new(), String::new());
    for part in parameters["parameter"].as_array().unwrap() {
        match part["name"].as_str().unwrap() {
            "result" => result = part["valueBoolean"].as_bool(),
            "message" => message = part["valueString"].as_str().unwrap().to_owned(),
            _ => {
                let of = |name: &str| {
                    let parts = part["part"].as_array().unwrap();
                    parts.iter().find(|part| part["name"] == name).unwrap().clone()
                };
                assert!(of("source")["valueUri"].as_str().unwrap().contains("/fhir/ConceptMap/"));
                matches.push((
                    of("equivalence")["valueCode"].as_str().unwrap().to_owned(),
                    of("concept")["valueCoding"]["code"].as_str().unwrap().to_owned(),
                ));
            }
        }
    }
    (result.unwrap(), matches, message)
}

fn pair(how: &str, code: &str) -> (String, String) {
    (how.to_owned(), code.to_owned())
}

#[actix_web::test]
async fn a_code_is_translated_both_ways_and_by_one_map_or_all() {
    let server = server();
    let (result, matches, _) =
        server.translate(&format!("$translate?system={OWN}/body-part-examined&code=BREAST")).await;
    assert!(result);
    assert_eq!(matches, [pair("equivalent", "76752008")]);
    let by_id = "body-part-examined-to-snomed-ct/$translate?code=BREAST";
    assert_eq!(server.translate(by_id).await.1, matches);
    let by_url = "$translate?code=BREAST&url=https://imaging.example/fhir/ConceptMap/\
                  body-part-examined-to-snomed-ct";
    assert_eq!(server.translate(by_url).await.1, matches);
    // A body part to its region is wider, and back from there narrower.
    let query = format!("body-part-to-region/$translate?system={SCT}&code=23451007");
    assert_eq!(server.translate(&query).await.1, [pair("wider", "63337009")]);
    let query = format!("body-part-to-region/$translate?system={SCT}&code=63337009&reverse=true");
    let (_, matches, _) = server.translate(&query).await;
    assert!(matches.len() > 10, "several matches");
    assert!(matches.contains(&pair("narrower", "23451007")));
    // Only to the system that is wanted.
    let query = format!("$translate?code=R&targetsystem={SCT}");
    assert_eq!(server.translate(&query).await.1, [pair("equivalent", "24028007")]);
    let query = "$translate?code=F&targetsystem=http://hl7.org/fhir/administrative-gender";
    assert_eq!(server.translate(query).await.1, [pair("equivalent", "female")]);
    let query = "$translate?code=T-D4000&system=http://snomed.info/srt";
    assert_eq!(server.translate(query).await.1, [pair("equivalent", "818981001")]);
}

#[actix_web::test]
async fn what_has_no_counterpart_is_told_apart_from_what_is_not_known() {
    let server = server();
    let (result, matches, known) =
        server.translate("laterality-to-snomed-ct/$translate?code=U").await;
    assert!(!result && matches.is_empty());
    let (result, matches, unknown) = server.translate("$translate?code=ELEPHANT").await;
    assert!(!result && matches.is_empty());
    assert_ne!(known, unknown);
    for (path, status) in [
        ("/fhir/ConceptMap/$translate", StatusCode::BAD_REQUEST),
        ("/fhir/ConceptMap/$translate?code=M&url=http://nowhere.example/x", StatusCode::NOT_FOUND),
        ("/fhir/ConceptMap/nothing/$translate?code=M", StatusCode::NOT_FOUND),
        ("/fhir/ConceptMap/$translate?code=M&reverse=perhaps", StatusCode::BAD_REQUEST),
        ("/fhir/ConceptMap/$translate?code=M&code=F", StatusCode::BAD_REQUEST),
        ("/fhir/CodeSystem/$lookup?code=M", StatusCode::BAD_REQUEST),
        ("/fhir/CodeSystem/$lookup?code=M&system=http://nowhere.example", StatusCode::NOT_FOUND),
        ("/fhir/CodeSystem/$lookup?code=1&system=http://snomed.info/sct", StatusCode::NOT_FOUND),
    ] {
        let reply = server.get(Role::Researcher, path).await;
        assert_eq!(reply.status, status, "{path}");
        assert_eq!(reply.json()["resourceType"], "OperationOutcome");
    }
}

#[actix_web::test]
async fn a_body_of_parameters_asks_the_same() {
    let server = server();
    let post = |path: &str, body: Value| {
        TestRequest::post()
            .uri(path)
            .insert_header(("Content-Type", "application/fhir+json"))
            .set_payload(body.to_string())
    };
    let body = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "codeableConcept", "valueCodeableConcept": { "coding": [
            { "system": "http://nowhere.example", "code": "M" },
            { "system": format!("{OWN}/patient-sex"), "code": "M" },
        ]}},
    ]});
    let reply = server.send(Some(Role::ImagingIt), post("/fhir/ConceptMap/$translate", body)).await;
    assert_eq!(read(&reply.json()).1, [pair("equivalent", "male")]);
    let body = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "coding", "valueCoding": {
            "system": "http://dicom.nema.org/resources/ontology/DCM", "code": "MG" } },
    ]});
    let reply = server.send(Some(Role::ImagingIt), post("/fhir/CodeSystem/$lookup", body)).await;
    let parameters = reply.json();
    assert_eq!(parameters["parameter"][1]["name"], "display");
    assert_eq!(parameters["parameter"][1]["valueString"], "Mammography");
    for wrong in
        ["x", "{}", "{\"resourceType\":\"Parameters\",\"parameter\":[{\"name\":\"code\"}]}"]
    {
        let request = TestRequest::post()
            .uri("/fhir/ConceptMap/$translate")
            .insert_header(("Content-Type", "application/fhir+json"))
            .set_payload(wrong);
        let reply = server.send(Some(Role::ImagingIt), request).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[actix_web::test]
async fn maps_and_code_systems_are_read_and_found() {
    let server = server();
    let all = server.all("/fhir/ConceptMap?_count=2").await;
    // Those of the tables and those of the guide.
    assert_eq!(all.len(), 7 + 3);
    for map in &all {
        let url = map["url"].as_str().unwrap();
        let found = server.all(&format!("/fhir/ConceptMap?url={url}")).await;
        assert_eq!(found.len(), 1, "{url}");
        let id = map["id"].as_str().unwrap();
        let reply = server.get(Role::Ehr, &format!("/fhir/ConceptMap/{id}")).await;
        assert_eq!(reply.json(), *map);
    }
    assert_eq!(server.all("/fhir/ConceptMap?source-code=BREAST").await.len(), 1);
    let systems = server.all("/fhir/CodeSystem").await;
    assert_eq!(systems.len(), 5 + 17);
    for system in &systems {
        assert_eq!(system["count"], system["concept"].as_array().unwrap().len());
    }
}

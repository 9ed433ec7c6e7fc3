//! The implementation guide, as the server serves it.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::Value;
use vesalius::actor::{Actor, Role};

use super::server::{Server, archive};

const GUIDE: &str = "https://vesalius.example/fhir";
const TYPES: [&str; 8] = [
    "StructureDefinition",
    "ImplementationGuide",
    "ValueSet",
    "CodeSystem",
    "ConceptMap",
    "CapabilityStatement",
    "OperationDefinition",
    "SearchParameter",
];
const ROLES: [Role; 6] =
    [Role::Ehr, Role::ImagingIt, Role::Researcher, Role::Steward, Role::Admin, Role::Public];

fn server() -> Server {
    Server::new(archive(3, 7), |_| ())
}

/// What `ig/compiled/` holds.
fn compiled(kind: &str) -> Vec<Value> {
    let path = format!("{}/ig/compiled/{kind}.ndjson", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn bare(mut resource: Value) -> Value {
    resource.as_object_mut().unwrap().remove("meta");
    resource
}

#[actix_web::test]
async fn every_role_with_a_token_reads_the_guide_as_it_was_compiled() {
    let server = server();
    for kind in TYPES {
        for resource in compiled(kind) {
            let id = resource["id"].as_str().unwrap();
            let path = format!("/fhir/{kind}/{id}");
            let reply = server.get(Role::Steward, &path).await;
            assert_eq!(reply.status, StatusCode::OK, "{path}");
            assert_eq!(bare(reply.json()), bare(resource.clone()), "{path}");
            let url = resource["url"].as_str().unwrap();
            let found = server.get(Role::Researcher, &format!("/fhir/{kind}?url={url}")).await;
            assert_eq!(found.json()["total"], 1, "{url}");
        }
        for role in ROLES {
            let reply = server.get(role, &format!("/fhir/{kind}?_count=1")).await;
            assert_eq!(reply.status, StatusCode::OK, "{kind} {role}");
            assert!(reply.json()["total"].as_u64().unwrap() > 0, "{kind} {role}");
        }
        let stranger = server.send(None, TestRequest::get().uri(&format!("/fhir/{kind}"))).await;
        assert_eq!(stranger.status, StatusCode::UNAUTHORIZED, "{kind}");
        // Scopes narrow as everywhere.
        let narrow = Actor::new("a", Role::ImagingIt).with_scopes("system/ImagingStudy.rs");
        let request = TestRequest::get().uri(&format!("/fhir/{kind}"));
        let reply = server.send_as(Some(narrow), None, request).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{kind}");
    }
}

/// Operations and parameters of our own are named by definitions that are served.
#[actix_web::test]
async fn what_is_announced_and_ours_has_its_definition() {
    let server = server();
    let statement = server.get(Role::ImagingIt, "/fhir/metadata").await.json();
    let mut ours = std::collections::BTreeSet::new();
    let rest = &statement["rest"][0];
    let named = rest["resource"].as_array().unwrap().iter().chain([rest]);
    for one in named {
        for list in ["operation", "searchParam"] {
            for named in one[list].as_array().into_iter().flatten() {
                let definition = named["definition"].as_str().unwrap_or_default();
                if let Some(path) = definition.strip_prefix(&format!("{GUIDE}/")) {
                    let reply = server.get(Role::Ehr, &format!("/fhir/{path}")).await;
                    assert_eq!(reply.status, StatusCode::OK, "{path}");
                    assert_eq!(reply.json()["code"], named["name"], "{path}");
                    ours.insert(path.to_owned());
                }
            }
        }
    }
    let known: std::collections::BTreeSet<String> = ["OperationDefinition", "SearchParameter"]
        .into_iter()
        .flat_map(|kind| {
            compiled(kind)
                .into_iter()
                .map(move |one| format!("{kind}/{}", one["id"].as_str().unwrap()))
        })
        .collect();
    assert_eq!(ours, known);
    let system: Vec<&str> = rest["operation"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| of["name"].as_str().unwrap())
        .collect();
    assert_eq!(system, ["mado-convert", "export"]);
    let reports = rest["resource"]
        .as_array()
        .unwrap()
        .iter()
        .find(|of| of["type"] == "DiagnosticReport")
        .unwrap();
    let report = reports["operation"]
        .as_array()
        .unwrap()
        .iter()
        .find(|of| of["name"] == "fhir-report")
        .unwrap();
    // The guide that defines it, not R4, which has none.
    assert_eq!(
        report["definition"],
        "http://hl7.eu/fhir/imaging/OperationDefinition/DiagnosticReport-fhir-report"
    );
}

#[actix_web::test]
async fn the_guide_is_searched_by_what_it_says_of_itself() {
    let server = server();
    for (query, ids) in [
        ("StructureDefinition?_id=psa", &["psa"][..]),
        ("StructureDefinition?name=Psa", &["psa"]),
        ("StructureDefinition?name:exact=psa", &[]),
        ("StructureDefinition?title:contains=segmentation", &["segmentation-annotation"]),
        ("StructureDefinition?_id=psa&version=0.1.0&status=draft", &["psa"]),
        ("StructureDefinition?status=active", &[]),
        ("StructureDefinition?type=Encounter", &["screening-round"]),
        ("ValueSet?reference=https://vesalius.example/fhir/CodeSystem/pi-rads", &["pi-rads"]),
        ("CodeSystem?code=RID50323", &[]),
        ("CodeSystem?url=https://vesalius.example/fhir/CodeSystem/tnm", &["tnm"]),
        ("ConceptMap?target-system=http://radlex.org", &["pi-rads-to-radlex"]),
        ("CapabilityStatement?status=draft", &["cancer-content"]),
        ("OperationDefinition?code=mado-convert&system=true&kind=operation", &["mado-convert"]),
        ("OperationDefinition?instance=true", &[]),
        ("SearchParameter?base=DocumentReference&code=body-site", &["DocumentReference-body-site"]),
        ("SearchParameter?type=reference&target=ServiceRequest", &["ImagingStudy-based-on"]),
        ("ImplementationGuide?name=vesalius", &["vesalius.fhir.cancer"]),
    ] {
        let bundle = server.get(Role::Admin, &format!("/fhir/{query}")).await.json();
        let found: Vec<&str> = bundle["entry"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|entry| entry["resource"]["id"].as_str().unwrap())
            .collect();
        assert_eq!(found, ids, "{query}");
    }
    // All pages together are what there is.
    let all = server.all("/fhir/StructureDefinition?_count=7").await;
    assert_eq!(all.len(), compiled("StructureDefinition").len());
    // The tables' own and the guide's stand in one answer.
    let maps = server.all("/fhir/ConceptMap").await;
    let ids: Vec<&str> = maps.iter().map(|map| map["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"species-to-snomed-ct") && ids.contains(&"bi-rads-to-snomed"));
    let summary = server.get(Role::Admin, "/fhir/ValueSet/tnm?_summary=true").await.json();
    assert!(summary.get("compose").is_none() && summary["url"].is_string());
}

#[actix_web::test]
async fn the_guides_maps_translate_and_its_systems_explain() {
    let server = server();
    let query = format!("$translate?system={GUIDE}/CodeSystem/pi-rads&code=4");
    let said = server.get(Role::Ehr, &format!("/fhir/ConceptMap/{query}")).await.json();
    let said = said.to_string();
    assert!(said.contains("RID50299") && said.contains("/ConceptMap/pi-rads-to-radlex"), "{said}");
    let query = format!("$lookup?system={GUIDE}/CodeSystem/bi-rads&code=4A");
    let said = server.get(Role::Ehr, &format!("/fhir/CodeSystem/{query}")).await.json();
    assert!(said.to_string().contains("\"0.1.0\""), "{said}");
}

#[actix_web::test]
async fn who_reads_no_patients_reaches_none_through_the_guide() {
    let server = server();
    for path in [
        "/fhir/Patient",
        "/fhir/ImagingStudy?_summary=count",
        "/fhir/Patient/$everything",
        "/fhir/_history",
        "/fhir/StructureDefinition/../Patient",
    ] {
        for role in [Role::Steward, Role::Admin, Role::Public] {
            let reply = server.get(role, path).await;
            assert!(reply.status.is_client_error(), "{path} {role}: {}", reply.status);
        }
    }
    for query in [
        "_revinclude=Provenance:target",
        "_revinclude=*",
        "_revinclude=List:item",
        "_include=*",
        "_include=StructureDefinition:base",
    ] {
        let path = format!("/fhir/StructureDefinition?{query}");
        let bundle = server.get(Role::Steward, &path).await;
        if bundle.status != StatusCode::OK {
            continue;
        }
        for entry in bundle.json()["entry"].as_array().unwrap() {
            assert_eq!(entry["resource"]["resourceType"], "StructureDefinition", "{query}");
        }
    }
    for request in [TestRequest::post(), TestRequest::put(), TestRequest::delete()] {
        let request = request
            .uri("/fhir/ValueSet/tnm")
            .insert_header(("Content-Type", "application/fhir+json"))
            .set_payload("{\"resourceType\":\"ValueSet\",\"id\":\"tnm\",\"status\":\"draft\"}");
        let care = Actor::new("a", Role::ImagingIt).with_scopes("system/*.cruds");
        let reply = server.send_as(Some(care), None, request).await;
        assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
    }
}

#[actix_web::test]
async fn the_statement_names_the_guide_and_the_profiles_of_each_type() {
    let server = server();
    let says = server.get(Role::Ehr, "/fhir/metadata").await.json();
    let guide = says["implementationGuide"][0].as_str().unwrap();
    assert!(guide.ends_with("/ImplementationGuide/vesalius.fhir.cancer|0.1.0"), "{guide}");
    let resources = says["rest"][0]["resource"].as_array().unwrap();
    let of = |kind: &str| resources.iter().find(|of| of["type"] == kind).unwrap();
    let has = |kind: &str, end: &str| {
        let profiles = of(kind)["supportedProfile"].as_array().unwrap();
        assert!(profiles.iter().any(|url| url.as_str().unwrap().ends_with(end)), "{kind} {end}");
    };
    has("ImagingStudy", "/ImagingStudyEuImaging");
    has("Patient", "/patient-eu-core");
    has("DiagnosticReport", "/DiagnosticReportEuImaging");
    has("Bundle", "/MadoFhirBundle");
    has("DocumentReference", "/MadoDicomKosDocumentReference");
    has("Observation", "/StructureDefinition/psa");
    has("Encounter", "/StructureDefinition/screening-round");
    // What is not claimed is not said.
    assert!(!says.to_string().contains("MadoImagingStudy"));
    assert!(of("ConceptMap").get("supportedProfile").is_none());
    for kind in TYPES {
        let names: Vec<&str> = of(kind)["searchParam"]
            .as_array()
            .unwrap()
            .iter()
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        for name in ["_id", "url", "version", "name", "status"] {
            assert!(names.contains(&name), "{kind} {name}");
        }
    }
}

#[actix_web::test]
async fn the_guide_is_served_as_xml_too() {
    let server = server();
    for kind in TYPES {
        for resource in compiled(kind) {
            let id = resource["id"].as_str().unwrap();
            let path = format!("/fhir/{kind}/{id}?_format=xml");
            let reply = server.get(Role::Admin, &path).await;
            let text = String::from_utf8(reply.bytes).unwrap();
            assert_eq!(reply.status, StatusCode::OK, "{path} {text}");
            assert!(text.starts_with(&format!("<{kind} xmlns=\"http://hl7.org/fhir\">")), "{text}");
        }
    }
}

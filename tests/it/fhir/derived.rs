//! Orders, examinations, persons and devices: searched as a naive filter finds them, seen by whom
//! the studies are seen.

use std::collections::BTreeSet;

use actix_web::http::StatusCode;
use serde_json::Value;
use vesalius::actor::Role;
use vesalius::config::Identity;
use vesalius::imaging::Facet;
use vesalius::index::Criteria;

use super::sample::{bag, with_items};
use super::server::{Dice, Server, archive};
use vesalius::imaging::Record;

/// The archive of dice, with orders and visits too.
fn records() -> Vec<Record> {
    let mut records = archive(90, 17);
    let mut dice = Dice(4);
    let mut last: Option<(String, vesalius::imaging::Attributes)> = None;
    for record in &mut records {
        if dice.roll(2) == 0 {
            record.series.set("ManufacturerModelName".parse_keyword(), dice.pick(&["M1", "M2"]));
        }
        let uid = record.study_uid.as_str().to_owned();
        if let Some((known, study)) = &last
            && *known == uid
        {
            record.study = study.clone();
            continue;
        }
        let mut study = record.study.clone();
        match dice.roll(5) {
            0 => {
                let requests = vec![
                    with_items(
                        bag(&[
                            ("AccessionNumber", &format!("G{uid}")),
                            ("RequestedProcedureID", "RP1"),
                        ]),
                        "RequestedProcedureCodeSequence",
                        vec![super::sample::code("24623002", "SCT", "Screening mammography")],
                    ),
                    bag(&[
                        ("AccessionNumber", "SHARED"),
                        ("PlacerOrderNumberImagingServiceRequest", "PL7"),
                    ]),
                ];
                study.set("AccessionNumber".parse_keyword(), "");
                study = with_items(study, "ReferencedRequestSequence", requests);
            }
            1 => {
                study = with_items(
                    study,
                    "RequestedProcedureCodeSequence",
                    vec![super::sample::code("169069000", "SCT", "CT of chest")],
                );
            }
            _ => {}
        }
        if dice.roll(2) == 0 {
            study.set("AdmissionID".parse_keyword(), dice.pick(&["V1", "V2", "V3"]));
        }
        if dice.roll(2) == 0 {
            study = with_items(
                study,
                "ProcedureCodeSequence",
                vec![super::sample::code(dice.pick(&["24623002", "169069000"]), "SCT", "x")],
            );
        }
        record.study = study.clone();
        last = Some((uid, study));
    }
    records
}

trait ParseKeyword {
    fn parse_keyword(&self) -> vesalius::imaging::Keyword;
}

impl ParseKeyword for str {
    fn parse_keyword(&self) -> vesalius::imaging::Keyword {
        super::sample::keyword(self)
    }
}

fn ids(of: &[Value]) -> BTreeSet<String> {
    of.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

fn at<'v>(value: &'v Value, path: &str) -> Vec<&'v Value> {
    let mut found = vec![value];
    for name in path.split('.') {
        found = found
            .into_iter()
            .filter_map(|value| value.get(name))
            .flat_map(|value| {
                value.as_array().map_or_else(|| vec![value], |all| all.iter().collect())
            })
            .collect();
    }
    found
}

fn token(of: &Value) -> String {
    let code = of.get("code").or_else(|| of.get("value")).and_then(Value::as_str).unwrap_or("");
    format!("{}|{code}", of["system"].as_str().unwrap_or(""))
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Each type with the parameters that are compared: name, path, and how.
#[derive(Clone, Copy)]
enum How {
    Token,
    Reference,
    Text,
}

const CASES: &[(&str, &str, &str, How)] = &[
    ("ServiceRequest", "identifier", "identifier", How::Token),
    ("ServiceRequest", "code", "code.coding", How::Token),
    ("ServiceRequest", "patient", "subject", How::Reference),
    ("ServiceRequest", "subject", "subject", How::Reference),
    ("ServiceRequest", "requester", "requester", How::Reference),
    ("Procedure", "patient", "subject", How::Reference),
    ("Procedure", "code", "code.coding", How::Token),
    ("Procedure", "performer", "performer.actor", How::Reference),
    ("Practitioner", "identifier", "identifier", How::Token),
    ("Practitioner", "family", "name.family", How::Text),
    ("PractitionerRole", "practitioner", "practitioner", How::Reference),
    ("Device", "identifier", "identifier", How::Token),
    ("Device", "manufacturer", "manufacturer", How::Text),
    ("Device", "model", "modelNumber", How::Text),
    ("ImagingStudy", "basedon", "basedOn", How::Reference),
    ("ImagingStudy", "referrer", "referrer", How::Reference),
    ("ImagingStudy", "interpreter", "interpreter", How::Reference),
    ("ImagingStudy", "encounter:identifier", "encounter.identifier", How::Token),
];

#[actix_web::test]
async fn every_search_finds_what_a_naive_filter_finds() {
    let server = Server::new(records(), |_| ());
    let mut compared = 0;
    for (kind, name, path, how) in CASES {
        let all = server.all(&format!("/fhir/{kind}?_count=7")).await;
        assert_eq!(ids(&all).len(), all.len(), "{kind}: pages overlap");
        let value_of = |value: &Value| match how {
            How::Token => token(value),
            How::Reference => value["reference"].as_str().unwrap_or("").to_owned(),
            How::Text => value.as_str().unwrap_or("").to_owned(),
        };
        let values: BTreeSet<String> = all
            .iter()
            .flat_map(|one| at(one, path))
            .map(value_of)
            .filter(|value| !value.is_empty() && *value != "|")
            .collect();
        assert!(!values.is_empty(), "no {kind} has {path}");
        for value in values.iter().take(25) {
            let expected: BTreeSet<String> = all
                .iter()
                .filter(|one| at(one, path).iter().any(|known| value_of(known) == *value))
                .map(|one| one["id"].as_str().unwrap().to_owned())
                .collect();
            let name =
                if matches!(how, How::Text) { format!("{name}:exact") } else { (*name).to_owned() };
            let escaped = value.replace(',', "\\,");
            let query = format!("{name}={}&_count=5", encoded(&escaped));
            let found = server.all(&format!("/fhir/{kind}?{query}")).await;
            assert_eq!(ids(&found), expected, "{kind}?{name}={value}");
            let path = format!("/fhir/{kind}?{query}&_summary=count");
            let counted = server.get(Role::ImagingIt, &path).await.json();
            assert_eq!(counted["total"], expected.len(), "{kind}?{name}={value}");
            compared += 1;
        }
        // Every one is read, and found, by its id.
        for one in all.iter().take(12) {
            let id = one["id"].as_str().unwrap();
            let read = server.get(Role::ImagingIt, &format!("/fhir/{kind}/{id}")).await;
            assert_eq!(read.json(), *one);
            let found = server.all(&format!("/fhir/{kind}?_id={id}")).await;
            assert_eq!(found.as_slice(), std::slice::from_ref(one), "{kind}?_id={id}");
        }
    }
    eprintln!("{compared} searches compared");
    assert!(compared > 150);
}

#[actix_web::test]
async fn includes_bring_what_studies_point_at() {
    let server = Server::new(records(), |_| ());
    let path = "/fhir/ImagingStudy?_count=40&_include=ImagingStudy:basedon&_include=ImagingStudy:referrer&_include=ImagingStudy:interpreter&_include=ImagingStudy:performer";
    let bundle = server.get(Role::ImagingIt, path).await.json();
    let entries = bundle["entry"].as_array().unwrap();
    let of = |mode: &str| -> Vec<&Value> {
        entries
            .iter()
            .filter(|entry| entry["search"]["mode"] == mode)
            .map(|entry| &entry["resource"])
            .collect()
    };
    let mut wanted = BTreeSet::new();
    for study in of("match") {
        for path in ["basedOn", "referrer", "interpreter", "series.performer.actor"] {
            for reference in at(study, path) {
                let reference = reference["reference"].as_str().unwrap_or("");
                if !reference.starts_with("Organization/") && !reference.is_empty() {
                    wanted.insert(reference.to_owned());
                }
            }
        }
    }
    let brought: BTreeSet<String> = of("include")
        .iter()
        .map(|one| {
            format!("{}/{}", one["resourceType"].as_str().unwrap(), one["id"].as_str().unwrap())
        })
        .collect();
    assert_eq!(brought, wanted);

    let bundle = server
        .get(Role::ImagingIt, "/fhir/ServiceRequest?_count=3&_revinclude=ImagingStudy:basedon&_include=ServiceRequest:patient")
        .await
        .json();
    let kinds: BTreeSet<&str> = bundle["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["resource"]["resourceType"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, BTreeSet::from(["ServiceRequest", "ImagingStudy", "Patient"]));
}

#[actix_web::test]
async fn care_asks_for_one_patient_and_secondary_use_sees_no_staff() {
    let server = Server::new(records(), |_| ());
    for path in [
        "/fhir/ServiceRequest",
        "/fhir/Procedure?status=completed",
        "/fhir/Device?_revinclude=ImagingStudy:performer",
    ] {
        let reply = server.get(Role::Ehr, path).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}");
    }
    let order = &server.all("/fhir/ServiceRequest").await[0];
    let patient = order["subject"]["reference"].as_str().unwrap();
    let path = format!("/fhir/Procedure?patient={patient}");
    assert_eq!(server.get(Role::Ehr, &path).await.status, StatusCode::OK);

    let person = server.all("/fhir/Practitioner").await[0]["id"].as_str().unwrap().to_owned();
    server.open(vec![Criteria::of(Facet::Modality, &["MG"])]);
    for path in ["/fhir/Practitioner", "/fhir/PractitionerRole", "/fhir/ServiceRequest"] {
        let found = server.get(Role::Researcher, path).await.json();
        assert_eq!(found["total"], 0, "{path}");
    }
    for path in [
        format!("/fhir/Practitioner/{person}"),
        format!("/fhir/PractitionerRole/{person}"),
        format!("/fhir/ServiceRequest/{}", order["id"].as_str().unwrap()),
    ] {
        assert_eq!(
            server.get(Role::Researcher, &path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    // Of what is open there are examinations and devices, without anything that names somebody.
    let open = server.get(Role::Researcher, "/fhir/ImagingStudy?_count=200").await.json();
    let procedures = server.get(Role::Researcher, "/fhir/Procedure?_count=200").await.json();
    assert_eq!(open["total"], procedures["total"]);
    assert!(open["total"].as_u64().unwrap() > 0);
    let devices = server.get(Role::Researcher, "/fhir/Device").await.json();
    assert!(devices["total"].as_u64().unwrap() > 0);
    let text = format!("{procedures}{devices}");
    for hidden in ["serialNumber", "encounter", "basedOn", "Practitioner", "location", "99STAFF"] {
        assert!(!text.contains(hidden), "{hidden}");
    }
}

#[actix_web::test]
async fn a_de_identified_archive_shows_its_rows_as_they_are() {
    let server = Server::new(records(), |config| config.archive.identity = Identity::DeIdentified);
    let all = server.all("/fhir/Practitioner").await;
    assert!(!all.is_empty());
    // Nothing is open yet: no staff of studies that a researcher does not see.
    let found = server.get(Role::Researcher, "/fhir/Practitioner").await.json();
    assert_eq!(found["total"], 0);
    let id = all[0]["id"].as_str().unwrap();
    let reply = server.get(Role::Researcher, &format!("/fhir/Practitioner/{id}")).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn a_viewer_is_found_by_its_study_and_in_no_list() {
    let server = Server::new(records(), |config| {
        config.archive.viewer_url = "https://viewer.example/?study={StudyInstanceUID}".to_owned();
    });
    let bundle = server
        .get(Role::ImagingIt, "/fhir/ImagingStudy?_count=2&_include=ImagingStudy:endpoint")
        .await
        .json();
    let viewers: Vec<&Value> = bundle["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["resource"])
        .filter(|one| one["id"].as_str().unwrap().ends_with("-viewer"))
        .collect();
    assert_eq!(viewers.len(), 2);
    let id = viewers[0]["id"].as_str().unwrap();
    let read = server.get(Role::Ehr, &format!("/fhir/Endpoint/{id}")).await.json();
    assert!(read["address"].as_str().unwrap().starts_with("https://viewer.example/?study=2.25."));
    assert_eq!(server.all("/fhir/Endpoint").await.len(), 1);
    assert_eq!(server.all(&format!("/fhir/Endpoint?_id={id}")).await.len(), 1);
}

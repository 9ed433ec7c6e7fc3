//! How long a page of 20 takes, per parameter, on a large generated archive: run by hand with
//! `cargo test --release --test it fhir::speed -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use actix_web::dev::Service as _;
use actix_web::{App, HttpMessage as _, test};
use vesalius::actor::{Actor, Role};
use vesalius::fhir::routes;

use super::server::{Server, archive};

#[actix_web::test]
#[ignore = "measures; nothing is asserted but that every search answers"]
async fn a_page_of_each_parameter() {
    let studies = std::env::var("VESALIUS_TEST_STUDIES").ok().and_then(|n| n.parse().ok());
    let begun = Instant::now();
    let server = Server::new(archive(studies.unwrap_or(50_000), 1), |_| ());
    eprintln!("generated, ingested and indexed in {:?}", begun.elapsed());
    let app = test::init_service(
        App::new()
            .app_data(server.state())
            .wrap_fn(|request, next| {
                request.extensions_mut().insert(Actor::new("tester", Role::ImagingIt));
                next.call(request)
            })
            .configure(routes),
    )
    .await;
    let page = server
        .get(Role::ImagingIt, "/fhir/ImagingStudy?_count=20&_include=ImagingStudy:patient")
        .await
        .json();
    let one = |of: &str| {
        let entries = page["entry"].as_array().unwrap().iter();
        entries.map(|e| &e["resource"]).find(|r| r["resourceType"] == of).unwrap()
    };
    let (study, patient) = (one("ImagingStudy"), one("Patient"));
    let id = |of: &serde_json::Value| of["id"].as_str().unwrap().to_owned();
    let mut queries = vec![
        String::new(),
        format!("_id={}", id(study)),
        "_lastUpdated=ge2025".to_owned(),
        format!("identifier={}", study["identifier"][0]["value"].as_str().unwrap()),
        "identifier=A3".to_owned(),
        format!("patient={}", id(patient)),
        "patient.identifier=P3".to_owned(),
        "series=2.25.800010.1".to_owned(),
        "instance=2.25.800010.1.1".to_owned(),
        "basedon:identifier=A3".to_owned(),
    ];
    for query in [
        "started=2024",
        "started=ge2024-07-31&_sort=-started",
        "modality=MG",
        "modality:not=MG",
        "modality:missing=true",
        "bodysite=76752008",
        "bodysite:text=breast",
        "dicom-class=1.2.840.10008.5.1.4.1.1.2",
        "endpoint=wado-rs",
        "performer:identifier=21",
        "interpreter:identifier=11",
        "referrer:identifier=11",
        "reason=R05",
        "encounter=1",
        "status=available",
        "modality=MG&bodysite=76752008&started=2024-07",
        "_sort=-_lastUpdated",
        "_summary=true",
        "_elements=identifier",
        "modality=CT&_include=ImagingStudy:patient",
        "_summary=count",
    ] {
        queries.push(query.to_owned());
    }
    eprintln!("{:>9} {:>9} {:>9}  query", "p50", "p99", "first");
    for query in queries {
        let path = format!("/fhir/ImagingStudy?_count=20&{query}");
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..100 {
            let request = test::TestRequest::get().uri(&path).to_request();
            let begun = Instant::now();
            let response = test::call_service(&app, request).await;
            assert!(response.status().is_success(), "{path}");
            let _ = test::read_body(response).await;
            times.push(begun.elapsed());
        }
        let first = times[0];
        times.sort_unstable();
        eprintln!("{:>9.2?} {:>9.2?} {first:>9.2?}  {query}", times[50], times[98]);
    }
}

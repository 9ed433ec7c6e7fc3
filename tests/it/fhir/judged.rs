//! Writes what the facade serves for `conformance/fhir/judge.sh`, after the typed model read it.

use std::io::Write as _;

use actix_web::test::TestRequest;
use serde_json::Value;
use vesalius::actor::Role;
use vesalius::imaging::IdSpace;
use vesalius::mapping::fhir::{View, render_patient, render_study};

use super::sample;
use super::server::{Server, archive};

#[actix_web::test]
async fn everything_that_is_served_is_read_by_the_typed_model_and_kept_for_the_judges() {
    let mut lines: Vec<Value> = Vec::new();
    let server = Server::new(archive(80, 11), |_| ());
    for path in [
        "/fhir/Patient",
        "/fhir/ImagingStudy",
        "/fhir/Endpoint",
        "/fhir/Organization",
        "/fhir/ServiceRequest",
        "/fhir/Procedure",
        "/fhir/Practitioner",
        "/fhir/PractitionerRole",
        "/fhir/Device",
    ] {
        lines.extend(server.all(path).await);
    }
    for path in [
        "/fhir/metadata",
        "/fhir/ImagingStudy?_count=3&_include=*",
        "/fhir/ImagingStudy?_count=3&_summary=true",
        "/fhir/Patient?_summary=count",
        "/fhir/ImagingStudy?started=yesterday",
    ] {
        let reply = server.send(Some(Role::ImagingIt), TestRequest::get().uri(path)).await;
        lines.push(reply.json());
    }
    let context = sample::context(|_| ());
    let study = sample::study();
    for view in [View::Care, View::DeIdentified, View::Pseudonymous] {
        let bytes = render_study(&context, &study, view).with_instances(&context, &study, view);
        lines.push(serde_json::from_slice(&bytes).unwrap());
        let bytes = render_patient(&context, &study.patient, view);
        lines.push(serde_json::from_slice(&bytes).unwrap());
    }
    let mut dice = super::server::Dice(5);
    for _ in 0..60 {
        let study = super::hostile::study(|| dice.roll(1 << 20));
        let bytes =
            render_study(&context, &study, View::Care).with_instances(&context, &study, View::Care);
        lines.push(serde_json::from_slice(&bytes).unwrap());
        let bytes = render_patient(&context, &study.patient, View::Care);
        lines.push(serde_json::from_slice(&bytes).unwrap());
    }
    for (view, ids) in [(View::Care, IdSpace::Care), (View::Pseudonymous, IdSpace::Research)] {
        for (stored, study) in super::report::archive(ids).iter().take(60) {
            lines.extend(super::report::resources(&context, stored, study, view, &[]).1);
        }
    }
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("fhir.ndjson");
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    for line in &lines {
        let bytes = serde_json::to_vec(line).unwrap();
        if let Err(reason) = fhir_types::check(&bytes) {
            panic!("{reason}: {line}");
        }
        file.write_all(&bytes).unwrap();
        file.write_all(b"\n").unwrap();
    }
    assert!(lines.len() > 130);
}

//! Lines of studies that are made before an export asks for them.

use std::fs;
use std::sync::atomic::AtomicBool;

use serde_json::Value;
use vesalius::actor::Role;
use vesalius::fhir::Turn;
use vesalius::imaging::Facet;
use vesalius::index::Criteria;

use super::bulk::{STUDIES, exported_as_read, ids, kept, server};
use super::server::{Server, archive};

const NOW: i64 = 1_763_000_200_000_000;

fn turn(server: &Server) -> Turn {
    server.state().keep_lines(NOW, &AtomicBool::new(false)).unwrap()
}

fn named(server: &Server, name: &str) -> Vec<u8> {
    fs::read(server.exports().join("kept").join(name)).unwrap_or_default()
}

fn count(lines: &[u8]) -> usize {
    lines.iter().filter(|byte| **byte == b'\n').count()
}

#[actix_web::test]
async fn the_first_export_copies_what_was_made_ahead() {
    let server = server();
    assert_eq!(turn(&server), Turn::Whole);
    let lines = named(&server, "care.ndjson");
    assert_eq!(count(&lines), STUDIES);
    assert!(named(&server, "pseudonymous.ndjson").is_empty(), "nothing is open");
    let first = exported_as_read(&server, "").await;
    assert_eq!(first.len(), STUDIES);
    assert_eq!(named(&server, "care.ndjson"), lines, "nothing was rendered");
    assert_eq!(turn(&server), Turn::Whole);
    assert_eq!(named(&server, "care.ndjson"), lines, "nothing was to be done");

    // What changed is made anew, what went is gone from the disk.
    let mut next = archive(STUDIES + 50, 7);
    next.retain(|record| !record.study_uid.as_str().starts_with("2.25.80000"));
    for record in next.iter_mut().filter(|record| record.patient_key.id.ends_with('3')) {
        crate::support::set(&mut record.study, "StudyDescription", "Changed since");
    }
    server.ingest(next, 1_763_000_100_000_000);
    let server = server.restart();
    assert_eq!(turn(&server), Turn::Whole);
    let lines = named(&server, "care.ndjson");
    let second = exported_as_read(&server, "").await;
    assert_eq!(named(&server, "care.ndjson"), lines, "nothing was rendered");
    assert_eq!(ids(&second), ids(&server.all("/fhir/ImagingStudy?_count=100").await));
    for gone in ids(&first).difference(&ids(&second)) {
        assert!(!String::from_utf8_lossy(&lines).contains(gone.as_str()), "{gone} stayed");
    }
}

#[actix_web::test]
async fn a_damaged_line_is_made_again_and_no_other() {
    let server = server();
    turn(&server);
    let lines = named(&server, "care.ndjson");
    let place = server.exports().join("kept/care.ndjson");
    for at in [5, lines.len() / 2, lines.len() - 2] {
        let mut damaged = lines.clone();
        damaged[at] ^= 1;
        fs::write(&place, &damaged).unwrap();
        assert_eq!(exported_as_read(&server, "").await.len(), STUDIES);
        let mended = named(&server, "care.ndjson");
        assert_eq!(count(&mended), STUDIES);
        assert!(mended.len() > lines.len() && mended.len() < lines.len() * 2, "one is new");
        // And from now on it is that one.
        exported_as_read(&server, "").await;
        assert_eq!(named(&server, "care.ndjson"), mended);
        fs::remove_file(server.exports().join("kept/care.places")).unwrap();
        turn(&server);
        assert_eq!(named(&server, "care.ndjson"), lines);
    }
}

#[actix_web::test]
async fn what_a_killed_server_wrote_is_kept_as_far_as_its_places_were_written() {
    let server = server();
    turn(&server);
    let places = named(&server, "care.places");
    server.ingest(archive(STUDIES + 50, 7), 1_763_000_100_000_000);
    turn(&server);
    // Lines were put, places not.
    fs::write(server.exports().join("kept/care.places"), places).unwrap();
    let server = server.restart();
    assert_eq!(exported_as_read(&server, "").await.len(), STUDIES + 50);
    // Thrown away as `vesalius rebuild` does.
    fs::remove_dir_all(server.exports().join("kept")).unwrap();
    assert_eq!(turn(&server), Turn::Whole);
    assert_eq!(count(&named(&server, "care.ndjson")), STUDIES + 50);
}

#[actix_web::test]
async fn replaced_lines_do_not_fill_the_disk() {
    let server = server();
    turn(&server);
    let once = named(&server, "care.ndjson").len();
    for round in 0..6 {
        let mut next = archive(STUDIES, 7);
        for record in &mut next {
            crate::support::set(&mut record.study, "StudyDescription", &format!("Round {round}"));
        }
        server.ingest(next, 1_763_000_100_000_000 + round);
        assert_eq!(turn(&server), Turn::Whole);
        assert!(named(&server, "care.ndjson").len() < once * 3, "round {round}");
    }
    assert_eq!(exported_as_read(&server, "").await.len(), STUDIES);
}

#[actix_web::test]
async fn lines_wait_for_exports_and_for_the_end_of_the_server() {
    let server = server();
    let stopped = server.state().keep_lines(NOW, &AtomicBool::new(true)).unwrap();
    assert_eq!(stopped, Turn::Interrupted);
    let status = server.ask(Role::ImagingIt, "/fhir/$export?_type=Patient").await;
    assert_eq!(turn(&server), Turn::Interrupted);
    assert_eq!(count(&kept(&server).unwrap_or_default()), 0);
    server.export();
    assert!(server.get(Role::ImagingIt, &status).await.status.is_success());
    assert_eq!(turn(&server), Turn::Whole);
}

#[actix_web::test]
async fn lines_leave_room_for_an_export_of_them_or_are_not_kept() {
    let server = Server::new(archive(900, 7), |config| config.exports.most_mib = 1);
    assert_eq!(turn(&server), Turn::Full);
    let bytes = kept(&server).unwrap().len();
    assert!(bytes * 2 <= 1 << 20, "{bytes}");
    // It knows that there is no room, and does not try again.
    assert_eq!(turn(&server), Turn::Full);
    assert_eq!(kept(&server).unwrap().len(), bytes);
    let manifest = server.manifest(Role::ImagingIt, "/fhir/$export?_type=Patient").await;
    assert!(!server.lines(Role::ImagingIt, &manifest, "output").await.is_empty());

    let server = Server::new(archive(30, 7), |config| config.exports.keep_ready = false);
    assert_eq!(turn(&server), Turn::Full);
    assert_eq!(kept(&server), None);
}

#[actix_web::test]
async fn lines_for_secondary_use_are_of_what_is_open_and_tell_no_identity() {
    let server = server();
    server.open(vec![Criteria::of(Facet::Modality, &["MG"])]);
    assert_eq!(turn(&server), Turn::Whole);
    let lines = named(&server, "pseudonymous.ndjson");
    let open = server.get(Role::Researcher, "/fhir/ImagingStudy?_count=1000").await.json();
    let open: Vec<Value> =
        open["entry"].as_array().unwrap().iter().map(|entry| entry["resource"].clone()).collect();
    assert!(!open.is_empty() && open.len() < STUDIES);
    let made: Vec<Value> = lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(ids(&made), ids(&open));

    // Closed again: its line is there, and nobody gets it.
    server.open(vec![Criteria::of(Facet::Modality, &["CT"])]);
    let manifest = server.manifest(Role::Researcher, "/fhir/$export?_type=ImagingStudy").await;
    let given = server.lines(Role::Researcher, &manifest, "output").await;
    let open = server.get(Role::Researcher, "/fhir/ImagingStudy?_count=1000").await.json();
    let open: Vec<Value> =
        open["entry"].as_array().unwrap().iter().map(|entry| entry["resource"].clone()).collect();
    assert_eq!(ids(&given), ids(&open));
    let of_mammography = |study: &Value| study["modality"].to_string().contains("\"MG\"");
    assert!(made.iter().all(of_mammography) && !given.iter().all(of_mammography));
}

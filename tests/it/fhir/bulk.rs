//! Bulk Data Access: who may export, what comes, and what becomes of it.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::atomic::AtomicBool;

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use vesalius::actor::{Actor, Role};
use vesalius::imaging::Facet;
use vesalius::index::Criteria;

use super::server::{Reply, Server, archive};

pub(super) const STUDIES: usize = 150;

pub(super) fn server() -> Server {
    Server::new(archive(STUDIES, 7), |_| ())
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path)
}

fn kick_off(path: &str) -> TestRequest {
    get(path).insert_header(("Prefer", "respond-async"))
}

fn path_of(url: &str) -> String {
    url.strip_prefix("https://imaging.example").unwrap().to_owned()
}

impl Server {
    /// Makes every export that waits.
    pub(super) fn export(&self) {
        let clock = || jiff::Timestamp::now().as_microsecond();
        while self.state().export_next(&clock, &AtomicBool::new(false)) {}
    }

    /// Asks for an export and gives the address of its status.
    pub(super) async fn ask(&self, role: Role, path: &str) -> String {
        let reply = self.send(Some(role), kick_off(path)).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{path}: {}", text(&reply));
        path_of(reply.header("content-location"))
    }

    pub(super) async fn manifest(&self, role: Role, path: &str) -> Value {
        let status = self.ask(role, path).await;
        self.export();
        let reply = self.get(role, &status).await;
        assert_eq!(reply.status, StatusCode::OK, "{path}: {}", text(&reply));
        assert_eq!(reply.header("content-type"), "application/json");
        assert!(!reply.header("expires").is_empty());
        serde_json::from_slice(&reply.bytes).unwrap()
    }

    /// Every resource of a list of the manifest.
    pub(super) async fn lines(&self, role: Role, manifest: &Value, list: &str) -> Vec<Value> {
        let mut found = Vec::new();
        for file in manifest[list].as_array().unwrap() {
            let reply = self.get(role, &path_of(file["url"].as_str().unwrap())).await;
            assert_eq!(reply.status, StatusCode::OK);
            assert_eq!(reply.header("content-type"), "application/fhir+ndjson");
            let lines: Vec<&[u8]> =
                reply.bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()).collect();
            assert_eq!(lines.len() as u64, file["count"].as_u64().unwrap());
            for line in lines {
                fhir_types::check(line).unwrap();
                let resource: Value = serde_json::from_slice(line).unwrap();
                assert_eq!(resource["resourceType"], file["type"]);
                found.push(resource);
            }
        }
        found
    }
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.bytes).into_owned()
}

pub(super) fn ids(resources: &[Value]) -> BTreeSet<String> {
    resources.iter().map(|of| of["id"].as_str().unwrap().to_owned()).collect()
}

#[actix_web::test]
async fn an_export_holds_what_searches_find_byte_for_byte() {
    let server = server();
    let manifest = server.manifest(Role::ImagingIt, "/fhir/$export").await;
    assert_eq!(manifest["request"], "https://imaging.example/fhir/$export");
    assert_eq!(manifest["requiresAccessToken"], true);
    assert_eq!(manifest["deleted"], json!([]));
    assert_eq!(manifest["error"], json!([]));
    let then: jiff::Timestamp = manifest["transactionTime"].as_str().unwrap().parse().unwrap();
    assert!(then < jiff::Timestamp::now());
    let lines = server.lines(Role::ImagingIt, &manifest, "output").await;
    for kind in ["ImagingStudy", "Patient", "Endpoint", "Organization", "DocumentReference"] {
        let mut searched = server.all(&format!("/fhir/{kind}?_count=100")).await;
        let mut exported: Vec<Value> =
            lines.iter().filter(|line| line["resourceType"] == kind).cloned().collect();
        let by_id = |of: &Value| of["id"].as_str().unwrap().to_owned();
        searched.sort_by_key(by_id);
        exported.sort_by_key(by_id);
        assert!(!searched.is_empty());
        assert_eq!(exported, searched, "{kind}");
    }
    // Of patients only.
    let manifest = server.manifest(Role::ImagingIt, "/fhir/Patient/$export").await;
    let lines = server.lines(Role::ImagingIt, &manifest, "output").await;
    assert!(lines.iter().all(|line| line["resourceType"] != "Endpoint"));
    assert!(lines.iter().any(|line| line["resourceType"] == "ImagingStudy"));
}

#[actix_web::test]
async fn filters_run_the_normal_search_and_are_joined() {
    let server = server();
    let path = "/fhir/$export?_type=ImagingStudy,Patient&_typeFilter=ImagingStudy%3Fmodality%3DMG\
                &_typeFilter=ImagingStudy%3Fmodality%3DCT%2CMR&_elements=ImagingStudy.started,gender";
    let manifest = server.manifest(Role::ImagingIt, path).await;
    let lines = server.lines(Role::ImagingIt, &manifest, "output").await;
    let studies: Vec<Value> =
        lines.iter().filter(|line| line["resourceType"] == "ImagingStudy").cloned().collect();
    let found = server.all("/fhir/ImagingStudy?modality=MG,CT,MR&_count=100").await;
    assert!(!found.is_empty() && found.len() < STUDIES);
    assert_eq!(ids(&studies), ids(&found));
    for study in &studies {
        assert!(study.get("series").is_none() && study.get("subject").is_some());
        assert_eq!(study["meta"]["tag"][0]["code"], "SUBSETTED");
    }
    for patient in lines.iter().filter(|line| line["resourceType"] == "Patient") {
        assert!(patient["name"][0].get("family").is_none());
    }
    // The same by a body.
    let body = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "_type", "valueString": "ImagingStudy" },
        { "name": "_typeFilter", "valueString": "ImagingStudy?modality=MG" },
        { "name": "patient", "valueReference": found[0]["subject"] },
    ]});
    let request = TestRequest::post()
        .uri("/fhir/Patient/$export")
        .insert_header(("Prefer", "respond-async"))
        .insert_header(("Content-Type", "application/fhir+json"))
        .set_payload(body.to_string());
    let reply = server.send(Some(Role::ImagingIt), request).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "{}", text(&reply));
    server.export();
    let status = path_of(reply.header("content-location"));
    let manifest: Value =
        serde_json::from_slice(&server.get(Role::ImagingIt, &status).await.bytes).unwrap();
    let lines = server.lines(Role::ImagingIt, &manifest, "output").await;
    let patient = found[0]["subject"]["reference"].as_str().unwrap();
    let found = server.all(&format!("/fhir/ImagingStudy?modality=MG&patient={patient}")).await;
    assert_eq!(ids(&lines), ids(&found));
}

#[actix_web::test]
async fn since_brings_what_changed_later_and_what_was_deleted() {
    let server = server();
    let before = ids(&server.all("/fhir/ImagingStudy?_count=100").await);
    // Later the archive holds ten studies fewer, and fifty more.
    let kept: Vec<_> = archive(STUDIES + 50, 7)
        .into_iter()
        .filter(|record| !record.study_uid.as_str().starts_with("2.25.80000"))
        .collect();
    server.ingest(kept, 1_763_000_100_000_000);
    let after = ids(&server.all("/fhir/ImagingStudy?_count=100").await);
    let path = "/fhir/$export?_type=ImagingStudy&_since=2025-11-13T02:14:00Z";
    let manifest = server.manifest(Role::ImagingIt, path).await;
    let lines = server.lines(Role::ImagingIt, &manifest, "output").await;
    assert_eq!(ids(&lines), after.difference(&before).cloned().collect());
    let deleted: BTreeSet<String> = server
        .lines(Role::ImagingIt, &manifest, "deleted")
        .await
        .iter()
        .flat_map(|bundle| bundle["entry"].as_array().unwrap().clone())
        .map(|entry| {
            assert_eq!(entry["request"]["method"], "DELETE");
            let url = entry["request"]["url"].as_str().unwrap().to_owned();
            url.strip_prefix("ImagingStudy/").unwrap().to_owned()
        })
        .collect();
    assert_eq!(deleted, before.difference(&after).cloned().collect());
    assert_eq!(deleted.len(), 10);
}

#[actix_web::test]
async fn who_may_not_export_is_told_why() {
    let server = server();
    for (role, path, prefer, status, word) in [
        (Role::Ehr, "/fhir/$export", "respond-async", StatusCode::FORBIDDEN, "imaging-it"),
        (Role::Steward, "/fhir/$export", "respond-async", StatusCode::FORBIDDEN, "steward"),
        (Role::ImagingIt, "/fhir/$export", "", StatusCode::BAD_REQUEST, "respond-async"),
        (
            Role::ImagingIt,
            "/fhir/Group/1/$export",
            "respond-async",
            StatusCode::NOT_FOUND,
            "Group `1` is not known",
        ),
        (
            Role::Researcher,
            "/fhir/$export?_typeFilter=Patient%3Ffamily%3DNovak",
            "respond-async",
            StatusCode::FORBIDDEN,
            "names persons",
        ),
    ] {
        let reply = server.send(Some(role), get(path).insert_header(("Prefer", prefer))).await;
        assert_eq!(reply.status, status, "{path}");
        assert!(text(&reply).contains(word), "{}", text(&reply));
        assert_eq!(reply.json()["resourceType"], "OperationOutcome");
    }
    for query in [
        "_type=Elephant",
        "_since=yesterday",
        "_outputFormat=text/csv",
        "includeAssociatedData=LatestProvenanceResources",
        "_typeFilter=ImagingStudy%3F_count%3D5",
        "_typeFilter=ImagingStudy%3Fcolour%3Dred",
        "_type=Patient&_typeFilter=ImagingStudy%3Fmodality%3DCT",
        "_typeFilter=nothing",
        "colour=red",
    ] {
        let path = format!("/fhir/$export?{query}");
        let reply = server.send(Some(Role::ImagingIt), kick_off(&path)).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(reply.json()["resourceType"], "OperationOutcome");
    }
    let lenient = get("/fhir/$export?includeAssociatedData=x&_type=Patient,Elephant")
        .insert_header(("Prefer", "respond-async, handling=lenient"));
    let reply = server.send(Some(Role::ImagingIt), lenient).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED);
    let reply = server.send(None, kick_off("/fhir/$export")).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    let narrow = Actor::new("x", Role::ImagingIt).with_scopes("system/Patient.rs");
    let of_studies = kick_off("/fhir/$export?_type=ImagingStudy");
    let reply = server.send_as(Some(narrow.clone()), None, of_studies).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    let reply = server.send_as(Some(narrow), None, kick_off("/fhir/$export")).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED, "what the scopes allow");
}

#[actix_web::test]
async fn secondary_use_exports_open_studies_without_identities_while_they_are_open() {
    let server = server();
    let open = Criteria::of(Facet::Modality, &["MG"]);
    server.open(vec![open.clone()]);
    let seen = server.get(Role::Researcher, "/fhir/ImagingStudy?_count=1000").await.json();
    let seen: Vec<Value> =
        seen["entry"].as_array().unwrap().iter().map(|entry| entry["resource"].clone()).collect();
    assert!(!seen.is_empty() && seen.len() < STUDIES);
    let status = server.ask(Role::Researcher, "/fhir/$export").await;
    server.export();
    let reply = server.get(Role::Researcher, &status).await;
    let manifest: Value = serde_json::from_slice(&reply.bytes).unwrap();
    let lines = server.lines(Role::Researcher, &manifest, "output").await;
    let studies: Vec<Value> =
        lines.iter().filter(|line| line["resourceType"] == "ImagingStudy").cloned().collect();
    assert_eq!(ids(&studies), ids(&seen));
    for patient in lines.iter().filter(|line| line["resourceType"] == "Patient") {
        assert!(!patient.to_string().contains("family"));
        let path = format!("/fhir/Patient/{}", patient["id"].as_str().unwrap());
        assert_eq!(*patient, server.get(Role::Researcher, &path).await.json());
    }
    // Nobody else fetches it, also not another role of the same name.
    let file = path_of(manifest["output"][0]["url"].as_str().unwrap());
    for path in [&status, &file] {
        let other = Actor::new("somebody else", Role::Researcher);
        let reply = server.send_as(Some(other), None, get(path)).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);
        assert_eq!(server.get(Role::ImagingIt, path).await.status, StatusCode::NOT_FOUND);
    }
    // What is closed is not handed out from a file either.
    server.open(Vec::new());
    for path in [&status, &file] {
        assert_eq!(server.get(Role::Researcher, path).await.status, StatusCode::GONE);
    }
}

#[actix_web::test]
async fn an_export_is_told_of_fetched_in_parts_and_deleted() {
    let server = server();
    let status = server.ask(Role::ImagingIt, "/fhir/$export?_type=ImagingStudy").await;
    let reply = server.get(Role::ImagingIt, &status).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED);
    assert_eq!(reply.header("x-progress"), "queued");
    assert!(!reply.header("retry-after").is_empty());
    server.export();
    let manifest: Value =
        serde_json::from_slice(&server.get(Role::ImagingIt, &status).await.bytes).unwrap();
    let file = path_of(manifest["output"][0]["url"].as_str().unwrap());
    let whole = server.get(Role::ImagingIt, &file).await;
    let part = get(&file).insert_header(("Range", "bytes=10-19"));
    let part = server.send(Some(Role::ImagingIt), part).await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.bytes, &whole.bytes[10..20]);
    let length = whole.bytes.len();
    assert_eq!(part.header("content-range"), format!("bytes 10-19/{length}"));
    let beyond = get(&file).insert_header(("Range", "bytes=999999999-"));
    let beyond = server.send(Some(Role::ImagingIt), beyond).await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    let packed = get(&file).insert_header(("Accept-Encoding", "gzip"));
    let packed = server.send(Some(Role::ImagingIt), packed).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&packed.bytes[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, whole.bytes);
    for wrong in ["job.json", "..%2F..%2Fvesalius.db", "x"] {
        let reply = server.get(Role::ImagingIt, &format!("{status}/{wrong}")).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{wrong}");
    }
    let delete = || TestRequest::delete().uri(&status);
    assert_eq!(server.send(Some(Role::ImagingIt), delete()).await.status, StatusCode::ACCEPTED);
    for path in [&status, &file] {
        assert_eq!(server.get(Role::ImagingIt, path).await.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(server.send(Some(Role::ImagingIt), delete()).await.status, StatusCode::NOT_FOUND);
    let left = std::fs::read_dir(server.exports()).unwrap().count();
    assert_eq!(left, 1, "files are left");
}

#[actix_web::test]
async fn exports_survive_a_restart_and_expire() {
    // Lines that are kept ready stay.
    let server = Server::new(archive(STUDIES, 7), |config| config.exports.keep_ready = false);
    let done = server.ask(Role::ImagingIt, "/fhir/$export?_type=Patient").await;
    server.export();
    let waiting = server.ask(Role::ImagingIt, "/fhir/$export?_type=ImagingStudy").await;
    // A folder that was made when the process was killed is no export.
    std::fs::create_dir(server.exports().join("x")).unwrap();
    let server = server.restart();
    assert_eq!(server.get(Role::ImagingIt, &done).await.status, StatusCode::OK);
    let reply = server.get(Role::ImagingIt, &waiting).await;
    assert_eq!(reply.status, StatusCode::ACCEPTED);
    server.export();
    let reply = server.get(Role::ImagingIt, &waiting).await;
    let manifest: Value = serde_json::from_slice(&reply.bytes).unwrap();
    assert_eq!(server.lines(Role::ImagingIt, &manifest, "output").await.len(), STUDIES);
    // And the lines that the next one need not render.
    assert_eq!(std::fs::read_dir(server.exports()).unwrap().count(), 3);
    let later = jiff::Timestamp::now().as_microsecond() + 25 * 3_600_000_000;
    server.state().export_next(&|| later, &AtomicBool::new(false));
    for path in [&done, &waiting] {
        assert_eq!(server.get(Role::ImagingIt, path).await.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(std::fs::read_dir(server.exports()).unwrap().count(), 1);
    let later = jiff::Timestamp::now().as_microsecond() + 49 * 3_600_000_000;
    server.state().export_next(&|| later, &AtomicBool::new(false));
    assert_eq!(std::fs::read_dir(server.exports()).unwrap().count(), 0);
}

/// What exports keep of their lines.
pub(super) fn kept(server: &Server) -> Option<Vec<u8>> {
    let files = std::fs::read_dir(server.exports().join("kept")).ok()?.flatten();
    let is_lines = |path: &std::path::PathBuf| path.extension().is_some_and(|of| of == "ndjson");
    std::fs::read(files.map(|file| file.path()).find(is_lines)?).ok()
}

/// The studies of an export, each as GET gives it.
pub(super) async fn exported_as_read(server: &Server, query: &str) -> Vec<Value> {
    let path = format!("/fhir/$export?_type=ImagingStudy{query}");
    let manifest = server.manifest(Role::ImagingIt, &path).await;
    let mut studies = Vec::new();
    for file in manifest["output"].as_array().unwrap() {
        let reply = server.get(Role::ImagingIt, &path_of(file["url"].as_str().unwrap())).await;
        for line in text(&reply).lines() {
            let study: Value = serde_json::from_str(line).unwrap();
            let path = format!("/fhir/ImagingStudy/{}", study["id"].as_str().unwrap());
            assert_eq!(line, text(&server.get(Role::ImagingIt, &path).await), "byte for byte");
            studies.push(study);
        }
    }
    studies
}

#[actix_web::test]
async fn a_later_export_renders_what_changed_and_copies_the_rest() {
    let server = server();
    let first = exported_as_read(&server, "").await;
    let lines = kept(&server).unwrap();
    assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), STUDIES);
    assert_eq!(exported_as_read(&server, "").await, first);
    assert_eq!(kept(&server).unwrap(), lines, "nothing was rendered");
    // A part of them, in the order of the search.
    let some = exported_as_read(&server, "&_typeFilter=ImagingStudy%3Fmodality%3DMG").await;
    assert!(!some.is_empty() && some.len() < STUDIES);
    assert_eq!(kept(&server).unwrap(), lines);

    // Ten go, fifty come, and some change.
    let mut next = archive(STUDIES + 50, 7);
    next.retain(|record| !record.study_uid.as_str().starts_with("2.25.80000"));
    for record in next.iter_mut().filter(|record| record.patient_key.id.ends_with('3')) {
        crate::support::set(&mut record.study, "StudyDescription", "Changed since");
    }
    server.ingest(next, 1_763_000_100_000_000);
    let server = server.restart();
    let second = exported_as_read(&server, "").await;
    assert_eq!(ids(&second), ids(&server.all("/fhir/ImagingStudy?_count=100").await));
    assert!(second.iter().any(|study| study.to_string().contains("Changed since")));
    let after = kept(&server).unwrap();
    let gone: BTreeSet<String> = ids(&first).difference(&ids(&second)).cloned().collect();
    assert_eq!(gone.len(), 10);
    for id in &gone {
        assert!(!String::from_utf8_lossy(&after).contains(id.as_str()), "{id} stayed on the disk");
    }
    let unchanged = first.iter().find(|study| second.contains(study)).unwrap();
    let count = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes).matches(&format!("\"id\":{}", unchanged["id"])).count()
    };
    assert_eq!((count(&lines), count(&after)), (1, 1), "it was not rendered again");
}

#[actix_web::test]
async fn kept_lines_that_are_damaged_or_of_other_rules_are_not_used() {
    let server = server();
    let first = exported_as_read(&server, "").await;
    let places = server.exports().join("kept/care.places");
    for damage in [0, 60, 2_000] {
        let mut bytes = std::fs::read(&places).unwrap();
        let at = bytes.len() - 1 - damage.min(bytes.len() - 1);
        bytes[at] ^= 1;
        std::fs::write(&places, bytes).unwrap();
        assert_eq!(exported_as_read(&server, "").await, first);
    }
    // The file of lines was cut.
    let lines = server.exports().join("kept/care.ndjson");
    let length = std::fs::metadata(&lines).unwrap().len();
    std::fs::File::options().write(true).open(&lines).unwrap().set_len(length - 1).unwrap();
    assert_eq!(exported_as_read(&server, "").await, first);
    assert_eq!(std::fs::metadata(&lines).unwrap().len(), length);
}

#[actix_web::test]
async fn kept_lines_give_way_to_exports() {
    // One export fits beside what is kept, or two without.
    let sample = Server::new(archive(30, 7), |_| ());
    sample.manifest(Role::ImagingIt, "/fhir/$export?_type=ImagingStudy").await;
    let studies = 30 * 420_000 / kept(&sample).unwrap().len();
    let server = Server::new(archive(studies, 7), |config| config.exports.most_mib = 1);
    let first = server.manifest(Role::ImagingIt, "/fhir/$export?_type=ImagingStudy").await;
    let bytes = kept(&server).map(|lines| lines.len());
    let size = server.lines(Role::ImagingIt, &first, "output").await.len();
    assert_eq!(size, studies);
    let second = server.manifest(Role::ImagingIt, "/fhir/$export?_type=ImagingStudy").await;
    assert_eq!(server.lines(Role::ImagingIt, &second, "output").await.len(), studies, "{bytes:?}");
    assert!(bytes.is_some_and(|bytes| bytes * 3 > 1 << 20 && bytes * 2 < 1 << 20), "{bytes:?}");
    assert_eq!(kept(&server), None);
}

#[actix_web::test]
async fn exports_keep_to_their_disk_and_number() {
    let server = Server::new(archive(900, 7), |config| {
        config.exports.most_mib = 1;
        config.exports.most_jobs = 2;
    });
    let first = server.ask(Role::ImagingIt, "/fhir/$export").await;
    let second = server.ask(Role::ImagingIt, "/fhir/$export?_type=Organization").await;
    let reply = server.send(Some(Role::ImagingIt), kick_off("/fhir/$export")).await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(!reply.header("retry-after").is_empty());
    server.export();
    let reply = server.get(Role::ImagingIt, &first).await;
    assert_eq!(reply.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(text(&reply).contains("1 MiB"), "{}", text(&reply));
    assert_eq!(server.get(Role::ImagingIt, &second).await.status, StatusCode::OK);
    // What failed takes no room.
    let narrow = server.ask(Role::ImagingIt, "/fhir/$export?_type=Patient").await;
    server.export();
    assert_eq!(server.get(Role::ImagingIt, &narrow).await.status, StatusCode::OK);
}

//! What a folder gave, handed out again.

use std::fs;
use std::path::Path;

use actix_web::http::StatusCode;
use actix_web::test;
use serde_json::{Value, json};
use vesalius::actor::{Actor, Role};
use vesalius::config::{Config, Identity};
use vesalius::imaging::Facet;
use vesalius::index::Criteria;
use vesalius::mapping::Context;
use vesalius::mapping::fhir::render_endpoint;
use vesalius::source::dicomweb::Credentials;
use vesalius::source::folder::Folder;

use super::{Server, folder, image, place};

const ALL: &str = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
const ALONE: &str = "application/dicom";

fn file(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name)).unwrap()
}

#[actix_web::test]
async fn studies_series_and_instances_are_the_files_byte_for_byte() {
    let folder = folder();
    let server = Server::of(folder.path());
    for (path, names) in [
        ("/studies/1.2.1".to_owned(), vec!["1-1-1", "1-1-2", "1-2-1", "1-2-2"]),
        ("/studies/1.2.2/series/1.2.2.1".to_owned(), vec!["2-1-1", "2-1-2"]),
        (place(3, 2, 1), vec!["3-2-1"]),
    ] {
        for accept in [ALL, "*/*", ""] {
            let reply = server.accepting(accept, &path).await;
            assert_eq!(reply.status, StatusCode::OK, "{path}");
            let length = reply.bytes().len().to_string();
            assert_eq!(reply.header("content-length"), length);
            let mut parts = reply.parts();
            parts.sort();
            let mut expected: Vec<Vec<u8>> =
                names.iter().map(|name| file(folder.path(), &format!("{name}.dcm"))).collect();
            expected.sort();
            let mut sent: Vec<Vec<u8>> = parts.iter().map(|(_, data)| data.clone()).collect();
            sent.sort();
            assert_eq!(sent, expected, "{path}");
            assert!(parts.iter().all(|(head, _)| {
                head.contains("application/dicom; transfer-syntax=1.2.840.10008.1.2.1\r\n")
            }));
        }
    }
    let alone = server.accepting(ALONE, &place(1, 1, 2)).await;
    assert_eq!(alone.bytes(), file(folder.path(), "1-1-2.dcm"));
    assert_eq!(
        alone.header("content-type"),
        "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    );
}

#[actix_web::test]
async fn ranges_conditions_and_heads_are_answered() {
    let folder = folder();
    let server = Server::of(folder.path());
    let whole = file(folder.path(), "1-1-1.dcm");
    let path = place(1, 1, 1);
    let first = server.accepting(ALONE, &path).await;
    let etag = first.header("etag").to_owned();
    let with = async |headers: &[(&str, &str)]| {
        let headers: Vec<_> = [&[("Accept", ALONE)], headers].concat();
        server.get_as(Role::ImagingIt, &path, &headers).await
    };
    let part = with(&[("Range", "bytes=128-131")]).await;
    assert_eq!((part.status, part.bytes()), (StatusCode::PARTIAL_CONTENT, &b"DICM"[..]));
    assert_eq!(part.header("content-range"), format!("bytes 128-131/{}", whole.len()));
    let beyond = with(&[("Range", "bytes=999999-")]).await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    let stale = with(&[("Range", "bytes=0-0"), ("If-Range", "\"other\"")]).await;
    assert_eq!((stale.status, stale.bytes()), (StatusCode::OK, &whole[..]));
    assert_eq!(with(&[("If-None-Match", &etag)]).await.status, StatusCode::NOT_MODIFIED);
    let head = test::TestRequest::default()
        .method(actix_web::http::Method::HEAD)
        .uri(&format!("/dicom-web{path}"))
        .insert_header(("Accept", ALONE));
    let head = server.send(Some(Actor::new("t", Role::ImagingIt)), head).await;
    assert_eq!(head.header("content-length"), whole.len().to_string());
}

#[actix_web::test]
async fn what_would_have_to_be_transcoded_is_refused_with_what_there_is() {
    let folder = folder();
    let server = Server::of(folder.path());
    for accept in [
        "multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2.4.90",
        "application/dicom; transfer-syntax=1.2.840.10008.1.2",
    ] {
        let reply = server.accepting(accept, &place(1, 1, 1)).await;
        assert_eq!(reply.status, StatusCode::NOT_ACCEPTABLE, "{accept}");
        assert_eq!(reply.header("content-type"), "application/problem+json");
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("transfer-syntax=1.2.840.10008.1.2.1`"), "{detail}");
    }
    for accept in ["image/jpeg", "multipart/related; type=\"application/dicom+xml\"", "*/*;q=0"] {
        let reply = server.accepting(accept, "/studies/1.2.1").await;
        assert_eq!(reply.status, StatusCode::NOT_ACCEPTABLE, "{accept}");
    }
    // A study alone is no single part.
    assert_eq!(server.accepting(ALONE, "/studies/1.2.1").await.status, StatusCode::NOT_ACCEPTABLE);
}

#[actix_web::test]
async fn files_that_vanished_or_changed_give_no_other_bytes() {
    let folder = folder();
    let server = Server::of(folder.path());
    let path = folder.path().join("1-1-1.dcm");
    let kept = fs::metadata(&path).unwrap().modified().unwrap();
    // Another instance in its place, of the same size and time: its UID is another.
    let whole = fs::read(&path).unwrap();
    let other = image(1, 1, 9).to_part_10().unwrap();
    assert_eq!(other.len(), whole.len());
    fs::write(&path, &other).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(kept).unwrap();
    let reply = server.accepting(ALONE, &place(1, 1, 1)).await;
    assert_eq!(reply.status, StatusCode::GONE);
    assert!(reply.json()["detail"].as_str().unwrap().contains("changed since it was ingested"));
    // Of another size.
    fs::write(&path, [&whole[..], b"\0\0"].concat()).unwrap();
    assert_eq!(server.get(&place(1, 1, 1)).await.status, StatusCode::GONE);
    fs::remove_file(&path).unwrap();
    let reply = server.get(&format!("{}/metadata", place(1, 1, 1))).await;
    assert_eq!(reply.status, StatusCode::GONE);
    assert!(reply.json()["detail"].as_str().unwrap().contains("no longer"));
    // The study goes without it, and says so.
    let study = server.get("/studies/1.2.1").await;
    assert_eq!((study.status, study.parts().len()), (StatusCode::PARTIAL_CONTENT, 3));
    assert!(study.header("warning").starts_with("299 "), "{}", study.header("warning"));
    let metadata = server.get("/studies/1.2.1/metadata").await;
    assert_eq!(metadata.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(metadata.json().as_array().unwrap().len(), 3);
    // Ingested again, the changed file is served again.
    fs::write(&path, &whole).unwrap();
    server.ingest(&mut Folder::in_process(folder.path()).unwrap());
    assert_eq!(server.accepting(ALONE, &place(1, 1, 1)).await.bytes(), whole);
}

#[actix_web::test]
async fn metadata_are_the_data_set_and_lead_to_its_large_values() {
    let folder = folder();
    let large = vec![7_u8; 3_000];
    let set = image(4, 1, 1).bytes("EncapsulatedDocument", &large);
    fs::write(folder.path().join("4.dcm"), set.to_part_10().unwrap()).unwrap();
    let server = Server::of(folder.path());
    let metadata = server.get("/studies/1.2.4/metadata").await;
    assert_eq!(metadata.header("content-type"), "application/dicom+json");
    let metadata = metadata.json();
    let one = &metadata[0];
    assert_eq!(one["00080005"], json!({"vr": "CS", "Value": ["ISO_IR 192"]}));
    assert_eq!(one["00100010"]["Value"][0]["Alphabetic"], "Synthétique^P1");
    assert_eq!(one["00081032"]["Value"][0]["00080100"]["Value"][0], "169069000");
    assert_eq!(one["00280010"], json!({"vr": "US", "Value": [2]}));
    assert_eq!(one["00200013"], json!({"vr": "IS", "Value": [1]}));
    assert!(one.get("00020010").is_none());
    let uri = |tag: &str| {
        let uri = one[tag]["BulkDataURI"].as_str().unwrap();
        uri.strip_prefix("https://imaging.example/dicom-web").unwrap().to_owned()
    };
    let bulk = server.get(&uri("00420011")).await;
    assert_eq!(
        (bulk.header("content-type"), bulk.bytes()),
        ("application/octet-stream", &large[..])
    );
    let range = [("Range", "bytes=2999-")];
    let last = server.get_as(Role::ImagingIt, &uri("00420011"), &range).await;
    assert_eq!((last.status, last.bytes()), (StatusCode::PARTIAL_CONTENT, &[7][..]));
    let pixels = server.accepting("multipart/related; type=\"*/*\"", &uri("7FE00010")).await;
    assert_eq!(pixels.parts()[0].1.len(), 16);
    for none in ["00100020/1/00100020", "99990010", "x", "0020000D/1"] {
        let reply = server.get(&format!("{}/bulkdata/{none}", place(4, 1, 1))).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{none}");
    }
    assert_eq!(
        server.accepting("application/dicom+xml", "/studies/1.2.4/metadata").await.status,
        StatusCode::NOT_ACCEPTABLE
    );
}

#[actix_web::test]
async fn frames_are_cut_out_and_pictures_are_rendered() {
    let folder = tempfile::tempdir().unwrap();
    let pixels: Vec<u8> = (0..16_u8).collect();
    let two = image(1, 1, 1)
        .number("NumberOfFrames", 2.0)
        .number("BitsAllocated", 8.0)
        .number("BitsStored", 8.0)
        .number("HighBit", 7.0)
        .bytes("PixelData", &pixels);
    fs::write(folder.path().join("a"), two.to_part_10().unwrap()).unwrap();
    let server = Server::of(folder.path());
    let path = place(1, 1, 1);
    let frames = server.get(&format!("{path}/frames/2,1")).await;
    let data: Vec<Vec<u8>> = frames.parts().into_iter().map(|(_, data)| data).collect();
    assert_eq!(data, [&pixels[8..], &pixels[..8]]);
    let alone = server.accepting("application/octet-stream", &format!("{path}/frames/2")).await;
    assert_eq!(alone.bytes(), &pixels[8..]);
    for (frames, status) in [("3", 404), ("0", 400), ("1,x", 400), ("1,9", 404)] {
        let reply = server.get(&format!("{path}/frames/{frames}")).await;
        assert_eq!(reply.status.as_u16(), status, "{frames}");
    }
    let jpeg = server.accepting("image/jpeg", &format!("{path}/rendered")).await;
    assert!(jpeg.bytes().starts_with(&[0xff, 0xd8]));
    let png = server.accepting("image/png", &format!("{path}/frames/2/rendered?window=8,8")).await;
    assert_eq!((png.header("content-type"), &png.bytes()[1..4]), ("image/png", &b"PNG"[..]));
    for (query, status) in
        [("window=1", 400), ("window=1,0", 400), ("viewport=1", 400), ("quality=0", 400)]
    {
        let reply = server.get(&format!("{path}/rendered?{query}")).await;
        assert_eq!(reply.status.as_u16(), status, "{query}");
    }
    assert_eq!(server.get("/studies/1.2.1/rendered").await.status, StatusCode::NOT_ACCEPTABLE);
}

#[actix_web::test]
async fn care_reads_and_nobody_else_of_an_archive_that_names_persons() {
    let folder = folder();
    let server = Server::of(folder.path());
    let path = place(1, 1, 1);
    for (role, status) in [
        (Role::Ehr, 200),
        (Role::ImagingIt, 200),
        (Role::Researcher, 403),
        (Role::Steward, 403),
        (Role::Admin, 403),
        (Role::Public, 403),
    ] {
        for path in [&path, "/studies?StudyInstanceUID=1.2.1", "/studies/9.9.9"] {
            let expected = if path.ends_with("9.9.9") && status == 200 { 404 } else { status };
            let reply = server.get_as(role, path, &[]).await;
            assert_eq!(reply.status.as_u16(), expected, "{role} {path}");
        }
    }
    let nobody = server.send(None, test::TestRequest::get().uri("/dicom-web/studies")).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert_eq!(nobody.header("www-authenticate"), "Bearer realm=\"vesalius\"");
    for (scopes, retrieve, search) in [
        ("system/ImagingStudy.r", 200, 403),
        ("system/ImagingStudy.s", 403, 200),
        ("system/*.rs", 200, 200),
        ("system/Patient.rs", 403, 403),
    ] {
        let actor = Actor::new("t", Role::ImagingIt).with_scopes(scopes);
        for (path, expected) in [(path.as_str(), retrieve), ("/series", search)] {
            let request = test::TestRequest::get().uri(&format!("/dicom-web{path}"));
            let reply = server.send(Some(actor.clone()), request).await;
            assert_eq!(reply.status.as_u16(), expected, "{scopes} {path}");
        }
    }
}

/// A store with hidden studies and one without them answer a researcher with the same bytes.
#[actix_web::test]
async fn a_hidden_study_is_one_that_does_not_exist() {
    let with = folder();
    let without = folder();
    for study in [1, 3] {
        for series in 1..=2 {
            for instance in 1..=2 {
                let name = format!("{study}-{series}-{instance}.dcm");
                fs::remove_file(without.path().join(name)).unwrap();
            }
        }
    }
    let servers = [with.path(), without.path()].map(|folder| {
        let server = Server::new(Identity::DeIdentified, &Credentials::None);
        server.ingest(&mut Folder::in_process(folder).unwrap());
        server.open(vec![Criteria::of(Facet::Sex, &["female"])]);
        server
    });
    let second = servers[0].get_as(Role::Researcher, "/studies/1.2.2", &[]).await;
    assert_eq!(second.status, StatusCode::OK);
    for path in [
        "/studies".to_owned(),
        "/instances?limit=3".to_owned(),
        "/studies?PatientID=P1".to_owned(),
        "/studies/1.2.1".to_owned(),
        "/studies/1.2.1/metadata".to_owned(),
        "/studies/1.2.1/series".to_owned(),
        format!("{}/frames/1", place(3, 1, 1)),
        format!("{}/rendered", place(3, 1, 1)),
    ] {
        let mut replies = Vec::new();
        for server in &servers {
            let reply = server.get_as(Role::Researcher, &path, &[]).await;
            replies.push((reply.status, reply.bytes.clone(), reply.header("warning").to_owned()));
        }
        assert_eq!(replies[0], replies[1], "{path}");
        assert!(matches!(replies[0].0.as_u16(), 200 | 404), "{path}");
    }
}

#[actix_web::test]
async fn a_researcher_reads_the_open_studies_of_a_de_identified_archive() {
    let folder = folder();
    let server = Server::new(Identity::DeIdentified, &Credentials::None);
    server.ingest(&mut Folder::in_process(folder.path()).unwrap());
    let status = async || server.get_as(Role::Researcher, "/studies/1.2.1", &[]).await.status;
    assert_eq!(status().await, StatusCode::NOT_FOUND);
    server.open(vec![Criteria::of(Facet::Year, &["2024"])]);
    assert_eq!(status().await, StatusCode::OK);
    let found: Value = server.get_as(Role::Researcher, "/studies", &[]).await.json();
    assert_eq!(found.as_array().unwrap().len(), 3);
}

#[actix_web::test]
async fn nothing_is_written() {
    let folder = folder();
    let server = Server::of(folder.path());
    for method in ["POST", "PUT", "DELETE"] {
        let request =
            test::TestRequest::default().method(method.parse().unwrap()).uri("/dicom-web/studies");
        let reply = server.send(Some(Actor::new("t", Role::ImagingIt)), request).await;
        assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(reply.header("allow"), "GET, HEAD");
    }
}

/// What older devices wrote without preamble gets one; a file of PS3.10 is what readers can read.
#[actix_web::test]
async fn a_data_set_alone_becomes_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let whole = image(1, 1, 1).to_part_10().unwrap();
    let begin =
        144 + usize::try_from(u32::from_le_bytes(whole[140..144].try_into().unwrap())).unwrap();
    fs::write(folder.path().join("bare"), &whole[begin..]).unwrap();
    fs::write(folder.path().join("cut"), &image(1, 1, 2).to_part_10().unwrap()[132..]).unwrap();
    let server = Server::of(folder.path());
    for instance in 1..=2 {
        let reply = server.accepting(ALONE, &place(1, 1, instance)).await;
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(&reply.bytes()[128..132], b"DICM");
        let again = tempfile::tempdir().unwrap();
        fs::write(again.path().join("a"), reply.bytes()).unwrap();
        let again = Server::of(again.path());
        let both = [&server, &again];
        let mut told = Vec::new();
        for server in both {
            told.push(server.get(&format!("{}/metadata", place(1, 1, instance))).await.json());
        }
        assert_eq!(told[0], told[1]);
    }
}

/// Readers are sent to the configured service; without one to this server, if it has images.
#[actix_web::test]
async fn the_endpoint_leads_to_where_the_images_are() {
    let address = |wado_url: &str, has_images: bool| {
        let mut config = Config::default();
        config.server.public_url = "https://imaging.example".to_owned();
        config.archive.wado_url = wado_url.to_owned();
        let context = Context::new(&config, b"key").unwrap().serving_images(has_images);
        let endpoint: Value = serde_json::from_slice(&render_endpoint(&context)).unwrap();
        endpoint["address"].as_str().unwrap().to_owned()
    };
    assert_eq!(address("", true), "https://imaging.example/dicom-web");
    assert_eq!(address("", false), "http://notspecified");
    assert_eq!(address("https://pacs.example/dw/", true), "https://pacs.example/dw");
}

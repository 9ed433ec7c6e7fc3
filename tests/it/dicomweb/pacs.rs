//! Studies of a PACS: its answers go through, and no more of them than the store knows.

use actix_web::dev::Service as _;
use actix_web::http::StatusCode;
use actix_web::{App, HttpMessage as _, test};
use serde_json::json;
use vesalius::actor::Role;
use vesalius::config::{Config, Identity};
use vesalius::dicom::{Outcome, Reader};
use vesalius::error::Result;
use vesalius::imaging::Record;
use vesalius::source::dicomweb::{Credentials, Settings, Through};
use vesalius::source::{Item, Journal, Sink, Source, Stamp};
use wiremock::matchers::{header, header_regex, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{Server, image, place};

/// What an ingest over DICOMweb would have left: instances 1 and 2 of a series.
struct Pacs(String);

fn record(instance: u32) -> Record {
    let file = image(1, 1, instance).to_part_10().unwrap();
    let Outcome::Record(record) = Reader::default().bytes(&file, "") else { panic!() };
    *record
}

impl Source for Pacs {
    fn kind(&self) -> &'static str {
        "dicomweb"
    }

    fn locator(&self) -> String {
        self.0.clone()
    }

    fn is_authoritative(&self) -> bool {
        true
    }

    fn read(&mut self, _: &dyn Journal, sink: &mut Sink<'_>) -> Result<()> {
        let records = [record(1), record(2)];
        let uids = records.iter().map(|r| r.instance.as_ref().unwrap().uid.clone()).collect();
        let study = records[0].study_uid.clone();
        for record in records {
            sink(Item::Record { record: Box::new(record), stamp: None })?;
        }
        sink(Item::Settled {
            origin: "studies/1.2.1".to_owned(),
            stamp: Stamp { size: 2, mark: 1 },
            inputs: 2,
            study: Some((study, uids)),
        })
    }
}

async fn served() -> (MockServer, Server) {
    let pacs = MockServer::start().await;
    let credentials = Credentials::Basic { user: "u".to_owned(), password: "p".to_owned() };
    let server = Server::new(Identity::Identified, &credentials);
    server.ingest(&mut Pacs(format!("{}/dw", pacs.uri())));
    (pacs, server)
}

fn multipart(parts: &[(&str, Vec<u8>)]) -> ResponseTemplate {
    let mut body = Vec::new();
    for (kind, data) in parts {
        let head = format!(
            "--frontier\r\nContent-Type: {kind}\r\nContent-Location: http://inside.example/secret\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(data);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--frontier--");
    ResponseTemplate::new(200)
        .insert_header("x-internal", "secret")
        .set_body_raw(body, "multipart/related; type=\"application/dicom\"; boundary=frontier")
}

async fn answer(pacs: &MockServer, at: &str, template: ResponseTemplate) {
    Mock::given(method("GET"))
        .and(path(format!("/dw{at}")))
        .and(header("authorization", "Basic dTpw"))
        .respond_with(template)
        .mount(pacs)
        .await;
}

#[actix_web::test]
async fn objects_go_through_but_not_those_of_others() {
    let (pacs, server) = served().await;
    let kind = "application/dicom; transfer-syntax=1.2.840.10008.1.2.1";
    let [one, two, other] = [1, 2, 3].map(|instance| image(1, 1, instance).to_part_10().unwrap());
    let stranger = image(7, 1, 1).to_part_10().unwrap();
    let parts = [(kind, one.clone()), (kind, stranger), (kind, two.clone()), (kind, other)];
    answer(&pacs, "/studies/1.2.1", multipart(&parts)).await;
    let reply = server.get("/studies/1.2.1").await;
    assert_eq!(reply.status, StatusCode::OK);
    let sent = reply.parts();
    let data: Vec<&[u8]> = sent.iter().map(|(_, data)| data.as_slice()).collect();
    assert_eq!(data, [&one[..], &two[..]]);
    let all = format!("{:?}{}", reply.headers, String::from_utf8_lossy(reply.bytes()));
    assert!(!all.contains("secret") && !all.contains("frontier"), "{all}");

    // Alone, whatever the server thinks of single parts.
    answer(&pacs, &place(1, 1, 2), multipart(&[(kind, two.clone())])).await;
    let alone = server.accepting("application/dicom", &place(1, 1, 2)).await;
    assert_eq!((alone.header("content-type"), alone.bytes()), (kind, &two[..]));
    // The server is asked for what the reader takes.
    Mock::given(path(format!("/dw{}", place(1, 1, 1))))
        .and(header_regex("accept", "transfer-syntax=1.2.840.10008.1.2.4.90"))
        .respond_with(ResponseTemplate::new(406))
        .mount(&pacs)
        .await;
    let accept =
        "multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2.4.90";
    let reply = server.accepting(accept, &place(1, 1, 1)).await;
    assert_eq!(reply.status, StatusCode::NOT_ACCEPTABLE);
}

#[actix_web::test]
async fn metadata_have_our_addresses() {
    let (pacs, server) = served().await;
    let set = |instance: &str, study: &str| {
        let path = format!("{}/dw/studies/{study}/series/1.2.1.1/instances/{instance}", pacs.uri());
        json!({
            "00080018": {"vr": "UI", "Value": [instance]},
            "00081190": {"vr": "UR", "Value": ["http://inside.example/"]},
            "0020000D": {"vr": "UI", "Value": [study]},
            "0020000E": {"vr": "UI", "Value": ["1.2.1.1"]},
            "7FE00010": {"vr": "OW", "BulkDataURI": format!("{path}/bulk/7fe00010")},
        })
    };
    let body =
        json!([set("1.2.1.1.1", "1.2.1"), set("1.2.1.1.1", "1.2.9"), set("1.2.1.1.9", "1.2.1")]);
    let template = ResponseTemplate::new(200)
        .set_body_raw(body.to_string().into_bytes(), "application/dicom+json");
    answer(&pacs, "/studies/1.2.1/metadata", template).await;
    let told = server.get("/studies/1.2.1/metadata").await.json();
    assert_eq!(told.as_array().unwrap().len(), 1);
    assert!(told[0].get("00081190").is_none());
    let uri = told[0]["7FE00010"]["BulkDataURI"].as_str().unwrap();
    let path = uri.strip_prefix("https://imaging.example/dicom-web").unwrap().to_owned();
    assert_eq!(path, format!("{}/bulkdata/bulk/7fe00010", place(1, 1, 1)));
    let template = ResponseTemplate::new(200).set_body_raw(vec![5; 16], "application/octet-stream");
    answer(&pacs, &format!("{}/bulk/7fe00010", place(1, 1, 1)), template).await;
    let bulk = server.accepting("application/octet-stream", &path).await;
    assert_eq!((bulk.status, bulk.bytes()), (StatusCode::OK, &[5; 16][..]));
}

#[actix_web::test]
async fn its_failures_are_ours_to_tell() {
    let (pacs, server) = served().await;
    for (theirs, ours) in [
        (404, 404),
        (400, 400),
        (401, 502),
        (403, 502),
        (500, 502),
        (503, 502),
        (504, 504),
        (302, 502),
    ] {
        pacs.reset().await;
        answer(&pacs, "/studies/1.2.1", ResponseTemplate::new(theirs)).await;
        let reply = server.get("/studies/1.2.1").await;
        assert_eq!(reply.status.as_u16(), ours, "{theirs}");
        assert_eq!(reply.header("content-type"), "application/problem+json");
    }
    // What is no multipart, and one that holds nothing of the study.
    pacs.reset().await;
    let page = ResponseTemplate::new(200).set_body_raw(b"<html>".to_vec(), "text/html");
    answer(&pacs, "/studies/1.2.1", page).await;
    assert_eq!(server.get("/studies/1.2.1").await.status, StatusCode::BAD_GATEWAY);
    pacs.reset().await;
    let stranger = image(7, 1, 1).to_part_10().unwrap();
    answer(&pacs, "/studies/1.2.1", multipart(&[("application/dicom", stranger)])).await;
    assert_eq!(server.get("/studies/1.2.1").await.status, StatusCode::NOT_FOUND);
    // An answer that breaks off after the first part breaks off here too.
    pacs.reset().await;
    let one = image(1, 1, 1).to_part_10().unwrap();
    let mut cut = b"--x\r\nContent-Type: application/dicom\r\n\r\n".to_vec();
    cut.extend_from_slice(&one);
    let template = ResponseTemplate::new(200).set_body_raw(cut, "multipart/related; boundary=x");
    answer(&pacs, "/studies/1.2.1", template).await;
    assert!(server.get("/studies/1.2.1").await.bytes.is_none());
}

#[actix_web::test]
async fn nobody_reaches_the_pacs_who_may_not_read_the_study() {
    let (pacs, server) = served().await;
    for (role, path, status) in [
        (Role::Steward, "/studies/1.2.1", 403),
        (Role::Researcher, "/studies/1.2.1", 403),
        (Role::ImagingIt, "/studies/1.2.7", 404),
        (Role::ImagingIt, "/studies/1.2.1/series/1.2.7", 404),
        (Role::ImagingIt, "/studies/1.2.1/series/1.2.1.1/instances/1.2.1.1.3", 404),
        (Role::ImagingIt, "/studies/1.2.1/series/1.2.1.1/instances/1.2.1.1.1/frames/2", 404),
    ] {
        assert_eq!(server.get_as(role, path, &[]).await.status.as_u16(), status, "{path}");
    }
    assert!(pacs.received_requests().await.unwrap().is_empty());
    // A server that is not there.
    let server = Server::new(Identity::Identified, &Credentials::None);
    server.ingest(&mut Pacs("http://127.0.0.1:9/dw".to_owned()));
    assert_eq!(server.get("/studies/1.2.1").await.status, StatusCode::BAD_GATEWAY);
}

const PDF: &[u8] = b"%PDF-1.4 synthetic";

fn report(study: u32) -> vesalius::dicom::write::DataSet {
    image(study, 1, 1)
        .text("SOPClassUID", "1.2.840.10008.5.1.4.1.1.104.1")
        .text("Modality", "DOC")
        .text("MIMETypeOfEncapsulatedDocument", "application/pdf")
        .number("EncapsulatedDocumentLength", f64::from(u32::try_from(PDF.len()).unwrap()))
        .bytes("EncapsulatedDocument", PDF)
}

/// The same ingest of a report whose document stayed with the PACS.
struct Reports(String);

impl Source for Reports {
    fn kind(&self) -> &'static str {
        "dicomweb"
    }

    fn locator(&self) -> String {
        self.0.clone()
    }

    fn is_authoritative(&self) -> bool {
        true
    }

    fn read(&mut self, _: &dyn Journal, sink: &mut Sink<'_>) -> Result<()> {
        let file = report(1).to_part_10().unwrap();
        let Outcome::Record(mut record) = Reader::default().bytes(&file, "") else { panic!() };
        record.report.as_mut().unwrap().document.as_mut().unwrap().offset = None;
        let (study, uid) =
            (record.study_uid.clone(), record.instance.as_ref().unwrap().uid.clone());
        sink(Item::Record { record, stamp: None })?;
        sink(Item::Settled {
            origin: "studies/1.2.1".to_owned(),
            stamp: Stamp { size: 1, mark: 1 },
            inputs: 1,
            study: Some((study, vec![uid])),
        })
    }
}

#[actix_web::test]
async fn the_document_of_a_report_is_fetched_when_it_is_asked_for() {
    let pacs = MockServer::start().await;
    let credentials = Credentials::Basic { user: "u".to_owned(), password: "p".to_owned() };
    let server = Server::new(Identity::Identified, &credentials);
    server.ingest(&mut Reports(format!("{}/dw", pacs.uri())));
    let through = Through::new(&Settings::from(&Config::default().ingest), &credentials).unwrap();
    let facade = vesalius::fhir::State::new(
        &Config::default(),
        server.store.clone(),
        std::sync::Arc::clone(&server.index),
        server.context.clone(),
    );
    let facade = actix_web::web::Data::new(facade.unwrap().with_pacs(through));
    let ask = async |role: Role, path: &str| {
        let actor = vesalius::actor::Actor::new("test", role);
        let app = test::init_service(
            App::new()
                .app_data(facade.clone())
                .wrap_fn(move |request, next| {
                    request.extensions_mut().insert(actor.clone());
                    next.call(request)
                })
                .configure(vesalius::fhir::routes),
        )
        .await;
        let request = test::TestRequest::get().uri(path).insert_header(("Accept", "*/*"));
        let response = test::call_service(&app, request.to_request()).await;
        (response.status(), test::read_body(response).await.to_vec())
    };
    let (status, found) = ask(Role::ImagingIt, "/fhir/DiagnosticReport").await;
    assert_eq!(status, StatusCode::OK);
    let found: serde_json::Value = serde_json::from_slice(&found).unwrap();
    let url = found["entry"][0]["resource"]["presentedForm"][0]["url"].as_str().unwrap();
    let path = &url[url.find("/fhir/").unwrap()..];
    // The PACS does not answer, answers with something else, and with the document.
    for (template, status) in [
        (ResponseTemplate::new(500), StatusCode::BAD_GATEWAY),
        (ResponseTemplate::new(404), StatusCode::NOT_FOUND),
        (
            multipart(&[("application/dicom", report(7).to_part_10().unwrap())]),
            StatusCode::BAD_GATEWAY,
        ),
        (multipart(&[("application/dicom", b"nothing".to_vec())]), StatusCode::BAD_GATEWAY),
        (multipart(&[("application/dicom", report(1).to_part_10().unwrap())]), StatusCode::OK),
    ] {
        pacs.reset().await;
        answer(&pacs, &place(1, 1, 1), template).await;
        let (told, body) = ask(Role::ImagingIt, path).await;
        assert_eq!(told, status, "{}", String::from_utf8_lossy(&body));
        if status == StatusCode::OK {
            assert_eq!(body, PDF);
        } else {
            assert!(String::from_utf8_lossy(&body).contains("OperationOutcome"));
        }
    }
    // Nobody else asks the PACS for it.
    pacs.reset().await;
    assert_eq!(ask(Role::Researcher, path).await.0, StatusCode::NOT_FOUND);
    assert!(pacs.received_requests().await.unwrap().is_empty());
}

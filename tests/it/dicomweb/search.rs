//! QIDO-RS over the folder's three studies.

use actix_web::http::StatusCode;
use serde_json::Value;
use vesalius::actor::Role;

use super::{Server, folder};

fn column(rows: &Value, tag: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    rows.as_array().unwrap().iter().map(|row| text(&row[tag]["Value"][0])).collect()
}

#[actix_web::test]
async fn studies_are_found_by_what_they_say() {
    let folder = folder();
    let server = Server::of(folder.path());
    for (query, studies) in [
        ("", "123"),
        ("StudyDate=20240102", "2"),
        ("StudyDate=20240102-", "23"),
        ("StudyDate=-20240102", "12"),
        ("StudyDate=20240102-20240102&StudyTime=10-11", "2"),
        ("StudyTime=1200-", ""),
        ("AccessionNumber=A3", "3"),
        ("00080050=A*", "123"),
        ("PatientID=P1", "1"),
        ("PatientID=P?", "123"),
        ("PatientName=synthetique%5EP2", "2"),
        ("PatientName=Synth*", "123"),
        ("PatientName=nobody", ""),
        ("ModalitiesInStudy=CT", "123"),
        ("ModalitiesInStudy=MG,MR", "123"),
        ("ModalitiesInStudy=MG", ""),
        ("StudyInstanceUID=1.2.1,1.2.3,1.9", "13"),
        ("StudyInstanceUID=1.2.1%5C1.2.3", "13"),
        ("StudyID=2&PatientID=P2", "2"),
        ("StudyID=2&PatientID=P1", ""),
        ("StudyDate=", "123"),
        ("limit=2", "12"),
        ("limit=2&offset=2", "3"),
        ("limit=0", ""),
        ("offset=9", ""),
        ("SOPClassesInStudy=1.2.840.10008.5.1.4.1.1.2", "123"),
    ] {
        let reply = server.get(&format!("/studies?{query}")).await;
        assert_eq!(reply.status, StatusCode::OK, "{query}");
        let found: String = column(&reply.json(), "0020000D").join("").replace("1.2.", "");
        assert_eq!(found, studies, "{query}");
    }
    for wrong in [
        "StudyDate=2024",
        "StudyDate=a-b",
        "limit=-1",
        "offset=x",
        "NoSuchAttribute=1",
        "includefield=NoSuchAttribute",
        "StudyInstanceUID=../x",
        "fuzzymatching=maybe",
        "a.b.c=1",
        "PatientName=%ff",
    ] {
        let reply = server.get(&format!("/studies?{wrong}")).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{wrong}");
        assert_eq!(reply.header("content-type"), "application/problem+json");
    }
}

#[actix_web::test]
async fn each_level_returns_its_own_attributes() {
    let folder = folder();
    let server = Server::of(folder.path());
    let study = &server.get("/studies?limit=1").await.json()[0];
    assert_eq!(study["00080061"]["Value"], serde_json::json!(["CT", "MR"]));
    assert_eq!(study["00201206"]["Value"][0], 2);
    assert_eq!(study["00201208"]["Value"][0], 4);
    assert_eq!(study["00080056"]["Value"][0], "ONLINE");
    let url = &study["00081190"]["Value"][0];
    assert_eq!(url, "https://imaging.example/dicom-web/studies/1.2.1");
    assert!(study.get("00081030").is_none());

    let series = server.get("/studies/1.2.2/series").await.json();
    assert_eq!(column(&series, "0020000E"), ["1.2.2.1", "1.2.2.2"]);
    assert_eq!(column(&series, "00201209"), ["2", "2"]);
    assert!(series[0].get("00100020").is_none(), "the path names the study");
    let all = server.get("/series?Modality=MR").await.json();
    assert_eq!(column(&all, "0020000E"), ["1.2.1.2", "1.2.2.2", "1.2.3.2"]);
    assert_eq!(column(&all, "00100020"), ["P1", "P2", "P0"]);

    let of_series = server.get("/studies/1.2.2/series/1.2.2.1/instances").await.json();
    assert_eq!(column(&of_series, "00080018"), ["1.2.2.1.1", "1.2.2.1.2"]);
    assert_eq!(of_series[0]["00280010"]["Value"][0], 2);
    let one = server.get("/instances?SOPInstanceUID=1.2.3.1.2").await.json();
    assert_eq!(column(&one, "0020000D"), ["1.2.3"]);
    let second = server.get("/studies/1.2.2/instances?InstanceNumber=2").await.json();
    assert_eq!(column(&second, "00080018"), ["1.2.2.1.2", "1.2.2.2.2"]);

    let more = server.get("/studies?limit=1&includefield=ProcedureCodeSequence,00080060").await;
    let code = &more.json()[0]["00081032"]["Value"][0]["00080100"]["Value"][0];
    assert_eq!(code, "169069000");
    for (path, status) in [
        ("/studies/9.9/series", 404),
        ("/studies/1.2.1/series/9.9/instances", 404),
        ("/studies/1.2.1/series/1.2.2.1/instances", 404),
    ] {
        assert_eq!(server.get(path).await.status.as_u16(), status, "{path}");
    }
}

#[actix_web::test]
async fn what_is_not_supported_and_what_is_left_is_told() {
    let folder = folder();
    let server = Server::of(folder.path());
    for (query, told) in [
        ("fuzzymatching=true", "fuzzymatching parameter is not supported"),
        ("limit=1", "additional results"),
        ("limit=999999", "limit is at most"),
        ("PerformedProcedureStepStartDate=20240101", "PerformedProcedureStepStartDate is not"),
        ("SOPInstanceUID=1.2", "SOPInstanceUID is not matched"),
    ] {
        let reply = server.get(&format!("/studies?{query}")).await;
        assert_eq!(reply.status, StatusCode::OK, "{query}");
        assert!(reply.header("warning").contains(told), "{query}: {}", reply.header("warning"));
    }
    assert_eq!(server.get("/studies?fuzzymatching=false").await.header("warning"), "");
    let nothing = server.get("/studies?PatientID=nobody").await;
    assert_eq!((nothing.status, nothing.bytes()), (StatusCode::OK, &b"[]"[..]));
}

#[actix_web::test]
async fn the_role_ehr_is_told_of_one_patient_at_a_time() {
    let folder = folder();
    let server = Server::of(folder.path());
    for (query, status) in [
        ("/studies", 403),
        ("/studies?limit=1", 403),
        ("/studies?PatientName=Synth*", 403),
        ("/studies?PatientID=P1", 200),
        ("/studies?StudyTime=10-11&StudyDate=20240102", 200),
        ("/studies?PatientID=nobody", 200),
        ("/instances?SOPInstanceUID=1.2.1.1.1", 200),
        ("/studies/1.2.1/series", 200),
    ] {
        let reply = server.get_as(Role::Ehr, query, &[]).await;
        assert_eq!(reply.status.as_u16(), status, "{query}");
    }
}

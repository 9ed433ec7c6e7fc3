//! Subscriptions: who may, what is refused, and that every change that answers the criteria
//! reaches its receiver.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use vesalius::actor::{Actor, Role};

use super::server::{Reply, Server, archive};

/// A request that arrived.
#[derive(Clone, Debug)]
struct Notice {
    line: String,
    headers: String,
    body: Vec<u8>,
}

/// A receiver on this machine that answers with a status of the test's choice.
struct Receiver {
    address: String,
    status: Arc<AtomicU16>,
    notices: Arc<Mutex<Vec<Notice>>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/hook", listener.local_addr().unwrap());
        let status = Arc::new(AtomicU16::new(200));
        let notices = Arc::new(Mutex::new(Vec::new()));
        let (answer, into) = (Arc::clone(&status), Arc::clone(&notices));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let mut headers = String::new();
                while reader.read_line(&mut headers).unwrap() > 2 {}
                let length = headers
                    .lines()
                    .filter_map(|line| line.split_once(": "))
                    .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                    .map_or(0, |(_, length)| length.parse().unwrap());
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                let status = answer.load(Ordering::Relaxed);
                into.lock().unwrap().push(Notice { line, headers, body });
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nContent-Length: 0\r\nLocation: {}\r\nConnection: close\r\n\r\n",
                    "http://127.0.0.1:1/elsewhere"
                );
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { address, status, notices }
    }

    fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    fn take(&self) -> Vec<Notice> {
        std::mem::take(&mut self.notices.lock().unwrap())
    }
}

fn server(studies: usize) -> Server {
    Server::new(archive(studies, 7), |config| {
        config.subscriptions.allow_http = true;
        config.subscriptions.allow_private = true;
    })
}

fn subscription(criteria: &str, endpoint: &str) -> Value {
    json!({
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "the screening unit reads new mammograms",
        "criteria": criteria,
        "channel": {
            "type": "rest-hook",
            "endpoint": endpoint,
            "payload": "application/fhir+json",
            "header": ["Authorization: Bearer of the receiver"],
        },
    })
}

fn post(body: &Value) -> TestRequest {
    TestRequest::post()
        .uri("/fhir/Subscription")
        .insert_header(("Content-Type", "application/fhir+json"))
        .set_payload(body.to_string())
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.bytes).into_owned()
}

fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

impl Server {
    async fn subscribe(&self, body: &Value) -> String {
        let reply = self.send(Some(Role::ImagingIt), post(body)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{}", text(&reply));
        assert_eq!(reply.json()["status"], "requested");
        reply.header("location").strip_prefix("https://imaging.example").unwrap().to_owned()
    }

    async fn subscription(&self, path: &str) -> Value {
        self.get(Role::ImagingIt, path).await.json()
    }

    /// Serves what is due, away from the runtime of the test.
    fn deliver(&self, now: i64) {
        let state = self.state();
        std::thread::spawn(move || state.deliver(now, &AtomicBool::new(false)).unwrap())
            .join()
            .unwrap();
    }

    async fn ids(&self, query: &str) -> BTreeSet<String> {
        let found = self.all(&format!("/fhir/ImagingStudy?_count=100&{query}")).await;
        found.iter().map(|study| study["id"].as_str().unwrap().to_owned()).collect()
    }
}

/// The ids of the studies that notices brought.
fn brought(notices: &[Notice]) -> BTreeSet<String> {
    notices
        .iter()
        .map(|notice| {
            let rest = notice.line.strip_prefix("PUT /hook/ImagingStudy/").unwrap();
            let id = rest.split(' ').next().unwrap().to_owned();
            let study: Value = serde_json::from_slice(&notice.body).unwrap();
            assert_eq!(study["id"], id.as_str());
            let headers = notice.headers.to_ascii_lowercase();
            assert!(headers.contains("content-type: application/fhir+json"), "{headers}");
            assert!(headers.contains("authorization: bearer of the receiver"), "{headers}");
            id
        })
        .collect()
}

#[actix_web::test]
async fn a_new_study_reaches_exactly_the_subscriptions_that_it_answers() {
    let server = server(60);
    let (all, mg, none) = (Receiver::start(), Receiver::start(), Receiver::start());
    let of_mg = server.subscribe(&subscription("ImagingStudy?modality=MG", &mg.address)).await;
    server.subscribe(&subscription("ImagingStudy", &all.address)).await;
    server.subscribe(&subscription("ImagingStudy?modality=XYZ", &none.address)).await;
    server.deliver(now());
    // The greeting, and nothing of what was there before.
    for receiver in [&all, &mg, &none] {
        let notices = receiver.take();
        assert_eq!(notices.len(), 1);
        assert!(notices[0].line.starts_with("POST /hook ") && notices[0].body.is_empty());
    }
    assert_eq!(server.subscription(&of_mg).await["status"], "active");
    let before = server.ids("").await;
    let mg_before = server.ids("modality=MG").await;
    server.ingest(archive(90, 7), 1_763_000_100_000_000);
    server.deliver(now());
    let came = |after: &BTreeSet<String>, before: &BTreeSet<String>| -> BTreeSet<String> {
        after.difference(before).cloned().collect()
    };
    let after = server.ids("").await;
    let new_mg = came(&server.ids("modality=MG").await, &mg_before);
    assert!(!new_mg.is_empty());
    assert_eq!(brought(&all.take()), came(&after, &before));
    assert_eq!(brought(&mg.take()), new_mg);
    assert!(none.take().is_empty());
    server.deliver(now());
    assert!(all.take().is_empty(), "told twice");
}

#[actix_web::test]
async fn what_a_receiver_missed_comes_after_a_restart_and_nothing_is_lost() {
    let server = server(40);
    let receiver = Receiver::start();
    let path = server.subscribe(&subscription("ImagingStudy", &receiver.address)).await;
    server.deliver(now());
    receiver.take();
    let before = server.ids("").await;
    receiver.answer(503);
    server.ingest(archive(60, 7), 1_763_000_100_000_000);
    let then = now();
    server.deliver(then);
    let tried = receiver.take();
    assert_eq!(tried.len(), 1, "the feed is not followed past a failure");
    let shown = server.subscription(&path).await;
    assert_eq!(shown["status"], "error");
    assert!(shown["error"].as_str().unwrap().contains("503"), "{shown}");
    // Not at once again.
    server.deliver(then + 1);
    assert!(receiver.take().is_empty());
    let server = server.restart();
    server.ingest(archive(70, 7), 1_763_000_200_000_000);
    // A redirect is not followed, and is no success.
    receiver.answer(307);
    server.deliver(then + 3_600_000_000);
    assert_eq!(receiver.take().len(), 1);
    receiver.answer(204);
    server.deliver(then + 7_200_000_000);
    let after = server.ids("").await;
    assert_eq!(brought(&receiver.take()), after.difference(&before).cloned().collect());
    let shown = server.subscription(&path).await;
    assert_eq!(shown["status"], "active");
    assert!(shown.get("error").is_none());
}

#[actix_web::test]
async fn a_subscription_rests_ends_and_is_deleted() {
    let server = server(20);
    let receiver = Receiver::start();
    let mut body = subscription("ImagingStudy", &receiver.address);
    body["end"] = "2100-01-01T00:00:00Z".into();
    let path = server.subscribe(&body).await;
    server.deliver(now());
    assert_eq!(receiver.take().len(), 1);
    // Off: nothing is sent, not even later.
    let put = |body: &Value| {
        TestRequest::put()
            .uri(&path)
            .insert_header(("Content-Type", "application/fhir+json"))
            .set_payload(body.to_string())
    };
    body["id"] = path.rsplit('/').next().unwrap().into();
    body["status"] = "off".into();
    let stale = put(&body).insert_header(("If-Match", "W/\"1\""));
    let reply = server.send(Some(Role::ImagingIt), stale).await;
    assert_eq!(reply.status, StatusCode::PRECONDITION_FAILED, "{}", text(&reply));
    let reply = server.send(Some(Role::ImagingIt), put(&body)).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", text(&reply));
    server.ingest(archive(25, 7), 1_763_000_100_000_000);
    server.deliver(now());
    assert!(receiver.take().is_empty());
    // On again: from then.
    body["status"] = "requested".into();
    assert_eq!(server.send(Some(Role::ImagingIt), put(&body)).await.status, StatusCode::OK);
    server.deliver(now());
    assert_eq!(receiver.take().len(), 1, "the greeting alone");
    // Its end comes.
    server.ingest(archive(30, 7), 1_763_000_200_000_000);
    let end: jiff::Timestamp = "2100-01-01T00:00:00Z".parse().unwrap();
    server.deliver(end.as_microsecond());
    assert!(receiver.take().is_empty());
    assert_eq!(server.subscription(&path).await["status"], "off");
    let delete = || TestRequest::delete().uri(&path);
    assert_eq!(server.send(Some(Role::ImagingIt), delete()).await.status, StatusCode::NO_CONTENT);
    assert_eq!(server.get(Role::ImagingIt, &path).await.status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn what_cannot_be_served_is_refused_with_the_element() {
    let server = Server::new(archive(5, 7), |config| config.subscriptions.most = 1);
    let good = subscription("ImagingStudy", "https://receiver.example/hook");
    for (pointer, value, element) in [
        ("/criteria", json!("Observation?code=1"), "criteria"),
        ("/criteria", json!("ImagingStudy?colour=red"), "criteria"),
        ("/criteria", json!("ImagingStudy?_count=1"), "criteria"),
        ("/criteria", json!("ImagingStudy?_include=ImagingStudy:patient"), "criteria"),
        ("/channel/type", json!("email"), "channel.type"),
        ("/channel/payload", json!("text/plain"), "channel.payload"),
        ("/channel/endpoint", json!("http://receiver.example/"), "channel.endpoint"),
        ("/channel/endpoint", json!("https://127.0.0.1/"), "channel.endpoint"),
        ("/channel/endpoint", json!("https://169.254.169.254/latest"), "channel.endpoint"),
        ("/channel/endpoint", json!("hook"), "channel.endpoint"),
        ("/channel/header", json!(["Host: inside"]), "channel.header"),
        ("/status", json!("active"), "status"),
        ("/reason", json!(""), "reason"),
        ("/reason", json!(7), "Subscription"),
    ] {
        let mut body = good.clone();
        *body.pointer_mut(pointer).unwrap() = value.clone();
        let reply = server.send(Some(Role::ImagingIt), post(&body)).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{pointer} {value}");
        let told = reply.json()["issue"][0]["diagnostics"].as_str().unwrap().to_owned();
        assert!(told.contains(element), "{told}");
    }
    // What this server does not use is held to R4, too: it is served as it came.
    for (name, value, place) in [
        ("colour", json!("red"), "colour"),
        (
            "contact",
            json!([{ "system": "pigeon", "value": "x" }]),
            "Subscription.contact[0].system",
        ),
        ("contact", json!([{ "value": "x" }]), "Subscription.contact[0]"),
        ("extension", json!([{ "url": "https://x.example", "value": 1 }]), "extension[0]"),
        ("end", json!("2100"), "Subscription.end"),
    ] {
        let mut body = good.clone();
        body[name] = value;
        let reply = server.send(Some(Role::ImagingIt), post(&body)).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", text(&reply));
        assert!(text(&reply).contains(place), "{place}: {}", text(&reply));
    }
    for role in [Role::Ehr, Role::Researcher, Role::Steward] {
        assert_eq!(server.send(Some(role), post(&good)).await.status, StatusCode::FORBIDDEN);
        let reply = server.get(role, "/fhir/Subscription").await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN);
    }
    let narrow = Actor::new("x", Role::ImagingIt).with_scopes("system/Patient.rs");
    let reply = server.send_as(Some(narrow), None, post(&good)).await;
    assert_eq!(reply.status, StatusCode::FORBIDDEN);
    let path = server.subscribe(&good).await;
    let reply = server.send(Some(Role::ImagingIt), post(&good)).await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    // Others see that it is there, and not what its headers hold.
    let other = Actor::new("somebody else", Role::ImagingIt);
    let reply = server
        .send_as(Some(other), None, TestRequest::get().uri("/fhir/Subscription?status=requested"))
        .await;
    let bundle = reply.json();
    assert_eq!(bundle["total"], 1);
    assert_eq!(bundle["entry"][0]["resource"]["channel"]["header"][0], "Authorization: …");
    let xml = TestRequest::get().uri(&path).insert_header(("Accept", "application/fhir+xml"));
    let reply = server.send(Some(Role::ImagingIt), xml).await;
    assert!(text(&reply).contains("<Subscription xmlns=\"http://hl7.org/fhir\">"));
}

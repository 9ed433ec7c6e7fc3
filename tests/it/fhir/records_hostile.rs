//! What hostile clients write and ask: refused or bounded, never a fault of ours.

use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use vesalius::actor::Role;

use super::records::{Client, writer};
use super::server::{Server, archive};

const PAYLOADS: &[&str] = &[
    "<script>alert(1)</script>",
    "<svg onload=alert(1)>",
    "<img src=x onerror=alert(1)>",
    "<math><mtext></mtext><mglyph></math>",
    "<a href=\"javascript:alert(1)\">x</a>",
    "<iframe src=\"//x\"></iframe>",
    "<form action=\"//x\"></form>",
    "<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]>&a;",
    "<![CDATA[<script>1</script>]]>",
    "<p onclick=\"x()\">x</p>",
    "<object data=\"x\"></object>",
];

const WORDS: &[&str] = &[
    "'",
    "''",
    "\"",
    "`",
    ";",
    "--",
    "/*",
    "%27%20OR%201=1--",
    "%27;DROP%20TABLE%20record;--",
    "$where",
    "{$ne:1}",
    "%2e%2e%2f",
    "..%2f..",
    "%00",
    "%0d%0a",
    "*",
    "?",
    "(((((",
    "[a-z]+$",
    "(a%2B)%2B$",
    "%7C",
    "%7C%7C%7C",
    "%5C",
    "%5C,",
    ",",
    ",,,",
    "__proto__",
    "constructor",
    "%F0%9F%92%A9",
    "%FF",
    "%E2%80%AE",
    "1e999",
    "-1",
    "NaN",
    "0x10",
    "99999999999999999999",
    "9999-12-31",
    "0000-00-00",
    "2024-02-30",
    "ge",
    "Patient/",
    "Patient/../x",
    "urn:uuid:",
    "http://",
    "https://imaging.example/fhir/",
    "%3Cscript%3E",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "SELECT%20*%20FROM%20record",
    "?x%20a%20?y",
];

#[actix_web::test]
async fn bodies_of_strangers_are_refused_and_nothing_breaks() {
    let server = Server::new(archive(5, 3), |_| ());
    let care = Client(&server, writer(Role::ImagingIt));
    let wrapped = |depth: usize| {
        format!("{{\"resourceType\":\"Basic\",\"x\":{}1{}}}", "[".repeat(depth), "]".repeat(depth))
    };
    let entries = |count: usize| {
        let entry = r#"{"request":{"method":"GET","url":"Patient"}}"#;
        format!(
            "{{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[{}]}}",
            vec![entry; count].join(",")
        )
    };
    let mut bodies: Vec<String> = vec![
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "1".to_owned(),
        "\"x\"".to_owned(),
        "{}".to_owned(),
        "\u{feff}{}".to_owned(),
        "{\"resourceType\":null}".to_owned(),
        "{\"resourceType\":[\"Basic\"]}".to_owned(),
        "{\"resourceType\":\"Basic\",\"resourceType\":\"Patient\"}".to_owned(),
        "{\"resourceType\":\"Basic\",\"__proto__\":{\"x\":1}}".to_owned(),
        "{\"resourceType\":\"Basic\",\"code\":{\"text\":\"x\"},\"id\":7}".to_owned(),
        "{\"resourceType\":\"Basic\",\"code\":{\"text\":\"x\"},\"meta\":7}".to_owned(),
        "{\"resourceType\":\"Basic\",\"code\":{\"text\":\"x\"},\"meta\":{\"tag\":[{\"code\":\"\\u0000\"}]}}".to_owned(),
        format!("{{\"resourceType\":\"Basic\",\"x\":{}}}", "9".repeat(10_000)),
        "{\"resourceType\":\"Basic\",\"x\":1e400}".to_owned(),
        "{\"resourceType\":\"Basic\",\"x\":\"\\ud800\"}".to_owned(),
        wrapped(60),
        wrapped(65),
        wrapped(10_000),
        wrapped(1_000_000),
        entries(2_001),
        entries(200_000),
        "{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":7}".to_owned(),
        "{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[7,null,[]]}".to_owned(),
        "{\"resourceType\":\"Bundle\",\"type\":[\"batch\"]}".to_owned(),
        "{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[{\"request\":{\"method\":\"GET\",\"url\":\"../../etc\"}},{\"request\":{\"method\":\"GET\",\"url\":\"Patient/$everything/x/y\"}},{\"request\":{\"method\":\"GET\",\"url\":\"\"}},{\"request\":{\"method\":\"POST\",\"url\":\"Bundle/$validate\"}}]}".to_owned(),
    ];
    for payload in PAYLOADS {
        let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{payload}</div>");
        bodies.push(
            json!({
                "resourceType": "Basic", "code": { "text": "x" },
                "text": { "status": "generated", "div": div },
            })
            .to_string(),
        );
    }
    for (at, body) in bodies.iter().enumerate() {
        for (method, path) in [
            (Method::POST, "/Basic"),
            (Method::PUT, "/Basic/a"),
            (Method::PUT, "/Basic?code=x"),
            (Method::POST, ""),
            (Method::POST, "/Bundle"),
            (Method::POST, "/Basic/$validate"),
        ] {
            let started = Instant::now();
            let reply = care.ask(method.clone(), path, body.clone()).await;
            let status = reply.status.as_u16();
            let what = format!("{method} {path} {at} {:.80}", body);
            assert!(status < 500, "{what}: {status}");
            // What hangs; a slow machine is not meant.
            assert!(started.elapsed() < Duration::from_secs(120), "{what}");
            if at >= bodies.len() - PAYLOADS.len() && path == "/Basic" {
                assert_eq!(status, 422, "{what}: a narrative that runs");
            }
        }
    }
    // References that lead in a circle are followed a few times, not for ever.
    let circle = |of: &str, to: &str| {
        json!({
            "resourceType": "Observation", "id": of, "status": "final", "code": { "text": "x" },
            "hasMember": [{ "reference": format!("Observation/{to}") }],
        })
    };
    care.put("/Observation/a", &circle("a", "b")).await;
    care.put("/Observation/b", &circle("b", "a")).await;
    let path = "/Observation?_id=a&_include:iterate=Observation:has-member\
                &_revinclude:iterate=Observation:has-member&_include=*";
    let reply = care.get(path).await;
    let bundle: Value = serde_json::from_slice(&reply.bytes).unwrap();
    assert_eq!(bundle["entry"].as_array().unwrap().len(), 2);
}

#[actix_web::test]
async fn questions_of_strangers_are_refused_or_bounded() {
    let server = Server::new(archive(5, 3), |_| ());
    let care = Client(&server, writer(Role::ImagingIt));
    let statement: Value = serde_json::from_slice(&care.get("/metadata").await.bytes).unwrap();
    let mut asked = 0;
    for resource in statement["rest"][0]["resource"].as_array().unwrap() {
        let kind = resource["type"].as_str().unwrap();
        let names: Vec<&str> = resource["searchParam"]
            .as_array()
            .unwrap()
            .iter()
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        for (at, name) in names.iter().enumerate() {
            // Each parameter meets some of the words; all words meet each type.
            for word in WORDS.iter().skip(at % 8).step_by(8) {
                for modifier in
                    ["", ":not", ":missing", ":identifier", ":Patient", ".x", ".identifier"]
                {
                    let word: String = word
                        .chars()
                        .map(|letter| match letter {
                            ' ' | '"' | '`' | '{' | '}' | '<' | '>' | '\\' | '^' | '|' => {
                                format!("%{:02X}", u32::from(letter))
                            }
                            other => other.to_string(),
                        })
                        .collect();
                    let path = format!("/fhir/{kind}?{name}{modifier}={word}");
                    let reply = care.send(TestRequest::get().uri(&path)).await;
                    assert!(reply.status.as_u16() < 500, "{path}: {}", reply.status);
                    asked += 1;
                }
            }
        }
    }
    let many = format!("/Observation?code={}", vec!["a"; 10_000].join(","));
    let includes = format!("/Observation?{}", "_include=*&".repeat(1_000));
    for path in [
        many.as_str(),
        &includes,
        "/Observation?_count=1000000000",
        "/Observation?_filter=code%20eq%20x",
        "/Observation?_has:Observation:has-member:code=x",
        "/Observation?_query=x",
        "/Observation?_text=x",
        "/Observation?has-member.has-member.has-member.has-member.has-member.code=x",
        "/Observation?has-member.has-member.has-member.code=x",
        "/Observation?_cursor=x",
        "/Observation/_history?_cursor=x",
        "/Observation/a/_history/1?x=y",
        "/_history?_since=yesterday",
    ] {
        let reply = care.get(path).await;
        assert!(reply.status.as_u16() < 500, "{path:.80}: {}", reply.status);
    }
    assert!(asked > 2_000, "{asked}");
}

//! `/openapi.json` says every address that is routed, and no other.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use actix_web::dev::Service as _;
use actix_web::{App, test};
use serde_json::Value;
use vesalius::actor::Role;

use super::Served;

/// Below these one function reads the address by its tables.
const READ_BY_TABLE: [&str; 2] = ["/fhir", "/dicom-web"];

/// `/a/{b:(?:x|y)}` → `/a/{b}`
fn plain(pattern: &str) -> String {
    let (mut plain, mut depth, mut is_pattern) = (String::new(), 0, false);
    for letter in pattern.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ':' if depth == 1 => is_pattern = true,
            _ => {}
        }
        if depth == 0 || !is_pattern {
            plain.push(letter);
        }
        if depth == 0 && is_pattern {
            is_pattern = false;
        }
    }
    plain
}

/// Every pattern that the application's router knows. The router shows them to nobody but its
/// debugger.
async fn routed() -> BTreeSet<String> {
    let seen = Arc::new(Mutex::new(String::new()));
    let shown = Arc::clone(&seen);
    let app = App::new()
        .wrap_fn(move |request, next| {
            *shown.lock().unwrap() = format!("{:?}", request.request().resource_map());
            next.call(request)
        })
        .configure(vesalius::app::routes);
    let app = test::init_service(app).await;
    let request = test::TestRequest::get().uri("/no/such/address").to_request();
    let _ = test::try_call_service(&app, request).await;
    let shown = seen.lock().unwrap().clone();
    let mut found = BTreeSet::new();
    for part in shown.split("patterns: ").skip(1) {
        let part = part.split("is_prefix").next().unwrap();
        // `Single("/a")` or `List(["/a", "/b"])`.
        for text in part.split('"').skip(1).step_by(2) {
            found.insert(plain(&text.replace("\\\\", "\\")));
        }
    }
    found
}

async fn document(served: &Served) -> Value {
    served.get("/openapi.json").send().await.unwrap().json().await.unwrap()
}

#[actix_web::test]
async fn each_route_of_the_application_is_described_and_each_description_is_routed() {
    let served = Served::start();
    let document = document(&served).await;
    let described: BTreeSet<&str> =
        document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let routed = routed().await;
    assert!(routed.len() > 50, "{routed:?}");
    for path in &routed {
        let is_scope = path.is_empty() || READ_BY_TABLE.contains(&path.as_str());
        assert!(is_scope || described.contains(path.as_str()), "`{path}` is not described");
    }
    for path in &described {
        let is_read = READ_BY_TABLE.iter().any(|scope| path.starts_with(scope));
        assert!(is_read || routed.contains(*path), "`{path}` is not routed");
    }
    served.stop().await;
}

#[actix_web::test]
async fn what_is_described_below_the_tables_is_known_there() {
    let served = Served::start();
    let document = document(&served).await;
    let token = served.token(Role::ImagingIt);
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        if !READ_BY_TABLE.iter().any(|scope| path.starts_with(scope)) {
            continue;
        }
        let address = path
            .replace("{study}", "1.2")
            .replace("{series}", "1.3")
            .replace("{instance}", "1.4")
            .replace("{frames}", "1")
            .replace("{way}", "00080018")
            .replace(['{', '}'], "");
        for (method, says) in methods.as_object().unwrap() {
            let method: reqwest::Method = method.to_uppercase().parse().unwrap();
            let url = format!("{}{address}", served.base);
            let request = reqwest::Client::new().request(method.clone(), url).bearer_auth(&token);
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            let text = response.text().await.unwrap();
            assert!(
                says["responses"].get(status.to_string()).is_some(),
                "{method} {path} answered {status}: {text}"
            );
            assert!(!text.contains("is not served; see"), "{method} {path}: {text}");
            assert!(!text.contains("there is no such address"), "{method} {path}: {text}");
            asked += 1;
        }
    }
    assert!(asked > 300, "{asked}");
    served.stop().await;
}

#[actix_web::test]
async fn each_interaction_of_the_statement_is_described() {
    let served = Served::start();
    let document = document(&served).await;
    let statement: Value = served.get("/fhir/metadata").send().await.unwrap().json().await.unwrap();
    let has = |path: String, method: &str| {
        let found = document["paths"].get(&path).and_then(|path| path.get(method));
        assert!(found.is_some(), "{method} {path}");
    };
    for resource in statement["rest"][0]["resource"].as_array().unwrap() {
        let kind = resource["type"].as_str().unwrap();
        for interaction in resource["interaction"].as_array().unwrap() {
            let (place, method) = match interaction["code"].as_str().unwrap() {
                "read" => ("/{id}", "get"),
                "vread" => ("/{id}/_history/{version}", "get"),
                "update" => ("/{id}", "put"),
                "patch" => ("/{id}", "patch"),
                "delete" => ("/{id}", "delete"),
                "history-instance" => ("/{id}/_history", "get"),
                "history-type" => ("/_history", "get"),
                "create" => ("", "post"),
                "search-type" => ("", "get"),
                other => panic!("{other}"),
            };
            has(format!("/fhir/{kind}{place}"), method);
        }
        for parameter in resource["searchParam"].as_array().into_iter().flatten() {
            let search = &document["paths"][format!("/fhir/{kind}")]["get"]["parameters"];
            let name = &parameter["name"];
            let is_chain = name.as_str().unwrap().contains('.');
            let mut names = search.as_array().unwrap().iter().map(|of| &of["name"]);
            assert!(is_chain || names.any(|known| known == name), "{kind} {name}");
        }
    }
    let etag = served.get("/openapi.json").send().await.unwrap();
    let etag = etag.headers()["etag"].to_str().unwrap().to_owned();
    let again = served.get("/openapi.json").header("If-None-Match", etag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    served.stop().await;
}

//! The whole server over a socket: what no single room answers for.

mod openapi;

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::rt::task::JoinHandle;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use vesalius::actor::Role;
use vesalius::app::Server;
use vesalius::auth::{Keys, Tokens};
use vesalius::config::Config;
use vesalius::error::Result;
use vesalius::index::Index;
use vesalius::mapping::Context;
use vesalius::node::Node;
use vesalius::store::Store;
use vesalius::store::changes::{Kind, put_changes};

/// A server on a port of its own, with an empty archive.
struct Served {
    base: String,
    store: Arc<Store>,
    tokens: Tokens,
    handle: ServerHandle,
    running: JoinHandle<Result<()>>,
    _data: tempfile::TempDir,
}

impl Served {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = Config::default();
        config.server.workers = 1;
        config.server.public_url = format!("http://{}", listener.local_addr().unwrap());
        let store = Arc::new(Store::open(data.path(), "").unwrap());
        let keys = Keys::open(data.path(), &store).unwrap();
        let context = Context::new(&config, &keys.pseudonym).unwrap();
        let index = Arc::new(Index::open(None, context.clone()));
        let base = config.server.base();
        let tokens = Tokens::new(&keys.token);
        let node = Node {
            config: Arc::new(config),
            keys,
            store: Arc::clone(&store),
            index,
            context,
            descriptions: data.path().join("descriptions"),
            exports: data.path().join("exports"),
        };
        let server = Server::bind(node, listener).unwrap();
        let handle = server.handle();
        let running = actix_web::rt::spawn(server.run());
        Self { base, store, tokens, handle, running, _data: data }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        reqwest::Client::new().get(format!("{}{path}", self.base))
    }

    fn token(&self, role: Role) -> String {
        let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
        self.tokens.mint("test", role, "", 60, now).unwrap().token
    }

    async fn stop(self) {
        self.handle.stop(false).await;
        self.running.await.unwrap().unwrap();
    }
}

async fn json(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned()
}

#[actix_web::test]
async fn readiness_tells_nobody_what_changes() {
    let served = Served::start();
    let ready = (200, serde_json::json!({ "ready": true }));
    assert_eq!(json(served.get("/readyz")).await, ready);
    served.store.write(|db| put_changes(db, &[(Kind::Study, 1), (Kind::Study, 2)])).unwrap();
    assert_eq!(json(served.get("/readyz")).await, ready, "hidden rows change public bytes");
    served.stop().await;
}

#[actix_web::test]
async fn metrics_are_for_operators() {
    let served = Served::start();
    let refused = ["", "nonsense", &served.token(Role::Ehr), &served.token(Role::Researcher)];
    for token in refused {
        let request = served.get("/metrics");
        let request = if token.is_empty() { request } else { request.bearer_auth(token) };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(header(&response, "Content-Type"), "application/problem+json");
        assert!(header(&response, "WWW-Authenticate").starts_with("Bearer"));
    }
    for role in [Role::ImagingIt, Role::Steward, Role::Admin] {
        let request = served.get("/metrics").bearer_auth(served.token(role));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let text = response.text().await.unwrap();
        assert!(text.contains("vesalius_index_changes_behind "), "{text}");
        assert!(text.contains("vesalius_index_seconds_since_caught_up "), "{text}");
        assert!(!text.contains("vesalius_index_change "), "{text}");
    }
    served.stop().await;
}

#[actix_web::test]
async fn what_the_framework_refuses_is_a_problem_and_for_readers_a_page() {
    let served = Served::start();
    let large = || {
        let form = "application/x-www-form-urlencoded";
        let url = format!("{}/operator/sign-in", served.base);
        let request = reqwest::Client::new().post(url).header("Content-Type", form);
        // A browser and what pretends to be one say where they come from.
        request.header("Origin", &served.base).body(vec![b'a'; 2 << 20])
    };
    let twice = || served.get("/catalog.ttl?page=1&page=2");
    let requests: [(&dyn Fn() -> RequestBuilder, u16); 2] = [(&twice, 400), (&large, 413)];
    for (request, status) in requests {
        let response = request().send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(header(&response, "Content-Type"), "application/problem+json");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["status"], status);
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        let response = request().header("Accept", "text/html").send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(header(&response, "Content-Type"), "text/html; charset=utf-8");
    }
    served.stop().await;
}

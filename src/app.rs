//! The server: state, routes, middleware. The only file that knows every room.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::auth::{Tokens, authenticate};
use crate::catalogue::{Names, Release, Shelf, StoreShelf, open_selections};
use crate::commands::Node;
use crate::error::{Error, Result};
use crate::fhir;
use crate::harvest;
use crate::web::Pages;

/// How often a serving process looks for changes of other processes.
const POLL: Duration = Duration::from_millis(300);

/// How often the index is written to its file while it changes.
const CHECKPOINT: Duration = Duration::from_secs(300);

/// What the routes of this file share.
struct Health {
    node: Arc<Node>,
    metrics: PrometheusHandle,
}

/// A server that listens but does not answer yet.
pub struct Server {
    /// The address that it listens on, with the port that it got.
    pub address: std::net::SocketAddr,
    server: actix_web::dev::Server,
    node: Arc<Node>,
}

/// What the catalogue's doors answer readers who want HTML.
fn page_of(pages: Arc<Pages>) -> harvest::Page {
    Arc::new(move |request, topic| {
        let pages = Arc::clone(&pages);
        Box::pin(async move {
            match topic {
                harvest::Topic::Catalogue => pages.answer_catalog(request).await,
                harvest::Topic::Dataset(slug) => pages.answer_dataset(request, slug).await,
                harvest::Topic::Sparql => pages.answer_sparql(request).await,
            }
        })
    })
}

fn recorder() -> Result<PrometheusHandle> {
    // One recorder for the process, however many servers a test starts.
    static RECORDER: std::sync::OnceLock<PrometheusHandle> = std::sync::OnceLock::new();
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    match metrics::set_global_recorder(recorder) {
        Ok(()) => Ok(RECORDER.get_or_init(|| handle).clone()),
        Err(_) => Ok(RECORDER.get_or_init(|| handle).clone()),
    }
}

impl Server {
    /// Binds the address and prepares the routes.
    ///
    /// # Errors
    /// When the address is taken or a part of the state cannot be made.
    pub fn bind(node: Node, listener: std::net::TcpListener) -> Result<Self> {
        let address =
            listener.local_addr().map_err(|failure| Error::Internal(failure.to_string()))?;
        let node = Arc::new(node);
        let health = web::Data::new(Health { node: Arc::clone(&node), metrics: recorder()? });
        let tokens = web::Data::new(Tokens::new(&node.keys.token));
        let fhir = web::Data::new(fhir::State::new(
            &node.config,
            (*node.store).clone(),
            Arc::clone(&node.index),
            node.context.clone(),
        )?);
        let program = std::env::current_exe()
            .map_err(|failure| Error::Internal(format!("cannot find the own binary: {failure}")))?;
        let overrides = &node.config.overrides.catalogue;
        let overrides = (!overrides.is_empty()).then(|| std::path::Path::new(overrides));
        let release = Arc::new(Release::load(&node.config.catalogue.release, overrides)?);
        let shelf: Arc<dyn Shelf> = Arc::new(StoreShelf(Arc::clone(&node.store)));
        let names = Names::new(Arc::clone(&release), &node.context);
        let pages = Arc::new(Pages::new(Arc::clone(&node.config), names, Arc::clone(&shelf)));
        let state = harvest::State::new(Arc::clone(&node.config), release, shelf, program);
        let harvest = web::Data::new(state.with_page(page_of(Arc::clone(&pages))));
        let pages = web::Data::new(crate::web::State::new(
            &node.config,
            Arc::clone(&node.store),
            Arc::clone(&node.index),
            pages,
        ));
        node.index.set_open(open_selections(&StoreShelf(Arc::clone(&node.store)), &node.config)?);
        let workers = match node.config.server.workers {
            0 => std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            workers => workers,
        };
        let server = HttpServer::new(move || {
            App::new()
                .app_data(health.clone())
                .app_data(tokens.clone())
                .app_data(web::PayloadConfig::new(BODY))
                .app_data(web::FormConfig::default().limit(BODY))
                .app_data(fhir.clone())
                .app_data(harvest.clone())
                .app_data(pages.clone())
                .configure(fhir::routes)
                .configure(crate::web::routes)
                .configure(harvest::routes)
                .default_service(web::to(crate::web::not_found))
                .route("/healthz", web::get().to(healthz))
                .route("/readyz", web::get().to(readyz))
                .route("/metrics", web::get().to(metrics_text))
                .wrap(from_fn(crate::web::problems_as_pages))
                .wrap(from_fn(authenticate))
                .wrap(from_fn(observe))
        })
        .workers(workers)
        .client_request_timeout(Duration::from_secs(10))
        .shutdown_timeout(10)
        .listen(listener)
        .map_err(|failure| Error::Internal(format!("{address}: {failure}")))?
        .run();
        Ok(Self { address, server, node })
    }

    /// A handle that stops the server.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Answers until a signal or the handle ends it; keeps the views up to the store meanwhile.
    ///
    /// # Errors
    /// When the server ends with a failure.
    pub async fn run(self) -> Result<()> {
        let node = Arc::clone(&self.node);
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let follower = std::thread::spawn(move || follow(&node, &stopped));
        let ended = self.server.await.map_err(|failure| Error::Internal(failure.to_string()));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        if follower.join().is_err() {
            tracing::error!("the thread that follows the change feed panicked");
        }
        ended
    }
}

/// Follows the change feed until the server ends.
fn follow(node: &Node, stop: &std::sync::atomic::AtomicBool) {
    let mut saved = Instant::now();
    let mut is_dirty = false;
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        match node.index.catch_up(&node.store) {
            Ok(done) if done.changes > 0 => {
                is_dirty = true;
                refresh_open(node);
            }
            Ok(_) => {}
            Err(failure) => tracing::warn!(%failure, "the index could not catch up"),
        }
        if is_dirty && saved.elapsed() > CHECKPOINT {
            match node.index.save() {
                Ok(()) => is_dirty = false,
                Err(failure) => tracing::warn!(%failure, "the index could not be saved"),
            }
            saved = Instant::now();
        }
        std::thread::sleep(POLL);
    }
    if is_dirty && let Err(failure) = node.index.save() {
        tracing::warn!(%failure, "the index could not be saved");
    }
}

/// A dataset may have been published or withdrawn by another process.
fn refresh_open(node: &Node) {
    match open_selections(&StoreShelf(Arc::clone(&node.store)), &node.config) {
        Ok(open) => node.index.set_open(open),
        Err(failure) => tracing::warn!(%failure, "the open datasets could not be read"),
    }
}

/// Largest request body: 1 MiB; nothing that is posted now (search forms, SPARQL) is larger.
const BODY: usize = 1 << 20;

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

async fn readyz(health: web::Data<Health>) -> HttpResponse {
    let node = Arc::clone(&health.node);
    let checked = web::block(move || node.store.read(crate::store::changes::last_change)).await;
    match checked {
        Ok(Ok(last)) => HttpResponse::Ok().json(serde_json::json!({
            "ready": true, "change": last, "index": health.node.index.read().seq(),
        })),
        _ => HttpResponse::ServiceUnavailable()
            .insert_header((header::RETRY_AFTER, "5"))
            .json(serde_json::json!({ "ready": false, "reason": "the database does not answer" })),
    }
}

async fn metrics_text(health: web::Data<Health>) -> HttpResponse {
    #[allow(clippy::cast_precision_loss, reason = "a gauge is a floating-point number")]
    metrics::gauge!("vesalius_index_change").set(health.node.index.read().seq() as f64);
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(health.metrics.render())
}

/// Headers of every answer: no script, nothing from elsewhere, no framing, no guessing of types.
const HEADERS: &[(HeaderName, &str)] = &[
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
         form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
];

/// Counts and times requests by area (never by path: a path may hold an identifier).
async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let began = Instant::now();
    let area = area(request.request());
    let mut response = next.call(request).await?;
    for (name, value) in HEADERS {
        if !response.headers().contains_key(name) {
            response.headers_mut().insert(name.clone(), HeaderValue::from_static(value));
        }
    }
    let status = response.status();
    metrics::counter!("vesalius_requests_total", "area" => area, "status" => status.as_str().to_owned())
        .increment(1);
    metrics::histogram!("vesalius_request_seconds", "area" => area)
        .record(began.elapsed().as_secs_f64());
    if status.is_server_error() {
        tracing::error!(area, status = status.as_u16(), "a request failed");
    }
    Ok(response)
}

fn area(request: &HttpRequest) -> &'static str {
    const AREAS: &[(&str, &str)] = &[
        ("/fhir", "fhir"),
        ("/catalog", "catalogue"),
        ("/dataset", "catalogue"),
        ("/record", "catalogue"),
        ("/sparql", "sparql"),
        ("/healthz", "health"),
        ("/readyz", "health"),
        ("/metrics", "health"),
    ];
    let path = request.path();
    AREAS.iter().find(|(prefix, _)| path.starts_with(prefix)).map_or("pages", |(_, area)| area)
}

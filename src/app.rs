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
use crate::catalogue::{
    Desk, How, Names, Release, Shelf, StoreShelf, Verdict, open_selections, stamp_folder,
};
use crate::commands::Node;
use crate::error::{Error, Result};
use crate::fhir;
use crate::harvest;
use crate::web::Pages;

/// How often a serving process looks for changes of other processes.
const POLL: Duration = Duration::from_millis(300);

/// How often the index is written to its file while it changes.
const CHECKPOINT: Duration = Duration::from_secs(300);

/// How often the descriptions are published again at the least: a release may have become due,
/// and the figures of open datasets follow the archive.
const PUBLISH: Duration = Duration::from_secs(3_600);

/// When publishing is tried again after index, store or folder failed.
const RETRY: Duration = Duration::from_secs(60);

/// How often a serving process looks whether a description was touched. A change is published
/// when two looks see the same: a file that is being written is no description yet.
const LOOK: Duration = Duration::from_secs(5);

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
    let mut descriptions = Descriptions::default();
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        match node.index.catch_up(&node.store) {
            Ok(done) if done.changes > 0 => {
                is_dirty = true;
                refresh_open(node);
            }
            Ok(_) => {}
            Err(failure) => tracing::warn!(%failure, "the index could not catch up"),
        }
        if descriptions.is_due(&node.descriptions, Instant::now())
            && let Err(failure) = publish(node)
        {
            tracing::warn!(%failure, "the descriptions could not be published");
            descriptions.failed(Instant::now());
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

type Stamps = Vec<(std::path::PathBuf, u64, Option<std::time::SystemTime>)>;

/// When the descriptions folder is published next.
#[derive(Default)]
struct Descriptions {
    looked: Option<Instant>,
    seen: Stamps,
    /// When it is due even if nobody touches it, and what was published.
    next: Option<(Instant, Stamps)>,
}

impl Descriptions {
    /// Whether to publish the folder now: at the start, every hour, and when it changed.
    fn is_due(&mut self, folder: &std::path::Path, now: Instant) -> bool {
        let since = |then: Instant| now.saturating_duration_since(then);
        if self.looked.is_some_and(|looked| since(looked) < LOOK) {
            return false;
        }
        let is_first_look = self.looked.replace(now).is_none();
        let stamps = stamp_folder(folder);
        let is_settled = is_first_look || stamps == self.seen;
        self.seen.clone_from(&stamps);
        let is_due =
            self.next.as_ref().is_none_or(|(next, published)| now >= *next || *published != stamps);
        if is_due && is_settled {
            self.next = Some((now + PUBLISH, stamps));
        }
        is_due && is_settled
    }

    /// What could not be published is tried again soon: a description may ask for less.
    fn failed(&mut self, now: Instant) {
        if let Some((next, _)) = &mut self.next {
            *next = now + RETRY;
        }
    }
}

/// Publishes the steward's descriptions and logs what came of it; one that fails stops nothing.
fn publish(node: &Node) -> Result<()> {
    let desk = Desk::open(&node.config, &node.store, &node.index, node.context.time_zone())?;
    let now = jiff::Timestamp::from_microsecond(crate::commands::now())
        .map_err(|failure| Error::Internal(failure.to_string()))?;
    let pass = desk.publish_folder(&node.descriptions, How::Publish, now)?;
    for outcome in &pass.outcomes {
        let dataset = &outcome.slug;
        match outcome.verdict {
            Verdict::Published => tracing::info!(dataset, "published"),
            Verdict::Withdrawn => tracing::info!(dataset, "withdrawn"),
            Verdict::Unchanged => tracing::debug!(dataset, "unchanged"),
            Verdict::Refused => {
                for problem in &outcome.problems {
                    tracing::warn!(dataset, %problem, "a description was refused");
                }
            }
        }
    }
    for dataset in &pass.missing {
        tracing::warn!(dataset, "a published dataset has no description");
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::{Descriptions, LOOK, PUBLISH, RETRY};
    use std::time::{Duration, Instant};

    #[test]
    fn descriptions_are_due_at_the_start_when_touched_and_every_hour() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(folder.path().join("a.toml"), text).unwrap();
        let mut descriptions = Descriptions::default();
        let start = Instant::now();
        let mut is_due = |at| descriptions.is_due(folder.path(), start + at);
        write("1");
        assert!(is_due(Duration::ZERO));
        assert!(!is_due(LOOK));
        write("12");
        assert!(!is_due(LOOK * 2), "it may still be written");
        write("123");
        assert!(!is_due(LOOK * 3), "it was");
        assert!(is_due(LOOK * 4));
        assert!(!is_due(LOOK * 5));
        assert!(is_due(LOOK * 5 + PUBLISH), "a release may have become due");
        assert!(!is_due(LOOK * 6 + PUBLISH));
        let now = start + LOOK * 6 + PUBLISH;
        descriptions.failed(now);
        assert!(descriptions.is_due(folder.path(), now + RETRY));
    }
}

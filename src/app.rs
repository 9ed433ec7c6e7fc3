//! The server: state, routes, middleware. The only file that knows every room.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpMessage as _, HttpRequest, HttpResponse, HttpServer, web};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::auth::{BadToken, Tokens, actor_of, authenticate};
use crate::catalogue::bench::Bench;
use crate::catalogue::{
    self, Desk, How, Log as _, Names, Outcome, Release, Shelf, StoreShelf, Verdict,
    open_selections, stamp_folder,
};
use crate::commands::Node;
use crate::config::Config;
use crate::dicomweb;
use crate::error::{Error, Result};
use crate::fhir;
use crate::harvest;
use crate::index::Criteria;
use crate::openapi;
use crate::source::dicomweb::{Credentials, Settings, Through};
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

/// An open dataset is counted again when its archive has been quiet for so long: what is being
/// ingested is one change, not many.
const SETTLED: Duration = Duration::from_secs(1);

/// How long an open dataset waits at the most for the archive to be quiet.
const LONGEST_INGEST: Duration = Duration::from_secs(300);

/// Behind the feed for longer than this, the server says that it is not ready.
const STALE: Duration = Duration::from_secs(60);

/// For so long the open datasets that were read last stand, when they cannot be read again.
const TRUST: Duration = Duration::from_secs(10);

/// How long `/readyz` and `/metrics` wait for the database.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the routes of this file share.
struct Health {
    node: Arc<Node>,
    metrics: PrometheusHandle,
    pulse: Arc<Pulse>,
}

/// Whether the views still follow the feed: the follower writes it, `/readyz` reads it.
struct Pulse {
    caught_up: Mutex<Instant>,
    has_ended: AtomicBool,
}

impl Pulse {
    fn new(now: Instant) -> Self {
        Self { caught_up: Mutex::new(now), has_ended: AtomicBool::new(false) }
    }

    fn beat(&self, now: Instant) {
        *self.caught_up.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// How long ago the views last held everything that the store did.
    fn age(&self, now: Instant) -> Duration {
        let caught_up = *self.caught_up.lock().unwrap_or_else(PoisonError::into_inner);
        now.saturating_duration_since(caught_up)
    }

    /// Why the answers may be old.
    fn fault(&self, now: Instant) -> Option<&'static str> {
        if self.has_ended.load(Ordering::Relaxed) {
            Some("the change feed is no longer followed; restart the server")
        } else if self.age(now) > STALE {
            Some("the views are behind the store; the log tells why")
        } else {
            None
        }
    }
}

/// Says that the follower ended, by whatever way it did.
struct Ending(Arc<Pulse>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.has_ended.store(true, Ordering::Relaxed);
    }
}

/// A server that listens but does not answer yet.
pub struct Server {
    /// The address that it listens on, with the port that it got.
    pub address: std::net::SocketAddr,
    server: actix_web::dev::Server,
    node: Arc<Node>,
    pulse: Arc<Pulse>,
    facade: Arc<fhir::State>,
}

/// What the catalogue's doors answer readers who want HTML.
fn page_of(pages: Arc<Pages>) -> harvest::Page {
    Arc::new(move |request, topic| {
        let pages = Arc::clone(&pages);
        Box::pin(async move {
            match topic {
                harvest::Topic::Catalogue => pages.answer_catalog(request).await,
                harvest::Topic::Dataset(slug) => pages.answer_dataset(request, slug).await,
                harvest::Topic::Label(slug) => pages.answer_label(request, slug).await,
                harvest::Topic::Sparql(tried) => {
                    let tried = tried.map(|tried| {
                        let answer = tried.answer.map(|told| crate::web::Results {
                            media_type: told.media_type,
                            body: told.body,
                            is_truncated: told.is_truncated,
                        });
                        (tried.query, answer)
                    });
                    pages.answer_sparql(request, tried).await
                }
            }
        })
    })
}

/// One recorder for the process, however many servers a test starts, and from however many threads:
/// a handle of any other recorder than the installed one would show nothing.
fn recorder() -> PrometheusHandle {
    static RECORDER: std::sync::OnceLock<PrometheusHandle> = std::sync::OnceLock::new();
    let install = || {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another recorder has the metrics of this process");
        }
        handle
    };
    RECORDER.get_or_init(install).clone()
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
        let pulse = Arc::new(Pulse::new(Instant::now()));
        let health = web::Data::new(Health {
            node: Arc::clone(&node),
            metrics: recorder(),
            pulse: Arc::clone(&pulse),
        });
        let tokens = web::Data::new(Tokens::new(&node.keys.token));
        // An archive that is only a table has no images to lead to.
        let sources = node.store.read(crate::store::journal::list_sources)?;
        let mut of_images = sources.iter().filter(|row| row.kind != "clinical").peekable();
        let has_images = of_images.peek().is_none() || of_images.any(|row| row.kind != "table");
        let context = node.context.serving_images(has_images);
        let fhir = fhir::State::new(
            &node.config,
            (*node.store).clone(),
            Arc::clone(&node.index),
            context.clone(),
        )?;
        let credentials = Credentials::from_environment(std::env::vars())?;
        let pacs = Through::new(&Settings::from(&node.config.ingest), &credentials)?;
        let fhir = fhir.with_pacs(pacs).with_exports(&node.exports, &node.config.exports)?;
        let fhir = web::Data::new(fhir);
        let facade = fhir.clone().into_inner();
        let images = web::Data::new(dicomweb::State::new(
            &node.config,
            (*node.store).clone(),
            Arc::clone(&node.index),
            &context,
            &credentials,
        )?);
        let description = web::Data::new(Description::new(&facade, &images, &node.config));
        let program = std::env::current_exe()
            .map_err(|failure| Error::Internal(format!("cannot find the own binary: {failure}")))?;
        let overrides = &node.config.overrides.catalogue;
        let overrides = (!overrides.is_empty()).then(|| std::path::Path::new(overrides));
        let release = Arc::new(Release::load(&node.config.catalogue.release, overrides)?);
        let shelf: Arc<dyn Shelf> = Arc::new(StoreShelf(Arc::clone(&node.store)));
        let names = Names::new(Arc::clone(&release), &node.context);
        let pages = Arc::new(Pages::new(Arc::clone(&node.config), names, Arc::clone(&shelf)));
        let state = harvest::State::new(Arc::clone(&node.config), release, shelf, program, clock);
        let harvest = web::Data::new(state.with_page(page_of(Arc::clone(&pages))));
        let desk = Desk::open(&node.config, &node.store, &node.index, node.context.time_zone())?;
        let pages = crate::web::State::new(
            &node.config,
            Arc::clone(&node.store),
            Arc::clone(&node.index),
            pages,
        );
        let pages =
            web::Data::new(pages.with_bench(Bench::new(desk, node.descriptions.clone(), clock)));
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
                .app_data(fhir.clone())
                .app_data(images.clone())
                .app_data(harvest.clone())
                .app_data(pages.clone())
                .app_data(description.clone())
                .configure(routes)
                .default_service(web::to(crate::web::not_found))
                .wrap(from_fn(errors_as_problems))
                .wrap(from_fn(crate::web::problems_as_pages))
                .wrap(from_fn(authenticate))
                .wrap(from_fn(observe))
        })
        // An answer in two segments would wait for the reader's delayed acknowledgement: 40 ms.
        .on_connect(|connection, _| {
            if let Some(stream) = connection.downcast_ref::<actix_web::rt::net::TcpStream>()
                && let Err(failure) = stream.set_nodelay(true)
            {
                tracing::debug!(%failure, "a connection sends with delay");
            }
        })
        .workers(workers)
        .client_request_timeout(Duration::from_secs(10))
        .shutdown_timeout(10)
        .listen(listener)
        .map_err(|failure| Error::Internal(format!("{address}: {failure}")))?
        .run();
        Ok(Self { address, server, node, pulse, facade })
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
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, pulse) = (Arc::clone(&stop), Arc::clone(&self.pulse));
        let follower = std::thread::spawn(move || {
            let _ending = Ending(Arc::clone(&pulse));
            follow(&node, &pulse, &stopped);
        });
        let (facade, stopped) = (Arc::clone(&self.facade), Arc::clone(&stop));
        let exporter = std::thread::spawn(move || facade.work_exports(&stopped));
        let (facade, stopped) = (Arc::clone(&self.facade), Arc::clone(&stop));
        let courier = std::thread::spawn(move || facade.serve_subscriptions(&stopped));
        let (node, stopped) = (Arc::clone(&self.node), Arc::clone(&stop));
        let pinger = std::thread::spawn(move || ping(&node, &stopped));
        let (node, stopped) = (Arc::clone(&self.node), Arc::clone(&stop));
        let harvester = std::thread::spawn(move || harvest_others(&node, &stopped));
        let ended = self.server.await.map_err(|failure| Error::Internal(failure.to_string()));
        stop.store(true, Ordering::Relaxed);
        if follower.join().is_err() {
            tracing::error!("the thread that follows the change feed panicked");
        }
        if courier.join().is_err() {
            tracing::error!("the thread that serves subscriptions panicked");
        }
        if exporter.join().is_err() {
            tracing::error!("the thread that makes exports panicked");
        }
        // A ping or a walk that is under way is not waited for.
        drop((pinger, harvester));
        ended
    }
}

/// The routes of every room, and those of this file.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .configure(fhir::routes)
        .configure(dicomweb::routes)
        .configure(crate::web::routes)
        .configure(harvest::routes)
        .service(web::resource("/healthz").get(healthz).route(web::head().to(healthz)))
        .service(web::resource("/readyz").get(readyz).route(web::head().to(readyz)))
        .service(web::resource("/metrics").get(metrics_text).route(web::head().to(metrics_text)))
        .route(openapi::ADDRESS, web::get().to(openapi_json));
}

/// What the routes of this file say of themselves.
fn described() -> Vec<openapi::Path> {
    let rows: &[(&str, &str, &str, &[u16], openapi::Access)] = &[
        ("/healthz", "whether it runs", "text/plain", &[200], openapi::Access::Open),
        (
            "/readyz",
            "whether its views follow",
            "application/json",
            &[200, 503],
            openapi::Access::Open,
        ),
        ("/metrics", "Prometheus", "text/plain", &[200, 401], openapi::Access::Token),
        (openapi::ADDRESS, "this document", "application/json", &[200, 304], openapi::Access::Open),
    ];
    rows.iter()
        .map(|(path, summary, gives, statuses, access)| openapi::Path {
            path: (*path).to_owned(),
            operations: vec![openapi::Operation {
                method: "get",
                tag: "server",
                summary: (*summary).to_owned(),
                parameters: Vec::new(),
                takes: Vec::new(),
                gives: vec![(*gives).to_owned()],
                statuses: statuses.to_vec(),
                access: *access,
            }],
        })
        .collect()
}

/// The API's description, made once.
struct Description {
    bytes: web::Bytes,
    etag: String,
}

impl Description {
    fn new(fhir: &fhir::State, images: &dicomweb::State, config: &Config) -> Self {
        let mut paths = described();
        paths.extend(fhir.described());
        paths.extend(images.described());
        paths.extend(harvest::described());
        paths.extend(crate::web::described());
        let bytes = openapi::document(&config.server.base(), &paths).to_string();
        let digest = crate::imaging::keyed(b"etag", bytes.as_bytes());
        let etag = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>();
        Self { bytes: bytes.into(), etag: format!("\"{etag}\"") }
    }
}

async fn openapi_json(request: HttpRequest, description: web::Data<Description>) -> HttpResponse {
    let known = request.headers().get_all(header::IF_NONE_MATCH);
    let mut known = known.filter_map(|value| value.to_str().ok());
    let is_known = known.any(|value| {
        value.split(',').any(|tag| [description.etag.as_str(), "*"].contains(&tag.trim()))
    });
    let status = if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::ETAG, description.etag.as_str()))
        .insert_header((header::CACHE_CONTROL, "public, no-cache"))
        .content_type("application/json");
    if is_known { response.finish() } else { response.body(description.bytes.clone()) }
}

/// Tells FAIR Data Point indexes of this node until the server ends. The client is made here: it
/// blocks, which a thread that answers requests may not.
fn ping(node: &Node, stop: &AtomicBool) {
    let mut pinger = match harvest::Pinger::new(&node.config) {
        Ok(Some(pinger)) => pinger,
        Ok(None) => return,
        Err(failure) => {
            tracing::error!(%failure, "no FAIR Data Point index is told");
            return;
        }
    };
    let shelf = StoreShelf(Arc::clone(&node.store));
    while !stop.load(Ordering::Relaxed) {
        // First a moment for the server to answer the index that comes back.
        std::thread::sleep(Duration::from_secs(1));
        match shelf.last_event() {
            Ok(last) => {
                pinger.ping(last.map_or(0, |last| last.seq), Instant::now());
            }
            Err(failure) => tracing::warn!(%failure, "the log of the catalogue cannot be read"),
        }
    }
}

/// Walks the other catalogues of the configuration when they are due, until the server ends.
fn harvest_others(node: &Node, stop: &AtomicBool) {
    let ours = format!("{}/dataset/", node.config.server.base());
    while !stop.load(Ordering::Relaxed) {
        if let Err(failure) = harvest_due(node, &ours) {
            tracing::warn!(%failure, "nothing could be harvested");
        }
        for _ in 0..60 {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

/// Walks what is due.
fn harvest_due(node: &Node, ours: &str) -> Result<()> {
    use harvest::inbound;
    let harvest = &node.config.harvest;
    let mut due = Vec::new();
    for source in &harvest.source {
        if inbound::is_due(&node.store, source, crate::commands::now())? {
            due.push(source);
        }
    }
    if due.is_empty() {
        return Ok(());
    }
    let harvester = inbound::Harvester::new(&node.store, ours, crate::commands::now);
    for (source, walked) in harvester.walk_all(&due, harvest.side_by_side)? {
        let source = &source.name;
        match walked {
            Ok(summary) => {
                let (seen, refused) = (summary.seen, summary.refused);
                tracing::info!(source, seen, refused, complete = summary.complete, "harvested");
            }
            Err(failure) => tracing::warn!(source, %failure, "could not be harvested"),
        }
    }
    Ok(())
}

/// Follows the change feed until the server ends.
fn follow(node: &Node, pulse: &Pulse, stop: &AtomicBool) {
    let mut saved = Instant::now();
    let mut is_dirty = false;
    let mut descriptions = Descriptions::default();
    let mut open = OpenDatasets::default();
    let mut known = catalogue::OpenDatasets::default();
    let mut desk = None;
    let mut settling = Settling::default();
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        match node.index.catch_up(&node.store) {
            Ok(done) => {
                if done.changes > 0 {
                    is_dirty = true;
                    metrics::histogram!("vesalius_index_catch_up_seconds").record(began.elapsed());
                }
                pulse.beat(Instant::now());
            }
            Err(failure) => tracing::warn!(%failure, "the index could not catch up"),
        }
        if descriptions.is_due(&node.descriptions, Instant::now())
            && let Err(failure) = publish(node, &mut known).map(|opened| desk = Some(opened))
        {
            tracing::warn!(%failure, "the descriptions could not be published");
            descriptions.failed(Instant::now());
        }
        let seen = node.index.read().seq();
        if settling.is_due(node.index.is_touched(), seen, Instant::now())
            && let Some(desk) = &desk
            && let Err(failure) = follow_archive(desk, &mut known)
        {
            tracing::warn!(%failure, "the open datasets could not follow the archive");
            descriptions.failed(Instant::now());
        }
        let read = || {
            known.refresh(&node.store, &node.config)?;
            Ok(known.criteria())
        };
        if let Some(open) = open.refresh(seen, Instant::now(), read) {
            node.index.set_open(open);
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

/// What time it is.
fn clock() -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(crate::commands::now()).unwrap_or_default()
}

/// Publishes the steward's descriptions and logs what came of it; one that fails stops nothing.
/// From now on what is open follows the archive.
fn publish(node: &Node, known: &mut catalogue::OpenDatasets) -> Result<Desk> {
    let desk = Desk::open(&node.config, &node.store, &node.index, node.context.time_zone())?;
    let pass = desk.publish_folder(&node.descriptions, How::Publish, clock())?;
    tell(&pass.outcomes);
    for dataset in &pass.missing {
        tracing::warn!(dataset, "a published dataset has no description");
    }
    known.refresh(&node.store, &node.config)?;
    known.keep_counts(&node.index);
    Ok(desk)
}

/// Publishes the open datasets again that hold a study that changed.
fn follow_archive(desk: &Desk, known: &mut catalogue::OpenDatasets) -> Result<()> {
    let began = Instant::now();
    let outcomes = desk.follow(known, clock())?;
    metrics::histogram!("vesalius_catalogue_follow_seconds").record(began.elapsed());
    metrics::counter!("vesalius_catalogue_followed_total").increment(outcomes.len() as u64);
    tell(&outcomes);
    Ok(())
}

fn tell(outcomes: &[Outcome]) {
    for outcome in outcomes {
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
}

/// When open datasets that changes touched are counted again.
#[derive(Default)]
struct Settling {
    /// When the first of the changes was seen.
    first: Option<Instant>,
    /// The last change, and when it was seen.
    last: Option<(i64, Instant)>,
}

impl Settling {
    fn is_due(&mut self, is_touched: bool, seen: i64, now: Instant) -> bool {
        if !is_touched {
            *self = Self::default();
            return false;
        }
        let first = *self.first.get_or_insert(now);
        if self.last.is_none_or(|(last, _)| last != seen) {
            self.last = Some((seen, now));
        }
        let since = |then: Instant| now.saturating_duration_since(then);
        let is_quiet = self.last.is_some_and(|(_, last)| since(last) >= SETTLED);
        let is_due = is_quiet || since(first) >= LONGEST_INGEST;
        if is_due {
            *self = Self::default();
        }
        is_due
    }
}

/// Which change the open datasets were read at. Another process may publish or withdraw one at
/// any change.
#[derive(Default)]
struct OpenDatasets {
    read_at: Option<i64>,
    failing_since: Option<Instant>,
}

impl OpenDatasets {
    /// Reads them again after every change until that succeeds. What is open now, if that may
    /// have changed; nothing is, when it could not be learnt for long: a dataset that was
    /// withdrawn meanwhile must not stay open.
    fn refresh(
        &mut self,
        seen: i64,
        now: Instant,
        read: impl FnOnce() -> Result<Vec<Criteria>>,
    ) -> Option<Vec<Criteria>> {
        if self.read_at == Some(seen) {
            return None;
        }
        match read() {
            Ok(open) => {
                *self = Self { read_at: Some(seen), failing_since: None };
                Some(open)
            }
            Err(failure) => {
                let since = *self.failing_since.get_or_insert(now);
                let is_closed = now.saturating_duration_since(since) >= TRUST;
                tracing::warn!(%failure, is_closed, "the open datasets could not be read");
                is_closed.then(Vec::new)
            }
        }
    }
}

/// Largest request body: 1 MiB; nothing that is posted now (search forms, SPARQL) is larger.
const BODY: usize = 1 << 20;

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// The last change of the store, asked for in time; `None`: the database does not answer.
async fn last_change(node: &Arc<Node>) -> Option<i64> {
    let node = Arc::clone(node);
    let asked = web::block(move || node.store.read(crate::store::changes::last_change));
    tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()?.ok()
}

/// Anybody may ask, so nothing is told that hidden rows move: no number of changes.
async fn readyz(health: web::Data<Health>) -> HttpResponse {
    let fault = match health.pulse.fault(Instant::now()) {
        None if last_change(&health.node).await.is_none() => Some("the database does not answer"),
        fault => fault,
    };
    match fault {
        None => HttpResponse::Ok().json(serde_json::json!({ "ready": true })),
        Some(reason) => HttpResponse::ServiceUnavailable()
            .insert_header((header::RETRY_AFTER, "5"))
            .json(serde_json::json!({ "ready": false, "reason": reason })),
    }
}

/// For operators: counts of requests and changes tell of rows that others may not see.
async fn metrics_text(request: HttpRequest, health: web::Data<Health>) -> HttpResponse {
    if !actor_of(&request).is_some_and(|actor| actor.role.is_operator()) {
        let refused = request.extensions().get::<BadToken>().map(|bad| bad.0.clone());
        let reason = refused.unwrap_or_else(|| {
            "metrics need an operator's token: `vesalius token --role imaging-it`, `steward` or \
             `admin`"
                .to_owned()
        });
        let mut response = harvest::problem(&Error::Unauthenticated(reason));
        let challenge = HeaderValue::from_static("Bearer realm=\"vesalius\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        return response;
    }
    let seen = health.node.index.read().seq();
    #[allow(clippy::cast_precision_loss, reason = "a gauge is a floating-point number")]
    let behind =
        last_change(&health.node).await.map_or(f64::NAN, |last| last.saturating_sub(seen) as f64);
    metrics::gauge!("vesalius_index_changes_behind").set(behind);
    metrics::gauge!("vesalius_index_seconds_since_caught_up")
        .set(health.pulse.age(Instant::now()).as_secs_f64());
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(health.metrics.render())
}

/// What the framework itself refuses (a parameter given twice, a body that is too large) it
/// answers as plain text; here that becomes a problem document.
async fn errors_as_problems(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let response = next.call(request).await?.map_into_boxed_body();
    let Some(reason) = response.response().error().map(ToString::to_string) else {
        return Ok(response);
    };
    let status = response.status();
    let detail = if status.is_server_error() {
        tracing::error!(reason, "a request failed");
        "the server could not answer; the operator's log tells why"
    } else {
        &reason
    };
    Ok(response.into_response(harvest::problem_of(status, detail)))
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
        ("/dicom-web", "images"),
        ("/catalog", "catalogue"),
        ("/dataset", "catalogue"),
        ("/record", "catalogue"),
        ("/changes", "catalogue"),
        ("/fdp", "catalogue"),
        ("/ldes", "catalogue"),
        ("/oai", "catalogue"),
        ("/sparql", "sparql"),
        ("/healthz", "health"),
        ("/readyz", "health"),
        ("/metrics", "health"),
        ("/openapi", "health"),
    ];
    let path = request.path();
    AREAS.iter().find(|(prefix, _)| path.starts_with(prefix)).map_or("pages", |(_, area)| area)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::{Descriptions, Ending, LOOK, OpenDatasets, PUBLISH, Pulse, RETRY, STALE};
    use crate::error::Error;
    use crate::index::Criteria;

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

    #[test]
    fn the_open_datasets_are_read_until_that_succeeds_and_closed_meanwhile() {
        let mut datasets = OpenDatasets::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let one = || Ok(vec![Criteria::default()]);
        let fails = || Err(Error::Store("away".to_owned()));
        assert_eq!(datasets.refresh(7, start, one), Some(vec![Criteria::default()]));
        assert_eq!(datasets.refresh(7, start, || panic!("nothing changed")), None);
        // A change, and the shelf does not answer: what was open stays so for a moment only.
        assert_eq!(datasets.refresh(8, after(1), fails), None);
        assert_eq!(datasets.refresh(8, after(5), fails), None, "no change since, and still due");
        assert_eq!(datasets.refresh(8, after(11), fails), Some(Vec::new()));
        assert_eq!(datasets.refresh(8, after(12), one), Some(vec![Criteria::default()]));
        assert_eq!(datasets.refresh(8, after(13), || panic!("nothing changed")), None);
    }

    #[test]
    fn a_server_that_no_longer_follows_is_not_ready() {
        let start = Instant::now();
        let pulse = Arc::new(Pulse::new(start));
        let late = start + STALE + Duration::from_secs(1);
        assert!(pulse.fault(start + STALE).is_none());
        assert!(pulse.fault(late).unwrap().contains("behind"));
        pulse.beat(late);
        assert!(pulse.fault(late).is_none());
        let ending = Ending(Arc::clone(&pulse));
        let follower = std::thread::spawn(move || {
            let _ending = ending;
            panic!("the follower dies");
        });
        assert!(follower.join().is_err());
        assert!(pulse.fault(late).unwrap().contains("no longer followed"));
    }
}

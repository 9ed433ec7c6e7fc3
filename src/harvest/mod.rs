//! The catalogue's doors out: one table of them (`doors.rs`), answered alike (`answer.rs`) and
//! again (`repeat.rs`).
//!
//! In: HTTP. Out: bytes that [`catalogue`](crate::catalogue) made, with strong ETags, dates and
//! the coding that the reader takes; and a word to FAIR Data Point indexes (`ping.rs`). Governed by
//! RFC 9110 (negotiation, conditional requests), RFC 9457 (problems), SPARQL 1.1 Protocol, Hydra,
//! FAIR Data Point 1.2, OAI-PMH 2.0, LDES; the rules that satisfy every harvester are those of
//! HealthData@EU's national catalogues, ckanext-dcat, FAIR Data Point and piveau.
//! Absent: HTML (the pages' job, through [`Page`]), writing.

mod answer;
mod changes;
mod described;
mod document;
mod documents;
mod doors;
mod fdp;
pub mod inbound;
mod listing;
mod negotiate;
mod oai;
mod others;
mod pages;
mod ping;
mod problem;
mod repeat;
mod site;
mod sparql;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::http::{Method, header};
use actix_web::middleware::DefaultHeaders;
use actix_web::{HttpRequest, HttpResponse, Resource, web};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;

use crate::catalogue::sparql::{Answer, Endpoint, Unanswered};
use crate::catalogue::{Release, Shelf, Snapshot, Writer};
use crate::config::Config;
use crate::error::Result;
use crate::store::Store;

pub use described::described;
pub use ping::Pinger;
pub use problem::{problem, problem_of};
pub use repeat::repeat;

/// What the pages answer: the door hands a request over when the reader wants HTML.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Topic {
    /// The catalogue; query parameters are in the request.
    Catalogue,
    /// A dataset, by its slug; published or withdrawn.
    Dataset(String),
    /// The quality label of a dataset, by its slug.
    Label(String),
    /// A dataset of another catalogue; which one is in the request.
    Harvested,
    /// The SPARQL form; with a query, and its answer or why there is none.
    Sparql(Option<(String, Result<Answer, Unanswered>)>),
}

/// The pages' handler: set by `web` through [`State::with_page`].
pub type Page =
    Arc<dyn Fn(HttpRequest, Topic) -> LocalBoxFuture<'static, HttpResponse> + Send + Sync>;

/// What time it is.
pub type Clock = fn() -> jiff::Timestamp;

/// What the doors need.
pub struct State {
    config: Arc<Config>,
    release: Arc<Release>,
    shelf: Arc<dyn Shelf>,
    /// Where datasets of other catalogues are kept.
    store: Option<Arc<Store>>,
    endpoint: Arc<Endpoint>,
    queue: sparql::Queue,
    page: Option<Page>,
    clock: Clock,
    cache: Mutex<Cache>,
    bodies: Mutex<pages::Bodies>,
    snapshots: Mutex<Vec<Snapshot>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("harvest::State")
            .field("has_page", &self.page.is_some())
            .finish_non_exhaustive()
    }
}

impl State {
    /// The doors of a catalogue. `program` is this binary: it is started as `sparql-worker`.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        release: Arc<Release>,
        shelf: Arc<dyn Shelf>,
        program: PathBuf,
        clock: Clock,
    ) -> Self {
        let endpoint = Arc::new(Endpoint::new(program, &config.sparql));
        Self {
            config,
            release,
            shelf,
            store: None,
            endpoint,
            queue: sparql::Queue::default(),
            page: None,
            clock,
            cache: Mutex::new(Cache::default()),
            bodies: Mutex::default(),
            snapshots: Mutex::new(Vec::with_capacity(listing::KEPT)),
        }
    }

    /// With pages for readers who want HTML.
    #[must_use]
    pub fn with_page(mut self, page: Page) -> Self {
        self.page = Some(page);
        self
    }

    /// With the datasets of other catalogues.
    #[must_use]
    pub fn with_store(mut self, store: Arc<Store>) -> Self {
        self.store = Some(store);
        self
    }

    fn writer(&self) -> Writer<'_> {
        Writer { config: &self.config, release: &self.release }
    }

    /// The rendition of that key and digest, if it is kept.
    fn kept(&self, key: &Key) -> Option<Arc<Rendition>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.renditions.get(key).cloned()
    }

    fn keep(&self, key: Key, rendition: &Arc<Rendition>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let budget = self.config.server.cache_mib.max(16) << 18; // a quarter of the cache
        let size = rendition.bytes.len() + key.resource.len();
        if cache.bytes + size > budget {
            // Everything can be made again; a walk of a harvester refills what is asked for.
            cache.renditions.clear();
            cache.answers.clear();
            cache.bytes = 0;
        }
        if size <= budget && cache.renditions.insert(key, Arc::clone(rendition)).is_none() {
            cache.bytes += size;
        }
    }
}

#[derive(Default)]
struct Cache {
    renditions: HashMap<Key, Arc<Rendition>>,
    bytes: usize,
    /// What requests were answered with since the catalogue changed last.
    answers: repeat::Answers,
}

/// What is cached: a resource at a state, in a form and coding.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Key {
    resource: String,
    form: doors::Form,
    is_gzip: bool,
}

/// A document in one form and coding, as it goes over the wire.
#[derive(Debug)]
struct Rendition {
    bytes: Bytes,
    /// Of the bytes without coding.
    digest: String,
}

/// The routes. The application adds `web::Data<State>`.
pub fn routes(service: &mut web::ServiceConfig) {
    for door in doors::DOORS {
        let handler = move |state, request| answer::answer(door, state, request);
        let mut resource = resource(door.path, problem::allowed(door.takes_forms))
            .route(web::get().to(handler))
            .route(web::head().to(handler));
        if door.takes_forms {
            let handler =
                move |state, request, form| answer::answer_form(door, state, request, form);
            resource =
                resource.app_data(web::PayloadConfig::new(4 * 1024)).route(web::post().to(handler));
        }
        service.service(resource.wrap(open()));
    }
    service.service(
        resource("/sparql", problem::allowed(true))
            .app_data(web::PayloadConfig::new(64 * 1024))
            .route(web::get().to(sparql::get))
            .route(web::head().to(sparql::get))
            .route(web::post().to(sparql::post))
            .wrap(open()),
    );
}

/// A resource that tells its methods, and refuses others.
fn resource(path: &str, allowed: &'static str) -> Resource {
    let options = move || async move { problem::options(allowed) };
    let refuse = move |request| async move { problem::not_allowed(allowed, &request) };
    web::resource(path)
        .route(web::method(Method::OPTIONS).to(options))
        .default_service(web::to(refuse))
}

/// What is open is so to pages of any origin, failures too: else they could not tell what is wrong.
fn open() -> DefaultHeaders {
    DefaultHeaders::new().add((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
}

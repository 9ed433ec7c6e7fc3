//! The pages: server-rendered HTML without a script, over the same functions as every other door.
//!
//! In: published datasets ([`catalogue`](crate::catalogue)), and for operators the journal, the
//! findings and the change feed of the [`store`](crate::store). Out: HTML, one stylesheet.
//! Governed by WCAG 2.2 level AA, schema.org's `Dataset`, RFC 9457 for what is no page.
//! Absent: fresh counts of persons (datasets show what was published and nothing else), FHIR,
//! the RDF documents (the harvest room's), scripts.

mod assets;
mod catalog;
mod chart;
mod cite;
mod convert;
mod dataset;
mod described;
mod descriptions;
mod elsewhere;
mod finder;
mod gate_words;
mod harvested;
mod layout;
mod ledger;
mod operator;
mod pages;
mod pick;
mod problem;
mod public;
mod quality;
mod quality_label;
mod reader;
mod reasons;
mod session;
mod sparql;
mod steward;
mod tongue;
mod words;

use std::sync::{Arc, Mutex};

use actix_web::{HttpRequest, HttpResponse, web};

use crate::catalogue::bench::Bench;
use crate::config::Config;
use crate::error::Result;
use crate::index::Index;
use crate::store::Store;

pub use assets::stylesheet_path;
pub use catalog::{
    Card, CatalogQuery, CatalogView, Dimension, Order, RESULTS_PER_PAGE, render_catalog,
};
pub use chart::{Bar, Chart, Count, Shape};
pub use cite::Citation;
pub use dataset::{
    Access, AgentCard, DatasetPage, DistributionCard, Fact, Tile, VariableGroup, VariableRow,
    render_dataset, render_withdrawn,
};
pub use described::described;
pub use layout::Site;
pub use pages::Pages;
pub use problem::{not_found, page_or_problem, problems_as_pages};
pub use reader::Reader;
pub use tongue::{Forms, Plural, Tongue};
pub use words::{Href, Item, Phrase};

/// What the pages need: registered by the app as `web::Data<State>`.
pub struct State {
    /// The store, for the operator's pages.
    pub store: Arc<Store>,
    /// The index, for its place in the change feed.
    pub index: Arc<Index>,
    /// The published datasets as pages.
    pub pages: Arc<Pages>,
    /// Whether the node is reached over TLS: then the cookie is `Secure`.
    pub is_secure: bool,
    /// The node's address as the world sees it: `https://host`.
    pub base: String,
    /// Where stewards work; `None`: this node has no folder of descriptions to write.
    pub bench: Option<Arc<Bench>>,
    elsewhere: Mutex<Arc<elsewhere::Elsewhere>>,
}

impl State {
    /// The state of the pages of one node.
    #[must_use]
    pub fn new(config: &Config, store: Arc<Store>, index: Arc<Index>, pages: Arc<Pages>) -> Self {
        let base = config.server.base();
        let is_secure = base.starts_with("https://");
        Self { store, index, pages, is_secure, base, bench: None, elsewhere: Mutex::default() }
    }

    /// With a bench for stewards.
    #[must_use]
    pub fn with_bench(mut self, bench: Bench) -> Self {
        self.bench = Some(Arc::new(bench));
        self
    }

    /// The page of a dataset of another catalogue, which the request names (`source`, `iri`).
    pub async fn answer_harvested(self: Arc<Self>, request: HttpRequest) -> HttpResponse {
        elsewhere::answer(self, request).await
    }

    /// A page that is open to all, made on a thread that may wait for the database.
    async fn answer(
        self: Arc<Self>,
        request: HttpRequest,
        make: impl FnOnce(&Self, &Reader) -> Result<String> + Send + 'static,
    ) -> HttpResponse {
        let reader = Reader::of(&request);
        let (worker, whose) = (Arc::clone(&self), reader.clone());
        let made = web::block(move || make(&worker, &whose).map(|html| (html, false))).await;
        self.pages.answer(&request, &reader, made)
    }
}

/// The routes of this room: `/`, `/assets/…`, `/dataset/{slug}/citation.…`, `/operator…`.
/// `/catalog` and `/dataset/{slug}` are the harvest room's, which asks [`Pages`] for HTML.
/// No address of theirs is another's, so the order of the rooms is free.
pub fn routes(cfg: &mut web::ServiceConfig) {
    cfg.configure(assets::routes)
        .configure(public::routes)
        .configure(elsewhere::routes)
        .configure(pick::routes)
        .configure(session::routes)
        .configure(operator::routes)
        .configure(descriptions::routes)
        .configure(steward::routes)
        .configure(harvested::routes)
        .configure(quality::routes);
}

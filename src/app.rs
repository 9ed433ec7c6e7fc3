//! The server: state, routes, middleware. The only room that knows every other.
//!
//! In: an open node and a socket. Out: answers, until a signal. This file composes; what the server
//! does besides answering is in `follow`, `neighbours` and the facade's own threads.

mod description;
mod due;
mod follow;
mod health;
mod middleware;
mod neighbours;
mod pulse;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};

use self::description::{Description, openapi_json};
use self::follow::follow;
use self::health::{Health, healthz, metrics_text, readyz, recorder};
use self::middleware::{errors_as_problems, observe};
use self::neighbours::{harvest_others, ping};
use self::pulse::{Ending, Pulse};
use crate::auth::{Tokens, authenticate};
use crate::catalogue::bench::Bench;
use crate::catalogue::{Desk, Names, Release, Shelf, StoreShelf, open_selections};
use crate::error::{Error, Result};
use crate::node::{self, Node};
use crate::source::dicomweb::{Credentials, Settings, Through};
use crate::web::Pages;
use crate::{dicomweb, fhir, harvest, openapi};

/// Largest request body: 1 MiB; nothing that is posted now (search forms, SPARQL) is larger.
const BODY: usize = 1 << 20;

/// A server that listens but does not answer yet.
pub struct Server {
    /// The address that it listens on, with the port that it got.
    pub address: std::net::SocketAddr,
    server: actix_web::dev::Server,
    node: Arc<Node>,
    pulse: Arc<Pulse>,
    facade: Arc<fhir::State>,
    pages: Arc<Pages>,
    listing: Arc<harvest::State>,
}

/// What the catalogue's doors answer readers who want HTML.
fn page_of(state: Arc<crate::web::State>) -> harvest::Page {
    Arc::new(move |request, topic| {
        let state = Arc::clone(&state);
        Box::pin(async move {
            let pages = Arc::clone(&state.pages);
            match topic {
                harvest::Topic::Catalogue => pages.answer_catalog(request).await,
                harvest::Topic::Dataset(slug) => pages.answer_dataset(request, slug).await,
                harvest::Topic::Label(slug) => pages.answer_label(request, slug).await,
                harvest::Topic::Harvested => state.answer_harvested(request).await,
                harvest::Topic::Sparql(asked) => pages.answer_sparql(request, asked).await,
            }
        })
    })
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
        let harvest = harvest::State::new(Arc::clone(&node.config), release, shelf, program, clock);
        let desk = Desk::open(&node.config, &node.store, &node.index, node.context.time_zone())?;
        let lists = Arc::clone(&pages);
        let pages = crate::web::State::new(
            &node.config,
            Arc::clone(&node.store),
            Arc::clone(&node.index),
            pages,
        );
        let pages =
            web::Data::new(pages.with_bench(Bench::new(desk, node.descriptions.clone(), clock)));
        let harvest = harvest
            .with_store(Arc::clone(&node.store))
            .with_page(page_of(pages.clone().into_inner()));
        let harvest = web::Data::new(harvest);
        let listing = harvest.clone().into_inner();
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
                .wrap(from_fn(harvest::repeat))
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
        Ok(Self { address, server, node, pulse, facade, pages: lists, listing })
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
        let (pages, stopped) = (Arc::clone(&self.pages), Arc::clone(&stop));
        let lister = std::thread::spawn(move || pages.keep_lists(&stopped));
        let (listing, stopped) = (Arc::clone(&self.listing), Arc::clone(&stop));
        let paginator = std::thread::spawn(move || listing.keep_pages(&stopped));
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
        if lister.join().is_err() {
            tracing::error!("the thread that makes the lists of datasets panicked");
        }
        if paginator.join().is_err() {
            tracing::error!("the thread that makes the pages of the listing panicked");
        }
        if exporter.join().is_err() {
            tracing::error!("the thread that makes exports panicked");
        }
        // A ping or a walk that is under way is not waited for.
        drop((pinger, harvester));
        ended
    }
}

/// The routes of every room, and those of this one. They are tried in turn: harvesters come most often.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .configure(fhir::routes)
        .configure(dicomweb::routes)
        .configure(harvest::routes)
        .configure(crate::web::routes)
        .service(web::resource("/healthz").get(healthz).route(web::head().to(healthz)))
        .service(web::resource("/readyz").get(readyz).route(web::head().to(readyz)))
        .service(web::resource("/metrics").get(metrics_text).route(web::head().to(metrics_text)))
        .route(openapi::ADDRESS, web::get().to(openapi_json));
}

/// What time it is.
fn clock() -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(node::now()).unwrap_or_default()
}

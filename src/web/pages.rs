//! The published datasets as pages: what the harvest room's doors hand readers of HTML over to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, web};

use super::catalog::{Card, CatalogView, render_catalog};
use super::cite::Citation;
use super::convert::{Converter, withdrawn_title};
use super::dataset::{render_dataset, render_withdrawn};
use super::layout::Site;
use super::ledger::Ledger;
use super::problem::page_or_problem;
use super::reader::Reader;
use super::tongue::Tongue;
use super::words;
use crate::catalogue::{self, Entry, Names, Shelf};
use crate::config::Config;
use crate::error::{Error, Result};

/// Published datasets as pages.
pub struct Pages {
    config: Arc<Config>,
    names: Names,
    shelf: Arc<dyn Shelf>,
    site: Arc<Site>,
    /// The list per language.
    kept: Mutex<BTreeMap<&'static str, Kept>>,
    /// Who makes a list holds it: others who have none wait, and do not make it too.
    making: Mutex<()>,
    /// When somebody last saw to it that the lists follow the catalogue ([`Pages::keep_lists`]).
    followed: Mutex<Option<Instant>>,
    ledger: Mutex<Arc<Ledger>>,
}

/// A list.
#[derive(Clone)]
struct Kept {
    /// The shelf's change that it was made at.
    change: u64,
    view: Arc<CatalogView>,
    /// The same with what changed since, and which change that is of.
    patched: Option<(u64, Arc<CatalogView>)>,
}

/// Entries that are read from the shelf at once.
const CHUNK: usize = 500;

/// How often it is looked whether the catalogue changed.
const LOOK: Duration = Duration::from_millis(300);

/// Making lists takes at most this part of the time, so that a catalogue that changes all the time does
/// not keep a core busy.
const SHARE: u32 = 5;

/// When the shelf is asked again that failed.
const RETRY: Duration = Duration::from_secs(5);

/// Followed longer ago than this, a list is made by whoever asks for it.
const TRUST: Duration = Duration::from_secs(60);

impl Pages {
    /// Pages of a shelf.
    #[must_use]
    pub fn new(config: Arc<Config>, names: Names, shelf: Arc<dyn Shelf>) -> Self {
        let site = Arc::new(Site::new(&config));
        Self {
            config,
            names,
            shelf,
            site,
            kept: Mutex::default(),
            making: Mutex::default(),
            followed: Mutex::default(),
            ledger: Mutex::default(),
        }
    }

    /// Makes the lists, and makes them anew behind every change, until the server ends. Readers do not
    /// wait meanwhile: they are shown the list of before with what changed put in.
    pub fn keep_lists(&self, stop: &AtomicBool) {
        let is_stopped = || stop.load(Ordering::Relaxed);
        while !is_stopped() {
            let began = Instant::now();
            let mut pause = LOOK;
            for tongue in Tongue::all() {
                if is_stopped() {
                    break;
                }
                *self.followed.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some(Instant::now());
                if let Err(failure) = self.made(tongue) {
                    tracing::warn!(%failure, "the list of datasets could not be made");
                    pause = RETRY;
                    break;
                }
            }
            let until = Instant::now() + pause.max(began.elapsed() * (SHARE - 1)).min(TRUST / 2);
            while !is_stopped() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        *self.followed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn is_followed(&self) -> bool {
        let followed = *self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.is_some_and(|at| at.elapsed() < TRUST)
    }

    /// What the node says of itself.
    #[must_use]
    pub fn site(&self) -> &Arc<Site> {
        &self.site
    }

    pub(super) fn release(&self) -> &catalogue::Release {
        self.names.release()
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn shelf(&self) -> &dyn Shelf {
        &*self.shelf
    }

    pub(super) fn converter(&self, tongue: &'static Tongue) -> Converter<'_> {
        Converter { config: &self.config, names: &self.names, tongue }
    }

    pub(super) fn title_in(&self, entry: &Entry, tongue: &'static Tongue) -> words::Phrase {
        withdrawn_title(&self.converter(tongue), entry)
    }

    /// What operators look for among all datasets.
    pub(super) fn ledger(&self) -> Result<Arc<Ledger>> {
        Ledger::refresh(&self.ledger, self.shelf())
    }

    /// Every published dataset. When the shelf has changed, the list is made again, or, if somebody else
    /// does that, what changed is put into the one that there is.
    ///
    /// # Errors
    /// When the shelf does not answer.
    pub fn view(&self, tongue: &'static Tongue) -> Result<Arc<CatalogView>> {
        let change = self.shelf.state()?.change;
        if let Some(kept) = self.kept_in(tongue) {
            if kept.change == change {
                return Ok(kept.view);
            }
            if self.is_followed()
                && let Some(view) = self.patched(change, &kept, tongue)?
            {
                return Ok(view);
            }
        }
        self.made(tongue)
    }

    fn kept_in(&self, tongue: &Tongue) -> Option<Kept> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(tongue.code.as_str()).cloned()
    }

    /// A list with the little that changed since; `None`: too much did.
    fn patched(
        &self,
        change: u64,
        kept: &Kept,
        tongue: &'static Tongue,
    ) -> Result<Option<Arc<CatalogView>>> {
        if let Some((of, view)) = &kept.patched
            && *of == change
        {
            return Ok(Some(Arc::clone(view)));
        }
        let Some(changed) = self.shelf.changed_since(kept.change)? else { return Ok(None) };
        if kept.change > change || changed.len() > CHUNK {
            return Ok(None);
        }
        let converter = self.converter(tongue);
        let label = |dimension, value: &str| converter.value(dimension, value);
        let entries = self.shelf.entries(&changed)?;
        let now = entries.iter().filter(|entry| entry.state == catalogue::State::Published);
        let now = now.map(|entry| converter.card(entry)).collect();
        let view = Arc::new(kept.view.patched(&changed, now, label));
        let mut all = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = all.get_mut(tongue.code.as_str())
            && own.change == kept.change
        {
            own.patched = Some((change, Arc::clone(&view)));
        }
        Ok(Some(view))
    }

    /// The list as the shelf stands, made if nobody has.
    fn made(&self, tongue: &'static Tongue) -> Result<Arc<CatalogView>> {
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        let change = self.shelf.state()?.change;
        let kept = self.kept_in(tongue);
        if let Some(kept) = &kept
            && kept.change == change
        {
            return Ok(Arc::clone(&kept.view));
        }
        let converter = self.converter(tongue);
        let before = kept.filter(|kept| kept.change < change);
        let cards = match &before {
            Some(kept) => self.changed_cards(kept.change, &kept.view, &converter)?,
            None => None,
        };
        let cards = match cards {
            Some(cards) => cards,
            None => self.cards(&converter)?,
        };
        let label = |dimension, value: &str| converter.value(dimension, value);
        let before = before.as_ref().map(|kept| &*kept.view);
        let view = Arc::new(CatalogView::after(before, Arc::clone(&self.site), cards, label));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let made = Kept { change, view: Arc::clone(&view), patched: None };
        kept.insert(&tongue.code, made);
        Ok(view)
    }

    /// Every published dataset, by slug.
    fn cards(&self, converter: &Converter<'_>) -> Result<Vec<Card>> {
        let mut cards = Vec::new();
        loop {
            let entries = self.shelf.published(cards.len(), CHUNK)?;
            cards.extend(entries.iter().map(|entry| converter.card(entry)));
            if entries.len() < CHUNK {
                return Ok(cards);
            }
        }
    }

    /// The same, when few changed since a view of them was made.
    fn changed_cards(
        &self,
        of: u64,
        view: &CatalogView,
        converter: &Converter<'_>,
    ) -> Result<Option<Vec<Card>>> {
        let Some(changed) = self.shelf.changed_since(of)?.filter(|of| of.len() <= CHUNK) else {
            return Ok(None);
        };
        let mut cards: BTreeMap<String, Card> =
            view.cards().map(|card| (card.slug.clone(), card.clone())).collect();
        for slug in &changed {
            cards.remove(slug);
        }
        for entry in self.shelf.entries(&changed)? {
            if entry.state == catalogue::State::Published {
                cards.insert(entry.slug.clone(), converter.card(&entry));
            }
        }
        Ok(Some(cards.into_values().collect()))
    }

    /// The list of datasets as HTML; `query` is the request's query string.
    ///
    /// # Errors
    /// When the shelf does not answer.
    pub fn catalog(&self, reader: &Reader, query: &str) -> Result<String> {
        render_catalog(&*self.view(reader.tongue)?, reader, query)
    }

    /// The page of a dataset as HTML; `true` beside it for a withdrawn one (status 410).
    ///
    /// # Errors
    /// [`Error::NotFound`] when nothing was ever published under the slug.
    pub fn dataset(&self, reader: &Reader, slug: &str) -> Result<(String, bool)> {
        let entry = self.entry(slug)?;
        if entry.state == catalogue::State::Withdrawn {
            let since = reader.tongue.day(entry.modified.to_zoned(jiff::tz::TimeZone::UTC).date());
            let html = render_withdrawn(
                &self.site,
                reader,
                &self.title_in(&entry, reader.tongue),
                &since,
                entry.description().replaced_by.filter(|slug| catalogue::is_slug(slug)),
            )?;
            return Ok((html, true));
        }
        Ok((
            render_dataset(&self.site, reader, &self.converter(reader.tongue).page(&entry))?,
            false,
        ))
    }

    /// How to cite a dataset.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it is not published.
    pub fn citation(&self, slug: &str, tongue: &'static Tongue) -> Result<Citation> {
        let entry = self.entry(slug)?;
        if entry.state != catalogue::State::Published {
            return Err(Error::Gone { kind: "the dataset", id: slug.to_owned() });
        }
        Ok(self.converter(tongue).page(&entry).citation)
    }

    pub(super) fn entry(&self, slug: &str) -> Result<Entry> {
        let unknown =
            || Error::NotFound { kind: "the dataset", id: slug.chars().take(100).collect() };
        if !catalogue::is_slug(slug) {
            return Err(unknown());
        }
        let found = self.shelf.find(slug)?;
        found.filter(|entry| entry.state != catalogue::State::Failed).ok_or_else(unknown)
    }

    /// Answers a reader of HTML at `/catalog`.
    pub async fn answer_catalog(self: Arc<Self>, request: HttpRequest) -> HttpResponse {
        let pages = Arc::clone(&self);
        let query: String = request.query_string().chars().take(8_192).collect();
        let reader = Reader::of(&request);
        let asking = reader.clone();
        let rendered =
            web::block(move || pages.catalog(&asking, &query).map(|html| (html, false))).await;
        self.answer(&request, &reader, rendered)
    }

    /// Answers a reader of HTML at `/dataset/{slug}`.
    pub async fn answer_dataset(
        self: Arc<Self>,
        request: HttpRequest,
        slug: String,
    ) -> HttpResponse {
        let pages = Arc::clone(&self);
        let reader = Reader::of(&request);
        let asking = reader.clone();
        let rendered = web::block(move || pages.dataset(&asking, &slug)).await;
        self.answer(&request, &reader, rendered)
    }

    /// Answers a reader of HTML at `/dataset/{slug}/label`.
    pub async fn answer_label(self: Arc<Self>, request: HttpRequest, slug: String) -> HttpResponse {
        let pages = Arc::clone(&self);
        let reader = Reader::of(&request);
        let asking = reader.clone();
        let make = move || super::quality_label::page(&pages, &asking, &slug);
        let rendered = web::block(move || make().map(|html| (html, false))).await;
        self.answer(&request, &reader, rendered)
    }

    pub(super) fn answer(
        &self,
        request: &HttpRequest,
        reader: &Reader,
        rendered: std::result::Result<Result<(String, bool)>, actix_web::error::BlockingError>,
    ) -> HttpResponse {
        let rendered = rendered.unwrap_or_else(|failure| Err(Error::Internal(failure.to_string())));
        match rendered {
            Ok((html, is_gone)) => {
                let mut response = if is_gone { HttpResponse::Gone() } else { HttpResponse::Ok() };
                reader.headers(&mut response, self.site.base.starts_with("https://"));
                response.content_type("text/html; charset=utf-8").body(html)
            }
            Err(error) => page_or_problem(&self.site, request, &error),
        }
    }
}

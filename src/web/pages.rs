//! The published datasets as pages: what the harvest room's doors hand readers of HTML over to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

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
    /// The list per language, under the shelf's change that it was made at.
    kept: Mutex<BTreeMap<&'static str, (u64, Arc<CatalogView>)>>,
    ledger: Mutex<Arc<Ledger>>,
}

/// Entries that are read from the shelf at once.
const CHUNK: usize = 500;

impl Pages {
    /// Pages of a shelf.
    #[must_use]
    pub fn new(config: Arc<Config>, names: Names, shelf: Arc<dyn Shelf>) -> Self {
        let site = Arc::new(Site::new(&config));
        let (kept, ledger) = (Mutex::default(), Mutex::default());
        Self { config, names, shelf, site, kept, ledger }
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

    /// Every published dataset, made again when the shelf has changed.
    ///
    /// # Errors
    /// When the shelf does not answer.
    pub fn view(&self, tongue: &'static Tongue) -> Result<Arc<CatalogView>> {
        let change = self.shelf.state()?.change;
        let kept = {
            let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.get(tongue.code.as_str()).cloned()
        };
        if let Some((of, view)) = &kept
            && *of == change
        {
            return Ok(Arc::clone(view));
        }
        let converter = self.converter(tongue);
        let before = kept.filter(|(of, _)| *of < change);
        let cards = match &before {
            Some((of, view)) => self.changed_cards(*of, view, &converter)?,
            None => None,
        };
        let cards = match cards {
            Some(cards) => cards,
            None => self.cards(&converter)?,
        };
        let label = |dimension, value: &str| converter.value(dimension, value);
        let before = before.as_ref().map(|(_, view)| &**view);
        let view = Arc::new(CatalogView::after(before, Arc::clone(&self.site), cards, label));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(&tongue.code, (change, Arc::clone(&view)));
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

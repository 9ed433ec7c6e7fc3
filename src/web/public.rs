//! The pages open to all that this room serves itself: the start page and citations.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::catalog::{CatalogQuery, Dimension};
use super::dataset::Access;
use super::layout::{Layout, Place};
use super::problem::{page_or_problem, render};
use super::reader::Reader;
use super::words;
use super::{Pages, State};
use crate::error::{Error, Result};

/// The forms in which a description can be had: name, media type, suffix of the address.
pub(super) const FORMS: &[(&str, &str, &str)] = &[
    ("Turtle", "text/turtle", "ttl"),
    ("JSON-LD", "application/ld+json", "jsonld"),
    ("RDF/XML", "application/rdf+xml", "rdf"),
    ("N-Triples", "application/n-triples", "nt"),
];

/// The same in other forms, for `<link rel="alternate">`.
pub(super) fn alternates(path: &str) -> Vec<(&'static str, String)> {
    FORMS.iter().map(|(_, media, suffix)| (*media, format!("{path}.{suffix}"))).collect()
}

pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/").get(home).head(home))
        .service(web::resource("/dataset/{slug}/citation.{form:bib|ris|json|txt}").get(citation));
}

struct AccessRow {
    label: &'static str,
    style: &'static str,
    explanation: &'static str,
    count: usize,
    href: String,
}

struct Shortcut {
    label: words::Phrase,
    count: String,
    noun: String,
    href: String,
}

struct Door {
    name: &'static str,
    address: String,
    purpose: String,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    layout: Layout,
    datasets: usize,
    tiles: Vec<(String, String)>,
    access: Vec<AccessRow>,
    modalities: Vec<Shortcut>,
    sites: Vec<Shortcut>,
    latest: Vec<(String, words::Phrase, Access)>,
    doors: Vec<Door>,
    /// How many datasets of other catalogues there are, in words.
    elsewhere: Option<String>,
}

/// Where programs go in: key of the name, path, key of what it gives, what is put in there.
const DOORS: &[(&str, &str, &str, &str)] = &[
    ("doors.turtle", "/catalog.ttl", "doors.turtle-gives", ""),
    ("doors.jsonld", "/catalog.jsonld", "doors.same", "JSON-LD"),
    ("doors.rdf", "/catalog.rdf", "doors.same", "RDF/XML"),
    ("doors.nt", "/catalog.nt", "doors.same", "N-Triples"),
    ("doors.fdp", "/fdp/", "doors.fdp-gives", ""),
    ("doors.feed", "/changes", "doors.feed-gives", ""),
    ("doors.sparql", "/sparql", "doors.sparql-gives", ""),
    ("doors.fhir", "/fhir", "doors.fhir-gives", ""),
    ("doors.capabilities", "/fhir/metadata", "doors.capabilities-gives", ""),
];

/// The start page.
///
/// # Errors
/// When the shelf does not answer.
pub(super) fn render_home(pages: &Pages, reader: &Reader, elsewhere: usize) -> Result<String> {
    let tongue = reader.tongue;
    let view = pages.view(tongue)?;
    let site = pages.site();
    let mut layout = Layout::new(site, reader, "", Place::Home);
    layout.summary.clone_from(&site.description.text);
    layout.canonical = Some(format!("{}/", site.base));
    layout.alternates = alternates("/catalog");
    let address = |dimension: Dimension, value: &str| {
        let include = [(dimension, vec![value.to_owned()])].into_iter().collect();
        CatalogQuery { include, page: 1, ..CatalogQuery::default() }.address()
    };
    let shortcuts = |dimension: Dimension| -> Vec<Shortcut> {
        let values = view.values(dimension).into_iter().take(8);
        values
            .map(|(value, count)| Shortcut {
                label: view.label(dimension, &value),
                count: tongue.count(count as u64),
                noun: tongue.noun("dataset", &count),
                href: address(dimension, &value),
            })
            .collect()
    };
    let datasets = view.cards().count();
    let sum = |count: fn(&super::Card) -> Option<u64>| view.cards().filter_map(count).sum::<u64>();
    let studies = sum(|card| card.records);
    let mut tiles = vec![(tongue.count(datasets as u64), tongue.noun("dataset", &datasets))];
    if studies > 0 {
        tiles.push((tongue.count(studies), tongue.word("home.studies").to_owned()));
    }
    let modalities = view.values(Dimension::Modality).len();
    if modalities > 0 {
        tiles.push((tongue.count(modalities as u64), tongue.noun("modality", &modalities)));
    }
    let years: Vec<(i16, i16)> = view.cards().filter_map(|card| card.years).collect();
    if let (Some(first), Some(last)) =
        (years.iter().map(|y| y.0).min(), years.iter().map(|y| y.1).max())
    {
        tiles.push((
            if first == last { first.to_string() } else { format!("{first}–{last}") },
            tongue.word("home.years").to_owned(),
        ));
    }
    let rights = view.values(Dimension::Access);
    let access = [Access::Open, Access::Restricted, Access::Permit]
        .into_iter()
        .filter_map(|access| {
            let (_, count) = rights.iter().find(|(code, _)| code == access.code())?;
            Some(AccessRow {
                label: access.label(tongue),
                style: access.style(),
                explanation: access.meaning(tongue),
                count: *count,
                href: address(Dimension::Access, access.code()),
            })
        })
        .collect();
    let mut cards: Vec<_> = view.cards().collect();
    cards.sort_by(|a, b| b.modified.cmp(&a.modified).then_with(|| a.slug.cmp(&b.slug)));
    let latest = cards
        .iter()
        .take(4)
        .map(|card| (card.slug.clone(), card.title.clone(), card.access))
        .collect();
    let doors = DOORS
        .iter()
        .map(|(name, path, purpose, form)| Door {
            name: tongue.word(name),
            address: format!("{}{path}", site.base),
            purpose: tongue.put(purpose, form),
        })
        .collect();
    render(&HomePage {
        layout,
        datasets,
        tiles,
        access,
        modalities: shortcuts(Dimension::Modality),
        sites: shortcuts(Dimension::BodySite),
        latest,
        doors,
        elsewhere: (elsewhere > 0).then(|| tongue.counted("dataset", elsewhere as u64)),
    })
}

async fn home(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let reader = Reader::of(&request);
    let asking = reader.clone();
    let worker = state.clone();
    let rendered = web::block(move || {
        let elsewhere = super::elsewhere::count(&worker)?;
        render_home(&worker.pages, &asking, elsewhere)
    })
    .await;
    let rendered = rendered.unwrap_or_else(|failure| Err(Error::Internal(failure.to_string())));
    match rendered {
        Ok(text) => {
            let mut response = HttpResponse::Ok();
            reader.headers(&mut response, state.is_secure);
            response.content_type("text/html; charset=utf-8").body(text)
        }
        Err(error) => page_or_problem(state.pages.site(), &request, &error),
    }
}

async fn citation(
    request: HttpRequest,
    path: web::Path<(String, String)>,
    state: web::Data<State>,
) -> HttpResponse {
    let (slug, form) = path.into_inner();
    let pages = std::sync::Arc::clone(&state.pages);
    let wanted = slug.clone();
    let tongue = Reader::of(&request).tongue;
    let found = web::block(move || pages.citation(&wanted, tongue)).await;
    let found = found.unwrap_or_else(|failure| Err(Error::Internal(failure.to_string())));
    let citation = match found {
        Ok(citation) => citation,
        Err(error) => return page_or_problem(state.pages.site(), &request, &error),
    };
    let (media, text) = match form.as_str() {
        "bib" => ("application/x-bibtex; charset=utf-8", citation.bibtex),
        "json" => ("application/vnd.citationstyles.csl+json; charset=utf-8", citation.csl),
        "ris" => ("application/x-research-info-systems; charset=utf-8", citation.ris),
        _ => ("text/plain; charset=utf-8", format!("{}\n", citation.text)),
    };
    // The slug was found on the shelf, so it holds nothing that could break a header.
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .insert_header((header::VARY, "Accept-Language, Cookie"))
        .insert_header((
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{slug}.{form}\""),
        ))
        .insert_header((header::CONTENT_TYPE, media))
        .body(text)
}

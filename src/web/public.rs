//! The pages open to all that this room serves itself: the start page and citations.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::catalog::{CatalogQuery, Dimension};
use super::dataset::Access;
use super::layout::{Layout, Place};
use super::problem::{page_or_problem, render};
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
        .service(web::resource("/dataset/{slug}/citation.{form:bib|ris|txt}").get(citation));
}

struct AccessRow {
    label: &'static str,
    style: &'static str,
    explanation: &'static str,
    count: usize,
    href: String,
}

struct Shortcut {
    label: String,
    count: usize,
    href: String,
}

struct Door {
    name: &'static str,
    address: String,
    purpose: &'static str,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    layout: Layout,
    datasets: usize,
    tiles: Vec<(String, &'static str)>,
    access: Vec<AccessRow>,
    modalities: Vec<Shortcut>,
    sites: Vec<Shortcut>,
    latest: Vec<(String, words::Phrase, Access)>,
    doors: Vec<Door>,
}

/// Where programs go in.
const DOORS: &[(&str, &str, &str)] = &[
    (
        "Catalogue, Turtle",
        "/catalog.ttl",
        "HealthDCAT-AP descriptions of all datasets, page by page (Hydra)",
    ),
    ("Catalogue, JSON-LD", "/catalog.jsonld", "the same as JSON-LD"),
    ("Catalogue, RDF/XML", "/catalog.rdf", "the same as RDF/XML"),
    ("Catalogue, N-Triples", "/catalog.nt", "the same as N-Triples"),
    ("SPARQL", "/sparql", "queries over the published descriptions (SPARQL 1.1)"),
    ("FHIR R4", "/fhir", "imaging studies for EHR systems; needs a token"),
    ("FHIR capabilities", "/fhir/metadata", "what the FHIR endpoint can do; open"),
];

/// The start page.
///
/// # Errors
/// When the shelf does not answer.
pub(super) fn render_home(pages: &Pages) -> Result<String> {
    let view = pages.view()?;
    let site = pages.site();
    let mut layout = Layout::new(site, "", Place::Home);
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
                label: view.label(dimension, &value).to_owned(),
                count,
                href: address(dimension, &value),
            })
            .collect()
    };
    let datasets = view.cards().count();
    let sum = |count: fn(&super::Card) -> Option<u64>| view.cards().filter_map(count).sum::<u64>();
    let studies = sum(|card| card.records);
    let mut tiles =
        vec![(words::count(datasets as u64), if datasets == 1 { "dataset" } else { "datasets" })];
    if studies > 0 {
        tiles.push((words::count(studies), "imaging studies described"));
    }
    let modalities = view.values(Dimension::Modality).len();
    if modalities > 0 {
        tiles.push((
            modalities.to_string(),
            if modalities == 1 { "imaging modality" } else { "imaging modalities" },
        ));
    }
    let years: Vec<(i16, i16)> = view.cards().filter_map(|card| card.years).collect();
    if let (Some(first), Some(last)) =
        (years.iter().map(|y| y.0).min(), years.iter().map(|y| y.1).max())
    {
        tiles.push((
            if first == last { first.to_string() } else { format!("{first}–{last}") },
            "years covered",
        ));
    }
    let rights = view.values(Dimension::Access);
    let access = [Access::Open, Access::Restricted, Access::Permit]
        .into_iter()
        .filter_map(|access| {
            let (_, count) = rights.iter().find(|(code, _)| code == access.code())?;
            Some(AccessRow {
                label: access.label(),
                style: access.style(),
                explanation: access.meaning(),
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
        .map(|(name, path, purpose)| Door {
            name,
            address: format!("{}{path}", site.base),
            purpose,
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
    })
}

async fn home(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let pages = std::sync::Arc::clone(&state.pages);
    let rendered = web::block(move || render_home(&pages)).await;
    let rendered = rendered.unwrap_or_else(|failure| Err(Error::Internal(failure.to_string())));
    match rendered {
        Ok(text) => HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "public, max-age=60"))
            .content_type("text/html; charset=utf-8")
            .body(text),
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
    let found = web::block(move || pages.citation(&wanted)).await;
    let found = found.unwrap_or_else(|failure| Err(Error::Internal(failure.to_string())));
    let citation = match found {
        Ok(citation) => citation,
        Err(error) => return page_or_problem(state.pages.site(), &request, &error),
    };
    let (media, text) = match form.as_str() {
        "bib" => ("application/x-bibtex; charset=utf-8", citation.bibtex),
        "ris" => ("application/x-research-info-systems; charset=utf-8", citation.ris),
        _ => ("text/plain; charset=utf-8", format!("{}\n", citation.text)),
    };
    // The slug was found on the shelf, so it holds nothing that could break a header.
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .insert_header((
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{slug}.{form}\""),
        ))
        .insert_header((header::CONTENT_TYPE, media))
        .body(text)
}

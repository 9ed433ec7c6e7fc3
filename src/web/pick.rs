//! What a reader picks: the cart, the comparison, and citations of several datasets.
//!
//! Both lists are addresses that can be shared (`?dataset=a&dataset=b`). The cart is kept in a
//! cookie of slugs: public names, each read as hostile, so the cookie needs no signature.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::State;
use super::dataset::{Access, DatasetPage, Fact};
use super::layout::{Layout, Place};
use super::problem::{page_or_problem, render};
use super::reader::{CART, MOST, Reader, keep, slugs};
use super::words::{self, Href, Item, Phrase};
use crate::catalogue;
use crate::error::{Error, Result};

/// Datasets that are compared at once.
const COLUMNS: usize = 4;

pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/cart").get(cart).post(change))
        .service(web::resource("/cart/citations.{form:bib|ris|json}").get(citations))
        .service(web::resource("/compare").get(compare));
}

struct CartRow {
    slug: String,
    title: Phrase,
    access: Access,
    remove: String,
    is_own: bool,
}

#[derive(Template)]
#[template(path = "cart.html")]
struct CartPage {
    layout: Layout,
    rows: Vec<CartRow>,
    missing: Vec<Missing>,
    query: String,
    address: String,
    is_own: bool,
}

/// A dataset that was picked and is not published.
struct Missing {
    said: String,
    /// What takes it out of the reader's own cart: slug and words.
    remove: Option<(String, String)>,
}

struct CompareRow {
    label: &'static str,
    cells: Vec<Vec<Item>>,
    differs: bool,
}

#[derive(Template)]
#[template(path = "compare.html")]
struct ComparePage {
    layout: Layout,
    columns: Vec<(String, Phrase)>,
    missing: Vec<Missing>,
    rows: Vec<CompareRow>,
    is_cut: bool,
}

/// The slugs that a query names.
fn named(query: &str) -> Vec<String> {
    let pairs = words::pairs(&query.chars().take(8_192).collect::<String>());
    slugs(pairs.iter().filter(|(name, _)| name == "dataset").map(|(_, slug)| slug.as_str()))
}

fn query(slugs: &[String]) -> String {
    let pairs: Vec<String> = slugs.iter().map(|slug| format!("dataset={slug}")).collect();
    pairs.join("&")
}

/// The published ones among the slugs, and which are not published (any more), in words.
fn found(
    state: &State,
    reader: &Reader,
    slugs: &[String],
    is_own: bool,
) -> Result<(Vec<DatasetPage>, Vec<Missing>)> {
    let tongue = reader.tongue;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for slug in slugs {
        let key = match state.pages.entry(slug) {
            Ok(entry) if entry.state == catalogue::State::Published => {
                found.push(state.pages.converter(tongue).page(&entry));
                continue;
            }
            Ok(entry) if entry.state == catalogue::State::Withdrawn => "cart.withdrawn",
            // What was never published is nobody's to know of.
            Ok(_) | Err(Error::NotFound { .. }) => "cart.unknown",
            Err(Error::Gone { .. }) => "cart.withdrawn",
            Err(error) => return Err(error),
        };
        missing.push(Missing {
            said: tongue.put(key, format!("`{slug}`")),
            remove: is_own.then(|| (slug.clone(), tongue.put("cart.remove", slug))),
        });
    }
    Ok((found, missing))
}

async fn cart(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let shared = named(request.query_string());
    state
        .into_inner()
        .answer(request, move |state, reader| {
            let is_own = shared.is_empty();
            let named = if is_own { &reader.cart } else { &shared };
            let (pages, missing) = found(state, reader, named, is_own)?;
            let listed: Vec<String> = pages.iter().map(|page| page.slug.clone()).collect();
            let title = reader.tongue.word("frame.cart");
            let mut layout = Layout::new(state.pages.site(), reader, title, Place::Cart);
            layout.is_unlisted = true;
            let rows = pages
                .into_iter()
                .map(|page| CartRow {
                    remove: reader.tongue.put("cart.remove", &page.title.text),
                    slug: page.slug,
                    title: page.title,
                    access: page.access,
                    is_own,
                })
                .collect();
            let query = query(&listed);
            let address = format!("/cart?{query}");
            render(&CartPage { layout, rows, missing, address, query, is_own })
        })
        .await
}

/// A posted change of the cart; answered by a redirect, so that a reload repeats nothing.
async fn change(request: HttpRequest, state: web::Data<State>, body: web::Bytes) -> HttpResponse {
    let text: String = String::from_utf8_lossy(&body).chars().take(8_192).collect();
    let pairs = words::pairs(&text);
    let field = |name: &str| pairs.iter().find(|(known, _)| known == name).map(|(_, v)| v.as_str());
    let mut slugs = Reader::of(&request).cart;
    let slug = field("dataset").filter(|slug| catalogue::is_slug(slug));
    match (field("do"), slug) {
        (Some("add"), Some(slug)) if !slugs.iter().any(|known| known == slug) => {
            // The oldest leaves a full cart.
            if slugs.len() >= MOST {
                slugs.remove(0);
            }
            slugs.push(slug.to_owned());
        }
        (Some("remove"), Some(slug)) => slugs.retain(|known| known != slug),
        (Some("clear"), _) => slugs.clear(),
        _ => {}
    }
    let back = field("back").filter(|back| back.starts_with('/') && Href::parse(back).is_some());
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, back.unwrap_or("/cart")))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::SET_COOKIE, keep(CART, &slugs.join("."), state.is_secure)))
        .finish()
}

async fn citations(
    request: HttpRequest,
    form: web::Path<String>,
    state: web::Data<State>,
) -> HttpResponse {
    let reader = Reader::of(&request);
    let slugs = named(request.query_string());
    let (asking, inner) = (reader.clone(), state.clone());
    let made = web::block(move || found(&inner, &asking, &slugs, false)).await;
    let made = made.unwrap_or_else(|failure| Err(Error::Internal(failure.to_string())));
    let pages = match made {
        Ok((pages, _)) => pages,
        Err(error) => return page_or_problem(state.pages.site(), &request, &error),
    };
    let (media, text) = match form.as_str() {
        "bib" => (
            "application/x-bibtex; charset=utf-8",
            pages.iter().map(|page| page.citation.bibtex.as_str()).collect::<String>(),
        ),
        "json" => {
            let items: Vec<serde_json::Value> = pages
                .iter()
                .filter_map(|page| serde_json::from_str::<Vec<_>>(&page.citation.csl).ok())
                .flatten()
                .collect();
            (
                "application/vnd.citationstyles.csl+json; charset=utf-8",
                serde_json::to_string_pretty(&items).unwrap_or_default(),
            )
        }
        _ => (
            "application/x-research-info-systems; charset=utf-8",
            pages.iter().map(|page| page.citation.ris.as_str()).collect::<String>(),
        ),
    };
    HttpResponse::Ok()
        .insert_header((header::VARY, "Accept-Language, Cookie"))
        .insert_header((
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"citations.{form}\""),
        ))
        .insert_header((header::CONTENT_TYPE, media))
        .body(text)
}

async fn compare(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let asked = named(request.query_string());
    state
        .into_inner()
        .answer(request, move |state, reader| {
            let asked = if asked.is_empty() { reader.cart.clone() } else { asked };
            let first: Vec<String> = asked.iter().take(COLUMNS).cloned().collect();
            let (pages, missing) = found(state, reader, &first, false)?;
            let title = reader.tongue.word("compare.title");
            let mut layout = Layout::new(state.pages.site(), reader, title, Place::Cart);
            layout.is_unlisted = true;
            render(&ComparePage {
                layout,
                columns: pages.iter().map(|page| (page.slug.clone(), page.title.clone())).collect(),
                missing,
                rows: rows(&pages, reader),
                is_cut: asked.len() > COLUMNS,
            })
        })
        .await
}

/// Every property that one of the datasets has, in the order of their pages.
fn rows(pages: &[DatasetPage], reader: &Reader) -> Vec<CompareRow> {
    let facts: Vec<Vec<Fact>> = pages.iter().map(|page| all_facts(page, reader)).collect();
    let mut labels: Vec<&'static str> = Vec::new();
    for fact in facts.iter().flatten() {
        if !labels.contains(&fact.label) {
            labels.push(fact.label);
        }
    }
    labels
        .into_iter()
        .map(|label| {
            let cells: Vec<Vec<Item>> = facts
                .iter()
                .map(|facts| {
                    let own = facts.iter().filter(|fact| fact.label == label);
                    own.flat_map(|fact| fact.items.clone()).collect()
                })
                .collect();
            let differs = cells.windows(2).any(|pair| matches!(pair, [a, b] if a != b));
            CompareRow { label, cells, differs }
        })
        .collect()
}

fn all_facts(page: &DatasetPage, reader: &Reader) -> Vec<Fact> {
    let tongue = reader.tongue;
    let one = |key: &str, items: Vec<Item>| Fact { label: tongue.word(key), items };
    let mut facts = vec![one("dataset.access", vec![Item::plain(page.access.label(tongue))])];
    facts.extend(
        page.tiles
            .iter()
            .map(|tile| Fact { label: tile.label, items: vec![Item::plain(tile.value.clone())] }),
    );
    for chart in page.charts.iter().filter(|chart| !chart.is_columns()) {
        let items = chart
            .rows
            .iter()
            .map(|row| Item {
                phrase: Phrase {
                    text: format!("{}: {}", row.label, row.records),
                    lang: row.lang.clone(),
                },
                href: None,
            })
            .collect();
        facts.push(Fact { label: chart.title, items });
    }
    facts.extend(page.classification.iter().cloned());
    facts.push(one("dataset.keywords", page.keywords.clone()));
    facts.extend(page.about.iter().cloned());
    for agent in page.custodian.iter() {
        facts.push(one("dataset.holder", vec![Item::plain(agent.name.clone())]));
    }
    facts.extend(page.history.iter().cloned());
    facts.retain(|fact| !fact.items.is_empty());
    facts
}

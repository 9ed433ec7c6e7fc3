//! Datasets of other catalogues, for everybody: what was harvested, each with where it comes from.
//!
//! In: the last good documents of the store. Out: a list with a search, and a page for each dataset. A
//! dataset that is another's copy, or that is gone, is not shown. None of our documents names them: who
//! wants them as data goes to where they come from, or takes the last good document, which the harvest
//! room gives in every form at the address of the page.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::State;
use super::dataset::Access;
use super::layout::{Layout, Place};
use super::ledger::{Paging, Sheet};
use super::operator::{Moment, looked_for, parameter};
use super::problem::render;
use super::tongue::Tongue;
use super::words::{self, Item, Phrase};
use crate::catalogue::{Format, Other, Summary, Writer};
use crate::config::HarvestSource;
use crate::error::Result;
use crate::imaging::fold;
use crate::store::Store;
use crate::store::harvested::{self, CURRENT, HarvestedRow};

const PATH: &str = "/harvested";
/// Datasets on a page.
const ROWS: usize = 20;
/// Rows that are read from the store at once.
const CHUNK: i64 = 500;
/// Letters that are looked through of each dataset.
const LETTERS: usize = 4_000;

pub(super) fn routes(cfg: &mut web::ServiceConfig) {
    cfg.service(web::resource("/harvested").get(list).head(list));
}

/// What is looked for in a dataset, and what a list says of it.
struct Known {
    iri: String,
    hash: String,
    titles: BTreeMap<String, String>,
    descriptions: BTreeMap<String, String>,
    access: String,
    publisher: String,
    /// Title and text, folded.
    title: String,
    text: String,
}

/// What one source brought, since the run of that number.
#[derive(Clone)]
struct Brought {
    run: i64,
    datasets: Vec<Arc<Known>>,
}

/// Every dataset that is shown, by source.
#[derive(Clone, Default)]
pub(super) struct Elsewhere {
    sources: BTreeMap<String, Brought>,
}

/// The parts of texts per language that a list shows.
fn short(texts: BTreeMap<String, String>, letters: usize) -> BTreeMap<String, String> {
    texts.into_iter().map(|(tag, text)| (tag, text.chars().take(letters).collect())).collect()
}

impl Known {
    fn read(row: &HarvestedRow, writer: Writer<'_>) -> Option<Self> {
        let summary = Summary::of_harvested(&row.iri, &row.document, writer).ok()?;
        let title = summary.titles.values().fold(String::new(), |all, one| format!("{all} {one}"));
        let mut text = format!("{title} {} {}", row.iri, summary.publisher);
        for part in summary.descriptions.values().chain(&summary.keywords) {
            text.push(' ');
            text.push_str(part);
        }
        Some(Self {
            iri: row.iri.clone(),
            hash: row.hash.clone(),
            title: fold(&title),
            text: fold(&text.chars().take(LETTERS).collect::<String>()),
            titles: short(summary.titles, 300),
            descriptions: short(summary.descriptions, 600),
            access: summary.access,
            publisher: summary.publisher,
        })
    }
}

impl Elsewhere {
    /// What is there now; `kept` is what was there last. Sources that were not walked since are not
    /// read again, nor documents that did not change.
    fn refresh(
        kept: &Mutex<Arc<Self>>,
        store: &Store,
        sources: &[HarvestSource],
        writer: Writer<'_>,
    ) -> Result<Arc<Self>> {
        let runs: BTreeMap<String, i64> =
            store.read(harvested::list_last_runs)?.into_iter().collect();
        let before = Arc::clone(&kept.lock().unwrap_or_else(PoisonError::into_inner));
        let mut now = Self::default();
        let mut is_same = true;
        for source in sources.iter().filter(|source| source.public) {
            let Some(run) = runs.get(&source.name) else { continue };
            let known = before.sources.get(&source.name);
            let brought = match known {
                Some(known) if known.run == *run => known.clone(),
                _ => {
                    is_same = false;
                    Brought { run: *run, datasets: read(store, &source.name, known, writer)? }
                }
            };
            now.sources.insert(source.name.clone(), brought);
        }
        if is_same && now.sources.len() == before.sources.len() {
            return Ok(before);
        }
        let now = Arc::new(now);
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&now);
        Ok(now)
    }

    /// How many there are.
    fn len(&self) -> usize {
        self.sources.values().map(|brought| brought.datasets.len()).sum()
    }

    /// Those of a source (empty: of all) that hold every word, by title.
    fn find(&self, text: &str, source: &str) -> Vec<(&str, &Arc<Known>)> {
        let folded = fold(text);
        let words: Vec<&str> = folded.split_whitespace().collect();
        let mut found: Vec<(&str, &Arc<Known>)> = self
            .sources
            .iter()
            .filter(|(name, _)| source.is_empty() || *name == source)
            .flat_map(|(name, brought)| brought.datasets.iter().map(move |one| (&**name, one)))
            .filter(|(_, one)| words.iter().all(|word| one.text.contains(word)))
            .collect();
        found.sort_by(|(_, a), (_, b)| (&a.title, &a.iri).cmp(&(&b.title, &b.iri)));
        found
    }
}

/// What a source has, with what is known of it already.
fn read(
    store: &Store,
    source: &str,
    known: Option<&Brought>,
    writer: Writer<'_>,
) -> Result<Vec<Arc<Known>>> {
    let known: BTreeMap<&str, &Arc<Known>> =
        known.iter().flat_map(|of| &of.datasets).map(|one| (one.iri.as_str(), one)).collect();
    let (mut datasets, mut after) = (Vec::new(), String::new());
    loop {
        let rows = store.read(|db| harvested::list_harvested(db, source, &after, CHUNK))?;
        let Some(last) = rows.last() else { return Ok(datasets) };
        after.clone_from(&last.iri);
        for row in rows.iter().filter(|row| row.state == CURRENT) {
            let same = known.get(row.iri.as_str()).filter(|one| one.hash == row.hash);
            let one = match same {
                Some(one) => Some(Arc::clone(one)),
                None => Known::read(row, writer).map(Arc::new),
            };
            datasets.extend(one);
        }
    }
}

fn elsewhere(state: &State) -> Result<Arc<Elsewhere>> {
    let config = state.pages.config();
    let writer = Writer { config, release: state.pages.release() };
    Elsewhere::refresh(&state.elsewhere, &state.store, &config.harvest.source, writer)
}

/// How many datasets of other catalogues everybody may look at.
pub(super) fn count(state: &State) -> Result<usize> {
    let config = state.pages.config();
    if config.harvest.source.is_empty() { Ok(0) } else { elsewhere(state).map(|all| all.len()) }
}

/// The text in the reader's language, else in English, else in whatever there is.
fn best(texts: &BTreeMap<String, String>, tongue: &'static Tongue) -> Phrase {
    let found = [tongue.code.as_str(), "en", ""]
        .iter()
        .find_map(|tag| texts.get_key_value(*tag))
        .or_else(|| texts.iter().next());
    let Some((tag, text)) = found else { return Phrase::default() };
    let is_tag = tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if tag.is_empty() || !is_tag {
        Phrase::plain(text.clone())
    } else {
        Phrase::within(text.clone(), tag, &tongue.code)
    }
}

/// An address that a source gave: it leads to the web, never into this node.
fn outside(text: &str) -> Item {
    let mut item = Item::address(text);
    item.href = item.href.filter(|href| !href.as_str().starts_with('/'));
    item
}

struct Line {
    href: String,
    title: Phrase,
    about: Phrase,
    source: String,
    publisher: String,
    access: Option<Access>,
}

fn address(page: &str, source: &str, iri: &str) -> String {
    format!("{PATH}/{page}?source={}&iri={}", words::encode(source), words::encode(iri))
}

fn line(tongue: &'static Tongue, source: &str, known: &Known) -> Line {
    let title = best(&known.titles, tongue);
    let about = best(&known.descriptions, tongue);
    Line {
        href: address("dataset", source, &known.iri),
        title: if title.is_empty() { Phrase::plain(known.iri.clone()) } else { title },
        about: Phrase { text: about.short(240), lang: about.lang },
        source: source.to_owned(),
        publisher: known.publisher.clone(),
        access: Access::of_code(&known.access),
    }
}

#[derive(Template)]
#[template(path = "elsewhere.html")]
struct ListPage {
    layout: Layout,
    lines: Vec<Line>,
    text: String,
    /// Name, whether it is chosen, how many it has.
    sources: Vec<(String, bool, String)>,
    found: String,
    paging: Paging,
}

async fn list(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let text = looked_for(&request);
    let source = parameter(&request, "source").unwrap_or_default();
    let asked = parameter(&request, "page").unwrap_or_default();
    state
        .into_inner()
        .answer(request, move |state, reader| {
            let tongue = reader.tongue;
            let all = elsewhere(state)?;
            let found = all.find(&text, &source);
            let sheet = Sheet::of(&asked, found.len(), ROWS);
            let href = |number: usize| {
                let (text, source) = (words::encode(&text), words::encode(&source));
                format!("{PATH}?q={text}&source={source}&page={number}")
            };
            let title = tongue.word("elsewhere.title");
            render(&ListPage {
                layout: Layout::new(state.pages.site(), reader, title, Place::Elsewhere),
                lines: sheet
                    .of_list(&found, ROWS)
                    .iter()
                    .map(|(source, known)| line(tongue, source, known))
                    .collect(),
                sources: all
                    .sources
                    .iter()
                    .map(|(name, brought)| {
                        let count = tongue.count(brought.datasets.len() as u64);
                        (name.clone(), *name == source, count)
                    })
                    .collect(),
                found: tongue.found(found.len()),
                paging: sheet.paging(href),
                text,
            })
        })
        .await
}

#[derive(Template)]
#[template(path = "elsewhere-dataset.html")]
struct DatasetPage {
    layout: Layout,
    title: Phrase,
    about: Phrase,
    access: Option<Access>,
    source: String,
    catalogue: Item,
    origin: Item,
    /// Name and address of each form of its document.
    documents: Vec<(&'static str, String)>,
    changed: Moment,
    facts: Vec<(&'static str, Vec<Item>)>,
    distributions: Vec<(Phrase, Vec<Item>)>,
}

/// The page of one of them, at the harvest room's door.
pub(super) async fn answer(state: Arc<State>, request: HttpRequest) -> HttpResponse {
    let [source, iri] = ["source", "iri"].map(|name| parameter(&request, name).unwrap_or_default());
    state
        .answer(request, move |state, reader| {
            let tongue = reader.tongue;
            let sources = &state.pages.config().harvest.source;
            let Other { source: of, row } = Other::find(&state.store, sources, &source, &iri)?;
            let writer = Writer { config: state.pages.config(), release: state.pages.release() };
            let summary = Summary::of_harvested(&row.iri, &row.document, writer)?;
            let title = best(&summary.titles, tongue);
            let title = if title.is_empty() { Phrase::plain(row.iri.clone()) } else { title };
            let plain = |values: &[String]| values.iter().map(|text| outside(text)).collect();
            let one =
                |text: &str| (!text.is_empty()).then(|| Item::plain(text)).into_iter().collect();
            let period = match &summary.period {
                (None, None) => String::new(),
                (from, to) => {
                    let day = |day: &Option<String>| day.clone().unwrap_or_else(|| "…".to_owned());
                    format!("{} – {}", day(from), day(to))
                }
            };
            let facts: [(&str, Vec<Item>); 10] = [
                ("elsewhere.publisher", one(&summary.publisher)),
                ("elsewhere.holder", one(&summary.holder)),
                ("elsewhere.keywords", plain(&summary.keywords)),
                ("elsewhere.identifiers", plain(&summary.identifiers)),
                ("elsewhere.licences", plain(&summary.licences)),
                ("elsewhere.places", plain(&summary.places)),
                ("elsewhere.period", one(&period)),
                ("elsewhere.version", one(&summary.version)),
                ("elsewhere.issued", one(summary.issued.get(..10).unwrap_or(&summary.issued))),
                (
                    "elsewhere.modified",
                    one(summary.modified.get(..10).unwrap_or(&summary.modified)),
                ),
            ];
            let distributions = summary.distributions.iter().map(|place| {
                let address = |address: &Option<String>| address.as_deref().map(outside);
                let title = if place.title.is_empty() { &place.iri } else { &place.title };
                let mut items: Vec<Item> =
                    [&place.access, &place.download].into_iter().filter_map(address).collect();
                items.dedup();
                items.extend(place.media_type.as_deref().map(Item::plain));
                (Phrase::plain(title.clone()), items)
            });
            let document = |format: &Format| {
                address(&format!("dataset.{}", format.suffix()), &source, &row.iri)
            };
            let mut layout = Layout::new(state.pages.site(), reader, &title.text, Place::Elsewhere);
            let all = Format::ALL.iter();
            layout.alternates = all.map(|one| (one.media_type(), document(one))).collect();
            render(&DatasetPage {
                layout,
                about: best(&summary.descriptions, tongue),
                access: Access::of_code(&summary.access),
                catalogue: outside(&of.url),
                origin: outside(&row.iri),
                documents: Format::ALL.iter().map(|one| (one.name(), document(one))).collect(),
                changed: Moment::new(row.changed, tongue),
                facts: facts
                    .into_iter()
                    .filter(|(_, items)| !items.is_empty())
                    .map(|(key, items)| (tongue.word(key), items))
                    .collect(),
                distributions: distributions.collect(),
                title,
                source,
            })
        })
        .await
}

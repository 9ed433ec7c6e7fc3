//! The list of datasets: text search, facets that include and exclude, order, pages.
//!
//! In: [`Card`]s made from what was published, and a query string. Out: HTML. Every state of the
//! page is an address that can be shared; nothing needs a script.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use askama::Template;
use roaring::RoaringBitmap;

use super::dataset::Access;
use super::finder::{Counted, Finder, Folded};
use super::layout::{Layout, Place, Site};
use super::problem::render;
use super::reader::Reader;
use super::tongue::Tongue;
use super::words::{self, Phrase};
use crate::error::Result;

/// Datasets on a page of the list.
pub const RESULTS_PER_PAGE: usize = 20;
/// Values of a facet that are shown at once.
const FIRST_VALUES: usize = 8;
/// Values of a facet that are listed at all: rarer ones are found by their words.
const MOST_VALUES: usize = 50;
/// More filters than this are not read.
const MOST_FILTERS: usize = 100;

/// What datasets can be narrowed by.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Dimension {
    /// Access right.
    Access,
    /// Health theme.
    Theme,
    /// Category of Article 51 of Regulation (EU) 2025/327.
    Category,
    /// Imaging modality.
    Modality,
    /// Body site.
    BodySite,
    /// Manufacturer of the equipment.
    Manufacturer,
    /// Sex of the persons.
    Sex,
    /// Band of ages at the study.
    Age,
    /// Year of the studies.
    Year,
    /// Primary condition of the persons.
    Condition,
    /// Way in which the data were collected.
    Method,
    /// Licence of a distribution.
    Licence,
    /// Keyword.
    Keyword,
}

impl Dimension {
    /// Every dimension in the order of the page: name in addresses, key of its heading.
    pub const ALL: &[(Self, &str, &str)] = &[
        (Self::Access, "access", "facet.access"),
        (Self::Modality, "modality", "facet.modality"),
        (Self::BodySite, "body-site", "facet.body-site"),
        (Self::Manufacturer, "manufacturer", "facet.manufacturer"),
        (Self::Condition, "condition", "facet.condition"),
        (Self::Sex, "sex", "facet.sex"),
        (Self::Age, "age", "facet.age"),
        (Self::Year, "year", "facet.year"),
        (Self::Theme, "theme", "facet.theme"),
        (Self::Category, "category", "facet.category"),
        (Self::Method, "method", "facet.method"),
        (Self::Licence, "licence", "facet.licence"),
        (Self::Keyword, "keyword", "facet.keyword"),
    ];

    /// Whether its values are listed in their own order, not by how many datasets have them.
    pub(super) const fn is_ordered(self) -> bool {
        matches!(self, Self::Year | Self::Age)
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|row| row.1 == name).map(|row| row.0)
    }
}

/// A dataset in the list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Card {
    /// Last part of its address.
    pub slug: String,
    /// Its title.
    pub title: Phrase,
    /// Its description.
    pub description: Phrase,
    /// How the data can be had.
    pub access: Access,
    /// Its values per dimension.
    pub terms: BTreeMap<Dimension, Vec<String>>,
    /// Its keywords in other languages than the list's: an address that names one of them finds it,
    /// whoever shares it with whom.
    pub also: Vec<String>,
    /// Published studies.
    pub records: Option<u64>,
    /// Published persons.
    pub individuals: Option<u64>,
    /// First and last year that may be shown.
    pub years: Option<(i16, i16)>,
    /// Last change, in seconds since 1970-01-01T00:00:00Z.
    pub modified: i64,
    /// Everything that the text search looks at, in every language.
    pub text: String,
}

impl Card {
    /// Its values in a dimension.
    pub(super) fn values(&self, dimension: Dimension) -> &[String] {
        self.terms.get(&dimension).map_or(&[], Vec::as_slice)
    }
}

/// Values as people read them.
type Labels = HashMap<(Dimension, String), Phrase>;

/// Every published dataset, ready to be searched.
pub struct CatalogView {
    site: Arc<Site>,
    cards: Arc<Vec<Card>>,
    finder: Arc<Finder>,
    labels: Arc<Labels>,
    /// What changed since, while the list is made anew: datasets that are there no more, and those
    /// that are shown as they are now.
    gone: RoaringBitmap,
    newer: HashMap<usize, Card>,
    more_labels: Labels,
}

impl CatalogView {
    /// A view of the cards. `label` names a value for people.
    #[must_use]
    pub fn new(
        site: Arc<Site>,
        cards: Vec<Card>,
        label: impl Fn(Dimension, &str) -> Phrase,
    ) -> Self {
        Self::after(None, site, cards, label)
    }

    /// The same, made of a view of before where nothing changed; labels change never.
    #[must_use]
    pub fn after(
        before: Option<&Self>,
        site: Arc<Site>,
        mut cards: Vec<Card>,
        label: impl Fn(Dimension, &str) -> Phrase,
    ) -> Self {
        let mut labels = Labels::new();
        for card in &mut cards {
            name_values(card, &mut labels, &label);
        }
        let read = |dimension: Dimension, value: &str| {
            let known = labels.get(&(dimension, value.to_owned()));
            known.map_or_else(|| value.to_owned(), |label| label.text.clone())
        };
        let known: HashMap<&str, (&Card, &Arc<Folded>)> = before
            .into_iter()
            .flat_map(|before| before.cards.iter().zip(before.finder.folded()))
            .map(|(card, folded)| (card.slug.as_str(), (card, folded)))
            .collect();
        let known = |card: &Card| {
            let (same, folded) = known.get(card.slug.as_str())?;
            (*same == card).then(|| Arc::clone(folded))
        };
        let finder = Arc::new(Finder::new(&cards, read, known));
        Self {
            site,
            cards: Arc::new(cards),
            finder,
            labels: Arc::new(labels),
            gone: RoaringBitmap::new(),
            newer: HashMap::new(),
            more_labels: Labels::new(),
        }
    }

    /// The same list, for the moment that it takes to make it anew: of the datasets that changed, those
    /// that are no longer published are not in it, and the others are shown as they are now, though
    /// still found by what they were. New ones come with the new list.
    #[must_use]
    pub fn patched(
        &self,
        changed: &[String],
        now: Vec<Card>,
        label: impl Fn(Dimension, &str) -> Phrase,
    ) -> Self {
        let (mut gone, mut newer) = (self.gone.clone(), self.newer.clone());
        let mut more_labels = self.more_labels.clone();
        let mut now: HashMap<String, Card> =
            now.into_iter().map(|card| (card.slug.clone(), card)).collect();
        for slug in changed {
            // The cards come by slug.
            let Ok(at) = self.cards.binary_search_by(|card| card.slug.as_str().cmp(slug)) else {
                continue;
            };
            let place = u32::try_from(at).unwrap_or(u32::MAX);
            match now.remove(slug) {
                Some(mut card) => {
                    name_values(&mut card, &mut more_labels, &label);
                    gone.remove(place);
                    newer.insert(at, card);
                }
                None => {
                    newer.remove(&at);
                    gone.insert(place);
                }
            }
        }
        Self {
            site: Arc::clone(&self.site),
            cards: Arc::clone(&self.cards),
            finder: Arc::clone(&self.finder),
            labels: Arc::clone(&self.labels),
            gone,
            newer,
            more_labels,
        }
    }

    /// The datasets, in the order they came.
    pub fn cards(&self) -> impl Iterator<Item = &Card> {
        (0..self.cards.len()).filter_map(|at| self.card(at))
    }

    fn card(&self, at: usize) -> Option<&Card> {
        if u32::try_from(at).is_ok_and(|at| self.gone.contains(at)) {
            return None;
        }
        self.newer.get(&at).or_else(|| self.cards.get(at))
    }

    /// A value as people read it.
    #[must_use]
    pub fn label(&self, dimension: Dimension, value: &str) -> Phrase {
        let key = (dimension, value.to_owned());
        let known = self.labels.get(&key).or_else(|| self.more_labels.get(&key));
        known.cloned().unwrap_or_else(|| Phrase::plain(value))
    }

    /// How many datasets have each value, the most frequent first.
    #[must_use]
    pub fn values(&self, dimension: Dimension) -> Vec<(String, usize)> {
        let there = self.finder.all() - &self.gone;
        self.finder.count(&there, dimension, usize::MAX).0
    }
}

/// Brings a card's values in order, and notes what each is called.
fn name_values(card: &mut Card, labels: &mut Labels, label: &impl Fn(Dimension, &str) -> Phrase) {
    for (dimension, values) in &mut card.terms {
        values.sort();
        values.dedup();
        for value in values {
            labels.entry((*dimension, value.clone())).or_insert_with(|| label(*dimension, value));
        }
    }
}

/// The order of the list.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Order {
    /// By how well the text fits; without text by title.
    #[default]
    Relevance,
    /// By title.
    Title,
    /// The latest change first.
    Modified,
    /// The most studies first.
    Studies,
}

impl Order {
    const ALL: &[(Self, &str, &str)] = &[
        (Self::Relevance, "relevance", "catalog.relevance"),
        (Self::Title, "title", "catalog.title"),
        (Self::Modified, "modified", "catalog.modified"),
        (Self::Studies, "studies", "catalog.studies"),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }
}

/// What is asked of the list: the query string, read leniently. What is not understood is left
/// out, so that an old link still shows something.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CatalogQuery {
    /// Words to look for.
    pub text: String,
    /// Values of which, per dimension, one must be there.
    pub include: BTreeMap<Dimension, Vec<String>>,
    /// Values of which none may be there.
    pub exclude: BTreeMap<Dimension, Vec<String>>,
    /// The order.
    pub order: Order,
    /// The page, from 1.
    pub page: usize,
}

impl CatalogQuery {
    /// Reads a query string.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        let mut parsed = Self { page: 1, ..Self::default() };
        let mut filters = 0;
        for (name, value) in words::pairs(query) {
            let value = value.trim();
            if value.is_empty() || value.len() > 500 {
                continue;
            }
            match name.as_str() {
                "q" => parsed.text = value.chars().take(200).collect(),
                "sort" => {
                    let row = Order::ALL.iter().find(|row| row.1 == value);
                    parsed.order = row.map_or(Order::Relevance, |row| row.0);
                }
                "page" => parsed.page = value.parse().unwrap_or(1).clamp(1, 1_000_000),
                name => {
                    let (is_excluded, name) =
                        name.strip_prefix("not-").map_or((false, name), |name| (true, name));
                    let Some(dimension) = Dimension::of(name) else { continue };
                    filters += 1;
                    if filters > MOST_FILTERS {
                        continue;
                    }
                    let side = if is_excluded { &mut parsed.exclude } else { &mut parsed.include };
                    let values = side.entry(dimension).or_default();
                    if !values.iter().any(|known| known == value) {
                        values.push(value.to_owned());
                    }
                }
            }
        }
        parsed
    }

    /// The address of the list in this state.
    #[must_use]
    pub fn address(&self) -> String {
        let mut pairs = Vec::new();
        for (name, value) in self.fields() {
            pairs.push(format!("{name}={}", words::encode(&value)));
        }
        if !self.text.is_empty() {
            pairs.insert(0, format!("q={}", words::encode(&self.text)));
        }
        if self.order != Order::Relevance {
            pairs.push(format!("sort={}", self.order.name()));
        }
        if self.page > 1 {
            pairs.push(format!("page={}", self.page));
        }
        if pairs.is_empty() {
            "/catalog".to_owned()
        } else {
            format!("/catalog?{}", pairs.join("&"))
        }
    }

    /// The filters as fields of a form.
    fn fields(&self) -> Vec<(String, String)> {
        let side = |prefix: &str, side: &BTreeMap<Dimension, Vec<String>>| -> Vec<_> {
            side.iter()
                .flat_map(|(dimension, values)| {
                    values
                        .iter()
                        .map(|value| (format!("{prefix}{}", dimension.name()), value.clone()))
                })
                .collect()
        };
        let mut fields = side("", &self.include);
        fields.extend(side("not-", &self.exclude));
        fields
    }

    /// With a value excluded no more.
    pub(super) fn without(&self, dimension: Dimension, value: &str) -> Self {
        let mut query = self.clone();
        remove(&mut query.exclude, dimension, value);
        query
    }

    /// With a value put in or taken out on one side; the list begins again at its first page.
    pub(super) fn toggled(&self, dimension: Dimension, value: &str, is_excluded: bool) -> Self {
        let mut query = Self { page: 1, ..self.clone() };
        let (own, other) = if is_excluded {
            (&mut query.exclude, &mut query.include)
        } else {
            (&mut query.include, &mut query.exclude)
        };
        remove(other, dimension, value);
        if !remove(own, dimension, value) {
            own.entry(dimension).or_default().push(value.to_owned());
        }
        query
    }

    fn has(side: &BTreeMap<Dimension, Vec<String>>, dimension: Dimension, value: &str) -> bool {
        side.get(&dimension).is_some_and(|values| values.iter().any(|known| known == value))
    }

    fn is_filtered(&self) -> bool {
        !self.include.is_empty() || !self.exclude.is_empty() || !self.text.is_empty()
    }
}

fn remove(side: &mut BTreeMap<Dimension, Vec<String>>, dimension: Dimension, value: &str) -> bool {
    let Some(values) = side.get_mut(&dimension) else { return false };
    let before = values.len();
    values.retain(|known| known != value);
    let is_removed = values.len() < before;
    if values.is_empty() {
        side.remove(&dimension);
    }
    is_removed
}

struct FacetValue {
    label: Phrase,
    action: String,
    count: String,
    noun: String,
    is_included: bool,
    is_excluded: bool,
    include: String,
    exclude: String,
}

struct FacetBlock {
    title: &'static str,
    name: &'static str,
    first: Vec<FacetValue>,
    more: Vec<FacetValue>,
    is_open: bool,
    /// That there are more values than a page lists.
    rarer: Option<String>,
}

struct Chip {
    heading: &'static str,
    label: Phrase,
    is_excluded: bool,
    remove: String,
}

struct Hit<'v> {
    slug: &'v str,
    title: &'v Phrase,
    summary: String,
    lang: &'v str,
    access: Access,
    modalities: Vec<Phrase>,
    sites: Vec<Phrase>,
    records: String,
    individuals: String,
    years: String,
}

#[derive(Template)]
#[template(path = "catalog.html")]
struct CatalogPage<'v> {
    layout: Layout,
    query: &'v CatalogQuery,
    fields: Vec<(String, String)>,
    orders: Vec<(&'static str, &'static str, bool)>,
    chips: Vec<Chip>,
    facets: Vec<FacetBlock>,
    hits: Vec<Hit<'v>>,
    total: String,
    is_everything: bool,
    is_empty: bool,
    /// Which page of how many; empty: there is only one.
    place: String,
    previous: Option<String>,
    next: Option<String>,
}

/// The list of datasets as a page.
///
/// # Errors
/// When the template fails, which is a fault of ours.
pub fn render_catalog(view: &CatalogView, reader: &Reader, query: &str) -> Result<String> {
    let tongue = reader.tongue;
    let mut query = CatalogQuery::parse(query);
    let finder = &view.finder;
    let with_text = finder.with_text(&query.text) - &view.gone;
    let found = finder.filtered(&with_text, &query, None);
    let facets = Dimension::ALL
        .iter()
        .filter_map(|(dimension, name, title)| {
            let is_chosen =
                query.include.contains_key(dimension) || query.exclude.contains_key(dimension);
            let counts = if is_chosen {
                finder.facet(&with_text, &query, *dimension, MOST_VALUES)
            } else {
                finder.count(&found, *dimension, MOST_VALUES)
            };
            facet_block(view, &query, *dimension, name, tongue, title, counts)
        })
        .collect();
    let total = usize::try_from(found.len()).unwrap_or(usize::MAX);
    let pages = total.div_ceil(RESULTS_PER_PAGE).max(1);
    let page = query.page.min(pages);
    query.page = page;
    let at = |number: usize| CatalogQuery { page: number, ..query.clone() }.address();
    let hits = finder
        .page(&found, &query, (page - 1) * RESULTS_PER_PAGE, RESULTS_PER_PAGE)
        .into_iter()
        .filter_map(|at| view.card(at))
        .map(|card| hit(view, card, tongue))
        .collect();
    let mut layout =
        Layout::new(&view.site, reader, tongue.word("frame.catalogue"), Place::Catalog);
    layout.summary = view.site.description.text.clone();
    layout.is_unlisted = query.is_filtered();
    layout.canonical = Some(format!("{}/catalog", view.site.base));
    layout.alternates = super::public::alternates("/catalog");
    let page = CatalogPage {
        layout,
        fields: query.fields(),
        orders: Order::ALL
            .iter()
            .filter(|row| row.0 != Order::Relevance || !query.text.is_empty())
            .map(|row| (row.1, tongue.word(row.2), row.0 == query.order))
            .collect(),
        chips: chips(view, &query, tongue),
        facets,
        hits,
        total: tongue.counted("dataset", total as u64),
        is_everything: !query.is_filtered(),
        is_empty: view.cards.is_empty(),
        place: if pages > 1 {
            tongue.put_two("paging.page", tongue.count(page as u64), tongue.count(pages as u64))
        } else {
            String::new()
        },
        previous: (page > 1).then(|| at(page - 1)),
        next: (page < pages).then(|| at(page + 1)),
        query: &query,
    };
    render(&page)
}

fn facet_block(
    view: &CatalogView,
    query: &CatalogQuery,
    dimension: Dimension,
    name: &'static str,
    tongue: &'static Tongue,
    title: &'static str,
    (counts, rarer): (Vec<Counted>, usize),
) -> Option<FacetBlock> {
    if counts.is_empty() {
        return None;
    }
    let mut values: Vec<FacetValue> = counts
        .into_iter()
        .map(|(value, count)| {
            let label = view.label(dimension, &value);
            let is_excluded = CatalogQuery::has(&query.exclude, dimension, &value);
            let action = if is_excluded { "catalog.unexclude" } else { "catalog.exclude" };
            FacetValue {
                action: tongue.put(action, &label.text),
                label,
                count: tongue.count(count as u64),
                noun: tongue.noun("dataset", &count),
                is_included: CatalogQuery::has(&query.include, dimension, &value),
                is_excluded,
                include: query.toggled(dimension, &value, false).address(),
                exclude: query.toggled(dimension, &value, true).address(),
            }
        })
        .collect();
    let more =
        if values.len() > FIRST_VALUES + 2 { values.split_off(FIRST_VALUES) } else { Vec::new() };
    let is_open = more.iter().any(|value| value.is_included || value.is_excluded);
    let rarer = (rarer > 0).then(|| tongue.put("catalog.rarer", rarer));
    Some(FacetBlock { title: tongue.word(title), name, first: values, more, is_open, rarer })
}

fn chips(view: &CatalogView, query: &CatalogQuery, tongue: &'static Tongue) -> Vec<Chip> {
    let mut chips = Vec::new();
    for (dimension, _, heading) in Dimension::ALL {
        for (side, is_excluded) in [(&query.include, false), (&query.exclude, true)] {
            for value in side.get(dimension).into_iter().flatten() {
                let mut label = view.label(*dimension, value);
                if is_excluded {
                    label.text = tongue.put("catalog.not", &label.text);
                }
                chips.push(Chip {
                    heading: tongue.word(heading),
                    label,
                    is_excluded,
                    remove: query.toggled(*dimension, value, is_excluded).address(),
                });
            }
        }
    }
    chips
}

fn hit<'v>(view: &'v CatalogView, card: &'v Card, tongue: &'static Tongue) -> Hit<'v> {
    let labels = |dimension: Dimension| -> Vec<Phrase> {
        let values = card.terms.get(&dimension).into_iter().flatten();
        values.map(|value| view.label(dimension, value)).take(6).collect()
    };
    let shown = |value: Option<u64>, noun: &str| {
        value.map(|value| tongue.counted(noun, value)).unwrap_or_default()
    };
    Hit {
        slug: &card.slug,
        title: &card.title,
        summary: card.description.short(280),
        lang: &card.description.lang,
        access: card.access,
        modalities: labels(Dimension::Modality),
        sites: labels(Dimension::BodySite),
        records: shown(card.records, "study"),
        individuals: shown(card.individuals, "person"),
        years: card.years.map_or_else(String::new, |(first, last)| {
            if first == last { first.to_string() } else { format!("{first}–{last}") }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{CatalogQuery, Dimension, Order};

    #[test]
    fn a_query_survives_the_way_through_its_address() {
        let text = "q=Šk%C3%B3da&modality=MG&not-modality=CT&body-site=http%3A%2F%2Fsnomed.info%2Fsct%7C1&sort=studies&page=3";
        let query = CatalogQuery::parse(text);
        assert_eq!(query.text, "Škóda");
        assert_eq!(query.exclude[&Dimension::Modality], ["CT"]);
        assert_eq!((query.order, query.page), (Order::Studies, 3));
        let address = query.address();
        let again = CatalogQuery::parse(address.split_once('?').unwrap().1);
        assert_eq!(again, query, "{address}");
    }

    #[test]
    fn what_is_not_understood_is_left_out() {
        let query = CatalogQuery::parse(
            "page=-1&sort=evil&nothing=1&not-=2&modality=&q=+++&page=99999999999999999999",
        );
        assert_eq!(query, CatalogQuery { page: 1, ..CatalogQuery::default() });
        let many: String = (0..500).map(|n| format!("keyword=k{n}&")).collect();
        assert_eq!(CatalogQuery::parse(&many).include[&Dimension::Keyword].len(), 100);
        assert_eq!(CatalogQuery::parse("").address(), "/catalog");
    }

    #[test]
    fn choosing_a_value_unchooses_its_opposite_and_goes_to_the_first_page() {
        let query = CatalogQuery::parse("not-modality=CT&page=4");
        let query = query.toggled(Dimension::Modality, "CT", false);
        assert_eq!(query.address(), "/catalog?modality=CT");
        assert_eq!(query.toggled(Dimension::Modality, "CT", false).address(), "/catalog");
    }
}

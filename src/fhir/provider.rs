//! Where the resources of a type come from: the archive's rows, the configuration, what was
//! written. A type may have several providers; their answers are joined to one.

use std::borrow::Cow;
use std::collections::HashSet;

use actix_web::web::Bytes;

use super::Asking;
use super::bundle::{Bundle, Total};
use super::outcome::{Failure, Result};
use super::search::{self, Criterion, Place, Search, Test};
use super::subset::Subset;
use super::table::Resource;
use super::{State, request};
use crate::error::Error;
use crate::store::Db;

/// The answer to a read, before it is put into HTTP.
#[derive(Clone, Debug)]
pub(super) struct Read {
    /// The resource, cut as the reader asked.
    pub(super) bytes: Bytes,
    /// The tag of its version.
    pub(super) version: String,
    /// Its last change, in microseconds since 1970-01-01T00:00:00Z.
    pub(super) updated: Option<i64>,
}

/// A resource that stands in a Bundle.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) resource: Resource,
    pub(super) id: String,
    /// The resource, cut as the reader asked.
    pub(super) bytes: Bytes,
    /// What the search sorts it by.
    pub(super) key: i64,
}

/// What a provider found, in the search's order.
#[derive(Debug)]
pub(super) struct Page {
    /// How many there are on all pages.
    pub(super) total: Total,
    /// At most as many as the search's `_count`.
    pub(super) matches: Vec<Entry>,
    /// Whether more follow behind the last one.
    pub(super) has_more: bool,
    /// How far the provider looked, when it gave up before its page was full: the next page goes
    /// on from there once all matches are taken.
    pub(super) seen: Option<Place>,
    /// What `_include` and `_revinclude` bring.
    pub(super) included: Vec<Entry>,
    /// What the reader should know: a code of `issue-type` and a text.
    pub(super) notes: Vec<(&'static str, &'static str)>,
}

impl Page {
    /// The answer to a count.
    pub(super) const fn count(total: Total) -> Self {
        Self {
            total,
            matches: Vec::new(),
            has_more: false,
            seen: None,
            included: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// A source of resources.
///
/// What the actor may not see is not there: a provider subtracts it before it counts, sorts,
/// pages or includes. What role and scopes let the actor ask at all was looked at before
/// ([`Search::permit`]).
pub(super) trait Provider: Send + Sync {
    /// The types that it has resources of.
    fn resources(&self) -> &[Resource];

    /// The resource of that id.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it has none, or the actor may not know of it; [`Error::Gone`] when
    /// it was deleted and the actor may know that it was there.
    fn read(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        id: &str,
        subset: &Subset,
    ) -> Result<Read>;

    /// A page of a search: `search.control.count` entries behind `after`; only the total when
    /// `search.control.is_count_only`.
    ///
    /// # Errors
    /// When a parameter cannot be used, or the store does not answer.
    fn search(&self, asking: &Asking<'_>, search: &Search, after: Option<&Place>) -> Result<Page>;

    /// Whether clients write what it has.
    fn is_written(&self) -> bool {
        false
    }

    /// Whether parameters that are rows of written resources are compared with what it renders.
    fn is_searched_by_content(&self, _resource: Resource) -> bool {
        false
    }

    /// The ids of everything that a search finds, where they are known without rendering.
    ///
    /// # Errors
    /// As [`Provider::search`].
    fn ids(
        &self,
        _asking: &Asking<'_>,
        _db: &mut Db,
        _search: &Search,
    ) -> Result<Option<Vec<String>>> {
        Ok(None)
    }
}

/// What a search asks of a provider, `None`: nothing of it can match. What no client wrote lacks
/// whatever only written resources are searched by.
pub(super) fn asked_of<'s>(provider: &dyn Provider, search: &'s Search) -> Option<Cow<'s, Search>> {
    let reads = provider.is_searched_by_content(search.resource);
    let is_foreign = |criterion: &Criterion| {
        let is_chain = matches!(criterion.test, Test::Chain(_) | Test::Linked(_));
        criterion.parameter.is_of_written && !provider.is_written() && (is_chain || !reads)
    };
    if !search.criteria.iter().any(is_foreign) {
        return Some(Cow::Borrowed(search));
    }
    let mut rest = search.clone();
    rest.criteria.clear();
    for criterion in &search.criteria {
        match &criterion.test {
            _ if !is_foreign(criterion) => rest.criteria.push(criterion.clone()),
            // What is absent is missing, and is not this.
            Test::Missing(true) | Test::NotTokens(_) => {}
            _ => return None,
        }
    }
    Some(Cow::Owned(rest))
}

/// That there is none of that id.
pub(super) fn not_found(resource: Resource, id: &str) -> Failure {
    Error::NotFound { kind: resource.name(), id: id.to_owned() }.into()
}

impl State {
    pub(super) fn providers(&self, resource: Resource) -> impl Iterator<Item = &dyn Provider> {
        self.providers
            .iter()
            .map(|provider| &**provider)
            .filter(move |provider| provider.resources().contains(&resource))
    }

    /// Reads a resource, wherever it is.
    pub(super) fn read(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        id: &str,
        subset: &Subset,
    ) -> Result<Read> {
        if !asking.actor.has_read_scope(resource.name()) {
            return Err(search::scope_needed(resource.name(), 'r'));
        }
        let mut refused = not_found(resource, id);
        for provider in self.providers(resource) {
            match provider.read(asking, resource, id, subset) {
                Err(failure) if failure.is_not_found() => {}
                Err(failure) if failure.is_gone() => refused = failure,
                answer => return answer,
            }
        }
        Err(refused)
    }

    /// A page of a search, wherever the resources are: the pages of several providers are merged
    /// by what they are sorted by, and without a `_sort` stand one behind the other.
    pub(super) fn page(&self, asking: &Asking<'_>, search: &Search) -> Result<Joined> {
        let providers: Vec<&dyn Provider> = self.providers(search.resource).collect();
        let started = match &search.control.after {
            None => vec![None; providers.len()],
            Some(places) if places.len() == providers.len() => places.clone(),
            Some(_) => return Err(search::foreign_cursor()),
        };
        let mut pages = Vec::with_capacity(providers.len());
        for (provider, place) in providers.iter().zip(&started) {
            pages.push(match asked_of(*provider, search) {
                Some(asked) => provider.search(asking, &asked, place.as_ref())?,
                None => Page::count(Total::Known(0)),
            });
        }
        Ok(Joined::new(pages, started, search))
    }

    /// Searches: a Bundle of type searchset.
    pub(super) fn search(&self, asking: &Asking<'_>, search: &Search) -> Result<Vec<u8>> {
        let control = &search.control;
        let joined = self.page(asking, search)?;
        let link = self.self_link(search);
        if control.is_count_only {
            return Ok(Bundle::new(joined.total, &[("self", &link)]).finish());
        }
        let next = joined.next.map(|places| {
            let cursor = search::cursor(&self.cursor_key, &search.about(asking), &places);
            let pairs = search
                .processed
                .iter()
                .filter(|(name, _)| name != search::CURSOR)
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .chain([(search::CURSOR, cursor.as_str())]);
            format!("{}/{}{}", self.base, search.resource.name(), request::query_of(pairs))
        });
        let total = if control.has_total { joined.total } else { Total::Untold };
        let mut bundle = match &next {
            None => Bundle::new(total, &[("self", &link)]),
            Some(next) => Bundle::new(total, &[("self", &link), ("next", next)]),
        };
        for entry in &joined.matches {
            bundle.push(&self.url(entry), &entry.bytes, "match");
        }
        let mut notes = joined.notes;
        let linked = self.linked(asking, search, &joined.matches, &joined.included, &mut notes)?;
        for entry in joined.included.iter().chain(&linked) {
            bundle.push(&self.url(entry), &entry.bytes, "include");
        }
        for (code, text) in notes {
            bundle.push_outcome(code, text);
        }
        Ok(bundle.finish())
    }

    /// The address of a resource.
    pub(super) fn url(&self, entry: &Entry) -> String {
        format!("{}/{}/{}", self.base, entry.resource.name(), entry.id)
    }

    /// What was processed, as a link.
    fn self_link(&self, search: &Search) -> String {
        let pairs = search.processed.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        format!("{}/{}{}", self.base, search.resource.name(), request::query_of(pairs))
    }
}

/// The pages of all providers of a type as one.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) total: Total,
    pub(super) matches: Vec<Entry>,
    /// Each once, and none that is a match.
    pub(super) included: Vec<Entry>,
    pub(super) notes: Vec<(&'static str, &'static str)>,
    /// Where the next page begins with each provider, if one follows.
    pub(super) next: Option<Vec<Option<Place>>>,
}

impl Joined {
    fn new(mut pages: Vec<Page>, started: Vec<Option<Place>>, search: &Search) -> Self {
        let total = pages.iter().fold(Total::Known(0), |sum, page| sum.plus(page.total));
        let (matches, ends, has_more) = merge(&mut pages, search);
        let next = has_more
            .then(|| ends.into_iter().zip(started).map(|(end, before)| end.or(before)).collect());
        let mut known: HashSet<(Resource, String)> =
            matches.iter().map(|entry| (entry.resource, entry.id.clone())).collect();
        let mut included = Vec::new();
        let mut notes = Vec::new();
        for page in pages {
            let mut is_new = |entry: &Entry| known.insert((entry.resource, entry.id.clone()));
            included.extend(page.included.into_iter().filter(|entry| is_new(entry)));
            notes.extend(page.notes);
        }
        Self { total, matches, included, notes, next }
    }
}

/// Takes a page's entries from the providers' pages: the entries, the last one taken of each
/// provider, and whether more follow.
fn merge(pages: &mut [Page], search: &Search) -> (Vec<Entry>, Vec<Option<Place>>, bool) {
    let sort = search.control.sort.as_ref();
    let mut ends = vec![None; pages.len()];
    let mut heads: Vec<_> = pages
        .iter_mut()
        .map(|page| std::mem::take(&mut page.matches).into_iter().peekable())
        .collect();
    let mut taken = Vec::new();
    while taken.len() < search.control.count {
        let of = |at: usize, entry: &Entry| match sort {
            None => (0, at),
            Some(sort) if sort.descending => (entry.key.saturating_neg(), at),
            Some(_) => (entry.key, at),
        };
        let next = heads
            .iter_mut()
            .enumerate()
            .filter_map(|(at, head)| head.peek().map(|entry| (of(at, entry), at)))
            .min();
        let Some((_, at)) = next else { break };
        let Some(entry) = heads.get_mut(at).and_then(Iterator::next) else { break };
        if let Some(end) = ends.get_mut(at) {
            *end = Some(Place { id: entry.id.clone(), key: entry.key });
        }
        taken.push(entry);
    }
    for ((end, head), page) in ends.iter_mut().zip(&mut heads).zip(pages.iter()) {
        if head.peek().is_none() && page.seen.is_some() {
            end.clone_from(&page.seen);
        }
    }
    let is_left = heads.iter_mut().any(|head| head.peek().is_some());
    let has_more = is_left || pages.iter().any(|page| page.has_more);
    (taken, ends, has_more)
}

#[cfg(test)]
mod tests {
    use super::{Entry, Page, Place, merge};
    use crate::fhir::bundle::Total;
    use crate::fhir::search::Search;
    use crate::fhir::table::Resource;

    fn page(ids: &[&str], seen: Option<&str>) -> Page {
        let entry = |id: &&str| Entry {
            resource: Resource::DiagnosticReport,
            id: (*id).to_owned(),
            bytes: "{}".into(),
            key: 0,
        };
        Page {
            matches: ids.iter().map(entry).collect(),
            has_more: seen.is_some(),
            seen: seen.map(|id| Place { id: id.to_owned(), key: 0 }),
            ..Page::count(Total::Untold)
        }
    }

    fn ends(pages: &mut [Page], count: usize) -> (usize, Vec<Option<String>>, bool) {
        let search = Search::of(Resource::DiagnosticReport, Vec::new(), count);
        let (taken, ends, has_more) = merge(pages, &search);
        let ids = ends.into_iter().map(|end| end.map(|place| place.id)).collect();
        (taken.len(), ids, has_more)
    }

    #[test]
    fn the_next_page_begins_behind_what_was_looked_at_and_not_where_this_one_began() {
        let id = |id: &str| Some(id.to_owned());
        // Nothing matched among all that were looked at.
        assert_eq!(ends(&mut [page(&[], Some("z"))], 2), (0, vec![id("z")], true));
        // Every match is taken: on from what was seen; else on from the last one taken.
        assert_eq!(ends(&mut [page(&["a"], Some("z"))], 2), (1, vec![id("z")], true));
        let mut two = [page(&["a", "b"], None), page(&["c"], Some("z"))];
        assert_eq!(ends(&mut two, 2), (2, vec![id("b"), None], true));
        let mut two = [page(&["a"], None), page(&["c"], Some("z"))];
        assert_eq!(ends(&mut two, 2), (2, vec![id("a"), id("z")], true));
    }
}

//! The walk over a source: a queue of addresses, each visited once, until there is none left or a
//! bound is met. A walk that a bound or a failure ended is incomplete, and deletes nothing.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::time::{Duration, Instant};

use oxrdf::vocab::rdf;
use oxrdf::{Graph, NamedNode, NamedNodeRef, TermRef};
use reqwest::Url;

use super::address::LookUp;
use super::fetch::{Fetched, fetch};
use super::keep::Keeper;
use super::missing::Missing;
use super::piece::DCAT;
use super::{Summary, Trouble, read};
use crate::config::{HarvestFormat, HarvestKind};
use crate::error::Result;

/// Which links lead on, by the kind of source: the predicate's IRI.
const LINKS: &[(&[HarvestKind], &str)] = &[
    (&[HarvestKind::Hydra, HarvestKind::Ckan], "http://www.w3.org/ns/hydra/core#next"),
    // What CKAN's older releases write.
    (&[HarvestKind::Hydra, HarvestKind::Ckan], "http://www.w3.org/ns/hydra/core#nextPage"),
    (&[HarvestKind::Fdp], "https://w3id.org/fdp/fdp-o#metadataCatalog"),
    (&[HarvestKind::Fdp], "http://www.w3.org/ns/ldp#contains"),
    (&[HarvestKind::Fdp], "http://www.w3.org/ns/dcat#catalog"),
];

/// Bytes of an address that is fetched.
const ADDRESS: usize = 1_000;

/// Datasets that a walk missed and asks for at their addresses.
const ASKED: usize = 100;

/// Stack of the thread that reads a document: nesting is bounded, and this is far more.
const STACK: usize = 64 << 20;

struct Walk<'a> {
    keeper: Keeper<'a>,
    look_up: &'a LookUp<'a>,
    start: Url,
    deadline: Instant,
    queue: VecDeque<Url>,
    visited: HashSet<String>,
    /// Datasets that a catalogue names; those that no page describes are fetched at the end.
    named: BTreeSet<String>,
    is_whole: bool,
}

/// Walks a source; what it does wrong is in the summary.
pub(super) fn walk<'a>(keeper: Keeper<'a>, look_up: &'a LookUp<'a>) -> Result<Summary> {
    let source = keeper.source;
    let Ok(start) = source.url.parse::<Url>() else {
        let mut keeper = keeper;
        keeper.summary.trouble(Trouble::new(&source.url, "no-address", "the URL cannot be read"));
        return Ok(keeper.summary);
    };
    let mut walk = Walk {
        deadline: Instant::now() + Duration::from_secs(source.walk_seconds),
        queue: VecDeque::from([start.clone()]),
        start,
        keeper,
        look_up,
        visited: HashSet::new(),
        named: BTreeSet::new(),
        is_whole: true,
    };
    walk.pages()?;
    walk.named_only()?;
    walk.keeper.summary.complete = walk.is_whole;
    // Only a walk that met everything can miss something.
    if !walk.is_whole {
        return Ok(walk.keeper.summary);
    }
    let missing = walk.keeper.missing()?;
    walk.ask_for(&missing)?;
    walk.keeper.finish(missing, &walk.visited)
}

/// Whether an answer says that what was asked for is gone (RFC 9110 section 15.5.11).
fn is_gone(trouble: &Trouble) -> bool {
    trouble.code == "status" && trouble.detail.ends_with(" 410")
}

impl Walk<'_> {
    fn fail(&mut self, trouble: Trouble) {
        self.is_whole = false;
        self.keeper.summary.trouble(trouble);
    }

    /// The bound that was met.
    fn bound(&self) -> Option<String> {
        let (source, summary) = (self.keeper.source, &self.keeper.summary);
        if summary.pages >= source.pages {
            Some(format!("more than {} documents", source.pages))
        } else if summary.bytes > source.total_mib << 20 {
            Some(format!("more than {} MiB", source.total_mib))
        } else if Instant::now() >= self.deadline {
            Some(format!("more than {} seconds", source.walk_seconds))
        } else {
            None
        }
    }

    /// Whether a bound ends the walk before this address.
    fn is_over(&mut self, url: &Url) -> bool {
        let Some(detail) = self.bound() else { return false };
        self.fail(Trouble::new(url.as_str(), "endless", detail));
        true
    }

    fn pages(&mut self) -> Result<()> {
        let mut number = 1_usize;
        while let Some(url) = self.queue.pop_front() {
            if self.visited.contains(url.as_str()) {
                continue;
            }
            if self.is_over(&url) {
                return Ok(());
            }
            // The others may lead to what is none, and CKAN's pages end with an empty one.
            let must_list =
                self.visited.is_empty() || self.keeper.source.kind == HarvestKind::Hydra;
            let Some((graph, new)) = self.visit(&url, false)? else { continue };
            let has_links = self.follow(&graph, &url);
            if must_list && !has_links && !is_catalogue(&graph) {
                let detail = "the document names no catalogue and no dataset, so it is no answer";
                self.fail(Trouble::new(url.as_str(), "empty", detail));
            }
            // CKAN without Hydra: the next number, until a page brings nothing new.
            if self.keeper.source.kind == HarvestKind::Ckan && !has_links && new > 0 {
                number += 1;
                let mut next = self.start.clone();
                let others: Vec<(String, String)> =
                    next.query_pairs().into_owned().filter(|(name, _)| name != "page").collect();
                next.query_pairs_mut()
                    .clear()
                    .extend_pairs(others)
                    .append_pair("page", &number.to_string());
                self.queue.push_back(next);
            }
        }
        Ok(())
    }

    /// Fetches the datasets that were named and not described.
    fn named_only(&mut self) -> Result<()> {
        for iri in std::mem::take(&mut self.named) {
            if self.keeper.met.contains(&iri) {
                continue;
            }
            if !self.keeper.is_own(&iri) {
                self.keeper.met.insert(iri.clone());
                self.keeper.summary.seen += 1;
                self.keeper.summary.refused += 1;
                let detail = "the dataset is outside the namespaces of the source";
                self.keeper.summary.trouble(Trouble::new(&iri, "foreign-namespace", detail));
                continue;
            }
            let Some(url) = iri.parse::<Url>().ok().filter(|url| self.keeper.is_own(url.as_str()))
            else {
                self.fail(Trouble::new(&iri, "no-address", "the dataset is named, not described"));
                continue;
            };
            if self.is_over(&url) {
                return Ok(());
            }
            if self.visit(&url, true)?.is_some() && !self.keeper.met.contains(&iri) {
                let detail = "the document at the dataset's IRI does not describe it";
                self.fail(Trouble::new(&iri, "not-described", detail));
            }
        }
        Ok(())
    }

    /// Asks at the addresses of datasets that no list names any more, those first that were met
    /// last time: 410 is the source's word that one is gone. Nothing else that comes of it counts.
    fn ask_for(&mut self, missing: &[Missing]) -> Result<()> {
        for one in missing.iter().take(ASKED) {
            let url = one.iri.parse::<Url>().ok().filter(|url| self.keeper.is_own(url.as_str()));
            let Some(url) = url.filter(|url| url.as_str().len() <= ADDRESS) else { continue };
            if self.visited.contains(url.as_str()) {
                continue;
            }
            if self.bound().is_some() {
                break;
            }
            let known = self.keeper.page(url.as_str())?;
            self.keeper.summary.pages += 1;
            match fetch(&url, self.keeper.source, known, self.deadline, self.look_up) {
                Err(trouble) if is_gone(&trouble) => {
                    self.keeper.summary.trouble(trouble);
                    self.keeper.said_gone.insert(one.iri.clone());
                }
                Ok(Fetched { page, is_unchanged: false, .. }) => {
                    let summary = &mut self.keeper.summary;
                    summary.bytes = summary.bytes.saturating_add(page.body.len() as u64);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Fetches, reads and keeps a document; the graph, and how many datasets it brought.
    fn visit(&mut self, url: &Url, is_dataset: bool) -> Result<Option<(Graph, usize)>> {
        if url.as_str().len() > ADDRESS {
            let detail = format!("an address of more than {ADDRESS} bytes is not fetched");
            self.fail(Trouble::new(url.as_str(), "long-iri", detail));
            return Ok(None);
        }
        if !self.visited.insert(url.to_string()) {
            return Ok(None);
        }
        let known = self.keeper.page(url.as_str())?;
        self.keeper.summary.pages += 1;
        let Fetched { url: base, page, is_unchanged } =
            match fetch(url, self.keeper.source, known, self.deadline, self.look_up) {
                Ok(fetched) => fetched,
                Err(trouble) => {
                    // A dataset that says that it is gone is missed, and nothing else is.
                    if is_dataset && is_gone(&trouble) {
                        self.keeper.summary.trouble(trouble);
                        self.keeper.said_gone.insert(url.to_string());
                    } else {
                        self.fail(trouble);
                    }
                    return Ok(None);
                }
            };
        let summary = &mut self.keeper.summary;
        if is_unchanged {
            summary.unchanged_pages += 1;
        } else {
            summary.bytes = summary.bytes.saturating_add(page.body.len() as u64);
        }
        let said = self.keeper.source.format.map(HarvestFormat::media_type);
        let graph = match read_apart(&page.body, said.unwrap_or(&page.kind), base.as_str()) {
            Ok(graph) => graph,
            Err(trouble) => {
                self.fail(trouble);
                return Ok(None);
            }
        };
        let new = self.keeper.take(&graph, (!is_unchanged).then_some(&page), self.deadline)?;
        if new.is_cut {
            self.fail(Trouble::new(url.as_str(), "endless", "the time of the walk is over"));
        }
        let predicate = format!("{DCAT}dataset");
        for triple in graph.triples_for_predicate(NamedNodeRef::new_unchecked(&predicate)) {
            if let TermRef::NamedNode(node) = triple.object {
                self.named.insert(node.as_str().to_owned());
            }
        }
        Ok(Some((graph, new.datasets)))
    }

    /// Queues what a document links to; whether there was any link.
    fn follow(&mut self, graph: &Graph, base: &Url) -> bool {
        let kind = self.keeper.source.kind;
        let mut has_links = false;
        for (kinds, predicate) in LINKS {
            let links = graph.triples_for_predicate(NamedNodeRef::new_unchecked(predicate));
            let targets: BTreeSet<String> = links
                .filter_map(|triple| match triple.object {
                    TermRef::NamedNode(node) => Some(node.as_str().to_owned()),
                    // As CKAN writes them.
                    TermRef::Literal(literal) => Some(literal.value().to_owned()),
                    _ => None,
                })
                .collect();
            if targets.is_empty() {
                continue;
            }
            if !kinds.contains(&kind) {
                if kind == HarvestKind::Dcat && predicate.ends_with("#next") {
                    let detail = "the catalogue goes on; set `kind = \"hydra\"`";
                    self.fail(Trouble::new(base.as_str(), "more-pages", detail));
                }
                continue;
            }
            has_links = true;
            for target in targets {
                let Ok(mut url) = base.join(&target) else {
                    self.fail(Trouble::new(&target, "no-address", "a link that leads nowhere"));
                    continue;
                };
                url.set_fragment(None);
                if url.origin() == self.start.origin() || self.keeper.is_own(url.as_str()) {
                    if self.queue.len() < self.keeper.source.pages {
                        self.queue.push_back(url);
                    } else {
                        self.is_whole = false;
                    }
                } else {
                    let detail = "a link that leads out of the source is not followed";
                    self.fail(Trouble::new(url.as_str(), "elsewhere", detail));
                }
            }
        }
        has_links
    }
}

/// Whether a document speaks of a catalogue or of datasets at all. CKAN's harvester, too, aborts at
/// an empty first page, and deletes nothing by it.
fn is_catalogue(graph: &Graph) -> bool {
    ["Catalog", "Dataset"].iter().any(|class| {
        let class = NamedNode::new_unchecked(format!("{DCAT}{class}"));
        graph.subjects_for_predicate_object(rdf::TYPE, &class).next().is_some()
    })
}

/// Reads a document in a thread with a stack of its own: whatever the parser does there, the walk
/// goes on.
fn read_apart(text: &str, kind: &str, base: &str) -> std::result::Result<Graph, Trouble> {
    let failed = || Trouble::new(base, "reader", "the document could not be read");
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, || read::read_document(text, kind, base));
        reader.map_err(|_| failed())?.join().unwrap_or_else(|_| Err(failed()))
    })
}

//! Keeps what a walk brings: one row per dataset, the last good version, and what was missed.

use std::collections::HashSet;
use std::sync::Arc;

use oxrdf::{Graph, NamedNode, NamedNodeRef, TermRef};

use super::piece::{self, Piece};
use super::{Summary, Trouble};
use crate::catalogue::{Severity, Shapes, canonical, digest};
use crate::config::HarvestSource;
use crate::error::Result;
use crate::store::harvested::{self, HarvestedRow, PageRow};
use crate::store::{Db, QueryResult, Store};

const SHAPES: &str = include_str!("../../../catalogue/shapes/harvest.ttl");

const DCT_IDENTIFIER: &str = "http://purl.org/dc/terms/identifier";
const ADMS_IDENTIFIER: &str = "http://www.w3.org/ns/adms#identifier";
const SKOS_NOTATION: &str = "http://www.w3.org/2004/02/skos/core#notation";

/// A dataset that is kept, with a good document.
pub(super) const CURRENT: &str = "current";
/// One that never had a good document.
const REFUSED: &str = "refused";
/// One whose identifier another source brought first.
const DUPLICATE: &str = "duplicate";
/// One that complete walks missed.
const GONE: &str = "gone";

/// What one walk keeps.
pub(super) struct Keeper<'a> {
    store: &'a Store,
    pub(super) source: &'a HarvestSource,
    started: i64,
    shapes: Arc<Shapes>,
    /// IRIs that the walk met, kept or refused.
    pub(super) met: HashSet<String>,
    pub(super) summary: Summary,
}

/// A dataset of a page, judged.
struct Judged {
    iri: String,
    verdict: std::result::Result<(String, String), Trouble>,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(store: &'a Store, source: &'a HarvestSource, started: i64) -> Result<Self> {
        let shapes = Arc::new(Shapes::read(&[("harvest.ttl", SHAPES)])?);
        let summary = Summary { source: source.name.clone(), ..Summary::default() };
        Ok(Self { store, source, started, shapes, met: HashSet::new(), summary })
    }

    pub(super) fn is_own(&self, iri: &str) -> bool {
        self.source.namespaces.iter().any(|namespace| iri.starts_with(namespace))
    }

    pub(super) fn page(&self, url: &str) -> Result<Option<PageRow>> {
        self.store.read(|db| harvested::find_page(db, &self.source.name, url))
    }

    fn refuse(&mut self, trouble: Trouble) {
        self.summary.refused += 1;
        self.summary.trouble(trouble);
    }

    /// Keeps the datasets of a graph, and the page that it was read from when that is new. How
    /// many datasets of it the walk had not met.
    pub(super) fn take(&mut self, graph: &Graph, page: Option<&PageRow>) -> Result<usize> {
        let (datasets, blank) = piece::datasets(graph);
        if blank > 0 {
            let detail = format!("{blank} datasets without an IRI");
            self.refuse(Trouble::new(page.map_or("", |page| &page.url), "no-iri", detail));
        }
        let mut judged = Vec::new();
        for dataset in datasets {
            let iri = dataset.as_str();
            if !self.met.insert(iri.to_owned()) {
                continue;
            }
            self.summary.seen += 1;
            if self.is_own(iri) {
                let verdict = self.judge(graph, &dataset);
                judged.push(Judged { iri: iri.to_owned(), verdict });
            } else {
                let detail = "the dataset is outside the namespaces of the source";
                self.refuse(Trouble::new(iri, "foreign-namespace", detail));
            }
        }
        let mut summary = self.summary.clone();
        self.store.write(|db| {
            // A transaction that is tried again must not count twice.
            summary.clone_from(&self.summary);
            for judged in &judged {
                self.put(db, judged, &mut summary)?;
            }
            match page.filter(|page| !page.etag.is_empty() || !page.modified.is_empty()) {
                Some(page) => harvested::put_page(db, page),
                None => Ok(()),
            }
        })?;
        self.summary = summary;
        Ok(judged.len())
    }

    /// Document and identifier of a dataset, or why it is not taken.
    fn judge(
        &mut self,
        graph: &Graph,
        dataset: &NamedNode,
    ) -> std::result::Result<(String, String), Trouble> {
        let iri = dataset.as_str();
        if iri.len() > 2_000 {
            return Err(Trouble::new(iri, "long-iri", "the IRI of a dataset is too long"));
        }
        let cut = piece::cut(graph, dataset, |iri| self.is_own(iri));
        let Piece { graph, foreign } =
            cut.map_err(|(code, detail)| Trouble::new(iri, code, detail))?;
        self.summary.foreign_statements += foreign;
        let outcomes = self.shapes.validate(&graph, &Graph::new());
        let wrong: Vec<&str> = outcomes
            .iter()
            .filter(|outcome| outcome.severity == Severity::Violation)
            .map(|outcome| outcome.message.as_str())
            .take(5)
            .collect();
        if !wrong.is_empty() {
            return Err(Trouble::new(iri, "gate", wrong.join("; ")));
        }
        Ok((canonical(&graph), identifier(&graph, dataset)))
    }

    fn put(&self, db: &mut Db, judged: &Judged, summary: &mut Summary) -> QueryResult<()> {
        let known = harvested::find_harvested(db, &self.source.name, &judged.iri)?;
        let mut row = known.clone().unwrap_or_else(|| HarvestedRow {
            source: self.source.name.clone(),
            iri: judged.iri.clone(),
            identifier: String::new(),
            state: REFUSED.to_owned(),
            document: String::new(),
            hash: String::new(),
            first_seen: self.started,
            changed: self.started,
            missing: 0,
            report: String::new(),
        });
        row.missing = 0;
        match &judged.verdict {
            Err(trouble) => {
                summary.refused += 1;
                summary.trouble(trouble.clone());
                row.report = format!("{}: {}", trouble.code, trouble.detail);
                if row.state == GONE {
                    row.state = CURRENT.to_owned();
                }
            }
            Ok((document, identifier)) => {
                let hash = digest(document);
                let is_same = hash == row.hash && row.state != GONE;
                match &known {
                    None => summary.new += 1,
                    Some(_) if is_same => summary.unchanged += 1,
                    Some(_) => summary.changed += 1,
                }
                if !is_same {
                    row.changed = self.started;
                }
                row.document.clone_from(document);
                row.identifier.clone_from(identifier);
                row.hash = hash;
                let first = harvested::find_same_identifier(db, &self.source.name, identifier)?;
                // The first stays; it does not become a duplicate of one that came later.
                let first = first.filter(|_| known.as_ref().is_none_or(|k| k.state != CURRENT));
                (row.state, row.report) = match first {
                    None => (CURRENT.to_owned(), String::new()),
                    Some(first) => {
                        summary.duplicates += 1;
                        let report = format!(
                            "duplicate: `{identifier}` came first as {} of {}",
                            first.iri, first.source
                        );
                        summary.trouble(Trouble::new(&judged.iri, DUPLICATE, &*report));
                        (DUPLICATE.to_owned(), report)
                    }
                };
            }
        }
        if known.as_ref() == Some(&row) {
            return Ok(());
        }
        harvested::put_harvested(db, &row)
    }

    /// Ends the walk. Only one that met everything can miss something.
    pub(super) fn finish(mut self, visited: &HashSet<String>) -> Result<Summary> {
        if !self.summary.complete {
            return Ok(self.summary);
        }
        let name = &self.source.name;
        let mut after = String::new();
        loop {
            let rows = self.store.read(|db| harvested::list_harvested(db, name, &after, 1_000))?;
            let Some(last) = rows.last() else { break };
            after.clone_from(&last.iri);
            let missed: Vec<HarvestedRow> = rows
                .into_iter()
                .filter(|row| row.state != GONE && !self.met.contains(&row.iri))
                .map(|mut row| {
                    row.missing = row.missing.saturating_add(1);
                    if i64::from(row.missing) >= i64::from(self.source.gone_after) {
                        row.state = GONE.to_owned();
                        row.changed = self.started;
                    }
                    row
                })
                .collect();
            if missed.is_empty() {
                continue;
            }
            self.summary.missing += missed.len();
            self.summary.gone += missed.iter().filter(|row| row.state == GONE).count();
            self.store
                .write(|db| missed.iter().try_for_each(|row| harvested::put_harvested(db, row)))?;
        }
        let urls = self.store.read(|db| harvested::list_page_urls(db, name))?;
        let old: Vec<&String> = urls.iter().filter(|url| !visited.contains(*url)).collect();
        if !old.is_empty() {
            let remove =
                |db: &mut Db| old.iter().try_for_each(|url| harvested::remove_page(db, name, url));
            self.store.write(remove)?;
        }
        Ok(self.summary)
    }
}

/// The identifier that a dataset keeps across catalogues: the one that was handed over
/// (`adms:identifier`), its own (`dct:identifier`), else its IRI. The least of several.
fn identifier(graph: &Graph, dataset: &NamedNode) -> String {
    let literals = |subject: oxrdf::NamedOrBlankNodeRef<'_>, predicate: &str| -> Option<String> {
        graph
            .objects_for_subject_predicate(subject, NamedNodeRef::new_unchecked(predicate))
            .filter_map(|object| match object {
                TermRef::Literal(literal) => Some(literal.value().to_owned()),
                _ => None,
            })
            .filter(|text| !text.trim().is_empty() && text.len() <= 1_000)
            .min()
    };
    let handed = graph
        .objects_for_subject_predicate(dataset, NamedNodeRef::new_unchecked(ADMS_IDENTIFIER))
        .filter_map(|object| match object {
            TermRef::NamedNode(node) => literals(node.into(), SKOS_NOTATION),
            TermRef::BlankNode(node) => literals(node.into(), SKOS_NOTATION),
            _ => None,
        })
        .min();
    handed
        .or_else(|| literals(dataset.as_ref().into(), DCT_IDENTIFIER))
        .unwrap_or_else(|| dataset.as_str().to_owned())
}

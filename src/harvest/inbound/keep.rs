//! Keeps what a walk brings: one row per dataset, the last good version, and what was missed.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use oxrdf::{Graph, NamedNode, NamedNodeRef, TermRef};

use super::piece::{self, Effort, Piece};
use super::{Summary, Trouble};
use crate::catalogue::{Severity, Shapes, digest};
use crate::config::HarvestSource;
use crate::error::Result;
use crate::store::harvested::{self, CURRENT, DUPLICATE, GONE, HarvestedRow, PageRow, REFUSED};
use crate::store::{Db, QueryResult, Store, datasets};

const SHAPES: &str = include_str!("../../../catalogue/shapes/harvest.ttl");

const DCT_IDENTIFIER: &str = "http://purl.org/dc/terms/identifier";
const ADMS_IDENTIFIER: &str = "http://www.w3.org/ns/adms#identifier";
const SKOS_NOTATION: &str = "http://www.w3.org/2004/02/skos/core#notation";

/// Bytes of a dataset's IRI, and of each name that it is known by.
const NAME: usize = 1_000;
/// Names that a dataset is known by.
const NAMES: usize = 16;
/// Names of a kind that are looked at to find those.
const MOST_NAMES: usize = 100;

/// What one walk keeps.
pub(super) struct Keeper<'a> {
    store: &'a Store,
    pub(super) source: &'a HarvestSource,
    /// Where this node's own datasets begin.
    ours: &'a str,
    started: i64,
    /// Held while rows are written: who is whose copy is asked of what the others wrote.
    turn: &'a Mutex<()>,
    shapes: Arc<Shapes>,
    /// IRIs that the walk met, kept or refused.
    pub(super) met: HashSet<String>,
    /// IRIs whose address answered that the dataset is gone.
    pub(super) said_gone: HashSet<String>,
    pub(super) summary: Summary,
}

/// What a page brought.
pub(super) struct Taken {
    /// Datasets that the walk had not met.
    pub(super) datasets: usize,
    /// Whether the time of the walk ended before the page did.
    pub(super) is_cut: bool,
}

/// A dataset's document and the names that it is known by.
struct Good {
    document: String,
    names: Vec<String>,
}

/// A dataset of a page, judged.
struct Judged {
    iri: String,
    verdict: std::result::Result<Good, Trouble>,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(
        store: &'a Store,
        source: &'a HarvestSource,
        ours: &'a str,
        started: i64,
        turn: &'a Mutex<()>,
    ) -> Result<Self> {
        let shapes = Arc::new(Shapes::read(&[("harvest.ttl", SHAPES)])?);
        let summary = Summary { source: source.name.clone(), ..Summary::default() };
        let (met, said_gone) = (HashSet::new(), HashSet::new());
        Ok(Self { store, source, ours, started, turn, shapes, met, said_gone, summary })
    }

    /// Whether the source may describe it. What climbs out of a folder (`..`, however written) is
    /// in none.
    pub(super) fn is_own(&self, iri: &str) -> bool {
        let path = iri.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let climbs = path.replace("%2e", ".").split('/').any(|part| matches!(part, "." | ".."));
        !climbs && self.source.namespaces.iter().any(|namespace| iri.starts_with(namespace))
    }

    pub(super) fn page(&self, url: &str) -> Result<Option<PageRow>> {
        self.store.read(|db| harvested::find_page(db, &self.source.name, url))
    }

    fn refuse(&mut self, trouble: Trouble) {
        self.summary.refused += 1;
        self.summary.trouble(trouble);
    }

    /// Keeps the datasets of a graph, and the page that it was read from when that is new.
    pub(super) fn take(
        &mut self,
        graph: &Graph,
        page: Option<&PageRow>,
        deadline: Instant,
    ) -> Result<Taken> {
        let (datasets, blank) = piece::datasets(graph);
        if blank > 0 {
            let detail = format!("{blank} datasets without an IRI");
            self.refuse(Trouble::new(page.map_or("", |page| &page.url), "no-iri", detail));
        }
        let (mut judged, mut effort) = (Vec::new(), Effort::of(graph.len()));
        let mut is_cut = false;
        for dataset in datasets {
            let iri = dataset.as_str();
            is_cut = Instant::now() >= deadline;
            if is_cut {
                break;
            }
            if !self.met.insert(iri.to_owned()) {
                continue;
            }
            self.summary.seen += 1;
            if self.is_own(iri) {
                let verdict = self.judge(graph, &dataset, &mut effort);
                judged.push(Judged { iri: iri.to_owned(), verdict });
            } else {
                let detail = "the dataset is outside the namespaces of the source";
                self.refuse(Trouble::new(iri, "foreign-namespace", detail));
            }
        }
        let mut summary = self.summary.clone();
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.store.write(|db| {
            // A transaction that is tried again must not count twice.
            summary.clone_from(&self.summary);
            for judged in &judged {
                self.put(db, judged, &mut summary)?;
            }
            let has_validator =
                |page: &&PageRow| !page.etag.is_empty() || !page.modified.is_empty();
            match page.filter(has_validator).filter(|_| !is_cut) {
                Some(page) => harvested::put_page(db, page),
                None => Ok(()),
            }
        })?;
        self.summary = summary;
        Ok(Taken { datasets: judged.len(), is_cut })
    }

    /// Document and names of a dataset, or why it is not taken.
    fn judge(
        &mut self,
        graph: &Graph,
        dataset: &NamedNode,
        effort: &mut Effort,
    ) -> std::result::Result<Good, Trouble> {
        let iri = dataset.as_str();
        if iri.len() > NAME {
            return Err(Trouble::new(iri, "long-iri", "the IRI of a dataset is too long"));
        }
        let cut = piece::cut(graph, dataset, |iri| self.is_own(iri), effort);
        let Piece { graph: own, foreign } =
            cut.map_err(|(code, detail)| Trouble::new(iri, code, detail))?;
        self.summary.foreign_statements += foreign;
        let outcomes = self.shapes.validate(&own, &Graph::new());
        let wrong: Vec<&str> = outcomes
            .iter()
            .filter(|outcome| outcome.severity == Severity::Violation)
            .map(|outcome| outcome.message.as_str())
            .take(5)
            .collect();
        if !wrong.is_empty() {
            return Err(Trouble::new(iri, "gate", wrong.join("; ")));
        }
        // A name that was handed over may be a node of the catalogue that it came from. What a name
        // says is a claim, and claims give way to originals: it may stand outside the namespaces.
        Ok(Good { document: piece::lines(&own), names: names(graph, dataset) })
    }

    fn put(&self, db: &mut Db, judged: &Judged, summary: &mut Summary) -> QueryResult<()> {
        let known = harvested::find_harvested(db, &self.source.name, &judged.iri)?;
        let mut row = known.clone().unwrap_or_else(|| HarvestedRow {
            source: self.source.name.clone(),
            iri: judged.iri.clone(),
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
                    row.state = if row.document.is_empty() { REFUSED } else { CURRENT }.to_owned();
                }
            }
            Ok(good) => {
                let hash = digest(&good.document);
                let is_same = hash == row.hash && row.state != GONE;
                match &known {
                    None => summary.new += 1,
                    Some(_) if is_same => summary.unchanged += 1,
                    Some(_) => summary.changed += 1,
                }
                if !is_same {
                    row.changed = self.started;
                }
                row.document.clone_from(&good.document);
                row.hash = hash;
                harvested::put_identifiers(db, &row.source, &row.iri, &good.names)?;
                let same = self.same(db, &row, &good.names)?;
                (row.state, row.report) = match same {
                    None => (CURRENT.to_owned(), String::new()),
                    Some(report) => {
                        summary.duplicates += 1;
                        summary.trouble(Trouble::new(&judged.iri, DUPLICATE, &*report));
                        (DUPLICATE.to_owned(), format!("{DUPLICATE}: {report}"))
                    }
                };
            }
        }
        if known.as_ref() == Some(&row) {
            return Ok(());
        }
        harvested::put_harvested(db, &row)
    }

    /// Whether a dataset is another's copy: of which, for people. Who has a name as its IRI is the
    /// one that the name was given to, and who only says so gives way to it; else who came first
    /// stays. So nobody takes another's place by being early.
    fn same(
        &self,
        db: &mut Db,
        row: &HarvestedRow,
        names: &[String],
    ) -> QueryResult<Option<String>> {
        for name in names {
            let slug = name.strip_prefix(self.ours).unwrap_or_default();
            if !slug.is_empty() && datasets::find_dataset(db, slug)?.is_some() {
                return Ok(Some(format!("it is our own dataset `{slug}`")));
            }
        }
        let is_current = row.state == CURRENT;
        let mut others: Vec<(HarvestedRow, Vec<String>)> = Vec::new();
        for (other, name) in harvested::list_same(db, (&row.source, &row.iri), names)? {
            match others.iter_mut().find(|(known, _)| *known == other) {
                Some((_, names)) => names.push(name),
                None => others.push((other, vec![name])),
            }
        }
        for (other, names) in others {
            if other.source == row.source && !self.met.contains(&other.iri) {
                continue;
            }
            // A part of a dataset (`…#identifier-1`) is its own as well.
            let owned_by = |iri: &str| {
                names.iter().find(|name| {
                    name.strip_prefix(iri)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
                })
            };
            let (ours, theirs) = (owned_by(&row.iri), owned_by(&other.iri));
            let came_first = (row.first_seen, &row.source, &row.iri)
                < (other.first_seen, &other.source, &other.iri);
            if let (Some(name), None) = (ours, theirs) {
                let report = format!("{DUPLICATE}: `{name}` is `{}` of `{}`", row.iri, row.source);
                let report = report.chars().take(500).collect();
                let other = HarvestedRow { state: DUPLICATE.to_owned(), report, ..other };
                harvested::put_harvested(db, &other)?;
            } else if (theirs.is_some() && ours.is_none()) || !(is_current && came_first) {
                let name = theirs.or(names.first()).map_or("", String::as_str);
                return Ok(Some(format!("`{name}` is `{}` of `{}`", other.iri, other.source)));
            }
        }
        Ok(None)
    }

    /// Ends the walk. Only one that met everything can miss something.
    pub(super) fn finish(mut self, visited: &HashSet<String>) -> Result<Summary> {
        if !self.summary.complete {
            return Ok(self.summary);
        }
        let name = self.source.name.clone();
        let turn = self.turn;
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut after = String::new();
        loop {
            let rows = self.store.read(|db| harvested::list_harvested(db, &name, &after, 1_000))?;
            let Some(last) = rows.last() else { break };
            after.clone_from(&last.iri);
            let missed: Vec<HarvestedRow> = rows
                .into_iter()
                .filter(|row| row.state != GONE && !self.met.contains(&row.iri))
                .collect();
            let missed = self.missed(missed)?;
            if missed.is_empty() {
                continue;
            }
            self.summary.missing += missed.len();
            self.summary.gone += missed.iter().filter(|row| row.state == GONE).count();
            self.store
                .write(|db| missed.iter().try_for_each(|row| harvested::put_harvested(db, row)))?;
        }
        let urls = self.store.read(|db| harvested::list_page_urls(db, &name))?;
        let old: Vec<&String> = urls.iter().filter(|url| !visited.contains(*url)).collect();
        if !old.is_empty() {
            let remove =
                |db: &mut Db| old.iter().try_for_each(|url| harvested::remove_page(db, &name, url));
            self.store.write(remove)?;
        }
        Ok(self.summary)
    }

    /// What becomes of datasets that a complete walk did not meet: gone after so many walks, at
    /// once when the source says so or has it under another IRI now.
    fn missed(&self, rows: Vec<HarvestedRow>) -> Result<Vec<HarvestedRow>> {
        let mut missed = Vec::with_capacity(rows.len());
        for mut row in rows {
            row.missing = row.missing.saturating_add(1);
            let is_late = i64::from(row.missing) >= i64::from(self.source.gone_after);
            let named = [row.iri.clone()];
            let others =
                self.store.read(|db| harvested::list_same(db, (&row.source, &row.iri), &named))?;
            let renamed = others
                .into_iter()
                .find(|(other, _)| other.source == row.source && self.met.contains(&other.iri));
            if let Some((other, _)) = &renamed {
                row.report = format!("renamed: it is `{}` now", other.iri);
            }
            if is_late || renamed.is_some() || self.said_gone.contains(&row.iri) {
                row.state = GONE.to_owned();
                row.changed = self.started;
            }
            missed.push(row);
        }
        Ok(missed)
    }
}

/// The names that a dataset is known by across catalogues: its IRI, its own identifiers
/// (`dct:identifier`) and those that were handed over (`adms:identifier`). HealthDCAT-AP Release 8:
/// the next catalogue overwrites the first and moves the original into the second. A local number
/// (`17`) is no name across catalogues.
fn names(graph: &Graph, dataset: &NamedNode) -> Vec<String> {
    // A literal, or what CKAN makes of one that is an address: an IRI.
    let name = |term: TermRef<'_>| match term {
        TermRef::Literal(literal) => Some(literal.value().trim().to_owned()),
        TermRef::NamedNode(node) => Some(node.as_str().to_owned()),
        _ => None,
    };
    let of = |subject: oxrdf::NamedOrBlankNodeRef<'_>, predicate: &str| -> Vec<oxrdf::Term> {
        let predicate = NamedNodeRef::new_unchecked(predicate);
        let objects = graph.objects_for_subject_predicate(subject, predicate);
        objects.take(MOST_NAMES).map(TermRef::into_owned).collect()
    };
    let mut all = of(dataset.as_ref().into(), DCT_IDENTIFIER);
    for handed in of(dataset.as_ref().into(), ADMS_IDENTIFIER) {
        match &handed {
            oxrdf::Term::NamedNode(node) => all.extend(of(node.as_ref().into(), SKOS_NOTATION)),
            oxrdf::Term::BlankNode(node) => all.extend(of(node.as_ref().into(), SKOS_NOTATION)),
            _ => {}
        }
        // Of an `adms:Identifier` CKAN keeps nothing but the IRI.
        all.push(handed);
    }
    let iri = dataset.as_str().to_owned();
    let all: BTreeSet<String> = all.iter().filter_map(|term| name(term.as_ref())).collect();
    let others = all.into_iter().filter(|name| *name != iri && is_global(name)).take(NAMES);
    let names: BTreeSet<String> = others.chain([iri.clone()]).collect();
    names.into_iter().collect()
}

/// Whether a name means the same in every catalogue: an IRI, a DOI, a UUID.
fn is_global(name: &str) -> bool {
    let is_short = name.len() <= NAME && !name.chars().any(char::is_control);
    let is_uuid = || {
        let parts: Vec<&str> = name.split('-').collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        lengths == [8, 4, 4, 4, 12] && name.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
    };
    let is_doi = || {
        name.strip_prefix("10.").and_then(|rest| rest.split_once('/')).is_some_and(
            |(registrant, _)| registrant.bytes().all(|b| b.is_ascii_digit() || b == b'.'),
        )
    };
    is_short && (NamedNode::new(name).is_ok() || is_uuid() || is_doi())
}

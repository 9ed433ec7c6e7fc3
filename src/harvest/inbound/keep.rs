//! Keeps what a walk brings: one row per dataset, the last good version, and what was missed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use oxrdf::{Graph, NamedNode};

use super::names::{self, NAME, Own};
use super::piece::{self, Effort, Piece};
use super::{Summary, Trouble};
use crate::catalogue::{Severity, Shapes, digest};
use crate::config::HarvestSource;
use crate::error::Result;
use crate::store::harvested::{self, CURRENT, DUPLICATE, GONE, HarvestedRow, PageRow, REFUSED};
use crate::store::{Db, QueryResult, Store, datasets};

const SHAPES: &str = include_str!("../../../catalogue/shapes/harvest.ttl");

/// What one walk keeps.
pub(super) struct Keeper<'a> {
    pub(super) store: &'a Store,
    pub(super) source: &'a HarvestSource,
    /// This node's own datasets.
    ours: &'a Own<'a>,
    pub(super) started: i64,
    /// Held while rows are written: who is whose copy is asked of what the others wrote.
    pub(super) turn: &'a Mutex<()>,
    shapes: Arc<Shapes>,
    /// Whether what is missing is gone at once, however much it is.
    pub(super) prune: bool,
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
        ours: &'a Own<'a>,
        started: i64,
        turn: &'a Mutex<()>,
    ) -> Result<Self> {
        let shapes = Arc::new(Shapes::read(&[("harvest.ttl", SHAPES)])?);
        let summary = Summary { source: source.name.clone(), ..Summary::default() };
        let (met, said_gone) = (HashSet::new(), HashSet::new());
        let prune = false;
        Ok(Self { store, source, ours, started, turn, shapes, prune, met, said_gone, summary })
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
        let ours = self.ours.names(self.store)?;
        let mut summary = self.summary.clone();
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.store.write(|db| {
            // A transaction that is tried again must not count twice.
            summary.clone_from(&self.summary);
            for judged in &judged {
                self.put(db, judged, &ours, &mut summary)?;
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
        Ok(Good { document: piece::lines(&own), names: names::of(graph, dataset) })
    }

    fn put(
        &self,
        db: &mut Db,
        judged: &Judged,
        ours: &HashMap<String, String>,
        summary: &mut Summary,
    ) -> QueryResult<()> {
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
                let same = self.same(db, &row, &good.names, ours)?;
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
        ours: &HashMap<String, String>,
    ) -> QueryResult<Option<String>> {
        for name in names {
            let slug = name.strip_prefix(self.ours.base).unwrap_or_default();
            if !slug.is_empty() && datasets::find_dataset(db, slug)?.is_some() {
                return Ok(Some(format!("it is our own dataset `{slug}`")));
            }
            // We may be the ones who hand on its name.
            if let Some(slug) = ours.get(name).filter(|_| !names::is_of(name, &row.iri)) {
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
            let owned_by = |iri: &str| names.iter().find(|name| names::is_of(name, iri));
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
}

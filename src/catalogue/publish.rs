//! The gate and what stands behind it: nothing is published unless it holds to the shapes, and
//! a dataset that fails keeps its last good document, unless that is more open than the newest
//! description asks for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use oxrdf::Graph;
use serde::{Deserialize, Serialize};

use super::check::{self, Refusal};
use super::description::{AccessRights, Description};
use super::elements::{self, completeness};
use super::emit;
use super::figures::{Disclosed, Facts, Figures};
use super::gate::Gate;
use super::graph::{Draft, Subject, Writer};
use super::kept::open_to_secondary_use;
use super::log::{self, Event, Log, Standing};
use super::release::{Release, Scheme};
use super::selection::Selection;
use super::shacl::{Problem, Severity};
use crate::config::{Config, Identity, Organisation};
use crate::error::{Error, Result};
use crate::imaging::Facet;

/// Where a dataset stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its document is served. An entry whose newest description was refused stays so, with
    /// its last good document and a report that tells why, unless that document is more open
    /// than the newest description.
    Published,
    /// It never passed the gate.
    Failed,
    /// Its address answers 410 with the tombstone in `document`. The steward said so, or the
    /// newest description was refused and asks for less than what was open.
    Withdrawn,
}

/// A dataset as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Last part of its IRI.
    pub slug: String,
    /// Where it stands.
    pub state: State,
    /// The description (TOML) that `document` was made from; before the first publication, the
    /// one that was refused.
    pub text: String,
    /// Version of the published document.
    pub version: String,
    /// Published figures: [`Disclosed`] as JSON. Exact ones are here only for open datasets.
    pub figures: String,
    /// The document as canonical N-Quads; empty before the first publication.
    pub document: String,
    /// What the gate said to the newest description: [`Problem`]s as JSON list.
    pub report: String,
    /// First publication.
    pub issued: Timestamp,
    /// Last change of the document.
    pub modified: Timestamp,
    /// Before this time the figures of a dataset that is not open do not change.
    pub next_release: Option<Timestamp>,
}

impl Entry {
    /// The published figures.
    #[must_use]
    pub fn figures(&self) -> Disclosed {
        serde_json::from_str(&self.figures).unwrap_or_default()
    }

    /// The report of the gate.
    #[must_use]
    pub fn report(&self) -> Vec<Problem> {
        serde_json::from_str(&self.report).unwrap_or_default()
    }

    /// The description that the document was made from.
    #[must_use]
    pub fn description(&self) -> Description {
        toml::from_str(&self.text).unwrap_or_default()
    }
}

/// What changes with every change of the shelf.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ShelfState {
    /// Grows with every [`Shelf::put`]; what is cached under it is valid until it grows.
    pub change: u64,
    /// How many datasets are published.
    pub published: usize,
    /// The last event of the log.
    pub latest: Option<Timestamp>,
}

/// Where datasets are kept: the store.
pub trait Shelf: Log {
    /// The dataset of that slug, in whatever state.
    ///
    /// # Errors
    /// When the store does not answer.
    fn find(&self, slug: &str) -> Result<Option<Entry>>;
    /// Keeps an entry, replacing that of the same slug.
    ///
    /// # Errors
    /// When the store does not answer.
    fn put(&self, entry: &Entry) -> Result<()>;
    /// Published datasets by slug (byte order), some of them.
    ///
    /// # Errors
    /// When the store does not answer.
    fn published(&self, offset: usize, limit: usize) -> Result<Vec<Entry>>;
    /// Datasets that are or were published, whose figures were counted by that selection.
    ///
    /// # Errors
    /// When the store does not answer.
    fn counted_by(&self, selection: &Selection) -> Result<Vec<Entry>>;
    /// Every slug, in byte order.
    ///
    /// # Errors
    /// When the store does not answer.
    fn slugs(&self) -> Result<Vec<String>>;
    /// What changes with every change.
    ///
    /// # Errors
    /// When the store does not answer.
    fn state(&self) -> Result<ShelfState>;
    /// The slugs of what changed after a [`ShelfState::change`]; `None`: everything may have.
    ///
    /// # Errors
    /// When the store does not answer.
    fn changed_since(&self, _change: u64) -> Result<Option<Vec<String>>> {
        Ok(None)
    }
}

/// A shelf in memory, for tests and for trying out.
#[derive(Debug, Default)]
pub struct MemoryShelf {
    inner: Mutex<(u64, BTreeMap<String, Entry>, Vec<Event>)>,
}

impl Log for MemoryShelf {
    fn last_event(&self) -> Result<Option<Event>> {
        Ok(self.inner.lock().unwrap_or_else(PoisonError::into_inner).2.last().cloned())
    }

    fn event(&self, seq: u64) -> Result<Option<Event>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(inner.2.iter().find(|event| event.seq == seq).cloned())
    }

    fn newest(&self, slug: &str) -> Result<Option<Event>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(inner.2.iter().rev().find(|event| event.slug == slug).cloned())
    }

    fn events(&self, after: u64, limit: usize) -> Result<Vec<Event>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(inner.2.iter().filter(|event| event.seq > after).take(limit).cloned().collect())
    }

    fn standing(&self, seq: u64, since: Option<Timestamp>) -> Result<Vec<Standing>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(log::standing_of(&inner.2, seq, since))
    }

    fn entries(&self, slugs: &[String]) -> Result<Vec<Entry>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Entry> =
            slugs.iter().filter_map(|slug| inner.1.get(slug).cloned()).collect();
        found.sort_by(|a, b| a.slug.cmp(&b.slug));
        Ok(found)
    }
}

impl Shelf for MemoryShelf {
    fn find(&self, slug: &str) -> Result<Option<Entry>> {
        Ok(self.inner.lock().unwrap_or_else(PoisonError::into_inner).1.get(slug).cloned())
    }

    fn put(&self, entry: &Entry) -> Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0 += 1;
        let before = inner.1.insert(entry.slug.clone(), entry.clone());
        log::append(&mut inner.2, before.as_ref(), entry);
        Ok(())
    }

    fn published(&self, offset: usize, limit: usize) -> Result<Vec<Entry>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let published = inner.1.values().filter(|entry| entry.state == State::Published);
        Ok(published.skip(offset).take(limit).cloned().collect())
    }

    fn counted_by(&self, selection: &Selection) -> Result<Vec<Entry>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let key = selection.key();
        let entries = inner.1.values().filter(|entry| entry.state != State::Failed);
        let same = entries.filter(|entry| entry.figures().selection.key() == key);
        Ok(same.cloned().collect())
    }

    fn slugs(&self) -> Result<Vec<String>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(inner.1.keys().cloned().collect())
    }

    fn state(&self) -> Result<ShelfState> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let published = inner.1.values().filter(|entry| entry.state == State::Published).count();
        let latest = inner.2.last().map(|event| event.time);
        Ok(ShelfState { change: inner.0, published, latest })
    }
}

/// What came of a description.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The dataset.
    pub slug: String,
    /// What happened to it.
    pub verdict: Verdict,
    /// What the parser refused, with places.
    pub refusals: Vec<Refusal>,
    /// What the gate said: violations when refused, else recommendations.
    pub problems: Vec<Problem>,
}

/// What happened to a dataset.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its document is new or changed.
    Published,
    /// Nothing changed.
    Unchanged,
    /// It was withdrawn.
    Withdrawn,
    /// It was refused; the last good document, if any, stays unless it is too open by now.
    Refused,
}

/// Publishes datasets for one configuration.
#[derive(Debug)]
pub struct Publisher<'a> {
    /// Names, contacts, disclosure rule.
    pub config: &'a Config,
    /// Namespaces and vocabularies.
    pub release: &'a Release,
    /// The shapes.
    pub gate: &'a Gate,
}

/// How a description is gone through.
#[derive(Clone, Copy)]
struct How<'a> {
    keep: bool,
    /// What is open, if that is known; else it is read.
    open: Option<&'a [(&'a str, &'a Selection)]>,
}

/// What a description asks for, read as far as it can be: of a refused one too.
struct Asked {
    is_public: bool,
    is_exact: bool,
    is_withdrawn: bool,
    /// `None`: it does not say which series so that one could understand it.
    selection: Option<Selection>,
}

impl Asked {
    /// A text that is not TOML asks for nothing.
    fn read(text: &str) -> Self {
        let table: toml::Table = toml::from_str(text).unwrap_or_default();
        let says = |key: &str, word: &str| table.get(key).and_then(|v| v.as_str()) == Some(word);
        let selection = match table.get("selection") {
            Some(selection) => selection.clone().try_into().ok(),
            None => Some(Selection::default()),
        };
        Self {
            is_public: says("access_rights", AccessRights::Public.code()),
            is_exact: says("figures", "exact"),
            // Who writes anything but `false` means it.
            is_withdrawn: table.get("withdrawn").is_some_and(|v| v.as_bool() != Some(false)),
            selection,
        }
    }
}

impl Publisher<'_> {
    /// Writes the documents.
    #[must_use]
    pub const fn writer(&self) -> Writer<'_> {
        Writer { config: self.config, release: self.release }
    }

    /// Checks a description and, when it passes, publishes it. `file` is its path or name.
    ///
    /// # Errors
    /// When the index or the shelf does not answer; a wrong description is an [`Outcome`].
    pub fn publish(
        &self,
        file: &str,
        text: &str,
        facts: &dyn Facts,
        shelf: &dyn Shelf,
        now: Timestamp,
    ) -> Result<Outcome> {
        self.run(file, text, facts, shelf, now, How { keep: true, open: None })
    }

    /// As [`Self::publish`], for who knows already what is open: slugs with their selections.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub(super) fn publish_among(
        &self,
        file: &str,
        text: &str,
        (facts, shelf): (&dyn Facts, &dyn Shelf),
        now: Timestamp,
        open: &[(&str, &Selection)],
    ) -> Result<Outcome> {
        self.run(file, text, facts, shelf, now, How { keep: true, open: Some(open) })
    }

    /// As [`Self::publish`], but keeps nothing.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub fn check(
        &self,
        file: &str,
        text: &str,
        facts: &dyn Facts,
        shelf: &dyn Shelf,
        now: Timestamp,
    ) -> Result<Outcome> {
        self.run(file, text, facts, shelf, now, How { keep: false, open: None })
    }

    fn run(
        &self,
        file: &str,
        text: &str,
        facts: &dyn Facts,
        shelf: &dyn Shelf,
        now: Timestamp,
        How { keep, open }: How<'_>,
    ) -> Result<Outcome> {
        let slug = slug_of(file);
        let before = if check::is_slug(&slug) { shelf.find(&slug)? } else { None };
        let description = match check::read(file, text, self.release, self.config) {
            Ok(description) => description,
            Err(refusals) => {
                let problems = problems_of(&refusals);
                return self.refused(slug, text, before, refusals, problems, shelf, now, keep);
            }
        };
        if description.withdrawn {
            return self.withdraw(slug, text, &description, before, shelf, now, keep);
        }
        let missing = self.missing_configuration(&description);
        if !missing.is_empty() {
            return self.refused(slug, text, before, Vec::new(), missing, shelf, now, keep);
        }
        // Another slug must not be a way round the schedule either.
        let heir = match before {
            Some(_) => None,
            None => self.former(&description, shelf)?,
        };
        let known = before.as_ref().or(heir.as_ref());
        let counted = match self.count(&slug, &description, known, facts, shelf, now)? {
            Ok(counted) => counted,
            Err(problem) => {
                return self.refused(
                    slug,
                    text,
                    before,
                    Vec::new(),
                    vec![problem],
                    shelf,
                    now,
                    keep,
                );
            }
        };
        let live = before.as_ref().filter(|entry| entry.state == State::Published);
        let issued = known.map_or(now, |entry| entry.issued);
        let subject = |modified| Subject {
            slug: &slug,
            description: &description,
            figures: &counted.figures,
            issued,
            modified,
        };
        let mut modified = live.map_or(now, |entry| entry.modified);
        let mut graph = self.writer().dataset(&subject(modified));
        let mut document = emit::canonical(&graph);
        let is_unchanged = live.is_some_and(|entry| entry.document == document);
        if !is_unchanged && modified != now {
            modified = now;
            graph = self.writer().dataset(&subject(now));
            document = emit::canonical(&graph);
        }
        // `read` has made sure of it.
        let rights = description.access_rights.unwrap_or(AccessRights::NonPublic);
        let mut problems = self.gate.check(rights, &graph, self.release);
        self.gate.excuse(&description, &mut problems, self.release, now);
        if problems.iter().any(|problem| problem.severity == Severity::Violation) {
            return self.refused(slug, text, before, Vec::new(), problems, shelf, now, keep);
        }
        if description.eucaim.is_some() {
            let view = self.writer().eucaim(&subject(modified));
            problems.extend(self.gate.check_eucaim(&description, &view, self.release, now));
        }
        let dataset = self.writer().dataset_iri(&slug);
        problems.extend(elements::missing(&completeness(&graph, &dataset, rights, self.release)));
        if let Some(counted) = &counted.open {
            let read;
            let open = match open {
                Some(open) => open.to_vec(),
                None => {
                    read = open_to_secondary_use(shelf, self.config)?;
                    read.iter().map(|(slug, selection)| (&**slug, selection)).collect()
                }
            };
            problems.extend(Self::partly_open(&slug, &description, counted, facts, &open)?);
        }
        let entry = Entry {
            slug: slug.clone(),
            state: State::Published,
            text: text.to_owned(),
            version: version(&description).to_owned(),
            figures: json(&counted.figures)?,
            document,
            report: json(&problems)?,
            issued,
            modified,
            next_release: counted.next_release,
        };
        if keep && before.as_ref() != Some(&entry) {
            shelf.put(&entry)?;
        }
        let verdict = if is_unchanged { Verdict::Unchanged } else { Verdict::Published };
        Ok(Outcome { slug, verdict, refusals: Vec::new(), problems })
    }

    /// What the dataset was before it had another slug.
    fn former(&self, description: &Description, shelf: &dyn Shelf) -> Result<Option<Entry>> {
        for slug in &description.formerly {
            if let Some(entry) = shelf.find(slug)?.filter(|entry| entry.state != State::Failed) {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// The document of an entry made again from what is kept beside it: equal to the kept one
    /// unless configuration, release or code changed since. `verify` compares, `rebuild` puts it.
    #[must_use]
    pub fn remake(&self, entry: &Entry) -> String {
        let description = entry.description();
        match entry.state {
            State::Published => emit::canonical(&self.writer().dataset(&Subject {
                slug: &entry.slug,
                description: &description,
                figures: &entry.figures(),
                issued: entry.issued,
                modified: entry.modified,
            })),
            State::Withdrawn => emit::canonical(&self.tombstone(
                &entry.slug,
                &description,
                entry.issued,
                entry.modified,
            )),
            State::Failed => String::new(),
        }
    }

    #[allow(clippy::too_many_arguments)] // one call site per way to fail
    fn refused(
        &self,
        slug: String,
        text: &str,
        before: Option<Entry>,
        refusals: Vec<Refusal>,
        mut problems: Vec<Problem>,
        shelf: &dyn Shelf,
        now: Timestamp,
        keep: bool,
    ) -> Result<Outcome> {
        let asked = Asked::read(text);
        let is_too_open = before.as_ref().is_some_and(|entry| self.is_too_open(entry, &asked));
        let was_withdrawn = before
            .as_ref()
            .is_some_and(|entry| entry.state == State::Withdrawn && !entry.description().withdrawn);
        if is_too_open || was_withdrawn {
            problems.push(Problem {
                severity: Severity::Violation,
                field: "access_rights".to_owned(),
                label: "Access rights".to_owned(),
                rule: "the dataset is withdrawn: its last good document is more open than its \
                       newest description, which was refused"
                    .to_owned(),
                remedy: "mend what is named beside this; the dataset comes back when its \
                         description passes"
                    .to_owned(),
                value: None,
            });
        }
        if keep && check::is_slug(&slug) {
            let report = json(&problems)?;
            let entry = match before.clone() {
                Some(entry) if is_too_open => self.closed(entry, report, now),
                Some(entry) if entry.state == State::Published => {
                    Entry { figures: narrowed(&entry, asked.selection)?, report, ..entry }
                }
                Some(entry) if entry.state == State::Withdrawn => Entry { report, ..entry },
                _ => Entry {
                    slug: slug.clone(),
                    state: State::Failed,
                    text: text.to_owned(),
                    version: String::new(),
                    figures: "{}".to_owned(),
                    document: String::new(),
                    report,
                    issued: before.as_ref().map_or(now, |entry| entry.issued),
                    modified: before.as_ref().map_or(now, |entry| entry.modified),
                    next_release: None,
                },
            };
            if before.as_ref() != Some(&entry) {
                shelf.put(&entry)?;
            }
        }
        Ok(Outcome { slug, verdict: Verdict::Refused, refusals, problems })
    }

    /// Whether a served document is more open than a newer description that was refused.
    fn is_too_open(&self, entry: &Entry, asked: &Asked) -> bool {
        if entry.state != State::Published {
            return false;
        }
        let is_exact = entry.figures().is_exact;
        let is_public = entry.description().access_rights == Some(AccessRights::Public);
        let may_be_exact = asked.is_public
            && asked.is_exact
            && self.config.archive.identity == Identity::DeIdentified;
        asked.is_withdrawn || (is_public && !asked.is_public) || (is_exact && !may_be_exact)
    }

    /// The entry withdrawn without a word of the steward. Exact figures do not stay.
    fn closed(&self, entry: Entry, report: String, now: Timestamp) -> Entry {
        let description = entry.description();
        let tombstone = self.tombstone(&entry.slug, &description, entry.issued, now);
        let is_exact = entry.figures().is_exact;
        Entry {
            state: State::Withdrawn,
            document: emit::canonical(&tombstone),
            figures: if is_exact { "{}".to_owned() } else { entry.figures },
            report,
            modified: now,
            ..entry
        }
    }

    /// Refuses a description whose file cannot be read. `reason` says why it cannot.
    ///
    /// # Errors
    /// When the shelf does not answer.
    pub fn refuse_unreadable(
        &self,
        file: &str,
        reason: &str,
        shelf: &dyn Shelf,
        now: Timestamp,
        keep: bool,
    ) -> Result<Outcome> {
        let slug = slug_of(file);
        let before = if check::is_slug(&slug) { shelf.find(&slug)? } else { None };
        let refusals = vec![Refusal {
            file: file.to_owned(),
            line: 1,
            key: String::new(),
            problem: format!("cannot be read ({reason})"),
            remedy: "save it as UTF-8, and let the node's user read it".to_owned(),
        }];
        let problems = problems_of(&refusals);
        self.refused(slug, "", before, refusals, problems, shelf, now, keep)
    }

    /// Withdraws a published dataset that has no description any more; `None` when there is no
    /// such dataset.
    ///
    /// # Errors
    /// When the shelf does not answer.
    pub fn withdraw_missing(
        &self,
        slug: &str,
        shelf: &dyn Shelf,
        now: Timestamp,
    ) -> Result<Option<Outcome>> {
        let Some(entry) = shelf.find(slug)?.filter(|entry| entry.state == State::Published) else {
            return Ok(None);
        };
        shelf.put(&self.closed(entry, "[]".to_owned(), now))?;
        Ok(Some(Outcome {
            slug: slug.to_owned(),
            verdict: Verdict::Withdrawn,
            refusals: Vec::new(),
            problems: Vec::new(),
        }))
    }

    /// Withdraws a published dataset that has no description any more because another dataset says
    /// that it was `formerly` this one: the tombstone leads there. `None` when there is no such
    /// dataset.
    ///
    /// # Errors
    /// When the shelf does not answer.
    pub fn hand_over(
        &self,
        slug: &str,
        successor: &str,
        shelf: &dyn Shelf,
        now: Timestamp,
    ) -> Result<Option<Outcome>> {
        let Some(entry) = shelf.find(slug)?.filter(|entry| entry.state == State::Published) else {
            return Ok(None);
        };
        let mut description: toml::Table = toml::from_str(&entry.text).unwrap_or_default();
        description.insert("replaced_by".to_owned(), successor.into());
        let entry = Entry { text: description.to_string(), ..entry };
        shelf.put(&self.closed(entry, "[]".to_owned(), now))?;
        Ok(Some(Outcome {
            slug: slug.to_owned(),
            verdict: Verdict::Withdrawn,
            refusals: Vec::new(),
            problems: Vec::new(),
        }))
    }

    /// Tells the steward of an open dataset that researchers do not see all of it row by row.
    fn partly_open(
        slug: &str,
        description: &Description,
        counted: &Figures,
        facts: &dyn Facts,
        open: &[(&str, &Selection)],
    ) -> Result<Option<Problem>> {
        let others = open.iter().filter(|(other, _)| *other != slug);
        let others: Vec<Selection> = others.map(|(_, selection)| (*selection).clone()).collect();
        let open = facts.wholly_open(&description.selection, &others)?;
        Ok((open < counted.records).then(|| Problem {
            severity: Severity::Warning,
            field: "selection".to_owned(),
            label: "Selection".to_owned(),
            rule: format!(
                "{open} of {} studies are wholly open; the others have series that are in no \
                 open dataset, and researchers read a study whole or not at all",
                counted.records
            ),
            remedy: "write `whole_studies = true` in `[selection]`, or select the other series \
                     in this or another open dataset"
                .to_owned(),
            value: None,
        }))
    }

    #[allow(clippy::too_many_arguments)]
    fn withdraw(
        &self,
        slug: String,
        text: &str,
        description: &Description,
        before: Option<Entry>,
        shelf: &dyn Shelf,
        now: Timestamp,
        keep: bool,
    ) -> Result<Outcome> {
        let done = |verdict| Outcome {
            slug: slug.clone(),
            verdict,
            refusals: Vec::new(),
            problems: Vec::new(),
        };
        let Some(before) = before.filter(|entry| entry.state != State::Failed) else {
            // Never published: there is nothing that others could miss.
            return Ok(done(Verdict::Unchanged));
        };
        if before.state == State::Withdrawn {
            return Ok(done(Verdict::Unchanged));
        }
        if keep {
            let document = emit::canonical(&self.tombstone(&slug, description, before.issued, now));
            shelf.put(&Entry {
                state: State::Withdrawn,
                text: text.to_owned(),
                document,
                report: "[]".to_owned(),
                modified: now,
                ..before
            })?;
        }
        Ok(done(Verdict::Withdrawn))
    }

    /// What stays of a withdrawn dataset (D5.1 section 7.2.1.22: the metadata remain). It is not
    /// typed Dataset, so that nobody imports it.
    fn tombstone(
        &self,
        slug: &str,
        description: &Description,
        issued: Timestamp,
        now: Timestamp,
    ) -> Graph {
        let writer = self.writer();
        let mut draft = Draft::new(writer);
        let node = writer.dataset_iri(slug);
        draft.text(&node, "dct:title", &description.title);
        draft.literal(&node, "dct:identifier", node.as_str());
        if let Some(successor) = &description.replaced_by {
            draft.add(&node, "dct:isReplacedBy", writer.dataset_iri(successor));
        }
        if let Some(retention) = description.retention {
            let part = oxrdf::NamedNode::new_unchecked(format!("{}#retention", node.as_str()));
            draft.period(
                &node,
                "healthdcatap:retentionPeriod",
                &part,
                retention.from,
                retention.to,
            );
        }
        super::listing::put_record(&mut draft, writer, slug, issued, now, "WITHDRAWN");
        draft.graph
    }

    /// What the configuration must say before anything can be published.
    fn missing_configuration(&self, description: &Description) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut need = |table: &str, label: &str, organisation: &Organisation| {
            let missing = [
                (
                    organisation.name.is_empty(),
                    "name",
                    "has no name",
                    format!("set `{table}.name` in the configuration"),
                ),
                (
                    organisation.email.is_empty() && organisation.page.is_empty(),
                    "page",
                    "has no contact (HealthDCAT-AP: exactly one contact point)",
                    format!("set `{table}.page` or `{table}.email` in the configuration"),
                ),
            ];
            for (is_missing, key, rule, remedy) in missing {
                if is_missing {
                    problems.push(Problem {
                        severity: Severity::Violation,
                        field: format!("{table}.{key}"),
                        label: label.to_owned(),
                        rule: rule.to_owned(),
                        remedy,
                        value: None,
                    });
                }
            }
        };
        if description.hdab.is_none() && !description.is_excused("hdab") {
            need("hdab", "Health data access body", &self.config.hdab);
        }
        if description.publisher.is_none() || description.custodian.is_none() {
            need("organisation", "Data holder", &self.config.organisation);
        }
        problems
    }
}

fn slug_of(file: &str) -> String {
    Path::new(file).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned()
}

fn problems_of(refusals: &[Refusal]) -> Vec<Problem> {
    let problem = |refusal: &Refusal| Problem {
        severity: Severity::Violation,
        field: refusal.key.clone(),
        label: refusal.key.clone(),
        rule: format!("line {}: {}", refusal.line, refusal.problem),
        remedy: refusal.remedy.clone(),
        value: None,
    };
    refusals.iter().map(problem).collect()
}

/// The figures of an open dataset with a note of what the newest, refused description selects:
/// no row stays open that it leaves out.
fn narrowed(entry: &Entry, asked: Option<Selection>) -> Result<String> {
    let description = entry.description();
    if description.access_rights != Some(AccessRights::Public) {
        return Ok(entry.figures.clone());
    }
    // Nothing has one of no terms.
    let asked = asked.unwrap_or_else(|| Selection::of(Facet::Modality, &[]));
    let narrowed_to = (asked != description.selection).then_some(asked);
    let mut figures = entry.figures();
    if figures.narrowed_to == narrowed_to {
        return Ok(entry.figures.clone());
    }
    figures.narrowed_to = narrowed_to;
    json(&figures)
}

pub(super) fn version(description: &Description) -> &str {
    description.version.as_deref().unwrap_or("1.0")
}

fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|failure| Error::Internal(failure.to_string()))
}

/// Two-letter language tags and the EU table's codes, for the catalogue's own language.
#[must_use]
pub fn language_code(tag: &str) -> Option<&'static str> {
    const ROWS: &[(&str, &str)] = &[
        ("bg", "BUL"),
        ("cs", "CES"),
        ("da", "DAN"),
        ("de", "DEU"),
        ("el", "ELL"),
        ("en", "ENG"),
        ("es", "SPA"),
        ("et", "EST"),
        ("fi", "FIN"),
        ("fr", "FRA"),
        ("ga", "GLE"),
        ("hr", "HRV"),
        ("hu", "HUN"),
        ("is", "ISL"),
        ("it", "ITA"),
        ("lt", "LIT"),
        ("lv", "LAV"),
        ("mt", "MLT"),
        ("nl", "NLD"),
        ("no", "NOR"),
        ("pl", "POL"),
        ("pt", "POR"),
        ("ro", "RON"),
        ("sk", "SLK"),
        ("sl", "SLV"),
        ("sv", "SWE"),
    ];
    let tag = tag.split('-').next().unwrap_or_default();
    ROWS.iter().find(|(two, _)| *two == tag).map(|(_, code)| *code)
}

pub(super) const STATUS: Scheme = Scheme::DatasetStatus;

#[cfg(test)]
mod tests {
    use super::language_code;

    #[test]
    fn every_language_of_the_configuration_has_a_code() {
        for language in crate::config::LANGUAGES {
            assert!(language_code(language).is_some(), "{language}");
        }
    }
}

//! The gate and what stands behind it: nothing is published unless it holds to the shapes, and
//! a dataset that fails keeps its last good document, unless that is more open than the newest
//! description asks for.
//!
//! In: the text of a description, the [`Facts`] to count by, the [`Shelf`] with what was published
//! before, the clock. Out: an [`Outcome`], and the entry on the shelf. [`count`](self::count) says
//! what is counted and when that may change, [`refuse`](self::refuse) what becomes of a dataset
//! whose newest description fails, [`withdraw`](self::withdraw) what stays of one that is gone.
//! Absent: folders and files of descriptions (the [`desk`](super::desk)'s).

mod count;
mod refuse;
mod withdraw;

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::check::{self, Refusal};
use super::description::{AccessRights, Description};
use super::elements::{self, completeness};
use super::emit;
use super::figures::{Facts, Figures};
use super::gate::Gate;
use super::graph::{Subject, Writer};
use super::kept::open_to_secondary_use;
use super::release::Release;
use super::selection::Selection;
use super::shacl::{Problem, Severity};
use super::shelf::{Entry, Shelf, State};
use crate::config::{Config, Organisation};
use crate::error::{Error, Result};

use refuse::problems_of;

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

/// A description on its way through the gate.
struct Attempt<'a> {
    slug: String,
    text: &'a str,
    /// What is kept under that slug.
    before: Option<Entry>,
    shelf: &'a dyn Shelf,
    now: Timestamp,
    /// Whether what comes of it is kept.
    keep: bool,
}

impl<'a> Attempt<'a> {
    fn begin(
        file: &str,
        text: &'a str,
        shelf: &'a dyn Shelf,
        now: Timestamp,
        keep: bool,
    ) -> Result<Self> {
        let slug = slug_of(file);
        let before = if check::is_slug(&slug) { shelf.find(&slug)? } else { None };
        Ok(Self { slug, text, before, shelf, now, keep })
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
        let attempt = Attempt::begin(file, text, shelf, now, keep)?;
        let description = match check::read(file, text, self.release, self.config) {
            Ok(description) => description,
            Err(refusals) => {
                let problems = problems_of(&refusals);
                return self.refused(attempt, refusals, problems);
            }
        };
        if description.withdrawn {
            return self.withdraw(attempt, &description);
        }
        let expired = Gate::expired(&description, self.release, now);
        let mut missing = self.missing_configuration(&description, now);
        if !missing.is_empty() {
            missing.extend(expired);
            return self.refused(attempt, Vec::new(), missing);
        }
        let still_there = self.still_there(file, &description, shelf)?;
        if !still_there.is_empty() {
            return self.refused(attempt, Vec::new(), still_there);
        }
        // Another slug must not be a way round the schedule either.
        let heir = match attempt.before {
            Some(_) => None,
            None => self.former(&description, shelf)?,
        };
        let known = attempt.before.as_ref().or(heir.as_ref());
        let counted = match self.count(&attempt.slug, &description, known, facts, shelf, now)? {
            Ok(counted) => counted,
            Err(problem) => return self.refused(attempt, Vec::new(), vec![problem]),
        };
        let live = attempt.before.as_ref().filter(|entry| entry.state == State::Published);
        let issued = known.map_or(now, |entry| entry.issued);
        let subject = |modified| Subject {
            slug: &attempt.slug,
            description: &description,
            figures: &counted.figures,
            issued,
            modified,
        };
        // A waiver that is over since changes the document: it is one of now.
        let waivers = |time| {
            let rows = self.release.file.waivers.iter();
            let excused =
                |rule| description.waiver(rule, &self.release.file.waivers, time).is_some();
            rows.map(|row| excused(&row.rule)).collect::<Vec<_>>()
        };
        let live = live.filter(|entry| waivers(entry.modified) == waivers(now));
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
        problems.extend(expired);
        if problems.iter().any(|problem| problem.severity == Severity::Violation) {
            return self.refused(attempt, Vec::new(), problems);
        }
        if description.eucaim.is_some() {
            let view = self.writer().eucaim(&subject(modified));
            problems.extend(self.gate.check_eucaim(&description, &view, self.release, now));
        }
        let dataset = self.writer().dataset_iri(&attempt.slug);
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
            problems.extend(Self::partly_open(&attempt.slug, &description, counted, facts, &open)?);
        }
        let entry = Entry {
            slug: attempt.slug.clone(),
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
        if keep && attempt.before.as_ref() != Some(&entry) {
            shelf.put(&entry)?;
        }
        let verdict = if is_unchanged { Verdict::Unchanged } else { Verdict::Published };
        Ok(Outcome { slug: attempt.slug, verdict, refusals: Vec::new(), problems })
    }

    /// Datasets that this one says it was, and that are still described and published: two
    /// documents would claim one dataset's names. A former file that is gone, or withdraws its
    /// dataset, hands over.
    fn still_there(
        &self,
        file: &str,
        description: &Description,
        shelf: &dyn Shelf,
    ) -> Result<Vec<Problem>> {
        let mut problems = Vec::new();
        // A name alone stands in no folder.
        let folder = Path::new(file).parent().filter(|folder| !folder.as_os_str().is_empty());
        let Some(folder) = folder else { return Ok(problems) };
        for (place, slug) in description.formerly.iter().enumerate() {
            let Ok(text) = std::fs::read_to_string(folder.join(format!("{slug}.toml"))) else {
                continue;
            };
            let is_withdrawn =
                toml::from_str::<Description>(&text).is_ok_and(|former| former.withdrawn);
            let live = shelf.find(slug)?.filter(|entry| entry.state == State::Published);
            if !is_withdrawn && live.is_some() {
                problems.push(Problem {
                    severity: Severity::Violation,
                    field: format!("formerly.{place}"),
                    label: "Former names".to_owned(),
                    rule: format!("`{slug}` is published, and has a description of its own"),
                    remedy: format!(
                        "remove `{slug}` from `formerly`, or remove the file `{slug}.toml` (or write `withdrawn = true` in it)"
                    ),
                    value: None,
                });
            }
        }
        Ok(problems)
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

    /// What the configuration must say before anything can be published.
    fn missing_configuration(&self, description: &Description, now: Timestamp) -> Vec<Problem> {
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
        let waiver = description.waiver("hdab", &self.release.file.waivers, now);
        if description.hdab.is_none() && waiver.is_none() {
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

fn version(description: &Description) -> &str {
    description.version.as_deref().unwrap_or("1.0")
}

fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|failure| Error::Internal(failure.to_string()))
}

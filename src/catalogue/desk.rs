//! The steward's folder and the desk that publishes it: one way for the command line and for the
//! server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::description::Description;
use super::gate::Gate;
use super::kept::{IndexFacts, StoreShelf, open_selections};
use super::log::{Log as _, Operation};
use super::publish::{Outcome, Publisher, Verdict};
use super::release::Release;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::store::Store;

/// What publishing needs, opened once.
pub struct Desk {
    config: Arc<Config>,
    index: Arc<Index>,
    who: String,
    /// Namespaces and vocabularies.
    pub release: Release,
    /// The shapes.
    pub gate: Gate,
    /// The figures.
    pub facts: IndexFacts,
    /// The datasets.
    pub shelf: StoreShelf,
}

/// What came of a folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pass {
    /// Of every file, by name; then of what was withdrawn because it has none.
    pub outcomes: Vec<Outcome>,
    /// Published datasets that have no file and stay published.
    pub missing: Vec<String>,
}

/// What to do with a folder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum How {
    /// Keep nothing.
    Check,
    /// Publish; what has no file stays as it is.
    Publish,
    /// Publish, and withdraw what has no file.
    WithdrawMissing,
}

/// A description file: its path, and its text or why there is none.
pub type File = (String, std::result::Result<String, String>);

impl Desk {
    /// Opens a desk; days are those of `zone`.
    ///
    /// # Errors
    /// [`Error::Configuration`] for a broken file of the catalogue.
    pub fn open(
        config: &Arc<Config>,
        store: &Arc<Store>,
        index: &Arc<Index>,
        zone: Option<&jiff::tz::TimeZone>,
    ) -> Result<Self> {
        let overrides = &config.overrides.catalogue;
        let folder = (!overrides.is_empty()).then(|| Path::new(overrides));
        let release = Release::load(&config.catalogue.release, folder)?;
        let gate = Gate::load(&release)?;
        Ok(Self {
            config: Arc::clone(config),
            index: Arc::clone(index),
            who: "server".to_owned(),
            release,
            gate,
            facts: IndexFacts::new(Arc::clone(index), zone).with_store(Arc::clone(store)),
            shelf: StoreShelf(Arc::clone(store)),
        })
    }

    /// In whose name it publishes: what the history of descriptions says. Else: the server.
    #[must_use]
    pub fn in_the_name_of(mut self, who: &str) -> Self {
        who.clone_into(&mut self.who);
        self
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    pub(super) fn who(&self) -> &str {
        &self.who
    }

    /// Who publishes here.
    #[must_use]
    pub fn publisher(&self) -> Publisher<'_> {
        Publisher { config: &self.config, release: &self.release, gate: &self.gate }
    }

    /// Publishes (or only checks) the descriptions of a folder, and opens to secondary use what
    /// is open after that. A folder that is not there holds no descriptions.
    ///
    /// # Errors
    /// When the folder cannot be read, or index or store do not answer; a wrong description is
    /// an [`Outcome`].
    pub fn publish_folder(&self, folder: &Path, how: How, now: Timestamp) -> Result<Pass> {
        let publisher = self.publisher();
        let is_kept = how != How::Check;
        // Whoever writes descriptions now does this himself.
        if is_kept && let Ok(_lease) = self.shelf.0.lease(super::bench::LEASE) {
            super::bench::finish(self, folder, now)?;
        }
        let mut pass = Pass::default();
        let mut described = BTreeSet::new();
        let mut successors = BTreeMap::new();
        for (file, text) in read_folder(folder)? {
            let began = std::time::Instant::now();
            // A steward may have published it meanwhile: what is older must not come after.
            let text = text.map(|text| std::fs::read_to_string(&file).unwrap_or(text));
            let former = text.as_ref().map_or_else(|_| Vec::new(), |text| former_slugs(text));
            let outcome = match text {
                Ok(text) if is_kept => {
                    let outcome = publisher.publish(&file, &text, &self.facts, &self.shelf, now)?;
                    super::history::remember(&self.shelf.0, &outcome, &text, &self.who, now)?;
                    outcome
                }
                Ok(text) => publisher.check(&file, &text, &self.facts, &self.shelf, now)?,
                Err(reason) => {
                    publisher.refuse_unreadable(&file, &reason, &self.shelf, now, is_kept)?
                }
            };
            let milliseconds = began.elapsed().as_secs_f64() * 1e3;
            tracing::debug!(dataset = outcome.slug, milliseconds, "a description was gone through");
            described.insert(outcome.slug.clone());
            if outcome.verdict != Verdict::Refused {
                successors.extend(former.into_iter().map(|slug| (slug, outcome.slug.clone())));
            }
            pass.outcomes.push(outcome);
        }
        let last = self.shelf.last_event()?.map_or(0, |last| last.seq);
        let published = self.shelf.standing(last, None)?.into_iter();
        let published = published.filter(|one| one.operation != Operation::Delete);
        for slug in published.map(|one| one.slug).filter(|slug| !described.contains(slug)) {
            match (successors.get(&slug), how) {
                (Some(_), How::Check) => {}
                (Some(successor), _) => {
                    let handed = publisher.hand_over(&slug, successor, &self.shelf, now)?;
                    pass.outcomes.extend(handed);
                }
                (None, How::WithdrawMissing) => {
                    pass.outcomes.extend(publisher.withdraw_missing(&slug, &self.shelf, now)?);
                }
                (None, How::Check | How::Publish) => pass.missing.push(slug),
            }
        }
        if is_kept {
            self.index.set_open(open_selections(&self.shelf, &self.config)?);
        }
        Ok(pass)
    }
}

impl Desk {
    /// Publishes one description in somebody's name, and opens to secondary use what is open
    /// after that.
    ///
    /// # Errors
    /// When index or store do not answer; a wrong description is an [`Outcome`].
    pub fn publish_text(
        &self,
        slug: &str,
        text: &str,
        who: &str,
        now: Timestamp,
    ) -> Result<Outcome> {
        let file = format!("{slug}.toml");
        let outcome = self.publisher().publish(&file, text, &self.facts, &self.shelf, now)?;
        super::history::remember(&self.shelf.0, &outcome, text, who, now)?;
        self.index.set_open(open_selections(&self.shelf, &self.config)?);
        Ok(outcome)
    }
}

/// The slugs that a description says its dataset had before.
fn former_slugs(text: &str) -> Vec<String> {
    if !text.contains("formerly") {
        return Vec::new();
    }
    toml::from_str::<Description>(text).map_or_else(|_| Vec::new(), |read| read.formerly)
}

/// The paths of the description files of a folder; none when there is no such folder.
fn list_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let refused = |failure: std::io::Error| {
        Error::Configuration(format!("{}: cannot be read ({failure})", folder.display()))
    };
    let items = match std::fs::read_dir(folder) {
        Ok(items) => items,
        Err(failure) if failure.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(failure) => return Err(refused(failure)),
    };
    let paths = items.map(|item| item.map(|item| item.path()).map_err(refused));
    let is_toml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "toml");
    paths.filter(|path| path.as_ref().map_or(true, is_toml)).collect()
}

/// The description files of a folder, by name; none when there is no such folder. A file that
/// cannot be read, or is not UTF-8, says so in its place.
///
/// # Errors
/// [`Error::Configuration`] when the folder cannot be read.
pub fn read_folder(folder: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for path in list_files(folder)?.into_iter().filter(|path| !path.is_dir()) {
        let text = std::fs::read_to_string(&path).map_err(|failure| failure.to_string());
        files.push((path.display().to_string(), text));
    }
    files.sort();
    Ok(files)
}

/// The slugs that have a description file, whatever it holds.
///
/// # Errors
/// [`Error::Configuration`] when the folder cannot be read.
pub(super) fn list_slugs(folder: &Path) -> Result<Vec<String>> {
    let files = list_files(folder)?;
    let stems = files.iter().filter_map(|path| path.file_stem()?.to_str());
    Ok(stems.filter(|stem| super::is_slug(stem)).map(str::to_owned).collect())
}

/// Name, size and time of change of every description file: equal as long as nobody touched one.
/// A folder that cannot be read looks empty; publishing it says why.
#[must_use]
pub fn stamp_folder(folder: &Path) -> Vec<(PathBuf, u64, Option<std::time::SystemTime>)> {
    let mut stamps: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|item| item.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            let known = std::fs::metadata(&path).ok();
            let size = known.as_ref().map_or(0, std::fs::Metadata::len);
            (path, size, known.and_then(|known| known.modified().ok()))
        })
        .collect();
    stamps.sort();
    stamps
}

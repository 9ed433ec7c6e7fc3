//! Where stewards work on descriptions: drafts in the store, accepted texts in the folder.
//!
//! There is one truth: the file in the folder of descriptions. A draft is nobody's truth but the
//! steward's. A text that passes the gate is first kept in the store (`description_write`), with
//! all others of the same change in one transaction, then written to its file, then published;
//! what a crash left between is finished by whoever publishes the folder next. A file that was
//! changed by hand meanwhile wins, and the text becomes a draft again.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::desk::Desk;
use super::publish::{Outcome, Verdict};
use super::shelf::{Entry, Shelf as _, State};
use super::trial::Trial;
use crate::error::{Error, Result};
use crate::store::drafts::{self, DraftRow, WriteRow};

/// The lease of those who write descriptions; sources have numbers from 1.
pub(super) const LEASE: i64 = 0;
/// How long one waits for another who writes.
const PATIENCE: Duration = Duration::from_secs(5);

/// What time it is.
pub type Clock = fn() -> Timestamp;

/// Where stewards work.
pub struct Bench {
    /// Publishes.
    pub desk: Desk,
    /// What time it is.
    pub clock: Clock,
    folder: PathBuf,
}

/// What a dataset is described by now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Current {
    /// The text: of the file, else that which was published; empty: there is none.
    pub text: String,
    /// Its digest; empty: there is no file.
    pub digest: String,
    /// Whether there is a file.
    pub is_file: bool,
}

/// What publishing a text would do.
#[derive(Clone, Debug)]
pub struct Tried {
    /// What the gate says.
    pub outcome: Outcome,
    /// What would be kept.
    pub entry: Option<Entry>,
}

/// A text that a steward wants published.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The dataset.
    pub slug: String,
    /// Digest of the file that the text was made from.
    pub base: String,
    /// The text.
    pub text: String,
    /// The version of the draft that it was, which is dropped then.
    pub draft: Option<i64>,
}

/// What became of texts.
#[derive(Clone, Debug)]
pub enum Publication {
    /// All of them are in the folder, and were published.
    Done(Vec<Outcome>),
    /// The gate refuses one or more; nothing was changed.
    Refused(Vec<Outcome>),
    /// The file or the draft of this dataset is another by now; nothing was changed.
    Stale(String),
}

impl Bench {
    /// A bench of a folder.
    #[must_use]
    pub const fn new(desk: Desk, folder: PathBuf, clock: Clock) -> Self {
        Self { desk, clock, folder }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, slug: &str) -> Result<PathBuf> {
        if !super::is_slug(slug) {
            let id = slug.chars().take(100).collect();
            return Err(Error::NotFound { kind: "dataset", id });
        }
        Ok(self.folder.join(format!("{slug}.toml")))
    }

    fn file(&self, slug: &str) -> Result<Option<String>> {
        read_file(&self.path(slug)?)
    }

    /// What a dataset is described by now.
    ///
    /// # Errors
    /// When file or store cannot be read.
    pub fn current(&self, slug: &str) -> Result<Current> {
        if let Some(text) = self.file(slug)? {
            return Ok(Current { digest: digest(&text), text, is_file: true });
        }
        let text = self.desk.shelf.find(slug)?.map_or_else(String::new, |entry| entry.text);
        Ok(Current { text, ..Current::default() })
    }

    /// Whether anything is known of a dataset: a file, a draft, or an entry.
    ///
    /// # Errors
    /// When file or store cannot be read.
    pub fn knows(&self, slug: &str) -> Result<bool> {
        Ok(self.file(slug)?.is_some()
            || self.draft(slug)?.is_some()
            || self.desk.shelf.find(slug)?.is_some())
    }

    /// Every dataset that has a file, a draft or an entry, by slug.
    ///
    /// # Errors
    /// When folder or store cannot be read.
    pub fn slugs(&self) -> Result<Vec<String>> {
        let mut slugs = super::desk::list_slugs(&self.folder)?;
        slugs.extend(self.desk.shelf.slugs()?);
        slugs.extend(self.draft_slugs()?);
        slugs.sort();
        slugs.dedup();
        Ok(slugs)
    }

    /// The draft of a dataset.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn draft(&self, slug: &str) -> Result<Option<DraftRow>> {
        self.desk.shelf.0.read(|db| drafts::find_draft(db, slug))
    }

    /// The datasets that have a draft, by slug.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn draft_slugs(&self) -> Result<Vec<String>> {
        self.desk.shelf.0.read(drafts::list_draft_slugs)
    }

    /// Saves a draft if nobody saved one since version `seen` (0: there was none). Its new
    /// version, or the draft that is there instead.
    ///
    /// # Errors
    /// When the store does not answer, or the slug is none.
    pub fn save(
        &self,
        slug: &str,
        base: &str,
        text: &str,
        seen: i64,
        who: &str,
        now: Timestamp,
    ) -> Result<std::result::Result<i64, DraftRow>> {
        self.path(slug)?;
        let row = DraftRow {
            slug: slug.to_owned(),
            version: 0,
            base: base.to_owned(),
            text: text.to_owned(),
            who: who.to_owned(),
            at: now.as_microsecond(),
        };
        self.desk.shelf.0.write(|db| drafts::put_draft(db, &row, seen))
    }

    /// Drops a draft of that version; `false` when it is another one by now.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn drop_draft(&self, slug: &str, seen: i64) -> Result<bool> {
        self.desk.shelf.0.write(|db| drafts::remove_draft(db, slug, seen))
    }

    /// What publishing these texts would do, one after the other. Nothing is kept.
    ///
    /// # Errors
    /// When index or store do not answer.
    pub fn try_out(&self, texts: &[(String, String)], now: Timestamp) -> Result<Vec<Tried>> {
        let trial = Trial::over(&self.desk.shelf);
        let publisher = self.desk.publisher();
        let mut all = Vec::with_capacity(texts.len());
        for (slug, text) in texts {
            let file = format!("{slug}.toml");
            // Beside the files that are there; readers need not know where that is.
            let path = self.folder.join(&file).display().to_string();
            let mut outcome = publisher.publish(&path, text, &self.desk.facts, &trial, now)?;
            for refusal in &mut outcome.refusals {
                refusal.file.clone_from(&file);
            }
            let entry = trial.find(slug)?;
            all.push(Tried { outcome, entry });
        }
        Ok(all)
    }

    /// Publishes texts: all of them, or none.
    ///
    /// # Errors
    /// When index, store or folder do not answer. What was accepted is kept then, and published
    /// as soon as they do.
    pub fn publish(&self, wanted: &[Wanted], who: &str, now: Timestamp) -> Result<Publication> {
        let began = Instant::now();
        let _lease = loop {
            match self.desk.shelf.0.lease(LEASE) {
                Ok(lease) => break lease,
                Err(_) if began.elapsed() < PATIENCE => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(failure) => {
                    tracing::warn!(%failure, "somebody else writes descriptions");
                    return Err(Error::TooCostly(
                        "somebody else publishes descriptions now; try again in a minute"
                            .to_owned(),
                    ));
                }
            }
        };
        finish(&self.desk, &self.folder, now)?;
        for one in wanted {
            let file = self.file(&one.slug)?;
            if file.as_deref().map_or_else(String::new, digest) != one.base {
                return Ok(Publication::Stale(one.slug.clone()));
            }
        }
        let texts: Vec<(String, String)> =
            wanted.iter().map(|one| (one.slug.clone(), one.text.clone())).collect();
        let tried = self.try_out(&texts, now)?;
        if tried.iter().any(|one| one.outcome.verdict == Verdict::Refused) {
            return Ok(Publication::Refused(tried.into_iter().map(|one| one.outcome).collect()));
        }
        // The folder must be there, and be ours to write, before anything is promised.
        make_folder(&self.folder)?;
        let rows: Vec<WriteRow> = wanted
            .iter()
            .map(|one| WriteRow {
                number: 0,
                slug: one.slug.clone(),
                base: one.base.clone(),
                text: one.text.clone(),
                who: who.to_owned(),
                at: now.as_microsecond(),
            })
            .collect();
        let stale = self.desk.shelf.0.write_unless(|db| {
            for one in wanted {
                if let Some(seen) = one.draft
                    && !drafts::remove_draft(db, &one.slug, seen).map_err(store_failed)?
                {
                    return Err(Stop::Stale(one.slug.clone()));
                }
            }
            drafts::put_writes(db, &rows).map_err(store_failed)
        });
        match stale {
            Ok(()) => {}
            Err(Stop::Stale(slug)) => return Ok(Publication::Stale(slug)),
            Err(Stop::Failed(failure)) => return Err(failure),
        }
        Ok(Publication::Done(finish(&self.desk, &self.folder, now)?))
    }
}

enum Stop {
    Stale(String),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(failure: Error) -> Self {
        Self::Failed(failure)
    }
}

fn store_failed(failure: impl std::fmt::Display) -> Stop {
    Stop::Failed(Error::Store(failure.to_string()))
}

/// Brings accepted texts into the folder, and publishes them.
///
/// # Errors
/// When store, index or folder do not answer; what is left is done the next time.
pub(super) fn finish(desk: &Desk, folder: &Path, now: Timestamp) -> Result<Vec<Outcome>> {
    let store = &desk.shelf.0;
    let waiting = store.read(drafts::list_writes)?;
    // All files first, so that what belongs together is there together.
    let mut written = Vec::new();
    for row in waiting {
        let path = folder.join(format!("{}.toml", row.slug));
        let known = read_file(&path)?;
        let is_there = known.as_deref() == Some(row.text.as_str());
        if !is_there && known.as_deref().map_or_else(String::new, digest) != row.base {
            // Somebody changed the file by hand meanwhile: it wins, and nothing is lost.
            let draft = DraftRow {
                slug: row.slug.clone(),
                version: 0,
                base: row.base,
                text: row.text,
                who: row.who,
                at: row.at,
            };
            store.write(|db| {
                let seen = drafts::find_draft(db, &draft.slug)?.map_or(0, |known| known.version);
                drafts::put_draft(db, &draft, seen)?.ok();
                drafts::remove_write(db, row.number)
            })?;
            tracing::warn!(dataset = draft.slug, "a text is a draft again: its file was changed");
            continue;
        }
        if !is_there {
            write_file(&path, &row.text)?;
        }
        written.push(row);
    }
    let mut outcomes = Vec::new();
    for row in written {
        outcomes.push(desk.publish_text(&row.slug, &row.text, &row.who, now)?);
        store.write(|db| drafts::remove_write(db, row.number))?;
    }
    Ok(outcomes)
}

/// The digest of a description's text.
#[must_use]
pub fn digest(text: &str) -> String {
    super::digest_bytes(text.as_bytes())
}

fn read_file(path: &Path) -> Result<Option<String>> {
    match std::fs::read(path) {
        // A file that is no UTF-8 is refused when it is read as a description.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(failure) if failure.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(failure) => {
            Err(Error::Configuration(format!("{}: cannot be read ({failure})", path.display())))
        }
    }
}

fn refused(path: &Path, failure: &std::io::Error) -> Error {
    Error::Configuration(format!(
        "{}: cannot be written ({failure}); let the node's user write the folder of descriptions",
        path.display()
    ))
}

/// Nothing is promised before it is known that it can be kept: the steward is told why not.
fn make_folder(folder: &Path) -> Result<()> {
    let probe = folder.join(".write.part");
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&probe, ""))
        .and_then(|()| std::fs::remove_file(&probe))
        .map_err(|failure| Error::Forbidden(refused(folder, &failure).to_string()))
}

/// Writes a file whole or not at all, so that it survives a power cut.
fn write_file(path: &Path, text: &str) -> Result<()> {
    let beside = path.with_extension("part");
    let write = || {
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        match path.parent() {
            Some(folder) => std::fs::File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(|failure| refused(path, &failure))
}

/// Whether an entry can be looked at as a page: one that was refused or withdrawn has none.
#[must_use]
pub fn is_page(entry: &Entry) -> bool {
    entry.state == State::Published
}

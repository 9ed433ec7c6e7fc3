//! What becomes of a dataset whose newest description is refused.
//!
//! In: the description that failed, as far as it can be read, and what is served. Out: the entry
//! with the report beside its last good document, or withdrawn, when that document is more open
//! than what was asked for: a refusal keeps nothing more open than the newest description. A text
//! that cannot be read asks for nothing: one slip of syntax withdraws no dataset.

use jiff::Timestamp;

use super::{Attempt, Outcome, Publisher, Verdict, json};
use crate::catalogue::check::{self, Refusal};
use crate::catalogue::description::AccessRights;
use crate::catalogue::selection::Selection;
use crate::catalogue::shacl::{Problem, Severity};
use crate::catalogue::shelf::{Entry, Shelf, State};
use crate::config::Identity;
use crate::error::Result;
use crate::imaging::Facet;

/// What a description asks for, read as far as it can be: of a refused one too. `None`: it says
/// nothing of it that one could read, so nothing changes.
struct Asked {
    is_public: Option<bool>,
    is_exact: Option<bool>,
    is_withdrawn: bool,
    selection: AskedSelection,
}

enum AskedSelection {
    /// The text is no TOML.
    Unknown,
    /// It does not say which series so that one could understand it.
    Unclear,
    Said(Selection),
}

impl Asked {
    /// A slip of syntax asks for nothing, but what its lines say of openness is heeded.
    fn read(text: &str) -> Self {
        let parsed = toml::from_str::<toml::Table>(text).ok().filter(|table| !table.is_empty());
        let is_whole = parsed.is_some();
        let table = parsed.unwrap_or_else(|| readable(text));
        let says = |key: &str, word: &str| {
            let said = table.get(key).map(|value| value.as_str() == Some(word));
            said.or(is_whole.then_some(false))
        };
        let selection = match table.get("selection") {
            _ if !is_whole => AskedSelection::Unknown,
            Some(said) => {
                said.clone().try_into().map_or(AskedSelection::Unclear, AskedSelection::Said)
            }
            None => AskedSelection::Said(Selection::default()),
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

/// The keys that lines of a text that is no TOML set, before its first table.
fn readable(text: &str) -> toml::Table {
    let lines = text.lines().take_while(|line| !line.trim_start().starts_with('['));
    lines.filter_map(|line| toml::from_str::<toml::Table>(line).ok()).flatten().collect()
}

impl Publisher<'_> {
    /// Keeps what was published, closes it, or remembers that it never was.
    pub(super) fn refused(
        &self,
        attempt: Attempt<'_>,
        refusals: Vec<Refusal>,
        mut problems: Vec<Problem>,
    ) -> Result<Outcome> {
        let Attempt { slug, text, before, shelf, now, keep } = attempt;
        let asked = Asked::read(text);
        let is_too_open = before.as_ref().is_some_and(|entry| self.is_too_open(entry, &asked));
        let was_withdrawn = before
            .as_ref()
            .is_some_and(|entry| entry.state == State::Withdrawn && !entry.description().withdrawn);
        // A check closes nothing.
        if keep && (is_too_open || was_withdrawn) {
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
                    Entry { figures: narrowed(&entry, &asked.selection)?, report, ..entry }
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
        let attempt = Attempt::begin(file, "", shelf, now, keep)?;
        let refusals = vec![Refusal {
            file: file.to_owned(),
            line: 1,
            key: String::new(),
            problem: format!("cannot be read ({reason})"),
            remedy: "save it as UTF-8, and let the node's user read it".to_owned(),
        }];
        let problems = problems_of(&refusals);
        self.refused(attempt, refusals, problems)
    }

    /// Whether a served document is more open than a newer description that was refused.
    fn is_too_open(&self, entry: &Entry, asked: &Asked) -> bool {
        if entry.state != State::Published {
            return false;
        }
        let is_exact = entry.figures().is_exact;
        let is_public = entry.description().access_rights == Some(AccessRights::Public);
        let may_be_exact = asked.is_public != Some(false)
            && asked.is_exact != Some(false)
            && self.config.archive.identity == Identity::DeIdentified;
        asked.is_withdrawn
            || (is_public && asked.is_public == Some(false))
            || (is_exact && !may_be_exact)
    }
}

pub(super) fn problems_of(refusals: &[Refusal]) -> Vec<Problem> {
    let problem = |refusal: &Refusal| Problem {
        severity: Severity::Violation,
        field: refusal.key.clone(),
        label: if refusal.key.is_empty() { &refusal.file } else { &refusal.key }.clone(),
        rule: format!("line {}: {}", refusal.line, refusal.problem),
        remedy: refusal.remedy.clone(),
        value: None,
    };
    refusals.iter().map(problem).collect()
}

/// The figures of an open dataset with a note of what the newest, refused description selects:
/// no row stays open that it leaves out.
fn narrowed(entry: &Entry, asked: &AskedSelection) -> Result<String> {
    let description = entry.description();
    if description.access_rights != Some(AccessRights::Public) {
        return Ok(entry.figures.clone());
    }
    let asked = match asked {
        AskedSelection::Unknown => return Ok(entry.figures.clone()),
        // Nothing has one of no terms.
        AskedSelection::Unclear => Selection::of(Facet::Modality, &[]),
        AskedSelection::Said(selection) => selection.clone(),
    };
    let narrowed_to = (asked != description.selection).then_some(asked);
    let mut figures = entry.figures();
    if figures.narrowed_to == narrowed_to {
        return Ok(entry.figures.clone());
    }
    figures.narrowed_to = narrowed_to;
    json(&figures)
}

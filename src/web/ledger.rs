//! What an operator looks for among all descriptions, kept in memory: where each stands, and its
//! titles. Made once and then with each change of the shelf; a page reads only the datasets that it
//! shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::catalogue::{Entry, Severity, Shelf, State};
use crate::error::Result;
use crate::imaging::fold;

/// Entries that are read from the shelf at once.
const CHUNK: usize = 500;

/// What is looked for in a description.
#[derive(Clone, Debug)]
struct Known {
    state: State,
    /// Whether the gate refuses its newest description.
    is_refused: bool,
    /// Slug and titles, folded.
    text: String,
}

impl Known {
    fn of(entry: &Entry) -> Self {
        let mut text = entry.slug.clone();
        for (_, title) in entry.description().title.iter() {
            text.push(' ');
            text.push_str(title);
        }
        let mut report = entry.report().into_iter();
        Self {
            state: entry.state,
            is_refused: report.any(|problem| problem.severity == Severity::Violation),
            text: fold(&text),
        }
    }
}

/// Every dataset of the shelf, by slug.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    change: Option<u64>,
    known: BTreeMap<String, Known>,
}

/// Which datasets a list shows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Show {
    /// All of them.
    #[default]
    All,
    /// Those whose newest description is refused.
    Refused,
    /// Those with a draft.
    Drafts,
    /// Those that were withdrawn.
    Withdrawn,
}

impl Show {
    /// Each with its name in addresses, and the key of its words.
    pub(super) const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::All, "all", "operator.show-all"),
        (Self::Refused, "refused", "operator.show-refused"),
        (Self::Drafts, "drafts", "operator.show-drafts"),
        (Self::Withdrawn, "withdrawn", "operator.show-withdrawn"),
    ];

    pub(super) fn of(name: &str) -> Self {
        Self::ALL.iter().find(|row| row.1 == name).map_or(Self::All, |row| row.0)
    }
}

impl Ledger {
    /// The ledger as the shelf is now; `kept` is the last one.
    ///
    /// # Errors
    /// When the shelf does not answer.
    pub(super) fn refresh(kept: &Mutex<Arc<Self>>, shelf: &dyn Shelf) -> Result<Arc<Self>> {
        let change = shelf.state()?.change;
        let before = Arc::clone(&kept.lock().unwrap_or_else(PoisonError::into_inner));
        if before.change == Some(change) {
            return Ok(before);
        }
        let since = before.change.filter(|of| *of < change);
        let changed = since.map(|of| shelf.changed_since(of)).transpose()?.flatten();
        let (mut known, slugs) = match changed {
            Some(changed) => (before.known.clone(), changed),
            None => (BTreeMap::new(), shelf.slugs()?),
        };
        for slugs in slugs.chunks(CHUNK) {
            for entry in shelf.entries(slugs)? {
                known.insert(entry.slug.clone(), Known::of(&entry));
            }
        }
        let ledger = Arc::new(Self { change: Some(change), known });
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&ledger);
        Ok(ledger)
    }

    /// How many datasets are published.
    pub(super) fn published(&self) -> usize {
        self.known.values().filter(|known| known.state == State::Published).count()
    }

    /// Of how many the newest description is refused.
    pub(super) fn refused(&self) -> usize {
        self.known.values().filter(|known| known.is_refused).count()
    }

    /// Whether a dataset is published, and its newest description with it.
    pub(super) fn is_in_order(&self, slug: &str) -> bool {
        let known = self.known.get(slug);
        known.is_some_and(|known| known.state == State::Published && !known.is_refused)
    }

    /// Whether a dataset has an entry.
    pub(super) fn has(&self, slug: &str) -> bool {
        self.known.contains_key(slug)
    }

    /// Whether slug or titles hold every one of the folded words.
    pub(super) fn fits(&self, slug: &str, words: &[&str]) -> bool {
        let text = self.known.get(slug).map_or(slug, |known| known.text.as_str());
        words.iter().all(|word| text.contains(word))
    }

    /// The datasets that a list shows: what asks for a look first, then drafts that are described
    /// nowhere else, then by slug.
    pub(super) fn list(&self, text: &str, show: Show, drafts: &BTreeSet<String>) -> Vec<String> {
        let folded = fold(text);
        let words: Vec<&str> = folded.split_whitespace().collect();
        let mut ranks: [Vec<String>; 3] = Default::default();
        for (slug, known) in &self.known {
            let is_shown = match show {
                Show::All => true,
                Show::Refused => known.is_refused,
                Show::Drafts => drafts.contains(slug),
                Show::Withdrawn => known.state == State::Withdrawn,
            };
            if is_shown && self.fits(slug, &words) {
                let [refused, _, others] = &mut ranks;
                if known.is_refused { refused } else { others }.push(slug.clone());
            }
        }
        if matches!(show, Show::All | Show::Drafts) {
            let new = drafts.iter().filter(|slug| !self.has(slug) && self.fits(slug, &words));
            let [_, own, _] = &mut ranks;
            own.extend(new.cloned());
        }
        ranks.concat()
    }
}

/// A page of a list: numbers from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Sheet {
    /// Its number.
    pub(super) number: usize,
    /// The last one's.
    pub(super) last: usize,
}

/// A page of a list, and the addresses of those beside it.
pub(super) struct Paging {
    pub(super) sheet: Sheet,
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
}

impl Sheet {
    /// The page of that number of a list of so many, as near as there is one.
    pub(super) fn of(asked: &str, count: usize, size: usize) -> Self {
        let last = count.div_ceil(size).max(1);
        Self { number: asked.parse().unwrap_or(1).clamp(1, last), last }
    }

    /// What stands on it.
    pub(super) fn of_list<'l, T>(&self, list: &'l [T], size: usize) -> &'l [T] {
        let first = (self.number - 1) * size;
        list.get(first..list.len().min(first + size)).unwrap_or_default()
    }

    /// The way to the pages beside it.
    pub(super) fn paging(self, href: impl Fn(usize) -> String) -> Paging {
        Paging { sheet: self, previous: self.previous().map(&href), next: self.next().map(&href) }
    }

    /// The number of the page before.
    pub(super) fn previous(self) -> Option<usize> {
        (self.number > 1).then(|| self.number - 1)
    }

    /// The number of the page after.
    pub(super) fn next(self) -> Option<usize> {
        (self.number < self.last).then(|| self.number + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::Sheet;

    #[test]
    fn a_page_that_is_not_there_is_the_nearest_one() {
        let list: Vec<usize> = (0..101).collect();
        let of = |asked: &str| Sheet::of(asked, list.len(), 50);
        assert_eq!(of("3").of_list(&list, 50), [100]);
        assert_eq!((of("0").number, of("99").number, of("x").number), (1, 3, 1));
        let beside = |asked: &str| {
            let paging = of(asked).paging(|number| number.to_string());
            (paging.previous.unwrap_or_default(), paging.next.unwrap_or_default())
        };
        assert_eq!(beside("1"), (String::new(), "2".to_owned()));
        assert_eq!(beside("2"), ("1".to_owned(), "3".to_owned()));
        assert_eq!(beside("3"), ("2".to_owned(), String::new()));
        let none: [usize; 0] = [];
        assert_eq!(Sheet::of("1", 0, 50).of_list(&none, 50), [0_usize; 0]);
    }
}

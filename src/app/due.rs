//! When the follower publishes, counts and reads again: decisions on the clock, without doing it.
//!
//! In: what was seen, and the time. Out: whether it is due. Descriptions are due at the start, every
//! hour and when a file was touched; the figures of open datasets when the archive has been quiet;
//! which datasets are open after every change.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::catalogue::stamp_folder;
use crate::error::Result;
use crate::index::Criteria;

/// How often the descriptions are published again at the least: a release may have become due,
/// and the figures of open datasets follow the archive.
const PUBLISH: Duration = Duration::from_secs(3_600);

/// When publishing is tried again after index, store or folder failed.
const RETRY: Duration = Duration::from_secs(60);

/// How often a serving process looks whether a description was touched. A change is published
/// when two looks see the same: a file that is being written is no description yet.
const LOOK: Duration = Duration::from_secs(5);

/// An open dataset is counted again when its archive has been quiet for so long: what is being
/// ingested is one change, not many.
const SETTLED: Duration = Duration::from_secs(1);

/// How long an open dataset waits at the most for the archive to be quiet.
const LONGEST_INGEST: Duration = Duration::from_secs(300);

/// For so long the open datasets that were read last stand, when they cannot be read again.
const TRUST: Duration = Duration::from_secs(10);

type Stamps = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// When the descriptions folder is published next.
#[derive(Default)]
pub(super) struct Descriptions {
    looked: Option<Instant>,
    seen: Stamps,
    /// When it is due even if nobody touches it, and what was published.
    next: Option<(Instant, Stamps)>,
}

impl Descriptions {
    /// Whether to publish the folder now: at the start, every hour, and when it changed.
    pub(super) fn is_due(&mut self, folder: &Path, now: Instant) -> bool {
        let since = |then: Instant| now.saturating_duration_since(then);
        if self.looked.is_some_and(|looked| since(looked) < LOOK) {
            return false;
        }
        let is_first_look = self.looked.replace(now).is_none();
        let stamps = stamp_folder(folder);
        let is_settled = is_first_look || stamps == self.seen;
        self.seen.clone_from(&stamps);
        let is_due =
            self.next.as_ref().is_none_or(|(next, published)| now >= *next || *published != stamps);
        if is_due && is_settled {
            self.next = Some((now + PUBLISH, stamps));
        }
        is_due && is_settled
    }

    /// What could not be published is tried again soon: a description may ask for less.
    pub(super) fn failed(&mut self, now: Instant) {
        if let Some((next, _)) = &mut self.next {
            *next = now + RETRY;
        }
    }
}

/// When open datasets that changes touched are counted again.
#[derive(Default)]
pub(super) struct Settling {
    /// When the first of the changes was seen.
    first: Option<Instant>,
    /// The last change, and when it was seen.
    last: Option<(i64, Instant)>,
}

impl Settling {
    pub(super) fn is_due(&mut self, is_touched: bool, seen: i64, now: Instant) -> bool {
        if !is_touched {
            *self = Self::default();
            return false;
        }
        let first = *self.first.get_or_insert(now);
        if self.last.is_none_or(|(last, _)| last != seen) {
            self.last = Some((seen, now));
        }
        let since = |then: Instant| now.saturating_duration_since(then);
        let is_quiet = self.last.is_some_and(|(_, last)| since(last) >= SETTLED);
        let is_due = is_quiet || since(first) >= LONGEST_INGEST;
        if is_due {
            *self = Self::default();
        }
        is_due
    }
}

/// Which change the clinical records were read at.
#[derive(Default)]
pub(super) struct Records {
    read_at: Option<i64>,
}

impl Records {
    /// Whether to read what was written: after every change.
    pub(super) fn is_due(&mut self, seen: i64) -> bool {
        self.read_at.replace(seen) != Some(seen)
    }

    /// What could not be read is tried again.
    pub(super) fn failed(&mut self) {
        self.read_at = None;
    }
}

/// Which change the open datasets were read at. Another process may publish or withdraw one at
/// any change.
#[derive(Default)]
pub(super) struct OpenDatasets {
    read_at: Option<i64>,
    failing_since: Option<Instant>,
}

impl OpenDatasets {
    /// Reads them again after every change until that succeeds. What is open now, if that may
    /// have changed; nothing is, when it could not be learnt for long: a dataset that was
    /// withdrawn meanwhile must not stay open.
    pub(super) fn refresh(
        &mut self,
        seen: i64,
        now: Instant,
        read: impl FnOnce() -> Result<Vec<Criteria>>,
    ) -> Option<Vec<Criteria>> {
        if self.read_at == Some(seen) {
            return None;
        }
        match read() {
            Ok(open) => {
                *self = Self { read_at: Some(seen), failing_since: None };
                Some(open)
            }
            Err(failure) => {
                let since = *self.failing_since.get_or_insert(now);
                let is_closed = now.saturating_duration_since(since) >= TRUST;
                tracing::warn!(%failure, is_closed, "the open datasets could not be read");
                is_closed.then(Vec::new)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Descriptions, LOOK, OpenDatasets, PUBLISH, RETRY};
    use crate::error::Error;
    use crate::index::Criteria;

    #[test]
    fn descriptions_are_due_at_the_start_when_touched_and_every_hour() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(folder.path().join("a.toml"), text).unwrap();
        let mut descriptions = Descriptions::default();
        let start = Instant::now();
        let mut is_due = |at| descriptions.is_due(folder.path(), start + at);
        write("1");
        assert!(is_due(Duration::ZERO));
        assert!(!is_due(LOOK));
        write("12");
        assert!(!is_due(LOOK * 2), "it may still be written");
        write("123");
        assert!(!is_due(LOOK * 3), "it was");
        assert!(is_due(LOOK * 4));
        assert!(!is_due(LOOK * 5));
        assert!(is_due(LOOK * 5 + PUBLISH), "a release may have become due");
        assert!(!is_due(LOOK * 6 + PUBLISH));
        let now = start + LOOK * 6 + PUBLISH;
        descriptions.failed(now);
        assert!(descriptions.is_due(folder.path(), now + RETRY));
    }

    #[test]
    fn the_open_datasets_are_read_until_that_succeeds_and_closed_meanwhile() {
        let mut datasets = OpenDatasets::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let one = || Ok(vec![Criteria::default()]);
        let fails = || Err(Error::Store("away".to_owned()));
        assert_eq!(datasets.refresh(7, start, one), Some(vec![Criteria::default()]));
        assert_eq!(datasets.refresh(7, start, || panic!("nothing changed")), None);
        // A change, and the shelf does not answer: what was open stays so for a moment only.
        assert_eq!(datasets.refresh(8, after(1), fails), None);
        assert_eq!(datasets.refresh(8, after(5), fails), None, "no change since, and still due");
        assert_eq!(datasets.refresh(8, after(11), fails), Some(Vec::new()));
        assert_eq!(datasets.refresh(8, after(12), one), Some(vec![Criteria::default()]));
        assert_eq!(datasets.refresh(8, after(13), || panic!("nothing changed")), None);
    }
}

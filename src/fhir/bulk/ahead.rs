//! Lines of studies, made before an export asks for them: whoever exports an archive that was just
//! ingested need not wait for it to be rendered. The thread that makes exports does it while none
//! waits, on one core, after the archive was quiet for a moment. [`Lines`] says what is kept and
//! how; what an actor may not see is subtracted by the export, before a line is looked for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::desk::Desk;
use super::kept::{self, Lines};
use super::rows::Part;
use super::write::Halt;
use crate::actor::{Actor, Role};
use crate::config::Identity;
use crate::error::Result;
use crate::fhir::subset::Subset;
use crate::fhir::table::Resource;
use crate::fhir::{Asking, State};
use crate::index::{Query, Sort};
use crate::mapping::fhir::View;

/// What is being ingested is one change, not many.
const QUIET: Duration = Duration::from_secs(2);
/// How long lines wait at the most for the archive to be quiet.
const LONGEST_INGEST: Duration = Duration::from_secs(300);
/// How often lines are looked after when nothing changed: room may have come to be, a dataset been
/// opened, or a view removed by hand.
const AGAIN: Duration = Duration::from_secs(60);
/// After so many bytes the places of the lines are written: a process that is killed then loses
/// no more than these.
const CHECKPOINT: u64 = 64 << 20;

/// How far a turn came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Turn {
    /// There is a line of every study.
    Whole,
    /// No room for all of them, or nobody may keep any.
    Full,
    /// An export waits, or the server stops.
    Interrupted,
}

/// When lines are looked after.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The last change, and when it was first seen.
    last: Option<(i64, Instant)>,
    /// When the first of the changes was seen that no line follows yet.
    first: Option<Instant>,
    /// The change that the lines follow, and when they did.
    done: Option<(i64, Instant)>,
}

impl Pace {
    pub(super) fn is_due(&mut self, seen: i64, now: Instant) -> bool {
        let since = |then: Instant| now.saturating_duration_since(then);
        if let Some((done, at)) = self.done
            && done == seen
        {
            return since(at) >= AGAIN;
        }
        let first = *self.first.get_or_insert(now);
        if self.last.is_none_or(|(last, _)| last != seen) {
            self.last = Some((seen, now));
        }
        let is_quiet = self.last.is_some_and(|(_, last)| since(last) >= QUIET);
        is_quiet || since(first) >= LONGEST_INGEST
    }

    /// Nothing is due until something changes.
    pub(super) fn done(&mut self, seen: i64, now: Instant) {
        *self = Self { last: None, first: None, done: Some((seen, now)) };
    }
}

/// The renderings that exports may ask for, and who sees the most of each.
fn views(identity: Identity) -> &'static [(View, Role)] {
    match identity {
        Identity::DeIdentified => &[(View::DeIdentified, Role::ImagingIt)],
        Identity::Identified => {
            &[(View::Care, Role::ImagingIt), (View::Pseudonymous, Role::Researcher)]
        }
    }
}

impl State {
    /// Makes the lines that no export had to make yet, until one waits or `stop` says so.
    ///
    /// # Errors
    /// When the store or the folder fails.
    pub fn keep_lines(&self, now: i64, stop: &AtomicBool) -> Result<Turn> {
        let Some(desk) = self.exports.as_ref().filter(|desk| desk.keeps_ahead()) else {
            return Ok(Turn::Full);
        };
        self.index.catch_up(&self.store)?;
        let mut turn = Turn::Whole;
        let views = views(self.context.identity());
        // The archive was of another kind before: nobody follows these.
        for view in [View::Care, View::DeIdentified, View::Pseudonymous] {
            if !views.iter().any(|(followed, _)| *followed == view) {
                kept::remove_view(desk.folder(), view);
            }
        }
        for (view, role) in views {
            let actor = Actor::new("lines kept for exports", *role);
            let asking = Asking { state: self, actor: &actor, view: *view, now };
            match self.keep_lines_of(desk, &asking, stop).map_err(Halt::into_error)? {
                Turn::Whole => {}
                Turn::Full => turn = Turn::Full,
                Turn::Interrupted => return Ok(Turn::Interrupted),
            }
        }
        Ok(turn)
    }

    fn keep_lines_of(
        &self,
        desk: &Desk,
        asking: &Asking<'_>,
        stop: &AtomicBool,
    ) -> Result<Turn, Halt> {
        let numbers = {
            let index = self.index.read();
            let visible = index.search(asking.actor, &Query::All);
            index.page(&visible, Sort::Arrival, None, usize::MAX)
        };
        // What is there still follows the archive.
        if numbers.is_empty() && !kept::is_there(desk.folder(), asking.view) {
            return Ok(Turn::Whole);
        }
        let Some(mut lines) = self.open_lines(desk, asking.view)? else { return Ok(Turn::Full) };
        let missing = lines.missing(&numbers);
        let known = numbers.len() - missing.len();
        let others = kept::bytes(desk.folder()).saturating_sub(lines.bytes());
        let tell = |lines: &Lines, known: usize, is_full: bool| {
            // A fifth of them tells about how much all of them take.
            let count = lines.count();
            if count > 0 && count >= numbers.len() / 5 {
                let all = (lines.bytes() / count as u64).saturating_mul(numbers.len() as u64);
                desk.want(others.saturating_add(all));
            }
            desk.tell_ahead(asking.view, numbers.len() - known, is_full);
        };
        tell(&lines, known, false);
        if missing.is_empty() {
            lines.save()?;
            return Ok(Turn::Whole);
        }
        let part = Part { asking, resource: Resource::ImagingStudy, subset: Subset::Whole };
        let (mut end, mut unsaved) = (Turn::Whole, 0);
        let rendered = self.render_lines(&part, &missing, 1, |rendered, done| {
            let length = rendered.len() as u64;
            if stop.load(Ordering::Relaxed) || desk.is_asked() {
                end = Turn::Interrupted;
            } else if !desk.has_room_ahead(length) || !desk.reserve_kept(length) {
                end = Turn::Full;
            }
            if end != Turn::Whole {
                return Err(Halt::Stopped);
            }
            for (number, line) in rendered.iter() {
                lines.put(number, line)?;
            }
            unsaved += length;
            if unsaved >= CHECKPOINT {
                lines.save()?;
                tell(&lines, known + done, false);
                unsaved = 0;
            } else {
                desk.tell_ahead(asking.view, missing.len() - done, false);
            }
            Ok(())
        });
        lines.save()?;
        match rendered {
            Ok(()) => {}
            Err(_) if end != Turn::Whole => {}
            Err(halt) => return Err(halt),
        }
        tell(&lines, numbers.len() - lines.missing(&numbers).len(), end == Turn::Full);
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{AGAIN, LONGEST_INGEST, Pace, QUIET};

    #[test]
    fn lines_are_made_when_the_archive_is_quiet() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert!(!pace.is_due(5, start));
        assert!(!pace.is_due(6, start + QUIET), "it still changes");
        assert!(pace.is_due(6, start + QUIET * 2));
        pace.done(6, start + QUIET * 2);
        assert!(!pace.is_due(6, start + QUIET * 3));
        assert!(pace.is_due(6, start + QUIET * 2 + AGAIN));
    }

    #[test]
    fn an_ingest_that_does_not_end_is_followed_all_the_same() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let mut seen = 0;
        let mut now = start;
        while now < start + LONGEST_INGEST {
            assert!(!pace.is_due(seen, now));
            (seen, now) = (seen + 1, now + Duration::from_secs(1));
        }
        assert!(pace.is_due(seen, now));
    }
}

//! The figures of a dataset, and when they may change.
//!
//! In: a description, what was published of it before, the [`Facts`]. Out: disclosed [`Figures`],
//! those of its parts and the measures of its label. What is not open changes only with a version,
//! and not before its release is due; another order of describing must not be a way round that.

use jiff::{Timestamp, ToSpan as _};

use super::{Publisher, version};
use crate::catalogue::description::{AccessRights, Day, Description, Precision};
use crate::catalogue::figures::{Disclosed, Facts, Figures, Part};
use crate::catalogue::selection::Selection;
use crate::catalogue::shacl::{Problem, Severity};
use crate::catalogue::shelf::{Entry, Shelf, State};
use crate::config::Identity;
use crate::error::Result;
use crate::index::disclosure::Rule;

/// The figures of a description and when they may change again.
pub(super) struct Counted {
    pub(super) figures: Disclosed,
    pub(super) next_release: Option<Timestamp>,
    /// The exact ones of an open dataset.
    pub(super) open: Option<Figures>,
}

impl Publisher<'_> {
    /// The figures of another dataset that is not open, that was counted by the same selection and
    /// may not change yet. A copy of a description, under whatever name, says of the same persons
    /// what the first one says, and not what became of them since.
    fn twin(
        &self,
        slug: &str,
        selection: &Selection,
        shelf: &dyn Shelf,
        now: Timestamp,
    ) -> Result<Option<(Disclosed, Option<Timestamp>)>> {
        let twins = shelf.counted_by(selection)?.into_iter().filter(|entry| {
            entry.slug != slug && entry.next_release.is_some_and(|next| now < next)
        });
        let twins = twins.map(|entry| (entry.figures(), entry.next_release));
        let threshold = self.config.disclosure.threshold;
        let may_stay = |figures: &Disclosed| !figures.is_exact && figures.threshold >= threshold;
        Ok(twins.filter(|(figures, _)| may_stay(figures)).max_by_key(|(_, next)| *next))
    }

    /// Counts, or keeps what was counted for this version.
    pub(super) fn count(
        &self,
        slug: &str,
        description: &Description,
        before: Option<&Entry>,
        facts: &dyn Facts,
        shelf: &dyn Shelf,
        now: Timestamp,
    ) -> Result<Result<Counted, Problem>> {
        let problem = |field: &str, label: &str, rule: String, remedy: &str| Problem {
            severity: Severity::Violation,
            field: field.to_owned(),
            label: label.to_owned(),
            rule,
            remedy: remedy.to_owned(),
            value: None,
        };
        let is_open = description.access_rights == Some(AccessRights::Public)
            && self.config.archive.identity == Identity::DeIdentified;
        let is_exact = is_open && description.figures == Some(Precision::Exact);
        let parts: Vec<_> = description
            .distributions
            .iter()
            .filter(|distribution| !distribution.selection.is_empty())
            .map(|distribution| description.selection.and(&distribution.selection))
            .collect();
        // A withdrawn dataset keeps its figures: coming back must not be a way round the schedule.
        let counted_before = before.filter(|entry| entry.state != State::Failed);
        if !is_open && let Some(entry) = counted_before {
            let mut figures = entry.figures();
            figures.narrowed_to = None;
            // Figures that were exact, because the dataset was open, must not outlive that.
            let must_recount =
                figures.is_exact || figures.threshold < self.config.disclosure.threshold;
            let is_same_version = entry.version == version(description);
            if !must_recount && is_same_version {
                let is_same = figures.selection == description.selection
                    && figures.parts.iter().map(|part| &part.selection).eq(parts.iter());
                if is_same {
                    return Ok(Ok(Counted {
                        figures,
                        next_release: entry.next_release,
                        open: None,
                    }));
                }
                return Ok(Err(problem(
                    "version",
                    "Version",
                    format!("the selection changed, but the version is still `{}`", entry.version),
                    "write a new `version`: figures change only with it",
                )));
            }
            if !must_recount
                && let Some(next) = entry.next_release
                && now < next
            {
                let day = next.to_zoned(jiff::tz::TimeZone::UTC).date();
                return Ok(Err(problem(
                    "version",
                    "Version",
                    format!("the figures may change again on {day} (release schedule)"),
                    &format!(
                        "keep version `{}` until then, or change `disclosure.release_days`",
                        entry.version
                    ),
                )));
            }
        }
        if !is_open
            && let Some((mut figures, next_release)) =
                self.twin(slug, &description.selection, shelf, now)?
        {
            figures.narrowed_to = None;
            figures.selection.clone_from(&description.selection);
            // Of a part that was not counted then nothing is said until the release.
            let known = std::mem::take(&mut figures.parts);
            figures.parts.extend(parts.into_iter().map(|selection| {
                Part {
                    bytes: known
                        .iter()
                        .find(|part| part.selection == selection)
                        .and_then(|part| part.bytes),
                    selection,
                }
            }));
            return Ok(Ok(Counted { figures, next_release, open: None }));
        }
        let rule = Rule {
            threshold: self.config.disclosure.threshold,
            rounding: self.config.disclosure.rounding,
        };
        let counted = facts.figures(&description.selection)?;
        if counted.series == 0 {
            return Ok(Err(problem(
                "selection",
                "Selection",
                "matches no series of the archive".to_owned(),
                "check the terms against the archive's facets, or ingest the data first",
            )));
        }
        let mut figures = if is_exact {
            counted.exact(&description.selection)
        } else {
            let today = Day(now.to_zoned(jiff::tz::TimeZone::UTC).date());
            counted.disclose(rule, &description.selection).until(today)
        };
        let of_parts: Vec<Figures> =
            parts.iter().map(|selection| facts.figures(selection)).collect::<Result<_>>()?;
        let bytes = if is_exact {
            of_parts.iter().map(|part| (part.bytes > 0).then_some(part.bytes)).collect()
        } else {
            counted.bytes_of(&of_parts, rule)
        };
        let parts = parts.into_iter().zip(bytes);
        figures.parts.extend(parts.map(|(selection, bytes)| Part { selection, bytes }));
        let rule = if is_exact { Rule { threshold: 1, rounding: 1 } } else { rule };
        figures.measures = self.release.quality.measure(
            &counted,
            &figures,
            facts,
            &description.selection,
            rule,
            now,
        )?;
        let days = i64::from(self.config.disclosure.release_days);
        let next_release = if is_open { None } else { now.checked_add((days * 24).hours()).ok() };
        Ok(Ok(Counted { figures, next_release, open: is_open.then_some(counted) }))
    }
}

//! What stays of a dataset that is withdrawn.
//!
//! In: an entry, and who says that it goes: its steward, a folder that no longer describes it, an
//! heir, a refusal. Out: the entry with a tombstone, which is served with 410.

use jiff::Timestamp;
use oxrdf::Graph;

use super::{Attempt, Outcome, Publisher, Verdict};
use crate::catalogue::description::Description;
use crate::catalogue::emit;
use crate::catalogue::graph::Draft;
use crate::catalogue::listing::put_record;
use crate::catalogue::shelf::{Entry, Shelf, State};
use crate::error::Result;

impl Publisher<'_> {
    /// Withdraws a dataset whose description says so.
    pub(super) fn withdraw(
        &self,
        attempt: Attempt<'_>,
        description: &Description,
    ) -> Result<Outcome> {
        let Attempt { slug, text, before, shelf, now, keep } = attempt;
        let Some(before) = before.filter(|entry| entry.state != State::Failed) else {
            // Never published: there is nothing that others could miss.
            return Ok(settled(&slug, Verdict::Unchanged));
        };
        if before.state == State::Withdrawn {
            return Ok(settled(&slug, Verdict::Unchanged));
        }
        if keep {
            let document = emit::canonical(&self.tombstone(&slug, description, before.issued, now));
            shelf.put(&Entry {
                state: State::Withdrawn,
                text: with_series(text, description, &before),
                document,
                report: "[]".to_owned(),
                modified: now,
                ..before
            })?;
        }
        Ok(settled(&slug, Verdict::Withdrawn))
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
        Ok(Some(settled(slug, Verdict::Withdrawn)))
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
        Ok(Some(settled(slug, Verdict::Withdrawn)))
    }

    /// The entry withdrawn without a word of the steward. Exact figures do not stay.
    pub(super) fn closed(&self, entry: Entry, report: String, now: Timestamp) -> Entry {
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

    /// What stays of a withdrawn dataset (D5.1 section 7.2.1.22: the metadata remain). It is not
    /// typed Dataset, so that nobody imports it.
    pub(super) fn tombstone(
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
        put_record(&mut draft, writer, slug, issued, now, "WITHDRAWN");
        draft.graph
    }
}

/// The text of a withdrawn dataset, which still says of which series it was: its address does not
/// become unknown by that.
fn with_series(text: &str, description: &Description, before: &Entry) -> String {
    let read = |text: &str| toml::from_str::<toml::Table>(text).unwrap_or_default();
    let series = description.series.is_none().then(|| read(&before.text).remove("series"));
    let Some(series) = series.flatten() else { return text.to_owned() };
    let mut table = read(text);
    table.insert("series".to_owned(), series);
    table.to_string()
}

/// An outcome that there is nothing more to say of.
fn settled(slug: &str, verdict: Verdict) -> Outcome {
    Outcome { slug: slug.to_owned(), verdict, refusals: Vec::new(), problems: Vec::new() }
}

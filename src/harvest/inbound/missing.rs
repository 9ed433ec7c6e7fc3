//! What a complete walk did not meet: asked for at its address, counted, and gone at last. So much
//! at once that it is likelier a mistake of the source is kept, until the operator says otherwise.

use std::collections::HashSet;

use super::keep::Keeper;
use super::{Summary, Trouble, names};
use crate::error::Result;
use crate::store::Db;
use crate::store::harvested::{self, GONE};

/// Datasets that may vanish at once, however few there are: the same as of a PACS.
const FEW: usize = 10;

/// A dataset that a complete walk did not meet.
pub(super) struct Missing {
    pub(super) iri: String,
    /// Complete walks before this one that did not meet it either.
    before: i32,
    /// What the source calls it now.
    renamed: Option<String>,
}

impl Keeper<'_> {
    /// What the walk did not meet, and what is not known to be gone; those that were met last time
    /// first.
    pub(super) fn missing(&self) -> Result<Vec<Missing>> {
        let name = &self.source.name;
        let (mut missing, mut after) = (Vec::new(), String::new());
        loop {
            let rows = self.store.read(|db| harvested::list_harvested(db, name, &after, 1_000))?;
            let Some(last) = rows.last() else { break };
            after.clone_from(&last.iri);
            for row in rows {
                if row.state == GONE || self.met.contains(&row.iri) {
                    continue;
                }
                let named = [names::comparable(&row.iri)];
                let others =
                    self.store.read(|db| harvested::list_same(db, (name, &row.iri), &named))?;
                let renamed = others
                    .into_iter()
                    .find(|(other, _)| other.source == *name && self.met.contains(&other.iri));
                let renamed = renamed.map(|(other, _)| other.iri);
                missing.push(Missing { iri: row.iri, before: row.missing, renamed });
            }
        }
        missing.sort_by_key(|one| one.before);
        Ok(missing)
    }

    /// Ends a walk that met everything the source offers; `visited` are the addresses of now.
    pub(super) fn finish(
        mut self,
        missing: Vec<Missing>,
        visited: &HashSet<String>,
    ) -> Result<Summary> {
        let name = self.source.name.clone();
        let turn = self.turn;
        let _turn = turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (vanished, missing) = self.too_many(missing)?;
        if vanished > 0 {
            self.summary.kept_vanished = vanished;
            let detail = format!("{vanished} datasets are missing at once and are kept");
            self.summary.trouble(Trouble::new(&self.source.url, "vanished", detail));
        }
        self.summary.missing = vanished + missing.len();
        for missing in missing.chunks(500) {
            let gone = self.store.write(|db| {
                missing.iter().try_fold(0, |gone, one| Ok(gone + usize::from(self.miss(db, one)?)))
            })?;
            self.summary.gone += gone;
        }
        let urls = self.store.read(|db| harvested::list_page_urls(db, &name))?;
        let old: Vec<&String> = urls.iter().filter(|url| !visited.contains(*url)).collect();
        if !old.is_empty() {
            let remove =
                |db: &mut Db| old.iter().try_for_each(|url| harvested::remove_page(db, &name, url));
            self.store.write(remove)?;
        }
        Ok(self.summary)
    }

    /// Takes what vanished in this one walk away from what is counted, when it is too much: how
    /// many that are. An answer that is empty by mistake is likelier than a day's work. What the
    /// source itself says to be gone, or has under another IRI, did not vanish.
    fn too_many(&self, missing: Vec<Missing>) -> Result<(usize, Vec<Missing>)> {
        let vanished = |one: &Missing| {
            one.before == 0 && one.renamed.is_none() && !self.said_gone.contains(&one.iri)
        };
        let count = missing.iter().filter(|one| vanished(one)).count();
        let (states, _) = self.store.read(|db| harvested::count_states(db, &self.source.name))?;
        let known: i64 = states.iter().filter(|(state, _)| state != GONE).map(|(_, n)| n).sum();
        let known = usize::try_from(known).unwrap_or(0).saturating_sub(self.summary.new);
        let percent = usize::from(self.source.may_vanish_percent);
        let may_vanish = FEW.max(known.saturating_mul(percent) / 100);
        if self.prune || count <= may_vanish {
            return Ok((0, missing));
        }
        Ok((count, missing.into_iter().filter(|one| !vanished(one)).collect()))
    }

    /// Counts that a dataset was missed; whether it is gone by that: after so many walks, at once
    /// when the source says so, has it under another IRI now, or the operator does.
    fn miss(&self, db: &mut Db, missing: &Missing) -> crate::store::QueryResult<bool> {
        let found = harvested::find_harvested(db, &self.source.name, &missing.iri)?;
        let Some(mut row) = found.filter(|row| row.state != GONE) else { return Ok(false) };
        row.missing = row.missing.saturating_add(1);
        let is_late = i64::from(row.missing) >= i64::from(self.source.gone_after);
        if let Some(iri) = &missing.renamed {
            row.report = format!("renamed: it is `{iri}` now");
        }
        let is_said = missing.renamed.is_some() || self.said_gone.contains(&row.iri);
        let is_gone = is_late || is_said || self.prune;
        if is_gone {
            row.state = GONE.to_owned();
            row.changed = self.started;
        }
        harvested::put_harvested(db, &row)?;
        Ok(is_gone)
    }
}

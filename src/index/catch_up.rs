//! Brings the view up to the change feed.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, RwLock, RwLockReadGuard};

use super::census::Census;
use super::query::Criteria;
use super::view::{NewSeries, NewStudy, View};
use crate::error::{Error, Result};
use crate::imaging::{Attributes, Facet};
use crate::mapping::{self, Context};
use crate::store::archive::{self, StudyRow};
use crate::store::changes::{self, Change, Kind};
use crate::store::{Db, Store, findings, journal, read};

/// What catching up did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CaughtUp {
    /// Changes that were read.
    pub changes: u64,
    /// Studies that were put in or taken out.
    pub studies: u64,
}

/// The index, shared by every thread.
pub struct Index {
    view: RwLock<View>,
    /// One catch-up at a time.
    turn: Mutex<()>,
    context: Context,
    file: Option<PathBuf>,
}

/// The term of [`Facet::Listing`].
pub const COUNTED: &str = "counted";

/// How many changes are applied under one write lock: readers wait a few milliseconds at most.
const STEP: usize = 1_000;

/// Behind by more than this, reading every study is cheaper than following the feed.
const FAR: i64 = 200_000;

impl Index {
    /// The index as its file in the data folder has it, or empty; not caught up yet.
    #[must_use]
    pub fn open(data: Option<&Path>, context: Context) -> Self {
        let file = data.map(|data| data.join("index.bin"));
        let view = file.as_deref().and_then(|file| match super::file::load(file, &context) {
            Ok(view) => view,
            Err(reason) => {
                tracing::warn!(%reason, "the index file is not used; the index is rebuilt");
                None
            }
        });
        Self { view: RwLock::new(view.unwrap_or_default()), turn: Mutex::new(()), context, file }
    }

    /// The view, for reading.
    pub fn read(&self) -> RwLockReadGuard<'_, View> {
        // A poisoned lock means that a writer panicked between two studies; each study is put
        // whole, so what is there can be read.
        self.view.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Says which selections are open to secondary use.
    pub fn set_open(&self, open: Vec<Criteria>) {
        self.write(|view| view.set_open(open));
    }

    /// Lets the counts of these criteria, with the terms of these facets, run along with the
    /// changes, and those of no others. What is not counted yet is.
    pub fn keep_counts(&self, wanted: &[Criteria], facets: &[Facet]) {
        // Nothing changes between the walk and what it found.
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let missing: Vec<Criteria> =
            self.read().not_kept(wanted, facets).into_iter().cloned().collect();
        for criteria in missing {
            let census = Census::take(&self.read(), criteria, facets);
            self.write(|view| view.keep(census));
        }
        self.write(|view| view.keep_only(wanted));
    }

    /// Whether a change touched one of the criteria of [`Self::keep_counts`].
    pub fn is_touched(&self) -> bool {
        self.read().has_touched()
    }

    /// The criteria of [`Self::keep_counts`] that changes touched since this was last asked.
    pub fn take_touched(&self) -> Vec<Criteria> {
        // Most times there are none, and readers need not wait.
        if self.is_touched() { self.write(View::take_touched) } else { Vec::new() }
    }

    fn write<T>(&self, work: impl FnOnce(&mut View) -> T) -> T {
        work(&mut self.view.write().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Reads the changes that the view has not seen. Costs as much as the change, not the store.
    ///
    /// # Errors
    /// When the store fails; the view stays at the last change that it took whole.
    pub fn catch_up(&self, store: &Store) -> Result<CaughtUp> {
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut done = CaughtUp::default();
        let mut db = store.reader()?;
        loop {
            let (seen, was) = {
                let view = self.read();
                (view.seq, view.seen.clone())
            };
            let last = changes::last_change(&mut db)?;
            // Another database was named, or a backup was restored and went on differently.
            let is_other = seen > 0 && changes::seen(&mut db, seen)? != was;
            if last == seen && !is_other {
                return Ok(done);
            }
            if is_other {
                tracing::warn!("the index was made from another store; it is rebuilt");
            }
            if seen == 0 || is_other || last < seen || last - seen > FAR {
                let rebuilt = self.rebuild_with(&mut db)?;
                done.changes += rebuilt.changes;
                done.studies += rebuilt.studies;
                continue;
            }
            let batch = changes::list_changes(&mut db, seen, 4_000)?;
            let Some(end) = batch.last().map(|change| change.seq) else {
                // Numbers without entries: a kind that this view does not know.
                let now = changes::seen(&mut db, last)?;
                self.write(|view| (view.seq, view.seen) = (last, now));
                continue;
            };
            done.changes += batch.len() as u64;
            done.studies += self.apply(&mut db, &batch)?;
            let now = changes::seen(&mut db, end)?;
            self.write(|view| (view.seq, view.seen) = (end, now));
        }
    }

    /// Throws the view away and reads every study.
    ///
    /// # Errors
    /// When the store fails; the old view stays then.
    pub fn rebuild(&self, store: &Store) -> Result<CaughtUp> {
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.rebuild_with(&mut store.reader()?)
    }

    fn rebuild_with(&self, db: &mut Db) -> Result<CaughtUp> {
        let mut done = CaughtUp::default();
        // The feed first: what changes while the rows are read is read again afterwards.
        let seq = changes::last_change(db)?;
        let seen = changes::seen(db, seq)?;
        let names = source_names(db)?;
        let mut fresh = View::default();
        let mut after = 0;
        loop {
            let rows = archive::scan_studies(db, after, 2_000)?;
            let Some(last) = rows.last() else { break };
            after = last.number;
            done.studies += rows.len() as u64;
            let numbers: Vec<i64> = rows.iter().map(|row| row.number).collect();
            let kinds = kinds_of_findings(db, &numbers)?;
            for (number, new) in self.facts(db, rows, &names)? {
                if let Some((study, series)) = new {
                    fresh.put_study(number, &study, &series);
                }
            }
            for (number, kinds) in kinds {
                fresh.put_findings(number, &kinds);
            }
        }
        for number in read::list_patient_numbers(db)? {
            fresh.put_patient(number, true);
        }
        fresh.optimise();
        (fresh.seq, fresh.seen) = (seq, seen);
        done.changes = seq.unsigned_abs();
        self.write(|view| {
            fresh.inherit(view);
            *view = fresh;
        });
        Ok(done)
    }

    fn apply(&self, db: &mut Db, batch: &[Change]) -> Result<u64> {
        let names = source_names(db)?;
        let mut patients: Vec<i64> = batch
            .iter()
            .filter(|change| change.kind == Kind::Patient)
            .map(|change| change.number)
            .collect();
        patients.sort_unstable();
        patients.dedup();
        let mut studies: HashSet<i64> = batch
            .iter()
            .filter(|change| change.kind == Kind::Study)
            .map(|change| change.number)
            .collect();
        // Sex and birth date of a patient are facts of every study.
        studies.extend(read::list_studies_of_patients(db, &patients)?);
        let said: Vec<i64> = batch
            .iter()
            .filter(|change| change.kind == Kind::Finding && !studies.contains(&change.number))
            .map(|change| change.number)
            .collect();
        let mut studies: Vec<i64> = studies.into_iter().collect();
        studies.sort_unstable();
        if studies.len() > STEP {
            self.write(View::forget_counts);
        }
        for row in archive::list_patients(db, &patients)? {
            self.write(|view| view.put_patient(row.number, !row.deleted));
        }
        for numbers in studies.chunks(STEP) {
            let rows = archive::list_studies(db, numbers)?;
            let facts = self.facts(db, rows, &names)?;
            let kinds = kinds_of_findings(db, numbers)?;
            self.write(|view| {
                for (number, new) in facts {
                    match new {
                        Some((study, series)) => view.put_study(number, &study, &series),
                        None => view.remove_study(number),
                    }
                }
                for (number, kinds) in kinds {
                    view.put_findings(number, &kinds);
                }
            });
        }
        for (number, kinds) in kinds_of_findings(db, &said)? {
            self.write(|view| view.put_findings(number, &kinds));
        }
        Ok((studies.len() + said.len()) as u64)
    }

    /// The facts of studies; `None` for deleted ones.
    #[allow(clippy::type_complexity, reason = "a pair of values, named by its two types")]
    fn facts<'n>(
        &self,
        db: &mut Db,
        rows: Vec<StudyRow>,
        names: &'n HashMap<i64, String>,
    ) -> Result<Vec<(i64, Option<(NewStudy<'n>, Vec<NewSeries>)>)>> {
        let mut numbers: Vec<i64> = rows.iter().map(|row| row.patient).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let patients: HashMap<i64, Attributes> = archive::list_patients(db, &numbers)?
            .into_iter()
            .map(|row| Ok((row.number, read::attributes(&row.attributes, "patient", row.number)?)))
            .collect::<crate::store::QueryResult<_>>()?;
        let nobody = Attributes::new();
        let mut facts = Vec::with_capacity(rows.len());
        let studies: Vec<i64> = rows.iter().map(|row| row.number).collect();
        let counted: HashSet<i64> = archive::list_counted(db, &studies)?.into_iter().collect();
        for (row, series) in read::list_aggregates(db, rows)? {
            if row.deleted {
                facts.push((row.number, None));
                continue;
            }
            let patient = patients.get(&row.patient).unwrap_or(&nobody);
            let attributes = read::attributes(&row.attributes, "study", row.number)?;
            let study = NewStudy {
                patient: row.patient,
                source: names.get(&row.source).map_or("", String::as_str),
                collection: row.collection,
                updated: row.updated,
                facts: mapping::study_facts(&self.context, patient, &attributes),
            };
            // Of each series, so that criteria about it hold on the same series.
            let present: Vec<_> =
                patient.iter().chain(attributes.iter()).map(|(keyword, _)| keyword).collect();
            let mut new_series = Vec::with_capacity(series.len());
            for row in &series {
                let attributes = read::attributes(&row.attributes, "series", row.number)?;
                let mut facts =
                    mapping::series_facts(&self.context, &attributes, &row.sop_class_uids());
                let of_series = attributes.iter().map(|(keyword, _)| keyword);
                facts.terms.extend(of_series.chain(present.iter().copied()).map(present_term));
                if counted.contains(&row.number) {
                    facts.terms.push((Facet::Listing, COUNTED.to_owned()));
                }
                let told = [(Facet::Licence, &row.licence), (Facet::SourceDoi, &row.source_doi)];
                for (facet, text) in told {
                    if let Some(text) = text {
                        facts.terms.push((facet, text.clone()));
                    }
                }
                new_series.push(NewSeries {
                    number: row.number,
                    patient: row.patient,
                    images: u32::try_from(row.images).unwrap_or(0),
                    bytes: u64::try_from(row.bytes).unwrap_or(0),
                    facts,
                });
            }
            facts.push((row.number, Some((study, new_series))));
        }
        Ok(facts)
    }

    /// Writes the view to its file, whole or not at all.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save(&self) -> Result<()> {
        match &self.file {
            None => Ok(()),
            Some(file) => super::file::save(file, &self.read(), &self.context)
                .map_err(|failure| Error::Internal(format!("{}: {failure}", file.display()))),
        }
    }

    /// Removes the file, so that the next start rebuilds.
    ///
    /// # Errors
    /// When it exists and cannot be removed.
    pub fn forget(&self) -> Result<()> {
        match &self.file {
            Some(file) if file.exists() => std::fs::remove_file(file)
                .map_err(|failure| Error::Internal(format!("{}: {failure}", file.display()))),
            _ => Ok(()),
        }
    }
}

/// The kinds of findings of each of the studies, also of those that have none.
fn kinds_of_findings(db: &mut Db, studies: &[i64]) -> Result<Vec<(i64, Vec<Box<str>>)>> {
    let mut kinds: HashMap<i64, Vec<Box<str>>> = HashMap::new();
    for (study, kind) in findings::list_kinds(db, studies)? {
        kinds.entry(study).or_default().push(kind.into());
    }
    Ok(studies.iter().map(|study| (*study, kinds.remove(study).unwrap_or_default())).collect())
}

/// That an attribute has a value.
fn present_term(keyword: crate::imaging::Keyword) -> (Facet, String) {
    (Facet::Attribute, keyword.as_str().to_owned())
}

fn source_names(db: &mut Db) -> Result<HashMap<i64, String>> {
    Ok(journal::list_sources(db)?.into_iter().map(|row| (row.number, row.name)).collect())
}

impl Index {
    /// Compares the view with the rows of the store: every difference in words, at most a
    /// hundred; empty when they agree.
    ///
    /// # Errors
    /// When the store fails.
    pub fn differences(&self, store: &Store) -> Result<Vec<String>> {
        self.catch_up(store)?;
        let truth = Self::open(None, self.context.clone());
        truth.rebuild(store)?;
        let (mine, truth) = (self.read(), truth.read());
        if mine.seq() != truth.seq() {
            return Ok(vec![format!(
                "the store changed while it was verified ({} and {}); verify again",
                mine.seq(),
                truth.seq()
            )]);
        }
        Ok(mine.differences(&truth))
    }
}

//! The catalogue's two doors to the rooms below: figures from the index, entries in the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use roaring::RoaringBitmap;

use super::clinical::Clinical;
use super::figures::COUNTED;
use super::figures::{Arrival, LOADS};
use super::log::{Event, Log, Operation, Standing};
use super::quality::Figure;
use super::shelf::{Entry, Shelf, ShelfState, State};
use super::{AccessRights, Day, FACETS, Facts, Figures, Selection};
use crate::actor::Actor;
use crate::config::{Config, Identity};
use crate::error::{Error, Result};
use crate::imaging::Facet;
use crate::index::disclosure::{Cell, age_band};
use crate::index::{Criteria, Index, TermCount};
use crate::store::changes::{self, Kind};
use crate::store::datasets::{self, DatasetRow, PUBLISHED, WITHDRAWN};
use crate::store::events::{self, EventRow, StandingRow};
use crate::store::{Db, Store, journal};

/// Figures counted by the index, for the operator of the node: they leave the house only
/// through the disclosure rule.
pub struct IndexFacts {
    index: Arc<Index>,
    store: Option<Arc<Store>>,
    clinical: Clinical,
    zone: jiff::tz::TimeZone,
}

impl IndexFacts {
    /// Figures of an index; days are those of `zone`.
    #[must_use]
    pub fn new(index: Arc<Index>, zone: Option<&jiff::tz::TimeZone>) -> Self {
        let zone = zone.cloned().unwrap_or(jiff::tz::TimeZone::UTC);
        Self { index, store: None, clinical: Clinical::default(), zone }
    }

    /// With the store, which knows the findings and what kind each source is.
    #[must_use]
    pub fn with_store(mut self, store: Arc<Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Reads the clinical records that were written; whether one is about a study or a patient and
    /// nobody asked since ([`Self::take_written`]).
    pub(super) fn read_records(&self) -> Result<bool> {
        if let Some(store) = &self.store {
            self.clinical.catch_up(store)?;
        }
        Ok(self.clinical.is_touched())
    }

    /// Which of these selections the clinical records are about that were written since this was last
    /// asked.
    pub(super) fn take_written(&self) -> impl Fn(&Selection) -> bool {
        let written = self.clinical.take_touched();
        move |selection| {
            if written.is_empty() {
                return false;
            }
            let view = self.index.read();
            let studies = view.selected_studies(&Actor::operator(), &Criteria::from(selection));
            written.is_among(&view, &studies)
        }
    }

    /// The studies that lower a figure, and the numbers of the first `limit` of them. Of figures
    /// that are not about single studies: none.
    ///
    /// # Errors
    /// When the store does not answer.
    pub fn lowering(
        &self,
        selection: &Selection,
        figure: &Figure,
        limit: usize,
    ) -> Result<Lowering> {
        let studies = self.lowered_by(selection, figure);
        Ok(Lowering {
            studies: studies.len(),
            numbers: studies.iter().take(limit).map(i64::from).collect(),
        })
    }

    fn lowered_by(&self, selection: &Selection, figure: &Figure) -> RoaringBitmap {
        let actor = Actor::operator();
        let criteria = Criteria::from(selection);
        let view = self.index.read();
        match figure {
            Figure::Attributes { of } => {
                let whole = view.selected_studies(&actor, &criteria);
                let mut lacking = RoaringBitmap::new();
                for keyword in of {
                    let having = selection.and(&Selection::of(Facet::Attribute, &[keyword]));
                    let mut having = Criteria::from(&having);
                    having.whole_studies = criteria.whole_studies;
                    lacking |= &whole - view.selected_studies(&actor, &having);
                }
                lacking
            }
            Figure::Without { of } => {
                let census = view.census(&actor, &criteria, COUNTED);
                census.map(|census| view.studies_with_findings(&census, of)).unwrap_or_default()
            }
            Figure::Coded { facet } => {
                let census = view.census(&actor, &criteria, COUNTED);
                census.map(|census| view.studies_without_code(&census, *facet)).unwrap_or_default()
            }
            Figure::Days {} | Figure::Years {} | Figure::Elements {} => RoaringBitmap::new(),
        }
    }

    /// How the studies came in: per kind of source, the days of the first and the last change.
    fn arrivals(&self, spans: &BTreeMap<String, (i64, i64)>) -> Result<Vec<Arrival>> {
        let Some(store) = &self.store else { return Ok(Vec::new()) };
        let kinds: BTreeMap<String, String> = store
            .read(journal::list_sources)?
            .into_iter()
            .map(|source| (source.name, source.kind))
            .collect();
        let mut arrivals: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
        for (name, (from, to)) in spans {
            let Some(kind) = kinds.get(name) else { continue };
            let span = arrivals.entry(kind).or_insert((*from, *to));
            *span = (span.0.min(*from), span.1.max(*to));
        }
        let arrival = |(kind, (from, to)): (&str, (i64, i64))| Arrival {
            kind: kind.to_owned(),
            from: self.day(from),
            to: self.day(to),
        };
        Ok(arrivals.into_iter().map(arrival).collect())
    }

    fn day(&self, micros: i64) -> Option<Day> {
        let instant = Timestamp::from_microsecond(micros).ok()?;
        Some(Day(instant.to_zoned(self.zone.clone()).date()))
    }
}

/// The studies that lower a figure.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Lowering {
    /// How many.
    pub studies: u64,
    /// The store's numbers of the first of them.
    pub numbers: Vec<i64>,
}

impl From<&Selection> for Criteria {
    fn from(selection: &Selection) -> Self {
        Self {
            any_of: selection.any_of.clone(),
            exclude: selection.exclude.clone(),
            whole_studies: selection.whole_studies,
        }
    }
}

impl Facts for IndexFacts {
    fn figures(&self, selection: &Selection) -> Result<Figures> {
        if let Some(store) = &self.store {
            self.clinical.catch_up(store)?;
        }
        let view = self.index.read();
        let census = view.census(&Actor::operator(), &Criteria::from(selection), COUNTED);
        let Some(census) = census else { return Ok(Figures::default()) };
        let counts = census.counts();
        let ages = census.facet(&view, Facet::Age);
        let years = ages.iter().filter_map(|count| count.term.parse::<u16>().ok());
        // A person may be in one band with two ages: bands are counted, not added up.
        let bands = census.grouped(&view, Facet::Age, |age| Some(age_band(age.parse().ok()?)));
        let cells = |counts: Vec<TermCount>| counts.into_iter().map(cell).collect::<Vec<_>>();
        let facets = FACETS.iter().map(|facet| (*facet, cells(census.facet(&view, *facet))));
        let span = census.span();
        let mut attributes = cells(census.facet(&view, Facet::Attribute));
        let selected = || view.selected_studies(&Actor::operator(), &Criteria::from(selection));
        attributes.extend(self.clinical.cells(&view, selected));
        Ok(Figures {
            records: counts.studies,
            individuals: counts.patients,
            series: counts.series,
            images: counts.images,
            bytes: counts.bytes,
            first: span.and_then(|(from, _)| self.day(from)),
            last: span.and_then(|(_, to)| self.day(to - 1)),
            min_age: years.clone().min(),
            max_age: years.max(),
            loads: census.loads(LOADS),
            ages: census.tails(&view, Facet::Age),
            years: census.tails(&view, Facet::Year),
            facets: facets.filter(|(_, cells)| !cells.is_empty()).collect(),
            age_bands: cells(bands),
            attributes,
            spacings: cells(census.spacings()),
            arrivals: self.arrivals(&census.arrivals(&view))?,
        })
    }

    fn passing(&self, selection: &Selection, figure: &Figure) -> Result<Cell> {
        let lowering = self.lowered_by(selection, figure);
        let view = self.index.read();
        let census = view.census(&Actor::operator(), &Criteria::from(selection), COUNTED);
        let whole = census.map(|census| census.studies().clone()).unwrap_or_default();
        let studies = whole - lowering;
        Ok(Cell {
            term: String::new(),
            records: studies.len(),
            individuals: view.patients_of(&studies).len(),
        })
    }

    fn wholly_open(&self, selection: &Selection, others: &[Selection]) -> Result<u64> {
        let others: Vec<Criteria> = others.iter().map(Criteria::from).collect();
        Ok(self.index.read().count_wholly_open(&Criteria::from(selection), &others))
    }
}

fn cell(count: TermCount) -> Cell {
    Cell { term: count.term, records: count.studies, individuals: count.patients }
}

/// Entries kept in the store; every change takes its number in the change feed.
pub struct StoreShelf(pub Arc<Store>);

const fn state_name(state: State) -> &'static str {
    match state {
        State::Published => PUBLISHED,
        State::Failed => "failed",
        State::Withdrawn => WITHDRAWN,
    }
}

pub(super) fn entry(row: DatasetRow) -> Result<Entry> {
    let time = |micros| {
        Timestamp::from_microsecond(micros)
            .map_err(|_| Error::Store(format!("dataset `{}` is damaged", row.slug)))
    };
    Ok(Entry {
        issued: time(row.issued)?,
        modified: time(row.modified)?,
        next_release: row.next_release.map(time).transpose()?,
        state: match row.state.as_str() {
            PUBLISHED => State::Published,
            WITHDRAWN => State::Withdrawn,
            _ => State::Failed,
        },
        slug: row.slug,
        text: row.description,
        version: row.version,
        figures: row.figures,
        document: row.document,
        report: row.report,
    })
}

fn moment(micros: i64) -> Result<Timestamp> {
    Timestamp::from_microsecond(micros)
        .map_err(|_| Error::Store("the log of the catalogue is damaged".to_owned()))
}

const fn operation(code: i16) -> Operation {
    match code {
        events::CREATED => Operation::Create,
        events::DELETED => Operation::Delete,
        _ => Operation::Update,
    }
}

fn event(row: EventRow) -> Result<Event> {
    Ok(Event {
        seq: row.seq.unsigned_abs(),
        slug: row.slug,
        operation: operation(row.operation),
        version: row.version,
        access: AccessRights::of_code(&row.access),
        time: moment(row.time)?,
        hash: row.hash,
        bytes: row.bytes.unsigned_abs(),
        published: row.published.unsigned_abs(),
        successor: row.successor.map(i64::unsigned_abs),
    })
}

fn standing((slug, seq, code, time, access): StandingRow) -> Result<Standing> {
    Ok(Standing {
        slug,
        seq: seq.unsigned_abs(),
        operation: operation(code),
        time: moment(time)?,
        access: AccessRights::of_code(&access),
    })
}

/// A number of the log as the database has it; what is too large for it is beyond the end.
fn number(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

impl Log for StoreShelf {
    fn last_event(&self) -> Result<Option<Event>> {
        self.0.read(events::last_event)?.map(event).transpose()
    }

    fn event(&self, seq: u64) -> Result<Option<Event>> {
        self.0.read(|db| events::find_event(db, number(seq)))?.map(event).transpose()
    }

    fn newest(&self, slug: &str) -> Result<Option<Event>> {
        self.0.read(|db| events::find_newest_event(db, slug))?.map(event).transpose()
    }

    fn events(&self, after: u64, limit: usize) -> Result<Vec<Event>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.0.read(|db| events::list_events(db, number(after), limit))?;
        rows.into_iter().map(event).collect()
    }

    fn standing(&self, seq: u64, since: Option<Timestamp>) -> Result<Vec<Standing>> {
        let since = since.map(Timestamp::as_microsecond);
        let rows = self.0.read(|db| events::list_standing(db, number(seq), since))?;
        rows.into_iter().map(standing).collect()
    }

    fn entries(&self, slugs: &[String]) -> Result<Vec<Entry>> {
        let rows = self.0.read(|db| datasets::find_datasets(db, slugs))?;
        rows.into_iter().map(entry).collect()
    }
}

impl Shelf for StoreShelf {
    fn find(&self, slug: &str) -> Result<Option<Entry>> {
        self.0.read(|db| datasets::find_dataset(db, slug))?.map(entry).transpose()
    }

    fn put(&self, entry: &Entry) -> Result<()> {
        let row = DatasetRow {
            slug: entry.slug.clone(),
            number: 0,
            state: state_name(entry.state).to_owned(),
            description: entry.text.clone(),
            version: entry.version.clone(),
            figures: entry.figures.clone(),
            document: entry.document.clone(),
            report: entry.report.clone(),
            issued: entry.issued.as_microsecond(),
            modified: entry.modified.as_microsecond(),
            next_release: entry.next_release.map(Timestamp::as_microsecond),
            selection: match entry.state {
                State::Failed => String::new(),
                State::Published | State::Withdrawn => entry.figures().selection.key(),
            },
        };
        let access = entry.description().access_rights.map_or("", AccessRights::code);
        self.0.write(|db| datasets::put_dataset(db, &row, access))
    }

    fn published(&self, offset: usize, limit: usize) -> Result<Vec<Entry>> {
        let (offset, limit) =
            (i64::try_from(offset).unwrap_or(i64::MAX), i64::try_from(limit).unwrap_or(i64::MAX));
        self.0
            .read(|db| datasets::list_datasets(db, PUBLISHED, offset, limit))?
            .into_iter()
            .map(entry)
            .collect()
    }

    fn counted_by(&self, selection: &Selection) -> Result<Vec<Entry>> {
        let key = selection.key();
        let rows = self.0.read(|db| datasets::list_counted(db, &key))?;
        let entries = rows.into_iter().map(entry).collect::<Result<Vec<_>>>()?;
        Ok(entries.into_iter().filter(|one| one.figures().selection.key() == key).collect())
    }

    fn slugs(&self) -> Result<Vec<String>> {
        self.0.read(datasets::list_slugs)
    }

    fn changed_since(&self, change: u64) -> Result<Option<Vec<String>>> {
        let changed = |db: &mut Db| {
            let numbers = changes::list_changed(db, Kind::Dataset, number(change))?;
            datasets::list_slugs_of(db, &numbers)
        };
        Ok(Some(self.0.read(changed)?))
    }

    fn writes(&self) -> Option<u64> {
        Some(self.0.writes())
    }

    fn state(&self) -> Result<ShelfState> {
        let (change, published, latest) = self.0.read(datasets::dataset_state)?;
        Ok(ShelfState {
            change: change.unsigned_abs(),
            published: usize::try_from(published).unwrap_or(0),
            latest: latest.and_then(|micros| Timestamp::from_microsecond(micros).ok()),
        })
    }
}

/// The selections of open datasets: what secondary use may read row by row. Open is a published
/// dataset with the access right PUBLIC of an archive that is configured as de-identified, as far
/// as its newest description goes: the gate withdraws what no longer says PUBLIC, and notes a
/// selection that was refused.
///
/// # Errors
/// When the shelf does not answer.
pub fn open_selections(shelf: &dyn Shelf, config: &Config) -> Result<Vec<Criteria>> {
    let open = open_to_secondary_use(shelf, config)?;
    Ok(open.iter().map(|(_, selection)| Criteria::from(selection)).collect())
}

/// The open datasets: slug and selection.
pub(super) fn open_to_secondary_use(
    shelf: &dyn Shelf,
    config: &Config,
) -> Result<Vec<(String, Selection)>> {
    if config.archive.identity != Identity::DeIdentified {
        return Ok(Vec::new());
    }
    // The log knows which ones may be open; the others need not be read.
    let last = shelf.last_event()?.map_or(0, |last| last.seq);
    let may_be_open: Vec<String> = shelf
        .standing(last, None)?
        .into_iter()
        .filter(|one| one.operation != Operation::Delete)
        .filter(|one| one.access.is_none_or(|access| access == AccessRights::Public))
        .map(|one| one.slug)
        .collect();
    let mut published = shelf.entries(&may_be_open)?;
    published.retain(|entry| entry.state == State::Published);
    let open = published.into_iter().filter_map(|entry| {
        let description = entry.description();
        let is_public = description.access_rights == Some(AccessRights::Public);
        let selection = match entry.figures().narrowed_to {
            Some(newest) => description.selection.and(&newest),
            None => description.selection,
        };
        is_public.then_some((entry.slug, selection))
    });
    Ok(open.collect())
}

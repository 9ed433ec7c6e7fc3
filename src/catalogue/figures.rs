//! What the archive says about a dataset, before and after the disclosure rule.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::quality::{Figure, Measure};
use super::{Day, Selection};
use crate::error::Result;
use crate::imaging::Facet;
use crate::index::disclosure::{Cell, Rule, Shown, Tail, Whole, age_band, band_limits};

/// Who counts: the index. One implementation serves search, pages and catalogue, so that figures
/// cannot disagree.
pub trait Facts: Send + Sync {
    /// Counts what a selection holds. A selection that matches nothing gives zeros.
    ///
    /// # Errors
    /// When the index or the store does not answer.
    fn figures(&self, selection: &Selection) -> Result<Figures>;

    /// How many studies of a selection secondary use could read row by row, were it and the
    /// `others` open: those of which every series is in one of them.
    ///
    /// # Errors
    /// When the index or the store does not answer.
    fn wholly_open(&self, selection: &Selection, others: &[Selection]) -> Result<u64>;

    /// The studies of a selection that nothing of a figure of the label lowers, and their persons.
    ///
    /// # Errors
    /// When the index or the store does not answer.
    fn passing(&self, selection: &Selection, figure: &Figure) -> Result<Cell>;
}

/// Exact figures of a selection. They never leave the house but through [`Figures::disclose`],
/// or, for an open dataset, [`Figures::exact`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Studies: what HealthDCAT-AP's `numberOfRecords` counts here.
    pub records: u64,
    /// Distinct patients.
    pub individuals: u64,
    /// Series.
    pub series: u64,
    /// Instances.
    pub images: u64,
    /// Bytes in the archive; 0: not known.
    pub bytes: u64,
    /// Date of the first study.
    pub first: Option<Day>,
    /// Date of the last study.
    pub last: Option<Day>,
    /// Least age at a study, in completed years.
    pub min_age: Option<u16>,
    /// Greatest age at a study.
    pub max_age: Option<u16>,
    /// Studies of each person, most first, of as many persons as `LOADS` says; empty: not counted,
    /// and one person may have them all.
    pub loads: Vec<u64>,
    /// Persons at and beyond each age; empty: not counted, and the bands say how many at least.
    pub ages: Vec<Tail>,
    /// Persons at and beyond each year; as `ages`.
    pub years: Vec<Tail>,
    /// Per facet of [`FACETS`] the studies and distinct patients of each term.
    pub facets: BTreeMap<Facet, Vec<Cell>>,
    /// Studies and *distinct* patients per band of ages (terms of
    /// [`age_band`](crate::index::disclosure::age_band)).
    pub age_bands: Vec<Cell>,
    /// DICOM keywords that the selection holds, with the studies and *distinct* patients that
    /// have them. Keywords whose facet has terms need not be repeated.
    pub attributes: Vec<Cell>,
    /// Pixel spacings in micrometres, the finest first.
    pub spacings: Vec<Cell>,
    /// How the studies came into the archive.
    pub arrivals: Vec<Arrival>,
}

/// A way by which studies came into the archive: the runs of the sources of one kind.
#[derive(Clone, Debug, Default, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(default)]
pub struct Arrival {
    /// `folder`, `dicomweb`, `table`. The name of a source stays in the house.
    pub kind: String,
    /// The day of the first run that changed one of the studies.
    pub from: Option<Day>,
    /// The day of the last one.
    pub to: Option<Day>,
}

/// Of how many persons the studies are counted one by one: thresholds are lower.
pub const LOADS: usize = 1_000;

/// Of the facets below those of which a study has one term at most.
const PARTITIONS: &[Facet] = &[Facet::Sex, Facet::Species, Facet::Year];

/// The facets that figures are made of: first those whose counts the catalogue publishes, then what
/// ages and the dictionary of variables are counted from.
pub(super) const COUNTED: &[Facet] = &[
    Facet::Modality,
    Facet::BodySite,
    Facet::Laterality,
    Facet::Manufacturer,
    Facet::SopClass,
    Facet::Sex,
    Facet::Species,
    Facet::Year,
    Facet::Licence,
    Facet::Age,
    Facet::Attribute,
];

/// The facets whose counts the catalogue publishes. The finer ones (model, month, performer …)
/// stay in the house.
pub const FACETS: &[Facet] = COUNTED.split_at(9).0;

/// Figures as they may be published: the only form that is stored beside a dataset.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Disclosed {
    /// Whether they are exact.
    pub is_exact: bool,
    /// The threshold that they passed; 0 when exact.
    pub threshold: u64,
    /// Studies.
    pub records: Option<u64>,
    /// Patients.
    pub individuals: Option<u64>,
    /// Series.
    pub series: Option<u64>,
    /// Instances.
    pub images: Option<u64>,
    /// Bytes.
    pub bytes: Option<u64>,
    /// First day of coverage. Not exact: of the year before those in which all studies but those
    /// of fewer persons than the threshold begin.
    pub from: Option<Day>,
    /// Last day of coverage, likewise.
    pub to: Option<Day>,
    /// Least typical age. Not exact: ten years below the band of the youngest, but for fewer
    /// persons than the threshold.
    pub min_age: Option<u16>,
    /// Greatest typical age, likewise.
    pub max_age: Option<u16>,
    /// Counts per facet.
    pub facets: BTreeMap<Facet, Vec<Shown>>,
    /// Counts per band of ages.
    pub age_bands: Vec<Shown>,
    /// DICOM keywords that the data hold.
    pub attributes: Vec<String>,
    /// Per DICOM keyword the share of studies that have it, in percent.
    pub coverage: BTreeMap<String, u8>,
    /// The finest pixel spacing, in micrometres.
    pub spacing: Option<u32>,
    /// How the studies came into the archive.
    pub arrivals: Vec<Arrival>,
    /// What the metrics of the label measured.
    pub measures: Vec<Measure>,
    /// Sizes of the distributions that narrow the selection, in their order.
    pub parts: Vec<Part>,
    /// The selection that was counted.
    pub selection: Selection,
    /// What a newer description selects that was refused: until it passes, rows are open only
    /// where both selections are met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub narrowed_to: Option<Selection>,
}

/// The size of a part of a dataset.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Part {
    /// What the distribution narrows to.
    pub selection: Selection,
    /// Bytes, if they may be shown.
    pub bytes: Option<u64>,
}

impl Figures {
    /// Everything as counted: for open datasets only.
    #[must_use]
    pub fn exact(&self, selection: &Selection) -> Disclosed {
        let show = |cells: &[Cell]| -> Vec<Shown> {
            cells
                .iter()
                .map(|cell| Shown {
                    term: cell.term.clone(),
                    records: Some(cell.records),
                    individuals: Some(cell.individuals),
                })
                .collect()
        };
        Disclosed {
            is_exact: true,
            threshold: 0,
            records: Some(self.records),
            individuals: Some(self.individuals),
            series: Some(self.series),
            images: Some(self.images),
            bytes: (self.bytes > 0).then_some(self.bytes),
            from: self.first,
            to: self.last,
            min_age: self.min_age,
            max_age: self.max_age,
            facets: self.shown_facets().map(|(facet, cells)| (facet, show(&cells))).collect(),
            age_bands: show(&self.age_bands),
            attributes: self.keywords(1),
            coverage: self.coverage(Rule { threshold: 1, rounding: 1 }),
            spacing: self.spacings.first().and_then(|cell| cell.term.parse().ok()),
            arrivals: self.arrivals.clone(),
            measures: Vec::new(),
            parts: Vec::new(),
            selection: selection.clone(),
            narrowed_to: None,
        }
    }

    /// Through the disclosure rule.
    #[must_use]
    pub fn disclose(&self, rule: Rule, selection: &Selection) -> Disclosed {
        let persons = self.individuals;
        let years: Vec<Cell> = self
            .shown_facets()
            .find(|(facet, _)| *facet == Facet::Year)
            .map(|(_, cells)| cells)
            .unwrap_or_default();
        let year = |year: i32, month: i8, day: i8| {
            jiff::civil::Date::new(i16::try_from(year).ok()?, month, day).ok().map(Day)
        };
        let number = |cell: &Cell| cell.term.parse().ok();
        let years = match &*self.years {
            [] => rule.typical(&at_least(&years, number)),
            counted => rule.typical(counted),
        };
        let mut bands = self.age_bands.clone();
        bands.sort_by_key(|cell| band_limits(&cell.term));
        let first_age = |cell: &Cell| band_limits(&cell.term).map(|(first, _)| i32::from(first));
        let ages = match &*self.ages {
            [] => rule.typical(&at_least(&bands, first_age)),
            counted => rule.typical(counted),
        };
        let ages = ages.and_then(|(first, last)| widened(first, last));
        let table =
            |cells: &[Cell], is_partition| rule.table(cells, &self.whole(rule, is_partition));
        let facets = self.shown_facets().map(|(facet, cells)| {
            let is_partition = PARTITIONS.contains(&facet);
            (facet, table(&cells, is_partition))
        });
        Disclosed {
            is_exact: false,
            threshold: rule.threshold,
            records: rule.things(self.records, persons),
            individuals: rule.persons(persons),
            series: rule.things(self.series, persons),
            images: rule.things(self.images, persons),
            bytes: rule.bytes(self.bytes, persons).filter(|bytes| *bytes > 0),
            from: years.and_then(|(first, _)| year(first - MARGIN_YEARS, 1, 1)),
            to: years.and_then(|(_, last)| year(last + MARGIN_YEARS, 12, 31)),
            min_age: ages.map(|(min, _)| min),
            max_age: ages.map(|(_, max)| max),
            facets: facets.collect(),
            age_bands: table(&bands, true),
            attributes: self.keywords(rule.threshold),
            coverage: self.coverage(rule),
            spacing: rule.bounds(&self.spacings).and_then(|(finest, _)| finest.parse().ok()),
            arrivals: self.arrivals.clone(),
            measures: Vec::new(),
            parts: Vec::new(),
            selection: selection.clone(),
            narrowed_to: None,
        }
    }

    /// What the tables of these figures are tables of.
    fn whole(&self, rule: Rule, is_partition: bool) -> Whole {
        Whole {
            records: self.records,
            individuals: self.individuals,
            heaviest: self.heaviest(rule),
            is_partition,
        }
    }

    /// The most studies that as many persons as the threshold have together.
    fn heaviest(&self, rule: Rule) -> u64 {
        let is_counted = usize::try_from(rule.threshold).is_ok_and(|persons| persons <= LOADS);
        if is_counted && !self.loads.is_empty() { rule.heaviest(&self.loads) } else { self.records }
    }

    /// The bytes of parts, where neither a part nor what it leaves of the whole is of few persons.
    #[must_use]
    pub fn bytes_of(&self, parts: &[Self], rule: Rule) -> Vec<Option<u64>> {
        let cells: Vec<Cell> = parts
            .iter()
            .enumerate()
            .map(|(at, part)| Cell {
                term: at.to_string(),
                records: part.records,
                individuals: part.individuals,
            })
            .collect();
        // Sizes are finer than counts that are rounded.
        let exact = Rule { rounding: 1, ..rule };
        let shown = exact.table(&cells, &self.whole(rule, false));
        let is_shown =
            |cell: &Cell| shown.iter().any(|one| one.term == cell.term && one.records.is_some());
        parts
            .iter()
            .zip(&cells)
            .map(|(part, cell)| {
                let bytes = rule.bytes(part.bytes, part.individuals)?;
                (bytes > 0 && is_shown(cell)).then_some(bytes)
            })
            .collect()
    }

    /// The published facets with their cells in a stable order.
    fn shown_facets(&self) -> impl Iterator<Item = (Facet, Vec<Cell>)> {
        FACETS.iter().filter_map(|facet| {
            let mut cells = self.facets.get(facet)?.clone();
            cells.sort_by(|a, b| a.term.cmp(&b.term));
            Some((*facet, cells))
        })
    }

    /// The share of studies that have each keyword. Below the threshold neither those who have it
    /// nor those who lack it are told apart: a keyword of few persons is absent, one that few lack
    /// is everybody's.
    fn coverage(&self, rule: Rule) -> BTreeMap<String, u8> {
        let is_of_enough = |cell: &&Cell| cell.individuals >= rule.threshold;
        let share = |cell: &Cell| Some((cell.term.clone(), self.percent(cell, rule)?));
        self.attributes.iter().filter(is_of_enough).filter_map(share).collect()
    }

    /// The share of the studies that a cell holds, in percent, through the rule; `None`: nothing of
    /// these studies may be told. What fewer persons than the threshold have is nobody's: it is 0
    /// whether anybody has it or not, so that it tells neither, and is never more than is true.
    #[must_use]
    pub fn percent(&self, cell: &Cell, rule: Rule) -> Option<u8> {
        if self.individuals < rule.threshold || self.records == 0 {
            return None;
        }
        if rule.threshold <= 1 && rule.rounding <= 1 {
            let percent = cell.records.min(self.records).saturating_mul(100) / self.records;
            return u8::try_from(percent).ok();
        }
        if cell.individuals < rule.threshold {
            return Some(0);
        }
        let lacking = self.records.saturating_sub(cell.records);
        let of_persons = self.individuals.saturating_sub(cell.individuals);
        // Who lacks it may be of a person who has it in another study, and few persons may have
        // many studies: these are many persons if they are, or if so few cannot have as many.
        if of_persons < rule.threshold && lacking <= self.heaviest(rule) {
            return Some(100);
        }
        let (part, whole) = (rule.round(cell.records), rule.round(self.records));
        let percent = part.min(whole).saturating_mul(100).checked_div(whole)?;
        u8::try_from(percent).ok()
    }

    /// Keywords that at least so many persons have: that a few persons have one is a small cell,
    /// however many studies they bring.
    fn keywords(&self, least: u64) -> Vec<String> {
        let mut keywords: Vec<String> = self
            .attributes
            .iter()
            .filter(|cell| cell.individuals >= least)
            .map(|cell| cell.term.clone())
            .collect();
        keywords.sort();
        keywords.dedup();
        keywords
    }
}

/// By how many years the typical ages are widened on both sides, and the years of coverage: a
/// range that ends where the last large class does would say of the few beside it that they are
/// not there. It is the same whether there are any.
const MARGIN_AGES: u16 = 10;
const MARGIN_YEARS: i32 = 1;

/// The ages of whole bands, widened.
fn widened(first: i32, last: i32) -> Option<(u16, u16)> {
    let band = |age: i32| band_limits(&age_band(u16::try_from(age).ok()?));
    let (oldest, _) = band_limits(&age_band(u16::MAX))?;
    let last = band(last)?.1.saturating_add(MARGIN_AGES);
    let last = if last >= oldest { band_limits(&age_band(last))?.1 } else { last };
    Some((band(first)?.0.saturating_sub(MARGIN_AGES), last))
}

/// How many persons at least are at and beyond each cell, of cells alone: one person may be in
/// several, so that it is the largest of them.
fn at_least(cells: &[Cell], number: impl Fn(&Cell) -> Option<i32>) -> Vec<Tail> {
    let mut most = 0;
    let mut tails: Vec<Tail> = cells
        .iter()
        .filter_map(|cell| {
            most = cell.individuals.max(most);
            Some(Tail { at: number(cell)?, up_to: most, from: cell.individuals })
        })
        .collect();
    most = 0;
    for tail in tails.iter_mut().rev() {
        most = tail.from.max(most);
        tail.from = most;
    }
    tails
}

impl Disclosed {
    /// No day of coverage behind `today`: a study of tomorrow is none.
    #[must_use]
    pub fn until(mut self, today: Day) -> Self {
        self.to = self.to.map(|day| day.min(today));
        self
    }

    /// Terms of a facet that may be named: those with a shown count.
    pub fn terms(&self, facet: Facet) -> impl Iterator<Item = &Shown> {
        self.facets.get(&facet).into_iter().flatten().filter(|shown| shown.records.is_some())
    }

    /// The counts as CSV (RFC 4180): what the `healthdcatap:analytics` distribution serves.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let count = |value: Option<u64>| value.map_or_else(String::new, |v| v.to_string());
        let mut rows: Vec<[String; 4]> =
            vec![["facet", "term", "studies", "individuals"].map(str::to_owned)];
        rows.push([
            "total".to_owned(),
            String::new(),
            count(self.records),
            count(self.individuals),
        ]);
        let names = |facet: Facet| {
            serde_json::to_value(facet)
                .ok()
                .and_then(|v| v.as_str().map(str::to_owned))
                .unwrap_or_default()
        };
        for (facet, cells) in &self.facets {
            for cell in cells {
                rows.push([
                    names(*facet),
                    plain(&cell.term),
                    count(cell.records),
                    count(cell.individuals),
                ]);
            }
        }
        for cell in &self.age_bands {
            rows.push([
                "age".to_owned(),
                cell.term.clone(),
                count(cell.records),
                count(cell.individuals),
            ]);
        }
        for row in rows {
            // Writing to memory does not fail; a row that did would only be absent.
            let _ = writer.write_record(row);
        }
        writer.into_inner().ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

/// Spreadsheets run cells that begin like a formula; names of manufacturers come from files.
fn plain(term: &str) -> String {
    if term.starts_with(['=', '+', '-', '@']) { format!("'{term}") } else { term.to_owned() }
}

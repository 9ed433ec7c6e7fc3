//! The catalogue and its doors, over an index that is played.

mod doors;
mod faults;
mod folder;
mod gate;
mod graphs;
mod judge;
mod label;
mod properties;
mod releases;
mod scale;

use std::collections::BTreeMap;

use jiff::Timestamp;
use vesalius::catalogue::{
    Arrival, Day, Facts, Figures, Gate, MemoryShelf, Outcome, Publisher, Release, Selection,
    samples,
};
use vesalius::config::{Config, Identity};
use vesalius::error::Result;
use vesalius::imaging::Facet;
use vesalius::index::disclosure::Cell;

pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.server.public_url = "https://node.example.org".to_owned();
    config.organisation.name = "Synthetic University Hospital (not a real organisation)".to_owned();
    config.organisation.email = "imaging-data@example.org".to_owned();
    config.organisation.country = "CZE".to_owned();
    config.organisation.publisher_type = "inpatient-institute".to_owned();
    config.hdab.name = "Synthetic Health Data Access Body".to_owned();
    config.hdab.page = "https://hdab.example.org/apply".to_owned();
    config.hdab.publisher_type = "national-authority".to_owned();
    config.archive.identity = Identity::DeIdentified;
    config
}

pub(crate) fn release() -> Release {
    Release::load("r8", None).unwrap()
}

pub(crate) fn cells(rows: &[(&str, u64, u64)]) -> Vec<Cell> {
    rows.iter()
        .map(|(term, records, individuals)| Cell {
            term: (*term).to_owned(),
            records: *records,
            individuals: *individuals,
        })
        .collect()
}

/// An index that holds 543 studies of 231 persons, whatever is asked for.
pub(crate) struct Played(pub(crate) Figures);

impl Default for Played {
    fn default() -> Self {
        Self(Figures {
            records: 543,
            individuals: 231,
            series: 2_172,
            images: 2_172,
            bytes: 7_345_678_901,
            first: Some(Day(jiff::civil::date(2019, 3, 4))),
            last: Some(Day(jiff::civil::date(2024, 11, 30))),
            min_age: Some(44),
            max_age: Some(78),
            facets: BTreeMap::from([
                (Facet::Modality, cells(&[("MG", 540, 230), ("SR", 3, 2)])),
                (Facet::BodySite, cells(&[("http://snomed.info/sct|76752008", 543, 231)])),
                (Facet::Sex, cells(&[("female", 540, 228), ("male", 3, 3)])),
                (Facet::Manufacturer, cells(&[("=HYPERLINK()", 300, 120), ("B", 243, 111)])),
                (Facet::Year, cells(&[("2019", 3, 3), ("2020", 240, 200), ("2024", 300, 210)])),
            ]),
            age_bands: cells(&[("40-44", 2, 2), ("50-54", 300, 150), ("70-74", 241, 79)]),
            attributes: ["StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns", "KVP"]
                .iter()
                .map(|keyword| Cell { term: (*keyword).to_owned(), records: 543, individuals: 231 })
                .collect(),
            spacings: cells(&[("50", 3, 2), ("70", 300, 120), ("94", 243, 111)]),
            arrivals: vec![Arrival {
                kind: "folder".to_owned(),
                from: Some(Day(jiff::civil::date(2026, 11, 1))),
                to: Some(Day(jiff::civil::date(2026, 11, 20))),
            }],
        })
    }
}

impl Facts for Played {
    fn figures(&self, selection: &Selection) -> Result<Figures> {
        let is_nothing = selection.any_of.values().flatten().any(|term| term == "NOTHING");
        Ok(if is_nothing { Figures::default() } else { self.0.clone() })
    }

    fn with_findings(&self, _: &Selection, _: &[String]) -> Result<Cell> {
        Ok(Cell::default())
    }

    fn wholly_open(&self, selection: &Selection, _: &[Selection]) -> Result<u64> {
        Ok(if selection.whole_studies { self.0.records } else { 0 })
    }
}

pub(crate) fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// The three samples, published.
pub(crate) fn published(config: &Config) -> MemoryShelf {
    let shelf = MemoryShelf::default();
    for (slug, text) in samples() {
        let outcome = publish(config, &shelf, &format!("{slug}.toml"), text, now());
        assert!(
            outcome.refusals.is_empty()
                && outcome.verdict == vesalius::catalogue::Verdict::Published,
            "{slug}: {outcome:#?}"
        );
    }
    shelf
}

pub(crate) fn publish(
    config: &Config,
    shelf: &MemoryShelf,
    file: &str,
    text: &str,
    now: Timestamp,
) -> Outcome {
    let release = release();
    let gate = Gate::load(&release).unwrap();
    let publisher = Publisher { config, release: &release, gate: &gate };
    publisher.publish(file, text, &Played::default(), shelf, now).unwrap()
}

//! The catalogue and its doors, over an index that is played.

mod clinical;
mod doors;
mod doors_feed;
mod doors_forms;
mod doors_walk;
mod faults;
mod folder;
mod follow;
mod gate;
pub(crate) mod graphs;
mod import;
mod judge;
mod label;
mod properties;
mod releases;
mod scale;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use vesalius::catalogue::{
    Arrival, Day, Facts, Figure, Figures, Gate, MemoryShelf, Outcome, Publisher, Release,
    Selection, samples,
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

/// The built-in release and the gate with its shapes: read once, as no test changes them.
fn built_in() -> &'static (Release, Gate) {
    static BUILT_IN: LazyLock<(Release, Gate)> = LazyLock::new(|| {
        let release = Release::load("r8", None).unwrap();
        let gate = Gate::load(&release).unwrap();
        (release, gate)
    });
    &BUILT_IN
}

pub(crate) fn release() -> Release {
    built_in().0.clone()
}

pub(crate) fn gate() -> &'static Gate {
    &built_in().1
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
            loads: vec![3; 231],
            ages: Vec::new(),
            years: Vec::new(),
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

    fn passing(&self, selection: &Selection, _: &Figure) -> Result<Cell> {
        let Figures { records, individuals, .. } = self.figures(selection)?;
        Ok(Cell { term: String::new(), records, individuals })
    }

    fn wholly_open(&self, selection: &Selection, _: &[Selection]) -> Result<u64> {
        Ok(if selection.whole_studies { self.0.records } else { 0 })
    }
}

pub(crate) fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// What a door answers: status, headers, body.
pub(crate) async fn knock(
    state: &actix_web::web::Data<vesalius::harvest::State>,
    uri: &str,
    headers: &[(&str, &str)],
) -> (u16, actix_web::http::header::HeaderMap, String) {
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    let app = actix_web::App::new()
        .app_data(state.clone())
        .configure(vesalius::harvest::routes)
        .wrap(actix_web::middleware::from_fn(vesalius::harvest::repeat));
    let app = init_service(app).await;
    let mut request = TestRequest::get().uri(uri);
    for (name, value) in headers {
        request = request.insert_header((*name, *value));
    }
    let response = call_service(&app, request.to_request()).await;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, String::from_utf8(read_body(response).await.to_vec()).unwrap())
}

/// The doors of a shelf without pages, two datasets on a page of the listing.
pub(crate) fn doors_of(
    shelf: std::sync::Arc<dyn vesalius::catalogue::Shelf>,
) -> actix_web::web::Data<vesalius::harvest::State> {
    let mut config = config();
    config.catalogue.page_size = 2;
    let program = env!("CARGO_BIN_EXE_vesalius").into();
    actix_web::web::Data::new(vesalius::harvest::State::new(
        config.into(),
        release().into(),
        shelf,
        program,
        now,
    ))
}

/// A shelf with so many datasets `d00`, `d01`, …, made of a sample.
pub(crate) fn shelf_of(count: usize) -> MemoryShelf {
    use vesalius::catalogue::Shelf as _;
    let sample = published(&config()).find("lung-ldct").unwrap().unwrap();
    let shelf = MemoryShelf::default();
    for number in 0..count {
        put_copy(&shelf, &sample, &format!("d{number:02}"), now());
    }
    shelf
}

/// Puts a copy of an entry under another slug.
pub(crate) fn put_copy(
    shelf: &MemoryShelf,
    sample: &vesalius::catalogue::Entry,
    slug: &str,
    modified: Timestamp,
) {
    use vesalius::catalogue::{Entry, Shelf as _};
    let document = sample.document.replace(&sample.slug, slug);
    let day = modified.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let document = document.replace("2026-11-21T12:00:00Z", &day);
    let entry = Entry { slug: slug.to_owned(), document, modified, ..sample.clone() };
    shelf.put(&entry).unwrap();
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
    let (release, gate) = built_in();
    let publisher = Publisher { config, release, gate };
    publisher.publish(file, text, &Played::default(), shelf, now).unwrap()
}

//! The pages, in process: a node with three synthetic datasets and a played journal.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod elsewhere;
mod failures;
mod harvested;
mod languages;
mod operator;
mod public;
mod session;
mod steward;
mod steward_many;

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::{App, HttpRequest, web as actix};
use vesalius::actor::Role;
use vesalius::auth::{Tokens, authenticate};
use vesalius::catalogue::{
    Day, Facts, Figure, Figures, Gate, MemoryShelf, Names, Publisher, Release, Selection, samples,
};
use vesalius::config::Config;
use vesalius::error::Result;
use vesalius::imaging::Facet;
use vesalius::index::Index;
use vesalius::index::disclosure::{Cell, age_band};
use vesalius::mapping::Context;
use vesalius::store::archive::{PatientRow, StudyRow, put_new_patients, put_new_studies};
use vesalius::store::changes::{Kind, put_changes};
use vesalius::store::findings::{FindingRow, put_new_findings};
use vesalius::store::journal::{self, InputRow, InputState};
use vesalius::store::{Db, Store};
use vesalius::web::{Pages, State};

use crate::catalogue::{cells, config, now, release};

/// An index that answers by modality: numbers of an invented archive.
struct Archive;

fn ages(rows: &[(u16, u64)]) -> Vec<Cell> {
    rows.iter()
        .map(|(age, persons)| Cell {
            term: age_band(*age),
            records: persons * 3 / 2,
            individuals: *persons,
        })
        .collect()
}

fn years(first: u16, studies: &[u64]) -> Vec<Cell> {
    (first..)
        .zip(studies)
        .map(|(year, studies)| Cell {
            term: year.to_string(),
            records: *studies,
            individuals: studies * 9 / 10,
        })
        .collect()
}

impl Facts for Archive {
    fn passing(&self, selection: &Selection, _: &Figure) -> Result<Cell> {
        let Figures { records, individuals, .. } = self.figures(selection)?;
        Ok(Cell { term: String::new(), records, individuals })
    }

    fn wholly_open(&self, selection: &Selection, _: &[Selection]) -> Result<u64> {
        Ok(self.figures(selection)?.records)
    }

    fn figures(&self, selection: &Selection) -> Result<Figures> {
        let modality = selection.any_of.get(&Facet::Modality).and_then(|m| m.first());
        let snomed = |code: &str| format!("http://snomed.info/sct|{code}");
        let day = |year, month, day| Some(Day(jiff::civil::date(year, month, day)));
        let attributes = |keywords: &[&str]| {
            keywords
                .iter()
                .map(|keyword| Cell { term: (*keyword).to_owned(), records: 100, individuals: 100 })
                .collect()
        };
        Ok(match modality.map(String::as_str) {
            Some("MG") => Figures {
                spacings: Vec::new(),
                loads: vec![3; 1_000],
                ages: Vec::new(),
                years: Vec::new(),
                arrivals: Vec::new(),
                records: 41_872,
                individuals: 18_204,
                series: 167_310,
                images: 171_944,
                bytes: 3_812_000_000_000,
                first: day(2014, 1, 9),
                last: day(2025, 12, 18),
                min_age: Some(41),
                max_age: Some(77),
                facets: BTreeMap::from([
                    (
                        Facet::Modality,
                        cells(&[
                            ("MG", 41_860, 18_200),
                            ("SR", 11_204, 9_870),
                            ("US", 1_204, 987),
                            ("PR", 4, 4),
                        ]),
                    ),
                    (Facet::BodySite, cells(&[(&snomed("76752008"), 41_872, 18_204)])),
                    (
                        Facet::Sex,
                        cells(&[("female", 41_790, 18_150), ("male", 78, 50), ("unknown", 4, 4)]),
                    ),
                    (
                        Facet::Manufacturer,
                        cells(&[
                            ("HOLOGIC, Inc.", 21_330, 11_302),
                            ("SIEMENS", 12_871, 7_730),
                            ("GE MEDICAL SYSTEMS", 6_040, 4_206),
                            ("FUJIFILM Corporation", 1_620, 1_144),
                            ("Planmed Oy", 11, 7),
                        ]),
                    ),
                    (
                        Facet::Year,
                        years(
                            2014,
                            &[
                                2_210, 2_840, 3_120, 3_450, 3_610, 3_900, 2_030, 4_020, 4_180,
                                4_210, 4_150, 4_152,
                            ],
                        ),
                    ),
                ]),
                age_bands: ages(&[
                    (41, 6),
                    (45, 3_110),
                    (50, 4_120),
                    (55, 3_870),
                    (60, 3_290),
                    (65, 2_410),
                    (70, 1_320),
                    (75, 78),
                ]),
                attributes: attributes(&[
                    "StudyInstanceUID",
                    "PatientID",
                    "SeriesInstanceUID",
                    "KVP",
                    "Rows",
                    "Columns",
                    "PixelSpacing",
                    "BodyPartThickness",
                    "CompressionForce",
                ]),
            },
            Some("CT") => Figures {
                spacings: Vec::new(),
                loads: vec![3; 1_000],
                ages: Vec::new(),
                years: Vec::new(),
                arrivals: Vec::new(),
                records: 2_904,
                individuals: 1_377,
                series: 8_911,
                images: 1_204_518,
                bytes: 640_000_000_000,
                first: day(2019, 2, 11),
                last: day(2025, 10, 2),
                min_age: Some(50),
                max_age: Some(79),
                facets: BTreeMap::from([
                    (Facet::Modality, cells(&[("CT", 2_904, 1_377), ("SR", 1_240, 811)])),
                    (Facet::BodySite, cells(&[(&snomed("816094009"), 2_904, 1_377)])),
                    (Facet::Sex, cells(&[("female", 1_190, 566), ("male", 1_714, 811)])),
                    (
                        Facet::Manufacturer,
                        cells(&[("SIEMENS", 2_001, 1_010), ("Canon Medical Systems", 903, 420)]),
                    ),
                    (Facet::Year, years(2019, &[190, 8, 402, 560, 610, 588, 546])),
                ]),
                age_bands: ages(&[(50, 210), (55, 290), (60, 340), (65, 280), (70, 190), (75, 67)]),
                attributes: attributes(&[
                    "StudyInstanceUID",
                    "PatientID",
                    "SeriesInstanceUID",
                    "KVP",
                    "SliceThickness",
                ]),
            },
            _ => Figures {
                spacings: Vec::new(),
                loads: vec![3; 1_000],
                ages: Vec::new(),
                years: Vec::new(),
                arrivals: Vec::new(),
                records: 346,
                individuals: 346,
                series: 1_384,
                images: 33_216,
                bytes: 11_400_000_000,
                first: day(2021, 5, 3),
                last: day(2024, 9, 30),
                min_age: Some(51),
                max_age: Some(78),
                facets: BTreeMap::from([
                    (Facet::Modality, cells(&[("MR", 346, 346)])),
                    (Facet::BodySite, cells(&[(&snomed("41216001"), 346, 346)])),
                    (Facet::Sex, cells(&[("male", 346, 346)])),
                    (Facet::Manufacturer, cells(&[("Philips", 201, 201), ("SIEMENS", 145, 145)])),
                    (Facet::Year, years(2021, &[60, 95, 101, 90])),
                ]),
                age_bands: ages(&[(50, 22), (55, 68), (60, 92), (65, 88), (70, 51), (75, 25)]),
                attributes: attributes(&[
                    "StudyInstanceUID",
                    "SeriesInstanceUID",
                    "MagneticFieldStrength",
                ]),
            },
        })
    }
}

/// A node for tests.
pub(crate) struct Node {
    pub(crate) tokens: Tokens,
    pub(crate) shelf: Arc<MemoryShelf>,
    state: actix::Data<State>,
    _folder: tempfile::TempDir,
}

/// The three samples, and what `more` gives beside them: slug and TOML.
pub(crate) fn node_with(more: &[(&str, &str)], change: impl FnOnce(&mut Config)) -> Node {
    let mut config = config();
    config.catalogue.title = "Imaging data of a synthetic university hospital".to_owned();
    config.catalogue.description = "Descriptions of imaging datasets for research, public health \
        and innovation under the European Health Data Space. All data here are invented."
        .to_owned();
    config.hdab.email = "permits@hdab.example.org".to_owned();
    change(&mut config);
    let config = Arc::new(config);
    let release: Arc<Release> = Arc::new(release());
    let gate = Gate::load(&release).unwrap();
    let shelf = Arc::new(MemoryShelf::default());
    let publisher = Publisher { config: &config, release: &release, gate: &gate };
    let own = samples();
    let all = own.iter().map(|(slug, text)| (slug.as_str(), *text)).chain(more.iter().copied());
    for (slug, text) in all {
        let outcome =
            publisher.publish(&format!("{slug}.toml"), text, &Archive, &*shelf, now()).unwrap();
        let is_meant_to_fail = slug.starts_with("broken");
        assert_eq!(
            outcome.verdict == vesalius::catalogue::Verdict::Refused,
            is_meant_to_fail,
            "{slug}: {outcome:#?}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path(), "").unwrap());
    let context = Context::new(&config, &[7; 32]).unwrap();
    let names = Names::new(release, &context);
    let index = Arc::new(Index::open(None, context));
    let pages = Arc::new(Pages::new(Arc::clone(&config), names, shelf.clone()));
    let state = actix::Data::new(State::new(&config, store, index, pages));
    Node { tokens: Tokens::new(&[1; 32]), shelf, state, _folder: folder }
}

pub(crate) fn node() -> Node {
    node_with(&[], |_| {})
}

impl Node {
    pub(crate) fn token(&self, role: Role) -> String {
        let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
        self.tokens.mint("eva", role, "", 3_600, now).unwrap().token
    }

    pub(crate) fn store(&self) -> &Store {
        &self.state.store
    }

    pub(crate) fn routes(&self) -> impl Fn(&mut actix::ServiceConfig) + Clone + 'static + use<> {
        let state = self.state.clone();
        let tokens = actix::Data::new(self.tokens.clone());
        move |cfg: &mut actix::ServiceConfig| {
            cfg.app_data(state.clone())
                .app_data(tokens.clone())
                .configure(vesalius::web::routes)
                .route("/elsewhere", actix::get().to(other_room))
                .route("/fhir/elsewhere", actix::get().to(other_room))
                .route("/catalog", actix::get().to(catalog))
                .route("/dataset/{slug}/label", actix::get().to(label))
                .route("/dataset/{slug}", actix::get().to(dataset))
                .route("/harvested/dataset", actix::get().to(harvested_dataset))
                .route("/sparql", actix::get().to(sparql))
                .default_service(actix::to(vesalius::web::not_found));
        }
    }
}

// What the harvest room does when the reader wants HTML.
async fn catalog(request: HttpRequest, state: actix::Data<State>) -> actix_web::HttpResponse {
    Arc::clone(&state.pages).answer_catalog(request).await
}

async fn dataset(
    request: HttpRequest,
    slug: actix::Path<String>,
    state: actix::Data<State>,
) -> actix_web::HttpResponse {
    Arc::clone(&state.pages).answer_dataset(request, slug.into_inner()).await
}

async fn label(
    request: HttpRequest,
    slug: actix::Path<String>,
    state: actix::Data<State>,
) -> actix_web::HttpResponse {
    Arc::clone(&state.pages).answer_label(request, slug.into_inner()).await
}

async fn harvested_dataset(
    request: HttpRequest,
    state: actix::Data<State>,
) -> actix_web::HttpResponse {
    state.into_inner().answer_harvested(request).await
}

async fn sparql(request: HttpRequest, state: actix::Data<State>) -> actix_web::HttpResponse {
    Arc::clone(&state.pages).answer_sparql(request, None).await
}

/// A room that knows problem documents only.
async fn other_room() -> actix_web::HttpResponse {
    actix_web::HttpResponse::NotFound()
        .content_type("application/problem+json")
        .insert_header(("X-Kept", "yes"))
        .body(r#"{"status":404,"detail":"dataset `<b>` is not known"}"#)
}

pub(crate) fn app(
    node: &Node,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    let csp = "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
               form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
    App::new()
        .configure(node.routes())
        .wrap(from_fn(vesalius::web::problems_as_pages))
        .wrap(from_fn(authenticate))
        .wrap(DefaultHeaders::new().add(("Content-Security-Policy", csp)))
}

/// Answer of a GET: status and text.
pub(crate) async fn get(node: &Node, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let response = call(node, actix_web::test::TestRequest::get().uri(path), headers).await;
    let status = response.status().as_u16();
    let body = actix_web::test::read_body(response).await;
    (status, String::from_utf8(body.to_vec()).unwrap())
}

pub(crate) async fn call(
    node: &Node,
    mut request: actix_web::test::TestRequest,
    headers: &[(&str, &str)],
) -> ServiceResponse<impl MessageBody + use<>> {
    let app = actix_web::test::init_service(app(node)).await;
    let has_accept = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept"));
    if !has_accept {
        request = request.insert_header(("Accept", "text/html"));
    }
    for header in headers {
        request = request.insert_header(*header);
    }
    actix_web::test::call_service(&app, request.to_request()).await
}

/// A journal as an operator may find it, with names where an archive may have them.
pub(crate) fn play_journal(store: &Store) {
    let minute = 60_000_000_i64;
    let start = now().as_microsecond() - 30 * 60 * minute;
    store
        .write(|db: &mut Db| {
            let folder = journal::put_source(db, "folder", "/archive/export", "Export of the PACS")?;
            let pacs = journal::put_source(db, "dicomweb", "https://pacs.example.org/dicom-web", "")?;
            let run = journal::put_run(db, folder.number, start)?;
            let summary = serde_json::json!({
                "files": { "seen": 20_014, "ingested": 20_003, "unchanged": 0, "quarantined": 4, "not_dicom": 7 },
                "changed": 0, "vanished": 0, "patients": 2, "studies": 2, "series": 8, "images": 20_003,
                "findings": 41, "studies_changed": 2, "seconds": 93.4,
            });
            journal::end_run(db, run, start + minute * 93 / 60, "done", &summary.to_string())?;
            let again = journal::put_run(db, folder.number, start + 600 * minute)?;
            journal::end_run(db, again, start + 601 * minute, "stopped", "")?;
            journal::put_run(db, pacs.number, start + 1_200 * minute)?;
            let input = |origin: &str, state: InputState, why: Option<(&str, &str, Option<i64>, &str)>| InputRow {
                source: folder.number,
                origin: origin.to_owned(),
                size: 1,
                mark: 1,
                state: state.code(),
                inputs: 1,
                series: None,
                sop: None,
                run,
                code: why.map(|w| w.0.to_owned()),
                path: why.map(|w| w.1.to_owned()),
                place: why.and_then(|w| w.2),
                detail: why.map(|w| w.3.to_owned()),
            };
            let mut rows = vec![
                input("NOVAKOVA^JANA/IM0001", InputState::Quarantined, Some(("length-beyond-end", "(0040,A730)[2].(0008,0100)", Some(1_482), "the value claims 4,294,967,280 bytes, 266 are left"))),
                input("NOVAKOVA^JANA/IM0002", InputState::Quarantined, Some(("uid-missing", "", None, "the data set has no SOPInstanceUID"))),
                input("b/worker.dcm", InputState::Quarantined, Some(("worker-died", "", None, "the process that read it was ended by the memory limit"))),
                input("b/<script>alert(1)</script>.dcm", InputState::Quarantined, Some(("too-deep", "<b>", Some(0), "<img src=x onerror=alert(1)>"))),
                input("readme.txt", InputState::NotDicom, None),
            ];
            rows.extend((0..40).map(|n| input(&format!("a/IM{n:04}"), InputState::Ingested, None)));
            journal::put_new_inputs(db, &rows)?;
            let patient = PatientRow {
                number: 1, issuer: String::new(), id: "P1".to_owned(), care_id: "c1".to_owned(),
                research_id: "r1".to_owned(), attributes: "{}".to_owned(), rank: String::new(),
                version: 1, updated: start, deleted: false,
            };
            put_new_patients(db, &[patient])?;
            let study = |number: i64, uid: &str| StudyRow {
                number, uid: uid.to_owned(), patient: 1, source: folder.number, collection: None,
                care_id: format!("s{number}"), research_id: format!("t{number}"),
                attributes: "{}".to_owned(), rank: String::new(), version: 1, updated: start,
                deleted: false,
            };
            put_new_studies(db, &[study(1, "1.2.826.0.1.1"), study(2, "1.2.826.0.1.2")])?;
            put_changes(db, &[(Kind::Patient, 1), (Kind::Study, 1), (Kind::Study, 2)])?;
            let finding = |study: i64, code: &str, attribute: &str, value: &str, count: i64| FindingRow {
                study, code: code.to_owned(), attribute: attribute.to_owned(), value: value.to_owned(), count,
            };
            put_new_findings(db, &[
                finding(1, "body-part-free-text", "BodyPartExamined", "THORAX INJECTE", 14),
                finding(1, "time-zone-missing", "StudyTime", "", 3),
                finding(2, "body-part-free-text", "BodyPartExamined", "<i>THORAX</i>", 23),
                finding(2, "of-tomorrow", "", "", 1),
            ])
        })
        .unwrap();
}

/// Serves the played node for a look with a browser: `VESALIUS_TEST_LISTEN=127.0.0.1:8099 cargo
/// test --test it web::served -- --ignored`. Prints tokens; ends when the process is ended.
#[test]
#[ignore = "serves until it is ended"]
fn served() {
    let Ok(address) = std::env::var("VESALIUS_TEST_LISTEN") else {
        println!("skipped: VESALIUS_TEST_LISTEN is not set");
        return;
    };
    let broken = "title.en = \"Half a description\"\ndescription.en = \"Too little is said here.\"\n\
                  access_rights = \"NON_PUBLIC\"\nhealth_categories = [\"EHRS\"]\n[selection]\nmodality = [\"CT\"]\n";
    let base = format!("http://{address}");
    // For the pictures of the README: the three samples alone, at their own address.
    let is_plain = std::env::var("VESALIUS_TEST_PLAIN").is_ok();
    let more: &[(&str, &str)] = if is_plain { &[] } else { &[("broken", broken), ("long", LONG)] };
    let node = node_with(more, |config| {
        if !is_plain {
            config.server.public_url = base;
        }
    });
    play_journal(node.store());
    for role in [Role::ImagingIt, Role::Steward, Role::Ehr] {
        println!("TOKEN {} {}", role.name(), node.token(role));
    }
    actix_web::rt::System::new().block_on(async move {
        let node = Arc::new(node);
        actix_web::HttpServer::new(move || app(&node))
            .workers(1)
            .bind(&address)
            .unwrap()
            .run()
            .await
            .unwrap();
    });
}

/// A dataset with everything long, foreign and hostile.
pub(crate) const LONG: &str = r#"
title.cs = "Vícecentrický soubor dat s_velmi_dlouhým_názvem_bez_mezer_0123456789_0123456789_0123456789"
title.el = "Δεδομένα μαστού </script><script>alert(1)</script>"
description.cs = "První odstavec o prsu. <img src=x onerror=alert(1)>\n\nDruhý odstavec: \"uvozovky\" & ampersand."
keywords.cs = ["prs", "</script><script>alert(2)</script>", "μαστός"]
access_rights = "RESTRICTED"
health_categories = ["EHRS"]
health_themes = ["CANCER_DISEASE"]
type = ["SYNTHETIC_DATA"]
provenance.cs = "Vymyšleno."
identifiers = ["https://doi.org/10.9999/example.long"]
frequency = "ANNUAL"
version = "2.0"
issued = 2026-11-01
[selection]
modality = ["MR"]
[[distribution]]
title.cs = "Data"
access_url = "https://example.org/long/path/that/goes/on/and/on/and/on/and/on/and/on/and/on/and/on/and/on"
licence = "CC BY 4.0"
"#;

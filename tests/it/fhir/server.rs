//! A store with a generated archive behind the routes of the facade, in process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use actix_web::dev::Service as _;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::{App, HttpMessage as _, test, web};
use serde_json::Value;
use vesalius::actor::{Actor, Role};
use vesalius::auth::BadToken;
use vesalius::config::Config;
use vesalius::error::Result;
use vesalius::fhir::{State, routes};
use vesalius::imaging::{Attributes, Instance, Laterality, PatientKey, Record, Uid};
use vesalius::index::{Criteria, Index};
use vesalius::ingest::{Ingest, ingest};
use vesalius::mapping::Context;
use vesalius::source::{Item, Journal, Sink, Source, Stamp};
use vesalius::store::Store;

use super::sample::{bag, code, person, with_items};

/// A source that hands out what it was given; what it no longer has is deleted.
pub struct Records(pub Vec<Record>);

impl Source for Records {
    fn kind(&self) -> &'static str {
        "folder"
    }

    fn locator(&self) -> String {
        "generated".to_owned()
    }

    fn is_authoritative(&self) -> bool {
        true
    }

    fn read(&mut self, _journal: &dyn Journal, sink: &mut Sink<'_>) -> Result<()> {
        for record in &self.0 {
            let mark = i64::try_from(record.bytes).unwrap();
            let stamp = Some(Stamp { size: 1, mark });
            sink(Item::Record { record: Box::new(record.clone()), stamp })?;
        }
        Ok(())
    }
}

pub struct Server {
    data: Option<tempfile::TempDir>,
    config: Config,
    /// Its database goes when it does.
    fresh: Option<crate::support::Fresh>,
    exports: tempfile::TempDir,
    pub store: Store,
    pub index: Arc<Index>,
    pub context: Context,
    state: web::Data<State>,
}

pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        fhir_types::check(&self.bytes)
            .unwrap_or_else(|reason| panic!("{reason}: {}", String::from_utf8_lossy(&self.bytes)));
        serde_json::from_slice(&self.bytes).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl Server {
    pub fn new(records: Vec<Record>, change: impl FnOnce(&mut Config)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(data.path(), "").unwrap();
        let mut server = Self::of(store, records, change);
        server.data = Some(data);
        server
    }

    /// On the PostgreSQL server of `VESALIUS_TEST_POSTGRES`, if there is one.
    pub fn on_postgres(records: Vec<Record>) -> Option<Self> {
        let fresh = crate::support::postgres()?;
        let mut server = Self::of(fresh.store.clone(), records, |_| ());
        server.fresh = Some(fresh);
        Some(server)
    }

    fn of(store: Store, records: Vec<Record>, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.server.public_url = "https://imaging.example".to_owned();
        config.archive.time_zone = "Europe/Prague".to_owned();
        config.archive.identifiers.study_id = "https://imaging.example/study-id".to_owned();
        change(&mut config);
        let context = Context::new(&config, b"a key of tests").unwrap();
        let index = Arc::new(Index::open(None, context.clone()));
        let state =
            State::new(&config, store.clone(), Arc::clone(&index), context.clone()).unwrap();
        let exports = tempfile::tempdir().unwrap();
        let state = state.with_exports(exports.path(), &config.exports).unwrap();
        let state = web::Data::new(state);
        let server =
            Self { data: None, config, fresh: None, exports, store, index, context, state };
        server.ingest(records, 1_763_000_000_000_000);
        server
    }

    /// Makes the archive hold these records and no others.
    pub fn ingest(&self, records: Vec<Record>, now: i64) {
        let how = Ingest {
            name: "generated".to_owned(),
            context: self.context.clone(),
            pseudonym_key: b"a key of tests".to_vec(),
            batch: 500,
            prune: true,
        };
        let stop = AtomicBool::new(false);
        ingest(&self.store, &mut Records(records), &how, &|| now, &stop, &mut |_| ()).unwrap();
        self.index.catch_up(&self.store).unwrap();
    }

    /// The same store and folders behind a facade that was started anew.
    pub fn restart(self) -> Self {
        let Self { data, config, fresh, exports, store, context, .. } = self;
        let index = Arc::new(Index::open(None, context.clone()));
        index.catch_up(&store).unwrap();
        let state = State::new(&config, store.clone(), Arc::clone(&index), context.clone())
            .unwrap()
            .with_exports(exports.path(), &config.exports)
            .unwrap();
        let state = web::Data::new(state);
        Self { data, config, fresh, exports, store, index, context, state }
    }

    /// The folder of the exports.
    pub fn exports(&self) -> &std::path::Path {
        self.exports.path()
    }

    pub fn state(&self) -> web::Data<State> {
        self.state.clone()
    }

    /// Opens a selection to secondary use.
    pub fn open(&self, criteria: Vec<Criteria>) {
        self.index.set_open(criteria);
    }

    pub async fn send(&self, role: Option<Role>, request: test::TestRequest) -> Reply {
        self.send_as(role.map(|role| Actor::new("tester", role)), None, request).await
    }

    /// As somebody, or with a token that was refused.
    pub async fn send_as(
        &self,
        actor: Option<Actor>,
        bad: Option<BadToken>,
        request: test::TestRequest,
    ) -> Reply {
        let app = test::init_service(
            App::new()
                .app_data(self.state.clone())
                .wrap_fn(move |request, next| {
                    if let Some(actor) = actor.clone() {
                        request.extensions_mut().insert(actor);
                    }
                    if let Some(bad) = bad.clone() {
                        request.extensions_mut().insert(bad);
                    }
                    next.call(request)
                })
                .configure(routes),
        )
        .await;
        let response = test::call_service(&app, request.to_request()).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = test::read_body(response).await.to_vec();
        Reply { status, headers, bytes }
    }

    pub async fn get(&self, role: Role, path: &str) -> Reply {
        self.send(Some(role), test::TestRequest::get().uri(path)).await
    }

    /// Every match of a search, over all pages, as imaging IT sees it.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let bundle = self.get(Role::ImagingIt, &path).await;
            assert_eq!(
                bundle.status,
                StatusCode::OK,
                "{path}: {}",
                String::from_utf8_lossy(&bundle.bytes)
            );
            let bundle: Value = serde_json::from_slice(&bundle.bytes).unwrap();
            for entry in bundle["entry"].as_array().into_iter().flatten() {
                if entry["search"]["mode"] == "match" {
                    found.push(entry["resource"].clone());
                }
            }
            next = link(&bundle, "next");
        }
        found
    }
}

/// The path and query of a Bundle's link.
pub fn link(bundle: &Value, relation: &str) -> Option<String> {
    let links = bundle["link"].as_array().into_iter().flatten();
    let mut links = links.filter(|link| link["relation"] == relation);
    let url = links.next()?["url"].as_str().unwrap();
    Some(url.strip_prefix("https://imaging.example").unwrap().to_owned())
}

/// Reproducible choices (a linear congruential generator; the quality of chance is no concern).
pub struct Dice(pub u64);

impl Dice {
    fn new(seed: u64, of: usize) -> Self {
        let mut dice = Self(seed.wrapping_mul(1_000_003) + of as u64 * 7_919);
        for _ in 0..4 {
            dice.roll(2);
        }
        dice
    }

    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.roll(from.len())]
    }
}

/// A synthetic archive of studies that differ in everything that can be searched.
pub fn archive(studies: usize, seed: u64) -> Vec<Record> {
    let mut records = Vec::new();
    let mut persons: BTreeMap<usize, (PatientKey, Attributes)> = BTreeMap::new();
    for study in 0..studies {
        // Each study has its own dice, so that a larger archive begins like a smaller one.
        let mut dice = Dice::new(seed, study);
        let number = dice.roll(60);
        let (key, patient) = persons
            .entry(number)
            .or_insert_with(|| a_patient(&mut Dice::new(seed + 1, number), number))
            .clone();
        let study_uid = format!("2.25.8{study:05}");
        let attributes = a_study(&mut dice, study);
        for series in 1..=1 + dice.roll(3) {
            let series_bag = a_series(&mut dice, series);
            let classes = [
                "1.2.840.10008.5.1.4.1.1.1.2",
                "1.2.840.10008.5.1.4.1.1.2",
                "1.2.840.10008.5.1.4.1.1.88.11",
            ];
            let class = dice.pick(&classes);
            for instance in 1..=1 + dice.roll(2) {
                let uid = format!("{study_uid}.{series}.{instance}");
                records.push(Record {
                    patient_key: key.clone(),
                    study_uid: Uid::parse(&study_uid).unwrap(),
                    series_uid: Uid::parse(&format!("{study_uid}.{series}")).unwrap(),
                    patient: patient.clone(),
                    study: attributes.clone(),
                    series: series_bag.clone(),
                    instance: Some(Instance {
                        uid: Uid::parse(&uid).unwrap(),
                        sop_class: Uid::parse(class).unwrap(),
                        number: u32::try_from(instance).ok(),
                        frames: None,
                        rows: Some(64),
                        columns: Some(64),
                        bytes: 1_000,
                        laterality: None::<Laterality>,
                        transfer_syntax: None,
                        title: None,
                        description: None,
                        concept: None,
                        digest: 1,
                    }),
                    report: None,
                    count: 1,
                    bytes: 1_000,
                    sop_classes: Vec::new(),
                    collection: None,
                    licence: None,
                    source_doi: None,
                    origin: uid,
                    findings: Vec::new(),
                });
            }
        }
    }
    records
}

fn a_patient(dice: &mut Dice, number: usize) -> (PatientKey, Attributes) {
    let id = format!("P{number}");
    let name = format!(
        "{}^{}",
        dice.pick(&["Dvořáková", "DVORAK", "Novák", "Müller", "de la Cruz", ""]),
        dice.pick(&["Žofie", "Jan", "Ana María", ""]),
    );
    let born = dice.pick(&["19550512", "19550601", "1955", "195505", "19601231", "19610101", ""]);
    let mut patient = bag(&[
        ("PatientID", &id),
        ("PatientName", &name),
        ("PatientBirthDate", born),
        ("PatientSex", dice.pick(&["F", "M", "O", "", "0000"])),
    ]);
    if dice.roll(3) == 0 {
        let other = bag(&[("PatientID", &format!("N{number}")), ("IssuerOfPatientID", "2.999.7")]);
        patient = with_items(patient, "OtherPatientIDsSequence", vec![other]);
    }
    (PatientKey { issuer: dice.pick(&["", "HOSP"]).to_owned(), id }, patient)
}

fn a_study(dice: &mut Dice, number: usize) -> Attributes {
    let mut study = bag(&[
        (
            "StudyDate",
            dice.pick(&[
                "20240731", "20240801", "20240831", "20231231", "20240101", "202407", "2024", "",
            ]),
        ),
        ("StudyTime", dice.pick(&["003000", "233000", "101112", ""])),
        ("TimezoneOffsetFromUTC", dice.pick(&["", "", "+0300", "-0500"])),
        (
            "AccessionNumber",
            &match dice.roll(3) {
                0 => String::new(),
                _ => format!("A{}", number / 2),
            },
        ),
        ("StudyID", &format!("S{}", dice.roll(20))),
        ("StudyDescription", dice.pick(&["Screening", "Follow-up", ""])),
        ("ReasonForTheRequestedProcedure", dice.pick(&["cough", "", ""])),
        ("ReferringPhysicianName", dice.pick(&["Malá^Eva", ""])),
        ("NameOfPhysiciansReadingStudy", dice.pick(&["Velký^Jan", ""])),
    ]);
    if dice.roll(3) == 0 {
        study = with_items(
            study,
            "ReferringPhysicianIdentificationSequence",
            vec![person(dice.pick(&["11", "12"]))],
        );
    }
    if dice.roll(3) == 0 {
        study = with_items(
            study,
            "PhysiciansReadingStudyIdentificationSequence",
            vec![person(dice.pick(&["11", "13"]))],
        );
    }
    if dice.roll(3) == 0 {
        let reason = dice.pick(&["Z12.3", "R05"]);
        study = with_items(
            study,
            "ReasonForRequestedProcedureCodeSequence",
            vec![code(reason, "I10", "a reason")],
        );
    }
    study
}

fn a_series(dice: &mut Dice, number: usize) -> Attributes {
    let mut series = bag(&[
        ("SeriesNumber", &number.to_string()),
        ("Modality", dice.pick(&["MG", "CT", "MR", "SR", ""])),
        (
            "BodyPartExamined",
            dice.pick(&["BREAST", "CHEST", "PROSTATE", "Left Breast", "THORAX INJECTE", ""]),
        ),
        ("Laterality", dice.pick(&["L", "R", "", ""])),
        ("Manufacturer", dice.pick(&["SIEMENS", "LORAD", ""])),
        ("DeviceSerialNumber", dice.pick(&["SN1", "SN2", ""])),
        ("OperatorsName", dice.pick(&["Technik^Ota", ""])),
    ]);
    if dice.roll(4) == 0 {
        series = with_items(series, "OperatorIdentificationSequence", vec![person("21")]);
    }
    if dice.roll(4) == 0 {
        series =
            with_items(series, "AnatomicRegionSequence", vec![code("76752008", "SCT", "Breast")]);
    }
    // Without the dice, so that the rest of the archive stays as it is.
    if number == 2 {
        series = with_items(
            series,
            "InstitutionCodeSequence",
            vec![code("H2", "99HOSP", "Hospital two")],
        );
    }
    series
}

//! What the tests of several rooms share: a fresh store on each database, records made by hand
//! or by seed, and a source that does what a test tells it. All data are synthetic.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, RunQueryDsl as _};
use vesalius::error::{Error, Result};
use vesalius::imaging::{
    self, Attributes, Finding, Instance, Item as ReportItem, Keyword, Laterality, PatientKey,
    Record, Report, Uid,
};
use vesalius::ingest::{self, Ingest, Summary};
use vesalius::mapping::Context;
use vesalius::source::{Item, Journal, Quarantine, Sink, Source, Stamp};
use vesalius::store::{Db, Store, archive};

// ── databases ──────────────────────────────────────────────────────────────────────────────────

/// A store of its own for one test.
pub(crate) struct Fresh {
    pub(crate) store: Store,
    pub(crate) dir: tempfile::TempDir,
    /// URL of the test's own database; empty for the embedded one.
    pub(crate) url: String,
    server: Option<(String, String)>,
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Some((server, name)) = &self.server
            && let Ok(mut conn) = PgConnection::establish(server)
        {
            // A database that stays behind does no harm: the server is the test run's own.
            let _ = conn.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

/// A fresh embedded database.
pub(crate) fn sqlite() -> Fresh {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), "").unwrap();
    Fresh { store, dir, url: String::new(), server: None }
}

/// A fresh database of the server that `VESALIUS_TEST_POSTGRES` names, if it names one.
pub(crate) fn postgres() -> Option<Fresh> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var("VESALIUS_TEST_POSTGRES").ok().filter(|url| !url.is_empty())?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("it_{}_{number}", std::process::id());
    let mut conn = PgConnection::establish(&server).unwrap();
    conn.batch_execute(&format!("CREATE DATABASE {name}")).unwrap();
    let (head, query) = server.split_once('?').map_or((server.as_str(), ""), |split| split);
    let base = head.rsplit_once('/').map_or(head, |(base, _)| base);
    let mark = if query.is_empty() { "" } else { "?" };
    let url = format!("{base}/{name}{mark}{query}");
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &url).unwrap();
    Some(Fresh { store, dir, url, server: Some((server.clone(), name)) })
}

/// Runs a test on a fresh store of each database: always SQLite, and PostgreSQL where
/// `VESALIUS_TEST_POSTGRES` holds the URL of a server.
pub(crate) fn on_both(test: impl Fn(&Fresh)) {
    test(&sqlite());
    if let Some(fresh) = postgres() {
        test(&fresh);
    }
}

/// Runs SQL behind the store's back.
pub(crate) fn execute(store: &Store, sql: &str) {
    match &mut store.writer().unwrap() {
        Db::Sqlite(conn) => conn.batch_execute(sql).unwrap(),
        Db::Postgres(conn) => conn.batch_execute(sql).unwrap(),
    }
}

#[derive(diesel::QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text)]
    line: String,
}

/// One text column, called `line`.
pub(crate) fn lines(store: &Store, sql: &str) -> Vec<String> {
    let rows: Vec<Line> = match &mut store.reader().unwrap() {
        Db::Sqlite(conn) => diesel::sql_query(sql).load(&mut **conn).unwrap(),
        Db::Postgres(conn) => diesel::sql_query(sql).load(&mut **conn).unwrap(),
    };
    rows.into_iter().map(|row| row.line).collect()
}

/// Everything that the store knows of the archive, without the numbers that it handed out, the
/// versions and the examples of findings: equal for stores that hold the same truth.
pub(crate) fn truth(store: &Store) -> Vec<String> {
    let mut all = Vec::new();
    for sql in [
        "SELECT 'patient ' || issuer || ' ' || id || ' ' || attributes || ' ' || rank AS line \
         FROM patient WHERE NOT deleted",
        "SELECT 'study ' || s.uid || ' ' || p.issuer || ' ' || p.id || ' ' || \
         COALESCE(s.collection, '-') || ' ' || s.attributes || ' ' || s.rank || ' ' || s.care_id \
         AS line FROM study s JOIN patient p ON p.number = s.patient WHERE NOT s.deleted",
        "SELECT 'series ' || e.uid || ' ' || s.uid || ' ' || p.issuer || ' ' || p.id || ' ' || \
         e.attributes || ' ' || COALESCE(e.study_attributes, '-') || ' ' || e.rank || ' ' || \
         e.images || ' ' || e.bytes || ' ' || e.sop_classes || ' ' || COALESCE(e.licence, '-') \
         || ' ' || COALESCE(e.source_doi, '-') || ' ' || COALESCE(e.person, '-') AS line FROM series e \
         JOIN study s ON s.number = e.study JOIN patient p ON p.number = e.patient",
        "SELECT 'key ' || i.hash || ' ' || e.uid || ' ' || s.uid AS line FROM instance i \
         JOIN series e ON e.number = i.series JOIN study s ON s.number = e.study",
        "SELECT 'lookup ' || l.kind || ' ' || l.value || ' ' || p.issuer || ' ' || p.id AS line \
         FROM lookup l JOIN patient p ON p.number = l.number WHERE l.kind <= 6",
        "SELECT 'lookup ' || l.kind || ' ' || l.value || ' ' || s.uid AS line \
         FROM lookup l JOIN study s ON s.number = l.number WHERE l.kind > 6",
        "SELECT 'finding ' || f.code || ' ' || f.attribute || ' ' || f.count || ' ' || s.uid \
         AS line FROM finding f JOIN study s ON s.number = f.study",
    ] {
        all.append(&mut lines(store, sql));
    }
    for row in store.read(|db| vesalius::store::reports::scan_reports(db, 0, 10_000)).unwrap() {
        if let Some(found) = row.to_report(imaging::IdSpace::Care).unwrap() {
            let place = format!(
                "SELECT e.uid || ' ' || s.uid AS line FROM series e \
                 JOIN study s ON s.number = e.study WHERE e.number = {} AND s.number = {}",
                found.series, found.study
            );
            let place = lines(store, &place);
            all.push(format!("report {place:?} {} {:?}", found.public_id, found.report));
        }
    }
    let series: Vec<String> =
        lines(store, "SELECT CAST(number AS TEXT) || ' ' || uid AS line FROM series");
    let series: Vec<(i64, &str)> = series
        .iter()
        .filter_map(|line| line.split_once(' '))
        .map(|(number, uid)| (number.parse().unwrap(), uid))
        .collect();
    let numbers: Vec<i64> = series.iter().map(|(number, _)| *number).collect();
    for (number, packed) in store.read(|db| archive::list_packed(db, &numbers)).unwrap() {
        let uid = series.iter().find(|(known, _)| *known == number).unwrap().1;
        all.extend(
            Instance::unpack(&packed).unwrap().iter().map(|i| format!("instance {uid} {i:?}")),
        );
    }
    all.sort();
    all
}

/// What the journal says of every input: `origin state code`.
pub(crate) fn journal(store: &Store) -> Vec<String> {
    let mut lines = lines(
        store,
        "SELECT origin || ' ' || CASE state WHEN 0 THEN 'ingested' WHEN 1 THEN 'quarantined' \
         WHEN 2 THEN 'not-dicom' WHEN 3 THEN 'vanished' ELSE 'retry' END || ' ' || \
         COALESCE(code, '-') AS line FROM input",
    );
    lines.sort();
    lines
}

/// The findings: `study code count`.
pub(crate) fn findings(store: &Store) -> Vec<String> {
    let mut lines = lines(
        store,
        "SELECT s.uid || ' ' || f.code || ' ' || f.count AS line FROM finding f \
         JOIN study s ON s.number = f.study",
    );
    lines.sort();
    lines
}

/// Asserts that the store does not contradict itself.
#[track_caller]
pub(crate) fn assert_sound(store: &Store) {
    let found = store.read(vesalius::store::verify::contradictions).unwrap();
    assert!(found.is_empty(), "{found:#?}");
}

/// The last number of the change feed.
pub(crate) fn last_change(store: &Store) -> i64 {
    store.read(vesalius::store::changes::last_change).unwrap()
}

// ── records ────────────────────────────────────────────────────────────────────────────────────

/// A bag of attributes.
pub(crate) fn bag(pairs: &[(&str, &str)]) -> Attributes {
    let mut bag = Attributes::new();
    for (keyword, text) in pairs {
        bag.set(Keyword::parse(keyword).unwrap(), text);
    }
    bag
}

/// Sets one attribute.
pub(crate) fn set(bag: &mut Attributes, keyword: &str, text: &str) {
    bag.set(Keyword::parse(keyword).unwrap(), text);
}

pub(crate) fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

/// Instance `instance` of series `series` of study `study` of patient `P{patient}`: a CT without
/// anything odd.
pub(crate) fn record(patient: u32, study: u32, series: u32, instance: u32) -> Record {
    let id = format!("P{patient}");
    let sop = format!("1.2.{study}.{series}.{instance}");
    Record {
        patient_key: PatientKey { issuer: "hospital".to_owned(), id: id.clone() },
        study_uid: uid(&format!("1.2.{study}")),
        series_uid: uid(&format!("1.2.{study}.{series}")),
        patient: bag(&[("PatientName", &format!("Synthetic^{id}")), ("PatientSex", "F")]),
        study: bag(&[
            ("StudyDate", "20240131"),
            ("AccessionNumber", &format!("A{study}")),
            ("StudyDescription", "synthetic"),
        ]),
        series: bag(&[
            ("Modality", "CT"),
            ("SeriesNumber", &series.to_string()),
            ("BodyPartExamined", "CHEST"),
            ("Manufacturer", "Synthetic Devices"),
        ]),
        instance: Some(Instance {
            uid: uid(&sop),
            sop_class: uid("1.2.840.10008.5.1.4.1.1.2"),
            number: Some(instance),
            frames: None,
            rows: Some(16),
            columns: Some(16),
            bytes: 1_000 + u64::from(instance),
            laterality: None,
            transfer_syntax: Some(uid("1.2.840.10008.1.2.1")),
            title: None,
            description: None,
            concept: None,
            digest: u64::from(instance),
        }),
        report: None,
        count: 1,
        bytes: 1_000 + u64::from(instance),
        sop_classes: Vec::new(),
        collection: None,
        licence: None,
        source_doi: None,
        origin: format!("{study}/{series}/{instance}.dcm"),
        findings: Vec::new(),
    }
}

/// A series that is known by its count only.
pub(crate) fn count_only(patient: u32, study: u32, series: u32, images: u32) -> Record {
    let mut record = record(patient, study, series, 1);
    record.instance = None;
    record.report = None;
    record.count = images;
    record.bytes = u64::from(images) * 500;
    record.sop_classes = vec![uid("1.2.840.10008.5.1.4.1.1.2")];
    record.origin = format!("row {study}.{series}");
    record
}

/// A report of one sentence.
pub(crate) fn says(instance: &Instance, text: &str) -> Report {
    let mut report = Report::new(instance.uid.clone(), instance.sop_class.clone());
    report.items.push(ReportItem {
        relationship: "CONTAINS".to_owned(),
        concept: None,
        content: imaging::Content::Text { text: text.to_owned() },
        observed: None,
        observation: None,
        items: Vec::new(),
    });
    report
}

/// Small numbers in a fixed order for a seed (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.next() % u64::from(end.max(1))).unwrap()
    }

    /// With a chance of one in `n`.
    pub(crate) fn one_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(u32::try_from(of.len()).unwrap()) as usize]
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(u32::try_from(at + 1).unwrap()) as usize);
        }
    }
}

/// An archive with the dirt of real ones: studies with two patients or two dates, a series UID
/// in two studies, instances that describe their series differently, odd values, mixed sides,
/// series known by count only, a PatientID of two issuers.
pub(crate) fn archive(seed: u64, studies: u32) -> Vec<Record> {
    let mut random = Random(seed);
    let mut records = Vec::new();
    for study in 1..=studies {
        let patient = 1 + random.below(studies.div_ceil(2));
        let issuer = random.pick(&["hospital", "hospital", "clinic"]).to_owned();
        let date = format!("20{:02}{:02}15", 10 + random.below(15), 1 + random.below(12));
        let sex = random.pick(&["F", "M", "O", "0000", ""]).to_owned();
        let collection = random.pick(&["breast", "lung", ""]).to_owned();
        let age = random.pick(&["063Y", "000Y", "041Y", ""]).to_owned();
        for series in 1..=1 + random.below(4) {
            let modality = random.pick(&["CT", "MG", "MR", "SR", "SEG", ""]).to_owned();
            let stray = random.one_in(9);
            let other_date = random.one_in(7);
            let is_counted = random.one_in(5);
            let body = random.pick(&["BREAST", "CHEST", "THORAX INJECTE", ""]).to_owned();
            let maker = random.pick(&["Maker A", "MAKER B", ""]).to_owned();
            let class = 1 + random.below(3);
            let licence = random.pick(&["CC BY 4.0", "CC BY-NC 4.0", ""]).to_owned();
            let shared_uid = random.one_in(8);
            let number = random.pick(&["1", "2", "7", "", "-3"]).to_owned();
            for instance in 1..=1 + random.below(4) {
                let mut one = if is_counted {
                    count_only(patient, study, series, 20 + series)
                } else {
                    record(patient, study, series, instance)
                };
                issuer.clone_into(&mut one.patient_key.issuer);
                set(&mut one.patient, "PatientSex", &sex);
                set(&mut one.patient, "PatientName", &format!("Synthetic^P{patient}^{study}"));
                set(&mut one.study, "StudyDate", &date);
                set(&mut one.study, "PatientAge", &age);
                set(&mut one.series, "Modality", &modality);
                set(&mut one.series, "BodyPartExamined", &body);
                set(&mut one.series, "Manufacturer", &maker);
                set(&mut one.series, "SeriesNumber", &number);
                one.collection = (!collection.is_empty()).then(|| collection.clone());
                one.licence = (!licence.is_empty()).then(|| licence.clone());
                if stray {
                    one.patient_key.id = format!("X{patient}");
                }
                if other_date {
                    set(&mut one.study, "StudyDate", "20250101");
                }
                if shared_uid {
                    one.series_uid = uid(&format!("1.9.{series}"));
                }
                if let Some(of) = &mut one.instance {
                    of.sop_class = uid(&format!("1.2.840.10008.5.1.4.1.1.{class}"));
                    of.number = (!random.one_in(6)).then_some(instance);
                    of.laterality = [None, Some(Laterality::Left), Some(Laterality::Right)]
                        [random.below(3) as usize];
                    if random.one_in(6) {
                        // One image of the series tells something else.
                        set(&mut one.series, "BodyPartExamined", "");
                    }
                    if random.one_in(10) {
                        one.findings.push(Finding::new("vr-odd", "Rows", ""));
                    }
                    if modality == "SR" {
                        let of = of.clone();
                        one.report = Some(Box::new(says(&of, "as it is")));
                    }
                }
                records.push(one);
                if is_counted {
                    break;
                }
            }
        }
    }
    for record in &mut records {
        let at = record.instance.as_ref().map_or(String::new(), |i| i.uid.to_string());
        record.origin = format!("{}/{}/{at}", record.study_uid, record.series_uid);
    }
    records
}

/// The same archive with who is who in doubt: ids that stand for nobody, one id of several persons,
/// births behind the study, series of several modalities.
pub(crate) fn doubtful(seed: u64, studies: u32) -> Vec<Record> {
    let mut random = Random(seed ^ 0x5eed);
    let mut records = archive(seed, studies);
    let mut of_study: std::collections::HashMap<Uid, (String, bool)> = Default::default();
    let mut of_series: std::collections::HashMap<Uid, (bool, bool)> = Default::default();
    for record in &mut records {
        let (birth, is_nobody) = of_study.entry(record.study_uid.clone()).or_insert_with(|| {
            let births = ["19600615", "19710203", "20991231", "1960", ""];
            (random.pick(&births).to_owned(), random.one_in(6))
        });
        let (is_other, is_mixed) = *of_series
            .entry(record.series_uid.clone())
            .or_insert_with(|| (random.one_in(6), random.one_in(4)));
        set(&mut record.patient, "PatientBirthDate", birth);
        if *is_nobody {
            record.patient_key.id = "0".to_owned();
        }
        if is_other {
            set(&mut record.patient, "PatientName", "Other^Person");
            set(&mut record.patient, "PatientBirthDate", "19501231");
        }
        if is_mixed && random.one_in(2) {
            set(&mut record.series, "Modality", "OT");
        }
    }
    records
}

// ── sources ────────────────────────────────────────────────────────────────────────────────────

/// What a file of [`Folder`] holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Dicom(Box<Record>),
    Broken,
    Other,
}

/// A folder in memory: files with stamps, read when the journal does not know the stamp.
#[derive(Clone, Debug, Default)]
pub(crate) struct Folder {
    pub(crate) files: Vec<(String, Stamp, Content)>,
    /// How many files were opened.
    pub(crate) opened: usize,
}

impl Folder {
    /// One file for each record.
    pub(crate) fn of(records: &[Record]) -> Self {
        let mut folder = Self::default();
        for record in records {
            folder.put(&record.origin.clone(), 1, Content::Dicom(Box::new(record.clone())));
        }
        folder
    }

    /// Writes a file; the mark is its modification time.
    pub(crate) fn put(&mut self, origin: &str, mark: i64, content: Content) {
        self.files.retain(|(known, _, _)| known != origin);
        self.files.push((origin.to_owned(), Stamp { size: 1, mark }, content));
    }

    pub(crate) fn remove(&mut self, origin: &str) {
        self.files.retain(|(known, _, _)| known != origin);
    }
}

impl Source for Folder {
    fn kind(&self) -> &'static str {
        "folder"
    }

    fn locator(&self) -> String {
        "memory".to_owned()
    }

    fn is_authoritative(&self) -> bool {
        false
    }

    fn read(&mut self, journal: &dyn Journal, sink: &mut Sink<'_>) -> Result<()> {
        sink(Item::Expected(self.files.len() as u64))?;
        for (origin, stamp, content) in &self.files {
            let origin = origin.clone();
            if journal.stamp(&origin) == Some(*stamp) {
                sink(Item::Unchanged { inputs: journal.inputs(&origin), origin })?;
                continue;
            }
            self.opened += 1;
            let stamp = *stamp;
            sink(match content {
                Content::Dicom(record) => {
                    let mut record = record.clone();
                    record.origin = origin;
                    Item::Record { record, stamp: Some(stamp) }
                }
                Content::Broken => {
                    Item::Quarantined { origin, stamp: Some(stamp), reason: broken() }
                }
                Content::Other => Item::NotDicom { origin, stamp },
            })?;
        }
        Ok(())
    }
}

pub(crate) fn broken() -> Quarantine {
    Quarantine {
        code: "length-beyond-end".to_owned(),
        path: "(0008,0018)".to_owned(),
        offset: Some(132),
        detail: "a synthetic failure".to_owned(),
    }
}

/// A server of whole studies, or a table, in memory: inputs with parts.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) kind: &'static str,
    pub(crate) inputs: Vec<Whole>,
}

/// One input with its parts.
#[derive(Clone, Debug)]
pub(crate) struct Whole {
    pub(crate) origin: String,
    pub(crate) mark: i64,
    pub(crate) records: Vec<Record>,
    /// Parts that cannot be used, by their own origin.
    pub(crate) broken: Vec<String>,
    /// Whether it is a study that is served whole: what is not in it is removed.
    pub(crate) study: Option<Uid>,
}

impl Server {
    /// A PACS with the studies of the records.
    pub(crate) fn of(records: &[Record]) -> Self {
        let mut inputs: Vec<Whole> = Vec::new();
        for record in records {
            let origin = format!("studies/{}", record.study_uid);
            let at = inputs.iter().position(|whole| whole.origin == origin).unwrap_or_else(|| {
                inputs.push(Whole {
                    origin,
                    mark: 1,
                    records: Vec::new(),
                    broken: Vec::new(),
                    study: Some(record.study_uid.clone()),
                });
                inputs.len() - 1
            });
            inputs[at].records.push(record.clone());
        }
        Self { kind: "dicomweb", inputs }
    }

    /// A table with a row for each record.
    pub(crate) fn table(records: &[Record]) -> Self {
        let whole = Whole {
            origin: "series.csv".to_owned(),
            mark: 1,
            records: records.to_vec(),
            broken: Vec::new(),
            study: None,
        };
        Self { kind: "table", inputs: vec![whole] }
    }

    pub(crate) fn study(&mut self, study: u32) -> &mut Whole {
        let origin = format!("studies/1.2.{study}");
        self.inputs.iter_mut().find(|whole| whole.origin == origin).unwrap()
    }
}

impl Source for Server {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn locator(&self) -> String {
        "memory".to_owned()
    }

    fn is_authoritative(&self) -> bool {
        self.kind == "dicomweb"
    }

    fn read(&mut self, journal: &dyn Journal, sink: &mut Sink<'_>) -> Result<()> {
        for whole in &self.inputs {
            let origin = whole.origin.clone();
            let inputs = (whole.records.len() + whole.broken.len()) as u64;
            let stamp = Stamp { size: inputs, mark: whole.mark };
            if journal.stamp(&origin) == Some(stamp) {
                sink(Item::Unchanged { inputs: journal.inputs(&origin), origin })?;
                continue;
            }
            for record in &whole.records {
                sink(Item::Record { record: Box::new(record.clone()), stamp: None })?;
            }
            for part in &whole.broken {
                let reason = broken();
                sink(Item::Quarantined { origin: part.clone(), stamp: None, reason })?;
            }
            let now = whole.records.iter().filter_map(|r| Some(r.instance.as_ref()?.uid.clone()));
            let study = whole.study.clone().map(|uid| (uid, now.collect()));
            sink(Item::Settled { origin, stamp, inputs, study })?;
        }
        Ok(())
    }
}

/// A source that breaks off after so many items.
pub(crate) struct Failing<S>(pub(crate) S, pub(crate) usize);

impl<S: Source> Source for Failing<S> {
    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn locator(&self) -> String {
        self.0.locator()
    }

    fn is_authoritative(&self) -> bool {
        self.0.is_authoritative()
    }

    fn read(&mut self, journal: &dyn Journal, sink: &mut Sink<'_>) -> Result<()> {
        let mut left = self.1;
        self.0.read(journal, &mut |item| {
            left = left
                .checked_sub(1)
                .ok_or_else(|| Error::Internal("the source broke off".to_owned()))?;
            sink(item)
        })
    }
}

/// How a test ingests.
pub(crate) struct How {
    pub(crate) batch: usize,
    pub(crate) prune: bool,
    pub(crate) context: Context,
}

impl Default for How {
    fn default() -> Self {
        Self { batch: 1_000, prune: false, context: Context::default() }
    }
}

/// Ingests with a clock that moves with every call.
pub(crate) fn try_ingest(store: &Store, source: &mut dyn Source, how: &How) -> Result<Summary> {
    static CLOCK: std::sync::atomic::AtomicI64 =
        std::sync::atomic::AtomicI64::new(1_700_000_000_000_000);
    let ingest = Ingest {
        name: "memory".to_owned(),
        context: how.context.clone(),
        pseudonym_key: vec![7; 32],
        batch: how.batch,
        prune: how.prune,
    };
    let clock = || CLOCK.fetch_add(1_000, Ordering::Relaxed);
    ingest::ingest(store, source, &ingest, &clock, &AtomicBool::new(false), &mut |_| {})
}

/// Ingests and expects that it goes through and that the accounting is whole.
#[track_caller]
pub(crate) fn ingest(store: &Store, source: &mut dyn Source, how: &How) -> Summary {
    let summary = try_ingest(store, source, how).unwrap();
    let files = summary.files;
    assert_eq!(
        files.seen,
        files.ingested + files.unchanged + files.quarantined + files.not_dicom,
        "{files:?}"
    );
    summary
}

/// The folder of official data that some tests read, if there is one; says what is skipped
/// otherwise.
#[allow(dead_code, reason = "for the rooms whose tests need official data")]
pub(crate) fn reference(what: &str) -> Option<PathBuf> {
    match std::env::var_os("VESALIUS_REFERENCE") {
        Some(folder) => Some(PathBuf::from(folder)),
        None => {
            eprintln!("skipped, because VESALIUS_REFERENCE names no folder: {what}");
            None
        }
    }
}

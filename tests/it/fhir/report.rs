//! Reports as FHIR resources: the sample's, hostile ones, each view; judged by the typed model and
//! by the elements of the European profiles.

use std::sync::OnceLock;

use serde_json::{Value, json};
use vesalius::fhir::validate::validate;
use vesalius::imaging::{
    Code, Content, IdSpace, ImageReference, Item, Report, StoredReport, Study, Uid,
};
use vesalius::mapping::Context;
use vesalius::mapping::fhir::View;
use vesalius::mapping::report::{Kind, RenderedReport, document, render_report};
use vesalius::source::folder::Folder;
use vesalius::store::{read, reports};

use super::sample;
use crate::support::{How, ingest, sqlite};

/// The reports of a synthetic archive, each with its study.
pub(super) fn archive(ids: IdSpace) -> Vec<(StoredReport, Study)> {
    static ALL: [OnceLock<Vec<(StoredReport, Study)>>; 2] = [OnceLock::new(), OnceLock::new()];
    let all = ALL[usize::from(ids == IdSpace::Research)].get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        vesalius::sample::write(dir.path(), 80, 11).unwrap();
        from_folder(dir.path(), ids)
    });
    all.clone()
}

fn from_folder(dir: &std::path::Path, ids: IdSpace) -> Vec<(StoredReport, Study)> {
    let fresh = sqlite();
    ingest(&fresh.store, &mut Folder::in_process(dir).unwrap(), &How::default());
    crate::support::assert_sound(&fresh.store);
    let mut db = fresh.store.reader().unwrap();
    let numbers: Vec<i64> = (1..=read::count_all(&mut db).unwrap().studies).collect();
    let studies = read::load_studies(&mut db, &numbers, ids, false).unwrap();
    reports::load_reports(&mut db, &numbers, ids)
        .unwrap()
        .into_iter()
        .map(|report| {
            let study = studies.iter().find(|study| study.number == report.study).unwrap();
            (report, study.clone())
        })
        .collect()
}

/// Every resource of a report, and the Bundle where it has one.
pub(super) fn resources(
    context: &Context,
    stored: &StoredReport,
    study: &Study,
    view: View,
    companions: &[RenderedReport],
) -> (RenderedReport, Vec<Value>) {
    let rendered = render_report(context, stored, study, view);
    let mut all: Vec<Value> = Vec::new();
    all.extend(rendered.diagnostic_report.clone());
    all.extend(rendered.composition.clone());
    all.extend(rendered.observations.clone());
    all.extend(rendered.key_images.clone());
    all.extend(rendered.document_reference.clone());
    all.extend(document(context, stored, &rendered, companions, study, view));
    (rendered, all)
}

/// What the checker of profiles says against a resource.
fn complaints(resource: &Value) -> Vec<String> {
    let claimed = resource["meta"]["profile"][0].as_str().unwrap_or_default();
    assert!(vesalius::fhir::validate::type_of_profile(claimed).is_some(), "{resource:#}");
    let report = validate(resource, &[]);
    report
        .errors()
        .map(|issue| format!("{:?} {} {}", issue.expression, issue.rule, issue.diagnostics))
        .collect()
}

const VIEWS: [View; 3] = [View::Care, View::DeIdentified, View::Pseudonymous];

#[test]
fn every_report_of_the_sample_holds_to_the_profiles() {
    let context = sample::context(|_| ());
    let mut found = Vec::new();
    let mut count = std::collections::BTreeMap::new();
    for (stored, study) in archive(IdSpace::Care) {
        for view in VIEWS {
            let (_, all) = resources(&context, &stored, &study, view, &[]);
            for resource in &all {
                *count.entry(resource["resourceType"].to_string()).or_insert(0) += 1;
                found.extend(complaints(resource));
            }
        }
    }
    found.sort();
    found.dedup();
    assert!(found.is_empty(), "{found:#?}");
    for kind in ["DiagnosticReport", "Composition", "Observation", "Basic", "Bundle"] {
        assert!(count.contains_key(&format!("\"{kind}\"")), "no {kind}: {count:?}");
    }
}

#[test]
fn the_judge_sees_what_is_wrong() {
    let context = sample::context(|_| ());
    let reports = archive(IdSpace::Care);
    let of = |kind: Kind| {
        let is_it = |(stored, study): &&(StoredReport, Study)| {
            render_report(&context, stored, study, View::Care).kind == kind
        };
        let (stored, study) = reports.iter().find(is_it).unwrap();
        resources(&context, stored, study, View::Care, &[]).1
    };
    let all: Vec<(Kind, Value)> = [Kind::Report, Kind::Dose]
        .into_iter()
        .flat_map(|kind| of(kind).into_iter().map(move |resource| (kind, resource)))
        .collect();
    for (name, pointer) in [
        ("DiagnosticReport", "/category/1"),
        ("DiagnosticReport", "/extension"),
        ("DiagnosticReport", "/identifier"),
        ("DiagnosticReport", "/code"),
        ("Composition", "/section/1"),
        ("Composition", "/section/0/entry"),
        ("Composition", "/identifier"),
        ("Composition", "/section/0/code"),
        ("Bundle", "/identifier"),
        ("Bundle", "/entry/2"),
        ("Observation", "/valueString"),
        ("Observation", "/derivedFrom"),
        ("Observation", "/subject"),
        ("DocumentReference", "/custodian"),
        ("DocumentReference", "/extension/0"),
        ("DocumentReference", "/type/coding/0"),
    ] {
        let fits = |(kind, one): &&(Kind, Value)| {
            one["resourceType"] == name
                && one.pointer(pointer).is_some()
                && (name != "Observation" || *kind == Kind::Dose)
        };
        let (_, right) = all.iter().find(fits).unwrap();
        assert_eq!(complaints(right), Vec::<String>::new());
        let mut wrong = right.clone();
        let (parent, last) = pointer.rsplit_once('/').unwrap();
        match wrong.pointer_mut(parent).unwrap() {
            Value::Array(items) => drop(items.remove(last.parse().unwrap())),
            Value::Object(object) => drop(object.remove(last).unwrap()),
            other => panic!("{other}"),
        }
        assert!(!complaints(&wrong).is_empty(), "{name} without {pointer} passes");
    }
}

#[test]
fn every_resource_is_read_by_the_typed_model() {
    let context = sample::context(|_| ());
    for (ids, views) in [
        (IdSpace::Care, &[View::Care, View::DeIdentified][..]),
        (IdSpace::Research, &[View::Pseudonymous]),
    ] {
        for (stored, study) in archive(ids) {
            for view in views {
                for resource in resources(&context, &stored, &study, *view, &[]).1 {
                    if let Err(reason) = fhir_types::check(resource.to_string().as_bytes()) {
                        panic!("{reason}: {resource:#}");
                    }
                }
            }
        }
    }
}

fn first(kind: Kind, with: &str) -> (StoredReport, Study) {
    let context = sample::context(|_| ());
    archive(IdSpace::Care)
        .into_iter()
        .find(|(stored, study)| {
            let rendered = render_report(&context, stored, study, View::Care);
            rendered.kind == kind && stored.report.template.as_deref().unwrap_or("") == with
        })
        .unwrap()
}

#[test]
fn reports_become_resources() {
    let context =
        sample::context(|config| "Europe/Prague".clone_into(&mut config.archive.time_zone));
    for (name, kind, template) in [
        ("basic-text", Kind::Report, "2000"),
        ("measurements", Kind::Report, "1500"),
        ("mammography-cad", Kind::Findings, "4000"),
        ("dose-ct", Kind::Dose, "10011"),
        ("dose-mammography", Kind::Dose, "10001"),
        ("key-images", Kind::KeyObjects, "2010"),
        ("printed", Kind::Document, ""),
    ] {
        let (stored, study) = first(kind, template);
        for (view, space) in [(View::Care, "care"), (View::Pseudonymous, "secondary-use")] {
            let rendered = render_report(&context, &stored, &study, view);
            let mut all: Vec<Value> = Vec::new();
            all.extend(rendered.diagnostic_report);
            all.extend(rendered.composition);
            all.extend(rendered.observations);
            all.extend(rendered.key_images);
            all.extend(rendered.document_reference);
            for resource in &mut all {
                resource["meta"]["lastUpdated"] = "…".into();
            }
            insta::assert_json_snapshot!(format!("report-{name}-{space}"), all);
        }
    }
}

#[test]
fn secondary_use_sees_no_name_no_text_and_no_document() {
    let context = sample::context(|_| ());
    for (mut stored, study) in archive(IdSpace::Research) {
        // Every text of the content becomes a word that must not come out.
        fn mark(items: &mut [Item]) {
            for item in items {
                let (concept, content) = (&mut item.concept, &mut item.content);
                if let Some(code) = concept {
                    "SECRET meaning".clone_into(&mut code.meaning);
                }
                match content {
                    Content::Text { text } => "SECRET text".clone_into(text),
                    Content::Person { name } => "SECRET^Name".clone_into(name),
                    Content::Coded { code } => "SECRET value".clone_into(&mut code.meaning),
                    Content::Number { unit: Some(unit), .. } => {
                        "SECRET unit".clone_into(&mut unit.meaning);
                    }
                    _ => {}
                }
                mark(&mut item.items);
            }
        }
        mark(&mut stored.report.items);
        if let Some(title) = &mut stored.report.title {
            "SECRET title".clone_into(&mut title.meaning);
        }
        if let Some(document) = &mut stored.report.document {
            "SECRET document".clone_into(&mut document.title);
            document.hl7 = Some("1.2.3^SECRET".to_owned());
        }
        let (_, all) = resources(&context, &stored, &study, View::Pseudonymous, &[]);
        let text = serde_json::to_string(&all).unwrap();
        let date = study.attributes.first("StudyDate").unwrap();
        let day = format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]);
        for hidden in [
            "SECRET",
            "Invented^",
            "Radiologist",
            "Binary/",
            "presentedForm",
            "SYN0",
            stored.report.uid.as_str(),
            study.uid.as_str(),
            day.as_str(),
            "\"A0000",
        ] {
            assert!(!text.contains(hidden), "`{hidden}` in {text}");
        }
    }
}

#[test]
fn a_document_takes_the_dose_and_the_key_images_of_its_study_along() {
    let context = sample::context(|_| ());
    let all = archive(IdSpace::Care);
    let (stored, study) = all
        .iter()
        .find(|(stored, study)| {
            let others: Vec<_> = all
                .iter()
                .filter(|(other, _)| other.study == study.number)
                .map(|(other, study)| render_report(&context, other, study, View::Care).kind)
                .collect();
            context.tables().reports.kind(&stored.report) == Kind::Report
                && others.contains(&Kind::Dose)
                && others.contains(&Kind::KeyObjects)
        })
        .unwrap();
    let companions: Vec<RenderedReport> = all
        .iter()
        .filter(|(other, _)| other.study == study.number && other.number != stored.number)
        .map(|(other, study)| render_report(&context, other, study, View::Care))
        .collect();
    let (_, resources) = resources(&context, stored, study, View::Care, &companions);
    let bundle = resources.last().unwrap();
    let entries = bundle["entry"].as_array().unwrap();
    assert_eq!(entries[0]["resource"]["resourceType"], "Composition");
    let known: Vec<&str> = entries.iter().filter_map(|entry| entry["fullUrl"].as_str()).collect();
    // What the Composition refers to is in the document.
    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    match value.as_str().filter(|_| key == "reference") {
                        Some(text) => found.push(text),
                        None => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }
    let mut named = Vec::new();
    references(&entries[0]["resource"], &mut named);
    references(&entries[1]["resource"], &mut named);
    assert!(named.iter().any(|name| name.starts_with("Basic/")));
    assert!(named.iter().any(|name| name.starts_with("Observation/")));
    for name in named {
        let url = format!("https://imaging.example/fhir/{name}");
        assert!(known.contains(&url.as_str()), "{name} is not in the document");
    }
}

/// A report of arbitrary items.
pub(super) fn hostile(mut roll: impl FnMut() -> u64) -> Report {
    let words = [
        "",
        " ",
        "a",
        "<script>&\"'",
        "\u{0}\u{7}x",
        "µ\u{202e}g",
        "121071",
        "125007",
        "111059",
        "363698007",
        "126010",
        "121024",
        "121072",
        "1.2.3",
        "G-C0E3",
        "x  y",
    ];
    let schemes = ["DCM", "SCT", "SRT", "UCUM", "", "99 LOCAL", "LN"];
    let relations = ["CONTAINS", "HAS CONCEPT MOD", "HAS PROPERTIES", "INFERRED FROM", "", "X"];
    let numbers = ["1", "-0", "1.50", "1e400", "NaN", "+7", "0x10", "", "99999999999999999999"];
    struct Made<'r>(&'r mut dyn FnMut() -> u64);
    impl Made<'_> {
        fn of<'v>(&mut self, all: &[&'v str]) -> &'v str {
            all[(self.0)() as usize % all.len()]
        }

        fn one_in(&mut self, n: u64) -> bool {
            (self.0)().is_multiple_of(n)
        }
    }
    let mut made = Made(&mut roll);
    let code = |made: &mut Made<'_>| Code {
        value: made.of(&words).to_owned(),
        scheme: (!made.one_in(9)).then(|| made.of(&schemes).to_owned()),
        meaning: made.of(&words).to_owned(),
    };
    fn tree(
        made: &mut Made<'_>,
        depth: usize,
        code: &dyn Fn(&mut Made<'_>) -> Code,
        lists: [&[&str]; 3],
    ) -> Vec<Item> {
        let [words, relations, numbers] = lists;
        (0..made.0() % 5)
            .map(|_| {
                let content = match made.0() % 9 {
                    0 => Content::Container { template: None },
                    1 => Content::Text { text: made.of(words).to_owned() },
                    2 => Content::Coded { code: code(made) },
                    3 | 4 => Content::Number {
                        number: (!made.one_in(4)).then(|| made.of(numbers).to_owned()),
                        unit: (!made.one_in(4)).then(|| code(made)),
                        qualifier: (made.one_in(3)).then(|| code(made)),
                    },
                    5 => Content::Person { name: "A^B=C^D=E=F".to_owned() },
                    6 => Content::Moment {
                        date: Some(made.of(words).to_owned()),
                        time: Some(made.of(numbers).to_owned()),
                    },
                    7 => Content::ByReference { place: vec![1, 1] },
                    _ => Content::Nothing,
                };
                Item {
                    relationship: made.of(relations).to_owned(),
                    concept: (!made.one_in(6)).then(|| code(made)),
                    content,
                    observed: (made.one_in(5)).then(|| made.of(numbers).to_owned()),
                    observation: None,
                    items: if depth < 5 { tree(made, depth + 1, code, lists) } else { vec![] },
                }
            })
            .collect()
    }
    let classes = ["88.11", "88.33", "88.50", "88.67", "88.59", "104.1", "88.99"];
    let class = made.of(&classes);
    let uid = Uid::parse("2.25.77").unwrap();
    let mut report =
        Report::new(uid.clone(), Uid::parse(&format!("1.2.840.10008.5.1.4.1.1.{class}")).unwrap());
    report.title = (!made.one_in(4)).then(|| code(&mut made));
    report.date = (!made.one_in(4)).then(|| made.of(&["20240131", "2024", "x", ""]).to_owned());
    report.time = (!made.one_in(2)).then(|| made.of(&["101112", "99", ""]).to_owned());
    report.verification = (!made.one_in(2)).then(|| made.of(&["VERIFIED", "odd"]).to_owned());
    report.items = tree(&mut made, 0, &code, [&words, &relations, &numbers]);
    report.items.push(Item {
        relationship: "CONTAINS".to_owned(),
        concept: None,
        content: Content::Object {
            reference: ImageReference {
                class: uid.clone(),
                instance: uid,
                frames: vec![1],
                segments: vec![],
            },
        },
        observed: None,
        observation: None,
        items: vec![],
    });
    report
}

#[test]
fn hostile_reports_become_resources_or_nothing_and_never_a_wrong_one() {
    let context = sample::context(|_| ());
    let study = sample::study();
    let mut random = crate::support::Random(77);
    for number in 0..120 {
        let report = hostile(|| random.next() >> 7);
        let stored = StoredReport {
            number,
            study: study.number,
            series: 1,
            public_id: "0123456789abcdef0123456789abcdef".to_owned(),
            version: 1,
            updated: 1_700_000_000_000_000,
            report,
        };
        for view in VIEWS {
            let (_, all) = resources(&context, &stored, &study, view, &[]);
            for resource in all {
                if let Err(reason) = fhir_types::check(resource.to_string().as_bytes()) {
                    panic!("{reason}: {resource:#}");
                }
                for section in resource["section"].as_array().into_iter().flatten() {
                    let div = section["text"]["div"].as_str().unwrap();
                    assert!(!div.contains("<script>") && !div.contains('\u{7}'), "{div}");
                }
                let found = complaints(&resource);
                assert!(found.is_empty(), "{found:#?} {resource:#}");
            }
        }
    }
}

#[test]
fn an_absent_number_says_why() {
    let context = sample::context(|_| ());
    let (mut stored, study) = first(Kind::Report, "1500");
    let code = |value: &str, scheme: &str| Code {
        value: value.to_owned(),
        scheme: Some(scheme.to_owned()),
        meaning: "m".to_owned(),
    };
    stored.report.items = vec![Item {
        relationship: "CONTAINS".to_owned(),
        concept: Some(code("103339001", "SCT")),
        content: Content::Number {
            number: None,
            unit: None,
            qualifier: Some(code("114006", "DCM")),
        },
        observed: None,
        observation: None,
        items: vec![],
    }];
    let rendered = render_report(&context, &stored, &study, View::Care);
    assert_eq!(
        rendered.observations[0]["dataAbsentReason"]["coding"],
        json!([
            {
                "system": "http://terminology.hl7.org/CodeSystem/data-absent-reason",
                "code": "error",
            },
            {
                "system": "http://dicom.nema.org/resources/ontology/DCM",
                "code": "114006", "display": "m",
            },
        ])
    );
    assert!(rendered.observations[0].get("valueQuantity").is_none());
}

#[test]
fn what_is_said_of_a_fetus_is_no_observation_of_the_patient() {
    let context = sample::context(|_| ());
    let (mut stored, study) = first(Kind::Report, "1500");
    let before = render_report(&context, &stored, &study, View::Care).observations.len();
    assert!(before > 3);
    stored.report.items.push(Item {
        relationship: "HAS OBS CONTEXT".to_owned(),
        concept: Some(Code {
            value: "121024".to_owned(),
            scheme: Some("DCM".to_owned()),
            meaning: "Subject Class".to_owned(),
        }),
        content: Content::Coded {
            code: Code {
                value: "121026".to_owned(),
                scheme: Some("DCM".to_owned()),
                meaning: "Fetus".to_owned(),
            },
        },
        observed: None,
        observation: None,
        items: vec![],
    });
    let after = render_report(&context, &stored, &study, View::Care);
    assert!(after.observations.is_empty(), "{:#?}", after.observations);
}

/// The structured reports and encapsulated documents of the public test files, where they are.
#[test]
fn reports_of_public_test_files_are_read_and_rendered() {
    let Some(folder) = std::env::var_os("VESALIUS_TEST_DICOM") else {
        eprintln!("skipped, because VESALIUS_TEST_DICOM names no folder of DICOM files");
        return;
    };
    let context = sample::context(|_| ());
    let all = from_folder(std::path::Path::new(&folder), IdSpace::Care);
    for (stored, study) in &all {
        for view in VIEWS {
            let (_, all) = resources(&context, stored, study, view, &[]);
            for resource in all {
                if let Err(reason) = fhir_types::check(resource.to_string().as_bytes()) {
                    panic!("{reason}: {resource:#}");
                }
                let found = complaints(&resource);
                assert!(found.is_empty(), "{found:#?} {resource:#}");
            }
        }
    }
    eprintln!("{} reports of public files", all.len());
}

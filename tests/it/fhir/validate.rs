//! The checker of `fhir/validate` on official examples and on planted defects.
//!
//! `conformance/profiles` compares it with other judges: `VESALIUS_TEST_VALIDATE` names a file of
//! cases, `VESALIUS_TEST_VERDICTS` the file that is written.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vesalius::fhir::validate::{Report, outcome, validate};

/// A case for all judges: a name, profiles beside those that are claimed, a resource.
struct Case {
    name: String,
    profiles: Vec<String>,
    resource: Value,
}

impl Case {
    fn report(&self) -> Report {
        let profiles: Vec<&str> = self.profiles.iter().map(String::as_str).collect();
        validate(&self.resource, &profiles)
    }
}

/// What the checker says of cases, as lines.
fn write(path: &Path, cases: &[Case]) {
    let mut verdicts = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    for case in cases {
        let report = case.report();
        for issue in &report.issues {
            let line = json!({ "case": case.name, "severity": issue.severity.code(),
                "where": issue.expression, "rule": issue.rule, "message": issue.diagnostics });
            writeln!(verdicts, "{line}").unwrap();
        }
        let done = json!({ "case": case.name, "errors": report.errors().count() });
        writeln!(verdicts, "{done}").unwrap();
    }
    writeln!(verdicts, "complete").unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// Official examples that are wrong, the first place, and why. The HAPI validator refuses them too
/// (`conformance/profiles/differences.toml` has those on which it differs).
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "hl7-eu-extensions-1.2.0/examples/Consent-consent-example.json",
        "Consent.scope",
        "written for R5, whose Consent has neither scope nor policy",
    ),
    (
        "hl7-eu-extensions-1.2.0/examples/Encounter-enc-example.json",
        "Encounter.status",
        "`completed` is a status of R5",
    ),
    (
        "hl7-eu-extensions-1.2.0/examples/Medication-04A-FirmagonBranded.json",
        "Medication.ingredient[0].item",
        "written for R5, whose ingredients are CodeableReferences",
    ),
];

#[test]
fn official_examples_are_accepted_where_they_are_right() {
    let Some(reference) = crate::support::reference("the official examples of HL7 Europe and IHE")
    else {
        return;
    };
    let mut cases = Vec::new();
    for package in files(&reference.join("eehrxf")) {
        for path in files(&package.join("examples")) {
            let name = path.strip_prefix(reference.join("eehrxf")).unwrap().display().to_string();
            let resource: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            cases.push(Case { name, profiles: Vec::new(), resource });
        }
    }
    assert!(cases.len() > 160, "{} examples", cases.len());
    let mut refused = Vec::new();
    for case in &cases {
        let report = case.report();
        if let Some(issue) = report.errors().next() {
            refused.push((case.name.clone(), issue.expression.clone()));
        }
    }
    let refused: Vec<(&str, &str)> =
        refused.iter().map(|(name, place)| (name.as_str(), place.as_str())).collect();
    let expected: Vec<(&str, &str)> =
        REFUSED.iter().map(|(name, place, _)| (*name, *place)).collect();
    assert_eq!(refused, expected);
}

/// `conformance/profiles/defects.toml`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Defects {
    defect: Vec<Defect>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Defect {
    of: String,
    name: String,
    base: String,
    patch: String,
    expression: String,
    rule: String,
    #[allow(dead_code, reason = "conformance/profiles keeps it")]
    seen: Vec<String>,
}

/// JSON Patch (RFC 6902), as far as the table uses it.
fn patch(resource: &mut Value, changes: &[Value]) {
    fn take(resource: &mut Value, path: &str) -> Value {
        let (parent, key) = path.rsplit_once('/').unwrap();
        match resource.pointer_mut(parent).unwrap() {
            Value::Array(values) => values.remove(key.parse().unwrap()),
            Value::Object(values) => values.shift_remove(key).unwrap(),
            other => panic!("{other}"),
        }
    }
    fn put(resource: &mut Value, path: &str, value: Value) {
        let (parent, key) = path.rsplit_once('/').unwrap();
        match resource.pointer_mut(parent).unwrap() {
            Value::Array(values) if key == "-" => values.push(value),
            Value::Array(values) => values.insert(key.parse().unwrap(), value),
            Value::Object(values) => drop(values.insert(key.to_owned(), value)),
            other => panic!("{other}"),
        }
    }
    for change in changes {
        let text = |key: &str| change[key].as_str().unwrap();
        match text("op") {
            "add" => put(resource, text("path"), change["value"].clone()),
            "remove" => drop(take(resource, text("path"))),
            "replace" => {
                take(resource, text("path"));
                put(resource, text("path"), change["value"].clone());
            }
            "move" => {
                let value = take(resource, text("from"));
                put(resource, text("path"), value);
            }
            other => panic!("{other}"),
        }
    }
}

fn example(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/profiles/examples");
    serde_json::from_slice(&std::fs::read(folder.join(format!("{name}.json"))).unwrap()).unwrap()
}

#[test]
fn every_planted_defect_is_refused_where_it_is_and_by_its_rule() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/profiles/defects.toml");
    let defects: Defects = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let of = |kind: &str| defects.defect.iter().filter(|defect| defect.of == kind).count();
    assert!(of("base") == 12 && of("profile") == 5 && of("own") >= 40);
    let mut wrong = Vec::new();
    for defect in &defects.defect {
        let mut resource = example(&defect.base);
        let right = validate(&resource, &[]);
        assert!(!right.has_errors(), "{}: {:#?}", defect.base, right.issues);
        let changes: Vec<Value> = serde_json::from_str(&defect.patch).unwrap();
        patch(&mut resource, &changes);
        let report = validate(&resource, &[]);
        let is_found = report
            .errors()
            .any(|issue| issue.expression == defect.expression && issue.rule == defect.rule);
        if !is_found {
            let found: Vec<String> = report
                .errors()
                .map(|issue| {
                    format!("{} by {}: {}", issue.expression, issue.rule, issue.diagnostics)
                })
                .collect();
            wrong.push(format!("{}: {found:#?}", defect.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} are not found as the table says:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn a_missing_slice_says_why_what_is_there_is_not_it() {
    let mut study = example("study");
    study["identifier"][0]["type"]["coding"][0]["code"] = "110181".into();
    let report = validate(&study, &[]);
    let issue = report.errors().next().unwrap();
    assert!(issue.rule.ends_with("#ImagingStudy.identifier:studyInstanceUid"), "{issue:#?}");
    assert!(issue.diagnostics.contains("[0] is not it: Identifier.type.coding"), "{issue:#?}");
}

#[test]
fn a_report_becomes_an_operation_outcome_that_is_valid_itself() {
    let mut study = example("study");
    study["status"] = "finished".into();
    let told = outcome(&validate(&study, &[]));
    assert_eq!(told["issue"][0]["expression"][0], "ImagingStudy.status");
    assert_eq!(told["issue"][0]["code"], "code-invalid");
    assert!(!validate(&told, &[]).has_errors(), "{told}");
    assert!(!validate(&outcome(&Report::default()), &[]).has_errors());
}

#[test]
fn a_profile_that_is_asked_for_must_be_known() {
    let study = example("study");
    assert!(validate(&study, &["https://unknown.example/profile"]).has_errors());
    let mado = "https://profiles.ihe.net/RAD/MADO/StructureDefinition/MadoImagingStudy";
    let places: Vec<String> =
        validate(&study, &[mado]).errors().map(|issue| issue.expression.clone()).collect();
    assert_eq!(places, Vec::<String>::new());
    let patient = "http://hl7.eu/fhir/base/StructureDefinition/patient-eu-core";
    assert!(validate(&study, &[patient]).has_errors());
}

#[test]
fn hostile_resources_are_refused_in_bounds() {
    // As deep as the JSON parser lets through.
    let deep = format!("{}{}", "{\"extension\":[".repeat(60), "]}".repeat(60));
    let deep = format!("{{\"resourceType\":\"Patient\",\"extension\":[{deep}]}}");
    let wide: Vec<Value> = (0..50_000).map(|_| json!({ "colour": 1 })).collect();
    let loops: Vec<Value> = (0..300)
        .map(|at| {
            let other = format!("urn:uuid:{}", (at + 1) % 300);
            json!({ "fullUrl": format!("urn:uuid:{at}"), "resource": {
                "resourceType": "Composition", "subject": { "reference": other },
                "author": [{ "reference": other }], "event": [{ "detail": [{ "reference": other }] }],
                "meta": { "profile": ["https://profiles.ihe.net/RAD/MADO/StructureDefinition/MadoComposition"] } } })
        })
        .collect();
    for resource in [
        serde_json::from_str(&deep).unwrap(),
        json!({ "resourceType": "Patient", "name": wide }),
        json!({ "resourceType": "Bundle", "type": "collection", "entry": loops }),
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "x", "resource": 7 }] }),
        json!({ "resourceType": "Nonsense\u{1f600}" }),
        json!([]),
        json!(null),
        json!({ "resourceType": ["Patient"] }),
    ] {
        let begin = std::time::Instant::now();
        let report = validate(&resource, &[]);
        let spent = begin.elapsed();
        assert!(report.has_errors());
        assert!(report.issues.len() <= 201, "{}", report.issues.len());
        assert_eq!(report, validate(&resource, &[]), "the same again");
        assert!(spent.as_secs() < 5, "{spent:?} for {}", resource["resourceType"]);
        eprintln!("{spent:?} {} {} issues", resource["resourceType"], report.issues.len());
    }
}

#[test]
fn a_large_study_is_checked_quickly() {
    let mut study = example("study");
    let instance = study["series"][0]["instance"][0].clone();
    let instances: Vec<Value> = (0..3_000)
        .map(|at| {
            let mut instance = instance.clone();
            instance["uid"] = format!("2.999.3.1.1.{at}").into();
            instance
        })
        .collect();
    study["series"][0]["instance"] = instances.into();
    let bytes = study.to_string().len();
    assert!(!validate(&study, &[]).has_errors());
    let begin = std::time::Instant::now();
    assert!(!validate(&study, &[]).has_errors());
    eprintln!("{bytes} bytes in {:?}", begin.elapsed());
}

#[test]
fn cases_that_a_run_names_are_judged() {
    let Some(file) = std::env::var_os("VESALIUS_TEST_VALIDATE") else {
        return;
    };
    let text = std::fs::read_to_string(file).unwrap();
    let case = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let profiles = line["profiles"].as_array().into_iter().flatten();
        Case {
            name: line["case"].as_str().unwrap().to_owned(),
            profiles: profiles.map(|url| url.as_str().unwrap().to_owned()).collect(),
            resource: line["resource"].clone(),
        }
    };
    let cases: Vec<Case> = text.lines().map(case).collect();
    let verdicts = std::env::var_os("VESALIUS_TEST_VERDICTS").unwrap();
    write(Path::new(&verdicts), &cases);
}

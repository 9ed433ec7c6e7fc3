//! The checker of `fhir/validate` on official examples and on planted defects.
//!
//! What it says of each case is written to `target/tmp/profiles/`, where `conformance/profiles`
//! compares it with other judges. `VESALIUS_TEST_VALIDATE` names a file of more cases.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vesalius::fhir::validate::{Report, validate};

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

/// Cases as lines, and what the checker says of them.
fn write(name: &str, cases: &[Case]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("profiles");
    std::fs::create_dir_all(&folder).unwrap();
    let file =
        |name: String| std::io::BufWriter::new(std::fs::File::create(folder.join(name)).unwrap());
    let mut lines = file(format!("{name}.cases.ndjson"));
    let mut verdicts = file(format!("{name}.ours.ndjson"));
    for case in cases {
        let line =
            json!({ "case": case.name, "profiles": case.profiles, "resource": case.resource });
        writeln!(lines, "{line}").unwrap();
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

#[test]
fn official_examples_are_judged() {
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
    assert!(cases.len() > 100, "{} examples", cases.len());
    write("official", &cases);
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
    write("named", &cases);
}

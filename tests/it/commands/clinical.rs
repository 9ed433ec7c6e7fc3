//! Clinical tables from outside: what a row gives, what the same row gives again, what is put aside.

use std::path::Path;

use serde_json::{Value, json};

use super::vesalius;

/// Who numbers the patients of the synthetic archive.
const ISSUER: &str = "2.25.227412346511820367510933417203958154";

const MAPPING: &str = r#"
kind = "clinical"
name = "mini"
title = "BI-RADS of one breast"
identity = { patient = "pid", issuer = { column = "issuer" }, accession = "acc", key = ["row"] }

[[resource]]
name = "left"
type = "Observation"
profile = "bi-rads-assessment"
needs = ["birads"]
study = "derivedFrom[0]"
fixed.status = "final"
fixed.category = [{ coding = [{ system = "http://terminology.hl7.org/CodeSystem/observation-category", code = "imaging" }] }]
fixed.code.coding = [{ system = "http://snomed.info/sct", code = "146611000146107" }]
fixed.bodySite = { coding = [{ system = "http://snomed.info/sct", code = "76752008" }], extension = [{ url = "laterality" }] }
element = [
    { column = "birads", path = "valueCodeableConcept", form = "concept", system = "bi-rads" },
    { column = "read", path = "effectiveDateTime", form = "date" },
]
"#;

/// What the operator's quarantine holds of clinical tables: code and line.
fn quarantine(data: &Path) -> Vec<(String, i64)> {
    let store = vesalius::store::Store::find(data, "").unwrap();
    let rows = store
        .read(|db| {
            let sources = vesalius::store::journal::list_sources(db)?;
            let kind = |number: i64| {
                sources.iter().find(|of| of.number == number).map(|of| of.kind.clone())
            };
            let rows = vesalius::store::journal::list_quarantined(db, (0, ""), 100)?;
            Ok(rows
                .into_iter()
                .filter(|row| kind(row.source).as_deref() == Some("clinical"))
                .collect::<Vec<_>>())
        })
        .unwrap();
    rows.into_iter().map(|row| (row.code.unwrap(), row.place.unwrap())).collect()
}

fn write(path: &Path, rows: &[&str]) {
    std::fs::write(path, format!("row,pid,issuer,acc,birads,read\n{}\n", rows.join("\n"))).unwrap();
}

#[test]
fn a_table_is_imported_once_and_what_is_wrong_is_put_aside() {
    let dir = tempfile::tempdir().unwrap();
    let (data, archive) = (dir.path().join("node"), dir.path().join("archive"));
    let (table, mapping) = (dir.path().join("table.csv"), dir.path().join("mini.toml"));
    std::fs::write(&mapping, MAPPING).unwrap();
    let words = |path: &Path| path.to_str().unwrap().to_owned();
    assert!(vesalius(&data, &["sample", &words(&archive), "--studies", "2"]).status.success());
    assert!(vesalius(&data, &["ingest", "folder", &words(&archive)]).status.success());
    let import = || -> Value {
        let said = vesalius(
            &data,
            &["--json", "ingest", "table", &words(&table), "--mapping", &words(&mapping)],
        );
        assert!(said.status.success(), "{said:?}");
        let text = String::from_utf8(said.stdout).unwrap();
        serde_json::from_str(text.lines().last().unwrap()).unwrap()
    };
    let counts = |summary: &Value| {
        let of = |name: &str| summary[name].as_u64().unwrap();
        [of("created"), of("changed"), of("unchanged"), of("quarantined"), of("vanished")]
    };
    let known = format!("1,SYN0000000,{ISSUER},A000000000,2,2024-01-02");
    let unknown = format!("2,NOBODY,{ISSUER},A777,1,2024-01-02");
    let rows: Vec<String> = vec![
        known.clone(),
        unknown.clone(),
        // No such category, no such date, no row of the table's form, no patient.
        format!("3,SYN0000000,{ISSUER},A000000000,9,2024-01-02"),
        format!("4,SYN0000000,{ISSUER},A000000000,2,2024-02-30"),
        format!("5,SYN0000000,{ISSUER},A000000000,2"),
        format!("6,,{ISSUER},A000000000,2,2024-01-02"),
        // A study of somebody else, a row without a study, a key that was there.
        format!("7,NOBODY,{ISSUER},A000000000,2,2024-01-02"),
        format!("8,SYN0000000,{ISSUER},,2,2024-01-02"),
        format!("1,SYN0000000,{ISSUER},A000000000,3,2024-01-02"),
    ];
    write(&table, &rows.iter().map(String::as_str).collect::<Vec<_>>());
    let first = import();
    assert_eq!(counts(&first), [2, 0, 0, 7, 0], "{first}");
    assert_eq!((&first["unknown_patients"], &first["unknown_studies"]), (&json!(1), &json!(1)));
    let aside: Vec<(u64, &str)> = first["aside"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["line"].as_u64().unwrap(), row["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        aside,
        [
            (4, "resource-invalid"),
            (5, "date-broken"),
            (6, "row-broken"),
            (7, "identity-missing"),
            (8, "study-of-another-patient"),
            (9, "resource-invalid"),
            (10, "key-twice"),
        ]
    );
    // Nothing of a row is told but where it stands.
    assert!(!first.to_string().contains("SYN0000000"), "{first}");
    // The operator sees the same rows, until an import takes them.
    let shown = quarantine(&data);
    let shown: Vec<(u64, &str)> =
        shown.iter().map(|(code, line)| (u64::try_from(*line).unwrap(), code.as_str())).collect();
    assert_eq!(shown, aside);

    write(&table, &[&known, &unknown]);
    assert_eq!(counts(&import()), [0, 0, 2, 0, 0]);
    assert_eq!(quarantine(&data), []);
    write(&table, &[&known.replace(",2,", ",4A,"), &unknown]);
    assert_eq!(counts(&import()), [0, 1, 1, 0, 0]);
    write(&table, &[&known]);
    assert_eq!(counts(&import()), [0, 1, 0, 0, 1]);
    // A row that cannot be read has not vanished.
    write(&table, &[&known, &unknown.replace(",1,", ",9,")]);
    assert_eq!(counts(&import()), [0, 0, 1, 1, 0]);
    assert_eq!(quarantine(&data), [("resource-invalid".to_owned(), 3)]);
    assert!(vesalius(&data, &["verify"]).status.success());

    let doctor = String::from_utf8(vesalius(&data, &["doctor"]).stdout).unwrap();
    for line in [
        "imaging: Image modality: 2 of 2 studies",
        "persons with cancer: Topography: 0 of 0 persons",
        "segmentation: Segment label: 0 of 0 annotations",
    ] {
        assert!(doctor.contains(line), "{line} in {doctor}");
    }
}

#[test]
fn resources_go_to_a_file_when_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let (data, table) = (dir.path().join("node"), dir.path().join("demo.csv"));
    let to = dir.path().join("out.ndjson");
    vesalius::sample::write_demo_clinical(&table).unwrap();
    assert!(vesalius(&data, &["migrate"]).status.success());
    let words = |path: &Path| path.to_str().unwrap().to_owned();
    let said = vesalius(
        &data,
        &["ingest", "table", &words(&table), "--mapping", "screening", "--to", &words(&to)],
    );
    let told = String::from_utf8(said.stdout).unwrap();
    assert!(told.contains("136 rows = 136 taken + 0 quarantined"), "{told}");
    let text = std::fs::read_to_string(&to).unwrap();
    assert_eq!(text.lines().count(), 1_137);
    for line in text.lines() {
        let resource: Value = serde_json::from_str(line).unwrap();
        assert!(resource["subject"]["identifier"]["value"].is_string(), "{line}");
    }
}

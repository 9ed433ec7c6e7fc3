//! `vesalius ingest fhir`: what another system exported, in files.

use serde_json::{Value, json};

use super::vesalius;

fn patient(id: &str, number: &str) -> Value {
    json!({ "resourceType": "Patient", "id": id, "identifier": [{ "value": number }] })
}

fn observation(id: &str, patient: &str) -> Value {
    json!({
        "resourceType": "Observation", "id": id, "status": "final", "code": { "text": "x" },
        "subject": { "reference": patient },
    })
}

#[test]
fn files_go_in_once_and_what_is_wrong_is_put_aside_by_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let (data, archive) = (dir.path().join("node"), dir.path().join("archive"));
    let from = dir.path().join("export");
    vesalius::sample::write(&archive, 2, 1).unwrap();
    let folder = archive.to_str().unwrap();
    assert!(vesalius(&data, &["ingest", "folder", folder]).status.success());

    std::fs::create_dir(&from).unwrap();
    // Patients stand behind what is about them, and in another file.
    let lines = [
        observation("a", "Patient/1").to_string(),
        String::new(),
        "{\"resourceType\":\"Observation\"".to_owned(),
        observation("b", "Patient/9").to_string(),
        observation("a", "Patient/1").to_string(),
        json!({ "resourceType": "Observation", "id": "c" }).to_string(),
        json!({ "resourceType": "Elephant", "id": "d" }).to_string(),
        observation("e", "Patient/2").to_string(),
        "[]".to_owned(),
    ];
    std::fs::write(from.join("a.ndjson"), lines.join("\n")).unwrap();
    let bundle = json!({
        "resourceType": "Bundle", "type": "collection",
        "entry": [
            { "resource": patient("1", "SYN0000000") },
            { "resource": patient("2", "NOBODY") },
            { "fullUrl": "urn:uuid:1", "resource": observation("f", "Patient/1") },
            { "fullUrl": "urn:uuid:2" },
        ],
    });
    std::fs::write(from.join("b.json"), serde_json::to_string_pretty(&bundle).unwrap()).unwrap();
    std::fs::write(from.join("c.txt"), "not looked at").unwrap();

    let import = |strict: bool| -> (Option<i32>, Value) {
        let mut words = vec!["ingest", "fhir", from.to_str().unwrap(), "--json"];
        words.extend(strict.then_some("--strict"));
        let done = vesalius(&data, &words);
        let told = String::from_utf8(done.stdout).unwrap();
        let error = String::from_utf8(done.stderr).unwrap();
        let last = told.lines().last().unwrap_or_else(|| panic!("{error}"));
        (done.status.code(), serde_json::from_str(last).unwrap())
    };
    let (status, first) = import(false);
    assert_eq!(status, Some(0));
    for (name, count) in [
        ("files", 2),
        ("resources", 12),
        ("links", 2),
        ("taken", 3),
        ("quarantined", 7),
        ("created", 3),
        ("changed", 0),
        ("unchanged", 0),
        ("unknown_patients", 1),
    ] {
        assert_eq!(first[name], count, "{name}: {first}");
    }
    let aside: Vec<(&str, u64, &str)> = first["aside"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let file = one["file"].as_str().unwrap().rsplit('/').next().unwrap();
            (file, one["line"].as_u64().unwrap(), one["code"].as_str().unwrap())
        })
        .collect();
    let entry = serde_json::to_string_pretty(&bundle).unwrap();
    let last = entry.lines().position(|line| line.contains("urn:uuid:2")).unwrap() as u64;
    assert_eq!(
        aside,
        [
            ("a.ndjson", 3, "json-broken"),
            ("a.ndjson", 4, "patient-unknown"),
            ("a.ndjson", 5, "twice"),
            ("a.ndjson", 6, "resource-invalid"),
            ("a.ndjson", 7, "type-not-kept"),
            ("a.ndjson", 9, "json-broken"),
            ("b.json", last, "no-resource"),
        ]
    );
    // The same again is nothing new, and a change is one version.
    let (status, again) = import(true);
    assert_eq!(status, Some(1), "what was put aside asks for a look");
    let counts = |said: &Value| ["created", "changed", "unchanged"].map(|name| said[name].clone());
    assert_eq!(counts(&again), [json!(0), json!(0), json!(3)], "{again}");
    let changed = std::fs::read_to_string(from.join("b.json")).unwrap();
    let changed = changed.replace("\"text\": \"x\"", "\"text\": \"y\"");
    std::fs::write(from.join("b.json"), changed).unwrap();
    assert_eq!(counts(&import(false).1), [json!(0), json!(1), json!(2)]);

    let wrong = vesalius(&data, &["ingest", "fhir", "/no/such/file"]);
    assert_eq!(wrong.status.code(), Some(2));
    let named = ["ingest", "fhir", from.to_str().unwrap(), "--name", "Not A Name"];
    assert_eq!(vesalius(&data, &named).status.code(), Some(2));
}

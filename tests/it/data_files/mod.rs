//! The published JSON Schemas: up to date, valid drafts, and true of every shipped file.

use std::path::{Path, PathBuf};

use vesalius::schemas;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Which shipped files are of which kind.
const SHIPPED: &[(&str, &str)] = &[
    ("config", "vesalius.example.toml"),
    ("series-table", "mappings/tables/idc.toml"),
    ("clinical-table", "mappings/clinical/screening.toml"),
    ("description-table", "mappings/tables/idc-collections.toml"),
    ("description", "catalogue/descriptions"),
    ("language", "catalogue/languages"),
    ("rules-invariants", "ig/rules/invariants.toml"),
    ("rules-primitives", "ig/rules/primitives.toml"),
    ("rules-profiles", "ig/rules/profiles"),
    ("rules-profiles", "ig/rules/own/profiles.toml"),
    ("rules-value-sets", "ig/rules/own/value-sets.toml"),
    ("rules-types", "ig/rules/r4/types.toml"),
    ("eucaim", "mappings/eucaim.toml"),
    ("mado", "mappings/mado.toml"),
    ("patient-ids", "mappings/patient-ids.toml"),
    ("codes", "mappings/codes.toml"),
    ("attributes", "mappings/mado-attributes.toml"),
];

fn toml_files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|kind| kind == "toml")).collect();
    files.sort();
    files
}

#[test]
fn published_schemas_are_those_of_this_version() {
    let folder = root().join("schemas");
    let is_to_be_written = std::env::var_os("VESALIUS_TEST_WRITE_SCHEMAS").is_some();
    let mut names = Vec::new();
    for (kind, schema) in schemas::all() {
        let path = folder.join(format!("{kind}.schema.json"));
        names.push(path.clone());
        let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        if is_to_be_written {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            published == text,
            "{} is not up to date: write it with `just schemas`",
            path.display()
        );
    }
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert!(names.contains(&path), "{} is of no kind of file", path.display());
    }
}

#[test]
fn schemas_are_valid_and_closed() {
    for (kind, schema) in schemas::all() {
        let value = schema.as_value();
        assert!(jsonschema::meta::is_valid(value), "`{kind}` is no valid JSON Schema");
        assert!(
            value.get("$schema").and_then(|s| s.as_str()).is_some_and(|s| s.contains("2020-12")),
            "`{kind}` names no draft"
        );
        let validator = jsonschema::validator_for(value).unwrap();
        assert!(
            !validator.is_valid(&serde_json::json!({ "no-such-key": 1 })),
            "`{kind}` takes any key"
        );
    }
}

/// As an editor sees it: dates are texts.
fn as_json(value: toml::Value) -> serde_json::Value {
    match value {
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(as_json).collect(),
        toml::Value::Table(table) => {
            table.into_iter().map(|(key, value)| (key, as_json(value))).collect()
        }
        other => serde_json::to_value(other).unwrap(),
    }
}

#[test]
fn shipped_files_are_valid_by_their_schemas() {
    let schemas = schemas::all();
    for (kind, path) in SHIPPED {
        let Some((_, schema)) = schemas.iter().find(|(known, _)| known == kind) else {
            panic!("there is no schema `{kind}`");
        };
        let validator = jsonschema::validator_for(schema.as_value()).unwrap();
        let files = toml_files(&root().join(path));
        assert!(!files.is_empty(), "{path} is empty");
        for file in files {
            let tree: toml::Value =
                toml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
            let json = as_json(tree);
            let errors: Vec<String> = validator
                .iter_errors(&json)
                .map(|e| format!("{}: {e}", e.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{}: {errors:#?}", file.display());
        }
    }
}

#[test]
fn every_data_file_says_what_it_is() {
    let mut wrong = Vec::new();
    for folder in ["mappings", "catalogue"] {
        for entry in walkdir::WalkDir::new(root().join(folder)) {
            let path = entry.unwrap().into_path();
            let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or("");
            if !["toml", "ttl", "rq"].contains(&kind) {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            // Standard, release and clause, or what it describes, in a comment at its head.
            let head = text.lines().next().unwrap_or("");
            if head.trim_start_matches(['#', ' ']).len() < 20 || !head.starts_with('#') {
                wrong.push(format!("{}: does not say what it is", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

//! The data files of this room hold to the JSON Schemas that are published for editors.

use std::path::Path;

#[test]
fn the_data_files_hold_to_their_schemas() {
    let schemas = vesalius::schemas::all();
    for (file, schema) in [
        ("dicom-imaging-study.toml", "elements"),
        ("dicom-patient.toml", "elements"),
        ("body-parts.toml", "body-parts"),
        ("codes.toml", "codes"),
        ("coding-schemes.toml", "coding-schemes"),
        ("manufacturers.toml", "manufacturers"),
        ("search-parameters.toml", "search-parameters"),
        ("search-parameters-records.toml", "search-parameters"),
        ("search-parameters-guide.toml", "search-parameters"),
    ] {
        let (_, schema) = schemas.iter().find(|(name, _)| *name == schema).unwrap();
        let schema = serde_json::to_value(schema).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("mappings").join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let value: toml::Value = toml::from_str(&text).unwrap();
        let json = serde_json::to_value(value).unwrap();
        let errors: Vec<String> = validator.iter_errors(&json).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{file}: {errors:?}");
        // A misspelt key is an error to an editor too.
        let mut wrong = json.clone();
        wrong["colour"] = "blue".into();
        assert!(!validator.is_valid(&wrong), "{file}");
    }
}

//! The commented example: complete, true, and valid by the published schema.

use std::collections::BTreeSet;
use std::path::PathBuf;

use vesalius::config::Config;

fn example() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vesalius.example.toml")
}

/// The example with every setting that stands in a comment switched on: `# key = value`.
fn switched_on() -> String {
    let text = std::fs::read_to_string(example()).unwrap();
    let is_setting = |line: &str| {
        let key = line.split('=').next().unwrap_or("").trim();
        line.contains('=')
            && !key.is_empty()
            && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    text.lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_setting(rest) => rest,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn the_example_changes_nothing_as_it_stands() {
    let config = Config::load(Some(&example()), []).unwrap();
    assert_eq!(
        toml::Value::try_from(&config).unwrap(),
        toml::Value::try_from(Config::default()).unwrap()
    );
}

#[test]
fn the_example_holds_every_key_with_its_default_and_no_other() {
    let tree: toml::Table = toml::from_str(&switched_on()).unwrap();
    let mut shown = Vec::new();
    fn walk(path: &str, tree: &toml::Table, shown: &mut Vec<(String, toml::Value)>) {
        for (key, value) in tree {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match value {
                toml::Value::Table(table) => walk(&path, table, shown),
                other => shown.push((path, other.clone())),
            }
        }
    }
    walk("", &tree, &mut shown);
    let keys = Config::keys();
    let names = |of: &[(String, toml::Value)]| {
        of.iter().map(|(path, _)| path.clone()).collect::<BTreeSet<_>>()
    };
    assert_eq!(names(&shown), names(&keys));
    for (path, default) in keys {
        let (_, value) = shown.iter().find(|(known, _)| *known == path).unwrap();
        assert_eq!(*value, default, "the default of `{path}`");
    }
    // Every key has words of its own above it.
    let text = std::fs::read_to_string(example()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (number, line) in lines.iter().enumerate().skip(1) {
        let key = line.trim_start_matches("# ").split(" = ").next().unwrap_or("");
        if line.contains(" = ") && names(&shown).iter().any(|path| path.ends_with(key)) {
            assert!(lines[number - 1].starts_with("# "), "`{key}` has no comment");
        }
    }
}

#[test]
fn the_example_is_valid_by_its_schema() {
    let schemas = vesalius::schemas::all();
    let (_, schema) = schemas.iter().find(|(kind, _)| *kind == "config").unwrap();
    let validator = jsonschema::validator_for(schema.as_value()).unwrap();
    let tree: toml::Value = toml::from_str(&switched_on()).unwrap();
    let json = serde_json::to_value(tree).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(&json).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let unknown = serde_json::json!({ "archive": { "zone": "Europe/Prague" } });
    assert!(!validator.is_valid(&unknown), "an unknown key is valid by the schema");
}

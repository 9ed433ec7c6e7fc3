//! Which room may import which, and what must not be named outside its room. The table is the
//! one of ARCHITECTURE.md; an exception carries its reason.

mod documents;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Room and what it may import besides `error`, `actor` and `config`, which every room below
/// them may. `*`: everything.
const RULES: &[(&str, &str)] = &[
    ("error", ""),
    ("actor", ""),
    ("config", ""),
    ("telemetry", ""),
    // What RFC 9110 says alike for both edges: they must not read the same header differently.
    ("http", ""),
    // What the edges say of their addresses: values, and the document of them.
    ("openapi", ""),
    ("imaging", ""),
    ("mapping", "imaging"),
    ("dicom", "imaging mapping"),
    ("source", "dicom imaging mapping"),
    ("audit", "imaging store"),
    ("auth", "store audit"),
    ("store", "imaging"),
    // The facts of a study are made by the tables that render it, so that an answer and its
    // count cannot disagree.
    ("index", "imaging mapping store"),
    ("ingest", "source dicom imaging mapping store audit"),
    ("catalogue", "store index mapping imaging"),
    ("access", "store index catalogue audit"),
    ("federation", "index catalogue audit"),
    // It asks `auth` who bears the request's token, as every edge does.
    ("fhir", "store index source mapping imaging access dicom audit auth http openapi"),
    // `imaging` and `mapping`: values and rows of a table, as in every other edge; it asks `auth` who
    // bears the token.
    ("dicomweb", "store index source dicom imaging mapping audit auth http openapi"),
    ("harvest", "catalogue audit store ingest auth http openapi"),
    ("web", "access catalogue index store ingest auth imaging openapi"),
    // The sample archive is written as files; the folder source reads it back in its test.
    ("sample", "dicom imaging source"),
    ("node", "auth index mapping store"),
    ("schemas", "*"),
    ("commands", "*"),
    ("app", "*"),
    ("lib", "*"),
    ("main", "*"),
];

/// Rooms below the values, which may not even import `actor` and `config`.
const BARE: &[&str] = &["error", "actor", "config", "telemetry", "http", "openapi", "imaging"];

/// A name, and the rooms that may use it.
const NAMES: &[(&str, &str, &str)] = &[
    (
        "actix_web",
        "http fhir dicomweb harvest web auth app commands",
        "no HTTP type below the edges",
    ),
    ("diesel", "store", "no diesel type above the store"),
    ("oxrdf", "catalogue harvest", "no RDF term outside the catalogue and harvest"),
    ("oxigraph", "catalogue harvest", "no RDF term outside the catalogue and harvest"),
    ("spareval", "catalogue", "no RDF term outside the catalogue and harvest"),
    ("oxttl", "catalogue harvest", "no RDF term outside the catalogue and harvest"),
    ("dicom_object", "dicom source sample", "DICOM is read within bounds, in its room"),
    ("dicom_parser", "dicom", "DICOM is read within bounds, in its room"),
    ("tags::", "dicom source", "no DICOM tag number outside dicom, source and mappings/"),
    ("Tag(0x", "dicom source", "no DICOM tag number outside dicom, source and mappings/"),
    ("println!", "commands", "only the command line writes to the terminal"),
    ("SystemTime::now", "", "the clock is an argument"),
    (
        "Timestamp::now",
        // The edge takes the time once per request and hands it down; `Retry-After` may be a date.
        "commands fhir node source",
        "the clock is an argument",
    ),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("fhir-types") {
            files(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

/// Every file of the product with its room and its code: no comments, no tests in the file.
fn code() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    files(&root, &mut found);
    let mut rooms = Vec::new();
    for path in found {
        let inside = path.strip_prefix(&root).unwrap();
        let room = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let room = room.trim_end_matches(".rs").to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
        let code: Vec<&str> =
            text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        rooms.push((room, path, code.join("\n")));
    }
    rooms
}

/// The rooms that a piece of code names, by `crate::room` and by `use crate::{room, …}`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        let word = |text: &str| {
            text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
        };
        match rest.strip_prefix('{') {
            None => {
                rooms.insert(word(rest));
            }
            Some(list) => {
                let mut depth = 0;
                let mut part = String::new();
                for c in list.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            let name = word(std::mem::take(&mut part).trim());
                            rooms.insert(name);
                        }
                        _ => {}
                    }
                    if c != ',' || depth > 0 {
                        part.push(c);
                    }
                }
                rooms.insert(word(part.trim()));
            }
        }
    }
    rooms.retain(|room| room.starts_with(|c: char| c.is_ascii_lowercase()));
    rooms
}

#[test]
fn rooms_import_only_what_they_may() {
    let rules: BTreeMap<&str, &str> = RULES.iter().copied().collect();
    let mut wrong = Vec::new();
    for (room, path, code) in code() {
        let Some(allowed) = rules.get(room.as_str()) else {
            wrong.push(format!("{}: room `{room}` has no rule", path.display()));
            continue;
        };
        let ground: &[&str] =
            if BARE.contains(&&*room) { &["error"] } else { &["error", "actor", "config"] };
        for import in imports(&code) {
            let is_allowed = *allowed == "*"
                || import == room
                || ground.contains(&&*import)
                || allowed.split(' ').any(|known| known == import);
            if !is_allowed {
                wrong.push(format!("{}: `{room}` may not import `{import}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn rooms_form_no_circle() {
    let mut left: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (room, _, code) in code() {
        let imported = imports(&code).into_iter().filter(|import| *import != room);
        left.entry(room.clone()).or_default().extend(imported);
    }
    // Whoever imports nobody that is left goes, until nobody is left.
    while !left.is_empty() {
        let rooms: BTreeSet<String> = left.keys().cloned().collect();
        left.retain(|_, imports| !imports.is_disjoint(&rooms));
        assert!(left.len() < rooms.len(), "they import each other: {left:#?}");
    }
}

#[test]
fn names_stay_in_their_rooms() {
    let mut wrong = Vec::new();
    for (room, path, code) in code() {
        for (name, rooms, rule) in NAMES {
            let is_used = code.match_indices(name).any(|(at, _)| {
                !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == 'e')
            });
            if is_used && !rooms.split(' ').any(|known| known == room) {
                wrong.push(format!("{}: `{name}`: {rule}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_room_stands_in_the_map() {
    let map =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md"))
            .unwrap();
    let rooms: BTreeSet<String> = code().into_iter().map(|(room, _, _)| room).collect();
    for room in rooms.iter().filter(|room| *room != "lib") {
        assert!(
            map.contains(&format!("`{room}/`")) || map.contains(&format!("`{room}.rs`")),
            "ARCHITECTURE.md has no line for `{room}`"
        );
    }
}

#[test]
fn imports_are_read_in_every_form() {
    let code = "use crate::a::B;\nuse crate::{c, d::{E, f}, g};\nlet x = crate::h::i();\n\
                use other_crate::j::K; $crate::k::L";
    assert_eq!(
        imports(code).into_iter().collect::<Vec<_>>(),
        ["a", "c", "d", "g", "h"].map(str::to_owned)
    );
}

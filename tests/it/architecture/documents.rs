//! What the documents name must exist: paths, links, commands with their options, recipes, keys of
//! the configuration. A document that names what was moved or renamed fails here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use vesalius::commands::Cli;
use vesalius::config::Config;

/// The documents that tell of the present. CHANGELOG.md tells of the past too.
const DOCUMENTS: &[&str] = &[
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "README.md",
    "conformance/README.md",
    "docs/benchmarks.md",
    "docs/dicomweb.md",
    "docs/mappings.md",
    "docs/operations.md",
];

/// Files of whoever follows a document, and files that appear at run time.
const THEIRS: &[&str] = &["my-table.toml", "vesalius.toml", "old.toml", "new.toml", "catalog.ttl"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Each document with its text, and the text of its fenced blocks.
fn documents() -> Vec<(&'static str, String, String)> {
    let read = |name: &&'static str| {
        let text = std::fs::read_to_string(root().join(name)).unwrap();
        let (mut prose, mut blocks, mut is_block) = (String::new(), String::new(), false);
        for line in text.lines() {
            if line.trim_start().starts_with("```") {
                is_block = !is_block;
                continue;
            }
            let side = if is_block { &mut blocks } else { &mut prose };
            side.push_str(line);
            side.push('\n');
        }
        (*name, prose, blocks)
    };
    DOCUMENTS.iter().map(read).collect()
}

/// What stands between backticks, on one line or two.
fn spans(prose: &str) -> Vec<String> {
    let between = prose.split("\n\n").flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2));
    between.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Every file and folder of the repository that is kept, by its path from the root.
fn kept() -> BTreeSet<String> {
    fn walk(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            let is_made = ["target", ".git", "node_modules", "__pycache__"];
            if is_made.iter().any(|made| path.ends_with(made)) {
                continue;
            }
            if path.is_dir() {
                walk(&path, found);
            }
            found.insert(name);
        }
    }
    let mut found = BTreeSet::new();
    walk(root(), &mut found);
    found
}

/// Whether a span reads as a path of this repository, and if so whether it leads anywhere: from
/// the root, from `src`, or as the end of a path, as one says `address.rs` where its folder is clear.
fn is_lost(span: &str, kept: &BTreeSet<String>) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let path = span.trim_end_matches('/');
    let file = path.rsplit('/').next().unwrap_or(path);
    let is_file = ["rs", "toml", "md", "py", "sh", "ttl", "mjs"]
        .iter()
        .any(|kind| Path::new(file).extension().is_some_and(|found| found == *kind));
    let first = path.split('/').next().unwrap_or(path);
    let is_ours = kept.contains(first) || kept.contains(&format!("src/{first}"));
    let is_path = span.chars().all(is_plain) && (is_file || (span.contains('/') && is_ours));
    // `tests/it/ROOM` stands for many; `system/ImagingStudy.rs` is a scope.
    let is_pattern = path.split('/').any(|part| {
        part.len() > 1 && part.bytes().all(|b| b.is_ascii_uppercase()) || part == "system"
    });
    if !is_path || is_pattern || THEIRS.contains(&path) || path.starts_with('/') {
        return false;
    }
    let end = format!("/{path}");
    let module = format!("/{path}.rs");
    !kept.iter().any(|known| {
        known == path || known.ends_with(&end) || (!is_file && known.ends_with(&module))
    })
}

#[test]
fn paths_that_documents_name_exist() {
    let kept = kept();
    let mut lost = Vec::new();
    for (document, prose, _) in documents() {
        let named = spans(&prose).into_iter().filter(|span| is_lost(span, &kept));
        lost.extend(named.map(|span| format!("{document}: `{span}`")));
        let folder = root().join(document).parent().map(Path::to_owned).unwrap_or_default();
        for link in prose.split("](").skip(1) {
            let link = link.split([')', '#']).next().unwrap_or_default();
            let is_here = !link.is_empty() && !link.contains("://");
            if is_here && !folder.join(link).exists() {
                lost.push(format!("{document}: the link to {link}"));
            }
        }
    }
    assert!(lost.is_empty(), "there is no such thing in the repository: {lost:#?}");
    for (span, expected) in [
        ("catalogue/desk.rs", false),
        ("address.rs", false),
        ("harvest/inbound/", false),
        ("catalogue/desc.rs", true),
        ("mappings/nothing.toml", true),
        ("src/nowhere/", true),
        ("text/turtle", false),
    ] {
        assert_eq!(is_lost(span, &kept), expected, "`{span}`");
    }
}

/// What a command line names that the program does not know.
fn unknown_of(line: &str) -> Option<String> {
    let mut command = Cli::command();
    command.build();
    let mut words = line.split_whitespace().peekable();
    if words.next() != Some("vesalius") {
        return None;
    }
    while let Some(word) = words.next() {
        if ["|", "&&", "||", ";", ">", "#", "\\"].contains(&word) {
            break;
        }
        if let Some(option) = word.strip_prefix("--") {
            let name = option.split('=').next().unwrap_or(option);
            let known = command.get_arguments().find(|known| known.get_long() == Some(name));
            let is_help = ["help", "version"].contains(&name);
            match known {
                None if !is_help => return Some(format!("`{line}`: there is no `--{name}`")),
                Some(known) if known.get_action().takes_values() && !option.contains('=') => {
                    words.next();
                }
                _ => {}
            }
        } else if let Some(next) = command.find_subcommand(word).cloned() {
            command = next;
        } else if command.has_subcommands() {
            return Some(format!("`{line}`: there is no `{word}`"));
        }
    }
    None
}

#[test]
fn commands_that_documents_name_are_the_programs() {
    let just = std::fs::read_to_string(root().join("justfile")).unwrap();
    let recipes: Vec<&str> = just
        .lines()
        .filter(|line| !line.starts_with([' ', '#']) && line.contains(':'))
        .filter_map(|line| line.split([' ', ':']).next())
        .collect();
    let mut wrong = Vec::new();
    for (document, prose, blocks) in documents() {
        let spans = spans(&prose);
        let lines = blocks.lines().map(|line| line.trim().to_owned()).chain(spans);
        for line in lines {
            wrong.extend(unknown_of(&line).map(|found| format!("{document}: {found}")));
            if let Some(recipe) = line.strip_prefix("just ").and_then(|r| r.split(' ').next())
                && !recipes.contains(&recipe)
            {
                wrong.push(format!("{document}: justfile has no recipe `{recipe}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(unknown_of("vesalius --data /tmp/x ingest table FILE --strict"), None);
    for wrong in ["vesalius inject folder", "vesalius ingest folders X", "vesalius serve --lisen x"]
    {
        assert!(unknown_of(wrong).is_some(), "{wrong}");
    }
}

#[test]
fn keys_that_documents_name_are_the_configurations() {
    let keys: Vec<String> = Config::keys().into_iter().map(|(key, _)| key).collect();
    let tables: BTreeSet<&str> = keys.iter().filter_map(|key| key.split('.').next()).collect();
    let is_key = |span: &str| {
        let is_plain = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
        let table = span.split('.').next().unwrap_or_default();
        let kind = PathBuf::from(span).extension().map(std::ffi::OsStr::to_owned);
        let is_file =
            kind.is_some_and(|kind| ["toml", "rs", "ttl"].contains(&&*kind.to_string_lossy()));
        span.chars().all(is_plain) && span.contains('.') && tables.contains(table) && !is_file
    };
    let mut unknown = Vec::new();
    for (document, prose, _) in documents() {
        for span in spans(&prose) {
            let span = span.split(" = ").next().unwrap_or(&span);
            let is_known = |key: &String| key == span || key.starts_with(&format!("{span}."));
            if is_key(span) && !keys.iter().any(is_known) {
                unknown.push(format!("{document}: `{span}`"));
            }
        }
    }
    assert!(unknown.is_empty(), "the configuration has no such key: {unknown:#?}");
}

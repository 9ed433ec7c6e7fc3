//! The same descriptions by two releases: what differs is data.

use std::collections::BTreeSet;

use vesalius::catalogue::{
    Gate, MemoryShelf, Publisher, Release, Shelf as _, Verdict, parse, samples,
};

use super::{Played, config, now};

/// Every predicate and class of the documents that a release makes of the samples.
fn terms(name: &str) -> BTreeSet<String> {
    let release = Release::load(name, None).unwrap();
    let gate = Gate::load(&release).unwrap();
    let config = config();
    let publisher = Publisher { config: &config, release: &release, gate: &gate };
    let shelf = MemoryShelf::default();
    let mut terms = BTreeSet::new();
    for (slug, text) in samples() {
        let file = format!("{slug}.toml");
        let outcome = publisher.publish(&file, text, &Played::default(), &shelf, now()).unwrap();
        assert_eq!(outcome.verdict, Verdict::Published, "{name} {slug}: {outcome:#?}");
        let entry = shelf.find(&slug).unwrap().unwrap();
        for triple in &parse(&entry.document).unwrap() {
            terms.insert(format!("{} {}", kind(triple.subject.to_string().as_str()), {
                triple.predicate.as_str()
            }));
            terms.insert(triple.object.to_string());
        }
    }
    terms
}

/// The dataset itself, or a part of it.
fn kind(subject: &str) -> &'static str {
    let path = subject.trim_end_matches('>').split_once("/dataset/").map_or("/", |(_, path)| path);
    if path.contains(['/', '#']) { "part" } else { "dataset" }
}

#[test]
fn an_older_release_is_a_change_of_configuration_only() {
    let (six, eight) = (terms("r6"), terms("r8"));
    let health = "http://healthdataportal.eu/ns/health#";
    let only = |own: &BTreeSet<String>, other: &BTreeSet<String>, term: &str| {
        assert!(own.contains(term) && !other.contains(term), "{term}");
    };
    only(&eight, &six, &format!("dataset {health}hasStructuredData"));
    only(&eight, &six, "part http://www.w3.org/ns/csvw#title");
    only(&six, &eight, "part http://www.w3.org/ns/csvw#titles");
    only(&six, &eight, "dataset http://www.w3.org/ns/adms#status");
    only(&six, &eight, "dataset http://purl.org/dc/terms/creator");
    let host = |terms: &BTreeSet<String>, host: &str| terms.iter().any(|term| term.contains(host));
    assert!(host(&eight, "https://hdeu-dcat.data.health.europa.eu/"));
    assert!(!host(&six, "https://hdeu-dcat.data.health.europa.eu/"));
    assert!(host(&six, "/resource/authority/healthcategories/EHRS"));
}

#[test]
fn a_release_that_is_not_there_is_named() {
    let wrong = Release::load("r99", None).unwrap_err().to_string();
    assert!(wrong.contains("releases/r99.toml"), "{wrong}");
}

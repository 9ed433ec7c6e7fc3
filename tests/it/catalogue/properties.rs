//! The property table of HealthDCAT-AP Release 8 held against what is written: none is forgotten.

use std::collections::BTreeMap;

use oxrdf::{Graph, NamedNode, vocab::rdf};
use vesalius::catalogue::{
    Page, Release, Shelf as _, Snapshot, Verdict, Writer, completeness, parse,
};

use super::{config, now, publish, published, release};

pub(super) const FULL: &str = include_str!("full.toml");

/// A catalogue that says everything about itself.
const ABOUT: &str = r#"
title.cs = "Katalog"
description.cs = "Popis katalogu"
licence = "CC BY 4.0"
rights.en = "Metadata may be reused."
issued = 2026-11-01
creator = { name = "Maker of the catalogue" }
[[part]]
iri = "https://example.org/part"
title.en = "Part"
description.en = "A part."
[service]
keywords.en = ["studies"]
landing_page = "https://example.org/service"
licence = "CC BY 4.0"
access_rights = "RESTRICTED"
"#;

/// Rows of the table that no document of ours has, and why.
const NOT_WRITTEN: &[(&str, &str, &str)] = &[
    (
        "Dataset",
        "http://purl.org/dc/terms/source",
        "its range is a dataset, and a document holds one: written as prov:wasDerivedFrom",
    ),
    (
        "CatalogRecord",
        "http://purl.org/dc/terms/source",
        "a record of ours has no other record as its source; harvested ones are the harvester's",
    ),
    (
        "PeriodOfTime",
        "http://www.w3.org/2006/time#hasBeginning",
        "dcat:startDate says it; two ways would be two truths",
    ),
    ("PeriodOfTime", "http://www.w3.org/2006/time#hasEnd", "as above: dcat:endDate"),
];

/// The classes of the table.
fn class(name: &str) -> &'static str {
    match name {
        "Dataset" => "dcat:Dataset",
        "Catalog" => "dcat:Catalog",
        "CatalogRecord" => "dcat:CatalogRecord",
        "Distribution" => "dcat:Distribution",
        "DataService" => "dcat:DataService",
        "DatasetSeries" => "dcat:DatasetSeries",
        "Agent" => "foaf:Agent",
        "ContactPoint" => "cv:ContactPoint",
        "TemporalEntity" => "time:TemporalEntity",
        "Kind" => "vcard:Kind",
        "TableGroup" => "csvw:TableGroup",
        "Table" => "csvw:Table",
        "Column" => "csvw:Column",
        "QualityCertificate" => "dqv:QualityCertificate",
        "Purpose" => "dpv:Purpose",
        "LegalBasis" => "dpv:LegalBasis",
        "LicenseDocument" => "dct:LicenseDocument",
        "Location" => "dct:Location",
        "PeriodOfTime" => "dct:PeriodOfTime",
        "Checksum" => "spdx:Checksum",
        "Concept" => "skos:Concept",
        "ConceptScheme" => "skos:ConceptScheme",
        "Identifier" => "adms:Identifier",
        "Relationship" => "dcat:Relationship",
        "Attribution" => "prov:Attribution",
        "Activity" => "prov:Activity",
        "Policy" => "odrl:Policy",
        "ProvenanceStatement" => "dct:ProvenanceStatement",
        "RightsStatement" => "dct:RightsStatement",
        other => panic!("the table has a class `{other}` that this test does not know"),
    }
}

/// Every document about the one dataset that says everything, and the listing.
fn everything() -> Graph {
    let mut config = config();
    config.catalogue.release = "r8".to_owned();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("catalogue.toml"), ABOUT).unwrap();
    let release = Release::load("r8", Some(folder.path())).unwrap();
    let shelf = published(&config);
    let outcome = publish(&config, &shelf, "everything.toml", FULL, now());
    assert_eq!(outcome.verdict, Verdict::Published, "{outcome:#?}");
    let writer = Writer { config: &config, release: &release };
    let entry = shelf.find("everything").unwrap().unwrap();
    let snapshot = Snapshot::take(&shelf, None).unwrap();
    let page = Page { number: 1, size: 100, suffix: None };
    let mut whole = parse(&entry.document).unwrap();
    for part in [
        writer.page(&shelf, &snapshot, page).unwrap().unwrap(),
        writer.record(&entry),
        writer.series(&shelf, "rounds").unwrap().unwrap().graph,
        writer.service(),
        writer.label(&entry).unwrap(),
    ] {
        for triple in &part {
            whole.insert(triple);
        }
    }
    whole
}

#[test]
fn every_property_of_the_profile_is_written() {
    let Some(folder) = std::env::var_os("VESALIUS_REFERENCE") else {
        println!("skipped: VESALIUS_REFERENCE names no folder with the property table");
        return;
    };
    let path = std::path::Path::new(&folder).join("reference/data/healthdcat-properties.tsv");
    let table = std::fs::read_to_string(path).unwrap();
    let (whole, release) = (everything(), release());
    let (mut rows, mut missing) = (0, Vec::new());
    for line in table.lines().skip(1).filter(|line| !line.trim().is_empty()) {
        let cells: Vec<&str> = line.split('\t').collect();
        let (name, property) = (cells[0], cells[2]);
        rows += 1;
        let is_exempt = NOT_WRITTEN.iter().any(|row| (row.0, row.1) == (name, property));
        let kind = release.term(class(name));
        let property = NamedNode::new(property).unwrap();
        let is_written = whole
            .subjects_for_predicate_object(rdf::TYPE, &kind)
            .any(|node| whole.objects_for_subject_predicate(node, &property).next().is_some());
        assert!(!(is_exempt && is_written), "{name} {property} is written after all");
        if !is_exempt && !is_written {
            missing.push(format!("{name} {property}"));
        }
    }
    println!("{rows} rows, {} not written on purpose", NOT_WRITTEN.len());
    assert!(rows >= 179, "{rows}");
    assert!(missing.is_empty(), "not written:\n{}", missing.join("\n"));
}

#[test]
fn texts_are_written_in_every_language_that_was_given() {
    let whole = everything();
    let tags: BTreeMap<String, usize> = whole.iter().fold(BTreeMap::new(), |mut tags, triple| {
        if let oxrdf::TermRef::Literal(literal) = triple.object
            && let Some(tag) = literal.language()
        {
            *tags.entry(tag.to_owned()).or_default() += 1;
        }
        tags
    });
    for language in ["en", "cs", "el"] {
        assert!(tags.get(language).is_some_and(|count| *count > 10), "{tags:?}");
    }
}

#[test]
fn the_minimum_elements_of_the_regulation_are_counted_and_named() {
    let (config, release) = (config(), release());
    let shelf = published(&config);
    let outcome = publish(&config, &shelf, "everything.toml", FULL, now());
    assert!(!outcome.problems.iter().any(|problem| problem.rule.contains("2026/2098")));
    let writer = Writer { config: &config, release: &release };
    let entry = shelf.find("everything").unwrap().unwrap();
    let document = parse(&entry.document).unwrap();
    let node = writer.dataset_iri("everything");
    let rights = entry.description().access_rights.unwrap();
    let standings = completeness(&document, &node, rights, &release);
    assert_eq!(standings.len(), 27);
    assert!(standings.iter().all(|standing| standing.is_there), "{standings:#?}");
    // Each element taken away is named, unless what is counted decides about it.
    let mut named = 0;
    for (element, standing) in release.elements.iter().zip(&standings) {
        let mut less = document.clone();
        let property = release.term(&element.property);
        let gone: Vec<_> = less
            .triples_for_subject(&node)
            .filter(|t| t.predicate == property)
            .map(|t| t.into_owned())
            .collect();
        for triple in &gone {
            less.remove(triple);
        }
        let after = completeness(&less, &node, rights, &release);
        let after = after.iter().find(|after| after.id == standing.id).unwrap();
        assert!(!after.is_there, "{}", element.id);
        named += usize::from(after.is_due);
    }
    assert!(named >= 22, "{named}");
    // A description without them: the report names element, key and remedy.
    let text = FULL
        .lines()
        .filter(|line| !line.starts_with("personal_data") && !line.starts_with("language"))
        .collect::<Vec<_>>()
        .join("\n");
    let outcome = publish(&config, &shelf, "less.toml", &text, now());
    for (element, key) in [("personal-data", "personal_data"), ("language", "language")] {
        let found = outcome.problems.iter().find(|problem| {
            problem.rule.contains(&format!("`{element}` of Regulation (EU) 2026/2098"))
        });
        assert!(found.is_some_and(|problem| problem.field == key), "{:#?}", outcome.problems);
    }
}

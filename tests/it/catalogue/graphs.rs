//! Documents: their forms, their stability, and what they must not hold.

use std::io::Read as _;
use std::sync::Arc;

use oxrdf::{Graph, Triple};
use vesalius::catalogue::{
    Format, Page, Shelf as _, Snapshot, Writer, canonical, emit, gzip, parse,
};

use super::{config, published, release};

/// The graph that a form says.
pub(crate) fn read(bytes: &[u8], format: Format) -> Graph {
    let mut graph = Graph::new();
    let mut put = |triple: Triple| {
        graph.insert(&triple);
    };
    match format {
        Format::Turtle => {
            oxttl::TurtleParser::new().for_slice(bytes).for_each(|t| put(t.unwrap()));
        }
        Format::NTriples => {
            oxttl::NTriplesParser::new().for_slice(bytes).for_each(|t| put(t.unwrap()));
        }
        Format::RdfXml => {
            oxrdfxml::RdfXmlParser::new().for_slice(bytes).for_each(|t| put(t.unwrap()));
        }
        Format::JsonLd => oxjsonld::JsonLdParser::new().for_slice(bytes).for_each(|quad| {
            let quad = quad.unwrap();
            put(Triple::new(quad.subject, quad.predicate, quad.object));
        }),
        Format::NQuads => oxttl::NQuadsParser::new().for_slice(bytes).for_each(|quad| {
            let quad = quad.unwrap();
            assert!(quad.graph_name.is_default_graph(), "{quad}");
            put(Triple::new(quad.subject, quad.predicate, quad.object));
        }),
    }
    graph
}

#[test]
fn every_form_of_a_document_is_the_same_graph() {
    let (config, release) = (config(), release());
    let shelf = published(&config);
    let writer = Writer { config: &config, release: &release };
    let page = Page { number: 1, size: 2, suffix: Some(Format::Turtle) };
    let snapshot = Snapshot::take(&shelf, None).unwrap();
    let mut graphs =
        vec![("page".to_owned(), writer.page(&shelf, &snapshot, page).unwrap().unwrap())];
    for entry in shelf.published(0, 10).unwrap() {
        graphs.push((entry.slug.clone(), parse(&entry.document).unwrap()));
        graphs.push((format!("record-of-{}", entry.slug), writer.record(&entry)));
    }
    for (name, graph) in graphs {
        let expected = canonical(&graph);
        for format in Format::ALL {
            let first = format!("https://node.example.org/dataset/{name}");
            let bytes = emit(&graph, *format, &release, &first).unwrap();
            assert_eq!(canonical(&read(&bytes, *format)), expected, "{name} {format:?}");
            assert_eq!(emit(&graph, *format, &release, &first).unwrap(), bytes, "stable");
            assert_eq!(gzip(&bytes), gzip(&bytes));
        }
    }
}

#[test]
fn awkward_literals_survive_every_form() {
    let release = release();
    let mut graph = Graph::new();
    let node = oxrdf::NamedNode::new("https://example.org/a#b").unwrap();
    for (place, text) in
        ["\"quoted\" \\ back", "line\nbreak\r\ttab", "<&>]]>", "žluťoučký 🩻", "", " a "]
            .iter()
            .enumerate()
    {
        for predicate in ["dct:title", "dcat:version", "dcat:byteSize"] {
            graph.insert(&Triple::new(
                node.clone(),
                release.term(predicate),
                oxrdf::Literal::new_simple_literal(format!("{place}{text}")),
            ));
        }
        graph.insert(&Triple::new(
            node.clone(),
            release.term("dct:title"),
            oxrdf::Literal::new_language_tagged_literal(*text, "cs").unwrap(),
        ));
        graph.insert(&Triple::new(
            node.clone(),
            release.term("dcat:byteSize"),
            oxrdf::Literal::new_typed_literal("007", release.term("xsd:nonNegativeInteger")),
        ));
    }
    for format in Format::ALL {
        let bytes = emit(&graph, *format, &release, node.as_str()).unwrap();
        assert_eq!(canonical(&read(&bytes, *format)), canonical(&graph), "{format:?}");
    }
}

#[test]
fn a_document_holds_one_dataset_no_catalogue_and_no_blank_node() {
    let (config, release) = (config(), release());
    let shelf = published(&config);
    for entry in shelf.published(0, 10).unwrap() {
        let graph = parse(&entry.document).unwrap();
        let count = |class: &str| {
            let class = release.term(class);
            graph.subjects_for_predicate_object(oxrdf::vocab::rdf::TYPE, &class).count()
        };
        assert_eq!(count("dcat:Dataset"), 1);
        assert_eq!(count("dcat:Catalog") + count("dcat:CatalogRecord"), 0);
        assert!(!entry.document.contains("_:"), "{}", entry.slug);
        assert!(entry.document.contains("#nonNegativeInteger"));
    }
}

/// The one member of a gzip file.
fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut decoder = flate2::bufread::GzDecoder::new(bytes);
    let mut plain = Vec::new();
    decoder.read_to_end(&mut plain).unwrap();
    assert!(decoder.into_inner().is_empty(), "one member");
    plain
}

#[test]
fn a_page_without_datasets_is_put_together_too() {
    let (config, release) = (config(), release());
    let shelf = vesalius::catalogue::MemoryShelf::default();
    let writer = Writer { config: &config, release: &release };
    let snapshot = Snapshot::take(&shelf, None).unwrap();
    let page = Page { number: 1, size: 2, suffix: None };
    let graph = writer.page(&shelf, &snapshot, page).unwrap().unwrap();
    for format in Format::ALL {
        let body = Arc::new(writer.page_packed(&shelf, &[], *format).unwrap());
        let parts = writer.page_parts(&snapshot, page, *format, body).unwrap();
        let plain = parts.plain().unwrap();
        assert_eq!(canonical(&read(&plain, *format)), canonical(&graph), "{format:?}");
        assert_eq!(unpacked(&parts.gzip().unwrap()), plain);
    }
}

#[test]
fn pages_are_walked_in_a_stable_order_to_an_end() {
    let (config, release) = (config(), release());
    let shelf = published(&config);
    let writer = Writer { config: &config, release: &release };
    let snapshot = Snapshot::take(&shelf, None).unwrap();
    let token = snapshot.token();
    let mut seen = Vec::new();
    let mut number = 1;
    loop {
        let page = Page { number, size: 2, suffix: Some(Format::RdfXml) };
        let graph = writer.page(&shelf, &snapshot, page).unwrap().unwrap();
        let slugs = snapshot.slugs(number, 2).unwrap();
        for format in Format::ALL {
            let body = Arc::new(writer.page_packed(&shelf, &slugs, *format).unwrap());
            let parts = writer.page_parts(&snapshot, page, *format, body).unwrap();
            let plain = parts.plain().unwrap();
            assert_eq!(canonical(&read(&plain, *format)), canonical(&graph), "{format:?}");
            assert_eq!(unpacked(&parts.gzip().unwrap()), plain, "{format:?}");
            if format.is_lines() {
                let mut lines: Vec<_> = plain.split_inclusive(|byte| *byte == b'\n').collect();
                lines.sort_unstable();
                assert_eq!(lines.concat(), canonical(&graph).as_bytes(), "each once");
            }
        }
        let kind = release.term("dcat:Dataset");
        seen.extend(
            graph
                .subjects_for_predicate_object(oxrdf::vocab::rdf::TYPE, &kind)
                .map(|subject| subject.to_string()),
        );
        let next: Vec<String> = graph
            .triples_for_predicate(&release.term("hydra:next"))
            .map(|triple| triple.object.to_string())
            .collect();
        if next.is_empty() {
            break;
        }
        number += 1;
        let expected =
            format!("<https://node.example.org/catalog.rdf?page={number}&snapshot={token}>");
        assert_eq!(next, [expected]);
    }
    seen.sort();
    seen.dedup();
    assert_eq!((number, seen.len()), (2, 3));
    let beyond = Page { number: 3, size: 2, suffix: None };
    assert!(writer.page(&shelf, &snapshot, beyond).unwrap().is_none());
}

#[test]
fn a_namespace_or_host_that_changes_is_a_change_of_data_only() {
    let folder = tempfile::tempdir().unwrap();
    let built_in = release();
    for path in [
        "releases/r8.toml",
        "shapes/healthdcat-ap-r8-common.ttl",
        "shapes/healthdcat-ap-r8-public.ttl",
        "shapes/healthdcat-ap-r8-restricted.ttl",
        "shapes/healthdcat-ap-r8-non-public.ttl",
    ] {
        let text = built_in
            .text(path)
            .unwrap()
            .replace("https://hdeu-dcat.data.health.europa.eu/", "https://next.example.eu/")
            .replace("http://healthdataportal.eu/ns/health#", "https://next.example.eu/ns#");
        let file = folder.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let release = vesalius::catalogue::Release::load("r8", Some(folder.path())).unwrap();
    let gate = vesalius::catalogue::Gate::load(&release).unwrap();
    let config = config();
    let publisher =
        vesalius::catalogue::Publisher { config: &config, release: &release, gate: &gate };
    let shelf = vesalius::catalogue::MemoryShelf::default();
    for (slug, text) in vesalius::catalogue::samples() {
        let outcome = publisher
            .publish(&format!("{slug}.toml"), text, &super::Played::default(), &shelf, super::now())
            .unwrap();
        assert_eq!(outcome.verdict, vesalius::catalogue::Verdict::Published, "{outcome:#?}");
        let entry = shelf.find(&slug).unwrap().unwrap();
        assert!(entry.document.contains("https://next.example.eu/ns#hdab"));
        assert!(!entry.document.contains("hdeu-dcat"));
    }
}

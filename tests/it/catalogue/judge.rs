//! What the judges of `conformance/catalogue/` judge: documents, and a corpus of faults with our
//! engine's verdicts. `VESALIUS_TEST_EXPORT=DIR` writes them; `conformance/catalogue/run` does it.

use std::fmt::Write as _;

use oxrdf::{Graph, Literal, NamedNode, Term, Triple};
use vesalius::catalogue::{ShapeOutcome, Shapes, Shelf as _, Writer, canonical, parse};

use super::{config, now, publish, published, release};

/// The minimum of a PUBLIC dataset, as `Description` documents it.
const MINIMAL: &str = "\
title.en = \"Minimal\"
description.en = \"The least that a PUBLIC dataset needs.\"
access_rights = \"PUBLIC\"
health_categories = [\"EHRS\"]
figures = \"exact\"
[selection]
collection = [\"c\"]
[[distribution]]
access_url = \"https://example.org/\"
licence = \"CC BY 4.0\"
selection = { licence = [\"CC BY 4.0\"] }
[[distribution]]
access_url = \"https://example.org/\"
licence = \"https://example.org/licence\"
selection = { licence = [\"Other\"] }
";

#[test]
fn documents_and_faults_are_written_for_the_judges() {
    let (config, release) = (config(), release());
    let shelf = published(&config);
    let outcome = publish(&config, &shelf, "minimal.toml", MINIMAL, now());
    assert_eq!(outcome.verdict, vesalius::catalogue::Verdict::Published, "{outcome:#?}");
    // What says everything that can be said, for the official judge too.
    let outcome = publish(&config, &shelf, "everything.toml", super::properties::FULL, now());
    assert_eq!(outcome.verdict, vesalius::catalogue::Verdict::Published, "{outcome:#?}");
    let writer = Writer { config: &config, release: &release };
    let gate = super::gate();
    let (mut verdicts, mut count, mut caught) = (String::new(), 0, 0);
    let folder = std::env::var_os("VESALIUS_TEST_EXPORT").map(std::path::PathBuf::from);
    if let Some(folder) = &folder {
        std::fs::create_dir_all(folder.join("faults")).unwrap();
        std::fs::write(folder.join("background.nt"), canonical(gate.background())).unwrap();
        assert_eq!(writer.export(&shelf, folder).unwrap(), 5);
    } else {
        println!("documents not written: VESALIUS_TEST_EXPORT is unset");
    }
    for entry in shelf.published(0, 10).unwrap() {
        let rights = entry.description().access_rights.unwrap();
        let shapes = gate.shapes(rights).unwrap();
        for (place, graph) in faults(&parse(&entry.document).unwrap()).iter().enumerate() {
            let outcomes = shapes.validate(graph, gate.background());
            count += 1;
            caught += usize::from(
                outcomes
                    .iter()
                    .any(|outcome| outcome.severity == vesalius::catalogue::Severity::Violation),
            );
            let name = format!("{}-{place}", entry.slug);
            write_down(&mut verdicts, &name, rights.level(), &outcomes);
            if let Some(folder) = &folder {
                let file = format!("faults/{name}.{}.nt", rights.level());
                std::fs::write(folder.join(file), canonical(graph)).unwrap();
            }
        }
    }
    let (components, outcomes) = components();
    write_down(&mut verdicts, "all", "components", &outcomes);
    if let Some(folder) = &folder {
        std::fs::write(folder.join("all.components.nt"), canonical(&components)).unwrap();
        std::fs::write(folder.join("verdicts.tsv"), &verdicts).unwrap();
    }
    println!("{count} faulty documents, {caught} with violations");
    assert!(count > 200 && caught * 10 > count * 6, "{caught} of {count}");
}

fn write_down(verdicts: &mut String, name: &str, level: &str, outcomes: &[ShapeOutcome]) {
    for outcome in outcomes {
        writeln!(
            verdicts,
            "{name}\t{level}\t{}\t{}\t{}\t{:?}\t{}",
            outcome.focus,
            outcome.property.as_ref().map_or("-", |property| property.as_str()),
            outcome.component,
            outcome.severity,
            outcome.value.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        )
        .unwrap();
    }
}

/// Every component of our engine, over data that meet and break it.
fn components() -> (Graph, Vec<ShapeOutcome>) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/conformance/catalogue");
    let text = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).unwrap();
    let mut data = Graph::new();
    for triple in oxttl::TurtleParser::new().for_slice(&text("components-data.ttl")) {
        data.insert(&triple.unwrap());
    }
    let name = "components-shapes.ttl";
    let shapes = Shapes::read(&[(name, &text(name))]).unwrap();
    let outcomes = shapes.validate(&data, &Graph::new());
    (data, outcomes)
}

#[test]
fn every_component_of_shacl_that_we_have_finds_something() {
    let (_, outcomes) = components();
    let found: std::collections::BTreeSet<&str> =
        outcomes.iter().map(|outcome| outcome.component).collect();
    assert_eq!(found.len(), 28, "{found:?}");
    assert!(
        outcomes.iter().all(|outcome| !outcome.focus.to_string().ends_with("good>")
        // The good node is there to be counted twice by these only.
        || matches!(outcome.component, "NodeKindConstraintComponent" | "EqualsConstraintComponent"
            | "MaxExclusiveConstraintComponent" | "XoneConstraintComponent"
            | "MaxCountConstraintComponent")),
        "{outcomes:#?}"
    );
}

#[test]
fn shapes_with_unknown_components_are_refused() {
    for (shape, word) in [
        ("sh:sparql [ ]", "sh:sparql"),
        ("sh:property [ sh:path ex:a ; sh:minCuont 1 ]", "sh:minCuont"),
        ("sh:property [ sh:path ex:a ; sh:minCount \"many\" ]", "number"),
        ("sh:property [ sh:path ex:a ; sh:pattern \"(\" ]", "regex"),
        ("sh:severity ex:Awful", "severity"),
        ("sh:in ( 1", ""),
    ] {
        let text = format!(
            "@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix ex: <https://e.org/> . \
             ex:S a sh:NodeShape ; sh:targetClass ex:T ; {shape} ."
        );
        let problem = Shapes::read(&[("wrong.ttl", &text)]).unwrap_err().to_string();
        assert!(problem.contains(word) && problem.contains("wrong.ttl"), "{shape}: {problem}");
    }
}

/// One fault each: every predicate of the dataset removed, doubled, and with a value of the wrong
/// kind; then parts of the other nodes.
fn faults(document: &Graph) -> Vec<Graph> {
    let mut triples: Vec<Triple> = document.iter().map(|triple| triple.into_owned()).collect();
    triples.sort_by_cached_key(ToString::to_string);
    let mut kinds = Vec::new();
    let mut corpus = Vec::new();
    for triple in &triples {
        // One node of each class stands for all.
        let class = document
            .object_for_subject_predicate(&triple.subject, oxrdf::vocab::rdf::TYPE)
            .map(|class| class.to_string());
        let key = (class, triple.predicate.clone());
        if kinds.contains(&key) {
            continue;
        }
        kinds.push(key);
        let with = |object: Option<Term>, keep: bool| {
            let mut graph = document.clone();
            if !keep {
                for other in &triples {
                    if other.subject == triple.subject && other.predicate == triple.predicate {
                        graph.remove(other);
                    }
                }
            }
            if let Some(object) = object {
                graph.insert(&Triple::new(
                    triple.subject.clone(),
                    triple.predicate.clone(),
                    object,
                ));
            }
            graph
        };
        let stranger = NamedNode::new("https://example.org/stranger").unwrap();
        corpus.push(with(None, false));
        corpus.push(with(Some(stranger.into()), true));
        corpus.push(with(Some(Literal::new_simple_literal("yesterday").into()), false));
        if let Term::Literal(literal) = &triple.object
            && literal.language().is_none()
        {
            let broken = Literal::new_typed_literal("-1.x", literal.datatype().into_owned());
            corpus.push(with(Some(broken.into()), false));
        }
    }
    corpus
}

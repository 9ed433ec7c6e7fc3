//! Faults planted into the document that says everything: the gate finds each, names the steward's
//! field, and says what to do.

use oxrdf::{Graph, Literal, NamedNode, Term, Triple, vocab::rdf};
use vesalius::catalogue::{AccessRights, MemoryShelf, Release, Severity, Shelf as _, parse};

use super::properties::FULL;
use super::{config, now, publish, release};

/// A document with a fault to be.
struct Patient<'a> {
    graph: Graph,
    release: &'a Release,
    dataset: NamedNode,
}

impl Patient<'_> {
    /// The first node of a class; of the dataset itself for `dcat:Dataset`.
    fn node(&self, class: &str) -> NamedNode {
        if class == "dcat:Dataset" {
            return self.dataset.clone();
        }
        let kind = self.release.term(class);
        let mut nodes: Vec<String> = self
            .graph
            .subjects_for_predicate_object(rdf::TYPE, &kind)
            .map(|node| node.to_string())
            .collect();
        nodes.sort();
        let first = nodes.first().unwrap_or_else(|| panic!("no {class}"));
        NamedNode::new(first.trim_matches(['<', '>'])).unwrap()
    }

    fn drop(&mut self, class: &str, property: &str) {
        let (node, property) = (self.node(class), self.release.term(property));
        let gone: Vec<Triple> = self
            .graph
            .triples_for_subject(&node)
            .filter(|triple| triple.predicate == property)
            .map(oxrdf::TripleRef::into_owned)
            .collect();
        assert!(!gone.is_empty(), "{class} has no {property}");
        for triple in &gone {
            self.graph.remove(triple);
        }
    }

    fn put(&mut self, class: &str, property: &str, value: Term) {
        let triple = Triple::new(self.node(class), self.release.term(property), value);
        self.graph.insert(&triple);
    }

    fn swap(&mut self, class: &str, property: &str, value: Term) {
        self.drop(class, property);
        self.put(class, property, value);
    }
}

fn iri(text: &str) -> Term {
    NamedNode::new(text).unwrap().into()
}

fn text(value: &str) -> Term {
    Literal::new_simple_literal(value).into()
}

/// What is done: drop, put one more, or put another instead.
enum What {
    Drop,
    Put(Term),
    Swap(Term),
}

#[test]
#[allow(clippy::too_many_lines, reason = "one row per fault")]
fn more_than_forty_planted_faults_are_found_and_named() {
    use What::{Drop, Put, Swap};
    let release = release();
    let gate = super::gate();
    let shelf = MemoryShelf::default();
    publish(&config(), &shelf, "everything.toml", FULL, now());
    let document = shelf.find("everything").unwrap().unwrap().document;
    let whole = parse(&document).unwrap();
    let clean = gate.check(AccessRights::NonPublic, &whole, &release);
    assert!(clean.iter().all(|problem| problem.severity != Severity::Violation), "{clean:#?}");
    let typed = |value: &str, kind: &str| -> Term {
        Literal::new_typed_literal(value, release.term(kind)).into()
    };
    let other = || iri("https://example.org/other");
    // Class, property, what is done, the field that must be named.
    let rows: Vec<(&str, &str, What, &str)> = vec![
        ("dcat:Dataset", "dct:title", Drop, "title"),
        ("dcat:Dataset", "dct:title", Swap(other()), "title"),
        ("dcat:Dataset", "dct:description", Drop, "description"),
        ("dcat:Dataset", "dct:identifier", Drop, "server.public_url"),
        ("dcat:Dataset", "dct:accessRights", Drop, "access_rights"),
        ("dcat:Dataset", "dct:accessRights", Put(other()), "access_rights"),
        ("dcat:Dataset", "dcatap:applicableLegislation", Drop, "applicable_legislation"),
        ("dcat:Dataset", "healthdcatap:healthCategory", Drop, "health_categories"),
        ("dcat:Dataset", "healthdcatap:healthCategory", Swap(other()), "health_categories"),
        ("dcat:Dataset", "healthdcatap:healthTheme", Swap(other()), "health_themes"),
        ("dcat:Dataset", "healthdcatap:hdab", Drop, "hdab"),
        ("dcat:Dataset", "healthdcatap:hdab", Put(other()), "hdab"),
        ("dcat:Dataset", "healthdcatap:hdabCoordinator", Swap(other()), "hdab_coordinator"),
        ("dcat:Dataset", "geodcatap:custodian", Put(other()), "custodian"),
        ("dcat:Dataset", "dct:publisher", Swap(other()), "publisher"),
        ("dcat:Dataset", "dcat:theme", Drop, "themes"),
        ("dcat:Dataset", "dcat:contactPoint", Drop, "contact"),
        ("dcat:Dataset", "dcat:keyword", Drop, "keywords"),
        ("dcat:Dataset", "dct:provenance", Drop, "provenance"),
        ("dcat:Dataset", "dct:type", Drop, "type"),
        ("dcat:Dataset", "dct:conformsTo", Put(other()), "conforms_to"),
        ("dcat:Dataset", "healthdcatap:hasCodingSystem", Put(other()), "coding_systems"),
        (
            "dcat:Dataset",
            "dpv:hasPersonalData",
            Put(iri("https://w3id.org/dpv/pd#Age")),
            "personal_data",
        ),
        ("dcat:Dataset", "dct:language", Swap(text("en")), "language"),
        ("dcat:Dataset", "dct:spatial", Put(other()), "spatial"),
        ("dcat:Dataset", "dct:accrualPeriodicity", Put(other()), "frequency"),
        ("dcat:Dataset", "dcat:temporalResolution", Swap(text("2 years")), "temporal_resolution"),
        ("dcat:Dataset", "dcat:spatialResolutionInMeters", Swap(text("fine")), "selection"),
        (
            "dcat:Dataset",
            "dcat:spatialResolutionInMeters",
            Put(typed("-1.5", "xsd:decimal")),
            "selection",
        ),
        ("dcat:Dataset", "dcat:hasVersion", Put(text("1.0")), "versions"),
        ("dcat:Dataset", "dcat:prev", Put(other()), "series.previous"),
        ("dcat:Dataset", "dcat:qualifiedRelation", Put(other()), "qualified_relations"),
        ("dcat:Dataset", "prov:qualifiedAttribution", Put(other()), "attributions"),
        ("dcat:Relationship", "dct:relation", Drop, "qualified_relations.relation"),
        ("dcat:Relationship", "dcat:hadRole", Drop, "qualified_relations.role"),
        ("prov:Attribution", "prov:agent", Drop, "attributions.agent"),
        ("prov:Attribution", "dcat:hadRole", Swap(other()), "attributions.role"),
        ("time:TemporalEntity", "dct:description", Drop, "opening_hours.description"),
        ("time:TemporalEntity", "cv:frequency", Swap(other()), "opening_hours.frequency"),
        ("spdx:Checksum", "spdx:algorithm", Drop, "distribution.checksum.algorithm"),
        ("spdx:Checksum", "spdx:checksumValue", Swap(text("ABC")), "distribution.checksum.value"),
        ("odrl:Permission", "odrl:action", Drop, "distribution.policy"),
        ("dcat:Distribution", "spdx:checksum", Put(other()), "distribution.checksum"),
        ("dcat:Distribution", "odrl:hasPolicy", Put(other()), "distribution.policy"),
        ("dcat:Distribution", "dcat:compressFormat", Put(other()), "distribution.compress_format"),
        ("dcat:Distribution", "dcat:packageFormat", Put(other()), "distribution.package_format"),
        ("dcat:Distribution", "dct:language", Put(other()), "distribution.language"),
        ("dcat:Distribution", "dct:issued", Put(text("May")), "distribution.issued"),
        ("dcat:Distribution", "dct:modified", Put(text("May")), "distribution.modified"),
        ("csvw:Column", "csvw:datatype", Drop, "catalogue/vocabularies/variables.toml"),
    ];
    assert!(rows.len() >= 40 + 5, "{}", rows.len());
    let dataset = NamedNode::new("https://node.example.org/dataset/everything").unwrap();
    let mut unseen = Vec::new();
    for (class, property, what, field) in rows {
        let mut patient =
            Patient { graph: whole.clone(), release: &release, dataset: dataset.clone() };
        let class = match class {
            // Not every distribution has everything.
            "dcat:Distribution" => "",
            other => other,
        };
        if class.is_empty() {
            let node = NamedNode::new(format!("{}/distribution/1", dataset.as_str())).unwrap();
            patient.dataset = node;
        }
        let class = if class.is_empty() { "dcat:Dataset" } else { class };
        let done = match what {
            Drop => {
                patient.drop(class, property);
                "without"
            }
            Put(value) => {
                patient.put(class, property, value);
                "with another"
            }
            Swap(value) => {
                patient.swap(class, property, value);
                "with a wrong"
            }
        };
        let problems = gate.check(AccessRights::NonPublic, &patient.graph, &release);
        let found = problems
            .iter()
            .find(|problem| problem.severity == Severity::Violation && problem.field == field);
        match found {
            None => unseen.push(format!("{done} {property} of {class}: {problems:#?}")),
            Some(problem) => assert!(!problem.remedy.is_empty() && !problem.rule.is_empty()),
        }
    }
    assert!(unseen.is_empty(), "{}", unseen.join("\n"));
}

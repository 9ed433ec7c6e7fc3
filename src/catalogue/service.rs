//! The SPARQL endpoint described by itself (SPARQL 1.1 Service Description).

use oxrdf::{Graph, NamedNode};

use super::graph::{Draft, Writer};

/// Names of forms in `http://www.w3.org/ns/formats/`.
const FORMS: &[&str] = &[
    "formats:SPARQL_Results_JSON",
    "formats:SPARQL_Results_XML",
    "formats:SPARQL_Results_CSV",
    "formats:SPARQL_Results_TSV",
    "formats:Turtle",
    "formats:JSON-LD",
    "formats:RDF_XML",
    "formats:N-Triples",
    "formats:N-Quads",
];

impl Writer<'_> {
    /// The service description of `/sparql`. Its named graphs are not listed: there is one for
    /// each published dataset, with the dataset's IRI.
    #[must_use]
    pub fn sparql_service(&self) -> Graph {
        let mut draft = Draft::new(*self);
        let node = self.iri("/sparql");
        draft.kind(&node, "sd:Service");
        draft.add(&node, "sd:endpoint", node.clone());
        let rows =
            [("sd:supportedLanguage", "sd:SPARQL11Query"), ("sd:feature", "sd:UnionDefaultGraph")];
        for (predicate, object) in rows {
            let object = draft.release.term(object);
            draft.add(&node, predicate, object);
        }
        for form in FORMS {
            let form = draft.release.term(form);
            draft.add(&node, "sd:resultFormat", form);
        }
        let part = |name: &str| NamedNode::new_unchecked(format!("{}#{name}", node.as_str()));
        let (dataset, default) = (part("dataset"), part("default-graph"));
        draft.add(&node, "sd:defaultDataset", dataset.clone());
        draft.kind(&dataset, "sd:Dataset");
        draft.tagged(
            &dataset,
            "dct:description",
            "en",
            "Every published dataset with its catalogue record is a named graph, named by the \
             dataset's IRI; so are its quality label (in catalogues of at most 1,000 datasets), each \
             series and the catalogue; the default graph is the RDF merge of all.",
        );
        draft.add(&dataset, "rdfs:seeAlso", self.iri("/catalog"));
        draft.add(&dataset, "sd:defaultGraph", default.clone());
        draft.kind(&default, "sd:Graph");
        draft.graph
    }
}

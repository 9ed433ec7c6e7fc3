//! EUCAIM DCAT-AP 2.0 (August 2026, on HealthDCAT-AP Release 7): what it adds stands in the dataset's
//! one document; where it conflicts with Release 8 there is a view of its own,
//! `/dataset/{slug}/eucaim`.

use std::collections::HashSet;

use oxrdf::{Graph, NamedNode, TermRef};

use super::{Draft, Subject, Writer};
use crate::catalogue::release::Scheme;
use crate::catalogue::shelf::Entry;
use crate::imaging::Facet;

/// Facets that become properties: the terms are aliases of the vocabulary's concepts.
const COMPUTED: &[(Facet, &str, Scheme)] = &[
    (Facet::Sex, "eucaim:hasBirthSex", Scheme::EucaimSex),
    (Facet::Modality, "eucaim:hasImageModality", Scheme::EucaimModality),
    (Facet::Manufacturer, "eucaim:hasEquipmentManufacturer", Scheme::EucaimManufacturer),
    (Facet::BodySite, "eucaim:hasImageBodyPart", Scheme::EucaimBodyPart),
];

impl Writer<'_> {
    /// The properties that EUCAIM adds and that no rule of Release 8 minds.
    pub(super) fn eucaim_additions(
        &self,
        draft: &mut Draft<'_>,
        node: &NamedNode,
        subject: &Subject<'_>,
    ) {
        let Some(own) = &subject.description.eucaim else { return };
        for (facet, predicate, scheme) in COMPUTED {
            for shown in subject.figures.terms(*facet) {
                // A term without a class of the hyper-ontology is not made to fit one.
                if self.release.concept(*scheme, &shown.term).is_some() {
                    draft.concept(node, predicate, *scheme, &shown.term);
                }
            }
        }
        let one = |predicate, scheme, codes: &[String], draft: &mut Draft<'_>| {
            for code in codes {
                draft.concept(node, predicate, scheme, code);
            }
        };
        if let Some(code) = &own.interoperability_level {
            draft.concept(node, "eucaim:interoperabilityLevel", Scheme::EucaimTier, code);
        }
        if let Some(code) = &own.condition {
            draft.concept(node, "eucaim:hasCondition", Scheme::EucaimCondition, code);
        }
        let methods = &own.collection_methods;
        one("eucaim:collectionMethod", Scheme::EucaimCollectionMethod, methods, draft);
        one("eucaim:hasAnnotationLabel", Scheme::EucaimLabel, &own.annotation_labels, draft);
        one("eucaim:hasAlgorithmType", Scheme::EucaimAlgorithm, &own.algorithm_types, draft);
        let segmented = subject.figures.terms(Facet::Modality).find(|shown| shown.term == "SEG");
        if let Some(records) = segmented.and_then(|shown| shown.records) {
            let records = records.to_string();
            draft.typed(node, "eucaim:nbrOfSegmentations", &records, "xsd:nonNegativeInteger");
        }
    }

    /// The document as EUCAIM reads it. It differs where Release 8 forbids what EUCAIM demands:
    /// `dct:type` is EUCAIM's type of data, not the EU dataset type; `dct:rights` of a distribution
    /// is EUCAIM's access condition, not words.
    #[must_use]
    pub fn eucaim(&self, subject: &Subject<'_>) -> Graph {
        let mut draft = Draft::new(*self);
        draft.graph = self.dataset(subject);
        let node = self.dataset_iri(subject.slug);
        let all: HashSet<NamedNode> = draft
            .graph
            .objects_for_subject_predicate(&node, &self.release.term("dcat:distribution"))
            .filter_map(|value| match value {
                TermRef::NamedNode(part) => Some(part.into_owned()),
                _ => None,
            })
            .collect();
        let mut replace = |subject: &NamedNode, predicate: &str, scheme, codes: &[String]| {
            if codes.is_empty() {
                return;
            }
            let term = self.release.term(predicate);
            let old: Vec<oxrdf::Triple> = draft
                .graph
                .triples_for_subject(subject)
                .filter(|triple| triple.predicate == term)
                .map(oxrdf::TripleRef::into_owned)
                .collect();
            for triple in &old {
                draft.graph.remove(triple);
            }
            for code in codes {
                draft.concept(subject, predicate, scheme, code);
            }
        };
        if let Some(own) = &subject.description.eucaim {
            replace(&node, "dct:type", Scheme::EucaimDataType, &own.kind);
        }
        let given = &subject.description.distributions;
        // A distribution without conditions of its own, as those that we add, has those of the
        // first that says any.
        let common = given.iter().map(|one| &one.access_conditions).find(|all| !all.is_empty());
        let empty = Vec::new();
        for place in 0..=given.len() {
            let own = given.get(place).map_or(&empty, |one| &one.access_conditions);
            let conditions = if own.is_empty() { common.unwrap_or(&empty) } else { own };
            let part =
                NamedNode::new_unchecked(format!("{}/distribution/{}", node.as_str(), place + 1));
            if all.contains(&part) {
                replace(&part, "dct:rights", Scheme::EucaimAccessCondition, conditions);
            }
        }
        draft.graph
    }

    /// The EUCAIM view of a published dataset, from what is kept beside its document.
    #[must_use]
    pub fn eucaim_of(&self, entry: &Entry) -> Graph {
        self.eucaim(&Subject {
            slug: &entry.slug,
            description: &entry.description(),
            figures: &entry.figures(),
            issued: entry.issued,
            modified: entry.modified,
        })
    }
}

//! The implementation guide (`ig/compiled/`): profiles, extensions, value sets, code systems,
//! concept maps, operations, search parameters, the guide itself and what it asks of servers, to read and to search (FHIR R4
//! conformance-module.html).
//!
//! The texts are public and about nobody, so every role with a token reads them (`is_public` of
//! their types); scopes narrow as everywhere. Their canonical URLs are those of the guide, not of
//! this server: `url` finds them. Absent: snapshots, which anybody can make of the differentials;
//! the European guides, whose texts are not ours to serve.

use serde_json::Value;

use super::Asking;
use super::fixed::{Fixed, One, list, text};
use super::outcome::Result;
use super::provider::{Page, Provider, Read};
use super::search::{Place, Search};
use super::subset::Subset;
use super::table::Resource;
use crate::error::Error;
use crate::mapping::concepts::{CodeSystem, Concept, ConceptMap, Equivalence, Row};

/// The types, and what `ig/tools/compile.py` wrote of each, a resource a line.
const FILES: &[(Resource, &str)] = &[
    (Resource::StructureDefinition, include_str!("../../ig/compiled/StructureDefinition.ndjson")),
    (Resource::ImplementationGuide, include_str!("../../ig/compiled/ImplementationGuide.ndjson")),
    (Resource::ValueSet, include_str!("../../ig/compiled/ValueSet.ndjson")),
    (Resource::CodeSystem, include_str!("../../ig/compiled/CodeSystem.ndjson")),
    (Resource::ConceptMap, include_str!("../../ig/compiled/ConceptMap.ndjson")),
    (Resource::CapabilityStatement, include_str!("../../ig/compiled/CapabilityStatement.ndjson")),
    (Resource::OperationDefinition, include_str!("../../ig/compiled/OperationDefinition.ndjson")),
    (Resource::SearchParameter, include_str!("../../ig/compiled/SearchParameter.ndjson")),
];

const TYPES: &[Resource] = &[
    Resource::StructureDefinition,
    Resource::ImplementationGuide,
    Resource::ValueSet,
    Resource::CodeSystem,
    Resource::ConceptMap,
    Resource::CapabilityStatement,
    Resource::OperationDefinition,
    Resource::SearchParameter,
];

/// The provider.
pub(super) struct Guide(Fixed);

impl Guide {
    /// Reads the compiled guide.
    ///
    /// # Errors
    /// [`Error::Configuration`] with file and line.
    pub(super) fn load() -> crate::error::Result<Self> {
        let mut resources = Vec::new();
        for (resource, lines) in FILES {
            for (at, line) in lines.lines().enumerate() {
                let wrong = |what: &str| {
                    let (name, line) = (resource.name(), at + 1);
                    Error::Configuration(format!("ig/compiled/{name}.ndjson, line {line}: {what}"))
                };
                let json: Value =
                    serde_json::from_str(line).map_err(|failure| wrong(&failure.to_string()))?;
                if text(&json, "resourceType") != resource.name() || text(&json, "id").is_empty() {
                    return Err(wrong("is no such resource with an id"));
                }
                let id = text(&json, "id").to_owned();
                resources.push(One::new(*resource, &id, json));
            }
        }
        Ok(Self(Fixed::new(resources)))
    }

    /// The profiles (no extensions): type and canonical URL.
    pub(super) fn profiles(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .of(Resource::StructureDefinition)
            .map(|json| (text(json, "type"), text(json, "url")))
            .filter(|(kind, _)| *kind != "Extension")
    }

    /// The canonical URL of the search parameter of that name, if the guide defines it.
    pub(super) fn parameter(&self, resource: Resource, name: &str) -> Option<&str> {
        let own = |json: &&Value| {
            text(json, "code") == name
                && list(json, "base").any(|base| base.as_str() == Some(resource.name()))
        };
        self.0.of(Resource::SearchParameter).find(own).map(|json| text(json, "url"))
    }

    /// The canonical URL of the guide, with its version.
    pub(super) fn canonical(&self) -> Option<String> {
        let json = self.0.of(Resource::ImplementationGuide).next()?;
        Some(format!("{}|{}", text(json, "url"), text(json, "version")))
    }

    /// Its maps, for `$translate`: one for each group.
    pub(super) fn maps(&self) -> Vec<ConceptMap> {
        let maps = self.0.of(Resource::ConceptMap);
        maps.flat_map(|json| list(json, "group").map(move |group| map(json, group))).collect()
    }

    /// Its code systems, for `$lookup`.
    pub(super) fn systems(&self) -> Vec<CodeSystem> {
        let systems = self.0.of(Resource::CodeSystem).map(|json| CodeSystem {
            // It is rendered here, not from the tables.
            id: None,
            url: text(json, "url").to_owned(),
            title: text(json, "title").to_owned().into(),
            version: Some(text(json, "version").to_owned()),
            concepts: list(json, "concept").map(concept).collect(),
        });
        systems.collect()
    }
}

fn concept(json: &Value) -> Concept {
    let (code, display) = (text(json, "code"), text(json, "display"));
    Concept { code: code.to_owned(), display: display.to_owned() }
}

fn map(json: &Value, group: &Value) -> ConceptMap {
    let mut rows = Vec::new();
    for element in list(group, "element") {
        for target in list(element, "target") {
            let how = Equivalence::parse(text(target, "equivalence"));
            let how = how.filter(|how| *how != Equivalence::Unmatched);
            let target = how.map(|how| (concept(target), how));
            rows.push(Row { source: concept(element), target });
        }
    }
    ConceptMap {
        id: text(json, "id").to_owned().into(),
        url: text(json, "url").to_owned(),
        title: text(json, "title").to_owned().into(),
        description: text(json, "description").to_owned().into(),
        source: text(group, "source").to_owned(),
        target: text(group, "target").to_owned(),
        rows,
    }
}

impl Provider for Guide {
    fn resources(&self) -> &[Resource] {
        TYPES
    }

    fn read(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        id: &str,
        subset: &Subset,
    ) -> Result<Read> {
        self.0.read(asking, resource, id, subset)
    }

    fn search(&self, asking: &Asking<'_>, search: &Search, after: Option<&Place>) -> Result<Page> {
        self.0.search(asking, search, after)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{Equivalence, FILES, Guide, TYPES, list, text};
    use crate::fhir::table::{Resource, Table};
    use crate::fhir::terminology::Terminology;
    use crate::mapping::Context;

    #[test]
    fn the_guide_is_read_whole_and_every_target_of_its_maps_is_understood() {
        let guide = Guide::load().unwrap();
        let table = Table::load(None).unwrap();
        assert_eq!(FILES.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), TYPES);
        for (kind, lines) in FILES {
            assert_eq!(guide.0.of(*kind).count(), lines.lines().count(), "{kind:?}");
            assert!(table.row(*kind).is_public, "{kind:?}");
            // FHIR's JSON has no empty lists (R4 json.html 2.6.2.1), and XML nothing to write of them.
            assert!(!lines.contains("[]"), "{kind:?}");
            assert!(table.row(*kind).revinclude.is_empty(), "{kind:?}");
        }
        for json in guide.0.of(Resource::ConceptMap) {
            for element in list(json, "group").flat_map(|group| list(group, "element")) {
                for target in list(element, "target") {
                    let how = text(target, "equivalence");
                    assert!(Equivalence::parse(how).is_some(), "{how}");
                }
            }
        }
        assert!(guide.profiles().count() > 20);
        assert!(guide.canonical().unwrap().contains("/ImplementationGuide/"));
    }

    #[test]
    fn the_tables_and_the_guide_share_no_id() {
        let guide = Guide::load().unwrap();
        let tables = Terminology::new(&Context::default(), &guide);
        for kind in [Resource::ConceptMap, Resource::CodeSystem] {
            let own: HashSet<&str> = guide.0.of(kind).map(|json| text(json, "id")).collect();
            for json in tables.resources().of(kind) {
                assert!(!own.contains(text(json, "id")), "{kind:?}/{}", text(json, "id"));
            }
        }
    }
}

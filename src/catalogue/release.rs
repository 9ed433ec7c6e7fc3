//! A release of HealthDCAT-AP and what it is written with: namespaces, vocabularies, dictionary of
//! variables, licences.
//!
//! In: the data files of `catalogue/` ([`embedded`]), as [`rows`]. Out: a [`Release`], read once,
//! typed and checked, which turns codes into terms and labels. Absent: shapes, which the
//! [`gate`](super::gate) reads.

mod embedded;
mod rows;
mod scheme;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use oxrdf::{Graph, Literal, NamedNode, Triple};

use crate::error::{Error, Result};

use embedded::text;

pub(super) use embedded::read;
pub use embedded::samples;
pub(super) use rows::Variable;
pub use rows::{
    Carrier, CodeSystemsFile, CodeValues, Form, LicencesFile, ReleaseFile, VariableTable,
    VariablesFile, VocabularyFile, WaiverRow,
};
use rows::{Concept, Licence, SchemeRow};
pub use scheme::Scheme;

/// Every namespace that the code writes terms of; a release must define them all.
const PREFIXES: &[&str] = &[
    "adms",
    "csvw",
    "cv",
    "dcat",
    "dcatap",
    "dct",
    "dpv",
    "dqv",
    "eli",
    "eucaim",
    "foaf",
    "geo",
    "geodcatap",
    "healthdcatap",
    "hydra",
    "locn",
    "oa",
    "odrl",
    "prov",
    "rdf",
    "rdfs",
    "skos",
    "spdx",
    "time",
    "vcard",
    "xsd",
];

/// Namespaces of the doors, not of HealthDCAT-AP: the same in every release, unless its file says
/// otherwise.
const DOORS: &[(&str, &str)] = &[
    ("as", "https://www.w3.org/ns/activitystreams#"),
    ("fdp-o", "https://w3id.org/fdp/fdp-o#"),
    ("formats", "http://www.w3.org/ns/formats/"),
    ("ldes", "https://w3id.org/ldes#"),
    ("ldp", "http://www.w3.org/ns/ldp#"),
    ("sd", "http://www.w3.org/ns/sparql-service-description#"),
    ("spdx", "http://spdx.org/rdf/terms#"),
    ("tree", "https://w3id.org/tree#"),
];

/// The files of `catalogue/`, read and checked.
#[derive(Clone, Debug)]
pub struct Release {
    /// Which release.
    pub file: ReleaseFile,
    /// The dictionary of variables.
    pub variables: Vec<Variable>,
    /// Licences by name.
    pub licences: Vec<Licence>,
    /// How facets become codes.
    pub code_systems: CodeSystemsFile,
    /// What is said about the catalogue itself.
    pub about: super::about::About,
    /// The minimum elements of the implementing act.
    pub elements: Vec<super::elements::Element>,
    /// The rows of EUCAIM's catalogue spreadsheet.
    pub eucaim_rows: Vec<super::eucaim_rows::EucaimRow>,
    /// The table of the steward's form.
    pub form: super::form::FormFile,
    /// The metrics of the data quality and utility label.
    pub quality: super::quality::QualityFile,
    vocabularies: BTreeMap<Scheme, Vec<Concept>>,
    patterns: BTreeMap<Scheme, regex::Regex>,
    modalities: HashMap<String, String>,
    phrases: BTreeMap<String, BTreeMap<String, String>>,
    folder: Option<PathBuf>,
}

impl Release {
    /// Reads the release of that name (`r8`), with files of `folder` before the built-in ones.
    ///
    /// # Errors
    /// [`Error::Configuration`] with the file and what is wrong in it.
    pub fn load(name: &str, folder: Option<&Path>) -> Result<Self> {
        let path = format!("releases/{name}.toml");
        let mut file: ReleaseFile = read(&path, folder)?;
        for (prefix, namespace) in DOORS {
            let given = file.namespaces.entry((*prefix).to_owned());
            given.or_insert_with(|| (*namespace).to_owned());
        }
        let wrong =
            |problem: String| Err(Error::Configuration(format!("catalogue/{path}: {problem}")));
        for prefix in PREFIXES {
            if !file.namespaces.contains_key(*prefix) {
                return wrong(format!("namespace `{prefix}` is missing; add it"));
            }
        }
        for (prefix, namespace) in &file.namespaces {
            if NamedNode::new(namespace.as_str()).is_err() {
                return wrong(format!("namespace `{prefix}` is no IRI: `{namespace}`"));
            }
        }
        let mut vocabularies = BTreeMap::new();
        let mut patterns = BTreeMap::new();
        for (scheme, scheme_name) in Scheme::ALL {
            let Some(row) = file.schemes.get(scheme) else {
                return wrong(format!("scheme `{scheme_name}` is missing; add it"));
            };
            let is_known = row.class.is_empty()
                || row
                    .class
                    .split_once(':')
                    .is_some_and(|(prefix, _)| file.namespaces.contains_key(prefix));
            if NamedNode::new(row.scheme.as_str()).is_err()
                || NamedNode::new(row.base.as_str()).is_err()
                || !is_known
            {
                return wrong(format!("scheme `{scheme_name}` has a wrong IRI or class"));
            }
            if let Some(pattern) = &row.pattern {
                let Ok(pattern) = regex::Regex::new(pattern) else {
                    return wrong(format!("scheme `{scheme_name}`: the pattern is no regex"));
                };
                patterns.insert(*scheme, pattern);
            }
            let path = format!("vocabularies/{scheme_name}.toml");
            let vocabulary: VocabularyFile = read(&path, folder)?;
            for concept in &vocabulary.concept {
                if NamedNode::new(format!("{}{}", row.base, concept.code)).is_err() {
                    return Err(Error::Configuration(format!(
                        "catalogue/{path}: code `{}` does not form an IRI",
                        concept.code
                    )));
                }
            }
            vocabularies.insert(*scheme, vocabulary.concept);
        }
        let variables: VariablesFile = read("vocabularies/variables.toml", folder)?;
        for variable in &variables.variable {
            let is_plain = !variable.name.is_empty()
                && variable.name.bytes().all(|b| b.is_ascii_alphanumeric());
            let is_iri =
                variable.property.as_ref().is_none_or(|p| NamedNode::new(p.as_str()).is_ok());
            if !is_plain || !is_iri {
                return Err(Error::Configuration(format!(
                    "catalogue/vocabularies/variables.toml: variable `{}`: a name holds letters \
                     and digits only, a property is an IRI",
                    variable.name
                )));
            }
        }
        let licences: LicencesFile = read("vocabularies/licences.toml", folder)?;
        if let Some(licence) =
            licences.licence.iter().find(|licence| NamedNode::new(licence.iri.as_str()).is_err())
        {
            return Err(Error::Configuration(format!(
                "catalogue/vocabularies/licences.toml: `{}` is no IRI",
                licence.iri
            )));
        }
        let modalities: VocabularyFile = read("vocabularies/modality.toml", folder)?;
        Ok(Self {
            file,
            variables: variables.variable,
            licences: licences.licence,
            code_systems: read("vocabularies/code-systems.toml", folder)?,
            about: super::about::read(folder)?,
            elements: super::elements::read(folder)?,
            eucaim_rows: super::eucaim_rows::read(folder)?,
            form: super::form::read(folder)?,
            quality: super::quality::read(folder)?,
            vocabularies,
            patterns,
            modalities: modalities.concept.into_iter().map(|c| (c.code, c.label)).collect(),
            phrases: read("vocabularies/phrases.toml", folder)?,
            folder: folder.map(Path::to_owned),
        })
    }

    /// A sentence of ours in that language, if it is given.
    #[must_use]
    pub fn phrase(&self, name: &str, language: &str) -> Option<&str> {
        self.phrases.get(name)?.get(language).map(String::as_str)
    }

    /// The text of a file of `catalogue/`, the configured folder first.
    ///
    /// # Errors
    /// [`Error::Configuration`] when there is none.
    pub fn text(&self, path: &str) -> Result<String> {
        text(path, self.folder.as_deref())
    }

    /// The term that a prefixed name stands for: `dct:title`.
    #[must_use]
    pub fn term(&self, name: &str) -> NamedNode {
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        // Prefixes were checked at load; an unknown one gives an IRI that no shape knows, which
        // the gate then refuses.
        let namespace = self.file.namespaces.get(prefix).map_or("urn:x-unknown:", String::as_str);
        NamedNode::new_unchecked(format!("{namespace}{local}"))
    }

    /// The row of a vocabulary.
    #[must_use]
    pub fn scheme(&self, scheme: Scheme) -> &SchemeRow {
        &self.file.schemes[&scheme]
    }

    /// The concept of that code, alias or IRI, if the vocabulary has it or the code fits the
    /// scheme's pattern.
    #[must_use]
    pub fn concept(&self, scheme: Scheme, code: &str) -> Option<NamedNode> {
        let base = &self.scheme(scheme).base;
        let code = code.strip_prefix(base.as_str()).unwrap_or(code);
        let known = self
            .vocabularies
            .get(&scheme)?
            .iter()
            .find(|concept| concept.code == code || concept.alias.as_deref() == Some(code))
            .map(|concept| concept.code.as_str());
        let fits = || self.is_by_pattern(scheme, code).then_some(code);
        known.or_else(fits).map(|code| NamedNode::new_unchecked(format!("{base}{code}")))
    }

    /// Whether a code is taken only because it fits the scheme's pattern: documents then say the
    /// scheme, because no background knows it.
    #[must_use]
    pub fn is_by_pattern(&self, scheme: Scheme, code: &str) -> bool {
        let base = &self.scheme(scheme).base;
        let code = code.strip_prefix(base.as_str()).unwrap_or(code);
        self.patterns.get(&scheme).is_some_and(|pattern| {
            pattern.is_match(code)
                && NamedNode::new(format!("{base}{code}")).is_ok()
                && !self.concepts(scheme).iter().any(|concept| concept.code == code)
        })
    }

    /// The concepts of a vocabulary.
    #[must_use]
    pub fn concepts(&self, scheme: Scheme) -> &[Concept] {
        self.vocabularies.get(&scheme).map_or(&[], Vec::as_slice)
    }

    /// The label of a code.
    #[must_use]
    pub fn label(&self, scheme: Scheme, code: &str) -> Option<&str> {
        let concepts = self.concepts(scheme);
        concepts.iter().find(|concept| concept.code == code).map(|concept| concept.label.as_str())
    }

    /// A modality in words.
    #[must_use]
    pub fn modality(&self, code: &str) -> Option<&str> {
        self.modalities.get(code).map(String::as_str)
    }

    /// Whether words are those of a modality.
    #[must_use]
    pub fn is_modality(&self, label: &str) -> bool {
        self.modalities.values().any(|known| known == label)
    }

    /// The vocabularies as a graph: what shapes look up membership in.
    #[must_use]
    pub fn background(&self) -> Graph {
        let mut graph = Graph::new();
        let kind = self.term("rdf:type");
        for (scheme, concepts) in &self.vocabularies {
            let row = self.scheme(*scheme);
            let in_scheme = NamedNode::new_unchecked(row.scheme.as_str());
            graph.insert(&Triple::new(
                in_scheme.clone(),
                kind.clone(),
                self.term("skos:ConceptScheme"),
            ));
            for concept in concepts {
                let node = NamedNode::new_unchecked(format!("{}{}", row.base, concept.code));
                let label = Literal::new_language_tagged_literal_unchecked(&concept.label, "en");
                graph.insert(&Triple::new(node.clone(), kind.clone(), self.term("skos:Concept")));
                graph.insert(&Triple::new(
                    node.clone(),
                    self.term("skos:inScheme"),
                    in_scheme.clone(),
                ));
                graph.insert(&Triple::new(node, self.term("skos:prefLabel"), label));
            }
        }
        graph
    }
}

/// The JSON Schemas of the data files of `catalogue/`, by name.
#[must_use]
pub fn schemas() -> Vec<(&'static str, schemars::Schema)> {
    vec![
        ("description", schemars::schema_for!(super::Description)),
        ("release", schemars::schema_for!(ReleaseFile)),
        ("vocabulary", schemars::schema_for!(VocabularyFile)),
        ("variables", schemars::schema_for!(VariablesFile)),
        ("licences", schemars::schema_for!(LicencesFile)),
        ("code-systems", schemars::schema_for!(CodeSystemsFile)),
        ("fields", schemars::schema_for!(super::shacl::FieldsFile)),
        ("catalogue", schemars::schema_for!(super::about::About)),
        ("eucaim-rows", schemars::schema_for!(super::eucaim_rows::EucaimFile)),
        ("form", schemars::schema_for!(super::form::FormFile)),
        ("minimum-elements", schemars::schema_for!(super::elements::ElementsFile)),
        ("quality", schemars::schema_for!(super::quality::QualityFile)),
    ]
}

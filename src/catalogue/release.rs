//! The data files of `catalogue/`: release of HealthDCAT-AP, vocabularies, dictionary of
//! variables, licences. Embedded in the binary; a folder of the configuration may replace files
//! of the same name. Read once, typed, refused with file and place.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use oxrdf::{Graph, Literal, NamedNode, Triple};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::imaging::Facet;

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/catalogue");

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

/// The controlled vocabularies that descriptions choose from.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // the names are those of the schemes
pub enum Scheme {
    AccessRight,
    Frequency,
    DataTheme,
    DatasetType,
    PlannedAvailability,
    DistributionStatus,
    DatasetStatus,
    FileType,
    Language,
    Country,
    Continent,
    HealthCategory,
    HealthTheme,
    PublisherType,
    HealthActivity,
    CodingSystem,
    Standard,
    PersonalData,
    LegalBasis,
    Legislation,
    MediaType,
    Role,
    ChecksumAlgorithm,
    LicenceType,
    Place,
    Geonames,
    EucaimTier,
    EucaimCondition,
    EucaimCollectionMethod,
    EucaimDataType,
    EucaimLabel,
    EucaimAlgorithm,
    EucaimSex,
    EucaimModality,
    EucaimManufacturer,
    EucaimBodyPart,
    EucaimAccessCondition,
}

impl Scheme {
    /// Every scheme, with the name of its file in `vocabularies/`.
    pub const ALL: &[(Self, &str)] = &[
        (Self::AccessRight, "access-right"),
        (Self::Frequency, "frequency"),
        (Self::DataTheme, "data-theme"),
        (Self::DatasetType, "dataset-type"),
        (Self::PlannedAvailability, "planned-availability"),
        (Self::DistributionStatus, "distribution-status"),
        (Self::DatasetStatus, "dataset-status"),
        (Self::FileType, "file-type"),
        (Self::Language, "language"),
        (Self::Country, "country"),
        (Self::Continent, "continent"),
        (Self::HealthCategory, "health-category"),
        (Self::HealthTheme, "health-theme"),
        (Self::PublisherType, "publisher-type"),
        (Self::HealthActivity, "health-activity"),
        (Self::CodingSystem, "coding-system"),
        (Self::Standard, "standard"),
        (Self::PersonalData, "personal-data"),
        (Self::LegalBasis, "legal-basis"),
        (Self::Legislation, "legislation"),
        (Self::MediaType, "media-type"),
        (Self::Role, "role"),
        (Self::ChecksumAlgorithm, "checksum-algorithm"),
        (Self::LicenceType, "licence-type"),
        (Self::Place, "place"),
        (Self::Geonames, "geonames"),
        (Self::EucaimTier, "eucaim-tier"),
        (Self::EucaimCondition, "eucaim-condition"),
        (Self::EucaimCollectionMethod, "eucaim-collection-method"),
        (Self::EucaimDataType, "eucaim-data-type"),
        (Self::EucaimLabel, "eucaim-label"),
        (Self::EucaimAlgorithm, "eucaim-algorithm"),
        (Self::EucaimSex, "eucaim-sex"),
        (Self::EucaimModality, "eucaim-modality"),
        (Self::EucaimManufacturer, "eucaim-manufacturer"),
        (Self::EucaimBodyPart, "eucaim-body-part"),
        (Self::EucaimAccessCondition, "eucaim-access-condition"),
    ];

    /// The name of its file in `vocabularies/`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(scheme, _)| *scheme == self).map_or("", |(_, name)| name)
    }
}

/// A file of `releases/`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseFile {
    /// The release's name.
    pub name: String,
    /// IRI of the profile: what catalogue records conform to.
    pub profile: String,
    /// Legislation when a description names none.
    pub legislation: String,
    /// How it writes what other releases write otherwise.
    pub form: Form,
    /// Rules that a description may be excused from.
    #[serde(default, rename = "waiver")]
    pub waivers: Vec<WaiverRow>,
    /// Files of shapes.
    pub shapes: ShapeFiles,
    /// Prefixes and namespaces.
    pub namespaces: BTreeMap<String, String>,
    /// Vocabularies and their hosts.
    pub schemes: BTreeMap<Scheme, SchemeRow>,
}

/// How a release writes what other releases write otherwise.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[allow(clippy::struct_excessive_bools, reason = "each is a difference between releases")]
pub struct Form {
    /// What carries `healthdcatap:hasVariables`.
    pub variables_on: Carrier,
    /// The property of a column's title.
    pub column_title: String,
    /// Whether a `csvw:TableGroup` has a title.
    pub table_group_title: bool,
    /// Whether `healthdcatap:hasStructuredData` is known.
    pub structured_data: bool,
    /// Whether `healthdcatap:hdabCoordinator` is known.
    pub hdab_coordinator: bool,
    /// What code values are.
    pub code_values: CodeValues,
    /// Whether the dataset itself says its status (`adms:status`).
    pub dataset_status: bool,
    /// Whether the publisher stands for a creator that nobody named.
    pub creator_is_publisher: bool,
}

/// What carries the dictionary of variables.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    /// The dataset.
    Dataset,
    /// Its first distribution.
    Distribution,
}

/// What code values are.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum CodeValues {
    /// Literals: `DCM MG`.
    Literal,
    /// Concepts, each with its notation.
    Concept,
}

/// A rule that a description may be excused from.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaiverRow {
    /// Its name in `[[waiver]]` of a description.
    pub rule: String,
    /// The property that may be missing.
    pub property: String,
    /// The last day on which anybody is excused.
    pub until: Option<super::Day>,
}

/// Files of shapes, per level.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ShapeFiles {
    /// Held at every level.
    pub common: String,
    /// PUBLIC.
    pub public: String,
    /// RESTRICTED.
    pub restricted: String,
    /// NON_PUBLIC.
    pub non_public: String,
}

/// Where a vocabulary lives.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SchemeRow {
    /// IRI of the concept scheme.
    pub scheme: String,
    /// What a code is appended to.
    pub base: String,
    /// Class that a property's range asks of the concept; empty: none but `skos:Concept`.
    pub class: String,
    /// Whether documents say the scheme of each concept, because no validator loads it.
    #[serde(default)]
    pub says_scheme: bool,
    /// Codes that are taken although `vocabularies/` does not list them: a regular expression.
    pub pattern: Option<String>,
}

/// A file of `vocabularies/` with concepts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VocabularyFile {
    /// Its rows.
    pub concept: Vec<Concept>,
}

/// A concept.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concept {
    /// Its code: the last part of its IRI.
    pub code: String,
    /// Another name that descriptions and facets may use for it.
    pub alias: Option<String>,
    /// Its English label.
    pub label: String,
}

/// `vocabularies/variables.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VariablesFile {
    /// Its rows.
    pub variable: Vec<Variable>,
}

/// The table that a variable belongs to.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum VariableTable {
    /// One row per study.
    Study,
    /// One row per series.
    Series,
}

/// A variable of the dictionary.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Its table.
    pub table: VariableTable,
    /// `csvw:name`.
    pub name: String,
    /// DICOM keyword (PS3.6) whose presence publishes it, or `clinical:` and the name of a profile of
    /// our guide (`ig/`), of which there are resources about the studies.
    pub attribute: String,
    /// Facet whose terms publish it too.
    pub facet: Option<Facet>,
    /// `csvw:datatype`.
    pub datatype: String,
    /// `csvw:title`.
    pub title: String,
    /// `dct:description`.
    pub description: String,
    /// `csvw:propertyUrl`.
    pub property: Option<String>,
    /// Titles in other languages.
    #[serde(default)]
    pub titles: super::Text,
    /// Descriptions in other languages.
    #[serde(default)]
    pub descriptions: super::Text,
}

/// `vocabularies/licences.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LicencesFile {
    /// Its rows.
    pub licence: Vec<Licence>,
}

/// A licence.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Licence {
    /// Short name.
    pub name: String,
    /// IRI.
    pub iri: String,
    /// Title.
    pub title: String,
    /// Code of the ADMS licence type (`dct:type`).
    pub kind: Option<String>,
}

/// `vocabularies/code-systems.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeSystemsFile {
    /// Facets of bare codes.
    pub facet: Vec<FacetCodes>,
    /// Code systems of `system|code` terms.
    pub system: Vec<SystemCodes>,
}

/// A facet whose terms are bare codes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FacetCodes {
    /// The facet.
    pub facet: Facet,
    /// What is written before a code.
    pub prefix: String,
    /// Code in the coding-system vocabulary.
    pub coding_system: String,
}

/// A code system.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SystemCodes {
    /// URI before the bar of a term.
    pub uri: String,
    /// What is written before a code.
    pub prefix: String,
    /// Code in the coding-system vocabulary.
    pub coding_system: String,
}

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

/// The sample descriptions of `catalogue/descriptions/`: slug and text.
#[must_use]
pub fn samples() -> Vec<(String, &'static str)> {
    let mut samples: Vec<_> = FILES
        .get_dir("descriptions")
        .into_iter()
        .flat_map(Dir::files)
        .filter_map(|file| {
            let slug = file.path().file_stem()?.to_str()?;
            Some((slug.to_owned(), file.contents_utf8()?))
        })
        .collect();
    samples.sort();
    samples
}

fn text(path: &str, folder: Option<&Path>) -> Result<String> {
    if let Some(folder) = folder {
        let own = folder.join(path);
        if own.is_file() {
            return std::fs::read_to_string(&own).map_err(|failure| {
                Error::Configuration(format!("{}: cannot be read ({failure})", own.display()))
            });
        }
    }
    FILES
        .get_file(path)
        .and_then(include_dir::File::contents_utf8)
        .map(str::to_owned)
        .ok_or_else(|| Error::Configuration(format!("catalogue/{path}: there is no such file")))
}

pub(super) fn read<T: DeserializeOwned>(path: &str, folder: Option<&Path>) -> Result<T> {
    toml::from_str(&text(path, folder)?).map_err(|failure| {
        Error::Configuration(format!("catalogue/{path}: {}", failure.to_string().trim()))
    })
}

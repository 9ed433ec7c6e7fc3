//! What the data files of `catalogue/` say, as typed rows: the release, its vocabularies, the
//! dictionary of variables, licences, code systems. A field that is not known is refused.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Scheme;
use crate::catalogue::{Day, Text};
use crate::imaging::Facet;

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
    pub until: Option<Day>,
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
    /// Coding systems of its values, codes of `coding-system.toml`: of what is not counted by code.
    #[serde(default)]
    pub coding_systems: Vec<String>,
    /// Titles in other languages.
    #[serde(default)]
    pub titles: Text,
    /// Descriptions in other languages.
    #[serde(default)]
    pub descriptions: Text,
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

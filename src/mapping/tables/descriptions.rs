//! Mappings of tables whose rows become dataset descriptions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

/// A table whose rows become dataset descriptions, one each.
///
/// Texts are templates: `{column}` stands for the row's value without markup. A text one of
/// whose columns is empty is left out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DescriptionTable {
    /// Says that this file maps a table of datasets.
    pub kind: DescriptionKind,
    /// What the table is, its release and where it comes from.
    pub title: String,
    /// Language of titles and descriptions: a two-letter code.
    pub language: String,
    /// Column whose value is the collection that the series table names.
    #[schemars(with = "String")]
    pub collection: Spanned<String>,
    /// Keys of the description and the templates that fill them, per language where the
    /// description has languages: `title`, `description`, `landing_page` …
    pub texts: BTreeMap<String, String>,
    /// Which of those keys hold text per language.
    pub languages: Vec<String>,
    /// Columns whose comma-separated values become keywords.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// Keywords of every dataset.
    #[serde(default)]
    pub constant_keywords: Vec<String>,
    /// Codes that a row has when a column matches.
    #[serde(default, rename = "code")]
    pub codes: Vec<CodeRule>,
    /// The nested column that lists the sources of the dataset and their licences.
    pub sources: SourceColumns,
    /// Keys that stand in every description as they stand here.
    #[serde(default)]
    #[schemars(with = "serde_json::Value")]
    pub defaults: toml::Table,
    /// How the data under one licence are had; `{licence}` and `{citations}` may stand in its
    /// templates too.
    pub distribution: DistributionTexts,
    /// The licences by their short names.
    #[serde(rename = "licence")]
    pub licences: Vec<Licence>,
}

/// A code that a row has when a column matches.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CodeRule {
    /// The list of the description that takes the code: `health_themes`.
    pub key: String,
    /// The code.
    pub code: String,
    /// The column.
    pub column: String,
    /// A regular expression.
    pub matches: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// How the data under one licence are had.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DistributionTexts {
    /// Its title.
    pub title: String,
    /// Its description.
    pub description: String,
    /// Where the data are.
    pub access_url: String,
    /// Keys that stand in every distribution as they stand here.
    #[serde(default)]
    #[schemars(with = "serde_json::Value")]
    pub defaults: toml::Table,
}

/// The word that says what a mapping file maps.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DescriptionKind {
    /// Rows are datasets.
    Descriptions,
}

/// The nested column that lists sources.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SourceColumns {
    /// The list.
    pub column: String,
    /// Field with the DOI.
    pub doi: String,
    /// Path of the licence's short name, `license.license_short_name`.
    pub licence: String,
    /// Field with the citation.
    pub citation: String,
    /// Field with the source's own title.
    pub title: String,
}

/// A licence.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Licence {
    /// Its short name as the table writes it.
    pub name: String,
    /// Its IRI.
    pub iri: String,
    /// What stands in titles.
    pub label: String,
}

//! Table mappings: how the columns of a table of series become DICOM attributes.
//!
//! A mapping is a TOML file that a hospital's data manager can write: which columns identify
//! patient, study, series and instance, which column fills which attribute (by its keyword in
//! PS3.6) through which transforms, and which rows are left out or flagged, each with its
//! reason. [`SeriesTable`] describes a table of series or instances, [`DescriptionTable`] a
//! table whose rows become dataset descriptions.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::error::{Error, Result};
use crate::imaging::{FINDING_KINDS, Keyword};

use super::attributes::AttributeTable;
pub use super::attributes::Level;
use super::clinical::ClinicalTable;

/// The mappings that the binary carries: name and text.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("idc", include_str!("../../mappings/tables/idc.toml")),
    ("idc-collections", include_str!("../../mappings/tables/idc-collections.toml")),
    ("screening", include_str!("../../mappings/clinical/screening.toml")),
];

/// Attributes that vesalius keeps of each instance ([`Instance`](crate::imaging::Instance)).
const OF_INSTANCES: &[&str] = &[
    "InstanceNumber",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "ImageLaterality",
    "ImageType",
    "TransferSyntaxUID",
];

/// A table of series (or of instances) and how to read it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SeriesTable {
    /// Says that this file maps a table of series.
    pub kind: SeriesKind,
    /// What the table is, its release and where it comes from.
    pub title: String,
    /// How the file is written; without it the file's ending tells.
    pub format: Option<Format>,
    /// How a CSV file is written.
    #[serde(default)]
    pub csv: Csv,
    /// The table knows a series only by its number of instances. Must be said, because searches
    /// by instance will not find such series; excludes `identity.instance`.
    #[serde(default)]
    pub count_only: bool,
    /// Which columns identify patient, study, series and instance.
    pub identity: Identity,
    /// Which columns tell numbers and sizes.
    #[serde(default)]
    pub size: Size,
    /// Which columns tell collection, licence and source.
    #[serde(default)]
    pub dataset: Dataset,
    /// Further tables that add columns to a row.
    #[serde(default, rename = "lookup")]
    pub lookups: Vec<Lookup>,
    /// Column → attribute.
    #[serde(default, rename = "attribute")]
    pub attributes: Vec<AttributeRow>,
    /// Attributes that are the same in every row.
    #[serde(default, rename = "constant")]
    pub constants: Vec<ConstantRow>,
    /// Rows that are left out or flagged.
    #[serde(default, rename = "rule")]
    pub rules: Vec<RowRule>,
}

/// The word that says what a mapping file maps.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SeriesKind {
    /// Rows are series or instances.
    Series,
}

/// How a table is written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values (RFC 4180) with a header row.
    Csv,
}

/// How a CSV file is written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Csv {
    /// What stands between columns: one ASCII character.
    pub delimiter: char,
    /// Name of the character encoding as on the web (`utf-8`, `windows-1250`): one that
    /// contains ASCII.
    pub encoding: String,
}

impl Default for Csv {
    fn default() -> Self {
        Self { delimiter: ',', encoding: "utf-8".to_owned() }
    }
}

/// Which columns identify what a row is about.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Identity {
    /// Column with PatientID.
    #[schemars(with = "String")]
    pub patient: Spanned<String>,
    /// Within which domain a PatientID is unique (PS3.3 C.2.1): a column or a constant.
    #[serde(default)]
    pub issuer: Issuer,
    /// Column with StudyInstanceUID.
    #[schemars(with = "String")]
    pub study: Spanned<String>,
    /// Column with SeriesInstanceUID.
    #[schemars(with = "String")]
    pub series: Spanned<String>,
    /// Column with SOPInstanceUID, when rows are instances.
    #[schemars(with = "Option<String>")]
    pub instance: Option<Spanned<String>>,
    /// Column with SOPClassUID; several stand between backslashes or commas.
    #[schemars(with = "Option<String>")]
    pub sop_class: Option<Spanned<String>>,
}

/// Within which domain a PatientID is unique.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Issuer {
    /// Column whose value is the issuer or data holder.
    #[schemars(with = "Option<String>")]
    pub column: Option<Spanned<String>>,
    /// The issuer or data holder of every row.
    pub constant: Option<String>,
}

/// Which columns tell numbers and sizes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Size {
    /// Column with the number of instances of the series; without it a row counts 1.
    #[schemars(with = "Option<String>")]
    pub instances: Option<Spanned<String>>,
    /// Column with the size in the archive.
    pub bytes: Option<Bytes>,
}

/// A column with a size.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Bytes {
    /// The column.
    #[schemars(with = "String")]
    pub column: Spanned<String>,
    /// How many bytes its unit has; 1000000 for megabytes.
    #[serde(default = "one")]
    pub factor: f64,
}

const fn one() -> f64 {
    1.0
}

/// Which columns tell to which collection a row belongs and under which terms.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dataset {
    /// Column that chooses the collection.
    #[schemars(with = "Option<String>")]
    pub collection: Option<Spanned<String>>,
    /// Column with the licence's short name.
    #[schemars(with = "Option<String>")]
    pub licence: Option<Spanned<String>>,
    /// Column with the DOI of the source.
    #[schemars(with = "Option<String>")]
    pub source_doi: Option<Spanned<String>>,
}

/// A further table, joined by one column.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Lookup {
    /// The name by which attribute rows and rules use it.
    pub name: String,
    /// The file, in the folder of the table.
    pub file: String,
    /// Column of the table whose value is looked up.
    #[schemars(with = "String")]
    pub column: Spanned<String>,
    /// Column of the further table that holds that value.
    pub key: String,
    /// The file may be missing: its attributes are then left out.
    #[serde(default)]
    pub optional: bool,
}

/// One column and the attribute that it fills.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct AttributeRow {
    /// The column.
    #[schemars(with = "String")]
    pub column: Spanned<String>,
    /// The lookup that the column belongs to; without it the table itself.
    #[schemars(with = "Option<String>")]
    pub lookup: Option<Spanned<String>>,
    /// Keyword of the attribute as in PS3.6.
    #[schemars(with = "String")]
    pub keyword: Spanned<String>,
    /// The level that it describes; needed only where `mappings/attributes.toml`
    /// does not know the keyword.
    pub level: Option<Level>,
    /// What happens to the text, in this order.
    #[serde(default)]
    pub transforms: Vec<Transform>,
    /// The column may be missing in the file.
    #[serde(default)]
    pub optional: bool,
    /// Code of the finding when the row leaves the attribute empty.
    #[schemars(with = "Option<String>")]
    pub absent: Option<Spanned<String>>,
    /// Why the row is as it is, for the reader of the mapping.
    #[serde(default)]
    pub reason: String,
}

/// An attribute that is the same in every row.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConstantRow {
    /// Keyword of the attribute as in PS3.6.
    #[schemars(with = "String")]
    pub keyword: Spanned<String>,
    /// Its value.
    pub value: String,
    /// The level that it describes; needed only where `mappings/attributes.toml`
    /// does not know the keyword.
    pub level: Option<Level>,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// Rows that are left out or flagged. The row's text is the column's, trimmed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RowRule {
    /// The column that decides.
    #[schemars(with = "String")]
    pub column: Spanned<String>,
    /// The lookup that the column belongs to; without it the table itself.
    #[schemars(with = "Option<String>")]
    pub lookup: Option<Spanned<String>>,
    /// The rule holds for these values; the empty text stands for an absent value.
    pub values: Vec<String>,
    /// What happens.
    pub action: Action,
    /// Code of the finding, for `flag`.
    #[schemars(with = "Option<String>")]
    pub finding: Option<Spanned<String>>,
    /// Why.
    pub reason: String,
}

/// What a rule does with a row.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The row is not ingested; the journal lists it as quarantined with the code
    /// `left-out-by-mapping`.
    Skip,
    /// The row is ingested with a finding.
    Flag,
}

/// What can happen to the text of a column. A step whose input it cannot use drops the value
/// and leaves a finding.
///
/// In TOML the name alone, or a table of the name and its settings:
/// `["trim", "date-iso"]`, `[{ date-iso = { earliest = "1895-11-08" } }]`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", remote = "Self")]
#[schemars(transform = names_alone)]
pub enum Transform {
    /// Removes white space at both ends and makes one space of every run of white space.
    Trim,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
    /// `1997-09-17` (or a timestamp) becomes DA `19970917` (PS3.5 section 6.2).
    DateIso(Dates),
    /// A date in the given order of `%d`, `%m`, `%Y`, `%y` and literals becomes DA.
    DateFormat(DateFormat),
    /// `08:05`, `08:05:09.5` or the time of a timestamp becomes TM (PS3.5 section 6.2).
    TimeIso,
    /// `042Y`, `150M`, with the unit in either case, is kept as AS (PS3.5 section 6.2).
    AgeDicom(Ages),
    /// `42` (years) becomes AS `042Y`.
    AgeYears(Ages),
    /// An integer within bounds; `12.0` is 12.
    Integer(Bounds),
    /// Keeps the first of several values; more than one leaves a finding if one is named.
    FirstOf(Several),
    /// Several values: written with backslashes between them, as in PS3.5 section 6.4.
    Split(Several),
    /// A UID (PS3.5 section 9.1).
    Uid,
    /// A value for a value.
    Map(ValueMap),
    /// Replaces what a regular expression matches.
    Replace(Replace),
    /// `Family, Given` becomes PN `Family^Given` (PS3.5 section 6.2.1).
    PersonName,
    /// A DOI without resolver or scheme.
    Doi,
    /// Markup removed, character references resolved, white space as by `trim` but with
    /// paragraphs kept.
    PlainText,
}

impl<'de> Deserialize<'de> for Transform {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named;
        impl<'de> Visitor<'de> for Named {
            type Value = Transform;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a transform, or a table of the name and its settings")
            }
            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Transform, E> {
                match name {
                    "date-iso" => Ok(Transform::DateIso(Dates::default())),
                    "age-dicom" => Ok(Transform::AgeDicom(Ages::default())),
                    "age-years" => Ok(Transform::AgeYears(Ages::default())),
                    "integer" => Ok(Transform::Integer(Bounds::default())),
                    _ => Transform::deserialize(StrDeserializer::new(name)),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Transform, A::Error> {
                Transform::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(Named)
    }
}

/// The schema of a transform whose settings all have defaults takes its name alone, too.
fn names_alone(schema: &mut schemars::Schema) {
    let names = serde_json::json!({ "enum": ["date-iso", "age-dicom", "age-years", "integer"] });
    if let Some(serde_json::Value::Array(forms)) = schema.get_mut("oneOf") {
        forms.push(names);
    }
}

/// Dates that are taken.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dates {
    /// The first date that is taken, `1895-11-08`.
    pub earliest: Option<String>,
    /// The last date that is taken.
    pub latest: Option<String>,
}

/// A date in a form of its own.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DateFormat {
    /// For instance `%d.%m.%Y`.
    pub format: String,
    /// The first date that is taken, `1895-11-08`.
    pub earliest: Option<String>,
    /// The last date that is taken.
    pub latest: Option<String>,
}

/// Ages that are taken.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ages {
    /// Whether an age of zero is taken; de-identified data write `000Y` for "removed".
    pub zero: bool,
    /// The highest age in years that is taken.
    pub most_years: u16,
}

impl Default for Ages {
    fn default() -> Self {
        Self { zero: true, most_years: 130 }
    }
}

/// Bounds of a number.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Bounds {
    /// The smallest that is taken.
    pub least: Option<i64>,
    /// The largest that is taken.
    pub most: Option<i64>,
}

/// How several values stand in one cell.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Several {
    /// What stands between them.
    pub separator: String,
    /// Code of the finding when there is more than one.
    pub finding: Option<String>,
}

/// A value for a value.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ValueMap {
    /// What becomes of which value; the empty text leaves the attribute out.
    pub values: BTreeMap<String, String>,
    /// What becomes of every other value.
    #[serde(default)]
    pub otherwise: Otherwise,
    /// Code of the finding for every other value.
    pub finding: Option<String>,
}

/// What becomes of a value that a map does not list.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Otherwise {
    /// It stays.
    #[default]
    Keep,
    /// It is left out.
    Drop,
}

/// Replaces what a regular expression matches.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Replace {
    /// The regular expression.
    pub pattern: String,
    /// What stands instead; `$1` is the first group.
    pub with: String,
}

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

/// Any table mapping.
#[derive(Debug)]
pub enum Mapping {
    /// Of a table of series.
    Series(Box<SeriesTable>),
    /// Of a table of datasets.
    Descriptions(Box<DescriptionTable>),
    /// Of a table of clinical data.
    Clinical(Box<ClinicalTable>),
}

/// Finds a mapping by name: a path that ends in `.toml`, else `tables/NAME.toml` in the folder
/// that overrides built-in data files, else a built-in one. Gives its text and where it stands.
///
/// # Errors
/// [`Error::Configuration`] when there is none, with the names that exist.
pub fn find(name: &str, overrides: Option<&Path>) -> Result<(String, String)> {
    let read = |path: &Path| {
        std::fs::read_to_string(path).map(|text| (text, path.display().to_string())).map_err(
            |failure| {
                Error::Configuration(format!(
                    "{}: cannot be read ({failure}); give the path of a TOML file",
                    path.display()
                ))
            },
        )
    };
    if Path::new(name).extension().is_some_and(|end| end == "toml") {
        return read(Path::new(name));
    }
    let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if let Some(folder) = overrides.filter(|_| is_plain) {
        let path = folder.join("tables").join(format!("{name}.toml"));
        if path.is_file() {
            return read(&path);
        }
    }
    BUILT_IN
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, text)| ((*text).to_owned(), format!("mappings/tables/{name}.toml")))
        .ok_or_else(|| {
            let known: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            Error::Configuration(format!(
                "there is no table mapping `{name}`; built in are {}; a mapping of your own is \
                 named by its path, which ends in `.toml`",
                known.join(", ")
            ))
        })
}

/// Reads a mapping of any kind.
///
/// # Errors
/// [`Error::Configuration`] with file, line, key and remedy.
pub fn parse(text: &str, file: &str) -> Result<Mapping> {
    let kind = text
        .parse::<toml::Table>()
        .ok()
        .and_then(|table| table.get("kind")?.as_str().map(str::to_owned))
        .unwrap_or_default();
    match kind.as_str() {
        "descriptions" => {
            let mapping: DescriptionTable = read(text, file)?;
            check_descriptions(&mapping, text, file)?;
            Ok(Mapping::Descriptions(Box::new(mapping)))
        }
        "clinical" => {
            let mapping: ClinicalTable = read(text, file)?;
            mapping.check().map_err(|wrong| Error::Configuration(format!("{file}: {wrong}")))?;
            Ok(Mapping::Clinical(Box::new(mapping)))
        }
        _ => {
            let mapping: SeriesTable = read(text, file)?;
            check(&mapping, text, file)?;
            Ok(Mapping::Series(Box::new(mapping)))
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(text: &str, file: &str) -> Result<T> {
    toml::from_str(text).map_err(|failure| {
        let failure: toml::de::Error = failure;
        let line = failure.span().map_or(1, |span| line_of(text, span.start));
        let (key, remedy) = (line_text(text, line), "see the schema of table mappings");
        Error::Configuration(format!(
            "{file}, line {line}: `{key}`: {}; {remedy}",
            failure.message().trim().replace('\n', " ")
        ))
    })
}

/// The number of the line in which a byte stands.
#[must_use]
pub fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|b| *b == b'\n').count() + 1
}

fn line_text(text: &str, line: usize) -> &str {
    text.lines().nth(line.saturating_sub(1)).unwrap_or("").trim()
}

/// The level of an attribute, by the table of attributes (`mappings/attributes.toml`).
#[must_use]
pub fn level_of(keyword: &str) -> Option<Level> {
    static TABLE: LazyLock<HashMap<&str, Level>> = LazyLock::new(|| {
        let rows = AttributeTable::embedded().attributes.iter();
        let mut levels: HashMap<_, _> = rows.map(|row| (row.keyword.as_str(), row.level)).collect();
        // Part of the file meta information, which that table does not hold.
        levels.insert("TransferSyntaxUID", Level::Instance);
        levels
    });
    TABLE.get(keyword).copied()
}

/// What a single key cannot tell.
fn check(mapping: &SeriesTable, text: &str, file: &str) -> Result<()> {
    let wrong = |at: usize, key: &str, problem: String, remedy: &str| {
        Err(Error::Configuration(format!(
            "{file}, line {}: `{key}`: {problem}; {remedy}",
            line_of(text, at)
        )))
    };
    let whole = |key: &str, problem: &str, remedy: &str| {
        let at = text.find(key).unwrap_or(0);
        wrong(at, key, problem.to_owned(), remedy)
    };
    let by_count = mapping.count_only;
    match (&mapping.identity.instance, by_count) {
        (Some(instance), true) => {
            return wrong(
                instance.span().start,
                "identity.instance",
                "rows are instances, but `count-only` says that there are none".to_owned(),
                "remove one of the two",
            );
        }
        (None, false) => {
            return whole(
                "identity",
                "no column gives SOPInstanceUID",
                "add `identity.instance`, or say `count-only = true` if rows are series",
            );
        }
        (Some(instance), false) if mapping.identity.sop_class.is_none() => {
            return wrong(
                instance.span().start,
                "identity.instance",
                "rows are instances, but no column gives their SOP class".to_owned(),
                "add `sop-class` to `[identity]`",
            );
        }
        _ => {}
    }
    if mapping.identity.issuer.column.is_some() && mapping.identity.issuer.constant.is_some() {
        return whole("issuer", "has both a column and a constant", "keep one of them");
    }
    if !mapping.csv.delimiter.is_ascii() {
        return whole("delimiter", "is not an ASCII character", "take `,`, `;` or `\\t`");
    }
    let encoding = encoding_rs::Encoding::for_label(mapping.csv.encoding.as_bytes());
    if !encoding.is_some_and(encoding_rs::Encoding::is_ascii_compatible) {
        return whole(
            "encoding",
            "is no encoding that contains ASCII",
            "take a name of the WHATWG encoding standard such as `utf-8` or `windows-1252`",
        );
    }
    if let Some(bytes) = &mapping.size.bytes
        && !(bytes.factor.is_finite() && bytes.factor > 0.0)
    {
        return whole("factor", "is no positive number", "take 1 for bytes, 1000000 for megabytes");
    }
    let lookup_named =
        |name: &Spanned<String>| mapping.lookups.iter().any(|row| row.name == *name.get_ref());
    let finding_known = |code: &str| FINDING_KINDS.iter().any(|kind| kind.code == code);
    let keyword = |keyword: &Spanned<String>, level: Option<Level>| {
        let word = keyword.get_ref();
        let at = keyword.span().start;
        if Keyword::parse(word).is_err() {
            return wrong(
                at,
                "keyword",
                format!("`{word}` is no keyword of PS3.6"),
                "write it as in chapter 6 of PS3.6, for instance `StudyDescription`",
            );
        }
        match level.or_else(|| level_of(word)) {
            None => wrong(
                at,
                "keyword",
                format!("the level of `{word}` is not known"),
                "add `level = \"patient\"`, `\"study\"`, `\"series\"` or `\"instance\"`",
            ),
            Some(Level::Instance) if by_count => wrong(
                at,
                "keyword",
                format!("`{word}` describes an instance, but the table has only series"),
                "remove the row, or say `level = \"series\"` if the whole series shares the value",
            ),
            Some(Level::Instance) if !OF_INSTANCES.contains(&word.as_str()) => wrong(
                at,
                "keyword",
                format!("`{word}` is not kept of an instance"),
                "remove the row, or say `level = \"series\"` if the whole series shares the value",
            ),
            Some(_) => Ok(()),
        }
    };
    for (at, row) in mapping.attributes.iter().enumerate() {
        keyword(&row.keyword, row.level)?;
        let start = row.keyword.span().start;
        if let Some(earlier) = mapping.attributes[..at]
            .iter()
            .find(|earlier| earlier.keyword.get_ref() == row.keyword.get_ref())
        {
            return wrong(
                start,
                "keyword",
                format!(
                    "`{}` is already filled in line {}",
                    row.keyword.get_ref(),
                    line_of(text, earlier.keyword.span().start)
                ),
                "remove one of the rows",
            );
        }
        if let Some(lookup) = row.lookup.as_ref().filter(|name| !lookup_named(name)) {
            return wrong(
                lookup.span().start,
                "lookup",
                format!("there is no `[[lookup]]` named `{}`", lookup.get_ref()),
                "add it or correct the name",
            );
        }
        if let Some(code) = row.absent.as_ref().filter(|code| !finding_known(code.get_ref())) {
            return wrong(
                code.span().start,
                "absent",
                format!("`{}` is no finding", code.get_ref()),
                "take a code that `vesalius` lists, for instance `row-incomplete`",
            );
        }
        for transform in &row.transforms {
            if let Err((problem, remedy)) = check_transform(transform, &finding_known) {
                return wrong(start, "transforms", problem, remedy);
            }
        }
    }
    for row in &mapping.constants {
        keyword(&row.keyword, row.level)?;
    }
    for rule in &mapping.rules {
        if let Some(lookup) = rule.lookup.as_ref().filter(|name| !lookup_named(name)) {
            return wrong(
                lookup.span().start,
                "lookup",
                format!("there is no `[[lookup]]` named `{}`", lookup.get_ref()),
                "add it or correct the name",
            );
        }
        let at = rule.column.span().start;
        match (&rule.finding, rule.action) {
            (None, Action::Flag) => {
                return wrong(
                    at,
                    "action",
                    "`flag` names no finding".to_owned(),
                    "add `finding = \"…\"`",
                );
            }
            (Some(code), _) if !finding_known(code.get_ref()) => {
                return wrong(
                    code.span().start,
                    "finding",
                    format!("`{}` is no finding", code.get_ref()),
                    "take a code that `vesalius` lists, for instance `not-human`",
                );
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_descriptions(mapping: &DescriptionTable, text: &str, file: &str) -> Result<()> {
    let wrong = |near: &str, problem: String, remedy: &str| {
        let line = line_of(text, text.find(near).unwrap_or(0));
        Err(Error::Configuration(format!("{file}, line {line}: {problem}; {remedy}")))
    };
    for key in &mapping.languages {
        if !mapping.texts.contains_key(key) {
            let problem = format!("`languages` names `{key}`, which `[texts]` does not have");
            return wrong("languages", problem, "add the text or remove the word");
        }
    }
    for rule in &mapping.codes {
        if regex::Regex::new(&rule.matches).is_err() {
            let problem = format!("`{}` is no regular expression", rule.matches);
            return wrong(&rule.matches, problem, "correct it");
        }
    }
    for licence in &mapping.licences {
        if !licence.iri.starts_with("https://") && !licence.iri.starts_with("http://") {
            let problem = format!("`{}` is no web address", licence.iri);
            return wrong(&licence.iri, problem, "begin with `https://`");
        }
    }
    Ok(())
}

fn check_transform(
    transform: &Transform,
    finding_known: &dyn Fn(&str) -> bool,
) -> Result<(), (String, &'static str)> {
    let dates = |dates: [&Option<String>; 2]| {
        for date in dates.into_iter().flatten() {
            if date.parse::<jiff::civil::Date>().is_err() {
                return Err((format!("`{date}` is no date"), "write `1895-11-08`"));
            }
        }
        Ok(())
    };
    let finding = |code: &Option<String>| match code {
        Some(code) if !finding_known(code) => {
            Err((format!("`{code}` is no finding"), "take a code that `vesalius` lists"))
        }
        _ => Ok(()),
    };
    match transform {
        Transform::DateIso(row) => dates([&row.earliest, &row.latest]),
        Transform::DateFormat(row) => dates([&row.earliest, &row.latest]),
        Transform::FirstOf(row) | Transform::Split(row) if row.separator.is_empty() => {
            Err(("`separator` is empty".to_owned(), "write what stands between the values"))
        }
        Transform::FirstOf(row) | Transform::Split(row) => finding(&row.finding),
        Transform::Map(row) => finding(&row.finding),
        Transform::Replace(row) => regex::Regex::new(&row.pattern)
            .map(drop)
            .map_err(|_| (format!("`{}` is no regular expression", row.pattern), "correct it")),
        Transform::Trim
        | Transform::Lower
        | Transform::Upper
        | Transform::TimeIso
        | Transform::AgeDicom(_)
        | Transform::AgeYears(_)
        | Transform::Integer(_)
        | Transform::Uid
        | Transform::PersonName
        | Transform::Doi
        | Transform::PlainText => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{BUILT_IN, Mapping, find, parse};

    const SMALL: &str = "kind = \"series\"\ntitle = \"t\"\ncount-only = true\n[identity]\n\
                         patient = \"p\"\nstudy = \"s\"\nseries = \"e\"\n";

    fn refusal(rest: &str) -> String {
        parse(&format!("{SMALL}{rest}"), "x.toml").unwrap_err().to_string()
    }

    #[test]
    fn the_built_in_mappings_hold_to_their_own_rules() {
        for (name, text) in BUILT_IN {
            parse(text, name).unwrap();
        }
        let Mapping::Series(_) = parse(SMALL, "x.toml").unwrap() else { panic!("not series") };
    }

    #[test]
    fn wrong_mappings_are_refused_with_line_key_and_remedy() {
        let row = |line: &str| format!("[[attribute]]\ncolumn = \"c\"\n{line}\n");
        for (rest, expected) in [
            (row("keyword = \"StudyDat\""), "line 10: `keyword`: `StudyDat` is no keyword"),
            (row("keyword = \"StudyDate\"\ncolour = 1"), "line 11: `colour = 1`: unknown field"),
            (row("keyword = \"GantryAngle\""), "the level of `GantryAngle` is not known"),
            (row("keyword = \"Rows\""), "describes an instance"),
            (row("keyword = \"StudyDate\"\nabsent = \"no-code\""), "line 11: `absent`"),
            (row("keyword = \"StudyDate\"\nlookup = \"no\""), "line 11: `lookup`"),
            (
                row("keyword = \"StudyDate\"\ntransforms = [\"date-isso\"]"),
                "line 11: `transforms = [\"date-isso\"]`: unknown variant",
            ),
            (
                row("keyword = \"StudyDate\"\ntransforms = [{date-iso = {earliest = \"1880\"}}]"),
                "`1880` is no date",
            ),
            (
                "[[rule]]\ncolumn = \"c\"\nvalues = [\"\"]\naction = \"flag\"\nreason = \"r\"\n"
                    .to_owned(),
                "names no finding",
            ),
            ("[csv]\nencoding = \"utf-16\"\n".to_owned(), "line 9: `encoding`"),
        ] {
            let message = refusal(&rest);
            assert!(message.contains(expected), "{rest}\n{message}");
            assert!(message.starts_with("x.toml, line "), "{message}");
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let message = find("idx", None).unwrap_err().to_string();
        assert!(message.contains("idc-collections"), "{message}");
    }

    #[test]
    fn a_mapping_has_a_json_schema() {
        let schema = serde_json::to_value(schemars::schema_for!(super::SeriesTable)).unwrap();
        let idc: toml::Table = BUILT_IN[0].1.parse().unwrap();
        let idc = serde_json::to_value(idc).unwrap();
        let judge = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<_> = judge.iter_errors(&idc).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        let schema = serde_json::to_value(schemars::schema_for!(super::DescriptionTable)).unwrap();
        let table: toml::Table = BUILT_IN[1].1.parse().unwrap();
        let judge = jsonschema::validator_for(&schema).unwrap();
        assert!(judge.is_valid(&serde_json::to_value(table).unwrap()));
    }
}

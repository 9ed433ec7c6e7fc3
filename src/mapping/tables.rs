//! Table mappings: how the columns of a table of series become DICOM attributes.
//!
//! A mapping is a TOML file that a hospital's data manager can write: which columns identify
//! patient, study, series and instance, which column fills which attribute (by its keyword in
//! PS3.6) through which transforms, and which rows are left out or flagged, each with its
//! reason. [`SeriesTable`] describes a table of series or instances, [`DescriptionTable`] a
//! table whose rows become dataset descriptions.

mod check;
mod descriptions;
mod transform;

use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use crate::error::{Error, Result};

use super::attributes::AttributeTable;
pub use super::attributes::Level;
use super::clinical::ClinicalTable;
use check::{check, check_descriptions};
pub use descriptions::{
    CodeRule, DescriptionKind, DescriptionTable, DistributionTexts, Licence, SourceColumns,
};
pub use transform::{
    Ages, Bounds, DateFormat, Dates, Otherwise, Replace, Several, Transform, ValueMap,
};

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

//! What can happen to the text of a column on its way into an attribute.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

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

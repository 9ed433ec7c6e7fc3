//! `mappings/qido.toml`: the attributes of searches as rows.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::mapping::read_table;

/// The file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The attributes that are matched and returned.
    pub attribute: Vec<Attribute>,
}

/// An attribute.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Its keyword (PS3.6); of an item `Sequence.Attribute`.
    pub keyword: String,
    /// Where it stands in an answer.
    pub level: Level,
    /// Where its value comes from.
    pub value: Value,
    /// How it is matched; absent: it is only returned.
    #[serde(rename = "match")]
    pub matching: Option<Matching>,
    /// Whether it is returned without being asked for.
    #[serde(default)]
    pub returned: bool,
}

/// A level of the Query/Retrieve information model.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "named by what they are")]
pub enum Level {
    Study,
    Series,
    Instance,
}

/// Where a value comes from: the attributes of a level, or what is computed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "named by what they are")]
pub enum Value {
    Patient,
    Study,
    Series,
    Charset,
    Availability,
    Modalities,
    StudyUid,
    StudyUrl,
    SeriesCount,
    StudyInstanceCount,
    StudyClasses,
    SeriesUid,
    SeriesUrl,
    SeriesInstanceCount,
    ClassUid,
    InstanceUid,
    InstanceUrl,
    InstanceNumber,
    Rows,
    Columns,
    Frames,
    Syntax,
}

/// How a value is matched (PS3.4 section C.2.2.2).
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Matching {
    /// One of a list of UIDs.
    Uid,
    /// A date or a range of dates.
    Date,
    /// A time or a range of times.
    Time,
    /// Text with wildcards.
    Text,
    /// The same, or one of a list.
    Code,
    /// A person's name: text without regard to case.
    Name,
    /// A number.
    Number,
}

impl Table {
    /// The built-in table, or the file of the same name in `folder`.
    ///
    /// # Errors
    /// [`Error::Configuration`] with file and rule.
    pub fn load(folder: Option<&Path>) -> Result<Self> {
        let name = "qido.toml";
        let table: Self = read_table(name, include_str!("../../../mappings/qido.toml"), folder)?;
        for row in &table.attribute {
            for word in row.keyword.split('.') {
                if crate::dicom::element_of(word).is_none() {
                    return Err(Error::Configuration(format!(
                        "mappings/{name}: `{word}` is no keyword of PS3.6"
                    )));
                }
            }
        }
        Ok(table)
    }
}

//! The table of DICOM attributes that are read: `mappings/attributes.toml`.
//!
//! In: the text of the table. Out: typed rows whose keywords PS3.6 knows and whose groups exist.
//! Absent: tag numbers; [`crate::dicom`] looks them up once when it starts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::imaging::Keyword;

const EMBEDDED: &str = include_str!("../../mappings/attributes.toml");
const OF_REPORTS: &str = include_str!("../../mappings/sr-attributes.toml");

/// What an attribute describes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// The patient (Patient IE).
    Patient,
    /// The study (Study IE and the Patient Study module).
    Study,
    /// The series, its equipment and what all its images share.
    Series,
    /// The instance: read to describe it, not stored as an attribute.
    Instance,
}

/// One attribute that is read.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Keyword of PS3.6.
    pub keyword: String,
    /// What it describes.
    pub level: Level,
    /// For a sequence: the group that its items are read by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<String>,
    /// Sequences, outermost first, in which the attribute also counts when absent at the top.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<Vec<String>>,
    /// Why the row is here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The attributes that are read inside the items of a sequence.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name in this table.
    pub name: String,
    /// Keywords of attributes that are no sequences.
    pub keywords: Vec<String>,
    /// Keywords of sequences, each with the group of its own items.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sequences: BTreeMap<String, String>,
}

/// Which attribute names or describes an instance.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Title {
    /// A SOP class UID, or the beginning of some when it ends with a dot.
    pub sop_class: String,
    /// The attribute: of a sequence the CodeMeaning of its first item.
    pub keyword: String,
}

/// The whole table.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeTable {
    /// Groups of attributes inside items.
    #[serde(rename = "group", default)]
    pub groups: Vec<Group>,
    /// Attributes of the data set.
    #[serde(rename = "attribute")]
    pub attributes: Vec<Attribute>,
    /// Names of instances.
    #[serde(rename = "title", default)]
    pub titles: Vec<Title>,
    /// What is said of instances.
    #[serde(rename = "description", default)]
    pub descriptions: Vec<Title>,
}

/// How deep groups may nest: no macro of PS3.3 that is read here nests deeper.
const DEPTH: usize = 8;

impl AttributeTable {
    /// The table that the program carries.
    #[must_use]
    pub fn embedded() -> &'static Self {
        static TABLE: LazyLock<AttributeTable> = LazyLock::new(|| {
            #[allow(clippy::expect_used, reason = "a unit test parses the embedded table")]
            AttributeTable::parse(EMBEDDED, "mappings/attributes.toml")
                .expect("the embedded table holds to its rules")
        });
        &TABLE
    }

    /// The text of the table that the program carries.
    #[must_use]
    pub const fn embedded_text() -> &'static str {
        EMBEDDED
    }

    /// Reads a table.
    ///
    /// # Errors
    /// [`Error::Configuration`] with file, line and rule when the text is not such a table, a
    /// keyword is none of PS3.6, a row stands twice, or a group is missing or nests in a circle.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        Self::parse_by(text, file, false)
    }

    /// Reads a table whose groups may nest in themselves: that of a tree.
    ///
    /// # Errors
    /// As [`AttributeTable::parse`], but for the circle.
    pub fn parse_tree(text: &str, file: &str) -> Result<Self> {
        Self::parse_by(text, file, true)
    }

    /// The attributes of a report, with its content tree: `mappings/sr-attributes.toml`. It is
    /// what PS3.3 makes a report of, so no folder of the configuration replaces it.
    #[must_use]
    pub fn of_reports() -> &'static Self {
        static TABLE: LazyLock<AttributeTable> = LazyLock::new(|| {
            #[allow(clippy::expect_used, reason = "a unit test parses the embedded table")]
            AttributeTable::parse_tree(OF_REPORTS, "mappings/sr-attributes.toml")
                .expect("the embedded table holds to its rules")
        });
        &TABLE
    }

    fn parse_by(text: &str, file: &str, is_tree: bool) -> Result<Self> {
        let table: Self = toml::from_str(text)
            .map_err(|error| Error::Configuration(format!("{file}: {error}")))?;
        let refuse = |word: &str, rule: String| {
            let place = line_of(text, word);
            Err(Error::Configuration(format!("{file}:{place}: {rule}")))
        };
        let known = |word: &str| Keyword::parse(word).is_ok();

        let mut names = BTreeSet::new();
        for group in &table.groups {
            if !names.insert(group.name.as_str()) {
                return refuse(&group.name, format!("group `{}` stands twice", group.name));
            }
        }
        for group in &table.groups {
            for keyword in group.keywords.iter().chain(group.sequences.keys()) {
                if !known(keyword) {
                    return refuse(keyword, format!("`{keyword}` is no keyword of PS3.6"));
                }
            }
            for inner in group.sequences.values() {
                if !names.contains(inner.as_str()) {
                    return refuse(inner, format!("there is no group `{inner}`"));
                }
            }
            if !is_tree && table.depth(&group.name, 0).is_none() {
                let rule = format!("group `{}` nests in itself or too deep", group.name);
                return refuse(&group.name, rule);
            }
        }
        let mut keywords = BTreeSet::new();
        for row in &table.attributes {
            let keyword = &row.keyword;
            if !keywords.insert(keyword.as_str()) {
                return refuse(keyword, format!("`{keyword}` stands twice"));
            }
            for keyword in row.within.iter().flatten().chain([keyword]) {
                if !known(keyword) {
                    return refuse(keyword, format!("`{keyword}` is no keyword of PS3.6"));
                }
            }
            if let Some(group) = row.items.as_ref().filter(|name| !names.contains(name.as_str())) {
                return refuse(group, format!("there is no group `{group}`"));
            }
        }
        for title in table.titles.iter().chain(&table.descriptions) {
            if !keywords.contains(title.keyword.as_str()) {
                let rule =
                    format!("`{}` names or describes instances but is not read", title.keyword);
                return refuse(&title.keyword, rule);
            }
        }
        Ok(table)
    }

    /// The group of that name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The level of an attribute, if it is read.
    #[must_use]
    pub fn level(&self, keyword: &str) -> Option<Level> {
        self.attributes.iter().find(|row| row.keyword == keyword).map(|row| row.level)
    }

    fn depth(&self, name: &str, above: usize) -> Option<usize> {
        if above > DEPTH {
            return None;
        }
        let group = self.group(name)?;
        let mut deepest = above;
        for inner in group.sequences.values() {
            deepest = deepest.max(self.depth(inner, above + 1)?);
        }
        Some(deepest)
    }
}

/// The line of the first place where a word stands in quotes or as a key; 1 when it does not.
fn line_of(text: &str, word: &str) -> usize {
    let place = text.find(&format!("\"{word}\"")).or_else(|| text.find(word)).unwrap_or(0);
    text.get(..place).map_or(1, |before| before.matches('\n').count() + 1)
}

#[cfg(test)]
mod tests {
    use super::{AttributeTable, Level};

    #[test]
    fn the_embedded_table_holds_to_its_rules() {
        let table = AttributeTable::parse(AttributeTable::embedded_text(), "embedded").unwrap();
        assert_eq!(table.level("PatientName"), Some(Level::Patient));
        assert_eq!(table.level("StudyDate"), Some(Level::Study));
        assert_eq!(table.level("Modality"), Some(Level::Series));
        assert_eq!(table.level("PixelData"), None);
        let reports = AttributeTable::of_reports();
        let content = reports.group("content").unwrap();
        assert_eq!(content.sequences["ContentSequence"], "content");
    }

    #[test]
    fn a_wrong_row_is_refused_with_line_and_rule() {
        for (text, says) in [
            ("[[attribute]]\nkeyword = \"PatientNam\"\nlevel = \"patient\"", "t:2: `PatientNam`"),
            ("[[attribute]]\nkeyword = \"PatientName\"\nlevel = \"person\"", "line 3"),
            ("[[attribute]]\nkeyword = \"PatientName\"\nlevel = \"patient\"\nx = 1", "unknown"),
            (
                "[[attribute]]\nkeyword = \"ProcedureCodeSequence\"\nlevel = \"study\"\nitems = \"code\"",
                "t:4: there is no group `code`",
            ),
            (
                "attribute = []\n[[group]]\nname = \"a\"\nkeywords = []\nsequences = { ViewCodeSequence = \"a\" }",
                "t:3: group `a` nests in itself",
            ),
        ] {
            let error = AttributeTable::parse(text, "t").unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}

//! `mappings/eucaim.toml`: the minimum dataset of EUCAIM, variable by variable.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::imaging::Facet;

/// The file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Eucaim {
    /// The variables.
    #[serde(rename = "variable")]
    pub variables: Vec<Variable>,
}

/// A variable of the minimum dataset.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Variable {
    /// Of what it is.
    pub group: Group,
    /// Its name.
    pub name: String,
    /// Whether it must be there even if it is not at hand.
    #[serde(default = "yes")]
    pub mandatory: bool,
    /// Where it stands in the resources of this node.
    pub place: String,
    /// The facet of the index that counts it.
    pub facet: Option<Facet>,
    /// The DICOM attribute that the index counts it by.
    pub attribute: Option<String>,
    /// What was written and counts it.
    #[serde(default)]
    pub record: Vec<Written>,
    /// The component of a segmentation-annotation that it is.
    pub component: Option<String>,
}

const fn yes() -> bool {
    true
}

/// A place in resources of a profile.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Id of the profile in `ig/`.
    pub profile: String,
    /// The top-level element.
    pub path: String,
}

/// Of what a variable is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Of each study.
    Imaging,
    /// Of each person with cancer or a diagnosis.
    Positive,
    /// Of each screening negative and control.
    Negative,
    /// Of each annotation.
    Segmentation,
}

impl Group {
    /// The word and what is counted.
    #[must_use]
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Imaging => ("imaging", "studies"),
            Self::Positive => ("persons with cancer", "persons"),
            Self::Negative => ("negatives and controls", "persons"),
            Self::Segmentation => ("segmentation", "annotations"),
        }
    }
}

impl Eucaim {
    /// The embedded table.
    ///
    /// # Errors
    /// [`Error::Internal`] when it is wrong; a test keeps that from being shipped.
    pub fn embedded() -> Result<Self> {
        toml::from_str(include_str!("../../mappings/eucaim.toml"))
            .map_err(|failure| Error::Internal(format!("mappings/eucaim.toml: {failure}")))
    }
}

#[cfg(test)]
mod tests {
    use super::{Eucaim, Group};

    #[test]
    fn every_variable_is_counted_in_one_way() {
        let table = Eucaim::embedded().unwrap();
        assert_eq!(table.variables.len(), 33);
        for variable in &table.variables {
            let ways = usize::from(variable.facet.is_some())
                + usize::from(variable.attribute.is_some())
                + usize::from(!variable.record.is_empty())
                + usize::from(variable.component.is_some());
            assert_eq!(ways, 1, "{} is counted in {ways} ways", variable.name);
            assert_eq!(variable.component.is_some(), variable.group == Group::Segmentation);
        }
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "a test says what it skips")]
    fn the_variables_are_those_of_the_reference() {
        let Some(folder) = std::env::var_os("VESALIUS_REFERENCE") else {
            eprintln!("skipped: VESALIUS_REFERENCE is not set");
            return;
        };
        let path = std::path::Path::new(&folder).join("reference/data/eucaim-minimum-dataset.tsv");
        let Ok(text) = std::fs::read_to_string(&path) else {
            eprintln!("skipped: {} is not there", path.display());
            return;
        };
        let table = Eucaim::embedded().unwrap();
        let count = |wanted| table.variables.iter().filter(|row| row.group == wanted).count();
        for (group, kind, whom) in [
            (Group::Imaging, "imaging", "all"),
            (Group::Positive, "clinical", "positive or diagnostic"),
            (Group::Negative, "clinical", "negative screening or control"),
            (Group::Segmentation, "annotation", "segmentation"),
        ] {
            let begin = format!("{kind}\t{whom}\t");
            let official = text.lines().filter(|line| line.starts_with(&begin)).count();
            assert_eq!(count(group), official, "{group:?}");
        }
    }
}

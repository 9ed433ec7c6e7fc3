//! The minimum elements of a dataset description: Commission Implementing Regulation (EU)
//! 2026/2098, Annex B. Which are due, which are there, which are missing, by name.

use std::path::Path;

use oxrdf::{Graph, NamedNode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::release::{self, Release};
use super::shacl::{Problem, Severity};
use super::{AccessRights, Text};
use crate::error::Result;

/// `elements.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ElementsFile {
    /// Its rows.
    pub element: Vec<Element>,
}

/// An element of Annex B.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Element {
    /// Its name.
    pub id: String,
    /// The property that carries it, prefixed.
    pub property: String,
    /// The key of the description or the configuration that gives it.
    pub key: String,
    /// When it is due.
    pub when: When,
    /// What people call it, per language.
    pub label: Text,
}

/// When an element is due.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Always.
    Always,
    /// Where applicable: every imaging dataset can say it.
    WhereApplicable,
    /// When the document has codes: an archive without a coded facet has none to give.
    Coded,
    /// When the disclosure rule shows counts.
    Counted,
    /// When the disclosure rule shows a period.
    Dated,
    /// For RESTRICTED and NON_PUBLIC.
    NotPublic,
    /// For structured data.
    Structured,
}

/// How one element stands in a document.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Due {
    /// The element's name.
    pub id: String,
    /// The key that gives it.
    pub key: String,
    /// What people call it.
    pub label: Text,
    /// Whether the Regulation demands it of this dataset.
    pub is_due: bool,
    /// Whether the document has it.
    pub is_there: bool,
}

/// Reads `elements.toml`.
pub(super) fn read(folder: Option<&Path>) -> Result<Vec<Element>> {
    let file: ElementsFile = release::read("elements.toml", folder)?;
    Ok(file.element)
}

/// How every element stands in the document of a dataset.
#[must_use]
pub fn completeness(
    document: &Graph,
    dataset: &NamedNode,
    rights: AccessRights,
    release: &Release,
) -> Vec<Due> {
    let has = |property: &str| {
        document.objects_for_subject_predicate(dataset, &release.term(property)).next().is_some()
    };
    let is_structured = document
        .objects_for_subject_predicate(dataset, &release.term("healthdcatap:hasStructuredData"))
        .any(|value| matches!(value, oxrdf::TermRef::Literal(text) if text.value() == "true"));
    let standing = |element: &Element| {
        let is_there = has(&element.property);
        Due {
            id: element.id.clone(),
            key: element.key.clone(),
            label: element.label.clone(),
            is_due: match element.when {
                When::Always | When::WhereApplicable => true,
                // Figures are computed: what the archive or the rule does not show, nobody can.
                When::Coded | When::Counted | When::Dated => is_there,
                When::NotPublic => rights != AccessRights::Public,
                When::Structured => is_structured,
            },
            is_there,
        }
    };
    release.elements.iter().map(standing).collect()
}

/// What is due and missing, as lines of the report that name the element and the key.
#[must_use]
pub fn missing(all: &[Due]) -> Vec<Problem> {
    let due = all.iter().filter(|standing| standing.is_due && !standing.is_there);
    due.map(|standing| Problem {
        severity: Severity::Warning,
        field: standing.key.clone(),
        label: standing.label.best("en").to_owned(),
        rule: format!(
            "is due and missing: element `{}` of Regulation (EU) 2026/2098, Annex B",
            standing.id
        ),
        remedy: if standing.key.contains('.') {
            format!("set `{}` in the configuration", standing.key)
        } else {
            format!("write `{}`", standing.key)
        },
        value: None,
    })
    .collect()
}

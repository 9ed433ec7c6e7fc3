//! The report in the steward's words.

use oxrdf::vocab::rdf;
use oxrdf::{Graph, NamedNode, Term, TermRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::validate::resource;
use super::{Outcome, Severity};
use crate::catalogue::Release;

/// `shapes/fields.toml`: what a steward calls a property, and how to mend it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FieldsFile {
    /// Its rows.
    pub field: Vec<Field>,
}

/// A property in the steward's words.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// The property, prefixed: `dct:title`.
    pub property: String,
    /// Class of the node that has it, where the same property means different fields.
    pub class: Option<String>,
    /// The key in the description or the configuration.
    pub key: String,
    /// What people call it.
    pub label: String,
    /// What to do.
    pub remedy: String,
}

/// A line of the report.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Problem {
    /// How grave it is.
    pub severity: Severity,
    /// The key in the description or the configuration.
    pub field: String,
    /// What people call the field.
    pub label: String,
    /// The rule that is broken.
    pub rule: String,
    /// What to do.
    pub remedy: String,
    /// The value, if one breaks the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{} (`{}`): ", self.label, self.field)?;
        }
        f.write_str(&self.rule)?;
        if let Some(value) = &self.value {
            write!(f, " (`{value}`)")?;
        }
        write!(f, "; {}", self.remedy)
    }
}

impl FieldsFile {
    /// The key of a property of the dataset.
    #[must_use]
    pub fn key(&self, property: &str) -> Option<&str> {
        let mut rows = self.field.iter().filter(|row| row.property == property);
        rows.find(|row| row.class.is_none()).map(|row| row.key.as_str())
    }

    /// An outcome in the steward's words.
    #[must_use]
    pub fn problem(&self, outcome: &Outcome, data: &Graph, release: &Release) -> Problem {
        let classes: Vec<NamedNode> = resource(&outcome.focus)
            .into_iter()
            .flat_map(|node| data.objects_for_subject_predicate(node, rdf::TYPE))
            .filter_map(|kind| match kind {
                TermRef::NamedNode(kind) => Some(kind.into_owned()),
                _ => None,
            })
            .collect();
        let row = outcome.property.as_ref().and_then(|property| {
            let rows = || self.field.iter().filter(|row| release.term(&row.property) == *property);
            rows()
                .find(|row| {
                    row.class.as_ref().is_some_and(|class| classes.contains(&release.term(class)))
                })
                .or_else(|| rows().find(|row| row.class.is_none()))
        });
        let value = outcome.value.as_ref().map(|value| match value {
            Term::NamedNode(node) => node.as_str().to_owned(),
            Term::Literal(literal) => literal.value().to_owned(),
            other => other.to_string(),
        });
        let property = outcome.property.as_ref().map_or("", |property| property.as_str());
        Problem {
            severity: outcome.severity,
            field: row.map_or_else(|| property.to_owned(), |row| row.key.clone()),
            label: row.map_or_else(
                || property.rsplit(['#', '/']).next().unwrap_or_default().to_owned(),
                |row| row.label.clone(),
            ),
            rule: outcome.message.clone(),
            remedy: row.map_or_else(
                || "tell the maintainers: a property without a field broke a rule".to_owned(),
                |row| row.remedy.clone(),
            ),
            value,
        }
    }
}

//! `sr-reports.toml`: kinds, statuses, sections and roles of reports.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::imaging::{Code, Report};

/// `sr-reports.toml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reports {
    /// How key object selections are given.
    pub key_images: KeyImages,
    /// Which kind of report an instance is; the first row that fits counts.
    pub kind: Vec<KindRow>,
    /// Which profile a resource claims; the first row that fits counts.
    pub profile: Vec<ProfileRow>,
    /// What the flags of a report are in FHIR; the first row that fits counts.
    pub status: Vec<StatusRow>,
    /// The sections of a Composition, in order.
    pub section: Vec<SectionRow>,
    /// Why a number is missing.
    pub absent: Vec<AbsentRow>,
    /// What content items are for.
    pub role: Vec<RoleRow>,
    /// Whom items are about.
    pub subject: SubjectRow,
    /// Figures of a dose report, in order.
    pub dose: Vec<DoseRow>,
    #[serde(skip)]
    roles: HashMap<Box<str>, Role>,
    #[serde(skip)]
    sections: HashMap<Box<str>, usize>,
}

/// A form of key object selections.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum KeyImages {
    /// Basic with R5's ImagingSelection.
    Basic,
    /// Not as resources.
    None,
}

/// What a report is in FHIR.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// DiagnosticReport, Composition and Observations.
    Report,
    /// The same, made by a device.
    Findings,
    /// One Observation.
    Dose,
    /// Images that somebody chose.
    KeyObjects,
    /// DiagnosticReport with a presented form.
    Document,
    /// Nothing.
    Record,
}

/// A row of `kind`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KindRow {
    /// A SOP class, or the beginning of some when it ends with a dot.
    pub sop_class: String,
    /// The title that it must have, `DESIGNATOR|code`.
    pub title: Option<String>,
    /// What it is.
    pub kind: Kind,
}

/// A row of `profile`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileRow {
    /// The resource type.
    pub resource: String,
    /// The kind of report that it must be of.
    pub kind: Option<Kind>,
    /// Canonical URL.
    pub url: String,
}

/// A row of `status`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusRow {
    /// The kind that it must be.
    pub kind: Option<Kind>,
    /// CompletionFlag.
    pub completion: Option<String>,
    /// VerificationFlag.
    pub verification: Option<String>,
    /// PreliminaryFlag.
    pub preliminary: Option<String>,
    /// Whether it names predecessors.
    pub amends: Option<bool>,
    /// DiagnosticReport.status.
    pub report: String,
    /// Composition.status.
    pub composition: String,
    /// Observation.status.
    pub observation: String,
}

/// A row of `section`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SectionRow {
    /// The slice of CompositionEuImaging.
    pub name: String,
    /// Its heading.
    pub title: String,
    /// LOINC code.
    pub code: String,
    /// What LOINC calls it.
    pub display: String,
    /// Whether the profile demands it.
    #[serde(default)]
    pub required: bool,
    /// Why it is empty (`list-empty-reason`).
    #[serde(default)]
    pub empty: Option<String>,
    /// Whether its text concludes the report.
    #[serde(default)]
    pub conclusion: bool,
    /// Concepts whose content belongs there.
    pub concepts: Vec<String>,
}

/// A row of `absent`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbsentRow {
    /// Numeric value qualifier.
    pub concept: String,
    /// Code of `data-absent-reason`.
    pub reason: String,
}

/// What a content item is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A group of measurements of one thing.
    Group,
    /// A coded item that is a finding with properties.
    FindingItem,
    /// What was found.
    Finding,
    /// Where.
    FindingSite,
    /// On which side.
    Laterality,
    /// What else narrows it.
    Modifier,
    /// How it was measured.
    Method,
    /// A name that follows a lesion through time.
    TrackingIdentifier,
    /// The same as a UID.
    TrackingUid,
    /// Whom or what it is about.
    SubjectClass,
    /// Who observed.
    Observer,
    /// About the report, not the patient.
    About,
}

/// A row of `role`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleRow {
    /// What for.
    pub role: Role,
    /// Which concepts.
    pub concepts: Vec<String>,
}

/// The row of `subject`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubjectRow {
    /// The subject class that is the patient.
    pub patient: String,
}

/// A row of `dose`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DoseRow {
    /// The concept of the number.
    pub concept: String,
    /// What it is called in the summary.
    pub label: String,
    /// Whether it is of the whole report, so that the first one counts.
    #[serde(default)]
    pub total: bool,
}

/// The notation of a concept in the rows.
pub(super) fn key(code: &Code) -> String {
    format!("{}|{}", code.scheme.as_deref().unwrap_or_default(), code.value)
}

impl Reports {
    /// Indexes the rows, and says what is wrong with them.
    pub(in crate::mapping) fn index(mut self) -> Result<Self, String> {
        let is_concept =
            |text: &str| text.split_once('|').is_some_and(|(s, c)| !s.is_empty() && !c.is_empty());
        for row in &self.role {
            for concept in &row.concepts {
                if !is_concept(concept) {
                    return Err(format!("`{concept}` is not `DESIGNATOR|code`"));
                }
                if self.roles.insert(concept.as_str().into(), row.role).is_some() {
                    return Err(format!("`{concept}` has two roles"));
                }
            }
        }
        for (at, row) in self.section.iter().enumerate() {
            if row.required && row.empty.is_none() {
                return Err(format!("section `{}` is required and needs `empty`", row.name));
            }
            for concept in &row.concepts {
                if !is_concept(concept) {
                    return Err(format!("`{concept}` is not `DESIGNATOR|code`"));
                }
                if self.sections.insert(concept.as_str().into(), at).is_some() {
                    return Err(format!("`{concept}` stands in two sections"));
                }
            }
        }
        for name in ["imagingstudy", "order", "procedure", "findings", "report"] {
            if self.section(name).is_none() {
                return Err(format!("there is no section `{name}`"));
            }
        }
        let is_default = |row: &StatusRow| {
            row.kind.is_none()
                && row.completion.is_none()
                && row.verification.is_none()
                && row.preliminary.is_none()
                && row.amends.is_none()
        };
        if !self.status.last().is_some_and(is_default) {
            return Err("the last row of `status` must have no condition".to_owned());
        }
        Ok(self)
    }

    /// The place of a section.
    pub(super) fn section(&self, name: &str) -> Option<usize> {
        self.section.iter().position(|row| row.name == name)
    }

    /// The section that a concept heads.
    pub(super) fn section_of(&self, concept: &Code) -> Option<usize> {
        self.sections.get(key(concept).as_str()).copied()
    }

    /// What a concept is for.
    pub(super) fn role(&self, concept: Option<&Code>) -> Option<Role> {
        self.roles.get(key(concept?).as_str()).copied()
    }

    /// What a report is.
    #[must_use]
    pub fn kind(&self, report: &Report) -> Kind {
        let class = report.sop_class.as_str();
        let fits = |row: &KindRow| {
            let is_class = if row.sop_class.ends_with('.') {
                class.starts_with(&row.sop_class)
            } else {
                class == row.sop_class
            };
            let is_titled = row.title.as_ref().is_none_or(|title| {
                report.title.as_ref().is_some_and(|found| key(found) == *title)
            });
            is_class && is_titled
        };
        self.kind.iter().find(|row| fits(row)).map_or(Kind::Record, |row| row.kind)
    }

    /// Says in a resource which profile it holds to.
    pub(super) fn claim(&self, resource: &mut Value, kind: Kind) {
        let name = resource["resourceType"].as_str().unwrap_or_default();
        let row = self
            .profile
            .iter()
            .find(|row| row.resource == name && row.kind.is_none_or(|wanted| wanted == kind));
        if let (Some(row), Some(object)) = (row, resource.as_object_mut()) {
            let url = row.url.clone();
            let meta = object.entry("meta").or_insert_with(|| json!({}));
            meta["profile"] = json!([url]);
        }
    }

    /// The row of a report's flags.
    pub(super) fn status(&self, report: &Report, kind: Kind) -> Option<&StatusRow> {
        let is = |row: &Option<String>, found: &Option<String>| {
            row.is_none() || row.as_deref() == found.as_deref()
        };
        self.status.iter().find(|row| {
            row.kind.is_none_or(|wanted| wanted == kind)
                && is(&row.completion, &report.completion)
                && is(&row.verification, &report.verification)
                && is(&row.preliminary, &report.preliminary)
                && row.amends.is_none_or(|amends| amends != report.predecessors.is_empty())
        })
    }
}

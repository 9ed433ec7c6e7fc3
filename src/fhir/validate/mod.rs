//! Whether a resource is what FHIR R4 and the European profiles say it is.
//!
//! In: a resource as JSON, and the profiles that it must hold to beside those that it claims.
//! Out: a [`Report`]: every issue with its place, its rule, and how to mend it. Pure: no IO, no
//! clock, the same issues in the same order for the same bytes; bounded in depth, elements, issues.
//!
//! What is checked are rows of `ig/rules/`, written from the official definitions by
//! `ig/tools/rules.py` (FHIR R4 4.0.1, HL7 Europe Base, Extensions and Imaging, EU Health Data API,
//! IHE MHD, IHE RAD MADO): unknown elements, JSON shape, cardinality in each parent, primitive forms,
//! choices, required value sets that can be listed, reference targets, extensions and where they
//! may stand, narratives, invariants; and of profiles fixed values, patterns, slices, targets.
//! Absent: code systems that no table holds (SNOMED CT, LOINC, DICOM), snapshots of strangers'
//! profiles, aggregation modes, obligations and mustSupport.

mod base;
mod extension;
mod links;
mod path;
mod primitive;
mod profile;
mod prose;
mod report;
mod rules;
mod shape;
mod slice;
mod table;
mod xhtml;

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use links::{Links, Scope};
use path::{Element, Surroundings};
pub(in crate::fhir) use primitive::Primitive;
use report::At;
pub use report::{Code, Issue, Report, Severity, outcome};
use rules::{BASE, Invariant};
pub(in crate::fhir) use rules::{Child, Kind, Node, Rules};
pub(in crate::fhir) use table::JsonKind;
use table::Strength;

/// Deepest nesting of elements.
const DEEPEST: usize = 64;
/// Most elements and profile rules that are looked at.
const MOST_STEPS: usize = 2_000_000;
/// Most issues that are told.
const MOST_ISSUES: usize = 200;

/// The kinds of data files of this room, for [`crate::schemas`].
#[must_use]
pub fn schemas() -> Vec<(&'static str, schemars::Schema)> {
    vec![
        ("rules-type", schemars::schema_for!(table::TypeRow)),
        ("rules-types", schemars::schema_for!(table::TypeFile)),
        ("rules-profiles", schemars::schema_for!(table::ProfileFile)),
        ("rules-extensions", schemars::schema_for!(table::ExtensionFile)),
        ("rules-value-sets", schemars::schema_for!(table::ValueSetFile)),
        ("rules-resource-types", schemars::schema_for!(table::ResourceTypes)),
        ("rules-invariants", schemars::schema_for!(table::InvariantFile)),
        ("rules-primitives", schemars::schema_for!(table::PrimitiveFile)),
    ]
}

/// Canonical URLs of the profiles that can be asked for.
#[must_use]
pub fn profiles() -> Vec<&'static str> {
    Rules::shared().map(Rules::profile_urls).unwrap_or_default()
}

/// The type that a profile constrains, if the profile is known here.
#[must_use]
pub fn type_of_profile(canonical: &str) -> Option<&'static str> {
    Rules::shared().ok()?.profile(canonical).map(|profile| profile.of.as_str())
}

/// Checks a resource against R4, the profiles that it and its parts claim, and `profiles`.
#[must_use]
pub fn validate(resource: &Value, profiles: &[&str]) -> Report {
    let rules = match Rules::shared() {
        Ok(rules) => rules,
        Err(wrong) => {
            tracing::error!(wrong, "the rules cannot be read");
            let issue = Issue {
                severity: Severity::Error,
                code: Code::Exception,
                expression: String::new(),
                rule: "ig/rules".to_owned(),
                diagnostics: "the rules of this server cannot be read; tell its operator"
                    .to_owned(),
            };
            return Report { issues: vec![issue] };
        }
    };
    let mut walk = Walk {
        rules,
        links: Links::of(resource),
        issues: Vec::new(),
        steps: 0,
        is_spent: false,
        known: HashMap::new(),
    };
    let name = resource.get("resourceType").and_then(Value::as_str).unwrap_or("Resource");
    // What a stranger writes there is shown back only if it is a type.
    let name = if rules.is_resource_type(name) { name } else { "Resource" };
    walk.resource(resource, &At::root(name), Scope::root(resource), profiles);
    Report { issues: walk.finish() }
}

/// One run over a resource.
struct Walk<'a> {
    rules: &'static Rules,
    links: Links<'a>,
    issues: Vec<Issue>,
    steps: usize,
    is_spent: bool,
    /// What is known of (value, profile): the first fault, or none.
    known: HashMap<(*const Value, *const profile::Profile), Option<String>>,
}

impl<'a> Walk<'a> {
    fn finish(self) -> Vec<Issue> {
        // The same fault may be met by way of a claim, a slice and a parent profile.
        let mut told = HashSet::new();
        let mut issues: Vec<Issue> = self
            .issues
            .into_iter()
            .filter(|issue| {
                told.insert((
                    issue.expression.clone(),
                    issue.rule.clone(),
                    issue.diagnostics.clone(),
                ))
            })
            .collect();
        let more = issues.len().saturating_sub(MOST_ISSUES);
        if more > 0 {
            // Errors are told before warnings when not all can be.
            issues.sort_by_key(|issue| issue.severity);
            issues.truncate(MOST_ISSUES);
            issues.push(Issue {
                severity: Severity::Error,
                code: Code::TooCostly,
                expression: String::new(),
                rule: "limits".to_owned(),
                diagnostics: format!("{more} more issues are not told: mend these first"),
            });
        }
        issues
    }

    /// Counts a step; false when the resource is larger than is checked.
    fn step(&mut self, at: &At<'_>) -> bool {
        self.steps += 1;
        if self.is_spent {
            return false;
        }
        let deep = at.depth() > DEEPEST;
        if self.steps > MOST_STEPS || deep {
            self.is_spent = true;
            let what = if deep {
                format!("elements nest deeper than {DEEPEST}: flatten the resource")
            } else {
                "the resource is larger than is checked: send its parts one by one".to_owned()
            };
            self.issue(Severity::Error, Code::TooCostly, at, "limits".to_owned(), what);
            return false;
        }
        true
    }

    fn issue(&mut self, severity: Severity, code: Code, at: &At<'_>, rule: String, words: String) {
        // Far beyond what is told, so that repetitions still leave the others room.
        if self.issues.len() < 20 * MOST_ISSUES {
            let expression = at.to_string();
            self.issues.push(Issue { severity, code, expression, rule, diagnostics: words });
        }
    }

    fn error(&mut self, code: Code, at: &At<'_>, rule: String, words: String) {
        self.issue(Severity::Error, code, at, rule, words);
    }

    /// Holds an element to an invariant; `definition` is the canonical that names it.
    fn invariant(
        &mut self,
        invariant: &Invariant,
        definition: &str,
        element: Element<'a>,
        at: &At<'_>,
        scope: Scope<'a>,
    ) {
        let around = Surroundings { scope, links: &self.links };
        if invariant.path.is_true(element, around) != Some(false) {
            return;
        }
        let severity = match invariant.strength {
            Strength::Error => Severity::Error,
            Strength::Warning => Severity::Warning,
        };
        let rule = format!("{definition}#{}", invariant.key);
        self.issue(severity, Code::Invariant, at, rule, invariant.words.clone());
    }
}

/// The rule of an element of R4: `http://hl7.org/fhir/StructureDefinition/Patient#Patient.name`.
fn base_rule(path: &str) -> String {
    let name = path.split('.').next().unwrap_or(path);
    format!("{BASE}{name}#{path}")
}

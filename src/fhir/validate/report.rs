//! What was found: issues in order of the resource, and the OperationOutcome that tells them.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// How bad an issue is (value set issue-severity).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// The resource must not be taken.
    Error,
    /// It may be taken; somebody should look.
    Warning,
    /// Good to know.
    Information,
}

impl Severity {
    /// The code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Information => "information",
        }
    }
}

/// What kind of issue it is (value set issue-type).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Code {
    /// Not the shape of the element: object for array, unknown element.
    Structure,
    /// An element that must be there is not.
    Required,
    /// A value that cannot be.
    Value,
    /// An invariant.
    Invariant,
    /// A code outside its value set.
    CodeInvalid,
    /// An extension that nobody here knows and nobody may ignore.
    Extension,
    /// A profile or type that is not checked here.
    NotSupported,
    /// Larger or deeper than is checked.
    TooCostly,
    /// The checker itself failed.
    Exception,
}

impl Code {
    /// The code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Structure => "structure",
            Self::Required => "required",
            Self::Value => "value",
            Self::Invariant => "invariant",
            Self::CodeInvalid => "code-invalid",
            Self::Extension => "extension",
            Self::NotSupported => "not-supported",
            Self::TooCostly => "too-costly",
            Self::Exception => "exception",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// What kind it is.
    pub code: Code,
    /// Where: `ImagingStudy.series[0].instance[2].uid`.
    pub expression: String,
    /// Which rule: canonical of the definition, `#`, id of the element or key of the invariant.
    pub rule: String,
    /// What is wrong and how to mend it.
    pub diagnostics: String,
}

/// The issues of one resource, in order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// What was found.
    pub issues: Vec<Issue>,
}

impl Report {
    /// Whether the resource must not be taken.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors().next().is_some()
    }

    /// The issues that are errors.
    pub fn errors(&self) -> impl Iterator<Item = &Issue> {
        self.issues.iter().filter(|issue| issue.severity == Severity::Error)
    }
}

/// The report as an OperationOutcome: the rule is `details.text`, so that a program can name it.
#[must_use]
pub fn outcome(report: &Report) -> Value {
    let issue = |issue: &Issue| {
        json!({
            "severity": issue.severity.code(),
            "code": issue.code.code(),
            "details": { "text": issue.rule },
            "diagnostics": issue.diagnostics,
            "expression": [issue.expression],
        })
    };
    let mut issues: Vec<Value> = report.issues.iter().map(issue).collect();
    if issues.is_empty() {
        issues.push(json!({
            "severity": "information",
            "code": "informational",
            "diagnostics": "no issue was found",
        }));
    }
    json!({ "resourceType": "OperationOutcome", "issue": issues })
}

/// Where an element is: a list on the stack, written out only when there is an issue.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<'p> {
    parent: Option<&'p At<'p>>,
    name: &'p str,
    index: Option<usize>,
}

impl<'p> At<'p> {
    pub fn root(name: &'p str) -> Self {
        Self { parent: None, name, index: None }
    }

    pub fn child(&'p self, name: &'p str, index: Option<usize>) -> At<'p> {
        At { parent: Some(self), name, index }
    }

    fn write(&self, text: &mut String) {
        if let Some(parent) = self.parent {
            parent.write(text);
            text.push('.');
        }
        text.push_str(self.name);
        if let Some(index) = self.index {
            let _ = write!(text, "[{index}]");
        }
    }

    pub fn depth(&self) -> usize {
        self.parent.map_or(0, At::depth) + 1
    }
}

impl std::fmt::Display for At<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        formatter.write_str(&text)
    }
}

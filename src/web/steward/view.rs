//! The fields of the form as a page shows them, and what the gate said to each. What makes them is in
//! `maker.rs`, what they are chosen from in `choices.rs`.

mod choices;
mod maker;

use askama::Template;

use self::choices::{Choice, SelectionView};
pub(super) use self::maker::{Maker, language_name, languages};
use super::super::tongue::Tongue;
use super::super::words::{Phrase, parts};
use crate::catalogue::form::{FormFile, Obligation};
use crate::catalogue::{Outcome, Severity};

/// What the gate said to a field.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub key: String,
    pub label: String,
    pub rule: Phrase,
    pub value: String,
    pub remedy: Phrase,
    /// The remedy speaks of the text of a description: of keys, tables and files.
    pub is_of_text: bool,
    pub is_violation: bool,
    /// Where it stands on the page.
    pub anchor: Option<String>,
}

/// The findings of an outcome, each with its field.
pub(super) fn findings(
    outcome: &Outcome,
    form: &FormFile,
    tongue: &'static Tongue,
) -> Vec<Finding> {
    let label = |key: &str, otherwise: &str| {
        let row = form.row(key);
        row.map_or_else(
            || tongue.gate(otherwise).text,
            |row| row.label.best(&tongue.code).to_owned(),
        )
    };
    if outcome.refusals.is_empty() {
        let problems = outcome.problems.iter();
        return problems
            .map(|problem| Finding {
                key: problem.field.clone(),
                label: label(&problem.field, &problem.label),
                rule: tongue.gate(&problem.rule),
                value: problem.value.clone().unwrap_or_default(),
                remedy: tongue.gate(&problem.remedy),
                is_of_text: is_of_text(&problem.remedy),
                is_violation: problem.severity == Severity::Violation,
                anchor: None,
            })
            .collect();
    }
    let refusals = outcome.refusals.iter();
    refusals
        .map(|refusal| Finding {
            key: refusal.key.clone(),
            label: label(&refusal.key, &refusal.key),
            rule: tongue.gate(&refusal.problem),
            value: String::new(),
            remedy: tongue.gate(&refusal.remedy),
            is_of_text: is_of_text(&refusal.remedy),
            is_violation: true,
            anchor: None,
        })
        .collect()
}

/// Whether a remedy says how the text of a description is written, which a form has no place for.
fn is_of_text(remedy: &str) -> bool {
    let code = || parts(remedy).into_iter().filter(|(is_code, _)| *is_code).map(|(_, code)| code);
    remedy.contains(".toml") || remedy.contains("the key") || {
        remedy.starts_with("write `")
            || code().any(|code| code.contains(" = ") || code.starts_with('['))
    }
}

pub(super) struct LanguageRow {
    pub code: String,
    pub name: String,
    pub value: String,
}

pub(super) enum Control {
    Line { value: String, kind: &'static str },
    Area { value: String, rows: u8 },
    Texts { rows: Vec<LanguageRow>, is_long: bool },
    TextList { items: Vec<Vec<LanguageRow>> },
    Words { rows: Vec<LanguageRow> },
    Flag { is_on: bool },
    Code { choices: Vec<Choice>, other: Option<String> },
    Codes { choices: Vec<Choice>, other: Option<String>, chosen: String, is_folded: bool },
    Part { fields: Vec<FieldView>, is_open: bool },
    Parts { items: Vec<Vec<FieldView>> },
    Selection(SelectionView),
}

#[derive(Template)]
#[template(path = "steward/field.html")]
pub(super) struct FieldView {
    pub path: String,
    pub id: String,
    pub label: String,
    pub help: String,
    pub due: Obligation,
    pub findings: Vec<Finding>,
    pub control: Control,
    pub tongue: &'static Tongue,
}

impl FieldView {
    fn w(&self, key: &str) -> &'static str {
        self.tongue.word(key)
    }

    fn shown<'f>(&self, all: &'f [Self]) -> Fields<'f> {
        fields(all, self.tongue)
    }

    fn due_word(&self) -> &'static str {
        self.w(match self.due {
            Obligation::M => "steward.mandatory",
            Obligation::R => "steward.recommended",
            Obligation::O => "steward.optional",
        })
    }

    fn is_mandatory(&self) -> bool {
        self.due == Obligation::M
    }

    fn described(&self) -> String {
        let help = format!("{}-help", self.id);
        if self.findings.is_empty() { help } else { format!("{}-said {help}", self.id) }
    }

    /// What to do in this control.
    fn how(&self, finding: &Finding) -> Phrase {
        if !finding.is_of_text {
            return finding.remedy.clone();
        }
        Phrase::plain(self.w(match &self.control {
            Control::Line { .. } | Control::Area { .. } => "steward.how-line",
            Control::Texts { .. } => "steward.how-text",
            Control::Words { .. } => "steward.how-words",
            Control::TextList { .. } | Control::Parts { .. } => "steward.how-list",
            Control::Flag { .. } => "steward.how-flag",
            Control::Code { .. } => "steward.how-code",
            Control::Codes { .. } => "steward.how-codes",
            Control::Part { .. } => "steward.how-part",
            Control::Selection(_) => "steward.how-selection",
        }))
    }

    fn is_wrong(&self) -> bool {
        self.findings.iter().any(|finding| finding.is_violation)
    }

    /// Whether something was said to it, or to something within it.
    fn has_findings(&self) -> bool {
        !self.findings.is_empty()
            || match &self.control {
                Control::Part { fields, .. } => fields.iter().any(Self::has_findings),
                Control::Parts { items } => items.iter().flatten().any(Self::has_findings),
                _ => false,
            }
    }

    /// Whether it holds nothing.
    fn is_empty(&self) -> bool {
        let all_empty = |rows: &[LanguageRow]| rows.iter().all(|row| row.value.is_empty());
        match &self.control {
            Control::Line { value, .. } | Control::Area { value, .. } => value.is_empty(),
            Control::Texts { rows, .. } | Control::Words { rows } => all_empty(rows),
            Control::TextList { items } => items.is_empty(),
            Control::Flag { is_on } => !is_on,
            Control::Code { choices, other } | Control::Codes { choices, other, .. } => {
                !choices.iter().any(|choice| choice.is_chosen)
                    && other.as_ref().is_none_or(String::is_empty)
            }
            Control::Part { is_open, .. } => !is_open,
            Control::Parts { items } => items.is_empty(),
            Control::Selection(selection) => selection.counts.is_none(),
        }
    }

    /// Whether it stands behind the others until somebody wants it: optional, and nothing in it.
    pub(super) fn is_rest(&self) -> bool {
        self.due == Obligation::O && self.is_empty() && !self.has_findings()
    }

    fn is_open(&self) -> bool {
        match &self.control {
            Control::Part { is_open, .. } => *is_open || self.has_findings(),
            _ => true,
        }
    }
}

/// The fields that stand behind the others.
fn rest(fields: &[FieldView]) -> String {
    let rest = fields.iter().filter(|field| field.is_rest());
    rest.map(|field| field.label.as_str()).collect::<Vec<_>>().join(", ")
}

#[derive(Template)]
#[template(path = "steward/fields.html")]
pub(super) struct Fields<'f> {
    fields: &'f [FieldView],
    rest: String,
    more: &'static str,
}

/// Fields, with those that nobody needs yet folded.
fn fields<'f>(fields: &'f [FieldView], tongue: &'static Tongue) -> Fields<'f> {
    Fields { fields, rest: rest(fields), more: tongue.word("steward.more") }
}

pub(super) struct GroupView {
    pub id: String,
    pub label: String,
    pub fields: Vec<FieldView>,
    pub tongue: &'static Tongue,
}

impl GroupView {
    pub(super) fn shown(&self) -> Fields<'_> {
        fields(&self.fields, self.tongue)
    }
}

/// Puts a finding beside its field; the field's address on the page, if it has one there.
fn place(fields: &mut [FieldView], finding: &Finding) -> Option<String> {
    let key = &finding.key;
    for field in fields.iter_mut() {
        let is_own = field.path == *key;
        let within = key.strip_prefix(&field.path).and_then(|rest| rest.strip_prefix('.'));
        if !is_own && within.is_none() {
            continue;
        }
        if !is_own {
            let deeper = match &mut field.control {
                Control::Part { fields, .. } => place(fields, finding),
                Control::Parts { items } => {
                    let rest = within.unwrap_or_default();
                    let has_place = rest.starts_with(|letter: char| letter.is_ascii_digit());
                    // The shapes name no place: it is said to the first of the list.
                    let key =
                        if has_place { key.clone() } else { format!("{}.0.{rest}", field.path) };
                    let moved = Finding { key, ..finding.clone() };
                    items.iter_mut().find_map(|fields| place(fields, &moved))
                }
                _ => None,
            };
            if deeper.is_some() {
                return deeper;
            }
        }
        field.findings.push(finding.clone());
        return Some(field.id.clone());
    }
    None
}

/// A field that changed, as people read it.
pub(super) struct ChangeView {
    pub key: String,
    pub label: String,
    pub old: String,
    pub new: String,
}

pub(super) fn changes(old: &str, new: &str, form: &FormFile, tongue: &Tongue) -> Vec<ChangeView> {
    let changes = crate::catalogue::history::differences(old, new).into_iter();
    changes
        .map(|change| ChangeView {
            label: form
                .row(&change.key)
                .map_or_else(String::new, |row| row.label.best(&tongue.code).to_owned()),
            key: change.key,
            old: change.old.unwrap_or_default(),
            new: change.new.unwrap_or_default(),
        })
        .collect()
}

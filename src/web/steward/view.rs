//! The fields of the form as a page shows them: rows of `form.toml` with the values of one
//! description, the labels of vocabularies in the page's language, and what the gate said.

use askama::Template;
use toml::{Table, Value};

use super::super::convert::Converter;
use super::super::tongue::Tongue;
use super::super::words::Phrase;
use crate::actor::Actor;
use crate::catalogue::form::{
    Field, FormFile, Kind, LICENCES, Obligation, WAIVERS, facet_name, find,
};
use crate::catalogue::{AccessRights, Outcome, Release, Scheme, Selection, Severity};
use crate::imaging::Facet;
use crate::index::{Criteria, Index};

/// Terms of a facet that are shown with a box; others can be typed.
const TERMS: usize = 40;
/// Facets that a selection is made of first.
const FACETS: &[Facet] = &[
    Facet::Modality,
    Facet::BodySite,
    Facet::Collection,
    Facet::Source,
    Facet::Year,
    Facet::Sex,
    Facet::Species,
    Facet::Manufacturer,
    Facet::Licence,
    Facet::SourceDoi,
    Facet::Laterality,
    Facet::Procedure,
];
/// The key of the words of a facet.
const fn facet_key(facet: Facet) -> &'static str {
    match facet {
        Facet::Modality => "selects.modality",
        Facet::BodySite => "selects.body-site",
        Facet::Laterality => "selects.laterality",
        Facet::Manufacturer => "selects.manufacturer",
        Facet::Model => "selects.model",
        Facet::SopClass => "selects.sop-class",
        Facet::Performer => "selects.performer",
        Facet::Licence => "selects.licence",
        Facet::SourceDoi => "selects.source-doi",
        Facet::Year => "selects.year",
        Facet::Month => "selects.month",
        Facet::Age => "selects.age",
        Facet::Sex => "selects.sex",
        Facet::Species => "selects.species",
        Facet::Collection => "selects.collection",
        Facet::Source => "selects.source",
        Facet::Reason => "selects.reason",
        Facet::Referrer => "selects.referrer",
        Facet::Interpreter => "selects.interpreter",
        Facet::Attribute => "selects.attribute",
        Facet::Procedure => "selects.procedure",
        Facet::Requested => "selects.requested",
        Facet::Orders => "selects.orders",
        Facet::Listing => "selects.listing",
    }
}

/// Codes that stand open; more are folded.
const FOLDED: usize = 8;

/// What the gate said to a field.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub key: String,
    pub label: String,
    pub rule: Phrase,
    pub value: String,
    pub remedy: Phrase,
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
            is_violation: true,
            anchor: None,
        })
        .collect()
}

pub(super) struct LanguageRow {
    pub code: String,
    pub name: String,
    pub value: String,
}

pub(super) struct Choice {
    pub code: String,
    pub label: Phrase,
    pub is_chosen: bool,
}

pub(super) struct Term {
    pub term: String,
    pub label: Phrase,
    pub studies: String,
    pub is_in: bool,
    pub is_out: bool,
}

pub(super) struct FacetView {
    pub name: String,
    pub label: String,
    pub terms: Vec<Term>,
    pub other_in: String,
    pub other_out: String,
    pub is_used: bool,
}

pub(super) struct SelectionView {
    pub facets: Vec<FacetView>,
    pub whole_studies: bool,
    /// Studies, persons, series, images; `None`: it cannot be counted.
    pub counts: Option<[String; 4]>,
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

/// Makes the fields of one page.
pub(super) struct Maker<'m> {
    pub form: &'m FormFile,
    pub release: &'m Release,
    pub converter: &'m Converter<'m>,
    pub index: &'m Index,
    pub tongue: &'static Tongue,
    pub languages: &'m [String],
    pub catalogue_language: &'m str,
    pub rights: Option<AccessRights>,
    /// The list that gets an empty part more.
    pub add: &'m str,
}

/// The name of a language as the page's language has it.
pub(super) fn language_name(tongue: &'static Tongue, release: &Release, tag: &str) -> String {
    if let Some(own) = Tongue::all().iter().find(|known| known.code == tag) {
        return own.name.clone();
    }
    let code = crate::catalogue::language_code(tag).unwrap_or_default();
    let label = tongue.label("language", code).or_else(|| release.label(Scheme::Language, code));
    label.map_or_else(|| tag.to_owned(), str::to_owned)
}

/// The languages that a description has texts in, the catalogue's first.
pub(super) fn languages(table: &Table, form: &FormFile, catalogue: &str) -> Vec<String> {
    fn gather(form: &FormFile, of: Option<&str>, table: &Table, into: &mut Vec<String>) {
        for row in form.rows(of) {
            let Some(value) = find(Some(table), &row.path) else { continue };
            let texts: Vec<&Value> = match row.kind {
                Kind::Texts => value.as_array().into_iter().flatten().collect(),
                Kind::Text | Kind::LongText | Kind::Words => vec![value],
                Kind::Part => {
                    if let Some(part) = value.as_table() {
                        gather(form, row.part.as_deref(), part, into);
                    }
                    continue;
                }
                Kind::Parts => {
                    for part in value.as_array().into_iter().flatten() {
                        if let Some(part) = part.as_table() {
                            gather(form, row.part.as_deref(), part, into);
                        }
                    }
                    continue;
                }
                _ => continue,
            };
            let tags = texts.into_iter().filter_map(Value::as_table).flat_map(Table::keys);
            into.extend(tags.filter(|tag| !tag.is_empty()).cloned());
        }
    }
    let mut found = Vec::new();
    gather(form, None, table, &mut found);
    found.sort();
    found.dedup();
    found.retain(|tag| tag != catalogue);
    found.insert(0, catalogue.to_owned());
    found.truncate(30);
    found
}

impl Maker<'_> {
    pub(super) fn groups(&self, table: &Table, findings: &mut [Finding]) -> Vec<GroupView> {
        let mut groups: Vec<GroupView> = self
            .form
            .group
            .iter()
            .map(|group| GroupView {
                id: group.id.clone(),
                label: group.label.best(&self.tongue.code).to_owned(),
                fields: self
                    .form
                    .rows(None)
                    .filter(|row| row.group.as_deref() == Some(&group.id))
                    .map(|row| self.field(row, &row.path, find(Some(table), &row.path)))
                    .collect(),
                tongue: self.tongue,
            })
            .collect();
        for finding in findings.iter_mut() {
            finding.anchor = groups.iter_mut().find_map(|group| place(&mut group.fields, finding));
        }
        groups
    }

    fn due(&self, row: &Field) -> Obligation {
        let [public, restricted, non_public] = row.due;
        match self.rights {
            Some(AccessRights::Public) => public,
            Some(AccessRights::Restricted) => restricted,
            Some(AccessRights::NonPublic) | None => non_public,
        }
    }

    pub(super) fn field(&self, row: &Field, path: &str, value: Option<&Value>) -> FieldView {
        FieldView {
            path: path.to_owned(),
            id: format!("f-{}", path.replace('.', "-")),
            label: row.label.best(&self.tongue.code).to_owned(),
            help: row.help.best(&self.tongue.code).to_owned(),
            due: self.due(row),
            findings: Vec::new(),
            control: self.control(row, path, value),
            tongue: self.tongue,
        }
    }

    fn control(&self, row: &Field, path: &str, value: Option<&Value>) -> Control {
        match row.kind {
            Kind::Line | Kind::Day | Kind::Duration => {
                Control::Line { value: plain(value), kind: "text" }
            }
            Kind::Address => Control::Line { value: plain(value), kind: "url" },
            Kind::Mail => Control::Line { value: plain(value), kind: "email" },
            Kind::Numbers => Control::Line {
                value: match value {
                    Some(Value::Array(numbers)) => {
                        numbers.iter().map(number).collect::<Vec<_>>().join(", ")
                    }
                    other => plain(other),
                },
                kind: "text",
            },
            Kind::Prose => Control::Area { value: plain(value), rows: 3 },
            Kind::Lines | Kind::Addresses => Control::Area { value: listed(value), rows: 3 },
            Kind::Text => Control::Texts { rows: self.texts(value), is_long: false },
            Kind::LongText => Control::Texts { rows: self.texts(value), is_long: true },
            Kind::Texts => {
                let items = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                let mut items: Vec<_> = items.iter().map(|item| self.texts(Some(item))).collect();
                if self.add == path {
                    items.push(self.texts(None));
                }
                Control::TextList { items }
            }
            Kind::Words => Control::Words { rows: self.words(value) },
            Kind::Flag => Control::Flag { is_on: value.and_then(Value::as_bool) == Some(true) },
            Kind::Code => {
                let code = plain(value);
                let chosen = if code.is_empty() { Vec::new() } else { vec![code] };
                let (choices, other) = self.choices(row, &chosen);
                Control::Code { choices, other: row.other.then(|| other.join(", ")) }
            }
            Kind::Codes => {
                let chosen: Vec<String> = match value {
                    Some(Value::Array(codes)) => codes.iter().map(|c| plain(Some(c))).collect(),
                    Some(other) => vec![plain(Some(other))],
                    None => Vec::new(),
                };
                let (choices, other) = self.choices(row, &chosen);
                let named = choices.iter().filter(|choice| choice.is_chosen);
                let named = named.map(|choice| choice.label.text.clone()).chain(other.clone());
                let named = named.collect::<Vec<_>>().join(", ");
                Control::Codes {
                    is_folded: choices.len() > FOLDED,
                    choices,
                    other: row.other.then(|| other.join(", ")),
                    chosen: named,
                }
            }
            Kind::Part => {
                let table = value.and_then(Value::as_table);
                Control::Part {
                    fields: self.part(row, path, table),
                    is_open: table.is_some_and(|table| !table.is_empty()),
                }
            }
            Kind::Parts => {
                let all = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                let mut items: Vec<_> = all
                    .iter()
                    .enumerate()
                    .map(|(at, item)| self.part(row, &format!("{path}.{at}"), item.as_table()))
                    .collect();
                if self.add == path {
                    items.push(self.part(row, &format!("{path}.{}", items.len()), None));
                }
                Control::Parts { items }
            }
            Kind::Selection => Control::Selection(self.selection(value, path)),
        }
    }

    fn part(&self, row: &Field, path: &str, table: Option<&Table>) -> Vec<FieldView> {
        self.form
            .rows(row.part.as_deref())
            .map(|row| self.field(row, &format!("{path}.{}", row.path), find(table, &row.path)))
            .collect()
    }

    fn rows(&self, of: impl Fn(&str) -> String) -> Vec<LanguageRow> {
        let row = |tag: &String| LanguageRow {
            code: tag.clone(),
            name: language_name(self.tongue, self.release, tag),
            value: of(tag),
        };
        self.languages.iter().map(row).collect()
    }

    fn texts(&self, value: Option<&Value>) -> Vec<LanguageRow> {
        self.rows(|tag| match value {
            Some(Value::Table(texts)) => plain(texts.get(tag)),
            // A plain string is in the catalogue's language.
            Some(text) if tag == self.catalogue_language => plain(Some(text)),
            _ => String::new(),
        })
    }

    fn words(&self, value: Option<&Value>) -> Vec<LanguageRow> {
        self.rows(|tag| match value {
            Some(Value::Table(words)) => listed(words.get(tag)),
            Some(words) if tag == self.catalogue_language => listed(Some(words)),
            _ => String::new(),
        })
    }

    /// The choices of a field, and what was chosen beyond them.
    fn choices(&self, row: &Field, chosen: &[String]) -> (Vec<Choice>, Vec<String>) {
        let mut choices: Vec<Choice> = Vec::new();
        let mut add = |code: &str, label: Phrase| {
            let is_chosen = chosen.iter().any(|one| one == code);
            choices.push(Choice { code: code.to_owned(), label, is_chosen });
        };
        for choice in &row.choices {
            add(&choice.code, Phrase::plain(choice.label.best(&self.tongue.code)));
        }
        for from in &row.from {
            if from == LICENCES {
                for licence in &self.release.licences {
                    let label = Phrase::within(&licence.title, "en", &self.tongue.code);
                    add(&licence.name, label);
                }
            } else if from == WAIVERS {
                for waiver in &self.release.file.waivers {
                    add(&waiver.rule, Phrase::plain(&waiver.rule));
                }
            } else if let Some((scheme, _)) = Scheme::ALL.iter().find(|(_, name)| name == from) {
                for concept in self.release.concepts(*scheme) {
                    add(&concept.code, self.label(from, &concept.code, &concept.label));
                }
            }
        }
        let known = |code: &String| choices.iter().any(|choice| choice.code == *code);
        let other: Vec<String> = chosen.iter().filter(|code| !known(code)).cloned().collect();
        if row.other {
            return (choices, other);
        }
        // A code of no vocabulary is refused by the gate; until then it is not lost.
        let lost = other.into_iter().map(|code| Choice {
            label: Phrase::plain(format!("{code} ({})", self.tongue.word("steward.unknown-code"))),
            code,
            is_chosen: true,
        });
        choices.extend(lost);
        (choices, Vec::new())
    }

    fn label(&self, vocabulary: &str, code: &str, english: &str) -> Phrase {
        match self.tongue.label(vocabulary, code) {
            Some(label) => Phrase::plain(label),
            None => Phrase::within(english, "en", &self.tongue.code),
        }
    }

    fn selection(&self, value: Option<&Value>, path: &str) -> SelectionView {
        let table = value.and_then(Value::as_table);
        let listed = |table: Option<&Table>, name: &str| -> Vec<String> {
            match table.and_then(|table| table.get(name)) {
                Some(Value::Array(terms)) => terms.iter().map(|t| plain(Some(t))).collect(),
                Some(term) => vec![plain(Some(term))],
                None => Vec::new(),
            }
        };
        let exclude = table.and_then(|table| table.get("exclude")).and_then(Value::as_table);
        let view = self.index.read();
        let actor = Actor::operator();
        let is_whole = path == "selection";
        let wanted: Vec<Facet> = Facet::ALL
            .iter()
            .copied()
            .filter(|facet| {
                let name = facet_name(*facet);
                let is_named =
                    [table, exclude].iter().any(|t| t.is_some_and(|t| t.contains_key(&name)));
                is_named || (is_whole && FACETS.contains(facet)) || *facet == Facet::Modality
            })
            .collect();
        let mut found = view.facets(&actor, &Criteria::default(), &wanted);
        let facets = wanted
            .iter()
            .map(|facet| {
                let name = facet_name(*facet);
                let (included, excluded) = (listed(table, &name), listed(exclude, &name));
                let mut counts = found.remove(facet).unwrap_or_default();
                counts
                    .sort_by(|a, b| (b.counts.studies, &a.term).cmp(&(a.counts.studies, &b.term)));
                counts.retain(|count| !count.term.is_empty());
                // What is chosen is shown, however rare.
                let is_chosen = |term: &String| included.contains(term) || excluded.contains(term);
                let (chosen, rest): (Vec<_>, Vec<_>) =
                    counts.into_iter().partition(|count| is_chosen(&count.term));
                let terms: Vec<Term> = chosen
                    .into_iter()
                    .chain(rest)
                    .take(TERMS)
                    .map(|count| Term {
                        label: self.converter.term(*facet, &count.term),
                        studies: self.tongue.count(count.counts.studies),
                        is_in: included.contains(&count.term),
                        is_out: excluded.contains(&count.term),
                        term: count.term,
                    })
                    .collect();
                let beyond = |all: &[String]| {
                    let unknown = all.iter().filter(|t| !terms.iter().any(|one| one.term == **t));
                    unknown.cloned().collect::<Vec<_>>().join("\n")
                };
                FacetView {
                    label: self.tongue.word(facet_key(*facet)).to_owned(),
                    other_in: beyond(&included),
                    other_out: beyond(&excluded),
                    is_used: !included.is_empty() || !excluded.is_empty(),
                    name,
                    terms,
                }
            })
            .filter(|facet| facet.is_used || !facet.terms.is_empty())
            .collect();
        let selection: Option<Selection> = value.and_then(|value| value.clone().try_into().ok());
        let counts = selection.filter(|selection| !selection.is_empty()).map(|selection| {
            let counts = view.count(&actor, &Criteria::from(&selection));
            [counts.studies, counts.patients, counts.series, counts.images]
                .map(|count| self.tongue.count(count))
        });
        let whole_studies =
            table.and_then(|table| table.get("whole_studies")).and_then(Value::as_bool)
                == Some(true);
        SelectionView { facets, whole_studies, counts }
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

/// A value as it is typed.
pub(super) fn plain(value: Option<&Value>) -> String {
    match value {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

fn number(value: &Value) -> String {
    match value {
        Value::Float(number) => number.to_string(),
        other => plain(Some(other)),
    }
}

fn listed(value: Option<&Value>) -> String {
    match value {
        Some(Value::Array(items)) => {
            items.iter().map(|item| plain(Some(item))).collect::<Vec<_>>().join("\n")
        }
        other => plain(other),
    }
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

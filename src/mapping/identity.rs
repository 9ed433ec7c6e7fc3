//! Who a record is about: identifiers that identify nobody, and what persons are told apart by.

use std::collections::{BTreeSet, HashSet};

use schemars::JsonSchema;
use serde::Deserialize;

use super::Context;
use super::moment::Day;
use super::person::names;
use crate::imaging::{Attributes, Finding, Record, fold};

/// `patient-ids.toml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatientIds {
    /// Characters; an id of one of them alone, however often, identifies nobody.
    pub repeated: Vec<char>,
    /// Ids that identify nobody, compared without case, spaces and punctuation.
    pub word: Vec<Word>,
}

/// A PatientID that identifies nobody.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Word {
    /// The text.
    pub text: String,
    /// Who writes it, or what it means.
    pub why: String,
}

/// The same, prepared.
#[derive(Debug, Default)]
pub(super) struct Placeholders {
    repeated: Vec<char>,
    words: HashSet<String>,
}

impl PatientIds {
    pub(super) fn index(self) -> Result<Placeholders, String> {
        let mut words = HashSet::new();
        for row in self.word {
            let word = bare(&row.text);
            if word.is_empty() {
                return Err(format!("`{}` has no letter or digit; see `repeated`", row.text));
            }
            if !words.insert(word) {
                return Err(format!("`{}` stands twice", row.text));
            }
        }
        let repeated = self.repeated.iter().flat_map(|letter| letter.to_lowercase()).collect();
        Ok(Placeholders { repeated, words })
    }
}

/// Letters and digits, without case and accents.
fn bare(text: &str) -> String {
    fold(text).chars().filter(|letter| letter.is_alphanumeric()).collect()
}

impl Context {
    /// Whether a PatientID stands for nobody (`mappings/patient-ids.toml`).
    #[must_use]
    pub fn is_placeholder(&self, id: &str) -> bool {
        let known = &self.0.tables.placeholders;
        let mut letters = id.chars().filter(|letter| !letter.is_whitespace());
        let is_repeated = letters.next().is_some_and(|first| {
            let first: Vec<char> = first.to_lowercase().collect();
            first.iter().all(|letter| known.repeated.contains(letter))
                && letters.all(|letter| letter.to_lowercase().eq(first.iter().copied()))
        });
        is_repeated || known.words.contains(&bare(id))
    }

    /// Settles who the record is about: a source's own issuer where the data name none, and the study
    /// itself where PatientID is no identity. A person is never put together of what only looks alike
    /// (name, birth date): a study too many of nobody harms less than another person's in a history.
    pub fn identify(&self, source: &str, record: &mut Record) {
        if record.patient_key.issuer.is_empty()
            && let Some(issuer) = self.0.issuer_of_source.get(source)
        {
            record.patient_key.issuer = issuer.to_string();
        }
        if self.is_placeholder(&record.patient_key.id) {
            let finding =
                Finding::new("patient-id-placeholder", "PatientID", &record.patient_key.id);
            record.findings.push(finding);
            record.patient_key.id = format!("study:{}", record.study_uid);
        }
    }
}

/// What a series says of who its patient is: what persons are told apart by beside their identifier
/// (PS3.3 C.7.1.1), and what tells that it is no person.
const OF_PERSON: [&str; 5] = [
    "PatientBirthDate",
    "PatientName",
    "PatientSex",
    "PatientSpeciesCodeSequence",
    "PatientSpeciesDescription",
];

/// What a description says of who its patient is.
#[must_use]
pub fn person_of(patient: &Attributes) -> Attributes {
    let told = patient.iter().filter(|(keyword, _)| OF_PERSON.contains(&keyword.as_str()));
    told.map(|(keyword, value)| (keyword, value.clone())).collect()
}

/// The description of a patient with that of another study in place of what [`person_of`] takes.
#[must_use]
pub fn as_person(patient: &Attributes, person: &Attributes) -> Attributes {
    let others = patient.iter().filter(|(keyword, _)| !OF_PERSON.contains(&keyword.as_str()));
    others.chain(person.iter()).map(|(keyword, value)| (keyword, value.clone())).collect()
}

/// The birth date that a description gives, where it is a day.
#[must_use]
pub fn birth_of(person: &Attributes) -> Option<jiff::civil::Date> {
    Day::parse(person.first("PatientBirthDate")?)?.date()
}

/// The day of an attribute, where it is one.
#[must_use]
pub fn day_of(bag: &Attributes, keyword: &str) -> Option<jiff::civil::Date> {
    Day::parse(bag.first(keyword)?)?.date()
}

/// Descriptions that are compared at most: who has more of them is no one person anyway.
const MOST: usize = 100;

/// In what descriptions of one patient contradict each other: keywords. What a description leaves
/// out contradicts nothing; neither does a name of which another is a part, nor another order of
/// its words.
#[must_use]
pub fn contradictions<'a>(persons: impl Iterator<Item = &'a Attributes>) -> Vec<&'static str> {
    let (mut births, mut sexes) = (BTreeSet::new(), BTreeSet::new());
    let mut called: BTreeSet<BTreeSet<String>> = BTreeSet::new();
    for person in persons {
        births.extend(birth_of(person));
        let sex = person.first("PatientSex").filter(|sex| matches!(*sex, "F" | "M" | "O"));
        sexes.extend(sex.map(str::to_owned));
        let words = words(person.text("PatientName").unwrap_or(""));
        if !words.is_empty() {
            called.insert(words);
        }
    }
    let mut found = Vec::new();
    if births.len() > 1 {
        found.push("PatientBirthDate");
    }
    let called: Vec<&BTreeSet<String>> = called.iter().take(MOST).collect();
    let is_other = |(at, one): (usize, &&BTreeSet<String>)| {
        called.iter().skip(at + 1).any(|other| !one.is_subset(other) && !other.is_subset(one))
    };
    if called.iter().enumerate().any(is_other) {
        found.push("PatientName");
    }
    if sexes.len() > 1 {
        found.push("PatientSex");
    }
    found
}

/// The words of the first group of a name, folded.
fn words(name: &str) -> BTreeSet<String> {
    let Some((_, first)) = names(name).next() else { return BTreeSet::new() };
    fold(&first.to_text())
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::contradictions;
    use crate::imaging::{Attributes, Keyword};
    use crate::mapping::Context;

    #[test]
    fn what_stands_for_nobody_is_no_identity() {
        let context = Context::default();
        for id in [
            "0",
            "000000",
            "XXXX",
            "x",
            "--",
            "ANON",
            "De-Identified",
            "N/A",
            "no id",
            "Neznámý",
            "NULL",
        ] {
            assert!(context.is_placeholder(id), "{id}");
        }
        for id in [
            "",
            "00012",
            "X1",
            "P0",
            "1",
            "NA17",
            "anon-4711",
            "unknown7",
            "9999",
            "PatientID",
            "-1",
        ] {
            assert!(!context.is_placeholder(id), "{id}");
        }
    }

    fn person(name: &str, birth: &str, sex: &str) -> Attributes {
        let mut bag = Attributes::new();
        for (keyword, text) in
            [("PatientName", name), ("PatientBirthDate", birth), ("PatientSex", sex)]
        {
            bag.set(Keyword::parse(keyword).unwrap(), text);
        }
        bag
    }

    #[test]
    fn descriptions_contradict_each_other_where_both_say_something_else() {
        let base = person("Nováková^Jana", "19600615", "F");
        for (other, expected) in [
            (person("Nováková^Jana", "19600615", "F"), &[][..]),
            (person("NOVAKOVA JANA", "", ""), &[]),
            (person("Nováková^Jana^Marie", "1960", "0000"), &[]),
            (person("", "", ""), &[]),
            (person("Dvořák^Petr", "19600615", "F"), &["PatientName"]),
            (person("Nováková^Jana", "19600616", "M"), &["PatientBirthDate", "PatientSex"]),
        ] {
            assert_eq!(contradictions([&base, &other].into_iter()), expected, "{other:?}");
            assert_eq!(contradictions([&other, &base].into_iter()), expected, "{other:?}");
        }
    }
}

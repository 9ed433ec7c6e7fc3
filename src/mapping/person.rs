//! Persons: PN → HumanName, and the references to physicians and operators.
//!
//! PS3.5 section 6.2.1: up to five components (family^given^middle^prefix^suffix) in up to
//! three groups (alphabetic=ideographic=phonetic). Real archives hold more of both; the surplus
//! is left out, with a finding.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Context;
use super::codes::code_of;
use crate::imaging::Attributes;

/// The five components of one group.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Name<'a> {
    pub(super) family: &'a str,
    pub(super) given: Vec<&'a str>,
    prefix: &'a str,
    suffix: &'a str,
}

/// The groups of a PN that hold anything, each with its representation.
pub(super) fn names(text: &str) -> impl Iterator<Item = (&'static str, Name<'_>)> {
    text.split('=').zip(["ABC", "IDE", "SYL"]).filter_map(|(group, representation)| {
        let mut parts = group.split('^').map(str::trim);
        let mut next = || parts.next().unwrap_or("");
        let (family, given, middle, prefix, suffix) = (next(), next(), next(), next(), next());
        let name = Name {
            family,
            given: [given, middle].into_iter().filter(|part| !part.is_empty()).collect(),
            prefix,
            suffix,
        };
        (!name.is_empty()).then_some((representation, name))
    })
}

impl Name<'_> {
    fn is_empty(&self) -> bool {
        self.family.is_empty()
            && self.given.is_empty()
            && self.prefix.is_empty()
            && self.suffix.is_empty()
    }

    /// Every part that is not empty.
    pub(super) fn parts(&self) -> impl Iterator<Item = &str> {
        [self.family, self.prefix, self.suffix]
            .into_iter()
            .chain(self.given.iter().copied())
            .filter(|part| !part.is_empty())
    }

    /// As one says it: `Dr Ada Maria Lovelace PhD`.
    pub(super) fn to_text(&self) -> String {
        let parts = std::iter::once(self.prefix)
            .chain(self.given.iter().copied())
            .chain([self.family, self.suffix]);
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }

    fn to_json(&self, representation: &str, is_only: bool) -> Value {
        let mut name = Map::new();
        if !is_only {
            name.insert(
                "extension".to_owned(),
                json!([{
                    "url": "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation",
                    "valueCode": representation,
                }]),
            );
        }
        name.insert("text".to_owned(), self.to_text().into());
        if !self.family.is_empty() {
            name.insert("family".to_owned(), self.family.into());
        }
        for (key, parts) in [
            ("given", self.given.as_slice()),
            ("prefix", std::slice::from_ref(&self.prefix)),
            ("suffix", std::slice::from_ref(&self.suffix)),
        ] {
            let parts: Vec<Value> =
                parts.iter().filter(|part| !part.is_empty()).map(|part| (*part).into()).collect();
            if !parts.is_empty() {
                name.insert(key.to_owned(), parts.into());
            }
        }
        Value::Object(name)
    }
}

/// `Patient.name`: one HumanName per group; the representation is given when there are several
/// or the only one is not alphabetic.
pub(super) fn human_names(text: &str) -> Vec<Value> {
    let names: Vec<_> = names(text).collect();
    let is_only = matches!(names.as_slice(), [("ABC", _)]);
    names.iter().map(|(representation, name)| name.to_json(representation, is_only)).collect()
}

/// A patient's name as a search by string compares it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NameParts {
    /// The family name; may be empty.
    pub family: String,
    /// The given names.
    pub given: Vec<String>,
    /// Every part, and the name as one says it.
    pub all: Vec<String>,
}

/// The names of a patient.
#[must_use]
pub fn patient_names(patient: &Attributes) -> Vec<NameParts> {
    names(patient.text("PatientName").unwrap_or(""))
        .map(|(_, name)| NameParts {
            family: name.family.to_owned(),
            given: name.given.iter().map(|part| (*part).to_owned()).collect(),
            all: name.parts().map(str::to_owned).chain([name.to_text()]).collect(),
        })
        .collect()
}

/// Whether the name has more components or groups than PS3.5 allows.
pub(super) fn is_odd(text: &str) -> bool {
    text.split('=').count() > 3 || text.split('=').any(|group| group.split('^').count() > 5)
}

/// A person that is named in an object: whichever is known. Absent texts are empty.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Person {
    /// The name as the object writes it (PN).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    /// Where the person works, as far as the object tells.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) institution: String,
    /// System and value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) identifier: Option<(String, String)>,
}

impl Person {
    /// System and value of the identifier.
    pub(super) fn identifier(&self) -> Option<(String, String)> {
        self.identifier.clone()
    }

    /// The name as one says it.
    pub(super) fn display(&self) -> Option<String> {
        let name = names(&self.name).next().map(|(_, name)| name.to_text());
        name.filter(|text| !text.is_empty())
    }

    /// A reference to the person's resource of that type, with identifier and display beside it
    /// (FHIR R4 references, 2.3.0).
    pub(super) fn to_reference(&self, context: &Context, kind: &str) -> Value {
        let mut reference = Map::new();
        reference.insert("reference".to_owned(), format!("{kind}/{}", self.id(context)).into());
        reference.insert("type".to_owned(), kind.into());
        if let Some((system, value)) = &self.identifier {
            reference.insert("identifier".to_owned(), json!({ "system": system, "value": value }));
        }
        if let Some(display) = self.display() {
            reference.insert("display".to_owned(), display.into());
        }
        Value::Object(reference)
    }
}

/// The persons of a name attribute (PN, several between backslashes) and of the Person
/// Identification Macro (PS3.3 Table 10-1) beside it, in the same order.
pub(super) fn persons(
    context: &Context,
    bag: &Attributes,
    name: &str,
    sequence: &str,
) -> Vec<Person> {
    let names: Vec<&str> = bag.texts(name).collect();
    let items = bag.items(sequence);
    (0..names.len().max(items.len()))
        .map(|at| {
            let item = items.get(at);
            let name = names.get(at).map(|text| text.trim()).filter(|text| {
                self::names(text).any(|(_, name)| super::fhir::is_shown(&name.to_text()))
            });
            let identifier = item.and_then(|item| {
                let code = item.items("PersonIdentificationCodeSequence").first()?;
                let code = code_of(context, code)?;
                Some((code.system.into_owned(), code.code.into_owned()))
            });
            // Those who made a series work where it was made.
            let institution = item
                .and_then(|item| item.first("InstitutionName"))
                .or_else(|| bag.first("InstitutionName"))
                .unwrap_or_default();
            Person {
                name: name.unwrap_or_default().to_owned(),
                institution: institution.trim().to_owned(),
                identifier,
            }
        })
        .filter(|person| !person.name.is_empty() || person.identifier.is_some())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{human_names, is_odd};
    use serde_json::json;

    #[test]
    fn groups_become_names_with_their_representation() {
        assert_eq!(
            human_names("Yamada^Tarou=山田^太郎=やまだ^たろう"),
            [("ABC", "Yamada", "Tarou"), ("IDE", "山田", "太郎"), ("SYL", "やまだ", "たろう")].map(
                |(representation, family, given)| json!({
                    "extension": [{
                        "url": "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation",
                        "valueCode": representation,
                    }],
                    "text": format!("{given} {family}"),
                    "family": family,
                    "given": [given],
                })
            )
        );
        assert_eq!(
            human_names("Adams^John Robert^Quincy^Rev.^B.A. M.Div."),
            [json!({
                "text": "Rev. John Robert Quincy Adams B.A. M.Div.",
                "family": "Adams", "given": ["John Robert", "Quincy"],
                "prefix": ["Rev."], "suffix": ["B.A. M.Div."],
            })]
        );
    }

    #[test]
    fn odd_names_lose_their_surplus_and_nothing_else() {
        assert_eq!(human_names("^^^^"), Vec::<serde_json::Value>::new());
        assert_eq!(
            human_names("Doe^Jane^^^^x^y"),
            [json!({"text": "Jane Doe", "family": "Doe", "given": ["Jane"]})]
        );
        assert_eq!(human_names("Doe=a=b=c=d").len(), 3);
        assert!(is_odd("Doe=a=b=c") && is_odd("a^b^c^d^e^f") && !is_odd("a^b^c^d^e=f=g"));
    }
}

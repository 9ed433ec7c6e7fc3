//! The part of FHIRPath (N1 2.0.0, with FHIR R4's additions) that the invariants of `ig/rules/` use.
//!
//! In: the text of a rule, once; then an element and its surroundings. Out: true, false, or neither,
//! when the element does not say enough. Absent: arithmetic, quantities with units, the types of
//! elements that are no choice; a function that is not known refuses the table, not the resource.

mod eval;
mod parse;

use serde_json::Value;

use super::links::{Links, Scope};

/// A parsed rule.
#[derive(Debug)]
pub(super) struct Path(Expression);

/// What an expression is made of.
#[derive(Debug)]
enum Expression {
    /// `{}`
    Nothing,
    Text(String),
    Number(f64),
    Truth(bool),
    This,
    /// `%name`
    Environment(Environment),
    Member(String),
    Call(Function, Vec<Expression>),
    /// A name of a type, where a function takes one.
    Kind(String),
    Dot(Box<Expression>, Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
}

#[derive(Clone, Copy, Debug)]
enum Environment {
    Resource,
    RootResource,
    Context,
    Ucum,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operator {
    And,
    Or,
    Xor,
    Implies,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Contains,
    Union,
    Concatenate,
}

/// One row per function: its name and how many arguments it takes.
const FUNCTIONS: &[(&str, Function, usize, usize)] = &[
    ("all", Function::All, 1, 1),
    ("allFalse", Function::AllFalse, 0, 0),
    ("contains", Function::Contains, 1, 1),
    ("count", Function::Count, 0, 0),
    ("empty", Function::Empty, 0, 0),
    ("exists", Function::Exists, 0, 1),
    ("extension", Function::Extension, 1, 1),
    ("first", Function::First, 0, 0),
    ("hasValue", Function::HasValue, 0, 0),
    ("intersect", Function::Intersect, 1, 1),
    ("is", Function::Is, 1, 1),
    ("isDistinct", Function::IsDistinct, 0, 0),
    ("not", Function::Not, 0, 0),
    ("ofType", Function::OfType, 1, 1),
    ("resolve", Function::Resolve, 0, 0),
    ("select", Function::Select, 1, 1),
    ("startsWith", Function::StartsWith, 1, 1),
    ("substring", Function::Substring, 1, 1),
    ("toString", Function::ToText, 0, 0),
    ("where", Function::Where, 1, 1),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Function {
    All,
    AllFalse,
    Contains,
    Count,
    Empty,
    Exists,
    Extension,
    First,
    HasValue,
    Intersect,
    Is,
    IsDistinct,
    Not,
    OfType,
    Resolve,
    Select,
    StartsWith,
    Substring,
    ToText,
    Where,
}

/// Where a rule is evaluated.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub scope: Scope<'a>,
    pub links: &'a Links<'a>,
}

/// An element: its value, and for primitives what stands beside it under `_name`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    /// `Value::Null` when there are only extensions.
    pub value: &'a Value,
    pub beside: Option<&'a Value>,
    /// The type, when the name of a choice tells it.
    pub kind: Option<&'a str>,
}

impl<'a> Element<'a> {
    pub fn new(value: &'a Value) -> Self {
        Self { value, beside: None, kind: None }
    }
}

impl Path {
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::parse(text).map(Self)
    }

    /// What the rule says of an element; `None` when it cannot tell.
    pub fn is_true(&self, element: Element<'_>, around: Surroundings<'_>) -> Option<bool> {
        eval::truth(&eval::evaluate(&self.0, &[eval::Item::Element(element)], element, around))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::links::{Links, Scope};
    use super::{Element, Path, Surroundings};

    fn truth(rule: &str, resource: &Value) -> Option<bool> {
        let links = Links::of(resource);
        let around = Surroundings { scope: Scope::root(resource), links: &links };
        Path::parse(rule).unwrap().is_true(Element::new(resource), around)
    }

    #[test]
    fn rules_say_what_fhirpath_says() {
        let bundle = json!({ "resourceType": "Bundle", "type": "document", "n": 3,
            "_only": { "extension": [] },
            "entry": [
                { "fullUrl": "urn:a", "resource": { "resourceType": "Composition",
                    "author": [{ "reference": "urn:b" }] } },
                { "fullUrl": "urn:b", "resource": { "resourceType": "Organization", "name": "x" } },
            ],
            "valueQuantity": { "value": 1.5 }, "valueless": 1 });
        for (rule, expected) in [
            ("type = 'document' implies entry.first().resource.is(Composition)", Some(true)),
            ("entry.first().resource.is(Patient)", Some(false)),
            ("entry.count() = 2 and n > 2", Some(true)),
            ("entry.fullUrl.isDistinct()", Some(true)),
            ("entry.resource.author.resolve().ofType(Organization).name = 'x'", Some(true)),
            ("value.value > 1 and value.value < 2", Some(true)),
            ("value.ofType(Quantity).exists()", Some(true)),
            ("value.ofType(string).empty()", Some(true)),
            ("only.exists() and only.hasValue().not()", Some(true)),
            ("missing = 'a'", None),
            ("missing = 'a' or true", Some(true)),
            ("missing = 'a' and false", Some(false)),
            ("entry.all(fullUrl.startsWith('urn:'))", Some(true)),
            ("'a' in ('a' | 'b')", Some(true)),
            ("entry.where(fullUrl = 'urn:b').resource.name.substring(0) = 'x'", Some(true)),
            ("(entry.exists() xor type.exists()) or n != 3", Some(false)),
            ("%resource.type & 's' = 'documents'", Some(true)),
        ] {
            assert_eq!(truth(rule, &bundle), expected, "{rule}");
        }
    }

    #[test]
    fn dates_of_different_precision_are_compared_as_far_as_they_tell() {
        for (start, end, expected) in [
            ("2024", "2025-01", Some(true)),
            ("2024-03", "2024", None),
            ("2024-03-01", "2024-02-28", Some(false)),
            ("2024-03-01T10:00:00+02:00", "2024-03-01T09:30:00+01:00", Some(true)),
            ("2024-03-01T10:00:00+01:00", "2024-03-01T09:30:00+02:00", Some(false)),
        ] {
            let period = json!({ "start": start, "end": end });
            assert_eq!(truth("start <= end", &period), expected, "{start} {end}");
        }
    }

    #[test]
    fn what_is_not_known_refuses_the_rule() {
        for wrong in
            ["a.frobnicate()", "a.where(", "a = ", "'open", "a b", "%nothing", "exists(a, b)"]
        {
            assert!(Path::parse(wrong).is_err(), "{wrong:?} was accepted");
        }
    }
}

//! What a resource says under a search parameter: the row's path names elements, and what each
//! value is (CodeableConcept, Identifier, Period, HumanName, …) is seen in the value.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::super::table::{Kind, Parameter};
use super::date::interval;
use crate::imaging::fold;

/// One value under a parameter.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::fhir) enum Value {
    /// A code or identifier. A plain code has the system of its binding, which JSON does not
    /// spell, so that it has none as well.
    Token { system: Option<Arc<str>>, code: Arc<str>, is_plain: bool },
    /// An identifier of a type.
    Typed { system: Arc<str>, code: Arc<str>, value: Arc<str> },
    /// Words that go with a code, folded.
    Words(Arc<str>),
    /// A string as it is, and folded.
    String { text: Arc<str>, folded: Arc<str> },
    /// A reference to something of this server.
    Local { kind: Arc<str>, id: Arc<str> },
    /// A reference to something elsewhere, or a URI.
    Url(Arc<str>),
    /// A reference by identifier.
    Logical { system: Option<Arc<str>>, value: Arc<str> },
    /// Microseconds since 1970-01-01T00:00:00Z, the end not included.
    Date { from: i64, to: i64 },
    /// A number, a quantity, a range.
    Quantity {
        low: f64,
        high: f64,
        system: Option<Arc<str>>,
        code: Option<Arc<str>>,
        unit: Option<Arc<str>>,
    },
    /// There is something that no test finds.
    Other,
}

/// A row's path, read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::fhir) struct Path {
    alternatives: Vec<Vec<Step>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Step {
    name: String,
    /// Only items that have this value there.
    only: Option<(Vec<String>, String)>,
}

impl Path {
    /// Reads `a.b | c[system=email]`; `None`: it is none.
    pub(in crate::fhir) fn parse(text: &str) -> Option<Self> {
        let is_name =
            |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let step = |text: &str| {
            let (name, only) = match text.split_once('[') {
                None => (text, None),
                Some((name, only)) => {
                    let (field, value) = only.strip_suffix(']')?.split_once('=')?;
                    let fields: Vec<String> = field.split('.').map(str::to_owned).collect();
                    if !fields.iter().all(|field| is_name(field)) {
                        return None;
                    }
                    (name, Some((fields, value.to_owned())))
                }
            };
            is_name(name).then(|| Step { name: name.to_owned(), only })
        };
        let alternatives = text
            .split(" | ")
            .map(|path| steps(path).into_iter().map(step).collect::<Option<Vec<_>>>())
            .collect::<Option<_>>()?;
        Some(Self { alternatives })
    }

    /// The elements that it names; lists are their items.
    pub(in crate::fhir) fn find<'v>(&self, resource: &'v Json) -> Vec<&'v Json> {
        fn walk<'v>(value: &'v Json, steps: &[Step], found: &mut Vec<&'v Json>) {
            if let Json::Array(items) = value {
                for item in items {
                    walk(item, steps, found);
                }
                return;
            }
            match steps.split_first() {
                None if value.is_null() => {}
                None => found.push(value),
                Some((step, rest)) => {
                    let Some(below) = value.get(&step.name) else { return };
                    let Some((fields, wanted)) = &step.only else {
                        return walk(below, rest, found);
                    };
                    let items = below.as_array().map_or(std::slice::from_ref(below), Vec::as_slice);
                    for item in items.iter().filter(|item| has(item, fields, wanted)) {
                        walk(item, rest, found);
                    }
                }
            }
        }
        let mut found = Vec::new();
        for steps in &self.alternatives {
            walk(resource, steps, &mut found);
        }
        found
    }
}

/// The steps of a path: the dots between brackets part none.
fn steps(path: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    path.split(|letter| {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == '.' && depth == 0
    })
    .collect()
}

/// Whether a value stands in an element below these.
fn has(element: &Json, fields: &[String], wanted: &str) -> bool {
    match (element, fields.split_first()) {
        (Json::Array(items), _) => items.iter().any(|item| has(item, fields, wanted)),
        (_, Some((field, rest))) => {
            element.get(field).is_some_and(|below| has(below, rest, wanted))
        }
        (_, None) => element.as_str() == Some(wanted),
    }
}

/// What values are read by.
pub(in crate::fhir) struct Reader<'a> {
    /// `https://…/fhir`: references below it are local.
    pub(in crate::fhir) base: &'a str,
    /// Where dates without a zone are.
    pub(in crate::fhir) zone: Option<&'a TimeZone>,
}

impl Reader<'_> {
    /// The values of a resource under a parameter.
    pub(in crate::fhir) fn values(
        &self,
        parameter: &Parameter,
        path: &Path,
        resource: &Json,
    ) -> Vec<Value> {
        let mut found = Vec::new();
        for element in path.find(resource) {
            let before = found.len();
            match parameter.kind {
                Kind::Token => {
                    let system = Some(parameter.system.as_str()).filter(|of| !of.is_empty());
                    token(element, system, &mut found);
                }
                Kind::Date => self.date(element, &mut found),
                Kind::Reference => {
                    if !self.reference(element, &parameter.targets, &mut found) {
                        continue;
                    }
                }
                Kind::String => string(element, &mut found),
                Kind::Quantity | Kind::Number => quantity(element, &mut found),
                Kind::Uri => found.extend(element.as_str().map(|text| Value::Url(text.into()))),
            }
            if found.len() == before {
                found.push(Value::Other);
            }
        }
        found
    }

    fn date(&self, element: &Json, found: &mut Vec<Value>) {
        let read = |text: &str| interval(text, self.zone);
        match element {
            Json::String(text) => {
                found.extend(read(text).map(|(from, to)| Value::Date { from, to }));
            }
            Json::Object(period) if period.contains_key("start") || period.contains_key("end") => {
                let bound = |name: &str| period.get(name).and_then(Json::as_str).map(read);
                // An end that is not given is open.
                let from = bound("start").map_or(Some(i64::MIN), |of| of.map(|(from, _)| from));
                let to = bound("end").map_or(Some(i64::MAX), |of| of.map(|(_, to)| to));
                if let (Some(from), Some(to)) = (from, to) {
                    found.push(Value::Date { from, to });
                }
            }
            Json::Object(timing) => {
                for event in timing.get("event").and_then(Json::as_array).into_iter().flatten() {
                    self.date(event, found);
                }
                if let Some(bounds) = timing.get("repeat").and_then(|of| of.get("boundsPeriod")) {
                    self.date(bounds, found);
                }
            }
            _ => {}
        }
    }

    /// `false`: it points at what the parameter is not about.
    fn reference(&self, element: &Json, targets: &[String], found: &mut Vec<Value>) -> bool {
        let is_target = |kind: &str| targets.is_empty() || targets.iter().any(|one| one == kind);
        let text = match element {
            Json::String(canonical) => Some(canonical.as_str()),
            _ => element.get("reference").and_then(Json::as_str),
        };
        if let Some(text) = text
            && !text.starts_with('#')
        {
            match local(text, self.base) {
                Some((kind, _)) if !is_target(kind) => return false,
                Some((kind, id)) => found.push(Value::Local { kind: kind.into(), id: id.into() }),
                None => found.push(Value::Url(text.into())),
            }
        }
        if let Some(identifier) = element.get("identifier") {
            let kind = element.get("type").and_then(Json::as_str);
            if text.is_none() && kind.is_some_and(|kind| !is_target(kind)) {
                return false;
            }
            if let Some(value) = identifier.get("value").and_then(Json::as_str) {
                let system = identifier.get("system").and_then(Json::as_str).map(Arc::from);
                found.push(Value::Logical { system, value: value.into() });
            }
        }
        true
    }
}

/// Type and id of a reference to something of this server.
pub(in crate::fhir) fn local<'t>(text: &'t str, base: &str) -> Option<(&'t str, &'t str)> {
    let relative = match text.strip_prefix(base) {
        Some(rest) => rest.strip_prefix('/')?,
        None => text,
    };
    let relative = relative.split("/_history/").next().unwrap_or(relative);
    let (kind, id) = relative.split_once('/')?;
    let is_type = kind.starts_with(|first: char| first.is_ascii_uppercase())
        && kind.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_id = !id.is_empty()
        && id.len() <= 64
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    (is_type && is_id).then_some((kind, id))
}

fn text_of(value: &Json, name: &str) -> Option<Arc<str>> {
    value.get(name).and_then(Json::as_str).map(Arc::from)
}

fn words(value: &Json, name: &str, found: &mut Vec<Value>) {
    let words = value.get(name).and_then(Json::as_str);
    found.extend(words.map(|words| Value::Words(fold(words).into())));
}

fn token(element: &Json, system: Option<&str>, found: &mut Vec<Value>) {
    let coding = |coding: &Json, found: &mut Vec<Value>| {
        if let Some(code) = text_of(coding, "code") {
            found.push(Value::Token { system: text_of(coding, "system"), code, is_plain: false });
        }
        words(coding, "display", found);
    };
    let plain = |code: &str| Value::Token {
        system: system.map(Arc::from),
        code: code.into(),
        is_plain: true,
    };
    match element {
        Json::String(code) => found.push(plain(code)),
        Json::Bool(value) => found.push(plain(if *value { "true" } else { "false" })),
        Json::Object(object) => {
            for one in object.get("coding").and_then(Json::as_array).into_iter().flatten() {
                coding(one, found);
            }
            if object.contains_key("code") || object.contains_key("display") {
                coding(element, found);
            }
            words(element, "text", found);
            // An Identifier, or a ContactPoint, whose system is no namespace.
            let Some(value) = text_of(element, "value") else { return };
            let kind = object.get("type");
            let system = text_of(element, "system");
            let is_contact = object.contains_key("rank")
                || system.as_deref().is_some_and(|of| CONTACTS.contains(&of));
            let system = if is_contact { None } else { system };
            for one in kind
                .and_then(|kind| kind.get("coding"))
                .and_then(Json::as_array)
                .into_iter()
                .flatten()
            {
                if let (Some(system), Some(code)) = (text_of(one, "system"), text_of(one, "code")) {
                    found.push(Value::Typed { system, code, value: Arc::clone(&value) });
                }
            }
            if let Some(kind) = kind {
                words(kind, "text", found);
            }
            found.push(Value::Token { system, code: value, is_plain: false });
        }
        _ => {}
    }
}

/// `contact-point-system`
const CONTACTS: &[&str] = &["phone", "fax", "email", "pager", "url", "sms", "other"];

/// The parts of a HumanName and of an Address that are looked at.
const PARTS: &[&str] = &[
    "text",
    "family",
    "given",
    "prefix",
    "suffix",
    "line",
    "city",
    "district",
    "state",
    "postalCode",
    "country",
];

fn string(element: &Json, found: &mut Vec<Value>) {
    match element {
        Json::String(text) => {
            found.push(Value::String { text: text.as_str().into(), folded: fold(text).into() })
        }
        Json::Array(items) => items.iter().for_each(|item| string(item, found)),
        Json::Object(object) => {
            for part in PARTS {
                if let Some(value) = object.get(*part) {
                    string(value, found);
                }
            }
        }
        _ => {}
    }
}

fn quantity(element: &Json, found: &mut Vec<Value>) {
    let number = |value: &Json| value.get("value").and_then(Json::as_f64);
    let of = |low: f64, high: f64, unit: &Json| Value::Quantity {
        low,
        high,
        system: text_of(unit, "system"),
        code: text_of(unit, "code"),
        unit: text_of(unit, "unit"),
    };
    if let Some(value) = element.as_f64() {
        found.push(of(value, value, &Json::Null));
    } else if let Some(value) = number(element) {
        let (low, high) = match element.get("comparator").and_then(Json::as_str) {
            Some("<" | "<=") => (f64::NEG_INFINITY, value),
            Some(">" | ">=") => (value, f64::INFINITY),
            _ => (value, value),
        };
        found.push(of(low, high, element));
    } else if let (low, high) = (element.get("low"), element.get("high"))
        && let Some(unit) = low.or(high)
    {
        let low = low.and_then(number).unwrap_or(f64::NEG_INFINITY);
        let high = high.and_then(number).unwrap_or(f64::INFINITY);
        found.push(of(low, high, unit));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Path;

    #[test]
    fn a_path_names_alternatives_items_and_what_they_must_have() {
        let resource = json!({
            "a": [{ "b": [1, 2] }, { "b": 3 }], "c": 4,
            "t": [{ "system": "email", "v": 5 }, { "system": "phone", "v": 6 }],
            "u": [{ "k": [{ "c": "y" }, { "c": "x" }], "v": 7 }, { "url": "http://a.b/c", "v": 8 }],
        });
        for (path, found) in [
            ("a.b", vec![1, 2, 3]),
            ("a.b | c", vec![1, 2, 3, 4]),
            ("t[system=email].v", vec![5]),
            ("u[k.c=x].v", vec![7]),
            ("u[url=http://a.b/c].v", vec![8]),
            ("x.y", vec![]),
        ] {
            let path = Path::parse(path).unwrap();
            assert_eq!(
                path.find(&resource),
                found.iter().map(|n| json!(n)).collect::<Vec<_>>().iter().collect::<Vec<_>>()
            );
        }
        for wrong in ["", "a.", "a[b", "a[b]", "a[.=c]", "a|b", "a b"] {
            assert!(Path::parse(wrong).is_none(), "{wrong}");
        }
    }
}

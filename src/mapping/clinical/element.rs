//! One cell into one element, and elements into their place in a resource.
//!
//! In: the text of a cell, the path of an element (`component[0].valueString`). Out: the value in its
//! form, or why the cell cannot be used; a resource without what no cell filled.

use serde_json::{Value, json};

use super::{ElementRow, Form, GUIDE};

impl ElementRow {
    pub(super) fn value(&self, text: &str) -> Result<Value, (&'static str, String)> {
        let number = || -> Result<f64, (&'static str, String)> {
            let number: f64 = text
                .replace(',', ".")
                .parse()
                .map_err(|_| ("number-broken", "the cell is no number".to_owned()))?;
            let [least, greatest] = self.between.unwrap_or([f64::MIN, f64::MAX]);
            if number.is_finite() && (least..=greatest).contains(&number) {
                Ok(number)
            } else {
                Err((
                    "number-out-of-bounds",
                    format!("the number is not between {least} and {greatest}"),
                ))
            }
        };
        Ok(match self.form {
            Form::Text => text.into(),
            Form::Integer => {
                let number = number()?;
                if number.fract() != 0.0 || number.abs() > 2_147_483_647.0 {
                    return Err(("number-broken", "the cell is no whole number".to_owned()));
                }
                #[expect(clippy::cast_possible_truncation, reason = "it was compared before")]
                let whole = number as i64;
                whole.into()
            }
            Form::Quantity => {
                let unit = self.unit.as_deref().unwrap_or("1");
                let number = number()?;
                // A whole number is written as one, as the table has it.
                let value = if number.fract() == 0.0 && number.abs() < 1e15 {
                    #[expect(clippy::cast_possible_truncation, reason = "it was compared before")]
                    let whole = number as i64;
                    json!(whole)
                } else {
                    json!(number)
                };
                json!({ "value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit })
            }
            Form::Date => {
                let format = self.date.as_deref().unwrap_or("%Y-%m-%d");
                // A time behind an ISO date is left out: the table knows no zone.
                let text = if self.date.is_none() { text.get(..10).unwrap_or(text) } else { text };
                let date = jiff::civil::Date::strptime(format, text).map_err(|_| {
                    ("date-broken", format!("the cell is no date written as `{format}`"))
                })?;
                date.to_string().into()
            }
            Form::Concept => json!({ "coding": [self.coding(text)?] }),
            Form::Coding => self.coding(text)?,
            Form::Code => self.code(text)?.into(),
        })
    }

    fn code<'a>(&'a self, text: &'a str) -> Result<&'a str, (&'static str, String)> {
        if self.codes.is_empty() {
            return Ok(text);
        }
        self.codes.get(text).map(String::as_str).ok_or_else(|| {
            let known: Vec<&str> = self.codes.keys().map(String::as_str).collect();
            (
                "code-unknown",
                format!("the mapping knows no code for this value; it knows {}", known.join(", ")),
            )
        })
    }

    fn coding(&self, text: &str) -> Result<Value, (&'static str, String)> {
        let system = system_of(self.system.as_deref().unwrap_or_default());
        Ok(json!({ "system": system, "code": self.code(text)? }))
    }
}

/// The URI of a code system that a mapping names.
fn system_of(name: &str) -> String {
    if name.contains(':') { name.to_owned() } else { format!("{}/CodeSystem/{name}", *GUIDE) }
}

/// Writes the systems that a mapping names by id as URIs, and URLs of own extensions likewise.
pub(super) fn own_systems(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, item) in object {
                match (key.as_str(), &*item) {
                    ("system", Value::String(name)) => *item = system_of(name).into(),
                    ("url", Value::String(name)) if !name.contains(':') => {
                        *item = format!("{}/StructureDefinition/{name}", *GUIDE).into();
                    }
                    _ => own_systems(item),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(own_systems),
        _ => {}
    }
}

/// Leaves out extensions and components of which only the name is there: no cell gave the value.
pub(super) fn prune(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, only) in [("extension", "url"), ("component", "code")] {
                if let Some(Value::Array(items)) = object.get_mut(key) {
                    items.retain(|item| {
                        item.as_object().is_none_or(|item| item.keys().any(|key| key != only))
                    });
                }
            }
            object.retain(|_, item| {
                prune(item);
                item.as_array().is_none_or(|items| !items.is_empty())
            });
        }
        Value::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

/// Items of a list that a path may reach.
const LONGEST_LIST: usize = 64;

/// `component[0].valueString` → names and places.
pub(super) fn steps(path: &str) -> Option<Vec<(&str, Option<usize>)>> {
    path.split('.')
        .map(|step| {
            let (name, place) = match step.split_once('[') {
                None => (step, None),
                Some((name, rest)) => {
                    let place: usize = rest.strip_suffix(']')?.parse().ok()?;
                    (name, Some(place).filter(|place| *place < LONGEST_LIST)?.into())
                }
            };
            let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            is_name.then_some((name, place))
        })
        .collect()
}

/// Sets an element, making what it stands in.
pub(super) fn set(resource: &mut Value, path: &str, value: Value) {
    let mut target = resource;
    for (name, place) in steps(path).unwrap_or_default() {
        if !target.is_object() {
            *target = json!({});
        }
        target = &mut target[name];
        if let Some(place) = place {
            if !target.is_array() {
                *target = json!([]);
            }
            if let Some(items) = target.as_array_mut() {
                while items.len() <= place {
                    items.push(json!({}));
                }
            }
            target = &mut target[place];
        }
    }
    // What is fixed of the element stays beside what the cell gives.
    match (target, value) {
        (Value::Object(there), Value::Object(new)) => there.extend(new),
        (target, value) => *target = value,
    }
}

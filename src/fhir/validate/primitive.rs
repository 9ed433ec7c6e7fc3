//! Primitive values: the kind of JSON, the form, the calendar.

use regex::Regex;
use serde_json::Value;

use super::rules::whole;
use super::table::{JsonKind, PrimitiveRow};

/// A primitive type, compiled.
#[derive(Debug)]
pub(in crate::fhir) struct Primitive {
    row: PrimitiveRow,
    pattern: Option<Regex>,
    prefixed: Vec<(String, Regex)>,
}

impl Primitive {
    pub fn new(row: PrimitiveRow) -> Result<Self, String> {
        let pattern = row.pattern.as_deref().map(whole).transpose();
        let pattern = pattern.map_err(|wrong| format!("primitive `{}`: {wrong}", row.name))?;
        let prefixed = row
            .prefixed
            .iter()
            .map(|(prefix, pattern)| Ok((prefix.clone(), whole(pattern)?)))
            .collect::<Result<_, String>>()?;
        Ok(Self { row, pattern, prefixed })
    }

    /// What it is in JSON.
    pub fn json(&self) -> JsonKind {
        self.row.json
    }

    pub fn is_xhtml(&self) -> bool {
        self.row.name == "xhtml"
    }

    /// What is wrong with a value, if anything.
    pub fn fault(&self, value: &Value) -> Option<String> {
        let PrimitiveRow { name, json, words, .. } = &self.row;
        let is_kind = match json {
            JsonKind::String => value.is_string(),
            JsonKind::Number => value.is_number(),
            JsonKind::Boolean => value.is_boolean(),
        };
        if !is_kind {
            return Some(format!("is {} where `{name}` is {words}", kind_of(value)));
        }
        let holds = match value {
            Value::Number(number) => match (self.row.min, self.row.max) {
                (Some(min), Some(max)) => {
                    number.as_i64().is_some_and(|number| (min..=max).contains(&number))
                }
                _ => number.as_f64().is_some_and(f64::is_finite),
            },
            Value::String(text) => self.holds(text),
            _ => true,
        };
        (!holds).then(|| format!("`{}` is no `{name}`: write {words}", shown(value)))
    }

    fn holds(&self, text: &str) -> bool {
        !text.trim().is_empty()
            && self.row.most.is_none_or(|most| text.len() <= most)
            && !text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text))
            && self.prefixed.iter().all(|(prefix, pattern)| {
                !text.starts_with(prefix.as_str()) || pattern.is_match(text)
            })
            && (!self.row.calendar || is_in_calendar(text))
            && (!self.row.base64 || is_base64(text))
    }
}

/// At most 60 characters of a value, for a message.
pub(super) fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut short: String =
        text.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// The kind of a JSON value, in words.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Whether the day of `YYYY-MM-DD…` exists; the form is known to be right.
fn is_in_calendar(text: &str) -> bool {
    let part =
        |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse::<i16>().ok());
    let Some(year) = part(0, 4).filter(|year| *year > 0) else {
        return false;
    };
    let (Some(month), Some(day)) = (part(5, 7), part(8, 10)) else {
        return true;
    };
    let (Ok(month), Ok(day)) = (i8::try_from(month), i8::try_from(day)) else {
        return false;
    };
    jiff::civil::Date::new(year, month, day).is_ok()
}

fn is_base64(text: &str) -> bool {
    let (mut letters, mut padding) = (0_usize, 0_usize);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        match byte {
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => letters += 1,
            _ => return false,
        }
    }
    padding <= 2 && (letters + padding) % 4 == 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::rules::Kind;
    use super::super::rules::Rules;

    fn fault(path: &str, name: &str, value: &serde_json::Value) -> Option<String> {
        let node = Rules::shared().unwrap().named(path).unwrap();
        let (child, choice) = node.keys[name];
        match &node.children[child].kinds[choice].1 {
            Kind::Primitive(primitive) => primitive.fault(value),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn days_that_do_not_exist_are_refused() {
        for wrong in ["2023-02-29", "2024-13-01", "2024-04-31", "0000", "24-01-01", "2024-1-1", ""]
        {
            assert!(
                fault("Patient", "birthDate", &json!(wrong)).is_some(),
                "{wrong:?} was accepted"
            );
        }
        for right in ["2024-02-29", "1999", "2024-12"] {
            assert_eq!(fault("Patient", "birthDate", &json!(right)), None);
        }
    }

    #[test]
    fn a_time_needs_an_offset() {
        assert!(fault("ImagingStudy", "started", &json!("2024-07-31T10:11:12")).is_some());
        assert_eq!(fault("ImagingStudy", "started", &json!("2024-07-31T10:11:12.5+02:00")), None);
    }

    #[test]
    fn base64_is_padded() {
        for wrong in ["AAA", "A===", "AA=A", "AA-_"] {
            assert!(fault("Binary", "data", &json!(wrong)).is_some(), "{wrong:?} was accepted");
        }
        assert_eq!(fault("Binary", "data", &json!("AAA=")), None);
    }

    #[test]
    fn numbers_are_numbers() {
        assert!(fault("ImagingStudy", "numberOfSeries", &json!("1")).is_some());
        assert!(fault("ImagingStudy", "numberOfSeries", &json!(-1)).is_some());
        assert!(fault("ImagingStudy", "numberOfSeries", &json!(1.5)).is_some());
        assert!(fault("ImagingStudy", "numberOfSeries", &json!(4_294_967_296_u64)).is_some());
        assert_eq!(fault("ImagingStudy", "numberOfSeries", &json!(0)), None);
    }
}

//! One matching parameter, and what it holds against (PS3.4 section C.2.2.2).

use super::super::problem::{Failure, Result};
use super::table::{Attribute, Matching};
use crate::imaging::{Uid, fold};

/// Values of a list.
const MOST_VALUES: usize = 1_000;

/// A parameter that is matched.
#[derive(Clone, Debug)]
pub(super) struct Criterion {
    pub(super) row: Attribute,
    pub(super) test: Test,
}

/// What is compared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Test {
    /// One of these.
    OneOf(Vec<String>),
    /// From and to, both of them in it; as texts whose order is that of time.
    Range(String, String),
    /// One of these patterns; folded for names.
    Patterns(Vec<String>),
    Number(i64),
}

impl Criterion {
    /// Reads a value; `None`: an empty one matches everything (universal matching).
    pub(super) fn parse(row: &Attribute, matching: Matching, value: &str) -> Result<Option<Self>> {
        let value = value.trim();
        if value.is_empty() || (value == "*" && matching != Matching::Uid) {
            return Ok(None);
        }
        let wrong = |rule: &str| Failure::bad(format!("parameter `{}`: {rule}", row.keyword));
        let list = || -> Result<Vec<String>> {
            let all: Vec<String> =
                value.split([',', '\\']).map(|one| one.trim().to_owned()).collect();
            if all.len() > MOST_VALUES {
                return Err(wrong(&format!("more than {MOST_VALUES} values")));
            }
            Ok(all)
        };
        let test = match matching {
            Matching::Uid => {
                let uids = list()?;
                if uids.iter().any(|uid| Uid::parse_lenient(uid).is_err()) {
                    return Err(wrong("write UIDs with commas between them"));
                }
                Test::OneOf(uids)
            }
            Matching::Date => {
                let rule = "write a date as YYYYMMDD, or a range: `20240101-20241231`, \
                            `20240101-`, `-20241231`";
                range(value, 8, "00000000", "99999999").ok_or_else(|| wrong(rule))?
            }
            Matching::Time => {
                let rule = "write a time as HHMMSS, or a range: `080000-120000`";
                range(value, 6, "000000", "999999").ok_or_else(|| wrong(rule))?
            }
            Matching::Text => Test::Patterns(vec![value.to_owned()]),
            Matching::Code => Test::Patterns(list()?),
            Matching::Name => Test::Patterns(vec![folded(value)]),
            Matching::Number => {
                let number = value.parse().map_err(|_| wrong("write a whole number"))?;
                Test::Number(number)
            }
        };
        Ok(Some(Self { row: row.clone(), test }))
    }

    /// Whether one of the values answers it.
    pub(super) fn holds(&self, values: &[String]) -> bool {
        let is_name = self.row.matching == Some(Matching::Name);
        values.iter().any(|value| match &self.test {
            Test::OneOf(all) => all.contains(value),
            Test::Range(from, to) => {
                let digits: String = value.chars().filter(char::is_ascii_digit).collect();
                // What is shorter stands for its beginning.
                let value = format!("{digits:0<width$}", width = from.len());
                let value = value.get(..from.len()).unwrap_or_default();
                !digits.is_empty() && (from.as_str()..=to.as_str()).contains(&value)
            }
            Test::Patterns(patterns) => {
                let value = if is_name { folded(value) } else { value.clone() };
                patterns.iter().any(|pattern| matches(pattern, &value))
            }
            Test::Number(number) => value.trim().parse() == Ok(*number),
        })
    }

    /// The one text that has to be there, or the beginning that it has to have; `None`: neither.
    pub(super) fn literal(&self) -> Option<(String, bool)> {
        let Test::Patterns(patterns) = &self.test else { return None };
        let [pattern] = patterns.as_slice() else { return None };
        let begin: String = pattern.chars().take_while(|c| !matches!(c, '*' | '?')).collect();
        let is_whole = begin.len() == pattern.len();
        (!begin.is_empty()).then_some((begin, is_whole))
    }
}

/// Components of a name are compared without case and marks, and without those that are empty at
/// its end.
fn folded(name: &str) -> String {
    let alphabetic = name.split('=').next().unwrap_or("");
    let parts: Vec<String> = alphabetic.split('^').map(fold).collect();
    parts.join("^").trim_end_matches('^').to_owned()
}

fn range(value: &str, width: usize, least: &str, most: &str) -> Option<Test> {
    // A time may have colons and a fraction, which are not compared.
    let one = |text: &str, fill: &str| {
        let text = text.trim().replace(':', "");
        let text = text.split('.').next().unwrap_or("").to_owned();
        let is_time = width == 6 && (2..=6).contains(&text.len()) && text.len().is_multiple_of(2);
        let fits = text.len() == width || is_time;
        let is_one = fits && text.bytes().all(|byte| byte.is_ascii_digit());
        is_one.then(|| format!("{text}{}", fill.get(text.len()..).unwrap_or_default()))
    };
    match value.split_once('-') {
        None => Some(Test::Range(one(value, least)?, one(value, most)?)),
        Some(("", "")) => None,
        Some(("", to)) => Some(Test::Range(least.to_owned(), one(to, most)?)),
        Some((from, "")) => Some(Test::Range(one(from, least)?, most.to_owned())),
        Some((from, to)) => Some(Test::Range(one(from, least)?, one(to, most)?)),
    }
}

/// Wildcards (PS3.4 section C.2.2.2.4), in time proportional to both lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // The last `*`, and how much of the text it took.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(letter) if *letter == '?' || Some(letter) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::{Criterion, Matching, matches};
    use crate::dicomweb::qido::table::{Attribute, Level, Value};

    fn holds(matching: Matching, asked: &str, value: &str) -> Option<bool> {
        let row = Attribute {
            keyword: "StudyDate".to_owned(),
            level: Level::Study,
            value: Value::Study,
            matching: Some(matching),
            returned: true,
        };
        let criterion = Criterion::parse(&row, matching, asked).ok()??;
        Some(criterion.holds(&[value.to_owned()]))
    }

    #[test]
    fn values_are_matched_as_the_standard_says() {
        for (matching, asked, value, expected) in [
            (Matching::Date, "20240131", "20240131", Some(true)),
            (Matching::Date, "20240131", "20240201", Some(false)),
            (Matching::Date, "20240101-20240131", "20240131", Some(true)),
            (Matching::Date, "20240101-", "20231231", Some(false)),
            (Matching::Date, "-20240101", "20231231", Some(true)),
            (Matching::Date, "20240101", "", Some(false)),
            (Matching::Date, "2024", "20240101", None),
            (Matching::Date, "-", "20240101", None),
            (Matching::Date, "2024-01-01", "20240101", None),
            (Matching::Date, "", "20240101", None),
            (Matching::Time, "0800-1200", "081500.123", Some(true)),
            (Matching::Time, "08", "085959", Some(true)),
            (Matching::Time, "080000", "080001", Some(false)),
            (Matching::Text, "A1*", "A123", Some(true)),
            (Matching::Text, "a1*", "A123", Some(false)),
            (Matching::Code, "CT,MR", "MR", Some(true)),
            (Matching::Code, r"CT\MG", "MR", Some(false)),
            (Matching::Name, "dvořáková^z*", "Dvorakova^Zofie", Some(true)),
            (Matching::Name, "Dvorakova", "Dvorakova^Zofie", Some(false)),
            (Matching::Uid, "1.2,1.3", "1.3", Some(true)),
            (Matching::Uid, "1.2;1.3", "1.3", None),
            (Matching::Number, "7", " 07", Some(true)),
            (Matching::Number, "x", "7", None),
        ] {
            assert_eq!(holds(matching, asked, value), expected, "{asked} {value}");
        }
    }

    #[test]
    fn wildcards_match_in_bounded_time() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("?", "", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXcYb", false),
            ("*é?", "caféx", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
        let pattern = format!("{}b", "*a".repeat(500));
        assert!(!matches(&pattern, &"a".repeat(20_000)));
    }
}

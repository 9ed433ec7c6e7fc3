//! The named transforms of table mappings, prepared once and applied to each new value.

use std::borrow::Cow;
use std::collections::HashMap;

use jiff::civil::Date;

use crate::imaging::Uid;
use crate::mapping::tables::{Otherwise, Transform};

/// A transform, prepared.
pub(super) enum Step {
    Trim,
    Lower,
    Upper,
    Date { format: Option<String>, earliest: Option<Date>, latest: Option<Date> },
    Time,
    Age { zero: bool, most_years: u16, has_unit: bool },
    Integer { least: i64, most: i64 },
    FirstOf { separator: String, finding: Option<&'static str> },
    Split { separator: String, finding: Option<&'static str> },
    Uid,
    Map { values: HashMap<String, String>, otherwise: Otherwise, finding: Option<&'static str> },
    Replace { pattern: regex::Regex, with: String },
    PersonName,
    Doi,
    PlainText,
}

/// What became of a value: the text left in `value`, and the code of what was odd about it.
pub(super) type Odd = Option<&'static str>;

fn code(finding: Option<&String>) -> Option<&'static str> {
    let finding = finding?;
    crate::imaging::FINDING_KINDS.iter().find(|kind| kind.code == finding).map(|kind| kind.code)
}

impl Step {
    /// Prepares a transform that the mapping's check has accepted.
    pub(super) fn new(transform: &Transform) -> Self {
        let day = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
        match transform {
            Transform::Trim => Self::Trim,
            Transform::Lower => Self::Lower,
            Transform::Upper => Self::Upper,
            Transform::DateIso(row) => {
                Self::Date { format: None, earliest: day(&row.earliest), latest: day(&row.latest) }
            }
            Transform::DateFormat(row) => Self::Date {
                format: Some(row.format.clone()),
                earliest: day(&row.earliest),
                latest: day(&row.latest),
            },
            Transform::TimeIso => Self::Time,
            Transform::AgeDicom(row) => {
                Self::Age { zero: row.zero, most_years: row.most_years, has_unit: true }
            }
            Transform::AgeYears(row) => {
                Self::Age { zero: row.zero, most_years: row.most_years, has_unit: false }
            }
            Transform::Integer(row) => Self::Integer {
                least: row.least.unwrap_or(i64::MIN),
                most: row.most.unwrap_or(i64::MAX),
            },
            Transform::FirstOf(row) => Self::FirstOf {
                separator: row.separator.clone(),
                finding: code(row.finding.as_ref()),
            },
            Transform::Split(row) => Self::Split {
                separator: row.separator.clone(),
                finding: code(row.finding.as_ref()),
            },
            Transform::Uid => Self::Uid,
            Transform::Map(row) => Self::Map {
                values: row.values.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
                otherwise: row.otherwise,
                finding: code(row.finding.as_ref()),
            },
            Transform::Replace(row) => match regex::Regex::new(&row.pattern) {
                Ok(pattern) => Self::Replace { pattern, with: row.with.clone() },
                Err(_) => Self::Trim,
            },
            Transform::PersonName => Self::PersonName,
            Transform::Doi => Self::Doi,
            Transform::PlainText => Self::PlainText,
        }
    }

    /// Applies the step. An empty value afterwards means: left out.
    pub(super) fn apply(&self, value: &mut String) -> Odd {
        match self {
            Self::Trim => {
                if needs_trim(value) {
                    *value = one_line(value);
                }
                None
            }
            Self::Lower => {
                *value = value.to_lowercase();
                None
            }
            Self::Upper => {
                *value = value.to_uppercase();
                None
            }
            Self::Date { format, earliest, latest } => {
                let date = match format {
                    None => iso_date(value),
                    Some(format) => Date::strptime(format, value.trim()).ok(),
                };
                let date = date.filter(|date| {
                    earliest.is_none_or(|earliest| *date >= earliest)
                        && latest.is_none_or(|latest| *date <= latest)
                        && date.year() > 0
                });
                value.clear();
                match date {
                    Some(date) => {
                        use std::fmt::Write as _;
                        let (year, month, day) = (date.year(), date.month(), date.day());
                        write!(value, "{year:04}{month:02}{day:02}").err().map(|_| "date-odd")
                    }
                    None => Some("date-odd"),
                }
            }
            Self::Time => {
                let time = iso_time(value);
                *value = time.clone().unwrap_or_default();
                time.is_none().then_some("time-odd")
            }
            Self::Age { zero, most_years, has_unit } => {
                let age = age(value, *zero, *most_years, *has_unit);
                *value = age.clone().unwrap_or_default();
                age.is_none().then_some("age-odd")
            }
            Self::Integer { least, most } => {
                let text = value.trim();
                let text = match text.split_once('.') {
                    Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
                    _ => text,
                };
                let number = text.parse::<i64>().ok().filter(|n| (*least..=*most).contains(n));
                *value = number.map(|number| number.to_string()).unwrap_or_default();
                number.is_none().then_some("number-odd")
            }
            Self::FirstOf { separator, finding } => {
                let (first, rest) = value.split_once(separator.as_str())?;
                let several = !rest.trim().is_empty();
                *value = first.trim().to_owned();
                finding.filter(|_| several)
            }
            Self::Split { separator, finding } => {
                if !value.contains(separator.as_str()) {
                    return None;
                }
                let parts: Vec<&str> = value
                    .split(separator.as_str())
                    .map(str::trim)
                    .filter(|p| !p.is_empty())
                    .collect();
                let several = parts.len() > 1;
                *value = parts.join("\\");
                finding.filter(|_| several)
            }
            Self::Uid => {
                if Uid::parse(value).is_ok() {
                    return None;
                }
                if Uid::parse_lenient(value).is_err() {
                    value.clear();
                }
                Some("uid-not-standard")
            }
            Self::Map { values, otherwise, finding } => {
                if let Some(mapped) = values.get(value.trim()) {
                    mapped.clone_into(value);
                    return None;
                }
                if *otherwise == Otherwise::Drop {
                    value.clear();
                }
                *finding
            }
            Self::Replace { pattern, with } => {
                if let Cow::Owned(replaced) = pattern.replace_all(value, with.as_str()) {
                    *value = replaced;
                }
                None
            }
            Self::PersonName => {
                if let Some((family, given)) = value.split_once(',')
                    && !value.contains('^')
                {
                    *value = format!("{}^{}", family.trim(), given.trim());
                }
                None
            }
            Self::Doi => {
                *value = doi(value).to_owned();
                None
            }
            Self::PlainText => {
                *value = super::descriptions::plain_text(value);
                None
            }
        }
    }
}

fn needs_trim(text: &str) -> bool {
    text.starts_with(' ')
        || text.ends_with(' ')
        || text.contains("  ")
        || text.chars().any(|c| c.is_control() || (c != ' ' && c.is_whitespace()))
}

/// White space and control characters become single spaces.
pub(super) fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if !word.is_empty() {
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(word);
        }
    }
    out
}

/// A DOI without resolver or scheme.
pub(super) fn doi(text: &str) -> &str {
    let text = text.trim();
    ["https://doi.org/", "http://doi.org/", "https://dx.doi.org/", "http://dx.doi.org/", "doi:"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text)
}

fn iso_date(text: &str) -> Option<Date> {
    let text = text.trim();
    // DA itself is taken as well; a timestamp gives its date as written.
    let compact = text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit());
    let (year, month, day) = if compact {
        (text.get(..4)?, text.get(4..6)?, text.get(6..8)?)
    } else {
        let after = text.get(10..)?;
        if !(after.is_empty() || after.starts_with(['T', ' '])) {
            return None;
        }
        if text.get(4..5)? != "-" || text.get(7..8)? != "-" {
            return None;
        }
        (text.get(..4)?, text.get(5..7)?, text.get(8..10)?)
    };
    Date::new(number(year)?, number(month)?, number(day)?).ok()
}

fn number<T: std::str::FromStr>(digits: &str) -> Option<T> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn iso_time(text: &str) -> Option<String> {
    let text = text.trim();
    let text = match text.find(['T', ' ']) {
        Some(10) => text.get(11..)?,
        _ => text,
    };
    let text = text.trim_end_matches('Z');
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, fraction),
        None => (text, ""),
    };
    let mut parts = clock.split(':');
    let mut out = String::with_capacity(16);
    for (name, most) in [("hour", 23), ("minute", 59), ("second", 60)] {
        let Some(part) = parts.next() else {
            if name == "second" {
                break;
            }
            return None;
        };
        let value: u8 = number(part).filter(|value| *value <= most && part.len() == 2)?;
        out.push_str(&format!("{value:02}"));
    }
    if parts.next().is_some() {
        return None;
    }
    let digits: String = fraction.chars().take(6).collect();
    if !digits.is_empty() {
        if out.len() != 6 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        out.push('.');
        out.push_str(&digits);
    }
    Some(out)
}

/// AS: three digits and D, W, M or Y (PS3.5 section 6.2).
fn age(text: &str, zero: bool, most_years: u16, has_unit: bool) -> Option<String> {
    let text = text.trim();
    let (digits, unit) = if has_unit {
        let at = text.len().checked_sub(1)?;
        (text.get(..at)?, text.get(at..)?.to_ascii_uppercase())
    } else {
        (text.strip_suffix(".0").unwrap_or(text), "Y".to_owned())
    };
    if has_unit && digits.len() != 3 {
        return None;
    }
    let count: u16 = number(digits).filter(|_| !digits.is_empty() && digits.len() <= 3)?;
    let per_year: u16 = match unit.as_str() {
        "D" => 365,
        "W" => 52,
        "M" => 12,
        "Y" => 1,
        _ => return None,
    };
    let usable = (zero || count > 0) && count / per_year <= most_years;
    usable.then(|| format!("{count:03}{unit}"))
}

#[cfg(test)]
mod tests {
    use super::Step;
    use crate::mapping::tables::Transform;

    fn apply(toml: &str, value: &str) -> (String, Option<&'static str>) {
        #[derive(serde::Deserialize)]
        struct Row {
            t: Vec<Transform>,
        }
        let row: Row = toml::from_str(&format!("t = [{toml}]")).unwrap();
        let mut value = value.to_owned();
        let mut odd = None;
        for transform in &row.t {
            odd = Step::new(transform).apply(&mut value).or(odd);
        }
        (value, odd)
    }

    #[test]
    fn every_transform_gives_what_dicom_wants_or_says_what_is_odd() {
        for (toml, value, expected, odd) in [
            ("'trim'", " a\r\n  b\t", "a b", None),
            ("'lower'", "ÀB", "àb", None),
            ("'upper'", "àb", "ÀB", None),
            ("'date-iso'", "1997-09-17", "19970917", None),
            ("'date-iso'", "1997-09-17T10:00:00Z", "19970917", None),
            ("'date-iso'", "19970917", "19970917", None),
            ("'date-iso'", "1997-02-30", "", Some("date-odd")),
            ("'date-iso'", "1997-09-1x", "", Some("date-odd")),
            ("'date-iso'", "ž997-09-17", "", Some("date-odd")),
            ("{date-iso = {earliest='1895-11-08'}}", "1880-09-09", "", Some("date-odd")),
            ("{date-iso = {earliest='1895-11-08'}}", "1895-11-08", "18951108", None),
            ("{date-format = {format='%d.%m.%Y'}}", "7.9.1997", "19970907", None),
            ("{date-format = {format='%d.%m.%Y'}}", "1997", "", Some("date-odd")),
            ("'time-iso'", "08:05", "0805", None),
            ("'time-iso'", "2001-01-01 08:05:09.1234567", "080509.123456", None),
            ("'time-iso'", "8:5", "", Some("time-odd")),
            ("'time-iso'", "25:00", "", Some("time-odd")),
            ("{age-dicom={zero=false}}", "042y", "042Y", None),
            ("{age-dicom={zero=false}}", "150M", "150M", None),
            ("{age-dicom={zero=false}}", "000Y", "", Some("age-odd")),
            ("{age-dicom={}}", "000D", "000D", None),
            ("{age-dicom={}}", "155Y", "", Some("age-odd")),
            ("{age-dicom={}}", "90", "", Some("age-odd")),
            ("{age-dicom={}}", "N-A", "", Some("age-odd")),
            ("{age-dicom={}}", "+42Y", "", Some("age-odd")),
            ("{age-years={}}", "42", "042Y", None),
            ("{age-years={}}", "63.0", "063Y", None),
            ("{integer={least=0}}", "12.00", "12", None),
            ("{integer={least=0}}", "-1", "", Some("number-odd")),
            ("{first-of={separator=','}}", "a, b", "a", None),
            (
                "{first-of={separator=',', finding='transfer-syntaxes'}}",
                "a,b",
                "a",
                Some("transfer-syntaxes"),
            ),
            (
                "{split={separator=',', finding='transfer-syntaxes'}}",
                "a, b",
                "a\\b",
                Some("transfer-syntaxes"),
            ),
            ("{split={separator=',', finding='transfer-syntaxes'}}", "a", "a", None),
            ("'uid'", "1.02.3", "1.02.3", Some("uid-not-standard")),
            ("'uid'", "a b", "", Some("uid-not-standard")),
            ("{map={values={W='F'}, otherwise='drop', finding='sex-odd'}}", " W", "F", None),
            (
                "{map={values={W='F'}, otherwise='drop', finding='sex-odd'}}",
                "0000",
                "",
                Some("sex-odd"),
            ),
            ("{map={values={W='F'}}}", "x", "x", None),
            ("{replace={pattern='^0+', with=''}}", "007", "7", None),
            ("'person-name'", "Novák, Jan", "Novák^Jan", None),
            ("'doi'", "https://doi.org/10.1/x", "10.1/x", None),
        ] {
            assert_eq!(apply(toml, value), (expected.to_owned(), odd), "{toml} {value:?}");
        }
    }
}

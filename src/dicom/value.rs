//! Values of one attribute as text: what PS3.5 section 6.2 allows as it is, what is odd but
//! certain in the standard's form, and nothing of what is neither.
//!
//! Files, DICOM JSON and tables go through the same rules, so that equal content gives equal text.

use std::borrow::Cow;

use dicom_core::VR;

use crate::imaging::Finding;

/// Text in the standard's form, with the code of a finding when it was not; `None` when nothing
/// of it can be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Normal<'a> {
    /// The value, or `None` to leave it out.
    pub text: Option<Cow<'a, str>>,
    /// What was odd.
    pub odd: Option<&'static str>,
}

impl<'a> Normal<'a> {
    const fn as_is(text: &'a str) -> Self {
        Self { text: Some(Cow::Borrowed(text)), odd: None }
    }

    const fn read(text: String, odd: &'static str) -> Self {
        Self { text: Some(Cow::Owned(text)), odd: Some(odd) }
    }

    const fn left_out(odd: &'static str) -> Self {
        Self { text: None, odd: Some(odd) }
    }
}

/// A value of several, separated by backslashes, by the rules of its value representation.
/// Findings name the attribute and the value, except a person's.
#[must_use]
pub fn normalise<'a>(
    vr: VR,
    keyword: &'static str,
    text: &'a str,
    findings: &mut Vec<Finding>,
) -> Option<Cow<'a, str>> {
    let one: fn(&str) -> Normal<'_> = match vr {
        VR::DA => date,
        VR::TM => time,
        VR::DT => date_time,
        VR::AS => age,
        VR::IS => integer,
        VR::DS => decimal,
        VR::PN => name,
        VR::ST | VR::LT | VR::UT | VR::UR => {
            let text = text.trim_matches([' ', '\0']);
            return (!text.is_empty()).then_some(Cow::Borrowed(text));
        }
        _ => |text| Normal::as_is(text),
    };
    let mut note = |normal: &Normal<'_>, part: &str| {
        if let Some(code) = normal.odd {
            let is_personal = vr == VR::PN || keyword.starts_with("PatientBirth");
            note(findings, Finding::new(code, keyword, if is_personal { "" } else { part }));
        }
    };
    if !text.contains('\\') {
        let part = text.trim_matches([' ', '\0']);
        if part.is_empty() {
            return None;
        }
        let normal = one(part);
        note(&normal, part);
        return normal.text;
    }
    let is_free = !matches!(vr, VR::DA | VR::TM | VR::DT | VR::AS | VR::IS | VR::DS | VR::PN);
    if is_free && !text.contains([' ', '\0']) && text.contains(|c| c != '\\') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut is_empty = true;
    for (place, part) in text.split('\\').enumerate() {
        if place > 0 {
            out.push('\\');
        }
        let part = part.trim_matches([' ', '\0']);
        if part.is_empty() {
            continue;
        }
        let normal = one(part);
        note(&normal, part);
        if let Some(part) = normal.text {
            is_empty &= part.is_empty();
            out.push_str(&part);
        }
    }
    (!is_empty).then_some(Cow::Owned(out))
}

/// Adds a finding unless one of its code and attribute is there.
pub(super) fn note(findings: &mut Vec<Finding>, finding: Finding) {
    let is_new = findings
        .iter()
        .all(|known| known.code != finding.code || known.attribute != finding.attribute);
    if is_new {
        findings.push(finding);
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(text: &str) -> Option<u32> {
    if digits(text) { text.parse().ok() } else { None }
}

/// DA: `YYYYMMDD`. Read besides: `YYYY.MM.DD` (ACR-NEMA), the same with `-` or `/`, and a date
/// with a time behind it.
#[must_use]
pub fn date(text: &str) -> Normal<'_> {
    let is_date = |eight: &str| -> bool {
        let part = |from: usize, to: usize| eight.get(from..to).and_then(number);
        let (Some(year), Some(month), Some(day)) = (part(0, 4), part(4, 6), part(6, 8)) else {
            return false;
        };
        let (Ok(year), Ok(month), Ok(day)) =
            (i16::try_from(year), i8::try_from(month), i8::try_from(day))
        else {
            return false;
        };
        year > 0 && jiff::civil::Date::new(year, month, day).is_ok()
    };
    if text.len() == 8 && digits(text) {
        return if is_date(text) { Normal::as_is(text) } else { Normal::left_out("date-odd") };
    }
    let bytes = text.as_bytes();
    let separator = bytes.get(4).copied().filter(|byte| matches!(byte, b'.' | b'-' | b'/'));
    let eight = match separator {
        Some(separator) if text.len() == 10 && bytes.get(7) == Some(&separator) => {
            [text.get(..4), text.get(5..7), text.get(8..)].into_iter().flatten().collect()
        }
        _ if text.len() >= 14 && text.get(..14).is_some_and(digits) => {
            text.get(..8).unwrap_or_default().to_owned()
        }
        _ => String::new(),
    };
    if eight.len() == 8 && digits(&eight) && is_date(&eight) {
        Normal::read(eight, "date-odd")
    } else {
        Normal::left_out("date-odd")
    }
}

/// TM: `HH[MM[SS[.F{1,6}]]]`. Read besides: the same with colons (ACR-NEMA), a colon at the end,
/// and a fraction that is too long, cut.
#[must_use]
pub fn time(text: &str) -> Normal<'_> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let plain: Cow<'_, str> = if whole.contains(':') {
        let mut parts: Vec<&str> = whole.split(':').collect();
        if parts.last().is_some_and(|last| last.is_empty()) {
            parts.pop();
        }
        if parts.iter().any(|part| part.len() != 2) {
            return Normal::left_out("time-odd");
        }
        Cow::Owned(parts.concat())
    } else {
        Cow::Borrowed(whole)
    };
    let part = |from: usize| plain.get(from..from + 2).and_then(number);
    let is_time = digits(&plain)
        && matches!(plain.len(), 2 | 4 | 6)
        && part(0).is_some_and(|hour| hour < 24)
        && (plain.len() < 4 || part(2).is_some_and(|minute| minute < 60))
        && (plain.len() < 6 || part(4).is_some_and(|second| second <= 60));
    if !is_time {
        return Normal::left_out("time-odd");
    }
    match fraction {
        None if plain == text => Normal::as_is(text),
        None => Normal::read(plain.into_owned(), "time-odd"),
        Some(fraction) if plain.len() == 6 && digits(fraction) => {
            if fraction.len() <= 6 && plain == whole {
                Normal::as_is(text)
            } else {
                let cut = fraction.get(..fraction.len().min(6)).unwrap_or_default();
                Normal::read(format!("{plain}.{cut}"), "time-odd")
            }
        }
        Some(_) => Normal::read(plain.into_owned(), "time-odd"),
    }
}

/// DT: `YYYYMMDDHHMMSS.FFFFFF&ZZXX`, from the right optional down to the year.
#[must_use]
pub fn date_time(text: &str) -> Normal<'_> {
    let (main, zone) = match text.find(['+', '-']) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    };
    if zone.is_some_and(|zone| zone.len() != 4 || !digits(zone)) {
        return Normal::left_out("date-odd");
    }
    let day = main.get(..8).unwrap_or(main);
    let is_right = match day.len() {
        8 => {
            date(day).odd.is_none()
                && main.get(8..).is_some_and(|rest| rest.is_empty() || time(rest).odd.is_none())
        }
        4 => digits(day) && day != "0000",
        6 => digits(day) && matches!(day.get(4..).and_then(number), Some(1..=12)),
        _ => false,
    };
    if is_right { Normal::as_is(text) } else { Normal::left_out("date-odd") }
}

/// AS: three digits and one of `D W M Y`. Read besides: fewer digits, a small letter.
#[must_use]
pub fn age(text: &str) -> Normal<'_> {
    let bytes = text.as_bytes();
    let Some((&unit, count)) = bytes.split_last() else { return Normal::left_out("age-odd") };
    let is_count = !count.is_empty() && count.len() <= 3 && count.iter().all(u8::is_ascii_digit);
    if !is_count || !matches!(unit.to_ascii_uppercase(), b'D' | b'W' | b'M' | b'Y') {
        return Normal::left_out("age-odd");
    }
    if count.len() == 3 && unit.is_ascii_uppercase() {
        return Normal::as_is(text);
    }
    let count = text.get(..count.len()).unwrap_or_default();
    Normal::read(format!("{count:0>3}{}", char::from(unit.to_ascii_uppercase())), "age-odd")
}

/// IS, written without padding zeros. The integers that are read here count or number
/// something, so a negative one is odd and left out.
#[must_use]
pub fn integer(text: &str) -> Normal<'_> {
    match text.parse::<i64>() {
        Ok(number) if (0..=i64::from(i32::MAX)).contains(&number) => {
            let plain = number.to_string();
            if plain == text {
                Normal::as_is(text)
            } else {
                Normal { text: Some(Cow::Owned(plain)), odd: None }
            }
        }
        Ok(_) => Normal::left_out("number-odd"),
        Err(_) => match text.parse::<f64>() {
            // `3.0`: the meaning is certain.
            Ok(number)
                if number.fract() == 0.0 && (0.0..=f64::from(i32::MAX)).contains(&number) =>
            {
                Normal::read(format!("{number}"), "number-odd")
            }
            _ => Normal::left_out("number-odd"),
        },
    }
}

/// DS, in the shortest form that has the same value: `1.50` and JSON's `1.5` are one.
#[must_use]
pub fn decimal(text: &str) -> Normal<'_> {
    // Some devices write a decimal comma.
    let is_comma = text.contains(',') && !text.contains('.');
    let number =
        if is_comma { text.replacen(',', ".", 1).parse::<f64>() } else { text.parse::<f64>() };
    match number {
        Ok(number) if number.is_finite() => {
            let plain = shortest(number);
            match (is_comma, plain == text) {
                (true, _) => Normal::read(plain, "number-odd"),
                (false, true) => Normal::as_is(text),
                (false, false) => Normal { text: Some(Cow::Owned(plain)), odd: None },
            }
        }
        _ => Normal::left_out("number-odd"),
    }
}

/// The shortest text that reads back as the number; DICOM's DS has an exponent.
pub(super) fn shortest(number: f64) -> String {
    let number = if number == 0.0 { 0.0 } else { number };
    if number == 0.0 || (1e-5..1e15).contains(&number.abs()) {
        format!("{number}")
    } else {
        format!("{number:e}")
    }
}

/// PN: at most three groups (alphabetic, ideographic, phonetic) of at most five components;
/// trailing empty ones mean nothing and are dropped.
#[must_use]
pub fn name(text: &str) -> Normal<'_> {
    let mut is_odd = false;
    let mut groups: Vec<String> = text
        .split('=')
        .map(|group| {
            let mut parts: Vec<&str> = group.split('^').map(str::trim).collect();
            // Surplus that is empty is no surplus; what is cut may leave empty parts at the end.
            while parts.last().is_some_and(|part| part.is_empty()) {
                parts.pop();
            }
            if parts.len() > 5 {
                is_odd = true;
                parts.truncate(5);
                while parts.last().is_some_and(|part| part.is_empty()) {
                    parts.pop();
                }
            }
            parts.join("^")
        })
        .collect();
    while groups.last().is_some_and(String::is_empty) {
        groups.pop();
    }
    if groups.len() > 3 {
        is_odd = true;
        groups.truncate(3);
        while groups.last().is_some_and(String::is_empty) {
            groups.pop();
        }
    }
    let plain = groups.join("=");
    match (plain.is_empty(), is_odd, plain == text) {
        (true, true, _) => Normal::left_out("name-odd"),
        (true, false, _) => Normal { text: None, odd: None },
        (_, true, _) => Normal::read(plain, "name-odd"),
        (_, false, true) => Normal::as_is(text),
        (_, false, false) => Normal { text: Some(Cow::Owned(plain)), odd: None },
    }
}

#[cfg(test)]
mod tests {
    use super::{Normal, age, date, date_time, decimal, integer, name, normalise, time};

    fn both(normal: Normal<'_>) -> (Option<String>, bool) {
        (normal.text.map(std::borrow::Cow::into_owned), normal.odd.is_some())
    }

    #[test]
    fn dates_and_times_that_are_certain_are_read_and_others_left_out() {
        for (text, read, is_odd) in [
            ("20240102", Some("20240102"), false),
            ("2024.01.02", Some("20240102"), true),
            ("2024-01-02", Some("20240102"), true),
            ("20240102093000", Some("20240102"), true),
            ("20240230", None, true),
            ("00000000", None, true),
            ("2024", None, true),
            ("2024.01-02", None, true),
            ("", None, true),
            ("２０２４", None, true),
        ] {
            assert_eq!(both(date(text)), (read.map(str::to_owned), is_odd), "{text}");
        }
        for (text, read, is_odd) in [
            ("1404", Some("1404"), false),
            ("140405.123456", Some("140405.123456"), false),
            ("14:04:", Some("1404"), true),
            ("14:04:05.5", Some("140405.5"), true),
            ("140405.1234567", Some("140405.123456"), true),
            ("2504", None, true),
            ("1:04", None, true),
            ("noon", None, true),
        ] {
            assert_eq!(both(time(text)), (read.map(str::to_owned), is_odd), "{text}");
        }
        assert!(date_time("20240102093000.5+0100").odd.is_none());
        assert!(date_time("202401").odd.is_none());
        assert!(date_time("20240199").text.is_none());
    }

    #[test]
    fn numbers_have_one_form() {
        assert_eq!(both(integer("007")), (Some("7".into()), false));
        assert_eq!(both(integer("3.0")), (Some("3".into()), true));
        assert_eq!(both(integer("-1")), (None, true));
        assert_eq!(both(decimal("1.500")), (Some("1.5".into()), false));
        assert_eq!(both(decimal("2,5")), (Some("2.5".into()), true));
        assert_eq!(both(decimal("-0.0")), (Some("0".into()), false));
        assert_eq!(both(decimal("nan")), (None, true));
        assert_eq!(both(decimal("1e-9")), (Some("1e-9".into()), false));
    }

    #[test]
    fn ages_and_names_have_the_standards_form() {
        assert_eq!(both(age("045Y")), (Some("045Y".into()), false));
        assert_eq!(both(age("45y")), (Some("045Y".into()), true));
        assert_eq!(both(age("45")), (None, true));
        assert_eq!(both(name("Doe^John^^^")), (Some("Doe^John".into()), false));
        assert_eq!(both(name("a=b=c=d=e")), (Some("a=b=c".into()), true));
        assert_eq!(both(name("^^")), (None, false));
    }

    #[test]
    fn each_of_several_values_is_judged_and_said_once() {
        let mut findings = Vec::new();
        let text =
            normalise(dicom_core::VR::DA, "StudyDate", r"20240101\2024.1.1\x", &mut findings);
        assert_eq!(text.as_deref(), Some(r"20240101\\"));
        assert_eq!(findings.len(), 1);
        let text = normalise(dicom_core::VR::CS, "ImageType", r"ORIGINAL \PRIMARY", &mut findings);
        assert_eq!(text.as_deref(), Some(r"ORIGINAL\PRIMARY"));
    }

    #[test]
    fn what_is_cut_from_a_name_leaves_nothing_empty_behind() {
        for (text, kept) in [("===A", None), ("A^^^^^B", Some("A")), ("A====B", Some("A"))] {
            let normal = name(text);
            assert_eq!((normal.text.as_deref(), normal.odd), (kept, Some("name-odd")), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_judged_without_panic(text in "\\PC{0,24}") {
            for rule in [date, time, date_time, age, integer, decimal, name] {
                let normal = rule(&text);
                if let Some(once) = &normal.text {
                    let twice = rule(once);
                    proptest::prop_assert_eq!(twice.text.as_deref(), Some(&**once));
                    proptest::prop_assert!(twice.odd.is_none());
                }
            }
        }
    }
}

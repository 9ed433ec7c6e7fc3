//! Literals: whether they are well formed, and how they compare (XML Schema part 2).

use oxrdf::Literal;
use oxrdf::vocab::xsd;

/// Whether the lexical form belongs to the datatype (XML Schema 1.1 part 2), for the datatypes
/// that catalogues use; others are taken as they are.
pub(super) fn is_well_formed(literal: &Literal) -> bool {
    let value = literal.value();
    let Some(name) = literal.datatype().as_str().strip_prefix("http://www.w3.org/2001/XMLSchema#")
    else {
        return true;
    };
    let integer = || {
        let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let is_zero = value.bytes().all(|b| matches!(b, b'0' | b'+' | b'-'));
    match name {
        "boolean" => matches!(value, "true" | "false" | "1" | "0"),
        "integer" => integer(),
        "nonNegativeInteger" => integer() && (!value.starts_with('-') || is_zero),
        "positiveInteger" => integer() && !value.starts_with('-') && !is_zero,
        "long" => value.parse::<i64>().is_ok(),
        "int" => value.parse::<i32>().is_ok(),
        "decimal" => decimal(value),
        "double" | "float" => {
            matches!(value, "INF" | "-INF" | "+INF" | "NaN")
                || (value.parse::<f64>().is_ok()
                    && !value.to_ascii_lowercase().contains(['i', 'n']))
        }
        "date" => date(zone_cut(value)).is_some(),
        "dateTime" => date_time(value).is_some(),
        "gYear" => {
            let year = zone_cut(value);
            year.len() == 4 && year.bytes().all(|b| b.is_ascii_digit())
        }
        "gYearMonth" => date(&format!("{}-01", zone_cut(value))).is_some(),
        "duration" => is_duration(value),
        "hexBinary" => {
            value.len().is_multiple_of(2) && value.bytes().all(|b| b.is_ascii_hexdigit())
        }
        _ => true,
    }
}

pub(super) fn decimal(value: &str) -> bool {
    let digits = value.strip_prefix(['+', '-']).unwrap_or(value);
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    !(whole.is_empty() && part.is_empty())
        && whole.bytes().chain(part.bytes()).all(|b| b.is_ascii_digit())
}

/// Without its zone: `2026-01-01Z`, `2026-01-01+02:00`.
pub(super) fn zone_cut(value: &str) -> &str {
    if let Some(cut) = value.strip_suffix('Z') {
        return cut;
    }
    let bytes = value.as_bytes();
    if bytes.len() > 6
        && matches!(bytes[bytes.len() - 6], b'+' | b'-')
        && bytes[bytes.len() - 3] == b':'
        && value.is_char_boundary(value.len() - 6)
    {
        return &value[..value.len() - 6];
    }
    value
}

pub(super) fn date(value: &str) -> Option<jiff::civil::Date> {
    (value.len() == 10).then(|| value.parse().ok()).flatten()
}

pub(super) fn date_time(value: &str) -> Option<f64> {
    let local = zone_cut(value);
    let (day, time) = local.split_once('T')?;
    let day = date(day)?;
    let mut parts = time.split(':');
    let mut part = |length: usize| -> Option<f64> {
        let text = parts.next()?;
        let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
        if whole.len() != length || !decimal(text) || text.starts_with(['+', '-']) {
            return None;
        }
        text.parse().ok()
    };
    let (hours, minutes, seconds) = (part(2)?, part(2)?, part(2)?);
    if parts.next().is_some() || hours > 24.0 || minutes >= 60.0 || seconds >= 60.0 {
        return None;
    }
    let days = f64::from(jiff::civil::Date::constant(1970, 1, 1).until(day).ok()?.get_days());
    let zone = value.get(local.len()..).unwrap_or_default();
    let offset = if zone.len() == 6 {
        let minutes: f64 = zone.get(4..6)?.parse().ok()?;
        let hours: f64 = zone.get(1..3)?.parse().ok()?;
        let sign = if zone.starts_with('-') { -1.0 } else { 1.0 };
        sign * (hours * 60.0 + minutes) * 60.0
    } else {
        0.0
    };
    Some(days * 86_400.0 + hours * 3_600.0 + minutes * 60.0 + seconds - offset)
}

pub(in crate::catalogue) fn is_duration(value: &str) -> bool {
    let body = value.strip_prefix('-').unwrap_or(value);
    let Some(body) = body.strip_prefix('P') else { return false };
    let (days, time) = match body.split_once('T') {
        Some((days, time)) => (days, Some(time)),
        None => (body, None),
    };
    let parts = |text: &str, units: &str| -> Option<usize> {
        let mut rest = text;
        let mut last = 0;
        let mut count = 0;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
            let unit = rest[end..].chars().next()?;
            let place = units.find(unit)? + 1;
            let digits = &rest[..end];
            let is_whole = digits.bytes().all(|b| b.is_ascii_digit());
            if end == 0 || place <= last || !(is_whole || (unit == 'S' && decimal(digits))) {
                return None;
            }
            last = place;
            count += 1;
            rest = &rest[end + 1..];
        }
        Some(count)
    };
    match (parts(days, "YMD"), time.map(|time| parts(time, "HMS"))) {
        (Some(count), None) => count > 0,
        (Some(_), Some(Some(count))) => count > 0,
        _ => false,
    }
}

/// Order of two literals, where the datatypes can be compared.
pub(super) fn compare(a: &Literal, b: &Literal) -> Option<std::cmp::Ordering> {
    let numeric = |literal: &Literal| -> Option<f64> {
        let name = literal.datatype().as_str().strip_prefix("http://www.w3.org/2001/XMLSchema#")?;
        let is_number = name.contains("nteger")
            || matches!(name, "decimal" | "double" | "float" | "int" | "long" | "short" | "byte");
        is_number.then(|| literal.value().parse().ok()).flatten()
    };
    if let (Some(a), Some(b)) = (numeric(a), numeric(b)) {
        return a.partial_cmp(&b);
    }
    if a.datatype() != b.datatype() {
        return None;
    }
    match a.datatype() {
        kind if kind == xsd::DATE => {
            Some(date(zone_cut(a.value()))?.cmp(&date(zone_cut(b.value()))?))
        }
        kind if kind == xsd::DATE_TIME => date_time(a.value())?.partial_cmp(&date_time(b.value())?),
        kind if kind == xsd::STRING || kind == xsd::G_YEAR || kind == xsd::G_YEAR_MONTH => {
            Some(a.value().cmp(b.value()))
        }
        _ => None,
    }
}

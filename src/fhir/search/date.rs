//! Dates: prefixes and intervals (FHIR R4 search, 3.1.1.4.7). A value stands for an interval as
//! long as its precision; comparing means comparing intervals.

use jiff::civil;
use jiff::tz::{Offset, TimeZone};

use super::prefix::Prefix;
use crate::mapping::{midnight, offset_at};

/// A prefix and the interval of a value, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct DateTest {
    prefix: Prefix,
    from: i64,
    to: i64,
    is_year: bool,
}

impl DateTest {
    /// Reads one value. A date without a zone is one of the archive's zone (UTC without one).
    /// `now` is what `ap` measures from: a tenth of the distance to it.
    pub(crate) fn parse(raw: &str, zone: Option<&TimeZone>, now: i64) -> Result<Self, String> {
        let (prefix, text) = Prefix::of(raw);
        let (from, to) = interval(text, zone).ok_or_else(|| {
            format!(
                "`{raw}` is no date: write `2024`, `2024-05`, `2024-05-31` or \
                 `2024-05-31T10:00:00+02:00`, perhaps after eq, ne, gt, lt, ge, le, sa, eb or ap"
            )
        })?;
        let is_year = text.len() == 4 && prefix != Prefix::Ap;
        Ok(if prefix == Prefix::Ap {
            let reach = now.saturating_sub(from).saturating_abs() / 10;
            let (from, to) = (from.saturating_sub(reach), to.saturating_add(reach));
            Self { prefix, from, to, is_year }
        } else {
            Self { prefix, from, to, is_year }
        })
    }

    /// Whether it compares with a whole year, and not with a place that moves with the clock.
    pub(crate) const fn is_of_whole_years(&self) -> bool {
        self.is_year
    }

    /// Whether a value that stands for this interval (its end not included) matches.
    pub(crate) fn matches(&self, from: i64, to: i64) -> bool {
        let is_within = self.from <= from && to <= self.to;
        match self.prefix {
            Prefix::Eq => is_within,
            Prefix::Ne => !is_within,
            Prefix::Gt => to > self.to,
            Prefix::Lt => from < self.from,
            Prefix::Ge => to > self.to || is_within,
            Prefix::Le => from < self.from || is_within,
            Prefix::Sa => from >= self.to,
            Prefix::Eb => to <= self.from,
            Prefix::Ap => from < self.to && self.from < to,
        }
    }

    /// The days that the interval touches at its beginning and right after its end, in UTC: the
    /// bounds of a lookup of dates.
    pub(crate) fn days(&self) -> Option<(civil::Date, civil::Date)> {
        let day = |micros: i64| {
            let stamp = jiff::Timestamp::from_microsecond(micros).ok()?;
            Some(Offset::UTC.to_datetime(stamp).date())
        };
        Some((day(self.from)?, day(self.to)?))
    }

    /// For a lookup of dates: those not before the first day of the interval, and those before
    /// the day after its last; which of the two must hold, and whether both or their opposite.
    pub(crate) const fn span(&self) -> Span {
        match self.prefix {
            Prefix::Eq | Prefix::Ap => Span::Within,
            Prefix::Ne => Span::Outside,
            Prefix::Gt | Prefix::Sa => Span::After,
            Prefix::Lt | Prefix::Eb => Span::Before,
            Prefix::Ge => Span::FromStart,
            Prefix::Le => Span::ToEnd,
        }
    }
}

/// Where whole days must lie for a [`DateTest`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Span {
    /// Inside the interval.
    Within,
    /// Not inside.
    Outside,
    /// Behind its end.
    After,
    /// Before its beginning.
    Before,
    /// From its beginning on.
    FromStart,
    /// Up to its end.
    ToEnd,
}

/// The interval of `YYYY[-MM[-DD[Thh:mm[:ss[.fff]][Z|±hh:mm]]]]`.
pub(crate) fn interval(text: &str, zone: Option<&TimeZone>) -> Option<(i64, i64)> {
    let (date, time) = match text.split_once('T') {
        None => (text, None),
        Some((date, time)) => (date, Some(time)),
    };
    let mut parts = date.split('-');
    let mut number = |digits: usize| -> Option<Option<i16>> {
        match parts.next() {
            None => Some(None),
            Some(part) => {
                let is_number = part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
                is_number.then(|| part.parse().ok()).flatten().map(Some)
            }
        }
    };
    let year = number(4)??;
    let month = number(2)?;
    let day = number(2)?;
    if parts.next().is_some() || year < 1 {
        return None;
    }
    let two = |number: i16| i8::try_from(number).ok();
    let date =
        |year: i16, month: i16, day: i16| civil::Date::new(year, two(month)?, two(day)?).ok();
    let Some(time) = time else {
        let (first, next) = match (month, day) {
            (None, _) => (date(year, 1, 1)?, date(year.checked_add(1)?, 1, 1)),
            (Some(12), None) => (date(year, 12, 1)?, date(year.checked_add(1)?, 1, 1)),
            (Some(month), None) => (date(year, month, 1)?, date(year, month + 1, 1)),
            (Some(month), Some(day)) => {
                let first = date(year, month, day)?;
                (first, first.tomorrow().ok())
            }
        };
        // The last days of the calendar end with time itself.
        let is_last = |micros: Option<i64>, end| micros.or_else(|| (year == 9_999).then_some(end));
        let first = is_last(midnight(first, zone), i64::MAX - 1)?;
        let next = is_last(next.and_then(|next| midnight(next, zone)), i64::MAX)?;
        return Some((first, next));
    };
    let date = date(year, month?, day?)?;
    let (clock, offset) = split_offset(time)?;
    let (time, length) = clock_time(clock)?;
    let clock = date.to_datetime(time);
    let offset = match (offset, zone) {
        (Some(offset), _) => offset,
        (None, Some(zone)) => offset_at(zone, clock)?,
        (None, None) => Offset::UTC,
    };
    let from = offset.to_timestamp(clock).ok()?.as_microsecond();
    Some((from, from.checked_add(length)?))
}

fn split_offset(text: &str) -> Option<(&str, Option<Offset>)> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Some((clock, Some(Offset::UTC)));
    }
    // A `+` that was not escaped arrives as a space.
    let Some(at) = text.rfind(['+', '-', ' ']) else { return Some((text, None)) };
    let (clock, offset) = text.split_at(at);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (hours.parse::<u8>().ok()?, minutes.parse::<u8>().ok()?);
    if hours > 14 || minutes > 59 {
        return None;
    }
    let seconds = sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60);
    Some((clock, Some(Offset::from_seconds(seconds).ok()?)))
}

/// The time and the length of its precision in microseconds.
fn clock_time(text: &str) -> Option<(civil::Time, i64)> {
    let (whole, fraction) = match text.split_once('.') {
        None => (text, None),
        Some((whole, fraction)) => (whole, Some(fraction)),
    };
    let mut parts = whole.split(':');
    let mut number = || -> Option<Option<i8>> {
        match parts.next() {
            None => Some(None),
            Some(part) => {
                let is_number = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
                is_number.then(|| part.parse().ok()).flatten().map(Some)
            }
        }
    };
    let (hour, minute, second) = (number()??, number()??, number()?);
    if parts.next().is_some() {
        return None;
    }
    let (nanos, length) = match (second, fraction) {
        (None, None) => (0, 60_000_000),
        (None, Some(_)) => return None,
        (Some(_), None) => (0, 1_000_000),
        (Some(_), Some(fraction)) => {
            if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let six: String = fraction.chars().chain("000000".chars()).take(6).collect();
            let precision = u32::try_from(fraction.len().min(6)).ok()?;
            (six.parse::<i32>().ok()? * 1_000, 10_i64.pow(6 - precision))
        }
    };
    // A leap second is the second before it.
    let second = second.unwrap_or(0);
    let second = if second == 60 { 59 } else { second };
    Some((civil::Time::new(hour, minute, second, nanos).ok()?, length))
}

#[cfg(test)]
mod tests {
    use super::{DateTest, interval};
    use jiff::tz::TimeZone;

    fn prague() -> TimeZone {
        TimeZone::get("Europe/Prague").unwrap()
    }

    fn matches(test: &str, value: &str) -> bool {
        let zone = prague();
        let now = interval("2026-01-01", Some(&zone)).unwrap().0;
        let (from, to) = interval(value, Some(&zone)).unwrap();
        DateTest::parse(test, Some(&zone), now).unwrap().matches(from, to)
    }

    #[test]
    fn prefixes_compare_intervals() {
        for (test, value, expected) in [
            ("2024", "2024-07-31T10:11:12+02:00", true),
            ("2024-07", "2024-07-31", true),
            ("2024-07-31", "2024-07", false),
            ("ne2024-07-31", "2024-07", true),
            ("2024-07-31", "2024-07-31T23:30:00+02:00", true),
            ("2024-08-01", "2024-07-31T23:30:00-04:00", true),
            ("gt2024-07-31", "2024-07-31T23:30:00+02:00", false),
            ("gt2024-07-31", "2024-08", true),
            ("gt2024-07", "2024", true),
            ("sa2024-07", "2024", false),
            ("sa2024-07", "2024-08-01", true),
            ("lt2024-07-31", "2024-07-31", false),
            ("lt2024-07-31", "2024", true),
            ("eb2024-07-31", "2024", false),
            ("eb2024-07-31", "2024-07-30", true),
            ("ge2024-07-31", "2024-07-31", true),
            ("ge2024-07-31", "2024-07-30", false),
            ("le2024-07-31", "2024-07-31", true),
            ("ap2025", "2024-12-15", true),
            ("ap2025-12-30", "2024-12-15", false),
            ("2024-07-31T08:11:12Z", "2024-07-31T10:11:12+02:00", true),
            ("2024-07-31T10:11", "2024-07-31T10:11:12+02:00", true),
            ("9999", "9999-12-31", true),
            ("9999-12", "9999-12-31", true),
            ("gt9998", "9999-12-31", true),
            ("2024-07-31T10:11:12 02:00", "2024-07-31T10:11:12+02:00", true),
        ] {
            assert_eq!(matches(test, value), expected, "{test} {value}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for wrong in [
            "",
            "x",
            "24",
            "2024-13",
            "2024-02-30",
            "2024-1-1",
            "20240131",
            "2024-01-31T",
            "2024-01-31T25:00:00Z",
            "2024-01-31T10Z",
            "2024T10:00:00Z",
            "2024-01-31T10:00:00+25:00",
            "2024-01-31T10:00:00.Z",
            "xx2024",
            "2024-01-31T10:00:00+0200",
            "0000",
            "é2024",
            "2024-01-01-01",
            "2024-01-31T10:00.5Z",
        ] {
            assert!(DateTest::parse(wrong, None, 0).is_err(), "{wrong}");
        }
    }
}

//! Dates and times: DA, TM and the zone they are in → FHIR `date` and `dateTime`, and the
//! interval that such a value stands for.
//!
//! PS3.5 section 6.2 (DA, TM), (0008,0201) Timezone Offset From UTC; FHIR R4 datatypes. A
//! dateTime with a time must carry an offset. It comes from the object, else from the archive's
//! configured zone at that instant; without either only the date is given. Z is never invented.

use std::fmt::Write as _;

use jiff::civil;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use crate::imaging::Started;

/// A date as found: perhaps without month or day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Day {
    pub(super) year: i16,
    /// 0: not known.
    pub(super) month: i8,
    /// 0: not known.
    pub(super) day: i8,
    /// Whether it was written as PS3.5 demands.
    pub(super) is_standard: bool,
}

impl Day {
    /// `YYYYMMDD` (PS3.5); also `YYYY.MM.DD` (ACR-NEMA), `YYYY-MM-DD`, `YYYYMM` and `YYYY`,
    /// which real archives hold. `None` if no such day exists.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let number = |from: usize, to: usize| -> Option<i16> {
            let digits = bytes.get(from..to)?;
            digits.iter().try_fold(0_i16, |sum, digit| {
                digit.is_ascii_digit().then(|| sum * 10 + i16::from(digit - b'0'))
            })
        };
        let (month, day, is_standard) = match bytes.len() {
            8 => (number(4, 6)?, number(6, 8)?, true),
            10 if matches!((bytes[4], bytes[7]), (b'.', b'.') | (b'-', b'-')) => {
                (number(5, 7)?, number(8, 10)?, false)
            }
            6 => (number(4, 6)?, 0, false),
            4 => (0, 0, false),
            _ => return None,
        };
        let (year, month, day) =
            (number(0, 4)?, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
        let is_partial = bytes.len() < 8;
        let exists = civil::Date::new(
            year,
            if is_partial { month.max(1) } else { month },
            if is_partial { 1 } else { day },
        )
        .is_ok();
        (exists && year >= 1 && (bytes.len() != 6 || month > 0)).then_some(Self {
            year,
            month,
            day,
            is_standard,
        })
    }

    fn first(self) -> Option<civil::Date> {
        civil::Date::new(self.year, self.month.max(1), self.day.max(1)).ok()
    }

    /// The civil date, if the day is known.
    pub(super) fn date(self) -> Option<civil::Date> {
        if self.day > 0 { self.first() } else { None }
    }

    /// FHIR `date`, as precise as known.
    pub(super) fn to_text(self) -> String {
        match (self.month, self.day) {
            (0, _) => format!("{:04}", self.year),
            (month, 0) => format!("{:04}-{month:02}", self.year),
            (month, day) => format!("{:04}-{month:02}-{day:02}", self.year),
        }
    }
}

/// A time of day: `HHMMSS.FFFFFF`, `HHMMSS`, `HHMM` (PS3.5), and with colons (ACR-NEMA).
/// Fractions are dropped; a leap second is the second before. `Ok(None)`: only the hour is
/// known, which FHIR cannot say. `Err`: no time.
pub(super) fn time_of_day(text: &str) -> Result<Option<civil::Time>, ()> {
    let mut digits = [0_u8; 6];
    let mut count = 0;
    let mut fraction = false;
    let mut after_colon = 0;
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' if fraction => {}
            b'0'..=b'9' => {
                *digits.get_mut(count).ok_or(())? = byte - b'0';
                count += 1;
            }
            b':' if !fraction && count % 2 == 0 && count > after_colon => after_colon = count,
            b'.' if count == 6 && !fraction => fraction = true,
            _ => return Err(()),
        }
    }
    let number = |at: usize| i8::try_from(digits[at] * 10 + digits[at + 1]).map_err(|_| ());
    match count {
        2 if number(0)? < 24 => Ok(None),
        4 => civil::Time::new(number(0)?, number(2)?, 0, 0).map(Some).map_err(|_| ()),
        6 => {
            let second = if number(4)? == 60 { 59 } else { number(4)? };
            civil::Time::new(number(0)?, number(2)?, second, 0).map(Some).map_err(|_| ())
        }
        _ => Err(()),
    }
}

/// `+0200`, `-0330` (PS3.3 C.12.1.1.8); also `+02:00`. From -1200 to +1400; `-0000` is none.
pub(super) fn offset(text: &str) -> Option<Offset> {
    let text = text.trim();
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let digits = digits.replacen(':', "", 1);
    if digits.len() != 4 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = (digits[..2].parse::<i32>().ok()?, digits[2..].parse::<i32>().ok()?);
    let seconds = sign * (hours * 3600 + minutes * 60);
    let is_allowed =
        minutes < 60 && (-12 * 3600..=14 * 3600).contains(&seconds) && (sign > 0 || seconds != 0);
    if is_allowed { Offset::from_seconds(seconds).ok() } else { None }
}

/// When something began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moment {
    day: Day,
    /// Time and offset, when both are known.
    time: Option<(civil::Time, Offset)>,
}

impl Moment {
    /// From DA, TM and Timezone Offset From UTC, in the archive's zone.
    pub(super) fn new(
        day: Day,
        time: Option<&str>,
        own: Option<&str>,
        zone: Option<&TimeZone>,
    ) -> Self {
        let time = match (day.date(), time.map(time_of_day)) {
            (Some(date), Some(Ok(Some(time)))) => own
                .and_then(offset)
                .or_else(|| zone.and_then(|zone| offset_at(zone, date.to_datetime(time))))
                // FHIR has whole minutes; the local mean times of the past have seconds.
                .filter(|offset| offset.seconds() % 60 == 0)
                .map(|offset| (time, offset)),
            _ => None,
        };
        Self { day, time }
    }

    /// FHIR `dateTime`.
    pub(super) fn to_text(self) -> String {
        let mut text = self.day.to_text();
        if let Some((time, offset)) = self.time {
            let minutes = offset.seconds() / 60;
            let sign = if minutes < 0 { '-' } else { '+' };
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "T{:02}:{:02}:{:02}{sign}{:02}:{:02}",
                time.hour(),
                time.minute(),
                time.second(),
                minutes.abs() / 60,
                minutes.abs() % 60
            );
        }
        text
    }

    /// The year and, if known, the month.
    pub(super) fn to_month_text(self) -> String {
        Day { day: 0, ..self.day }.to_text()
    }

    /// The interval that [`Moment::to_text`] stands for; a date is one of the archive's zone.
    pub(super) fn started(self, zone: Option<&TimeZone>) -> Option<Started> {
        let (year, month) = (self.day.year, self.day.month);
        if let Some((time, offset)) = self.time {
            let instant = offset.to_timestamp(self.day.date()?.to_datetime(time)).ok()?;
            let from = instant.as_microsecond();
            let (year, month) = match zone {
                None => (year, month),
                Some(zone) => {
                    let local = zone.to_datetime(instant);
                    (local.year(), local.month())
                }
            };
            return Some(Started { from, to: from + 1_000_000, year, month });
        }
        let first = self.day.first()?;
        let next = match (self.day.month, self.day.day) {
            (0, _) => civil::Date::new(year.checked_add(1)?, 1, 1).ok()?,
            (12, 0) => civil::Date::new(year.checked_add(1)?, 1, 1).ok()?,
            (month, 0) => civil::Date::new(year, month + 1, 1).ok()?,
            _ => first.tomorrow().ok()?,
        };
        Some(Started { from: midnight(first, zone)?, to: midnight(next, zone)?, year, month })
    }
}

/// The first instant of a day in the archive's zone (UTC when none is configured), in
/// microseconds since 1970-01-01T00:00:00Z.
#[must_use]
pub fn midnight(date: civil::Date, zone: Option<&TimeZone>) -> Option<i64> {
    let start = date.to_datetime(civil::Time::midnight());
    let offset = match zone {
        None => Offset::UTC,
        Some(zone) => offset_at(zone, start)?,
    };
    offset.to_timestamp(start).ok().map(|instant| instant.as_microsecond())
}

/// The zone's offset at a clock time. A time that occurs twice (the end of summer time) is the
/// first of the two; a time that the beginning of summer time skips keeps the offset before.
#[must_use]
pub fn offset_at(zone: &TimeZone, clock: civil::DateTime) -> Option<Offset> {
    Some(match zone.to_ambiguous_timestamp(clock).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset,
        AmbiguousOffset::Fold { before, .. } | AmbiguousOffset::Gap { before, .. } => before,
    })
}

#[cfg(test)]
mod tests {
    use super::{Day, Moment, offset, time_of_day};
    use jiff::tz::TimeZone;

    fn moment(date: &str, time: &str, own: &str, zone: &str) -> Moment {
        let zone = (!zone.is_empty()).then(|| TimeZone::get(zone).unwrap());
        let own = Some(own).filter(|own| !own.is_empty());
        let time = Some(time).filter(|time| !time.is_empty());
        Moment::new(Day::parse(date).unwrap(), time, own, zone.as_ref())
    }

    #[test]
    fn a_time_has_an_offset_or_is_not_given() {
        for (date, time, own, zone, text) in [
            ("20240131", "101112.5", "+0100", "", "2024-01-31T10:11:12+01:00"),
            ("20240131", "101112", "-0330", "Europe/Prague", "2024-01-31T10:11:12-03:30"),
            ("20240131", "101112", "", "Europe/Prague", "2024-01-31T10:11:12+01:00"),
            ("20240731", "101112", "", "Europe/Prague", "2024-07-31T10:11:12+02:00"),
            ("20240731", "101112", "", "", "2024-07-31"),
            ("20240731", "101112", "Z", "", "2024-07-31"),
            ("20240731", "1011", "", "Europe/Prague", "2024-07-31T10:11:00+02:00"),
            ("20240731", "10", "", "Europe/Prague", "2024-07-31"),
            ("20240731", "25", "", "Europe/Prague", "2024-07-31"),
            ("20240731", "10:11:60", "", "Europe/Prague", "2024-07-31T10:11:59+02:00"),
            // 2024-10-27 02:30 happened twice in Prague, 2024-03-31 02:30 never.
            ("20241027", "023000", "", "Europe/Prague", "2024-10-27T02:30:00+02:00"),
            ("20240331", "023000", "", "Europe/Prague", "2024-03-31T02:30:00+01:00"),
            ("2024.07.31", "", "", "", "2024-07-31"),
            ("202407", "101112", "+0100", "", "2024-07"),
            ("2024", "", "", "", "2024"),
            // Amsterdam's local mean time was 19 minutes and 32 seconds ahead.
            ("19010731", "101112", "", "Europe/Amsterdam", "1901-07-31"),
        ] {
            assert_eq!(moment(date, time, own, zone).to_text(), text, "{date} {time} {own} {zone}");
        }
    }

    #[test]
    fn days_and_times_that_do_not_exist_are_none() {
        for date in [
            "20240230",
            "20241301",
            "2024013",
            "2024/01/02",
            "00000101",
            "abcdefgh",
            "2024-01.02",
            "202400",
            "",
        ] {
            assert_eq!(Day::parse(date), None, "{date}");
        }
        for time in ["246060", "1", "12345", "10.5", "ab", "10::11", ":10", "1011121", "101112.x"] {
            assert_eq!(time_of_day(time), Err(()), "{time}");
        }
        for text in ["", "Z", "+25:00", "-1300", "+1401", "-0000", "0200", "+0260", "+2é"] {
            assert_eq!(offset(text), None, "{text}");
        }
        assert_eq!(offset("+1400").unwrap().seconds(), 14 * 3600);
    }

    #[test]
    fn the_interval_of_a_date_is_a_day_of_the_archive() {
        let zone = TimeZone::get("Europe/Prague").unwrap();
        let day = moment("20240731", "", "", "Europe/Prague").started(Some(&zone)).unwrap();
        assert_eq!(day.to - day.from, 86_400_000_000);
        assert_eq!((day.year, day.month), (2024, 7));
        // Half past midnight in Athens is still the month before in Prague.
        let late = moment("20240801", "003000", "+0300", "").started(Some(&zone)).unwrap();
        assert_eq!((late.year, late.month), (2024, 7));
        assert_eq!(late.to - late.from, 1_000_000);
        // The day on which summer time begins has 23 hours.
        let short = moment("20240331", "", "", "").started(Some(&zone)).unwrap();
        assert_eq!(short.to - short.from, 23 * 3_600_000_000);
    }
}

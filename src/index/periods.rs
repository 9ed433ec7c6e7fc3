//! Years that a count may tell apart.
//!
//! Who counts from 2023 and then from 2024 learns whether somebody is between. So the years of what
//! may not be read are put together to periods of at least threshold persons, from the newest on,
//! and a count takes whole periods only: two counts of the same studies then differ by nothing or by
//! as many persons. A year of nobody belongs to a period like every other, or the border would tell.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use super::View;
use crate::imaging::Started;

/// First and last year of each period, the newest first. Together they are all time.
fn periods(years: &BTreeMap<i16, RoaringBitmap>, threshold: u64) -> Vec<(i16, i16)> {
    let mut found: Vec<(i16, i16)> = Vec::new();
    let (mut last, mut persons) = (i16::MAX, RoaringBitmap::new());
    for (year, of_year) in years.iter().rev() {
        persons |= of_year;
        if persons.len() >= threshold {
            found.push((*year, last));
            last = year.saturating_sub(1);
            persons.clear();
        }
    }
    // The oldest few belong to the period behind them.
    match found.last_mut() {
        Some(oldest) => oldest.0 = i16::MIN,
        None => found.push((i16::MIN, i16::MAX)),
    }
    found
}

/// Whether a condition on the beginning of studies, made of whole years, takes or leaves every
/// period of these studies as a whole.
#[must_use]
pub fn takes_whole_periods(
    view: &View,
    studies: &RoaringBitmap,
    threshold: u64,
    holds: &dyn Fn(Option<Started>) -> bool,
) -> bool {
    let mut years: BTreeMap<i16, RoaringBitmap> = BTreeMap::new();
    let mut is_taken: BTreeMap<i16, [bool; 2]> = BTreeMap::new();
    for study in studies {
        if let Some(started) = view.started(i64::from(study)) {
            let persons = view.patients_of(&RoaringBitmap::from_iter([study]));
            *years.entry(started.year).or_default() |= persons;
            is_taken.entry(started.year).or_default()[usize::from(holds(Some(started)))] = true;
        }
    }
    let known = |bound: Option<&i16>| bound.copied().unwrap_or(2000);
    let (first, last) = (known(years.keys().next()), known(years.keys().next_back()));
    periods(&years, threshold).into_iter().all(|(from, to)| {
        // Years of nobody too: within what there is, right beside it, and far away.
        let within = from.max(first.saturating_sub(1))..=to.min(last.saturating_add(1));
        let far = [from.max(FIRST), to.min(LAST)];
        let mut verdicts = [false; 2];
        for year in within.chain(far) {
            verdicts[usize::from(holds(middle_of(year)))] = true;
        }
        for taken in is_taken.range(from..=to).map(|(_, taken)| taken) {
            verdicts = [verdicts[0] || taken[0], verdicts[1] || taken[1]];
        }
        verdicts != [true; 2]
    })
}

/// Years that a date can name.
const FIRST: i16 = 1;
const LAST: i16 = 9998;

/// A day in the middle of a year: in no zone it is one of another year.
fn middle_of(year: i16) -> Option<Started> {
    let day = jiff::civil::Date::new(year, 7, 1).ok()?;
    let from = jiff::tz::Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()?.as_microsecond();
    Some(Started { from, to: from + 86_400_000_000, year, month: 7 })
}

#[cfg(test)]
mod tests {
    use super::periods;
    use roaring::RoaringBitmap;

    #[test]
    fn periods_are_of_threshold_persons_and_of_all_time() {
        let of = |counts: &[(i16, u32)]| {
            let years = counts.iter().map(|(year, persons)| (*year, (0..*persons).collect()));
            periods(&years.collect::<std::collections::BTreeMap<i16, RoaringBitmap>>(), 10)
        };
        assert_eq!(of(&[]), [(i16::MIN, i16::MAX)]);
        assert_eq!(of(&[(2024, 3)]), [(i16::MIN, i16::MAX)]);
        assert_eq!(
            of(&[(2019, 4), (2020, 12), (2022, 30), (2023, 2), (2024, 10)]),
            [(2024, i16::MAX), (2022, 2023), (i16::MIN, 2021)]
        );
        // The same person in two years is one.
        assert_eq!(of(&[(2023, 6), (2024, 6)]), [(i16::MIN, i16::MAX)]);
    }
}

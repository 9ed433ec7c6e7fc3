//! The disclosure rule: how counts of persons leave the house for secondary use.
//!
//! In: exact counts. Out: counts that may be shown. Pure functions on numbers; who is asked to
//! pass through here, and who (an open dataset) is not, is decided above.
//! The rule: a cell with fewer persons than the threshold is not shown; counts are rounded;
//! what is hidden cannot be computed from a total and the other cells (complementary
//! suppression); bounds of ages and years are those of bands with at least threshold persons.
//! Regulation (EU) 2025/327 Article 73(1)(f) and recital 72 leave the figures to the access
//! body; the defaults (10, 10) are those of `config::Disclosure`.

/// What has been counted for one term of a facet.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Cell {
    /// The term: a code, a year, a band of ages.
    pub term: String,
    /// Studies.
    pub records: u64,
    /// Distinct persons.
    pub individuals: u64,
}

/// What may be shown of a [`Cell`].
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct Shown {
    /// The term.
    pub term: String,
    /// Studies, rounded; `None`: not shown, because another cell would follow from it.
    pub records: Option<u64>,
    /// Persons, rounded; `None`: not shown, because another cell would follow from it.
    pub individuals: Option<u64>,
}

/// The rule's two numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rule {
    /// Cells with fewer persons are not shown.
    pub threshold: u64,
    /// Shown counts are multiples of this.
    pub rounding: u64,
}

impl Rule {
    /// A count of persons: absent below the threshold, else rounded.
    #[must_use]
    pub const fn persons(self, count: u64) -> Option<u64> {
        if count < self.threshold { None } else { Some(self.round(count)) }
    }

    /// A count of something else (studies, series, images) that belongs to so many persons.
    #[must_use]
    pub const fn things(self, count: u64, persons: u64) -> Option<u64> {
        if persons < self.threshold || count < self.threshold {
            None
        } else {
            Some(self.round(count))
        }
    }

    /// To the nearest multiple, halves up; a count that is shown is never shown as nothing.
    #[must_use]
    pub const fn round(self, count: u64) -> u64 {
        let unit = if self.rounding == 0 { 1 } else { self.rounding };
        let below = count - count % unit;
        let nearest = if count % unit >= unit.div_ceil(2) && unit > 1 {
            below.saturating_add(unit)
        } else {
            below
        };
        if nearest == 0 && count > 0 { unit } else { nearest }
    }

    /// A size in bytes, to two significant digits: enough to plan with, too coarse to tell one
    /// person's images.
    #[must_use]
    pub const fn bytes(self, count: u64, persons: u64) -> Option<u64> {
        if persons < self.threshold {
            return None;
        }
        let mut unit = 1;
        while count / unit >= 100 {
            unit *= 10;
        }
        Some(count / unit * unit)
    }

    /// The cells of one table that may be shown. `records` and `individuals` are the table's
    /// totals.
    ///
    /// Absent are all cells with fewer persons (or studies) than the threshold, their terms
    /// included: that somebody has a rare value is told by no name either. Then, as long as
    /// what is hidden adds up to fewer than the threshold or is a single cell, the smallest
    /// cell still shown loses its counts. That second step is not needed where counts are
    /// rounded to the threshold or more: a difference of two rounded counts is then wider than
    /// the hidden cell could be anyway (the property test below). What the cells leave of the total (persons whose value is not
    /// known) counts as hidden, because nobody may see it either: totals are published beside
    /// the table. Where cells overlap (a study has several modalities) their sum tells nothing,
    /// and hiding one more is harmless.
    #[must_use]
    pub fn table(self, cells: &[Cell], records: u64, individuals: u64) -> Vec<Shown> {
        let small =
            |cell: &Cell| cell.individuals < self.threshold || cell.records < self.threshold;
        let mut is_hidden: Vec<bool> = cells.iter().map(small).collect();
        let sum = |count: fn(&Cell) -> u64, chosen: &dyn Fn(usize) -> bool| -> u64 {
            cells
                .iter()
                .enumerate()
                .filter(|(place, _)| chosen(*place))
                .fold(0_u64, |total, (_, cell)| total.saturating_add(count(cell)))
        };
        // The unknown rest of each total is a hidden cell of its own.
        let rest = individuals.saturating_sub(sum(|cell| cell.individuals, &|_| true));
        let rest_records = records.saturating_sub(sum(|cell| cell.records, &|_| true));
        loop {
            let hidden = is_hidden.iter().filter(|hidden| **hidden).count();
            let parts = hidden + usize::from(rest > 0 || rest_records > 0);
            if parts == 0 || self.rounding >= self.threshold {
                break;
            }
            let persons = rest + sum(|cell| cell.individuals, &|place| is_hidden[place]);
            let studies = rest_records + sum(|cell| cell.records, &|place| is_hidden[place]);
            // One hidden part alone is its total minus the rest: fine only when it is large
            // enough to be shown in its own right, which only the unknown rest can be.
            let is_safe = persons >= self.threshold
                && studies >= self.threshold
                && (parts > 1 || hidden == 0);
            if is_safe {
                break;
            }
            let smallest = cells.iter().enumerate().filter(|(place, _)| !is_hidden[*place]).min_by(
                |(_, a), (_, b)| {
                    (a.individuals, a.records, &a.term).cmp(&(b.individuals, b.records, &b.term))
                },
            );
            match smallest {
                Some((place, _)) => is_hidden[place] = true,
                None => break,
            }
        }
        cells
            .iter()
            .zip(is_hidden)
            .filter(|(cell, _)| !small(cell))
            .map(|(cell, is_hidden)| Shown {
                term: cell.term.clone(),
                records: (!is_hidden).then(|| self.round(cell.records)),
                individuals: (!is_hidden).then(|| self.round(cell.individuals)),
            })
            .collect()
    }

    /// The terms of the first and the last cell (in the order given) with at least threshold
    /// persons: the bounds that may be shown.
    #[must_use]
    pub fn bounds(self, cells: &[Cell]) -> Option<(&str, &str)> {
        let mut large = cells.iter().filter(|cell| cell.individuals >= self.threshold);
        let first = large.next()?;
        let last = large.next_back().unwrap_or(first);
        Some((&first.term, &last.term))
    }
}

/// Years in a band of ages.
pub const AGE_BAND: u16 = 5;

/// The band of an age in completed years, as a term: `50-54`; from 90 on one band (`90-130`),
/// as persons of very high age are few everywhere.
#[must_use]
pub fn age_band(age: u16) -> String {
    if age >= 90 {
        return "90-130".to_owned();
    }
    let first = age - age % AGE_BAND;
    format!("{first}-{}", first + AGE_BAND - 1)
}

/// First and last age of a band's term.
#[must_use]
pub fn band_limits(term: &str) -> Option<(u16, u16)> {
    let (first, last) = term.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Cell, Rule, age_band, band_limits};
    use proptest::prelude::*;

    const RULE: Rule = Rule { threshold: 10, rounding: 10 };
    const UNROUNDED: Rule = Rule { threshold: 10, rounding: 1 };

    fn cells(counts: &[u64]) -> Vec<Cell> {
        counts
            .iter()
            .enumerate()
            .map(|(place, count)| Cell {
                term: place.to_string(),
                records: *count,
                individuals: *count,
            })
            .collect()
    }

    #[test]
    fn small_counts_are_not_shown_and_others_are_rounded() {
        assert_eq!(RULE.persons(9), None);
        assert_eq!(RULE.persons(10), Some(10));
        assert_eq!(RULE.persons(14), Some(10));
        assert_eq!(RULE.persons(15), Some(20));
        assert_eq!(RULE.things(400, 9), None, "many studies of few persons");
        assert_eq!(Rule { threshold: 10, rounding: 100 }.persons(12), Some(100));
        assert_eq!(RULE.bytes(7_345_678, 50), Some(7_300_000));
    }

    #[test]
    fn a_single_hidden_cell_takes_the_smallest_other_with_it() {
        let shown = UNROUNDED.table(&cells(&[3, 500, 40]), 543, 543);
        let visible: Vec<_> = shown.iter().map(|cell| (&*cell.term, cell.records)).collect();
        assert_eq!(visible, [("1", Some(500)), ("2", None)]);
    }

    #[test]
    fn an_unknown_rest_is_protected_too() {
        // 100 persons, 97 with a known sex: 3 without one would follow from the table.
        let shown = UNROUNDED.table(&cells(&[60, 37]), 100, 100);
        let visible: Vec<_> = shown.iter().map(|cell| cell.records).collect();
        assert_eq!(visible, [Some(60), None]);
    }

    #[test]
    fn bounds_are_those_of_bands_with_enough_persons() {
        let mut bands = cells(&[2, 30, 40, 1]);
        for (band, age) in bands.iter_mut().zip([30, 50, 60, 95]) {
            band.term = age_band(age);
        }
        let (first, last) = RULE.bounds(&bands).unwrap();
        assert_eq!((first, last), ("50-54", "60-64"));
        assert_eq!(band_limits(last), Some((60, 64)));
        assert_eq!(RULE.bounds(&bands[..1]), None);
        assert_eq!(age_band(103), "90-130");
    }

    proptest! {
        /// The attacker knows every total and every shown cell, even unrounded.
        #[test]
        fn what_is_hidden_cannot_be_computed_from_the_totals(
            counts in prop::collection::vec((1_u64..60, 1_u64..5), 0..8),
            rest in 0_u64..30,
            threshold in 2_u64..12,
        ) {
            let rule = Rule { threshold, rounding: 1 };
            let cells: Vec<Cell> = counts.iter().enumerate().map(|(place, (persons, studies))| Cell {
                term: place.to_string(), records: persons * studies, individuals: *persons,
            }).collect();
            let individuals = rest + cells.iter().map(|cell| cell.individuals).sum::<u64>();
            let records = rest + cells.iter().map(|cell| cell.records).sum::<u64>();
            let shown = rule.table(&cells, records, individuals);
            let mut hidden = 0;
            let (mut left, mut left_records) = (individuals, records);
            for cell in &cells {
                let shown = shown.iter().find(|shown| shown.term == cell.term);
                match shown.map(|shown| (shown.individuals, shown.records)) {
                    Some((Some(persons), Some(studies))) => {
                        prop_assert!(cell.individuals >= threshold);
                        left -= persons;
                        left_records -= studies;
                    }
                    Some((None, None)) => hidden += 1,
                    None => {
                        prop_assert!(cell.individuals < threshold || cell.records < threshold);
                        hidden += 1;
                    }
                    _ => prop_assert!(false, "half shown"),
                }
            }
            let parts = hidden + usize::from(rest > 0);
            let is_everything_hidden = hidden == cells.len();
            if parts > 0 && !is_everything_hidden {
                prop_assert!(left >= threshold && left_records >= threshold);
                prop_assert!(parts > 1 || hidden == 0, "one hidden cell is its total");
            }
            // A hidden cell that is alone and the whole table equals the total, which the
            // caller shows only through `persons`.
        }

        /// The same attacker, where rounding alone protects: for every hidden cell there is
        /// another value that would have led to the same publication.
        #[test]
        fn rounding_to_the_threshold_leaves_a_hidden_cell_undetermined(
            large in prop::collection::vec(10_u64..200, 1..6),
            small in 1_u64..10,
        ) {
            let publish = |counts: &[u64]| {
                let total = counts.iter().sum();
                let table = RULE.table(&cells(counts), total, total);
                (RULE.persons(total), table)
            };
            let seen = publish(&[&large[..], &[small]].concat());
            let is_ambiguous = (1..10).filter(|other| *other != small).any(|other| {
                // The attacker does not know the exact large cells either: shift one of them.
                (0..large.len()).any(|place| {
                    (-9_i64..10).any(|shift| {
                        let mut large = large.clone();
                        large[place] = large[place].saturating_add_signed(shift);
                        large[place] >= 10
                            && publish(&[&large[..], &[other]].concat()) == seen
                    })
                })
            });
            prop_assert!(is_ambiguous, "{large:?} {small}");
        }

        #[test]
        fn rounding_moves_a_count_by_at_most_its_unit(count in 0_u64..1_000_000, unit in 1_u64..1000) {
            let rounded = Rule { threshold: 2, rounding: unit }.round(count);
            prop_assert!(rounded.is_multiple_of(unit) && rounded.abs_diff(count) < unit.max(1) || count == rounded);
        }
    }
}

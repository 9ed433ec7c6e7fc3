//! The disclosure rule: how counts of persons leave the house for secondary use.
//!
//! In: exact counts. Out: counts that may be shown. Pure functions on numbers; who is asked to
//! pass through here, and who (an open dataset) is not, is decided above.
//! The rule: a cell with fewer persons than the threshold is not shown; counts are rounded;
//! what lies outside the cells that are shown cannot be told from them and the totals to be there
//! (neither its persons nor its studies) unless it is of at least threshold persons
//! (complementary suppression); bounds of ages and years are those of bands with at least
//! threshold persons. One person may have many studies, so a unit that hides every few persons
//! need not hide their studies: [`Whole::heaviest`] bounds what few persons can have.
//! Regulation (EU) 2025/327 Article 73(1)(f) and recital 72 leave the figures to the access
//! body; the defaults (10, 10) are those of `config::Disclosure`.

/// Persons at or beyond a number (an age, a year) of a selection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tail {
    /// The number, which somebody has.
    pub at: i32,
    /// Distinct persons who have it or a lesser one.
    pub up_to: u64,
    /// Distinct persons who have it or a greater one.
    pub from: u64,
}

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

/// What the cells of a table are cells of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Whole {
    /// Studies.
    pub records: u64,
    /// Distinct persons.
    pub individuals: u64,
    /// The most studies that as many persons as the threshold can have together
    /// ([`Rule::heaviest`]).
    pub heaviest: u64,
    /// Whether no study is in two cells.
    pub is_partition: bool,
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

    /// The most studies that as many persons as the threshold have together, of the studies per
    /// person, most first. What has more is of more persons.
    #[must_use]
    pub fn heaviest(self, loads: &[u64]) -> u64 {
        let persons = usize::try_from(self.threshold).unwrap_or(usize::MAX);
        loads.iter().take(persons).fold(0, |sum, load| sum.saturating_add(*load))
    }

    /// The same rule with a unit that the studies of as many persons as the threshold never
    /// exceed: no difference of two counts tells how many studies a few persons have.
    #[must_use]
    pub fn coarser(self, heaviest: u64) -> Self {
        let unit = self.rounding.max(1);
        Self { rounding: unit.max(heaviest.div_ceil(unit).saturating_mul(unit)), ..self }
    }

    /// The least and the greatest number that is shown as `count` is.
    const fn range(self, count: u64, least: u64) -> (u64, u64) {
        let unit = if self.rounding == 0 { 1 } else { self.rounding };
        let shown = self.round(count);
        let low = if shown == unit && unit > 1 { 1 } else { shown.saturating_sub(unit / 2) };
        let low = if low < least { least } else { low };
        (low, shown.saturating_add(unit.div_ceil(2)).saturating_sub(1))
    }

    /// Whether these cells and the totals tell that something lies outside the cells, which is of
    /// fewer persons than the threshold, as far as is known. Where cells overlap their sum is an
    /// upper bound of what they hold together, so the inference is the same.
    fn tells(self, shown: &[&Cell], whole: &Whole) -> bool {
        let outside = |total: u64, count: fn(&Cell) -> u64| {
            let sum = |of: &dyn Fn(u64) -> u64| {
                shown.iter().fold(0_u64, |sum, cell| sum.saturating_add(of(count(cell))))
            };
            let (least, _) = self.range(total, self.threshold);
            (
                least.saturating_sub(sum(&|count| self.range(count, self.threshold).1)),
                total.saturating_sub(sum(&|count| count)),
            )
        };
        let (least_records, records) = outside(whole.records, |cell| cell.records);
        let (least_persons, persons) = outside(whole.individuals, |cell| cell.individuals);
        let is_told = least_records > 0 || least_persons > 0;
        is_told && persons < self.threshold && records <= whole.heaviest
    }

    /// The cell whose counts must not be shown beside the others, if there is one.
    fn too_much(self, cells: &[&Cell], whole: &Whole) -> Option<usize> {
        let size = |cell: &Cell| (cell.individuals, cell.records);
        let order = |a: &usize, b: &usize| {
            let key = |at: &usize| cells.get(*at).map(|cell| (size(cell), cell.term.as_str()));
            key(a).cmp(&key(b))
        };
        if self.tells(cells, whole) {
            return (0..cells.len()).min_by(order);
        }
        if whole.is_partition {
            // What lies outside some cells holds another one that is large enough.
            return None;
        }
        // Where cells overlap some of them may be nearly everything, whichever.
        match Cover::of(self, cells, whole).find() {
            Found::Nothing => None,
            Found::Cells(some) => some.into_iter().max_by(order),
            // Too many ways to look at: the fewer cells, the fewer ways.
            Found::TooMany => (0..cells.len()).min_by(order),
        }
    }

    /// The cells of one table that may be shown.
    ///
    /// Absent are all cells with fewer persons (or studies) than the threshold, their terms
    /// included: that somebody has a rare value is told by no name either. Then cells lose their
    /// counts, as long as the others and the totals tell that there is something outside them
    /// which is of fewer persons than the threshold: by its persons or by its studies, of which
    /// one person may have many.
    /// A cell that leaves out a tenth of the studies at most, of such persons, has the counts of
    /// the whole instead. A cell without counts is still known to have threshold persons;
    /// where that would bound the rest below the threshold, and where nothing else helps, the
    /// table is not shown. What the cells leave of the total (persons whose value is not known)
    /// is outside them, too.
    #[must_use]
    pub fn table(self, cells: &[Cell], whole: &Whole) -> Vec<Shown> {
        let is_large =
            |cell: &&Cell| cell.individuals >= self.threshold && cell.records >= self.threshold;
        // What nearly all have and few persons lack is everybody's.
        let is_everybody = |cell: &Cell| {
            let lacking = whole.records.saturating_sub(cell.records);
            !whole.is_partition
                && lacking.saturating_mul(10) <= whole.records
                && self.tells(&[cell], whole)
        };
        let named: Vec<Cell> = cells
            .iter()
            .filter(is_large)
            .map(|cell| match is_everybody(cell) {
                false => cell.clone(),
                true => Cell {
                    term: cell.term.clone(),
                    records: whole.records,
                    individuals: whole.individuals,
                },
            })
            .collect();
        let mut open: Vec<&Cell> = named.iter().collect();
        loop {
            let withheld = (named.len() - open.len()) as u64;
            if let Some(at) = self.too_much(&open, whole) {
                open.remove(at);
            } else if withheld == 0 || self.leaves_enough(&open, withheld, whole) {
                break;
            } else {
                let smallest = open
                    .iter()
                    .enumerate()
                    .min_by_key(|(_, cell)| (cell.individuals, cell.records, &cell.term));
                let Some((at, _)) = smallest else { return Vec::new() };
                open.remove(at);
            }
        }
        named
            .iter()
            .map(|cell| {
                let is_open = open.iter().any(|one| std::ptr::eq(*one, cell));
                Shown {
                    term: cell.term.clone(),
                    records: is_open.then(|| self.round(cell.records)),
                    individuals: is_open.then(|| self.round(cell.individuals)),
                }
            })
            .collect()
    }

    /// Whether what lies outside the open cells may be threshold persons beside those of the
    /// cells that are named without counts.
    fn leaves_enough(self, open: &[&Cell], withheld: u64, whole: &Whole) -> bool {
        let of_withheld = if whole.is_partition { withheld } else { 1 };
        let most = self.range(whole.individuals, self.threshold).1;
        let shown = open.iter().fold(0_u64, |sum, cell| {
            sum.saturating_add(self.range(cell.individuals, self.threshold).0)
        });
        let others = most.saturating_sub(shown);
        others.saturating_sub(of_withheld.saturating_mul(self.threshold)) >= self.threshold
    }

    /// The numbers between which are all but fewer persons than the threshold on either side; of
    /// `tails` in their order. Those few move neither number, so that a range that is made of
    /// these tells nothing of them, nor whether there are any.
    #[must_use]
    pub fn typical(self, tails: &[Tail]) -> Option<(i32, i32)> {
        let first = tails.iter().find(|tail| tail.up_to >= self.threshold)?;
        let last = tails.iter().rev().find(|tail| tail.from >= self.threshold)?;
        (first.at <= last.at).then_some((first.at, last.at))
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

/// Looks for cells that tell together that something is outside them which is of fewer persons than
/// the threshold: every choice of them, the large ones first. A choice whose counts are too many to
/// tell anything, or can no longer become nearly everything, is not followed; so few are.
struct Cover {
    /// Place, and of persons and of records: the count, and the most that is shown like it.
    cells: Vec<(usize, [u64; 2], [u64; 2])>,
    /// The counts of the cells from here on, together.
    rest: Vec<[u64; 2]>,
    /// What the cells must have together, so that the rest is of few.
    wanted: [u64; 2],
    /// What the whole has at least: cells that are shown like as much tell nothing.
    least: [u64; 2],
    steps: u32,
}

enum Found {
    Nothing,
    Cells(Vec<usize>),
    TooMany,
}

/// Choices that are looked at for one table.
const MOST_STEPS: u32 = 20_000;

impl Cover {
    fn of(rule: Rule, cells: &[&Cell], whole: &Whole) -> Self {
        let mut rows: Vec<(usize, [u64; 2], [u64; 2])> = cells
            .iter()
            .enumerate()
            .map(|(at, cell)| {
                let counts = [cell.individuals, cell.records];
                (at, counts, counts.map(|count| rule.range(count, rule.threshold).1))
            })
            .collect();
        rows.sort_by(|a, b| {
            let key = |row: &(usize, [u64; 2], [u64; 2])| (row.1[1], row.1[0]);
            key(b).cmp(&key(a)).then_with(|| {
                let term = |at: usize| cells.get(at).map(|cell| &cell.term);
                term(a.0).cmp(&term(b.0))
            })
        });
        let mut behind = [0_u64; 2];
        let mut rest: Vec<[u64; 2]> = rows
            .iter()
            .rev()
            .map(|(_, counts, _)| {
                behind = plus(behind, *counts);
                behind
            })
            .collect();
        rest.reverse();
        let few = whole.individuals.saturating_add(1).saturating_sub(rule.threshold);
        Self {
            cells: rows,
            rest,
            wanted: [few, whole.records.saturating_sub(whole.heaviest)],
            least: [whole.individuals, whole.records].map(|n| rule.range(n, rule.threshold).0),
            steps: 0,
        }
    }

    fn find(&mut self) -> Found {
        let mut chosen = Vec::new();
        match self.follow(0, [0; 2], [0; 2], &mut chosen) {
            None => Found::TooMany,
            Some(false) => Found::Nothing,
            Some(true) => Found::Cells(chosen),
        }
    }

    /// Whether some of the cells from `start` on tell too much beside the chosen ones, which have
    /// `sum` and are shown like `most` at most; `None`: not known.
    fn follow(
        &mut self,
        start: usize,
        sum: [u64; 2],
        most: [u64; 2],
        chosen: &mut Vec<usize>,
    ) -> Option<bool> {
        for at in start..self.cells.len() {
            self.steps += 1;
            if self.steps > MOST_STEPS {
                return None;
            }
            // What is left is not enough, here and behind.
            if [0, 1]
                .iter()
                .any(|of| sum[*of].saturating_add(self.rest[at][*of]) < self.wanted[*of])
            {
                return Some(false);
            }
            let (place, counts, shown) = self.cells[at];
            let (sum, most) = (plus(sum, counts), plus(most, shown));
            let lack = [0, 1].map(|of| self.wanted[of].saturating_sub(sum[of]));
            // What is lacking comes with at least as much that is shown.
            if [0, 1].iter().all(|of| most[*of].saturating_add(lack[*of]) >= self.least[*of]) {
                continue;
            }
            chosen.push(place);
            if lack == [0, 0] || self.follow(at + 1, sum, most, chosen)? {
                return Some(true);
            }
            chosen.pop();
        }
        Some(false)
    }
}

fn plus(a: [u64; 2], b: [u64; 2]) -> [u64; 2] {
    [a[0].saturating_add(b[0]), a[1].saturating_add(b[1])]
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
    use super::{Cell, Rule, Shown, Tail, Whole, age_band, band_limits};
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

    /// A table of cells that do not overlap, of persons whose studies are not known one by one.
    fn table(rule: Rule, cells: &[Cell], total: u64) -> Vec<Shown> {
        let whole =
            Whole { records: total, individuals: total, heaviest: total, is_partition: true };
        rule.table(cells, &whole)
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
        let shown = table(UNROUNDED, &cells(&[3, 500, 40]), 543);
        let visible: Vec<_> = shown.iter().map(|cell| (&*cell.term, cell.records)).collect();
        assert_eq!(visible, [("1", Some(500)), ("2", None)]);
    }

    #[test]
    fn an_unknown_rest_is_protected_too() {
        // 100 persons, 97 with a known sex: 3 without one would follow from the table.
        let shown = table(UNROUNDED, &cells(&[60, 37]), 100);
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

    #[test]
    fn the_many_studies_of_one_person_do_not_follow_from_the_total() {
        // 30 studies of one person and 13 of 13 persons.
        let cell =
            |term: &str, records, individuals| Cell { term: term.to_owned(), records, individuals };
        let cells = [cell("PT", 30, 1), cell("NM", 13, 13)];
        let heaviest = RULE.heaviest(&[&[30][..], &[1; 13]].concat());
        for is_partition in [true, false] {
            let whole = Whole { records: 43, individuals: 14, heaviest, is_partition };
            assert_eq!(RULE.table(&cells, &whole), [], "{is_partition}");
        }
        // Among many it may be shown what the others have.
        let cells = [cell("PT", 30, 1), cell("NM", 130, 130), cell("CT", 400, 400)];
        let whole = Whole { records: 560, individuals: 531, heaviest, is_partition: true };
        let shown = RULE.table(&cells, &whole);
        assert_eq!((shown[0].records, shown[1].records), (None, Some(400)));
    }

    #[test]
    fn however_many_cells_are_nearly_everything_they_do_not_tell_the_rest() {
        // Four cells share nobody, and four of 100 persons are in none of them.
        let mut all = cells(&[24, 24, 24, 24, 30, 18]);
        all[4].term = "overlaps".to_owned();
        let whole = Whole { records: 100, individuals: 100, heaviest: 10, is_partition: false };
        let shown = UNROUNDED.table(&all, &whole);
        let open: Vec<u64> = shown.iter().filter_map(|cell| cell.individuals).collect();
        for chosen in 0..1_usize << open.len() {
            let sum: u64 = open
                .iter()
                .enumerate()
                .filter(|(at, _)| chosen >> at & 1 == 1)
                .map(|(_, n)| n)
                .sum();
            assert!(sum <= 90 || sum >= 100, "{sum} of 100: {shown:?}");
        }
        assert!(open.len() >= 3, "{shown:?}");
    }

    #[test]
    fn a_table_of_many_cells_is_settled_soon() {
        let counts: Vec<u64> = (0..400).map(|at| 10 + at * 7 % 331).collect();
        let whole =
            Whole { records: 30_000, individuals: 30_000, heaviest: 12, is_partition: false };
        let began = std::time::Instant::now();
        let shown = RULE.table(&cells(&counts), &whole);
        assert!(began.elapsed().as_secs() < 5, "{:?} for {}", began.elapsed(), shown.len());
    }

    #[test]
    fn the_unit_for_free_questions_is_what_few_persons_can_have() {
        assert_eq!(RULE.coarser(RULE.heaviest(&[1; 50])).rounding, 10);
        assert_eq!(RULE.coarser(RULE.heaviest(&[30, 1, 1])).rounding, 40);
    }

    /// How many terms there are: each choice of them is tried.
    const TERMS: u8 = 6;

    /// Studies: the person, and the terms that it has.
    fn archives() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
        let terms = prop::collection::btree_set(0_u8..TERMS, 0..3);
        let study = (0_u8..40, terms.prop_map(|terms| terms.into_iter().collect()));
        let many = (0_u8..40, prop::collection::vec(0_u8..TERMS, 1), 0_usize..60);
        (prop::collection::vec(study, 0..250), prop::option::of(many)).prop_map(
            |(mut studies, many)| {
                if let Some((person, terms, count)) = many {
                    studies.extend(std::iter::repeat_n((person, terms), count));
                }
                studies
            },
        )
    }

    fn persons<'a>(of: impl Iterator<Item = &'a (u8, Vec<u8>)>) -> u64 {
        of.map(|study| study.0).collect::<std::collections::BTreeSet<_>>().len() as u64
    }

    /// The numbers that are published as this one: by trying them.
    fn ways(rule: Rule, shown: u64) -> (u64, u64) {
        let mut all =
            (rule.threshold..shown + 2 * rule.rounding).filter(|n| rule.round(*n) == shown);
        let first = all.next().unwrap();
        (first, all.next_back().unwrap_or(first))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        /// The attacker knows the totals, every shown cell, the rule, and takes whichever shown
        /// cells together. What lies outside them is there for sure only if it is of threshold
        /// persons.
        #[test]
        fn nothing_follows_about_fewer_persons_than_the_threshold(
            studies in archives(),
            threshold in 2_u64..8,
            is_rounded in any::<bool>(),
            is_partition in any::<bool>(),
        ) {
            let rule = Rule { threshold, rounding: if is_rounded { threshold } else { 1 } };
            let mut studies = studies;
            if is_partition {
                studies.iter_mut().for_each(|study| study.1.truncate(1));
            }
            let mut loads: Vec<u64> = (0..40)
                .map(|person| studies.iter().filter(|study| study.0 == person).count() as u64)
                .collect();
            loads.sort_unstable_by(|a, b| b.cmp(a));
            let cells: Vec<Cell> = (0..TERMS)
                .map(|term| {
                    let of = || studies.iter().filter(move |study| study.1.contains(&term));
                    Cell {
                        term: term.to_string(),
                        records: of().count() as u64,
                        individuals: persons(of()),
                    }
                })
                .collect();
            let whole = Whole {
                records: studies.len() as u64,
                individuals: persons(studies.iter()),
                heaviest: rule.heaviest(&loads),
                is_partition,
            };
            let (Some(records), Some(individuals)) = (
                rule.things(whole.records, whole.individuals),
                rule.persons(whole.individuals),
            ) else {
                return Ok(());
            };
            let shown = rule.table(&cells, &whole);
            let is_large = |one: &Shown| {
                cells.iter().any(|cell| cell.term == one.term && cell.individuals >= threshold)
            };
            prop_assert!(shown.iter().all(is_large));
            let open: Vec<&Shown> = shown.iter().filter(|one| one.records.is_some()).collect();
            for chosen in 0..1_usize << open.len() {
                let taken: Vec<&&Shown> = open
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| chosen >> at & 1 == 1)
                    .map(|(_, one)| one)
                    .collect();
                let most = |count: fn(&Shown) -> Option<u64>| -> u64 {
                    taken.iter().map(|one| ways(rule, count(one).unwrap()).1).sum()
                };
                let is_told = ways(rule, records).0 > most(|one| one.records)
                    || ways(rule, individuals).0 > most(|one| one.individuals);
                let is_outside = |study: &&(u8, Vec<u8>)| {
                    !taken.iter().any(|one| study.1.iter().any(|term| term.to_string() == one.term))
                };
                let outside = persons(studies.iter().filter(is_outside));
                prop_assert!(
                    !is_told || outside >= threshold,
                    "{outside} persons lie outside {taken:?} of {records}/{individuals}"
                );
            }
            // And those of a partition leave room for more than the persons of a small cell.
            let withheld = (shown.len() - open.len()) as u64;
            if is_partition && withheld > 0 {
                let most = ways(rule, individuals).1;
                let least: u64 =
                    open.iter().map(|one| ways(rule, one.individuals.unwrap()).0).sum();
                prop_assert!(most >= least + (withheld + 1) * threshold);
            }
        }

        /// Fewer persons than the threshold lie outside on either side, and wherever they lie
        /// there the range is the same.
        #[test]
        fn a_typical_range_tells_nothing_of_the_few_outside(
            ages in prop::collection::vec((0_u8..30, 20_i32..90), 0..80),
            threshold in 2_u64..8,
            moved in prop::collection::vec(0_i32..200, 80),
        ) {
            let rule = Rule { threshold, rounding: threshold };
            let tails = |ages: &[(u8, i32)]| -> Vec<Tail> {
                let of = |holds: &dyn Fn(i32) -> bool| {
                    let persons = ages.iter().filter(|(_, age)| holds(*age)).map(|(person, _)| person);
                    persons.collect::<std::collections::BTreeSet<_>>().len() as u64
                };
                let all: std::collections::BTreeSet<i32> = ages.iter().map(|(_, age)| *age).collect();
                all.into_iter()
                    .map(|at| Tail { at, up_to: of(&|age| age <= at), from: of(&|age| age >= at) })
                    .collect()
            };
            let Some((first, last)) = rule.typical(&tails(&ages)) else { return Ok(()) };
            let outside = |beyond: &dyn Fn(i32) -> bool| {
                let few = ages.iter().filter(|(_, age)| beyond(*age)).map(|(person, _)| person);
                few.collect::<std::collections::BTreeSet<_>>().len() as u64
            };
            prop_assert!(outside(&|age| age < first) < threshold);
            prop_assert!(outside(&|age| age > last) < threshold);
            let others: Vec<(u8, i32)> = ages
                .iter()
                .zip(&moved)
                .map(|((person, age), by)| match age {
                    age if *age < first => (*person, first - 1 - by),
                    age if *age > last => (*person, last + 1 + by),
                    age => (*person, *age),
                })
                .collect();
            prop_assert_eq!(rule.typical(&tails(&others)), Some((first, last)));
        }

        #[test]
        fn rounding_moves_a_count_by_at_most_its_unit(count in 0_u64..1_000_000, unit in 1_u64..1000) {
            let rounded = Rule { threshold: 2, rounding: unit }.round(count);
            prop_assert!(rounded.is_multiple_of(unit) && rounded.abs_diff(count) < unit.max(1) || count == rounded);
        }
    }
}

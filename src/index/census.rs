//! Running counts of what criteria select, changed with each study: the figures of a dataset then
//! cost as much as the change, however large the dataset is.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use roaring::RoaringBitmap;

use super::disclosure::Tail;
use super::query::{Counts, Criteria};
use super::terms::Term;
use super::view::{SeriesSlot, View};
use crate::imaging::Facet;

/// What criteria select, counted. Made whole by one walk over the selected series, and kept by
/// taking out and putting in the studies that change.
#[derive(Clone, Debug, Default)]
pub struct Census {
    criteria: Criteria,
    facets: Vec<Facet>,
    series: RoaringBitmap,
    studies: RoaringBitmap,
    patients: RoaringBitmap,
    images: u64,
    /// Wide enough for the sum of whatever files say of themselves: sums must be taken back.
    bytes: u128,
    terms: HashMap<Term, Who>,
    spacings: BTreeMap<u32, Who>,
    /// How many studies may begin at an instant, and end before one.
    from: BTreeMap<i64, u64>,
    to: BTreeMap<i64, u64>,
    /// By source, how many studies changed last at an instant.
    arrivals: BTreeMap<Term, BTreeMap<i64, u64>>,
    /// `(patient, study)`: what else of a patient is selected when a study goes.
    of_patients: BTreeSet<(u32, u32)>,
}

/// Studies and patients that have something.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Who {
    studies: RoaringBitmap,
    patients: RoaringBitmap,
}

/// A term with how many studies and persons have it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TermCount {
    /// The term.
    pub term: String,
    /// Distinct studies.
    pub studies: u64,
    /// Distinct patients.
    pub patients: u64,
}

impl Who {
    fn counted(&self, term: String) -> TermCount {
        TermCount { term, studies: self.studies.len(), patients: self.patients.len() }
    }
}

/// Pairs of study and patient on their way into bitmaps: series mostly arrive study by study, so
/// that sorting costs little, and inserting one by one would cost more.
#[derive(Default)]
struct Pairs {
    studies: Vec<u32>,
    patients: Vec<u32>,
}

impl Pairs {
    fn push(&mut self, slot: &SeriesSlot) {
        if self.studies.last() != Some(&slot.study) {
            self.studies.push(slot.study);
        }
        if self.patients.last() != Some(&slot.patient) {
            self.patients.push(slot.patient);
        }
    }

    fn who(mut self) -> Who {
        let set = |numbers: &mut Vec<u32>| {
            numbers.sort_unstable();
            numbers.dedup();
            RoaringBitmap::from_sorted_iter(numbers.drain(..)).unwrap_or_default()
        };
        Who { studies: set(&mut self.studies), patients: set(&mut self.patients) }
    }
}

/// How often each person is among these, most first, of so many persons.
pub(super) fn loads(of: impl Iterator<Item = u32>, persons: usize) -> Vec<u64> {
    let mut counts: HashMap<u32, u64> = HashMap::new();
    for person in of {
        *counts.entry(person).or_insert(0) += 1;
    }
    let mut loads: Vec<u64> = counts.into_values().collect();
    loads.sort_unstable_by(|a, b| b.cmp(a));
    loads.truncate(persons);
    loads
}

impl Census {
    /// Counts what the criteria select in the view, with the terms of these facets.
    pub(super) fn take(view: &View, criteria: Criteria, facets: &[Facet]) -> Self {
        let series = view.series_where(&criteria);
        let mut census = Self { criteria, facets: facets.to_vec(), ..Self::default() };
        // Series and studies with the same terms are counted together: there are few such sets.
        let mut all = Pairs::default();
        let mut of_series: HashMap<u32, Pairs> = HashMap::new();
        let mut of_studies: HashMap<u32, Pairs> = HashMap::new();
        let mut spacings: BTreeMap<u32, Pairs> = BTreeMap::new();
        for slot in series.iter().filter_map(|at| view.series.get(at as usize)) {
            census.images += u64::from(slot.images);
            census.bytes += u128::from(slot.bytes);
            all.push(slot);
            of_series.entry(slot.set).or_default().push(slot);
            let set = view.studies.get(slot.study as usize).map_or(0, |study| study.set);
            of_studies.entry(set).or_default().push(slot);
            if slot.spacing > 0 {
                spacings.entry(slot.spacing).or_default().push(slot);
            }
            census.of_patients.insert((slot.patient, slot.study));
        }
        for (set, pairs) in of_series.into_iter().chain(of_studies) {
            let who = pairs.who();
            for term in census.counted_terms(view, set) {
                let known = census.terms.entry(term).or_default();
                known.studies |= &who.studies;
                known.patients |= &who.patients;
            }
        }
        census.spacings = spacings.into_iter().map(|(at, pairs)| (at, pairs.who())).collect();
        let who = all.who();
        (census.series, census.studies, census.patients) = (series, who.studies, who.patients);
        for at in census.studies.clone() {
            census.date(view, at, true);
        }
        census
    }

    /// Of which criteria it is.
    pub(super) const fn criteria(&self) -> &Criteria {
        &self.criteria
    }

    /// Whether it counts the terms of these facets.
    pub(super) fn counts_facets(&self, facets: &[Facet]) -> bool {
        facets.iter().all(|facet| self.facets.contains(facet))
    }

    fn counted_terms(&self, view: &View, set: u32) -> Vec<Term> {
        let is_counted = |term: &Term| self.facets.contains(&view.dictionary.text(*term).0);
        view.sets.get(set).iter().copied().filter(is_counted).collect()
    }

    fn date(&mut self, view: &View, at: u32, is_there: bool) {
        let Some(study) = view.studies.get(at as usize) else { return };
        let change = |counts: &mut BTreeMap<i64, u64>, key: i64| {
            let count = counts.entry(key).or_insert(0);
            *count = if is_there { *count + 1 } else { count.saturating_sub(1) };
            if *count == 0 {
                counts.remove(&key);
            }
        };
        if let Some(started) = study.started {
            change(&mut self.from, started.from);
            change(&mut self.to, started.to);
        }
        let mut terms = view.sets.get(study.set).iter().copied();
        if let Some(source) = terms.find(|term| view.dictionary.text(*term).0 == Facet::Source) {
            let counts = self.arrivals.entry(source).or_default();
            change(counts, study.updated);
            if counts.is_empty() {
                self.arrivals.remove(&source);
            }
        }
    }

    /// Takes a study out, while the view still holds it. Whether anything of it was selected.
    pub(super) fn remove_study(&mut self, view: &View, at: u32) -> bool {
        if !self.studies.contains(at) {
            return false;
        }
        let Some(study) = view.studies.get(at as usize) else { return false };
        self.date(view, at, false);
        self.studies.remove(at);
        let mut persons: BTreeSet<u32> = BTreeSet::new();
        let mut terms: HashSet<Term> = HashSet::new();
        let mut spacings: HashSet<u32> = HashSet::new();
        for number in study.series.iter().copied() {
            if !self.series.remove(number) {
                continue;
            }
            let Some(slot) = view.series.get(number as usize) else { continue };
            self.images = self.images.saturating_sub(u64::from(slot.images));
            self.bytes = self.bytes.saturating_sub(u128::from(slot.bytes));
            persons.insert(slot.patient);
            terms.extend(self.counted_terms(view, slot.set));
            spacings.insert(slot.spacing);
        }
        terms.extend(self.counted_terms(view, study.set));
        for person in persons {
            self.of_patients.remove(&(person, at));
            let mut kept: HashSet<Term> = HashSet::new();
            let mut kept_spacings: HashSet<u32> = HashSet::new();
            for (_, other) in self.of_patients.range((person, 0)..=(person, u32::MAX)) {
                let Some(study) = view.studies.get(*other as usize) else { continue };
                for number in study.series.iter().filter(|number| self.series.contains(**number)) {
                    let slot = view.series.get(*number as usize);
                    let Some(slot) = slot.filter(|slot| slot.patient == person) else { continue };
                    kept.extend(view.sets.get(slot.set));
                    kept.extend(view.sets.get(study.set));
                    kept_spacings.insert(slot.spacing);
                }
            }
            if kept_spacings.is_empty() {
                self.patients.remove(person);
            }
            for term in terms.iter().filter(|term| !kept.contains(*term)) {
                if let Some(who) = self.terms.get_mut(term) {
                    who.patients.remove(person);
                }
            }
            for spacing in spacings.iter().filter(|spacing| !kept_spacings.contains(*spacing)) {
                if let Some(who) = self.spacings.get_mut(spacing) {
                    who.patients.remove(person);
                }
            }
        }
        for term in terms {
            if let Some(who) = self.terms.get_mut(&term) {
                who.studies.remove(at);
                if who.studies.is_empty() {
                    self.terms.remove(&term);
                }
            }
        }
        for spacing in spacings {
            if let Some(who) = self.spacings.get_mut(&spacing) {
                who.studies.remove(at);
                if who.studies.is_empty() {
                    self.spacings.remove(&spacing);
                }
            }
        }
        true
    }

    /// Puts a study in that the view holds now. Whether anything of it is selected.
    pub(super) fn put_study(&mut self, view: &View, at: u32) -> bool {
        let selected = view.series_of_study_where(&self.criteria, at);
        let Some(study) = view.studies.get(at as usize) else { return false };
        if selected.is_empty() {
            return false;
        }
        let of_study = self.counted_terms(view, study.set);
        for number in selected {
            let Some(slot) = view.series.get(number as usize) else { continue };
            self.series.insert(number);
            self.images += u64::from(slot.images);
            self.bytes += u128::from(slot.bytes);
            self.patients.insert(slot.patient);
            self.of_patients.insert((slot.patient, at));
            let of_series = self.counted_terms(view, slot.set);
            for term in of_series.into_iter().chain(of_study.iter().copied()) {
                let who = self.terms.entry(term).or_default();
                who.studies.insert(at);
                who.patients.insert(slot.patient);
            }
            if slot.spacing > 0 {
                let who = self.spacings.entry(slot.spacing).or_default();
                who.studies.insert(at);
                who.patients.insert(slot.patient);
            }
        }
        self.studies.insert(at);
        self.date(view, at, true);
        true
    }

    /// The selected series.
    pub(super) const fn series(&self) -> &RoaringBitmap {
        &self.series
    }

    /// The studies that have a selected series.
    #[must_use]
    pub const fn studies(&self) -> &RoaringBitmap {
        &self.studies
    }

    /// The totals.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            patients: self.patients.len(),
            studies: self.studies.len(),
            series: self.series.len(),
            images: self.images,
            bytes: u64::try_from(self.bytes).unwrap_or(u64::MAX),
        }
    }

    /// How many studies each person has, most first, of so many persons.
    #[must_use]
    pub fn loads(&self, persons: usize) -> Vec<u64> {
        loads(self.of_patients.iter().map(|(patient, _)| *patient), persons)
    }

    /// The terms of a facet, most studies first.
    #[must_use]
    pub fn facet(&self, view: &View, facet: Facet) -> Vec<TermCount> {
        let mut counts: Vec<TermCount> =
            self.of_facet(view, facet).map(|(text, who)| who.counted(text.to_owned())).collect();
        counts.sort_by(|a, b| b.studies.cmp(&a.studies).then_with(|| a.term.cmp(&b.term)));
        counts
    }

    /// The terms of a facet put together in groups, by name. Who has several terms of a group is
    /// counted once.
    #[must_use]
    pub fn grouped(
        &self,
        view: &View,
        facet: Facet,
        group: impl Fn(&str) -> Option<String>,
    ) -> Vec<TermCount> {
        let mut groups: BTreeMap<String, Who> = BTreeMap::new();
        for (text, who) in self.of_facet(view, facet) {
            let Some(name) = group(text) else { continue };
            let known = groups.entry(name).or_default();
            known.studies |= &who.studies;
            known.patients |= &who.patients;
        }
        groups.into_iter().map(|(name, who)| who.counted(name)).collect()
    }

    /// The numbers of a facet, ascending, each with the persons who have it or less, and it or more.
    #[must_use]
    pub fn tails(&self, view: &View, facet: Facet) -> Vec<Tail> {
        let mut numbers: BTreeMap<i32, RoaringBitmap> = BTreeMap::new();
        for (text, who) in self.of_facet(view, facet) {
            if let Ok(number) = text.parse() {
                *numbers.entry(number).or_default() |= &who.patients;
            }
        }
        let mut known = RoaringBitmap::new();
        let mut tails: Vec<Tail> = numbers
            .iter()
            .map(|(at, patients)| {
                known |= patients;
                Tail { at: *at, up_to: known.len(), from: 0 }
            })
            .collect();
        known.clear();
        for (tail, patients) in tails.iter_mut().zip(numbers.values()).rev() {
            known |= patients;
            tail.from = known.len();
        }
        tails
    }

    fn of_facet<'a>(
        &'a self,
        view: &'a View,
        facet: Facet,
    ) -> impl Iterator<Item = (&'a str, &'a Who)> {
        self.terms.iter().filter_map(move |(term, who)| {
            let (of, text) = view.dictionary.text(*term);
            (of == facet).then_some((text, who))
        })
    }

    /// The pixel spacings in micrometres, the finest first.
    #[must_use]
    pub fn spacings(&self) -> Vec<TermCount> {
        self.spacings.iter().map(|(spacing, who)| who.counted(spacing.to_string())).collect()
    }

    /// First and last instant at which a selected study may have begun: microseconds since
    /// 1970-01-01T00:00:00Z, the last one exclusive.
    #[must_use]
    pub fn span(&self) -> Option<(i64, i64)> {
        Some((*self.from.keys().next()?, *self.to.keys().next_back()?))
    }

    /// The sources of the selected studies, each with the first and the last time that one of
    /// them changed: microseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn arrivals(&self, view: &View) -> BTreeMap<String, (i64, i64)> {
        let spans = self.arrivals.iter().filter_map(|(source, counts)| {
            let span = (*counts.keys().next()?, *counts.keys().next_back()?);
            Some((view.dictionary.text(*source).1.to_owned(), span))
        });
        spans.collect()
    }

    /// Everything that was counted, for comparisons.
    #[cfg(test)]
    pub(super) fn told(&self, view: &View) -> String {
        let facets: Vec<_> = self.facets.iter().map(|facet| self.facet(view, *facet)).collect();
        format!(
            "{:?} {facets:?} {:?} {:?} {:?} {:?}",
            self.counts(),
            self.spacings(),
            self.span(),
            self.arrivals(view),
            self.of_patients
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::query::Criteria;
    use super::super::view::{NewSeries, NewStudy, View};
    use super::Census;
    use crate::actor::Actor;
    use crate::imaging::{Facet, SeriesFacts, Started, StudyFacts};

    /// Numbers that look random and are the same each time (Knuth's linear congruence).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.0 >> 33) % limit
        }

        fn of<'w>(&mut self, words: &[&'w str]) -> &'w str {
            words[usize::try_from(self.below(words.len() as u64)).unwrap()]
        }
    }

    fn study(dice: &mut Dice, number: i64) -> (NewStudy<'static>, Vec<NewSeries>) {
        let patient = 1 + i64::try_from(dice.below(12)).unwrap();
        let from = i64::try_from(dice.below(40)).unwrap() * 1_000;
        let started =
            Started { from, to: from + 500, year: 2000 + (from / 10_000) as i16, month: 3 };
        let study = NewStudy {
            patient,
            source: dice.of(&["one", "two"]),
            collection: Some(dice.of(&["a", "b", "c"]).to_owned()),
            updated: i64::try_from(dice.below(50)).unwrap(),
            facts: StudyFacts {
                terms: vec![(Facet::Sex, dice.of(&["female", "male", ""]).to_owned())],
                started: (dice.below(5) > 0).then_some(started),
                age: (dice.below(4) > 0).then(|| 40 + dice.below(9) as u16),
            },
        };
        let series = (0..dice.below(4)).map(|at| NewSeries {
            number: number * 10 + i64::try_from(at).unwrap(),
            // A series may name another person than its study.
            patient: if dice.below(6) == 0 { 20 } else { patient },
            images: dice.below(100) as u32,
            bytes: if dice.below(20) == 0 { u64::MAX } else { dice.below(1_000) },
            facts: SeriesFacts {
                terms: vec![
                    (Facet::Modality, dice.of(&["CT", "MR", "SR"]).to_owned()),
                    (Facet::Attribute, dice.of(&["Modality", "Rows", "PatientSex"]).to_owned()),
                ],
                spacing: dice.below(3) as u32 * 500,
            },
        });
        (study, series.collect())
    }

    #[test]
    fn running_counts_are_those_of_a_walk_over_everything() {
        let facets = [Facet::Modality, Facet::Sex, Facet::Age, Facet::Attribute, Facet::Year];
        let whole = |mut criteria: Criteria| {
            criteria.whole_studies = true;
            criteria
        };
        let mut without = Criteria::of(Facet::Collection, &["a", "b"]);
        without.exclude.insert(Facet::Modality, vec!["SR".to_owned()]);
        without.exclude.insert(Facet::Sex, vec!["male".to_owned()]);
        let all = [
            Criteria::default(),
            Criteria::of(Facet::Collection, &["a"]),
            Criteria::of(Facet::Modality, &["CT", "unknown"]),
            whole(Criteria::of(Facet::Modality, &["MR"])),
            without,
            Criteria::of(Facet::Collection, &[]),
        ];
        let mut dice = Dice(7);
        let mut view = View::default();
        view.set_open(all[1..4].to_vec());
        let _ = view
            .search(&Actor::new("r", crate::actor::Role::Researcher), &super::super::Query::All);
        for criteria in &all {
            view.keep(Census::take(&view, criteria.clone(), &facets));
        }
        let operator = Actor::operator();
        let mut touched = 0;
        for step in 0..1_500 {
            let number = i64::try_from(dice.below(40)).unwrap();
            if dice.below(3) == 0 {
                view.remove_study(number);
            } else {
                let (study, series) = study(&mut dice, number);
                view.put_study(number, &study, &series);
            }
            if dice.below(4) == 0 {
                view.put_findings(number, &["date-odd".into()]);
            }
            touched += view.take_touched().len();
            for criteria in &all {
                let fresh = Census::take(&view, criteria.clone(), &facets);
                let kept = view.census(&operator, criteria, &facets).unwrap();
                assert!(matches!(kept, std::borrow::Cow::Borrowed(_)), "it runs along");
                assert_eq!(kept.told(&view), fresh.told(&view), "{criteria:?} at step {step}");
                // What search and counts of the same criteria say.
                let counts = view.count(&operator, criteria);
                assert_eq!(kept.counts(), counts, "{criteria:?}");
                let mut all_told = view.facets(&operator, criteria, &facets);
                for facet in facets {
                    let told: Vec<_> = all_told
                        .remove(&facet)
                        .unwrap_or_default()
                        .into_iter()
                        .map(|count| (count.term, count.counts.studies, count.counts.patients))
                        .collect();
                    let of_census = kept.facet(&view, facet).into_iter();
                    let of_census: Vec<_> = of_census
                        .map(|count| (count.term, count.studies, count.patients))
                        .collect();
                    assert_eq!(of_census, told, "{facet:?}");
                }
            }
            let open = view.open_studies_for_test();
            assert_eq!(open.0, open.1, "open studies at step {step}");
        }
        assert!(touched > 1_000, "{touched}");
        // What no change touched is not told.
        view.take_touched();
        assert!(!view.has_touched());
        let others = [all[2].clone(), all[3].clone()];
        assert_eq!(
            view.count_wholly_open(&all[1], &others),
            view.count_wholly_open(&all[1], &[all[3].clone(), all[2].clone(), all[2].clone()]),
            "in whatever order and how often they are named"
        );
    }
}

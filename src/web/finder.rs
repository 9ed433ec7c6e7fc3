//! The published datasets, ready to be searched: who has a value, who has a word, every order.
//!
//! Made once for each change of the catalogue, so that a page costs what it finds. Values and words
//! are kept once each, with the datasets that have them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use roaring::RoaringBitmap;

use super::catalog::{Card, CatalogQuery, Dimension, Order};
use crate::imaging::{fold, fold_words};
use crate::index::disclosure::band_limits;

/// The datasets by place in the list of cards.
pub(super) struct Finder {
    all: RoaringBitmap,
    folded: Vec<Arc<Folded>>,
    dimensions: BTreeMap<Dimension, Values>,
    words: Words,
    titles: Words,
    by_title: Vec<u32>,
    by_modified: Vec<u32>,
    by_studies: Vec<u32>,
}

/// What is looked for in a dataset, folded.
pub(super) struct Folded {
    text: String,
    title: String,
}

/// The values of one dimension.
#[derive(Default)]
struct Values {
    names: Vec<String>,
    by_name: HashMap<String, u32>,
    /// Datasets that have a value.
    having: Vec<RoaringBitmap>,
    /// Values of the datasets, one dataset after another.
    of: Vec<u32>,
    /// Where those of a dataset begin; one more than there are datasets.
    starts: Vec<usize>,
    /// The place of a value among all by what is read.
    rank: Vec<u32>,
}

/// By how many words of a text the list is sorted; all of them must be there.
const MOST_SCORED: usize = 16;

/// A value with how many datasets have it.
pub(super) type Counted = (String, usize);

/// The distinct words of texts, one after another, and who has each.
#[derive(Default)]
struct Words {
    /// With a line end before and behind each.
    text: String,
    /// Where the words begin in the text.
    starts: Vec<usize>,
    /// Datasets of the words, one word after another.
    of: Vec<u32>,
    /// Where those of a word begin; one more than there are words.
    of_starts: Vec<usize>,
    /// How many datasets there are.
    size: usize,
}

impl Words {
    fn new<'t>(texts: impl ExactSizeIterator<Item = &'t str>) -> Self {
        let size = texts.len();
        let mut having: HashMap<&str, Vec<u32>> = HashMap::new();
        for (at, text) in (0..).zip(texts) {
            for word in text.split(' ').filter(|word| !word.is_empty()) {
                let of = having.entry(word).or_default();
                if of.last() != Some(&at) {
                    of.push(at);
                }
            }
        }
        let mut having: Vec<(&str, Vec<u32>)> = having.into_iter().collect();
        having.sort_unstable_by_key(|(word, _)| *word);
        let mut words = Self { text: "\n".to_owned(), of_starts: vec![0], size, ..Self::default() };
        for (word, mut of) in having {
            words.starts.push(words.text.len());
            words.text.push_str(word);
            words.text.push('\n');
            words.of.append(&mut of);
            words.of_starts.push(words.of.len());
        }
        words
    }

    /// Who has a word that begins with the needle, which is a part of a folded word.
    fn beginning(&self, needle: &str) -> RoaringBitmap {
        // A bit for each, as one letter is in nearly every word.
        let mut bits = vec![0_u8; self.size.div_ceil(8)];
        // The words are sorted: those that begin with it stand together.
        let word_at = |start: &usize| self.text.get(*start..).unwrap_or_default();
        let first = self.starts.partition_point(|start| word_at(start) < needle);
        let beginning = self.starts.iter().skip(first);
        let count = beginning.take_while(|start| word_at(start).starts_with(needle)).count();
        for word in first..first + count {
            if let (Some(start), Some(end)) =
                (self.of_starts.get(word), self.of_starts.get(word + 1))
            {
                for at in self.of.get(*start..*end).unwrap_or_default() {
                    if let Some(byte) = bits.get_mut(*at as usize / 8) {
                        *byte |= 1 << (at % 8);
                    }
                }
            }
        }
        RoaringBitmap::from_lsb0_bytes(0, &bits)
    }
}

impl Values {
    fn new(cards: &[Card], dimension: Dimension, label: impl Fn(&str) -> String) -> Self {
        let mut values = Self { starts: vec![0], ..Self::default() };
        // Words in another language are found and not listed, unless a dataset has them in this one:
        // then they count, so that a value leads to as many datasets as it says.
        let is_worded = dimension == Dimension::Keyword;
        let own = |card| Card::values(card, dimension);
        let listed: HashSet<&str> = if is_worded {
            cards.iter().flat_map(own).map(String::as_str).collect()
        } else {
            HashSet::new()
        };
        for (at, card) in (0..).zip(cards) {
            let also: &[String] = if is_worded { &card.also } else { &[] };
            for name in own(card).iter().chain(also) {
                let number = match values.by_name.get(name) {
                    Some(number) => *number,
                    None => {
                        let number = u32::try_from(values.names.len()).unwrap_or(u32::MAX);
                        values.by_name.insert(name.clone(), number);
                        values.names.push(name.clone());
                        values.having.push(RoaringBitmap::new());
                        number
                    }
                };
                if let Some(having) = values.having.get_mut(number as usize)
                    && having.insert(at)
                    && (!is_worded || listed.contains(name.as_str()))
                {
                    values.of.push(number);
                }
            }
            values.starts.push(values.of.len());
        }
        let mut order: Vec<u32> = (0..).take(values.names.len()).collect();
        let name = |number: u32| values.names.get(number as usize).map_or("", String::as_str);
        match dimension {
            // The latest first, whatever their count.
            Dimension::Year => order.sort_by(|a, b| name(*b).cmp(name(*a))),
            Dimension::Age => order.sort_by_key(|number| band_limits(name(*number))),
            _ => {
                order.sort_by_cached_key(|number| (label(name(*number)), name(*number).to_owned()))
            }
        }
        values.rank = vec![0; order.len()];
        for (rank, number) in (0..).zip(order) {
            if let Some(place) = values.rank.get_mut(number as usize) {
                *place = rank;
            }
        }
        values
    }

    fn having(&self, names: &[String]) -> RoaringBitmap {
        let mut found = RoaringBitmap::new();
        for number in names.iter().filter_map(|name| self.by_name.get(name)) {
            if let Some(having) = self.having.get(*number as usize) {
                found |= having;
            }
        }
        found
    }

    /// The first of the values that some of the datasets have, and how many more there are.
    fn count(
        &self,
        of: &RoaringBitmap,
        dimension: Dimension,
        most: usize,
    ) -> (Vec<Counted>, usize) {
        let mut counts = vec![0_usize; self.names.len()];
        for at in of {
            let (Some(start), Some(end)) =
                (self.starts.get(at as usize), self.starts.get(at as usize + 1))
            else {
                continue;
            };
            for number in self.of.get(*start..*end).unwrap_or_default() {
                if let Some(count) = counts.get_mut(*number as usize) {
                    *count += 1;
                }
            }
        }
        let counted = (0_u32..).zip(counts).filter(|(_, count)| *count > 0);
        let mut counted: Vec<(usize, u32, u32)> = counted
            .map(|(number, count)| {
                let rank = self.rank.get(number as usize).copied().unwrap_or(u32::MAX);
                (count, rank, number)
            })
            .collect();
        let key = |(count, rank, _): &(usize, u32, u32)| match dimension.is_ordered() {
            true => (Reverse(0), *rank),
            false => (Reverse(*count), *rank),
        };
        let rest = counted.len().saturating_sub(most);
        if rest > 0 {
            counted.select_nth_unstable_by_key(most, key);
            counted.truncate(most);
        }
        counted.sort_unstable_by_key(key);
        let named = counted.into_iter().filter_map(|(count, _, number)| {
            Some((self.names.get(number as usize)?.clone(), count))
        });
        (named.collect(), rest)
    }
}

impl Finder {
    /// Of the cards, with what is read of a value, and what is known of a card already.
    pub(super) fn new(
        cards: &[Card],
        label: impl Fn(Dimension, &str) -> String,
        known: impl Fn(&Card) -> Option<Arc<Folded>>,
    ) -> Self {
        let fold_card = |card: &Card| {
            let (title, slug) = (&card.title.text, &card.slug);
            let mut text = format!("{title} {} {} {slug}", card.description.text, card.text);
            for (dimension, values) in &card.terms {
                for value in values {
                    text.push(' ');
                    text.push_str(&label(*dimension, value));
                }
            }
            Arc::new(Folded { text: fold_words(&text), title: fold_words(title) })
        };
        let folded: Vec<Arc<Folded>> =
            cards.iter().map(|card| known(card).unwrap_or_else(|| fold_card(card))).collect();
        let title = |at: &u32| folded.get(*at as usize).map(|folded| folded.title.as_str());
        let mut by_title: Vec<u32> = (0..).take(cards.len()).collect();
        let card = |at: &u32| cards.get(*at as usize);
        by_title.sort_by_key(|at| (title(at), card(at).map(|card| card.slug.as_str())));
        // Both sorts keep the order by title among equals.
        let (mut by_modified, mut by_studies) = (by_title.clone(), by_title.clone());
        by_modified.sort_by_key(|at| Reverse(card(at).map(|card| card.modified)));
        by_studies.sort_by_key(|at| Reverse(card(at).and_then(|card| card.records)));
        let values = |dimension: Dimension| {
            Values::new(cards, dimension, |value| fold(&label(dimension, value)))
        };
        Self {
            all: (0..).take(cards.len()).collect(),
            dimensions: Dimension::ALL.iter().map(|row| (row.0, values(row.0))).collect(),
            words: Words::new(folded.iter().map(|folded| folded.text.as_str())),
            titles: Words::new(folded.iter().map(|folded| folded.title.as_str())),
            folded,
            by_title,
            by_modified,
            by_studies,
        }
    }

    /// What is looked for, card by card.
    pub(super) fn folded(&self) -> &[Arc<Folded>] {
        &self.folded
    }

    /// The words of a text that are looked for, folded.
    fn needles(text: &str) -> Vec<String> {
        let folded = fold_words(text);
        folded.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// Who has all of the words.
    pub(super) fn with_text(&self, text: &str) -> RoaringBitmap {
        let mut found = self.all.clone();
        let needles = Self::needles(text);
        for (place, needle) in needles.iter().enumerate() {
            // Who has a word has its beginnings, and what stands twice once.
            let is_told = |(at, other): (usize, &String)| {
                other.starts_with(needle.as_str()) && (other != needle || at < place)
            };
            if needles.iter().enumerate().any(|other| other.0 != place && is_told(other)) {
                continue;
            }
            found &= self.words.beginning(needle);
            if found.is_empty() {
                break;
            }
        }
        found
    }

    /// Those of the datasets that the filters leave, without what is chosen in one dimension: what
    /// is excluded there stays excluded, as it does when another value is chosen.
    pub(super) fn filtered(
        &self,
        of: &RoaringBitmap,
        query: &CatalogQuery,
        but: Option<Dimension>,
    ) -> RoaringBitmap {
        let mut found = of.clone();
        let having = |dimension: &Dimension, names: &[String]| {
            self.dimensions.get(dimension).map(|values| values.having(names)).unwrap_or_default()
        };
        for (dimension, names) in query.include.iter().filter(|(of, _)| Some(**of) != but) {
            found &= having(dimension, names);
        }
        for (dimension, names) in &query.exclude {
            found -= having(dimension, names);
        }
        found
    }

    /// The values of a facet, each with how many datasets choosing it alone there finds, no more
    /// than `most` and those that the query names; and how many are left out.
    pub(super) fn facet(
        &self,
        of: &RoaringBitmap,
        query: &CatalogQuery,
        dimension: Dimension,
        most: usize,
    ) -> (Vec<Counted>, usize) {
        let rest = if query.include.contains_key(&dimension) {
            self.filtered(of, query, Some(dimension))
        } else {
            self.filtered(of, query, None)
        };
        let (mut counts, left_out) = self.count(&rest, dimension, most);
        // What is chosen stays visible, so that it can be unchosen.
        for value in query.include.get(&dimension).into_iter().flatten() {
            if !counts.iter().any(|(known, _)| known == value) {
                counts.push((value.clone(), self.count_of(&rest, dimension, value)));
            }
        }
        for value in query.exclude.get(&dimension).into_iter().flatten() {
            // Whoever chooses it excludes it no more.
            let chosen = query.without(dimension, value);
            let rest = self.filtered(of, &chosen, Some(dimension));
            let count = self.count_of(&rest, dimension, value);
            counts.retain(|(known, _)| known != value);
            counts.push((value.clone(), count));
        }
        (counts, left_out)
    }

    /// The values that some of the datasets have, the most frequent first (years: the latest, ages: the youngest), no
    /// more than `most`, and how many are left out.
    pub(super) fn count(
        &self,
        of: &RoaringBitmap,
        dimension: Dimension,
        most: usize,
    ) -> (Vec<Counted>, usize) {
        let values = self.dimensions.get(&dimension);
        values.map(|values| values.count(of, dimension, most)).unwrap_or_default()
    }

    /// How many of the datasets have a value.
    pub(super) fn count_of(&self, of: &RoaringBitmap, dimension: Dimension, name: &str) -> usize {
        let values = self.dimensions.get(&dimension);
        let having = values.map(|values| values.having(&[name.to_owned()])).unwrap_or_default();
        usize::try_from(having.intersection_len(of)).unwrap_or(usize::MAX)
    }

    /// Every dataset.
    pub(super) const fn all(&self) -> &RoaringBitmap {
        &self.all
    }

    /// Some of the datasets in an order: `count` of them after the first `skip`.
    pub(super) fn page(
        &self,
        of: &RoaringBitmap,
        query: &CatalogQuery,
        skip: usize,
        count: usize,
    ) -> Vec<usize> {
        let order = match query.order {
            Order::Relevance | Order::Title => &self.by_title,
            Order::Modified => &self.by_modified,
            Order::Studies => &self.by_studies,
        };
        let needles = match query.order {
            Order::Relevance => Self::needles(&query.text),
            Order::Title | Order::Modified | Order::Studies => Vec::new(),
        };
        let mut groups = vec![of.clone()];
        for needle in needles.into_iter().take(MOST_SCORED) {
            // Who has it in the title goes up by one; the first group has all of them.
            let titled = self.titles.beginning(&needle);
            let mut next = vec![RoaringBitmap::new(); groups.len() + 1];
            for (place, group) in groups.iter().enumerate() {
                let with = group & &titled;
                if let Some(lower) = next.get_mut(place + 1) {
                    *lower |= group - &with;
                }
                if let Some(upper) = next.get_mut(place) {
                    *upper |= with;
                }
            }
            groups = next;
        }
        let (mut page, mut skip) = (Vec::new(), skip);
        for group in groups.iter().filter(|group| !group.is_empty()) {
            let size = usize::try_from(group.len()).unwrap_or(usize::MAX);
            if skip >= size {
                skip -= size;
                continue;
            }
            let own = order.iter().filter(|at| group.contains(**at)).skip(skip);
            page.extend(own.take(count - page.len()).map(|at| *at as usize));
            skip = 0;
            if page.len() == count {
                break;
            }
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use roaring::RoaringBitmap;

    use super::super::words::Phrase;
    use super::{Card, CatalogQuery, Dimension, Finder, Order, fold, fold_words};

    const WORDS: &[&str] = &[
        "Škoda",
        "škola",
        "prsu",
        "plíce",
        "Στήθος",
        "στους",
        "lung",
        "lungs",
        "straße",
        "a",
        "CT",
    ];
    const VALUES: &[&str] = &["CT", "MR", "1999", "2004", "2020"];

    /// Numbers that look random and are the same each time (Knuth's linear congruence).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(self.0 >> 33).unwrap() % limit
        }

        fn text(&mut self, words: usize) -> String {
            let words: Vec<&str> = (0..words).map(|_| WORDS[self.below(WORDS.len())]).collect();
            words.join(" ")
        }

        fn terms(&mut self) -> BTreeMap<Dimension, Vec<String>> {
            let mut terms: BTreeMap<Dimension, Vec<String>> = BTreeMap::new();
            for (dimension, _, _) in Dimension::ALL {
                let mut values: Vec<String> = (0..self.below(3))
                    .map(|_| VALUES[self.below(VALUES.len())].to_owned())
                    .collect();
                values.sort();
                values.dedup();
                if !values.is_empty() {
                    terms.insert(*dimension, values);
                }
            }
            terms
        }
    }

    fn card(dice: &mut Dice, number: usize) -> Card {
        Card {
            slug: format!("d{number}"),
            title: Phrase::plain(dice.text(2)),
            description: Phrase::plain(dice.text(3)),
            terms: dice.terms(),
            also: dice.terms().into_values().next().unwrap_or_default(),
            records: (dice.below(3) > 0).then(|| dice.below(5) as u64),
            modified: dice.below(4) as i64,
            text: dice.text(2),
            ..Card::default()
        }
    }

    /// What is read of a value; looked for as well.
    fn label(_: Dimension, value: &str) -> String {
        format!("Wert {}", value.chars().rev().collect::<String>())
    }

    fn looked_at(card: &Card) -> String {
        let mut text =
            format!("{} {} {} {}", card.title.text, card.description.text, card.text, card.slug);
        for (dimension, values) in &card.terms {
            values.iter().for_each(|value| text += &format!(" {}", label(*dimension, value)));
        }
        fold_words(&text)
    }

    fn begins(text: &str, needle: &str) -> bool {
        text.split(' ').any(|word| word.starts_with(needle))
    }

    /// Numbers of some of the words and values that cards have, to choose filters by.
    fn filters() -> impl Strategy<Value = BTreeMap<Dimension, Vec<String>>> {
        let some = proptest::sample::subsequence(VALUES, 0..=2);
        let dimension = proptest::sample::select(&Dimension::ALL[..4]);
        proptest::collection::vec((dimension, some), 0..3).prop_map(|chosen| {
            let chosen = chosen.into_iter().filter(|(_, values)| !values.is_empty());
            chosen
                .map(|(row, values)| (row.0, values.into_iter().map(str::to_owned).collect()))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn every_count_of_a_facet_is_what_following_it_finds(
            seed: u64, include in filters(), exclude in filters(),
        ) {
            let mut dice = Dice(seed);
            let cards: Vec<Card> = (0..12).map(|number| card(&mut dice, number)).collect();
            let finder = Finder::new(&cards, label, |_| None);
            let mut query = CatalogQuery { include, exclude, page: 1, ..CatalogQuery::default() };
            // A value that is chosen is not excluded: no address of the page asks for both.
            for (dimension, values) in &query.include {
                if let Some(excluded) = query.exclude.get_mut(dimension) {
                    excluded.retain(|value| !values.contains(value));
                }
            }
            query.exclude.retain(|_, values| !values.is_empty());
            for (dimension, _, _) in &Dimension::ALL[..4] {
                for (value, count) in finder.facet(finder.all(), &query, *dimension, usize::MAX).0 {
                    // Alone among the chosen of its facet.
                    let mut alone = query.clone();
                    alone.include.remove(dimension);
                    let followed = alone.toggled(*dimension, &value, false);
                    let fits = |card: &Card| {
                        let has = |(d, values): (&Dimension, &Vec<String>)| {
                            values.iter().any(|value| card.values(*d).contains(value))
                        };
                        followed.include.iter().all(has) && !followed.exclude.iter().any(has)
                    };
                    let found = cards.iter().filter(|card| fits(card)).count();
                    prop_assert_eq!(count, found, "{:?} of {:?}", value, query);
                }
            }
        }
    }

    #[test]
    fn a_word_is_found_by_its_beginning_in_whatever_marks() {
        let titled = |slug: &str, title: &str| Card {
            slug: slug.to_owned(),
            title: Phrase::plain(title),
            ..Card::default()
        };
        let cards = [titled("a", "A collection: \"lung cancer\"."), titled("b", "CT (hrudník)")];
        let finder = Finder::new(&cards, |_, value| value.to_owned(), |_| None);
        for (text, expected) in [
            ("\"lung\"", vec![0]),
            ("\"lung cancer\"", vec![0]),
            ("lung, cancer", vec![0]),
            ("CT", vec![1]),
            ("Hrudnik", vec![1]),
            ("oll", vec![]),
            ("collection.", vec![0]),
            ("—", vec![0, 1]),
        ] {
            let found: Vec<u32> = finder.with_text(text).iter().collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn it_finds_counts_and_sorts_as_looking_at_every_dataset_does() {
        let mut dice = Dice(3);
        let cards: Vec<Card> = (0..200).map(|number| card(&mut dice, number)).collect();
        let texts: Vec<String> = cards.iter().map(looked_at).collect();
        let titles: Vec<String> = cards.iter().map(|card| fold_words(&card.title.text)).collect();
        let finder = Finder::new(&cards, label, |_| None);
        let orders = [Order::Relevance, Order::Title, Order::Modified, Order::Studies];
        let mut found_some = 0;
        for step in 0..300 {
            let count = dice.below(4);
            let mut text = dice.text(count);
            if dice.below(3) == 0 {
                // The beginning of a word is enough, in whatever marks.
                let length = text.chars().count().saturating_sub(1);
                text = format!("\"{}\",", text.chars().take(length).collect::<String>());
            }
            let query = CatalogQuery {
                text,
                include: if dice.below(2) == 0 { dice.terms() } else { BTreeMap::new() },
                exclude: if dice.below(2) == 0 { dice.terms() } else { BTreeMap::new() },
                order: orders[step % 4],
                page: 1,
            };
            let needles: Vec<String> = fold_words(&query.text)
                .split(' ')
                .filter(|w| !w.is_empty())
                .map(str::to_owned)
                .collect();
            let fits = |card: &Card, text: &str, but: Option<Dimension>| {
                let has = |dimension: &Dimension, values: &Vec<String>| {
                    let own = Card::values(card, *dimension);
                    let is_also =
                        |value| *dimension == Dimension::Keyword && card.also.contains(value);
                    values.iter().any(|value| own.contains(value) || is_also(value))
                };
                needles.iter().all(|needle| begins(text, needle))
                    && query.include.iter().all(|(d, v)| Some(*d) == but || has(d, v))
                    && query.exclude.iter().all(|(d, v)| !has(d, v))
            };
            let with_text = finder.with_text(&query.text);
            for but in [None, Some(Dimension::Modality), Some(Dimension::Year)] {
                let found = finder.filtered(&with_text, &query, but);
                let expected: RoaringBitmap = (0..)
                    .zip(cards.iter().zip(&texts))
                    .filter(|(_, (card, text))| fits(card, text, but))
                    .map(|(at, _)| at)
                    .collect();
                assert_eq!(found, expected, "{query:?}");
                found_some += usize::from(!found.is_empty());
                let (counts, rest) = finder.count(&found, Dimension::Modality, 3);
                let mut all: BTreeMap<&str, usize> = BTreeMap::new();
                for at in &found {
                    let terms = cards[at as usize].terms.get(&Dimension::Modality);
                    terms.into_iter().flatten().for_each(|v| *all.entry(v).or_default() += 1);
                }
                assert_eq!(counts.len() + rest, all.len());
                let mut all: Vec<_> = all.into_iter().map(|(v, n)| (v.to_owned(), n)).collect();
                all.sort_by_key(|(value, count)| {
                    (Reverse(*count), fold(&label(Dimension::Modality, value)))
                });
                all.truncate(3);
                assert_eq!(counts, all);
                // What is told of a keyword is what choosing it finds, in whichever language others have it.
                for (word, count) in finder.count(&found, Dimension::Keyword, usize::MAX).0 {
                    assert_eq!(count, finder.count_of(&found, Dimension::Keyword, &word), "{word}");
                }
            }
            let found = finder.filtered(&with_text, &query, None);
            let mut expected: Vec<usize> = found.iter().map(|at| at as usize).collect();
            let title = |at: &usize| (titles[*at].clone(), cards[*at].slug.clone());
            expected.sort_by_key(|at| {
                let score = needles.iter().filter(|needle| begins(&title(at).0, needle));
                let first = match query.order {
                    Order::Relevance => Reverse(Some(score.count() as i64)),
                    Order::Title => Reverse(None),
                    Order::Modified => Reverse(Some(cards[*at].modified)),
                    Order::Studies => Reverse(cards[*at].records.map(|records| records as i64)),
                };
                (first, title(at))
            });
            let pages: Vec<usize> =
                (0..20).flat_map(|page| finder.page(&found, &query, page * 10, 10)).collect();
            assert_eq!(pages, expected, "{query:?}");
        }
        assert!(found_some > 150, "{found_some}");
    }
}

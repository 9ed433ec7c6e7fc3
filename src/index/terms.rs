//! Dictionaries: terms, the sets of terms that series and studies have, and their bitmaps.

use std::collections::HashMap;

use roaring::RoaringBitmap;

use crate::imaging::Facet;

/// The number of a term.
pub(super) type Term = u32;

/// One value of one facet, and who has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Posting {
    /// Series that have the term; empty for a facet of studies and patients.
    pub series: RoaringBitmap,
    /// Studies that have the term, or a series that has it.
    pub studies: RoaringBitmap,
}

/// Terms by facet and text.
#[derive(Clone, Debug, Default)]
pub(super) struct Dictionary {
    by_text: HashMap<(Facet, Box<str>), Term>,
    texts: Vec<(Facet, Box<str>)>,
    pub postings: Vec<Posting>,
}

impl Dictionary {
    pub fn intern(&mut self, facet: Facet, text: &str) -> Term {
        if let Some(term) = self.find(facet, text) {
            return term;
        }
        let term = Term::try_from(self.texts.len()).unwrap_or(Term::MAX);
        self.by_text.insert((facet, text.into()), term);
        self.texts.push((facet, text.into()));
        self.postings.push(Posting::default());
        term
    }

    pub fn find(&self, facet: Facet, text: &str) -> Option<Term> {
        // `Box<str>` keys cannot be looked up by a borrowed pair; the allocation is one per
        // term of a query or of a set that was not seen before.
        self.by_text.get(&(facet, text.into())).copied()
    }

    pub fn text(&self, term: Term) -> (Facet, &str) {
        match self.texts.get(term as usize) {
            Some((facet, text)) => (*facet, text),
            None => (Facet::Source, ""),
        }
    }

    pub fn len(&self) -> usize {
        self.texts.len()
    }

    pub fn terms_of(&self, facet: Facet) -> impl Iterator<Item = (Term, &str)> {
        self.texts
            .iter()
            .enumerate()
            .filter(move |(_, (of, _))| *of == facet)
            .filter_map(|(at, (_, text))| Some((Term::try_from(at).ok()?, &**text)))
    }
}

/// Sets of terms, each kept once: an archive has few combinations of modality, device and body
/// part, so a series costs four bytes whatever is known of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sets {
    by_terms: HashMap<Box<[Term]>, u32>,
    sets: Vec<Box<[Term]>>,
}

impl Sets {
    pub fn intern(&mut self, mut terms: Vec<Term>) -> u32 {
        terms.sort_unstable();
        terms.dedup();
        let terms: Box<[Term]> = terms.into();
        if let Some(set) = self.by_terms.get(&terms) {
            return *set;
        }
        let set = u32::try_from(self.sets.len()).unwrap_or(u32::MAX);
        self.sets.push(terms.clone());
        self.by_terms.insert(terms, set);
        set
    }

    pub fn get(&self, set: u32) -> &[Term] {
        self.sets.get(set as usize).map_or(&[], |terms| terms)
    }

    pub fn len(&self) -> usize {
        self.sets.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &[Term]> {
        self.sets.iter().map(|terms| &**terms)
    }
}

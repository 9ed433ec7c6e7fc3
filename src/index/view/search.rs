//! A query becomes a set of studies.
//!
//! In: a [`Query`], an actor. Out: the studies that answer it, of those that the actor may read;
//! for the disclosure rule also how many others do.

use roaring::RoaringBitmap;

use super::{View, slot};
use crate::actor::Actor;
use crate::index::query::Query;

impl View {
    /// The visible studies that answer the query.
    #[must_use]
    pub fn search(&self, actor: &Actor, query: &Query<'_>) -> RoaringBitmap {
        let visible = self.visible(actor);
        match query {
            Query::All => visible.clone(),
            _ => self.evaluate(visible, query) & visible,
        }
    }

    /// How many studies of the whole archive answer the query, whoever may read them: only for
    /// counts that go through the disclosure rule.
    #[must_use]
    pub fn count_for_disclosure(&self, query: &Query<'_>) -> u64 {
        (self.evaluate(&self.all_studies, query) & &self.all_studies).len()
    }

    /// Those of them that the actor may not read: what may be read must not lift the rest above
    /// the rule's threshold.
    #[must_use]
    pub fn hidden_for_disclosure(&self, actor: &Actor, query: &Query<'_>) -> RoaringBitmap {
        (self.evaluate(&self.all_studies, query) & &self.all_studies) - self.visible(actor)
    }

    fn evaluate(&self, visible: &RoaringBitmap, query: &Query<'_>) -> RoaringBitmap {
        match query {
            Query::All => visible.clone(),
            Query::Has(facet, terms) => {
                let mut studies = RoaringBitmap::new();
                for term in terms {
                    if let Some(posting) = self.posting(*facet, term) {
                        studies |= &posting.studies;
                    }
                }
                studies
            }
            Query::HasAny(facet) => {
                let mut studies = RoaringBitmap::new();
                for (term, _) in self.dictionary.terms_of(*facet) {
                    if let Some(posting) = self.dictionary.postings.get(term as usize) {
                        studies |= &posting.studies;
                    }
                }
                studies
            }
            Query::SameSeries(criteria) => self.studies_of(&self.series_where(criteria)),
            Query::Studies(numbers) => numbers.iter().filter_map(|number| slot(*number)).collect(),
            Query::Patients(numbers) => {
                let of_patients = &self.columns().of_patients;
                let mut studies = RoaringBitmap::new();
                for patient in numbers.iter().filter_map(|number| slot(*number)) {
                    let start = of_patients.partition_point(|(of, _)| *of < patient);
                    let theirs = of_patients.iter().skip(start);
                    studies.extend(
                        theirs.take_while(|(of, _)| *of == patient).map(|(_, study)| *study),
                    );
                }
                studies
            }
            Query::Started(condition) => {
                scan(visible, &self.columns().started, |started| condition(*started))
            }
            Query::Updated(condition) => {
                scan(visible, &self.columns().updated, |updated| condition(*updated))
            }
            Query::Set(studies) => studies.clone(),
            Query::And(parts) => {
                let mut answer: Option<RoaringBitmap> = None;
                for part in parts {
                    // What is left so far bounds the scans of the next part.
                    let within = answer.as_ref().unwrap_or(visible);
                    let found = self.evaluate(within, part);
                    answer = Some(match answer {
                        None => found,
                        Some(answer) => answer & found,
                    });
                }
                answer.unwrap_or_else(|| visible.clone())
            }
            Query::Or(parts) => {
                let mut answer = RoaringBitmap::new();
                for part in parts {
                    answer |= self.evaluate(visible, part);
                }
                answer
            }
            Query::Not(part) => visible - self.evaluate(visible, part),
        }
    }
}

/// The slots within a set whose value in a column satisfies a condition.
fn scan<T>(within: &RoaringBitmap, column: &[T], condition: impl Fn(&T) -> bool) -> RoaringBitmap {
    if within.len() < (column.len() / 16) as u64 {
        let hits = within.iter().filter(|at| column.get(*at as usize).is_some_and(&condition));
        return RoaringBitmap::from_sorted_iter(hits).unwrap_or_default();
    }
    // Most slots are asked for: one walk along the column, a bit for each, and the set afterwards.
    let mut bits = vec![0_u8; column.len().div_ceil(8)];
    for (values, byte) in column.chunks(8).zip(&mut bits) {
        for (bit, value) in values.iter().enumerate() {
            *byte |= u8::from(condition(value)) << bit;
        }
    }
    RoaringBitmap::from_lsb0_bytes(0, &bits) & within
}

//! What can be asked of the index.

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

use crate::imaging::{Facet, Started};

/// Criteria that hold on one and the same series, and on its study and patient.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Criteria {
    /// Per facet the terms of which one must be there.
    pub any_of: BTreeMap<Facet, Vec<String>>,
    /// Per facet the terms of which none may be there.
    pub exclude: BTreeMap<Facet, Vec<String>>,
    /// Whether one such series selects every series of its study.
    pub whole_studies: bool,
}

impl Criteria {
    /// One facet, one of the terms.
    #[must_use]
    pub fn of(facet: Facet, terms: &[&str]) -> Self {
        let terms = terms.iter().map(|term| (*term).to_owned()).collect();
        Self { any_of: BTreeMap::from([(facet, terms)]), ..Self::default() }
    }
}

/// A question about studies.
#[derive(Clone)]
pub enum Query<'q> {
    /// Every study.
    All,
    /// Studies that have one of the terms, or a series that has it. Two such questions may be
    /// answered by two different series of a study (FHIR R4 search: parameters are independent).
    Has(Facet, Vec<String>),
    /// Studies that have any term of the facet at all.
    HasAny(Facet),
    /// Studies with a series on which all criteria hold.
    SameSeries(Criteria),
    /// Studies by their number in the store: what SQL found.
    Studies(Vec<i64>),
    /// Studies of these patients, by the store's numbers.
    Patients(Vec<i64>),
    /// Studies whose start satisfies the condition; `None` where it is not known.
    Started(&'q (dyn Fn(Option<Started>) -> bool + 'q)),
    /// Studies whose last change, in microseconds since 1970-01-01T00:00:00Z, satisfies it.
    Updated(&'q (dyn Fn(i64) -> bool + 'q)),
    /// A set that was computed before.
    Set(RoaringBitmap),
    /// All of them.
    And(Vec<Query<'q>>),
    /// One of them.
    Or(Vec<Query<'q>>),
    /// Every visible study but these.
    Not(Box<Query<'q>>),
}

/// The order of a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sort {
    /// In the order of arrival.
    Arrival,
    /// By start, studies without one last; then by arrival.
    Started {
        /// The latest first.
        descending: bool,
    },
    /// By last change; then by arrival.
    Updated {
        /// The latest first.
        descending: bool,
    },
}

/// Exact counts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Counts {
    /// Distinct patients.
    pub patients: u64,
    /// Studies.
    pub studies: u64,
    /// Series.
    pub series: u64,
    /// Instances.
    pub images: u64,
    /// Bytes in the archive, where known.
    pub bytes: u64,
}

/// One value of a facet with its exact counts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FacetCount {
    /// The term.
    pub term: String,
    /// How many of the hits have it.
    pub counts: Counts,
}

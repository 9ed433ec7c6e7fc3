//! What a walk keeps, and how much of it: values of the plan's rows within limits, findings, why
//! it ended.

use crate::dicom::plan::{Bounds, Goal, Plan};
use crate::dicom::value;
use crate::imaging::{Finding, Keyword, Quarantine, Value};

/// How much of a data set is kept.
#[derive(Clone, Copy, Debug)]
pub(in crate::dicom) struct Limits {
    /// Items of one sequence.
    pub(in crate::dicom) items: usize,
    /// Items of all sequences that are read; more of them end the walk.
    pub(in crate::dicom) all_items: u32,
    /// Bytes of one value.
    pub(in crate::dicom) value: u32,
    /// Bytes of the text of all items.
    pub(in crate::dicom) budget: usize,
    /// Numbers of one binary value.
    pub(in crate::dicom) numbers: usize,
}

impl Limits {
    /// Those of the attributes that describe an instance.
    pub(in crate::dicom) const ATTRIBUTES: Self =
        Self { items: 64, all_items: u32::MAX, value: 16 * 1024, budget: 1 << 20, numbers: 64 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::ATTRIBUTES
    }
}

/// Why a walk ended before its end.
#[derive(Debug)]
pub(in crate::dicom) struct Failure {
    pub(in crate::dicom) reason: Quarantine,
    /// Whether what was read before it may be used.
    pub(in crate::dicom) is_bearable: bool,
}

/// What a walk found.
#[derive(Debug, Default)]
pub(in crate::dicom) struct Collected {
    pub(in crate::dicom) rows: Vec<Option<Value>>,
    within: Vec<(u16, Option<Value>)>,
    pub(in crate::dicom) findings: Vec<Finding>,
    pub(in crate::dicom) failure: Option<Failure>,
    /// Where the attributes end: the pixel data, or the end of the input.
    pub(in crate::dicom) end: u64,
    /// Whether a sequence has more items than are kept.
    pub(in crate::dicom) is_cut: bool,
    /// Where the bytes of an encapsulated document begin, and how many they are.
    pub(in crate::dicom) document: Option<(u64, u64)>,
    pub(in crate::dicom) limits: Limits,
    kept: usize,
}

impl Collected {
    pub(in crate::dicom) fn new(plan: &Plan) -> Self {
        let Bounds { items, text } = plan.bounds;
        Self::within(plan, Limits { items, budget: text, ..Limits::ATTRIBUTES })
    }

    /// One that keeps within other limits.
    pub(in crate::dicom) fn within(plan: &Plan, limits: Limits) -> Self {
        let mut rows = Vec::new();
        rows.resize_with(plan.rows.len(), || None);
        Self { rows, limits, ..Self::default() }
    }

    pub(in crate::dicom) fn put(&mut self, goal: Goal, value: Value) {
        match goal {
            Goal::Row(row) => {
                if let Some(place) = self.rows.get_mut(usize::from(row)) {
                    // An attribute stands once; of a repeated one the first counts.
                    place.get_or_insert(value);
                }
            }
            Goal::Within(row) => match self.within.iter_mut().find(|(known, _)| *known == row) {
                None => self.within.push((row, Some(value))),
                // Frames that disagree say nothing about the whole.
                Some((_, known)) if known.as_ref() != Some(&value) => *known = None,
                Some(_) => {}
            },
            Goal::Way | Goal::Item => {}
        }
    }

    /// What functional groups say counts where the top says nothing.
    pub(in crate::dicom) fn settle(&mut self) {
        for (row, value) in self.within.drain(..) {
            if let Some(place @ None) = self.rows.get_mut(usize::from(row)) {
                *place = value;
            }
        }
    }

    pub(in crate::dicom) fn text(&self, plan: &Plan, keyword: &str) -> Option<&str> {
        match self.rows.get(usize::from(plan.row(keyword)?))? {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(in crate::dicom) fn note(&mut self, finding: Finding) {
        value::note(&mut self.findings, finding);
    }

    /// Whether text of that length may still be kept.
    pub(in crate::dicom) fn affords(&mut self, keyword: Keyword, length: usize) -> bool {
        self.kept += length;
        let affords = self.kept <= self.limits.budget;
        if !affords {
            self.note(Finding::new("value-too-long", keyword.as_str(), ""));
        }
        affords
    }
}

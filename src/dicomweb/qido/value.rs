//! The values that a search compares and returns.

use super::table::{Attribute, Value};
use crate::imaging::{Attributes, Instance, Series, Study};

/// What a row of an answer is about.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) base: &'a str,
    /// Names of the sources that are tables: they hold no images.
    pub(super) tables: &'a [String],
    pub(super) study: &'a Study,
    pub(super) series: Option<&'a Series>,
    pub(super) instance: Option<&'a Instance>,
}

impl Subject<'_> {
    fn has_images(&self) -> bool {
        !self.tables.contains(&self.study.source)
    }

    /// The bag that the attribute is a part of, and its keyword there.
    pub(super) fn bag(&self, row: &Attribute) -> Option<&Attributes> {
        match row.value {
            Value::Patient => Some(&self.study.patient.attributes),
            Value::Study => Some(&self.study.attributes),
            Value::Series => self.series.map(|series| &series.attributes),
            _ => None,
        }
    }

    /// The values of a row, as text.
    pub(super) fn texts(&self, row: &Attribute) -> Vec<String> {
        if let Some(bag) = self.bag(row) {
            return match row.keyword.split_once('.') {
                None => bag.texts(&row.keyword).map(str::to_owned).collect(),
                Some((sequence, keyword)) => bag
                    .items(sequence)
                    .iter()
                    .flat_map(|item| item.texts(keyword).map(str::to_owned).collect::<Vec<_>>())
                    .collect(),
            };
        }
        let one = |text: String| vec![text];
        let number = |number: Option<u32>| number.iter().map(ToString::to_string).collect();
        let study = self.study;
        let path = |level: Value| {
            let mut path = format!("{}/studies/{}", self.base, study.uid);
            if let Some(series) = self.series.filter(|_| level != Value::StudyUrl) {
                path.push_str(&format!("/series/{}", series.uid));
                if let Some(instance) = self.instance.filter(|_| level == Value::InstanceUrl) {
                    path.push_str(&format!("/instances/{}", instance.uid));
                }
            }
            one(path)
        };
        let sorted = |mut all: Vec<String>| {
            all.sort();
            all.dedup();
            all
        };
        match (row.value, self.series, self.instance) {
            (Value::Patient | Value::Study | Value::Series, _, _) => Vec::new(),
            (Value::Charset, _, _) => one("ISO_IR 192".to_owned()),
            (Value::Availability, _, _) => {
                one(if self.has_images() { "ONLINE".to_owned() } else { "UNAVAILABLE".to_owned() })
            }
            (Value::Modalities, _, _) => sorted(
                study
                    .series
                    .iter()
                    .filter_map(|series| series.attributes.first("Modality"))
                    .map(str::to_owned)
                    .collect(),
            ),
            (Value::StudyUid, _, _) => one(study.uid.to_string()),
            (Value::StudyUrl | Value::SeriesUrl | Value::InstanceUrl, _, _) => {
                if self.has_images() { path(row.value) } else { Vec::new() }
            }
            (Value::SeriesCount, _, _) => one(study.series.len().to_string()),
            (Value::StudyInstanceCount, _, _) => one(study.images().to_string()),
            (Value::StudyClasses, _, _) => sorted(
                study
                    .series
                    .iter()
                    .flat_map(|series| series.sop_classes.iter().map(ToString::to_string))
                    .collect(),
            ),
            (Value::SeriesUid, Some(series), _) => one(series.uid.to_string()),
            (Value::SeriesInstanceCount, Some(series), _) => one(series.images.to_string()),
            (Value::ClassUid, _, Some(instance)) => one(instance.sop_class.to_string()),
            (Value::InstanceUid, _, Some(instance)) => one(instance.uid.to_string()),
            (Value::InstanceNumber, _, Some(instance)) => number(instance.number),
            (Value::Rows, _, Some(instance)) => number(instance.rows),
            (Value::Columns, _, Some(instance)) => number(instance.columns),
            (Value::Frames, _, Some(instance)) => number(instance.frames),
            (Value::Syntax, _, Some(instance)) => {
                instance.transfer_syntax.iter().map(ToString::to_string).collect()
            }
            (
                Value::SeriesUid
                | Value::SeriesInstanceCount
                | Value::ClassUid
                | Value::InstanceUid
                | Value::InstanceNumber
                | Value::Rows
                | Value::Columns
                | Value::Frames
                | Value::Syntax,
                _,
                _,
            ) => Vec::new(),
        }
    }
}

//! The columns that a mapping reads, with their values in the current row.

use std::borrow::Cow;

use super::rows::Cell;
use super::transform::Step;
use crate::imaging::{Finding, Keyword, Uid};
use crate::mapping::tables::Level;

/// A column that is read, and its value in the current row.
pub(super) struct Slot {
    pub(super) text: String,
    pub(super) is_present: bool,
    /// The value differs from that of the row before.
    pub(super) is_new: bool,
    /// The bytes were no UTF-8.
    pub(super) is_foreign: bool,
    /// Its number matters.
    pub(super) is_number: bool,
    /// Its text matters.
    pub(super) is_text: bool,
    pub(super) number: f64,
}

impl Slot {
    pub(super) fn load(&mut self, cell: Cell<'_>, is_first: bool) {
        let is_foreign = matches!(cell, Cell::Foreign(_));
        match cell {
            Cell::Absent => {
                self.is_new = self.is_present || is_first;
                self.is_present = false;
                self.is_foreign = false;
                self.number = f64::NAN;
                self.text.clear();
            }
            Cell::Bytes(bytes) | Cell::Foreign(bytes) => {
                // What was decoded from other bytes may look like these.
                self.is_new = is_first
                    || !self.is_present
                    || self.is_foreign != is_foreign
                    || self.text.as_bytes() != bytes;
                self.is_present = true;
                if !self.is_new {
                    return;
                }
                self.text.clear();
                let text = if is_foreign { None } else { std::str::from_utf8(bytes).ok() };
                if let Some(text) = text {
                    self.text.push_str(text);
                    self.is_foreign = false;
                } else {
                    // A table in an older encoding that says that it is UTF-8.
                    let (text, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes);
                    self.text.push_str(&text);
                    self.is_foreign = true;
                }
                if self.is_number {
                    self.number = self.text.trim().parse().unwrap_or(f64::NAN);
                }
            }
            // Counts and sizes below 2^53 are exact.
            #[expect(clippy::cast_precision_loss)]
            Cell::Integer(number) => self.load_number(number as f64, &number, is_first),
            Cell::Real(number) => self.load_number(number, &number, is_first),
        }
    }

    pub(super) fn load_number(
        &mut self,
        number: f64,
        text: &dyn std::fmt::Display,
        is_first: bool,
    ) {
        use std::fmt::Write as _;
        self.is_new = is_first || !self.is_present || self.number.to_bits() != number.to_bits();
        self.is_present = true;
        self.is_foreign = false;
        self.number = number;
        if self.is_new && self.is_text {
            self.text.clear();
            // Writing to a string cannot fail.
            let _ = write!(self.text, "{text}");
        }
    }
}

/// An attribute that a column fills.
pub(super) struct Field {
    pub(super) slot: usize,
    pub(super) lookup: Option<(usize, usize)>,
    pub(super) column: String,
    pub(super) keyword: Keyword,
    pub(super) level: Level,
    pub(super) names_person: bool,
    pub(super) steps: Vec<Step>,
    pub(super) absent: Option<&'static str>,
    pub(super) value: String,
    pub(super) findings: Vec<Finding>,
    pub(super) is_new: bool,
}

impl Field {
    pub(super) fn update(&mut self, text: &str, is_foreign: bool) {
        self.findings.clear();
        self.value.clear();
        let shown = if self.names_person { "" } else { text };
        let mut find = |code: &'static str| {
            self.findings.push(Finding::new(code, self.keyword.as_str(), shown));
        };
        if text.trim().is_empty() {
            if let Some(code) = self.absent {
                if code == "row-incomplete" {
                    self.findings.push(Finding {
                        code: Cow::Borrowed(code),
                        attribute: Cow::Owned(self.column.clone()),
                        value: String::new(),
                    });
                } else {
                    find(code);
                }
            }
            return;
        }
        if is_foreign {
            find("charset-undeclared");
        }
        self.value.push_str(text);
        for step in &self.steps {
            if let Some(code) = step.apply(&mut self.value) {
                find(code);
            }
            if self.value.is_empty() {
                break;
            }
        }
    }
}

pub(super) struct UidSlot {
    pub(super) slot: usize,
    pub(super) uid: Option<Uid>,
    pub(super) finding: Option<Finding>,
}

impl UidSlot {
    pub(super) fn update(&mut self, text: &str) {
        self.finding = None;
        self.uid = Uid::parse(text).ok();
        if self.uid.is_none() {
            self.uid = Uid::parse_lenient(text).ok();
            if self.uid.is_some() {
                self.finding = Some(Finding::new("uid-not-standard", "", text.trim()));
            }
        }
    }
}

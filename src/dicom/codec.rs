//! Records between the processes of one program: what a worker answers.
//!
//! Both ends have the same plan, so keywords are numbers of its list. What comes from a worker
//! is not trusted: it has read hostile files.

use super::plan::Plan;
use super::read::Outcome;
use crate::imaging::{
    Attributes, FINDING_KINDS, Finding, Instance, Keyword, PatientKey, Quarantine, Record, Report,
    Uid, Value,
};

/// How deep items may nest, as in the table of attributes.
const DEPTH: usize = 16;

/// Appends the outcome.
pub(super) fn encode(plan: &Plan, outcome: &Outcome, out: &mut Vec<u8>) {
    match outcome {
        Outcome::NotDicom => out.push(0),
        Outcome::Record(record) => {
            out.push(1);
            encode_record(plan, record, out);
        }
        Outcome::Quarantined(reason) => {
            out.push(2);
            put_text(out, &reason.code);
            put_text(out, &reason.path);
            put(out, reason.offset.map_or(0, |offset| offset.saturating_add(1)));
            put_text(out, &reason.detail);
        }
    }
}

fn encode_record(plan: &Plan, record: &Record, out: &mut Vec<u8>) {
    put_text(out, &record.patient_key.issuer);
    put_text(out, &record.patient_key.id);
    put_text(out, record.study_uid.as_str());
    put_text(out, record.series_uid.as_str());
    for bag in [&record.patient, &record.study, &record.series] {
        encode_bag(plan, bag, out);
    }
    let packed = record
        .instance
        .as_ref()
        .map_or_else(Vec::new, |instance| Instance::pack(std::slice::from_ref(instance)));
    put(out, packed.len() as u64);
    out.extend_from_slice(&packed);
    let report = record.report.as_ref().map_or_else(Vec::new, |report| report.pack());
    put(out, report.len() as u64);
    out.extend_from_slice(&report);
    put(out, record.bytes);
    put(out, record.findings.len() as u64);
    for finding in &record.findings {
        put_text(out, &finding.code);
        put_text(out, &finding.attribute);
        put_text(out, &finding.value);
    }
}

fn encode_bag(plan: &Plan, bag: &Attributes, out: &mut Vec<u8>) {
    put(out, bag.iter().count() as u64);
    let mut from = 0;
    for (keyword, value) in bag.iter() {
        // Both are sorted, and equal keywords are the same text of the dictionary.
        let rest = plan.keywords.get(from..).unwrap_or_default();
        let is_same = |known: &Keyword| std::ptr::eq(known.as_str(), keyword.as_str());
        let number = match rest.iter().position(is_same) {
            Some(ahead) => from + ahead,
            // A keyword outside the plan cannot be: the plan made the bag.
            None => plan.keywords.binary_search(&keyword).unwrap_or(usize::MAX),
        };
        from = number.saturating_add(1);
        put(out, number as u64);
        match value {
            Value::Text(text) => {
                put(out, (text.len() as u64) << 1);
                out.extend_from_slice(text.as_bytes());
            }
            Value::Items(items) => {
                put(out, (items.len() as u64) << 1 | 1);
                for item in items {
                    encode_bag(plan, item, out);
                }
            }
        }
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads an outcome; `None` when the bytes are none. `origin` is put into the record.
pub(super) fn decode(plan: &Plan, bytes: &[u8], origin: &str) -> Option<Outcome> {
    let mut input = Bytes(bytes);
    let outcome = match input.byte()? {
        0 => Outcome::NotDicom,
        1 => Outcome::Record(Box::new(input.record(plan, origin)?)),
        2 => Outcome::Quarantined(Quarantine {
            code: input.text()?.to_owned(),
            path: input.text()?.to_owned(),
            offset: input.number()?.checked_sub(1),
            detail: input.text()?.to_owned(),
        }),
        _ => return None,
    };
    input.0.is_empty().then_some(outcome)
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(head)
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.number()?;
        std::str::from_utf8(self.take(length)?).ok()
    }

    fn uid(&mut self) -> Option<Uid> {
        Uid::parse_lenient(self.text()?).ok()
    }

    fn bag(&mut self, plan: &Plan, depth: usize) -> Option<Attributes> {
        if depth > DEPTH {
            return None;
        }
        let count = self.number()?;
        let mut bag: Vec<(Keyword, Value)> = Vec::new();
        for _ in 0..count {
            let number = usize::try_from(self.number()?).ok()?;
            let keyword = *plan.keywords.get(number)?;
            let length = self.number()?;
            let value = if length & 1 == 0 {
                Value::Text(std::str::from_utf8(self.take(length >> 1)?).ok()?.into())
            } else {
                let mut items = Vec::new();
                for _ in 0..length >> 1 {
                    items.push(self.bag(plan, depth + 1)?);
                }
                Value::Items(items.into())
            };
            bag.push((keyword, value));
        }
        Some(bag.into_iter().collect())
    }

    fn record(&mut self, plan: &Plan, origin: &str) -> Option<Record> {
        let patient_key =
            PatientKey { issuer: self.text()?.to_owned(), id: self.text()?.to_owned() };
        let study_uid = self.uid()?;
        let series_uid = self.uid()?;
        let patient = self.bag(plan, 0)?;
        let study = self.bag(plan, 0)?;
        let series = self.bag(plan, 0)?;
        let packed = self.number()?;
        let instance = Instance::unpack(self.take(packed)?).ok()?.pop()?;
        let packed = self.number()?;
        let report = match self.take(packed)? {
            [] => None,
            packed => Some(Box::new(Report::unpack(packed).ok()?)),
        };
        let bytes = self.number()?;
        let mut findings = Vec::new();
        for _ in 0..self.number()? {
            let code = self.text()?;
            let kind = FINDING_KINDS.iter().find(|kind| kind.code == code)?;
            findings.push(Finding {
                code: kind.code.into(),
                attribute: self.text()?.to_owned().into(),
                value: self.text()?.to_owned(),
            });
        }
        Some(Record {
            patient_key,
            study_uid,
            series_uid,
            patient,
            study,
            series,
            instance: Some(instance),
            report,
            count: 1,
            bytes,
            sop_classes: Vec::new(),
            collection: None,
            licence: None,
            source_doi: None,
            origin: origin.to_owned(),
            findings,
        })
    }
}

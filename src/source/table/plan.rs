//! A mapping resolved against the columns of a file: rows become records.

use std::borrow::Cow;
use std::collections::HashMap;

use super::rows::{Row, Rows, text_of};
use super::slots::{Field, Slot, UidSlot};
use super::transform::Step;
use super::{Digest, LARGEST_LOOKUP, Table, unreadable};
use crate::error::Result;
use crate::imaging::{Attributes, Finding, Instance, Keyword, Laterality, PatientKey, Record, Uid};
use crate::mapping::tables::{Action, Format, Level, level_of};
use crate::source::Quarantine;

struct Join {
    slot: usize,
    /// Columns of the further table that are used.
    columns: Vec<String>,
    rows: HashMap<String, Vec<String>>,
    /// Where the current row's key was found.
    current: Vec<String>,
    is_new: bool,
}

struct Rule {
    slot: usize,
    lookup: Option<(usize, usize)>,
    values: Vec<String>,
    column: String,
    action: Action,
    finding: Option<&'static str>,
}

/// A mapping resolved against the columns of a file, and the state of the current row.
pub(super) struct Plan {
    pub(super) names: Vec<String>,
    slots: Vec<Slot>,
    scratch: String,
    patient: usize,
    issuer: Option<usize>,
    constant_issuer: String,
    study: UidSlot,
    series: UidSlot,
    instance: Option<UidSlot>,
    sop_class: Option<usize>,
    sop_classes: Vec<Uid>,
    count: Option<usize>,
    bytes: Option<(usize, f64)>,
    collection: Option<usize>,
    licence: Option<usize>,
    source_doi: Option<usize>,
    fields: Vec<Field>,
    joins: Vec<Join>,
    rules: Vec<Rule>,
    bags: [Attributes; 3],
    patient_id: Option<Keyword>,
    is_first: bool,
}

pub(super) fn refused(code: &str, path: &str, detail: String) -> Quarantine {
    Quarantine { code: code.to_owned(), path: path.to_owned(), offset: None, detail }
}

fn known(code: Option<&str>) -> Option<&'static str> {
    let code = code?;
    crate::imaging::FINDING_KINDS.iter().find(|kind| kind.code == code).map(|kind| kind.code)
}

impl Plan {
    pub(super) fn new(table: &Table, columns: &[String]) -> Result<Self> {
        let mapping = &*table.mapping;
        let mut names: Vec<String> = Vec::new();
        let mut slot = |column: &toml::Spanned<String>, key: &str| -> Result<usize> {
            let name = column.get_ref();
            if !columns.contains(name) {
                return Err(table.wrong(
                    column.span().start,
                    key,
                    &format!("{} has no column `{name}`", table.path.display()),
                    &format!("its columns are {}", columns.join(", ")),
                ));
            }
            Ok(names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name.clone());
                names.len() - 1
            }))
        };
        let mut optional = |column: &Option<toml::Spanned<String>>, key: &str| {
            column.as_ref().map(|column| slot(column, key)).transpose()
        };
        let issuer = optional(&mapping.identity.issuer.column, "identity.issuer")?;
        let sop_class = optional(&mapping.identity.sop_class, "identity.sop-class")?;
        let instance = optional(&mapping.identity.instance, "identity.instance")?;
        let count = optional(&mapping.size.instances, "size.instances")?;
        let collection = optional(&mapping.dataset.collection, "dataset.collection")?;
        let licence = optional(&mapping.dataset.licence, "dataset.licence")?;
        let source_doi = optional(&mapping.dataset.source_doi, "dataset.source-doi")?;
        let bytes = match &mapping.size.bytes {
            Some(row) => Some((slot(&row.column, "size.bytes")?, row.factor)),
            None => None,
        };
        let of = |slot| UidSlot { slot, uid: None, finding: None };
        let patient = slot(&mapping.identity.patient, "identity.patient")?;
        let study = of(slot(&mapping.identity.study, "identity.study")?);
        let series = of(slot(&mapping.identity.series, "identity.series")?);

        let mut joins = Vec::new();
        for lookup in &mapping.lookups {
            joins.push(Join {
                slot: slot(&lookup.column, "lookup.column")?,
                columns: Vec::new(),
                rows: HashMap::new(),
                current: Vec::new(),
                is_new: true,
            });
        }
        // Where a value stands: in a column of the table, or in one of a lookup.
        let mut place = |column: &toml::Spanned<String>,
                         lookup: &Option<toml::Spanned<String>>,
                         key: &str|
         -> Result<(usize, Option<(usize, usize)>)> {
            let Some(name) = lookup else { return Ok((slot(column, key)?, None)) };
            let at = mapping.lookups.iter().position(|row| row.name == *name.get_ref());
            let Some((at, join)) = at.and_then(|at| Some((at, joins.get_mut(at)?))) else {
                return Err(table.wrong(name.span().start, "lookup", "is not known", "name one"));
            };
            let name = column.get_ref();
            let index = join.columns.iter().position(|known| known == name).unwrap_or_else(|| {
                join.columns.push(name.clone());
                join.columns.len() - 1
            });
            Ok((join.slot, Some((at, index))))
        };

        let mut fields = Vec::new();
        let mut bags: [Attributes; 3] = Default::default();
        for row in &mapping.attributes {
            if row.optional && row.lookup.is_none() && !columns.contains(row.column.get_ref()) {
                continue;
            }
            let (slot, lookup) = place(&row.column, &row.lookup, "attribute.column")?;
            let Ok(keyword) = Keyword::parse(row.keyword.get_ref()) else { continue };
            let Some(level) = row.level.or_else(|| level_of(keyword.as_str())) else { continue };
            fields.push(Field {
                slot,
                lookup,
                column: row.column.get_ref().clone(),
                keyword,
                level,
                names_person: level == Level::Patient
                    && !matches!(keyword.as_str(), "PatientSex" | "PatientSpeciesDescription"),
                steps: row.transforms.iter().map(Step::new).collect(),
                absent: known(row.absent.as_ref().map(|code| code.get_ref().as_str())),
                value: String::new(),
                findings: Vec::new(),
                is_new: true,
            });
        }
        let mut rules = Vec::new();
        for row in &mapping.rules {
            let (slot, lookup) = place(&row.column, &row.lookup, "rule.column")?;
            rules.push(Rule {
                slot,
                lookup,
                values: row.values.clone(),
                column: row.column.get_ref().clone(),
                action: row.action,
                finding: known(row.finding.as_ref().map(|code| code.get_ref().as_str())),
            });
        }
        for row in &mapping.constants {
            let Ok(keyword) = Keyword::parse(row.keyword.get_ref()) else { continue };
            let level = row.level.or_else(|| level_of(keyword.as_str()));
            if let Some(bag) = level.and_then(bag_of).and_then(|at| bags.get_mut(at)) {
                bag.set(keyword, &row.value);
            }
        }
        let numbers = [count, bytes.map(|(slot, _)| slot)];
        let slots = (0..names.len())
            .map(|at| Slot {
                text: String::new(),
                is_present: false,
                is_new: true,
                is_foreign: false,
                is_number: numbers.contains(&Some(at)),
                is_text: !numbers.contains(&Some(at))
                    || fields.iter().any(|field| field.slot == at)
                    || rules.iter().any(|rule| rule.slot == at),
                number: f64::NAN,
            })
            .collect();
        Ok(Self {
            names,
            slots,
            scratch: String::new(),
            patient,
            issuer,
            constant_issuer: mapping.identity.issuer.constant.clone().unwrap_or_default(),
            study,
            series,
            instance: instance.map(of),
            sop_class,
            sop_classes: Vec::new(),
            count,
            bytes,
            collection,
            licence,
            source_doi,
            fields,
            joins,
            rules,
            bags,
            patient_id: Keyword::parse("PatientID").ok(),
            is_first: true,
        })
    }

    /// Reads the further tables into memory.
    pub(super) fn read_lookups(&mut self, table: &Table) -> Result<()> {
        for (lookup, join) in table.mapping.lookups.iter().zip(&mut self.joins) {
            let path = table.lookup_path(lookup);
            if lookup.optional && !path.is_file() {
                tracing::warn!(file = %path.display(), "a lookup of the mapping is not there");
                continue;
            }
            let is_csv = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
            let format = if is_csv { Format::Csv } else { Format::Parquet };
            let mut rows = Rows::open(&path, format, &table.mapping.csv)?;
            let mut names = vec![lookup.key.clone()];
            names.extend(join.columns.iter().cloned());
            let columns = rows.columns();
            if let Some(missing) = names.iter().find(|name| !columns.contains(name)) {
                return Err(table.wrong(
                    lookup.column.span().start,
                    "lookup",
                    &format!("{} has no column `{missing}`", path.display()),
                    &format!("its columns are {}", columns.join(", ")),
                ));
            }
            rows.choose(&names)?;
            let mut scratch = String::new();
            rows.each(|row| {
                let Ok(row) = row else { return Ok(()) };
                let values: Vec<String> =
                    (0..names.len()).map(|at| text_of(row.cell(at, &mut scratch))).collect();
                if join.rows.len() >= LARGEST_LOOKUP {
                    return Err(unreadable(&path, "a lookup of more than a million rows"));
                }
                if let Some((key, rest)) = values.split_first() {
                    join.rows.entry(key.clone()).or_insert_with(|| rest.to_vec());
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Reads the row's columns and brings everything that follows from them up to date.
    fn load(&mut self, row: &Row<'_>) {
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let cell = row.cell(at, &mut self.scratch);
            slot.load(cell, self.is_first);
        }
        for join in &mut self.joins {
            let Some(slot) = self.slots.get(join.slot) else { continue };
            join.is_new = slot.is_new;
            if slot.is_new {
                join.current.clear();
                if let Some(values) = join.rows.get(slot.text.trim()) {
                    join.current.extend(values.iter().cloned());
                }
            }
        }
        for field in &mut self.fields {
            let Some(slot) = self.slots.get(field.slot) else { continue };
            field.is_new = slot.is_new;
            if slot.is_new {
                let text = match field.lookup {
                    None => slot.text.as_str(),
                    Some((join, at)) => self
                        .joins
                        .get(join)
                        .and_then(|join| join.current.get(at))
                        .map_or("", String::as_str),
                };
                field.update(text, slot.is_foreign && field.lookup.is_none());
            }
        }
        for uid in [&mut self.study, &mut self.series].into_iter().chain(self.instance.as_mut()) {
            if let Some(slot) = self.slots.get(uid.slot).filter(|slot| slot.is_new) {
                uid.update(&slot.text);
            }
        }
        if let Some(slot) = self.sop_class.and_then(|slot| self.slots.get(slot))
            && slot.is_new
        {
            let classes = slot.text.split(['\\', ',']);
            self.sop_classes = classes.filter_map(|uid| Uid::parse_lenient(uid).ok()).collect();
        }
        self.is_first = false;
    }

    fn text(&self, slot: usize) -> &str {
        self.slots.get(slot).map_or("", |slot| slot.text.trim())
    }

    fn optional(&self, slot: Option<usize>) -> Option<String> {
        let text = self.text(slot?);
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn column(&self, slot: usize) -> &str {
        self.names.get(slot).map_or("", String::as_str)
    }

    pub(super) fn record(&mut self, row: &Row<'_>, number: u64) -> Result<Record, Quarantine> {
        self.load(row);
        self.update_bags();

        let mut findings = Vec::new();
        for rule in &self.rules {
            let text = match rule.lookup {
                None => self.text(rule.slot),
                Some((join, at)) => self
                    .joins
                    .get(join)
                    .and_then(|join| join.current.get(at))
                    .map_or("", |text| text.trim()),
            };
            if !rule.values.iter().any(|value| value == text) {
                continue;
            }
            match (rule.action, rule.finding) {
                (Action::Skip, _) => {
                    let detail = "the mapping leaves rows with this value out".to_owned();
                    return Err(refused("left-out-by-mapping", &rule.column, detail));
                }
                (Action::Flag, Some(code)) => findings.push(Finding {
                    code: Cow::Borrowed(code),
                    attribute: Cow::Owned(rule.column.clone()),
                    value: text.chars().take(64).collect(),
                }),
                (Action::Flag, None) => {}
            }
        }
        for slot in std::iter::once(self.patient).chain(self.issuer).chain(self.collection) {
            if self.slots.get(slot).is_some_and(|slot| slot.is_foreign) {
                let detail = "the cell tells whose row it is, and is no text in the declared encoding; \
                              say in `csv.encoding` of the mapping how the file is written";
                return Err(refused("row-broken", self.column(slot), detail.to_owned()));
            }
        }
        let study_uid = self.uid(&self.study, "study")?;
        let series_uid = self.uid(&self.series, "series")?;
        let instance_uid = match &self.instance {
            Some(uid) => Some(self.uid(uid, "instance")?),
            None => None,
        };
        for uid in [&self.study, &self.series].into_iter().chain(self.instance.as_ref()) {
            findings.extend(uid.finding.clone());
        }
        let count = self.count(instance_uid.is_some())?;
        let bytes = self.bytes.map_or(0, |(slot, factor)| {
            let size = self.slots.get(slot).map_or(f64::NAN, |slot| slot.number) * factor;
            // `as` saturates and turns NaN into 0, which is what is wanted of a size.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let size = size.round() as u64;
            size
        });
        for field in &self.fields {
            findings.extend(field.findings.iter().cloned());
        }
        let id = self.text(self.patient);
        let issuer = self.issuer.map_or(self.constant_issuer.as_str(), |slot| self.text(slot));
        let patient_key = PatientKey {
            issuer: issuer.to_owned(),
            id: if id.is_empty() { format!("study:{study_uid}") } else { id.to_owned() },
        };
        if id.is_empty() {
            findings.push(Finding::new("patient-id-missing", "PatientID", ""));
        }
        let instance = match instance_uid {
            Some(uid) => Some(self.instance(uid, bytes)?),
            None => None,
        };
        let [patient, study, series] = self.bags.clone();
        Ok(Record {
            patient_key,
            study_uid,
            series_uid,
            patient,
            study,
            series,
            sop_classes: if instance.is_some() { Vec::new() } else { self.sop_classes.clone() },
            instance,
            report: None,
            count,
            bytes,
            collection: self.optional(self.collection),
            licence: self.optional(self.licence),
            source_doi: self.optional(self.source_doi),
            origin: format!("row {number}"),
            findings,
        })
    }

    /// Only what changed since the row before is written into the bags.
    fn update_bags(&mut self) {
        for field in self.fields.iter().filter(|field| field.is_new) {
            if let Some(bag) = bag_of(field.level).and_then(|at| self.bags.get_mut(at)) {
                bag.set(field.keyword, &field.value);
            }
        }
        let [patient, ..] = &mut self.bags;
        if let (Some(keyword), Some(slot)) = (self.patient_id, self.slots.get(self.patient))
            && slot.is_new
        {
            patient.set(keyword, &slot.text);
        }
    }

    fn uid(&self, uid: &UidSlot, level: &str) -> Result<Uid, Quarantine> {
        uid.uid.clone().ok_or_else(|| {
            let text = self.text(uid.slot);
            let (code, detail) = if text.is_empty() {
                ("uid-missing", format!("the row has no {level} UID"))
            } else {
                ("uid-invalid", format!("the {level} UID is no UID (PS3.5 section 9.1)"))
            };
            refused(code, self.column(uid.slot), detail)
        })
    }

    fn count(&self, is_instance: bool) -> Result<u32, Quarantine> {
        let Some(slot) = self.count.filter(|_| !is_instance) else { return Ok(1) };
        let number = self.slots.get(slot).map_or(f64::NAN, |slot| slot.number);
        if number.fract() == 0.0 && number >= 1.0 && number <= f64::from(u32::MAX) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let count = number as u32;
            return Ok(count);
        }
        let detail = "the number of instances is not a whole number above 0".to_owned();
        Err(refused("count-broken", self.column(slot), detail))
    }

    fn instance(&self, uid: Uid, bytes: u64) -> Result<Instance, Quarantine> {
        let column = self.sop_class.map_or("", |slot| self.column(slot));
        let sop_class = self.sop_classes.first().cloned().ok_or_else(|| {
            refused("sop-class-missing", column, "the row has no usable SOP class".to_owned())
        })?;
        let mut instance = Instance {
            uid,
            sop_class,
            number: None,
            frames: None,
            rows: None,
            columns: None,
            bytes,
            laterality: None,
            transfer_syntax: None,
            title: None,
            description: None,
            concept: None,
            digest: 0,
        };
        for field in self.fields.iter().filter(|field| field.level == Level::Instance) {
            let number = || field.value.trim().parse().ok();
            match field.keyword.as_str() {
                "InstanceNumber" => instance.number = number(),
                "NumberOfFrames" => instance.frames = number(),
                "Rows" => instance.rows = number(),
                "Columns" => instance.columns = number(),
                "ImageLaterality" => instance.laterality = Laterality::parse(&field.value),
                "TransferSyntaxUID" => {
                    instance.transfer_syntax = Uid::parse_lenient(&field.value).ok();
                }
                "ImageType" if !field.value.is_empty() => {
                    instance.title = Some(field.value.clone());
                }
                "ImageComments" | "ContentDescription" if !field.value.is_empty() => {
                    instance.description = Some(field.value.clone());
                }
                _ => {}
            }
        }
        let mut digest = Digest::default();
        for slot in &self.slots {
            digest.add(slot.text.as_bytes());
            digest.add(&slot.number.to_bits().to_le_bytes());
        }
        instance.digest = digest.0;
        Ok(instance)
    }
}

fn bag_of(level: Level) -> Option<usize> {
    match level {
        Level::Patient => Some(0),
        Level::Study => Some(1),
        Level::Series => Some(2),
        Level::Instance => None,
    }
}

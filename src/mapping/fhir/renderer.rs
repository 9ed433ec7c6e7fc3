//! Studies as bytes: what is written once per study, once per series, and once per make of series.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher};
use std::sync::Arc;

use serde_json::Value;

use super::study::Input;
use super::{View, go_on, head, is_deidentified, tidy, write, write_member, write_members};
use crate::imaging::{Attributes, Instance, Keyword, Series, Study, Value as Attribute};
use crate::mapping::Context;
use crate::mapping::element::{Element, Member, OF_ONE_SERIES};

/// A study without instances, and where they belong.
#[derive(Clone, Debug)]
pub struct RenderedStudy {
    /// The complete resource, but for `series.instance`.
    pub bytes: Arc<[u8]>,
    /// For each series, in order, the offset of the brace that closes it.
    series_ends: Box<[u32]>,
}

impl RenderedStudy {
    /// The resource with the instances of `study`, which must be the study that was rendered,
    /// loaded with them.
    #[must_use]
    pub fn with_instances(&self, context: &Context, study: &Study, view: View) -> Vec<u8> {
        let count: usize = study.series.iter().map(|series| series.instances.len()).sum();
        let mut out = Vec::with_capacity(self.bytes.len() + count * 300);
        let input = Input { context, view, study };
        let mut from = 0;
        for (series, end) in study.series.iter().zip(&self.series_ends) {
            let end = usize::try_from(*end).unwrap_or(usize::MAX);
            if series.instances.is_empty() {
                continue;
            }
            out.extend_from_slice(self.bytes.get(from..end).unwrap_or_default());
            from = end;
            out.extend_from_slice(b",\"instance\":");
            input.write_instances(&mut out, &series.instances);
        }
        out.extend_from_slice(self.bytes.get(from..).unwrap_or_default());
        out
    }
}

impl Input<'_> {
    fn write_instances(&self, out: &mut Vec<u8>, instances: &[Instance]) {
        out.push(b'[');
        for (at, instance) in instances.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.push(b'{');
            write_members(out, &self.context.0.tables.instance, self.view, |element| {
                self.instance(element, instance)
            });
            out.push(b'}');
        }
        out.push(b']');
    }
}

/// `ImagingStudy`, from a study that need not have its instances loaded.
#[must_use]
pub fn render_study(context: &Context, study: &Study, view: View) -> RenderedStudy {
    Renderer::new(context, view).render(study)
}

/// Renders studies one after another. Series of one make (the same device, body part, persons)
/// share most of their elements: what it has written of one make it copies for the next series.
#[derive(Debug)]
pub struct Renderer<'a> {
    context: &'a Context,
    view: View,
    /// Attributes that do not tell makes apart.
    passed_over: Vec<&'static str>,
    /// By the digest of the attributes that do.
    makes: HashMap<u64, Vec<Make>>,
    /// What they take, about.
    bytes: usize,
}

/// What series of one make have in common.
#[derive(Debug)]
struct Make {
    attributes: Attributes,
    /// For each member of a series, what is written, if it belongs to the make.
    members: Box<[Box<[u8]>]>,
}

/// So much is remembered.
const MOST_BYTES: usize = 8 << 20;

impl<'a> Renderer<'a> {
    /// For one rendering.
    #[must_use]
    pub fn new(context: &'a Context, view: View) -> Self {
        let table = &context.0.tables.series;
        let of_make = table.members.iter().filter(|member| member.is_of_make);
        let read: Vec<&String> = of_make
            .flat_map(|member| &member.places)
            .filter_map(|at| table.places.get(*at))
            .flat_map(|place| &place.element.dicom)
            .collect();
        let is_read = |keyword: &&str| read.iter().any(|read| read == keyword);
        let passed_over = OF_ONE_SERIES.into_iter().filter(|keyword| !is_read(keyword)).collect();
        Self { context, view, passed_over, makes: HashMap::new(), bytes: 0 }
    }

    /// The study, which need not have its instances loaded.
    #[must_use]
    pub fn render(&mut self, study: &Study) -> RenderedStudy {
        let input = Input { context: self.context, view: self.view, study };
        let mut members = Vec::with_capacity(1_024);
        let mut orders = Orders::default();
        write_members(&mut members, &self.context.0.tables.study, self.view, |element| {
            let mut values = input.study(element);
            orders.look(element, &mut values);
            values
        });
        let is_labelled = is_deidentified(&study.patient.attributes) || self.view != View::Care;
        let version = (study.version, study.updated);
        let mut head = head(self.context, "ImagingStudy", &study.public_id, version, is_labelled);
        if !orders.hold_to_profiles()
            && let Some(Value::Object(meta)) = head.get_mut("meta")
        {
            meta.remove("profile");
        }
        let mut out = Vec::with_capacity(members.len() + 512 + study.series.len() * 1_024);
        write(&mut out, &head);
        out.pop();
        if !members.is_empty() {
            go_on(&mut out);
            out.extend_from_slice(&members);
        }
        let mut series_ends = Vec::with_capacity(study.series.len());
        for (at, series) in study.series.iter().enumerate() {
            out.extend_from_slice(if at == 0 { b",\"series\":[{" } else { b",{" });
            self.write_series(&mut out, &input, series);
            series_ends.push(u32::try_from(out.len()).unwrap_or(u32::MAX));
            out.push(b'}');
        }
        if !study.series.is_empty() {
            out.push(b']');
        }
        out.push(b'}');
        RenderedStudy { bytes: out.into(), series_ends: series_ends.into() }
    }

    fn write_series(&mut self, out: &mut Vec<u8>, input: &Input<'_>, series: &Series) {
        let view = self.view;
        let table = &self.context.0.tables.series;
        let mut value = |element: &Element| input.series(element, series);
        let make = self.make(input, series);
        for (member, made) in table.members.iter().zip(&make.members) {
            let before = out.len();
            go_on(out);
            let begin = out.len();
            if member.is_of_make {
                out.extend_from_slice(made);
            } else {
                write_member(out, table, member, view, &mut value);
            }
            if out.len() == begin {
                out.truncate(before);
            }
        }
    }

    /// What the make of a series has in common.
    fn make(&mut self, input: &Input<'_>, series: &Series) -> &Make {
        let Self { context, view, passed_over, makes, bytes } = self;
        let of_series = telling(&series.attributes, passed_over);
        let mut digest = Digest::default();
        of_series.for_each(|(keyword, value)| (keyword.as_str(), value).hash(&mut digest));
        if *bytes >= MOST_BYTES {
            makes.clear();
            *bytes = 0;
        }
        let alike = makes.entry(digest.finish()).or_default();
        let is_known =
            |make: &Make| make.attributes.iter().eq(telling(&series.attributes, passed_over));
        let known = alike.iter().position(is_known);
        let at = known.unwrap_or_else(|| {
            let table = &context.0.tables.series;
            let write = |member: &Member| {
                let mut out = Vec::new();
                if member.is_of_make {
                    let mut value = |element: &Element| input.series(element, series);
                    write_member(&mut out, table, member, *view, &mut value);
                }
                out.into_boxed_slice()
            };
            let members: Box<[Box<[u8]>]> = table.members.iter().map(write).collect();
            *bytes += members.iter().map(|member| member.len()).sum::<usize>();
            *bytes += digest.length + size_of::<Make>();
            let of_make = telling(&series.attributes, passed_over);
            let attributes = of_make.map(|(keyword, value)| (keyword, value.clone())).collect();
            alike.push(Make { attributes, members });
            alike.len() - 1
        });
        &alike[at]
    }
}

/// The attributes that tell makes apart.
fn telling<'s>(
    series: &'s Attributes,
    passed_over: &[&'static str],
) -> impl Iterator<Item = (Keyword, &'s Attribute)> {
    series.iter().filter(|(keyword, _)| !passed_over.contains(&keyword.as_str()))
}

/// A digest that counts what it takes in.
#[derive(Default)]
struct Digest {
    of: DefaultHasher,
    length: usize,
}

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.of.finish()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.length += bytes.len();
        self.of.write(bytes);
    }
}

/// The orders of a study.
#[derive(Default)]
struct Orders {
    count: usize,
    is_unnumbered: bool,
}

impl Orders {
    fn look(&mut self, element: &Element, values: &mut Vec<Value>) {
        if element.r4 == "ImagingStudy.basedOn[]" {
            values.retain_mut(tidy);
            self.count += values.len();
            self.is_unnumbered |= values.iter().any(|order| order.get("identifier").is_none());
        }
    }

    /// Whether a study can be what HL7 Europe Imaging takes: one order at most, with an accession
    /// number. MADO's group case, and an order that only its placer numbered, are studies all the
    /// same.
    const fn hold_to_profiles(&self) -> bool {
        self.count == 0 || (self.count == 1 && !self.is_unnumbered)
    }
}

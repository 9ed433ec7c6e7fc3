//! The series and instances of `ImagingStudy`.

use serde_json::{Map, Value, json};

use super::deployment::ORGANISATION_ID;
use super::study::{Input, endpoint};
use super::{absent, clean, text_of, unsigned};
use crate::imaging::{Attributes, Instance, Series};
use crate::mapping::agent::{Device, Institution};
use crate::mapping::body::{body_site, side, side_code};
use crate::mapping::codes::{self, DCM};
use crate::mapping::element::{Element, Transform};
use crate::mapping::facts::{PERFORMERS, moment};
use crate::mapping::person::persons;
use crate::mapping::profiles::{ExtensionName, Switch};

/// SOP class of Key Object Selection documents (PS3.4 annex B.5).
const KEY_OBJECT_SELECTION: &str = "1.2.840.10008.5.1.4.1.1.88.59";

impl Input<'_> {
    pub(super) fn series(&self, element: &Element, series: &Series) -> Vec<Value> {
        let context = self.context;
        let bag = &series.attributes;
        match element.transform {
            Transform::SeriesUid => vec![self.uid(element, series.uid.as_str()).into()],
            Transform::SeriesNumber => bag
                .first(element.keyword())
                .and_then(unsigned)
                .map(Value::from)
                .into_iter()
                .collect(),
            Transform::Modality => vec![match codes::modality(bag) {
                Some(code) => self.modality(code),
                None => json!({ "extension": [absent("unknown")] }),
            }],
            Transform::SeriesText => text_of(bag, element.keyword()),
            Transform::SeriesInstances => vec![series.images.into()],
            Transform::Endpoint => endpoint(),
            Transform::BodySite => self.site(element, bag).into_iter().collect(),
            Transform::Laterality => {
                let site = body_site(context, bag);
                side(bag, site.as_ref())
                    .and_then(|side| side_code(context, side))
                    .map(|(code, display)| {
                        let system = &context.0.tables.body.system;
                        json!({ "system": system, "code": code, "display": display })
                    })
                    .into_iter()
                    .collect()
            }
            Transform::Specimen => {
                let system = context.local_system("specimen", "");
                bag.items(element.keyword())
                    .iter()
                    .filter_map(|item| item.first("SpecimenIdentifier").and_then(clean))
                    .map(|id| {
                        json!({
                            "type": "Specimen",
                            "identifier": { "system": system, "value": id },
                        })
                    })
                    .collect()
            }
            Transform::SeriesStarted => self.started(
                element,
                moment(context, &self.study.attributes, bag, "SeriesDate", "SeriesTime"),
            ),
            Transform::PerformingPhysician => self.performers(bag, element, true),
            Transform::Operator => {
                let [(name, sequence), _] = PERFORMERS;
                let is_alone = persons(context, bag, name, sequence).is_empty();
                self.performers(bag, element, is_alone)
            }
            Transform::Device => Device::of(bag)
                .map(|device| self.device(&device, self.codes_only(element)))
                .map(|actor| performer("DEV", "device", actor))
                .into_iter()
                .collect(),
            Transform::Custodian => vec![performer(
                "CST",
                "custodian",
                json!({
                    "reference": format!("Organization/{ORGANISATION_ID}"),
                    "type": "Organization",
                }),
            )],
            Transform::Institution => self
                .institution(bag)
                .map(|actor| performer("LOC", "location", actor))
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The institution as a logical reference.
    fn institution(&self, series: &Attributes) -> Option<Value> {
        let mut actor = Map::new();
        actor.insert("type".to_owned(), "Organization".into());
        if let Some(institution) = Institution::of(self.context, series) {
            let (system, value) = institution.identifier();
            actor.insert("identifier".to_owned(), json!({ "system": system, "value": value }));
        }
        if let Some(display) = series.text("InstitutionName").and_then(clean) {
            actor.insert("display".to_owned(), display.into_owned().into());
        }
        (actor.len() > 1).then_some(Value::Object(actor))
    }

    /// Persons in their roles. HL7 Europe Imaging takes one performer of a series (slice PRF);
    /// all others are secondary performers.
    fn performers(&self, bag: &Attributes, element: &Element, is_first: bool) -> Vec<Value> {
        self.persons(bag, element)
            .iter()
            .enumerate()
            .map(|(place, person)| {
                let actor = person.to_reference(self.context, "PractitionerRole");
                if is_first && place == 0 {
                    performer("PRF", "performer", actor)
                } else {
                    performer("SPRF", "secondary performer", actor)
                }
            })
            .collect()
    }

    fn extensions(&self, name: ExtensionName, kind: &str, value: &Value) -> Vec<Value> {
        let urls = self.context.0.tables.profiles.urls(name);
        urls.map(|url| json!({ "url": url, kind: value })).collect()
    }

    pub(super) fn instance(&self, element: &Element, instance: &Instance) -> Vec<Value> {
        match element.transform {
            Transform::InstanceUid => vec![self.uid(element, instance.uid.as_str()).into()],
            Transform::SopClass => {
                let system = self.context.0.tables.profiles.first(Switch::SopClassSystem);
                vec![json!({ "system": system, "code": instance.sop_class.to_urn() })]
            }
            Transform::InstanceNumber => {
                let number = instance.number.and_then(|number| i32::try_from(number).ok());
                number.map(Value::from).into_iter().collect()
            }
            Transform::InstanceTitle => {
                let title = instance.title.as_deref().and_then(clean);
                title.map(|title| title.into_owned().into()).into_iter().collect()
            }
            Transform::NumberOfFrames => {
                let frames = instance.frames.and_then(|frames| i32::try_from(frames).ok());
                let Some(frames) = frames.filter(|frames| *frames > 0) else { return Vec::new() };
                self.extensions(ExtensionName::NumberOfFrames, "valueInteger", &frames.into())
            }
            Transform::InstanceDescription => {
                let text = instance.description.as_deref().and_then(clean);
                let Some(text) = text.map(|text| Value::from(text.into_owned())) else {
                    return Vec::new();
                };
                self.extensions(ExtensionName::InstanceDescription, "valueString", &text)
            }
            Transform::DocumentTitle => {
                // CID 7010 binds the extension, and its codes are DICOM's own.
                let is_key_object = instance.sop_class.as_str() == KEY_OBJECT_SELECTION;
                let Some(concept) = instance.concept.as_deref().filter(|concept| {
                    is_key_object && concept.designator == "DCM" && clean(&concept.code).is_some()
                }) else {
                    return Vec::new();
                };
                let title = json!({ "coding": [{
                    "system": DCM, "code": concept.code, "display": concept.meaning,
                }] });
                self.extensions(ExtensionName::KoDocumentTitle, "valueCodeableConcept", &title)
            }
            _ => Vec::new(),
        }
    }
}

fn performer(code: &str, display: &str, actor: Value) -> Value {
    json!({
        "function": { "coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
            "code": code,
            "display": display,
        }] },
        "actor": actor,
    })
}

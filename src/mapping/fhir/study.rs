//! `ImagingStudy`.

use serde_json::{Map, Value, json};

use super::deployment::{ENDPOINT_ID, VIEWER_SUFFIX};
use super::derived::{order_id, procedure_id};
use super::{View, clean, text_of};
use crate::imaging::{Attributes, IdSpace, Study, keyed};
use crate::mapping::agent::Device;
use crate::mapping::body::{body_site, region};
use crate::mapping::codes::{self, DCM, code_of};
use crate::mapping::element::{Element, Secondary, Transform};
use crate::mapping::facts::study_moment;
use crate::mapping::moment::Moment;
use crate::mapping::order::orders;
use crate::mapping::person::{Person, persons};
use crate::mapping::profiles::ExtensionName;
use crate::mapping::{Context, identifier};

/// What the rules of a study and of what is derived from it read.
pub(super) struct Input<'a> {
    pub(super) context: &'a Context,
    pub(super) view: View,
    pub(super) study: &'a Study,
}

impl Input<'_> {
    pub(super) fn uid(&self, element: &Element, uid: &str) -> String {
        if self.view == View::Pseudonymous && element.secondary == Secondary::Map {
            mapped_uid(&self.context.0.key, uid)
        } else {
            uid.to_owned()
        }
    }

    pub(super) fn codes_only(&self, element: &Element) -> bool {
        self.view == View::Pseudonymous && element.secondary == Secondary::Codes
    }

    pub(super) fn modalities(&self) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        for series in &self.study.series {
            if let Some(code) = codes::modality(&series.attributes)
                && !found.contains(&code)
            {
                found.push(code);
            }
        }
        found
    }

    pub(super) fn concept(&self, element: &Element, item: &Attributes) -> Option<Value> {
        let code = code_of(self.context, item)?;
        let mut coding = json!({ "system": code.system, "code": code.code });
        let mut concept = Map::new();
        let display = code.display.as_deref().and_then(clean);
        match display {
            Some(display) if !self.codes_only(element) => {
                coding["display"] = display.as_ref().into();
                concept.insert("coding".to_owned(), json!([coding]));
                concept.insert("text".to_owned(), display.into_owned().into());
            }
            _ => {
                concept.insert("coding".to_owned(), json!([coding]));
            }
        }
        Some(Value::Object(concept))
    }

    pub(super) fn started(&self, element: &Element, moment: Option<Moment>) -> Vec<Value> {
        let text = moment.map(|moment| {
            if self.view == View::Pseudonymous && element.secondary == Secondary::Month {
                moment.to_month_text()
            } else {
                moment.to_text()
            }
        });
        text.map(Value::from).into_iter().collect()
    }

    pub(super) fn modality(&self, code: &str) -> Value {
        match self.context.0.tables.modality.get(code) {
            Some(display) => json!({ "system": DCM, "code": code, "display": &**display }),
            None => json!({ "system": DCM, "code": code }),
        }
    }

    /// The ids of the actor's view.
    pub(super) fn space(&self) -> IdSpace {
        match self.view {
            View::Care | View::DeIdentified => IdSpace::Care,
            View::Pseudonymous => IdSpace::Research,
        }
    }

    /// The visit as a logical reference: this archive keeps no encounters.
    pub(super) fn encounter(&self) -> Vec<Value> {
        self.context
            .admission(&self.study.attributes)
            .map(|(system, number)| {
                let identifier = identifier::typed("VN", "Visit number", &system, number);
                json!({ "type": "Encounter", "identifier": identifier })
            })
            .into_iter()
            .collect()
    }

    /// The orders by reference, each with its accession number.
    pub(super) fn based_on(&self) -> Vec<Value> {
        (0_usize..)
            .zip(orders(self.context, &self.study.attributes))
            .map(|(place, order)| {
                let id = order_id(&self.study.public_id, place);
                let mut reference = json!({
                    "reference": format!("ServiceRequest/{id}"),
                    "type": "ServiceRequest",
                });
                if let Some((system, value)) = &order.accession {
                    reference["identifier"] = identifier::accession(self.context, system, value);
                }
                reference
            })
            .collect()
    }

    /// The department or room; of the series when the study has none.
    pub(super) fn location(&self, element: &Element) -> Vec<Value> {
        let bags = std::iter::once(&self.study.attributes)
            .chain(self.study.series.iter().map(|series| &series.attributes));
        let found = element
            .dicom
            .iter()
            .find_map(|keyword| bags.clone().find_map(|bag| bag.text(keyword).and_then(clean)));
        found.map(|text| json!({ "type": "Location", "display": text })).into_iter().collect()
    }

    /// A device by reference.
    pub(super) fn device(&self, device: &Device, codes_only: bool) -> Value {
        let mut actor = Map::new();
        let id = device.id(self.context, self.space());
        actor.insert("reference".to_owned(), format!("Device/{id}").into());
        actor.insert("type".to_owned(), "Device".into());
        if let (Some((system, serial)), false) = (device.identifier(self.context), codes_only) {
            actor.insert("identifier".to_owned(), json!({ "system": system, "value": serial }));
        }
        if let Some(display) = clean(&device.display()) {
            actor.insert("display".to_owned(), display.into_owned().into());
        }
        Value::Object(actor)
    }

    pub(super) fn persons(&self, bag: &Attributes, element: &Element) -> Vec<Person> {
        let sequence = element.dicom.get(1).map_or("", String::as_str);
        persons(self.context, bag, element.keyword(), sequence)
    }

    pub(super) fn study(&self, element: &Element) -> Vec<Value> {
        let (context, study) = (self.context, self.study);
        let bag = &study.attributes;
        match element.transform {
            Transform::StudyUid => {
                vec![identifier::study_uid(&self.uid(element, study.uid.as_str()))]
            }
            Transform::Accession => context
                .accessions(bag)
                .iter()
                .map(|(system, value)| identifier::accession(context, system, value))
                .collect(),
            Transform::AccessionOrder => self.based_on(),
            Transform::Encounter => self.encounter(),
            Transform::ProcedureReference => {
                let id = procedure_id(&study.public_id);
                vec![json!({ "reference": format!("Procedure/{id}") })]
            }
            Transform::StudyId => match (&context.0.study_id, bag.first("StudyID")) {
                (Some(system), Some(value)) => vec![json!({ "system": system, "value": value })],
                _ => Vec::new(),
            },
            Transform::Available => vec!["available".into()],
            Transform::Modalities => {
                self.modalities().into_iter().map(|code| self.modality(code)).collect()
            }
            Transform::Subject => {
                vec![json!({ "reference": format!("Patient/{}", study.patient.public_id) })]
            }
            Transform::StudyStarted => self.started(element, study_moment(context, bag)),
            Transform::Referrer | Transform::Interpreters => self
                .persons(bag, element)
                .iter()
                .map(|person| person.to_reference(context, "Practitioner"))
                .collect(),
            Transform::Endpoint => {
                let mut all = endpoint();
                // A viewer is opened by the study's own UID, which secondary use does not see.
                if !context.0.viewer_url.is_empty() && self.view != View::Pseudonymous {
                    let id = format!("{}{VIEWER_SUFFIX}", study.public_id);
                    all.push(json!({ "reference": format!("Endpoint/{id}") }));
                }
                all
            }
            Transform::NumberOfSeries => vec![study.series.len().into()],
            Transform::NumberOfInstances => vec![study.images().into()],
            Transform::ProcedureCode => self.procedure_code(element),
            Transform::Location => self.location(element),
            Transform::ReasonCode => self.reasons(
                element,
                bag.items("ReasonForRequestedProcedureCodeSequence"),
                bag.text("ReasonForTheRequestedProcedure"),
            ),
            Transform::StudyText => text_of(bag, element.keyword()),
            Transform::AnatomicalRegion => self.regions(),
            _ => Vec::new(),
        }
    }

    /// Coded reasons, and a reason in words.
    pub(super) fn reasons(
        &self,
        element: &Element,
        codes: &[Attributes],
        text: Option<&str>,
    ) -> Vec<Value> {
        let mut reasons: Vec<Value> =
            codes.iter().filter_map(|item| self.concept(element, item)).collect();
        if let (Some(text), false) = (text.and_then(clean), self.codes_only(element)) {
            reasons.push(json!({ "text": text }));
        }
        reasons
    }

    pub(super) fn procedure_code(&self, element: &Element) -> Vec<Value> {
        let bag = &self.study.attributes;
        let mut found: Vec<Value> = bag
            .items("ProcedureCodeSequence")
            .iter()
            .filter_map(|item| self.concept(element, item))
            .collect();
        let has_text = found.iter().any(|concept| concept.get("text").is_some());
        if !has_text {
            let described = bag.text("StudyDescription").and_then(clean);
            let text = match described {
                Some(text) if !self.codes_only(element) => text.into_owned(),
                _ => match self.modalities().join(", ") {
                    none if none.is_empty() => "Imaging study".to_owned(),
                    modalities => format!("Imaging study: {modalities}"),
                },
            };
            match found.first_mut() {
                Some(concept) => concept["text"] = text.into(),
                None => found.push(json!({ "text": text })),
            }
        }
        found
    }

    fn regions(&self) -> Vec<Value> {
        let mut seen: Vec<&str> = Vec::new();
        let mut found = Vec::new();
        for series in &self.study.series {
            let Some(site) = body_site(self.context, &series.attributes) else { continue };
            let Some(region) = region(self.context, &site) else { continue };
            if seen.contains(&region.code.as_str()) {
                continue;
            }
            seen.push(&region.code);
            for url in self.context.0.tables.profiles.urls(ExtensionName::AnatomicalRegion) {
                found.push(json!({
                    "url": url,
                    "valueCodeableConcept": { "coding": [{
                        "system": self.context.0.tables.body.system,
                        "code": region.code,
                        "display": region.display,
                    }] },
                }));
            }
        }
        found
    }

    /// The body site as a Coding.
    pub(super) fn site(&self, element: &Element, series: &Attributes) -> Option<Value> {
        let site = body_site(self.context, series)?;
        let display = clean(&site.display)?;
        match &site.code {
            Some((system, code)) => {
                Some(json!({ "system": system, "code": code, "display": display }))
            }
            None if self.codes_only(element) => None,
            None => Some(json!({ "display": display })),
        }
    }
}

/// A UID that stands for another one in secondary use (PS3.5 Annex B.2, `2.25.` and a UUID):
/// the same archive maps it always alike, and nobody without the key can map it back.
pub(in crate::mapping) fn mapped_uid(key: &[u8], uid: &str) -> String {
    let mut head = [0_u8; 16];
    head.copy_from_slice(&keyed(key, format!("uid:{uid}").as_bytes())[..16]);
    format!("2.25.{}", u128::from_be_bytes(head))
}

pub(super) fn endpoint() -> Vec<Value> {
    vec![json!({ "reference": format!("Endpoint/{ENDPOINT_ID}") })]
}

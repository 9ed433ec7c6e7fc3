//! `ServiceRequest` and `Procedure`: the orders that a study answers, and the examination that
//! made it. They are no rows of their own: their version is that of the study.

use serde_json::{Value, json};

use super::study::Input;
use super::{View, absent, clean, fill, head, is_deidentified, write};
use crate::imaging::Study;
use crate::mapping::agent::{Agent, Device};
use crate::mapping::element::{Element, Transform};
use crate::mapping::facts::study_moment;
use crate::mapping::order::{Order, orders};
use crate::mapping::profiles::ExtensionName;
use crate::mapping::{Context, identifier};

/// What the logical id of a study's first order ends with; the next ones count on: `-order-2`.
pub const ORDER_SUFFIX: &str = "-order";
/// What the logical id of a study's procedure ends with.
pub const PROCEDURE_SUFFIX: &str = "-procedure";

/// The logical id of the order at that place of a study.
#[must_use]
pub fn order_id(study: &str, place: usize) -> String {
    match place {
        0 => format!("{study}{ORDER_SUFFIX}"),
        _ => format!("{study}{ORDER_SUFFIX}-{}", place + 1),
    }
}

/// The study's logical id and the place of the order that this is the id of.
#[must_use]
pub fn order_place(id: &str) -> Option<(&str, usize)> {
    let (study, rest) = id.split_once(ORDER_SUFFIX)?;
    let place = match rest.strip_prefix('-') {
        None if rest.is_empty() => 0,
        None => return None,
        Some(number) => number.parse::<usize>().ok()?.checked_sub(1)?,
    };
    // One order has one id: `-order-1` and `-order-02` name nothing.
    (order_id(study, place) == id).then_some((study, place))
}

pub(super) fn procedure_id(study: &str) -> String {
    format!("{study}{PROCEDURE_SUFFIX}")
}

/// SNOMED CT: imaging, the category of HL7 Europe Imaging.
const IMAGING: (&str, &str) = ("363679005", "Imaging");

/// SNOMED CT: the function of a person in HL7 Europe Imaging's procedure.
const PROFESSIONAL: (&str, &str) = ("223366009", "Healthcare professional");

/// `ServiceRequest`: the orders of a study, in their order.
#[must_use]
pub fn render_orders(context: &Context, study: &Study, view: View) -> Vec<Vec<u8>> {
    // An order is an accession number and who asked for what: nothing of it is for secondary use.
    if view == View::Pseudonymous {
        return Vec::new();
    }
    (0_usize..)
        .zip(orders(context, &study.attributes))
        .map(|(place, order)| {
            let input = Input { context, view, study };
            let id = order_id(&study.public_id, place);
            let mut object = begin(&input, "ServiceRequest", &id);
            fill(&mut object, &context.0.tables.service_request, view, |element| {
                input.order(element, &order)
            });
            let mut out = Vec::with_capacity(1024);
            write(&mut out, &object);
            out
        })
        .collect()
}

/// `Procedure`: the examination.
#[must_use]
pub fn render_procedure(context: &Context, study: &Study, view: View) -> Vec<u8> {
    let input = Input { context, view, study };
    let mut object = begin(&input, "Procedure", &procedure_id(&study.public_id));
    fill(&mut object, &context.0.tables.procedure, view, |element| input.procedure(element));
    let mut out = Vec::with_capacity(1024);
    write(&mut out, &object);
    out
}

fn begin(input: &Input<'_>, kind: &str, id: &str) -> serde_json::Map<String, Value> {
    let Input { context, view, study } = input;
    let is_labelled = is_deidentified(&study.patient.attributes) || *view != View::Care;
    head(context, kind, id, (study.version, study.updated), is_labelled)
}

impl Input<'_> {
    fn category(&self) -> Vec<Value> {
        let (code, display) = IMAGING;
        let system = &self.context.0.tables.body.system;
        vec![json!({ "coding": [{ "system": system, "code": code, "display": display }] })]
    }

    fn subject(&self) -> Vec<Value> {
        vec![json!({ "reference": format!("Patient/{}", self.study.patient.public_id) })]
    }

    fn requester(&self) -> Vec<Value> {
        super::agents_of_study(self.context, self.study)
            .into_iter()
            .find_map(|(of, agent)| match agent {
                Agent::Person(person) if of == super::AgentOf::Referrer => {
                    Some(person.to_reference(self.context, "Practitioner"))
                }
                _ => None,
            })
            .into_iter()
            .collect()
    }

    fn order(&self, element: &Element, order: &Order<'_>) -> Vec<Value> {
        let context = self.context;
        let numbered = || {
            let known = order.number(context, element.keyword());
            known
                .map(|known| json!({ "system": known.system, "value": known.value }))
                .into_iter()
                .collect()
        };
        let codes = order.items("ReasonForRequestedProcedureCodeSequence");
        let reason = order.text("ReasonForTheRequestedProcedure");
        match element.transform {
            Transform::OrderAccession => order
                .accession
                .iter()
                .map(|(system, value)| identifier::accession(context, system, value))
                .collect(),
            Transform::OrderNumber => numbered(),
            Transform::Completed => vec!["completed".into()],
            Transform::Intent => vec!["order".into()],
            Transform::ImagingCategory => self.category(),
            Transform::RequestedCode => {
                let item = order.items("RequestedProcedureCodeSequence").first();
                let text = order.text("RequestedProcedureDescription").and_then(clean);
                let coded = item.and_then(|item| self.concept(element, item));
                coded.or_else(|| text.map(|text| json!({ "text": text }))).into_iter().collect()
            }
            Transform::Subject => self.subject(),
            Transform::Encounter => self.encounter(),
            Transform::Referrer => self.requester(),
            Transform::ReasonCode => self.reasons(element, codes, reason),
            Transform::ReasonExtension => {
                let urls = context.0.tables.profiles.urls(ExtensionName::ServiceRequestReason);
                let reasons = self.reasons(element, codes, reason);
                urls.flat_map(|url| {
                    reasons.iter().map(move |reason| {
                        json!({
                            "url": url,
                            "extension": [{ "url": "concept", "valueCodeableConcept": reason }],
                        })
                    })
                })
                .collect()
            }
            _ => Vec::new(),
        }
    }

    fn procedure(&self, element: &Element) -> Vec<Value> {
        let (context, study) = (self.context, self.study);
        let bag = &study.attributes;
        let moment = || study_moment(context, bag);
        match element.transform {
            Transform::Orders => self.based_on(),
            Transform::Completed => vec!["completed".into()],
            Transform::ImagingCategory => self.category().into_iter().take(1).collect(),
            Transform::FirstProcedureCode => {
                self.procedure_code(element).into_iter().take(1).collect()
            }
            Transform::Subject => self.subject(),
            Transform::Encounter => self.encounter(),
            Transform::StudyStarted => self.started(element, moment()),
            Transform::PerformedAbsent => match moment() {
                None => vec![absent("unknown")],
                Some(_) => Vec::new(),
            },
            Transform::ProcedurePerformers => self.procedure_performers(),
            Transform::Location => self.location(element),
            Transform::ReasonCode => self.reasons(
                element,
                bag.items("ReasonForRequestedProcedureCodeSequence"),
                bag.text("ReasonForTheRequestedProcedure"),
            ),
            Transform::BodySites => {
                let mut sites: Vec<Value> = Vec::new();
                for series in &study.series {
                    if let Some(site) = self.site(element, &series.attributes) {
                        let concept = match site.get("code") {
                            Some(_) => json!({ "coding": [site] }),
                            None => json!({ "text": site["display"] }),
                        };
                        if !sites.contains(&concept) {
                            sites.push(concept);
                        }
                    }
                }
                sites
            }
            Transform::UsedDevices => self
                .devices()
                .iter()
                .map(|device| self.device(device, self.codes_only(element)))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The devices of the study, each once.
    fn devices(&self) -> Vec<Device> {
        let mut found: Vec<(String, Device)> = Vec::new();
        for device in self.study.series.iter().filter_map(|series| Device::of(&series.attributes)) {
            let id = device.id(self.context, self.space());
            if !found.iter().any(|(known, _)| *known == id) {
                found.push((id, device));
            }
        }
        found.into_iter().map(|(_, device)| device).collect()
    }

    /// Those who performed a series, each once.
    fn procedure_performers(&self) -> Vec<Value> {
        let system = &self.context.0.tables.body.system;
        let (code, display) = PROFESSIONAL;
        let mut found: Vec<Value> = Vec::new();
        for (of, agent) in super::agents_of_study(self.context, self.study) {
            if let (super::AgentOf::Performer, Agent::Person(person)) = (of, agent) {
                let coding = json!({ "system": system, "code": code, "display": display });
                let performer = json!({
                    "function": { "coding": [coding] },
                    "actor": person.to_reference(self.context, "PractitionerRole"),
                });
                if !found.contains(&performer) {
                    found.push(performer);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::{order_id, order_place};

    #[test]
    fn an_order_has_one_id() {
        for place in [0, 1, 11] {
            assert_eq!(order_place(&order_id("0af", place)), Some(("0af", place)));
        }
        for wrong in ["0af", "0af-order-1", "0af-order-02", "0af-order-", "0af-orders", ""] {
            assert_eq!(order_place(wrong), None, "{wrong}");
        }
    }
}

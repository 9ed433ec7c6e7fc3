//! `Practitioner`, `PractitionerRole` and `Device`: the persons and devices that studies name.

use serde_json::{Value, json};

use super::deployment::ORGANISATION_ID;
use super::{View, absent, clean, deployed, fill, versioned};
use crate::imaging::{IdSpace, Study};
use crate::mapping::Context;
use crate::mapping::agent::{Agent, Device};
use crate::mapping::element::{Element, Transform};
use crate::mapping::facts::PERFORMERS;
use crate::mapping::person::{Person, human_names, persons};
use crate::mapping::profiles::ExtensionName;

/// The imaging category of HL7 Europe Imaging: diagnostic imaging equipment.
const EQUIPMENT: (&str, &str) = ("314789007", "Diagnostic imaging equipment");

/// `Practitioner`, from every spelling of the person that the studies hold; there is one at least.
#[must_use]
pub fn render_practitioner(context: &Context, spellings: &[Person]) -> Option<Vec<u8>> {
    let first = spellings.first()?;
    let mut object = deployed(context, "Practitioner", &first.id(context));
    let elements = &context.0.tables.practitioner;
    fill(&mut object, elements, View::Care, |element| match element.transform {
        Transform::AgentIdentifier => identifier(first.identifier()),
        Transform::PractitionerName => names(spellings),
        _ => Vec::new(),
    });
    Some(versioned(object))
}

/// `PractitionerRole`: the person where the studies were made.
#[must_use]
pub fn render_practitioner_role(context: &Context, spellings: &[Person]) -> Option<Vec<u8>> {
    let first = spellings.first()?;
    let mut object = deployed(context, "PractitionerRole", &first.id(context));
    let elements = &context.0.tables.practitioner_role;
    fill(&mut object, elements, View::Care, |element| match element.transform {
        Transform::AgentIdentifier => identifier(first.identifier()),
        Transform::RolePractitioner => vec![first.to_reference(context, "Practitioner")],
        Transform::RoleOrganization => spellings
            .iter()
            .find_map(|person| clean(&person.institution))
            .map(|name| json!({ "type": "Organization", "display": name }))
            .into_iter()
            .collect(),
        _ => Vec::new(),
    });
    Some(versioned(object))
}

/// `Device` (HL7 Europe Imaging), from everything that the studies say of it.
#[must_use]
pub fn render_device(context: &Context, said: &[Device], view: View) -> Option<Vec<u8>> {
    let first = said.first()?;
    let space = match view {
        View::Care | View::DeIdentified => IdSpace::Care,
        View::Pseudonymous => IdSpace::Research,
    };
    let mut object = deployed(context, "Device", &first.id(context, space));
    fill(&mut object, &context.0.tables.device, view, |element| {
        device_element(context, said, first, element)
    });
    Some(versioned(object))
}

fn device_element(
    context: &Context,
    said: &[Device],
    first: &Device,
    element: &Element,
) -> Vec<Value> {
    let text = |text: &str| clean(text).map(|text| Value::from(text.into_owned()));
    match element.transform {
        Transform::DeviceCategory => {
            let system = &context.0.tables.body.system;
            let (code, display) = EQUIPMENT;
            let urls = context.0.tables.profiles.urls(ExtensionName::DeviceCategory);
            urls.map(|url| {
                json!({ "url": url, "valueCodeableConcept": { "coding": [{
                    "system": system, "code": code, "display": display,
                }] } })
            })
            .collect()
        }
        Transform::AgentIdentifier => {
            let mut all = identifier(first.identifier(context));
            let uid = crate::imaging::Uid::parse(&first.uid).ok();
            all.extend(
                uid.map(|uid| json!({ "system": "urn:ietf:rfc:3986", "value": uid.to_urn() })),
            );
            all
        }
        Transform::DeviceStatus => vec!["unknown".into()],
        Transform::Manufacturer => text(&first.maker).into_iter().collect(),
        Transform::SerialNumber => text(&first.serial).into_iter().collect(),
        Transform::ModelNumber => text(&first.model).into_iter().collect(),
        Transform::DeviceName => {
            let (kind, values): (_, Vec<&str>) = match element.keyword() {
                "StationName" => {
                    ("user-friendly-name", said.iter().map(|one| one.station.as_str()).collect())
                }
                _ => ("model-name", vec![first.model.as_str()]),
            };
            distinct(values.into_iter())
                .into_iter()
                .map(|name| json!({ "name": name, "type": kind }))
                .collect()
        }
        Transform::SoftwareVersion => {
            distinct(said.iter().flat_map(|one| one.versions.split('\\')))
                .into_iter()
                .map(|version| json!({ "value": version }))
                .collect()
        }
        Transform::RoleOrganization => vec![json!({
            "reference": format!("Organization/{ORGANISATION_ID}"),
        })],
        _ => Vec::new(),
    }
}

/// Each text once, in order.
fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut all: Vec<String> = texts.filter_map(clean).map(std::borrow::Cow::into_owned).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn identifier(of: Option<(String, String)>) -> Vec<Value> {
    of.map(|(system, value)| json!({ "system": system, "value": value })).into_iter().collect()
}

/// The first spelling's names first; `Practitioner.name` is 1..* in HL7 Europe Base.
fn names(spellings: &[Person]) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    for person in spellings {
        for name in human_names(&person.name) {
            if !all.contains(&name) {
                all.push(name);
            }
        }
    }
    if all.is_empty() { vec![json!({ "extension": [absent("unknown")] })] } else { all }
}

/// The persons and devices that a study names, each once: what is a resource of its own beside
/// it.
#[must_use]
pub fn agents_of_study(context: &Context, study: &Study) -> Vec<(AgentOf, Agent)> {
    let mut found = Vec::new();
    let mut put = |of, agent| {
        let one = (of, agent);
        if !found.contains(&one) {
            found.push(one);
        }
    };
    let bag = &study.attributes;
    for (of, name, sequence) in [
        (AgentOf::Referrer, "ReferringPhysicianName", "ReferringPhysicianIdentificationSequence"),
        (
            AgentOf::Interpreter,
            "NameOfPhysiciansReadingStudy",
            "PhysiciansReadingStudyIdentificationSequence",
        ),
    ] {
        for person in persons(context, bag, name, sequence) {
            put(of, Agent::Person(person));
        }
    }
    for series in &study.series {
        for (name, sequence) in PERFORMERS {
            for person in persons(context, &series.attributes, name, sequence) {
                put(AgentOf::Performer, Agent::Person(person));
            }
        }
        if let Some(device) = Device::of(&series.attributes) {
            put(AgentOf::Performer, Agent::Device(device));
        }
    }
    found
}

/// What somebody or something is to a study.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AgentOf {
    /// `ImagingStudy.referrer`
    Referrer,
    /// `ImagingStudy.interpreter`
    Interpreter,
    /// `ImagingStudy.series.performer`
    Performer,
}

//! Persons, devices and institutions that an object names: how the index writes them, and the logical ids under
//! which they are resources.
//!
//! DICOM names persons by PN and, seldom, by the Person Identification Macro (PS3.3 Table 10-1);
//! devices by the General Equipment module (C.7.5.1). The same person or device has the same id in
//! every study: by identifier where there is one, else by name and institution; a device by
//! maker, model and what tells it from its like. Two persons of one name and institution without
//! an identifier are one: nobody could tell them apart from the objects.

use serde::{Deserialize, Serialize};

use super::Context;
use super::codes::{code_of, manufacturer};
use super::person::Person;
use crate::imaging::{Attributes, IdSpace, fold, public_id};

/// A person, a device or an institution, as a term of the index.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Agent {
    /// Somebody.
    #[serde(rename = "person")]
    Person(Person),
    /// Something.
    #[serde(rename = "device")]
    Device(Device),
    /// Where a series was made, if a code says so: no resource, a reference by identifier.
    #[serde(rename = "institution")]
    Institution(Institution),
}

/// An institution, by its code (PS3.3 C.7.5.1, InstitutionCodeSequence).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Institution {
    system: String,
    value: String,
}

impl Institution {
    /// The institution of a series, if it has a code.
    pub(super) fn of(context: &Context, series: &Attributes) -> Option<Self> {
        let item = series.items("InstitutionCodeSequence").first()?;
        let code = code_of(context, item)?;
        Some(Self { system: code.system.to_string(), value: code.code.to_string() })
    }

    /// As FHIR's Identifier.
    pub(super) fn identifier(&self) -> (String, String) {
        (self.system.clone(), self.value.clone())
    }
}

/// A device that made a series. Absent texts are empty.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Device {
    /// Manufacturer, as written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) maker: String,
    /// ManufacturerModelName.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) model: String,
    /// DeviceSerialNumber.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) serial: String,
    /// DeviceUID.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) uid: String,
    /// StationName.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) station: String,
    /// SoftwareVersions, between backslashes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) versions: String,
}

impl Agent {
    /// The term of the index.
    #[must_use]
    pub fn term(&self) -> String {
        // Strings as keys: it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The agent of a term.
    #[must_use]
    pub fn of_term(term: &str) -> Option<Self> {
        serde_json::from_str(term).ok()
    }

    /// The logical id, the same in every study.
    #[must_use]
    pub fn id(&self, context: &Context, space: IdSpace) -> String {
        match self {
            Self::Person(person) => person.id(context),
            Self::Device(device) => device.id(context, space),
            Self::Institution(Institution { system, value }) => {
                public_id(&context.0.key, space, "Organization", &[system, value])
            }
        }
    }

    /// System and value of the identifier, if there is one.
    #[must_use]
    pub fn identifier(&self, context: &Context) -> Option<(String, String)> {
        match self {
            Self::Person(person) => person.identifier(),
            Self::Device(device) => device.identifier(context),
            Self::Institution(institution) => Some(institution.identifier()),
        }
    }
}

impl Person {
    /// The logical id. Secondary use sees no persons, so there is one space.
    pub(super) fn id(&self, context: &Context) -> String {
        let (name, institution) = (fold(&self.name), fold(&self.institution));
        let parts = match self.identifier.as_ref() {
            Some((system, value)) => ["identifier", system, value],
            None => ["name", name.as_str(), institution.as_str()],
        };
        public_id(&context.0.key, IdSpace::Care, "Practitioner", &parts)
    }
}

impl Device {
    /// The device that made a series, if it names any.
    pub(super) fn of(series: &Attributes) -> Option<Self> {
        let text = |keyword| series.first(keyword).unwrap_or_default().trim().to_owned();
        let device = Self {
            maker: text("Manufacturer"),
            model: text("ManufacturerModelName"),
            serial: text("DeviceSerialNumber"),
            uid: text("DeviceUID"),
            station: text("StationName"),
            versions: series.text("SoftwareVersions").unwrap_or_default().trim().to_owned(),
        };
        let is_named = !(device.maker.is_empty() && device.model.is_empty());
        (is_named || !device.serial.is_empty()).then_some(device)
    }

    pub(super) fn id(&self, context: &Context, space: IdSpace) -> String {
        // A station is a place, where the device is replaced: it counts only without a number.
        let own = [&self.serial, &self.uid, &self.station].into_iter().find(|own| !own.is_empty());
        let maker = manufacturer(context, &self.maker);
        let parts = [maker, &self.model, own.map_or("", String::as_str)];
        public_id(&context.0.key, space, "Device", &parts)
    }

    /// The serial number in its maker's system.
    pub(super) fn identifier(&self, context: &Context) -> Option<(String, String)> {
        let system = || context.local_system("device-serial", manufacturer(context, &self.maker));
        (!self.serial.is_empty()).then(|| (system(), self.serial.clone()))
    }

    /// Maker and model, for people.
    pub(super) fn display(&self) -> String {
        let words = [self.maker.as_str(), &self.model];
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::{Agent, Device, Person};
    use crate::imaging::IdSpace;
    use crate::mapping::Context;

    fn device(maker: &str, serial: &str, station: &str) -> Device {
        let [maker, serial, station] = [maker, serial, station].map(str::to_owned);
        Device { maker, serial, station, model: "M".to_owned(), ..Device::default() }
    }

    #[test]
    fn the_same_agent_has_the_same_id_however_it_is_written() {
        let context = Context::default();
        let id = |device: Device| Agent::Device(device).id(&context, IdSpace::Care);
        assert_eq!(id(device("SIEMENS", "1", "A")), id(device("Siemens Healthineers", "1", "B")));
        assert_ne!(id(device("SIEMENS", "1", "A")), id(device("SIEMENS", "2", "A")));
        assert_ne!(id(device("SIEMENS", "", "A")), id(device("SIEMENS", "", "B")));
        let one = Agent::Device(device("SIEMENS", "1", ""));
        assert_ne!(one.id(&context, IdSpace::Care), one.id(&context, IdSpace::Research));
        let person = |name: &str, identifier: Option<&str>| Person {
            name: name.to_owned(),
            institution: String::new(),
            identifier: identifier.map(|value| ("urn:oid:2.999".to_owned(), value.to_owned())),
        };
        let of = |person: Person| person.id(&context);
        assert_eq!(of(person("Novák^Jan", None)), of(person("NOVAK^JAN", None)));
        assert_eq!(of(person("Novák^Jan", Some("7"))), of(person("Nowak^Jan", Some("7"))));
        assert_ne!(of(person("Novák^Jan", Some("7"))), of(person("Novák^Jan", Some("8"))));
        assert_ne!(of(person("Novák^Jan", Some("7"))), of(person("Novák^Jan", None)));
        for agent in [one, Agent::Person(person("Novák^Jan", Some("7")))] {
            assert_eq!(Agent::of_term(&agent.term()), Some(agent));
        }
        assert_eq!(Agent::of_term("|"), None);
    }
}

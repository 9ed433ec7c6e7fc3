//! Identifiers and the naming systems that they belong to.
//!
//! An identifier without a system is no identifier: the system is the configured one of the
//! issuer, else the issuer's universal entity id (PS3.3 Table 10-17, HL7 v2 HD), else one that
//! is derived from the issuer's name below the public URL.

use serde_json::{Value, json};

use super::Context;
use super::profiles::Switch;
use crate::imaging::{Attributes, PatientKey, Uid};

/// Code system of identifier types (HL7 v2 table 0203).
const IDENTIFIER_TYPE: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";

/// The system that a universal entity id (0040,0032) of a type (0040,0033) stands for.
pub(super) fn universal(id: &str, kind: &str) -> Option<String> {
    match kind {
        "ISO" => Uid::parse(id).ok().map(|uid| uid.to_urn()),
        "UUID" => Some(format!("urn:uuid:{}", id.to_lowercase())),
        "URI" if is_uri(id) => Some(id.to_owned()),
        "DNS" => Some(format!("urn:dns:{}", id.to_lowercase())).filter(|uri| is_uri(uri)),
        _ => None,
    }
}

fn is_uri(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
            && !rest.is_empty()
    }) && text.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b))
}

impl Context {
    /// A system below the public URL, for a scheme or issuer that has no URI of its own.
    pub(super) fn local_system(&self, kind: &str, name: &str) -> String {
        let mut system = format!("{}/id/{kind}", self.0.base);
        if !name.is_empty() {
            system.push('/');
            for byte in name.bytes() {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    system.push(char::from(byte));
                } else {
                    system.push_str(&format!("%{byte:02X}"));
                }
            }
        }
        system
    }

    /// The system of an issuer by its name: configured, a URI or OID itself, or derived.
    fn issuer_system(&self, kind: &str, issuer: &str) -> String {
        if let Some(system) = self.0.issuers.get(issuer) {
            return system.to_string();
        }
        if is_uri(issuer) {
            return issuer.to_owned();
        }
        match Uid::parse(issuer) {
            Ok(uid) if issuer.contains('.') => uid.to_urn(),
            _ => self.local_system(kind, issuer),
        }
    }

    /// The naming system of a patient's identifier. `bag` is the patient, or one item of
    /// OtherPatientIDsSequence; `issuer` what is known of the issuer besides.
    pub(super) fn patient_system(&self, bag: &Attributes, issuer: &str) -> String {
        for known in [bag.first("IssuerOfPatientID").unwrap_or(""), issuer] {
            if let Some(system) = self.0.issuers.get(known) {
                return system.to_string();
            }
        }
        for item in bag.items("IssuerOfPatientIDQualifiersSequence") {
            let id = item.first("UniversalEntityID").unwrap_or("");
            if let Some(system) = self.0.issuers.get(id) {
                return system.to_string();
            }
            if let Some(system) = universal(id, item.first("UniversalEntityIDType").unwrap_or("")) {
                return system;
            }
        }
        let issuer = bag.first("IssuerOfPatientID").unwrap_or(issuer);
        if issuer.is_empty() {
            self.0.patient_default.clone()
        } else {
            self.issuer_system("patient", issuer)
        }
    }

    /// The naming system of StudyIDs, if one is configured.
    #[must_use]
    pub fn study_id_system(&self) -> Option<&str> {
        self.0.study_id.as_deref()
    }

    /// The naming system of an accession number: its issuer's, else the configured one.
    pub(super) fn accession_system(&self, bag: &Attributes) -> String {
        self.issued(bag.items("IssuerOfAccessionNumberSequence"), "accession")
            .unwrap_or_else(|| self.0.accession_default.clone())
    }

    /// The naming system that the HL7v2 Hierarchic Designator Macro (PS3.3 section 10.14) names.
    fn issued(&self, items: &[Attributes], kind: &str) -> Option<String> {
        items.iter().find_map(|item| {
            let id = item.first("UniversalEntityID").unwrap_or("");
            universal(id, item.first("UniversalEntityIDType").unwrap_or(""))
                .or_else(|| Some(self.issuer_system(kind, item.first("LocalNamespaceEntityID")?)))
        })
    }

    /// The naming system of what an issuer numbers: the issuer's, else one below the public URL.
    pub(super) fn issued_system(&self, items: &[Attributes], kind: &str) -> String {
        self.issued(items, kind).unwrap_or_else(|| self.local_system(kind, ""))
    }

    /// Naming system and number of the visit that a study was made in.
    pub(super) fn admission<'a>(&self, study: &'a Attributes) -> Option<(String, &'a str)> {
        let number = study.first("AdmissionID").filter(|of| super::fhir::is_shown(of))?;
        Some((self.issued_system(study.items("IssuerOfAdmissionIDSequence"), "admission"), number))
    }

    /// The accession numbers of a study with their systems: its own, and those of the requests
    /// that it answers (MADO's group case), each once.
    pub(super) fn accessions<'a>(&self, study: &'a Attributes) -> Vec<(String, &'a str)> {
        let mut found: Vec<(String, &str)> = Vec::new();
        for bag in std::iter::once(study).chain(study.items("ReferencedRequestSequence")) {
            let value = bag.first("AccessionNumber");
            if let Some(value) = value.filter(|value| super::fhir::is_shown(value)) {
                let entry = (self.accession_system(bag), value);
                if !found.contains(&entry) {
                    found.push(entry);
                }
            }
        }
        found
    }
}

/// The Study Instance UID as an identifier (FHIR R4, identifier system `urn:dicom:uid`).
pub(super) fn study_uid(uid: &str) -> Value {
    json!({
        "type": { "coding": [{
            "system": super::codes::DCM, "code": "110180", "display": "Study Instance UID",
        }] },
        "system": "urn:dicom:uid",
        "value": format!("urn:oid:{uid}"),
    })
}

/// An accession number, with the types that the table of profiles chooses.
pub(super) fn accession(context: &Context, system: &str, value: &str) -> Value {
    let codings: Vec<Value> = context
        .0
        .tables
        .profiles
        .chosen(Switch::AccessionTypes)
        .filter_map(|option| {
            let [system, code, display] = option.values.as_slice() else { return None };
            Some(json!({ "system": system, "code": code, "display": display }))
        })
        .collect();
    json!({ "type": { "coding": codings }, "system": system, "value": value })
}

/// The identifier of a patient whom the archive does not know, by the domain that its source names.
#[must_use]
pub fn patient_of(context: &Context, id: &str, issuer: &str) -> Value {
    json!({ "system": context.patient_system(&Attributes::default(), issuer), "value": id })
}

/// An accession number of the archive's own domain.
#[must_use]
pub fn accession_of(context: &Context, number: &str) -> Value {
    accession(context, &context.0.accession_default, number)
}

/// An identifier of a type of HL7 v2 table 0203.
pub(super) fn typed(code: &str, display: &str, system: &str, value: &str) -> Value {
    json!({
        "type": { "coding": [{ "system": IDENTIFIER_TYPE, "code": code, "display": display }] },
        "system": system,
        "value": value,
    })
}

/// A patient identifier within a system.
pub(super) fn patient(system: &str, value: &str) -> Value {
    json!({
        "type": { "coding": [{
            "system": IDENTIFIER_TYPE, "code": "MR", "display": "Medical record number",
        }] },
        "system": system,
        "value": value,
    })
}

/// System and code of the types of an accession number.
pub const ACCESSION: &[(&str, &str)] = &[(IDENTIFIER_TYPE, "ACSN"), (super::codes::DCM, "121022")];

/// An identifier as a resource gives it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identifier {
    /// Its naming system.
    pub system: String,
    /// Its value.
    pub value: String,
    /// System and code of its types.
    pub types: &'static [(&'static str, &'static str)],
}

/// The identifiers of a study in care, as its resource gives them.
#[must_use]
pub fn study_identifiers(context: &Context, uid: &Uid, study: &Attributes) -> Vec<Identifier> {
    let mut found = vec![Identifier {
        system: "urn:dicom:uid".to_owned(),
        value: uid.to_urn(),
        types: &[(super::codes::DCM, "110180")],
    }];
    found.extend(context.accessions(study).into_iter().map(|(system, value)| Identifier {
        system,
        value: value.to_owned(),
        types: ACCESSION,
    }));
    if let (Some(system), Some(value)) = (&context.0.study_id, study.first("StudyID")) {
        found.push(Identifier { system: system.clone(), value: value.to_owned(), types: &[] });
    }
    found
}

/// The identifier of the visit that a study was made in.
#[must_use]
pub fn visit_identifiers(context: &Context, study: &Attributes) -> Vec<Identifier> {
    let known = context.admission(study);
    let types = &[(IDENTIFIER_TYPE, "VN")];
    known
        .map(|(system, value)| Identifier { system, value: value.to_owned(), types })
        .into_iter()
        .collect()
}

/// The identifiers of a patient in care, as the resource gives them.
#[must_use]
pub fn patient_identifiers(
    context: &Context,
    key: &PatientKey,
    bag: &Attributes,
) -> Vec<Identifier> {
    let mut found: Vec<Identifier> = Vec::new();
    let own = patient_id(key).map(|id| (context.patient_system(bag, &key.issuer), id));
    let others = bag
        .items("OtherPatientIDsSequence")
        .iter()
        .filter_map(|item| Some((context.patient_system(item, ""), item.first("PatientID")?)));
    for (system, value) in own.into_iter().chain(others) {
        // MADO repeats the primary identifier among the others.
        if !found.iter().any(|known| known.system == system && known.value == value) {
            let types = &[(IDENTIFIER_TYPE, "MR")];
            found.push(Identifier { system, value: value.to_owned(), types });
        }
    }
    found
}

/// The PatientID of a key; `None` for a study that has none and is its own patient.
pub(super) fn patient_id(key: &PatientKey) -> Option<&str> {
    (!key.id.is_empty() && !key.id.starts_with("study:")).then_some(key.id.as_str())
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Issuer};
    use crate::imaging::{Attributes, Keyword};
    use crate::mapping::{Context, bag};

    fn qualified(id: &str, kind: &str) -> Attributes {
        let mut outer = Attributes::new();
        outer.set_items(
            Keyword::parse("IssuerOfPatientIDQualifiersSequence").unwrap(),
            vec![bag(&[("UniversalEntityID", id), ("UniversalEntityIDType", kind)])],
        );
        outer
    }

    #[test]
    fn every_patient_identifier_has_a_system() {
        let mut config = Config::default();
        config.archive.identifiers.patient_issuers =
            vec![Issuer { issuer: "HOSP".to_owned(), system: "urn:oid:1.2.203.1".to_owned() }];
        let context = Context::new(&config, b"key").unwrap();
        for (bag, issuer, system) in [
            (bag(&[("IssuerOfPatientID", "HOSP")]), "", "urn:oid:1.2.203.1"),
            (bag(&[]), "HOSP", "urn:oid:1.2.203.1"),
            (qualified("1.2.3.4", "ISO"), "", "urn:oid:1.2.3.4"),
            (qualified("https://a.example/p", "URI"), "", "https://a.example/p"),
            (qualified("not a uri", "URI"), "", "http://127.0.0.1:8080/id/patient"),
            (bag(&[]), "1.2.3.4", "urn:oid:1.2.3.4"),
            (bag(&[]), "cbis ddsm", "http://127.0.0.1:8080/id/patient/cbis%20ddsm"),
            (bag(&[]), "", "http://127.0.0.1:8080/id/patient"),
        ] {
            assert_eq!(context.patient_system(&bag, issuer), system);
        }
    }

    #[test]
    fn accession_numbers_of_a_group_case_are_all_found() {
        let context = Context::default();
        let mut study = bag(&[]);
        let mut second = bag(&[("AccessionNumber", "A2")]);
        second.set_items(
            Keyword::parse("IssuerOfAccessionNumberSequence").unwrap(),
            vec![bag(&[("UniversalEntityID", "1.2.3"), ("UniversalEntityIDType", "ISO")])],
        );
        study.set_items(
            Keyword::parse("ReferencedRequestSequence").unwrap(),
            vec![bag(&[("AccessionNumber", "A1")]), second],
        );
        assert_eq!(
            context.accessions(&study),
            [
                ("http://127.0.0.1:8080/id/accession".to_owned(), "A1"),
                ("urn:oid:1.2.3".to_owned(), "A2")
            ]
        );
    }
}

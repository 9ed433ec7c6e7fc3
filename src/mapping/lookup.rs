//! The values by which patients and studies are looked up, from the same attributes and by the
//! same rules that are rendered. Identifiers are raw, names are folded.

use super::Tables;
use super::identifier::patient_id;
use super::moment::Day;
use super::person::names;
use crate::imaging::{Attributes, Lookup, PatientKey, fold};

/// The looked-up values of a patient, sorted, each once.
#[must_use]
pub fn patient_lookups(key: &PatientKey, patient: &Attributes) -> Vec<(i16, String)> {
    let mut values = Vec::new();
    let mut put = |kind: Lookup, value: &str| {
        if !value.is_empty() {
            values.push((kind.code(), value.to_owned()));
        }
    };
    put(Lookup::PatientIdentifier, patient_id(key).unwrap_or(""));
    for item in patient.items("OtherPatientIDsSequence") {
        put(Lookup::PatientIdentifier, item.first("PatientID").unwrap_or(""));
    }
    for (_, name) in names(patient.text("PatientName").unwrap_or("")) {
        put(Lookup::Family, &fold(name.family));
        for given in &name.given {
            put(Lookup::Given, &fold(given));
        }
        put(Lookup::Name, &fold(&name.to_text()));
        for part in name.parts() {
            put(Lookup::Name, &fold(part));
        }
    }
    if let Some(day) = patient.first("PatientBirthDate").and_then(Day::parse) {
        put(Lookup::BirthDate, &day.to_text().replace('-', ""));
    }
    if let Some(sex) = patient.first("PatientSex") {
        put(Lookup::Gender, Tables::built_in().gender(sex).unwrap_or("unknown"));
    }
    values.sort_unstable();
    values.dedup();
    values
}

/// The looked-up values of a study, sorted, each once.
#[must_use]
pub fn study_lookups(study: &Attributes) -> Vec<(i16, String)> {
    let numbers = std::iter::once(study).chain(study.items("ReferencedRequestSequence"));
    let numbers = numbers.flat_map(|bag| {
        ["PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest"]
            .into_iter()
            .chain(["RequestedProcedureID"])
            .filter_map(|keyword| bag.first(keyword))
    });
    let requests = study.items("ReferencedRequestSequence").iter();
    let accessions = requests.filter_map(|request| request.first("AccessionNumber"));
    let mut values: Vec<_> = study
        .first("AccessionNumber")
        .into_iter()
        .chain(accessions)
        .map(|accession| (Lookup::Accession.code(), accession.to_owned()))
        .chain(study.first("StudyID").map(|id| (Lookup::StudyId.code(), id.to_owned())))
        .chain(study.first("AdmissionID").map(|id| (Lookup::Admission.code(), id.to_owned())))
        .chain(numbers.map(|number| (Lookup::Order.code(), number.to_owned())))
        .collect();
    values.sort_unstable();
    values.dedup();
    values
}

#[cfg(test)]
mod tests {
    use super::patient_lookups;
    use crate::imaging::{Attributes, Keyword, Lookup, PatientKey};

    #[test]
    fn a_patient_is_looked_up_by_folded_names_and_raw_identifiers() {
        let key = PatientKey { issuer: String::new(), id: "P-1".to_owned() };
        let mut patient = Attributes::new();
        for (keyword, text) in [
            ("PatientName", "Dvořáková^Žofie"),
            ("PatientBirthDate", "19600615"),
            ("PatientSex", "X"),
        ] {
            patient.set(Keyword::parse(keyword).unwrap(), text);
        }
        let found = patient_lookups(&key, &patient);
        for (kind, value) in [
            (Lookup::PatientIdentifier, "P-1"),
            (Lookup::Family, "dvorakova"),
            (Lookup::Given, "zofie"),
            (Lookup::Name, "zofie"),
            (Lookup::Name, "zofie dvorakova"),
            (Lookup::BirthDate, "19600615"),
            (Lookup::Gender, "unknown"),
        ] {
            assert!(found.contains(&(kind.code(), value.to_owned())), "{kind:?} {found:?}");
        }
        let key = PatientKey { issuer: String::new(), id: "study:1.2.3".to_owned() };
        assert_eq!(patient_lookups(&key, &Attributes::new()), []);
    }
}

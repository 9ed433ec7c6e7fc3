//! The values by which patients and studies are looked up, from the same attributes that are
//! rendered.

use crate::imaging::{Attributes, Lookup, PatientKey, fold};

/// The looked-up values of a patient, sorted, each once.
#[must_use]
pub fn patient_lookups(key: &PatientKey, patient: &Attributes) -> Vec<(i16, String)> {
    let mut values = vec![(Lookup::PatientIdentifier.code(), key.id.clone())];
    for other in patient.items("OtherPatientIDsSequence") {
        if let Some(id) = other.first("PatientID") {
            values.push((Lookup::PatientIdentifier.code(), id.to_owned()));
        }
    }
    // PN (PS3.5 6.2.1): up to three component groups of family^given^middle^prefix^suffix.
    for group in patient.text("PatientName").unwrap_or("").split('=').take(3) {
        let mut components = group.split('^').map(str::trim);
        let mut put = |kind: Lookup, name: &str| {
            let folded = fold(name);
            if !folded.is_empty() {
                values.push((kind.code(), folded.clone()));
                values.push((Lookup::Name.code(), folded));
            }
        };
        put(Lookup::Family, components.next().unwrap_or(""));
        for _ in 0..2 {
            put(Lookup::Given, components.next().unwrap_or(""));
        }
        for _ in 0..2 {
            let folded = fold(components.next().unwrap_or(""));
            if !folded.is_empty() {
                values.push((Lookup::Name.code(), folded));
            }
        }
    }
    if let Some(date) = patient.first("PatientBirthDate") {
        let digits: String = date.chars().filter(char::is_ascii_digit).collect();
        if digits.len() == 8 {
            values.push((Lookup::BirthDate.code(), digits));
        }
    }
    let gender = match patient.first("PatientSex") {
        Some("M") => "male",
        Some("F") => "female",
        Some("O") => "other",
        _ => "unknown",
    };
    values.push((Lookup::Gender.code(), gender.to_owned()));
    values.sort();
    values.dedup();
    values
}

/// The looked-up values of a study, sorted, each once.
#[must_use]
pub fn study_lookups(study: &Attributes) -> Vec<(i16, String)> {
    let requests = study.items("ReferencedRequestSequence").iter();
    let accessions = requests.filter_map(|request| request.first("AccessionNumber"));
    let mut values: Vec<_> = study
        .first("AccessionNumber")
        .into_iter()
        .chain(accessions)
        .map(|accession| (Lookup::Accession.code(), accession.to_owned()))
        .chain(study.first("StudyID").map(|id| (Lookup::StudyId.code(), id.to_owned())))
        .collect();
    values.sort();
    values.dedup();
    values
}

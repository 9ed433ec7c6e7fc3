//! `Patient`.

use serde_json::{Value, json};

use super::{View, absent, clean, fill, head, is_deidentified, write};
use crate::imaging::Patient;
use crate::mapping::codes::{gender, species};
use crate::mapping::element::{Element, Secondary, Transform};
use crate::mapping::moment::Day;
use crate::mapping::person::human_names;
use crate::mapping::{Context, identifier};

/// `Patient`.
#[must_use]
pub fn render_patient(context: &Context, patient: &Patient, view: View) -> Vec<u8> {
    let mut object = {
        let is_labelled = is_deidentified(&patient.attributes) || view != View::Care;
        let version = (patient.version, patient.updated);
        head(context, "Patient", &patient.public_id, version, is_labelled)
    };
    fill(&mut object, &context.0.tables.patient, view, |element| {
        patient_element(context, view, patient, element)
    });
    let mut out = Vec::with_capacity(512);
    write(&mut out, &object);
    out
}

fn patient_element(
    context: &Context,
    view: View,
    patient: &Patient,
    element: &Element,
) -> Vec<Value> {
    let bag = &patient.attributes;
    match element.transform {
        Transform::PatientId if view == View::Pseudonymous => {
            vec![identifier::patient(&context.local_system("pseudonym", ""), &patient.public_id)]
        }
        // The first of the identifiers is the primary one, unless the patient has none.
        Transform::PatientId => identifier::patient_identifiers(context, &patient.key, bag)
            .iter()
            .take(usize::from(identifier::patient_id(&patient.key).is_some()))
            .filter_map(|known| Some(identifier::patient(&known.system, &clean(&known.value)?)))
            .collect(),
        Transform::OtherPatientIds => identifier::patient_identifiers(context, &patient.key, bag)
            .iter()
            .skip(usize::from(identifier::patient_id(&patient.key).is_some()))
            .filter_map(|known| Some(identifier::patient(&known.system, &clean(&known.value)?)))
            .collect(),
        Transform::PatientName => {
            let names = bag.text("PatientName").and_then(clean).map(|text| human_names(&text));
            match names.unwrap_or_default() {
                none if none.is_empty() => vec![json!({ "extension": [absent("unknown")] })],
                names => names,
            }
        }
        Transform::Gender => gender(context, bag)
            .map(|gender| gender.unwrap_or("unknown").into())
            .into_iter()
            .collect(),
        Transform::BirthDate => {
            let day = bag.first("PatientBirthDate").and_then(Day::parse);
            let is_cut = view == View::Pseudonymous && element.secondary == Secondary::Year;
            day.map(|day| if is_cut { Day { month: 0, day: 0, ..day } } else { day })
                .map(|day| day.to_text().into())
                .into_iter()
                .collect()
        }
        Transform::BirthDateAbsent => match bag.first("PatientBirthDate").and_then(Day::parse) {
            None => vec![absent("unknown")],
            Some(_) => Vec::new(),
        },
        Transform::Species => species(context, bag)
            .map(|found| {
                let concept = match found {
                    Ok(row) => match &row.code {
                        Some(code) => json!({
                            "coding": [{
                                "system": context.0.tables.body.system,
                                "code": code,
                                "display": row.display.as_deref().unwrap_or(&row.term),
                            }],
                            "text": row.term,
                        }),
                        None => json!({ "text": row.term }),
                    },
                    Err(text) => json!({ "text": text }),
                };
                json!({
                    "url": "http://hl7.org/fhir/StructureDefinition/patient-animal",
                    "extension": [{ "url": "species", "valueCodeableConcept": concept }],
                })
            })
            .into_iter()
            .collect(),
        _ => Vec::new(),
    }
}

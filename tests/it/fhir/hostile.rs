//! Whatever the attributes hold, what is rendered is valid and nothing panics.

use proptest::prelude::*;
use vesalius::imaging::{Attributes, Uid};
use vesalius::mapping::fhir::{View, render_patient, render_study};
use vesalius::mapping::{Tables, findings, lookup, series_facts, study_facts};

use super::sample;

/// What real and hostile archives hold where something else should stand.
const TEXTS: &[&str] = &[
    "",
    "\\",
    "\\\\\\",
    "^",
    "^^^^^^^",
    "=",
    "==^=",
    "A^B=C^D=E^F=G",
    "a\u{0}b",
    "\u{1b}$B;3",
    "\u{7}",
    "  ",
    "\u{a0}",
    "-1",
    "+5",
    "1e9",
    "4294967296",
    "2147483648",
    "99999999999999999999",
    "0",
    "1.5",
    "20240230",
    "99991231",
    "00000000",
    "20240131",
    "0001",
    "202413",
    "2024.01.31",
    "235960",
    "246060",
    "10:11:12.5",
    "1011",
    "+9999",
    "-0000",
    "+1400",
    "Z",
    "000Y",
    "999Y",
    "063Y",
    "12M",
    "é",
    "日本語^太郎",
    "\u{202e}abc",
    "<script>alert(1)</script>",
    "\"quoted\"",
    "a|b",
    "a,b",
    "1.2.3",
    "1..2",
    "1.02",
    "urn:oid:1.2.3",
    "http://x.example/ y",
    "YES",
    "M",
    "F",
    "U",
    "R",
    "L",
    "B",
    "BREAST",
    "THORAX INJECTE",
    "CT",
    "C T",
    "SCT",
    "SRT",
    "99X",
    "T-04000",
    "76752008",
    "a\nb\tc\r\n",
    "\u{feff}x",
    "\u{10ffff}",
    "Left Breast",
    "Mouse",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
];

const SEQUENCES: &[&str] = &[
    "AnatomicRegionSequence",
    "ProcedureCodeSequence",
    "ReasonForRequestedProcedureCodeSequence",
    "IssuerOfAccessionNumberSequence",
    "ReferencedRequestSequence",
    "IssuerOfPatientIDQualifiersSequence",
    "OtherPatientIDsSequence",
    "ReferringPhysicianIdentificationSequence",
    "OperatorIdentificationSequence",
    "SpecimenDescriptionSequence",
    "PatientSpeciesCodeSequence",
    "PersonIdentificationCodeSequence",
];

const INNER: &[&str] = &[
    "CodeValue",
    "LongCodeValue",
    "URNCodeValue",
    "CodingSchemeDesignator",
    "CodeMeaning",
    "UniversalEntityID",
    "UniversalEntityIDType",
    "LocalNamespaceEntityID",
    "AccessionNumber",
    "PatientID",
    "IssuerOfPatientID",
    "SpecimenIdentifier",
];

fn level(choices: &[(usize, usize)], depth: usize) -> Attributes {
    let elements = &Tables::built_in().elements;
    let keywords: Vec<&str> = elements.iter().flat_map(|e| &e.dicom).map(String::as_str).collect();
    let mut bag = Attributes::new();
    for (at, (name, value)) in choices.iter().enumerate() {
        let text = TEXTS[value % TEXTS.len()];
        if depth > 0 && name % 3 == 0 {
            let sequence = SEQUENCES[name % SEQUENCES.len()];
            let items = vec![
                bag_of(&choices[at..]),
                level(&choices[at..choices.len().min(at + 4)], depth - 1),
            ];
            bag.set_items(sample::keyword(sequence), items);
        } else {
            bag.set(sample::keyword(keywords[name % keywords.len()]), text);
        }
    }
    bag
}

fn bag_of(choices: &[(usize, usize)]) -> Attributes {
    let mut bag = Attributes::new();
    for (name, value) in choices.iter().take(5) {
        bag.set(sample::keyword(INNER[name % INNER.len()]), TEXTS[value % TEXTS.len()]);
    }
    bag
}

/// A study whose attributes are such texts at every level.
pub fn study(mut choice: impl FnMut() -> usize) -> vesalius::imaging::Study {
    let mut choices = |most: usize| -> Vec<(usize, usize)> {
        (0..choice() % most).map(|_| (choice(), choice())).collect()
    };
    let mut value = sample::study();
    value.patient.attributes = level(&choices(12), 2);
    value.attributes = level(&choices(20), 2);
    for one in &mut value.series {
        one.attributes = level(&choices(20), 2);
    }
    value
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_the_attributes_hold_the_resource_is_valid(
        patient in prop::collection::vec((any::<usize>(), any::<usize>()), 0..12),
        study in prop::collection::vec((any::<usize>(), any::<usize>()), 0..20),
        series in prop::collection::vec((any::<usize>(), any::<usize>()), 0..20),
    ) {
        let context = sample::context(|_| ());
        let mut value = sample::study();
        value.patient.attributes = level(&patient, 2);
        value.attributes = level(&study, 2);
        value.series.truncate(2);
        for one in &mut value.series {
            one.attributes = level(&series, 2);
            one.uid = Uid::parse_lenient("1.02.3").unwrap();
            one.instances[0].title = Some(TEXTS[series.len() % TEXTS.len()].to_owned());
        }
        for view in [View::Care, View::DeIdentified, View::Pseudonymous] {
            let rendered = render_study(&context, &value, view);
            for bytes in [
                rendered.bytes.to_vec(),
                rendered.with_instances(&context, &value, view),
                render_patient(&context, &value.patient, view),
            ] {
                let checked = fhir_types::check(&bytes);
                prop_assert!(checked.is_ok(), "{checked:?}: {}", String::from_utf8_lossy(&bytes));
                // R4: no string holds control characters, none is empty.
                let text = String::from_utf8(bytes).unwrap();
                prop_assert!(!text.contains("\\u00"), "{text}");
                prop_assert!(!text.contains(":\"\""), "{text}");
            }
        }
        let (p, s, r) = (&value.patient.attributes, &value.attributes, &value.series[0].attributes);
        let _ = (study_facts(&context, p, s), series_facts(&context, r, &[]), findings(&context, p, s, r));
        let _ = (lookup::patient_lookups(&value.patient.key, p), lookup::study_lookups(s));
    }
}

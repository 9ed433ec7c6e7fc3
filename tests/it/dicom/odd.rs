//! Odd values that are used nevertheless, each with its finding. Synthetic data only.

use vesalius::dicom::write::DataSet;
use vesalius::dicom::{Outcome, Reader};
use vesalius::imaging::{Attributes, Keyword, Record};
use vesalius::mapping::{Context, findings};

fn read(patient_id: &str) -> Record {
    let set = DataSet::new()
        .text("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2")
        .text("SOPInstanceUID", "2.25.3")
        .text("StudyInstanceUID", "2.25.1")
        .text("SeriesInstanceUID", "2.25.2")
        .text("Modality", "CT")
        .text("PatientID", patient_id);
    match Reader::default().bytes(&set.to_part_10().unwrap(), "here") {
        Outcome::Record(record) => *record,
        other => panic!("{other:?}"),
    }
}

#[test]
fn persons_are_told_apart_by_the_whole_identifier() {
    for id in ["X\\1", "X\\2", "\\1"] {
        let found = read(id);
        assert_eq!(found.patient_key.id, id);
        // The value identifies a person.
        let is_said =
            found.findings.iter().any(|f| f.code == "patient-id-odd" && f.value.is_empty());
        assert!(is_said, "{:?}", found.findings);
    }
    assert_eq!(read("\\ \\").patient_key.id, "study:2.25.1");
    let clean = read(" P1 ");
    assert_eq!((clean.patient_key.id.as_str(), clean.findings.len()), ("P1", 0));
}

fn bag(pairs: &[(&str, &str)]) -> Attributes {
    let mut bag = Attributes::new();
    for (keyword, text) in pairs {
        bag.set(Keyword::parse(keyword).unwrap(), text);
    }
    bag
}

#[test]
fn modalities_that_are_no_codes_and_offsets_that_are_none_are_said() {
    for (modality, zone, expected) in [
        ("MG", "+0100", &[][..]),
        ("RTSTRUCT", "-0330", &[]),
        ("mr", "+0100", &["modality-odd"]),
        ("CT\\MR", "+0100", &["modality-odd"]),
        ("CT", "+2500", &["zone-odd"]),
        ("CT", "CET", &["zone-odd"]),
    ] {
        let found = findings(
            &Context::default(),
            &Attributes::new(),
            &bag(&[("TimezoneOffsetFromUTC", zone)]),
            &bag(&[("Modality", modality), ("BodyPartExamined", "BREAST")]),
        );
        let codes: Vec<&str> = found.iter().map(|finding| &*finding.code).collect();
        assert_eq!(codes, expected, "{modality} {zone}");
    }
}

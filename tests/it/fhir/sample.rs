//! Synthetic imaging values; no person is meant.

use vesalius::config::{Config, Issuer};
use vesalius::imaging::{
    Attributes, Instance, Keyword, Laterality, Patient, PatientKey, Series, Study, Uid,
};
use vesalius::mapping::Context;

pub fn keyword(text: &str) -> Keyword {
    Keyword::parse(text).unwrap()
}

pub fn bag(pairs: &[(&str, &str)]) -> Attributes {
    let mut bag = Attributes::new();
    for (name, text) in pairs {
        bag.set(keyword(name), text);
    }
    bag
}

pub fn code(value: &str, designator: &str, meaning: &str) -> Attributes {
    bag(&[("CodeValue", value), ("CodingSchemeDesignator", designator), ("CodeMeaning", meaning)])
}

pub fn with_items(mut bag: Attributes, name: &str, items: Vec<Attributes>) -> Attributes {
    bag.set_items(keyword(name), items);
    bag
}

pub fn person(value: &str) -> Attributes {
    with_items(
        Attributes::new(),
        "PersonIdentificationCodeSequence",
        vec![code(value, "99STAFF", "staff number")],
    )
}

pub fn context(change: impl FnOnce(&mut Config)) -> Context {
    let mut config = Config::default();
    config.server.public_url = "https://imaging.example".to_owned();
    config.archive.name = "Example archive".to_owned();
    config.archive.time_zone = "Europe/Prague".to_owned();
    config.archive.identifiers.study_id = "https://imaging.example/study-id".to_owned();
    config.archive.identifiers.patient_issuers =
        vec![Issuer { issuer: "HOSP".to_owned(), system: "urn:oid:2.999.1".to_owned() }];
    change(&mut config);
    Context::new(&config, b"a key of tests").unwrap()
}

pub fn patient() -> Patient {
    let others = vec![
        bag(&[("PatientID", "P-1"), ("IssuerOfPatientID", "HOSP")]),
        with_items(
            bag(&[("PatientID", "6055128123")]),
            "IssuerOfPatientIDQualifiersSequence",
            vec![bag(&[("UniversalEntityID", "2.999.2"), ("UniversalEntityIDType", "ISO")])],
        ),
    ];
    Patient {
        number: 1,
        key: PatientKey { issuer: "HOSP".to_owned(), id: "P-1".to_owned() },
        attributes: with_items(
            bag(&[
                ("PatientID", "P-1"),
                ("PatientName", "Dvořáková^Žofie^Marie^Ing.^Ph.D."),
                ("PatientBirthDate", "19550512"),
                ("PatientSex", "F"),
            ]),
            "OtherPatientIDsSequence",
            others,
        ),
        public_id: "0123456789abcdef0123456789abcdef".to_owned(),
        version: 3,
        updated: 1_763_000_000_123_456,
    }
}

/// A screening mammogram with everything that the mapping knows.
pub fn study() -> Study {
    let attributes = bag(&[
        ("StudyDate", "20240731"),
        ("StudyTime", "101112.50"),
        ("AccessionNumber", "A-1"),
        ("StudyID", "S77"),
        ("StudyDescription", "Screening mammography"),
        ("ReferringPhysicianName", "Novák^Petr^^MUDr."),
        ("NameOfPhysiciansReadingStudy", r"Malá^Eva\Velký^Jan"),
        ("InstitutionalDepartmentName", "Radiology"),
        ("ReasonForTheRequestedProcedure", "Screening round 3"),
        ("PatientAge", "069Y"),
    ]);
    let attributes =
        with_items(attributes, "ReferringPhysicianIdentificationSequence", vec![person("4711")]);
    let attributes = with_items(
        attributes,
        "ProcedureCodeSequence",
        vec![code("24623002", "SCT", "Screening mammography")],
    );
    let attributes = with_items(
        attributes,
        "ReasonForRequestedProcedureCodeSequence",
        vec![code("Z12.3", "I10", "Special screening examination for neoplasm of breast")],
    );
    let series = |number: u32, extra: &[(&str, &str)]| {
        let mut attributes = bag(&[
            ("Modality", "MG"),
            ("BodyPartExamined", "BREAST"),
            ("SeriesDescription", "R MLO"),
            ("SeriesDate", "20240731"),
            ("SeriesTime", "101500"),
            ("Manufacturer", "LORAD"),
            ("ManufacturerModelName", "Selenia"),
            ("DeviceSerialNumber", "SN-9"),
            ("OperatorsName", "Technik^Ota"),
        ]);
        attributes.set(keyword("SeriesNumber"), &number.to_string());
        for (name, text) in extra {
            attributes.set(keyword(name), text);
        }
        Series {
            number: i64::from(number),
            uid: Uid::parse(&format!("2.25.7001.{number}")).unwrap(),
            attributes,
            images: 2,
            bytes: 1_000_000,
            sop_classes: vec![Uid::parse("1.2.840.10008.5.1.4.1.1.1.2").unwrap()],
            instances: (1..=2)
                .map(|instance| Instance {
                    uid: Uid::parse(&format!("2.25.7001.{number}.{instance}")).unwrap(),
                    sop_class: Uid::parse("1.2.840.10008.5.1.4.1.1.1.2").unwrap(),
                    number: Some(instance),
                    frames: (instance == 2).then_some(60),
                    rows: Some(4096),
                    columns: Some(3328),
                    bytes: 500_000,
                    laterality: Some(Laterality::Right),
                    transfer_syntax: None,
                    title: Some(r"ORIGINAL\PRIMARY".to_owned()),
                    description: None,
                    concept: None,
                    digest: 0,
                })
                .collect(),
        }
    };
    Study {
        number: 7,
        uid: Uid::parse("2.25.7001").unwrap(),
        patient: patient(),
        attributes,
        collection: None,
        source: "folder".to_owned(),
        public_id: "fedcba9876543210fedcba9876543210".to_owned(),
        version: 2,
        updated: 1_763_000_000_000_000,
        series: vec![
            series(1, &[("Laterality", "R")]),
            series(
                2,
                &[("Modality", "SR"), ("BodyPartExamined", "MLO VIEW"), ("SeriesNumber", "-2")],
            ),
            series(3, &[("Modality", ""), ("BodyPartExamined", "")]),
        ],
    }
}

//! JSON Schemas of every file that a person writes, and the standards that are encoded.

use schemars::Schema;

/// The standards that data files and code of this version encode, for `doctor` and the pages.
pub const STANDARDS: &[(&str, &str)] = &[
    ("HL7 FHIR", "R4 4.0.1"),
    ("HL7 Europe Imaging", "1.0.0-ballot"),
    ("HL7 Europe Base and Core", "2.0.0-ballot"),
    ("EU Health Data API", "1.0.0-ballot"),
    ("IHE MHD", "4.2.3"),
    ("IHE RAD MADO", "trial implementation 2026-03"),
    ("DICOM", "PS3 2026 (PS3.3, PS3.5, PS3.6, PS3.10, PS3.16 Annex L, PS3.18)"),
    ("HealthDCAT-AP", "Release 8 (2026-09)"),
    ("DCAT-AP", "3.0.1"),
    ("Regulation (EU) 2025/327", "2025-03-05"),
];

/// The kinds of files with their JSON Schema (draft 2020-12).
#[must_use]
pub fn all() -> Vec<(&'static str, Schema)> {
    let mut all = vec![
        ("config", schemars::schema_for!(crate::config::Config)),
        ("series-table", schemars::schema_for!(crate::mapping::tables::SeriesTable)),
        ("clinical-table", schemars::schema_for!(crate::mapping::clinical::ClinicalTable)),
        ("description-table", schemars::schema_for!(crate::mapping::tables::DescriptionTable)),
        ("attributes", schemars::schema_for!(crate::mapping::attributes::AttributeTable)),
        ("eucaim", schemars::schema_for!(crate::mapping::eucaim::Eucaim)),
        ("elements", schemars::schema_for!(crate::mapping::element::File)),
        ("eu-profiles", schemars::schema_for!(crate::mapping::profiles::Profiles)),
        ("body-parts", schemars::schema_for!(crate::mapping::BodyParts)),
        ("codes", schemars::schema_for!(crate::mapping::Codes)),
        ("coding-schemes", schemars::schema_for!(crate::mapping::CodingSchemes)),
        ("mado", schemars::schema_for!(crate::mapping::mado::Mado)),
        ("sr-reports", schemars::schema_for!(crate::mapping::report::Reports)),
        ("patient-ids", schemars::schema_for!(crate::mapping::PatientIds)),
        ("manufacturers", schemars::schema_for!(crate::mapping::Manufacturers)),
        ("language", schemars::schema_for!(crate::web::Tongue)),
        ("qido", schemars::schema_for!(crate::dicomweb::Table)),
        ("search-parameters", schemars::schema_for!(crate::fhir::table::Table)),
    ];
    all.extend(crate::catalogue::schemas());
    all.extend(crate::fhir::validate::schemas());
    all
}

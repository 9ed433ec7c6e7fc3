//! The controlled vocabularies that descriptions choose from, by name.

use schemars::JsonSchema;
use serde::Deserialize;

/// A controlled vocabulary: a row of the release's `schemes` and a file of `vocabularies/`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // the names are those of the schemes
pub enum Scheme {
    AccessRight,
    Frequency,
    DataTheme,
    DatasetType,
    PlannedAvailability,
    DistributionStatus,
    DatasetStatus,
    FileType,
    Language,
    Country,
    Continent,
    HealthCategory,
    HealthTheme,
    PublisherType,
    HealthActivity,
    CodingSystem,
    Standard,
    PersonalData,
    LegalBasis,
    Legislation,
    MediaType,
    Role,
    ChecksumAlgorithm,
    LicenceType,
    Place,
    Geonames,
    EucaimTier,
    EucaimCondition,
    EucaimCollectionMethod,
    EucaimDataType,
    EucaimLabel,
    EucaimAlgorithm,
    EucaimSex,
    EucaimModality,
    EucaimManufacturer,
    EucaimBodyPart,
    EucaimAccessCondition,
}

impl Scheme {
    /// Every scheme, with the name of its file in `vocabularies/`.
    pub const ALL: &[(Self, &str)] = &[
        (Self::AccessRight, "access-right"),
        (Self::Frequency, "frequency"),
        (Self::DataTheme, "data-theme"),
        (Self::DatasetType, "dataset-type"),
        (Self::PlannedAvailability, "planned-availability"),
        (Self::DistributionStatus, "distribution-status"),
        (Self::DatasetStatus, "dataset-status"),
        (Self::FileType, "file-type"),
        (Self::Language, "language"),
        (Self::Country, "country"),
        (Self::Continent, "continent"),
        (Self::HealthCategory, "health-category"),
        (Self::HealthTheme, "health-theme"),
        (Self::PublisherType, "publisher-type"),
        (Self::HealthActivity, "health-activity"),
        (Self::CodingSystem, "coding-system"),
        (Self::Standard, "standard"),
        (Self::PersonalData, "personal-data"),
        (Self::LegalBasis, "legal-basis"),
        (Self::Legislation, "legislation"),
        (Self::MediaType, "media-type"),
        (Self::Role, "role"),
        (Self::ChecksumAlgorithm, "checksum-algorithm"),
        (Self::LicenceType, "licence-type"),
        (Self::Place, "place"),
        (Self::Geonames, "geonames"),
        (Self::EucaimTier, "eucaim-tier"),
        (Self::EucaimCondition, "eucaim-condition"),
        (Self::EucaimCollectionMethod, "eucaim-collection-method"),
        (Self::EucaimDataType, "eucaim-data-type"),
        (Self::EucaimLabel, "eucaim-label"),
        (Self::EucaimAlgorithm, "eucaim-algorithm"),
        (Self::EucaimSex, "eucaim-sex"),
        (Self::EucaimModality, "eucaim-modality"),
        (Self::EucaimManufacturer, "eucaim-manufacturer"),
        (Self::EucaimBodyPart, "eucaim-body-part"),
        (Self::EucaimAccessCondition, "eucaim-access-condition"),
    ];

    /// The name of its file in `vocabularies/`.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(scheme, _)| *scheme == self).map_or("", |(_, name)| name)
    }
}

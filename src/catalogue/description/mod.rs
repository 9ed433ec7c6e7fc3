//! What a data steward writes about a dataset: one TOML file per dataset.
//!
//! The file holds words and choices, never figures: counts, ages, dates of coverage, variables,
//! codes and sizes are computed from the archive (TEHDAS2 D5.1; HealthDCAT-AP Release 8). A
//! description that types one is refused with that reason.

mod parts;
mod text;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Selection;
use super::release::WaiverRow;

pub use parts::{
    Activity, Agent, Attribution, Checksum, Contact, Distribution, Eucaim, Hours, LegalBasis,
    Location, Period, Policy, Relationship, Series, Table, Waiver,
};
pub(super) use text::is_language;
pub use text::{Day, Text, Words};

/// A description of one dataset.
///
/// The minimum for a PUBLIC dataset: `title`, `description`, `access_rights = "PUBLIC"`,
/// `health_categories` (one code or more), `selection` and one `[[distribution]]` with
/// `access_url`. Everything else has a default (`themes` HEAL, `applicable_legislation` EHDS,
/// publisher, custodian and access body from the configuration) or is recommended. NON_PUBLIC
/// needs in addition `keywords`, `provenance` and `type` (contact: the organisation's, unless
/// `contact` is given); its distributions default to the access body's application page.
///
/// The slug, and with it the IRI `{base}/dataset/{slug}`, is the file's name without `.toml`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Description {
    /// Title (`dct:title`), per language: `title.en = "…"`, or a plain string in the
    /// catalogue's language.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub title: Text,
    /// Abstract (`dct:description`), per language.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub description: Text,
    /// Other names (`dct:alternative`), per language.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub alternative: Text,
    /// Keywords (`dcat:keyword`), per language: `keywords.en = ["…"]`.
    #[serde(skip_serializing_if = "Words::is_empty")]
    pub keywords: Words,
    /// Access right (`dct:accessRights`): it chooses the level of HealthDCAT-AP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_rights: Option<AccessRights>,
    /// Whether figures are shown exactly; only an open dataset may ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<Precision>,
    /// Codes of the categories of Article 51 (`healthdcatap:healthCategory`): `EHRS`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub health_categories: Vec<String>,
    /// Codes of health themes (`healthdcatap:healthTheme`): `CANCER_DISEASE`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub health_themes: Vec<String>,
    /// Codes of EU data themes (`dcat:theme`); `HEAL` is always added.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub themes: Vec<String>,
    /// Legislation (`dcatap:applicableLegislation`), as ELI paths (`reg/2025/327/oj`) or IRIs;
    /// empty: Regulation (EU) 2025/327.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub applicable_legislation: Vec<String>,
    /// Codes of EU dataset types (`dct:type`): `STATISTICAL`.
    #[serde(rename = "type", skip_serializing_if = "Vec::is_empty")]
    pub kind: Vec<String>,
    /// Codes of health technical standards (`dct:conformsTo`); empty: `DICOM`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conforms_to: Vec<String>,
    /// Codes of coding systems beyond those that the data show
    /// (`healthdcatap:hasCodingSystem`): `ICD-O`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub coding_systems: Vec<String>,
    /// Names of DPV personal data (`dpv:hasPersonalData`): `Age`, `HealthRecord`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub personal_data: Vec<String>,
    /// Legal bases of the original collection, not of the secondary use
    /// (`dpv:hasLegalBasis`; TEHDAS2 D5.1 section 7.2.8.8).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub legal_basis: Vec<LegalBasis>,
    /// Purposes for which the data were collected (`dpv:hasPurpose`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub purposes: Vec<Text>,
    /// Where the data come from (`dct:provenance`), per language.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub provenance: Text,
    /// Activities that generated the data (`prov:wasGeneratedBy`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub generated_by: Vec<Activity>,
    /// Whom the data cover (`healthdcatap:populationCoverage`), per language.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub population_coverage: Text,
    /// How long the data are available for secondary use (`healthdcatap:retentionPeriod`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Period>,
    /// Code of the EU frequency of updates (`dct:accrualPeriodicity`): `ANNUAL`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency: Option<String>,
    /// Least time between two studies of a person (`dcat:temporalResolution`), as an
    /// `xsd:duration`: `P2Y`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temporal_resolution: Option<String>,
    /// Codes of EU languages of the data (`dct:language`): `ENG`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub language: Vec<String>,
    /// Codes of EU countries or continents (`dct:spatial`), `CZE`, or IRIs of the EU places or of
    /// GeoNames.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spatial: Vec<String>,
    /// Places with their extent (`dct:spatial` with `dcat:bbox`, `dcat:centroid`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<Location>,
    /// Publisher (`dct:publisher`); absent: `organisation` of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher: Option<Agent>,
    /// Health data holder (`geodcatap:custodian`); absent: `organisation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custodian: Option<Agent>,
    /// Health data access body (`healthdcatap:hdab`); absent: `hdab` of the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hdab: Option<Agent>,
    /// Coordinating access body (`healthdcatap:hdabCoordinator`, new in Release 8).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hdab_coordinator: Option<Agent>,
    /// Those who made the dataset (`dct:creator`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub creators: Vec<Agent>,
    /// Whom to ask about the dataset (`dcat:contactPoint`); absent: the organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<Contact>,
    /// Other identifiers, for instance a DOI (`adms:identifier`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<String>,
    /// Slugs under which this dataset was published here before (`adms:identifier`). When their
    /// files are gone, their addresses say which dataset took their place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub formerly: Vec<String>,
    /// Page at the original provider (`dcat:landingPage`); absent: our own page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub landing_page: Option<String>,
    /// Pages of documentation (`foaf:page`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub documentation: Vec<String>,
    /// Publications about the dataset (`dct:isReferencedBy`): DOIs as `https://doi.org/…`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub is_referenced_by: Vec<String>,
    /// What the dataset was made from, for instance source DOIs. Written as `dct:relation` and
    /// `prov:wasDerivedFrom`: the range of `dct:source` is `dcat:Dataset`, and a document that
    /// types a second dataset makes harvesters import it twice (ckanext-dcat, section 5.3).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Other related resources (`dct:relation`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<String>,
    /// How the dataset stands to other resources (`dcat:qualifiedRelation`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub qualified_relations: Vec<Relationship>,
    /// Who had which part in it (`prov:qualifiedAttribution`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attributions: Vec<Attribution>,
    /// IRIs of versions of this dataset (`dcat:hasVersion`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// The series of releases that this dataset belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub series: Option<Series>,
    /// Version (`dcat:version`); absent: `1.0`. Figures of a dataset that is not open change
    /// only with it, and only on the release schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What is new in the version (`adms:versionNotes`), per language.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub version_notes: Text,
    /// First publication (`dct:issued`); absent: the day of our first publication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued: Option<Day>,
    /// Address of a data quality and utility label that somebody else issued (Article 78;
    /// `dqv:hasQualityAnnotation`); our own computed one is always annotated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality_label: Option<String>,
    /// Tables of the dictionary of variables, by name (`studies`, `series`): address, keywords.
    #[serde(skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub tables: std::collections::BTreeMap<String, Table>,
    /// What EUCAIM's profile adds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eucaim: Option<Eucaim>,
    /// Rules that the dataset is excused from, by name.
    #[serde(rename = "waiver", skip_serializing_if = "Vec::is_empty")]
    pub waivers: Vec<Waiver>,
    /// The dataset is withdrawn: its address answers 410 with a tombstone, listings leave it out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
    /// With `withdrawn`: slug of the dataset that took its place (`dct:isReplacedBy`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<String>,
    /// Which series of the archive form the dataset.
    #[serde(skip_serializing_if = "Selection::is_empty")]
    pub selection: Selection,
    /// How one gets the data (`dcat:distribution`). None: for RESTRICTED and NON_PUBLIC the
    /// access body's application page.
    #[serde(rename = "distribution", skip_serializing_if = "Vec::is_empty")]
    pub distributions: Vec<Distribution>,
    /// A synthetic or anonymised sample (`adms:sample`; D5.1 section 7.2.5.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<Distribution>,
    /// Reports and dashboards beyond our own table of counts (`healthdcatap:analytics`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub analytics: Vec<Distribution>,
}

impl Description {
    /// The waiver by which the dataset is excused from a rule at a time: neither the exception of
    /// the release nor the dataset's own is over.
    #[must_use]
    pub fn waiver(&self, rule: &str, rows: &[WaiverRow], time: Timestamp) -> Option<&Waiver> {
        let today = Day(time.to_zoned(jiff::tz::TimeZone::UTC).date());
        let is_over = |until: Option<Day>| until.is_some_and(|until| until < today);
        let row = rows.iter().find(|row| row.rule == rule)?;
        let holds = |waiver: &&Waiver| waiver.rule == rule && !is_over(waiver.until);
        self.waivers.iter().find(holds).filter(|_| !is_over(row.until))
    }

    /// Everything that is given as a distribution, each with its key in the file.
    pub fn all_distributions(&self) -> impl Iterator<Item = (String, &Distribution)> {
        fn numbered<'a>(
            name: &'static str,
            given: &'a [Distribution],
        ) -> impl Iterator<Item = (String, &'a Distribution)> {
            given.iter().enumerate().map(move |(at, given)| (format!("{name}.{at}"), given))
        }
        numbered("distribution", &self.distributions)
            .chain(numbered("analytics", &self.analytics))
            .chain(self.sample.iter().map(|given| ("sample".to_owned(), given)))
    }
}

/// The access right, and with it the level of HealthDCAT-AP.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AccessRights {
    /// Anyone may have the data.
    Public,
    /// Some may, under conditions.
    Restricted,
    /// Only with a data permit.
    NonPublic,
}

impl AccessRights {
    /// The code in the EU authority table `access-right`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Public => "PUBLIC",
            Self::Restricted => "RESTRICTED",
            Self::NonPublic => "NON_PUBLIC",
        }
    }

    /// The access right of a code.
    #[must_use]
    pub fn of_code(code: &str) -> Option<Self> {
        [Self::Public, Self::Restricted, Self::NonPublic]
            .into_iter()
            .find(|rights| rights.code() == code)
    }

    /// The name of the level in file names.
    #[must_use]
    pub const fn level(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Restricted => "restricted",
            Self::NonPublic => "non-public",
        }
    }
}

/// How figures are shown.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// As counted. Only for a PUBLIC dataset of an archive that is configured de-identified.
    Exact,
    /// Through the disclosure rule: the default.
    Disclosed,
}

#[cfg(test)]
mod tests {
    use super::{Description, Selection};
    use crate::imaging::Facet;

    #[test]
    fn a_description_survives_writing_and_reading() {
        let text = "
title.en = \"Screening\"
title.nl = \"Onderzoek\"
description = \"Plain\"
keywords.en = [\"breast\"]
access_rights = \"NON_PUBLIC\"
issued = 2026-11-01
retention = { from = 2026-01-01, to = \"2036-12-31\" }
purposes = [{ en = \"Screening\" }]
[selection]
modality = [\"MG\"]
body-site = [\"x|1\"]
[selection.exclude]
species = [\"mouse\"]
[[distribution]]
access_url = \"https://example.org/a\"
";
        let description: Description = toml::from_str(text).unwrap();
        assert_eq!(description.issued.unwrap().to_string(), "2026-11-01");
        assert_eq!(description.selection.any_of[&Facet::Modality], ["MG"]);
        assert_eq!(description.title.best("fr"), "Screening");
        let written = toml::to_string(&description).unwrap();
        let again: Description = toml::from_str(&written).unwrap();
        assert_eq!(again, description, "{written}");
        assert!(Selection::default().is_empty());
    }
}

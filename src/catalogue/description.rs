//! What a data steward writes about a dataset: one TOML file per dataset.
//!
//! The file holds words and choices, never figures: counts, ages, dates of coverage, variables,
//! codes and sizes are computed from the archive (TEHDAS2 D5.1; HealthDCAT-AP Release 8). A
//! description that types one is refused with that reason.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Selection;

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
    /// Codes of EU countries (`dct:spatial`): `CZE`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spatial: Vec<String>,
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
    /// Address of the data quality and utility label (Article 78; `dqv:hasQualityAnnotation`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality_label: Option<String>,
    /// The dataset is withdrawn: its address answers 410 with a tombstone, listings leave it out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
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

/// A legal basis.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LegalBasis {
    /// Code in DPV's GDPR extension: `A9-2-i`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// In words, per language.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub description: Text,
    /// The law, as an ELI path or IRI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// An activity that generated data.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Activity {
    /// Its name, per language.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub label: Text,
    /// Code of the health activity: `HEALTH_SURVEILLANCE`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A period; either end may be open.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Period {
    /// First day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Day>,
    /// Last day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Day>,
}

/// An organisation. HealthDCAT-AP wants exactly one `cv:contactPoint` with an e-mail address or
/// a page.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Its IRI; absent: a part of the dataset's document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iri: Option<String>,
    /// E-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Contact page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// Telephone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telephone: Option<String>,
    /// Code of the publisher type: `inpatient-institute`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Note on the organisation (`dct:description`), per language.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub note: Text,
    /// Trusted health data holder (Article 72).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub trusted_data_holder: bool,
}

/// Whom to ask (`vcard:Kind`): an e-mail address or a page.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Contact {
    /// Name of the office.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// E-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
}

/// A series of releases (`dcat:DatasetSeries`), for instance yearly screening rounds.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Series {
    /// Last part of its IRI `{base}/series/{id}`.
    pub id: String,
    /// Title, per language.
    pub title: Text,
    /// Description, per language.
    pub description: Text,
}

/// A way to get data.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Distribution {
    /// Title, per language.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub title: Text,
    /// Description, per language.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub description: Text,
    /// Where one asks for or finds the data (`dcat:accessURL`). Absent: the access body's page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_url: Option<String>,
    /// Where one downloads them (`dcat:downloadURL`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_url: Option<String>,
    /// Code of the EU file type (`dct:format`). The table has no DICOM: `ZIP` or `BIN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// IANA media type (`dcat:mediaType`): `application/dicom`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// IRI of the licence (`dct:license`), or a short name of `vocabularies/licences.toml`
    /// (`CC BY 4.0`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Statement of rights (`dct:rights`), per language.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub rights: Text,
    /// Code of the planned availability (`dcatap:availability`); absent: `STABLE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability: Option<String>,
    /// Code of the distribution status (`adms:status`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Pages of documentation (`foaf:page`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub documentation: Vec<String>,
    /// The part of the dataset that it holds, for its size: facets of the selection, narrowed.
    #[serde(skip_serializing_if = "Selection::is_empty")]
    pub selection: Selection,
    /// Whether our FHIR endpoint serves it (`dcat:accessService`). When no distribution says
    /// so, one for the study metadata over FHIR is added.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fhir: bool,
}

/// Text per language. A plain string is in the catalogue's language.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Text(BTreeMap<String, String>);

impl Text {
    /// A text in one language (BCP 47); the empty tag means the catalogue's language.
    #[must_use]
    pub fn new(language: &str, text: &str) -> Self {
        Self(BTreeMap::from([(language.to_owned(), text.to_owned())]))
    }

    /// Puts a translation.
    pub fn put(&mut self, language: &str, text: &str) {
        self.0.insert(language.to_owned(), text.to_owned());
    }

    /// Language tags and texts, by tag; the empty tag means the catalogue's language.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(language, text)| (language.as_str(), text.as_str()))
    }

    /// Whether there is nothing in any language.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text in that language, else in the catalogue's, else in English, else the first.
    #[must_use]
    pub fn best(&self, language: &str) -> &str {
        [language, "", "en"]
            .iter()
            .find_map(|wanted| self.0.get(*wanted))
            .or_else(|| self.0.values().next())
            .map_or("", String::as_str)
    }
}

/// Words per language. A plain list is in the catalogue's language.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Words(BTreeMap<String, Vec<String>>);

impl Words {
    /// Words in one language.
    #[must_use]
    pub fn new(language: &str, words: &[&str]) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Self(BTreeMap::from([(language.to_owned(), words)]))
    }

    /// Language tags and words, by tag.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(language, words)| {
            words.iter().map(|word| (language.as_str(), word.as_str()))
        })
    }

    /// Whether there is no word.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.values().all(Vec::is_empty)
    }
}

/// A calendar day; in TOML a date or a string.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Day(pub jiff::civil::Date);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

// A map or a plain value: written by hand, because serde's untagged enums lose the line and
// column of what is wrong.
macro_rules! per_language {
    ($name:ident, $value:ty, $expecting:literal, $visit:item) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct PerLanguage;
                impl<'de> Visitor<'de> for PerLanguage {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }
                    $visit
                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$name, A::Error> {
                        let mut texts = BTreeMap::new();
                        while let Some((language, text)) = map.next_entry::<String, $value>()? {
                            if !is_language(&language) {
                                return Err(serde::de::Error::custom(format!(
                                    "`{language}` is no language tag; write a tag of BCP 47 such as `en`"
                                )));
                            }
                            texts.insert(language, text);
                        }
                        Ok($name(texts))
                    }
                }
                deserializer.deserialize_any(PerLanguage)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match (self.0.len(), self.0.get("")) {
                    (1, Some(text)) => text.serialize(serializer),
                    _ => self.0.serialize(serializer),
                }
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let one = generator.subschema_for::<$value>();
                schemars::json_schema!({
                    "anyOf": [one.clone(), { "type": "object", "additionalProperties": one }]
                })
            }
        }
    };
}

per_language!(
    Text,
    String,
    "a string, or a table of language tags and strings (`title.en = \"…\"`)",
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text, E> {
        Ok(Text::new("", text))
    }
);

per_language!(
    Words,
    Vec<String>,
    "a list of strings, or a table of language tags and lists (`keywords.en = [\"…\"]`)",
    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Words, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = list.next_element()? {
            words.push(word);
        }
        Ok(Words(BTreeMap::from([(String::new(), words)])))
    }
);

/// A language tag as BCP 47 shapes it: `en`, `pt-BR`.
pub(super) fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let first = parts.next().unwrap_or_default();
    (2..=3).contains(&first.len())
        && first.bytes().all(|b| b.is_ascii_lowercase())
        && parts.all(|part| {
            (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Civil;
        fn read<E: serde::de::Error>(text: &str) -> Result<Day, E> {
            text.parse().map(Day).map_err(|_| {
                E::custom(format!("`{text}` is no calendar day; write it as 2026-11-01"))
            })
        }
        impl<'de> Visitor<'de> for Civil {
            type Value = Day;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a day such as 2026-11-01")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Day, E> {
                read(text)
            }
            // TOML's own dates come as a map of one private key.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Day, A::Error> {
                let entry = map.next_entry::<String, toml_date::Text>()?;
                let (_, text) = entry.ok_or_else(|| serde::de::Error::custom("a day is empty"))?;
                read(&text.0)
            }
        }
        deserializer.deserialize_any(Civil)
    }
}

mod toml_date {
    /// The text of a TOML date, whatever the deserialiser hands over.
    #[derive(serde::Deserialize)]
    #[serde(transparent)]
    pub(super) struct Text(pub(super) String);
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Day {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Day".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "format": "date" })
    }
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

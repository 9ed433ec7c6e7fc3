//! The parts of a description: agents, contacts, periods, distributions, and what stewards say
//! about them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{Day, Text};
use crate::catalogue::Selection;

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
    /// Its name in other languages.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub other_names: Text,
    /// Its home page (`foaf:homepage`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// When it answers (`cv:openingHours`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub opening_hours: Vec<Hours>,
    /// When it does not, or otherwise (`cv:specialOpeningHoursSpecification`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub special_hours: Vec<Hours>,
}

/// Hours of a contact point (`time:TemporalEntity`).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hours {
    /// In words, per language: mandatory.
    pub description: Text,
    /// Code of the EU frequency (`cv:frequency`): `WEEKLY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency: Option<String>,
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
    /// Slug of the release before this one (`dcat:prev`): the last screening round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// Code of the EU frequency of releases (`dct:accrualPeriodicity`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency: Option<String>,
}

/// A part that somebody had in a dataset (`prov:Attribution`; DCAT 3 section 14.1).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Attribution {
    /// Who.
    pub agent: Agent,
    /// Code of the role (ISO 19115 `CI_RoleCode`, `dcat:hadRole`): `processor`.
    pub role: String,
}

/// How the dataset stands to another resource (`dcat:Relationship`; DCAT 3 section 14.2).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Relationship {
    /// The other resource (`dct:relation`).
    pub relation: String,
    /// IRI of the role (`dcat:hadRole`): one of IANA's link relations, or of DCAT.
    pub role: String,
    /// Title of the other resource, when it is a service (`dcat:DataService`), per language.
    /// DCAT-AP 3.0.1 wants it described, and a document describes no second dataset: any other
    /// resource is written as a plain `dct:relation`.
    #[serde(skip_serializing_if = "Text::is_empty")]
    pub service: Text,
}

/// A place that the data cover (`dct:Location`), with its extent.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Location {
    /// Code of an EU country or continent, or an IRI of the EU places or of GeoNames.
    pub place: String,
    /// West, south, east, north in degrees (`dcat:bbox`, WGS 84).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bbox: Option<[f64; 4]>,
    /// Longitude and latitude in degrees (`dcat:centroid`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub centroid: Option<[f64; 2]>,
    /// Any other geometry (`locn:geometry`), as WKT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geometry: Option<String>,
}

/// A checksum of a distribution (`spdx:Checksum`).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Checksum {
    /// `sha256`, `sha384`, `sha512`; `sha1` and `md5` where nothing better is known.
    pub algorithm: String,
    /// The digest in hexadecimal digits.
    pub value: String,
}

/// The conditions of a distribution as ODRL actions (`odrl:Policy`; ODRL 2.2): local names such
/// as `use`, `distribute`, `commercialize`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// What one may do (`odrl:permission`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub permits: Vec<String>,
    /// What one may not do (`odrl:prohibition`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prohibits: Vec<String>,
    /// What one must do (`odrl:obligation`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub obliges: Vec<String>,
}

/// Where a table of the dictionary of variables lies, and its keywords (`csvw:Table`).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Table {
    /// Address of the table (`csvw:url`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Keywords (`dcat:keyword`), per language.
    #[serde(skip_serializing_if = "super::text::Words::is_empty")]
    pub keywords: super::text::Words,
}

/// A rule that a dataset is excused from, by name, for a reason, until a day.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Waiver {
    /// Which rule: a row of `[[waiver]]` in the release (`hdab`).
    pub rule: String,
    /// Why, per language.
    pub reason: Text,
    /// The last day of the exception.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Day>,
}

/// What EUCAIM DCAT-AP 2.0 (August 2026) adds and only a steward knows. Birth sex, modality,
/// manufacturer, body part and the number of segmentations are computed from the archive.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Eucaim {
    /// Code of the interoperability tier (`eucaim:interoperabilityLevel`): `1`, `2C+`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interoperability_level: Option<String>,
    /// Code of the one primary condition (`eucaim:hasCondition`): `CLIN1007979`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Codes of collection methods (`eucaim:collectionMethod`): `LONGITUDINAL`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub collection_methods: Vec<String>,
    /// Codes of data types (`dct:type` of the EUCAIM view): `ORIGINAL`, `ANNOTATED`.
    #[serde(rename = "type", skip_serializing_if = "Vec::is_empty")]
    pub kind: Vec<String>,
    /// Codes of annotation labels (`eucaim:hasAnnotationLabel`) of the hyper-ontology.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotation_labels: Vec<String>,
    /// Codes of segmentation methods (`eucaim:hasAlgorithmType`): `MANUAL`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub algorithm_types: Vec<String>,
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
    /// Codes of health technical standards (`dct:conformsTo`): `FHIR`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conforms_to: Vec<String>,
    /// Codes of EU languages (`dct:language`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub language: Vec<String>,
    /// First day of availability (`dct:issued`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued: Option<Day>,
    /// Day of the last change (`dct:modified`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<Day>,
    /// IANA media type of the compression (`dcat:compressFormat`): `application/gzip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compress_format: Option<String>,
    /// IANA media type of the package (`dcat:packageFormat`): `application/zip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_format: Option<String>,
    /// Checksum of the download (`spdx:checksum`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Checksum>,
    /// Least time between two items (`dcat:temporalResolution`), as an `xsd:duration`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temporal_resolution: Option<String>,
    /// Conditions as ODRL actions (`odrl:hasPolicy`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// Codes of EUCAIM's access conditions (`dct:rights` of the EUCAIM view): `DOWNLOAD`,
    /// `IN_SITU_PROCESSING`, `REMOTE_PROCESSING`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub access_conditions: Vec<String>,
    /// The part of the dataset that it holds, for its size: facets of the selection, narrowed.
    #[serde(skip_serializing_if = "Selection::is_empty")]
    pub selection: Selection,
    /// Whether our FHIR endpoint serves it (`dcat:accessService`). When no distribution says
    /// so, one for the study metadata over FHIR is added.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub fhir: bool,
}

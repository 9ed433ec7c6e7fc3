//! `mado.toml`: fixed values, codes and decisions of IHE RAD MADO.

use schemars::JsonSchema;
use serde::Deserialize;

use super::manifest::Coded;

/// The whole table.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mado {
    /// The document.
    pub document: Document,
    /// The program that makes manifests.
    pub device: Device,
    /// How a document is identified.
    pub identifier: Decision,
    /// How SOP classes are coded.
    pub sop_class: SystemRow,
    /// How anatomical regions are written.
    pub region: Extensions,
    /// How numbers of frames are written.
    pub frames: Extensions,
    /// How key image notes are written.
    pub key_object: KeyObject,
    /// How accession numbers are typed.
    pub accession: Accession,
    /// How a placer's order number is typed.
    pub placer: Typed,
    /// How a filler's order number is typed.
    pub filler: Typed,
    /// The order.
    pub request: Order,
    /// Where instances are retrieved.
    pub retrieve: Retrieval,
    /// The Key Object Selection Document.
    pub kos: Kos,
    /// Concept names of the content tree.
    pub concept: Vec<ConceptRow>,
    /// Value types of references to instances.
    pub reference: Vec<Reference>,
}

/// The document.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Profile of the Bundle.
    pub bundle_profile: String,
    /// Language of titles (BCP 47).
    pub language: String,
    /// Composition.status.
    pub status: String,
    /// What kind of document.
    #[serde(rename = "type")]
    pub kind: Coded,
    /// Its category.
    pub category: Category,
    /// Kind of facility.
    pub facility: Reasoned,
    /// Practice setting.
    pub practice: Reasoned,
    /// Confidentiality.
    pub security: Reasoned,
    /// How modalities stand in a DocumentReference.
    pub modality: ExtensionRow,
    /// How regions stand in a DocumentReference.
    pub body_site: ExtensionRow,
    /// The documents of a study together.
    pub set: SetRow,
    /// The FHIR encoding.
    pub fhir: EncodingRow,
    /// The DICOM encoding.
    pub kos: EncodingRow,
}

/// The category of documents; its code system is a switch of `eu-profiles.toml`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// The code.
    pub code: String,
    /// Its words.
    pub display: String,
    /// Why.
    pub reason: String,
}

/// A code, and why this one.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reasoned {
    /// The code.
    pub coding: Coded,
    /// Why.
    pub reason: String,
}

/// One of the two encodings.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncodingRow {
    /// Title of the attachment.
    pub title: String,
    /// Media type.
    pub content_type: String,
    /// Format code.
    pub format: Coded,
    /// Profile of its DocumentReference.
    pub profile: String,
}

/// An extension.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtensionRow {
    /// Its URL.
    pub url: String,
    /// Why.
    pub reason: String,
}

/// A submission set of IHE MHD.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRow {
    /// List.code.
    pub code: Coded,
    /// Extension with the kind of content.
    pub designation: String,
    /// Extension with the identifier of the source.
    pub source: String,
    /// Profile of the List.
    pub profile: String,
    /// Why.
    pub reason: String,
}

/// The program that makes manifests.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// What kind of device.
    #[serde(rename = "type")]
    pub kind: Coded,
    /// Who made it.
    pub manufacturer: String,
    /// What it is called.
    pub name: String,
}

/// A value, and why.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// System of identifiers.
    pub system: String,
    /// Why.
    pub reason: String,
}

/// A code system that is written, and others that are read.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SystemRow {
    /// What is written.
    pub system: String,
    /// What is read too.
    pub also: Vec<String>,
    /// Why.
    pub reason: String,
}

/// Extensions that say the same.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Extensions {
    /// All are written and read.
    pub extensions: Vec<String>,
    /// Why.
    pub reason: String,
}

/// How key image notes are written.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Representation {
    /// As an extension of the instance.
    Extension,
    /// Not at all: the title alone.
    None,
}

/// Key image notes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyObject {
    /// How they are written.
    pub representation: Representation,
    /// The extension.
    pub extension: String,
    /// Why.
    pub reason: String,
}

/// Accession numbers.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Accession {
    /// All are written; one is enough to know one by.
    pub types: Vec<Coded>,
    /// Whether a study without one gets one in its manifest.
    pub generate: bool,
    /// Why.
    pub reason: String,
}

/// The type of an identifier.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Typed {
    /// Its code.
    #[serde(rename = "type")]
    pub kind: Coded,
}

/// The order.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Its category.
    pub category: Coded,
}

/// Where instances are retrieved.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retrieval {
    /// Extension with the Retrieve Location UID.
    pub extension: String,
    /// What stands for an address that is not known.
    pub unknown_address: String,
    /// What the service gives.
    pub mime_types: Vec<String>,
    /// Why.
    pub reason: String,
}

/// The Key Object Selection Document.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kos {
    /// Its SOP class.
    pub sop_class: String,
    /// SeriesDescription.
    pub series_description: String,
    /// SeriesNumber.
    pub series_number: u32,
    /// TemplateIdentifier of the root.
    pub template: String,
}

/// A concept name.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConceptRow {
    /// The name in this table.
    pub name: ConceptName,
    /// Coding scheme designator.
    pub scheme: String,
    /// Code value.
    pub code: String,
    /// Code meaning.
    pub meaning: String,
    /// Trial codes that are read too, `designator|value`.
    #[serde(default)]
    pub also: Vec<String>,
    /// Why, where it is not plain.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What a content item is about.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum ConceptName {
    /// Title of the document.
    Manifest,
    /// The container of all series.
    Library,
    /// The container of a series.
    Group,
    /// Modality.
    Modality,
    /// Anatomical region of the study, body site of a series.
    Region,
    /// Side.
    Laterality,
    /// How many series.
    StudySeries,
    /// SeriesDate.
    SeriesDate,
    /// SeriesTime.
    SeriesTime,
    /// SeriesDescription.
    SeriesDescription,
    /// SeriesNumber.
    SeriesNumber,
    /// SeriesInstanceUID.
    SeriesUid,
    /// How many instances.
    SeriesInstances,
    /// InstanceNumber.
    InstanceNumber,
    /// NumberOfFrames.
    Frames,
    /// Description of the document or of a key image note.
    KeyDescription,
    /// Document title of a key image note.
    KeyTitle,
    /// What was done, coded.
    Procedure,
    /// What was done, in words.
    ProcedureText,
}

/// The value type of references to instances of a SOP class.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// A SOP class, or the beginning of some when it ends with a dot.
    pub sop_class: String,
    /// IMAGE, COMPOSITE or WAVEFORM.
    pub value_type: ValueType,
}

/// PS3.3 table C.17.3-7.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
pub enum ValueType {
    /// C.18.4
    Image,
    /// C.18.3
    Composite,
    /// C.18.5
    Waveform,
}

impl ValueType {
    /// As PS3.3 spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "IMAGE",
            Self::Composite => "COMPOSITE",
            Self::Waveform => "WAVEFORM",
        }
    }
}

/// Every concept, so that a table that lacks one is refused when it is read.
const CONCEPTS: [ConceptName; 19] = [
    ConceptName::Manifest,
    ConceptName::Library,
    ConceptName::Group,
    ConceptName::Modality,
    ConceptName::Region,
    ConceptName::Laterality,
    ConceptName::StudySeries,
    ConceptName::SeriesDate,
    ConceptName::SeriesTime,
    ConceptName::SeriesDescription,
    ConceptName::SeriesNumber,
    ConceptName::SeriesUid,
    ConceptName::SeriesInstances,
    ConceptName::InstanceNumber,
    ConceptName::Frames,
    ConceptName::KeyDescription,
    ConceptName::KeyTitle,
    ConceptName::Procedure,
    ConceptName::ProcedureText,
];

impl Mado {
    /// What is wrong with the table beyond its form.
    pub(super) fn check(&self) -> Result<(), String> {
        for name in CONCEPTS {
            if self.concept.iter().filter(|row| row.name == name).count() != 1 {
                return Err(format!("concept {name:?} must stand once"));
            }
        }
        if self.accession.types.is_empty() {
            return Err("`accession.types` is empty".to_owned());
        }
        if crate::imaging::Uid::parse(&self.kos.sop_class).is_err() {
            return Err("`kos.sop_class` is no UID".to_owned());
        }
        Ok(())
    }

    /// The row of a concept.
    #[must_use]
    pub fn concept(&self, name: ConceptName) -> Option<&ConceptRow> {
        self.concept.iter().find(|row| row.name == name)
    }

    /// What a concept name in a content tree is.
    #[must_use]
    pub fn concept_of(&self, scheme: &str, code: &str) -> Option<ConceptName> {
        let is_trial = |text: &String| text.split_once('|') == Some((scheme, code));
        self.concept
            .iter()
            .find(|row| (row.scheme == scheme && row.code == code) || row.also.iter().any(is_trial))
            .map(|row| row.name)
    }

    /// The value type of a reference to an instance.
    #[must_use]
    pub fn value_type(&self, sop_class: &str) -> ValueType {
        self.reference
            .iter()
            .find(|row| match row.sop_class.ends_with('.') {
                true => sop_class.starts_with(&row.sop_class),
                false => sop_class == row.sop_class,
            })
            .map_or(ValueType::Image, |row| row.value_type)
    }
}

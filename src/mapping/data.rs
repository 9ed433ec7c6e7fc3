//! The data files of `mappings/`: embedded, or replaced by files of a folder; parsed once.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::element::{Element, Elements};
use super::manifest::Coded;
use super::profiles::{Profiles, Switch};
use crate::error::{Error, Result};
use crate::imaging::Laterality;

/// Reads one data file: the built-in text, or the file of the same name in `folder`.
///
/// # Errors
/// [`Error::Configuration`] with file, line and rule.
pub fn read<T: DeserializeOwned>(name: &str, built_in: &str, folder: Option<&Path>) -> Result<T> {
    parse(&text_of(name, built_in, folder)?)
}

/// What a file is called in messages, and its text.
fn text_of(name: &str, built_in: &str, folder: Option<&Path>) -> Result<(String, String)> {
    let replaced = folder.map(|folder| folder.join(name)).filter(|path| path.exists());
    let (shown, text) = match &replaced {
        None => (format!("mappings/{name}"), built_in.to_owned()),
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|failure| {
                Error::Configuration(format!("{}: cannot be read ({failure})", path.display()))
            })?;
            (path.display().to_string(), text)
        }
    };
    Ok((shown, text))
}

fn parse<T: DeserializeOwned>((shown, text): &(String, String)) -> Result<T> {
    toml::from_str(text)
        .map_err(|failure| Error::Configuration(format!("{shown}: {}", failure.to_string().trim())))
}

fn refused<T>(file: &str, problem: &str) -> Result<T> {
    Err(Error::Configuration(format!("mappings/{file}: {problem}")))
}

/// `body-parts.toml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BodyParts {
    /// URI of the code system of `code`.
    pub system: String,
    /// The anatomical regions of HL7 Europe Imaging and IHE MADO.
    pub region: Vec<Region>,
    /// One row per defined term of PS3.16 Annex L.
    pub part: Vec<Part>,
    /// Text that is no defined term and still unmistakable.
    pub synonym: Vec<Synonym>,
}

/// An anatomical region.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// The name that parts use.
    pub name: String,
    /// SNOMED CT code.
    pub code: String,
    /// What it is called.
    pub display: String,
}

/// A body part of Annex L.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The defined term of Body Part Examined.
    pub term: String,
    /// SNOMED CT code; Annex L gives none for fetal parts.
    pub code: Option<String>,
    /// Code meaning.
    pub display: String,
    /// Codes of SRT, SNM3 and 99SDM that mean the same.
    #[serde(default)]
    pub srt: Vec<String>,
    /// Codes that a search may still use for it.
    #[serde(default)]
    pub also: Vec<String>,
    /// The region that it lies in.
    pub region: Option<String>,
}

/// Text that stands for a body part.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Synonym {
    /// The text; compared without case, spaces, hyphens and underscores.
    pub text: String,
    /// The defined term that it stands for.
    pub term: String,
    /// The side that it tells: `R`, `L` or `B`.
    pub side: Option<String>,
}

/// `coding-schemes.toml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodingSchemes {
    /// One row per designator.
    pub scheme: Vec<CodingScheme>,
}

/// A coding scheme.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodingScheme {
    /// Coding Scheme Designator (0008,0102).
    pub designator: String,
    /// The URI that FHIR knows it by.
    pub system: String,
    /// Whether its codes are SNOMED-RT style and the table of body parts may know them.
    #[serde(default)]
    pub is_srt: bool,
}

/// `codes.toml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Codes {
    /// PatientSex to administrative gender.
    pub sex: Vec<Sex>,
    /// Laterality to SNOMED CT.
    pub laterality: Vec<Side>,
    /// Species to SNOMED CT.
    pub species: Vec<Species>,
    /// Code meanings of modalities.
    pub modality: Vec<Meaning>,
}

/// A row of `sex`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sex {
    /// The value of PatientSex.
    pub dicom: String,
    /// The code of administrative-gender.
    pub fhir: String,
}

/// A row of `laterality`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// The value of Laterality.
    pub dicom: String,
    /// SNOMED CT code.
    pub code: String,
    /// What it is called.
    pub display: String,
}

/// A row of `species`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Species {
    /// The term that is counted.
    pub term: String,
    /// SNOMED CT code.
    pub code: Option<String>,
    /// What the code is called.
    pub display: Option<String>,
    /// Spellings, lower case.
    pub text: Vec<String>,
}

/// A code and its meaning.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Meaning {
    /// The code.
    pub code: String,
    /// Its meaning.
    pub display: String,
}

/// `manufacturers.toml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manufacturers {
    /// One row per maker.
    pub manufacturer: Vec<Maker>,
}

/// A maker of devices.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Maker {
    /// What is counted and shown.
    pub name: String,
    /// Spellings.
    pub text: Vec<String>,
}

/// Every table of this room, with the dictionaries that the rules look things up in.
#[derive(Debug)]
pub struct Tables {
    pub(super) body: BodyParts,
    /// Folded term or synonym → part and side.
    pub(super) part_of_text: HashMap<Box<str>, (usize, Option<Laterality>)>,
    pub(super) part_of_srt: HashMap<Box<str>, usize>,
    pub(super) part_of_code: HashMap<Box<str>, usize>,
    pub(super) schemes: HashMap<Box<str>, CodingScheme>,
    pub(super) codes: Codes,
    pub(super) modality: HashMap<Box<str>, Box<str>>,
    pub(super) species: HashMap<Box<str>, usize>,
    pub(super) maker: HashMap<Box<str>, Box<str>>,
    pub(super) patient: Elements,
    pub(super) study: Elements,
    pub(super) series: Elements,
    pub(super) instance: Elements,
    /// Fixed values, codes and decisions of MADO.
    pub mado: super::mado::Mado,
    /// What reports become.
    pub reports: super::report::Reports,
    pub(super) practitioner: Elements,
    pub(super) practitioner_role: Elements,
    pub(super) device: Elements,
    pub(super) service_request: Elements,
    pub(super) procedure: Elements,
    /// Profiles, extensions and decided conflicts.
    pub profiles: Profiles,
    /// Every row of the element files, for documentation and tests.
    pub elements: Vec<Element>,
    /// Of the text of every file: facts made from other tables differ.
    pub(super) digest: [u8; 32],
}

macro_rules! built_in {
    ($name:literal) => {
        ($name, include_str!(concat!("../../mappings/", $name)))
    };
}

impl Tables {
    /// The built-in tables.
    #[must_use]
    pub fn built_in() -> Arc<Self> {
        static TABLES: OnceLock<Arc<Tables>> = OnceLock::new();
        Arc::clone(TABLES.get_or_init(|| match Self::load(None) {
            Ok(tables) => Arc::new(tables),
            // A test loads them, so a wrong built-in table never leaves the house.
            Err(failure) => unreachable!("built-in table: {failure}"),
        }))
    }

    /// The tables, with the files of `folder` in place of built-in ones of the same name.
    ///
    /// # Errors
    /// [`Error::Configuration`] with file, line and rule.
    pub fn load(folder: Option<&Path>) -> Result<Self> {
        let mut digest = Sha256::new();
        let mut text_of = |name: &str, built_in: &str, folder: Option<&Path>| {
            let named = text_of(name, built_in, folder)?;
            digest.update(named.1.as_bytes());
            Ok::<_, Error>(named)
        };
        let (name, text) = built_in!("body-parts.toml");
        let body: BodyParts = parse(&text_of(name, text, folder)?)?;
        let mut part_of_text = HashMap::new();
        let mut part_of_srt = HashMap::new();
        let mut part_of_code: HashMap<Box<str>, usize> = HashMap::new();
        for (at, part) in body.part.iter().enumerate() {
            if part_of_text.insert(fold_term(&part.term).into(), (at, None)).is_some() {
                return refused(name, &format!("term `{}` stands twice", part.term));
            }
            if let Some(region) = &part.region
                && !body.region.iter().any(|row| row.name == *region)
            {
                return refused(name, &format!("`{}`: no region `{region}`", part.term));
            }
            for srt in &part.srt {
                part_of_srt.entry(srt.as_str().into()).or_insert(at);
            }
            if let Some(code) = &part.code {
                part_of_code.entry(code.as_str().into()).or_insert(at);
            }
        }
        for row in &body.synonym {
            let Some(&(at, _)) = part_of_text.get(fold_term(&row.term).as_str()) else {
                return refused(name, &format!("`{}`: no term `{}`", row.text, row.term));
            };
            let side = match row.side.as_deref() {
                None => None,
                Some(side) => match Laterality::parse(side) {
                    Some(side) => Some(side),
                    None => {
                        return refused(name, &format!("`{}`: no side `{side}`", row.text));
                    }
                },
            };
            part_of_text.insert(fold_term(&row.text).into(), (at, side));
        }

        let (name, text) = built_in!("coding-schemes.toml");
        let schemes: CodingSchemes = parse(&text_of(name, text, folder)?)?;
        let schemes = schemes
            .scheme
            .into_iter()
            .map(|scheme| (scheme.designator.as_str().into(), scheme))
            .collect();

        let (name, text) = built_in!("codes.toml");
        let codes: Codes = parse(&text_of(name, text, folder)?)?;
        for row in &codes.sex {
            if !["male", "female", "other", "unknown"].contains(&row.fhir.as_str()) {
                return refused(name, &format!("`{}` is no administrative gender", row.fhir));
            }
        }
        let modality = codes
            .modality
            .iter()
            .map(|row| (row.code.as_str().into(), row.display.as_str().into()))
            .collect();
        let mut species: HashMap<Box<str>, usize> = HashMap::new();
        for (at, row) in codes.species.iter().enumerate() {
            for text in &row.text {
                species.insert(text.to_lowercase().into(), at);
            }
            if let Some(code) = &row.code {
                species.insert(code.as_str().into(), at);
            }
        }

        let (name, text) = built_in!("manufacturers.toml");
        let makers: Manufacturers = parse(&text_of(name, text, folder)?)?;
        let mut maker: HashMap<Box<str>, Box<str>> = HashMap::new();
        for row in &makers.manufacturer {
            for text in row.text.iter().chain([&row.name]) {
                let old = maker.insert(fold_maker(text).into(), row.name.as_str().into());
                if old.is_some_and(|old| *old != *row.name) {
                    return refused(name, &format!("`{text}` stands under two names"));
                }
            }
        }

        let (name, text) = built_in!("mado.toml");
        let mado: super::mado::Mado = parse(&text_of(name, text, folder)?)?;
        mado.check().or_else(|problem| refused(name, &problem))?;
        let (name, text) = built_in!("sr-reports.toml");
        let reports: super::report::Reports = parse(&text_of(name, text, folder)?)?;
        let reports = reports.index().or_else(|problem| refused(name, &problem))?;
        let (name, text) = built_in!("eu-profiles.toml");
        let profiles: Profiles = parse(&text_of(name, text, folder)?)?;
        profiles.check().or_else(|problem| refused(name, &problem))?;

        let mut elements = Vec::new();
        for (name, text) in [
            built_in!("dicom-patient.toml"),
            built_in!("dicom-imaging-study.toml"),
            built_in!("dicom-practitioner.toml"),
            built_in!("dicom-device.toml"),
            built_in!("dicom-service-request.toml"),
            built_in!("dicom-procedure.toml"),
        ] {
            let file: super::element::File = parse(&text_of(name, text, folder)?)?;
            for element in file.element {
                element.check().or_else(|problem| refused(name, &problem))?;
                elements.push(element);
            }
        }
        let level = |prefix: &str| Elements::of(&elements, prefix);
        Ok(Self {
            patient: level("Patient."),
            study: level("ImagingStudy."),
            series: level("ImagingStudy.series."),
            instance: level("ImagingStudy.series.instance."),
            practitioner: level("Practitioner."),
            practitioner_role: level("PractitionerRole."),
            device: level("Device."),
            service_request: level("ServiceRequest."),
            procedure: level("Procedure."),
            profiles,
            body,
            part_of_text,
            part_of_srt,
            part_of_code,
            schemes,
            codes,
            modality,
            species,
            maker,
            mado,
            reports,
            elements,
            digest: digest.finalize().into(),
        })
    }
}

impl Tables {
    /// The priority category of imaging documents (conflict 4 of `eu-profiles.toml`): as it is
    /// written first, then as others may call it.
    #[must_use]
    pub fn document_categories(&self) -> Vec<Coded> {
        let row = &self.mado.document.category;
        let name = Switch::DocumentCategorySystem;
        let chosen = self.profiles.chosen(name);
        let mut systems: Vec<&str> = Vec::new();
        for option in chosen.chain(self.profiles.options(name)) {
            if let Some(system) = option.values.first()
                && !systems.contains(&system.as_str())
            {
                systems.push(system);
            }
        }
        let of = |system: &str| Coded {
            system: system.to_owned(),
            code: row.code.clone(),
            display: Some(row.display.clone()),
        };
        systems.into_iter().map(of).collect()
    }

    /// Administrative gender of a value of PatientSex, if a row knows it.
    #[must_use]
    pub fn gender(&self, sex: &str) -> Option<&str> {
        self.codes.sex.iter().find(|row| row.dicom == sex).map(|row| row.fhir.as_str())
    }
}

/// A body part term without case, spaces, hyphens and underscores.
pub(super) fn fold_term(text: &str) -> String {
    text.chars()
        .filter(|letter| !matches!(letter, ' ' | '-' | '_'))
        .flat_map(char::to_uppercase)
        .collect()
}

/// A maker's name without case, spaces and punctuation.
pub(super) fn fold_maker(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::Tables;

    #[test]
    fn the_built_in_tables_load() {
        let tables = Tables::load(None).unwrap();
        assert_eq!(tables.body.part.len(), 322);
        assert_eq!(tables.modality.get("MG").map(|text| &**text), Some("Mammography"));
    }

    #[test]
    fn a_file_of_the_folder_replaces_the_built_in_one_and_is_refused_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manufacturers.toml");
        std::fs::write(
            &path,
            "manufacturer = [\n  { name = \"ACME\", text = [\"acme corp\"] },\n]\n",
        )
        .unwrap();
        let tables = Tables::load(Some(folder.path())).unwrap();
        assert_eq!(tables.maker.get("acmecorp").map(|name| &**name), Some("ACME"));
        assert_eq!(tables.maker.get("siemens"), None);

        std::fs::write(&path, "manufacturer = [\n  { name = \"ACME\", texts = [] },\n]\n").unwrap();
        let message = Tables::load(Some(folder.path())).unwrap_err().to_string();
        assert!(message.contains("manufacturers.toml") && message.contains("line 2"), "{message}");
    }
}

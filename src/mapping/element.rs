//! Rows of the element files: which DICOM attributes an element of a resource comes from.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::imaging::Keyword;

/// `dicom-imaging-study.toml`, `dicom-patient.toml` and the others of that form.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// One row per element.
    pub element: Vec<Element>,
}

/// One element of a resource.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Element {
    /// Path of the element in FHIR R4; `[]` appends to a list, and `_name.extension[]` is an
    /// extension of the primitive element `name`.
    pub r4: String,
    /// Keywords of PS3.6 that the value comes from, in order of preference.
    pub dicom: Vec<String>,
    /// The rule.
    pub transform: Transform,
    /// What secondary use of an archive that names persons gets.
    #[serde(default)]
    pub secondary: Secondary,
    /// Why the row differs from the mapping that the StructureDefinition carries.
    pub deviation: Option<String>,
    /// What to know besides.
    pub note: Option<String>,
}

/// What secondary use of an archive that names persons gets of an element.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Secondary {
    /// The value as it is.
    #[default]
    Keep,
    /// Nothing.
    Drop,
    /// The value mapped by the archive's keyed function.
    Map,
    /// A date cut to its year.
    Year,
    /// A date cut to year and month.
    Month,
    /// Codes without the text beside them.
    Codes,
    /// That it is masked (data-absent-reason), where the profile wants the element.
    Mask,
}

/// The rules, by name.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are those of the data files, which explain them")]
pub enum Transform {
    None,
    StudyUid,
    Accession,
    AccessionOrder,
    StudyId,
    Available,
    Modalities,
    Subject,
    StudyStarted,
    Referrer,
    Interpreters,
    Endpoint,
    NumberOfSeries,
    NumberOfInstances,
    ProcedureCode,
    Location,
    ReasonCode,
    StudyText,
    AnatomicalRegion,
    SeriesUid,
    SeriesNumber,
    Modality,
    SeriesText,
    SeriesInstances,
    BodySite,
    Laterality,
    Specimen,
    SeriesStarted,
    PerformingPhysician,
    Operator,
    Device,
    InstanceUid,
    SopClass,
    InstanceNumber,
    InstanceTitle,
    NumberOfFrames,
    PatientId,
    OtherPatientIds,
    PatientName,
    Gender,
    BirthDate,
    BirthDateAbsent,
    Species,
    Encounter,
    ProcedureReference,
    Custodian,
    Institution,
    InstanceDescription,
    DocumentTitle,
    AgentIdentifier,
    PractitionerName,
    RolePractitioner,
    RoleOrganization,
    DeviceCategory,
    DeviceStatus,
    Manufacturer,
    SerialNumber,
    ModelNumber,
    DeviceName,
    SoftwareVersion,
    OrderAccession,
    OrderNumber,
    Completed,
    Intent,
    ImagingCategory,
    RequestedCode,
    ReasonExtension,
    Orders,
    FirstProcedureCode,
    PerformedAbsent,
    ProcedurePerformers,
    BodySites,
    UsedDevices,
}

impl Transform {
    /// Whether the rule reads nothing of a series but its attributes, and of these none of
    /// [`OF_ONE_SERIES`] unless the row names it.
    pub(super) const fn is_of_make(self) -> bool {
        matches!(
            self,
            Self::Modality
                | Self::Endpoint
                | Self::BodySite
                | Self::Laterality
                | Self::Specimen
                | Self::PerformingPhysician
                | Self::Operator
                | Self::Device
                | Self::Custodian
                | Self::Institution
        )
    }
}

/// Attributes that tell series of one make apart.
pub(super) const OF_ONE_SERIES: [&str; 4] =
    ["SeriesDate", "SeriesDescription", "SeriesNumber", "SeriesTime"];

impl Element {
    /// The rules that a single row must hold to.
    pub(super) fn check(&self) -> Result<(), String> {
        for keyword in &self.dicom {
            Keyword::parse(keyword).map_err(|failure| format!("`{}`: {failure}", self.r4))?;
        }
        let leaf = self.r4.rsplit('.').next().unwrap_or_default().trim_end_matches("[]");
        let leaf = leaf.trim_start_matches('_');
        if leaf.is_empty() || !leaf.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(format!("`{}` is no path of an element", self.r4));
        }
        if self.transform == Transform::None && self.deviation.is_none() {
            return Err(format!("`{}` is not mapped: its `deviation` must say why", self.r4));
        }
        Ok(())
    }

    /// The first keyword: what a transform that copies reads.
    pub(super) fn keyword(&self) -> &str {
        self.dicom.first().map_or("", String::as_str)
    }
}

/// The mapped elements of one level, ready to be filled in.
#[derive(Debug)]
pub(super) struct Elements {
    pub(super) places: Vec<Place>,
    /// The places of each name, in the order in which the names first appear.
    pub(super) members: Vec<Member>,
}

/// What is written under one name.
#[derive(Debug)]
pub(super) struct Member {
    /// Indexes of places.
    pub(super) places: Vec<usize>,
    pub(super) is_list: bool,
    /// Whether series of one make have the same: see [`Transform::is_of_make`].
    pub(super) is_of_make: bool,
}

/// An element and where its value goes.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) name: Box<str>,
    pub(super) is_list: bool,
    /// The values are extensions of a primitive element (JSON: the name behind `_`).
    pub(super) is_extension: bool,
    pub(super) element: Element,
}

impl Elements {
    /// The elements right below `prefix`, in the order of the file.
    pub(super) fn of(elements: &[Element], prefix: &str) -> Self {
        let places: Vec<Place> = elements
            .iter()
            .filter(|element| element.transform != Transform::None)
            .filter_map(|element| {
                let rest = element.r4.strip_prefix(prefix)?;
                let (name, is_list) = match rest.strip_suffix("[]") {
                    Some(name) => (name, true),
                    None => (rest, false),
                };
                let element = element.clone();
                let of_primitive =
                    name.strip_suffix(".extension").filter(|name| name.starts_with('_'));
                let is_extension = of_primitive.is_some();
                let (name, is_list) = of_primitive.map_or((name, is_list), |of| (of, false));
                let place = Place { name: name.into(), is_list, is_extension, element };
                (!place.name.contains('.')).then_some(place)
            })
            .collect();
        let mut members: Vec<(&str, Member)> = Vec::new();
        for (at, place) in places.iter().enumerate() {
            let is_of_make = place.element.transform.is_of_make();
            match members.iter_mut().find(|(name, _)| *name == &*place.name) {
                Some((_, member)) => {
                    member.places.push(at);
                    member.is_list |= place.is_list;
                    member.is_of_make &= is_of_make;
                }
                None => {
                    let is_list = place.is_list;
                    members.push((&place.name, Member { places: vec![at], is_list, is_of_make }));
                }
            }
        }
        let members = members.into_iter().map(|(_, member)| member).collect();
        Self { places, members }
    }
}

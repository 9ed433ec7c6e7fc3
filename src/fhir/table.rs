//! `mappings/search-parameters.toml`: resources and their search parameters as rows.

use schemars::JsonSchema;
use serde::Deserialize;

use super::search::values::Path;
use crate::error::{Error, Result};
use crate::mapping::read_table;

/// The files: what the archive answers, what clients write, and the implementation guide.
const FILES: [&str; 3] =
    ["search-parameters.toml", "search-parameters-records.toml", "search-parameters-guide.toml"];

/// A file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The resources that the facade serves.
    pub resource: Vec<ResourceRow>,
    /// The search parameters that it answers.
    pub parameter: Vec<Parameter>,
    /// Those of what clients write, also where the archive answers one of that name.
    #[serde(skip)]
    pub written: Vec<Parameter>,
}

macro_rules! resources {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// A resource type. Those that patients' tokens may name are `SCOPED` in `actor`.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq)]
        pub enum Resource { $($(#[$doc])* $name),+ }

        impl Resource {
            /// Each of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The type's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),+ }
            }
        }
    };
}

resources! {
    /// Subjects.
    Patient,
    /// Studies.
    ImagingStudy,
    /// The archive's WADO-RS service.
    Endpoint,
    /// The data holder, and what clients wrote.
    Organization,
    /// Reports.
    DiagnosticReport,
    /// Heads of documents.
    Composition,
    /// Documents and collections.
    Bundle,
    /// Measurements and assessments.
    Observation,
    /// Diagnoses and problems.
    Condition,
    /// What was done.
    Procedure,
    /// Samples.
    Specimen,
    /// Orders.
    ServiceRequest,
    /// Persons who treat.
    Practitioner,
    /// What persons do for organisations.
    PractitionerRole,
    /// Visits and stays.
    Encounter,
    /// What patients allow or refuse.
    Consent,
    /// Harm, or nearly.
    AdverseEvent,
    /// What has no type of its own.
    Basic,
    /// Where resources come from.
    Provenance,
    /// Pictures that are not DICOM.
    Media,
    /// Documents and where they are.
    DocumentReference,
    /// The manifests of a study together (IHE MHD SubmissionSet).
    List,
    /// Content as it is.
    Binary,
    /// Allergies and intolerances.
    AllergyIntolerance,
    /// Products and substances.
    Medication,
    /// Prescriptions.
    MedicationRequest,
    /// What is said to be taken.
    MedicationStatement,
    /// What was given.
    MedicationAdministration,
    /// What was handed over.
    MedicationDispense,
    /// Vaccinations.
    Immunization,
    /// Devices and software.
    Device,
    /// Places of a body.
    BodyStructure,
    /// The archive's tables as maps between code systems.
    ConceptMap,
    /// The codes of DICOM that have no code system elsewhere, and those of the guide.
    CodeSystem,
    /// Profiles and extensions of the guide.
    StructureDefinition,
    /// The guide.
    ImplementationGuide,
    /// Sets of codes of the guide.
    ValueSet,
    /// What the guide asks of servers.
    CapabilityStatement,
    /// Operations of the guide.
    OperationDefinition,
    /// Search parameters of the guide.
    SearchParameter,
    /// For how long somebody is responsible for a patient.
    EpisodeOfCare,
    /// Several patients together.
    Group,
}

impl Resource {
    /// The type of that name, if the facade serves it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|resource| resource.name() == name)
    }
}

/// What the facade says of a resource type.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceRow {
    /// The type.
    #[serde(rename = "type")]
    pub resource: Resource,
    /// Whether clients write resources of it.
    #[serde(default)]
    pub is_written: bool,
    /// Whether its resources are about patients: a search of the role `ehr` must name one.
    #[serde(default)]
    pub is_of_patients: bool,
    /// Whether its resources are published texts, about nobody: every role with a token reads
    /// them, and nothing leads from them to anything else.
    #[serde(default)]
    pub is_public: bool,
    /// Whether its resources name many patients: the role `ehr`, which reads one at a time, has
    /// none of them.
    #[serde(default)]
    pub is_of_many: bool,
    /// Elements that every subset keeps.
    pub mandatory: Vec<String>,
    /// Elements of a summary; `series.uid` is the element of an element.
    pub summary: Vec<String>,
    /// What `_include` may name.
    pub include: Vec<String>,
    /// What `_revinclude` may name.
    pub revinclude: Vec<String>,
    /// What `_sort` may name.
    pub sort: Vec<String>,
    /// Whether the type is read by id only.
    #[serde(default)]
    pub is_read_only_by_id: bool,
    /// For the CapabilityStatement.
    pub documentation: String,
}

/// The type of a search parameter (FHIR R4 search, 3.1.1.4).
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Codes and identifiers.
    Token,
    /// Dates and instants.
    Date,
    /// References.
    Reference,
    /// Names and words.
    String,
    /// Numbers with a unit.
    Quantity,
    /// Numbers.
    Number,
    /// URIs.
    Uri,
}

impl Kind {
    /// The code of search-param-type.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Date => "date",
            Self::Reference => "reference",
            Self::String => "string",
            Self::Quantity => "quantity",
            Self::Number => "number",
            Self::Uri => "uri",
        }
    }
}

/// What answers a parameter.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are those of the data file, which explains them")]
pub enum Answer {
    Id,
    LastUpdated,
    PatientIdentifier,
    Family,
    Given,
    Name,
    BirthDate,
    Gender,
    StudyIdentifier,
    Patient,
    Started,
    Modality,
    BodySite,
    BasedOn,
    Series,
    Instance,
    SopClass,
    Endpoint,
    Performer,
    Interpreter,
    Referrer,
    /// The visit.
    Encounter,
    /// A number of an order.
    OrderIdentifier,
    ProcedureCode,
    RequestedCode,
    Reason,
    Nothing,
    Status,
    /// By looking at the resource itself.
    Document,
    /// The logical id of a manifest: a study's, and which encoding.
    DocumentId,
    /// The encoding of a manifest.
    DocumentFormat,
    /// The OID of a manifest.
    DocumentIdentifier,
    /// What is the same for every manifest.
    DocumentConstant,
    StudyUid,
    Accession,
    /// The study or its order, by reference or identifier.
    Related,
    /// The anatomical region that body sites lie in.
    Region,
}

/// A search parameter.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// The resource type; `*` for all.
    pub resource: String,
    /// Its name in R4.
    pub name: String,
    /// Other spellings, served alike.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// URL of the SearchParameter.
    pub definition: String,
    /// What answers it.
    pub answer: Answer,
    /// Where the values stand, for `answer = "document"`.
    #[serde(default)]
    pub path: String,
    /// The system of a plain code.
    #[serde(default)]
    pub system: String,
    /// For `answer = "status"`: the code that every resource of the type has.
    #[serde(default)]
    pub code: String,
    /// Types that a reference may point at; of what is evaluated on the resource, none: any.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Whether a value names one patient or study.
    #[serde(default)]
    pub identifies: bool,
    /// Whether the row is there for the CapabilityStatement alone: a chain that is answered by
    /// the rows of its parts.
    #[serde(default)]
    pub is_chain: bool,
    /// For the CapabilityStatement.
    pub documentation: Option<String>,
    /// Whether only what clients wrote is searched by it.
    #[serde(skip)]
    pub is_of_written: bool,
}

impl Parameter {
    /// Whether clients call it so.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }

    /// Whether it looks at what is nearly unique, so that it singles a person out even where it
    /// does not name one.
    #[must_use]
    pub fn singles_out(&self) -> bool {
        match self.answer {
            Answer::Id
            | Answer::LastUpdated
            | Answer::PatientIdentifier
            | Answer::Family
            | Answer::Given
            | Answer::Name
            | Answer::BirthDate
            | Answer::StudyIdentifier
            | Answer::Patient
            | Answer::BasedOn
            | Answer::Series
            | Answer::Instance
            | Answer::Performer
            | Answer::Interpreter
            | Answer::Referrer
            | Answer::Encounter
            | Answer::OrderIdentifier
            | Answer::DocumentId
            | Answer::DocumentIdentifier
            | Answer::StudyUid
            | Answer::Accession
            | Answer::Related => true,
            Answer::Gender
            | Answer::Started
            | Answer::Modality
            | Answer::BodySite
            | Answer::SopClass
            | Answer::Endpoint
            | Answer::Reason
            | Answer::Nothing
            | Answer::Status
            | Answer::ProcedureCode
            | Answer::RequestedCode
            | Answer::Document
            | Answer::DocumentFormat
            | Answer::DocumentConstant
            | Answer::Region => false,
        }
    }
}

impl Table {
    /// The built-in table, or the file of the same name in `folder`.
    ///
    /// # Errors
    /// [`Error::Configuration`] with file, line and rule.
    pub fn load(folder: Option<&std::path::Path>) -> Result<Self> {
        let mut table: Self =
            read_table(FILES[0], include_str!("../../mappings/search-parameters.toml"), folder)?;
        table.check(FILES[0])?;
        let guide: Self = read_table(
            FILES[2],
            include_str!("../../mappings/search-parameters-guide.toml"),
            folder,
        )?;
        guide.check(FILES[2])?;
        table.resource.extend(guide.resource);
        table.parameter.extend(guide.parameter);
        let written: Self = read_table(
            FILES[1],
            include_str!("../../mappings/search-parameters-records.toml"),
            folder,
        )?;
        written.check(FILES[1])?;
        table.join(written);
        let name = FILES[0];
        for resource in Resource::ALL {
            if !table.resource.iter().any(|row| row.resource == *resource) {
                return Err(Error::Configuration(format!(
                    "mappings/{name}: no row for the resource `{}`",
                    resource.name()
                )));
            }
        }
        Ok(table)
    }

    fn check(&self, name: &str) -> Result<()> {
        for row in &self.parameter {
            let wrong = |what: String| {
                let parameter = &row.name;
                Error::Configuration(format!("mappings/{name}: parameter `{parameter}`: {what}"))
            };
            if row.resource != "*" && Resource::parse(&row.resource).is_none() {
                return Err(wrong(format!("no resource `{}`", row.resource)));
            }
            if row.answer == Answer::Document && Path::parse(&row.path).is_none() {
                return Err(wrong(format!(
                    "`answer = \"document\"` needs a `path`, and `{}` is none",
                    row.path
                )));
            }
        }
        Ok(())
    }

    /// Takes in the second file: a type that both have is served from both, and the first file's
    /// parameters stand. Each reference parameter can be followed, both ways.
    fn join(&mut self, other: Self) {
        for row in other.resource {
            match self.resource.iter_mut().find(|known| known.resource == row.resource) {
                None => self.resource.push(row),
                Some(known) => {
                    known.is_written |= row.is_written;
                    known.is_read_only_by_id &= !row.is_written;
                    known.sort.extend(row.sort);
                    known.sort.dedup();
                }
            }
        }
        let written = |name: &str| {
            self.resource.iter().any(|row| row.is_written && row.resource.name() == name)
        };
        let own = |row: &&Parameter| row.answer == Answer::Document && written(&row.resource);
        self.written = self.parameter.iter().filter(own).cloned().collect();
        self.written.retain(|row| {
            !other.parameter.iter().any(|of| of.resource == row.resource && of.name == row.name)
        });
        self.written.extend(other.parameter.iter().cloned());
        for mut row in other.parameter {
            let resource = row.resource.clone();
            if row.kind == Kind::Reference {
                let follows = format!("{resource}:{}", row.name);
                for known in &mut self.resource {
                    let name = known.resource.name();
                    let is_target =
                        row.targets.is_empty() || row.targets.iter().any(|target| target == name);
                    if is_target && !known.is_public && !known.revinclude.contains(&follows) {
                        known.revinclude.push(follows.clone());
                    }
                    if name == resource && !known.include.contains(&follows) {
                        known.include.push(follows.clone());
                    }
                }
            }
            let is_known = |known: &Parameter| known.resource == resource && known.name == row.name;
            if !self.parameter.iter().any(is_known) {
                row.is_of_written = true;
                self.parameter.push(row);
            }
        }
    }

    /// The row of a type.
    #[must_use]
    pub fn row(&self, resource: Resource) -> &ResourceRow {
        match self.resource.iter().find(|row| row.resource == resource) {
            Some(row) => row,
            // `load` refuses a table without a row for each type.
            None => unreachable!("no row for `{}`", resource.name()),
        }
    }

    /// The parameter of that name or alias.
    #[must_use]
    pub fn parameter(&self, resource: Resource, name: &str) -> Option<&Parameter> {
        self.parameters(resource).find(|row| row.is_called(name) && !row.is_chain)
    }

    /// The parameters of a type.
    pub fn parameters(&self, resource: Resource) -> impl Iterator<Item = &Parameter> {
        let own = move |name: &str| {
            self.parameter.iter().any(|row| row.resource == resource.name() && row.name == name)
        };
        self.parameter.iter().filter(move |row| {
            // A type's own row stands in place of that of all types.
            row.resource == resource.name() || (row.resource == "*" && !own(&row.name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Resource, Table};
    use crate::actor::SCOPED;

    #[test]
    fn tokens_can_name_what_is_served() {
        let names: Vec<&str> = Resource::ALL.iter().map(|resource| resource.name()).collect();
        assert_eq!(names, SCOPED);
    }

    #[test]
    fn both_spellings_name_the_same_parameter() {
        let table = Table::load(None).unwrap();
        let r4 = table.parameter(Resource::ImagingStudy, "bodysite").unwrap();
        let r5 = table.parameter(Resource::ImagingStudy, "body-site").unwrap();
        assert_eq!(r4.name, r5.name);
        assert!(table.parameter(Resource::Patient, "bodysite").is_none());
        assert!(table.parameter(Resource::Patient, "_id").is_some());
    }
}

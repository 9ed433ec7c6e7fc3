//! Who asks, by what right, for what purpose of use: a value that every read takes.

use std::fmt;

use crate::error::{Error, Result};

/// What a token lets its bearer do.
#[derive(
    Clone,
    Copy,
    Debug,
    Eq,
    Hash,
    Ord,
    PartialEq,
    PartialOrd,
    serde::Deserialize,
    serde::Serialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// An EHR system in care: one patient at a time.
    Ehr,
    /// Radiology IT in care: the whole archive, and the operator's pages.
    ImagingIt,
    /// A researcher: open datasets; elsewhere disclosed counts only.
    Researcher,
    /// A data steward: descriptions, publication and the operator's pages, no patient.
    Steward,
    /// The node's administrator: the operator's pages and every setting, no patient.
    Admin,
    /// Anyone: the published catalogue. Needs no token.
    #[value(skip)]
    Public,
}

impl Role {
    /// The name in tokens and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ehr => "ehr",
            Self::ImagingIt => "imaging-it",
            Self::Researcher => "researcher",
            Self::Steward => "steward",
            Self::Admin => "admin",
            Self::Public => "public",
        }
    }

    /// Why someone of this role reads.
    #[must_use]
    pub const fn purpose(self) -> Purpose {
        match self {
            Self::Ehr | Self::ImagingIt => Purpose::Care,
            Self::Researcher | Self::Public => Purpose::SecondaryUse,
            Self::Steward | Self::Admin => Purpose::Operations,
        }
    }

    /// Whether the role sees sources, runs, quarantine and findings.
    #[must_use]
    pub const fn is_operator(self) -> bool {
        matches!(self, Self::ImagingIt | Self::Steward | Self::Admin)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The purpose of use: primary use sees identified patients, secondary use never an identity
/// (Regulation (EU) 2025/327 chapters II and IV).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Purpose {
    /// Primary use: care.
    Care,
    /// Secondary use: research, access bodies, catalogue, federation.
    SecondaryUse,
    /// Running the node: journals and catalogue, no patient data.
    Operations,
}

/// The FHIR resource types that a scope may name.
pub const SCOPED: &[&str] = &[
    "Patient",
    "ImagingStudy",
    "Endpoint",
    "Organization",
    "DiagnosticReport",
    "Composition",
    "Bundle",
    "Observation",
    "Condition",
    "Procedure",
    "Specimen",
    "ServiceRequest",
    "Practitioner",
    "PractitionerRole",
    "Encounter",
    "Consent",
    "AdverseEvent",
    "Basic",
    "Provenance",
    "Media",
    "DocumentReference",
    "List",
    "Binary",
    "AllergyIntolerance",
    "Medication",
    "MedicationRequest",
    "MedicationStatement",
    "MedicationAdministration",
    "MedicationDispense",
    "Immunization",
    "Device",
    "BodyStructure",
    "ConceptMap",
    "CodeSystem",
    "StructureDefinition",
    "ImplementationGuide",
    "ValueSet",
    "CapabilityStatement",
    "OperationDefinition",
    "SearchParameter",
    "EpisodeOfCare",
    "Group",
];

/// What a scope lets do: the letters of SMART App Launch 2.2, in their order.
const RIGHTS: &str = "cruds";

/// The same in words: those of the EU API, and `write` of SMART 1.
const WORDS: &[(&str, &str)] = &[
    ("create", "c"),
    ("read", "r"),
    ("update", "u"),
    ("delete", "d"),
    ("search", "s"),
    ("write", "cud"),
];

/// One scope of a token: `system/ImagingStudy.rs`, `system/*.cruds` (SMART App Launch 2.2, scopes
/// for requesting FHIR resources), or in the words of the EU API `system/Patient.read|search`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Scope {
    /// The resource type; `None`: each.
    resource: Option<&'static str>,
    /// Some of [`RIGHTS`].
    rights: String,
}

impl Scope {
    /// Reads one scope.
    ///
    /// # Errors
    /// [`Error::Invalid`] for everything that would grant nothing here: other contexts than
    /// `system`, types that are not served, parameters.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::Invalid(format!(
                "the scope `{text}` is not understood: write `system/TYPE.rs`, where TYPE is {} \
                 or `*`, with some of `cruds` in this order (create, read, update, delete, \
                 search), or words such as `read`, `search`, `read|search`, `write`",
                SCOPED.join(", ")
            ))
        };
        let (kind, asked) =
            text.strip_prefix("system/").and_then(|rest| rest.split_once('.')).ok_or_else(wrong)?;
        let resource = match kind {
            "*" => None,
            _ => Some(*SCOPED.iter().find(|known| **known == kind).ok_or_else(wrong)?),
        };
        let mut order = RIGHTS.chars();
        let are_letters =
            !asked.is_empty() && asked.chars().all(|letter| order.any(|known| known == letter));
        let rights = if are_letters {
            asked.to_owned()
        } else {
            let of = |word: &str| WORDS.iter().find(|known| known.0 == word).map(|known| known.1);
            asked.split('|').map(of).collect::<Option<_>>().ok_or_else(wrong)?
        };
        Ok(Self { resource, rights })
    }

    fn may(&self, right: char) -> bool {
        self.rights.contains(right)
    }

    fn is_of(&self, resource: &str) -> bool {
        self.resource.is_none_or(|own| own == resource)
    }
}

/// Who asks.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Actor {
    /// The token's subject; `anonymous` without a token.
    pub subject: String,
    /// What the bearer may do.
    pub role: Role,
    /// What the token narrows the role to under `/fhir` and `/dicom-web` (where searches and
    /// images are those of `ImagingStudy`); `None`: it does not.
    pub scopes: Option<Vec<Scope>>,
}

impl Actor {
    /// Somebody without a token.
    #[must_use]
    pub fn anonymous() -> Self {
        Self::new("anonymous", Role::Public)
    }

    /// The operator at the command line: whoever may read the data folder.
    #[must_use]
    pub fn operator() -> Self {
        Self::new("command-line", Role::Admin)
    }

    /// An actor with a role.
    #[must_use]
    pub fn new(subject: &str, role: Role) -> Self {
        Self { subject: subject.to_owned(), role, scopes: None }
    }

    /// The same, narrowed to the scopes of its token (separated by spaces). No scopes narrow
    /// nothing; a scope that is not understood grants nothing.
    #[must_use]
    pub fn with_scopes(mut self, text: &str) -> Self {
        let mut scopes = text.split_ascii_whitespace().peekable();
        self.scopes = scopes
            .peek()
            .is_some()
            .then(|| scopes.filter_map(|scope| Scope::parse(scope).ok()).collect());
        self
    }

    /// Whether the scopes let the actor read a resource of the type by its id.
    #[must_use]
    pub fn has_read_scope(&self, resource: &str) -> bool {
        self.has_scope(|scope| scope.may('r') && scope.is_of(resource))
    }

    /// Whether the scopes let the actor search the type.
    #[must_use]
    pub fn has_search_scope(&self, resource: &str) -> bool {
        self.has_scope(|scope| scope.may('s') && scope.is_of(resource))
    }

    /// Whether the actor may write the type: `right` is `c` (create), `u` (update) or `d` (delete).
    /// Only care writes, and only with a scope that says so: a token that was made for reading
    /// does not begin to write.
    #[must_use]
    pub fn may_write(&self, resource: &str, right: char) -> bool {
        let is_care = matches!(self.role, Role::Ehr | Role::ImagingIt);
        let has = |scope: &Scope| scope.may(right) && scope.is_of(resource);
        is_care && self.scopes.as_ref().is_some_and(|scopes| scopes.iter().any(has))
    }

    fn has_scope(&self, grants: impl Fn(&Scope) -> bool) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(grants))
    }

    /// Why the actor reads.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.role.purpose()
    }
}

#[cfg(test)]
mod tests {
    use super::{Actor, Role, Scope};

    #[test]
    fn letters_and_words_grant_reading_and_searching_apart() {
        for (scopes, read, search) in [
            ("", true, true),
            ("system/ImagingStudy.rs", true, true),
            ("system/*.rs", true, true),
            ("system/*.r", true, false),
            ("system/ImagingStudy.s", false, true),
            ("system/ImagingStudy.read", true, false),
            ("system/ImagingStudy.search", false, true),
            ("system/ImagingStudy.read|search", true, true),
            ("system/Patient.rs system/ImagingStudy.r", true, false),
            ("system/Patient.rs", false, false),
            // Of a token that was made elsewhere: it is narrowed to nothing, not to everything.
            ("openid", false, false),
        ] {
            let actor = Actor::new("a", Role::ImagingIt).with_scopes(scopes);
            assert_eq!(actor.has_read_scope("ImagingStudy"), read, "{scopes}");
            assert_eq!(actor.has_search_scope("ImagingStudy"), search, "{scopes}");
        }
    }

    #[test]
    fn only_care_writes_and_only_with_a_scope_for_it() {
        for (role, scopes, create, update, delete) in [
            (Role::Ehr, "", false, false, false),
            (Role::Ehr, "system/*.rs", false, false, false),
            (Role::Ehr, "system/Condition.cud", true, true, true),
            (Role::Ehr, "system/Condition.c", true, false, false),
            (Role::ImagingIt, "system/*.cruds", true, true, true),
            (Role::ImagingIt, "system/Observation.cud", false, false, false),
            (Role::ImagingIt, "system/Condition.write", true, true, true),
            (Role::ImagingIt, "system/Condition.create|update", true, true, false),
            (Role::Researcher, "system/*.cruds", false, false, false),
            (Role::Admin, "system/*.cruds", false, false, false),
        ] {
            let actor = Actor::new("a", role).with_scopes(scopes);
            for (right, may) in [('c', create), ('u', update), ('d', delete)] {
                assert_eq!(actor.may_write("Condition", right), may, "{role} {scopes} {right}");
            }
        }
    }

    #[test]
    fn what_is_no_scope_here_is_refused() {
        for wrong in [
            "",
            "x",
            "openid",
            "user/Patient.rs",
            "patient/*.rs",
            "system/Patient",
            "system/.rs",
            "system/patient.rs",
            "system/Elephant.rs",
            "system/*.crudsx",
            "system/*.sr",
            "system/*.",
            "system/*.*",
            "system/Patient.rs?gender=female",
            "system/Patient.write|erase",
        ] {
            assert!(Scope::parse(wrong).is_err(), "{wrong}");
        }
    }
}

//! Who asks, by what right, for what purpose of use: a value that every read takes.

use std::fmt;

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
    /// Anyone: the published catalogue.
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

/// Who asks.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Actor {
    /// The token's subject; `anonymous` without a token.
    pub subject: String,
    /// What the bearer may do.
    pub role: Role,
}

impl Actor {
    /// Somebody without a token.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { subject: "anonymous".to_owned(), role: Role::Public }
    }

    /// The operator at the command line: whoever may read the data folder.
    #[must_use]
    pub fn operator() -> Self {
        Self { subject: "command-line".to_owned(), role: Role::Admin }
    }

    /// An actor with a role.
    #[must_use]
    pub fn new(subject: &str, role: Role) -> Self {
        Self { subject: subject.to_owned(), role }
    }

    /// Why the actor reads.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.role.purpose()
    }
}

//! The archive that the node speaks for: how it is called, whether it names persons, and which naming
//! system each of its identifiers belongs to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The imaging archive that this node speaks for.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Archive {
    /// The archive's name, for people.
    pub name: String,
    /// IANA name of the zone of times that carry none (`Europe/Prague`); empty: such times are
    /// cut to their date, because a FHIR dateTime with a time must have an offset.
    pub time_zone: String,
    /// Whether the data name persons.
    pub identity: Identity,
    /// Base of the WADO-RS service that readers are sent to: becomes `Endpoint.address`. Empty:
    /// this server's own `/dicom-web`, which hands out the files of folders and what a PACS
    /// answers; not available where every source is a table.
    pub wado_url: String,
    /// Retrieve Location UID (0040,E011) of that service, by which others know it (XC-WADO home
    /// community, MADO); empty: one that is derived from the node's keys.
    pub retrieve_location_uid: String,
    /// Launch address of a web viewer, with `{StudyInstanceUID}` where the study's UID goes:
    /// named in manifests for care; empty: none.
    pub viewer_url: String,
    /// Which naming system each identifier of the archive belongs to.
    pub identifiers: Identifiers,
}

/// Whether the archive's data name persons.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// The archive names persons; secondary use gets a view without identities.
    #[default]
    Identified,
    /// The archive is already de-identified: its rows are rendered as they are.
    DeIdentified,
}

/// Which naming system (URI) each identifier of the archive belongs to.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identifiers {
    /// System of PatientIDs without a known issuer; empty: one below `public_url`.
    pub patient: String,
    /// Issuers of PatientIDs and their systems.
    pub patient_issuers: Vec<Issuer>,
    /// System of accession numbers without a known issuer; empty: one below `public_url`.
    pub accession: String,
    /// System of StudyIDs; empty: StudyID is not given.
    pub study_id: String,
}

/// An issuer as the data name it, and its naming system.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Issuer {
    /// IssuerOfPatientID, a universal entity id, or a table's holder.
    pub issuer: String,
    /// URI of the naming system, for instance `urn:oid:1.2.203.24341.1.20.2`.
    pub system: String,
}

//! Reads `mappings/` once; imaging → FHIR JSON, imaging → facts for the index.
//!
//! In: attributes as a source read them, and the archive's configuration ([`Context`]). Out:
//! FHIR R4 resources ([`fhir`]), the facts that the index counts ([`study_facts`],
//! [`series_facts`]), the values that the store looks up ([`lookup`]), and what is missing or
//! odd ([`findings`]). All of them come from the same rules, so that an answer, its count and
//! its finding cannot disagree.
//! Governed by the `dicom` mapping of FHIR R4 ImagingStudy, PS3.16 Annex L, HL7 Europe Imaging
//! and IHE MADO; what departs from them says why in its row of `mappings/`.
//! Absent: IO after load, the store, HTTP.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::config::{Config, Identity, Organisation};
use crate::error::{Error, Result};
use crate::imaging::keyed;

pub mod agent;
pub mod attributes;
mod body;
pub mod clinical;
mod codes;
pub mod concepts;
mod data;
pub mod element;
pub mod eucaim;
mod facts;
pub mod fhir;
mod findings;
mod identifier;
pub mod lookup;
pub mod mado;
pub mod manifest;
pub mod manifest_read;
pub mod manifest_study;
pub mod manifest_write;
mod moment;
mod order;
mod person;
pub mod profiles;
pub mod report;
pub mod tables;

pub use body::{Mixed, body_site_codes, body_site_names, common_side, region_of_term};
pub use codes::{DCM, display_of};
pub use data::{BodyParts, Codes, CodingSchemes, Manufacturers, Tables, read as read_table};
pub use facts::{age_in_years, series_facts, study_facts};
pub use findings::findings;
pub use identifier::{
    ACCESSION, Identifier, accession_of, patient_identifiers, patient_of, study_identifiers,
    visit_identifiers,
};
pub use moment::{midnight, offset_at};
pub use order::{count_orders, order_identifiers};
pub use person::{NameParts, Person, patient_names};

/// What the rules need besides attributes: the tables, the archive's zone, its identifier
/// systems, and the key of secondary use. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    tables: Arc<Tables>,
    zone: Option<TimeZone>,
    base: String,
    patient_default: String,
    accession_default: String,
    study_id: Option<String>,
    issuers: HashMap<Box<str>, Box<str>>,
    identity: Identity,
    archive: String,
    wado_url: String,
    retrieve_location: String,
    viewer_url: String,
    organisation: Organisation,
    key: Box<[u8]>,
}

impl Context {
    /// From the configuration and the node's secret key; the tables are the built-in ones, with
    /// those of `overrides.mappings` in their place.
    ///
    /// # Errors
    /// [`Error::Configuration`] when a table or the zone is wrong.
    pub fn new(config: &Config, key: &[u8]) -> Result<Self> {
        let tables = match config.overrides.mappings.as_str() {
            "" => Tables::built_in(),
            folder => Arc::new(Tables::load(Some(Path::new(folder)))?),
        };
        let zone = match config.archive.time_zone.as_str() {
            "" => None,
            name => Some(TimeZone::get(name).map_err(|_| {
                Error::Configuration(format!("`archive.time_zone`: `{name}` is no IANA time zone"))
            })?),
        };
        let base = config.server.base();
        let identifiers = &config.archive.identifiers;
        let or_local = |system: &str, kind: &str| match system {
            "" => format!("{base}/id/{kind}"),
            system => system.to_owned(),
        };
        Ok(Self(Arc::new(Inner {
            patient_default: or_local(&identifiers.patient, "patient"),
            accession_default: or_local(&identifiers.accession, "accession"),
            study_id: Some(identifiers.study_id.clone()).filter(|system| !system.is_empty()),
            issuers: identifiers
                .patient_issuers
                .iter()
                .map(|row| (row.issuer.as_str().into(), row.system.as_str().into()))
                .collect(),
            identity: config.archive.identity,
            archive: config.archive.name.clone(),
            wado_url: config.archive.wado_url.trim_end_matches('/').to_owned(),
            retrieve_location: config.archive.retrieve_location_uid.clone(),
            viewer_url: config.archive.viewer_url.clone(),
            organisation: config.organisation.clone(),
            key: key.into(),
            tables,
            zone,
            base,
        })))
    }

    /// The same for a server that serves images: where no WADO-RS service is configured, the
    /// server's own stands in its place.
    #[must_use]
    pub fn serving_images(&self, has_images: bool) -> Self {
        let inner = &*self.0;
        if !has_images || !inner.wado_url.is_empty() {
            return self.clone();
        }
        let wado_url = format!("{}/dicom-web", inner.base);
        Self(Arc::new(Inner { wado_url, ..inner.clone() }))
    }

    /// Zone of times that carry none; also the zone of dates in searches (UTC without one).
    #[must_use]
    pub fn time_zone(&self) -> Option<&TimeZone> {
        self.0.zone.as_ref()
    }

    /// The base of every IRI and link, without a final slash.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.0.base
    }

    /// The archive's name, for people; may be empty.
    #[must_use]
    pub fn archive_name(&self) -> &str {
        &self.0.archive
    }

    /// The address that opens a study in a web viewer; empty: none.
    #[must_use]
    pub fn viewer_url(&self) -> &str {
        &self.0.viewer_url
    }

    /// Whether the archive's data name persons.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.0.identity
    }

    /// Changes whenever facts could come out differently from the same attributes: an index
    /// made under another fingerprint is rebuilt.
    #[must_use]
    pub fn fingerprint(&self) -> Vec<u8> {
        let zone = self.0.zone.as_ref().and_then(TimeZone::iana_name).unwrap_or("");
        let text = format!("2;{zone};{}", self.0.base);
        keyed(&self.0.tables.digest, text.as_bytes()).to_vec()
    }

    /// Changes whenever a resource could be rendered to other bytes from the same rows: what a
    /// client kept under another fingerprint is stale.
    #[must_use]
    pub fn rendering_fingerprint(&self) -> [u8; 32] {
        let Inner {
            tables: _,
            zone: _,
            base,
            patient_default,
            accession_default,
            study_id,
            issuers,
            identity,
            archive,
            wado_url,
            retrieve_location,
            viewer_url,
            organisation,
            key,
        } = &*self.0;
        let issuers: std::collections::BTreeMap<_, _> = issuers.iter().collect();
        let text = format!(
            "{:?}",
            (
                env!("CARGO_PKG_VERSION"),
                self.fingerprint(),
                base,
                (patient_default, accession_default, study_id, issuers),
                (identity, archive, wado_url, retrieve_location, viewer_url, organisation),
            )
        );
        // The key maps identities.
        keyed(key, text.as_bytes())
    }

    /// A key that is derived from the node's own for one other purpose.
    #[must_use]
    pub fn derived_key(&self, purpose: &str) -> [u8; 32] {
        keyed(&self.0.key, format!("vesalius key for {purpose}").as_bytes())
    }

    /// The tables.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.0.tables
    }
}

/// The profiles that rendered resources claim, and those of manifests: type and canonical URL.
#[must_use]
pub fn claimed_profiles(context: &Context) -> Vec<(&str, &str)> {
    let tables = context.tables();
    let rendered = tables.profiles.profile.iter().filter(|row| row.is_claimed);
    let rendered = rendered.map(|row| (row.resource.as_str(), row.canonical.as_str()));
    let reports = tables.reports.profile.iter();
    let reports = reports.map(|row| (row.resource.as_str(), row.url.as_str()));
    let document = &tables.mado.document;
    let manifests = [
        ("Bundle", &document.bundle_profile),
        ("DocumentReference", &document.fhir.profile),
        ("DocumentReference", &document.kos.profile),
        ("List", &document.set.profile),
    ];
    let manifests = manifests.map(|(kind, url)| (kind, url.as_str()));
    rendered.chain(reports).chain(manifests).collect()
}

/// The built-in tables and the default configuration, with an empty key: for tests and tools.
impl Default for Context {
    fn default() -> Self {
        match Self::new(&Config::default(), &[]) {
            Ok(context) => context,
            // The default configuration names no zone and no folder: nothing can fail.
            Err(failure) => unreachable!("default configuration: {failure}"),
        }
    }
}

/// Attributes by their keywords.
#[cfg(test)]
fn bag(pairs: &[(&str, &str)]) -> crate::imaging::Attributes {
    let keyword = |name| crate::imaging::Keyword::parse(name).unwrap();
    let mut bag = crate::imaging::Attributes::new();
    for (name, text) in pairs {
        bag.set(keyword(name), text);
    }
    bag
}

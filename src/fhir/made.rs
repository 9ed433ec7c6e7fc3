//! Resources that the configuration makes: the archive's Endpoint, and the data holder.

use actix_web::web::Bytes;
use serde_json::Value;

use super::Asking;
use super::bundle::Total;
use super::outcome::Result;
use super::provider::{Entry, Page, Provider, Read, not_found};
use super::search::{Include, Place, Search, documents};
use super::subset::Subset;
use super::table::Resource;
use crate::mapping::Context;
use crate::mapping::fhir::{ENDPOINT_ID, ORGANISATION_ID, render_endpoint, render_organisation};

/// The references that lead to what is made.
const LINKS: &[(Resource, &str, Resource)] = &[
    (Resource::ImagingStudy, "endpoint", Resource::Endpoint),
    (Resource::Organization, "endpoint", Resource::Endpoint),
    (Resource::Endpoint, "organization", Resource::Organization),
];

/// One of each type.
pub(super) struct Made {
    resources: Vec<One>,
}

struct One {
    resource: Resource,
    id: &'static str,
    version: String,
    json: Value,
    bytes: Bytes,
}

impl One {
    fn new(resource: Resource, id: &'static str, bytes: Vec<u8>) -> Self {
        let json: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let version = json["meta"]["versionId"].as_str().unwrap_or("1").to_owned();
        Self { resource, id, version, json, bytes: bytes.into() }
    }

    fn entry(&self, bytes: Bytes) -> Entry {
        Entry { resource: self.resource, id: self.id.to_owned(), bytes, key: 0 }
    }
}

impl Made {
    /// Renders them.
    pub(super) fn new(context: &Context) -> Self {
        let resources = vec![
            One::new(Resource::Endpoint, ENDPOINT_ID, render_endpoint(context)),
            One::new(Resource::Organization, ORGANISATION_ID, render_organisation(context)),
        ];
        Self { resources }
    }

    /// Those that a search of another type includes.
    pub(super) fn included(&self, search: &Search) -> Vec<Entry> {
        let control = &search.control;
        let is_asked = |one: &&One| {
            let brings = |include: &Include| {
                LINKS.iter().any(|(source, name, target)| {
                    *target == one.resource && include.brings(*source, &[name], *target)
                })
            };
            one.resource != search.resource
                && (control.include.iter().any(brings)
                    || control.revinclude.iter().any(|include| include.source == one.resource))
        };
        self.resources.iter().filter(is_asked).map(|one| one.entry(one.bytes.clone())).collect()
    }
}

impl Provider for Made {
    fn resources(&self) -> &[Resource] {
        &[Resource::Endpoint, Resource::Organization]
    }

    fn read(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        id: &str,
        subset: &Subset,
    ) -> Result<Read> {
        let one = self
            .resources
            .iter()
            .find(|one| one.resource == resource && one.id == id)
            .ok_or_else(|| not_found(resource, id))?;
        let row = asking.state.table.row(resource);
        let bytes = subset.cut(row, &one.bytes).map_or_else(|| one.bytes.clone(), Bytes::from);
        Ok(Read { bytes, version: asking.state.tag(asking, &one.version), updated: None })
    }

    fn search(&self, asking: &Asking<'_>, search: &Search, after: Option<&Place>) -> Result<Page> {
        let row = asking.state.table.row(search.resource);
        let mut matches = Vec::new();
        let reader = asking.state.reader();
        for one in self.resources.iter().filter(|one| one.resource == search.resource) {
            if documents::matches(&reader, &one.json, &search.criteria)? {
                let cut = search.control.subset.cut(row, &one.bytes);
                matches.push(one.entry(cut.map_or_else(|| one.bytes.clone(), Bytes::from)));
            }
        }
        let total = Total::Known(matches.len() as u64);
        // There is one of each type: a page that begins behind another is empty.
        if after.is_some() || search.control.is_count_only {
            matches.clear();
        }
        let included = if matches.is_empty() { Vec::new() } else { self.included(search) };
        Ok(Page { total, matches, has_more: false, seen: None, included, notes: Vec::new() })
    }
}

//! Resources that do not change while the server runs: held as JSON and as bytes, read by id,
//! searched by what they say.

use actix_web::web::Bytes;
use serde_json::Value;

use super::Asking;
use super::bundle::Total;
use super::outcome::Result;
use super::provider::{Entry, Page, Read, not_found};
use super::search::{Place, Search, documents};
use super::subset::Subset;
use super::table::Resource;
use crate::imaging::keyed;

/// Some of them, sorted by id.
pub(super) struct Fixed(Vec<One>);

/// One of them.
pub(super) struct One {
    resource: Resource,
    id: String,
    version: String,
    json: Value,
    bytes: Bytes,
}

impl One {
    /// A resource whose version is a digest of what it says.
    pub(super) fn new(resource: Resource, id: &str, mut json: Value) -> Self {
        let digest = keyed(b"terminology", json.to_string().as_bytes());
        let version: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        json["meta"]["versionId"] = version.as_str().into();
        let bytes = json.to_string().into_bytes().into();
        Self { resource, id: id.to_owned(), version, json, bytes }
    }
}

impl Fixed {
    pub(super) fn new(mut resources: Vec<One>) -> Self {
        resources.sort_by(|one, other| one.id.cmp(&other.id));
        Self(resources)
    }

    /// What each says.
    pub(super) fn of(&self, resource: Resource) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |one| one.resource == resource).map(|one| &one.json)
    }

    pub(super) fn read(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        id: &str,
        subset: &Subset,
    ) -> Result<Read> {
        let one = self.0.iter().find(|one| one.resource == resource && one.id == id);
        let one = one.ok_or_else(|| not_found(resource, id))?;
        let row = asking.state.table.row(resource);
        let bytes = subset.cut(row, &one.bytes).map_or_else(|| one.bytes.clone(), Bytes::from);
        Ok(Read { bytes, version: asking.state.tag(asking, &one.version), updated: None })
    }

    pub(super) fn search(
        &self,
        asking: &Asking<'_>,
        search: &Search,
        after: Option<&Place>,
    ) -> Result<Page> {
        let row = asking.state.table.row(search.resource);
        let reader = asking.state.reader();
        let mut matches = Vec::new();
        let mut total = 0;
        for one in self.0.iter().filter(|one| one.resource == search.resource) {
            if !documents::matches(&reader, &one.json, &search.criteria)? {
                continue;
            }
            total += 1;
            if search.control.is_count_only || after.is_some_and(|place| one.id <= place.id) {
                continue;
            }
            let cut = search.control.subset.cut(row, &one.bytes);
            let bytes = cut.map_or_else(|| one.bytes.clone(), Bytes::from);
            matches.push(Entry { resource: one.resource, id: one.id.clone(), bytes, key: 0 });
        }
        let has_more = matches.len() > search.control.count;
        matches.truncate(search.control.count);
        Ok(Page {
            total: Total::Known(total),
            matches,
            has_more,
            seen: None,
            included: Vec::new(),
            notes: Vec::new(),
        })
    }
}

/// What a resource says under a name, as text.
pub(super) fn text<'v>(json: &'v Value, name: &str) -> &'v str {
    json[name].as_str().unwrap_or_default()
}

/// The parts of a list.
pub(super) fn list<'v>(json: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    json[name].as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Fixed, One, Resource};

    #[test]
    fn the_version_is_a_digest_of_what_it_says() {
        let of =
            |name: &str| One::new(Resource::ValueSet, "a", json!({ "name": name, "meta": {} }));
        assert_eq!(of("x").version, of("x").version);
        assert_ne!(of("x").version, of("y").version);
        assert_eq!(of("x").json["meta"]["versionId"], of("x").version.as_str());
        let fixed = Fixed::new(vec![of("x")]);
        assert_eq!(fixed.of(Resource::ValueSet).count(), 1);
        assert_eq!(fixed.of(Resource::ConceptMap).count(), 0);
    }
}

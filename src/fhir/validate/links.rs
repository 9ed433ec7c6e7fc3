//! What a reference points to within a Bundle or among contained resources
//! (FHIR R4 bundle.html#references, references.html#contained).

use std::collections::HashMap;

use serde_json::Value;

/// Where a reference stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope<'a> {
    /// The nearest resource.
    pub resource: &'a Value,
    /// The resource that contains it, or itself.
    pub root: &'a Value,
    /// The address of the entry that it came in.
    pub address: Option<&'a str>,
}

impl<'a> Scope<'a> {
    pub fn root(resource: &'a Value) -> Self {
        Self { resource, root: resource, address: None }
    }
}

/// The entries of a Bundle by address.
#[derive(Debug, Default)]
pub(super) struct Links<'a> {
    by_address: HashMap<&'a str, &'a Value>,
    /// `Type/id` → the entry, if there is one only.
    by_id: HashMap<(&'a str, &'a str), Option<(&'a str, &'a Value)>>,
}

/// What a reference points to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub resource: &'a Value,
    pub scope: Scope<'a>,
}

impl<'a> Links<'a> {
    pub fn of(resource: &'a Value) -> Self {
        let mut links = Self::default();
        for entry in resource.get("entry").and_then(Value::as_array).into_iter().flatten() {
            let Some(inner) = entry.get("resource") else {
                continue;
            };
            let address = entry.get("fullUrl").and_then(Value::as_str).unwrap_or_default();
            if !address.is_empty() {
                links.by_address.entry(address).or_insert(inner);
            }
            let text = |key| inner.get(key).and_then(Value::as_str);
            if let Some(key) = text("resourceType").zip(text("id")) {
                links
                    .by_id
                    .entry(key)
                    .and_modify(|one| *one = None)
                    .or_insert(Some((address, inner)));
            }
        }
        links
    }

    /// Whether references of a Bundle can be looked up at all.
    pub fn find(&self, reference: &str, from: Scope<'a>) -> Option<Found<'a>> {
        if let Some(id) = reference.strip_prefix('#') {
            if id.is_empty() {
                return Some(Found {
                    resource: from.root,
                    scope: Scope { resource: from.root, ..from },
                });
            }
            let contained = from.root.get("contained").and_then(Value::as_array)?;
            let resource = contained
                .iter()
                .find(|resource| resource.get("id").and_then(Value::as_str) == Some(id))?;
            return Some(Found { resource, scope: Scope { resource, ..from } });
        }
        let found = |address: Option<&'a str>, resource: &'a Value| Found {
            resource,
            scope: Scope { resource, root: resource, address },
        };
        let reference = reference.split("/_history/").next().unwrap_or(reference);
        if let Some((address, resource)) = self.by_address.get_key_value(reference) {
            return Some(found(Some(address), resource));
        }
        let (kind, id) = type_and_id(reference)?;
        if reference.len() > kind.len() + id.len() + 1 {
            return None;
        }
        // A relative reference, from the address of its own entry.
        if let Some(base) = from.address.and_then(base_of)
            && let Some((address, resource)) =
                self.by_address.get_key_value(format!("{base}/{reference}").as_str())
        {
            return Some(found(Some(address), resource));
        }
        let (address, resource) = (*self.by_id.get(&(kind, id))?)?;
        Some(found(Some(address).filter(|address| !address.is_empty()), resource))
    }
}

/// `https://host/fhir/Patient/1` → `https://host/fhir`
fn base_of(address: &str) -> Option<&str> {
    let (kind, id) = type_and_id(address)?;
    address.get(..address.len().checked_sub(kind.len() + id.len() + 2)?)
}

/// `https://host/fhir/Patient/1/_history/2` → `Patient`, `1`. URNs have no type.
pub(super) fn type_and_id(reference: &str) -> Option<(&str, &str)> {
    if reference.starts_with("urn:") || reference.starts_with('#') {
        return None;
    }
    let reference = reference.split("/_history/").next()?;
    let mut parts = reference.rsplit('/');
    let id = parts.next().filter(|id| !id.is_empty())?;
    let kind = parts.next()?;
    let is_type = kind.starts_with(|c: char| c.is_ascii_uppercase())
        && kind.chars().all(|c| c.is_ascii_alphabetic());
    is_type.then_some((kind, id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Links, Scope, type_and_id};

    #[test]
    fn references_are_found_by_address_by_base_and_by_id() {
        let bundle = json!({ "resourceType": "Bundle", "entry": [
            { "fullUrl": "https://a.example/fhir/Patient/1", "resource": { "resourceType": "Patient", "id": "1" } },
            { "fullUrl": "https://b.example/fhir/Patient/1", "resource": { "resourceType": "Patient", "id": "1" } },
            { "fullUrl": "urn:uuid:x", "resource": { "resourceType": "Device", "id": "2" } },
        ]});
        let links = Links::of(&bundle);
        let from = |address| Scope { address: Some(address), ..Scope::root(&bundle) };
        let find = |reference, address| {
            links.find(reference, from(address)).and_then(|found| found.scope.address)
        };
        assert_eq!(find("urn:uuid:x", "urn:y"), Some("urn:uuid:x"));
        assert_eq!(
            find("Patient/1", "https://b.example/fhir/List/9"),
            Some("https://b.example/fhir/Patient/1")
        );
        assert_eq!(find("Patient/1", "urn:y"), None, "two have that id");
        assert_eq!(find("Device/2", "urn:y"), Some("urn:uuid:x"));
        assert_eq!(find("https://c.example/fhir/Device/2", "urn:y"), None);
    }

    #[test]
    fn the_type_of_a_reference_is_read_from_its_address() {
        assert_eq!(
            type_and_id("https://a.example/fhir/Patient/1/_history/2"),
            Some(("Patient", "1"))
        );
        assert_eq!(type_and_id("Patient/1"), Some(("Patient", "1")));
        for none in ["urn:uuid:1", "#a", "Patient", "patient/1", "https://a.example/x"] {
            assert_eq!(type_and_id(none), None, "{none}");
        }
    }
}

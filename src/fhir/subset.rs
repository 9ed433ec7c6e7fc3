//! `_summary` and `_elements`: parts of a resource, marked as such.

use serde_json::{Map, Value, json};

use super::cache::Shape;
use super::table::ResourceRow;

/// Which part of each resource is asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) enum Subset {
    /// All of it.
    #[default]
    Whole,
    /// `_summary=true`
    Summary,
    /// `_summary=text`: narrative, id, meta and mandatory elements.
    Text,
    /// `_summary=data`: all but the narrative.
    Data,
    /// `_elements=…`
    Elements(Vec<String>),
}

impl Subset {
    /// What of a study has to be rendered for it.
    pub(super) fn shape(&self) -> Shape {
        match self {
            Self::Whole | Self::Data => Shape::Whole,
            Self::Summary => Shape::Summary,
            Self::Text => Shape::Bare,
            Self::Elements(names) if names.iter().any(|name| name == "series") => Shape::Whole,
            Self::Elements(_) => Shape::Bare,
        }
    }

    /// Cuts a resource; `None` when nothing is to be cut.
    pub(super) fn cut(&self, row: &ResourceRow, bytes: &[u8]) -> Option<Vec<u8>> {
        if *self == Self::Whole {
            return None;
        }
        let Ok(Value::Object(mut resource)) = serde_json::from_slice(bytes) else { return None };
        match self {
            Self::Whole => return None,
            Self::Summary => {
                let paths: Vec<&str> = row.summary.iter().map(String::as_str).collect();
                keep(&mut resource, &paths, true);
            }
            Self::Text => {
                let mut paths: Vec<&str> = row.mandatory.iter().map(String::as_str).collect();
                paths.push("text");
                keep(&mut resource, &paths, true);
            }
            Self::Data => {
                resource.remove("text");
            }
            Self::Elements(names) => {
                let paths: Vec<&str> =
                    row.mandatory.iter().chain(names).map(String::as_str).collect();
                keep(&mut resource, &paths, true);
            }
        }
        mark(&mut resource);
        serde_json::to_vec(&resource).ok()
    }
}

/// Keeps the elements that a path names, whole or in part; `_name` goes with `name`.
fn keep(object: &mut Map<String, Value>, paths: &[&str], is_resource: bool) {
    object.retain(|name, value| {
        let name = name.strip_prefix('_').unwrap_or(name);
        if is_resource && ["resourceType", "id", "meta"].contains(&name) || paths.contains(&name) {
            return true;
        }
        let below: Vec<&str> =
            paths.iter().filter_map(|path| path.strip_prefix(name)?.strip_prefix('.')).collect();
        if below.is_empty() {
            return false;
        }
        match value {
            Value::Object(object) => keep(object, &below, false),
            Value::Array(items) => {
                for item in items {
                    if let Value::Object(object) = item {
                        keep(object, &below, false);
                    }
                }
            }
            _ => {}
        }
        true
    });
}

/// A part of a resource says that it is one, so that nobody writes it back as the whole.
fn mark(resource: &mut Map<String, Value>) {
    let tag = json!({
        "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
        "code": "SUBSETTED",
        "display": "subsetted",
    });
    let meta = resource.entry("meta").or_insert_with(|| json!({}));
    if let Value::Object(meta) = meta {
        match meta.entry("tag").or_insert_with(|| json!([])) {
            Value::Array(tags) => tags.push(tag),
            other => *other = json!([tag]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Subset;
    use crate::fhir::table::{Resource, Table};
    use serde_json::{Value, json};

    fn cut(subset: &Subset) -> Value {
        let table = Table::load(None).unwrap();
        let whole = json!({
            "resourceType": "ImagingStudy", "id": "1", "meta": { "versionId": "1" },
            "status": "available", "subject": { "reference": "Patient/1" },
            "extension": [], "description": "x",
            "series": [{ "uid": "1.2", "extension": [], "instance": [{ "uid": "1.2.3" }] }],
        });
        let bytes = serde_json::to_vec(&whole).unwrap();
        let cut = subset.cut(table.row(Resource::ImagingStudy), &bytes).unwrap();
        let mut cut: Value = serde_json::from_slice(&cut).unwrap();
        let meta = cut["meta"].take();
        assert_eq!(meta["tag"][0]["code"], "SUBSETTED");
        cut.as_object_mut().unwrap().remove("meta");
        cut
    }

    #[test]
    fn a_subset_keeps_what_it_names_and_what_must_be_there() {
        let head = json!({ "resourceType": "ImagingStudy", "id": "1", "status": "available", "subject": { "reference": "Patient/1" } });
        assert_eq!(cut(&Subset::Text), head);
        let mut summary = head.clone();
        summary["description"] = "x".into();
        summary["series"] = json!([{ "uid": "1.2" }]);
        assert_eq!(cut(&Subset::Summary), summary);
        let mut elements = head;
        elements["description"] = "x".into();
        assert_eq!(cut(&Subset::Elements(vec!["description".to_owned()])), elements);
    }
}

//! What R4 says in words only, or by an expression that code says better (dom-3), so that no row
//! of a definition holds it.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::links::type_and_id;
use super::primitive::shown;
use super::report::{At, Code};
use super::rules::{BASE, Node};
use super::{Walk, base_rule};

impl<'a> Walk<'a> {
    /// Of a data type or backbone element whose elements were checked.
    pub(super) fn prose(
        &mut self,
        node: &'static Node,
        object: &'a Map<String, Value>,
        at: &At<'_>,
    ) {
        let text = |key: &str| object.get(key).and_then(Value::as_str);
        match node.path.as_str() {
            // references.html: a URL or a fragment; the type by its name or its definition.
            "Reference" => {
                if text("reference").is_some_and(|it| it.contains(char::is_whitespace)) {
                    let words = "a reference has no spaces: write the address of the resource";
                    self.error(
                        Code::Value,
                        &at.child("reference", None),
                        base_rule("Reference.reference"),
                        words.to_owned(),
                    );
                }
                if let Some(kind) = text("type")
                    && !kind.contains(':')
                    && !self.rules.is_resource_type(kind)
                {
                    let words =
                        format!("`{}` is no resource type of R4", shown(&Value::from(kind)));
                    self.error(
                        Code::Value,
                        &at.child("type", None),
                        base_rule("Reference.type"),
                        words,
                    );
                }
            }
            // datatypes.html#identifier, #coding: the system is absolute.
            "Identifier" | "Coding" => {
                if let Some(system) = text("system")
                    && !system.contains(':')
                {
                    let words = format!(
                        "`{}` is no absolute URI: write the whole URL or `urn:oid:…`",
                        shown(&Value::from(system))
                    );
                    let path = format!("{}.system", node.path);
                    self.error(Code::Value, &at.child("system", None), base_rule(&path), words);
                }
            }
            // bundle.html#bundle-unique: a RESTful address ends with the type and id of its resource.
            "Bundle.entry" => {
                let Some(address) = text("fullUrl").filter(|address| address.starts_with("http"))
                else {
                    return;
                };
                let Some(resource) = object.get("resource") else {
                    return;
                };
                let own = |key| resource.get(key).and_then(Value::as_str).unwrap_or_default();
                if let Some((kind, id)) = type_and_id(address)
                    && self.rules.is_resource_type(kind)
                    && (kind, id) != (own("resourceType"), own("id"))
                {
                    let words = "ends with another type and id than those of its resource: correct the one or the other";
                    self.error(
                        Code::Value,
                        &at.child("fullUrl", None),
                        base_rule("Bundle.entry.fullUrl"),
                        words.to_owned(),
                    );
                }
            }
            _ => {}
        }
    }

    /// dom-3: what is contained is referred to, or refers to what contains it.
    pub(super) fn contained(&mut self, object: &'a Map<String, Value>, name: &str, at: &At<'_>) {
        let Some(contained) = object.get("contained").and_then(Value::as_array) else {
            return;
        };
        self.contained_ids(contained, name, at);
        let mut named = HashSet::new();
        for value in object.values() {
            references(value, &mut named, 0);
        }
        let rule = format!("{BASE}{name}#dom-3");
        for (index, resource) in contained.iter().enumerate() {
            let at = at.child("contained", Some(index));
            let id = resource.get("id").and_then(Value::as_str);
            let mut own = HashSet::new();
            references(resource, &mut own, 0);
            let words = match id {
                None => "a contained resource needs an `id` to be referred to",
                Some(id) if !named.contains(id) && !own.contains("") => {
                    "nothing refers to this contained resource: refer to it by `#` and its id, or remove it"
                }
                Some(_) => continue,
            };
            self.error(Code::Invariant, &at, rule.clone(), words.to_owned());
        }
    }

    /// Ids of contained resources (resource.html#id: unique within the resource).
    fn contained_ids(&mut self, contained: &'a [Value], name: &str, at: &At<'_>) {
        let mut seen = HashSet::new();
        for (index, resource) in contained.iter().enumerate() {
            if let Some(id) = resource.get("id").and_then(Value::as_str)
                && !seen.insert(id)
            {
                let at = at.child("contained", Some(index));
                let words = "another contained resource has the same `id`: give it one of its own";
                let rule = format!("{BASE}{name}#{name}.contained");
                self.error(Code::Value, &at.child("id", None), rule, words.to_owned());
            }
        }
    }
}

/// Ids behind `#` that a value refers to.
fn references<'a>(value: &'a Value, into: &mut HashSet<&'a str>, depth: usize) {
    if depth > super::DEEPEST {
        return;
    }
    match value {
        // Any uri, url or canonical may name what is contained, not references alone.
        Value::String(text) => {
            if let Some(id) = text.strip_prefix('#') {
                into.insert(id);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, into, depth + 1)),
        Value::Object(object) => {
            object.values().for_each(|value| references(value, into, depth + 1));
        }
        _ => {}
    }
}

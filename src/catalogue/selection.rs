//! Which series of the archive form a dataset.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor, value::StrDeserializer};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::imaging::Facet;

/// A selection over the index: a series belongs to it when, for every facet named, it has one of
/// the terms, and none of the excluded terms. All criteria hold on the same series.
///
/// ```toml
/// [selection]
/// collection = ["nlst"]
/// modality   = ["CT"]
/// [selection.exclude]
/// species    = ["phantom"]
/// ```
///
/// With `whole_studies = true` every series of a study belongs to it that has one such series.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Selection {
    /// Per facet the terms of which one must be there. An empty list (two selections without a
    /// common term, [`Self::and`]) is met by nothing.
    pub any_of: BTreeMap<Facet, Vec<String>>,
    /// Per facet the terms of which none may be there.
    pub exclude: BTreeMap<Facet, Vec<String>>,
    /// Whether every series of a matching study belongs to it, not the matching series alone.
    /// Secondary use reads studies whole: of an open dataset it reads only those that are in it
    /// whole.
    pub whole_studies: bool,
}

impl Selection {
    /// A selection by one facet.
    #[must_use]
    pub fn of(facet: Facet, terms: &[&str]) -> Self {
        let terms = terms.iter().map(|term| (*term).to_owned()).collect();
        Self {
            any_of: BTreeMap::from([(facet, terms)]),
            exclude: BTreeMap::new(),
            whole_studies: false,
        }
    }

    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.any_of.is_empty() && self.exclude.is_empty()
    }

    /// This selection narrowed by another: what both hold, or less. A facet that both name keeps
    /// the terms that both name; studies are whole when they are in both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (facet, terms) in &other.any_of {
            both.any_of
                .entry(*facet)
                .and_modify(|own| own.retain(|term| terms.contains(term)))
                .or_insert_with(|| terms.clone());
        }
        for (facet, terms) in &other.exclude {
            let own = both.exclude.entry(*facet).or_default();
            own.extend(terms.iter().cloned());
            own.sort();
            own.dedup();
        }
        both.whole_studies &= other.whole_studies;
        both
    }
}

impl Selection {
    /// A digest that is the same for whatever selects the same by the same words, in any order.
    #[must_use]
    pub fn key(&self) -> String {
        let mut own = self.clone();
        own.exclude.retain(|_, terms| !terms.is_empty());
        for terms in own.any_of.values_mut().chain(own.exclude.values_mut()) {
            terms.sort();
            terms.dedup();
        }
        super::digest_bytes(serde_json::to_string(&own).unwrap_or_default().as_bytes())
    }
}

impl<'de> Deserialize<'de> for Selection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Facets;
        impl<'de> Visitor<'de> for Facets {
            type Value = Selection;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of facets, each with a list of terms")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Selection, A::Error> {
                let mut selection = Selection::default();
                while let Some(key) = map.next_key::<String>()? {
                    if key == "exclude" {
                        selection.exclude = map.next_value()?;
                        continue;
                    }
                    if key == "whole_studies" {
                        selection.whole_studies = map.next_value()?;
                        continue;
                    }
                    let facet = Facet::deserialize(StrDeserializer::<A::Error>::new(&key))?;
                    selection.any_of.insert(facet, map.next_value()?);
                }
                Ok(selection)
            }
        }
        deserializer.deserialize_map(Facets)
    }
}

impl Serialize for Selection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (facet, terms) in &self.any_of {
            map.serialize_entry(facet, terms)?;
        }
        if !self.exclude.is_empty() {
            map.serialize_entry("exclude", &self.exclude)?;
        }
        if self.whole_studies {
            map.serialize_entry("whole_studies", &true)?;
        }
        map.end()
    }
}

impl JsonSchema for Selection {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Selection".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let facet = generator.subschema_for::<Facet>();
        let terms = serde_json::json!({ "type": "array", "items": { "type": "string" } });
        schemars::json_schema!({
            "type": "object",
            "properties": {
                "exclude": {
                    "type": "object", "propertyNames": facet, "additionalProperties": terms
                },
                "whole_studies": {
                    "type": "boolean",
                    "description": "Whether every series of a matching study belongs to it"
                }
            },
            "propertyNames": { "anyOf": [facet, { "enum": ["exclude", "whole_studies"] }] },
            "additionalProperties": terms
        })
    }
}

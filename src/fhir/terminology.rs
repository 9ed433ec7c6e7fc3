//! The archive's tables as terminology (FHIR R4 terminology-service.html): ConceptMap and
//! CodeSystem to read and search, `ConceptMap/$translate` and `CodeSystem/$lookup`.
//!
//! In: the rows of `mappings/`; the two operations know the maps and code systems of the guide
//! ([`guide`](super::guide)), too. Absent: expansion, validation of codes, subsumption, and every
//! code that no table knows: this is no terminology server, it tells what this archive does.

use serde_json::{Value, json};

use super::Asking;
use super::fixed::{Fixed, One};
use super::guide::Guide;
use super::operation::{Call, Operation, Reply};
use super::outcome::{Failure, Result};
use super::provider::{Page, Provider, Read, not_found};
use super::search::{Handling, Place, Search, scope_needed};
use super::subset::Subset;
use super::table::Resource;
use crate::error::Error;
use crate::mapping::Context;
use crate::mapping::concepts::{
    CodeSystem, Concept, ConceptMap, Equivalence, code_systems, concept_maps,
};

/// The provider.
pub(super) struct Terminology {
    /// Those of the guide, too.
    maps: Vec<ConceptMap>,
    systems: Vec<CodeSystem>,
    resources: Fixed,
}

impl Terminology {
    /// Renders the tables; the guide renders its own.
    pub(super) fn new(context: &Context, guide: &Guide) -> Self {
        let mut maps = concept_maps(context);
        let mut systems = code_systems(context, &maps);
        let resources = maps
            .iter()
            .map(|map| One::new(Resource::ConceptMap, &map.id, render_map(map)))
            .chain(systems.iter().filter_map(|system| {
                let id = system.id?;
                Some(One::new(Resource::CodeSystem, id, render_system(system)))
            }))
            .collect();
        maps.extend(guide.maps());
        systems.extend(guide.systems());
        Self { maps, systems, resources: Fixed::new(resources) }
    }

    /// What is rendered of the tables.
    #[cfg(test)]
    pub(super) const fn resources(&self) -> &Fixed {
        &self.resources
    }
}

/// What both kinds of resources say of themselves.
fn head(resource: Resource, id: &str, url: &str, title: &str) -> Value {
    let name: String = title
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| {
            let (first, rest) = word.split_at(1);
            format!("{}{rest}", first.to_uppercase())
        })
        .collect();
    json!({
        "resourceType": resource.name(),
        "id": id,
        "meta": {},
        "url": url,
        "version": env!("CARGO_PKG_VERSION"),
        "name": name,
        "title": title,
        "status": "active",
        "experimental": false,
    })
}

fn render_map(map: &ConceptMap) -> Value {
    let mut resource = head(Resource::ConceptMap, &map.id, &map.url, &map.title);
    resource["description"] = map.description.as_ref().into();
    let mut elements: Vec<Value> = Vec::new();
    for row in &map.rows {
        let target = match &row.target {
            Some((target, how)) => json!({
                "code": target.code, "display": target.display, "equivalence": how.code(),
            }),
            None => json!({ "equivalence": Equivalence::Unmatched.code() }),
        };
        match elements.last_mut() {
            Some(last) if last["code"] == row.source.code.as_str() => {
                if let Some(targets) = last["target"].as_array_mut() {
                    targets.push(target);
                }
            }
            _ => elements.push(json!({
                "code": row.source.code, "display": row.source.display, "target": [target],
            })),
        }
    }
    resource["group"] =
        json!([{ "source": map.source, "target": map.target, "element": elements }]);
    resource
}

fn render_system(system: &CodeSystem) -> Value {
    let id = system.id.unwrap_or_default();
    let mut resource = head(Resource::CodeSystem, id, &system.url, &system.title);
    resource["caseSensitive"] = true.into();
    // What the tables know of it.
    resource["content"] = "fragment".into();
    resource["count"] = system.concepts.len().into();
    let concepts: Vec<Value> = system
        .concepts
        .iter()
        .map(|concept| json!({ "code": concept.code, "display": concept.display }))
        .collect();
    resource["concept"] = concepts.into();
    resource
}

impl Provider for Terminology {
    fn resources(&self) -> &[Resource] {
        &[Resource::ConceptMap, Resource::CodeSystem]
    }

    fn read(
        &self,
        asking: &Asking<'_>,
        resource: Resource,
        id: &str,
        subset: &Subset,
    ) -> Result<Read> {
        self.resources.read(asking, resource, id, subset)
    }

    fn search(&self, asking: &Asking<'_>, search: &Search, after: Option<&Place>) -> Result<Page> {
        self.resources.search(asking, search, after)
    }
}

/// The parameters of an operation: names, and values as JSON.
struct Asked(Vec<(String, Value)>);

impl Asked {
    /// From the query, and from a body that is a resource Parameters.
    fn read(call: &Call, known: &[&str]) -> Result<Self> {
        let mut all: Vec<(String, Value)> = call
            .parameters
            .iter()
            .filter(|(name, _)| !["_format", "_pretty"].contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
            .collect();
        if !call.body.is_empty() {
            let wrong = |what: &str| Failure::from(Error::Invalid(format!("the body {what}")));
            let body: Value =
                serde_json::from_slice(&call.body).map_err(|_| wrong("is no JSON"))?;
            if body["resourceType"] != "Parameters" {
                return Err(wrong("is no resource `Parameters`"));
            }
            for part in body["parameter"].as_array().into_iter().flatten() {
                let name = part["name"].as_str().ok_or_else(|| wrong("has a part without name"))?;
                let value = part
                    .as_object()
                    .into_iter()
                    .flatten()
                    .find(|(key, _)| key.starts_with("value"));
                let (_, value) = value.ok_or_else(|| {
                    wrong(&format!(
                        "has no value for `{}`",
                        name.chars().take(60).collect::<String>()
                    ))
                })?;
                all.push((name.to_owned(), value.clone()));
            }
        }
        for (at, (name, _)) in all.iter().enumerate() {
            if !known.contains(&name.as_str()) && call.handling == Handling::Strict {
                let known = known.join(", ");
                return Err(Failure::parameter(name, format!("is not known; there are {known}")));
            }
            if all.iter().take(at).any(|(other, _)| other == name) && known.contains(&name.as_str())
            {
                return Err(Failure::parameter(name, "stands twice"));
            }
        }
        Ok(Self(all))
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Result<Option<&str>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Failure::parameter(name, "is no text")),
        }
    }

    /// The codes that are asked about: by `code` and `system`, `coding`, or `codeableConcept`.
    fn codings(&self) -> Result<Vec<(Option<String>, String)>> {
        let mut found = Vec::new();
        if let Some(code) = self.text("code")? {
            found.push((self.text("system")?.map(str::to_owned), code.to_owned()));
        }
        let own = |value: &Value| {
            let code = value["code"].as_str()?.to_owned();
            Some((value["system"].as_str().map(str::to_owned), code))
        };
        match self.get("coding") {
            None => {}
            // In a query: `system|code`.
            Some(Value::String(text)) => found.push(match text.rsplit_once('|') {
                Some((system, code)) => (Some(system.to_owned()), code.to_owned()),
                None => (None, text.clone()),
            }),
            Some(value) => {
                found.push(own(value).ok_or_else(|| Failure::parameter("coding", "has no `code`"))?)
            }
        }
        if let Some(concept) = self.get("codeableConcept") {
            found.extend(concept["coding"].as_array().into_iter().flatten().filter_map(own));
        }
        if found.is_empty() {
            return Err(Failure::parameter(
                "code",
                "is missing: give `code` and `system`, `coding` or `codeableConcept`",
            ));
        }
        Ok(found)
    }
}

fn parameters(parts: Vec<Value>) -> Reply {
    let resource = json!({ "resourceType": "Parameters", "parameter": parts });
    Reply::fhir(resource.to_string().into_bytes())
}

/// `ConceptMap/$translate`, of a map or of all.
pub(super) struct Translate;

impl Operation for Translate {
    fn name(&self) -> &'static str {
        "translate"
    }

    fn serves(&self, resource: Option<Resource>, _has_id: bool) -> bool {
        resource == Some(Resource::ConceptMap)
    }

    fn parameters(&self) -> &'static [&'static str] {
        &[
            "url",
            "conceptMapVersion",
            "code",
            "system",
            "version",
            "source",
            "coding",
            "codeableConcept",
            "target",
            "targetsystem",
            "reverse",
        ]
    }

    fn run(&self, asking: &Asking<'_>, call: Call) -> Result<Reply> {
        if !asking.actor.has_read_scope("ConceptMap") {
            return Err(scope_needed("ConceptMap", 'r'));
        }
        let asked = Asked::read(&call, self.parameters())?;
        let terminology = &asking.state.terminology;
        let mut maps: Vec<&ConceptMap> = terminology.maps.iter().collect();
        if let Some(id) = &call.id {
            maps.retain(|map| map.id == *id);
            if maps.is_empty() {
                return Err(not_found(Resource::ConceptMap, id));
            }
        }
        if let Some(url) = asked.text("url")? {
            maps.retain(|map| map.url == url);
            if maps.is_empty() {
                return Err(not_found(Resource::ConceptMap, url));
            }
        }
        let is_reverse = match asked.get("reverse") {
            None => false,
            Some(Value::Bool(is)) => *is,
            Some(Value::String(text)) if text == "true" || text == "false" => text == "true",
            Some(_) => return Err(Failure::parameter("reverse", "is neither true nor false")),
        };
        // Our maps are between code systems; a value set that is one is understood as such.
        let target = match asked.text("targetsystem")? {
            Some(target) => Some(target),
            None => asked.text("target")?,
        };
        let mut found: Vec<(Equivalence, String, &Concept, String)> = Vec::new();
        let mut is_known = false;
        for (system, code) in asked.codings()? {
            for map in &maps {
                let (from, to) = if is_reverse {
                    (&map.target, &map.source)
                } else {
                    (&map.source, &map.target)
                };
                if system.as_ref().is_some_and(|system| system != from)
                    || target.is_some_and(|target| target != to)
                {
                    continue;
                }
                for row in &map.rows {
                    let Some((concept, how)) = &row.target else {
                        is_known |= !is_reverse && row.source.code == code;
                        continue;
                    };
                    let (asked, other, how) = if is_reverse {
                        (concept, &row.source, how.reversed())
                    } else {
                        (&row.source, concept, *how)
                    };
                    if asked.code == code {
                        is_known = true;
                        found.push((how, to.clone(), other, map.url.clone()));
                    }
                }
            }
        }
        found.sort();
        found.dedup();
        let mut parts = vec![json!({ "name": "result", "valueBoolean": !found.is_empty() })];
        if found.is_empty() {
            let text = if is_known {
                "the code is known, and has no counterpart"
            } else {
                "no map of this archive knows the code"
            };
            parts.push(json!({ "name": "message", "valueString": text }));
        }
        for (how, system, concept, source) in found {
            let coding =
                json!({ "system": system, "code": concept.code, "display": concept.display });
            parts.push(json!({ "name": "match", "part": [
                { "name": "equivalence", "valueCode": how.code() },
                { "name": "concept", "valueCoding": coding },
                { "name": "source", "valueUri": source },
            ]}));
        }
        Ok(parameters(parts))
    }
}

/// `CodeSystem/$lookup`.
pub(super) struct Lookup;

impl Operation for Lookup {
    fn name(&self) -> &'static str {
        "lookup"
    }

    fn serves(&self, resource: Option<Resource>, has_id: bool) -> bool {
        resource == Some(Resource::CodeSystem) && !has_id
    }

    fn parameters(&self) -> &'static [&'static str] {
        &["code", "system", "version", "coding", "date", "displayLanguage", "property"]
    }

    fn run(&self, asking: &Asking<'_>, call: Call) -> Result<Reply> {
        if !asking.actor.has_read_scope("CodeSystem") {
            return Err(scope_needed("CodeSystem", 'r'));
        }
        let asked = Asked::read(&call, self.parameters())?;
        let codings = asked.codings()?;
        let [(Some(system), code)] = codings.as_slice() else {
            return Err(Failure::parameter(
                "code",
                "needs one code with its `system`, or `coding` with both",
            ));
        };
        let terminology = &asking.state.terminology;
        let known = terminology.systems.iter().find(|known| known.url == *system);
        let known = known.ok_or_else(|| not_found(Resource::CodeSystem, system))?;
        let concept = known.concepts.iter().find(|concept| concept.code == *code);
        let concept = concept.ok_or_else(|| {
            Failure::from(Error::NotFound { kind: "code", id: format!("{system}|{code}") })
        })?;
        let mut parts = vec![
            json!({ "name": "name", "valueString": known.title }),
            json!({ "name": "display", "valueString": concept.display }),
        ];
        if let Some(version) = &known.version {
            parts.push(json!({ "name": "version", "valueString": version }));
        }
        Ok(parameters(parts))
    }
}

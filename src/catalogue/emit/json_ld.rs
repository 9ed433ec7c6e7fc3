//! JSON-LD 1.1: compact, by the terms of `contexts/catalogue.jsonld`, with the context inside.

use std::collections::BTreeMap;

use oxrdf::{Graph, NamedOrBlankNodeRef, TermRef};
use serde_json::{Map, Value, json};

use super::{Namespaces, sorted};
use crate::catalogue::release::Release;
use crate::error::{Error, Result};

pub(super) fn write(
    graph: &Graph,
    release: &Release,
    namespaces: &Namespaces,
    first: &str,
) -> Result<Vec<u8>> {
    let context = Context::read(&release.text("contexts/catalogue.jsonld")?, namespaces)?;
    let context = if context.mistakes(graph) { Context::bare() } else { context };
    serde_json::to_vec_pretty(&context.document(graph, first))
        .map_err(|failure| Error::Internal(failure.to_string()))
}

/// What a JSON-LD term makes of its values.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Coercion {
    Plain,
    Iri,
    Typed(String),
    PerLanguage,
}

/// The context of `contexts/catalogue.jsonld`, read for writing.
struct Context {
    json: Value,
    prefixes: Namespaces,
    /// By IRI: the term and its coercion.
    terms: BTreeMap<String, (String, Coercion)>,
}

impl Context {
    fn read(text: &str, namespaces: &Namespaces) -> Result<Self> {
        let wrong = |problem: &str| {
            Error::Configuration(format!("catalogue/contexts/catalogue.jsonld: {problem}"))
        };
        let file: Value =
            serde_json::from_str(text).map_err(|failure| wrong(&failure.to_string()))?;
        let mut context = file
            .get("@context")
            .and_then(Value::as_object)
            .cloned()
            .ok_or_else(|| wrong("no `@context`"))?;
        // Namespaces belong to the release; the file holds the terms, which are no prefixes.
        let mut prefixes = namespaces.clone();
        prefixes.retain(|prefix, _| !context.contains_key(prefix));
        let mut json = Map::new();
        for (prefix, namespace) in &prefixes {
            json.insert(prefix.clone(), Value::String(namespace.clone()));
        }
        let expand = |name: &str| -> Option<String> {
            let (prefix, local) = name.split_once(':')?;
            namespaces.get(prefix).map(|namespace| format!("{namespace}{local}"))
        };
        let mut terms = BTreeMap::new();
        for (term, definition) in &mut context {
            let (name, coercion) = match &*definition {
                Value::String(name) => (name.clone(), Coercion::Plain),
                Value::Object(object) => {
                    let name = object.get("@id").and_then(Value::as_str).unwrap_or_default();
                    let kind = object.get("@type").and_then(Value::as_str);
                    let is_map =
                        object.get("@container").and_then(Value::as_str) == Some("@language");
                    let coercion = match (kind, is_map) {
                        (_, true) => Coercion::PerLanguage,
                        (Some("@id"), _) => Coercion::Iri,
                        (Some(kind), _) => Coercion::Typed(
                            expand(kind).ok_or_else(|| wrong("a `@type` has an unknown prefix"))?,
                        ),
                        (None, _) => Coercion::Plain,
                    };
                    (name.to_owned(), coercion)
                }
                _ => return Err(wrong("a term is neither a string nor an object")),
            };
            let iri =
                expand(&name).ok_or_else(|| wrong(&format!("`{name}` has an unknown prefix")))?;
            json.insert(term.clone(), definition.clone());
            terms.insert(iri, (term.clone(), coercion));
        }
        Ok(Self { json: Value::Object(json), prefixes, terms })
    }

    /// Without any name but what a graph says: no term, no prefix.
    fn bare() -> Self {
        Self {
            json: Value::Object(Map::new()),
            prefixes: Namespaces::new(),
            terms: BTreeMap::new(),
        }
    }

    /// Whether an IRI of the graph would be read as a prefixed name: `<dcat:x>` is one, of others.
    fn mistakes(&self, graph: &Graph) -> bool {
        let is_mistaken = |iri: &str| {
            iri.split_once(':').is_some_and(|(scheme, rest)| {
                !rest.starts_with("//") && self.prefixes.contains_key(scheme)
            })
        };
        graph.iter().any(|triple| {
            let subject = match triple.subject {
                NamedOrBlankNodeRef::NamedNode(node) => is_mistaken(node.as_str()),
                NamedOrBlankNodeRef::BlankNode(_) => false,
            };
            let object = match triple.object {
                TermRef::NamedNode(node) => is_mistaken(node.as_str()),
                TermRef::Literal(literal) => is_mistaken(literal.datatype().as_str()),
                TermRef::BlankNode(_) => false,
            };
            subject || object || is_mistaken(triple.predicate.as_str())
        })
    }

    fn compact(&self, iri: &str) -> String {
        self.prefixes
            .iter()
            .filter_map(|(prefix, namespace)| {
                let local = iri.strip_prefix(namespace.as_str())?;
                (!local.is_empty() && !local.starts_with("//")).then(|| format!("{prefix}:{local}"))
            })
            .min_by_key(String::len)
            .unwrap_or_else(|| iri.to_owned())
    }

    fn document(&self, graph: &Graph, first: &str) -> Value {
        let mut nodes: Vec<(String, Map<String, Value>)> = Vec::new();
        let mut by_predicate: Vec<(String, Vec<TermRef<'_>>)> = Vec::new();
        let triples = sorted(graph, first);
        for (place, triple) in triples.iter().enumerate() {
            let predicate = triple.predicate.as_str();
            match by_predicate.last_mut() {
                Some((last, values)) if last == predicate => values.push(triple.object),
                _ => by_predicate.push((predicate.to_owned(), vec![triple.object])),
            }
            let is_last = triples.get(place + 1).is_none_or(|next| next.subject != triple.subject);
            if !is_last {
                continue;
            }
            let id = match triple.subject {
                NamedOrBlankNodeRef::NamedNode(node) => node.as_str().to_owned(),
                other => other.to_string(),
            };
            let mut node = Map::new();
            node.insert("@id".to_owned(), Value::String(id.clone()));
            for (predicate, values) in by_predicate.drain(..) {
                let (key, value) = self.property(&predicate, &values);
                node.insert(key, value);
            }
            nodes.push((id, node));
        }
        let nodes: Vec<Value> = nodes.into_iter().map(|(_, node)| Value::Object(node)).collect();
        json!({ "@context": self.json, "@graph": nodes })
    }

    fn property(&self, predicate: &str, values: &[TermRef<'_>]) -> (String, Value) {
        if predicate == oxrdf::vocab::rdf::TYPE.as_str()
            && values.iter().all(|value| matches!(value, TermRef::NamedNode(_)))
        {
            let kinds = values.iter().map(|value| match value {
                TermRef::NamedNode(node) => Value::String(self.compact(node.as_str())),
                other => Value::String(other.to_string()),
            });
            return ("@type".to_owned(), one_or_many(kinds.collect()));
        }
        if let Some((term, coercion)) = self.terms.get(predicate)
            && let Some(value) = self.coerced(coercion, values)
        {
            return (term.clone(), value);
        }
        let values = values.iter().map(|value| self.expanded(*value)).collect();
        // A name that is also a term would be read with the term's coercion; the full IRI or a
        // prefixed name is not a term of the context.
        (self.compact(predicate), one_or_many(values))
    }

    /// The short form, when every value fits the term's coercion.
    fn coerced(&self, coercion: &Coercion, values: &[TermRef<'_>]) -> Option<Value> {
        if *coercion == Coercion::PerLanguage {
            let mut texts: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
            for value in values {
                let TermRef::Literal(literal) = value else { return None };
                let language = literal.language()?;
                texts.entry(language).or_default().push(Value::String(literal.value().to_owned()));
            }
            let map = texts
                .into_iter()
                .map(|(language, texts)| (language.to_owned(), one_or_many(texts)));
            return Some(Value::Object(map.collect()));
        }
        let short: Option<Vec<Value>> = values
            .iter()
            .map(|value| match (coercion, value) {
                (Coercion::Iri, TermRef::NamedNode(node)) => {
                    Some(Value::String(node.as_str().to_owned()))
                }
                (Coercion::Typed(kind), TermRef::Literal(literal))
                    if literal.datatype().as_str() == kind =>
                {
                    Some(Value::String(literal.value().to_owned()))
                }
                (Coercion::Plain, TermRef::Literal(literal))
                    if literal.datatype() == oxrdf::vocab::xsd::STRING =>
                {
                    Some(Value::String(literal.value().to_owned()))
                }
                _ => None,
            })
            .collect();
        short.map(one_or_many)
    }

    fn expanded(&self, value: TermRef<'_>) -> Value {
        match value {
            TermRef::NamedNode(node) => json!({ "@id": node.as_str() }),
            TermRef::Literal(literal) => match literal.language() {
                Some(language) => json!({ "@value": literal.value(), "@language": language }),
                None if literal.datatype() == oxrdf::vocab::xsd::STRING => {
                    json!({ "@value": literal.value() })
                }
                None => json!({
                    "@value": literal.value(),
                    "@type": self.compact(literal.datatype().as_str()),
                }),
            },
            TermRef::BlankNode(node) => json!({ "@id": node.to_string() }),
        }
    }
}

fn one_or_many(mut values: Vec<Value>) -> Value {
    if values.len() == 1 { values.swap_remove(0) } else { Value::Array(values) }
}

//! A graph becomes bytes: canonical N-Quads (RDFC-1.0), Turtle, N-Triples, RDF/XML, JSON-LD.
//!
//! Every form is a function of the graph alone: sorted, stable, the same on every machine. The
//! digest of the canonical form is what strong ETags are made of.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use oxrdf::graph::CanonicalizationAlgorithm;
use oxrdf::{Graph, LiteralRef, NamedNodeRef, NamedOrBlankNodeRef, TermRef, TripleRef};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::release::Release;
use crate::error::{Error, Result};

/// The forms a document is served in.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Format {
    /// Turtle: what `*/*` gets, because harvesters ask so and parse it.
    Turtle,
    /// JSON-LD, compact, with an inline context.
    JsonLd,
    /// RDF/XML.
    RdfXml,
    /// N-Triples.
    NTriples,
    /// N-Quads, in the default graph: clients that prefer it (Comunica does) take what they get
    /// by Accept for one graph, and would not find it under a name.
    NQuads,
}

impl Format {
    /// Every form, the preferred first.
    pub const ALL: &[Self] =
        &[Self::Turtle, Self::JsonLd, Self::RdfXml, Self::NTriples, Self::NQuads];

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Turtle => "text/turtle",
            Self::JsonLd => "application/ld+json",
            Self::RdfXml => "application/rdf+xml",
            Self::NTriples => "application/n-triples",
            Self::NQuads => "application/n-quads",
        }
    }

    /// Its suffix in addresses.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Turtle => "ttl",
            Self::JsonLd => "jsonld",
            Self::RdfXml => "rdf",
            Self::NTriples => "nt",
            Self::NQuads => "nq",
        }
    }

    /// Whether it is the canonical lines.
    #[must_use]
    pub const fn is_lines(self) -> bool {
        matches!(self, Self::NTriples | Self::NQuads)
    }

    /// The form of a suffix.
    #[must_use]
    pub fn of_suffix(suffix: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|format| format.suffix() == suffix)
    }
}

/// The graph in canonical form: N-Quads of the default graph, blank nodes relabelled by
/// RDFC-1.0, lines sorted. Our documents have no blank node; others' may.
#[must_use]
pub fn canonical(graph: &Graph) -> String {
    let has_blank = graph.iter().any(|triple| {
        triple.subject.is_blank_node() || matches!(triple.object, TermRef::BlankNode(_))
    });
    let relabelled = has_blank.then(|| {
        let mut copy = graph.clone();
        copy.canonicalize(CanonicalizationAlgorithm::Rdfc10 {
            hash_algorithm: oxrdf::dataset::CanonicalizationHashAlgorithm::Sha256,
        });
        copy
    });
    let mut lines: Vec<String> =
        relabelled.as_ref().unwrap_or(graph).iter().map(|triple| format!("{triple} .\n")).collect();
    lines.sort_unstable();
    lines.concat()
}

/// The digest of a canonical form: hexadecimal SHA-256.
#[must_use]
pub fn digest(canonical: &str) -> String {
    digest_bytes(canonical.as_bytes())
}

/// The digest of bytes: hexadecimal SHA-256.
#[must_use]
pub fn digest_bytes(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Reads a canonical form back.
///
/// # Errors
/// [`Error::Internal`] when the text is none: somebody wrote into the store.
pub fn parse(canonical: &str) -> Result<Graph> {
    let mut graph = Graph::new();
    for triple in oxttl::NTriplesParser::new().for_slice(canonical) {
        let triple =
            triple.map_err(|failure| Error::Internal(format!("a stored document: {failure}")))?;
        graph.insert(&triple);
    }
    Ok(graph)
}

/// The graph in a form. `first` is the resource that the document is about.
///
/// # Errors
/// [`Error::Internal`] when the graph cannot be written in that form.
pub fn emit(graph: &Graph, format: Format, release: &Release, first: &str) -> Result<Vec<u8>> {
    match format {
        Format::Turtle => Ok(turtle(graph, release, first).into_bytes()),
        Format::NTriples | Format::NQuads => Ok(canonical(graph).into_bytes()),
        Format::RdfXml => rdf_xml(graph, release, first),
        Format::JsonLd => {
            let context = Context::read(&release.text("contexts/catalogue.jsonld")?, release)?;
            serde_json::to_vec_pretty(&context.document(graph, first))
                .map_err(|failure| Error::Internal(failure.to_string()))
        }
    }
}

/// The bytes, compressed once (gzip without a time, so that they are the same every time).
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::GzBuilder::new()
        .mtime(0)
        .write(Vec::with_capacity(bytes.len() / 6), flate2::Compression::new(7));
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Triples by subject (the one that the document is about first), then by predicate (`rdf:type`
/// first), then by object.
fn sorted<'g>(graph: &'g Graph, first: &str) -> Vec<TripleRef<'g>> {
    let mut triples: Vec<_> = graph
        .iter()
        .map(|triple| {
            let subject = triple.subject.to_string();
            let rank = match triple.subject {
                NamedOrBlankNodeRef::NamedNode(node) if node.as_str() == first => 0,
                NamedOrBlankNodeRef::NamedNode(node) if node.as_str().starts_with(first) => 1,
                _ => 2,
            };
            let is_kind = triple.predicate.as_str() == oxrdf::vocab::rdf::TYPE.as_str();
            let key = (
                rank,
                subject,
                !is_kind,
                triple.predicate.as_str().to_owned(),
                triple.object.to_string(),
            );
            (key, triple)
        })
        .collect();
    triples.sort_by(|(a, _), (b, _)| a.cmp(b));
    triples.into_iter().map(|(_, triple)| triple).collect()
}

/// IRIs as prefixed names, where the local part is plain enough for every syntax.
struct Prefixes<'r> {
    rows: Vec<(&'r str, &'r str)>,
    used: std::collections::BTreeSet<&'r str>,
}

impl<'r> Prefixes<'r> {
    fn new(release: &'r Release) -> Self {
        let mut rows: Vec<(&str, &str)> = release
            .file
            .namespaces
            .iter()
            .map(|(prefix, namespace)| (prefix.as_str(), namespace.as_str()))
            .collect();
        // Longest namespace first: `dqv#` before a namespace that is its beginning.
        rows.sort_by_key(|(_, namespace)| std::cmp::Reverse(namespace.len()));
        Self { rows, used: std::collections::BTreeSet::new() }
    }

    fn name(&mut self, iri: &str) -> Option<String> {
        let (prefix, local) = self.rows.iter().find_map(|(prefix, namespace)| {
            let local = iri.strip_prefix(namespace)?;
            let is_plain = local.starts_with(|c: char| c.is_ascii_alphabetic())
                && local.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            is_plain.then_some((*prefix, local))
        })?;
        self.used.insert(prefix);
        Some(format!("{prefix}:{local}"))
    }

    fn turtle(&mut self, node: NamedNodeRef<'_>) -> String {
        self.name(node.as_str()).unwrap_or_else(|| node.to_string())
    }
}

fn turtle(graph: &Graph, release: &Release, first: &str) -> String {
    let mut prefixes = Prefixes::new(release);
    let mut body = String::new();
    let mut last: Option<TripleRef<'_>> = None;
    for triple in sorted(graph, first) {
        let object = match triple.object {
            TermRef::NamedNode(node) => prefixes.turtle(node),
            TermRef::Literal(literal) => turtle_literal(literal, &mut prefixes),
            other => other.to_string(),
        };
        let is_same_subject = last.is_some_and(|last| last.subject == triple.subject);
        if is_same_subject && last.is_some_and(|last| last.predicate == triple.predicate) {
            let _ = write!(body, " ,\n        {object}");
        } else {
            let predicate = if triple.predicate == oxrdf::vocab::rdf::TYPE {
                "a".to_owned()
            } else {
                prefixes.turtle(triple.predicate)
            };
            if is_same_subject {
                let _ = write!(body, " ;\n    {predicate} {object}");
            } else {
                if last.is_some() {
                    body.push_str(" .\n\n");
                }
                let subject = match triple.subject {
                    NamedOrBlankNodeRef::NamedNode(node) => prefixes.turtle(node),
                    other => other.to_string(),
                };
                let _ = write!(body, "{subject}\n    {predicate} {object}");
            }
        }
        last = Some(triple);
    }
    if last.is_some() {
        body.push_str(" .\n");
    }
    let mut text = String::new();
    for prefix in &prefixes.used {
        let namespace = &release.file.namespaces[*prefix];
        let _ = writeln!(text, "@prefix {prefix}: <{namespace}> .");
    }
    text.push('\n');
    text.push_str(&body);
    text
}

fn turtle_literal(literal: LiteralRef<'_>, prefixes: &mut Prefixes<'_>) -> String {
    let kind = literal.datatype();
    if kind == oxrdf::vocab::xsd::BOOLEAN && matches!(literal.value(), "true" | "false") {
        return literal.value().to_owned();
    }
    if literal.language().is_some() || kind == oxrdf::vocab::xsd::STRING {
        return literal.to_string();
    }
    let quoted = LiteralRef::new_simple_literal(literal.value()).to_string();
    format!("{quoted}^^{}", prefixes.turtle(kind))
}

fn rdf_xml(graph: &Graph, release: &Release, first: &str) -> Result<Vec<u8>> {
    let wrong = |failure: String| Error::Internal(format!("RDF/XML: {failure}"));
    let mut serializer = oxrdfxml::RdfXmlSerializer::new();
    for (prefix, namespace) in &release.file.namespaces {
        serializer = serializer
            .with_prefix(prefix, namespace)
            .map_err(|failure| wrong(failure.to_string()))?;
    }
    let mut writer = serializer.for_writer(Vec::new());
    for triple in sorted(graph, first) {
        writer.serialize_triple(triple).map_err(|failure| wrong(failure.to_string()))?;
    }
    writer.finish().map_err(|failure| wrong(failure.to_string()))
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
    prefixes: Vec<(String, String)>,
    /// By IRI: the term and its coercion.
    terms: BTreeMap<String, (String, Coercion)>,
}

impl Context {
    fn read(text: &str, release: &Release) -> Result<Self> {
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
        // Namespaces belong to the release; the file holds the terms.
        let mut json = Map::new();
        for (prefix, namespace) in &release.file.namespaces {
            json.insert(prefix.clone(), Value::String(namespace.clone()));
        }
        let expand = |name: &str| -> Option<String> {
            let (prefix, local) = name.split_once(':')?;
            release.file.namespaces.get(prefix).map(|namespace| format!("{namespace}{local}"))
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
        let prefixes = release
            .file
            .namespaces
            .iter()
            .map(|(prefix, namespace)| (prefix.clone(), namespace.clone()))
            .collect();
        Ok(Self { json: Value::Object(json), prefixes, terms })
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

//! A graph becomes bytes: canonical N-Quads (RDFC-1.0), Turtle, N-Triples, RDF/XML, JSON-LD.
//!
//! Every form is a function of the graph alone: sorted, stable, the same on every machine. The
//! digest of the canonical form is what strong ETags are made of.

mod json_ld;
mod rdf_xml;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;

use oxrdf::graph::CanonicalizationAlgorithm;
use oxrdf::{Graph, LiteralRef, NamedNodeRef, NamedOrBlankNodeRef, TermRef, TripleRef};
use sha2::{Digest as _, Sha256};

use super::release::Release;
use crate::error::{Error, Result};

/// Namespaces by prefix.
pub(super) type Namespaces = BTreeMap<String, String>;

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

    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Turtle => "Turtle",
            Self::JsonLd => "JSON-LD",
            Self::RdfXml => "RDF/XML",
            Self::NTriples => "N-Triples",
            Self::NQuads => "N-Quads",
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
/// [`Error::NotAcceptable`] when that form cannot say what the graph says, which ours always can;
/// [`Error::Internal`] when it cannot be written.
pub fn emit(graph: &Graph, format: Format, release: &Release, first: &str) -> Result<Vec<u8>> {
    emit_with(graph, format, release, &release.file.namespaces, first)
}

/// As [`emit()`], with namespaces of the graph's own.
pub(super) fn emit_with(
    graph: &Graph,
    format: Format,
    release: &Release,
    namespaces: &Namespaces,
    first: &str,
) -> Result<Vec<u8>> {
    match format {
        Format::Turtle => Ok(turtle(graph, namespaces, first).into_bytes()),
        Format::NTriples | Format::NQuads => Ok(canonical(graph).into_bytes()),
        Format::RdfXml => rdf_xml::write(graph, namespaces, first),
        Format::JsonLd => json_ld::write(graph, release, namespaces, first),
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
    used: BTreeSet<&'r str>,
}

impl<'r> Prefixes<'r> {
    fn new(namespaces: &'r Namespaces) -> Self {
        let mut rows: Vec<(&str, &str)> = namespaces
            .iter()
            .map(|(prefix, namespace)| (prefix.as_str(), namespace.as_str()))
            .collect();
        // Longest namespace first: `dqv#` before a namespace that is its beginning.
        rows.sort_by_key(|(_, namespace)| std::cmp::Reverse(namespace.len()));
        Self { rows, used: BTreeSet::new() }
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

fn turtle(graph: &Graph, namespaces: &Namespaces, first: &str) -> String {
    let mut prefixes = Prefixes::new(namespaces);
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
        let namespace = namespaces.get(*prefix).map_or("", String::as_str);
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

//! A document becomes a graph, within bounds of nesting and length that hold before and while
//! the parser reads: a parser that recurses, or a prefix that is repeated, costs no more.

use oxrdf::{Graph, TermRef, Triple};
use quick_xml::events::Event;
use serde_json::Value;

use super::Trouble;

/// Nesting of brackets, objects and elements.
const DEPTH: usize = 64;
/// Triples of a document.
const TRIPLES: usize = 500_000;
/// Bytes of an IRI.
const IRI: usize = 8 * 1_024;
/// Bytes of a literal.
const LITERAL: usize = 1 << 20;
/// Bytes of all terms of a document.
const TERMS: usize = 256 << 20;
/// Names that a JSON-LD context may define.
const NAMES: usize = 2_000;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Syntax {
    Turtle,
    NTriples,
    RdfXml,
    JsonLd,
}

/// Media types that say which form of RDF it is.
const SYNTAXES: &[(&str, Syntax)] = &[
    ("text/turtle", Syntax::Turtle),
    ("application/x-turtle", Syntax::Turtle),
    ("application/n-triples", Syntax::NTriples),
    ("application/rdf+xml", Syntax::RdfXml),
    ("application/ld+json", Syntax::JsonLd),
    // What servers say that know the grammar below and not the form.
    ("application/xml", Syntax::RdfXml),
    ("text/xml", Syntax::RdfXml),
    ("application/json", Syntax::JsonLd),
];

/// Media types that say nothing: the document shows what it is, or else the end of its address.
/// Plain file servers send these for `.ttl` and `.nt`.
const GENERIC: &[&str] = &["", "text/plain", "application/octet-stream", "binary/octet-stream"];

const SUFFIXES: &[(&str, Syntax)] = &[
    (".ttl", Syntax::Turtle),
    (".nt", Syntax::NTriples),
    (".rdf", Syntax::RdfXml),
    (".owl", Syntax::RdfXml),
    (".xml", Syntax::RdfXml),
    (".jsonld", Syntax::JsonLd),
    (".json", Syntax::JsonLd),
];

/// How documents begin, in small letters and without comments.
const BEGINNINGS: &[(&str, Option<Syntax>)] = &[
    ("<!doctype html", None),
    ("<html", None),
    ("<?xml", Some(Syntax::RdfXml)),
    ("<rdf:rdf", Some(Syntax::RdfXml)),
    ("<!doctype rdf", Some(Syntax::RdfXml)),
    ("{", Some(Syntax::JsonLd)),
    ("[{", Some(Syntax::JsonLd)),
    ("@prefix", Some(Syntax::Turtle)),
    ("@base", Some(Syntax::Turtle)),
    ("prefix", Some(Syntax::Turtle)),
    ("base", Some(Syntax::Turtle)),
    ("<http:", Some(Syntax::Turtle)),
    ("<https:", Some(Syntax::Turtle)),
    ("<urn:", Some(Syntax::Turtle)),
];

/// What a document of a media type that says nothing is.
fn shown(text: &str, base: &str) -> Option<Syntax> {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim_start);
    let mut told = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).take(8);
    // A bracket may stand on a line of its own.
    let start: String = told.by_ref().flat_map(|line| line.chars().take(32)).take(64).collect();
    let start = start.to_ascii_lowercase().replace("[ {", "[{");
    if let Some((_, syntax)) = BEGINNINGS.iter().find(|(word, _)| start.starts_with(word)) {
        return *syntax;
    }
    let path = base.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    SUFFIXES.iter().find(|(suffix, _)| path.ends_with(suffix)).map(|(_, syntax)| *syntax)
}

type Wrong = (&'static str, String);

fn wrong<T>(code: &'static str, detail: impl Into<String>) -> Result<T, Wrong> {
    Err((code, detail.into()))
}

/// Reads a document of a media type; `base` is where it came from.
///
/// # Errors
/// A [`Trouble`] that names the bound or the mistake.
pub fn read_document(text: &str, media_type: &str, base: &str) -> Result<Graph, Trouble> {
    read(text, media_type, base).map_err(|(code, detail)| Trouble::new(base, code, detail))
}

fn read(text: &str, media_type: &str, base: &str) -> Result<Graph, Wrong> {
    let bare = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let said = SYNTAXES.iter().find(|(name, _)| *name == bare).map(|(_, syntax)| *syntax);
    let shown = || GENERIC.contains(&&*bare).then(|| shown(text, base)).flatten();
    let Some(syntax) = said.or_else(shown) else {
        let detail = format!("`{bare}` is none of the forms of RDF that are read");
        return wrong("media-type", detail);
    };
    let mut filling = Filling::default();
    let syntax_of = |failure: &dyn std::fmt::Display| ("syntax", failure.to_string());
    match syntax {
        Syntax::Turtle | Syntax::NTriples => {
            turtle_depth(text)?;
            let parser = oxttl::TurtleParser::new();
            let parser = parser.with_base_iri(base).map_err(|failure| syntax_of(&failure))?;
            for triple in parser.for_slice(text) {
                filling.add(triple.map_err(|failure| syntax_of(&failure))?)?;
            }
        }
        Syntax::RdfXml => {
            xml_depth(text)?;
            let parser = oxrdfxml::RdfXmlParser::new();
            let parser = parser.with_base_iri(base).map_err(|failure| syntax_of(&failure))?;
            for triple in parser.for_slice(text) {
                filling.add(triple.map_err(|failure| syntax_of(&failure))?)?;
            }
        }
        Syntax::JsonLd => {
            json_depth(text)?;
            let parser = oxjsonld::JsonLdParser::new();
            let parser = parser.with_base_iri(base).map_err(|failure| syntax_of(&failure))?;
            // No loader of contexts: a remote one is refused, not fetched.
            for quad in parser.for_slice(text) {
                filling.add(quad.map_err(|failure| syntax_of(&failure))?.into())?;
            }
        }
    }
    Ok(filling.graph)
}

#[derive(Default)]
struct Filling {
    graph: Graph,
    bytes: usize,
}

impl Filling {
    fn add(&mut self, triple: Triple) -> Result<(), Wrong> {
        let object = match triple.object.as_ref() {
            TermRef::NamedNode(node) if node.as_str().len() > IRI => {
                return wrong("long-iri", format!("an IRI of more than {IRI} bytes"));
            }
            TermRef::NamedNode(node) => node.as_str().len(),
            TermRef::BlankNode(_) => 16,
            TermRef::Literal(literal) if literal.value().len() > LITERAL => {
                return wrong("long-literal", format!("a literal of more than {LITERAL} bytes"));
            }
            TermRef::Literal(literal) => literal.value().len(),
            #[allow(unreachable_patterns, reason = "triple terms are a feature of the crate")]
            _ => return wrong("triple-term", "triples as terms are not read"),
        };
        let subject = triple.subject.to_string().len();
        let predicate = triple.predicate.as_str().len();
        if subject > IRI || predicate > IRI {
            return wrong("long-iri", format!("an IRI of more than {IRI} bytes"));
        }
        self.bytes = self.bytes.saturating_add(subject + predicate + object);
        self.graph.insert(&triple);
        if self.graph.len() > TRIPLES || self.bytes > TERMS {
            return wrong("too-many-triples", format!("more than {TRIPLES} triples, or too long"));
        }
        Ok(())
    }
}

fn too_deep<T>() -> Result<T, Wrong> {
    wrong("too-deep", format!("nested deeper than {DEPTH}"))
}

/// Nesting of `[` and `(` outside strings, IRIs and comments.
fn turtle_depth(text: &str) -> Result<(), Wrong> {
    let bytes = text.as_bytes();
    let is_at = |at: usize, what: &[u8]| bytes.get(at..).is_some_and(|b| b.starts_with(what));
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'#' => {
                while bytes.get(at).is_some_and(|b| *b != b'\n') {
                    at += 1
                }
            }
            b'<' => {
                // `<` that is no IRI (RDF 1.2) ends at the next space as well.
                while bytes.get(at).is_some_and(|b| *b != b'>' && !b.is_ascii_whitespace()) {
                    at += 1;
                }
            }
            b'\\' => at += 1,
            quote @ (b'"' | b'\'') => {
                let long = [*quote; 3];
                let end: &[u8] = if is_at(at, &long) { &long } else { &long[..1] };
                at += end.len();
                while at < bytes.len() && !is_at(at, end) {
                    at += if is_at(at, b"\\") { 2 } else { 1 };
                }
                at += end.len() - 1;
            }
            b'[' | b'(' => {
                depth += 1;
                if depth > DEPTH {
                    return too_deep();
                }
            }
            b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

fn xml_depth(text: &str) -> Result<(), Wrong> {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut depth = 0_usize;
    loop {
        match reader.read_event() {
            Ok(Event::Eof) => return Ok(()),
            Ok(Event::DocType(kind)) if String::from_utf8_lossy(&kind).contains("<!") => {
                return wrong("entities", "a document that declares entities is not read");
            }
            Ok(Event::Start(_)) if depth >= DEPTH => return too_deep(),
            Ok(Event::Start(_)) => depth += 1,
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(_) => {}
            Err(failure) => return wrong("syntax", failure.to_string()),
        }
    }
}

fn json_depth(text: &str) -> Result<(), Wrong> {
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            b'{' | b'[' if !is_string => {
                depth += 1;
                if depth > DEPTH {
                    return too_deep();
                }
            }
            b'}' | b']' if !is_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    let value: Value =
        serde_json::from_str(text).map_err(|failure| ("syntax", failure.to_string()))?;
    // Terms may be defined by terms, which the parser follows by calling itself.
    if names(&value, false) > NAMES {
        return wrong("large-context", format!("contexts with more than {NAMES} names"));
    }
    Ok(())
}

/// How many names the contexts define; as deep as the document is, which is bounded.
fn names(value: &Value, is_context: bool) -> usize {
    match value {
        Value::Array(values) => values.iter().map(|value| names(value, is_context)).sum(),
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| {
                let inner = names(value, is_context || key == "@context");
                usize::from(is_context) + inner
            })
            .sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{Syntax, shown};

    #[test]
    fn a_document_shows_what_it_is_or_else_its_address_does() {
        for (text, base, syntax) in [
            ("@prefix a: <http://a/> .", "http://x/y", Some(Syntax::Turtle)),
            ("# a comment\n\nPREFIX a: <http://a/>", "http://x/y", Some(Syntax::Turtle)),
            ("<https://a/b> <https://a/c> \"d\" .", "http://x/y", Some(Syntax::Turtle)),
            ("\u{feff}<?xml version=\"1.0\"?>", "http://x/y.ttl", Some(Syntax::RdfXml)),
            ("<rdf:RDF xmlns:rdf=\"x\">", "http://x/y", Some(Syntax::RdfXml)),
            ("{ \"@context\": {} }", "http://x/y", Some(Syntax::JsonLd)),
            ("[\n  {\"@id\": \"a:b\"}]", "http://x/y", Some(Syntax::JsonLd)),
            ("[ a <b:c> ] .", "http://x/y.TTL?page=2", Some(Syntax::Turtle)),
            ("a:b a a:c .", "http://x/y.nt", Some(Syntax::NTriples)),
            ("<!DOCTYPE html><html>", "http://x/y.ttl", None),
            ("something else", "http://x/y", None),
            ("", "", None),
        ] {
            assert_eq!(shown(text, base), syntax, "{text} {base}");
        }
    }
}

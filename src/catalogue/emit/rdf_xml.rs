//! RDF/XML 1.1, which cannot say everything: predicates are names of XML, texts are text of XML 1.0.

use oxrdf::vocab::rdf;
use oxrdf::{Graph, NamedOrBlankNodeRef, TermRef, TripleRef};

use super::{Namespaces, sorted};
use crate::error::{Error, Result};

/// Names of RDF's syntax (RDF 1.1 XML Syntax section 6.1.4) that are no predicates.
const RESERVED: &[&str] = &[
    "Description",
    "RDF",
    "ID",
    "about",
    "parseType",
    "resource",
    "nodeID",
    "datatype",
    "li",
    "aboutEach",
    "aboutEachPrefix",
    "bagID",
];

pub(super) fn write(graph: &Graph, namespaces: &Namespaces, first: &str) -> Result<Vec<u8>> {
    let wrong = |failure: String| Error::Internal(format!("RDF/XML: {failure}"));
    let mut serializer = oxrdfxml::RdfXmlSerializer::new();
    for (prefix, namespace) in namespaces {
        serializer = serializer
            .with_prefix(prefix, namespace)
            .map_err(|failure| wrong(failure.to_string()))?;
    }
    let mut writer = serializer.for_writer(Vec::new());
    for triple in ordered(graph, first)? {
        writer.serialize_triple(triple).map_err(|failure| wrong(failure.to_string()))?;
    }
    let bytes = writer.finish().map_err(|failure| wrong(failure.to_string()))?;
    if !bytes.contains(&b'\r') {
        return Ok(bytes);
    }
    // Readers of XML take a carriage return for the end of a line (XML 1.0 section 2.11); only
    // texts hold any.
    let mut kept = Vec::with_capacity(bytes.len() + 64);
    for byte in bytes {
        match byte {
            b'\r' => kept.extend_from_slice(b"&#xD;"),
            byte => kept.push(byte),
        }
    }
    Ok(kept)
}

/// Triples as they are written: what comes first of a subject may become the name of its element.
fn ordered<'g>(graph: &'g Graph, first: &str) -> Result<Vec<TripleRef<'g>>> {
    let mut triples = sorted(graph, first);
    for triple in &triples {
        check(*triple)?;
    }
    for own in triples.chunk_by_mut(|a, b| a.subject == b.subject) {
        let is_fine = |triple: &TripleRef<'_>| match triple.object {
            TermRef::NamedNode(kind) if triple.predicate == rdf::TYPE => is_named(kind.as_str()),
            _ => true,
        };
        match own.iter().position(is_fine) {
            Some(place) => own.get_mut(..=place).unwrap_or_default().rotate_right(1),
            None => {
                let kind = own.first().map_or(String::new(), |triple| triple.object.to_string());
                return Err(unwritable(&format!("the class {kind} is no name of XML")));
            }
        }
    }
    Ok(triples)
}

fn check(triple: TripleRef<'_>) -> Result<()> {
    let predicate = triple.predicate.as_str();
    if !is_named(predicate) {
        return Err(unwritable(&format!("the predicate <{predicate}> is no name of XML")));
    }
    let is_text = |text: &str| {
        text.chars().all(|letter| {
            !matches!(letter, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}')
                && !matches!(letter, '\u{fffe}' | '\u{ffff}')
        })
    };
    let is_written = match triple.object {
        TermRef::Literal(literal) => is_text(literal.value()),
        TermRef::NamedNode(node) => is_text(node.as_str()),
        TermRef::BlankNode(_) => true,
    };
    let subject = match triple.subject {
        NamedOrBlankNodeRef::NamedNode(node) => is_text(node.as_str()),
        NamedOrBlankNodeRef::BlankNode(_) => true,
    };
    if is_written && subject {
        Ok(())
    } else {
        Err(unwritable(&format!("a value of <{predicate}> has a letter that XML 1.0 forbids")))
    }
}

fn unwritable(why: &str) -> Error {
    Error::NotAcceptable(format!(
        "this document cannot be written as RDF/XML ({why}); ask for text/turtle"
    ))
}

/// Whether an IRI ends in a name of XML (XML 1.0 section 2.3), so that it can be an element's, and
/// not in one of RDF's syntax. What stands for `xmlns` is no namespace.
fn is_named(iri: &str) -> bool {
    let local = iri.rsplit(|letter: char| !is_in_name(letter)).next().unwrap_or_default();
    let name = iri.strip_prefix("http://www.w3.org/1999/02/22-rdf-syntax-ns#");
    local.chars().any(begins_name)
        && !name.is_some_and(|name| RESERVED.contains(&name))
        && !iri.starts_with("http://www.w3.org/2000/xmlns/")
}

/// Without the colon, which parts the prefix.
const fn begins_name(letter: char) -> bool {
    matches!(letter,
        'A'..='Z' | '_' | 'a'..='z'
        | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}'
        | '\u{2070}'..='\u{218f}' | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}'
        | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}' | '\u{10000}'..='\u{effff}')
}

const fn is_in_name(letter: char) -> bool {
    begins_name(letter)
        || matches!(letter,
            '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
}

//! The names that a dataset keeps across catalogues, each in the one spelling that is compared.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use oxrdf::{Graph, NamedNode, NamedNodeRef, TermRef};

use crate::error::Result;
use crate::store::{Store, datasets};

const DCT_IDENTIFIER: &str = "http://purl.org/dc/terms/identifier";
const ADMS_IDENTIFIER: &str = "http://www.w3.org/ns/adms#identifier";
const SKOS_NOTATION: &str = "http://www.w3.org/2004/02/skos/core#notation";

/// Bytes of a dataset's IRI, and of each name that it is known by.
pub(super) const NAME: usize = 1_000;
/// Names that a dataset is known by.
const NAMES: usize = 16;
/// Names of a kind that are looked at to find those.
const MOST_NAMES: usize = 100;

/// Names that are written in several ways and mean the same everywhere.
struct Scheme {
    /// What may stand before the name, in small letters.
    before: &'static [&'static str],
    /// What stands before it when it is compared.
    written: &'static str,
    is_one: fn(&str) -> bool,
}

const SCHEMES: &[Scheme] = &[
    // ISO 26324: a DOI name has no case. DOI Handbook, sections 2.2 and 3.8: its spellings.
    Scheme {
        before: &[
            "https://doi.org/",
            "http://doi.org/",
            "https://dx.doi.org/",
            "http://dx.doi.org/",
            "https://www.doi.org/",
            "http://www.doi.org/",
            "doi.org/",
            "dx.doi.org/",
            "info:doi/",
            "urn:doi:",
            "doi:",
            "",
        ],
        written: "https://doi.org/",
        is_one: is_doi,
    },
    // RFC 9562 section 4: read without case.
    Scheme { before: &["urn:uuid:", ""], written: "urn:uuid:", is_one: is_uuid },
];

fn is_doi(name: &str) -> bool {
    let parts = name.strip_prefix("10.").and_then(|rest| rest.split_once('/'));
    parts.is_some_and(|(registrant, rest)| {
        let is_registrant = registrant.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        is_registrant && !registrant.is_empty() && !rest.is_empty()
    })
}

fn is_uuid(name: &str) -> bool {
    let lengths: Vec<usize> = name.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && name.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// A name that means the same in every catalogue, as it is compared: an IRI, a DOI, a UUID. A local
/// number (`17`) is none.
fn global(name: &str) -> Option<String> {
    let name = name.trim();
    if name.len() > NAME || name.chars().any(char::is_control) {
        return None;
    }
    let small = name.to_ascii_lowercase().replace("%2f", "/");
    for scheme in SCHEMES {
        let bare = scheme.before.iter().filter_map(|before| small.strip_prefix(before));
        if let Some(bare) = bare.map(str::trim_start).find(|bare| (scheme.is_one)(bare)) {
            return Some(format!("{}{bare}", scheme.written));
        }
    }
    NamedNode::new(name).ok().map(NamedNode::into_string)
}

/// An IRI as it stands among names.
pub(super) fn comparable(iri: &str) -> String {
    global(iri).unwrap_or_else(|| iri.to_owned())
}

/// Whether a name is the IRI of a dataset, or of a part of it (`…#identifier-1`).
pub(super) fn is_of(name: &str, iri: &str) -> bool {
    let is_it = |iri: &str| {
        name.strip_prefix(iri).is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
    };
    is_it(iri) || is_it(&comparable(iri))
}

/// The names that a dataset is known by across catalogues: its IRI, its own identifiers
/// (`dct:identifier`) and those that were handed over (`adms:identifier`). HealthDCAT-AP Release 8:
/// the next catalogue overwrites the first and moves the original into the second.
pub(super) fn of(graph: &Graph, dataset: &NamedNode) -> Vec<String> {
    // A literal, or what CKAN makes of one that is an address: an IRI.
    let name = |term: TermRef<'_>| match term {
        TermRef::Literal(literal) => global(literal.value()),
        TermRef::NamedNode(node) => global(node.as_str()),
        _ => None,
    };
    let of = |subject: oxrdf::NamedOrBlankNodeRef<'_>, predicate: &str| -> Vec<oxrdf::Term> {
        let predicate = NamedNodeRef::new_unchecked(predicate);
        let objects = graph.objects_for_subject_predicate(subject, predicate);
        objects.take(MOST_NAMES).map(TermRef::into_owned).collect()
    };
    let mut all = of(dataset.as_ref().into(), DCT_IDENTIFIER);
    for handed in of(dataset.as_ref().into(), ADMS_IDENTIFIER) {
        match &handed {
            oxrdf::Term::NamedNode(node) => all.extend(of(node.as_ref().into(), SKOS_NOTATION)),
            oxrdf::Term::BlankNode(node) => all.extend(of(node.as_ref().into(), SKOS_NOTATION)),
            _ => {}
        }
        // Of an `adms:Identifier` CKAN keeps nothing but the IRI.
        all.push(handed);
    }
    let iri = comparable(dataset.as_str());
    let all: BTreeSet<String> = all.iter().filter_map(|term| name(term.as_ref())).collect();
    let others = all.into_iter().filter(|name| *name != iri).take(NAMES);
    let names: BTreeSet<String> = others.chain([iri.clone()]).collect();
    names.into_iter().collect()
}

/// This node's own datasets, by the names that their documents give them.
pub(super) struct Own<'a> {
    /// Where their IRIs begin.
    pub(super) base: &'a str,
    read: Mutex<Option<Arc<HashMap<String, String>>>>,
}

impl<'a> Own<'a> {
    pub(super) fn new(base: &'a str) -> Self {
        Self { base, read: Mutex::default() }
    }

    /// Slugs by names other than their IRIs; read once for all walks of a harvest.
    pub(super) fn names(&self, store: &Store) -> Result<Arc<HashMap<String, String>>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(names) = &*read {
            return Ok(Arc::clone(names));
        }
        let (mut names, mut after) = (HashMap::new(), String::new());
        loop {
            let rows = store.read(|db| datasets::list_documents(db, &after, 200))?;
            let Some((last, _)) = rows.last() else { break };
            after.clone_from(last);
            for (slug, document) in rows {
                for name in self.said(&slug, &document) {
                    names.entry(name).or_insert_with(|| slug.clone());
                }
            }
        }
        let names = Arc::new(names);
        *read = Some(Arc::clone(&names));
        Ok(names)
    }

    /// The names in a document of ours, which is one statement on a line.
    fn said(&self, slug: &str, document: &str) -> Vec<String> {
        let start = format!("<{}{slug}", self.base);
        let predicates =
            [DCT_IDENTIFIER, SKOS_NOTATION].map(|predicate| format!("> <{predicate}> \""));
        let of = |line: &str| {
            let rest = line.strip_prefix(&start)?;
            let (_, rest) = predicates.iter().find_map(|predicate| rest.split_once(predicate))?;
            global(rest.split_once('"')?.0)
        };
        document.lines().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{global, is_of};

    #[test]
    fn a_doi_is_the_same_in_every_spelling() {
        for spelling in [
            "10.5281/zenodo.77",
            "doi:10.5281/zenodo.77",
            "DOI: 10.5281/Zenodo.77",
            "https://doi.org/10.5281/zenodo.77",
            "http://dx.doi.org/10.5281/ZENODO.77",
            "https://www.doi.org/10.5281%2Fzenodo.77",
            "info:doi/10.5281/zenodo.77",
            " urn:doi:10.5281/zenodo.77 ",
        ] {
            let name = global(spelling);
            assert_eq!(name.as_deref(), Some("https://doi.org/10.5281/zenodo.77"), "{spelling}");
        }
        assert!(is_of("https://doi.org/10.5281/zenodo.77", "http://dx.doi.org/10.5281/Zenodo.77"));
    }

    #[test]
    fn a_local_number_is_no_name_and_an_iri_is_its_own() {
        for local in ["17", "10.5281", "10.5281/", "10./x", "10.x/y", "a b", "", "doi:"] {
            assert!(global(local).is_none_or(|name| name == local), "{local}");
        }
        assert_eq!(global("17"), None);
        let uuid = "0F5E1D6C-0000-4000-8000-000000000001";
        assert_eq!(global(uuid), global(&format!("urn:uuid:{}", uuid.to_lowercase())));
        let iri = "https://example.org/D/1";
        assert_eq!(global(iri).as_deref(), Some(iri));
        assert!(is_of("https://example.org/D/1#identifier-1", iri));
        assert!(!is_of("https://example.org/D/12", iri));
    }
}

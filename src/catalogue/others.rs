//! Datasets of other catalogues that everybody may look at: found, and written in every form.
//!
//! In: rows that were harvested. Out: the row with its source, and its last good document in a form of
//! ours. All of it is hostile but for what the walk held it to (syntax, size, labels of blank nodes).

use super::emit::{self, Format, Namespaces};
use super::release::Release;
use crate::config::HarvestSource;
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::harvested::{self, CURRENT, GONE, HarvestedRow};

/// A dataset of another catalogue.
#[derive(Clone, Debug)]
pub struct Other {
    /// Where it comes from.
    pub source: HarvestSource,
    /// What is kept of it.
    pub row: HarvestedRow,
}

impl Other {
    /// A dataset that everybody may look at.
    ///
    /// # Errors
    /// [`Error::NotFound`] for what is not there, of a source that is not public, or another's copy;
    /// [`Error::Gone`] for what its source does not have any more.
    pub fn find(store: &Store, sources: &[HarvestSource], source: &str, iri: &str) -> Result<Self> {
        let id: String = iri.chars().take(100).collect();
        let unknown = || Error::NotFound { kind: "dataset", id: id.clone() };
        if source.contains('\0') || iri.contains('\0') {
            return Err(unknown());
        }
        let mut sources = sources.iter();
        let of = sources.find(|known| known.name == source && known.public);
        let of = of.ok_or_else(unknown)?;
        let row = store.read(|db| harvested::find_harvested(db, source, iri))?;
        match row {
            Some(row) if row.state == CURRENT => Ok(Self { source: of.clone(), row }),
            Some(row) if row.state == GONE && !row.document.is_empty() => {
                Err(Error::Gone { kind: "dataset", id })
            }
            _ => Err(unknown()),
        }
    }

    /// Its document: the same graph in every form, N-Triples and N-Quads as they are kept.
    ///
    /// # Errors
    /// [`Error::NotAcceptable`] when RDF/XML cannot say it.
    pub fn write(&self, format: Format, release: &Release) -> Result<Vec<u8>> {
        if format.is_lines() {
            // Not canonicalised again: its blank nodes have labels already, and RDFC-1.0 takes a time
            // that a hostile document can make factorial.
            return Ok(self.row.document.clone().into_bytes());
        }
        let graph = emit::parse(&self.row.document)?;
        emit::emit_with(&graph, format, release, &self.namespaces(release), &self.row.iri)
    }

    /// The release's namespaces, and those of the source under its name.
    fn namespaces(&self, release: &Release) -> Namespaces {
        let mut all = release.file.namespaces.clone();
        let name = &self.source.name;
        // XML keeps names that begin so for itself; schemes of addresses would be mistaken for it.
        let is_prefix = name.starts_with(|letter: char| letter.is_ascii_lowercase())
            && !name.starts_with("xml")
            && !["http", "https", "urn", "mailto"].contains(&name.as_str());
        for (place, namespace) in self.source.namespaces.iter().enumerate() {
            let prefix = if place == 0 { name.clone() } else { format!("{name}-{}", place + 1) };
            let is_known =
                all.contains_key(&prefix) || all.values().any(|known| known == namespace);
            if is_prefix && !is_known {
                all.insert(prefix, namespace.clone());
            }
        }
        all
    }
}

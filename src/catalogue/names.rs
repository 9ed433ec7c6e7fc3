//! Terms of the index as people read them: `http://snomed.info/sct|76752008` is `Breast`.

use std::collections::HashMap;
use std::sync::Arc;

use super::Release;
use crate::imaging::Facet;
use crate::mapping::Context;

/// Names of facet terms, from the tables of `mapping` and the vocabularies of the catalogue.
#[derive(Clone, Debug)]
pub struct Names {
    release: Arc<Release>,
    body_sites: Arc<HashMap<String, String>>,
}

impl Names {
    /// The names that the tables give.
    #[must_use]
    pub fn new(release: Arc<Release>, context: &Context) -> Self {
        let body_sites = crate::mapping::body_site_names(context).into_iter().collect();
        Self { release, body_sites: Arc::new(body_sites) }
    }

    /// The release whose vocabularies name things.
    #[must_use]
    pub fn release(&self) -> &Arc<Release> {
        &self.release
    }

    /// The name of a term; a term that no table knows names itself.
    #[must_use]
    pub fn term(&self, facet: Facet, term: &str) -> String {
        match facet {
            Facet::Modality => match self.release.modality(term) {
                Some(label) => format!("{label} ({term})"),
                None => term.to_owned(),
            },
            Facet::BodySite => {
                self.body_sites.get(term).cloned().unwrap_or_else(|| match term.split_once('|') {
                    Some(("http://snomed.info/sct", code)) => format!("SNOMED CT {code}"),
                    Some((_, text)) if !text.is_empty() => text.to_owned(),
                    _ => term.to_owned(),
                })
            }
            Facet::Sex => capital(term),
            _ => term.to_owned(),
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

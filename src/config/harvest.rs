//! The catalogues that are harvested into this node.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Other catalogues that are read into this node.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Harvest {
    /// Catalogues that are walked at once, 1 to 16; those of one host one after another.
    pub side_by_side: usize,
    /// The catalogues.
    pub source: Vec<HarvestSource>,
}

impl Default for Harvest {
    fn default() -> Self {
        Self { side_by_side: 4, source: Vec::new() }
    }
}

/// How a catalogue is walked.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HarvestKind {
    /// One DCAT document.
    #[default]
    Dcat,
    /// DCAT in pages that `hydra:next` links.
    Hydra,
    /// A FAIR Data Point: `fdp-o:metadataCatalog` and `ldp:contains`.
    Fdp,
    /// CKAN's `catalog.ttl`, by `?page=`.
    Ckan,
}

/// The form of RDF that a catalogue's documents have, by the suffixes that they mostly have.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HarvestFormat {
    /// Turtle, or N-Triples, which is a part of it.
    Ttl,
    /// N-Triples.
    Nt,
    /// RDF/XML.
    Rdf,
    /// JSON-LD 1.1.
    Jsonld,
}

impl HarvestFormat {
    /// The media type of its documents.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Ttl => "text/turtle",
            Self::Nt => "application/n-triples",
            Self::Rdf => "application/rdf+xml",
            Self::Jsonld => "application/ld+json",
        }
    }
}

/// A catalogue, and what it may do here.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HarvestSource {
    /// Its name: small letters, digits and hyphens.
    pub name: String,
    /// Where the walk begins: `https://…`, without user and password.
    pub url: String,
    /// How it is walked.
    pub kind: HarvestKind,
    /// The form of its documents, whatever media type it sends them with; without it the media type
    /// says it, and the document itself where that says nothing (`text/plain`).
    pub format: Option<HarvestFormat>,
    /// Beginnings of the IRIs that it may describe, each with a final `/`, `#` or `:`.
    pub namespaces: Vec<String>,
    /// Hours between two walks of the server; 0: only by `vesalius harvest`.
    pub every_hours: u32,
    /// Largest document, in MiB.
    pub document_mib: u64,
    /// Largest walk, in MiB.
    pub total_mib: u64,
    /// Documents that a walk may fetch.
    pub pages: usize,
    /// Seconds that one answer may take.
    pub seconds: u64,
    /// Seconds that a walk may take.
    pub walk_seconds: u64,
    /// Complete walks that must miss a dataset before it is gone.
    pub gone_after: u32,
    /// How much of its known datasets a walk may miss at once, in percent; ten may always be. More
    /// is likelier a mistake, and is kept until `vesalius harvest --prune`.
    pub may_vanish_percent: u8,
    /// Whether everybody may look at what it brought (`/harvested`).
    pub public: bool,
    /// Hosts with their port (`10.0.0.5:8080`) that may be reached although they are inside.
    pub allow_private: Vec<String>,
}

impl Default for HarvestSource {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            kind: HarvestKind::default(),
            format: None,
            namespaces: Vec::new(),
            every_hours: 24,
            document_mib: 16,
            total_mib: 1_024,
            pages: 10_000,
            seconds: 30,
            walk_seconds: 3_600,
            gone_after: 3,
            may_vanish_percent: 10,
            public: true,
            allow_private: Vec::new(),
        }
    }
}

impl HarvestSource {
    /// When the server walks it next, in microseconds since 1970, after a walk that began at
    /// `last`; `None`: only by hand.
    #[must_use]
    pub fn next_walk(&self, last: Option<i64>) -> Option<i64> {
        let wait = i64::from(self.every_hours).saturating_mul(3_600 * 1_000_000);
        (wait > 0).then(|| last.map_or(0, |last| last.saturating_add(wait)))
    }

    /// What is wrong with it, and the remedy.
    pub(super) fn wrong(&self) -> Option<(String, &'static str)> {
        let name = &self.name;
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_plain) {
            return Some((
                format!("the name `{name}` is none"),
                "write small letters, digits and hyphens",
            ));
        }
        let rest = self.url.strip_prefix("https://").or_else(|| self.url.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
        if host.is_empty() || host.contains('@') {
            return Some((
                format!("`{name}` has no usable `url`"),
                "write `https://…` without user and password",
            ));
        }
        let is_namespace = |text: &String| text.len() > 8 && text.ends_with(['/', '#', ':']);
        if self.namespaces.is_empty() || !self.namespaces.iter().all(is_namespace) {
            return Some((
                format!("`{name}` has no usable `namespaces`"),
                "list beginnings of its IRIs, each ending with `/`, `#` or `:`",
            ));
        }
        let bounds = [self.document_mib, self.total_mib, self.seconds, self.walk_seconds];
        let is_odd = |bound: &u64| *bound == 0 || *bound > 86_400;
        if bounds.iter().any(is_odd) || self.pages == 0 || self.gone_after == 0 {
            return Some((
                format!("`{name}` has a bound that is 0 or too large"),
                "take numbers from 1 to 86400, or leave the keys out",
            ));
        }
        if self.may_vanish_percent > 100 {
            return Some((
                format!("`{name}` may lose more than it has (`may_vanish_percent`)"),
                "take a number from 0 to 100, or leave the key out",
            ));
        }
        None
    }
}

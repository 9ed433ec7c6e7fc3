//! The table of doors: what is served where, in which forms, by which function.
//!
//! A door is found by its path; the form by the suffix of the path, else by `Accept`. Everything
//! else (conditional requests, coding, caching, failures) is done alike for all of them in
//! [`answer`](super::answer).

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use jiff::Timestamp;
use oxrdf::Graph;

use super::negotiate::preferred;
use super::{State, Topic, changes, documents, fdp, listing, oai, others, site};
use crate::catalogue::{Format, Parts};
use crate::error::{Error, Result};

/// A form of a document.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Form {
    pub media_type: &'static str,
    pub suffix: &'static str,
    /// Written from the graph, when there is one.
    pub rdf: Option<Format>,
    /// Whether `Accept` can choose it: two forms with one media type cannot both be.
    pub by_accept: bool,
}

impl Form {
    const fn rdf(format: Format) -> Self {
        Self {
            media_type: format.media_type(),
            suffix: format.suffix(),
            rdf: Some(format),
            by_accept: true,
        }
    }

    const fn plain(media_type: &'static str, suffix: &'static str) -> Self {
        Self { media_type, suffix, rdf: None, by_accept: true }
    }

    const fn by_suffix(media_type: &'static str, suffix: &'static str) -> Self {
        Self { media_type, suffix, rdf: None, by_accept: false }
    }
}

const TURTLE: Form = Form::rdf(Format::Turtle);
const JSON_LD: Form = Form::rdf(Format::JsonLd);
const RDF_XML: Form = Form::rdf(Format::RdfXml);
const N_TRIPLES: Form = Form::rdf(Format::NTriples);
const N_QUADS: Form = Form::rdf(Format::NQuads);
pub(super) const JSON: Form = Form::plain("application/json", "json");
/// Croissant 1.1 (ML Commons).
pub(super) const CROISSANT: Form = Form::by_suffix(
    "application/ld+json; profile=\"http://mlcommons.org/croissant/1.1\"",
    "croissant.json",
);
/// schema.org's Dataset, as search engines read it.
pub(super) const SCHEMA_ORG: Form =
    Form::by_suffix("application/ld+json; profile=\"https://schema.org/\"", "schema.jsonld");
/// The citation with all its fields (DataCite Metadata Schema 4.6 as JSON).
pub(super) const DATACITE: Form =
    Form::plain("application/vnd.datacite.datacite+json", "datacite.json");

/// Every door to a graph has these.
pub(super) const RDF: &[Form] = &[TURTLE, JSON_LD, RDF_XML, N_TRIPLES, N_QUADS];
/// The forms of a dataset.
pub(super) const DATASET: &[Form] =
    &[TURTLE, JSON_LD, RDF_XML, N_TRIPLES, N_QUADS, CROISSANT, SCHEMA_ORG, DATACITE];
const FEED: &[Form] = &[JSON, TURTLE, JSON_LD, RDF_XML, N_TRIPLES, N_QUADS];

/// A door.
pub(super) struct Door {
    /// The path as the router reads it; `{slug}` may hold a suffix.
    pub path: &'static str,
    pub forms: &'static [Form],
    /// What the pages answer for readers of HTML.
    pub page: Option<fn(&Ask) -> Topic>,
    pub find: fn(&State, &Ask) -> Result<Found, Refused>,
    /// The parameters of the query that it reads.
    pub query: &'static [&'static str],
    /// Whether it reads its parameters from a posted form too.
    pub takes_forms: bool,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// The path without its suffix.
    pub path: String,
    /// `{slug}` of the path, without its suffix.
    pub slug: String,
    /// The form; `None`: a page.
    pub form: Option<Form>,
    /// Whether the suffix chose the form: links to other pages keep it, because harvesters parse
    /// every page as they parsed the first.
    pub has_suffix: bool,
    pub query: Vec<(String, String)>,
    pub now: Timestamp,
}

/// A resource that can be written.
pub(super) struct Found {
    /// Names the bytes but for form and coding: the key of the cache.
    pub key: String,
    pub modified: Option<Timestamp>,
    pub status: StatusCode,
    /// Values of `Link`.
    pub links: Vec<String>,
    /// It never changes any more.
    pub is_immutable: bool,
    /// Whether the bytes are worth keeping: few readers ask for the same.
    pub is_kept: bool,
    /// Whether it stays what it is for as long as the catalogue does.
    pub is_repeated: bool,
    pub body: Body,
}

/// How its bytes are made, when they are not kept.
pub(super) enum Body {
    /// From a graph about `first`.
    Graph { first: String, make: Make<Graph> },
    /// The form's own writer.
    Bytes(Make<Vec<u8>>),
    /// A document of which a part is packed already.
    Parts(Make<Parts>),
}

pub(super) type Make<T> = Box<dyn FnOnce(&State) -> Result<T> + Send>;

/// Why there is no answer.
pub(super) enum Refused {
    Error(Error),
    /// It was here, and how to go on from there.
    Gone(String),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Found {
    /// A graph that changes with `key`.
    pub fn graph(
        key: String,
        first: &oxrdf::NamedNode,
        make: impl FnOnce(&State) -> Result<Graph> + Send + 'static,
    ) -> Self {
        let first = first.as_str().to_owned();
        Self::of(key, Body::Graph { first, make: Box::new(make) })
    }

    /// Bytes that change with `key`.
    pub fn bytes(
        key: String,
        make: impl FnOnce(&State) -> Result<Vec<u8>> + Send + 'static,
    ) -> Self {
        Self::of(key, Body::Bytes(Box::new(make)))
    }

    /// A document in parts that changes with `key`.
    pub fn parts(key: String, make: impl FnOnce(&State) -> Result<Parts> + Send + 'static) -> Self {
        Self::of(key, Body::Parts(Box::new(make)))
    }

    const fn of(key: String, body: Body) -> Self {
        Self {
            key,
            modified: None,
            status: StatusCode::OK,
            links: Vec::new(),
            is_immutable: false,
            is_kept: true,
            is_repeated: true,
            body,
        }
    }

    pub const fn modified(mut self, modified: Option<Timestamp>) -> Self {
        self.modified = modified;
        self
    }

    /// Bytes that hardly anybody else asks for.
    pub const fn once(mut self) -> Self {
        self.is_kept = false;
        self
    }

    /// It may change while the catalogue does not.
    pub const fn asked_again(mut self) -> Self {
        self.is_repeated = false;
        self
    }

    pub fn links(mut self, links: Vec<String>) -> Self {
        self.links = links;
        self
    }
}

/// A door to graphs.
const fn rdf(path: &'static str, find: fn(&State, &Ask) -> Result<Found, Refused>) -> Door {
    Door { path, forms: RDF, page: None, find, query: &[], takes_forms: false }
}

/// A door to a dataset of another catalogue.
const fn harvested(path: &'static str) -> Door {
    Door {
        path,
        forms: RDF,
        page: Some(|_| Topic::Harvested),
        find: others::dataset,
        query: others::ONE,
        takes_forms: false,
    }
}

/// Of a listing walk (Hydra).
const LISTING: &[&str] = &["page", "modified_since", "snapshot"];
/// Of the feed of changes.
const CHANGES: &[&str] = &["since", "limit", "include"];
/// OAI-PMH 2.0 section 3.1.1.2.
const OAI: &[&str] =
    &["verb", "identifier", "metadataPrefix", "from", "until", "set", "resumptionToken"];

/// Every door of this room but `/sparql`, in the order in which the router tries them.
pub(super) const DOORS: &[Door] = &[
    Door {
        path: "/catalog",
        forms: RDF,
        page: Some(|_| Topic::Catalogue),
        find: listing::catalog,
        query: LISTING,
        takes_forms: false,
    },
    Door {
        path: "/catalog.{suffix}",
        forms: RDF,
        page: Some(|_| Topic::Catalogue),
        find: listing::catalog,
        query: LISTING,
        takes_forms: false,
    },
    Door {
        path: "/dataset/{slug}/analytics.csv",
        forms: &[Form::plain("text/csv", "csv")],
        page: None,
        find: documents::counts,
        query: &[],
        takes_forms: false,
    },
    rdf("/dataset/{slug}/distribution/{part}", documents::part),
    rdf("/dataset/{slug}/analytics/{part}", documents::part),
    rdf("/dataset/{slug}/{part:(?:analytics|sample)(?:\\.[a-z]+)?}", documents::part),
    Door {
        path: "/dataset/{slug}/{part:label(?:\\.[a-z]+)?}",
        forms: RDF,
        page: Some(|ask| Topic::Label(ask.slug.clone())),
        find: documents::label,
        query: &[],
        takes_forms: false,
    },
    rdf("/dataset/{slug}/{part:eucaim(?:\\.[a-z]+)?}", documents::eucaim),
    Door {
        path: "/dataset/{slug}",
        forms: DATASET,
        page: Some(|ask| Topic::Dataset(ask.slug.clone())),
        find: documents::dataset,
        query: &[],
        takes_forms: false,
    },
    rdf("/record/{slug}", documents::record),
    rdf("/series/{slug}", documents::series),
    rdf("/agent/{slug}", documents::agent),
    rdf("/service/{slug}", documents::service),
    Door {
        path: "/changes",
        forms: FEED,
        page: None,
        find: changes::feed,
        query: CHANGES,
        takes_forms: false,
    },
    Door {
        path: "/changes.{suffix}",
        forms: FEED,
        page: None,
        find: changes::feed,
        query: CHANGES,
        takes_forms: false,
    },
    rdf("/changes/{slug}/{part:document(?:\\.[a-z]+)?}", changes::document),
    Door {
        path: "/changes/{slug}",
        forms: FEED,
        page: None,
        find: changes::event,
        query: &[],
        takes_forms: false,
    },
    rdf("/ldes", changes::stream),
    rdf("/ldes.{suffix}", changes::stream),
    rdf("/ldes/{slug}", changes::fragment),
    rdf("/fdp", fdp::root),
    rdf("/fdp/", fdp::root),
    rdf("/fdp.{suffix}", fdp::root),
    rdf("/fdp/catalog/", fdp::catalogs),
    rdf("/fdp/dataset/", fdp::datasets),
    rdf("/fdp/catalog/{slug}", fdp::catalog),
    harvested("/harvested/dataset"),
    harvested("/harvested/dataset.{suffix}"),
    Door {
        path: "/oai",
        forms: &[Form::plain("text/xml", "xml")],
        page: None,
        find: oai::answer,
        query: OAI,
        // Section 3.1.1: every repository answers both methods.
        takes_forms: true,
    },
    Door {
        path: "/sitemap.xml",
        forms: &[Form::plain("application/xml", "xml")],
        page: None,
        find: site::map,
        query: &[],
        takes_forms: false,
    },
    Door {
        path: "/sitemap/{slug}.xml",
        forms: &[Form::plain("application/xml", "xml")],
        page: None,
        find: site::map_part,
        query: &[],
        takes_forms: false,
    },
    Door {
        path: "/robots.txt",
        forms: &[Form::plain("text/plain", "txt")],
        page: None,
        find: site::robots,
        query: &[],
        takes_forms: false,
    },
];

/// `breast.ttl` → `breast`, `ttl`.
fn split(name: &str) -> (&str, Option<&str>) {
    name.split_once('.').map_or((name, None), |(slug, suffix)| (slug, Some(suffix)))
}

impl Ask {
    /// What a request asks a door for; `query` are its parameters, as in an address.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a suffix, [`Error::NotAcceptable`] for an `Accept` that no form
    /// fits, [`Error::Invalid`] for a query string that cannot be read.
    pub fn of(door: &Door, request: &HttpRequest, query: &str, now: Timestamp) -> Result<Self> {
        let (folder, last) = request.path().rsplit_once('/').unwrap_or(("", ""));
        let (last, suffix) = split(last);
        let query = actix_web::web::Query::<Vec<(String, String)>>::from_query(query)
            .map_err(|_| Error::Invalid("the query string cannot be read".to_owned()))?
            .into_inner();
        Ok(Self {
            path: format!("{folder}/{last}"),
            slug: split(request.match_info().get("slug").unwrap_or_default()).0.to_owned(),
            form: door.form(request, suffix)?,
            has_suffix: suffix.is_some(),
            query,
            now,
        })
    }

    /// A parameter of the query; one that is given twice, or empty, is refused.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn parameter(&self, name: &'static str) -> Result<Option<&str>> {
        let mut found = self.query.iter().filter(|(own, _)| own == name);
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some((_, value)), None) if !value.is_empty() => Ok(Some(value)),
            _ => Err(Error::Parameter {
                name: name.to_owned(),
                reason: "give it once, with a value".to_owned(),
            }),
        }
    }

    /// A parameter that is a number.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn number(&self, name: &'static str, least: u64) -> Result<Option<u64>> {
        let Some(text) = self.parameter(name)? else { return Ok(None) };
        match text.parse::<u64>() {
            Ok(number) if number >= least => Ok(Some(number)),
            _ => Err(Error::Parameter {
                name: name.to_owned(),
                reason: format!("write a number from {least}"),
            }),
        }
    }

    /// The suffix with its dot, where the reader came by one.
    pub fn suffix(&self) -> String {
        match self.form {
            Some(form) if self.has_suffix => format!(".{}", form.suffix),
            _ => String::new(),
        }
    }
}

impl Door {
    /// The form by suffix, else by `Accept`; `None`: a page.
    fn form(&self, request: &HttpRequest, suffix: Option<&str>) -> Result<Option<Form>> {
        if let Some(suffix) = suffix {
            if suffix == "html" && self.page.is_some() {
                return Ok(None);
            }
            let found = self.forms.iter().find(|form| form.suffix == suffix);
            return found.copied().map(Some).ok_or_else(|| Error::NotFound {
                kind: "form",
                id: suffix.chars().take(50).collect(),
            });
        }
        let mut offers: Vec<&str> =
            self.forms.iter().filter(|form| form.by_accept).map(|form| form.media_type).collect();
        if self.page.is_some() {
            offers.push("text/html");
            offers.push("application/xhtml+xml");
        }
        let offer = preferred(request, &offers).ok_or_else(|| {
            Error::NotAcceptable(format!("this resource comes as {}", offers.join(", ")))
        })?;
        Ok(self.forms.iter().find(|form| form.by_accept && form.media_type == offer).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::DOORS;

    #[test]
    fn every_form_of_a_door_has_its_own_suffix_and_media_type() {
        for door in DOORS {
            for (place, form) in door.forms.iter().enumerate() {
                for other in &door.forms[place + 1..] {
                    assert_ne!(form.suffix, other.suffix, "{}", door.path);
                    let both = form.by_accept && other.by_accept;
                    assert!(!both || form.media_type != other.media_type, "{}", door.path);
                }
            }
        }
    }
}

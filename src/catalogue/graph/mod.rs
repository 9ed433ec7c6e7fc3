//! A description and its figures become an RDF graph by HealthDCAT-AP.
//!
//! One document per dataset, self-contained, without blank nodes (parts are `#part` IRIs),
//! without a `dcat:Catalog` and without a second `dcat:Dataset`: the official validator holds
//! a Catalog to the Dataset's list, and harvesters import every node typed Dataset.

mod agents;
mod content;
mod dataset;
mod distributions;
mod draft;
mod eucaim;

use jiff::Timestamp;
use oxrdf::{Graph, NamedNode};

use super::description::{Agent, Description, Text};
use super::figures::Disclosed;
use super::release::{Release, Scheme};
use crate::config::{Config, Organisation};
pub(super) use draft::{Draft, PLACES};

/// A dataset that is ready to be written.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Last part of its IRI.
    pub slug: &'a str,
    /// What the steward wrote.
    pub description: &'a Description,
    /// What the archive says, after the disclosure rule.
    pub figures: &'a Disclosed,
    /// First publication.
    pub issued: Timestamp,
    /// Last change of content.
    pub modified: Timestamp,
}

/// Writes documents for one configuration and release.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// Names, contacts and the base of every IRI.
    pub config: &'a Config,
    /// Namespaces and vocabularies.
    pub release: &'a Release,
}

/// An organisation of the configuration as an agent.
#[must_use]
pub fn configured(organisation: &Organisation) -> Agent {
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    Agent {
        name: organisation.name.clone(),
        iri: given(&organisation.iri),
        email: given(&organisation.email),
        page: given(&organisation.page),
        telephone: given(&organisation.telephone),
        kind: given(&organisation.publisher_type),
        trusted_data_holder: organisation.trusted_data_holder,
        ..Agent::default()
    }
}

impl Writer<'_> {
    /// An IRI below our base. The base was checked to be one.
    #[must_use]
    pub fn iri(&self, path: &str) -> NamedNode {
        NamedNode::new_unchecked(format!("{}{path}", self.config.server.base()))
    }

    /// The IRI of a dataset.
    #[must_use]
    pub fn dataset_iri(&self, slug: &str) -> NamedNode {
        self.iri(&format!("/dataset/{slug}"))
    }

    /// The IRI of its catalogue record.
    #[must_use]
    pub fn record_iri(&self, slug: &str) -> NamedNode {
        self.iri(&format!("/record/{slug}"))
    }

    /// Where one applies for data: the access body's page, else its mailbox.
    #[must_use]
    pub fn application(&self, description: &Description) -> Option<String> {
        let own = description.hdab.as_ref();
        let page = own.and_then(|agent| agent.page.clone()).or_else(|| {
            (own.is_none() && !self.config.hdab.page.is_empty())
                .then(|| self.config.hdab.page.clone())
        });
        let email = own.and_then(|agent| agent.email.clone()).or_else(|| {
            (own.is_none() && !self.config.hdab.email.is_empty())
                .then(|| self.config.hdab.email.clone())
        });
        page.or_else(|| email.map(|email| format!("mailto:{email}")))
    }

    /// The agent and the contact of an organisation of the configuration.
    fn configured_agent(
        &self,
        draft: &mut Draft<'_>,
        name: &str,
        organisation: &Organisation,
    ) -> NamedNode {
        let home = self.iri(&format!("/agent/{name}"));
        let node = NamedNode::new(organisation.iri.as_str()).unwrap_or_else(|_| home.clone());
        let contact = NamedNode::new_unchecked(format!("{}#contact", home.as_str()));
        draft.agent(&node, &contact, &configured(organisation));
        node
    }

    /// An organisation of the configuration as a document of its own: `organisation`, `hdab`.
    #[must_use]
    pub fn agent(&self, name: &str) -> Option<Graph> {
        let organisation = match name {
            "organisation" => &self.config.organisation,
            "hdab" => &self.config.hdab,
            _ => return None,
        };
        if organisation.name.is_empty() {
            return None;
        }
        let mut draft = Draft::new(*self);
        self.configured_agent(&mut draft, name, organisation);
        Some(draft.graph)
    }

    /// Our FHIR endpoint as a document of its own.
    #[must_use]
    pub fn service(&self) -> Graph {
        let mut draft = Draft::new(*self);
        let node = self.fhir_service(&mut draft);
        self.put_service_about(&mut draft, &node);
        draft.graph
    }

    fn fhir_service(&self, draft: &mut Draft<'_>) -> NamedNode {
        let node = self.iri("/service/fhir");
        let endpoint = self.iri("/fhir");
        let english = Text::new("en", "");
        draft.kind(&node, "dcat:DataService");
        draft.phrase(&node, "dct:title", "fhir", &english);
        draft.phrase(&node, "dct:description", "fhir-description", &english);
        draft.add(&node, "dcat:endpointURL", endpoint);
        draft.add(&node, "dcat:endpointDescription", self.iri("/fhir/metadata"));
        draft.concept(&node, "dct:conformsTo", Scheme::Standard, "FHIR");
        draft.concept(&node, "dct:format", Scheme::FileType, "JSON");
        draft.concept(
            &node,
            "dcatap:applicableLegislation",
            Scheme::Legislation,
            &self.release.file.legislation,
        );
        node
    }

    /// The document of a dataset.
    #[must_use]
    pub fn dataset(&self, subject: &Subject<'_>) -> Graph {
        let mut draft = Draft::new(*self);
        let node = self.dataset_iri(subject.slug);
        self.words(&mut draft, &node, subject);
        self.choices(&mut draft, &node, subject.description);
        self.agents(&mut draft, &node, subject);
        self.links(&mut draft, &node, subject);
        self.counts(&mut draft, &node, subject.figures);
        self.arrivals(&mut draft, &node, subject);
        self.codes(&mut draft, &node, subject);
        self.distributions(&mut draft, &node, subject);
        self.variables(&mut draft, &node, subject);
        self.eucaim_additions(&mut draft, &node, subject);
        draft.graph
    }
}

pub(super) fn part(node: &NamedNode, name: &str) -> NamedNode {
    NamedNode::new_unchecked(format!("{}#{name}", node.as_str()))
}

/// An `xsd:dateTime` in UTC, to the second: finer would only make documents differ.
#[must_use]
pub fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

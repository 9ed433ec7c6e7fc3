//! A graph under construction: how each kind of value is written, once for every document.

use oxrdf::{Graph, Literal, NamedNode, Term, Triple};

use super::Writer;
use crate::catalogue::Day;
use crate::catalogue::description::{Agent, Hours, Location, Text};
use crate::catalogue::release::{Release, Scheme};

/// Where a place may be named (HealthDCAT-AP R8, `dct:spatial`).
pub(in crate::catalogue) const PLACES: &[Scheme] =
    &[Scheme::Country, Scheme::Continent, Scheme::Place, Scheme::Geonames];

/// A graph under construction.
pub(in crate::catalogue) struct Draft<'a> {
    pub(in crate::catalogue) graph: Graph,
    pub(in crate::catalogue) release: &'a Release,
    pub(super) language: &'a str,
}

impl<'a> Draft<'a> {
    pub(in crate::catalogue) fn new(writer: Writer<'a>) -> Self {
        let language = writer.config.catalogue.language.as_str();
        Self { graph: Graph::new(), release: writer.release, language }
    }

    pub(in crate::catalogue) fn add(
        &mut self,
        subject: &NamedNode,
        predicate: &str,
        object: impl Into<Term>,
    ) {
        self.graph.insert(&Triple::new(subject.clone(), self.release.term(predicate), object));
    }

    pub(in crate::catalogue) fn kind(&mut self, subject: &NamedNode, class: &str) {
        let class = self.release.term(class);
        self.add(subject, "rdf:type", class);
    }

    pub(in crate::catalogue) fn literal(
        &mut self,
        subject: &NamedNode,
        predicate: &str,
        text: &str,
    ) {
        self.add(subject, predicate, Literal::new_simple_literal(text));
    }

    pub(in crate::catalogue) fn typed(
        &mut self,
        subject: &NamedNode,
        predicate: &str,
        text: &str,
        kind: &str,
    ) {
        let kind = self.release.term(kind);
        self.add(subject, predicate, Literal::new_typed_literal(text, kind));
    }

    pub(in crate::catalogue) fn tagged(
        &mut self,
        subject: &NamedNode,
        predicate: &str,
        language: &str,
        text: &str,
    ) {
        let language = if language.is_empty() { self.language } else { language };
        let literal = Literal::new_language_tagged_literal(text, language)
            .unwrap_or_else(|_| Literal::new_simple_literal(text));
        self.add(subject, predicate, literal);
    }

    pub(in crate::catalogue) fn text(&mut self, subject: &NamedNode, predicate: &str, text: &Text) {
        for (language, text) in text.iter() {
            self.tagged(subject, predicate, language, text);
        }
    }

    /// A sentence of ours, in English and in the languages of the dataset's title.
    pub(in crate::catalogue) fn phrase(
        &mut self,
        subject: &NamedNode,
        predicate: &str,
        name: &str,
        like: &Text,
    ) {
        let release = self.release;
        let mut languages: Vec<&str> = like
            .iter()
            .map(|(language, _)| if language.is_empty() { self.language } else { language })
            .collect();
        languages.push("en");
        languages.sort_unstable();
        languages.dedup();
        for language in languages {
            if let Some(text) = release.phrase(name, language) {
                self.tagged(subject, predicate, language, text);
            }
        }
    }

    /// An IRI that somebody typed; one that is none becomes a literal, which the shapes refuse.
    pub(in crate::catalogue) fn link(&mut self, subject: &NamedNode, predicate: &str, iri: &str) {
        match NamedNode::new(iri) {
            Ok(node) => self.add(subject, predicate, node),
            Err(_) => self.literal(subject, predicate, iri),
        }
    }

    pub(in crate::catalogue) fn document(
        &mut self,
        subject: &NamedNode,
        predicate: &str,
        iri: &str,
    ) {
        self.link(subject, predicate, iri);
        if let Ok(node) = NamedNode::new(iri) {
            self.kind(&node, "foaf:Document");
        }
    }

    /// A concept of a vocabulary, typed as the range of its property asks. A code that the
    /// vocabulary does not have is written below its base and refused by the shapes.
    pub(in crate::catalogue) fn concept(
        &mut self,
        subject: &NamedNode,
        predicate: &str,
        scheme: Scheme,
        code: &str,
    ) {
        let row = self.release.scheme(scheme);
        let node = self.release.concept(scheme, code).or_else(|| {
            let full =
                if code.contains("://") { code.to_owned() } else { format!("{}{code}", row.base) };
            NamedNode::new(full).ok()
        });
        let Some(node) = node else {
            self.literal(subject, predicate, code);
            return;
        };
        if !row.class.is_empty() {
            self.kind(&node, &row.class);
        }
        if row.says_scheme || self.release.is_by_pattern(scheme, code) {
            let of = NamedNode::new_unchecked(row.scheme.as_str());
            self.kind(&node, "skos:Concept");
            self.add(&node, "skos:inScheme", of);
            let label = self.release.label(scheme, code).unwrap_or(code).to_owned();
            self.tagged(&node, "skos:prefLabel", "en", &label);
        }
        self.add(subject, predicate, node);
    }

    pub(in crate::catalogue) fn period(
        &mut self,
        subject: &NamedNode,
        predicate: &str,
        node: &NamedNode,
        from: Option<Day>,
        to: Option<Day>,
    ) {
        if from.is_none() && to.is_none() {
            return;
        }
        self.add(subject, predicate, node.clone());
        self.kind(node, "dct:PeriodOfTime");
        if let Some(day) = from {
            self.typed(node, "dcat:startDate", &day.to_string(), "xsd:date");
        }
        if let Some(day) = to {
            self.typed(node, "dcat:endDate", &day.to_string(), "xsd:date");
        }
    }

    /// An agent with its one contact point.
    pub(in crate::catalogue) fn agent(
        &mut self,
        node: &NamedNode,
        contact: &NamedNode,
        agent: &Agent,
    ) {
        self.kind(node, "foaf:Agent");
        self.tagged(node, "foaf:name", "", &agent.name);
        self.text(node, "foaf:name", &agent.other_names);
        if let Some(page) = &agent.homepage {
            self.document(node, "foaf:homepage", page);
        }
        if let Some(kind) = &agent.kind {
            self.concept(node, "dct:type", Scheme::PublisherType, kind);
        }
        self.text(node, "dct:description", &agent.note);
        if agent.trusted_data_holder {
            self.typed(node, "healthdcatap:trustedDataHolder", "true", "xsd:boolean");
        }
        if agent.email.is_none() && agent.page.is_none() {
            return;
        }
        self.add(node, "cv:contactPoint", contact.clone());
        self.kind(contact, "cv:ContactPoint");
        if let Some(email) = &agent.email {
            self.literal(contact, "cv:email", email);
        }
        if let Some(page) = &agent.page {
            self.link(contact, "cv:contactPage", page);
        }
        if let Some(telephone) = &agent.telephone {
            self.literal(contact, "cv:telephone", telephone);
        }
        self.hours(contact, "cv:openingHours", "hours", &agent.opening_hours);
        let special = "cv:specialOpeningHoursSpecification";
        self.hours(contact, special, "special-hours", &agent.special_hours);
    }

    fn hours(&mut self, contact: &NamedNode, predicate: &str, name: &str, hours: &[Hours]) {
        for (place, hours) in hours.iter().enumerate() {
            // A contact is a fragment already; its hours are fragments beside it.
            let node =
                NamedNode::new_unchecked(format!("{}-{name}-{}", contact.as_str(), place + 1));
            self.add(contact, predicate, node.clone());
            self.kind(&node, "time:TemporalEntity");
            self.text(&node, "dct:description", &hours.description);
            if let Some(frequency) = &hours.frequency {
                self.concept(&node, "cv:frequency", Scheme::Frequency, frequency);
            }
        }
    }

    /// A place: a code of the EU countries or continents, or an IRI.
    pub(in crate::catalogue) fn place(&mut self, subject: &NamedNode, code: &str) {
        let scheme = PLACES.iter().find(|scheme| self.release.concept(**scheme, code).is_some());
        self.concept(subject, "dct:spatial", *scheme.unwrap_or(&Scheme::Country), code);
    }

    /// The extent of a place (GeoSPARQL WKT, longitude before latitude).
    pub(in crate::catalogue) fn location(&mut self, subject: &NamedNode, location: &Location) {
        self.place(subject, &location.place);
        let release = self.release;
        let node = PLACES.iter().find_map(|scheme| release.concept(*scheme, &location.place));
        let Some(node) = node else { return };
        if let Some([west, south, east, north]) = location.bbox {
            let box_ = format!(
                "POLYGON(({west} {south},{east} {south},{east} {north},{west} {north},{west} \
                 {south}))"
            );
            self.typed(&node, "dcat:bbox", &box_, "geo:wktLiteral");
        }
        if let Some([longitude, latitude]) = location.centroid {
            let point = format!("POINT({longitude} {latitude})");
            self.typed(&node, "dcat:centroid", &point, "geo:wktLiteral");
        }
        if let Some(geometry) = &location.geometry {
            self.typed(&node, "locn:geometry", geometry, "geo:wktLiteral");
        }
    }
}
